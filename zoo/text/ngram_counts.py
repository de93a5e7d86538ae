"""Counting n-grams by sorting: keys that mean the same in every chunk, process and device."""

from typing import NamedTuple

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError


class Level(NamedTuple):
    """All n-grams of one order that occur, in the order of their words from left to right.

    Attributes:
        words: The last word of each, ``(M,)``.
        contexts: Row of what precedes it among the n-grams one shorter, ascending, ``(M,)``; zeros for words.
        suffixes: Row of what is left without the first word, likewise.
        raw: How often each occurs, ``(M,)``.
        adjusted: Before how many different words it occurs (Kneser and Ney, 1995), or how often if nothing can precede
            it, as at the start of a sentence and in the highest order, ``(M,)``.
    """

    words: Tensor
    contexts: Tensor
    suffixes: Tensor
    raw: Tensor
    adjusted: Tensor


class NGramCounts:
    """Counts the n-grams of the highest order; all that is shorter follows from them, see :meth:`levels`.

    Texts are streams of token ids in which every sentence ends with ``end``; ``start`` stands before each, unwritten.
    An n-gram is packed into whole numbers of 63 bits, as many as it needs, which are sorted. Chunks become sorted runs,
    which are merged whenever two are of similar size, so that what is kept grows with the number of different n-grams
    (8 bytes a number and 8 for the count), not with the text.

    Args:
        order: Length of the n-grams.
        vocab_size: Number of token ids.
        start: Id of the start of a sentence.
        end: Id of its end.

    Raises:
        ZooError: The order is less than 1.
    """

    def __init__(self, order: int, vocab_size: int, start: int, end: int) -> None:
        if order < 1:
            raise ZooError(f"order is {order}, expected at least 1")
        self.order, self.vocab_size, self.start, self.end = order, vocab_size, start, end
        self.bits = max(1, (vocab_size - 1).bit_length())
        self._runs: list[tuple[Tensor, Tensor]] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not any(len(counts) for _, counts in self._runs)

    def add(self, tokens: Tensor) -> None:
        """Counts a chunk of whole sentences.

        Args:
            tokens: Ids of any integer type, ``(T,)``.

        Raises:
            ZooError: The chunk ends within a sentence, or a start is written.
        """
        if not len(tokens):
            return
        tokens = tokens.long()
        if int(tokens[-1]) != self.end:
            raise ZooError("a chunk ends within a sentence; n-grams are counted in whole ones, use --data.lines true")
        if bool((tokens == self.start).any()):
            raise ZooError("the text holds the token that stands for the start of a sentence")
        self._add_run(*_count(self._keys(tokens), None))

    def _keys(self, tokens: Tensor) -> Tensor:
        """The packed n-gram that ends at each token, ``(limbs, T)``, filled up with starts on the left."""
        ends = (tokens == self.end).nonzero().squeeze(1)
        lengths = torch.diff(ends, prepend=ends.new_full((1,), -1))
        places = torch.arange(len(tokens), device=tokens.device)
        within = places - torch.repeat_interleave(ends - lengths + 1, lengths)
        columns = []
        for back in range(self.order - 1, 0, -1):
            shifted = torch.cat([tokens.new_full((min(back, len(tokens)),), self.start), tokens[:-back]])
            columns.append(torch.where(within >= back, shifted, self.start))
        return self._pack([*columns, tokens])

    def _pack(self, columns: list[Tensor]) -> Tensor:
        """Packs words, first to last, into numbers of 63 bits, the last word in the lowest bits of the last number."""
        room = 63 // self.bits
        first = len(columns) % room or room
        limbs = []
        for stop in range(first, len(columns) + 1, room):
            limb = torch.zeros_like(columns[0])
            for column in columns[max(stop - room, 0) : stop]:
                limb = (limb << self.bits) | column
            limbs.append(limb)
        return torch.stack(limbs)

    def _unpack(self, keys: Tensor) -> list[Tensor]:
        """The inverse of packing n-grams of the highest order."""
        room, mask = 63 // self.bits, (1 << self.bits) - 1
        places = [divmod(place, room) for place in reversed(range(self.order))]
        return [(keys[-1 - limb] >> (self.bits * place)) & mask for limb, place in places]

    def _add_run(self, keys: Tensor, counts: Tensor) -> None:
        self._runs.append((keys, counts))
        while len(self._runs) > 1 and len(self._runs[-2][1]) < 2 * len(self._runs[-1][1]):
            later, earlier = self._runs.pop(), self._runs.pop()
            self._runs.append(_join(earlier, later))

    def merge(self, other: "NGramCounts") -> None:
        """Adds what somebody else has counted."""
        for keys, counts in other._runs:
            self._add_run(keys, counts)

    def gathered(self, device: torch.device | str = "cpu") -> "NGramCounts":
        """What all processes have counted together; alone, what this one has.

        Args:
            device: Where the processes' back end exchanges tensors.
        """
        together = NGramCounts(self.order, self.vocab_size, self.start, self.end)
        keys, counts = self._total()
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            together._runs = [(keys, counts)]
            return together
        table = torch.cat([keys, counts[None]]).to(device)
        world = torch.distributed.get_world_size()
        sizes = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(world)]
        torch.distributed.all_gather(sizes, torch.tensor([table.shape[1]], device=device))
        longest = max(int(size) for size in sizes)
        padded = F.pad(table, (0, longest - table.shape[1])).contiguous()
        tables = [torch.empty_like(padded) for _ in range(world)]
        torch.distributed.all_gather(tables, padded)
        parts = [found[:, : int(size)].to(counts.device) for found, size in zip(tables, sizes, strict=True)]
        joined = torch.cat(parts, 1)
        together._runs = [_count(joined[:-1], joined[-1])]
        return together

    def _total(self) -> tuple[Tensor, Tensor]:
        """All runs in one."""
        while len(self._runs) > 1:
            later, earlier = self._runs.pop(), self._runs.pop()
            self._runs.append(_join(earlier, later))
        if self._runs:
            return self._runs[0]
        return self._pack([torch.empty(0, dtype=torch.int64)] * self.order), torch.empty(0, dtype=torch.int64)

    def levels(self) -> list[Level]:
        """The n-grams of every order, from single words, of which there is a row for each id, to the highest.

        Raises:
            ZooError: Nothing was counted.
        """
        keys, counts = self._total()
        if not len(counts):
            raise ZooError("no n-gram was counted; the text is empty")
        padded = self._unpack(keys)
        leading = torch.stack([column == self.start for column in padded]).int().cumprod(0).sum(0)
        # What has more than one start before it is shorter, and comes in at its own order.
        shorter = {order: (leading == self.order - order + 1).nonzero().squeeze(1) for order in range(2, self.order)}
        whole = (leading <= 1).nonzero().squeeze(1)
        columns, raw = [column[whole] for column in padded], counts[whole]
        adjusted = raw
        found: list[tuple[list[Tensor], Tensor, Tensor, Tensor]] = []
        for order in range(self.order, 1, -1):
            if order == 2:
                suffixes = columns[1]
                found.append((columns, raw, adjusted, suffixes))
                break
            rows = shorter[order - 1]
            below = [
                torch.cat([column, other[rows]])
                for column, other in zip(columns[1:], padded[self.order - order + 1 :], strict=True)
            ]
            below_keys, below_raw, inverse = _unique(self._pack(below), torch.cat([raw, counts[rows]]))
            suffixes = inverse[: len(raw)]
            found.append((columns, raw, adjusted, suffixes))
            columns = [column[below_keys] for column in below]
            extensions = torch.zeros_like(below_raw).scatter_add_(0, suffixes, torch.ones_like(suffixes))
            raw, adjusted = below_raw, torch.where(columns[0] == self.start, below_raw, extensions)
        return self._trie(found, padded[-1], counts)

    def _trie(
        self, found: list[tuple[list[Tensor], Tensor, Tensor, Tensor]], last: Tensor, counts: Tensor
    ) -> list[Level]:
        device = counts.device
        empty = torch.zeros(self.vocab_size, dtype=torch.int64, device=device)
        raw = empty.scatter_add(0, last, counts)
        adjusted = raw
        if found:
            suffixes = found[-1][3]
            adjusted = empty.scatter_add(0, suffixes, torch.ones_like(suffixes))
        levels = [Level(torch.arange(self.vocab_size, device=device), empty, empty, raw, adjusted)]
        for columns, raw, adjusted, suffixes in reversed(found):
            contexts = columns[0]
            if len(columns) > 2:
                fresh = torch.stack([column[1:] != column[:-1] for column in columns[:-1]]).any(0)
                rank = torch.cat([fresh.new_zeros(1), fresh]).long().cumsum(0)
                # Within a sentence every n-gram is followed by something, unless it is the sentence's end.
                contexts = (levels[-1].words != self.end).nonzero().squeeze(1)[rank]
            levels.append(Level(columns[-1], contexts, suffixes, raw, adjusted))
        return levels


