"""Deep convolutional GANs, with and without classes (Radford et al., 2016; Mirza and Osindero, 2014)."""

from typing import Any, Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from zoo.base.optimization import one_of
from zoo.errors import ZooError
from zoo.gan.adversarial import Adversarial

GeneratorLoss = Literal["non_saturating", "saturating"]


class Logistic(Adversarial):
    """Base of the GANs whose discriminator tells real images from generated ones by logits.

    See :class:`Adversarial` for the arguments not listed.

    Args:
        loss: What the generator makes small: ``non_saturating``, the logarithm of being found out; or ``saturating``,
            that of the original game (Goodfellow et al., 2014), whose gradient vanishes when the discriminator is sure.
        label_smoothing: How far below one the discriminator's target for real images is (Salimans et al., 2016).

    Raises:
        ZooError: There is no such loss, or the smoothing is no share.
    """

    def __init__(self, loss: GeneratorLoss = "non_saturating", label_smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        one_of("loss", loss, get_args(GeneratorLoss))
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

    See :class:`Logistic` and :class:`Adversarial` for the arguments.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(num_classes=0, classes=None, **options)


class ConditionalDCGAN(Logistic):
    """A DCGAN that makes images of the class one asks for (Mirza and Osindero, 2014, arXiv:1411.1784).

    The generator reads the class beside the noise, the discriminator compares its features with a vector of the class
    (Miyato and Koyama, 2018). See :class:`Logistic` and :class:`Adversarial` for the arguments not listed.

    Args:
        num_classes: Number of classes.

    Shape:
        - Input: noise ``(N, Z)`` and labels int64 ``(N,)``.
        - Output: images ``(N, C, S, S)``, 0 (black) to 1 (white).
    """

    def __init__(self, num_classes: int = 10, **options: Any) -> None:
        super().__init__(num_classes=num_classes, **options)
        if num_classes < 1:
            raise ZooError(f"num_classes is {num_classes}, expected at least 1")
