"""The intervals of ``zoo forecast``: what tells how far they reach, and where they end."""

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from zoo.commands.unseen import Source
from zoo.errors import ZooError
from zoo.series.conformal import (
    drifting_half_widths,
    fewest_errors,
    forecasts_ends,
    pooled_half_widths,
    quantiles_at,
    rolled_errors,
    rolled_misses,
    span_of,
    spreads,
)
from zoo.series.forecaster import Forecaster
from zoo.series.trained import TrainedForecaster

# Of the intervals, in per cent.
LEVELS = (80, 95)
# More forecasts than the latest so many change no interval that one would notice.
_CALIBRATION = 10_000
# Of each of many series, so many forecasts at least.
_OF_EACH = 30

Bounds = tuple[np.ndarray, np.ndarray]


class Reach(NamedTuple):
    """How far an interval reaches.

    Attributes:
        below: Beneath its lower forecast, ``(H, C)``; negative if it ends above that.
        above: Above its upper forecast, likewise.
        quantiles: Which these forecasts are; None if both are the point forecast.
    """

    below: Tensor
    above: Tensor
    quantiles: tuple[float, float] | None = None


def calibrate(
    name: str, model: Forecaster, source: Source, horizon: int, known: Tensor
) -> tuple[dict[int, Reach], str]:
    """How far the intervals of each level reach, and a line that says what tells so.

    Args:
        name: What the user calls the model whose errors tell.
        model: That model.
        source: What it is to be wrong about.
        horizon: Steps ahead.
        known: The series that is to go on, ``(T, C)``.

    Raises:
        ZooError: The model was trained on everything, or too little is left for intervals so far ahead.
    """
    if source.unseen is None:
        raise ZooError(
            f"'{name}' was trained on every point (fit_on all), so nothing tells how far it may be off; take intervals "
            "from a run that kept a validation period with --calibrate RUN, or add --no-intervals"
        )
    data = source.data
    count = data.values.shape[1] if model.pooled else 1
    latest = _CALIBRATION if count == 1 else horizon - 1 + max(_OF_EACH, _CALIBRATION // count)
    period = range(max(source.unseen.start, model.window), source.unseen.stop)[-latest:]
    levels = [level for level in LEVELS if (len(period) - horizon + 1) * count >= fewest_errors(level)]
    if not levels:
        fewest = fewest_errors(min(LEVELS))
        longest = len(period) + 1 + -fewest // count
        found = f"{data.recording.name} has {len(period)} points that '{name}' can forecast and was not trained on"
        need = f"every step ahead takes {fewest} to calibrate {min(LEVELS)} %"
        advice = f"use --horizon {longest} at most, or" if longest > 0 else "use a longer series, or"
        raise ZooError(f"--horizon is {horizon}, but {found}, and {need}; {advice} --no-intervals")
    first, last = data.recording.timeline.write(data.times[[period.start, period.stop - 1]])
    told = f"intervals from {len(period):,} forecasts of {data.recording.name} from {first} to {last}, {source.told}"
    if model.pooled:
        told += f"; the errors of all {count:,} series are pooled, each in its own scale"
    if horizon > 1:
        told += f"; {len(period) - horizon + 1:,} of them reach {horizon} steps"
    span = span_of(data.period)
    before, now = spreads(data.values, period, span), spreads(known, [len(known)], span)[0]
    told += "".join(f"; too few for {level} %" for level in LEVELS if level not in levels)
    widths = pooled_half_widths if model.pooled else drifting_half_widths
    checked = (len(period) - horizon + 1) * count
    reaches: dict[int, Reach] = {}
    errors: Tensor | None = None
    for level in levels:
        why = _why_symmetric(model, level, horizon, checked)
        if why is None:
            both = quantiles_at(level)
            judge = cast(TrainedForecaster, model)
            misses = [rolled_misses(judge, data.inputs, period, horizon, one).cpu() for one in both]
            below, above = (widths(one, before, now, level, ends=2) for one in misses)
            reaches[level] = Reach(below, above, both)
            told += f"; {level} % from quantiles {both[0]:g} and {both[1]:g}, each corrected by itself"
        else:
            errors = rolled_errors(model, data.inputs, period, horizon).cpu() if errors is None else errors
            half = widths(errors, before, now, level)
            reaches[level] = Reach(half, half)
            told += f"; {level} % to both sides of the median, as {why}" if model.quantiles else ""
    return reaches, told


def _why_symmetric(model: Forecaster, level: int, horizon: int, checked: int) -> str | None:
    """Why intervals of a level do not end at quantiles; None if they do."""
    if not forecasts_ends(model, level):
        low, high = quantiles_at(level)
        return f"quantiles {low:g} and {high:g} are not forecast"
    if horizon > model.horizon:
        return f"quantiles are forecast {model.horizon} steps ahead"
    if checked < (fewest := fewest_errors(level, ends=2)):
        return f"{fewest} forecasts are needed to correct each end"
    return None


def ends(model: Forecaster, known: Tensor, ahead: Tensor, reach: Reach, values: Tensor) -> Bounds:
    """Lower and upper ends of intervals, ``(H, C)``, which hold the forecast.

    Args:
        model: What forecasts.
        known: What it goes on from.
        ahead: The forecast, ``(H, C)``.
        reach: How far the intervals reach.
        values: The series, ``(T, C)``; one that never was negative will not be.
    """
    low = high = ahead
    if reach.quantiles is not None:
        found = []
        for quantile in reach.quantiles:
            with cast(TrainedForecaster, model).at(quantile):
                found.append(model.forecast(known, len(ahead)).cpu())
        low, high = found
    least = torch.where(values.isnan(), torch.inf, values).min(0).values.cpu()
    floor = torch.where(least >= 0, ahead.clamp_max(0), -torch.inf)
    lower, upper = torch.maximum(low - reach.below, floor), high + reach.above
    if reach.quantiles is not None:
        lower, upper = torch.minimum(lower, ahead), torch.maximum(upper, ahead)
    return lower.numpy(), upper.numpy()
