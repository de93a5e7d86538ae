"""Measures what the zoo promises about speed and memory, prints a table and writes ``benchmarks.md``.

Timings on a shared machine are noisy, so throughput is only ever compared within one run: before every epoch of
``zoo fit`` each contender trains its own epoch, and the median of the rounds' ratios counts.
"""

import argparse
import contextlib
import copy
import io
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, ToTensor, v2

from datamodules import ImageFolder
from zoo.commands.train import resolve
from zoo.training import ZooCLI, has_bfloat16
from zoo.vision.augmentation import Augmentation
from zoo.vision.classifier import Classifier

Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        what: What was measured.
        figure: What came out.
        target: What was wanted.
        met: Whether it was reached; None where the target does not apply to this machine.
    """

    what: str
    figure: str
    target: str
    met: bool | None

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The line as text."""
        verdict = "does not apply" if self.met is None else "met" if self.met else "missed"
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
    """Counts images and seconds of each training epoch, from its start to the start of the validation that ends it.

    Lightning validates inside the training epoch; loaders, hooks, metrics and logging of every training step are
    counted, validation and the checkpoints written after it are not.
    """

    def __init__(self) -> None:
        self.images: list[int] = []
        self.seconds: list[float] = []
        self._images = 0
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._images = 0
        self._start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts images."""
        self._images += len(batch[0])

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.seconds.append(time.perf_counter() - self._start)
            self.images.append(self._images)


class Race(TrainingClock):
    """Lets every contender train right before each epoch of the zoo.

    Args:
        contenders: Each trains for a while and says on how many images.
    """

    def __init__(self, contenders: dict[str, Callable[[], int]]) -> None:
        super().__init__()
        self.contenders = contenders
        self.rates: dict[str, list[float]] = {name: [] for name in contenders}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Times the contenders, then starts the zoo's clock."""
        for name, train in self.contenders.items():
            start = time.perf_counter()
            images = train()
            self.rates[name].append(images / (time.perf_counter() - start))
        super().on_train_epoch_start(trainer, pl_module)

    def row(self, what: str, contender: str, target: float, applies: bool = True) -> Row:
        """Compares the zoo with one contender; the first round warms up and does not count."""
        zoo = [images / seconds for images, seconds in zip(self.images, self.seconds, strict=True)][1:]
        other = self.rates[contender][1:]
        ratio = statistics.median(ours / theirs for ours, theirs in zip(zoo, other, strict=True))
        rates = f"{statistics.median(zoo):,.0f} to {statistics.median(other):,.0f} images/s"
        return Row(what, f"{ratio:.2f} ({rates})", f">= {target:.2f}", ratio >= target if applies else None)


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
        epochs = f"{len(clock.images)} epochs of a schedule of {cli.trainer.max_epochs}"
        figure = f"{clock.accuracy:.3f} after {sum(clock.seconds):.1f} s, {sum(clock.images):,} images, {epochs}"
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


BENCHMARKS: dict[str, Callable[[Bench], list[Row]]] = {
    "cnn": cnn_throughput,
    "dense": dense_throughput,
    "accuracy": time_to_accuracy,
    "transfer": transfer,
    "augmentation": augmentation,
    "folder": folder,
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
        "Throughput is a ratio of images per second (in brackets the zoo's and the other's), both trained in turns\n"
        "within one run; the median of the rounds counts, the first one warms up. The zoo's time is that of its\n"
        "training epochs as `zoo fit` runs them, from their start to the start of validation; the other's is that of\n"
        "its bare loop. Validation and the checkpoints written after it are left out, also of the time until an\n"
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
