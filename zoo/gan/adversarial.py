"""What generative adversarial networks share (Goodfellow et al., 2014): two networks, trained in turn."""

from collections.abc import Sequence
from math import ceil
from typing import Any, get_args

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, SingleDeviceStrategy
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from zoo.base.loss_watch import LossWatch
from zoo.base.optimization import OptimizerName, Schedule, hidden_matrices, make_optimizer
from zoo.base.processes import add_up, broadcast, leave_unwrapped, number_of_processes, place_among_processes
from zoo.base.rows import Rows, rows_of
from zoo.errors import ZooError
from zoo.gan.averaging import follow, share_gradients, share_statistics
from zoo.gan.diagnosis import diagnose
from zoo.gan.evaluation import JudgedGenerator
from zoo.gan.networks import Discriminator, check_sizes, constant


class Adversarial(JudgedGenerator):
    """Base of the adversarial models: a generator that makes images of noise, a discriminator that judges them.

    A subclass gives the losses. Every batch trains the discriminator, every ``critic_steps``-th the generator. While
    one trains the other is constant, and the discriminator's step builds no graph of the generator. Lightning's
    ``global_step`` counts the steps of both optimizers; ``trainer.max_epochs`` means epochs, and a schedule moves with
    every batch. See :class:`JudgedGenerator` for the arguments not listed.

    Args:
        discriminator_width: Channels of the discriminator at half of the image's height and width; as ``width`` if left
            out.
        discriminator_detail_width: Channels of one more layer of the discriminator, at full height and width; 0 for
            none.
        optimizer: Of both networks, ``adam`` (Kingma and Ba, 2015) as in the papers; see :func:`make_optimizer`.
        lr: Highest learning rate of the generator.
        discriminator_lr: That of the discriminator; the same if left out.
        betas: Decay rates of Adam's moments.
        schedule: See :meth:`Scheduled.scheduled`; all but ``plateau``.
        critic_steps: Steps of the discriminator for one of the generator.
        clip_norm: Scale gradients of either network down to this norm; not at all if left out.
        average_decay: Decay of the moving average a step of the generator, smaller in the first steps.

    Attributes:
        batch_norm: Whether the discriminator normalises.
    """

    batch_norm = True
    takes_tf32 = True
    learnt = ("generator.", "average.", "discriminator.")

    def __init__(
        self,
        discriminator_width: int | None = None,
        discriminator_detail_width: int = 0,
        optimizer: OptimizerName = "adam",
        lr: float = 2e-4,
        discriminator_lr: float | None = None,
        betas: Sequence[float] = (0.5, 0.999),
        schedule: Schedule = "constant",
        critic_steps: int = 1,
        clip_norm: float | None = None,
        average_decay: float = 0.999,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_sizes(critic_steps=critic_steps)
        for name, rate in (("lr", lr), ("discriminator_lr", discriminator_lr), ("clip_norm", clip_norm)):
            if rate is not None and not rate > 0:
                raise ZooError(f"{name} is {rate}, expected a number above 0")
        shares = {"average_decay": average_decay, **{f"number {at} of betas": beta for at, beta in enumerate(betas, 1)}}
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise ZooError(f"{name} is {share}, expected a number from 0 to below 1")
        if len(betas) != 2:
            raise ZooError(f"betas are {list(betas)}, expected two numbers, such as 0.5 and 0.999")
        if schedule == "plateau" or schedule not in get_args(Schedule):
            raise ZooError(
                f"no schedule {schedule!r} for two networks; there are constant, cosine, warmup_cosine, one_cycle"
            )
        self.automatic_optimization = False
        self.optimizer, self.lr, self.betas, self.schedule = optimizer, lr, betas, schedule
        self.discriminator_lr = lr if discriminator_lr is None else discriminator_lr
        self.critic_steps, self.clip_norm, self.average_decay = critic_steps, clip_norm, average_decay
        width = self.width if discriminator_width is None else discriminator_width
        self.discriminator = Discriminator(
            self.in_channels, self.image_size, width, discriminator_detail_width, self.batch_norm, self.num_classes
        )
        self._updates = {"discriminator": 0, "generator": 0}
        self._noise: torch.Generator | None = None
        self._tally: dict[str, list[Tensor]] = {}
        self._history: list[dict[str, float]] = []

    def rows(self) -> dict[str, Rows]:
        """Of the discriminator a row of its last layer for each class, too."""
        classes = self.discriminator.classes
        return super().rows() | ({} if classes is None else rows_of(self, classes, Rows("classes", self.classes)))

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator learns to make small, from its scores ``(N,)`` of real and of generated images."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its discriminator learns")

    def generator_loss(self, fake: Tensor) -> Tensor:
        """What the generator learns to make small, from the scores ``(N,)`` of its images."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its generator learns")

    def penalty(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor | float:
        """What else the discriminator pays for, from the images ``(N, C, S, S)`` themselves; nothing."""
        return 0.0

    def measures(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """What is logged of the scores: how often the discriminator tells real images from generated ones."""
        return {"discriminator_accuracy": ((real > 0).float().mean() + (fake < 0).float().mean()) / 2}

    def after_discriminator_step(self) -> None:
        """Nothing; a critic may bound its weights."""

    # Training ---------------------------------------------------------------------------------------------------------

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Trains the discriminator and, every ``critic_steps``-th time, the generator."""
        real, labels = self.to_signed(batch[0]), self._labels(batch)
        optimizers: Any = self.optimizers()
        loss = self._discriminator_loss(real, labels)
        self._step("discriminator", self.discriminator, optimizers[0], loss)
        self.after_discriminator_step()
        self._updates["discriminator"] += 1
        total = loss.detach()
        if self._updates["discriminator"] % self.critic_steps == 0:
            loss = self._generator_loss(len(real), labels)
            self._step("generator", self.generator, optimizers[1], loss)
            self._updates["generator"] += 1
            self._follow()
            total = total + loss.detach()
        schedules: Any = self.lr_schedulers() or ()
        for schedule in schedules:
            schedule.step()
        return {"loss": total}

    def trial_step(self, batch: tuple[Tensor, ...]) -> None:
        """The gradients of both networks, without their optimizers, to be timed."""
        real, labels = self.to_signed(batch[0]), self._labels(batch)
        self._discriminator_loss(real, labels).backward()
        self._generator_loss(len(real), labels).backward()
        self._tally = {}

    def to_signed(self, images: Tensor) -> Tensor:
        """Brings uint8 images to -1..1."""
        if images.dtype != torch.uint8:
            raise ZooError(f"images are {images.dtype}, expected uint8 from 0 (black) to 255")
        signed = images.float() / 127.5 - 1
        return signed.to(memory_format=torch.channels_last) if self.channels_last else signed

    def _labels(self, batch: tuple[Tensor, ...]) -> Tensor | None:
        return batch[1] if self.num_classes else None

    def _draw(self, count: int) -> Tensor:
        return torch.randn(count, self.latent_size, generator=self._noise, device=self.device)

    def _discriminator_loss(self, real: Tensor, labels: Tensor | None) -> Tensor:
        with torch.no_grad(), constant(self.generator):
            fake = self.generator(self._draw(len(real)), labels)
        real_scores = self.discriminator(real, labels).float()
        fake_scores = self.discriminator(fake, labels).float()
        loss = self.discriminator_loss(real_scores, fake_scores)
        self._note(discriminator_loss=loss, **self.measures(real_scores.detach(), fake_scores.detach()))
        return loss + self.penalty(real, fake, labels)

    def _generator_loss(self, count: int, labels: Tensor | None) -> Tensor:
        with constant(self.discriminator):
            scores = self.discriminator(self.generator(self._draw(count), labels), labels)
            loss = self.generator_loss(scores.float())
        self._note(generator_loss=loss)
        return loss

    def _step(self, name: str, network: nn.Module, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        parameters = list(network.parameters())
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        share_gradients(gradients)
        norm = nn.utils.get_total_norm(gradients)
        if self.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.clip_norm, norm)
        self._note(**{f"{name}_gradient_norm": norm})
        optimizer.step()

    def _follow(self) -> None:
        """Moves the average towards the generator."""
        count = self._updates["generator"]
        follow(self.average, self.generator, min(self.average_decay, (1 + count) / (10 + count)))
        self._settled = False

    def _note(self, **values: Tensor) -> None:
        for name, value in values.items():
            self._tally.setdefault(name, []).append(value.detach())

    # What Lightning calls ---------------------------------------------------------------------------------------------

    def configure_callbacks(self) -> list[Callback]:
        """A watch over the losses, whose sum says nothing and is not logged."""
        return [LossWatch(logs=False)]

    def setup(self, stage: str) -> None:
        """Refuses what two networks cannot be trained with.

        Raises:
            ZooError: The strategy wraps the model in another way than by processes, weights would not be float32 or
                gradients would have to be scaled, or what is to be watched is not measured.
        """
        if self.channels_last:
            for network in (self.generator, self.discriminator, self.average):
                network.to(memory_format=torch.channels_last)
        trainer = self._trainer
        if trainer is not None:
            known = isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy)
            if not known or isinstance(trainer.strategy, DeepSpeedStrategy):
                raise ZooError(
                    f"{type(trainer.strategy).__name__} wraps a model whose two networks are trained in turn; "
                    "use --trainer.strategy ddp"
                )
            if str(trainer.precision) not in ("32-true", "bf16-mixed"):
                raise ZooError(f"precision {trainer.precision} is not for two networks; use 32-true or bf16-mixed")
            leave_unwrapped(trainer.strategy)
        super().setup(stage)

    def schedule_length(self) -> float:
        """Batches; ``max_steps`` counts the steps of both optimizers."""
        estimated, most = super().schedule_length(), self.trainer.max_steps
        if most == -1:
            return estimated
        epochs = self.trainer.max_epochs
        batches = self.trainer.num_training_batches * epochs if epochs not in (None, -1) else float("inf")
        return min(batches, ceil(most * self.critic_steps / (self.critic_steps + 1)))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One for the discriminator, one for the generator."""
        judge = self._optimizer(self.discriminator, self.discriminator_lr)
        maker = self._optimizer(self.generator, self.lr)
        return self.scheduled(judge, self.schedule), self.scheduled(maker, self.schedule)

    def _optimizer(self, network: nn.Module, lr: float) -> torch.optim.Optimizer:
        betas = (self.betas[0], self.betas[1])
        hidden = hidden_matrices(network) if self.optimizer == "muon" else ()
        parts = self.moved([(list(network.parameters()), lr)])
        return make_optimizer(self.optimizer, parts, None, betas=betas, hidden=hidden)

    def on_fit_start(self) -> None:
        """Lets all processes begin with the weights of the first."""
        for tensor in (*self.parameters(), *self.buffers()):
            broadcast(tensor.data)

    def on_train_epoch_start(self) -> None:
        """Starts new means, and noise by seed, epoch and process, which a resumed run draws again."""
        super().on_train_epoch_start()
        self._tally = {}
        seeds = [torch.initial_seed() % 2**63, self.current_epoch, place_among_processes()]
        seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
        self._noise = torch.Generator(self.device).manual_seed(seed)

    def on_train_epoch_end(self) -> None:
        """Logs the epoch's means of losses, scores and gradient norms, and says what ails the training."""
        self.share_statistics()
        means = {name: torch.stack(values).float().mean() for name, values in self._tally.items()}
        means = {name: add_up(mean) / number_of_processes() for name, mean in means.items()}
        for name, mean in means.items():
            self.log(f"train_{name}", mean, sync_dist=True)
        self.log("learning_rate", self.trainer.optimizers[1].param_groups[0]["lr"], sync_dist=True)
        self._history.append({**{name: float(mean) for name, mean in means.items()}, **self.found})
        for message in diagnose(self._history, self.metric, self.missing):
            rank_zero_warn(message)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps whose turn it is, and the course of the figures."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["adversarial"] = {"updates": dict(self._updates), "history": list(self._history)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes them up."""
        super().on_load_checkpoint(checkpoint)
        self._updates = dict(checkpoint["adversarial"]["updates"])
        self._history = list(checkpoint["adversarial"]["history"])

    def share_statistics(self) -> None:
        """Gives all processes the same running statistics, also of the discriminator."""
        share_statistics(self.generator, self.discriminator)
