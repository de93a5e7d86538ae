"""A run of which one process ends leaves one line, an exit code, and no process that waits for it."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT, Zoo
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from zoo.terminal import REPORTS

# In its third epoch, or before it begins, one process ends; the others may be busy with something else then.
PROGRAM = """\
import os, signal, sys, time
from zoo.cli import main
from zoo.errors import ZooError
from zoo.training.callbacks import SeedEpochs

lost, how, when, others = sys.argv[1:5]

def end():
    if how == "raises":
        raise ValueError("lightning struck")
    if how == "refuses":
        raise ZooError("there is no light")
    os.kill(os.getpid(), getattr(signal, how))

def on_train_epoch_start(self, trainer, module):
    if trainer.current_epoch == 2:
        if lost in ("all", str(trainer.global_rank)):
            end()
        elif others == "busy":
            time.sleep(600)

if when == "training":
    SeedEpochs.on_train_epoch_start = on_train_epoch_start
elif os.environ.get("LOCAL_RANK", "0") == lost:
    import zoo.training.verbs
    zoo.training.verbs.ZooCLI = lambda *args, **options: end()
sys.exit(main(sys.argv[5:]))
"""
FIT = (
    *("fit", "cnn_digits", "--trainer.accelerator=cpu", "--trainer.strategy=ddp", "--trainer.max_epochs=400"),
    *("--model.schedule=constant", "--quiet", "--figures=false"),
)
RESUME = r"; resume with: zoo fit (\S+)"


def lose(
    folder: Path, lost: str, how: str, processes: int = 2, when: str = "training", others: str = "", seconds: int = 600
) -> tuple[int, str]:
    """Exit code and error output of a run that loses a process; waits until none of its processes is left."""
    (folder / "program.py").write_text(PROGRAM)
    scratch = folder / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}
    command = [sys.executable, "program.py", lost, how, when, others, *FIT, f"--trainer.devices={processes}"]
    # The output ends when the last process has closed it.
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        timeout=seconds,
    )  # fmt: skip
    assert not list(scratch.glob("zoo-*")), "what processes tell each other is left behind"
    return done.returncode, done.stderr


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("lost", "how", "processes", "others", "code", "told"),
    [
        ("1", "SIGKILL", 2, "", 1, "process 1 of 2 was ended by SIGKILL, as by a system that has no memory left"),
        pytest.param("2", "SIGKILL", 4, "", 1, "process 2 of 4 was ended by SIGKILL, .* left", marks=slow),
        pytest.param("0", "SIGKILL", 2, "", -9, "the first of 2 processes has ended", marks=slow),
        # As where a graphics processor waits for what never comes.
        pytest.param("1", "SIGKILL", 2, "busy", 1, "process 1 of 2 was ended by SIGKILL, .* left", marks=slow),
    ],
)
def test_lost_process_ends_the_run_in_one_line(
    lost: str, how: str, processes: int, others: str, code: int, told: str, tmp_path: Path
) -> None:
    found, error = lose(tmp_path, lost, how, processes, others=others)
    assert found == code, error
    said = re.fullmatch(f"zoo: {told}{RESUME}\n", error)
    assert said is not None, error
    assert (tmp_path / said[1] / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.slow
def test_run_that_is_told_to_stop_does(tmp_path: Path) -> None:
    code, error = lose(tmp_path, "all", "SIGTERM")
    assert (code, error) == (143, "")
    assert len(list(tmp_path.glob("runs/*/*/checkpoints/last.ckpt"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "how", "told"),
    [
        ("1", "raises", "process 1 of 2: unexpected ValueError: lightning struck; --traceback shows where; .*"),
        ("0", "refuses", "there is no light"),
        ("all", "refuses", "there is no light"),
    ],
)
def test_what_a_process_tells_is_told_once(lost: str, how: str, told: str, tmp_path: Path) -> None:
    code, error = lose(tmp_path, lost, how)
    assert code == 2, error
    assert re.fullmatch(f"zoo: {told}\n", error), error


def test_refusal_before_others_are_started_touches_nothing(zoo_command: Zoo) -> None:
    Path("precious").write_text("mine")
    assert zoo_command(*FIT, "--trainer.max_epochs=1", "--trainer.strategy=auto")[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    before = {path for path in Path.cwd().rglob("*") if path.is_file()}
    code, _, error = zoo_command("fit", run, "--trainer.devices=2", "--trainer.strategy=ddp")
    assert code == 2
    assert "has been trained for 1 epochs" in error
    assert {path for path in Path.cwd().rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code", "told"),
    [("refuses", 2, "process 1 of 2: there is no light"), ("SIGKILL", 1, "process 1 of 2 was ended by SIGKILL, .*")],
)
def test_process_lost_before_it_begins_leaves_no_run(how: str, code: int, told: str, tmp_path: Path) -> None:
    found, error = lose(tmp_path, "1", how, when="start")
    assert found == code, error
    assert re.fullmatch(f"zoo: {told}\n", error), error
    assert not (tmp_path / "runs").exists()


def test_processes_that_cannot_be_started_leave_nothing_behind(
    zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(_SubprocessScriptLauncher, "_call_children_scripts", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for _ in range(2):  # the second would once have ended the whole process
        code, _, error = zoo_command(*FIT, "--trainer.devices=2")
        assert (code, error) == (2, "zoo: [Errno 11] Resource temporarily unavailable\n")
    assert REPORTS not in os.environ
    assert not list(tmp_path.glob("zoo-*"))