def _sort(keys: Tensor) -> Tensor:
    """The order of packed n-grams, ``(limbs, M)``, by their words from left to right."""
    order = torch.sort(keys[-1], stable=True).indices
    for limb in reversed(keys[:-1].unbind()):
        order = order[torch.sort(limb[order], stable=True).indices]
    return order


def _unique(keys: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Different n-grams in order: where each is among ``keys``, its summed counts, and the row of every key."""
    order = _sort(keys)
    ordered = keys[:, order]
    fresh = torch.ones(len(order), dtype=torch.bool, device=keys.device)
    fresh[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(0)
    rank = fresh.cumsum(0) - 1
    inverse = torch.empty_like(order).scatter_(0, order, rank)
    sums = counts.new_zeros(int(rank[-1]) + 1 if len(rank) else 0).scatter_add_(0, rank, counts[order])
    return order[fresh], sums, inverse


def _count(keys: Tensor, counts: Tensor | None) -> tuple[Tensor, Tensor]:
    """Different n-grams in order, ``(limbs, M)``, and how often each occurs."""
    if len(keys) == 1 and counts is None:
        ordered = torch.sort(keys[0]).values
        unique, sums = torch.unique_consecutive(ordered, return_counts=True)
        return unique[None], sums
    places, sums, _ = _unique(keys, torch.ones_like(keys[0]) if counts is None else counts)
    return keys[:, places], sums


def _join(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return _count(torch.cat([a[0], b[0]], 1), torch.cat([a[1], b[1]]))
