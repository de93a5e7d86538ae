"""A series that counts, so that every window tells where it stands, and the ways to read it."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from lightning import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import Series
from datamodules.memory import Split
from datamodules.series.periods import divide
from datamodules.series.recording import Recording
from datamodules.series.timeline import Timeline


def counting(length: int = 200, channels: int = 1, **options: Any) -> Series:
    """A series in which every value tells where it stands: 0, 1, 2, ...; the next channel begins at 1000."""
    values = np.arange(length, dtype=np.float32)[:, None] + 1000 * np.arange(channels, dtype=np.float32)
    recording = Recording("counting", values, [f"channel {number}" for number in range(channels)], Timeline())
    periods = divide(recording, options.pop("val", 0.1), options.pop("test", 0.1))
    return Series(recording, periods, **{"window": 10, **options})


def as_process(data: Series, rank: int, processes: int = 2) -> Series:
    """Makes a data module believe that it is in a process of a distributed run."""
    trainer = SimpleNamespace(
        world_size=processes, global_rank=rank, current_epoch=0, num_devices=processes,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )  # fmt: skip
    data.trainer = cast(Trainer, trainer)
    return data


def joined(loader: DataLoader[Split] | list[DataLoader[Split]]) -> tuple[Tensor, Tensor]:
    """All windows of an epoch."""
    assert isinstance(loader, DataLoader)
    inputs, targets = zip(*loader, strict=True)
    return torch.cat(inputs), torch.cat(targets)
