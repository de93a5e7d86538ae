"""A new classifier of images: a plain network, and a thin LightningModule around it."""

from typing import Any

import torch
from lightning import Trainer
from torch import Tensor, nn

from datamodules import Digits
from zoo.vision import Classifier


class Patches(Classifier):
    """Looks at patches one by one, mixes them, and decides. See :class:`zoo.vision.Classifier` for all other arguments.

    Args:
        in_channels: Channels of an image.
        image_size: Height and width of an image.
        width: Features of a patch of 2x2 pixels.
    """

    def __init__(self, in_channels: int = 1, image_size: int = 8, width: int = 64, **options: Any) -> None:
        super().__init__(**options)
        self.in_channels, self.image_size = in_channels, image_size
        patches = (image_size // 2) ** 2
        self.network = nn.Sequential(
            nn.Conv2d(in_channels, width, 2, stride=2),
            nn.GELU(),
            nn.Conv2d(width, width, 1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(patches * width, self.num_logits),
        )

    def example_input(self) -> Tensor:
        """One black image."""
        return torch.zeros(1, self.in_channels, self.image_size, self.image_size, dtype=torch.uint8)


data = Digits()
facts = {name: getattr(data, name) for name in ("in_channels", "image_size", "num_classes", "classes", "mean", "std")}
trainer = Trainer(max_epochs=10, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
model = Patches(**facts, lr=3e-3)
trainer.fit(model, data)
trainer.test(model, data)
