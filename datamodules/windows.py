"""Windows over a series as strided views of one tensor: nothing is copied before a batch asks for it.

A *period* is the range of the points to be forecast; what a window sees may lie before it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.memory import Rows, Split
from datamodules.timeline import Timeline


class Points(Rows):
    """Rows that forecast successive points of a series, of which they can tell time and name.

    Args:
        tensors: Inputs and targets.
        points: The points that are forecast, counted from the start of the series.
        timeline: When they were measured; without one they are numbered.
        names: Of the series.
    """

    def __init__(self, tensors: Split, points: range, timeline: Timeline | None, names: Sequence[str] | None) -> None:
        super().__init__(tensors)
        self.points, self.names = points, names
        self.timeline = timeline or Timeline()

    @property
    def times(self) -> np.ndarray:
        """The times of the points that are forecast, in order: ``datetime64``, or whole numbers."""
        return self.timeline.at(np.arange(self.points.start, self.points.stop))


class Windows(Points):
    """All windows whose targets lie within a period; indexing with a tensor of positions gives a whole batch.

    Args:
        values: The series, ``(T, C)``.
        period: Points to be forecast; those that have fewer than ``window`` points before them are left out.
        window: Number of points that are seen.
        horizon: Number of points that follow.
        sequence: Every point of the window has its successor as target.
        timeline: When the values were measured.
        names: Of the series.

    Shape:
        - Inputs: ``(N, window, C)``.
        - Targets: ``(N, horizon, C)``, or ``(N, window, C)`` for sequences.
    """

    def __init__(
        self,
        values: Tensor,
        period: range,
        window: int,
        horizon: int = 1,
        sequence: bool = False,
        timeline: Timeline | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        reach = values[max(period.start - window, 0) : period.stop]
        if sequence:
            inputs, targets = reach[:-1].unfold(0, window, 1), reach[1:].unfold(0, window, 1)
        else:
            inputs, targets = reach[:-horizon].unfold(0, window, 1), reach[window:].unfold(0, horizon, 1)
        points = range(max(period.start, window), period.stop)
        super().__init__((inputs.transpose(1, 2), targets.transpose(1, 2)), points, timeline, names)


class Lanes(Points):
    """Contiguous lanes of equal length that are walked abreast, chunk by chunk: a row is one chunk of all lanes.

    Args:
        values: The series, ``(T, C)``.
        period: Points to be forecast; their number is a multiple of ``lanes``.
        chunk: Number of points in a chunk; the last one may be shorter.
        lanes: Number of lanes.
        timeline: When the values were measured.
        names: Of the series.

    Shape:
        - Inputs: ``(lanes, chunk, C)``.
        - Targets: ``(lanes, chunk, C)``, the successors of the inputs.
    """

    def __init__(
        self,
        values: Tensor,
        period: range,
        chunk: int,
        lanes: int = 1,
        timeline: Timeline | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        inputs, targets = values[period.start - 1 : period.stop - 1], values[period.start : period.stop]
        tensors = inputs.unflatten(0, (lanes, -1)), targets.unflatten(0, (lanes, -1))
        super().__init__(tensors, period, timeline, names)
        self.chunk = chunk

    def share(self, processes: int, rank: int) -> "Lanes":
        """Keeps the lanes of one process, which follow each other."""
        before = sum(len(part) for part in torch.tensor_split(self.tensors[0], processes)[:rank])
        self.tensors = tuple(torch.tensor_split(tensor, processes)[rank] for tensor in self.tensors)
        lanes, steps = self.tensors[0].shape[:2]
        self.points = self.points[before * steps : (before + lanes) * steps]
        return self

    def __len__(self) -> int:
        return -(-self.tensors[0].shape[1] // self.chunk)

    def __getitem__(self, positions: Any) -> Split:
        start = int(positions) * self.chunk
        return tuple(tensor[:, start : start + self.chunk] for tensor in self.tensors)
