"""A watch over the loss that costs next to nothing: it stops a training that diverges, and logs the epoch's mean."""

from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from zoo.errors import ZooError


class DivergedError(ZooError):
    """A training whose loss, or figures, became NaN or infinite."""


class LossWatch(Callback):
    """Keeps losses on their device, looks at them now and then, and logs ``train_loss`` and ``learning_rate``.

    Models bring it along to any trainer through ``configure_callbacks``.

    Args:
        losses: Whether training steps return losses; otherwise only what is evaluated is watched.
        logs: Whether to log; not where the mean of several losses says nothing.
        losses_between_checks: How many losses gather before they are looked at.
    """

    def __init__(self, losses: bool = True, logs: bool = True, losses_between_checks: int = 50) -> None:
        self.losses, self.logs, self.losses_between_checks = losses, logs, losses_between_checks
        self._recent: list[Tensor] = []
        self._sum: Tensor | float = 0.0
        self._count = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts a new mean of the loss."""
        self._recent, self._sum, self._count = [], 0.0, 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keeps the loss; looks at those that have gathered only now and then."""
        if not self.losses or not isinstance(outputs, dict) or "loss" not in outputs:
            return
        self._recent.append(outputs["loss"].detach())
        if len(self._recent) == self.losses_between_checks or trainer.is_last_batch:
            self._check(trainer, pl_module, batch_idx)

    def _check(self, trainer: Trainer, model: Any, batch_idx: int) -> None:
        # Lightning has divided them already by the number of batches that make a step.
        losses = torch.stack(self._recent) * trainer.accumulate_grad_batches
        finite = torch.isfinite(losses)
        diverged = model.watch_loss and not bool(finite.all())
        if trainer.strategy.reduce_boolean_decision(diverged, all=False):
            behind = len(losses) - int((~finite).float().argmax()) - 1 if not finite.all() else 0
            step = trainer.global_step - 1 - behind // trainer.accumulate_grad_batches
            which = f" (step {step})" if model.automatic_optimization else ""
            raise DivergedError(
                f"the loss became NaN or infinite in epoch {trainer.current_epoch} at batch {batch_idx - behind}"
                f"{which}; {_advice(trainer, model)}"
            )
        self._sum = self._sum + losses.sum()
        self._count += len(losses)
        self._recent = []

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Stops training before weights whose evaluation is NaN become a checkpoint."""
        if not pl_module.watch_loss or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        for name, value in trainer.callback_metrics.items():
            if name.startswith("val_") and not torch.isfinite(value):
                raise DivergedError(
                    f"{name} became NaN or infinite in epoch {trainer.current_epoch} at batch "
                    f"{int(trainer.num_training_batches) - 1} (step {trainer.global_step - 1}); "
                    f"{_advice(trainer, pl_module)}"
                )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the mean loss of the epoch and the learning rate at its end."""
        if not self.logs:
            return
        if self._count:
            pl_module.log("train_loss", self._sum / self._count, sync_dist=True)
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        if groups:
            pl_module.log("learning_rate", groups[0]["lr"], sync_dist=True)


def _advice(trainer: Trainer, model: Any) -> str:
    paths = [getattr(callback, "last_model_path", "") for callback in trainer.checkpoint_callbacks]
    last = next((path for path in paths if path), "not written yet")
    return f"the last good checkpoint is {last}; {model.advice()}"
