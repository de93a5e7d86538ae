"""How a run's checkpoints are written: which ones, when, and so that they are whole.

``best.ckpt`` is what the recipe's ModelCheckpoint chooses, ``last.ckpt`` is for resuming; both are written at once or
not at all, with a checksum (see :func:`zoo.weights.write_checkpoint`), and hold their model's class path and arguments.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.callbacks.checkpoint import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from zoo import weights


def settle_choosers(callbacks: Sequence[Callback], on_all: bool) -> list[Callback]:
    """Lets a resumed run write its ``best.ckpt`` over the one it left, not beside it.

    Args:
        callbacks: Those of the recipe.
        on_all: Whether everything is trained on, so that nothing is left to choose by: the weights of the last epoch
            are those to use, and what would choose is left out.
    """
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint):
            callback._enable_version_counter = False
    return [one for one in callbacks if not (on_all and isinstance(one, EarlyStopping | ModelCheckpoint))]


class SealedCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints through :mod:`zoo.weights`: atomically and with a checksum."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Writes a checkpoint."""
        weights.write_checkpoint(checkpoint, Path(path))


class LastCheckpoint(Checkpoint):
    """Keeps ``last.ckpt`` fresh, so that a run can be killed at any moment and resumed.

    It is written before the first epoch, then at the end of an epoch (at most every few seconds: the epochs of small
    models take milliseconds) and at the end of training; always at an epoch's border, from which resuming is exact.

    Args:
        folder: Where to.
        seconds: Shortest time between two writes.
    """

    def __init__(self, folder: Path, seconds: float = 10.0) -> None:
        self.path = folder / "last.ckpt"
        self.seconds = seconds
        self.last_model_path = ""
        self.spent = 0.0
        self._clock = self._written_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Keeps the seconds spent on training, so that a resumed run goes on counting."""
        return {"spent": self.spent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the count."""
        self.spent = state_dict["spent"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the starting point."""
        self._clock = time.monotonic()
        self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes if it is time to; all processes do what the first one's clock says."""
        if trainer.strategy.broadcast(time.monotonic() - self._written_at >= self.seconds or trainer.should_stop):
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the end."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        now = time.monotonic()
        self.spent, self._clock = self.spent + now - self._clock, now
        trainer.save_checkpoint(self.path, weights_only=False)
        self.last_model_path = str(self.path)
        self._written_at = now
