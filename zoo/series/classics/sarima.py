"""Seasonal ARIMA (Box and Jenkins, 1970), whose orders are found automatically (Hyndman and Khandakar, 2008)."""

import warnings
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from datamodules.series.transform import difference, integrate
from zoo.series.classics.classic import Classic
from zoo.series.classics.decomposition import is_seasonal, strength, without_season

# The largest orders of the polynomials, the seasonal ones, and the sum of the former.
_ORDER, _SEASONAL_ORDER, _TOGETHER = 3, 1, 4
# Longer seasons are taken off before, since filters would be as long.
_LONGEST_SEASON = 24
# Up to so many points the likelihood is exact; beyond, the sum of squares is as good and much quicker.
_EXACT = 400
# A season of such a share in what a moving average leaves is strong enough for seasonal differences (Wang et al.,
# 2006). 0.64 is usual, where seasonal orders above 1 may follow a weaker season.
_STRONG = 0.45
# One order more or less, or one of both plain kinds, or of both seasonal ones.
_STEPS = [
    step
    for step in product((-1, 0, 1), repeat=4)
    if sum(map(abs, step)) == 1 or (sum(map(abs, step)) == 2 and (step[0] == step[1]) and (step[2] == step[3]))
] + [(0, 0, 0, 0)]
# Of the KPSS test, at 5 per cent (Kwiatkowski et al., 1992).
_STATIONARY = 0.463


class Orders(NamedTuple):
    """Numbers of coefficients.

    Attributes:
        ar: Autoregressive.
        ma: Of the moving average.
        seasonal_ar: Autoregressive, in steps of a season.
        seasonal_ma: Of the moving average, likewise.
    """

    ar: int
    ma: int
    seasonal_ar: int
    seasonal_ma: int

    def split(self, coefficients: np.ndarray) -> list[np.ndarray]:
        """The coefficients of each kind."""
        return np.split(coefficients, np.cumsum(self)[:-1])


class SARIMA(Classic):
    """Forecasts by autoregression and a moving average of errors, of differences that make a series stationary.

    Seasonal differences are taken where the season is strong, others until the KPSS test finds no trend. Orders up to
    3, seasonal ones up to 1, are found step by step: those with the least corrected information criterion of the
    conditional sum of squares. Of short series the coefficients are then statsmodels', of the exact likelihood. A
    season longer than 24 steps is taken off before, by an additive classical decomposition. The errors before a history
    are those that are expected, given it. See :class:`Forecaster` for the arguments.

    Shape:
        - Input: ``(N, T, C)``, ``T`` larger than what differences take.
        - Output: ``(N, H, C)``.
    """

    columns = (
        "difference", "seasonal_difference", "mean", "season",
        *(f"ar_{lag}" for lag in range(1, _ORDER + 1)), *(f"ma_{lag}" for lag in range(1, _ORDER + 1)),
        *(f"seasonal_ar_{lag}" for lag in range(1, _SEASONAL_ORDER + 1)),
        *(f"seasonal_ma_{lag}" for lag in range(1, _SEASONAL_ORDER + 1)),
    )  # fmt: skip

    @property
    def _cycle(self) -> int:
        """Steps of a season that differences and polynomials know; 1 if there is none."""
        return self.period if self.period <= _LONGEST_SEASON else 1

    def estimate(self, values: np.ndarray) -> dict[str, float]:
        """Numbers of differences, the mean of what they leave, and the coefficients."""
        found: dict[str, float] = {}
        if self.period > _LONGEST_SEASON and is_seasonal(values, self.period):
            values = without_season(torch.from_numpy(values)[None], 0, self.period)[0][0].numpy()
            found["season"] = 1.0
        strong = self._cycle > 1 and len(values) >= 3 * self._cycle and strength(values, self._cycle) > _STRONG
        found["seasonal_difference"] = float(strong)
        if strong:
            values = values[self._cycle :] - values[: -self._cycle]
        count = 0
        while count < 2 and len(values) > 10 and np.ptp(values) > 0 and not _is_stationary(values):
            values, count = np.diff(values), count + 1
        found["difference"] = float(count)
        if np.ptp(values) == 0:
            return {**found, "mean": float(values.mean())}
        best = _best(values, self._cycle, count + strong)
        orders, coefficients, found["mean"] = best.orders, best.coefficients, best.mean
        if len(values) <= _EXACT and sum(orders) > 0:
            coefficients = _exact(values - best.mean, orders, coefficients, self._cycle)
        for kind, some in zip(Orders._fields, orders.split(coefficients), strict=True):
            found |= {f"{kind}_{lag}": float(one) for lag, one in enumerate(some, start=1)}
        return found

    def go_on(self, values: Tensor, horizon: int, parameters: dict[str, float]) -> Tensor:
        """Continues normalised histories of one series, float64 ``(N, T)``, by ``(N, horizon)``."""
        rest, season = without_season(values, horizon, self.period if "season" in parameters else 1)
        history = rest[..., None]
        lags = [self._cycle] * int(parameters["seasonal_difference"]) + [1] * int(parameters["difference"])
        while sum(lags) >= history.shape[1]:
            # A history of too few steps for its differences goes on without the longest of them.
            lags = lags[1:]
        changes = difference(history, lags)[..., 0] - parameters["mean"]
        ahead = _continue(changes, horizon, *_polynomials(parameters, self._cycle)) + parameters["mean"]
        return integrate(ahead[..., None], history, lags)[..., 0] + season


