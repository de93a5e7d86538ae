"""Launchers: as many processes as a run is of, or one line; one folder for all of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Zoo

FIT = ("fit", "cnn_digits", "--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--quiet", "--figures=false")
TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "x", "MASTER_PORT": "1"}
SRUN = {"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "2"}


@pytest.mark.parametrize(
    ("environment", "flags", "told"),
    [
        (TORCHRUN | {"WORLD_SIZE": "2"}, [], "torchrun started 2 processes"),
        (TORCHRUN | {"WORLD_SIZE": "4"}, ["--trainer.num_nodes=2"], "use --trainer.devices 2"),
        (SRUN | {"SLURM_JOB_NAME": "train", "SLURM_NTASKS_PER_NODE": "2"}, [], "srun started 2 processes"),
        ({"WORLD_SIZE": "3", "LOCAL_RANK": "0"}, [], "the launcher started 3 processes"),
        ({}, ["--trainer.strategy=ddp_spawn", "--trainer.devices=2"], "use --trainer.strategy ddp"),
    ],
    ids=["torchrun", "two nodes", "srun", "another launcher", "spawned"],
)
def test_run_of_another_number_of_processes_is_refused(
    environment: dict[str, str], flags: list[str], told: str, zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    code, out, error = zoo_command(*FIT, *flags)
    assert (code, out) == (2, "")
    assert told in error
    assert len(error.splitlines()) == 1
    assert not list(Path.cwd().iterdir())


def test_process_within_an_interactive_allocation_is_one(zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SRUN | {"SLURM_JOB_NAME": "interactive"}).items():
        monkeypatch.setenv(name, value)
    assert zoo_command(*FIT)[0] == 0


@pytest.mark.parametrize("launched", [pytest.param("by Lightning", marks=pytest.mark.slow), "by torchrun"])
def test_processes_share_the_folder_of_the_first(launched: str, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    start = torchrun if launched == "by torchrun" else [sys.executable]
    # The second process's clock is an hour late.
    script = (
        "import datetime, os, sys; from zoo.cli import main; import zoo.training.run_folder as f\n"
        "class Late(datetime.datetime):\n"
        "    @classmethod\n"
        "    def now(cls): return super().now() + datetime.timedelta(hours=int(os.environ.get('LOCAL_RANK', 0)))\n"
        "f.datetime = Late\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    (tmp_path / "late.py").write_text(script)
    command = [*start, "late.py", *FIT, "--trainer.devices=2", "--trainer.strategy=ddp"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (run,) = tmp_path.glob("runs/cnn_digits/*")
    results = json.loads((run / "results.json").read_text())
    assert results["fit"]["processes"] == 2
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
