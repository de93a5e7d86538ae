"""Base of the models that learn without gradients: by counting, say."""

from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from zoo.base.loss_watch import LossWatch
from zoo.base.module import ZooModule
from zoo.base.processes import leave_unwrapped


class GradientFree(ZooModule):
    """Base of the models whose training step changes them by itself and returns :meth:`no_loss`.

    Lightning's loop runs as ever, so checkpoints are saved and epochs counted, but nothing is differentiated. Of
    several processes each sees its share of the data; a subclass adds up what they have found.
    """

    def setup(self, stage: str) -> None:
        """Keeps Lightning from wrapping the model for gradients, which refuses one without parameters."""
        leave_unwrapped(self.trainer.strategy)

    def configure_callbacks(self) -> list[Callback]:
        """A watch over what is evaluated alone: there is no loss."""
        return [LossWatch(losses=False)]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """None: there is nothing to optimize."""
        return None

    def no_loss(self) -> Tensor:
        """What a training step returns, since Lightning wants a loss where there are several processes."""
        return torch.zeros((), device=self.device)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Nothing."""
