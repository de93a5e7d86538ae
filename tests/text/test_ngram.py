"""N-gram models: equal to KenLM, to a literal reckoning by hand, and to themselves however they were counted."""

import math
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from torch import Tensor

import zoo
from datamodules.text.tokenizer import Tokenizer
from zoo import ZooError, weights
from zoo.text.backoff import BackOff
from zoo.text.ngram import NGramLM
from zoo.text.ngram_counts import NGramCounts

from .ngrams import END, KENLM, START, UNKNOWN, count, fit, shakespeare, small_text, tokenizer, words_of_shakespeare

KENLM_PRUNED: dict[tuple[int, ...], tuple[float, float, int]] = {
    (0, 0, 1): (126.3109, 116.9906, 93_210),
    (0, 1, 1): (131.8124, 122.2922, 93_210),
}
# As lmplz prints them.
KENLM_DISCOUNTS = [[0.587085, 0.959841, 1.42659], [0.745409, 1.08876, 1.40936], [0.848837, 1.14256, 1.30463]]


def perplexities(table: BackOff, tokens: Tensor) -> tuple[float, float]:
    log_probs = table.score(tokens)
    return math.exp(-log_probs.mean()), math.exp(-log_probs[tokens != UNKNOWN].mean())


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("order", KENLM)
def test_perplexity_equals_that_of_kenlm(order: int, split: str) -> None:
    found = perplexities(words_of_shakespeare(order), shakespeare(split))
    # KenLM computes in single precision, so its last digit may be one off.
    assert found == pytest.approx(KENLM[order][split], abs=1e-4)


@pytest.mark.parametrize("prune", KENLM_PRUNED)
def test_pruned_models_equal_those_of_kenlm(prune: tuple[int, ...]) -> None:
    table = words_of_shakespeare(3, prune)
    *expected, size = KENLM_PRUNED[prune]
    assert perplexities(table, shakespeare("val")) == pytest.approx(tuple(expected), abs=1e-4)
    assert table.sizes[2] == size


def test_discounts_equal_those_of_kenlm() -> None:
    expected = torch.tensor(KENLM_DISCOUNTS, dtype=torch.float64)
    torch.testing.assert_close(words_of_shakespeare(3).discounts, expected, rtol=5e-6, atol=0)


def test_characters_of_which_discounts_cannot_be_estimated() -> None:
    """``lmplz --discount_fallback`` reaches 2.1000 bits a character with order 5."""
    size = tokenizer("characters").vocab_size
    table = BackOff(5, size, START, END)
    assert table.fill(count(shakespeare("train", "characters"), 5, size).levels(), []) == [1]
    bits = -table.score(shakespeare("val", "characters")).mean().item() / math.log(2)
    assert bits == pytest.approx(2.1000, abs=1e-4)


def sentences_of(tokens: Tensor) -> list[list[int]]:
    found: list[list[int]] = [[]]
    for token in tokens.tolist():
        found[-1].append(token)
        if token == END:
            found.append([])
    return [[START, *sentence] for sentence in found[:-1]]


