"""The one folder that a run leaves."""

import csv
import io
import itertools
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from lightning import LightningModule, Trainer
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from datamodules.files import write_whole, written_whole
from zoo import weights
from zoo.errors import ZooError, shortened
from zoo.registry import read_results
from zoo.terminal import warn


def new_run_folder(parent: Path) -> Path:
    """Makes ``parent/<time>``; only the first process makes it."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder = parent / stamp
    if getattr(rank_zero_only, "rank", 0) != 0:
        return folder
    for attempt in itertools.count(2):
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:  # another run began in this second
            folder = parent / f"{stamp}_{attempt}"
    return folder


def remove_run(folder: Path) -> None:
    """Removes the folder of a run that never began, and the folders around it that are left empty."""
    shutil.rmtree(folder, ignore_errors=True)
    for parent in list(folder.parents)[:2]:
        with suppress(OSError):
            parent.rmdir()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps a second process from training a run that is being trained.

    The first of a run's processes holds a lock that the system takes back when the process ends, however it does. On a
    network file system it holds as far as the server grants locks: NFSv4 does, NFSv3 needs its lock daemon. Where there
    are none at all, that is said and nothing is kept away.

    Raises:
        ZooError: Another process trains the run.
    """
    lock = FileLock(folder / ".lock")
    if getattr(rank_zero_only, "rank", 0) == 0:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ZooError(f"{folder} is being trained by another process; wait until it ends, or end it") from None
        except (NotImplementedError, OSError) as error:
            warn(f"{folder} cannot be locked ({error}); let no other process train it")
    try:
        yield
    finally:
        lock.release()


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The lines of a run's ``metrics.csv``: numbers as they are written, or nothing, by name of the column.

    A line that was not written to its end is left out.

    Raises:
        ZooError: The file is missing or damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
        reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]), restkey="", restval="", strict=True)
        rows = []
        for row in reader:
            odd = next((name for name, value in row.items() if not name or not _is_figure(name, value)), None)
            if odd is not None or "step" not in row:
                told = "no step" if odd is None else f"{odd or 'a column without a name'} {shortened(row[odd])}"
                raise ZooError(f"{path} line {reader.line_num} is damaged: it has {told}; mend the file, or delete it")
            rows.append(row)
    except OSError as error:
        raise ZooError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ZooError(f"{path} is damaged: {error}") from error
    return rows


def _is_figure(name: str, text: str) -> bool:
    """Whether a column of that name may hold a text: a number, or nothing."""
    if name == "step":
        return text.isdecimal()
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


class MetricsWriter(ExperimentWriter):
    """Goes on with the ``metrics.csv`` that is there, as a run that is resumed needs it.

    Lines are added to it; when its columns change, it is written anew, at once or not at all.
    """

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        rows = self._rows()
        self.metrics_keys = list(rows[0]) if rows else []

    def keep_before(self, step: int) -> None:
        """Leaves out what was written at a step or later, for it will be written again."""
        rows = [row for row in self._rows() if int(row["step"]) < step]
        self.metrics_keys = [key for key in self.metrics_keys if any(row[key] for row in rows)]
        if rows:
            self._write([{key: row[key] for key in self.metrics_keys} for row in rows])
        else:
            Path(self.metrics_file_path).unlink(missing_ok=True)

    def holds(self, figures: Iterable[str], step: int) -> bool:
        """Whether figures of a step are written."""
        return any(int(row["step"]) == step and all(row.get(name) for name in figures) for row in self._rows())

    def _rows(self) -> list[dict[str, str]]:
        """The lines there are."""
        path = Path(self.metrics_file_path)
        return read_metrics(path) if path.exists() else []

    def _write(self, rows: list[dict[str, str]]) -> None:
        with written_whole(Path(self.metrics_file_path)) as scratch, scratch.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        self._write(self._rows())

    def _check_log_dir_exists(self) -> None:
        """What is there stays."""


class MetricsLogger(CSVLogger):
    """Writes ``metrics.csv`` into a run's folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, name="", version="", flush_logs_every_n_steps=1000)

    @property
    @rank_zero_experiment
    def experiment(self) -> MetricsWriter:
        """What writes."""
        if self._experiment is None:
            self._experiment = MetricsWriter(self.log_dir)
        assert isinstance(self._experiment, MetricsWriter)
        return self._experiment


class KeepMetrics(Callback):
    """Lets a resumed run go on with its ``metrics.csv`` where its checkpoint was written, once training begins.

    Args:
        checkpoint: The checkpoint.
    """

    def __init__(self, checkpoint: Path) -> None:
        content = weights.read_checkpoint(checkpoint)
        self.epoch = content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] - 1
        # Loggers count batches; where two optimizers take turns, there are more steps than batches.
        self.step = content["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"]
        self.figures: dict[str, float] = content["callbacks"].get("LastCheckpoint", {}).get("figures", {})
        self._is_done = False

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Cuts off what comes after, and adds the last figures if a kill came before they were written."""
        self._is_done = True
        for logger in trainer.loggers:
            if isinstance(logger, MetricsLogger):
                logger.experiment.keep_before(self.step)
                if self.figures and not logger.experiment.holds(self.figures, self.step - 1):
                    logger.log_metrics({**self.figures, "epoch": self.epoch}, self.step - 1)
                    logger.save()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Does so where nothing was left to train."""
        if not self._is_done:
            self.on_train_start(trainer, pl_module)


def write_results(folder: Path, recipe: str, results: dict[str, Any]) -> None:
    """Adds results to a run's ``results.json``."""
    content = {**read_results(folder), "recipe": recipe, **results}
    write_whole(folder / "results.json", (json.dumps(content, indent=2) + "\n").encode())


def device_name(trainer: Trainer) -> str:
    """The processor that trains, in words."""
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = device.type
    return f"{name}, {torch.get_num_threads()} threads"
