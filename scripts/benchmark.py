"""Measures what the zoo promises about speed and memory, prints a table and writes ``benchmarks.md``.

Timings on a shared machine are noisy, so throughput is only ever compared within one run: before every epoch of
``zoo fit`` each contender trains its own epoch, and the median of the rounds' ratios counts.
"""

import argparse
import contextlib
import copy
import io
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import lightning
import numpy as np
import sklearn.cluster
import sklearn.decomposition
import torch
import torch.nn.functional as F
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, ToTensor, v2

from datamodules import ImageFolder, Shakespeare
from datamodules.memory import EpochBatches, Rows, load_batches
from datamodules.series.recording import Recording
from datamodules.series.series import PORTION, Series, divide
from datamodules.series.timeline import Timeline
from datamodules.text.tokenizer import END, SENTENCES, START
from zoo import weights
from zoo.base.processor import has_bfloat16
from zoo.commands.train import resolve
from zoo.series.causal_conv import CausalConv
from zoo.series.recurrent import State
from zoo.tabular.kmeans import KMeans
from zoo.tabular.pca import PCA
from zoo.text.backoff import BackOff
from zoo.text.ngram_counts import NGramCounts
from zoo.training.cli import ZooCLI
from zoo.training.plugins import quieten
from zoo.vision.augmentation import Augmentation
from zoo.vision.classifier import Classifier

Batches = Iterator[tuple[Tensor, Tensor]]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        what: What was measured.
        figure: What came out.
        target: What was wanted; empty where the figure is only told.
        met: Whether it was reached; None where there is no target, or one that does not apply to this machine.
    """

    what: str
    figure: str
    target: str
    met: bool | None

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The line as text."""
        verdict = (
            "does not apply" if self.met is None and self.target else {None: "", True: "met", False: "missed"}[self.met]
        )
        return self.what, self.figure, self.target, verdict


@dataclass(frozen=True)
class Bench:
    """What a benchmark gets to work with.

    Attributes:
        folder: Temporary folder for runs.
        quick: Measure fewer rounds.
    """

    folder: Path
    quick: bool

    def cli(self, recipe: str, *flags: str) -> ZooCLI:
        """What ``zoo fit RECIPE FLAGS`` builds."""
        target = resolve("fit", [recipe, "--trainer.default_root_dir", str(self.folder), *flags])
        with contextlib.redirect_stdout(io.StringIO()):
            return ZooCLI(target.args, "fit", target.recipe)

    def fit(self, cli: ZooCLI, callback: Callback) -> None:
        """Runs ``zoo fit`` with one more callback."""
        trainer: Any = cli.trainer
        trainer.callbacks.insert(0, callback)
        # As if into a file: the same on a terminal and off it, and no progress bar across the table.
        with contextlib.redirect_stdout(io.StringIO()):
            cli.run()


class TrainingClock(Callback):
    """Counts samples and seconds of each training epoch, from its start to the start of the validation that ends it.

    Lightning validates inside the training epoch; loaders, hooks, metrics and logging of every training step are
    counted, validation and the checkpoints written after it are not.
    """

    def __init__(self) -> None:
        self.samples: list[int] = []
        self.seconds: list[float] = []
        self._samples = 0
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._samples = 0
        self._start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts samples."""
        self._samples += len(batch[0])

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.seconds.append(time.perf_counter() - self._start)
            self.samples.append(self._samples)


class Race(TrainingClock):
    """Lets every contender train right before each epoch of the zoo.

    Args:
        contenders: Each trains for a while and says on how many samples.
        unit: What the samples are.
        epochs: How many epochs make a round, where one is too short to be timed by itself.
    """

    def __init__(self, contenders: dict[str, Callable[[], int]], unit: str = "images", epochs: int = 1) -> None:
        super().__init__()
        self.contenders, self.unit, self.epochs = contenders, unit, epochs
        self.others: dict[str, tuple[list[int], list[float]]] = {name: ([], []) for name in contenders}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Times the contenders, then starts the zoo's clock."""
        for name, train in self.contenders.items():
            samples, seconds = self.others[name]
            start = time.perf_counter()
            samples.append(train())
            seconds.append(time.perf_counter() - start)
        super().on_train_epoch_start(trainer, pl_module)

    def row(self, what: str, contender: str, target: float | None, applies: bool = True) -> Row:
        """Compares the zoo with one contender; the first round warms up and does not count."""
        zoo, other = self._rates(self.samples, self.seconds), self._rates(*self.others[contender])
        ratio = statistics.median(ours / theirs for ours, theirs in zip(zoo, other, strict=True))
        rates = f"{statistics.median(zoo):,.0f} to {statistics.median(other):,.0f} {self.unit}/s"
        wanted = "" if target is None else f">= {target:.2f}"
        met = None if target is None or not applies else ratio >= target
        return Row(what, f"{ratio:.2f} ({rates})", wanted, met)

    def _rates(self, samples: list[int], seconds: list[float]) -> list[float]:
        rounds = [slice(start, start + self.epochs) for start in range(self.epochs, len(seconds), self.epochs)]
        return [sum(samples[epochs]) / sum(seconds[epochs]) for epochs in rounds]


class HandWritten:
    """A float32 PyTorch loop with the network, augmentation, loss, optimizer and schedule of a recipe, no more.

    Args:
        cli: The recipe, not run yet.
        rounds: How often it will train.
        batches_a_round: Batches it trains on each time.
        pictures: Read PIL images through a ``DataLoader``, as from torchvision's own data sets, instead of indexing
            tensors.
    """

    def __init__(self, cli: ZooCLI, rounds: int, batches_a_round: int, pictures: bool = False) -> None:
        self.model: Any = cli.model
        self.batches_a_round = batches_a_round
        self.batch_size = cli.datamodule.batch_size
        cli.datamodule.setup("fit")
        self.images, self.labels = cli.datamodule.splits["train"]
        # A copy from before the run, which may bring its own into channels-last format.
        self.network = copy.deepcopy(self.model.network).train()
        self._batches = self._from_pictures() if pictures else self._from_tensors
        decayed = [parameter for parameter in self.network.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in self.network.parameters() if parameter.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.model.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=self.model.lr, fused=True)
        self.scheduler = OneCycleLR(
            self.optimizer, self.model.lr, total_steps=rounds * batches_a_round + 1, cycle_momentum=False
        )

    def train(self) -> int:
        """Trains for a round and returns on how many images."""
        seen = 0
        for inputs, labels in islice(self._batches(), self.batches_a_round):
            loss = F.cross_entropy(self.network(inputs), labels, label_smoothing=self.model.label_smoothing)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            seen += len(labels)
        return seen

    def _from_tensors(self) -> Batches:
        mean, std = (255 * statistic.view(-1, 1, 1) for statistic in (self.model.mean, self.model.std))
        for rows in torch.randperm(len(self.labels)).split(self.batch_size):
            images = self.images[rows]
            if self.model.flip or self.model.shift:
                images = self.model.augment(images)
            yield images.float().sub_(mean).div_(std), self.labels[rows]

    def _from_pictures(self) -> Callable[[], Batches]:
        transform = Compose([ToTensor(), Normalize(self.model.mean.tolist(), self.model.std.tolist())])
        loader = DataLoader(Pictures(self.images, self.labels, transform), self.batch_size, shuffle=True)
        return lambda: iter(loader)


