"""How each row of an evaluation went, kept beside a run, so that runs can be compared row by row."""

from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load, save
from torch import Tensor

from datamodules.files import write_whole
from zoo.base.module import ZooModule
from zoo.errors import ZooError

FILE = "scores.safetensors"
SPLITS = {"validate": "val", "test": "test"}


class KeepScores(Callback):
    """Keeps what :meth:`ZooModule.scores` says of the validation and the test split; not of evaluations in training.

    Attributes:
        found: Scores ``(N,)`` by split.
    """

    def __init__(self) -> None:
        self.found: dict[str, Tensor] = {}
        self._parts: list[Tensor] = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps those of a batch."""
        self._keep(trainer, pl_module, outputs)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps those of a batch."""
        self._keep(trainer, pl_module, outputs)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The validation split is over."""
        self._close(trainer)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The test split is over."""
        self._close(trainer)

    def _keep(self, trainer: Trainer, model: LightningModule, outputs: Any) -> None:
        if trainer.state.fn in SPLITS and isinstance(model, ZooModule) and isinstance(outputs, dict) and outputs:
            scores = model.scores(outputs)
            if scores is not None:
                self._parts.append(scores.detach().float().cpu())

    def _close(self, trainer: Trainer) -> None:
        if self._parts and trainer.state.fn is not None:
            self.found[SPLITS[trainer.state.fn]] = torch.cat(self._parts)
        self._parts = []

    def write(self, run: Path) -> None:
        """Writes what was found into a run's folder."""
        if self.found:
            write_whole(run / FILE, save(self.found))


def read_scores(run: Path) -> dict[str, Tensor]:
    """The scores that lie beside a run, by split; nothing if none do.

    Raises:
        ZooError: The file is damaged.
    """
    path = run / FILE
    if not path.is_file():
        return {}
    try:
        return load(path.read_bytes())
    except Exception as error:  # the library has no common error
        raise ZooError(f"{path} is damaged: {error}; delete it") from error
