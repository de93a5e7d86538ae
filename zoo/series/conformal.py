"""Prediction intervals by split conformal prediction (Vovk et al., 2005; Lei et al., 2018).

A model forecasts a calibration period that it was not trained on, from every point of it. How far these forecasts were
off at each step ahead is how far the next one may be off::

    errors = rolled_errors(model, values, range(1828, 2056), horizon=52)
    ahead, half = model.forecast(values, 52), half_widths(errors, level=95)
    lower, upper = ahead - half, ahead + half

If errors are exchangeable, such an interval holds the truth with the stated probability or more, whatever the model and
the distribution. Errors of a time series are so only as far as the future resembles the calibration period.
A validation period that also chose the checkpoint makes them a little too small.

Series grow, and their spread with them: :func:`drifting_half_widths` takes the errors as multiples of how much the
series had changed of late, too (locally weighted conformal prediction; Lei et al., 2018, section 5.2), and the wider of
both intervals.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.base.conformal import check_level, fewest_errors, rank
from zoo.errors import ZooError
from zoo.series.forecaster import Forecaster


def rolled_errors(model: Forecaster, values: Tensor, period: range, horizon: int) -> Tensor:
    """Absolute errors of the forecasts that a model makes from every point of a period.

    Args:
        model: The forecaster.
        values: The whole series in its own unit, ``(T, C)``; what lies before the period is known to the model. With
            covariates as :meth:`~zoo.series.rolling.Rolling.forecast_from` takes it, up to the end of the period.
        period: Points to forecast; the first has at least ``window`` points before it.
        horizon: Steps to forecast from every point, ``H``.

    Returns:
        float32 ``(len(period), H, C)`` in the series' own unit, NaN where the target lies behind the period.

    Raises:
        ZooError: The period is empty, or begins too early or ends too late for the series.
    """
    if period.stop > len(values):
        raise ZooError(f"the period ends at {period.stop}, but the series at {len(values)}")
    forecasts = model.forecast_from(values[: period.stop], period, horizon)
    values = values[:, : model.series_columns(values)]
    beyond = torch.full((horizon - 1, values.shape[1]), torch.nan)
    truth = torch.cat([values[period.start : period.stop], beyond.to(values.device)])
    targets = truth.unfold(0, horizon, 1).transpose(1, 2).to(forecasts.device)
    errors = (forecasts - targets).abs()
    # A forecast that grew beyond all bounds is as wrong as can be, not absent.
    return torch.where(targets.isnan(), torch.nan, errors.nan_to_num(torch.inf, posinf=torch.inf))


def half_widths(errors: Tensor, level: int) -> Tensor:
    """How far intervals reach to either side of the forecast, at each step ahead and for each series by itself.

    Of ``n`` errors it is the ``ceil((n + 1) * level / 100)``-th smallest, the quantile that covers finite samples.

    Args:
        errors: As from :func:`rolled_errors`, ``(N, H, C)``; NaN stands for a target that is not known.
        level: Wanted probability of holding the truth, in whole per cent.

    Returns:
        ``(H, C)`` in the unit of the errors.

    Raises:
        ZooError: Some step ahead has too few errors for the level, or too many that are infinite.
    """
    check_level(level)
    ordered = errors.sort(0).values
    counts = (~errors.isnan()).sum(0)
    if (fewest := int(counts.min())) < fewest_errors(level):
        raise ZooError(
            f"{level} % intervals need {fewest_errors(level)} forecasts that were checked at each step ahead, and some "
            f"step has {fewest}; use a longer period or a shorter horizon"
        )
    widths = ordered.gather(0, torch.as_tensor(rank(counts, level))[None] - 1)[0]
    if not widths.isfinite().all():
        raise ZooError("the forecasts to calibrate with grow beyond all bounds; use a shorter horizon")
    return widths


def spreads(values: Tensor, origins: Sequence[int], span: int) -> Tensor:
    """How much a series had changed from point to point before each of some points.

    Args:
        values: The series, ``(T, C)``; NaN where one has not begun.
        origins: Numbers of points that are known, each at least 2.
        span: How many of the latest changes count.

    Returns:
        Mean absolute changes ``(N, C)``, at least a tenth of their own mean, as a series may pause; NaN where none is
        known.
    """
    changes = values[1:].double().sub(values[:-1].double()).abs()
    start = changes.new_zeros(1, values.shape[1])
    sums = torch.cat([start, changes.nan_to_num(0.0).cumsum(0)])
    counts = torch.cat([start, (~changes.isnan()).cumsum(0)])
    ends = torch.tensor(list(origins), device=values.device) - 1
    begins = (ends - span).clamp_min(0)
    found = (sums[ends] - sums[begins]) / (counts[ends] - counts[begins])
    return torch.maximum(found, found.nanmean(0) / 10).float()


def drifting_half_widths(errors: Tensor, before: Tensor, now: Tensor, level: int) -> Tensor:
    """How far intervals reach if the spread of a series may drift: the wider of two ways to take its errors.

    Args:
        errors: As from :func:`rolled_errors`, ``(N, H, C)``.
        before: What :func:`spreads` gives before each of the forecasts, ``(N, C)``.
        now: Likewise before the forecast that the interval is for, ``(C,)``.
        level: Wanted probability of holding the truth, in whole per cent.

    Returns:
        ``(H, C)`` in the unit of the errors.

    Raises:
        ZooError: As :func:`half_widths` does.
    """
    plain = half_widths(errors, level)
    # A series that has never changed tells nothing of how much it may.
    tells = (before.min(0).values > 0) & (now > 0)
    relative = half_widths(errors / torch.where(tells, before, 1.0)[:, None], level) * torch.where(tells, now, 1.0)
    return torch.maximum(plain, torch.where(tells, relative, plain))


def pooled_half_widths(errors: Tensor, before: Tensor, now: Tensor, level: int) -> Tensor:
    """How far intervals reach around the forecasts of many series, the errors of which are pooled.

    Errors are taken as multiples of how much their series had changed of late, whence those of all tell of each.

    Args:
        errors: As from :func:`rolled_errors`, ``(N, H, C)``.
        before: What :func:`spreads` gives before each of the forecasts, ``(N, C)``.
        now: Likewise before the forecast that the interval is for, ``(K,)``, of these series or of others.
        level: Wanted probability of holding the truth, in whole per cent.

    Returns:
        ``(H, K)`` in the unit of the errors.

    Raises:
        ZooError: As :func:`half_widths` does.
    """
    # A series that has never changed tells nothing of how far one that changes may be off.
    relative = errors / torch.where(before > 0, before, torch.nan)[:, None]
    return half_widths(relative.transpose(1, 2).flatten(0, 1)[..., None], level) * now
