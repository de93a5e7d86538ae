"""Data that fits in memory, indexed a batch at a time: no Python runs per sample.

The batches of an epoch depend on (seed, epoch) alone, so an interrupted run resumes with the same ones, and they are
dealt out to the processes of a distributed run without repeats or padding, so that an evaluation by two processes sees
what one process sees.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from datamodules.checksums import Checksum, of_tensors
from datamodules.errors import DataError
from datamodules.module import DataModule

Split = tuple[Tensor, ...]


def rows_at(tensor: Any, positions: Any) -> Any:
    """Rows of a tensor, or of what stands for one, as ``tensor[positions]`` gives them.

    Indexing copies element by element, which of a batch of pictures takes some twenty times as long as copying rows.
    """
    are_numbers = isinstance(positions, Tensor) and positions.ndim == 1 and positions.dtype == torch.int64
    if not are_numbers or not isinstance(tensor, Tensor):
        return tensor[positions]
    rows = tensor.index_select(0, positions)
    # A dimension of one, such as the channel of grey pictures, may have any stride; convolutions choose kernels by it.
    return rows.as_strided(rows.shape, (rows.stride(0), *tensor.stride()[1:])) if tensor.is_contiguous() else rows


class Picked:
    """Stands for some rows of a tensor; they are copied only when asked for, so that a mapped tensor stays on disk.

    It can be indexed and split along the first dimension, and tells its shape and type: all that is ever done with a
    tensor of a :data:`Split`.

    Args:
        tensor: The whole.
        positions: Rows that belong to the part, shape ``(N,)``.
    """

    def __init__(self, tensor: Tensor, positions: Tensor) -> None:
        self.tensor, self.positions = tensor, positions
        self.dtype = tensor.dtype
        self.ndim = tensor.ndim
        self.shape = torch.Size([len(positions), *tensor.shape[1:]])

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, positions: Any) -> Tensor:
        """Copies the rows at these positions of the part: a whole batch, or all with ``[:]``."""
        return rows_at(self.tensor, self.positions[positions])

    def split(self, size: int) -> Iterator[Tensor]:
        """Copies portions of ``size`` rows, one after the other."""
        return (self[start : start + size] for start in range(0, len(self), size))


class Rows(Dataset[Split]):
    """Tensors of equal length; indexing with a tensor of positions gives a whole batch.

    Args:
        tensors: Tensors whose first dimension is the sample.
    """

    def __init__(self, tensors: Split) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, positions: Any) -> Split:
        return tuple(rows_at(tensor, positions) for tensor in self.tensors)


class EpochBatches(DistributedSampler[Any]):
    """Yields batches of positions, sharded over processes.

    An epoch is cut into as few batches as ``batch_size`` allows, equal in number on every process and differing in size
    by one at most: nothing is dropped, nothing repeated. Being a ``DistributedSampler`` tells Lightning to leave the
    order alone and to call ``set_epoch``.

    Args:
        rows: The data set.
        batch_size: Largest number of samples in a batch of one process.
        shuffle: Draw a new order every epoch; otherwise ascending.
        seed: Together with the epoch it determines the order.
        num_replicas: Number of processes.
        rank: This process, counted from zero.
        size: Number of samples; as many as there are rows if left out.

    Raises:
        DataError: There are fewer samples than processes.
    """

    def __init__(
        self,
        rows: Rows,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        size: int | None = None,
    ) -> None:
        size = len(rows) if size is None else size
        if size < num_replicas:
            raise DataError(
                f"{size} samples cannot be shared by {num_replicas} processes; use --trainer.devices {size}"
            )
        super().__init__(rows, num_replicas=num_replicas, rank=rank, shuffle=shuffle, seed=seed)
        self.size = size
        self.num_batches = -(-size // (batch_size * num_replicas))

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[Tensor]:
        # A generator, since a resuming trainer asks for the iterator before it tells the epoch.
        order = None
        if self.shuffle:
            order = self.drawn(torch.Generator().manual_seed(self.seed * 100_003 + self.epoch))
        # Cut one by one, since a long series has more batches than one wants to hold.
        count = self.num_batches * self.num_replicas
        length, longer = divmod(self.size, count)
        for number in range(self.rank, count, self.num_replicas):
            start = number * length + min(number, longer)
            stop = start + length + (number < longer)
            yield torch.arange(start, stop) if order is None else order[start:stop]

    def drawn(self, generator: torch.Generator) -> Tensor:
        """The positions of an epoch in the order in which they are given out."""
        return torch.randperm(self.size, generator=generator)


class InMemory(DataModule):
    """Base of the data modules whose data fits in memory.

    A subclass implements :meth:`load`. Its facts (``num_classes``, ``mean``, ...) are properties that answer right
    after ``__init__``; it states only those that it has.

    Args:
        batch_size: Samples in a training batch of one process.
        eval_batch_size: Samples in a validation or test batch of one process.
        seed: Determines what is drawn: splits, and the order of the training batches.
    """

    def __init__(self, batch_size: int = 32, eval_batch_size: int = 512, seed: int = 0, **options: Any) -> None:
        super().__init__(**options)
        for name, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if value < 1:
                raise DataError(f"{name} is {value}, expected at least 1")
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self._splits: dict[str, Split] | None = None

    def load(self) -> dict[str, Split]:
        """Reads the data: ``{"train": ..., "val": ..., "test": ...}``, each a tuple of tensors of equal length."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to load its data")

    @property
    def splits(self) -> dict[str, Split]:
        """The tensors of each split, read on first use."""
        if self._splits is None:
            self._splits = self.load()
        return self._splits

    def checksums(self) -> dict[str, Checksum]:
        """Of the tensors of each split."""
        return {split: of_tensors(tensors) for split, tensors in self.splits.items()}

    @property
    def source(self) -> dict[str, str]:
        """Where the data comes from: name, version, licence and checksum, for model cards."""
        raise NotImplementedError(f"{type(self).__name__} does not name its source")

    def prepare_data(self) -> None:
        """Nothing: what must be fetched is fetched by subclasses."""

    def setup(self, stage: str | None = None) -> None:
        """Reads the data before training starts, so that its time is not counted as training."""
        _ = self.splits

    def train_dataloader(self) -> DataLoader[Split]:
        """Shuffled batches of the training split."""
        return self._loader("train", self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[Split] | list[DataLoader[Split]]:
        """Batches of the validation split, in order; no loader where there is none, as it was trained on."""
        return self._loader("val", self.eval_batch_size, shuffle=False) if "val" in self.splits else []

    def test_dataloader(self) -> DataLoader[Split]:
        """Batches of the test split, in order."""
        return self._loader("test", self.eval_batch_size, shuffle=False)

    def _loader(self, split: str, batch_size: int, shuffle: bool) -> DataLoader[Split]:
        rows = Rows(self.splits[split])
        return load_batches(rows, EpochBatches(rows, batch_size, shuffle, self.seed, *processes(self)), self)


def processes(data: LightningDataModule) -> tuple[int, int]:
    """How many processes share the data, and which of them this is."""
    return (data.trainer.world_size, data.trainer.global_rank) if data.trainer else (1, 0)


def load_batches(rows: Rows, batches: EpochBatches, data: DataModule | None = None) -> DataLoader[Split]:
    """Makes the loader that fetches whole batches of rows, as a data module is set to."""
    if data is not None and data.trainer is not None:
        # A resumed trainer tells the epoch when workers are fetching already.
        batches.set_epoch(data.trainer.current_epoch)
    # With a generator of its own the loader draws nothing from the one that dropout and augmentation use.
    loading = DataModule().loading() if data is None else data.loading()
    return DataLoader(rows, sampler=batches, batch_size=None, generator=torch.Generator(), **loading)


def stratified_split(labels: np.ndarray, held_out: int | float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits positions so that every class keeps its share.

    Args:
        labels: Class of every sample, shape ``(N,)``.
        held_out: Number (int) or fraction (float) of samples to hold out.
        seed: Determines the split.

    Returns:
        Positions kept and positions held out, both ascending.
    """
    try:
        kept, held = train_test_split(np.arange(len(labels)), test_size=held_out, stratify=labels, random_state=seed)
    except ValueError as error:
        raise DataError(f"cannot hold out {held_out} of {len(labels)} samples: {error}") from error
    return np.sort(kept), np.sort(held)
