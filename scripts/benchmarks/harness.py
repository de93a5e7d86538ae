"""What measures: runs of ``zoo fit`` and the loops beside them, seconds and memory, processes of their own."""

import contextlib
import io
import math
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from scripts.benchmarks.checkout import ROOT
from scripts.benchmarks.report import Row, Size
from zoo.training.checkpoints import LastCheckpoint
from zoo.training.cli import ZooCLI
from zoo.training.target import resolve

DATA = ROOT / "data"

Batches = Iterator[tuple[Tensor, Tensor]]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Bench:
    """What a benchmark gets to work with.

    Attributes:
        folder: Temporary folder for runs.
        size: How much to measure: ``quick`` fewer rounds than ``full``, ``tiny`` only that all of the code runs.
    """

    folder: Path
    size: Size = "full"

    def choose(self, full: Found, quick: Found, tiny: Found) -> Found:
        """One of three settings."""
        return {"full": full, "quick": quick, "tiny": tiny}[self.size]

    def if_tiny(self, *flags: str) -> tuple[str, ...]:
        """Flags that only the smallest size has."""
        return flags if self.size == "tiny" else ()

    @property
    def fashion_mnist(self) -> tuple[str, ...]:
        """Flags of recipes of Fashion-MNIST: where it is and, at the smallest size, that a little of it will do."""
        few = self.if_tiny("--data.train_size=500", "--data.val_size=500", "--data.batch_size=16")
        return (f"--data.root={DATA}", *few)

    def cli(self, recipe: str, *flags: str) -> ZooCLI:
        """What ``zoo fit RECIPE FLAGS`` builds."""
        folder = ("--trainer.default_root_dir", str(self.folder))
        target = resolve("fit", [recipe, *folder, *self.if_tiny("--figures=false"), *flags])
        with contextlib.redirect_stdout(io.StringIO()):
            return ZooCLI(target.args, "fit", target.recipe)

    def fit(self, cli: ZooCLI, callback: Callback) -> None:
        """Runs ``zoo fit`` with one more callback."""
        trainer: Any = cli.trainer
        trainer.callbacks.insert(0, callback)
        # As if into a file: the same on a terminal and off it, and no progress bar across the table.
        with contextlib.redirect_stdout(io.StringIO()):
            cli.run()

    def in_own_process(self, work: Callable[..., Found], *arguments: Any) -> Found:
        """Does work in a new process, in whose memory nothing has happened yet; at the smallest size always in one."""
        if self.size == "tiny":
            return _the_process().submit(work, *arguments).result()
        with _new_process() as process:
            return process.submit(work, *arguments).result()


def _new_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


# A process takes seconds to import all that it needs, more than the rest of a tiny benchmark.
_the_process = cache(_new_process)


def fit_seconds(cli: ZooCLI) -> float:
    """Seconds of a training from its first epoch to its last, feature extraction included."""
    with contextlib.redirect_stdout(io.StringIO()):
        cli.run()
    return next(one.spent for one in cli.trainer.checkpoint_callbacks if isinstance(one, LastCheckpoint))


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
        figure = f"{ratio:.2f} ({statistics.median(zoo):,.0f} to {statistics.median(other):,.0f} {self.unit}/s)"
        if target is None:
            return Row(what, figure)
        return Row(what, figure, f">= {target:.2f}", ratio >= target if applies else None)

    @property
    def rate(self) -> float:
        """Samples a second of the zoo."""
        return statistics.median(self._rates(self.samples, self.seconds))

    def _rates(self, samples: list[int], seconds: list[float]) -> list[float]:
        rounds = [slice(start, start + self.epochs) for start in range(self.epochs, len(seconds), self.epochs)]
        return [sum(samples[epochs]) / sum(seconds[epochs]) for epochs in rounds]


@dataclass
class Measured:
    """What some work took.

    Attributes:
        seconds: Time.
        megabytes: Growth of the process' memory at its highest; NaN where the system does not tell.
    """

    seconds: float = 0.0
    megabytes: float = 0.0


@contextlib.contextmanager
def measured() -> Iterator[Measured]:
    """Measures what is done inside; its memory on Linux."""
    found, on_linux = Measured(megabytes=math.nan), sys.platform == "linux"
    if on_linux:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    before, start = memory_of("VmRSS") if on_linux else 0, time.perf_counter()
    yield found
    found.seconds = time.perf_counter() - start
    if on_linux:
        found.megabytes = (memory_of("VmHWM") - before) / 1e6


@contextlib.contextmanager
def measured_beyond_files() -> Iterator[Measured]:
    """Measures what is done inside, on Linux; of its memory what mapped files do not take, looked at all the time."""
    found, done = Measured(), threading.Event()
    before, highest = memory_of("RssAnon"), 0

    def look() -> None:
        nonlocal highest
        while not done.wait(0.005):
            highest = max(highest, memory_of("RssAnon"))

    watcher, start = threading.Thread(target=look), time.perf_counter()
    watcher.start()
    try:
        yield found
    finally:
        found.seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    found.megabytes = max(highest - before, 0) / 1e6


def memory_of(field: str) -> int:
    """Bytes of this process' memory that Linux counts under a name, such as ``RssAnon``."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024


def quotient(one: float, other: float) -> float:
    """How many times as much one figure is as another; NaN where that is nothing, as memory may be."""
    return one / other if other else math.nan
