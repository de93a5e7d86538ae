"""A back-off model as a part of a network's state: n-grams in a trie, counts from which probabilities follow."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.text.ngram_counts import Level
from zoo.text.smoothing import (
    FALLBACK,
    BackOffTable,
    Counted,
    Smoothing,
    add_k,
    check_pruning,
    discounts,
    kneser_ney,
    maximum_likelihood,
)

_NARROW = torch.uint16
# Tokens that are scored at once.
_BLOCK = 1 << 18


class BackOff(nn.Module):
    """The n-grams of all orders, and the probability of any word after any others.

    Kept in the state are whole numbers: for every order ``n`` the last ``words_n`` of its n-grams, sorted by all their
    words, how many n-grams one longer go on from each (``children_n``), and ``counts_n``, of which probabilities are
    computed anew, in double precision, where they are needed; for pruned models also the ``lost_n`` counts after each
    context one shorter. An imported model has ``log_probs_n`` and ``back_offs_n`` instead of counts.

    Args:
        order: Length of the longest n-grams.
        vocab_size: Number of token ids, ``V``.
        start: Id of the start of a sentence.
        end: Id of its end.
        smoothing: ``kneser_ney``, ``add_k`` or ``maximum_likelihood``.
        k: Of ``add_k``.
    """

    discounts: Tensor

    def __init__(
        self, order: int, vocab_size: int, start: int, end: int, smoothing: Smoothing = "kneser_ney", k: float = 1.0
    ) -> None:
        super().__init__()
        self.order, self.vocab_size, self.start, self.end = order, vocab_size, start, end
        self.smoothing, self.k = smoothing, k
        self.register_buffer("discounts", torch.tensor([FALLBACK] * order, dtype=torch.float64))
        self._runtime: _Runtime | None = None

    def fill(self, levels: list[Level], prune: list[int]) -> list[int]:
        """Takes up what was counted.

        Args:
            levels: Of :meth:`NGramCounts.levels`.
            prune: For each order, n-grams that occur so often or less are dropped, as KenLM does; the last value holds
                for all further orders.

        Returns:
            The orders whose discounts could not be estimated, so that usual ones are taken.
        """
        kneser = self.smoothing == "kneser_ney"
        thresholds = check_pruning(prune, self.order)
        fallen = []
        kept_below = torch.ones(1, dtype=torch.bool, device=levels[0].words.device)
        tables: dict[str, Tensor] = {}
        counted: list[Counted] = []
        for place, (level, threshold) in enumerate(zip(levels, thresholds, strict=True)):
            counts = level.adjusted if kneser else level.raw
            if place == 0:
                counts = counts.clone()
                counts[self.start] = 0
            if kneser:
                found = discounts(counts)
                self.discounts[place] = torch.tensor(FALLBACK).double() if found is None else found.cpu()
                fallen += [place + 1] if found is None else []
            kept = level.raw > threshold if place else torch.ones_like(level.words, dtype=torch.bool)
            rank_below = kept_below.cumsum(0) - 1
            lost = torch.zeros(len(kept_below), dtype=torch.int64, device=counts.device)
            lost.scatter_add_(0, level.contexts, torch.where(kept, 0, counts))
            lost = lost[kept_below]
            contexts, suffixes = rank_below[level.contexts[kept]], rank_below[level.suffixes[kept]]
            counted.append(Counted(level.words[kept], contexts, suffixes, counts[kept], lost))
            if place:
                tables[f"words_{place + 1}"] = counted[-1].words
                tables[f"children_{place}"] = torch.bincount(contexts, minlength=len(lost))
                if threshold:
                    tables[f"lost_{place + 1}"] = lost
            tables[f"counts_{place + 1}"] = counted[-1].counts
            kept_below = kept
        self._set({name: _smallest(table) for name, table in tables.items()})
        self._runtime = self._estimate(counted)
        return fallen

    def import_table(self, words: list[Tensor], contexts: list[Tensor], table: BackOffTable) -> None:
        """Takes up an imported model.

        Args:
            words: The last word of each n-gram, for orders from 2, sorted by all words.
            contexts: Row of what precedes it, ascending.
            table: Of all orders.
        """
        tables: dict[str, Tensor] = {}
        for place, log_probs in enumerate(table.log_probs):
            tables[f"log_probs_{place + 1}"] = log_probs.double()
            if place:
                tables[f"words_{place + 1}"] = _smallest(words[place - 1])
                size = len(table.log_probs[place - 1])
                tables[f"children_{place}"] = _smallest(torch.bincount(contexts[place - 1], minlength=size))
                tables[f"back_offs_{place}"] = table.back_offs[place - 1].double()
        self._set(tables)

    def _set(self, tables: dict[str, Tensor]) -> None:
        """Replaces the tables that are kept in the state."""
        for name in [name for name in self._buffers if name != "discounts"]:
            del self._buffers[name]
        for name, table in tables.items():
            self.register_buffer(name, table)
        self._runtime = None

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # How many tables there are, and how long, is known only now.
        own = {name.removeprefix(prefix): table for name, table in state_dict.items() if name.startswith(prefix)}
        self._set({name: torch.empty_like(table) for name, table in own.items() if _is_table(name, self.order)})
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _apply(self, *arguments: Any, **options: Any) -> Any:
        self._runtime = None
        return super()._apply(*arguments, **options)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out what is made again on demand; of torch's uint16, which pickle cannot write, it gets the bytes."""
        narrow = {name: table for name, table in self._buffers.items() if table is not None and table.dtype == _NARROW}
        tables = {**self._buffers, **{name: table.view(torch.int16) for name, table in narrow.items()}}
        return {**self.__dict__, "_runtime": None, "_buffers": tables, "_narrow": list(narrow)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes up such a state."""
        narrow = state.pop("_narrow", [])
        super().__setstate__(state)
        for name in narrow:
            self._buffers[name] = self.get_buffer(name).view(_NARROW)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted yet."""
        return not any(name in self._buffers for name in ("counts_1", "log_probs_1"))

    @property
    def sizes(self) -> list[int]:
        """Number of n-grams of each order."""
        return [len(log_probs) for log_probs in self.runtime.log_probs]

    @property
    def runtime(self) -> "_Runtime":
        """Probabilities and ways to find them, made when first asked for.

        Raises:
            ZooError: There are no n-grams, or the tables contradict each other.
        """
        if self._runtime is None:
            if self.is_empty:
                raise ZooError("this n-gram model has counted nothing yet; train it for an epoch")
            try:
                self._runtime = self._build()
            except (KeyError, RuntimeError, IndexError) as error:
                raise ZooError(f"the tables of the n-gram model contradict each other: {error}") from error
        return self._runtime

    def _build(self) -> "_Runtime":
        tables = {name: table for name, table in self.named_buffers() if name != "discounts"}
        vocabulary = torch.arange(self.vocab_size, device=self.discounts.device)
        words, contexts = [vocabulary], [torch.zeros_like(vocabulary)]
        for order in range(2, self.order + 1):
            last, children = tables[f"words_{order}"].long(), tables[f"children_{order - 1}"].long()
            if len(children) != len(words[-1]) or bool((children < 0).any()) or int(children.sum()) != len(last):
                raise RuntimeError(f"{len(words[-1])} n-grams of order {order - 1} have {len(children)} children")
            if bool((last < 0).any()) or bool((last >= self.vocab_size).any()):
                raise RuntimeError(f"a word of order {order} is out of vocabulary")
            above = torch.repeat_interleave(torch.arange(len(children), device=last.device), children)
            keys = above * self.vocab_size + last
            if bool((keys[1:] <= keys[:-1]).any()):
                raise RuntimeError(f"n-grams of order {order} are not in order")
            words.append(last)
            contexts.append(above)
        if "log_probs_1" in tables:
            log_probs = [tables[f"log_probs_{order}"] for order in range(1, self.order + 1)]
            back_offs = [tables[f"back_offs_{order}"] for order in range(1, self.order)]
            _check_lengths(words, log_probs, back_offs)
            return _Runtime(words, contexts, BackOffTable(log_probs, back_offs), self.vocab_size)
        counted: list[Counted] = []
        for order, (last, above) in enumerate(zip(words, contexts, strict=True), start=1):
            counts = tables[f"counts_{order}"].long()
            if len(counts) != len(last) or bool((counts < 0).any()):
                raise RuntimeError(f"{len(last)} n-grams of order {order} have {len(counts)} counts")
            size = 1 if order == 1 else len(words[order - 2])
            lost = tables.get(f"lost_{order}", counts.new_zeros(size)).long()
            if len(lost) != size:
                raise RuntimeError(f"{size} contexts of order {order} have lost {len(lost)} counts")
            suffixes = torch.zeros_like(above) if order == 1 else last
            if order > 2:
                below = counted[-1]
                wanted = below.suffixes[above] * self.vocab_size + last
                suffixes = find(below.contexts * self.vocab_size + below.words, wanted)
                if bool((suffixes < 0).any()):
                    raise RuntimeError(f"an n-gram of order {order} has no shorter form")
            counted.append(Counted(last, above, suffixes, counts, lost))
        return self._estimate(counted)

    def _estimate(self, counted: list[Counted]) -> "_Runtime":
        if self.smoothing == "kneser_ney":
            table = kneser_ney(counted, self.discounts, self.start)
        elif self.smoothing == "add_k":
            table = add_k(counted, self.k, self.start)
        else:
            table = maximum_likelihood(counted, self.start)
        words, contexts = [level.words for level in counted], [level.contexts for level in counted]
        return _Runtime(words, contexts, table, self.vocab_size)

    def score(self, tokens: Tensor) -> Tensor:
        """The log-probability of every token of whole sentences.

        Args:
            tokens: Ids, ``(T,)``; a sentence begins where the one before ended.

        Returns:
            In nats, float64 ``(T,)``.
        """
        found = []
        start = 0
        while start < len(tokens):
            stop = min(start + _BLOCK, len(tokens))
            if stop < len(tokens):
                ends = (tokens[start:stop] == self.end).nonzero()
                stop = start + int(ends[-1]) + 1 if len(ends) else len(tokens)
            found.append(self._score(tokens[start:stop]))
            start = stop
        return torch.cat(found) if found else self.discounts.new_empty(0)

    def _score(self, tokens: Tensor) -> Tensor:
        runtime = self.runtime
        opens = torch.ones_like(tokens, dtype=torch.bool)
        opens[1:] = tokens[:-1] == self.end
        # Every sentence gets its start, whose own probability is dropped in the end.
        places = torch.arange(len(tokens), device=tokens.device) + opens.cumsum(0)
        stream = tokens.new_full((len(tokens) + int(opens.sum()),), self.start)
        stream[places] = tokens
        log_probs = runtime.log_probs[0][stream]
        rows = stream
        for order in range(2, self.order + 1):
            # The row of the n-gram one shorter that ends at the token before; a start follows nothing.
            before = torch.cat([rows.new_full((1,), -1), rows[:-1]])
            before = torch.where(stream == self.start, -1, before)
            known = (before >= 0).nonzero().squeeze(1)
            above = before[known]
            hits = find(runtime.keys[order - 1], above * self.vocab_size + stream[known])
            backed = log_probs[known] + runtime.back_offs[order - 2][above]
            values = runtime.log_probs[order - 1]
            # Pruning may leave an order empty.
            log_probs[known] = torch.where(hits >= 0, values[hits.clamp(min=0)], backed) if len(values) else backed
            rows = torch.full_like(rows, -1).scatter_(0, known, hits)
        return log_probs[places]

    def next_log_probs(self, contexts: Tensor) -> Tensor:
        """What may follow: the log-probability of every token after each context.

        Args:
            contexts: The last ``order - 1`` ids of each text, ``(N, order - 1)``, -1 where nothing is known.

        Returns:
            In nats, float64 ``(N, V)``; the start of a sentence follows nothing.
        """
        runtime = self.runtime
        rows = []
        for context in contexts.tolist():
            found = runtime.log_probs[0].clone()
            known = [token for token in context if token >= 0]
            for length in range(1, len(known) + 1):
                row = runtime.row(known[-length:])
                if row < 0:
                    break
                found += runtime.back_offs[length - 1][row]
                children = slice(runtime.starts[length - 1][row], runtime.starts[length - 1][row + 1])
                found[runtime.words[length][children]] = runtime.log_probs[length][children]
            found[self.start] = -torch.inf
            rows.append(found)
        return torch.stack(rows)

    def ngrams(self, order: int) -> Tensor:
        """The words of all n-grams of an order, ``(M, order)``."""
        runtime = self.runtime
        rows = torch.arange(len(runtime.words[order - 1]), device=self.discounts.device)
        columns = []
        for place in range(order, 0, -1):
            columns.append(runtime.words[place - 1][rows])
            rows = runtime.contexts[place - 1][rows]
        return torch.stack(columns[::-1], 1)


class _Runtime:
    """Probabilities, and what finds an n-gram's row.

    Args:
        words: Last words, of every order.
        contexts: Rows of what precedes them.
        table: Log-probabilities and back-off weights.
        vocab_size: Number of token ids.
    """

    def __init__(self, words: list[Tensor], contexts: list[Tensor], table: BackOffTable, vocab_size: int) -> None:
        self.words, self.contexts = words, contexts
        self.log_probs, self.back_offs = table
        self.keys = [above * vocab_size + last for above, last in zip(contexts, words, strict=True)]
        # For each n-gram, where those that go on from it begin; for look-ups one by one, in memory that Python reaches.
        self.starts: list[np.ndarray] = []
        self._words: list[np.ndarray] = [last.cpu().numpy() for last in words]
        for above, size in zip(contexts[1:], map(len, words), strict=False):
            begins = torch.searchsorted(above, torch.arange(size + 1, device=above.device))
            self.starts.append(begins.cpu().numpy())

    def row(self, ngram: list[int]) -> int:
        """The row of an n-gram, -1 if it is unknown."""
        row = ngram[0]
        for length, word in enumerate(ngram[1:], start=1):
            begin, end = self.starts[length - 1][row], self.starts[length - 1][row + 1]
            place = begin + int(np.searchsorted(self._words[length][begin:end], word))
            if place == end or self._words[length][place] != word:
                return -1
            row = place
        return int(row)


def find(keys: Tensor, wanted: Tensor) -> Tensor:
    """The rows of keys, which ascend; -1 for those that are not there."""
    if not len(keys):
        return torch.full_like(wanted, -1)
    # In order, so that look-ups share what the processor has read: several times as fast.
    ordered, order = torch.sort(wanted)
    rows = torch.searchsorted(keys, ordered).clamp_(max=len(keys) - 1)
    rows = torch.where(keys[rows] == ordered, rows, -1)
    return torch.empty_like(rows).scatter_(0, order, rows)


def _is_table(name: str, order: int) -> bool:
    kind, _, number = name.rpartition("_")
    kinds = ("words", "children", "counts", "lost", "log_probs", "back_offs")
    return kind in kinds and number.isdecimal() and 1 <= int(number) <= order


def _check_lengths(words: list[Tensor], log_probs: list[Tensor], back_offs: list[Tensor]) -> None:
    for order, (last, values) in enumerate(zip(words, log_probs, strict=True), start=1):
        if len(last) != len(values) or values.dtype != torch.float64:
            raise RuntimeError(f"{len(last)} n-grams of order {order} have {len(values)} probabilities")
    for order, (last, values) in enumerate(zip(words[:-1], back_offs, strict=True), start=1):
        if len(last) != len(values) or values.dtype != torch.float64:
            raise RuntimeError(f"{len(last)} n-grams of order {order} have {len(values)} back-off weights")


def _smallest(table: Tensor) -> Tensor:
    """The same whole numbers in the smallest type that holds them."""
    most = int(table.max()) if len(table) else 0
    kinds = ((torch.uint8, 8), (torch.uint16, 16), (torch.int32, 31), (torch.int64, 63))
    return table.to(next(kind for kind, bits in kinds if most < 1 << bits))
