"""Where a run goes on, and whether it can."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping, Timer

from zoo import names, weights
from zoo.errors import ZooError
from zoo.training.checkpoints import resumed_from
from zoo.training.duration import StopAfter

# What Lightning measures a checkpoint by, and what a training goes on from.
_VERSION = "pytorch-lightning_version"
_STATE = (_VERSION, "epoch", "global_step", "loops", "callbacks", "optimizer_states", "lr_schedulers")


def check_state(content: Mapping[str, Any], checkpoint: Path, verb: str, class_path: str) -> None:
    """Refuses the checkpoint of another model, and weights that were kept without what a verb needs beside them.

    Args:
        content: What the checkpoint holds.
        checkpoint: The file.
        verb: ``fit``, or one that measures.
        class_path: Of the model that is asked for.

    Raises:
        ZooError: It is another model's, or something is missing.
    """
    held, asked = (names.current(one).rpartition(".")[2] for one in (content.get("class_path", class_path), class_path))
    if held != asked:
        raise ZooError(f"{checkpoint} holds a {held}, expected a {asked}; name a checkpoint of the same model")
    if verb == "fit" and any(name not in content for name in _STATE):
        raise ZooError(
            f"{checkpoint} holds weights without the state of their training, so none goes on from it; expected a "
            "checkpoint of the whole training, such as last.ckpt of a run"
        )
    if _VERSION not in content:
        raise ZooError(f"{checkpoint} holds nothing but weights; expected a checkpoint that a Lightning trainer wrote")


def why_over(trainer: Trainer, checkpoint: Path) -> str | None:
    """Why the training of a checkpoint is over, and what to type; None if it goes on."""
    content = weights.read_checkpoint(checkpoint)
    border = weights.read_checkpoint(resumed_from(checkpoint))  # an epoch that was broken off is not over
    epochs = border["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    steps, wanted = content["global_step"], trainer.max_epochs
    if wanted is not None and 0 < wanted <= epochs:
        return (
            f"{checkpoint} has been trained for {epochs} epochs, {wanted} are wanted; "
            f"raise --trainer.max_epochs to train on, or 'zoo test' the run"
        )
    if 0 < trainer.max_steps <= steps:
        return (
            f"{checkpoint} has been trained for {steps} steps, {trainer.max_steps} are wanted; "
            f"raise --trainer.max_steps to train on, or 'zoo test' the run"
        )
    for callback in getattr(trainer, "callbacks", []):
        if isinstance(callback, StopAfter) and epochs >= callback.epochs:
            return f"{checkpoint} has been trained for {epochs} epochs, as many as were chosen; use it"
        state = content["callbacks"].get(getattr(callback, "state_key", ""), {})
        if isinstance(callback, EarlyStopping) and state.get("wait_count", 0) >= callback.patience:
            return (
                f"{checkpoint} was stopped early after {epochs} epochs: {callback.monitor} had not improved for "
                f"{callback.patience}; 'zoo test' the run, or start a new one with more patience"
            )
        if isinstance(callback, Timer) and (allowed := callback.time_remaining()) is not None:
            spent = state.get("time_elapsed", {}).get("train", 0.0)
            if spent >= allowed:
                return (
                    f"{checkpoint} has been trained for {spent:.0f} s, {allowed:.0f} s are allowed; "
                    "raise --trainer.max_time to train on, or 'zoo test' the run"
                )
    return None
