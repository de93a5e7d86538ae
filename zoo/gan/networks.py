"""Generator and discriminator after DCGAN (Radford, Metz and Chintala, 2016, arXiv:1511.06434), plain modules."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.errors import ZooError


class Generator(nn.Module):
    """Makes images of noise: a dense layer, then two transposed convolutions that each double height and width.

    Args:
        latent_size: Length of a noise vector, ``Z``.
        in_channels: Channels of an image, ``C``.
        image_size: Height and width of an image, ``S``; a multiple of 4.
        width: Channels at half of the image's height and width; at a quarter there are twice as many.
        detail_width: Channels of one more hidden layer, at full height and width, which draws fine detail; 0 for none,
            as in DCGAN.
        num_classes: Number of classes that an image can be asked to be of; 0 for none.

    Shape:
        - Input: noise ``(N, Z)`` and, if there are classes, labels int64 ``(N,)``.
        - Output: ``(N, C, S, S)``, -1 (black) to 1 (white).

    Raises:
        ZooError: The image size is no multiple of 4, or a size is below one.
    """

    def __init__(
        self,
        latent_size: int = 128,
        in_channels: int = 1,
        image_size: int = 28,
        width: int = 64,
        detail_width: int = 0,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(latent_size=latent_size, width=width)
        self.num_classes = num_classes
        self.size = quarter(image_size)
        if detail_width:
            check_sizes(detail_width=detail_width)
            drawn = [
                nn.ConvTranspose2d(width, detail_width, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(detail_width),
                nn.ReLU(),
                nn.Conv2d(detail_width, in_channels, 3, padding=1),
            ]
        else:
            drawn = [nn.ConvTranspose2d(width, in_channels, 4, stride=2, padding=1)]
        self.dense = nn.Linear(latent_size + num_classes, 2 * width * self.size**2, bias=False)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            *drawn,
            nn.Tanh(),
        )
        initialise(self)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Makes an image of each noise vector."""
        if self.num_classes:
            assert labels is not None
            latent = torch.cat([latent, F.one_hot(labels, self.num_classes).to(latent.dtype)], dim=1)
        hidden = self.dense(latent)
        return self.layers(hidden.view(len(hidden), -1, self.size, self.size))


class Discriminator(nn.Module):
    """Scores images: two convolutions that each halve height and width, then a dense layer.

    With classes the score also holds the product of the features, summed over all places, and a vector of the class
    (Miyato and Koyama, 2018, arXiv:1802.05637), so that an image of another class than the one asked for is told apart.

    Args:
        in_channels: Channels of an image, ``C``.
        image_size: Height and width of an image, ``S``; a multiple of 4.
        width: Channels at half of the image's height and width; at a quarter there are twice as many.
        detail_width: Channels of one more layer, the first, at full height and width, which sees fine detail; 0 for
            none, as in DCGAN.
        batch_norm: Normalise after all convolutions but the first, as DCGAN does. Without, the score has no offset:
            this is a critic, whose gradient is bounded image by image and of whose scores only differences count.
        num_classes: Number of classes, 0 for none.

    Shape:
        - Input: ``(N, C, S, S)``, -1 to 1, and, if there are classes, labels int64 ``(N,)``.
        - Output: scores ``(N,)``: logits of being real, or a critic's values.

    Raises:
        ZooError: The image size is no multiple of 4, or a size is below one.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: int = 28,
        width: int = 64,
        detail_width: int = 0,
        batch_norm: bool = True,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        size = quarter(image_size)
        if detail_width:
            check_sizes(detail_width=detail_width)
            seen = [
                nn.Conv2d(in_channels, detail_width, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(detail_width, width, 4, stride=2, padding=1, bias=not batch_norm),
                nn.BatchNorm2d(width) if batch_norm else nn.Identity(),
            ]
        else:
            seen = [nn.Conv2d(in_channels, width, 4, stride=2, padding=1)]
        self.layers = nn.Sequential(
            *seen,
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=not batch_norm),
            nn.BatchNorm2d(2 * width) if batch_norm else nn.Identity(),
            nn.LeakyReLU(0.2),
        )
        self.dense = nn.Linear(2 * width * size**2, 1, bias=batch_norm)
        self.classes = nn.Embedding(num_classes, 2 * width) if num_classes else None
        initialise(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores each image."""
        features = self.layers(images)
        scores = self.dense(features.flatten(1)).squeeze(1)
        if self.classes is not None:
            assert labels is not None
            scores = scores + (self.classes(labels) * features.sum((2, 3))).sum(1)
        return scores


def check_sizes(**sizes: int) -> None:
    """Refuses layers without channels, by name.

    Raises:
        ZooError: There is such a one.
    """
    for name, size in sizes.items():
        if size < 1:
            raise ZooError(f"{name} is {size}, expected at least 1")


def quarter(image_size: int) -> int:
    """Height and width after halving twice.

    Raises:
        ZooError: It cannot be halved twice.
    """
    if image_size < 4 or image_size % 4:
        raise ZooError(f"image_size is {image_size}, expected a multiple of 4, such as 28 or 32")
    return image_size // 4


def initialise(network: nn.Module) -> None:
    """Draws the weights as DCGAN does: normal, with a standard deviation of 0.02, scales about one."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, _BatchNorm):
            nn.init.normal_(module.weight, 1.0, 0.02)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


@contextmanager
def constant(network: nn.Module) -> Iterator[None]:
    """Inside, a network computes as in training, but nothing of it changes: no gradients, no running statistics.

    Frozen weights are also what keeps autocast from answering with weights that it has rounded before they were last
    changed.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
        for norm in norms:
            norm.track_running_stats = True
