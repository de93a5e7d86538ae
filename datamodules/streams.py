"""Batches of a long stream of token ids: lanes, windows and chunks, all cut out of one tensor that may lie on disk."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.memory import EpochBatches, Rows, Split


class Lanes(Rows):
    """Contiguous lanes of equal length, walked abreast; an item is one window of each and the tokens that follow.

    Args:
        tokens: Ids, ``(T,)``.
        window: Tokens of an item.
        lanes: Number of lanes of all processes together.
        mine: Those of this process.

    Shape:
        - Inputs and targets: int64 ``(lanes, window)``; targets are the successors of the inputs.
    """

    def __init__(self, tokens: Tensor, window: int, lanes: int, mine: slice) -> None:
        length = len(tokens) // lanes
        super().__init__((tokens[: lanes * length].view(lanes, length)[mine],))
        self.window = window
        self.count = _count(length, window, f"{lanes} lanes of {len(tokens):,} tokens")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, starts: Any) -> Split:
        start = int(starts)
        piece = self.tensors[0][:, start : start + self.window + 1].long()
        return piece[:, :-1], piece[:, 1:]


class Windows(Rows):
    """All windows that follow each other, and the tokens that come next; an item is a batch of them.

    Args:
        tokens: Ids, ``(T,)``.
        window: Tokens of a window.

    Shape:
        - Inputs and targets: int64 ``(N, window)``; targets are the successors of the inputs.
    """

    def __init__(self, tokens: Tensor, window: int) -> None:
        super().__init__((tokens,))
        self.window = window
        self.count = _count(len(tokens), window, f"a text of {len(tokens):,} tokens")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, starts: Any) -> Split:
        (tokens,) = self.tensors
        piece = torch.stack([tokens[start : start + self.window + 1] for start in starts.tolist()]).long()
        return piece[:, :-1], piece[:, 1:]


def _count(length: int, window: int, name: str) -> int:
    """How many windows fit, wherever between two of them the first one begins."""
    count = length // window - 1
    if count < 1:
        raise DataError(
            f"{name} hold less than two windows of {window}; use a smaller --data.window or --data.batch_size"
        )
    return count


class Shifted(EpochBatches):
    """Starts of windows in batches; every epoch cuts the stream at other places.

    Args:
        rows: :class:`Lanes` or :class:`Windows`.
        batch_size: Windows in a batch of one process.
        shuffle: Draw a new order every epoch; otherwise ascending.
        seed: Together with the epoch it determines order and cuts.
        num_replicas: Number of processes.
        rank: This process, counted from zero.
    """

    def __init__(
        self,
        rows: Lanes | Windows,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        super().__init__(rows, batch_size, shuffle, seed, num_replicas, rank)
        self.window = rows.window

    def __iter__(self) -> Iterator[Tensor]:
        for positions in super().__iter__():
            # After the base has been asked, which is when the epoch is known.
            generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
            yield positions * self.window + int(torch.randint(self.window, (1,), generator=generator))


class Chunks(Rows):
    """The whole stream in pieces, each with what lies before it; an item is one piece.

    Where lines are sentences, pieces consist of whole ones, and some may be empty.

    Args:
        tokens: Ids, ``(T,)``.
        size: Tokens of a piece, about.
        end: Id that ends a sentence, if lines are sentences.
        context: Tokens to show before a piece, as many as there are.
        processes: The number of pieces is a multiple of it.

    Shape:
        - Context: int64 ``(C,)``, nothing for the first piece.
        - Piece: int64 ``(T,)``.
    """

    def __init__(self, tokens: Tensor, size: int, end: int | None, context: int, processes: int) -> None:
        super().__init__((tokens,))
        count = -(-len(tokens) // (size * processes)) * processes
        self.end, self.context = end, context
        self.borders = [len(tokens) * number // count for number in range(count + 1)]

    def __len__(self) -> int:
        return len(self.borders) - 1

    def __getitem__(self, positions: Any) -> Split:
        (tokens,) = self.tensors
        start, stop = (self._whole(self.borders[int(positions) + side]) for side in (0, 1))
        return tokens[max(start - self.context, 0) : start].long(), tokens[start:stop].long()

    def _whole(self, border: int) -> int:
        """Moves a border behind the next end of a sentence."""
        (tokens,) = self.tensors
        if self.end is None or border == 0:
            return border
        for start in range(border - 1, len(tokens), 1024):
            ends = (tokens[start : start + 1024].long() == self.end).nonzero()
            if len(ends):
                return start + int(ends[0]) + 1
        return len(tokens)
