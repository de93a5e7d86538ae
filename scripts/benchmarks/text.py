"""Language models: counting words, training, generating."""

import copy
import shutil
import statistics
import subprocess
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from datamodules.text.corpus import Corpus, RunningText, Shakespeare
from datamodules.text.tokenizer import END, SENTENCES, START
from scripts.benchmarks.harness import DATA, Bench, Race, measured
from scripts.benchmarks.report import Row
from zoo import weights
from zoo.base.processor import has_bfloat16
from zoo.text import LanguageModel
from zoo.text.backoff import BackOff
from zoo.text.ngram_counts import NGramCounts
from zoo.training.cli import ZooCLI


class HandWrittenLanguageModel:
    """A PyTorch loop with the network, optimizer, clipping and schedule of a recurrent recipe, on its lanes, no more.

    Args:
        cli: The recipe, not run yet.
        rounds: How often it will train.
        batches_a_round: Batches it trains on each time.
        autocast: Compute in bfloat16 where PyTorch does so by itself.
    """

    def __init__(self, cli: ZooCLI, rounds: int, batches_a_round: int, autocast: bool) -> None:
        model: Any = cli.model
        self.network = copy.deepcopy(model.network).train()
        data, lanes = cli.datamodule, cli.datamodule.batch_size
        tokens = data.tokens.ids["train"].long()
        self.lanes = tokens[: len(tokens) // lanes * lanes].view(lanes, -1)
        self.window, self.batches_a_round, self.autocast = data.window, batches_a_round, autocast
        matrices = [self.network.get_parameter(name) for name, one in self.network.named_parameters() if one.ndim == 2]
        ends = (self.network.embedding.weight, self.network.head.weight)
        matrices = [one for one in matrices if all(one is not end for end in ends)]
        others = [one for one in self.network.parameters() if all(one is not matrix for matrix in matrices)]
        self.optimizers: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(matrices, model.lr, model.weight_decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, model.lr, fused=True),
        )
        self.schedulers = [CosineAnnealingLR(one, rounds * batches_a_round) for one in self.optimizers]

    def train(self) -> int:
        """Trains for a round and returns on how many lanes' windows."""
        state, seen = None, 0
        for start in range(0, self.batches_a_round * self.window, self.window):
            piece = self.lanes[:, start : start + self.window + 1]
            with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
                logits, carried = self.network.advance(piece[:, :-1], state)
            state = tuple(part.detach() for part in carried)
            loss = F.cross_entropy(logits.flatten(0, 1).float(), piece[:, 1:].flatten())
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            for optimizer, scheduler in zip(self.optimizers, self.schedulers, strict=True):
                optimizer.step()
                scheduler.step()
            seen += len(piece)
        return seen


def language(bench: Bench) -> list[Row]:
    """The recurrent language model against a hand-written loop, and what bfloat16 gains."""
    rounds, batches = bench.choose((6, 40), (4, 10), (2, 2))
    flags = [f"--trainer.max_epochs={rounds}", f"--trainer.limit_train_batches={batches}", "--trainer.callbacks=null"]
    flags += ["--trainer.limit_val_batches=1", "--data.eval_batch_size=4096", "--tune_precision=false"]
    if bench.size == "tiny":
        flags += ["--data=datamodules.Corpus", f"--data.path={_write_tale(bench.folder)}"]
        flags += [f"--data.cache={bench.folder}", "--data.window=16", "--data.batch_size=8"]
        flags += ["--model.embedding_size=16", "--model.hidden_size=16"]
    else:
        flags += [f"--data.root={DATA}"]
    name, rows = "char_rnn_shakespeare", []
    for precision in ("32-true", "bf16-mixed") if has_bfloat16() else ("32-true",):
        cli = bench.cli(name, *flags, f"--trainer.precision={precision}")
        autocast = precision == "bf16-mixed"
        contenders = {precision: HandWrittenLanguageModel(cli, rounds, batches, autocast).train}
        if autocast:
            contenders["32-true"] = HandWrittenLanguageModel(cli, rounds, batches, autocast=False).train
        race = Race(contenders, "windows")
        bench.fit(cli, race)
        what = f"{name} in {precision}"
        rows.append(race.row(f"{what}: zoo fit to hand-written loop around nn.LSTM", precision, 0.95))
        if autocast:
            rows.append(race.row(f"{what}: zoo fit to that loop in float32", "32-true", None))
        rows.append(Row(f"{what}: characters a second", f"{race.rate * cli.datamodule.window:,.0f}"))
    return rows


def generation(bench: Bench) -> list[Row]:
    """Text from published models, one stream, no token read twice."""
    rows = []
    for name, target in (
        ("char_rnn_shakespeare", 1500),
        ("char_transformer_shakespeare", None),
        ("trigram_shakespeare", None),
    ):
        model = weights.load(name, kind=LanguageModel)
        tokens = bench.choose(1500, 300, 5)
        model.generate("To be", tokens=bench.choose(50, 50, 5), seed=0)
        rates = []
        for seed in range(bench.choose(3, 3, 1)):
            start = time.perf_counter()
            model.generate("To be", tokens=tokens, seed=seed)
            rates.append(tokens / (time.perf_counter() - start))
        rate, unit = statistics.median(rates), "characters" if model.tokenizer.is_characters else "words"
        row = Row(f"{name}: {unit} generated a second", f"{rate:,.0f}")
        rows.append(row if target is None else Row(row.what, row.figure, f">= {target:,}", rate >= target))
    return rows


