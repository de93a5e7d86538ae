"""Windows and lanes over a long sequence, as strided views: nothing is copied before a batch asks for it.

The sequence may be a series ``(T, C)`` or token ids ``(T,)``, which are kept in a small type and given out as int64.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.memory import EpochBatches, Rows, Split, rows_at


class Steps(Rows):
    """Inputs and targets along a sequence.

    Attributes:
        steps: Number of steps that there are inputs and targets for, in each lane.
        points: Places of the targets in the whole sequence, where somebody has said so.
        names: Of the series.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, steps: int) -> None:
        super().__init__((inputs, targets))
        self.steps = steps
        self.points: range | None = None
        self.names: Sequence[str] | None = None
        self._timeline: Any = None

    def of(self, points: range, timeline: Any, names: Sequence[str]) -> Self:
        """Notes which points the targets are, when they were measured and what the series are called."""
        self.points, self._timeline, self.names = points, timeline, names
        return self

    @property
    def times(self) -> np.ndarray | None:
        """The times of the points, ``datetime64`` or whole numbers; None if nobody has said."""
        return None if self.points is None else self._timeline.at(np.arange(self.points.start, self.points.stop))

    def __getitem__(self, positions: Any) -> Split:
        return _given_out(rows_at(tensor, positions) for tensor in self.tensors)


class Windows(Steps):
    """All windows of a sequence and what follows each; indexing with a tensor of positions gives a whole batch.

    Args:
        values: The sequence, ``(T, ...)``.
        window: Number of steps that are seen.
        horizon: Number of steps that follow.
        sequence: Every step of the window has its successor as target, instead.

    Shape:
        - Inputs: ``(N, window, ...)``.
        - Targets: ``(N, horizon, ...)``, or ``(N, window, ...)`` for sequences.
    """

    def __init__(self, values: Tensor, window: int, horizon: int = 1, sequence: bool = False) -> None:
        if sequence:
            inputs, targets = values[:-1].unfold(0, window, 1), values[1:].unfold(0, window, 1)
        else:
            inputs, targets = values[:-horizon].unfold(0, window, 1), values[window:].unfold(0, horizon, 1)
        super().__init__(inputs.movedim(-1, 1), targets.movedim(-1, 1), len(values) - 1)

    @property
    def told(self) -> str:
        """What messages call them."""
        return f"a text of {self.steps + 1:,} tokens"


class Lanes(Steps):
    """Contiguous lanes of equal length that are walked abreast; an item is a chunk of all of them, by its first step.

    Args:
        values: One lane a row, ``(lanes, steps + 1, ...)``.
        chunk: Number of steps in a chunk; the last one may be shorter.

    Shape:
        - Inputs: ``(lanes, chunk, ...)``.
        - Targets: ``(lanes, chunk, ...)``, the successors of the inputs.
    """

    def __init__(self, values: Tensor, chunk: int) -> None:
        super().__init__(values[:, :-1], values[:, 1:], values.shape[1] - 1)
        self.chunk = chunk

    def share(self, processes: int, rank: int) -> Self:
        """Keeps the lanes of one process, which follow each other."""
        before = sum(len(part) for part in torch.tensor_split(self.tensors[0], processes)[:rank])
        self.tensors = tuple(torch.tensor_split(tensor, processes)[rank] for tensor in self.tensors)
        if self.points is not None:
            self.points = self.points[before * self.steps : (before + len(self.tensors[0])) * self.steps]
        return self

    @property
    def told(self) -> str:
        """What messages call them."""
        count = len(self.tensors[0])
        return f"{count} lanes of {count * (self.steps + 1):,} tokens"

    def __len__(self) -> int:
        return -(-self.steps // self.chunk)

    def __getitem__(self, positions: Any) -> Split:
        start = int(positions)
        return _given_out(tensor[:, start : start + self.chunk] for tensor in self.tensors)


def _given_out(tensors: Iterator[Tensor]) -> Split:
    return tuple(tensor if tensor.is_floating_point() else tensor.long() for tensor in tensors)


class Starts(EpochBatches):
    """First steps of chunks that follow each other, in batches.

    Args:
        rows: Windows or lanes.
        chunk: Number of steps in a chunk.
        batch_size: Largest number of chunks in a batch of one process.
        shuffle: Draw a new order every epoch; otherwise ascending.
        shifted: Cut the sequence at other places every epoch, by the same rule in all lanes.
        seed: Together with the epoch it determines order and cuts.
        num_replicas: Number of processes.
        rank: This process, counted from zero.

    Raises:
        DataError: The sequence is too short to be cut at other places.
    """

    def __init__(
        self,
        rows: Windows | Lanes,
        chunk: int,
        batch_size: int = 1,
        shuffle: bool = False,
        shifted: bool = False,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        # Wherever between two chunks the first one begins, as many fit.
        count = (rows.steps + 1) // chunk - 1 if shifted else -(-rows.steps // chunk)
        if count < 1:
            raise DataError(
                f"{rows.told} hold less than two windows of {chunk}; use a smaller --data.window or --data.batch_size"
            )
        super().__init__(rows, batch_size, shuffle, seed, num_replicas, rank, count)
        self.chunk, self.shifted = chunk, shifted

    def __iter__(self) -> Iterator[Tensor]:
        for positions in super().__iter__():
            shift = 0
            if self.shifted:
                # After the base has been asked, which is when the epoch is known.
                generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
                shift = int(torch.randint(self.chunk, (1,), generator=generator))
            yield positions * self.chunk + shift
