"""Classical decomposition: a season, averaged by phase from what a moving average leaves."""

import numpy as np
import torch
from torch import Tensor

# Of the normal distribution: 90 per cent lie within it on both sides.
_BEYOND_CHANCE = 1.645


def without_season(values: Tensor, horizon: int, period: int) -> tuple[Tensor, Tensor]:
    """Takes the season off histories that hold two of them at least; from others there is nothing to take.

    Args:
        values: Histories, ``(N, T)``.
        horizon: Steps that follow, ``H``.
        period: Steps of a season; 1 if there is none.

    Returns:
        What is left, ``(N, T)``, and the season of the steps that follow, ``(N, H)``.
    """
    length = values.shape[1]
    season = seasonal(values, period) if 1 < period <= length // 2 else values.new_zeros(len(values), 1)
    repeated = season[:, torch.arange(length + horizon, device=values.device) % season.shape[1]]
    return values - repeated[:, :length], repeated[:, length:]


def seasonal(values: Tensor, period: int) -> Tensor:
    """The season of histories ``(N, T)`` by an additive classical decomposition, ``(N, period)``, from its first step.

    A centred moving average over a season is taken off, and what remains is averaged by phase; the mean is zero.
    """
    rest, phases = _without_level(values, period)
    sums = values.new_zeros(len(values), period).index_add_(1, phases, rest)
    season = sums / torch.bincount(phases, minlength=period).clamp_min(1)
    return season - season.mean(1, keepdim=True)


def strength(values: np.ndarray, period: int) -> float:
    """The share of a season in what a moving average leaves of a series ``(T,)`` (Wang et al., 2006); 0 if nothing."""
    series = torch.from_numpy(values)[None]
    rest, phases = _without_level(series, period)
    left = rest - seasonal(series, period)[:, phases]
    return float(1 - left.var() / rest.var()) if rest.var() > 0 else 0.0


def _without_level(values: Tensor, period: int) -> tuple[Tensor, Tensor]:
    """What a centred moving average over a season leaves of histories, ``(N, S)``, and the phase of each step."""
    weights = values.new_full((period + 1 - period % 2,), 1 / period)
    if period % 2 == 0:
        weights[0] = weights[-1] = 0.5 / period
    margin = len(weights) // 2
    level = values.unfold(1, len(weights), 1) @ weights
    steps = torch.arange(margin, margin + level.shape[1], device=values.device)
    return values[:, steps] - level, steps % period


def is_seasonal(values: np.ndarray, period: int) -> bool:
    """Whether the autocorrelation at a season's lag is beyond chance, with 90 per cent confidence.

    Args:
        values: ``(T,)``.
        period: Steps of a season; of less than three seasons none is believed in.
    """
    if period < 2 or len(values) < 3 * period:
        return False
    # The trend correlates at all lags.
    steps = np.diff(values)
    rest = steps - steps.mean()
    squares = (rest**2).sum()
    if squares == 0:
        return False
    correlations = np.array([(rest[lag:] * rest[:-lag]).sum() / squares for lag in range(1, period + 1)])
    bound = _BEYOND_CHANCE * np.sqrt((1 + 2 * (correlations[:-1] ** 2).sum()) / len(rest))
    return bool(correlations[-1] > bound)
