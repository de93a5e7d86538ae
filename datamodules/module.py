"""What every data module is: an object that its arguments rebuild, and that can be tried in seconds."""

import os
from typing import Any, ClassVar, Literal

import torch
from lightning import LightningDataModule

from datamodules.arguments import KeepsArguments
from datamodules.checksums import Checksum
from datamodules.errors import DataError

Needs = Literal["pictures", "series", "table", "text", "sentences"]

# Each holds what Python and torch take; more help where there are more cores.
_MOST_WORKERS = 16


class DataModule(KeepsArguments, LightningDataModule):
    """Base of every data module.

    Args:
        workers: Processes that fetch batches ahead, of each process that trains; chosen if left out. A batch of what
            lies in memory is fetched in less time than it takes to hand it over, so there are none; where pictures are
            read from disk for a graphics processor there are two, as far as there are processor cores to spare.
        pin_memory: Copy batches from pinned memory, which a graphics processor reads while it computes; if left out,
            where there is one that trains. They are copied as they are, pictures as uint8.

    Attributes:
        miniature: Arguments for a quick try, a little of everything: with few batches an epoch takes a second. A
            subclass adds to those of its base what it has more.
        needs: What a user brings, for a class that reads nothing else: ``pictures`` in a folder a class, ``series`` in
            a CSV file, a ``table`` of one's own, ``text``, or a table of labelled ``sentences``.
        reader: Name of the class that reads the same kind of data from what a user has, if there is one.
        on_disk: Whether batches are read from files that may be larger than memory.

    Raises:
        DataError: The number of workers is negative, or one that would fill the memory of this computer.
    """

    miniature: ClassVar[dict[str, Any]] = {"batch_size": 8, "eval_batch_size": 16}
    needs: ClassVar[Needs | None] = None
    reader: ClassVar[str | None] = None
    on_disk: ClassVar[bool] = False

    def __init__(self, workers: int | None = None, pin_memory: bool | None = None) -> None:
        super().__init__()
        self.keep_arguments()
        most = max(_MOST_WORKERS, 4 * usable_cores())
        if workers is not None and not 0 <= workers <= most:
            raise DataError(
                f"workers is {workers}, expected 0 to {most} on this computer, whose cores are {usable_cores()}"
            )
        self.workers, self.pin_memory = workers, pin_memory

    def loading(self) -> dict[str, Any]:
        """How a ``DataLoader`` is to fetch batches: arguments of its constructor."""
        trainer = self.trainer
        on_gpu = torch.cuda.is_available() if trainer is None else trainer.strategy.root_device.type == "cuda"
        workers = self.workers
        if workers is None:
            # Of the cores one computes in each process that trains here.
            here = 1 if trainer is None else trainer.num_devices
            workers = min(2, usable_cores() // here - 1) if on_gpu and self.on_disk and trainer is not None else 0
        return {
            "num_workers": max(workers, 0),
            "persistent_workers": workers > 0,
            "pin_memory": on_gpu if self.pin_memory is None else self.pin_memory,
        }

    def predict_dataloader(self) -> Any:
        """What ``Trainer.predict`` goes through unless it is given something else: the test split, in its order."""
        return self.test_dataloader()

    def checksums(self) -> dict[str, Checksum]:
        """What each split holds, in a few characters; of data that nothing tells of, nothing.

        A run remembers them: whoever measures it, continues a series or publishes it is told when they have changed.
        """
        return {}

    def __str__(self) -> str:
        """The call that made it.

        Lightning would load all splits to tell their sizes, and jsonargparse asks for every fact that it hands on.
        """
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.hparams.items())
        return f"{type(self).__name__}({arguments})"


def usable_cores() -> int:
    """Processor cores that this process may use, which a scheduler or a container may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
