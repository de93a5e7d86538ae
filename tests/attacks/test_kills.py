"""Trainings that are killed at any moment, again and again, and end as if nobody had touched them."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo import weights
from zoo.cli import main
from zoo.training.checkpoints import LastCheckpoint

from .conftest import Attack

TRAININGS = {
    "dense_iris": ("--trainer.max_epochs=5",),
    "kmeans_iris": (),
    "lstm_synthetic": ("--trainer.max_epochs=3", "--model.hidden_size=4", "--data.window=16"),
}
# Longer than any of them takes on a machine that is busy.
DEADLINE = 60


def start(folder: Path, arguments: Sequence[str]) -> int:
    """Starts a command in a process of its own, which has all modules already."""
    process = os.fork()
    if process == 0:
        try:
            os.chdir(folder)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            os._exit(main(list(arguments)))
        finally:
            os._exit(99)
    return process


def wait(process: int) -> int:
    """The exit code of a process; negative of one that a signal ended."""
    deadline = time.monotonic() + DEADLINE
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            raise TimeoutError(f"still running after {DEADLINE} s")
        time.sleep(0.005)


def outcome(run: Path) -> tuple[dict[str, Any], list[str], dict[str, torch.Tensor]]:
    """What a finished run holds, but for times."""
    results = json.loads((run / "results.json").read_text())
    for times in ("seconds", "best_epoch"):
        results["fit"].pop(times, None)
    state: dict[str, torch.Tensor] = weights.load_checkpoint(weights.best_checkpoint(run)).state_dict()
    return {name: results[name] for name in ("fit", "test")}, (run / "metrics.csv").read_text().splitlines(), state


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a process that was forked")
@pytest.mark.parametrize("recipe", TRAININGS)
def test_kills_lose_nothing(attack: Attack, tmp_path: Path, recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Written at the end of every epoch: as often as ever, so that kills strike while it is written.
    monkeypatch.setattr(LastCheckpoint.__init__, "__defaults__", (0.0,))
    command = ["fit", recipe, *TRAININGS[recipe], "--figures=false", "--tune_precision=false", "--test", "--quiet"]
    begun = time.monotonic()
    assert wait(start(tmp_path, command)) == 0
    lasts = time.monotonic() - begun
    (whole,) = tmp_path.glob("runs/*/*")
    expected = outcome(whole)
    shutil.rmtree(tmp_path / "runs")

    def attempt(chance: random.Random) -> str | None:
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        arguments = command
        for _ in range(chance.choice([1, 1, 2, 3])):
            process = start(tmp_path, arguments)
            time.sleep(chance.uniform(0.0, 1.05 * lasts))
            os.kill(process, signal.SIGKILL)
            wait(process)
            for run in tmp_path.glob("runs/*/*"):
                for checkpoint in run.rglob("*.ckpt"):
                    weights.read_checkpoint(checkpoint)
                if (run / "config.yaml").is_file():
                    arguments = ["fit", str(run), "--test", "--quiet"]
            if (found := _finished(tmp_path)) is not None:
                arguments = []
                break
        if arguments:
            if (code := wait(start(tmp_path, arguments))) != 0:
                return f"exit code {code}"
            found = _finished(tmp_path)
        if found is None:
            return "no run was finished"
        results, metrics, state = outcome(found)
        if results != expected[0]:
            return f"results {results}, expected {expected[0]}"
        if metrics != expected[1]:
            return f"{len(metrics)} lines of metrics, expected {len(expected[1])}"
        return None if same(state, expected[2]) else "other weights"

    attack("kills", 1, 0.1, attempt)


def _finished(folder: Path) -> Path | None:
    """The run whose results are written."""
    for results in folder.glob("runs/*/*/results.json"):
        if "test" in json.loads(results.read_text()):
            return results.parent
    return None
