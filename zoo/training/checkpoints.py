"""How a run's checkpoints are written: which ones, when, and so that they are whole.

``best.ckpt`` is what the recipe's ModelCheckpoint chooses, ``last.ckpt`` is for resuming; both are written at once or
not at all, with a checksum (see :func:`zoo.weights.write_checkpoint`), and hold their model's class path and arguments.
"""

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.callbacks.checkpoint import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from zoo import weights

# Where checkpoints lie that were written at the last border of an epoch, if training stopped inside of one.
_BORDER = "resume"


def settle_choosers(callbacks: Sequence[Callback], on_all: bool) -> list[Callback]:
    """Lets a resumed run write its ``best.ckpt`` over the one it left, not beside it.

    Args:
        callbacks: Those of the recipe.
        on_all: Whether everything is trained on, so that nothing is left to validate on: what would choose by that is
            left out, and the weights of the last epoch are those to use.
    """
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint):
            callback._enable_version_counter = False
    return [one for one in callbacks if not (on_all and _chooses_by_validation(one))]


def _chooses_by_validation(callback: Callback) -> bool:
    if not isinstance(callback, EarlyStopping | ModelCheckpoint):
        return False
    return not (callback.monitor or "").startswith("train_")


def resumed_from(checkpoint: Path) -> Path:
    """The checkpoint that resuming begins from: that of the last border of an epoch, if the epoch was broken off."""
    border = checkpoint.parent / _BORDER / checkpoint.name
    return border if border.is_file() else checkpoint


def _relocate(state: dict[str, Any], folder: Path) -> None:
    """Turns the paths of a ModelCheckpoint's state to a folder."""

    def here(path: str) -> str:
        return str(folder / Path(path).name) if path else path

    state["dirpath"] = str(folder)
    for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[name] = here(state.get(name, ""))
    state["best_k_models"] = {here(path): score for path, score in state.get("best_k_models", {}).items()}


class SealedCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints through :mod:`zoo.weights`: atomically and with a checksum."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Writes a checkpoint."""
        weights.write_checkpoint(checkpoint, Path(path))


class LastCheckpoint(Checkpoint):
    """Keeps ``last.ckpt`` fresh, so that a run can be killed at any moment and resumed.

    It is written before the first epoch, then at the end of an epoch (at most every few seconds: the epochs of small
    models take milliseconds) and at the end of training. Resuming is exact from an epoch's border: where training stops
    inside an epoch, as ``max_steps`` and ``max_time`` let it, ``last.ckpt`` holds what was reached, and the checkpoints
    of the last border are kept beside, in ``resume/``. From there the epoch is trained again, whatever the model, its
    data and the random numbers they draw.

    Args:
        seconds: Shortest time between two writes.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        self.path = Path("last.ckpt")
        self.seconds = seconds
        self.last_model_path = ""
        self.spent = 0.0
        # Of the epoch at whose end this was written; they are logged just after, which a kill may prevent.
        self.figures: dict[str, float] = {}
        self._clock = self._written_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Keeps the seconds spent on training, so that a resumed run goes on counting, and the epoch's figures."""
        return {"spent": self.spent, "figures": self.figures}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the count."""
        self.spent, self.figures = state_dict["spent"], state_dict.get("figures", {})

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lets what was best be best wherever the run lies now; Lightning forgets it when the path is another."""
        for callback in getattr(trainer, "callbacks", []):
            state = checkpoint["callbacks"].get(callback.state_key)
            if isinstance(callback, ModelCheckpoint) and state is not None and callback.dirpath is not None:
                _relocate(state, Path(callback.dirpath))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Finds the folder: ``checkpoints/`` of the run's, which is the trainer's ``default_root_dir``."""
        self.path = Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the starting point."""
        self._clock = time.monotonic()
        self._save(trainer)
        if trainer.is_global_zero and self._border.is_dir():
            (self._border / self.path.name).unlink(missing_ok=True)
            for kept in list(self._border.iterdir()):
                kept.replace(self.path.with_name(kept.name))
            shutil.rmtree(self._border)  # what is the same file under two names was not moved

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the checkpoints of the border before those of a broken-off epoch take their place."""
        if trainer.should_stop and not trainer.sanity_checking and self._is_inside_epoch(trainer):
            self._keep_border(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes if it is time to; all processes do what the first one's clock says."""
        if self._is_inside_epoch(trainer):
            return
        if trainer.strategy.broadcast(time.monotonic() - self._written_at >= self.seconds or trainer.should_stop):
            logged = trainer._logger_connector.metrics["log"]
            self.figures = {name: float(value) for name, value in logged.items()}
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the end."""
        if self._is_inside_epoch(trainer):
            self._keep_border(trainer)
        self._save(trainer)

    @property
    def _border(self) -> Path:
        return self.path.with_name(_BORDER)

    @staticmethod
    def _is_inside_epoch(trainer: Trainer) -> bool:
        return not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch

    def _keep_border(self, trainer: Trainer) -> None:
        """Names the files a second time, or copies them; writing never touches a file but replaces it."""
        if trainer.is_global_zero and not self._border.exists():
            self._border.mkdir()
            for one in self.path.parent.glob("*.ckpt"):
                try:
                    os.link(one, self._border / one.name)
                except OSError:  # a file system without hard links
                    shutil.copyfile(one, self._border / one.name)

    def _save(self, trainer: Trainer) -> None:
        now = time.monotonic()
        self.spent, self._clock = self.spent + now - self._clock, now
        trainer.save_checkpoint(self.path, weights_only=False)
        self.last_model_path = str(self.path)
        self._written_at = now
