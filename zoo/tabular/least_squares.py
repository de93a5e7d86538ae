"""Linear regression in closed form, in one epoch over any data, with the standard errors of its coefficients."""

from typing import Any, Literal, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.base.gradient_free import GradientFree
from zoo.base.processes import add_up
from zoo.errors import ZooError
from zoo.tabular.coefficients import Coefficients, check_penalty, held_at_zero
from zoo.tabular.drawing import draw_coefficients
from zoo.tabular.regression import Regression

# Penalties that are tried, as multiples of the number of rows.
_PENALTIES = torch.logspace(-8, 2, 41, dtype=torch.float64)


class LeastSquares(Regression, GradientFree):
    """The plane nearest to the targets (Legendre, 1805), or nearly, with small coefficients (Hoerl and Kennard, 1970).

    Features that others add up to have no coefficients of their own: of each category the first value is what the
    others are compared with, and of further ones that are told by others, the shortest solution is taken and no
    standard error. See :class:`Regression` for the arguments not listed.

    Args:
        penalty: Of squared coefficients, as scikit-learn's ``alpha``, all features being standardised; ``auto``
            chooses it by generalised cross-validation (Golub et al., 1979), and treats all values of a category alike.
            Standard errors are then those of the penalised coefficients, which are pulled towards zero.

    Attributes:
        coefficients: Of the standardised features, for the targets in their unit, ``(F,)``.
        intercept: The prediction where all features are at their mean, ``()``.
        standard_errors: Of the coefficients of raw features, ``(F,)``, and of the bias last; infinite where unknown.
        penalty_taken: The penalty.

    Raises:
        ZooError: The penalty is negative, or there are no rows.
    """

    chooses = False
    coefficients: Tensor
    intercept: Tensor
    standard_errors: Tensor
    penalty_taken: Tensor

    def __init__(self, penalty: float | Literal["auto"] = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.penalty = check_penalty(penalty)
        zeros = torch.zeros(self.in_features, dtype=torch.float64)
        self.register_buffer("coefficients", zeros)
        self.register_buffer("intercept", torch.tensor(torch.inf, dtype=torch.float64))
        self.register_buffer("standard_errors", torch.full((self.in_features + 1,), torch.inf, dtype=torch.float64))
        self.register_buffer("penalty_taken", torch.zeros((), dtype=torch.float64))
        self._products: Tensor | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether there is a plane."""
        return bool(self.intercept.isfinite())

    @property
    def weight(self) -> Tensor:
        """What a prediction rises by with each raw feature, float64 ``(F,)``."""
        return self.coefficients / self.scaling.std

    @property
    def bias(self) -> Tensor:
        """The prediction where all raw features are zero, float64 ``()``."""
        return self.intercept - (self.weight * self.scaling.mean).sum()

    def forward(self, inputs: Tensor) -> Tensor:
        """Predictions for raw features, in the unit of the targets, float64.

        Raises:
            ZooError: The model has learnt nothing yet, or they are no rows.
        """
        return (self.scaling(self.take(inputs)) @ self.coefficients + self.intercept).unsqueeze(1)

    def on_train_epoch_start(self) -> None:
        """Begins to add up."""
        self._products = None

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Adds up products of standardised features and targets."""
        inputs, targets, *weights = batch
        rows = self.scaling(inputs)
        joined = torch.cat([torch.ones_like(rows[:, :1]), rows, self.target_scaling(targets)], 1)
        weight = weights[0].double() if weights else joined.new_ones(len(joined))
        product = joined.T @ (joined * weight[:, None])
        count = torch.stack([joined.new_tensor(float(len(joined))), weight.sum()])
        if self._products is None:
            self._products, self._counts = torch.zeros_like(product), torch.zeros_like(count)
        self._products, self._counts = self._products + product, self._counts + count
        return self.no_loss()

    def on_validation_epoch_start(self) -> None:
        """Finds the plane of what was added up so far."""
        self._solve()
        super().on_validation_epoch_start()

    def on_train_epoch_end(self) -> None:
        """Finds the plane of all that was added up."""
        self._solve()
        self._products = None

    def _solve(self) -> None:
        if self._products is None:
            return
        products, (count, total) = add_up(self._products), add_up(self._counts)
        if not products.isfinite().all():
            raise ZooError("a feature or the target is not finite, or so large that its square is not; rescale it")
        means = products[0, 1:] / total
        centred = products[1:, 1:] - total * torch.outer(means, means)
        gram, moments, whole = centred[:-1, :-1], centred[:-1, -1], centred[-1, -1]
        # What is constant but for rounding has no slope.
        free = gram.diagonal() > total * torch.finfo(gram.dtype).eps
        if self.penalty == 0.0:
            free[held_at_zero(self.schema.found)] = False
        fit = _ridge(gram[free][:, free], moments[free], whole, float(count), self.penalty)
        scale = self.target_scaling.std
        coefficients, errors = torch.zeros_like(means[:-1]), torch.full_like(means[:-1], torch.inf)
        coefficients[free], errors[free] = fit.coefficients, fit.covariance.diagonal().clamp(min=0).sqrt()
        errors = torch.where(_spread_out(free, fit.known), errors, torch.inf)
        self.coefficients = coefficients * scale
        self.intercept = ((means[-1] - means[:-1] @ coefficients) * scale + self.target_scaling.mean).squeeze()
        # The raw bias lies where all raw features are zero, as far from the mean as that is.
        away = means[:-1][free] + (self.scaling.mean / self.scaling.std).expand(self.in_features)[free]
        of_bias = (fit.variance / total + away @ fit.covariance @ away).clamp(min=0).sqrt()
        if not bool(fit.known.all()):
            of_bias = of_bias + torch.inf
        found = torch.cat([errors * scale / self.scaling.std, of_bias.reshape(1) * scale])
        self.standard_errors = found.nan_to_num(nan=torch.inf, posinf=torch.inf)
        self.penalty_taken = torch.tensor(fit.penalty, dtype=torch.float64, device=gram.device)

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Adds up errors, once there is something to be wrong."""
        return super().validation_step(batch, batch_idx) if self.is_fitted else {}

    test_step = validation_step

    def log_evaluation(self, split: str) -> None:
        """Logs errors, if there were any: a check before training has none."""
        if self.is_fitted:
            super().log_evaluation(split)

    def tables(self) -> dict[str, dict[str, list[Any]]]:
        """The coefficients of raw features and the bias, with their standard errors."""
        table = Coefficients(
            [*self.feature_names(), "(bias)"], torch.cat([self.weight, self.bias.reshape(1)]), self.standard_errors
        )
        return {"coefficients": table.columns()}

    def trained_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the coefficients of standardised features."""
        errors = self.standard_errors[:-1] * self.scaling.std
        table = Coefficients(self.feature_names(), self.coefficients, errors)
        return {"coefficients": draw_coefficients(*table.largest())}


def _spread_out(free: Tensor, known: Tensor) -> Tensor:
    """Of all features, ``(F,)``, which are free and known; ``known`` tells that of the free ones alone."""
    found = torch.zeros_like(free)
    found[free] = known
    return found


class _Fit(NamedTuple):
    """A ridge regression.

    Attributes:
        coefficients: ``(F,)``.
        covariance: Of them, ``(F, F)``.
        known: Which of them nothing but the data tells, ``(F,)``.
        variance: Of what is left.
        penalty: That was taken.
    """

    coefficients: Tensor
    covariance: Tensor
    known: Tensor
    variance: Tensor
    penalty: float


def _ridge(gram: Tensor, moments: Tensor, whole: Tensor, count: float, penalty: float | Literal["auto"]) -> _Fit:
    """Solves for the coefficients of centred features.

    Args:
        gram: Their products, ``(F, F)``.
        moments: Their products with the centred target, ``(F,)``.
        whole: The squares of the target, ``()``.
        count: Number of rows.
        penalty: Of squared coefficients.
    """
    variances, directions = torch.linalg.eigh(gram)
    epsilon = torch.finfo(gram.dtype).eps * max(len(gram), count)
    there = variances > variances.max().clamp(min=0) * epsilon if len(gram) else variances > 0
    variances = torch.where(there, variances, 0.0)
    turned = torch.where(there, directions.T @ moments, 0.0)

    def shrunk(strength: float) -> Tensor:
        return torch.where(there, 1 / torch.where(there, variances + strength, 1.0), 0.0)

    def left(strength: float) -> tuple[Tensor, Tensor]:
        """What is left of the squares, and the rows that are left after what coefficients and bias use up."""
        one = shrunk(strength)
        explained = (turned.square() * (2 * one - variances * one.square())).sum()
        return (whole - explained).clamp(min=0), count - 1 - (variances * one).sum()

    if penalty == "auto":
        tried = [float(one) * count for one in _PENALTIES]
        found = [left(strength) for strength in tried]
        # Where as good as no rows are left the criterion is of rounding alone.
        criteria = [float(rest / (free / count) ** 2) if free > 0.05 * count else torch.inf for rest, free in found]
        penalty = tried[min(range(len(tried)), key=lambda place: criteria[place])]
        if min(criteria) == torch.inf:
            penalty = tried[-1]
    one = shrunk(penalty)
    rest, free = left(penalty)
    variance = rest / free if free > 0 else rest * torch.nan
    covariance = directions @ torch.diag(variances * one.square()) @ directions.T * variance
    nowhere = directions[:, ~there].square().sum(1)
    return _Fit(directions @ (one * turned), covariance, nowhere < 1e-8, variance, penalty)