class HandWrittenForecaster:
    """A PyTorch loop with the network, loss, optimizer and schedule of a forecasting recipe, on its windows, no more.

    The series is normalised once, and its windows are copied into one tensor that each epoch indexes in a new order.
    That is as plain as a ``TensorDataset`` with a ``DataLoader`` and quicker, since no windows are collated.
    Lanes are cut into chunks once; the state is detached between them.

    Args:
        cli: The recipe, not run yet, in float32.
        epochs: How often it will train.
    """

    def __init__(self, cli: ZooCLI, epochs: int) -> None:
        model: Any = cli.model
        loader = cli.datamodule.train_dataloader()
        inputs, targets = (((part - model.mean) / model.std).contiguous() for part in loader.dataset.tensors)
        self.batch_size = cli.datamodule.batch_size
        self.windows = (inputs, targets)
        self.chunks: list[tuple[Tensor, Tensor]] = []
        if cli.datamodule.mode == "lanes":
            length = cli.datamodule.window
            self.chunks = list(zip(inputs.split(length, 1), targets.split(length, 1), strict=True))
        self.network = copy.deepcopy(model.network).train()
        self.anchor: Any = None if model.residual == "none" else model.anchor
        self.relative, self.input_noise, self.level_noise = model.relative, model.input_noise, model.level_noise
        losses: dict[str, Callable[[Tensor, Tensor], Tensor]]
        losses = {"huber": partial(F.huber_loss, delta=model.delta), "mse": F.mse_loss, "mae": F.l1_loss}
        self.loss = losses[model.loss]
        decayed = [parameter for parameter in self.network.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in self.network.parameters() if parameter.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": model.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer: torch.optim.Optimizer
        if model.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(groups, model.lr, momentum=model.momentum)
        else:
            self.optimizer = torch.optim.AdamW(groups, model.lr, fused=True)
        steps = epochs * len(loader)
        self.scheduler: LRScheduler | None = None
        if model.schedule == "one_cycle":
            self.scheduler = OneCycleLR(self.optimizer, model.lr, steps + 1, cycle_momentum=model.optimizer == "adamw")
        elif model.schedule == "cosine":
            self.scheduler = CosineAnnealingLR(self.optimizer, steps)

    def train(self) -> int:
        """Trains for an epoch and returns on how many windows, or chunks of a lane."""
        seen = 0
        state: State | None = None
        for inputs, targets in self.chunks or self._batches():
            if self.level_noise:
                level = self.level_noise * torch.randn_like(targets[:, :1])
                inputs, targets = inputs + level, targets + level
            if self.input_noise:
                inputs = inputs + self.input_noise * torch.randn_like(inputs)
            anchor: Any = self.anchor(inputs) if self.anchor is not None else 0.0
            seen_by_network = inputs - anchor[:, :1] if self.relative else inputs
            if self.chunks:
                forecasts, carried = self.network.advance(seen_by_network, state)
                state = tuple(part.detach() for part in carried)
            else:
                forecasts = self.network(seen_by_network)
            forecasts = forecasts + anchor
            loss = self.loss(forecasts, targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.scheduler is not None:
                self.scheduler.step()
            seen += len(inputs)
        return seen

    def _batches(self) -> Batches:
        inputs, targets = self.windows
        for rows in torch.randperm(len(inputs)).split(self.batch_size):
            yield inputs[rows], targets[rows]


class Pictures(Dataset[tuple[Tensor, int]]):
    """Grey images one by one, by way of PIL, as in ``torchvision.datasets.FashionMNIST``.

    Args:
        images: uint8 ``(N, 1, H, W)``.
        labels: ``(N,)``.
        transform: Turns a PIL image into a tensor.
    """

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Image.Image], Tensor]) -> None:
        self.images, self.labels, self.transform = images.squeeze(1), labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index].numpy())), int(self.labels[index])


