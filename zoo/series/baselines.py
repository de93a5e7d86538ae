"""Forecasts that learn nothing; what a network does not beat is not worth training (Hyndman and Athanasopoulos, 2021).

Each is a weighted sum of the latest values with fixed weights, so it reads like the linear model that it is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.series.forecaster import Forecaster, seasons_back

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

    def __init__(
        self,
        terms: Sequence[Sequence[tuple[int, Range]]],
        num_series: int,
        window: int,
        horizon: int,
        mean: Sequence[float],
        std: Sequence[float],
        period: int,
        naive_mae: Sequence[float],
    ) -> None:
        super().__init__(num_series, window, horizon, mean, std, period, naive_mae)
        self.network = FixedFilter(terms)
        self.shortest = self.network.weight.shape[1]
        if window < self.shortest:
            raise ZooError(
                f"{type(self).__name__} looks {self.shortest} steps back, but window is {window}; "
                f"use --data.window {self.shortest}"
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Forecasts in the series' own unit; normalising would only round them."""
        self.check(inputs)
        return self.network(inputs)

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

    def on_train_epoch_end(self) -> None:
        """Nothing to log: there is neither a loss nor a learning rate."""

    def configure_optimizers(self) -> None:
        """Nothing to optimise."""


class Naive(Baseline):
    """Forecasts that nothing changes: the last value stays. See :class:`Forecaster` for the arguments.

    Shape:
        - Input: ``(N, T, C)``.
        - Output: ``(N, H, C)``.
    """

    def __init__(
        self,
        num_series: int = 1,
        window: int = 1,
        horizon: int = 1,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        period: int = 1,
        naive_mae: Sequence[float] = (1.0,),
    ) -> None:
        terms = [[(1, (1, 1))]] * horizon
        super().__init__(terms, num_series, window, horizon, mean, std, period, naive_mae)
        self.save_hyperparameters()


class SeasonalNaive(Baseline):
    """Forecasts that the last season repeats itself. See :class:`Forecaster` for the arguments.

    Shape:
        - Input: ``(N, T, C)``, ``T`` at least ``period``.
        - Output: ``(N, H, C)``.

    Raises:
        ZooError: There is no season, or the window does not hold one.
    """

    def __init__(
        self,
        num_series: int = 1,
        window: int = 365,
        horizon: int = 1,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        period: int = 365,
        naive_mae: Sequence[float] = (1.0,),
    ) -> None:
        _need_season("SeasonalNaive", period)
        terms = [[(1, (back, back))] for back in seasons_back(horizon, period)]
        super().__init__(terms, num_series, window, horizon, mean, std, period, naive_mae)
        self.save_hyperparameters()


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

    def __init__(
        self,
        num_series: int = 1,
        window: int = 30,
        horizon: int = 1,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        period: int = 1,
        naive_mae: Sequence[float] = (1.0,),
        average: int = 30,
        centred: bool = False,
    ) -> None:
        _need_average("average", average, centred)
        if centred:
            _need_season("a centred MovingAverage", period)
        stretches = _past(horizon, period, average, centred) if centred else [(average, 1)] * horizon
        terms = [[(1, stretch)] for stretch in stretches]
        super().__init__(terms, num_series, window, horizon, mean, std, period, naive_mae)
        self.save_hyperparameters()


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
        num_series: int = 1,
        window: int = 415,
        horizon: int = 1,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        period: int = 365,
        naive_mae: Sequence[float] = (1.0,),
        average: int = 50,
        past_average: int = 11,
        centred: bool = True,
    ) -> None:
        _need_average("average", average, False)
        _need_average("past_average", past_average, centred)
        _need_season("SeasonalDifference", period)
        change = [(1, (average, 1)), (-1, (period + average, period + 1))]
        terms = [[(1, stretch), *change] for stretch in _past(horizon, period, past_average, centred)]
        super().__init__(terms, num_series, window, horizon, mean, std, period, naive_mae)
        self.save_hyperparameters()


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