class ByHand:
    """The three smoothings as their papers have them, n-gram by n-gram."""

    def __init__(self, tokens: Tensor, order: int, vocab_size: int) -> None:
        self.order, self.vocab_size = order, vocab_size
        self.raw: Counter[tuple[int, ...]] = Counter()
        for sentence in sentences_of(tokens):
            for length in range(1, order + 1):
                for place in range(1, len(sentence)):
                    if place - length + 1 >= 0:
                        self.raw[tuple(sentence[place - length + 1 : place + 1])] += 1
        self.adjusted = dict(self.raw)
        for ngram in self.raw:
            if len(ngram) < order and ngram[0] != START:
                self.adjusted[ngram] = len({longer[0] for longer in self.raw if longer[1:] == ngram})

    def discount(self, length: int, times: int) -> float:
        n = Counter(times for ngram, times in self.adjusted.items() if len(ngram) == length)
        found = [0.5, 1.0, 1.5]
        if n[1] and n[2] and n[3]:
            y = n[1] / (n[1] + 2 * n[2])
            values = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
            if all(0 <= value <= k for k, value in zip((1, 2, 3), values, strict=True)):
                found = values
        return found[min(times, 3) - 1]

    def kneser_ney(self, history: tuple[int, ...], word: int) -> float:
        length = len(history) + 1
        after = {
            ngram[-1]: self.adjusted[ngram] for ngram in self.raw if len(ngram) == length and ngram[:-1] == history
        }
        below = self.kneser_ney(history[1:], word) if history else 1 / (self.vocab_size - 1)
        if not after:
            return below
        total = sum(after.values())
        freed = sum(self.discount(length, times) for times in after.values()) / total
        own = after[word] - self.discount(length, after[word]) if word in after else 0.0
        return own / total + freed * below

    def add_k(self, history: tuple[int, ...], word: int, k: float) -> float:
        after = {
            ngram[-1]: times for ngram, times in self.raw.items() if len(ngram) == self.order and ngram[:-1] == history
        }
        return (after.get(word, 0) + k) / (sum(after.values()) + k * (self.vocab_size - 1))

    def maximum_likelihood(self, history: tuple[int, ...], word: int) -> float:
        length = len(history) + 1
        after = {
            ngram[-1]: times for ngram, times in self.raw.items() if len(ngram) == length and ngram[:-1] == history
        }
        if not after:
            return self.maximum_likelihood(history[1:], word)
        return after.get(word, 0) / sum(after.values())


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("smoothing", ["kneser_ney", "add_k", "maximum_likelihood"])
def test_probabilities_are_those_reckoned_by_hand(smoothing: Any, order: int) -> None:
    size = 9
    train, other = small_text(), small_text(seed=1, sentences=30)
    hand = ByHand(train, order, size)
    table = fit(train, order, size, smoothing=smoothing, k=0.3)
    found = table.score(other).exp()
    expected: list[float | None] = []
    for sentence in sentences_of(other):
        for place in range(1, len(sentence)):
            history = tuple(sentence[max(place - order + 1, 0) : place])
            if smoothing == "add_k" and len(history) < order - 1:
                # A history that is shorter than it might be is one that a sentence begins with.
                expected.append(None)
            elif smoothing == "add_k":
                expected.append(hand.add_k(history, sentence[place], 0.3))
            else:
                expected.append(getattr(hand, smoothing)(history, sentence[place]))
    known = torch.tensor([value is not None for value in expected])
    values = torch.tensor([value for value in expected if value is not None], dtype=torch.float64)
    torch.testing.assert_close(found[known], values)


