"""Base of the forecasters that learn in one epoch, without gradients."""

from typing import Any

from torch import Tensor

from zoo.base.gradient_free import GradientFree
from zoo.series.forecaster import Forecaster


class ClosedForm(GradientFree, Forecaster):
    """Base of the forecasters that are found at once when an epoch ends; see :class:`Forecaster` for the arguments.

    Validation chooses nothing, so that it costs nothing to train on what it would have been measured on, too.
    """

    chooses = False
    _is_due = False

    def find(self) -> None:
        """Finds the parameters from what the epoch has shown."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its parameters are found")

    def on_train_epoch_start(self) -> None:
        """Begins anew."""
        self._is_due = True

    def on_validation_epoch_start(self) -> None:
        """Finds the parameters, if an epoch of training ends with this validation."""
        self._find_if_due()

    def on_train_epoch_end(self) -> None:
        """Finds the parameters, if no validation has asked for them."""
        self._find_if_due()

    def _find_if_due(self) -> None:
        if self._is_due and not self.trainer.sanity_checking:
            self.find()
            self._is_due = False

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Adds up the errors, once there is something to be wrong."""
        return super().validation_step(batch, batch_idx) if self.is_fitted else {}

    def log_evaluation(self, split: str) -> None:
        """Logs the errors, if there were any: a check before training has none."""
        if self.is_fitted:
            super().log_evaluation(split)

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Adds up the errors."""
        return super().validation_step(batch, batch_idx)
