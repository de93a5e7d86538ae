"""A run can always be finished: whenever it was killed, and wherever it was stopped."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Zoo

from zoo import weights

DIGITS = ("cnn_digits", "--model.schedule=constant", "--quiet", "--figures=false")


@pytest.fixture
def whole(zoo_command: Zoo) -> Path:
    """A run of three epochs of 20 steps that nothing interrupted."""
    assert zoo_command("fit", *DIGITS, "--trainer.max_epochs=3")[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    return run.rename("whole")


def steps(run: Path) -> list[int]:
    with (run / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def same(one: Path, other: Path, name: str) -> bool:
    ours, theirs = (weights.read_checkpoint(run / "checkpoints" / name) for run in (one, other))
    return ours["global_step"] == theirs["global_step"] and all(
        torch.equal(value, theirs["state_dict"][key]) for key, value in ours["state_dict"].items()
    )


@pytest.mark.parametrize("left", [[], ["--trainer.max_steps=27"], ["--trainer.callbacks.patience=1", "--model.lr=0"]])
def test_run_killed_before_its_results_is_finished(left: list[str], zoo_command: Zoo) -> None:
    """Whatever ended the training: its epochs, its steps, early stopping."""
    assert zoo_command("fit", *DIGITS, "--trainer.max_epochs=3", *left)[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    found = json.loads((run / "results.json").read_text())
    metrics = (run / "metrics.csv").read_text()
    (run / "results.json").unlink()
    assert zoo_command("fit", run, "--figures=true")[0] == 0
    finished = json.loads((run / "results.json").read_text())
    assert [finished[key] for key in ("fit", "validate")] == [found[key] for key in ("fit", "validate")]
    assert (run / "metrics.csv").read_text() == metrics
    assert (run / "figures" / "learning_curves.png").is_file()
    assert zoo_command("fit", run)[0] == 2


def test_run_killed_before_its_first_checkpoint_begins_again(whole: Path, zoo_command: Zoo) -> None:
    again = Path("again")
    again.mkdir()
    shutil.copy(whole / "config.yaml", again)
    (again / "metrics.csv").write_text("epoch,step,tra")
    assert zoo_command("fit", again, "--quiet", "--figures=false")[0] == 0
    assert same(whole, again, "best.ckpt")
    assert same(whole, again, "last.ckpt")
    assert (again / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()


def test_lost_checkpoint_is_not_trained_over(whole: Path, zoo_command: Zoo) -> None:
    (whole / "checkpoints" / "last.ckpt").unlink()
    before = (whole / "checkpoints" / "best.ckpt").read_bytes()
    code, _, error = zoo_command("fit", whole)
    assert code == 2
    assert "last.ckpt" in error
    assert (whole / "checkpoints" / "best.ckpt").read_bytes() == before


@pytest.mark.parametrize("steps_before", [7, 20, 27])
def test_run_stopped_inside_an_epoch_goes_on_exactly(steps_before: int, whole: Path, zoo_command: Zoo) -> None:
    assert zoo_command("fit", *DIGITS, "--trainer.max_epochs=3", f"--trainer.max_steps={steps_before}")[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    stopped = weights.read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert stopped["global_step"] == steps_before, "what was reached can be used"
    code, _, error = zoo_command("fit", run)
    assert code == 2
    assert f"has been trained for {steps_before} steps, {steps_before} are wanted" in error
    assert zoo_command("fit", run, "--trainer.max_steps=-1", "--quiet")[0] == 0
    for name in ("best.ckpt", "last.ckpt"):
        assert same(whole, run, name)
    assert not (run / "checkpoints" / "resume").exists()
    assert steps(run) == steps(whole)


def test_file_system_without_hard_links_loses_nothing(
    whole: Path, zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: Path) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr("zoo.training.checkpoints.os.link", link)
    assert zoo_command("fit", *DIGITS, "--trainer.max_epochs=3", "--trainer.max_steps=27")[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    assert zoo_command("fit", run, "--trainer.max_steps=-1", "--quiet")[0] == 0
    assert same(whole, run, "best.ckpt")
    assert same(whole, run, "last.ckpt")


def test_refused_resumption_leaves_the_metrics(zoo_command: Zoo) -> None:
    assert zoo_command("fit", "cnn_digits", "--trainer.max_steps=27", "--quiet", "--figures=false")[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, _, error = zoo_command("fit", run, "--trainer.max_steps=40")
    assert code == 2
    assert "a schedule cannot be stretched" in error
    assert {path: path.read_bytes() for path in before} == before


def test_line_of_metrics_that_was_not_written_to_its_end_is_left_out(whole: Path, zoo_command: Zoo) -> None:
    expected = (whole / "metrics.csv").read_text()
    with (whole / "metrics.csv").open("a") as file:
        file.write("3,0.0")
    assert zoo_command("fit", whole, "--trainer.max_epochs=4", "--quiet", "--figures=false")[0] == 0
    lines = (whole / "metrics.csv").read_text().splitlines(keepends=True)
    assert "".join(lines[:7]) == expected
    assert steps(whole)[6:] == [79, 79]


def test_second_process_is_kept_from_a_run_until_the_first_ends(whole: Path, zoo_command: Zoo) -> None:
    script = (
        "import sys, time; from pathlib import Path; from zoo.training.run_folder import held\n"
        "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(whole)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file() and path.name != ".lock"}
        code, _, error = zoo_command("fit", whole, "--trainer.max_epochs=4")
        assert code == 2
        assert "is being trained by another process" in error
        assert {path: path.read_bytes() for path in before} == before
        first.kill()
    assert zoo_command("fit", whole, "--trainer.max_epochs=4", "--quiet", "--figures=false")[0] == 0


def test_schedule_of_another_number_of_processes_names_both(zoo_command: Zoo) -> None:
    assert zoo_command("fit", "cnn_digits", "--trainer.max_epochs=2", "--quiet", "--figures=false")[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    for name in ("last.ckpt", "best.ckpt"):
        content = weights.read_checkpoint(run / "checkpoints" / name)
        content["processes"] = 4
        weights.write_checkpoint(content, run / "checkpoints" / name)
    code, _, error = zoo_command("fit", run, "--trainer.max_epochs=3")
    assert code == 2
    assert "was trained by 4 processes on a one_cycle schedule of 40 steps, this run of 1 has 60" in error
    assert "--trainer.devices 4" in error


@pytest.mark.slow
def test_constant_schedule_goes_on_with_another_number_of_processes(whole: Path, zoo_command: Zoo) -> None:
    zoo = [sys.executable, "-m", "zoo.cli", "fit", str(whole), "--quiet", "--figures=false"]
    devices = ["--trainer.accelerator=cpu", "--trainer.strategy=ddp", "--trainer.devices=2"]
    subprocess.run([*zoo, "--trainer.max_epochs=4", *devices], check=True, timeout=300)
    one = ["--trainer.devices=1", "--trainer.strategy=auto"]
    assert zoo_command("fit", whole, "--trainer.max_epochs=5", "--quiet", "--figures=false", *one)[0] == 0
    assert steps(whole)[::2] == [19, 39, 59, 69, 89]
