"""A small convolutional classifier (the notes' second image classifier; LeCun et al., 1998, in modern dress)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.module import Schedule
from zoo.vision.classifier import Classifier


class ConvNet(nn.Sequential):
    """Two 3x3 convolutions with ReLU and 2x2 max pooling, a dense layer, logits.

    Args:
        in_channels: Channels of an image.
        image_size: Height and width of an image.
        num_logits: Number of outputs.
        channels: Kernels of the first and the second convolution.
        hidden_size: Width of the dense layer.
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
        dropout: float = 0.0,
        conv_dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = []
        for width in channels:
            layers += [nn.Conv2d(in_channels, width, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)]
            in_channels, image_size = width, image_size // 2
        super().__init__(
            *layers,
            nn.Dropout2d(conv_dropout) if conv_dropout else nn.Identity(),
            nn.Flatten(),
            nn.Linear(in_channels * image_size**2, hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout) if dropout else nn.Identity(),
            nn.Linear(hidden_size, num_logits),
        )


class CNN(Classifier):
    """Classifies images with :class:`ConvNet`. See :class:`Classifier` for the arguments not listed.

    Args:
        in_channels: Channels of an image.
        image_size: Height and width of an image, at least 4.
        dropout: Probability of dropping a unit of the dense layer in training.
        conv_dropout: Probability of dropping a whole channel after the last pooling in training.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: int = 28,
        num_classes: int = 10,
        classes: Sequence[str] | None = None,
        mean: Sequence[float] = (0.5,),
        std: Sequence[float] = (0.5,),
        dropout: float = 0.0,
        conv_dropout: float = 0.0,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        schedule: Schedule = "constant",
        label_smoothing: float = 0.0,
        flip: bool = False,
        shift: int = 0,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__(
            num_classes, classes, mean, std, lr, weight_decay, schedule, label_smoothing, flip, shift, channels_last,
            compile,
        )  # fmt: skip
        self.save_hyperparameters()
        if image_size < 4:
            raise ZooError(f"image_size is {image_size}, expected at least 4: two poolings halve it twice")
        self.in_channels, self.image_size = in_channels, image_size
        self.network = ConvNet(in_channels, image_size, self.num_logits, dropout=dropout, conv_dropout=conv_dropout)

    def example_input(self) -> Tensor:
        """One black image."""
        return torch.zeros(1, self.in_channels, self.image_size, self.image_size, dtype=torch.uint8)
