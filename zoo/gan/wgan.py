"""Wasserstein GANs: a critic whose slope is bounded by clipping or by a penalty (Arjovsky et al., 2017)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.gan.adversarial import Adversarial


class Wasserstein(Adversarial):
    """Base of the Wasserstein GANs: a critic's mean score of real images less that of generated ones is their distance.

    The distance holds up to a factor, and only as far as the critic's slope is bounded, which subclasses see to. See
    :class:`Adversarial` for the arguments.
    """

    batch_norm = False

    def __init__(self, betas: Sequence[float] = (0.0, 0.9), critic_steps: int = 5, **options: Any) -> None:
        super().__init__(num_classes=0, classes=None, betas=betas, critic_steps=critic_steps, **options)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the distance falls short of."""
        return fake.mean() - real.mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """The critic's score, to be raised."""
        return -fake.mean()

    def measures(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The distance that the critic sees."""
        return {"critic_distance": real.mean() - fake.mean()}


class WGAN(Wasserstein):
    """Bounds the critic by clipping its weights (Arjovsky, Chintala and Bottou, 2017, arXiv:1701.07875).

    ``clipped_share`` is logged: how many weights lie at the bound, where clipping drives them, so that the critic
    becomes too simple. See :class:`Adversarial` for the arguments not listed.

    Args:
        clip: Largest absolute value of a weight of the critic.
    """

    def __init__(self, clip: float = 0.01, lr: float = 5e-5, **options: Any) -> None:
        if not clip > 0:
            raise ZooError(f"clip is {clip}, expected a number above 0, such as 0.01")
        super().__init__(lr=lr, **options)
        self.clip = clip
        self._clip()

    @torch.no_grad()
    def _clip(self) -> None:
        for parameter in self.discriminator.parameters():
            parameter.clamp_(-self.clip, self.clip)

    def after_discriminator_step(self) -> None:
        """Clips the critic's weights."""
        self._clip()

    def on_train_epoch_end(self) -> None:
        """Logs the share of the critic's weights that lie at the bound, too."""
        super().on_train_epoch_end()
        weights = torch.cat([parameter.detach().flatten() for parameter in self.discriminator.parameters()])
        self.log("train_clipped_share", (weights.abs() >= self.clip).float().mean(), sync_dist=True)


class WGANGP(Wasserstein):
    """Bounds the critic by a penalty on its gradient (Gulrajani et al., 2017, arXiv:1704.00028).

    See :class:`Adversarial` for the arguments not listed.

    Args:
        gradient_penalty: Weight of the squared distance of the gradient's norm from one.
    """

    def __init__(self, gradient_penalty: float = 10.0, **options: Any) -> None:
        if gradient_penalty < 0:
            raise ZooError(f"gradient_penalty is {gradient_penalty}, expected a number from 0 on, such as 10")
        super().__init__(**options)
        self.gradient_penalty = gradient_penalty

    def penalty(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor:
        """The weighted mean of ``(|gradient| - 1)^2`` at places between real and generated images.

        In float32 whatever the training's precision is: the gradient of a gradient loses too many digits in bfloat16.
        """
        with torch.autocast(real.device.type, enabled=False):
            share = torch.rand(len(real), 1, 1, 1, generator=self._noise, device=real.device)
            between = torch.lerp(real.float(), fake.float(), share).requires_grad_(True)
            scores = self.discriminator(between, labels)
            (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
            # Without the small number the root has no derivative where the gradient is zero.
            norms = (gradient.flatten(1).square().sum(1) + 1e-12).sqrt()
            excess = (norms - 1).square().mean()
        self._note(critic_slope=norms.mean())
        return self.gradient_penalty * excess
