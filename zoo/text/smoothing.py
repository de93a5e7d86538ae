"""How counts become probabilities: modified Kneser-Ney, add-k, maximum likelihood; all as one back-off table."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from zoo.errors import ZooError

Smoothing = Literal["kneser_ney", "add_k", "maximum_likelihood"]

# What KenLM takes where counts of counts do not tell: of words that are characters, say.
FALLBACK = (0.5, 1.0, 1.5)


class Counted(NamedTuple):
    """The n-grams of one order with the counts that a smoothing goes by.

    Attributes:
        words: The last word of each, ``(M,)``.
        contexts: Row of what precedes it among the n-grams one shorter, ascending, ``(M,)``.
        suffixes: Row of what is left without the first word, likewise.
        counts: ``(M,)``.
        lost: Counts of the pruned n-grams that followed each n-gram one shorter.
    """

    words: Tensor
    contexts: Tensor
    suffixes: Tensor
    counts: Tensor
    lost: Tensor


class BackOffTable(NamedTuple):
    """Log-probabilities of n-grams, and what to add to those of shorter ones where an n-gram is unknown.

    Attributes:
        log_probs: Of each order, in nats, float64 ``(M,)``.
        back_offs: Of each order but the highest, float64 ``(M,)``.
    """

    log_probs: list[Tensor]
    back_offs: list[Tensor]


def discounts(counts: Tensor) -> Tensor | None:
    """The discounts of counts 1, 2 and more that leave-one-out estimation gives (Chen and Goodman, 1999, eq. 26).

    Args:
        counts: Adjusted counts of all n-grams of an order, zeros included, which do not matter.

    Returns:
        float64 ``(3,)``; None where the counts of counts give none, or senseless ones.
    """
    n = torch.bincount(counts.clamp(max=5), minlength=6).double().tolist()
    if not (n[1] and n[2] and n[3]):
        return None
    y = n[1] / (n[1] + 2 * n[2])
    found = [count - (count + 1) * y * n[count + 1] / n[count] for count in (1, 2, 3)]
    if not all(0 <= value <= count for value, count in zip(found, (1, 2, 3), strict=True)):
        return None
    return torch.tensor(found, dtype=torch.float64)


def kneser_ney(levels: list[Counted], discount: Tensor, start: int) -> BackOffTable:
    """Interpolated modified Kneser-Ney (Chen and Goodman, 1999), with the conventions of KenLM (Heafield et al., 2013).

    Single words are interpolated with the uniform distribution over the vocabulary without the start of a sentence,
    which has probability 1, as nobody is asked about it.

    Args:
        levels: Of every order, with adjusted counts.
        discount: Of counts 1, 2 and more, for each order, ``(order, 3)``.
        start: Id of the start of a sentence.
    """
    probs, back_offs = [], []
    below = discount.new_full((1,), 1 / (len(levels[0].words) - 1))
    below = below.to(levels[0].counts.device)
    for order, (level, given) in enumerate(zip(levels, discount.to(below.device), strict=True), start=1):
        table = torch.cat([given.new_zeros(1), given])
        taken = table[level.counts.clamp(max=3)]
        totals = level.lost.double().index_add(0, level.contexts, level.counts.double())
        freed = level.lost.double().index_add(0, level.contexts, taken)
        # What is never followed by anything hands everything on.
        weights = torch.where(totals > 0, freed / totals.clamp(min=1), 1.0)
        found = (level.counts.double() - taken) / totals[level.contexts]
        found = found + weights[level.contexts] * below[level.suffixes]
        if order == 1:
            found[start] = 1.0
        else:
            back_offs.append(weights.log())
        probs.append(found.log())
        below = found
    return BackOffTable(probs, back_offs)


def add_k(levels: list[Counted], k: float, start: int) -> BackOffTable:
    """Adds ``k`` to the count of every word after every context (Lidstone); after unknown contexts all are alike.

    Args:
        levels: Of every order, with raw counts.
        k: More than 0.
        start: Id of the start of a sentence, which is no word.
    """
    size = len(levels[0].words) - 1
    uniform = -math.log(size)
    probs, back_offs = [], []
    for order, level in enumerate(levels, start=1):
        totals = level.lost.double().index_add(0, level.contexts, level.counts.double())
        highest = order == len(levels)
        # Only the highest order counts; below it every word is as likely as any.
        values = (level.counts + k) / (totals[level.contexts] + k * size)
        found = values.log() if highest else torch.full_like(values, uniform)
        if order == 1:
            found[start] = 0.0
        else:
            back_offs.append((k * size / (totals + k * size)).log() if highest else torch.zeros_like(totals))
        probs.append(found)
    return BackOffTable(probs, back_offs)


def maximum_likelihood(levels: list[Counted], start: int) -> BackOffTable:
    """Relative frequencies: what was never seen after a context is impossible; unknown contexts are shortened.

    Args:
        levels: Of every order, with raw counts.
        start: Id of the start of a sentence.
    """
    probs, back_offs = [], []
    for order, level in enumerate(levels, start=1):
        totals = level.lost.double().index_add(0, level.contexts, level.counts.double())
        found = (level.counts.double() / totals[level.contexts]).log()
        if order == 1:
            found[start] = 0.0
        else:
            back_offs.append(torch.where(totals > 0, -torch.inf, 0.0).double())
        probs.append(found)
    return BackOffTable(probs, back_offs)


def check_pruning(prune: list[int], order: int) -> list[int]:
    """The thresholds of all orders: n-grams that occur so often or less are dropped; the last one counts on.

    Raises:
        ZooError: They descend, are negative, begin with more than 0 or are too many.
    """
    given = list(prune) or [0]
    if len(given) > order or given[0] != 0 or given != sorted(given):
        raise ZooError(f"prune is {prune}; expected at most {order} thresholds that begin with 0 and do not descend")
    return given + given[-1:] * (order - len(given))
