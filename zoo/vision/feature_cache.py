"""Computes the features of a frozen backbone once, so that the head trains on them as if on plain data."""

from typing import Any, Protocol, cast

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
        self.clear()

    def clear(self) -> None:
        """Forgets all features."""
        self._features: dict[tuple[str, int], Tensor] = {}
        self._images: dict[str, tuple[Any, ...]] = {}

    def before_training(self, trainer: Trainer, model: Any) -> None:
        """Puts features, or images again, into the training data of the coming epoch."""
        copy = trainer.current_epoch % self.copies if self.copies else 0
        self._swap(trainer, model, "train", _rows(trainer.train_dataloader), copy)

    def before_validation(self, trainer: Trainer, model: Any) -> None:
        """Puts features, or images again, into the validation data."""
        self._swap(trainer, model, "val", _rows(trainer.val_dataloaders), 0)

    def _swap(self, trainer: Trainer, model: Any, split: str, rows: _Rows, copy: int) -> None:
        images = self._images.setdefault(split, rows.tensors)
        if not model.frozen:
            rows.tensors = images
            self._features = {}
            return
        if (split, copy) not in self._features:
            rows.tensors = images
            augmented = split == "train" and self.copies > 0
            self._features[split, copy] = _compute(trainer, model, rows, copy if augmented else None)
        rows.tensors = (self._features[split, copy], *images[1:])


@torch.no_grad()
def _compute(trainer: Trainer, model: Any, rows: _Rows, copy: int | None) -> Tensor:
    """Features ``(N, F)`` of all rows, in main memory; of one augmented copy of them if its number is given."""
    share = -(-len(rows) // trainer.world_size)
    # The last process may have a few rows fewer; it repeats its last, since all shares must be of one size.
    positions = torch.arange(share).add(share * trainer.global_rank).clamp(max=len(rows) - 1)
    found = []
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices), trainer.precision_plugin.forward_context():
        torch.manual_seed((copy or 0) * 1_000_003 + trainer.global_rank)
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
            f"features can be cached only of the zoo's own data modules, not of {type(dataset).__name__}; "
            "compute them anew in every epoch with --model.cache_features false"
        )
    return dataset
