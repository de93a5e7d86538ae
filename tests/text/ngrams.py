"""N-gram models of a small text and of Shakespeare, counted once, and what KenLM reaches on the same."""

from functools import cache
from itertools import pairwise
from typing import Any

import torch
from conftest import ROOT
from torch import Tensor

from datamodules import Shakespeare
from datamodules.text.tokenizer import Tokenizer
from zoo.text.backoff import BackOff
from zoo.text.ngram_counts import NGramCounts

UNKNOWN, START, END = range(3)

# Perplexities that KenLM's lmplz and query reach on the same text: with and without what is out of vocabulary.
KENLM = {
    2: {"val": (142.3332, 131.8968), "test": (146.2781, 136.1110)},
    3: {"val": (124.4299, 115.1552), "test": (127.2248, 118.2404)},
    5: {"val": (122.1200, 113.0080), "test": (124.6301, 115.8133)},
}


@cache
def shakespeare(split: str, unit: Any = "words") -> Tensor:
    return Shakespeare(str(ROOT / "data"), unit=unit).tokens.ids[split].long()


def tokenizer(unit: Any = "words") -> Tokenizer:
    return Shakespeare(str(ROOT / "data"), unit=unit).tokens.tokenizer


def count(tokens: Tensor, order: int, vocab_size: int, chunks: int = 1) -> NGramCounts:
    """Counts a text, in pieces of whole sentences."""
    counts = NGramCounts(order, vocab_size, START, END)
    ends = (tokens == END).nonzero().squeeze(1) + 1
    borders = [0, *ends[torch.linspace(0, len(ends) - 1, chunks + 1)[1:].long()].tolist()]
    for start, stop in pairwise(borders):
        counts.add(tokens[start:stop])
    return counts


def fit(tokens: Tensor, order: int, vocab_size: int, prune: tuple[int, ...] = (), **settings: Any) -> BackOff:
    table = BackOff(order, vocab_size, START, END, **settings)
    table.fill(count(tokens, order, vocab_size).levels(), list(prune))
    return table


@cache
def words_of_shakespeare(order: int, prune: tuple[int, ...] = ()) -> BackOff:
    return fit(shakespeare("train"), order, tokenizer().vocab_size, prune)


def small_text(size: int = 7, sentences: int = 60, seed: int = 0) -> Tensor:
    """Sentences in which some words follow others more often."""
    generator = torch.Generator().manual_seed(seed)
    tokens = []
    for _ in range(sentences):
        length = int(torch.randint(0, 8, (1,), generator=generator))
        words = (torch.randint(3, size, (length,), generator=generator) % 5 + 2).clamp(min=3)
        tokens += [*words.tolist(), END]
    return torch.tensor(tokens)
