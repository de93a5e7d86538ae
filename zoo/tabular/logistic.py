"""Logistic regression to convergence, one of Newton's steps an epoch, over any data (Cox, 1958)."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.base.gradient_free import GradientFree
from zoo.base.processes import add_up
from zoo.errors import ZooError
from zoo.tabular.classes import RowClassifier
from zoo.tabular.coefficients import Coefficients, held_at_zero
from zoo.tabular.drawing import draw_coefficients

# The matrix of second derivatives of more coefficients than these takes hundreds of megabytes, and minutes.
_MOST = 6000


class LogisticRegression(RowClassifier, GradientFree):
    """Classifies rows by linear functions of their standardised features, whose squared coefficients are penalised.

    An epoch adds up loss, gradient and second derivatives in float64, and ends with one of Newton's steps; a step that
    led uphill is halved. EarlyStopping on ``train_loss`` sees that nothing moves any more. See :class:`RowClassifier`
    for shapes and the arguments not listed.

    Args:
        penalty: Of half the squared coefficients, all features being standardised, beside the sum of the losses of all
            rows, as one through scikit-learn's ``C``. Without any, each category's first value has no coefficient, and
            classes that a plane tells apart have no finite ones.

    Attributes:
        coefficients: Of the standardised features, and the intercept last, ``(L, F + 1)``; of two classes ``L`` is 1.
        standard_errors: Of the coefficients of raw features, and of the intercept last, likewise.
        lowest: The lowest loss of all training rows, penalty included, infinite before training, ``()``.

    Raises:
        ZooError: The penalty is negative, or there are so many coefficients that a network is the better choice.
    """

    chooses = False
    coefficients: Tensor
    standard_errors: Tensor
    lowest: Tensor

    def __init__(self, penalty: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        if not 0 <= penalty < torch.inf:
            raise ZooError(f"penalty is {penalty}, expected 0 or more")
        self.penalty = penalty
        shape = self.num_logits, self.in_features + 1
        if shape[0] * shape[1] > _MOST:
            raise ZooError(
                f"{self.in_features} features and {self.num_classes} classes make {shape[0] * shape[1]:,} "
                f"coefficients, more than Newton's method is for ({_MOST:,}); use the recipe dense_table"
            )
        self.register_buffer("coefficients", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("standard_errors", torch.full(shape, torch.inf, dtype=torch.float64))
        self.register_buffer("lowest", torch.tensor(torch.inf, dtype=torch.float64))
        # Where the last step began, at which the loss was the lowest.
        self._origin = self.coefficients
        self._sums: _Sums | None = None
        self._loss: Tensor | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether a step was made."""
        return bool(self.lowest.isfinite())

    @property
    def weight(self) -> Tensor:
        """What logits rise by with each raw feature, float64 ``(L, F)``."""
        return self.coefficients[:, :-1] / self.scaling.std

    @property
    def bias(self) -> Tensor:
        """Logits where all raw features are zero, float64 ``(L,)``."""
        return self.coefficients[:, -1] - (self.weight * self.scaling.mean).sum(1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits for raw features, float64.

        Raises:
            ZooError: The model has learnt nothing yet, or they are no rows.
        """
        return self.scaling(self.take(inputs)) @ self.coefficients[:, :-1].T + self.coefficients[:, -1]

    def on_train_epoch_start(self) -> None:
        """Begins to add up."""
        self._sums, self._loss = None, None

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Adds up loss, gradient and second derivatives of a batch."""
        inputs, labels, *weights = batch
        rows = self.scaling(inputs)
        rows = torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
        weight = weights[0].double() if weights else rows.new_ones(len(rows))
        found = _derivatives(rows, labels, weight, self.coefficients)
        self._sums = found if self._sums is None else _Sums(*(a + b for a, b in zip(self._sums, found, strict=True)))
        return self.no_loss()

    def on_validation_epoch_start(self) -> None:
        """Steps, since an epoch of training has ended."""
        self._step()

    def on_train_epoch_end(self) -> None:
        """Steps, if no validation has asked for it; logs the mean loss, penalty included, before the step."""
        self._step()
        if self._loss is not None:
            self.log("train_loss", self._loss)

    def _step(self) -> None:
        if self._sums is None:
            return
        count, loss, gradient, curvature = map(add_up, self._sums)
        self._sums = None
        if not loss.isfinite() or not curvature.isfinite().all():
            raise ZooError("a feature is not finite, or so large that its square is not; rescale it")
        strength = torch.full_like(self.coefficients, self.penalty)
        strength[:, -1] = 0
        loss = loss + (strength * self.coefficients.square()).sum() / 2
        self._loss = loss / count
        if loss > self.lowest:
            self.coefficients = (self.coefficients + self._origin.to(self.coefficients)) / 2
            return
        gradient = (gradient + strength * self.coefficients).flatten()
        curvature = curvature + torch.diag(strength.flatten())
        free = torch.ones_like(strength, dtype=torch.bool)
        if self.penalty == 0:
            free[:, held_at_zero(self.schema.found)] = False
        free = free.flatten()
        inverse = torch.linalg.pinv(curvature[free][:, free], hermitian=True)
        step = torch.zeros_like(gradient)
        step[free] = inverse @ gradient[free]
        errors = torch.full_like(gradient, torch.inf)
        errors[free] = self._errors(inverse, free)
        self._origin, self.lowest = self.coefficients, loss
        self.standard_errors = errors.view_as(self.coefficients)
        self.coefficients = self.coefficients - step.view_as(self.coefficients)

    def _errors(self, covariance: Tensor, free: Tensor) -> Tensor:
        """Standard errors of coefficients of raw features, from the covariance of those of standardised ones."""
        width = self.in_features
        std, mean = (one.expand(width) for one in (self.scaling.std, self.scaling.mean))
        one = torch.eye(width + 1, dtype=covariance.dtype, device=covariance.device)
        one[:width, :width] /= std
        one[width, :width] = -mean / std
        whole = torch.block_diag(*[one] * self.num_logits)[free][:, free]
        return ((whole @ covariance) * whole).sum(1).clamp(min=0).sqrt()

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Counts hits and misses, once there is something to ask."""
        return super().validation_step(batch, batch_idx) if self.is_fitted else {}

    def log_evaluation(self, split: str) -> None:
        """Logs what was counted, if anything was: a check before training has nothing."""
        if self.is_fitted:
            super().log_evaluation(split)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps where the last step began."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["origin"] = self._origin

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes it up."""
        self._origin = checkpoint["origin"].to(self.coefficients)

    def tables(self) -> dict[str, dict[str, list[Any]]]:
        """The coefficients of raw features and the bias with their standard errors, class by class."""
        found: dict[str, list[Any]] = {}
        named = [self.classes[1]] if self.num_logits == 1 else self.classes
        values = torch.cat([self.weight, self.bias[:, None]], 1)
        for name, ones, errors in zip(named, values, self.standard_errors, strict=True):
            columns = Coefficients([*self.feature_names(), "(bias)"], ones, errors).columns()
            for column, cells in {"class": [name] * len(ones), **columns}.items():
                found.setdefault(column, []).extend(cells)
        return {"coefficients": found}

    def trained_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the coefficients of standardised features."""
        several, names = self.num_logits > 1, self.feature_names()
        named = [f"{one} for {name}" if several else one for name in self.classes[: self.num_logits] for one in names]
        values, errors = (one[:, :-1].flatten() for one in (self.coefficients, self.standard_errors))
        errors = errors * self.scaling.std.expand(self.in_features).repeat(self.num_logits)
        table = Coefficients(named, values, errors)
        return {"coefficients": draw_coefficients(*table.largest())}


class _Sums(NamedTuple):
    """What is added up of rows.

    Attributes:
        rows: Their number, or the sum of their weights, ``()``.
        loss: ``()``.
        gradient: ``(L, F)``.
        curvature: Second derivatives, ``(L F, L F)``.
    """

    rows: Tensor
    loss: Tensor
    gradient: Tensor
    curvature: Tensor


def _derivatives(rows: Tensor, labels: Tensor, weights: Tensor, coefficients: Tensor) -> _Sums:
    """Loss of rows and its derivatives by the coefficients.

    Args:
        rows: ``(N, F)``, float64.
        labels: Class numbers, ``(N,)``.
        weights: Of each row, ``(N,)``.
        coefficients: ``(L, F)``; of one logit, that of the second of two classes.
    """
    logits = rows @ coefficients.T
    if len(coefficients) == 1:
        targets = labels.double()[:, None]
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").squeeze(1)
        chances = logits.sigmoid()
        blocks = (chances * (1 - chances))[:, :, None]
    else:
        targets = F.one_hot(labels, len(coefficients)).double()
        losses = F.cross_entropy(logits, labels, reduction="none")
        chances = logits.softmax(1)
        blocks = torch.diag_embed(chances) - chances[:, :, None] * chances[:, None]
    gradient = ((chances - targets) * weights[:, None]).T @ rows
    count, width = coefficients.shape
    curvature = rows.new_zeros(count, width, count, width)
    for one in range(count):
        for other in range(one, count):
            part = rows.T @ (rows * (blocks[:, one, other] * weights)[:, None])
            curvature[one, :, other] = part
            curvature[other, :, one] = part.T
    total = weights.sum()
    return _Sums(total, (losses * weights).sum(), gradient, curvature.view(count * width, count * width))
