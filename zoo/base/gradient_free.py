"""Base of the models that learn without gradients: by counting, say."""

from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from zoo.base.loss_watch import LossWatch
from zoo.base.module import ZooModule
from zoo.base.processes import leave_unwrapped, let_steps_differ
from zoo.errors import ZooError


class GradientFree(ZooModule):
    """Base of the models whose training step changes them by itself and returns :meth:`no_loss`.

    Lightning's loop runs as ever, so checkpoints are saved and epochs counted, but nothing is differentiated. Of
    several processes each sees its share of the data; a subclass adds up what they have found.
    """

    @property
    def is_fitted(self) -> bool:
        """Whether it has learnt anything."""
        raise NotImplementedError(f"{type(self).__name__} does not say whether it has learnt anything")

    def check_fitted(self) -> None:
        """Refuses to be asked before it has learnt.

        Raises:
            ZooError: It has not.
        """
        if not torch.compiler.is_compiling() and not self.is_fitted:
            raise ZooError(f"this {type(self).__name__} has learnt nothing yet; train it first, or load a trained one")

    def take(self, inputs: Any) -> Tensor:
        """What a public method is given, see :meth:`ZooModule.take`, if the model has learnt anything."""
        self.check_fitted()
        return super().take(inputs)

    def setup(self, stage: str) -> None:
        """Keeps Lightning from wrapping the model for gradients, and processes from waiting for each other at steps.

        Raises:
            ZooError: The device has no float64, in which sums are exact enough.
        """
        self.need_float64(self.trainer.strategy.root_device)
        leave_unwrapped(self.trainer.strategy)
        let_steps_differ(self.trainer)

    def on_validation_start(self) -> None:
        """Refuses to be measured before it has learnt; where training is under way, that may be yet to come.

        Raises:
            ZooError: It has not.
        """
        if self.trainer.state.fn != TrainerFn.FITTING:
            self.check_fitted()

    def on_test_start(self) -> None:
        """Likewise.

        Raises:
            ZooError: It has learnt nothing.
        """
        self.check_fitted()

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
