"""What models of images take: tensors and arrays of pixels, pictures, and files of pictures."""

from os import PathLike
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from datamodules.vision.pictures import read_picture
from zoo.base.module import ZooModule


class ImageInputs(ZooModule):
    """Base of the models that take images: uint8 ``(N, C, H, W)``, or pictures.

    A picture is a path or an image of Pillow, or a list of them; it is brought to the model's size, grey or colour.

    Attributes:
        in_channels: Channels of an image; None of models that were made for features.
        image_size: Height and width of an image; None likewise.
    """

    in_channels: int | None = None
    image_size: int | None = None

    @property
    def takes(self) -> str:
        """uint8 images of its size."""
        size = self.image_size
        return f"uint8 images (N, {self.in_channels}, {size}, {size}) from 0 (black) to 255, or pictures"

    def as_tensor(self, inputs: Any) -> Tensor | None:
        """Reads pictures, see :func:`datamodules.vision.pictures.read_picture`; takes all else as numbers.

        Raises:
            DataError: A picture cannot be read.
        """
        pictures = inputs if isinstance(inputs, list | tuple) else [inputs]
        if not pictures or not all(isinstance(one, str | PathLike | Image.Image) for one in pictures):
            return super().as_tensor(inputs)
        if not self.image_size or not self.in_channels:
            return None
        return torch.stack([read_picture(one, self.image_size, self.in_channels) for one in pictures])

    def check(self, inputs: Tensor) -> None:
        """Refuses what are no images of its size.

        Raises:
            ZooError: They are not.
        """
        wanted = (self.in_channels, self.image_size, self.image_size)
        if inputs.dtype != torch.uint8 or inputs.ndim != 4 or inputs.shape[1:] != wanted:
            raise self.refusal(inputs)