class UntilAccuracy(TrainingClock):
    """Stops training as soon as the test accuracy is reached.

    Looking at the test split after every epoch would be wrong to choose a model by; here nothing is chosen, only the
    moment is noted at which a figure known beforehand is reached. The look is not counted as training.

    Args:
        goal: The accuracy.
        test: Images and labels of the test split.
    """

    def __init__(self, goal: float, test: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.goal = goal
        self.test = test
        self.accuracy = 0.0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks."""
        assert isinstance(pl_module, Classifier)
        images, labels = self.test
        pl_module.eval()
        with torch.inference_mode():
            guesses = torch.cat([pl_module.labels(pl_module(batch)) for batch in images.split(1000)])
        pl_module.train()
        self.accuracy = (guesses == labels).float().mean().item()
        trainer.should_stop = trainer.should_stop or self.accuracy >= self.goal


def cnn_throughput(bench: Bench) -> list[Row]:
    """The convolutional recipe, at equal precision and as it comes, against the float32 loop."""
    rounds, batches = (4, 30) if bench.quick else (6, 150)
    limits = (f"--trainer.max_epochs={rounds}", f"--trainer.limit_train_batches={batches}")
    plain = ("--tune_precision=false", "--trainer.precision=32-true", "--model.init_args.channels_last=false")
    rows = []
    for what, flags, target, applies in (
        ("cnn_fashion_mnist in float32: zoo fit to hand-written float32 loop", plain, 0.95, True),
        ("cnn_fashion_mnist as it comes: zoo fit to hand-written float32 loop", (), 1.5, has_bfloat16()),
    ):
        cli = bench.cli("cnn_fashion_mnist", *limits, *flags)
        race = Race({"loop": HandWritten(cli, rounds, batches).train})
        bench.fit(cli, race)
        rows.append(race.row(what, "loop", target, applies))
    return rows


def dense_throughput(bench: Bench) -> list[Row]:
    """The dense network, whose steps take a few milliseconds, against a hand-written loop and torchvision's way.

    Once as the recipe trains it and once as the notes have it: the recipe's dropout of input pixels takes as long as
    the rest of the step, whoever writes the loop, and so brings every ratio nearer to one.
    """
    rounds, batches = (5, 200) if bench.quick else (9, 200)
    rows = []
    for what, flags in (
        ("dense_fashion_mnist", ()),
        ("dense_fashion_mnist without dropout", ("--model.input_dropout=0",)),
    ):
        limits = (f"--trainer.max_epochs={rounds}", f"--trainer.limit_train_batches={batches}")
        cli = bench.cli("dense_fashion_mnist", *limits, *flags)
        loop, pictures = HandWritten(cli, rounds, batches), HandWritten(cli, rounds, batches // 5, pictures=True)
        race = Race({"loop": loop.train, "pictures": pictures.train})
        bench.fit(cli, race)
        rows += [
            race.row(f"{what}: zoo fit to hand-written loop", "loop", 0.8),
            race.row(f"{what}: zoo fit to torchvision data set, DataLoader and loop", "pictures", 6.0),
        ]
    return rows


def time_to_accuracy(bench: Bench) -> list[Row]:
    """Training until the test accuracy that Keras reached with the settings of the notes."""
    rows = []
    for recipe, goal, quick_epochs in (("dense_fashion_mnist", 0.879, 10), ("cnn_fashion_mnist", 0.919, 8)):
        # The recipe's schedule spans all epochs, so fewer epochs mean the same schedule run through faster.
        cli = bench.cli(recipe, *([f"--trainer.max_epochs={quick_epochs}"] if bench.quick else []))
        cli.datamodule.setup("fit")
        clock = UntilAccuracy(goal, cli.datamodule.splits["test"])
        bench.fit(cli, clock)
        what = f"{recipe}: training until test accuracy {goal}, which Keras reached with the notes' settings"
        epochs = f"{len(clock.samples)} epochs of a schedule of {cli.trainer.max_epochs}"
        figure = f"{clock.accuracy:.3f} after {sum(clock.seconds):.1f} s, {sum(clock.samples):,} images, {epochs}"
        rows.append(Row(what, figure, "reached", clock.accuracy >= goal))
    return rows


def transfer(bench: Bench) -> list[Row]:
    """The frozen recipe, whose features are computed once."""
    rounds, epochs = 3, 20
    passes, cached, uncached, float32 = [], [], [], []
    for _ in range(rounds):
        # Without Lightning's trial run of the validation, whose features would be computed before the clock starts.
        plain = ("--trainer.callbacks=null", "--trainer.num_sanity_val_steps=0")
        cli = bench.cli("mobilenetv2_things", f"--trainer.max_epochs={epochs}", *plain)
        cli.datamodule.setup("fit")
        images = [cli.datamodule.splits[split][0] for split in ("train", "val")]
        with cli.trainer.precision_plugin.forward_context():
            passes.append(feature_seconds(cli.model, images))
        float32.append(feature_seconds(cli.model, images))
        cached.append(fit_seconds(cli))
        anew = ("--model.cache_features=false", "--trainer.max_epochs=1")
        uncached.append(epochs * fit_seconds(bench.cli("mobilenetv2_things", *anew, *plain)))
    cost = statistics.median(fit / one for fit, one in zip(cached, passes, strict=True))
    gain = statistics.median(slow / fast for slow, fast in zip(uncached, cached, strict=True))
    quicker = statistics.median(slow / fast for slow, fast in zip(float32, passes, strict=True))
    figure = f"{cost:.2f} x ({statistics.median(cached):.1f} to {statistics.median(passes):.1f} s)"
    recomputed = f"{gain:.1f} x ({statistics.median(uncached):.0f} s, {epochs} times one epoch)"
    what = f"mobilenetv2_things, {epochs} epochs"
    return [
        Row(f"{what}: to one pass of feature extraction, training and validation", figure, "<= 1.50 x", cost <= 1.5),
        Row(f"{what}: recomputing features in every epoch to computing them once", recomputed, ">= 10 x", gain >= 10),
        Row(
            "feature extraction as the recipe's timing chooses: gain over float32, channels first",
            f"{quicker:.2f} x",
            ">= 1.00 x",
            quicker >= 1 if has_bfloat16() else None,
        ),
    ]


def fit_seconds(cli: ZooCLI) -> float:
    """Seconds of a training from its first epoch to its last, feature extraction included."""
    with contextlib.redirect_stdout(io.StringIO()):
        return float(cli.run()["fit"]["seconds"])


def feature_seconds(model: Any, images: Sequence[Tensor]) -> float:
    """Seconds that a model's backbone takes for all images."""
    model.eval()
    with torch.inference_mode():
        model.features(images[0][:64])
        start = time.perf_counter()
        for split in images:
            for part in split.split(64):
                model.features(part)
        return time.perf_counter() - start


def augmentation(bench: Bench) -> list[Row]:
    """The notes' augmentation, a batch at a time and image by image."""
    images = torch.randint(0, 256, (100, 3, 150, 150), dtype=torch.uint8)
    pictures = [Image.fromarray(image.movedim(0, -1).numpy()) for image in images]
    notes = Augmentation()
    warp = v2.RandomAffine([-40, 40], (0.2, 0.2), (0.8, 1.2), 0.2, v2.InterpolationMode.BILINEAR)
    one = v2.Compose([warp, v2.RandomHorizontalFlip()])
    contenders: dict[str, Callable[[], object]] = {
        "zoo": lambda: notes(images),
        "torchvision on tensors": lambda: [one(image) for image in images],
        "torchvision on PIL images": lambda: [one(picture) for picture in pictures],
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(3 if bench.quick else 9):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            rates[name].append(len(images) / (time.perf_counter() - start))
    medians = {name: statistics.median(found[1:]) for name, found in rates.items()}
    quickest = max(list(medians)[1:], key=lambda name: medians[name])
    ratio = medians["zoo"] / medians[quickest]
    figure = f"{ratio:.1f} x ({medians['zoo']:,.0f} to {medians[quickest]:,.0f} images/s)"
    what = f"augmentation of 150x150 colour images: one warp of the batch to {quickest}, bilinear both"
    keras = medians["zoo"] / 159
    return [
        Row(what, figure, ">= 10 x", ratio >= 10),
        Row(
            "the same to 159 images/s, once measured with Keras' ImageDataGenerator on another core",
            f"{keras:.0f} x", ">= 10 x", keras >= 10,
        ),
    ]  # fmt: skip


def folder(bench: Bench) -> list[Row]:
    """Pictures in a folder: decoded once, then mapped."""
    count = 300 if bench.quick else 1000
    photos = write_photos(bench.folder / "photos", count, (640, 480))
    data = ImageFolder(str(photos), cache=str(bench.folder / "cache"))
    seconds = []
    for epoch in range(2):
        start = time.perf_counter()
        loader: Any = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        for _ in loader:
            pass
        seconds.append(time.perf_counter() - start)
    ratio = seconds[0] / seconds[1]
    rows = [
        Row(
            f"ImageFolder of {count} JPEGs of 640x480: first epoch to second, data alone",
            f"{ratio:.0f} x ({seconds[0]:.1f} to {seconds[1]:.3f} s)", ">= 20 x", ratio >= 20,
        )
    ]  # fmt: skip
    if sys.platform == "linux":
        few, many = 300, 3000
        held = {size: held_memory(write_photos(bench.folder / f"{size}", size, (160, 120))) for size in (few, many)}
        more = (held[many] - held[few]) / 1e6
        decoded = (many - few) * 3 * 150**2 / 1e6
        figure = f"{more:.0f} MB more of its own memory, {decoded:.0f} MB more pixels"
        rows.append(Row(f"ImageFolder of {many} pictures instead of {few}, an epoch", figure, "< 50 MB", more < 50))
    return rows


def series_throughput(bench: Bench) -> list[Row]:
    """The forecasting recipes against hand-written loops; of the smallest networks for information only.

    A step of these takes little longer than the calls around it, whoever makes them.
    """
    rounds, epochs = (4, 2) if bench.quick else (8, 5)
    networks = (
        "rnn", "rnn_sequence", "lstm", "gru", "stateful_rnn", "stateful_lstm", "causal_conv", "wavenet", "conv_lstm"
    )  # fmt: skip
    rows = []
    for network in (*networks, "dense", "linear"):
        recipe = f"{network}_synthetic"
        # Without the recipe's callbacks nothing stops early.
        plain = ("--trainer.callbacks=null", "--trainer.precision=32-true", f"--trainer.max_epochs={rounds * epochs}")
        cli = bench.cli(recipe, *plain)
        race = Race({"loop": HandWrittenForecaster(cli, rounds * epochs).train}, "windows", epochs)
        bench.fit(cli, race)
        rows.append(race.row(f"{recipe}: zoo fit to hand-written loop", "loop", 0.9 if network in networks else None))
    return rows


@dataclass
class Measured:
    """What some work took.

    Attributes:
        seconds: Time.
        megabytes: Growth of the process' memory at its highest.
    """

    seconds: float = 0.0
    megabytes: float = 0.0


@contextlib.contextmanager
def measured() -> Iterator[Measured]:
    """Measures what is done inside, on Linux."""
    found = Measured()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    before, start = _status("VmRSS"), time.perf_counter()
    yield found
    found.seconds = time.perf_counter() - start
    found.megabytes = (_status("VmHWM") - before) / 1e6


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024


def in_own_process(work: Callable[..., Found], *arguments: Any) -> Found:
    """Does work in a new process, in whose memory nothing has happened yet."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def windows(bench: Bench) -> list[Row]:
    """Windows over a long series, which are views of it."""
    if sys.platform != "linux":
        return []
    points, batches = 10_000_000, 1000
    set_up, first, more = in_own_process(measure_windows, points, batches)
    what = f"windows over {points:,} points in float32"
    order = f"{first.seconds:.2f} s, {first.megabytes:.0f} MB"
    each = f"{1e6 * more.seconds / batches:.0f} us a batch, {more.megabytes:.0f} MB"
    quick, small = set_up.seconds < 1, set_up.megabytes < 5
    return [
        Row(f"{what}: set-up, and mean, deviation, scale of the errors", f"{set_up.seconds:.2f} s", "< 1 s", quick),
        Row(f"{what}: memory for that beyond the series", f"{set_up.megabytes:.1f} MB", "< 5 MB", small),
        Row(f"{what}: the order of an epoch, shuffled, and its first batch", order, "", None),
        Row(f"{what}: {batches:,} further batches of 32", each, "", None),
    ]


def measure_windows(points: int, batches: int) -> tuple[Measured, Measured, Measured]:
    """Measures set-up, the first training batch, and some more."""
    values = np.random.default_rng(0).random((points, 1), dtype=np.float32)
    for part in (values[: 10 * PORTION], values):  # what torch loads on first use is no part of the series
        with measured() as set_up:
            recording = Recording("a long series", part, ["value"], Timeline())
            data = Series(recording, divide(recording), batch_size=32)
            _ = data.mean, data.std, data.naive_mae
            loader = data.train_dataloader()
        with measured() as first:
            iterator = iter(loader)
            next(iterator)
        with measured() as more:
            for _ in islice(iterator, batches):
                pass
    return set_up, first, more


def inference(bench: Bench) -> list[Row]:
    """A forecast at every step of a long series in one call, which is cut so that its memory is bounded."""
    if sys.platform != "linux":
        return []
    cli = bench.cli(
        "causal_conv_synthetic", "--model.output=sequence", "--model.relative=false", "--data.mode=sequence"
    )
    settings = dict(cli.model.hparams)
    one, four, whole = (
        in_own_process(measure_inference, settings, millions * 1_000_000, cut)
        for millions, cut in ((1, True), (4, True), (1, False))
    )
    what = "causal_conv_synthetic as sequence"
    beyond = "memory beyond input and output"
    grows = four.megabytes / one.megabytes
    saves = whole.megabytes / one.megabytes
    return [
        Row(
            f"{what} on 4 million steps in one call to 1 million: {beyond}",
            f"{grows:.2f} x ({four.megabytes:.0f} to {one.megabytes:.0f} MB)", "<= 1.25 x", grows <= 1.25,
        ),
        Row(
            f"{what} on 1 million steps: all at once to cut as it is, {beyond}",
            f"{saves:.1f} x ({whole.megabytes:,.0f} to {one.megabytes:.0f} MB)", "", None,
        ),
        Row(
            f"{what} on 1 million steps: time, cut as it is",
            f"{one.seconds:.1f} s (all at once {whole.seconds:.1f} s)", "", None,
        ),
    ]  # fmt: skip


def measure_inference(settings: dict[str, Any], steps: int, cut: bool) -> Measured:
    """Measures a forecast at each of many steps; of its memory what is beyond input and output."""
    model = CausalConv(**settings).eval()
    inputs = torch.randn(1, steps, 1)
    with torch.inference_mode():
        model(inputs[:, :1000])  # loads kernels
        if not cut:
            model.LONG = steps
        with measured() as found:
            outputs = model(inputs)
    found.megabytes -= outputs.nbytes / 1e6
    return found


def write_photos(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Writes JPEGs of two classes."""
    generator = np.random.default_rng(0)
    for number in range(count):
        path = folder / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return folder


def held_memory(photos: Path) -> int:
    """Bytes of anonymous memory that a process holds after an epoch, pages of mapped files left out."""
    program = (
        "import sys; from datamodules import ImageFolder; data = ImageFolder(sys.argv[1], cache=sys.argv[2])\n"
        "data.setup()\n"
        "for _ in data.train_dataloader(): pass\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('RssAnon')))"
    )
    command = [sys.executable, "-c", program, str(photos), str(photos.parent / f"cache-{photos.name}")]
    subprocess.run(command, check=True, capture_output=True)  # decodes, which takes memory of its own
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) * 1024


def commands(bench: Bench) -> list[Row]:
    """Start-up of the commands that need no torch."""
    zoo = str(Path(sysconfig.get_path("scripts")) / "zoo")
    rows = []
    for arguments in (["list"], ["show", "cnn_digits"], ["--help"]):
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([zoo, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - start)
        median = statistics.median(seconds)
        rows.append(Row(f"zoo {' '.join(arguments)}", f"{median:.2f} s", "< 0.30 s", median < 0.3))
    return rows


def memory(bench: Bench) -> list[Row]:
    """The highest memory use of a whole training process."""
    zoo = str(Path(sysconfig.get_path("scripts")) / "zoo")
    fit = [zoo, "fit", "cnn_fashion_mnist", "--trainer.max_epochs=1", f"--trainer.default_root_dir={bench.folder}"]
    # Linux lets a new process start with the peak of the one that it was forked from: hence a small one in between.
    between = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", between, *fit], check=True, stdout=subprocess.PIPE, text=True)
    gigabytes = int(done.stdout) * (1 if sys.platform == "darwin" else 1024) / 1e9
    return [
        Row("zoo fit cnn_fashion_mnist, one epoch: peak memory", f"{gigabytes:.2f} GB", "< 1.20 GB", gigabytes < 1.2)
    ]


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
    rounds, batches = (4, 10) if bench.quick else (6, 40)
    limits = (f"--trainer.max_epochs={rounds}", f"--trainer.limit_train_batches={batches}", "--trainer.callbacks=null")
    few = ("--trainer.limit_val_batches=1", "--data.eval_batch_size=4096")
    name, rows = "char_rnn_shakespeare", []
    precisions = ("32-true", "bf16-mixed") if has_bfloat16() else ("32-true",)
    rates = {}
    for precision in precisions:
        plain = ("--tune_precision=false", f"--trainer.precision={precision}")
        cli = bench.cli(name, *limits, *few, *plain)
        loop = HandWrittenLanguageModel(cli, rounds, batches, precision == "bf16-mixed")
        race = Race({"loop": loop.train}, "windows")
        bench.fit(cli, race)
        rows.append(race.row(f"{name} in {precision}: zoo fit to hand-written loop around nn.LSTM", "loop", 0.95))
        rates[precision] = statistics.median(race._rates(race.samples, race.seconds)) * cli.datamodule.window
    if len(rates) > 1:
        gain = rates["bf16-mixed"] / rates["32-true"]
        figure = f"{gain:.2f} x ({rates['bf16-mixed']:,.0f} to {rates['32-true']:,.0f} characters/s)"
        rows.append(Row(f"{name}: bfloat16 to float32", figure, "", None))
    return rows


class HandWrittenAdversaries:
    """A float32 PyTorch loop with the networks and optimizers of a DCGAN recipe, no more.

    Args:
        cli: The recipe, not run yet.
        batches_a_round: Batches it trains on each time.
    """

    def __init__(self, cli: ZooCLI, batches_a_round: int) -> None:
        model: Any = cli.model
        cli.datamodule.setup("fit")
        self.images, _ = cli.datamodule.splits["train"]
        self.batch_size, self.batches_a_round, self.latent_size = (
            cli.datamodule.batch_size, batches_a_round, model.latent_size,
        )  # fmt: skip
        self.generator, self.discriminator = (copy.deepcopy(one) for one in (model.generator, model.discriminator))
        self.optimizers = [
            torch.optim.Adam(network.parameters(), model.lr, model.betas, fused=True)
            for network in (self.discriminator, self.generator)
        ]

    def train(self) -> int:
        """Trains for a round and returns on how many images."""
        seen = 0
        for rows in torch.randperm(len(self.images)).split(self.batch_size)[: self.batches_a_round]:
            real = self.images[rows].float() / 127.5 - 1
            with torch.no_grad():
                fake = self.generator(torch.randn(len(real), self.latent_size))
            loss = F.softplus(-self.discriminator(real)).mean() + F.softplus(self.discriminator(fake)).mean()
            self._step(0, loss)
            self.discriminator.requires_grad_(False)
            fake = self.generator(torch.randn(len(real), self.latent_size))
            self._step(1, F.softplus(-self.discriminator(fake)).mean())
            self.discriminator.requires_grad_(True)
            seen += len(real)
        return seen

    def _step(self, number: int, loss: Tensor) -> None:
        self.optimizers[number].zero_grad()
        loss.backward()
        self.optimizers[number].step()


def adversarial(bench: Bench) -> list[Row]:
    """A DCGAN against a hand-written loop, and what bfloat16 gains."""
    rounds, batches = (4, 20) if bench.quick else (6, 100)
    limits = (f"--trainer.max_epochs={rounds}", f"--trainer.limit_train_batches={batches}", "--trainer.callbacks=null")
    name, rows, rates = "dcgan_fashion_mnist", [], {}
    for precision in ("32-true", "bf16-mixed") if has_bfloat16() else ("32-true",):
        plain = ("--tune_precision=false", f"--trainer.precision={precision}", "--data.val_size=500")
        cli = bench.cli(name, *limits, *plain)
        race = Race({"loop": HandWrittenAdversaries(cli, batches).train})
        bench.fit(cli, race)
        if precision == "32-true":
            rows.append(race.row(f"{name} in float32: zoo fit to hand-written loop", "loop", 0.95))
        rates[precision] = statistics.median(race._rates(race.samples, race.seconds))
    threads = torch.get_num_threads()
    rows.append(Row(f"{name}: images a second and thread", f"{rates['32-true'] / threads:,.0f}", "", None))
    if len(rates) > 1:
        gain = rates["bf16-mixed"] / rates["32-true"]
        rows.append(
            Row(f"{name}: bfloat16 to float32", f"{gain:.2f} x ({rates['bf16-mixed']:,.0f} images/s)", "", None)
        )
    return rows


def generation(bench: Bench) -> list[Row]:
    """Text from published models, one stream, no token read twice."""
    rows = []
    for name, target in (
        ("char_rnn_shakespeare", 1500),
        ("char_transformer_shakespeare", None),
        ("trigram_shakespeare", None),
    ):
        model = weights.load(name)
        tokens = 300 if bench.quick else 1500
        model.generate("To be", tokens=50, seed=0)
        rates = []
        for seed in range(3):
            start = time.perf_counter()
            model.generate("To be", tokens=tokens, seed=seed)
            rates.append(tokens / (time.perf_counter() - start))
        rate, unit = statistics.median(rates), "characters" if model.tokenizer.is_characters else "words"
        wanted = "" if target is None else f">= {target:,}"
        rows.append(
            Row(
                f"{name}: {unit} generated a second", f"{rate:,.0f}", wanted, None if target is None else rate >= target
            )
        )
    return rows


def ngram(bench: Bench) -> list[Row]:
    """Counting and smoothing against NLTK, and KenLM where it is installed; all from and to the same text."""
    data = Shakespeare(str(Path(__file__).parents[1] / "data"))
    tokens, end = data.tokens.ids["train"], SENTENCES.index(END)
    if bench.quick:
        ends = tokens[:120_000].long().eq(end).nonzero()
        tokens = tokens[: int(ends[-1]) + 1]
    vocabulary = data.tokens.tokenizer.vocabulary
    text = " ".join(vocabulary[token] for token in tokens.tolist()).replace("</s> ", "\n").replace(" </s>", "\n")
    lines = [line.split() for line in text.splitlines()]
    rows = []
    for order in (3, 5):
        seconds = [fit_ngrams(tokens, data.vocab_size, order) for _ in range(5)]
        ours, what = statistics.median(seconds), f"{order}-gram model of {len(tokens):,} tokens"
        if find_spec("nltk") is not None:
            theirs = fit_nltk(lines, order)
            ratio = theirs / ours
            row = Row(
                f"{what}: NLTK's time to fit to the zoo's",
                f"{ratio:.0f} x ({theirs:.1f} to {ours:.2f} s)",
                ">= 30 x",
                ratio >= 30,
            )
            rows.append(row)
        if (lmplz := shutil.which("lmplz")) is not None:
            reference = statistics.median(time_lmplz(lmplz, text, order, bench.folder) for _ in range(5))
            ratio = ours / reference
            figure = f"{ratio:.2f} x ({ours:.2f} to {reference:.2f} s)"
            rows.append(
                Row(
                    f"{what}: time to that of KenLM's lmplz, a process that reads text and writes ARPA",
                    figure,
                    "<= 1.5 x",
                    ratio <= 1.5,
                )
            )
    rate, held, threads = in_own_process(measure_ngrams, np.array(tokens), data.vocab_size)
    rows.append(
        Row(
            f"3-gram model: tokens scored a second with {threads} thread",
            f"{rate:,.0f}",
            ">= 1,000,000",
            rate >= 1_000_000,
        )
    )
    if sys.platform == "linux":
        rows.append(
            Row("3-gram model: memory to count and smooth, at its highest", f"{held:.0f} bytes a token", "", None)
        )
    return rows


def fit_ngrams(tokens: Tensor, vocab_size: int, order: int) -> float:
    """Seconds from token ids to probabilities."""
    start = time.perf_counter()
    counts = NGramCounts(order, vocab_size, SENTENCES.index(START), SENTENCES.index(END))
    counts.add(tokens)
    table = BackOff(order, vocab_size, SENTENCES.index(START), SENTENCES.index(END))
    table.fill(counts.levels(), [])
    _ = table.runtime
    return time.perf_counter() - start


def fit_nltk(lines: list[list[str]], order: int) -> float:
    """Seconds that NLTK takes to count the same sentences."""
    lm, preprocessing = import_module("nltk.lm"), import_module("nltk.lm.preprocessing")
    start = time.perf_counter()
    ngrams, words = preprocessing.padded_everygram_pipeline(order, lines)
    lm.KneserNeyInterpolated(order).fit(ngrams, words)
    return time.perf_counter() - start


def time_lmplz(program: str, text: str, order: int, folder: Path) -> float:
    """Seconds that KenLM takes from a text to an ARPA file."""
    (folder / "train.txt").write_text(text)
    start = time.perf_counter()
    with (folder / "train.txt").open() as source, (folder / "model.arpa").open("w") as target:
        command = [program, "-o", str(order), "-S", "1G", "-T", str(folder / "sort")]
        subprocess.run(command, stdin=source, stdout=target, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure_ngrams(ids: np.ndarray, vocab_size: int) -> tuple[float, float, int]:
    """Tokens scored a second by one thread, and bytes a token that counting and smoothing take."""
    torch.set_num_threads(1)
    tokens = torch.from_numpy(ids)
    start_id, end_id = SENTENCES.index(START), SENTENCES.index(END)
    fit_ngrams(tokens[: int(tokens[:5000].long().eq(end_id).nonzero()[-1]) + 1], vocab_size, 3)  # loads kernels
    with measured() as found:
        counts = NGramCounts(3, vocab_size, start_id, end_id)
        counts.add(tokens)
        table = BackOff(3, vocab_size, start_id, end_id)
        table.fill(counts.levels(), [])
    read, rates = tokens.long(), []
    for _ in range(3):
        start = time.perf_counter()
        table.score(read)
        rates.append(len(read) / (time.perf_counter() - start))
    return statistics.median(rates), 1e6 * found.megabytes / len(tokens), torch.get_num_threads()


class MappedRows(Rows):
    """Rows of a file that stays on disk, in order, as often as wanted one after the other.

    Args:
        path: A ``.npy`` file.
        times: How often.
    """

    def __init__(self, path: Path, times: int = 1) -> None:
        super().__init__((torch.from_numpy(np.load(path, mmap_mode="c")),))
        self.times = times

    def __len__(self) -> int:
        return self.times * len(self.tensors[0])

    def __getitem__(self, positions: Any) -> tuple[Tensor, ...]:
        start, length = int(positions[0]) % len(self.tensors[0]), len(positions)
        if start + length <= len(self.tensors[0]):
            return (self.tensors[0][start : start + length],)  # as they lie, without a copy
        return super().__getitem__(positions % len(self.tensors[0]))


def write_rows(path: Path, count: int, width: int) -> Path:
    """Writes float32 rows around sixty-four middles, whose features vary the less the farther to the right."""
    generator = np.random.default_rng(0)
    middles = generator.normal(size=(64, width)).astype(np.float32) * 2
    scales = np.geomspace(1, 0.05, width, dtype=np.float32)
    file = np.lib.format.open_memmap(path, "w+", np.float32, (count, width))
    for start in range(0, count, PORTION):
        part = file[start : start + PORTION]
        noise = generator.standard_normal(part.shape, dtype=np.float32)
        part[:] = (noise + middles[generator.integers(0, len(middles), len(part))]) * scales
    file.flush()
    return path


@contextlib.contextmanager
def measured_beyond_files() -> Iterator[Measured]:
    """Measures what is done inside, on Linux; of its memory what mapped files do not take, looked at all the time."""
    found, done = Measured(), threading.Event()
    before, highest = _status("RssAnon"), 0

    def look() -> None:
        nonlocal highest
        while not done.wait(0.005):
            highest = max(highest, _status("RssAnon"))

    watcher, start = threading.Thread(target=look), time.perf_counter()
    watcher.start()
    try:
        yield found
    finally:
        found.seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    found.megabytes = max(highest - before, 0) / 1e6


def fit_rows(model: LightningModule, rows: Rows, epochs: int) -> None:
    """Trains a model of rows, in order and in batches of an eighth of the file, and nothing besides."""
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, load_batches(rows, EpochBatches(rows, len(rows.tensors[0]) // 8, shuffle=False)))


def measure_kmeans(path: Path, start: np.ndarray, times: int, iterations: int) -> tuple[Measured, np.ndarray]:
    """Measures Lloyd's iterations of the zoo and returns the centroids, too."""
    quieten(quiet=True)
    for rows, epochs in ((Rows((torch.randn(10_000, start.shape[1]),)), 1), (MappedRows(path, times), iterations)):
        model = KMeans(start.shape[1], len(start), restarts=1)
        model.begin(torch.from_numpy(start))
        with measured_beyond_files() as found:  # the first time only loads kernels
            fit_rows(model, rows, epochs)
    return found, model.centroids.numpy()


def measure_kmeans_of_scikit_learn(path: Path, start: np.ndarray, iterations: int) -> tuple[Measured, np.ndarray]:
    """Measures those of scikit-learn, from the same centroids and on the same mapped file."""
    warnings.simplefilter("ignore")  # it tells that it has not converged
    settings: dict[str, Any] = {"init": start, "n_init": 1, "tol": 0.0, "algorithm": "lloyd"}
    sklearn.cluster.KMeans(len(start), max_iter=1, **settings).fit(np.load(path, mmap_mode="r")[:10_000])
    with measured_beyond_files() as found:
        model = sklearn.cluster.KMeans(len(start), max_iter=iterations, **settings).fit(np.load(path, mmap_mode="r"))
    return found, model.cluster_centers_


def inertia_of(path: Path, centroids: Tensor) -> float:
    """The sum of squared distances of all rows to their nearest centroids."""
    rows = MappedRows(path).tensors[0].split(PORTION)
    # One row between two centroids, which rounding decides, moves both; the inertia hardly notices.
    return sum(float(torch.cdist(part.double(), centroids.double()).amin(1).square().sum()) for part in rows)


def kmeans(bench: Bench) -> list[Row]:
    """Lloyd's iterations on a file that stays on disk, against scikit-learn's."""
    if sys.platform != "linux":
        return []
    count, width, clusters, iterations = (50_000 if bench.quick else 1_000_000), 64, 64, 10
    path = write_rows(bench.folder / "kmeans.npy", count, width)
    start = np.array(np.load(path, mmap_mode="r")[:clusters])
    ratios, found, theirs = [], [], []
    for _ in range(1 if bench.quick else 3):
        ours, centroids = in_own_process(measure_kmeans, path, start, 1, iterations)
        other, expected = in_own_process(measure_kmeans_of_scikit_learn, path, start, iterations)
        ratios.append(other.seconds / ours.seconds)
        found.append(ours)
        theirs.append(other)
    what = f"k-means, {count:,} x {width} in float32, {clusters} clusters, {iterations} iterations"
    inertias = [inertia_of(path, torch.from_numpy(found_by)) for found_by in (centroids, expected)]
    apart = abs(inertias[0] / inertias[1] - 1)
    times = f"{statistics.median(one.seconds for one in theirs):.1f} to {found[-1].seconds:.1f} s"
    ratio = statistics.median(ratios)
    rows = [
        Row(f"{what}: scikit-learn's time to the zoo's", f"{ratio:.2f} x ({times})", ">= 1.00", ratio >= 1),
        Row(f"{what}: relative difference of the inertia to scikit-learn's", f"{apart:.1e}", "< 1e-04", apart < 1e-4),
    ]
    rows.append(memory_row(what, path, max(one.megabytes for one in found), max(one.megabytes for one in theirs)))
    # Forty times the file are the 10 GB of an array that no memory holds.
    scaled = {times: in_own_process(measure_kmeans, path, start, times, iterations)[0] for times in (2, 40)}
    return [*rows, *scaling_rows("k-means", {1: found[-1], **scaled})]


def measure_pca(path: Path, components: int, times: int) -> tuple[Measured, np.ndarray]:
    """Measures one pass of the zoo's PCA and returns the variances, too."""
    quieten(quiet=True)
    for rows in (Rows((torch.from_numpy(np.load(path, mmap_mode="r")[:10_000].copy()),)), MappedRows(path, times)):
        model = PCA(rows[torch.arange(1)][0].shape[1], components)
        with measured_beyond_files() as found:  # the first time only loads kernels
            fit_rows(model, rows, 1)
    return found, model.explained_variance.numpy()


def measure_pca_of_scikit_learn(path: Path, components: int) -> tuple[Measured, np.ndarray]:
    """Measures scikit-learn's PCA by the covariance, of the whole file at once."""
    settings: dict[str, Any] = {"n_components": components, "svd_solver": "covariance_eigh"}
    sklearn.decomposition.PCA(**settings).fit(np.load(path, mmap_mode="r")[:10_000])
    with measured_beyond_files() as found:
        model = sklearn.decomposition.PCA(**settings).fit(np.load(path, mmap_mode="r"))
    return found, model.explained_variance_


def measure_incremental_pca(path: Path, components: int) -> tuple[Measured, np.ndarray]:
    """Measures scikit-learn's incremental PCA, batch by batch as large as it chooses by itself."""
    rows = np.load(path, mmap_mode="r")
    size = 5 * rows.shape[1]
    sklearn.decomposition.IncrementalPCA(components).partial_fit(rows[:size])
    model = sklearn.decomposition.IncrementalPCA(components)
    with measured_beyond_files() as found:
        for start in range(0, len(rows) - size + 1, size):
            model.partial_fit(rows[start : start + size])
    return found, np.asarray(model.explained_variance_)


def pca(bench: Bench) -> list[Row]:
    """Components of a file that stays on disk, in one pass, against scikit-learn's two ways."""
    if sys.platform != "linux":
        return []
    count, width, components = (50_000 if bench.quick else 1_000_000), 256, 32
    path = write_rows(bench.folder / "pca.npy", count, width)
    what = f"PCA, {count:,} x {width} in float32, {components} components"
    rows = []
    for name, measure, rounds, target in (
        ("PCA", measure_pca_of_scikit_learn, 1 if bench.quick else 3, 1.0),
        ("IncrementalPCA", measure_incremental_pca, 1, 5.0),
    ):
        found = []
        for _ in range(rounds):
            ours, variances = in_own_process(measure_pca, path, components, 1)
            theirs, expected = in_own_process(measure, path, components)
            found.append(theirs.seconds / ours.seconds)
        ratio, apart = statistics.median(found), float(np.abs(variances / expected - 1).max())
        figure = f"{ratio:.2f} x ({theirs.seconds:.1f} to {ours.seconds:.1f} s; variances differ by {apart:.0e})"
        rows.append(
            Row(f"{what}: time of scikit-learn's {name} to the zoo's", figure, f">= {target:.2f}", ratio >= target)
        )
        rows.append(memory_row(f"{what}, beside {name}", path, ours.megabytes, theirs.megabytes))
    # Ten times the file are the 10 GB of an array that no memory holds.
    scaled = {times: in_own_process(measure_pca, path, components, times)[0] for times in (2, 10)}
    return [*rows, *scaling_rows("PCA", {1: ours, **scaled})]


def memory_row(what: str, path: Path, ours: float, theirs: float) -> Row:
    """Compares what two take beyond the file that they read."""
    size = path.stat().st_size / 1e6
    what = f"{what}: memory beyond the mapped file of {size:.0f} MB (scikit-learn's)"
    return Row(what, f"{ours:.0f} MB ({theirs:.0f} MB)", "<= 200 MB", ours <= 200)


def scaling_rows(what: str, found: dict[int, Measured]) -> list[Row]:
    """How time and memory grow with the rows."""
    once, most = found[1], max(found)
    times = ", ".join(f"{factor} x: {one.seconds:.1f} s" for factor, one in found.items())
    held = ", ".join(f"{factor} x: {one.megabytes:.0f} MB" for factor, one in found.items())
    growth, linear = found[most].seconds / once.seconds, 1.1 * most
    extra = found[most].megabytes - once.megabytes
    return [
        Row(f"{what}, {most} x the rows: time", f"{growth:.2f} x ({times})", f"<= {linear:.1f} x", growth <= linear),
        Row(f"{what}, {most} x the rows: more memory", f"{extra:.0f} MB ({held})", "<= 20 MB", extra <= 20),
    ]


BENCHMARKS: dict[str, Callable[[Bench], list[Row]]] = {
    "cnn": cnn_throughput,
    "dense": dense_throughput,
    "accuracy": time_to_accuracy,
    "transfer": transfer,
    "augmentation": augmentation,
    "folder": folder,
    "series": series_throughput,
    "windows": windows,
    "inference": inference,
    "ngram": ngram,
    "language": language,
    "generation": generation,
    "adversarial": adversarial,
    "kmeans": kmeans,
    "pca": pca,
    "commands": commands,
    "memory": memory,
}


SECTION = "## "


def machine() -> str:
    """Processor, cores and bfloat16 support, in words."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    bfloat16 = "with" if has_bfloat16() else "without"
    return f"{name}, {os.cpu_count()} cores ({torch.get_num_threads()} threads used), {bfloat16} bfloat16"


def section(name: str, rows: list[Row], quick: bool) -> str:
    """The rows of a benchmark, with when and on what they were measured, in Markdown."""
    header = ("what", "figure", "target", "verdict")
    lines = [header, ("---",) * len(header), *(row.cells for row in rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, lightning {lightning.__version__}"
    when = f"{date.today().isoformat()}{' (--quick)' if quick else ''}"
    return f"{SECTION}{name}\n\n{when}, {machine()}; {versions}.\n\n{table}\n"


def document(measured: dict[str, str], before: str) -> str:
    """All sections, those that were not measured now as they were before, in Markdown."""
    known = {part.partition("\n")[0]: SECTION + part for part in before.split(SECTION)[1:]}
    sections = {name: measured.get(name, known.get(name)) for name in BENCHMARKS}
    return (
        "# Benchmarks\n\n"
        "Written by scripts/benchmark.py; do not edit.\n\n"
        "Throughput is a ratio of images or windows per second (in brackets the zoo's and the other's), both trained\n"
        "in turns within one run; the median of the rounds counts, the first one warms up. The zoo's time is that of\n"
        "its training epochs as `zoo fit` runs them, from their start to the start of validation; the other's is that\n"
        "of its bare loop. Validation and the checkpoints written after it are left out, also of the time until an\n"
        "accuracy; of transfer learning they are counted. Where other programs take the machine's cores, seconds and\n"
        "ratios both suffer: measure on a quiet one.\n\n"
        + "\n".join(text.rstrip("\n") + "\n" for text in sections.values() if text)
    )


def main() -> None:
    """Runs the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    names = ", ".join(BENCHMARKS)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=f"some of {names}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, noisier figures")
    default = Path(__file__).parents[1] / "benchmarks.md"
    parser.add_argument(
        "--out", type=Path, default=default, help="file to write; it keeps what it tells of benchmarks that do not run"
    )
    arguments = parser.parse_args()
    console = Console()
    rows: list[Row] = []
    sections: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only or BENCHMARKS:
            start = time.perf_counter()
            found = BENCHMARKS[name](Bench(Path(folder), arguments.quick))
            console.print(f"{name} took {time.perf_counter() - start:.0f} s: {', '.join(row.figure for row in found)}")
            rows += found
            sections[name] = section(name, found, arguments.quick)
    table = Table("what", "figure", "target", "verdict")
    for row in rows:
        table.add_row(*row.cells)
    console.print(table)
    before = arguments.out.read_text(encoding="utf-8") if arguments.out.is_file() else ""
    arguments.out.write_text(document(sections, before), encoding="utf-8")


if __name__ == "__main__":
    main()
