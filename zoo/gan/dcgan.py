"""Deep convolutional GANs, with and without classes (Radford et al., 2016; Mirza and Osindero, 2014)."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError
from zoo.gan.adversarial import Adversarial
from zoo.gan.networks import Discriminator, Generator
from zoo.module import Schedule

GeneratorLoss = Literal["non_saturating", "saturating"]


class Logistic(Adversarial):
    """Base of the GANs whose discriminator tells real images from generated ones by logits.

    See :class:`DCGAN` for the arguments, which subclasses hand to :meth:`set_losses`.
    """

    def set_losses(self, loss: GeneratorLoss, label_smoothing: float) -> None:
        """Chooses what either network makes small.

        Raises:
            ZooError: There is no such loss, or the smoothing is no share.
        """
        if loss not in get_args(GeneratorLoss):
            raise ZooError(f"no loss {loss!r}; there are {' and '.join(get_args(GeneratorLoss))}")
        if not 0 <= label_smoothing < 1:
            raise ZooError(f"label_smoothing is {label_smoothing}, expected a number from 0 to below 1")
        self.loss, self.label_smoothing = loss, label_smoothing

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy of logits, real images against one, generated ones against zero, in nats."""
        smoothed = F.softplus(-real).mean() + self.label_smoothing * real.mean()
        return smoothed + F.softplus(fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """The chosen loss of logits, in nats."""
        return F.softplus(-fake).mean() if self.loss == "non_saturating" else -F.softplus(fake).mean()


class DCGAN(Logistic):
    """A generator that wants to be taken for real, and a discriminator that tells (Radford, Metz and Chintala, 2016).

    See :class:`Adversarial` for the arguments not listed.

    Args:
        width: Channels of the generator at half of the image's height and width.
        discriminator_width: Channels of the discriminator there; as ``width`` if left out.
        detail_width: Channels of one more layer of the generator, at full height and width; 0 for none.
        discriminator_detail_width: The same of the discriminator.
        loss: What the generator makes small: ``non_saturating``, the logarithm of being found out; or ``saturating``,
            that of the original game (Goodfellow et al., 2014), whose gradient vanishes when the discriminator is sure.
        label_smoothing: How far below one the discriminator's target for real images is (Salimans et al., 2016).
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: int = 28,
        latent_size: int = 100,
        width: int = 64,
        discriminator_width: int | None = None,
        detail_width: int = 0,
        discriminator_detail_width: int = 0,
        loss: GeneratorLoss = "non_saturating",
        label_smoothing: float = 0.0,
        lr: float = 2e-4,
        discriminator_lr: float | None = None,
        betas: Sequence[float] = (0.5, 0.999),
        schedule: Schedule = "constant",
        critic_steps: int = 1,
        clip_norm: float | None = None,
        average_decay: float = 0.999,
        features: str | None = "cnn_fashion_mnist",
        channels_last: bool = False,
    ) -> None:
        judge_width = width if discriminator_width is None else discriminator_width
        super().__init__(
            Generator(latent_size, in_channels, image_size, width, detail_width),
            Discriminator(in_channels, image_size, judge_width, discriminator_detail_width),
            latent_size, in_channels, image_size, lr, discriminator_lr, betas, schedule, critic_steps, clip_norm,
            average_decay, features, channels_last,
        )  # fmt: skip
        self.save_hyperparameters()
        self.set_losses(loss, label_smoothing)


class ConditionalDCGAN(Logistic):
    """A DCGAN that makes images of the class one asks for (Mirza and Osindero, 2014, arXiv:1411.1784).

    The generator reads the class beside the noise, the discriminator compares its features with a vector of the class
    (Miyato and Koyama, 2018). See :class:`DCGAN` and :class:`Adversarial` for the arguments not listed.

    Args:
        num_classes: Number of classes.
        classes: Their names; numbers if left out.

    Shape:
        - Input: noise ``(N, Z)`` and labels int64 ``(N,)``.
        - Output: images ``(N, C, S, S)``, 0 (black) to 1 (white).
    """

    def __init__(
        self,
        num_classes: int = 10,
        classes: Sequence[str] | None = None,
        in_channels: int = 1,
        image_size: int = 28,
        latent_size: int = 100,
        width: int = 64,
        discriminator_width: int | None = None,
        detail_width: int = 0,
        discriminator_detail_width: int = 0,
        loss: GeneratorLoss = "non_saturating",
        label_smoothing: float = 0.0,
        lr: float = 2e-4,
        discriminator_lr: float | None = None,
        betas: Sequence[float] = (0.5, 0.999),
        schedule: Schedule = "constant",
        critic_steps: int = 1,
        clip_norm: float | None = None,
        average_decay: float = 0.999,
        features: str | None = "cnn_fashion_mnist",
        channels_last: bool = False,
    ) -> None:
        judge_width = width if discriminator_width is None else discriminator_width
        super().__init__(
            Generator(latent_size, in_channels, image_size, width, detail_width, num_classes),
            Discriminator(in_channels, image_size, judge_width, discriminator_detail_width, num_classes=num_classes),
            latent_size, in_channels, image_size, lr, discriminator_lr, betas, schedule, critic_steps, clip_norm,
            average_decay, features, channels_last,
        )  # fmt: skip
        self.save_hyperparameters()
        self.set_losses(loss, label_smoothing)
        self.classes = list(classes) if classes else [str(number) for number in range(num_classes)]
        if num_classes < 1 or len(self.classes) != num_classes:
            raise ZooError(f"{num_classes} classes named {self.classes}; expected at least one and a name for each")
        self.num_classes = num_classes
