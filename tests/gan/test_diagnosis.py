"""What is told of a training that goes wrong: collapse, vanishing gradients, unstable convergence, each once."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_cli
from torch import Tensor

from zoo import weights
from zoo.gan.diagnosis import diagnose

HEALTHY = {
    "discriminator_accuracy": 0.8, "generator_gradient_norm": 1.0, "classes_covered": 10.0, "recall": 0.5, "fid": 10.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("last", "missing", "says"),
    [
        ({}, [], None),
        ({"discriminator_accuracy": 0.999, "generator_gradient_norm": 1e-3}, [], "vanishing gradient"),
        (
            {"classes_covered": 8.0},
            ["Bag"],
            "mode collapse: the samples cover 8 classes, at most 10 so far; Bag missing",
        ),
        (
            {"recall": 0.001},
            [],
            "mode collapse: the samples reach 0.1% of the real images (recall), at most 50.0% so far",
        ),
        ({"fid": 30.0}, [], "unstable convergence: fid is 30 and was 10 at best"),
    ],
)
def test_diseases_are_named_once(last: dict[str, float], missing: list[str], says: str | None) -> None:
    history = [HEALTHY, HEALTHY, HEALTHY, {**HEALTHY, **last}]
    found = diagnose(history, "fid", missing)
    assert found == [] if says is None else (len(found) == 1 and says in found[0])
    assert diagnose([*history, history[-1]], "fid", missing) == []


@pytest.mark.parametrize("bad", [{"classes_covered": 8.0, "classes_missing": 2.0}, {"recall": 0.0}])
def test_what_never_was_there_is_missed_after_five_evaluations(bad: dict[str, float]) -> None:
    history = [{**HEALTHY, **bad}] * 4
    assert diagnose(history, "fid", ["Bag", "Coat"]) == []
    (message,) = diagnose([*history, history[0]], "fid", ["Bag", "Coat"])
    assert message.startswith("mode collapse")
    assert diagnose([*history, *history], "fid", ["Bag", "Coat"]) == []


def test_epochs_without_evaluation_do_not_repeat_a_warning() -> None:
    unseen = {"discriminator_accuracy": 0.8, "generator_gradient_norm": 1.0}
    history = [HEALTHY, unseen, HEALTHY, unseen, {**HEALTHY, "classes_covered": 5.0}]
    said = [diagnose(history[: end + 1] if end < 5 else [*history, *[unseen, history[-1]] * 2][: end + 1], "fid", [])
            for end in range(9)]  # fmt: skip
    assert [len(messages) for messages in said] == [0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_run_warns_of_a_collapse_and_remembers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluations = iter([10.0, 10.0, 10.0, 6.0])

    def figures(*_: Any) -> dict[str, Tensor]:
        found = {"classes_covered": next(evaluations), "cnn_fid": 1.0, "recall": 0.5}
        return {name: torch.tensor(value) for name, value in found.items()}

    monkeypatch.setattr("zoo.gan.evaluation.compare", figures)
    cli = tiny_cli("dcgan_digits", tmp_path / "run", max_epochs=4)
    with pytest.warns(UserWarning, match="mode collapse: the samples cover 6 classes, at most 10 so far"):
        cli.trainer.fit(cli.model, cli.datamodule)
    cli.trainer.save_checkpoint(tmp_path / "a.ckpt")
    kept = weights.read_checkpoint(tmp_path / "a.ckpt")["adversarial"]["history"]
    assert [epoch["classes_covered"] for epoch in kept] == [10.0, 10.0, 10.0, 6.0]
    assert all(epoch["discriminator_loss"] > 0 for epoch in kept)
