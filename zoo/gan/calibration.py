"""What real images and trivial generators reach, by the figures that generators are judged by."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from zoo.gan.health import FeatureNetwork, compare

# Training images that the memorising generator repeats.
_MEMORISED = 100
_TOLD = ("precision", "recall", "density", "coverage", "class_kl")


def calibrate(train: Any, test: Any, network: FeatureNetwork) -> dict[str, dict[str, float]]:
    """Compares real training images and trivial generators with the test images, as many of either.

    Args:
        train: uint8 images ``(N, C, H, W)`` and labels ``(N,)``.
        test: Likewise.
        network: Where it is looked from.

    Returns:
        Figures by name: ``real train`` (the floor: no generator can be better), ``100 memorised``, ``Gaussian by
        class`` (pixels drawn from a normal distribution for each class) and ``Gaussian``.
    """
    images, labels = train[0][:], train[1][:]
    count = len(test[0])
    real = network.look(test[0][:])
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, made in _generators(images, labels, min(count, len(images)), generator):
        figures = compare(real, network.look(made), network.kind, len(network.classes))
        kept = {key: value for key, value in figures.items() if key in _TOLD or key.endswith(("_fid", "_kid"))}
        found[name] = {key: float(f"{float(value):.5g}") for key, value in kept.items()}
    return found


def _generators(images: Tensor, labels: Tensor, count: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    order = torch.randperm(len(images), generator=generator)
    yield "real train", images[order[:count]]
    yield f"{_MEMORISED} memorised", images[order[torch.arange(count) % _MEMORISED]]
    classes = labels.unique()
    shares = (torch.arange(count).tensor_split(len(classes))[number].numel() for number in range(len(classes)))
    parts = [_gaussian(images[labels == one], share, generator) for one, share in zip(classes, shares, strict=True)]
    yield "Gaussian by class", torch.cat(parts)[torch.randperm(count, generator=generator)]
    yield "Gaussian", _gaussian(images, count, generator)


def _gaussian(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draws images whose pixels are normal, with the mean and covariance of given ones."""
    pixels = images.flatten(1).double()
    mean = pixels.mean(0)
    variances, vectors = torch.linalg.eigh((pixels - mean).T.cov())
    noise = torch.randn(count, len(mean), generator=generator, dtype=torch.float64)
    drawn = noise * variances.clamp(min=0).sqrt() @ vectors.T + mean
    return drawn.round().clamp(0, 255).to(torch.uint8).view(count, *images.shape[1:])
