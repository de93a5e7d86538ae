"""The one folder that a run leaves."""

import csv
import itertools
import json
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from zoo import weights
from zoo.registry import read_results


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


@rank_zero_only
def keep_metrics(trainer: Trainer, checkpoint: Path) -> None:
    """Hands the CSV logger of a resumed run the lines written before the checkpoint; by itself it would delete them."""
    logger = next((logger for logger in trainer.loggers if isinstance(logger, CSVLogger)), None)
    path = Path(logger.log_dir) / "metrics.csv" if logger is not None else Path()
    if logger is None or not path.is_file():
        return
    # Loggers count batches; where two optimizers take turns, there are more steps than batches.
    step = weights.read_checkpoint(checkpoint)["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"]
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["step"]) < step]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Experiment logs directory")
        writer = logger.experiment
    writer.metrics.extend({key: value for key, value in row.items() if value} for row in rows)
    writer.save()


def write_results(folder: Path, recipe: str, results: dict[str, Any]) -> None:
    """Adds results to a run's ``results.json``."""
    content = {**read_results(folder), "recipe": recipe, **results}
    (folder / "results.json").write_text(json.dumps(content, indent=2) + "\n")


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
