"""Images of noise: a generator, the moving average of it that samples come from, walks, classes by name."""

import copy
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import torch
from lightning import LightningDataModule
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.base.inputs import check_ids, inputs_of, to_tensor, told
from zoo.base.optimization import Scheduled
from zoo.base.rows import Rows
from zoo.base.seeds import seeded
from zoo.drawing import draw_tiles, in_rows
from zoo.errors import ZooError, did_you_mean
from zoo.gan.averaging import normalisations, settle
from zoo.gan.latent import PICTURES, SETTLED, draw_latent, walk
from zoo.gan.networks import Generator

# Noise vectors that settle the normalisation statistics of the averaged generator.
_SETTLING = 1024
# Images at once, which are kept in memory; more than any sheet shows.
_MOST = 1_000_000


class ImageGenerator(Scheduled):
    """Base of the models that make images of noise.

    Samples come from the exponential moving average of the generator (Yazici et al., 2019, arXiv:1806.04498), whose
    normalisation statistics are settled anew, on 1,024 noise vectors, whenever it is looked at.

    Args:
        num_classes: Number of classes that images can be asked to be of; 0 for none.
        classes: Their names; numbers if left out.
        in_channels: Channels of an image.
        image_size: Height and width of an image.
        latent_size: Length of a noise vector, ``Z``.
        width: Channels of the generator at half of the image's height and width.
        detail_width: Channels of one more layer of the generator, at full height and width; 0 for none.
        channels_last: Keep images and kernels in channels-last memory format, often faster.

    Shape:
        - Input: noise ``(N, Z)`` and, if there are classes, labels int64 ``(N,)``.
        - Output: images ``(N, C, S, S)``, 0 (black) to 1 (white).
    """

    learnt: tuple[str, ...] = ("generator.", "average.")

    def __init__(
        self,
        num_classes: int = 0,
        classes: Sequence[str] | None = None,
        in_channels: int = 1,
        image_size: int = 28,
        latent_size: int = 100,
        width: int = 64,
        detail_width: int = 0,
        channels_last: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.num_classes = num_classes
        self.classes = list(classes) if classes else [str(number) for number in range(num_classes)]
        if len(self.classes) != num_classes:
            raise ZooError(f"{num_classes} classes named {self.classes}; expected at least one and a name for each")
        self.in_channels, self.image_size = in_channels, image_size
        self.latent_size, self.width = latent_size, width
        self.channels_last = channels_last
        self.generator = Generator(latent_size, in_channels, image_size, width, detail_width, num_classes)
        self.average = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self._settled = False

    def rows(self) -> dict[str, Rows]:
        """A column of the generator's first layer for each class, after those of the noise."""
        if not self.num_classes:
            return {}
        columns = Rows("classes", self.classes, axis=1, after=self.latent_size)
        return dict.fromkeys(("generator.dense.weight", "average.dense.weight"), columns)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Makes images of noise; of models with classes by labels ``(N,)``, all classes in turn if left out."""
        latent = self.take(latent)
        self.settle()
        return (self.average(latent.to(self.dtype), self._numbers(labels, len(latent))).float() + 1) / 2

    @property
    def takes(self) -> str:
        """Noise."""
        return f"noise (N, {self.latent_size})"

    def check(self, inputs: Tensor) -> None:
        """Refuses what is no noise.

        Raises:
            ZooError: It is not.
        """
        if inputs.ndim != 2 or inputs.shape[1] != self.latent_size:
            raise self.refusal(inputs)

    def _numbers(self, labels: Any, count: int) -> Tensor | None:
        """Labels on the device of the model; None where it knows no classes."""
        if not self.num_classes:
            return None
        if labels is None:
            return torch.arange(count, device=self.device) % self.num_classes
        given = to_tensor(labels)
        if given is None or given.shape != (count,) or given.is_floating_point():
            raise ZooError(f"labels are {told(labels)}, expected a whole number for each row of noise ({count},)")
        check_ids(given, self.num_classes, "class")
        return given.to(self.device).long()

    def settle(self) -> None:
        """Computes the normalisation statistics of the averaged generator, which no batch has ever passed."""
        if self._settled or not normalisations(self.average):
            return
        latent = draw_latent(_SETTLING, self.latent_size, torch.Generator().manual_seed(SETTLED)).to(self.device)
        settle(self.average, ((part, self.asked(len(part), None)) for part in latent.split(_SETTLING // 4)))
        self._settled = True

    def asked(self, count: int, classes: Sequence[str] | str | None) -> Tensor | None:
        """The labels of images that are asked for, one class after the other if none is named."""
        if not self.num_classes:
            if classes is not None:
                raise ZooError(f"{type(self).__name__} knows no classes; use a ConditionalDCGAN to ask for {classes!r}")
            return None
        names = [classes] if isinstance(classes, str) else list(classes or self.classes)
        numbers = [self._class_number(name) for name in names]
        return torch.tensor(numbers, device=self.device)[torch.arange(count, device=self.device) % len(numbers)]

    def _class_number(self, name: str) -> int:
        if name in self.classes:
            return self.classes.index(name)
        typed = [slug(one) for one in self.classes]
        if not slug(name) or slug(name) not in typed:
            raise ZooError(f"no class {name!r}{did_you_mean(slug(name), typed)}; there are {', '.join(self.classes)}")
        if typed.count(slug(name)) > 1:
            alike = (one for one in self.classes if slug(one) == slug(name))
            raise ZooError(f"class {name!r} may be any of {', '.join(alike)}; write it exactly")
        return typed.index(slug(name))

    @torch.no_grad()
    def make(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        """uint8 images of noise, a part at a time."""
        self.settle()
        latent = latent.to(self.device)
        parts = []
        for start in range(0, len(latent), 500):
            some = slice(start, start + 500)
            images = self(latent[some], None if labels is None else labels[some])
            parts.append((images * 255).round().clamp(0, 255).to(torch.uint8))
        return torch.cat(parts)

    def predict_step(self, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """uint8 images ``(N, C, S, S)``: of noise, or as many as the batch holds, and of its classes.

        Args:
            batch: Noise ``(N, Z)``, or images; with labels or without.
            batch_idx: Which batch it is: the noise of each is another one, and always the same.
            dataloader_idx: Of which loader.
        """
        given = inputs_of(batch)
        labels = batch[1] if self.num_classes and given is not batch and len(batch) > 1 else None
        is_noise = given.ndim == 2
        return self.make(given if is_noise else draw_latent(len(given), self.latent_size, seeded(batch_idx)), labels)

    def sample(
        self,
        count: int = 1,
        seed: int | None = None,
        classes: Sequence[str] | str | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Makes images, uint8 ``(count, C, S, S)`` on the model's device.

        Args:
            count: Number of images.
            seed: Equal seeds give equal images on one device; other ones every time if left out.
            classes: Name of the class, or names that take turns; all classes in turn if left out.
            truncation: See :func:`zoo.gan.latent.draw_latent`.

        Raises:
            ZooError: The count is below one, the model knows no such class, or none at all.
        """
        if not isinstance(count, Integral) or not 1 <= count <= _MOST:
            raise ZooError(f"{count!r} images, expected a whole number from 1 to {_MOST:,}")
        generator, labels = seeded(seed), self.asked(count, classes)
        return self.make(draw_latent(count, self.latent_size, generator, truncation), labels)

    def interpolate(
        self,
        points: int = 6,
        frames: int = 16,
        count: int = 1,
        seed: int | None = None,
        classes: Sequence[str] | str | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Walks through the noise and back to where it began; see :func:`zoo.gan.latent.walk`.

        Args:
            points: Noise vectors to pass.
            frames: Steps from one to the next.
            count: Number of walks.
            seed: As in :meth:`sample`.
            classes: As in :meth:`sample`, of each walk.
            truncation: As in :meth:`sample`.

        Returns:
            uint8 images ``(points * frames, count, C, S, S)``.

        Raises:
            ZooError: There is nothing to walk between, or as in :meth:`sample`.
        """
        if points < 2 or frames < 1 or count < 1 or count * points * frames > _MOST:
            raise ZooError(
                f"{count} walks of {points} points in {frames} steps; expected 1, 2 and 1 at least, and {_MOST:,} "
                "images in all"
            )
        generator, labels = seeded(seed), self.asked(count, classes)
        passed = draw_latent(points * count, self.latent_size, generator, truncation).view(count, points, -1)
        walks = torch.stack([walk(one, frames) for one in passed], dim=1)
        repeated = None if labels is None else labels.repeat(len(walks))
        return self.make(walks.flatten(0, 1), repeated).unflatten(0, (len(walks), count))

    @property
    def columns(self) -> int:
        """Images in a row of a picture: one of each class, where that is few."""
        return self.num_classes if 1 < self.num_classes <= 12 else 8

    def progress(self) -> Tensor:
        """The images of the same noise, after every epoch, uint8 ``(8, columns, C, S, S)``."""
        count = 8 * self.columns
        latent = draw_latent(count, self.latent_size, torch.Generator().manual_seed(PICTURES))
        return in_rows(self.make(latent, self.asked(count, None)), self.columns)

    def example_input(self) -> Tensor:
        """Noise that is all zero."""
        return torch.zeros(1, self.latent_size)

    def golden(self, data: LightningDataModule) -> dict[str, Tensor]:
        """A few noise vectors."""
        return {"input": draw_latent(8, self.latent_size, torch.Generator().manual_seed(PICTURES))}

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The weights, with settled normalisation statistics."""
        self.settle()
        return super().state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Takes weights, whose normalisation statistics are settled."""
        loaded = super().load_state_dict(state_dict, strict, assign)
        self._settled = True
        return loaded

    def train(self, mode: bool = True) -> "ImageGenerator":
        """Sets the networks in training, but never the average."""
        super().train(mode)
        self.average.eval()
        return self

    def training_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws real images, to compare with."""
        at = torch.linspace(0, len(rows) - 1, min(64, len(rows))).long()  # type: ignore[arg-type]
        return {"real": draw_tiles(in_rows(rows[at][0], 8), "Real images")}

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws generated images."""
        return {"samples": draw_tiles(self.progress(), "Generated images")}


def slug(name: str) -> str:
    """A class name as it is typed: ``T-shirt/top`` is ``t-shirt-top``."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())