def _polynomials(parameters: dict[str, float], cycle: int) -> tuple[dict[int, float], dict[int, float]]:
    """What earlier values, and earlier errors, are multiplied by, by lag."""
    found = [
        [parameters[name] for name in SARIMA.columns if name.startswith(f"{kind}_") and name in parameters]
        for kind in Orders._fields
    ]
    orders, coefficients = Orders(*map(len, found)), [one for some in found for one in some]
    values, errors = _expanded(np.array(coefficients), orders, cycle)
    return (
        {lag: -float(one) for lag, one in enumerate(values) if lag and one},
        {lag: float(one) for lag, one in enumerate(errors) if lag and one},
    )


def _expanded(coefficients: np.ndarray, orders: Orders, cycle: int) -> tuple[np.ndarray, np.ndarray]:
    """The products of the plain and the seasonal polynomial, of values and of errors, from lag 0 on."""
    ar, ma, seasonal_ar, seasonal_ma = orders.split(coefficients)
    products = []
    for plain, seasonally in ((-ar, -seasonal_ar), (ma, seasonal_ma)):
        spread = np.zeros(len(seasonally) * cycle + 1)
        spread[0] = 1
        spread[cycle::cycle] = seasonally
        products.append(np.convolve(np.r_[1.0, plain], spread))
    return products[0], products[1]


def _continue(values: Tensor, horizon: int, of_values: dict[int, float], of_errors: dict[int, float]) -> Tensor:
    """Continues stationary histories of mean zero, ``(N, T)``, by ``(N, horizon)``."""
    count, reach = len(values), max(of_values, default=0)
    if values.shape[1] <= reach:
        values = torch.cat([values.new_zeros(count, reach + 1 - values.shape[1]), values], 1)
    length = values.shape[1]
    expected = torch.zeros_like(values[:, reach:])
    for lag, one in of_values.items():
        expected += values[:, reach - lag : length - lag] * one
    errors = _errors(values[:, reach:] - expected, of_errors)
    steps, ahead = list(values.unbind(1)), list(errors.unbind(1))
    for _ in range(horizon):
        step = values.new_zeros(count)
        for lag, one in of_values.items():
            step = step + one * steps[-lag]
        for lag, one in of_errors.items():
            if lag <= len(ahead):
                step = step + one * ahead[-lag]
        steps.append(step)
        ahead.append(torch.zeros_like(step))
    return torch.stack(steps[length:], 1)


def _errors(values: Tensor, of_errors: dict[int, float]) -> Tensor:
    """The errors of which a moving average makes histories ``(N, T)``, those before them included.

    The errors before a history, of unit variance like all others, are those that are expected, given it.
    """
    reach, count = max(of_errors, default=0), len(values)
    if not reach:
        return values
    unit = torch.eye(reach, dtype=values.dtype, device=values.device)
    errors = list(torch.cat([values.new_zeros(count, reach), unit]).unbind(1))
    rows = torch.cat([values, values.new_zeros(reach, values.shape[1])])
    for value in rows.unbind(1):
        before = errors[-reach:]
        errors.append(value - sum(one * before[reach - lag] for lag, one in of_errors.items()))
    found = torch.stack(errors, 1)
    responses = -found[count:, reach:].T
    first = torch.linalg.solve(responses.T @ responses + unit, responses.T @ found[:count, reach:].T).T
    return found[:count] + first @ found[count:]


def _is_stationary(values: np.ndarray) -> bool:
    """The KPSS test for a level, with as many lags as its authors propose for 5 per cent."""
    from statsmodels.tsa.stattools import kpss

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the probability lies beyond a table
        statistic = kpss(values, nlags=int(4 * (len(values) / 100) ** 0.25))[0]
    return bool(statistic < _STATIONARY)


