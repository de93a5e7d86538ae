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

Where a model forecasts quantiles, each end of an interval is one of them, and takes its own correction: how far the
truth lay beyond it before (conformalised quantile regression; Romano, Patterson and Candès, 2019, theorem 2). So the
interval need not be symmetric, and is as wide as the quantiles find the future uncertain.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.base.conformal import check_level, fewest_errors, rank
from zoo.errors import ZooError
from zoo.series.forecaster import Forecaster
from zoo.series.trained import TrainedForecaster

# Changes of a series that tell how much it changes now, unless two seasons are more.
_LATELY = 30


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
    forecasts, targets = _rolled(model, values, period, horizon)
    return _unless_unknown((forecasts - targets).abs(), targets)


def rolled_misses(model: TrainedForecaster, values: Tensor, period: range, horizon: int, quantile: float) -> Tensor:
    """How far the truth lay beyond a quantile forecast from every point of a period: below it, if that is below half.

    Args:
        model: A forecaster of that quantile.
        values: As :func:`rolled_errors` takes it.
        period: Likewise.
        horizon: Steps to forecast, no more than the model forecasts at once.
        quantile: Of the end of an interval.

    Returns:
        Likewise, negative where the truth lay within.

    Raises:
        ZooError: As :func:`rolled_errors` does, or the model does not forecast the quantile.
    """
    with model.at(quantile):
        forecasts, targets = _rolled(model, values, period, horizon)
    return _unless_unknown(targets - forecasts if quantile > 0.5 else forecasts - targets, targets)


def _rolled(model: Forecaster, values: Tensor, period: range, horizon: int) -> tuple[Tensor, Tensor]:
    """Forecasts from every point of a period, and what came, ``(N, H, C)``; NaN where that lies behind the period."""
    if period.stop > len(values):
        raise ZooError(f"the period ends at {period.stop}, but the series at {len(values)}")
    forecasts = model.forecast_from(values[: period.stop], period, horizon)
    values = values[:, : model.series_columns(values)]
    beyond = torch.full((horizon - 1, values.shape[1]), torch.nan)
    truth = torch.cat([values[period.start : period.stop], beyond.to(values.device)])
    targets = truth.unfold(0, horizon, 1).transpose(1, 2).to(forecasts.device)
    return forecasts, targets


def _unless_unknown(errors: Tensor, targets: Tensor) -> Tensor:
    # A forecast that grew beyond all bounds is as wrong as can be, not absent.
    bounded = errors.nan_to_num(torch.inf, posinf=torch.inf, neginf=torch.inf)
    return torch.where(targets.isnan(), torch.nan, bounded)


def quantiles_at(level: int) -> tuple[float, float]:
    """The quantiles that leave out as much below as above: 0.1 and 0.9 for 80 %."""
    return (100 - level) / 200, (100 + level) / 200


def forecasts_ends(model: Forecaster, level: int) -> bool:
    """Whether a model forecasts the quantiles at both ends of a level's intervals."""
    return {*quantiles_at(level)} <= {*model.quantiles}


def half_widths(errors: Tensor, level: int, ends: int = 1) -> Tensor:
    """How far intervals reach to either side of the forecast, at each step ahead and for each series by itself.

    Of ``n`` errors it is the ``ceil((n + 1) * level / 100)``-th smallest, the quantile that covers finite samples.

    Args:
        errors: As from :func:`rolled_errors`, ``(N, H, C)``; NaN stands for a target that is not known.
        level: Wanted probability of holding the truth, in whole per cent.
        ends: 2 of what :func:`rolled_misses` gives for one end, which may miss half of what both may.

    Returns:
        ``(H, C)`` in the unit of the errors.

    Raises:
        ZooError: Some step ahead has too few errors for the level, or too many that are infinite.
    """
    check_level(level)
    ordered = errors.sort(0).values
    counts = (~errors.isnan()).sum(0)
    if (fewest := int(counts.min())) < (least := fewest_errors(level, ends)):
        raise ZooError(
            f"{level} % intervals need {least} forecasts that were checked at each step ahead, and some "
            f"step has {fewest}; use a longer period or a shorter horizon"
        )
    widths = ordered.gather(0, torch.as_tensor(rank(counts, level, ends))[None] - 1)[0]
    if not widths.isfinite().all():
        raise ZooError("the forecasts to calibrate with grow beyond all bounds; use a shorter horizon")
    return widths


def span_of(period: int) -> int:
    """How many of the latest changes tell how much a series with such a season changes now."""
    return max(2 * period, _LATELY)


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


def drifting_half_widths(errors: Tensor, before: Tensor, now: Tensor, level: int, ends: int = 1) -> Tensor:
    """How far intervals reach if the spread of a series may drift: the wider of two ways to take its errors.

    Args:
        errors: As from :func:`rolled_errors`, ``(N, H, C)``.
        before: What :func:`spreads` gives before each of the forecasts, ``(N, C)``.
        now: Likewise before the forecast that the interval is for, ``(C,)``; before many ``(M, 1, C)``.
        level: Wanted probability of holding the truth, in whole per cent.
        ends: As :func:`half_widths` takes it.

    Returns:
        ``(H, C)``, or ``(M, H, C)``, in the unit of the errors.

    Raises:
        ZooError: As :func:`half_widths` does.
    """
    plain = half_widths(errors, level, ends)
    # A series that has never changed tells nothing of how much it may.
    changed = before.min(0).values > 0
    relative = half_widths(errors / torch.where(changed, before, 1.0)[:, None], level, ends) * now
    return torch.maximum(plain, torch.where(changed & (now > 0), relative, plain))


def pooled_half_widths(errors: Tensor, before: Tensor, now: Tensor, level: int, ends: int = 1) -> Tensor:
    """How far intervals reach around the forecasts of many series, the errors of which are pooled.

    Errors are taken as multiples of how much their series had changed of late, whence those of all tell of each.

    Args:
        errors: As from :func:`rolled_errors`, ``(N, H, C)``.
        before: What :func:`spreads` gives before each of the forecasts, ``(N, C)``.
        now: Likewise before the forecast that the interval is for, ``(K,)``, of these series or of others; before many
            ``(M, 1, K)``.
        level: Wanted probability of holding the truth, in whole per cent.
        ends: As :func:`half_widths` takes it.

    Returns:
        ``(H, K)``, or ``(M, H, K)``, in the unit of the errors.

    Raises:
        ZooError: As :func:`half_widths` does.
    """
    # A series that has never changed tells nothing of how far one that changes may be off.
    relative = errors / torch.where(before > 0, before, torch.nan)[:, None]
    return half_widths(relative.transpose(1, 2).flatten(0, 1)[..., None], level, ends) * now
