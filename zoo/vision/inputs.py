"""What models of images take: tensors and arrays of pixels, pictures, and files of pictures."""

from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerStatus
from PIL import Image
from torch import Tensor

from datamodules.vision.pictures import pictures_of, read_picture
from zoo.base.module import ZooModule
from zoo.errors import ZooError


class ImageInputs(ZooModule):
    """Base of the models that take images: uint8 ``(N, C, H, W)``, or pictures.

    A picture is a path, an image of Pillow, an array or a tensor, see
    :func:`datamodules.vision.pictures.pictures_of`, or a list of them; it is brought to the model's size, grey or
    colour, as a data module would.

    Attributes:
        in_channels: Channels of an image; None of models that were made for features.
        image_size: Height and width of an image; None likewise.
        pixel_range: The values of black and white in pictures of more than eight bits; None if it saw none.
        takes_rows: Whether it takes rows of numbers, too.
    """

    in_channels: int | None = None
    image_size: int | None = None
    pixel_range: Sequence[float] | None = None
    takes_rows = False

    @property
    def takes(self) -> str:
        """uint8 images of its size."""
        size = self.image_size
        return f"uint8 images (N, {self.in_channels}, {size}, {size}) from 0 (black) to 255, or pictures"

    def as_tensor(self, inputs: Any) -> Tensor | None:
        """uint8 images of its size as they are; all else that may be pictures is read.

        Raises:
            DataError: A picture cannot be read, or cannot be right.
        """
        given = super().as_tensor(inputs) if not _is_picture(inputs) else None
        if given is not None and (self._is_fitting(given) or self._is_busy_with(inputs)):
            return given
        if not self.image_size or not self.in_channels:
            return given
        if self.takes_rows and given is not None and given.ndim == 2 and given.is_floating_point():
            return given
        pictures = list(_pictures(inputs))
        if not pictures:
            return given
        return torch.stack([read_picture(one, self.image_size, self.in_channels, self.pixel_range) for one in pictures])

    def _is_fitting(self, inputs: Tensor) -> bool:
        try:
            self.check(inputs)
        except ZooError:
            return False
        return True

    def _is_busy_with(self, inputs: Any) -> bool:
        """Whether these are a batch of a trainer, in which images of another size are a mistake."""
        is_running = self._trainer is not None and self._trainer.state.status == TrainerStatus.RUNNING
        return isinstance(inputs, Tensor) and (self.training or is_running)

    def check(self, inputs: Tensor) -> None:
        """Refuses what are no images of its size.

        Raises:
            ZooError: They are not.
        """
        wanted = (self.in_channels, self.image_size, self.image_size)
        if inputs.dtype != torch.uint8 or inputs.ndim != 4 or inputs.shape[1:] != wanted:
            raise self.refusal(inputs)


def _is_picture(one: Any) -> bool:
    return isinstance(one, str | PathLike | Image.Image)


def _pictures(inputs: Any) -> Iterator[str | PathLike[str] | Image.Image]:
    """One after the other; nothing if any of the inputs is no picture."""
    several = isinstance(inputs, list | tuple)
    found: list[Any] = []
    for one in inputs if several else [inputs]:
        held = [one] if _is_picture(one) else []
        if isinstance(one, np.ndarray | Tensor):
            held = list(pictures_of(one, single=several))
        if not held:
            return
        found += held
    yield from found
