"""Whether intervals hold the truth as often as they say: calibrated on the validation period, judged by the test."""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

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

# Of the intervals, in per cent, as ``zoo forecast`` gives them.
_LEVELS = (80, 95)
# More points than the latest so many change no share that one would notice.
_LATEST = 10_000
# Of more pooled series so many are looked at, from the first to the last.
_SERIES = 100


class Coverage(NamedTuple):
    """How a kind of intervals fared.

    Attributes:
        level: Wanted probability of holding the truth, in whole per cent.
        kind: ``conformal``, about the forecast, or ``quantiles``, corrected at each end.
        shares: Of the test points at each step ahead that were inside, ``(H,)``.
        width: Mean width in the unit of the series.
    """

    level: int
    kind: str
    shares: Tensor
    width: float


class _Periods(NamedTuple):
    """What calibrates, and what judges."""

    calibrate: range
    judge: range


def coverages(model: Forecaster, data: Any) -> list[Coverage]:
    """How often intervals of each level and kind held the test points, with nothing of the test known to them.

    Args:
        model: The forecaster.
        data: The series that it learns from, a ``datamodules`` one, with a validation and a test period.

    Returns:
        Those for which there are enough forecasts to calibrate with.

    Raises:
        ZooError: The forecasts grow beyond all bounds.
    """
    found = []
    if model.pooled:
        count = data.values.shape[1]
        data = data.only(range(0, count, -(-count // _SERIES)))
    calibrate, judge = (
        range(max(points.start, model.window), points.stop)[-_LATEST:]
        for points in (data.periods["val"], data.periods["test"])
    )
    periods = _Periods(calibrate, judge)
    span = span_of(data.period)
    before = spreads(data.values, periods.calibrate, span)
    now = spreads(data.values, periods.judge, span)[:, None]
    widths = pooled_half_widths if model.pooled else drifting_half_widths
    checked = (len(periods.calibrate) - model.horizon + 1) * (data.values.shape[1] if model.pooled else 1)
    levels = [level for level in _LEVELS if checked >= fewest_errors(level)]
    if not levels or not periods.judge:
        return []

    errors, fresh = (rolled_errors(model, data.inputs, points, model.horizon).cpu() for points in periods)
    for level in levels:
        half = widths(errors, before, now, level)
        found.append(_judged(level, "conformal", fresh <= half, 2 * half, fresh))
        if forecasts_ends(model, level) and checked >= fewest_errors(level, ends=2):
            inside, width = torch.ones_like(fresh, dtype=torch.bool), torch.zeros_like(fresh)
            for quantile in quantiles_at(level):
                ours = cast(TrainedForecaster, model)
                known, missed = (
                    rolled_misses(ours, data.inputs, points, model.horizon, quantile).cpu() for points in periods
                )
                reach = widths(known, before, now, level, ends=2)
                inside &= missed <= reach
                # Less what both ends were missed by, since the truth between them is the same.
                width += reach - missed
            found.append(_judged(level, "quantiles", inside, width, fresh))
    return found


def _judged(level: int, kind: str, inside: Tensor, width: Tensor, fresh: Tensor) -> Coverage:
    counted = ~fresh.isnan() & ~width.isnan()
    shares = (inside & counted).sum((0, 2)) / counted.sum((0, 2))
    return Coverage(level, kind, shares, float(width[counted].double().mean()))
