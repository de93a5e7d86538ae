"""Transformations of a series with an exact inverse: powers that even out its spread, differences that level it."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import DataError

Transform = Literal["none", "log", "box_cox", "difference", "seasonal_difference", "auto"]

# Of Box and Cox (1964), as far as they even out a spread that grows with the level.
_LAMBDAS = np.linspace(0, 1, 21)
# The share of what is known that tells which transformation is better, and how much better it has to be than none.
_SHARE, _GAIN = 0.25, 0.98


def power(values: Tensor, lambdas: Tensor) -> Tensor:
    """Box and Cox's transformation (1964) of each series by its own exponent: ``(x ** λ - 1) / λ``, at 0 ``log x``.

    Args:
        values: Positive where the exponent is not 1, ``(..., C)``.
        lambdas: Exponents, ``(C,)``; 1 leaves a series as it is.
    """
    least = torch.finfo(values.dtype).tiny
    positive = values.clamp_min(least)
    exponent = torch.where(lambdas == 0, 1.0, lambdas)
    raised = torch.where(lambdas == 0, positive.log(), (positive**exponent - 1) / exponent)
    return torch.where(lambdas == 1, values, raised)


def unpower(values: Tensor, lambdas: Tensor) -> Tensor:
    """The inverse of :func:`power`; what no value leads to becomes the end that is nearest."""
    exponent = torch.where(lambdas == 0, 1.0, lambdas)
    lowered = (values * exponent + 1).clamp_min(0) ** (1 / exponent)
    return torch.where(lambdas == 1, values, torch.where(lambdas == 0, values.exp(), lowered))


def difference(values: Tensor, lags: Sequence[int]) -> Tensor:
    """Subtracts from each value the one that lies ``lag`` steps before it, for one lag after the other.

    Args:
        values: ``(..., T, C)``.
        lags: Steps.

    Returns:
        ``(..., T - sum(lags), C)``.
    """
    for lag in lags:
        values = values[..., lag:, :] - values[..., :-lag, :]
    return values


def integrate(changes: Tensor, history: Tensor, lags: Sequence[int]) -> Tensor:
    """The inverse of :func:`difference`, for what follows a history.

    Args:
        changes: Differences of the steps that follow, ``(..., H, C)``.
        history: What came before in its own unit, ``(..., T, C)``, ``T`` at least ``sum(lags)``.
        lags: Steps.
    """
    stages = [history]
    for lag in lags:
        stages.append(difference(stages[-1], [lag]))
    for lag, before in zip(reversed(lags), reversed(stages[:-1]), strict=True):
        steps = list(before[..., before.shape[-2] - lag :, :].unbind(-2))
        for change in changes.unbind(-2):
            steps.append(steps[-lag] + change)
        changes = torch.stack(steps[lag:], -2)
    return changes


def words(given: str | Sequence[str] | None) -> list[str]:
    """The transformations that were asked for: one, several in a text with commas between, a list, or nothing.

    Raises:
        DataError: There is no such transformation, or they contradict each other.
    """
    asked = [one.strip() for one in given.split(",")] if isinstance(given, str) else list(given or ())
    if unknown := [one for one in asked if one not in get_args(Transform)]:
        raise DataError(f"no transform {unknown[0]!r}; there are {', '.join(get_args(Transform))}")
    alone = {"none", "auto"} & set(asked)
    if len(set(asked)) < len(asked) or (alone and len(asked) > 1) or {"log", "box_cox"} <= set(asked):
        raise DataError(
            f"transform is {', '.join(asked)}; expected none or auto alone, or one of log and box_cox and differences"
        )
    return [] if asked == ["none"] else asked


def lags(transform: Sequence[str], period: int, name: str) -> list[int]:
    """The lags of the differences that were asked for.

    Args:
        transform: As :func:`words` gives it.
        period: Steps of a season; 1 if there is none.
        name: What messages call the series.

    Raises:
        DataError: There is no season to take differences of.
    """
    if "seasonal_difference" in transform and period < 2:
        raise DataError(
            f"transform seasonal_difference needs a season, but {name} has none; name its length with --data.period"
        )
    return [period] * ("seasonal_difference" in transform) + [1] * ("difference" in transform)


def powers(
    transform: Sequence[str], values: Tensor, names: Sequence[str], stop: int, period: int, horizon: int, name: str
) -> list[float]:
    """The exponents of :func:`power` that were asked for, one a series.

    Args:
        transform: As :func:`words` gives it.
        values: All of the series, ``(T, C)``.
        names: Of each.
        stop: Where the training period ends; what follows chooses nothing.
        period: Steps of a season.
        horizon: Steps to forecast.
        name: What messages call them together.

    Raises:
        DataError: A value is not above 0.
    """
    if not {"log", "box_cox", "auto"} & set(transform):
        return [1.0] * len(names)
    least = torch.where(values.isnan(), torch.inf, values).min(0).values
    if least.min() <= 0 and "auto" not in transform:
        raise DataError(
            f"{name} has {least.min():g} in '{names[int(least.argmin())]}', and transform {transform[0]} needs values "
            "above 0; leave it out"
        )
    if "log" in transform:
        return [0.0] * len(names)
    train = values[:stop].double().numpy().T
    if "box_cox" in transform:
        return [guerrero(column, period) for column in train]
    positive = (least > 0).tolist()
    return [
        chosen_lambda(column, period, horizon) if is_positive else 1.0
        for column, is_positive in zip(train, positive, strict=True)
    ]


def guerrero(values: np.ndarray, period: int) -> float:
    """The exponent of :func:`power` that makes the spread of a season least dependent on its level (Guerrero, 1993).

    Args:
        values: Positive, ``(T,)``.
        period: Steps of a season; pairs are taken where there is none.
    """
    length = max(period, 2)
    seasons = values[len(values) % length :].reshape(-1, length)
    if len(seasons) < 2:
        return 1.0
    means, spreads = seasons.mean(1), seasons.std(1, ddof=1)
    ratios = spreads[:, None] / means[:, None] ** (1 - _LAMBDAS)
    middle = ratios.mean(0)
    if not (middle > 0).all():
        return 1.0
    return float(_LAMBDAS[(ratios.std(0) / middle).argmin()])


def chosen_lambda(values: np.ndarray, period: int, horizon: int) -> float:
    """The exponent with which a linear forecast of the last quarter of a series is best: 1, 0 or Guerrero's.

    Args:
        values: What is known, ``(T,)``.
        period: Steps of a season.
        horizon: Steps to forecast.
    """
    if values.min() <= 0:
        return 1.0
    start = len(values) - max(int(len(values) * _SHARE), horizon)
    window = min(period + 2 if period > 1 else 8, (start - horizon) // 2)
    if window < 1:
        return 1.0
    errors = {one: _error(values, one, start, window, horizon) for one in {1.0, 0.0, guerrero(values[:start], period)}}
    best = min(errors, key=lambda one: errors[one])
    return best if errors[best] < _GAIN * errors[1.0] else 1.0


def _error(values: np.ndarray, exponent: float, start: int, window: int, horizon: int) -> float:
    """Mean absolute error of a linear forecast, fitted to what lies before a point, of all that follows it."""
    lambdas = torch.tensor([exponent], dtype=torch.float64)
    column = torch.as_tensor(values, dtype=torch.float64)[:, None]
    rows = power(column, lambdas)[:, 0].unfold(0, window + horizon, 1)
    # Relative to the last value that is seen, so that the level does not matter.
    last = rows[:, window - 1 : window]
    inputs, targets = rows[:, : window - 1] - last, rows[:, window:] - last
    inputs = torch.cat([inputs, torch.ones_like(last)], 1)
    fitted = len(rows) - (len(values) - start)
    gram = inputs[:fitted].T @ inputs[:fitted]
    gram += 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weights = torch.linalg.solve(gram, inputs[:fitted].T @ targets[:fitted])
    forecasts = unpower(last[fitted:] + inputs[fitted:] @ weights, lambdas)
    truth = column[:, 0].unfold(0, window + horizon, 1)[fitted:, window:]
    return float((forecasts - truth).abs().mean().nan_to_num(torch.inf))
