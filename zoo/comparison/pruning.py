"""Trainings that are worse than others were at the same time, and are not worth going on with."""

from typing import Any, Protocol

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class Judge(Protocol):
    """What is told how a training goes, and says whether to give it up; Optuna's trials do."""

    def report(self, value: float, step: int) -> None:
        """Is told a figure."""

    def should_prune(self) -> bool:
        """Says whether to give up."""


class Prune(Callback):
    """Stops a training once a judge gives it up, by what it reaches in validation.

    Args:
        judge: Who is told the figures, and says so.
        metric: Name of the figure.

    Attributes:
        has_pruned: Whether the training was stopped.
    """

    def __init__(self, judge: Judge, metric: str) -> None:
        self.judge, self.metric = judge, metric
        self.has_pruned = False
        self._validations = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tells the figure, and stops the training if it is given up."""
        figure: Any = trainer.callback_metrics.get(f"val_{self.metric}")
        if trainer.state.fn != "fit" or trainer.sanity_checking or figure is None:
            return
        self._validations += 1
        self.judge.report(float(figure), self._validations)
        is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not is_last and self.judge.should_prune():
            self.has_pruned = trainer.should_stop = True
