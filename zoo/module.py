"""What all models of the zoo share: checkpoints that know their class, schedules, a watch over the loss."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import cos, pi
from typing import Any, Literal, get_args

import torch
from lightning import LightningDataModule, LightningModule
from matplotlib.figure import Figure
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, ReduceLROnPlateau
from torch.utils.data import Dataset

from zoo.errors import ZooError

Schedule = Literal["constant", "cosine", "warmup_cosine", "one_cycle", "plateau"]

_unfilled = ContextVar("unfilled", default=False)


@contextmanager
def unfilled() -> Iterator[None]:
    """Inside, models are built without reading pretrained weights, since others will be put into them."""
    token = _unfilled.set(True)
    try:
        yield
    finally:
        _unfilled.reset(token)


def is_unfilled() -> bool:
    """Whether a model being built will get its weights later; see :func:`unfilled`."""
    return _unfilled.get()


class WarmupCosineLR(LRScheduler):
    """Rises linearly, then falls to zero along half a cosine.

    Args:
        optimizer: Its learning rates are the highest.
        T_max: Number of steps.
        share: Share of the steps that it rises.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, share: float = 0.02) -> None:  # noqa: N803, as torch has it
        self.T_max, self.rise = T_max, max(1, round(T_max * share))
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The learning rate of each group at this step."""
        if self.last_epoch < self.rise:
            factor = (self.last_epoch + 1) / (self.rise + 1)
        else:
            done = min(self.last_epoch, self.T_max) - self.rise
            factor = (1 + cos(pi * done / max(self.T_max - self.rise, 1))) / 2
        return [rate * factor for rate in self.base_lrs]


class ZooModule(LightningModule):
    """Base of every model.

    A subclass defines ``network``, :meth:`forward` and the steps, and calls ``save_hyperparameters()`` in its
    ``__init__``, whose arguments are primitives: they and the class path are all it takes to rebuild the model.
    ``training_step`` returns the loss or a dict with the key ``loss``; its mean is logged as ``train_loss`` each epoch.

    Attributes:
        metric: Name of the figure that the model is judged by, as in the model's card.
        watch_loss: Stop training with an error when the loss is NaN or infinite.
        losses_between_checks: How many losses gather on the device before they are looked at.
        rounding_tolerance: By which share the figure may move if published weights are stored in half precision.
    """

    metric: str
    watch_loss = True
    losses_between_checks = 50
    rounding_tolerance = 1e-4

    def __init__(self) -> None:
        super().__init__()
        self._recent_losses: list[Tensor] = []
        self._loss_sum: Tensor | float = 0.0
        self._loss_count = 0
        self._resumed_steps: int | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute.

        Lightning notes the running hook some thirty times a step. That it is neither a parameter nor a module need not
        be found out each time, which counts where a step takes a millisecond.
        """
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def example_input(self) -> Tensor:
        """A batch of one valid input, to trace the model with."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its input looks like")

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws an evaluation.

        Args:
            outputs: What the evaluation steps returned, concatenated over the batches.
            rows: The evaluated data set; row ``i`` belongs to output ``i``.

        Returns:
            Name and picture; nothing where there is nothing to see.
        """
        return {}

    def log_evaluation(self, split: str) -> None:
        """Logs what an evaluation found, each figure as ``{split}_{name}``.

        Args:
            split: ``val`` or ``test``.
        """

    def on_validation_epoch_end(self) -> None:
        """See :meth:`log_evaluation`."""
        self.log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        """See :meth:`log_evaluation`."""
        self.log_evaluation("test")

    def trial_step(self, batch: Any) -> None:
        """A step of training without its optimizer, to be timed."""
        loss = self.training_step(batch, 0)
        if isinstance(loss, Tensor) and loss.requires_grad:
            loss.backward()

    def progress(self) -> Tensor | None:
        """Rows of images to show after each epoch, uint8 ``(R, K, C, H, W)``; nothing by default."""
        return None

    def calibration(self, data: LightningDataModule) -> dict[str, dict[str, float]]:
        """What simple means reach by the model's figures, by name, where only a comparison gives them a meaning."""
        return {}

    def training_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws what there is to see of the training data before training starts.

        Args:
            rows: The training data set.

        Returns:
            Name and picture.
        """
        return {}

    def trained_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws how the model got where it is, after training has ended.

        Args:
            rows: The training data set.

        Returns:
            Name and picture.
        """
        return {}

    def golden(self, data: LightningDataModule) -> dict[str, Tensor]:
        """A few inputs of the test split, for the golden file; see :func:`zoo.weights.save`.

        Of data that is private, such as somebody's photos, noise of the same shape.
        """
        inputs = next(iter(data.test_dataloader()))[0][:8].contiguous()
        if getattr(data, "private", False):
            inputs = torch.randint(0, 256, inputs.shape, generator=torch.Generator().manual_seed(0)).to(inputs.dtype)
        return {"input": inputs}

    def borrowed(self) -> dict[str, str]:
        """Parts of the state that may equal other published weights, so that these need not be stored again.

        Returns:
            Beginning of the keys here -> name of published weights, whose keys go on after ``network.``.
        """
        return {}

    @torch.inference_mode()
    def answer(self, golden: dict[str, Tensor]) -> Tensor:
        """The output that belongs to the inputs of a golden file."""
        return self(golden["input"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Writes the class path, so that the file alone suffices to load the model (see :mod:`zoo.weights`)."""
        checkpoint["class_path"] = f"{type(self).__module__}.{type(self).__qualname__}"

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Notes how long the schedule of the checkpoint was."""
        for state in checkpoint.get("lr_schedulers", []):
            self._resumed_steps = state["total_steps"] - 1 if "total_steps" in state else state.get("T_max")

    def on_train_epoch_start(self) -> None:
        """Starts a new mean of the loss."""
        self._recent_losses, self._loss_sum, self._loss_count = [], 0.0, 0

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keeps the loss on its device; looks at it only now and then."""
        if not isinstance(outputs, dict) or "loss" not in outputs:
            return
        self._recent_losses.append(outputs["loss"].detach())
        if len(self._recent_losses) == self.losses_between_checks or self.trainer.is_last_batch:
            self._check_losses(batch_idx)

    def _check_losses(self, batch_idx: int) -> None:
        # Lightning has divided them already by the number of batches that make a step.
        losses = torch.stack(self._recent_losses) * self.trainer.accumulate_grad_batches
        finite = torch.isfinite(losses)
        diverged = self.watch_loss and not bool(finite.all())
        if self.trainer.strategy.reduce_boolean_decision(diverged, all=False):
            behind = len(losses) - int((~finite).float().argmax()) - 1 if not finite.all() else 0
            step = self.global_step - 1 - behind // self.trainer.accumulate_grad_batches
            which = f" (step {step})" if self.automatic_optimization else ""
            raise ZooError(
                f"the loss became NaN or infinite in epoch {self.current_epoch} at batch {batch_idx - behind}{which}; "
                f"{self._advice()}"
            )
        self._loss_sum = self._loss_sum + losses.sum()
        self._loss_count += len(losses)
        self._recent_losses = []

    def on_validation_end(self) -> None:
        """Stops training before weights whose evaluation is NaN become a checkpoint."""
        if not self.watch_loss or self.trainer.state.fn != "fit" or self.trainer.sanity_checking:
            return
        for name, value in self.trainer.callback_metrics.items():
            if name.startswith("val_") and not torch.isfinite(value):
                raise ZooError(
                    f"{name} became NaN or infinite in epoch {self.current_epoch} at batch "
                    f"{int(self.trainer.num_training_batches) - 1} (step {self.global_step - 1}); {self._advice()}"
                )

    def _advice(self) -> str:
        paths = [getattr(callback, "last_model_path", "") for callback in self.trainer.checkpoint_callbacks]
        last = next((path for path in paths if path), "not written yet")
        return f"the last good checkpoint is {last}; try a smaller learning rate"

    def on_train_epoch_end(self) -> None:
        """Logs the mean loss of the epoch and the learning rate at its end."""
        if self._loss_count:
            self.log("train_loss", self._loss_sum / self._loss_count, sync_dist=True)
        groups = [group for optimizer in self.trainer.optimizers for group in optimizer.param_groups]
        if groups:
            self.log("learning_rate", groups[0]["lr"], sync_dist=True)

    def schedule_length(self) -> float:
        """How often a schedule moves until training ends; infinity or -1 where no end is set."""
        return self.trainer.estimated_stepping_batches

    def scheduled(self, optimizer: Optimizer, schedule: Schedule) -> Any:
        """Joins an optimizer and a learning-rate schedule that moves with every step.

        Args:
            optimizer: Its learning rate is the highest of the schedule.
            schedule: ``constant``; ``cosine`` (Loshchilov and Hutter, 2017) falls to zero; ``warmup_cosine`` rises for
                the first fiftieth of the steps before; ``one_cycle`` (Smith and Topin, 2018) rises for the first fifth
                of the steps, then falls to nearly zero, while the first beta of Adam moves the other way; ``plateau``
                multiplies the rate by 0.3 when ``val_loss`` has not improved for 5 epochs.

        Raises:
            ZooError: The schedule needs to know when training ends and no end is set.
        """
        if schedule == "constant":
            return optimizer
        if schedule == "plateau":
            plateau = ReduceLROnPlateau(optimizer, factor=0.3, patience=5)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val_loss"}}
        steps = self.schedule_length()
        if steps in (float("inf"), -1):
            raise ZooError(f"schedule {schedule!r} needs an end; set --trainer.max_epochs or --trainer.max_steps")
        steps = int(steps)
        if self._resumed_steps not in (None, steps):
            raise ZooError(
                f"the checkpoint was trained on a {schedule} schedule of {self._resumed_steps} steps, "
                f"this run has {steps}; a schedule cannot be stretched: keep max_epochs and batch_size as they were, "
                "or start a new run"
            )
        scheduler: LRScheduler
        if schedule == "cosine":
            scheduler = CosineAnnealingLR(optimizer, T_max=steps)
        elif schedule == "warmup_cosine":
            scheduler = WarmupCosineLR(optimizer, T_max=steps)
        elif schedule == "one_cycle":
            highest = [group["lr"] for group in optimizer.param_groups]
            adam = "betas" in optimizer.param_groups[0]
            # The rise takes one step at least; torch divides by its length.
            rise = max(0.2, 2 / (steps + 1))
            scheduler = OneCycleLR(optimizer, highest, total_steps=steps + 1, pct_start=rise, cycle_momentum=adam)
        else:
            raise ZooError(f"no schedule {schedule!r}; there are {', '.join(get_args(Schedule))}")
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
