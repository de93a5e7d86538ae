"""Convolutional classifiers of the notes, grey and small, colour and larger (LeCun et al., 1998, in modern dress)."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.vision.classifier import Classifier

Padding = Literal["same", "valid"]


class ConvNet(nn.Sequential):
    """3x3 convolutions, each with ReLU and 2x2 max pooling, a dense layer, logits.

    Args:
        in_channels: Channels of an image.
        image_size: Height and width of an image.
        num_logits: Number of outputs.
        channels: Kernels of each convolution.
        hidden_size: Width of the dense layer.
        padding: ``same`` keeps height and width in a convolution, ``valid`` takes a pixel off each border.
        dropout: Probability of dropping a unit of the dense layer in training.
        conv_dropout: Probability of dropping a whole channel after the last pooling in training.

    Shape:
        - Input: ``(N, in_channels, image_size, image_size)``.
        - Output: ``(N, num_logits)``.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        num_logits: int,
        channels: Sequence[int] = (32, 64),
        hidden_size: int = 128,
        padding: Padding = "same",
        dropout: float = 0.0,
        conv_dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = []
        size = image_size
        for width in channels:
            layers += [nn.Conv2d(in_channels, width, 3, padding=padding), nn.ReLU(), nn.MaxPool2d(2)]
            in_channels, size = width, (size - 2 * (padding == "valid")) // 2
        if size < 1:
            raise ZooError(
                f"image_size is {image_size}, too small for {len(channels)} convolutions with {padding!r} padding, "
                "each of which halves it; use larger images or fewer channels"
            )
        super().__init__(
            *layers,
            nn.Dropout2d(conv_dropout) if conv_dropout else nn.Identity(),
            nn.Flatten(),
            nn.Linear(in_channels * size**2, hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout) if dropout else nn.Identity(),
            nn.Linear(hidden_size, num_logits),
        )


class CNN(Classifier):
    """Classifies images with :class:`ConvNet`. See :class:`Classifier` for the arguments not listed.

    The defaults are the notes' network for grey images of 28 pixels; their network for colour images of 150 has
    ``channels=(32, 64, 128, 128), hidden_size=512, padding="valid"``.

    Args:
        in_channels: Channels of an image.
        image_size: Height and width of an image.
        channels: Kernels of each convolution.
        hidden_size: Width of the dense layer.
        padding: ``same`` keeps height and width in a convolution, ``valid`` takes a pixel off each border.
        dropout: Probability of dropping a unit of the dense layer in training.
        conv_dropout: Probability of dropping a whole channel after the last pooling in training.
    """

    in_channels: int
    image_size: int

    def __init__(
        self,
        in_channels: int = 1,
        image_size: int = 28,
        channels: Sequence[int] = (32, 64),
        hidden_size: int = 128,
        padding: Padding = "same",
        dropout: float = 0.0,
        conv_dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.in_channels, self.image_size = in_channels, image_size
        self.network = ConvNet(
            in_channels, image_size, self.num_logits, channels, hidden_size, padding, dropout, conv_dropout
        )

    def features(self, inputs: Tensor) -> Tensor:
        """What the logits are computed of: the dense layer's output for raw images, ``(N, hidden_size)``."""
        hidden = self.normalise(self.take(inputs))
        for layer in list(self.network.children())[:-1]:
            hidden = layer(hidden)
        return hidden

    def decide(self, features: Tensor) -> Tensor:
        """Logits of :meth:`features`, ``(N, num_logits)``."""
        return list(self.network.children())[-1](features)

    def example_input(self) -> Tensor:
        """One black image."""
        return torch.zeros(1, self.in_channels, self.image_size, self.image_size, dtype=torch.uint8)
