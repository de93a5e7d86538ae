"""A long stream of token ids in pieces, cut out of one tensor that may lie on disk."""

from typing import Any

from torch import Tensor

from datamodules.memory import Rows, Split


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