class _Candidate(NamedTuple):
    """A model that was tried.

    Attributes:
        criterion: The corrected information criterion of its conditional sum of squares.
        orders: Numbers of its coefficients.
        mean: What was subtracted.
        coefficients: Those of the least sum of squares.
    """

    criterion: float
    orders: Orders
    mean: float
    coefficients: np.ndarray


def _best(values: np.ndarray, cycle: int, differences: int) -> _Candidate:
    """The model with the least criterion, found step by step: one order more or less at a time, or one of each kind."""
    mean = float(values.mean())
    # A mean of twice differenced values would be a parabola.
    means = {0: (mean,), 1: (0.0, mean)}.get(differences, (0.0,))
    most = _SEASONAL_ORDER if cycle > 1 and len(values) >= 2 * cycle else 0
    tried: dict[tuple[Orders, float], _Candidate] = {}

    def attempt(orders: Orders, mean: float) -> None:
        plain, seasonally = (orders.ar, orders.ma), (orders.seasonal_ar, orders.seasonal_ma)
        fits = min(orders) >= 0 and max(plain) <= _ORDER and sum(plain) <= _TOGETHER and max(seasonally) <= most
        # The mean alone is of any length.
        told = not sum(orders) or sum(orders) + 3 < len(values) // 2
        if fits and told and (orders, mean) not in tried:
            tried[orders, mean] = _tried(values, orders, mean, cycle)

    for orders in ((0, 0, 0, 0), (2, 2, most, most), (1, 0, most, 0), (0, 1, 0, most)):
        attempt(Orders(*orders), means[-1])
    attempt(Orders(0, 0, 0, 0), means[0])
    while True:
        best = min(tried.values(), key=lambda one: one.criterion)
        for mean in means:
            for step in _STEPS:
                attempt(Orders(*(order + one for order, one in zip(best.orders, step, strict=True))), mean)
        if min(tried.values(), key=lambda one: one.criterion) is best:
            return best


def _tried(values: np.ndarray, orders: Orders, mean: float, cycle: int) -> _Candidate:
    coefficients, squares = _least_squares(values - mean, orders, cycle)
    size = sum(orders) + (mean != 0) + 1
    criterion = len(values) * np.log(squares / len(values) + 1e-300)
    criterion += 2 * size * len(values) / max(len(values) - size - 1, 1)
    return _Candidate(criterion, orders, mean, coefficients)


def _least_squares(values: np.ndarray, orders: Orders, cycle: int) -> tuple[np.ndarray, float]:
    """The coefficients with the least sum of squared errors, where those before the start are zero, and that sum."""
    from scipy import signal
    from scipy.optimize import least_squares

    def errors(coefficients: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            found = signal.lfilter(*_expanded(coefficients, orders, cycle), values)
        return np.nan_to_num(found, nan=1e6, posinf=1e6, neginf=-1e6).clip(-1e6, 1e6)

    if not sum(orders):
        return np.zeros(0), float((values**2).sum())
    found = least_squares(errors, np.full(sum(orders), 0.1), method="lm", max_nfev=30 * (sum(orders) + 1), ftol=1e-5)
    return found.x, float(2 * found.cost) if _is_stable(found.x, orders, cycle) else np.inf


def _is_stable(coefficients: np.ndarray, orders: Orders, cycle: int) -> bool:
    """Whether values stay bounded and errors are forgotten."""
    ar, ma, seasonal_ar, seasonal_ma = orders.split(coefficients)
    for polynomial in (-ar, ma, -seasonal_ar, seasonal_ma):
        if len(polynomial) and np.abs(np.roots(np.r_[1.0, polynomial])).max() > 0.995:
            return False
    return True


def _exact(values: np.ndarray, orders: Orders, coefficients: np.ndarray, cycle: int) -> np.ndarray:
    """The coefficients of the highest likelihood; those that were given, if none that are stable are found."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    has_season = orders.seasonal_ar + orders.seasonal_ma > 0
    seasonal_orders = (orders.seasonal_ar, 0, orders.seasonal_ma, cycle if has_season else 0)
    model = SARIMAX(values, order=(orders.ar, 0, orders.ma), seasonal_order=seasonal_orders)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of starting values, and of an end by maxiter
        found = model.fit(np.r_[coefficients, values.var()], disp=False, maxiter=30).params[:-1]
    return found if np.isfinite(found).all() and _is_stable(found, orders, cycle) else coefficients
