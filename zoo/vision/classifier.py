"""What every classifier of images and features shares: normalisation, augmentation, optimizer, pictures."""

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import Dataset

from zoo.base.classification import Classification
from zoo.drawing import draw_images
from zoo.vision.augmentation import Augmentation
from zoo.vision.inputs import ImageInputs
from zoo.vision.normalisation import normalise


class Classifier(ImageInputs, Classification):
    """Base of the classifiers; a subclass adds ``self.network``, which maps normalised inputs to ``self.num_logits``.

    Inputs are raw: uint8 images ``(N, C, H, W)`` are scaled to 0..1, float features ``(N, F)`` are taken as they are;
    then both are normalised with ``mean`` and ``std``. See :class:`Classification` for loss and metrics.

    Args:
        mean: Mean of each channel or feature (of images: in 0..1); one value serves all.
        std: Standard deviation, likewise.
        pixel_range: The values of black and white in pictures of more than eight bits, if the data has such.
        flip: Mirror half of the training images left to right.
        shift: Move training images; this and the next four as in :class:`Augmentation`.
        rotation: Turn training images.
        shear: Shear training images.
        zoom: Stretch training images.
        brightness: Lighten and darken training images.
        channels_last: Keep images and kernels in channels-last memory format, often faster.
        compile: Compile the network with ``torch.compile`` before training.

    Shape:
        - Input: uint8 ``(N, C, H, W)`` or float ``(N, F)``; or pictures, see :class:`ImageInputs`.
        - Output: logits ``(N, num_classes)``, or ``(N, 1)`` for two classes.
    """

    takes_tf32 = True
    network: nn.Module
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] = (0.5,),
        std: Sequence[float] = (0.5,),
        pixel_range: Sequence[float] | None = None,
        flip: bool = False,
        shift: float = 0.0,
        rotation: float = 0.0,
        shear: float = 0.0,
        zoom: float = 0.0,
        brightness: float = 0.0,
        channels_last: bool = False,
        compile: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.augmentation = Augmentation(flip, shift, rotation, shear, zoom, brightness)
        self.channels_last, self.compile_network = channels_last, compile
        self.pixel_range = pixel_range
        self.register_buffer("mean", torch.tensor(list(mean), dtype=torch.float32))
        self.register_buffer("std", torch.tensor(list(std), dtype=torch.float32))

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the logits of raw inputs."""
        return self.network(self.normalise(self.take(inputs)))

    def normalise(self, inputs: Tensor) -> Tensor:
        """Brings raw inputs to zero mean and unit variance in the model's own precision."""
        return normalise(inputs, self.mean, self.std, self.channels_last)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of an augmented batch."""
        inputs, labels = batch
        if self.augmentation and inputs.dtype == torch.uint8:
            inputs = self.augmentation(inputs)
        return self.learn(self(inputs), labels)

    @property
    def compiled_parts(self) -> list[nn.Module]:
        """What is compiled if the model is."""
        return [self.network]

    def setup(self, stage: str) -> None:
        """Brings the kernels into the wanted memory format and compiles, in place, so that no key is renamed."""
        super().setup(stage)
        if self.channels_last:
            self.network.to(memory_format=torch.channels_last)
        if self.compile_network and stage == "fit":
            for part in self.compiled_parts:
                part.compile()

    def training_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws some training images as they are and as the network will see them."""
        images = rows[torch.arange(0, len(rows), max(1, len(rows) // 5))[:5]][0]  # type: ignore[arg-type]
        if not self.augmentation or images.dtype != torch.uint8:
            return {}
        columns = [images, *(self.augmentation(images) for _ in range(5))]
        shown = torch.stack(columns, 1).flatten(0, 1)
        return {"augmented": draw_images(shown, ["as it is", *[""] * 5] * len(images), "What the network sees")}

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the confusion matrix and, of images, the most confident mistakes."""
        drawn = super().figures(outputs, rows)
        worst, guesses = self.worst(outputs, 30)
        inputs = rows[worst][0] if len(worst) else None
        if inputs is not None and inputs.ndim == 4:
            truths = outputs["labels"][worst].tolist()
            titles = [
                f"{self.classes[guess]}\n(is {self.classes[truth]})"
                for guess, truth in zip(guesses, truths, strict=True)
            ]
            drawn["mistakes"] = draw_images(inputs, titles, "The most confident mistakes")
        return drawn
