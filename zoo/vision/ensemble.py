"""Image classifiers that answer together."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torchvision.transforms.v2.functional import resize

from zoo.ensemble import ClassifierEnsemble
from zoo.vision.inputs import ImageInputs


class ImageEnsemble(ImageInputs, ClassifierEnsemble):
    """The mean of the probabilities of several image classifiers; one of another image size is shown smaller pictures.

    See :class:`ClassifierEnsemble` for the arguments not listed.

    Args:
        in_channels: Channels of an image.
        image_size: Height and width of an image, of the data.
        pixel_range: The values of black and white in pictures of more than eight bits, if the data has such.

    Shape:
        - Input: uint8 ``(N, C, H, W)``; or pictures, see :class:`ImageInputs`.
        - Output: logits ``(N, num_logits)``.
    """

    in_channels: int
    image_size: int

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 224,
        pixel_range: Sequence[float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.in_channels, self.image_size, self.pixel_range = in_channels, image_size, pixel_range

    def shown(self, member: Any, inputs: Tensor) -> Tensor:
        """The images in the size that a member knows."""
        size = getattr(member, "image_size", None) or self.image_size
        return inputs if size == self.image_size else resize(inputs, [size, size], antialias=True)
