"""Forecasts that learn nothing; what a network does not beat is not worth training (Hyndman and Athanasopoulos, 2021).

Each is a weighted sum of the latest values with fixed weights, so it reads like the linear model that it is.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.series.forecaster import Forecaster
from zoo.series.metrics import seasons_back

Range = tuple[int, int]


class FixedFilter(nn.Module):
    """Sums of averages over fixed stretches of the latest values.

    Args:
        terms: For each step ahead a list of ``(sign, (first, last))``: the average of the values from ``first`` to
            ``last`` places before the end, both included, is added or subtracted; 1 is the last value.

    Shape:
        - Input: ``(N, T, C)``, ``T`` at least ``weight.shape[1]``.
        - Output: ``(N, len(terms), C)``.
    """

    weight: Tensor

    def __init__(self, terms: Sequence[Sequence[tuple[int, Range]]]) -> None:
        super().__init__()
        span = max(first for step in terms for _, (first, _) in step)
        weight = torch.zeros(len(terms), span)
        for row, step in zip(weight, terms, strict=True):
            for sign, (first, last) in step:
                row[span - first : span - last + 1] += sign / (first - last + 1)
        # The constructor's arguments determine it, so it has no place in a checkpoint.
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """The weighted sums."""
        latest = inputs[:, -self.weight.shape[1] :]
        # No matrix product: it would be rounded under mixed precision, and a naive forecast be inexact.
        return torch.stack([(latest * row[:, None]).sum(1) for row in self.weight], 1)


class Baseline(Forecaster):
    """Base of the forecasts that learn nothing; they are evaluated like all others. See :class:`Forecaster`.

    Training leaves a checkpoint of what the data says of itself. Several processes have nothing to share.
    """

    network: FixedFilter
    learns = False
    chooses = False
    looks_beside = False

    def look_at(self, terms: Sequence[Sequence[tuple[int, Range]]]) -> None:
        """Builds the network; see :class:`FixedFilter`.

        Raises:
            ZooError: The window is too short for it.
        """
        self.network = FixedFilter(terms)
        self.shortest = self.network.weight.shape[1]
        if self.window < self.shortest:
            raise ZooError(
                f"{type(self).__name__} looks {self.shortest} steps back, but window is {self.window}; "
                f"use --data.window {self.shortest}"
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Forecasts in the series' own unit; normalising would only round them."""
        given, _ = self.apart(self.take(inputs))
        if given.dtype != torch.float64:
            return self.network(given)
        # Weights of 32 bits add up to 1 only nearly, which a level far above the steps would show.
        last = given[:, -1:]
        return last + self.network(given - last)

    def setup(self, stage: str) -> None:
        """Refuses to be trained by several processes.

        Raises:
            ZooError: There are several.
        """
        if stage == "fit" and self.trainer.world_size > 1:
            raise ZooError(
                f"{type(self).__name__} learns nothing that {self.trainer.world_size} processes could share; "
                "use --trainer.devices 1"
            )

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Nothing to learn."""

    def configure_optimizers(self) -> None:
        """Nothing to optimise."""


class Naive(Baseline):
    """Forecasts that nothing changes: the last value stays. See :class:`Forecaster` for the arguments.

    Shape:
        - Input: ``(N, T, C)``.
        - Output: ``(N, H, C)``.
    """

    def __init__(self, window: int = 1, **options: Any) -> None:
        super().__init__(window=window, **options)
        self.look_at([[(1, (1, 1))]] * self.horizon)


class SeasonalNaive(Baseline):
    """Forecasts that the last season repeats itself. See :class:`Forecaster` for the arguments.

    Shape:
        - Input: ``(N, T, C)``, ``T`` at least ``period``.
        - Output: ``(N, H, C)``.

    Raises:
        ZooError: There is no season, or the window does not hold one.
    """

    def __init__(self, window: int = 365, period: int = 365, **options: Any) -> None:
        _need_season("SeasonalNaive", period)
        super().__init__(window=window, period=period, **options)
        self.look_at([[(1, (back, back))] for back in seasons_back(self.horizon, period)])


class MovingAverage(Baseline):
    """Forecasts the average of some values. See :class:`Forecaster` for the arguments not listed.

    Args:
        average: How many values.
        centred: Average around the same phase of the last season, whose both sides are known, instead of the latest
            values; ``average`` must be odd.

    Shape:
        - Input: ``(N, T, C)``, ``T`` at least ``average``, or ``period + average // 2`` if centred.
        - Output: ``(N, H, C)``.

    Raises:
        ZooError: There is no season to be centred in, ``average`` is even there, or the window is too short.
    """

    def __init__(self, average: int = 30, centred: bool = False, **options: Any) -> None:
        super().__init__(**options)
        _need_average("average", average, centred)
        if centred:
            _need_season("a centred MovingAverage", self.period)
        seasons = _past(self.horizon, self.period, average, centred) if centred else [(average, 1)] * self.horizon
        self.look_at([[(1, stretch)] for stretch in seasons])


class SeasonalDifference(Baseline):
    """Adds the average change since last season to last season's value, itself averaged over its neighbours if wanted.

    With ``d[t] = x[t] - x[t - period]`` the forecast of ``x[t]`` is the mean of ``d[t - average]`` to ``d[t - 1]`` plus
    the mean of the ``past_average`` values around ``x[t - period]``. See :class:`Forecaster` for the arguments not
    listed.

    Args:
        average: How many differences are averaged.
        past_average: How many values of last season are averaged; 1 takes the value as it is.
        centred: The values of last season lie around the same phase, as many on either side; otherwise they end there.

    Shape:
        - Input: ``(N, T, C)``, ``T`` at least ``period + average``.
        - Output: ``(N, H, C)``.

    Raises:
        ZooError: There is no season, ``past_average`` is even and centred, or the window is too short.
    """

    def __init__(
        self,
        window: int = 415,
        period: int = 365,
        average: int = 50,
        past_average: int = 11,
        centred: bool = True,
        **options: Any,
    ) -> None:
        _need_average("average", average, False)
        _need_average("past_average", past_average, centred)
        _need_season("SeasonalDifference", period)
        change = [(1, (average, 1)), (-1, (period + average, period + 1))]
        super().__init__(window=window, period=period, **options)
        self.look_at([[(1, stretch), *change] for stretch in _past(self.horizon, period, past_average, centred)])


def _past(horizon: int, period: int, average: int, centred: bool) -> list[Range]:
    """For each step ahead the stretch of ``average`` values at the same phase of the latest season that is known."""
    after = average // 2 if centred else 0
    before = average - 1 - after
    return [(back + before, back - after) for back in seasons_back(horizon, period, after)]


def _need_season(name: str, period: int) -> None:
    if period < 2:
        raise ZooError(f"{name} needs a season, but period is {period}; use data with a season, or --data.period")


def _need_average(name: str, count: int, centred: bool) -> None:
    if count < 1 or (centred and count % 2 == 0):
        raise ZooError(f"{name} is {count}, expected {'an odd number' if centred else 'at least 1'}")