def ngram(bench: Bench) -> list[Row]:
    """Counting and smoothing against NLTK and KenLM, where they are installed; all from and to the same text."""
    data: RunningText = Shakespeare(str(DATA))
    if bench.size == "tiny":
        data = Corpus(str(_write_tale(bench.folder)), cache=str(bench.folder))
    tokens = data.tokens.ids["train"]
    if bench.size == "quick":
        tokens = _whole_sentences(tokens[:120_000])
    vocabulary = data.tokens.tokenizer.vocabulary
    text = " ".join(vocabulary[token] for token in tokens.tolist()).replace("</s> ", "\n").replace(" </s>", "\n")
    rows = []
    for order in bench.choose((3, 5), (3, 5), (3,)):
        rows += _compare(bench, text, tokens, data.vocab_size, order)
    rate, held, threads = bench.in_own_process(_measure_scoring, tokens.numpy(), data.vocab_size)
    what = f"3-gram model: tokens scored a second with {threads} thread"
    rows.append(Row(what, f"{rate:,.0f}", ">= 1,000,000", rate >= 1_000_000))
    if sys.platform == "linux":
        rows.append(Row("3-gram model: memory to count and smooth, at its highest", f"{held:.0f} bytes a token"))
    return rows


def _write_tale(folder: Path) -> Path:
    """A small text of many lines, for the smallest size."""
    path = folder / "tale.txt"
    path.write_text("".join(f"once upon a time there were {number} bears\n" for number in range(300)))
    return path


def _whole_sentences(tokens: Tensor) -> Tensor:
    """Tokens up to the last end of a sentence."""
    return tokens[: int(tokens.long().eq(SENTENCES.index(END)).nonzero()[-1]) + 1]


def _compare(bench: Bench, text: str, tokens: Tensor, vocab_size: int, order: int) -> list[Row]:
    """Fits n-gram models of an order in turns; NLTK, which takes a minute, only once in the middle."""
    lmplz, has_nltk = shutil.which("lmplz"), find_spec("nltk") is not None
    seconds: dict[str, list[float]] = {"zoo": [], "nltk": [], "lmplz": []}
    rounds = bench.choose(5, 5, 1)
    for number in range(rounds):
        seconds["zoo"].append(_fit(tokens, vocab_size, order))
        if lmplz is not None:
            seconds["lmplz"].append(_fit_lmplz(lmplz, text, order, bench.folder))
        if has_nltk and number == rounds // 2:
            seconds["nltk"].append(_fit_nltk(text, order))
    taken = {name: statistics.median(found) for name, found in seconds.items() if found}
    ours, what, rows = taken["zoo"], f"{order}-gram model of {len(tokens):,} tokens", []
    if "nltk" in taken:
        ratio = taken["nltk"] / ours
        figure = f"{ratio:.0f} x ({taken['nltk']:.1f} to {ours:.2f} s)"
        rows.append(Row(f"{what}: NLTK's time to fit to the zoo's", figure, ">= 30 x", ratio >= 30))
    if "lmplz" in taken:
        ratio = ours / taken["lmplz"]
        figure = f"{ratio:.2f} x ({ours:.2f} to {taken['lmplz']:.2f} s)"
        told = f"{what}: time to that of KenLM's lmplz, a process that reads text and writes ARPA"
        rows.append(Row(told, figure, "<= 1.5 x", ratio <= 1.5))
    return rows


def _fit(tokens: Tensor, vocab_size: int, order: int) -> float:
    """Seconds from token ids to probabilities."""
    start = time.perf_counter()
    _ = _count(tokens, vocab_size, order).runtime
    return time.perf_counter() - start


def _count(tokens: Tensor, vocab_size: int, order: int) -> BackOff:
    """Counts and smooths."""
    start_id, end_id = SENTENCES.index(START), SENTENCES.index(END)
    counts = NGramCounts(order, vocab_size, start_id, end_id)
    counts.add(tokens)
    table = BackOff(order, vocab_size, start_id, end_id)
    table.fill(counts.levels(), [])
    return table


def _fit_nltk(text: str, order: int) -> float:
    """Seconds that NLTK takes to count the same sentences."""
    lm, preprocessing = import_module("nltk.lm"), import_module("nltk.lm.preprocessing")
    lines = [line.split() for line in text.splitlines()]
    start = time.perf_counter()
    ngrams, words = preprocessing.padded_everygram_pipeline(order, lines)
    lm.KneserNeyInterpolated(order).fit(ngrams, words)
    return time.perf_counter() - start


def _fit_lmplz(program: str, text: str, order: int, folder: Path) -> float:
    """Seconds that KenLM takes from a text to an ARPA file."""
    (folder / "train.txt").write_text(text)
    start = time.perf_counter()
    with (folder / "train.txt").open() as source, (folder / "model.arpa").open("w") as target:
        command = [program, "-o", str(order), "-S", "1G", "-T", str(folder / "sort")]
        subprocess.run(command, stdin=source, stdout=target, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _measure_scoring(ids: np.ndarray, vocab_size: int) -> tuple[float, float, int]:
    """Tokens scored a second by one thread, and bytes a token that counting and smoothing take."""
    torch.set_num_threads(1)
    tokens = torch.from_numpy(ids)
    _fit(_whole_sentences(tokens[:5000]), vocab_size, 3)  # loads kernels
    with measured() as found:
        table = _count(tokens, vocab_size, 3)
    read, rates = tokens.long(), []
    for _ in range(3):
        start = time.perf_counter()
        table.score(read)
        rates.append(len(read) / (time.perf_counter() - start))
    return statistics.median(rates), 1e6 * found.megabytes / len(tokens), torch.get_num_threads()