@pytest.mark.parametrize("smoothing", ["kneser_ney", "add_k", "maximum_likelihood"])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_sum_to_one_after_any_context(smoothing: Any, order: int) -> None:
    size = 9
    table = fit(small_text(), order, size, smoothing=smoothing, k=0.5)
    generator = torch.Generator().manual_seed(0)
    contexts = torch.randint(3, size, (200, order - 1), generator=generator)
    unknown = torch.arange(order - 1) < torch.randint(0, order, (200, 1), generator=generator)
    contexts[unknown] = -1
    contexts[torch.rand(200, generator=generator) < 0.2, : order // 2] = START
    sums = table.next_log_probs(contexts).exp().sum(1)
    torch.testing.assert_close(sums, torch.ones(200, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("prune", [(), (0, 0, 1)])
def test_probabilities_of_shakespeare_sum_to_one(prune: tuple[int, ...]) -> None:
    table, text = words_of_shakespeare(3, prune), shakespeare("val")
    places = torch.randint(2, len(text), (40,), generator=torch.Generator().manual_seed(0))
    contexts = torch.stack([text[places - 2], text[places - 1]], 1)
    sums = table.next_log_probs(contexts).exp().sum(1)
    torch.testing.assert_close(sums, torch.ones(40, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("smoothing", ["kneser_ney", "add_k", "maximum_likelihood"])
def test_what_may_follow_agrees_with_what_a_text_scores(smoothing: Any) -> None:
    size, text = 9, small_text(seed=2)
    model = NGramLM(vocab_size=size, order=3, smoothing=smoothing)
    model.table = fit(small_text(), 3, size, smoothing=smoothing)
    scores, state = model.table.score(text), None
    for place in range(len(text)):
        latest = text[place - 1 : place] if place else torch.tensor([END])
        log_probs, state = model.advance(latest[None], state)
        torch.testing.assert_close(log_probs[0, text[place]], scores[place])
    whole, _ = model.advance(torch.cat([torch.tensor([END]), text[:-1]])[None])
    torch.testing.assert_close(whole, log_probs)


@pytest.mark.parametrize("chunks", [2, 7, 40])
@pytest.mark.parametrize("size", [9, 2**20, 2**40])
def test_chunks_count_like_the_whole(chunks: int, size: int) -> None:
    """Also where an n-gram takes several numbers."""
    text = small_text()
    once = count(text, 4, size)
    ends = (text == END).nonzero().squeeze(1) + 1
    border = int(ends[len(ends) // 3])
    two = count(text[:border], 4, size, chunks=min(chunks, 5))
    two.merge(count(text[border:], 4, size, chunks=min(chunks, 5)))
    expected, found = once._total(), two._total()
    assert torch.equal(expected[0], found[0])
    assert torch.equal(expected[1], found[1])


def test_wide_vocabulary_changes_no_count() -> None:
    text = small_text()
    for narrow, wide in zip(count(text, 4, 9).levels()[1:], count(text, 4, 1 << 20).levels()[1:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(narrow, wide, strict=True))


def test_memory_is_bounded_by_what_is_different() -> None:
    counts = NGramCounts(3, 9, START, END)
    for seed in range(60):
        counts.add(small_text(seed=seed % 3))
    assert sum(len(run[1]) for run in counts._runs) < 4 * len(counts._total()[1])


_PROGRAM = """
import sys, torch, torch.distributed as dist
from text.ngrams import END, START, small_text
from zoo.text.ngram_counts import NGramCounts
dist.init_process_group("gloo")
rank = dist.get_rank()
text = small_text()
border = int((text == END).nonzero()[20]) + 1
counts = NGramCounts(3, 9, START, END)
counts.add(text[:border] if rank == 0 else text[border:])
levels = counts.gathered().levels()
torch.save([list(level) for level in levels], f"{sys.argv[1]}/{rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_count_like_one(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_PROGRAM)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--rdzv_backend=c10d"]
    command += ["--rdzv_endpoint=localhost:0", str(tmp_path / "program.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = [list(level) for level in count(small_text(), 3, 9).levels()]
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert all(torch.equal(a, b) for x, y in zip(found, expected, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize(
    ("tokens", "told"),
    [([3, 4], "a chunk ends within a sentence"), ([3, START, END], "stands for the start of a sentence")],
)
def test_text_that_is_no_sentences_is_refused(tokens: list[int], told: str) -> None:
    with pytest.raises(ZooError, match=told):
        NGramCounts(2, 9, START, END).add(torch.tensor(tokens))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"order": 0}, "order is 0"),
        ({"smoothing": "kneserney"}, "no smoothing 'kneserney'; there are .*did you mean 'kneser_ney'"),
        ({"k": 0.0}, "k above 0"),
        ({"prune": [1, 1]}, "begin with 0 and do not descend"),
        ({"prune": [0, 2, 1]}, "begin with 0 and do not descend"),
        ({"prune": [0, 0, 0, 0]}, "at most 3 thresholds"),
        ({"tokenizer": Tokenizer.fit_characters(["abc"]).json, "vocab_size": 4}, "use --data.lines true"),
    ],
)
def test_senseless_models_are_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ZooError, match=told):
        NGramLM(**{"vocab_size": 9, **arguments})


def test_model_that_has_counted_nothing_says_so() -> None:
    with pytest.raises(ZooError, match="has learnt nothing yet"):
        NGramLM(vocab_size=9).score(torch.tensor([3, END]))
    with pytest.raises(ZooError, match="no n-gram was counted"):
        NGramCounts(2, 9, START, END).levels()


def test_an_order_may_have_a_single_ngram() -> None:
    text = torch.tensor([3, 4, END] * 5 + [4, END, 3, END])
    table = fit(text, 3, 9, (0, 4))
    assert table.sizes[1:] == [3, 2]
    again = fit(torch.tensor([3, END] * 5 + [4, END]), 3, 9, (0, 4, 4))
    assert again.sizes[1:] == [2, 1]
    assert bool(again.score(text).isfinite().all())


@pytest.mark.parametrize(("prune", "left"), [((0, 0, 10_000), [9, None, 0, 0]), ((0, 10_000), [9, 0, 0, 0])])
def test_pruning_may_leave_an_order_empty(prune: tuple[int, ...], left: list[int | None]) -> None:
    table, text = fit(small_text(), 4, 9, prune), small_text(seed=1)
    assert [size if known is not None else None for size, known in zip(table.sizes, left, strict=True)] == left
    assert bool(table.score(text).isfinite().all())
    sums = table.next_log_probs(torch.tensor([[-1, START, 3], [3, 4, 3]])).exp().sum(1)
    torch.testing.assert_close(sums, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("prune", [(), (0, 0, 1)])
def test_weights_hold_counts_and_give_the_same_probabilities(tmp_path: Path, prune: tuple[int, ...]) -> None:
    text = Tokenizer.fit_words(["a b c d e f"])
    model = NGramLM(vocab_size=text.vocab_size, tokenizer=text.json, order=3, prune=prune)
    model.table.fill(count(small_text(), 3, text.vocab_size).levels(), list(prune))
    golden = {"input": small_text(seed=3)}
    weights.save(model, tmp_path / "model", {}, golden)
    loaded = zoo.load(tmp_path / "model", kind=NGramLM)
    assert torch.equal(loaded.answer(golden), weights.load_golden(tmp_path / "model")["answer"])
    whole = {name for name, table in loaded.table.named_buffers() if not table.is_floating_point()}
    assert {"counts_1", "counts_2", "counts_3", "words_2", "words_3"} <= whole


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("words_2", lambda table: table.flip(0)),
        ("words_3", lambda table: table + 100),
        ("children_1", lambda table: table + 1),
        ("counts_2", lambda table: table[:-1]),
        ("words_2", lambda table: table[:-1]),
    ],
)
def test_tables_that_contradict_each_other_are_refused(name: str, change: Callable[[Tensor], Tensor]) -> None:
    table = fit(small_text(), 3, 9)
    state = {key: value.clone() for key, value in table.state_dict().items()}
    state[name] = change(state[name].long())
    damaged = BackOff(3, 9, START, END)
    damaged.load_state_dict(state)
    with pytest.raises(ZooError, match="contradict each other"):
        damaged.score(small_text())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_counts_and_scores_like_the_cpu() -> None:
    size, text = tokenizer().vocab_size, shakespeare("val")
    counts = NGramCounts(3, size, START, END)
    counts.add(shakespeare("train").cuda())
    table = BackOff(3, size, START, END).cuda()
    table.fill(counts.levels(), [])
    torch.testing.assert_close(table.score(text.cuda()).cpu(), words_of_shakespeare(3).score(text))


def test_tables_of_sixteen_bits_can_be_pickled() -> None:
    model: Any = zoo.load("trigram_shakespeare")
    tables = dict(model.table.named_buffers())
    assert torch.uint16 in {table.dtype for table in tables.values()}
    copied = dict(pickle.loads(pickle.dumps(model)).table.named_buffers())
    assert {name: table.dtype for name, table in copied.items()} == {name: one.dtype for name, one in tables.items()}
    assert all(torch.equal(table, copied[name]) for name, table in tables.items())
