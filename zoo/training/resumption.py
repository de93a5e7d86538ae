"""Which runs can go on."""

from pathlib import Path

from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping

from zoo import weights
from zoo.errors import ZooError
from zoo.training.duration import StopAfter


def check_resumable(trainer: Trainer, checkpoint: Path) -> None:
    """Refuses to go on with a run that has ended.

    Raises:
        ZooError: It has been trained for as long as is wanted, or was stopped early.
    """
    content = weights.read_checkpoint(checkpoint)
    progress = content["loops"]["fit_loop"]["epoch_progress"]
    epochs, wanted = progress["current"]["processed"], trainer.max_epochs
    if wanted is not None and 0 < wanted <= epochs:
        raise ZooError(
            f"{checkpoint} has been trained for {epochs} epochs, {wanted} are wanted; "
            f"raise --trainer.max_epochs to train on, or 'zoo test' the run"
        )
    callbacks = getattr(trainer, "callbacks", [])
    for callback in callbacks:
        if isinstance(callback, StopAfter) and epochs >= callback.epochs:
            raise ZooError(f"{checkpoint} has been trained for {epochs} epochs, as many as were chosen; use it")
        state = content["callbacks"].get(getattr(callback, "state_key", ""), {})
        if isinstance(callback, EarlyStopping) and state.get("wait_count", 0) >= callback.patience:
            raise ZooError(
                f"{checkpoint} was stopped early after {epochs} epochs: {callback.monitor} had not improved for "
                f"{callback.patience}; 'zoo test' the run, or start a new one with more patience"
            )
