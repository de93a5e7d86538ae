"""A checkpoint of another model, weights without what is kept beside them, and a damaged record: one line each."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, Zoo

FORMER = ROOT / "tests" / "former"
QUIETLY = ("--quiet", "--figures=false")
ALONE = "holds weights without the state of their training, so none goes on from it"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of backprop_iris that was killed."""
    return shutil.copytree(FORMER / "tabular" / "run", tmp_path / "runs" / "backprop_iris" / "1")


@pytest.fixture
def forged(run: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint like the run's last one, some of which is missing or something else."""

    def forge(without: tuple[str, ...] = (), **others: Any) -> Path:
        content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        kept = {key: value for key, value in content.items() if key not in without}
        torch.save(kept | others, tmp_path / "mine.ckpt")
        return tmp_path / "mine.ckpt"

    return forge


def test_checkpoint_of_another_model(run: Path, zoo_command: Zoo) -> None:
    other = FORMER / "vision" / "run" / "checkpoints" / "last.ckpt"
    for verb in ("fit", "validate", "test"):
        for model in ("backprop_iris", run):
            told = zoo_command(verb, model, "--ckpt_path", other, *QUIETLY)
            _is_one_line(told, f"{other} holds a CNN, expected a Backprop")


def test_run_with_the_checkpoints_of_another(run: Path, zoo_command: Zoo) -> None:
    shutil.copytree(FORMER / "vision" / "run" / "checkpoints", run / "checkpoints", dirs_exist_ok=True)
    for verb in ("fit", "validate", "test"):
        _is_one_line(zoo_command(verb, run, *QUIETLY), "holds a CNN, expected a Backprop")


def test_weights_alone_are_not_trained_on(run: Path, forged: Callable[..., Path], zoo_command: Zoo) -> None:
    alone = forged(without=("loops", "callbacks", "optimizer_states", "lr_schedulers"))  # as save_weights_only has it
    for model in ("backprop_iris", run):
        _is_one_line(zoo_command("fit", model, "--ckpt_path", alone, *QUIETLY), ALONE)
    assert zoo_command("test", "backprop_iris", "--ckpt_path", alone, *QUIETLY)[0] == 0


@pytest.mark.parametrize("verb", ["validate", "test"])
def test_nothing_but_a_state_dict_is_not_measured(verb: str, run: Path, zoo_command: Zoo, tmp_path: Path) -> None:
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    torch.save({"state_dict": state}, tmp_path / "state.ckpt")
    _is_one_line(zoo_command(verb, "backprop_iris", "--ckpt_path", tmp_path / "state.ckpt"), "nothing but weights")
    torch.save(state, tmp_path / "bare.ckpt")
    _is_one_line(zoo_command(verb, run, "--ckpt_path", tmp_path / "bare.ckpt"), "it holds no 'state_dict'")


@pytest.mark.parametrize("key", ["state_dict", "class_path", "hyper_parameters", "callbacks", "loops", "epoch"])
def test_checkpoint_that_holds_something_odd(key: str, forged: Callable[..., Path], zoo_command: Zoo) -> None:
    for verb in ("fit", "test"):
        told = zoo_command(verb, "backprop_iris", "--ckpt_path", forged(**{key: [5]}), *QUIETLY)
        _is_one_line(told, f"mine.ckpt is no Lightning checkpoint: its '{key}' is [5]")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0,,none,,,,", "line 2 is damaged: it has step 'none'"),
        ("0,,5,fast,,,", "line 2 is damaged: it has train_loss 'fast'"),
        ("0,,5,1,1,1,1,1,1,1", "a column without a name ['1', '1', '1', '1']"),
    ],
)
def test_damaged_metrics_of_a_run_that_goes_on(line: str, expected: str, run: Path, zoo_command: Zoo) -> None:
    header = (run / "metrics.csv").read_text().splitlines()[0]
    (run / "metrics.csv").write_text(f"{header}\n{line}\n")
    _is_one_line(zoo_command("fit", run, *QUIETLY), expected)
    assert (run / "metrics.csv").read_text() == f"{header}\n{line}\n"


def _is_one_line(told: tuple[int, str, str], expected: str) -> None:
    code, out, error = told
    assert (code, out) == (2, "")
    assert len(error.splitlines()) == 1
    assert expected in error
