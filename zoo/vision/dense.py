"""A fully connected classifier with one hidden layer (the notes' first image classifier)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.vision.classifier import Classifier


class MLP(nn.Sequential):
    """A multilayer perceptron: flatten, a hidden layer with ReLU, logits; dropout in front of both layers.

    Args:
        in_features: Number of input values.
        num_logits: Number of outputs.
        hidden_size: Width of the hidden layer.
        dropout: Probability of dropping a hidden unit in training.
        input_dropout: Probability of dropping an input value in training.

    Shape:
        - Input: ``(N, ...)`` with ``in_features`` values a row.
        - Output: ``(N, num_logits)``.
    """

    def __init__(
        self,
        in_features: int,
        num_logits: int,
        hidden_size: int = 128,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Dropout(input_dropout) if input_dropout else nn.Identity(),
            nn.Linear(in_features, hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout) if dropout else nn.Identity(),
            nn.Linear(hidden_size, num_logits),
        )


class Dense(Classifier):
    """Classifies with :class:`MLP`. See :class:`Classifier` for the arguments not listed.

    Args:
        in_features: Number of input values, 784 for a 28x28 image.
        in_channels: Channels of an image, if the inputs are images.
        image_size: Height and width of an image, if the inputs are images.
        hidden_size: Width of the hidden layer.
        dropout: Probability of dropping a hidden unit in training.
        input_dropout: Probability of dropping an input value in training.
    """

    takes_rows = True

    def __init__(
        self,
        in_features: int = 784,
        in_channels: int | None = None,
        image_size: int | None = None,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        hidden_size: int = 128,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(mean=mean, std=std, **options)
        if in_channels and image_size and in_channels * image_size**2 != in_features:
            raise ZooError(f"in_features is {in_features}, expected {in_channels} x {image_size} x {image_size}")
        self.in_features, self.in_channels, self.image_size = in_features, in_channels, image_size
        self.network = MLP(in_features, self.num_logits, hidden_size, dropout, input_dropout)

    @property
    def takes(self) -> str:
        """uint8 images of its size, or features."""
        own = f"features (N, {self.in_features}), or uint8 images of as many pixels"
        return super().takes if self.image_size else own

    def check(self, inputs: Tensor) -> None:
        """Refuses rows of another length.

        Raises:
            ZooError: They are of another length, or images that are not uint8.
        """
        fits = inputs.ndim >= 2 and inputs.shape[1:].numel() == self.in_features
        if not fits or (inputs.ndim > 2 and inputs.dtype != torch.uint8):
            raise self.refusal(inputs)

    def example_input(self) -> Tensor:
        """One black image, or one row of zeros."""
        if self.in_channels and self.image_size:
            return torch.zeros(1, self.in_channels, self.image_size, self.image_size, dtype=torch.uint8)
        return torch.zeros(1, self.in_features)
