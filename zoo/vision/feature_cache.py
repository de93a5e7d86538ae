"""Computes the features of a frozen backbone once, so that the head trains on them as if on plain data."""

from typing import Any, Protocol, cast

import numpy as np
import torch
from lightning import Trainer
from torch import Tensor

from zoo.errors import ZooError

_BATCH = 64


class _Rows(Protocol):
    tensors: tuple[Any, ...]

    def __len__(self) -> int: ...
    def __getitem__(self, positions: Tensor) -> tuple[Tensor, ...]: ...


class FeatureCache:
    """Lets a :class:`~zoo.vision.transfer.Transfer` whose backbone is frozen train on features instead of images.

    Features are computed in the trainer's precision, each process a share of them, when an epoch first needs them. The
    images return when the backbone is unfrozen. The data module's own data is not changed.

    Args:
        copies: Number of augmented copies of the training images; 0 for the images as they are.
    """

    def __init__(self, copies: int = 0) -> None:
        self.copies = copies
        self._seed = 0
        self._features: dict[tuple[str, int], Tensor] = {}
        self._taken: dict[str, tuple[_Rows, tuple[Any, ...]]] = {}

    def begin(self, seed: int) -> None:
        """Starts without features, for the data may be other than before.

        Args:
            seed: Determines the augmented copies.
        """
        self.end()
        self._seed = seed

    def end(self) -> None:
        """Forgets all features and gives the data its images back."""
        for rows, images in self._taken.values():
            rows.tensors = images
        self._features, self._taken = {}, {}

    def before_training(self, trainer: Trainer, model: Any) -> None:
        """Puts features, or images again, into the training data of the coming epoch."""
        copy = trainer.current_epoch % self.copies if self.copies else 0
        self._swap(trainer, model, "train", _rows(trainer.train_dataloader), copy)

    def before_validation(self, trainer: Trainer, model: Any) -> None:
        """Puts features, or images again, into the validation data."""
        self._swap(trainer, model, "val", _rows(trainer.val_dataloaders), 0)

    def all_copies(self, trainer: Trainer, model: Any) -> tuple[Tensor, Tensor]:
        """Features ``(N, F)`` of the training images and of all augmented copies of them, and labels ``(N,)``."""
        rows = _rows(trainer.train_dataloader)
        self._swap(trainer, model, "train", rows, 0)
        seen, images = rows.tensors, self._taken["train"][1]
        rows.tensors = images
        copies = [_compute(trainer, model, rows, (self._seed, copy)) for copy in range(model.augmented_copies)]
        rows.tensors = seen
        features = torch.cat([seen[0], *copies])
        return features, rows.tensors[1].repeat(len(features) // len(rows))

    def _swap(self, trainer: Trainer, model: Any, split: str, rows: _Rows, copy: int) -> None:
        if split not in self._taken:
            self._taken[split] = rows, rows.tensors
        images = self._taken[split][1]
        if images[0].ndim != 4:
            raise ZooError(
                f"the {split} data holds a tensor of {images[0].ndim} dimensions, expected images (N, C, H, W)"
            )
        if not model.frozen:
            rows.tensors = images
            self._features = {}
            return
        if (split, copy) not in self._features:
            rows.tensors = images
            augmented = split == "train" and self.copies > 0
            self._features[split, copy] = _compute(trainer, model, rows, (self._seed, copy) if augmented else None)
        rows.tensors = (self._features[split, copy], *images[1:])


@torch.no_grad()
def _compute(trainer: Trainer, model: Any, rows: _Rows, copy: tuple[int, int] | None) -> Tensor:
    """Features ``(N, F)`` of all rows, in main memory; of one augmented copy of them if seed and number are given."""
    share = -(-len(rows) // trainer.world_size)
    # The last process may have a few rows fewer; it repeats its last, since all shares must be of one size.
    positions = torch.arange(share).add(share * trainer.global_rank).clamp(max=len(rows) - 1)
    found = []
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices), trainer.precision_plugin.forward_context():
        seeds = np.random.SeedSequence([*(copy or ()), trainer.global_rank])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        for part in positions.split(_BATCH):
            images = rows[part][0].to(model.device)
            if copy is not None:
                images = model.augmentation(images)
            found.append(model.features(images).float())
    features = torch.cat(found)
    if trainer.world_size > 1:
        features = torch.cat([*cast(Tensor, model.all_gather(features))])
    return features[: len(rows)].cpu()


def _rows(loader: Any) -> _Rows:
    dataset: Any = getattr(loader, "dataset", None)
    if not hasattr(dataset, "tensors"):
        raise ZooError(
            f"features can be cached only of data held in tensors, as the zoo's data modules have it, not of a "
            f"{type(dataset).__name__}; compute them anew in every epoch with --model.cache_features false"
        )
    if loader.num_workers:
        raise ZooError(
            f"features are cached by the process that trains, and {loader.num_workers} workers would go on fetching "
            "pictures; use --data.workers 0, or compute features anew with --model.cache_features false"
        )
    return dataset
