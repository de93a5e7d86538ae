"""Adversarial networks and images so small that a training takes a moment."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules import Digits
from zoo.gan.dcgan import DCGAN, ConditionalDCGAN
from zoo.gan.wgan import WGAN, WGANGP

SMALL: dict[str, Any] = {"image_size": 8, "latent_size": 6, "width": 4, "features": None}
BUILD: dict[str, Any] = {
    "DCGAN": lambda **more: DCGAN(**{**SMALL, **more}),
    "saturating": lambda **more: DCGAN(**{**SMALL, "loss": "saturating", **more}),
    "conditional": lambda **more: ConditionalDCGAN(**{**SMALL, **more}),
    "WGAN": lambda **more: WGAN(**{**SMALL, **more}),
    "WGANGP": lambda **more: WGANGP(**{**SMALL, **more}),
}
every_gan = pytest.mark.parametrize("kind", BUILD)


def images(count: int = 16, channels: int = 1, size: int = 8) -> Tensor:
    return torch.randint(0, 256, (count, channels, size, size), generator=torch.Generator().manual_seed(0)).byte()


def batch(count: int = 16) -> tuple[Tensor, Tensor]:
    return images(count), torch.arange(count) % 10


def trainer(tmp_path: Path, **settings: Any) -> Trainer:
    return Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
        enable_model_summary=False, default_root_dir=tmp_path, limit_val_batches=0, **settings,
    )  # fmt: skip


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def unchanged(module: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


class Watch(Digits):
    """Digits in one batch an epoch."""

    def train_dataloader(self) -> Any:
        return DataLoader([batch()], batch_size=None)  # type: ignore[arg-type]
