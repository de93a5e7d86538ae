"""Windows of many series, each by itself, for one model that learns from all of them."""

from typing import Any

import torch
from torch import Tensor

from datamodules.memory import EpochBatches, Rows, Split
from datamodules.series.covariates import WindowsBeside, joined

# Windows that an epoch draws, or batches if these are more windows; of more there are, each epoch draws others.
DRAWN, DRAWN_BATCHES = 1 << 13, 64
# Windows that an evaluation in training looks at, about; a test looks at all.
_LOOKED_AT = 1 << 16


class PooledWindows(Rows):
    """All windows of each of many series that lie within it, and what follows each.

    Args:
        values: The series, ``(T, C)``; NaN before one begins and after it ends.
        period: Points to forecast; windows may begin before them.
        window: Number of steps that are seen.
        horizon: Number of steps that follow.
        beside: Covariates of the same points, ``(T, P + K, C)``, if there are any.
        past: Number of those that are known up to now.

    Shape:
        - Inputs: ``(N, window, 1)``; with covariates ``(N, window + horizon, 1 + P + K)``, see
          :func:`~datamodules.series.covariates.joined`.
        - Targets: ``(N, horizon, 1)``.
    """

    def __init__(
        self, values: Tensor, period: range, window: int, horizon: int, beside: Tensor | None = None, past: int = 0
    ) -> None:
        self.window, self.series = window, values.T.contiguous()
        self.beside, self.past = beside, past
        begins, ends = bounds(values)
        self.first = torch.maximum(begins, torch.tensor(period.start - window).clamp_min(0))
        counts = (ends.clamp_max(period.stop) - self.first - (window + horizon) + 1).clamp_min(0)
        self.stops, self.counts = counts.cumsum(0), counts
        self._steps = torch.arange(window + horizon)
        super().__init__((self.series,))

    @property
    def num_short(self) -> int:
        """Number of series that hold no window."""
        return int((self.counts == 0).sum())

    def __len__(self) -> int:
        return int(self.stops[-1])

    def __getitem__(self, positions: Any) -> Split:
        series = torch.searchsorted(self.stops, positions, right=True)
        starts = self.first[series] + positions - (self.stops - self.counts)[series]
        # One gather of all that a batch needs is faster than one of the inputs and one of the targets.
        places = (series * self.series.shape[1] + starts)[:, None] + self._steps
        rows = self.series.view(-1).take(places)[..., None]
        inputs, targets = rows[:, : self.window], rows[:, self.window :]
        if self.beside is None:
            return inputs, targets
        around = self.beside[starts[:, None] + self._steps, :, series[:, None]]
        return joined(inputs, around[..., None], self.past), targets


class DrawnBatches(EpochBatches):
    """Batches of as many rows as are drawn each epoch, others every time. See :class:`EpochBatches`."""

    def __init__(
        self, rows: PooledWindows, batch_size: int, seed: int = 0, num_replicas: int = 1, rank: int = 0
    ) -> None:
        self.count, most = len(rows), DRAWN_BATCHES * batch_size * num_replicas
        super().__init__(rows, batch_size, True, seed, num_replicas, rank, min(self.count, max(DRAWN, most)))

    def drawn(self, generator: torch.Generator) -> Tensor:
        """All positions in a new order, or as many as are drawn."""
        if self.count <= self.size:
            return super().drawn(generator)
        return torch.randint(self.count, (self.size,), generator=generator)


class EvaluatedWindows(WindowsBeside):
    """Windows of many series beside each other, with the scales that their errors are measured by.

    See :class:`~datamodules.series.covariates.WindowsBeside` for the arguments not listed.

    Args:
        values: The series, ``(T, C)``.
        window: Number of steps that are seen.
        horizon: Number of steps that follow.
        scales: Of each series, ``(C,)``.
        every: Leave out all windows but every so many.

    Shape:
        - Inputs: ``(N, window, C)``; with covariates ``(N, window + horizon, C * (1 + P + K))``.
        - Targets: ``(N, horizon, C)``.
        - Scales: ``(C,)``.
    """

    def __init__(
        self, values: Tensor, window: int, horizon: int, scales: Tensor, every: int = 1, **covariates: Any
    ) -> None:
        super().__init__(values, window, horizon, **covariates)
        self.tensors = tuple(tensor[::every] for tensor in self.tensors)
        if self.beside is not None:
            self.beside = self.beside[::every]
        self.scales = scales

    def __getitem__(self, positions: Any) -> Split:
        return *super().__getitem__(positions), self.scales


def thinning(windows: int, horizon: int, count: int) -> int:
    """How far apart an evaluation in training looks at many series: not farther than a horizon.

    Args:
        windows: Number of windows of one series.
        horizon: Steps that follow each.
        count: Number of series.
    """
    return max(1, min(horizon, windows * count // _LOOKED_AT))


def bounds(values: Tensor) -> tuple[Tensor, Tensor]:
    """The first point of each series ``(C,)``, and the one after its last.

    Args:
        values: ``(T, C)``; NaN before a series begins and after it ends.
    """
    there = ~values.isnan()
    begins = there.int().argmax(0)
    ends = len(values) - there.flip(0).int().argmax(0)
    return begins, torch.where(there.any(0), ends, begins)
