"""The Theta method (Assimakopoulos and Nikolopoulos, 2000): smoothing with a part of the trend as drift."""

import numpy as np
import torch
from torch import Tensor

from zoo.series.classics.classic import Classic
from zoo.series.classics.decomposition import is_seasonal, without_season
from zoo.series.classics.exponential_smoothing import filtered

# Of the lines that a series is taken apart into: the second repeats the series with so much of its curvature. The drift
# is 1 - 1 / theta of the trend: none of it, half of it in the original method, all of it.
_THETAS = torch.tensor([1.0, 1.5, 2.0, 3.0, 5.0, torch.inf], dtype=torch.float64)
_LEVELS = torch.linspace(0.02, 0.98, 49, dtype=torch.float64)
# What another theta than the original has to gain in squared errors, as it is one parameter more.
_GAIN = 0.98


class Theta(Classic):
    """Forecasts by simple exponential smoothing with a part of the linear trend as drift, after a season is taken off.

    That is what the Theta method comes to (Hyndman and Billah, 2003): half of the trend, or what makes the squared
    errors of one step clearly less (the optimised method; Fiorucci et al., 2016). The season is that of an additive
    classical decomposition of each history, taken off where its autocorrelation in the training period is beyond
    chance; a season that grows in proportion wants a power. See :class:`Forecaster` for the arguments.

    Shape:
        - Input: ``(N, T, C)``, any ``T``; a season needs two of them.
        - Output: ``(N, H, C)``.
    """

    columns = ("level", "drift", "season")

    def estimate(self, values: np.ndarray) -> dict[str, float]:
        """The smoothing parameter of the level, the drift, and 1 for a season."""
        found: dict[str, float] = {}
        series = torch.from_numpy(values)
        if is_seasonal(values, self.period):
            series = without_season(series[None], 0, self.period)[0][0]
            found["season"] = 1.0
        time = torch.arange(len(series), dtype=series.dtype)
        centred = time - time.mean()
        drifts = (1 - 1 / _THETAS) * (centred @ series) / centred.square().sum()
        squares = _squares(series - drifts[:, None] * time)
        least = squares.min(1).values
        theta = int(least.argmin())
        original = _THETAS.tolist().index(2.0)
        if least[theta] > _GAIN * least[original]:
            theta = original
        return {"level": float(_LEVELS[squares[theta].argmin()]), "drift": float(drifts[theta]), **found}

    def go_on(self, values: Tensor, horizon: int, parameters: dict[str, float]) -> Tensor:
        """Continues normalised histories of one series, float64 ``(N, T)``, by ``(N, horizon)``."""
        length = values.shape[1]
        rest, season = without_season(values, horizon, self.period if "season" in parameters else 1)
        line = parameters["drift"] * torch.arange(length + horizon, dtype=values.dtype, device=values.device)
        states, _ = filtered(rest - line[:length], {"level": parameters["level"]}, 1)
        return states.level[:, None] + line[length:] + season


def _squares(series: Tensor) -> Tensor:
    """Sums of the squared errors of one step of simple exponential smoothing.

    Args:
        series: ``(N, T)``.

    Returns:
        Those at each of ``_LEVELS``, from the best start, ``(N, L)``.
    """
    level = torch.zeros(len(series), len(_LEVELS), dtype=series.dtype)
    errors = []
    for value in series.unbind(1):
        errors.append(value[:, None] - level)
        level = level + _LEVELS * errors[-1]
    # How much of the start is left in each error.
    left = (1 - _LEVELS) ** torch.arange(series.shape[1], dtype=series.dtype)[:, None]
    found = torch.stack(errors, 1)
    start = (found * left).sum(1) / left.square().sum(0)
    return (found - start[:, None] * left).square().sum(1)
