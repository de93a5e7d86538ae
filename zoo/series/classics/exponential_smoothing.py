"""Exponential smoothing in state space (Hyndman et al., 2008): level, trend and season, each following its errors."""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zoo.series.classics.classic import Classic


class States(NamedTuple):
    """The states of several series.

    Attributes:
        level: ``(N,)``.
        trend: Change of the level with each step, ``(N,)``.
        season: What the coming steps of a season differ by, one a phase, each ``(N,)``; none without a season.
    """

    level: Tensor
    trend: Tensor
    season: list[Tensor]

    def ahead(self, horizon: int, damping: float) -> Tensor:
        """What is expected of the next steps, ``(N, H)``."""
        reach = torch.tensor([damping**step for step in range(1, horizon + 1)], dtype=torch.float64).cumsum(0)
        forecasts = self.level[:, None] + self.trend[:, None] * reach.to(self.level.device)
        if not self.season:
            return forecasts
        return forecasts + torch.stack([self.season[step % len(self.season)] for step in range(horizon)], 1)


class ExponentialSmoothing(Classic):
    """Forecasts level, trend and season with additive errors (ETS); a series that grows in proportion wants a power.

    Of the models without and with a trend, damped or not, and without and with a season, the one with the least
    corrected information criterion (Hurvich and Tsai, 1989) is taken. Smoothing parameters are statsmodels'. The states
    before the first value are those that make the squared errors of one step least, which is a linear problem and is
    solved anew for every history. See :class:`Forecaster` for the arguments.

    Shape:
        - Input: ``(N, T, C)``, any ``T``.
        - Output: ``(N, H, C)``.
    """

    columns = ("level", "trend", "season", "damping")

    def estimate(self, values: np.ndarray) -> dict[str, float]:
        """Smoothing parameters of level, trend and season, and the damping of the trend."""
        if np.ptp(values) == 0:
            return {"level": 1.0}
        best: tuple[float, dict[str, float]] = (np.inf, {"level": 1.0})
        seasons = (False, True) if self.period > 1 and len(values) >= 2 * self.period + 3 else (False,)
        history = torch.from_numpy(values)[None]
        for trend, damped in ((False, False), (True, False), (True, True)):
            for season in seasons:
                # Parameters, states at the start, and the variance of the errors.
                count = 3 + 2 * trend + damped + season * self.period
                if len(values) <= count + 1:
                    continue
                parameters = _smoothing(values, trend, damped, self.period if season else 1)
                _, squares = filtered(history, parameters, self.period)
                criterion = len(values) * np.log(float(squares) / len(values) + 1e-12)
                criterion += 2 * count * len(values) / (len(values) - count - 1)
                if criterion < best[0]:
                    best = (criterion, parameters)
        return best[1]

    def go_on(self, values: Tensor, horizon: int, parameters: dict[str, float]) -> Tensor:
        """Continues normalised histories of one series, float64 ``(N, T)``, by ``(N, horizon)``."""
        states, _ = filtered(values, parameters, self.period)
        return states.ahead(horizon, parameters.get("damping", 1.0))


def filtered(values: Tensor, parameters: dict[str, float], period: int) -> tuple[States, Tensor]:
    """Follows histories from the start that makes their squared errors of one step least.

    Args:
        values: Histories, float64 ``(N, T)``.
        parameters: Smoothing parameters, as :class:`ExponentialSmoothing` names them; what is absent has no state.
        period: Steps of a season, if there is one among the states.

    Returns:
        The states after them, and the sums of their squared errors of one step, ``(N,)``.
    """
    count, phases = len(values), period if "season" in parameters else 0
    has_trend = "trend" in parameters
    # States that errors are linear in: those of the histories begin at zero, and one more history, of zeros, stands
    # for each state.
    unit = torch.eye(1 + has_trend + phases, dtype=values.dtype, device=values.device)
    start = torch.cat([unit.new_zeros(count, len(unit)), unit])
    histories = torch.cat([values, values.new_zeros(len(unit), values.shape[1])])
    trend = start[:, 1] if has_trend else torch.zeros_like(start[:, 0])
    begin = States(start[:, 0], trend, list(start[:, 1 + has_trend :].unbind(1)))
    errors, end = _smooth(histories, begin, parameters)
    responses = -errors[count:].T
    gram = responses.T @ responses
    # Level and season are told apart by a season that sums to zero; what a short history leaves open stays small.
    gram += 1e-8 * gram.diagonal().mean() * unit
    if phases:
        seasonal = torch.cat([unit.new_zeros(1 + has_trend), unit.new_ones(phases)])
        gram += torch.outer(seasonal, seasonal)
    first = torch.linalg.solve(gram, responses.T @ errors[:count].T).T
    squares = (errors[:count] - first @ responses.T).square().sum(1)
    level, slope, *season = (state[:count] + first @ state[count:] for state in (end.level, end.trend, *end.season))
    return States(level, slope, season), squares


def _smooth(values: Tensor, states: States, parameters: dict[str, float]) -> tuple[Tensor, States]:
    """Follows histories ``(N, T)`` step by step; gives back the errors ``(N, T)`` and the states at the end."""
    level, trend, season = states.level, states.trend, list(states.season)
    damping, errors = parameters.get("damping", 1.0), []
    for step, value in enumerate(values.unbind(1)):
        trend = trend * damping
        expected = level + trend
        phase = step % len(season) if season else 0
        error = value - expected - (season[phase] if season else 0.0)
        level = torch.add(expected, error, alpha=parameters["level"])
        if "trend" in parameters:
            trend = torch.add(trend, error, alpha=parameters["trend"])
        if season:
            season[phase] = torch.add(season[phase], error, alpha=parameters["season"])
        errors.append(error)
    phase = values.shape[1] % len(season) if season else 0
    return torch.stack(errors, 1), States(level, trend, [*season[phase:], *season[:phase]])


def _smoothing(values: np.ndarray, trend: bool, damped: bool, period: int) -> dict[str, float]:
    """The smoothing parameters that statsmodels finds."""
    # Takes a second to import, and who only forecasts has no use for it.
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    model = ETSModel(
        values,
        trend="add" if trend else None,
        damped_trend=damped,
        seasonal="add" if period > 1 else None,
        seasonal_periods=period if period > 1 else None,
        # Estimated, they are as many as a season has steps, and what comes of it is often worse.
        initialization_method="heuristic" if len(values) >= 10 else "estimated",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of errors of zero, and of an end by maxiter
        found = dict(zip(model.param_names, model.fit(disp=False).params, strict=False))
    names = {"level": "smoothing_level", "trend": "smoothing_trend", "season": "smoothing_seasonal"}
    if damped:
        names["damping"] = "damping_trend"
    return {name: float(found[theirs]) for name, theirs in names.items() if theirs in found}
