"""A callback that draws the pictures of a run into its folder, and writes the tables that belong to them."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch import Tensor

from datamodules.files import write_whole, written_whole
from zoo.base.module import ZooModule
from zoo.drawing import as_png, draw_growth, draw_learning_curves, tile
from zoo.training.run_folder import read_metrics

# Rows of the picture of an image generator's progress.
_MOST_STAGES = 10


class Figures(Callback):
    """Draws learning curves after training and whatever the model has to show after an evaluation.

    Pictures and tables go into ``figures/`` of the run's folder, which is the trainer's ``default_root_dir``.
    """

    def __init__(self) -> None:
        self.folder = Path("figures")
        self._outputs: list[dict[str, Tensor]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Finds the folder."""
        self.folder = Path(trainer.default_root_dir) / "figures"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws what the model shows of the training data, without touching the random numbers of the training."""
        dataset = getattr(trainer.train_dataloader, "dataset", None)
        if trainer.is_global_zero and isinstance(pl_module, ZooModule) and dataset is not None:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                for name, figure in pl_module.training_figures(dataset).items():
                    self._write(name, figure)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the images that a generator makes by now into ``samples/``."""
        images = pl_module.progress() if isinstance(pl_module, ZooModule) else None
        if images is not None and trainer.is_global_zero:
            folder = self.folder / "samples"
            folder.mkdir(parents=True, exist_ok=True)
            with written_whole(folder / f"epoch_{trainer.current_epoch + 1:04d}.png") as scratch:
                Image.fromarray(tile(images)).save(scratch, format="PNG")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws what the model shows of its training, learning curves, and how generated images came to be."""
        if not trainer.is_global_zero:
            return
        dataset = getattr(trainer.train_dataloader, "dataset", None)
        if isinstance(pl_module, ZooModule) and dataset is not None:
            for name, figure in pl_module.trained_figures(dataset).items():
                self._write(name, figure)
        if trainer.logger is None:
            return
        images = pl_module.progress() if isinstance(pl_module, ZooModule) else None
        if images is not None:
            self._draw_growth(images.shape[-2])
        for logger in trainer.loggers:
            logger.save()
        metrics = self.folder.parent / "metrics.csv"
        if metrics.is_file():
            curves = draw_learning_curves(read_metrics(metrics))
            if curves is not None:
                self._write("learning_curves", curves)

    def _draw_growth(self, height: int) -> None:
        """Draws the first row of images of some epochs, more early ones than late ones, since then most happens."""
        sheets = sorted((self.folder / "samples").glob("epoch_*.png"))
        if not sheets:
            return
        chosen = np.unique(np.geomspace(1, len(sheets), min(len(sheets), _MOST_STAGES)).round().astype(int)) - 1
        rows = [
            (int(sheets[place].stem.removeprefix("epoch_")), np.asarray(Image.open(sheets[place]))[:height])
            for place in chosen
        ]
        self._write("samples_over_time", draw_growth(rows, "The same noise, epoch by epoch"))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps outputs, except during training."""
        if trainer.state.fn == "validate":
            self._keep(trainer, outputs)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps outputs."""
        self._keep(trainer, outputs)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws what the model shows of the validation split."""
        if trainer.state.fn == "validate":
            self._draw(trainer, pl_module, "validation", trainer.val_dataloaders)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws what the model shows of the test split, and beside it."""
        self._draw(trainer, pl_module, "test", trainer.test_dataloaders)
        data = getattr(trainer, "datamodule", None)
        if trainer.world_size == 1 and isinstance(pl_module, ZooModule) and data is not None:
            for name, figure in pl_module.tested_figures(data).items():
                self._write(f"test_{name}", figure)

    def _keep(self, trainer: Trainer, outputs: Any) -> None:
        # Only one process sees all rows in order.
        if trainer.world_size == 1 and isinstance(outputs, dict):
            self._outputs.append({name: tensor.detach().cpu() for name, tensor in outputs.items()})

    def _draw(self, trainer: Trainer, pl_module: LightningModule, split: str, loader: Any) -> None:
        if self._outputs and isinstance(pl_module, ZooModule):
            outputs = {name: torch.cat([part[name] for part in self._outputs]) for name in self._outputs[0]}
            for name, figure in pl_module.figures(outputs, loader.dataset).items():
                self._write(f"{split}_{name}", figure)
            for name, columns in pl_module.tables().items():
                self._write_table(name, columns)
        self._outputs = []

    def _write_table(self, name: str, columns: dict[str, list[Any]]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = io.StringIO(newline="")
        csv.writer(text).writerows([list(columns), *zip(*columns.values(), strict=True)])
        write_whole(self.folder / f"{name}.csv", text.getvalue().encode())

    def _write(self, name: str, figure: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / f"{name}.png", as_png(figure))
