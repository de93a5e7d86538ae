"""Generated pictures of coloured shapes: a data set that is always there."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from datamodules.errors import DataError
from datamodules.memory import Split
from datamodules.vision.images import Images


class Shapes(Images):
    """Generated pictures of one shape each, six kinds, on backgrounds that differ as much as the shapes do.

    Colour, place, size and rotation of the shape are random, likewise the background: a gradient between two colours
    with coarse blots and noise. The classes are balanced, all splits follow the same distribution, and every split is
    drawn from a stream of its own, so that one does not change with the size of another. Batches are
    ``(images uint8 (N, 3, S, S), labels int64 (N,))``.

    Args:
        image_size: Height and width.
        train_size: Number of training pictures.
        val_size: Number of validation pictures.
        test_size: Number of test pictures.
        batch_size: Images in a training batch of one process.
        eval_batch_size: Images in a validation or test batch of one process.

    Raises:
        DataError: The pictures are too small to tell the shapes apart, or a split has fewer pictures than classes.
    """

    classes = ["circle", "cross", "ring", "square", "star", "triangle"]
    in_channels = 3
    mean = [0.5, 0.5, 0.5]
    std = [0.2325, 0.2325, 0.2325]
    miniature = Images.miniature | {"train_size": 100, "val_size": 100, "test_size": 100}

    def __init__(
        self,
        image_size: int = 64,
        train_size: int = 2000,
        val_size: int = 500,
        test_size: int = 1000,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, **options)
        if image_size < 16:
            raise DataError(f"image_size is {image_size}, expected at least 16: smaller shapes look all alike")
        self.sizes = {"train": train_size, "val": val_size, "test": test_size}
        for split, size in self.sizes.items():
            if size < len(self.classes):
                raise DataError(
                    f"{split}_size is {size}, expected at least one for each of {len(self.classes)} classes"
                )
        self.image_size = image_size

    @property
    def source(self) -> dict[str, str]:
        """What was generated."""
        sizes = " + ".join(str(size) for size in self.sizes.values())
        return {
            "name": f"generated: {sizes} pictures of {len(self.classes)} coloured shapes, seed {self.seed}",
            "url": "https://github.com/lightning-zoo/lightning-zoo",
            "licence": "CC0-1.0",
        }

    def load(self) -> dict[str, Split]:
        """Generates the pictures."""
        splits: dict[str, Split] = {}
        for stream, (split, size) in enumerate(self.sizes.items()):
            generator = np.random.default_rng([self.seed, stream])
            labels = np.argsort(generator.random(size)) % len(self.classes)
            images = np.empty((size, 3, self.image_size, self.image_size), dtype=np.uint8)
            for chosen in np.array_split(np.arange(size), -(-size // 100)):  # few enough to stay in the caches
                images[chosen] = _draw(labels[chosen], self.image_size, generator)
            splits[split] = (torch.from_numpy(images), torch.from_numpy(labels))
        return splits


def _draw(labels: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    """Draws a picture for each label, uint8 ``(N, 3, size, size)``.

    Only uniform numbers are drawn, whose stream NumPy keeps the same on all machines and in all versions.
    """

    def uniform(low: float, high: float, *shape: int) -> np.ndarray:
        return low + (high - low) * generator.random((len(labels), *shape))

    # Pixel centres from -1 to 1.
    axis = (2 * np.arange(size) + 1) / size - 1
    background = _background(axis, uniform)
    radius = uniform(0.3, 0.6, 1, 1)
    room = 1 - radius
    x = axis[None, None, :] - room * uniform(-1, 1, 1, 1)
    y = axis[None, :, None] - room * uniform(-1, 1, 1, 1)
    angle = uniform(0, 2 * math.pi, 1, 1)
    across = (np.cos(angle) * x + np.sin(angle) * y) / radius
    along = (np.cos(angle) * y - np.sin(angle) * x) / radius
    distance = np.empty_like(across)
    for label, shape in enumerate(_SHAPES):
        chosen = labels == label
        distance[chosen] = shape(across[chosen], along[chosen])
    # Half a pixel of soft border.
    cover = np.clip(0.5 - distance * radius * size / 2, 0, 1)[:, None]
    # Each channel lies far from the background's mean in one direction or the other, so that the shape can be seen.
    centre = background.mean((2, 3), keepdims=True)
    step = uniform(0.25, 0.5, 3, 1, 1)
    colour = np.where(centre < 0.5, centre + step, centre - step)
    pictures = background * (1 - cover) + colour * cover + uniform(-0.08, 0.08, 3, size, size)
    return np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8)


def _background(axis: np.ndarray, uniform: Callable[..., np.ndarray]) -> np.ndarray:
    """A gradient between two colours in any direction, with four soft blots, ``(N, 3, S, S)`` around 0..1."""
    x, y = axis[None, None, :], axis[None, :, None]
    angle = uniform(0, 2 * math.pi, 1, 1)
    share = ((np.cos(angle) * x + np.sin(angle) * y) / math.sqrt(2) + 1)[:, None] / 2
    first, second = uniform(0, 1, 3, 1, 1), uniform(0, 1, 3, 1, 1)
    background = first * (1 - share) + second * share
    for _ in range(4):
        squared = (x - uniform(-1, 1, 1, 1)) ** 2 + (y - uniform(-1, 1, 1, 1)) ** 2
        blot = 1 / (1 + squared / uniform(0.01, 0.1, 1, 1))
        background += blot[:, None] * uniform(-0.3, 0.3, 3, 1, 1)
    return background


# Each tells how far a point lies outside of a shape of radius 1 around the origin, or inside if negative.
Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _circle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(x**2 + y**2) - 0.8


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(x - 0.95, y - 0.3), np.maximum(x - 0.3, y - 0.95))


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.sqrt(x**2 + y**2) - 0.7) - 0.2


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.7


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # A pentagram: the points that lie on the inner side of at least four of its five lines.
    return np.partition(_lines(x, y, 5), -2, axis=0)[-2] - math.cos(0.4 * math.pi)


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _lines(x, y, 3).max(0) - 0.5


def _lines(x: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    angles = [2 * math.pi * number / count for number in range(count)]
    return np.stack([math.cos(angle) * x + math.sin(angle) * y for angle in angles])


_SHAPES: list[Shape] = [_circle, _cross, _ring, _square, _star, _triangle]
