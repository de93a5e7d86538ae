"""What generative adversarial networks share (Goodfellow et al., 2014): two optimizers, a moving average, samples."""

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, get_args

import numpy as np
import torch
from lightning import LightningDataModule
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, SingleDeviceStrategy
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Dataset

from zoo.drawing import draw_tiles, in_rows
from zoo.errors import ZooError, did_you_mean
from zoo.gan.calibration import calibrate
from zoo.gan.diagnosis import diagnose
from zoo.gan.health import INCEPTION, FeatureNetwork, RealImages, Seen, compare, gathered, missing_classes
from zoo.gan.latent import draw_latent, seeded, walk
from zoo.gan.networks import Discriminator, Generator, check_sizes, constant
from zoo.module import Schedule, ZooModule
from zoo.processes import (
    add_up,
    broadcast,
    in_company,
    leave_unwrapped,
    number_of_processes,
    place_among_processes,
)

# Noise vectors that settle the normalisation statistics of the averaged generator.
_SETTLING = 1024
# Seeds of the noise that is always the same: of evaluations, of settling, of pictures.
_EVALUATION, _SETTLED, _PICTURES = 0, 1, 2


class Adversarial(ZooModule):
    """Base of the adversarial models: a generator that makes images of noise, a discriminator that judges them.

    A subclass gives both networks and the losses. Every batch trains the discriminator, every ``critic_steps``-th the
    generator. While one trains the other is constant, and the discriminator's step builds no graph of the generator.
    Lightning's ``global_step`` counts the steps of both optimizers; ``trainer.max_epochs`` means epochs, and a schedule
    moves with every batch.

    Samples come from the exponential moving average of the generator (Yazici et al., 2019, arXiv:1806.04498), whose
    normalisation statistics are settled anew, on 1,024 noise vectors, whenever it is looked at.

    Args:
        generator: Makes images.
        discriminator: Scores them.
        latent_size: Length of a noise vector, ``Z``.
        in_channels: Channels of an image.
        image_size: Height and width of an image.
        lr: Highest learning rate of the generator's Adam (Kingma and Ba, 2015).
        discriminator_lr: That of the discriminator's; the same if left out.
        betas: Decay rates of both.
        schedule: See :meth:`ZooModule.scheduled`; all but ``plateau``.
        critic_steps: Steps of the discriminator for one of the generator.
        clip_norm: Scale gradients of either network down to this norm; not at all if left out.
        average_decay: Decay of the moving average a step of the generator, smaller in the first steps.
        features: In which network's features the images are judged; see :class:`FeatureNetwork`. None: not at all.
        channels_last: Keep images and kernels in channels-last memory format, often faster.

    Shape:
        - Input: noise ``(N, Z)``.
        - Output: images ``(N, C, S, S)``, 0 (black) to 1 (white).
    """

    metric = "cnn_fid"
    # A file that publishes them may be rounded if the distance moves by no more than this share.
    rounding_tolerance = 0.01
    num_classes = 0
    classes: list[str]

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        latent_size: int,
        in_channels: int,
        image_size: int,
        lr: float,
        discriminator_lr: float | None,
        betas: Sequence[float],
        schedule: Schedule,
        critic_steps: int,
        clip_norm: float | None,
        average_decay: float,
        features: str | None,
        channels_last: bool,
    ) -> None:
        super().__init__()
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
        self.latent_size, self.in_channels, self.image_size = latent_size, in_channels, image_size
        self.lr, self.betas, self.schedule = lr, betas, schedule
        self.discriminator_lr = lr if discriminator_lr is None else discriminator_lr
        self.critic_steps, self.clip_norm, self.average_decay = critic_steps, clip_norm, average_decay
        self.feature_name, self.channels_last = features, channels_last
        self.metric = f"{INCEPTION if features == INCEPTION else 'cnn'}_fid"
        self.generator, self.discriminator = generator, discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False).eval()
        self._settled = False
        self._updates = {"discriminator": 0, "generator": 0}
        self._noise: torch.Generator | None = None
        self._tally: dict[str, list[Tensor]] = {}
        self._feature_network: FeatureNetwork | None = None
        self._real = RealImages()
        self._found: dict[str, float] = {}
        self._missing: list[str] = []
        self._history: list[dict[str, float]] = []

    @abstractmethod
    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator learns to make small, from its scores ``(N,)`` of real and of generated images."""

    @abstractmethod
    def generator_loss(self, fake: Tensor) -> Tensor:
        """What the generator learns to make small, from the scores ``(N,)`` of its images."""

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
        _average_gradients(gradients)
        norm = nn.utils.get_total_norm(gradients)
        if self.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.clip_norm, norm)
        self._note(**{f"{name}_gradient_norm": norm})
        optimizer.step()

    @torch.no_grad()
    def _follow(self) -> None:
        """Moves the average towards the generator."""
        count = self._updates["generator"]
        decay = min(self.average_decay, (1 + count) / (10 + count))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - decay)
        self._settled = False

    def _note(self, **values: Tensor) -> None:
        for name, value in values.items():
            self._tally.setdefault(name, []).append(value.detach())

    # What Lightning calls ---------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Loads the feature network and refuses what two networks cannot be trained with.

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
            if stage == "fit":
                self._watch_distance()
        if self.feature_name is not None and self._feature_network is None:
            self._feature_network = FeatureNetwork(self.feature_name, self.in_channels, self.image_size)

    def _watch_distance(self) -> None:
        """Lets callbacks that watch the distance in one network's features watch that in another's."""
        for callback in getattr(self.trainer, "callbacks", []):
            if getattr(callback, "monitor", None) in ("val_cnn_fid", f"val_{INCEPTION}_fid"):
                if self.feature_name is None:
                    raise ZooError(
                        f"{type(callback).__name__} watches {callback.monitor}, which is not measured without "
                        "features; leave it out (--trainer.callbacks null) or name a classifier with --model.features"
                    )
                callback.monitor = f"val_{self.metric}"

    def schedule_length(self) -> float:
        """Batches; ``max_steps`` counts the steps of both optimizers."""
        estimated, most = super().schedule_length(), self.trainer.max_steps
        if most == -1:
            return estimated
        epochs = self.trainer.max_epochs
        batches = self.trainer.num_training_batches * epochs if epochs not in (None, -1) else float("inf")
        return min(batches, ceil(most * self.critic_steps / (self.critic_steps + 1)))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam for the discriminator, Adam for the generator."""
        betas = (self.betas[0], self.betas[1])
        judge = torch.optim.Adam(self.discriminator.parameters(), self.discriminator_lr, betas, fused=True)
        maker = torch.optim.Adam(self.generator.parameters(), self.lr, betas, fused=True)
        return self.scheduled(judge, self.schedule), self.scheduled(maker, self.schedule)

    def on_fit_start(self) -> None:
        """Lets all processes begin with the weights of the first."""
        for tensor in (*self.parameters(), *self.buffers()):
            broadcast(tensor.data)

    def on_train_epoch_start(self) -> None:
        """Starts new means, and noise by seed, epoch and process, which a resumed run draws again."""
        super().on_train_epoch_start()
        self._tally, self._found, self._missing = {}, {}, []
        seeds = [torch.initial_seed() % 2**63, self.current_epoch, place_among_processes()]
        seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
        self._noise = torch.Generator(self.device).manual_seed(seed)

    def on_train_epoch_end(self) -> None:
        """Logs the epoch's means of losses, scores and gradient norms, and says what ails the training."""
        self._agree()
        means = {name: torch.stack(values).float().mean() for name, values in self._tally.items()}
        means = {name: add_up(mean) / number_of_processes() for name, mean in means.items()}
        for name, mean in means.items():
            self.log(f"train_{name}", mean, sync_dist=True)
        self.log("learning_rate", self.trainer.optimizers[1].param_groups[0]["lr"], sync_dist=True)
        self._history.append({**{name: float(mean) for name, mean in means.items()}, **self._found})
        for message in diagnose(self._history, self.metric, self._missing):
            rank_zero_warn(message)

    def _agree(self) -> None:
        """Gives all processes the same running statistics: their mean."""
        if number_of_processes() > 1:
            for buffer in (*self.generator.buffers(), *self.discriminator.buffers()):
                if buffer.is_floating_point():
                    buffer.copy_(add_up(buffer) / number_of_processes())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps whose turn it is, and the course of the figures."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["adversarial"] = {"updates": dict(self._updates), "history": list(self._history)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes them up."""
        super().on_load_checkpoint(checkpoint)
        self._updates = dict(checkpoint["adversarial"]["updates"])
        self._history = list(checkpoint["adversarial"]["history"])

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The weights, with settled normalisation statistics."""
        self._settle()
        return super().state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Takes weights, whose normalisation statistics are settled."""
        loaded = super().load_state_dict(state_dict, strict, assign)
        self._settled = True
        return loaded

    def teardown(self, stage: str) -> None:
        """Forgets the real images."""
        self._real = RealImages()

    def train(self, mode: bool = True) -> "Adversarial":
        """Sets the networks in training, but never the average."""
        super().train(mode)
        self.average.eval()
        return self

    # Evaluation -------------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Gets ready to look at images."""
        self._agree()
        self._settle()
        self._real.begin(self.trainer.val_dataloaders, [self.trainer.sanity_checking, *self.trainer.num_val_batches])

    def on_test_epoch_start(self) -> None:
        """Gets ready to look at images."""
        self._settle()
        self._real.begin(self.trainer.test_dataloaders, self.trainer.num_test_batches)

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Looks at real images, unless that was done before."""
        if self._feature_network is not None and not self._real.known:
            self._real.add(self._feature_network.look(batch[0]))
        return {}

    test_step = validation_step

    def log_evaluation(self, split: str) -> None:
        """Logs how as many generated images compare with the real ones; see :func:`zoo.gan.health.compare`."""
        network = self._feature_network
        if network is None:
            return
        real = self._real.all()
        fake, asked = self._look_at_samples(len(real.features), network)
        found = compare(real, fake, network.kind, len(network.classes))
        if asked is not None and fake.labels is not None and network.classes == self.classes:
            found["asked_class"] = (fake.labels == asked).float().mean()
        for name, value in found.items():
            self.log(f"{split}_{name}", value.float(), prog_bar=name == self.metric, sync_dist=True)
        if split == "test":
            self.log("test_samples", float(len(fake.features)), sync_dist=True)
        elif not self.trainer.sanity_checking:
            self._missing = missing_classes(real, fake, network.classes)
            self._found = {name: float(value) for name, value in found.items()}
            self._found["classes_missing"] = float(len(self._missing))

    def _look_at_samples(self, count: int, network: FeatureNetwork) -> tuple[Seen, Tensor | None]:
        """What is seen in the samples of an evaluation, of which each process makes a share, and the classes asked."""
        latent = draw_latent(count, self.latent_size, torch.Generator().manual_seed(_EVALUATION))
        labels = self._asked(count, None)
        mine = torch.arange(count).tensor_split(number_of_processes())[place_among_processes()]
        made = self._make(latent[mine], None if labels is None else labels[mine])
        return gathered(network.look(made)), None if labels is None else labels.to(made.device)

    def calibration(self, data: LightningDataModule) -> dict[str, dict[str, float]]:
        """What real images and trivial generators reach by the same figures, so that these mean something."""
        if self._feature_network is None or not hasattr(data, "splits"):
            return {}
        return calibrate(data.splits["train"], data.splits["test"], self._feature_network)

    # Images -----------------------------------------------------------------------------------------------------------

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Makes images of noise; of models with classes by labels ``(N,)``, all classes in turn if left out."""
        if self.num_classes and labels is None:
            labels = torch.arange(len(latent), device=latent.device) % self.num_classes
        self._settle()
        return (self.average(latent, labels).float() + 1) / 2

    @torch.no_grad()
    def _settle(self) -> None:
        """Computes the normalisation statistics of the averaged generator, which no batch has ever passed."""
        norms = [module for module in self.average.modules() if isinstance(module, _BatchNorm)]
        if self._settled or not norms:
            return
        latent = draw_latent(_SETTLING, self.latent_size, torch.Generator().manual_seed(_SETTLED)).to(self.device)
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
        self.average.train()
        for part in latent.split(_SETTLING // 4):
            self.average(part, self._asked(len(part), None))
        self.average.eval()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        self._settled = True

    def _asked(self, count: int, classes: Sequence[str] | str | None) -> Tensor | None:
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
    def _make(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        """uint8 images of noise, a part at a time."""
        self._settle()
        latent = latent.to(self.device)
        parts = []
        for start in range(0, len(latent), 500):
            some = slice(start, start + 500)
            images = self(latent[some], None if labels is None else labels[some])
            parts.append((images * 255).round().clamp(0, 255).to(torch.uint8))
        return torch.cat(parts)

    def sample(
        self,
        count: int = 1,
        seed: int | None = None,
        classes: Sequence[str] | str | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Makes images, uint8 ``(count, C, S, S)``.

        Args:
            count: Number of images.
            seed: Equal seeds give equal images on one device; other ones every time if left out.
            classes: Name of the class, or names that take turns; all classes in turn if left out.
            truncation: See :func:`zoo.gan.latent.draw_latent`.

        Raises:
            ZooError: The count is below one, the model knows no such class, or none at all.
        """
        if count < 1:
            raise ZooError(f"{count} images, expected at least 1")
        generator, labels = seeded(seed), self._asked(count, classes)
        return self._make(draw_latent(count, self.latent_size, generator, truncation), labels)

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
        if points < 2 or frames < 1 or count < 1:
            raise ZooError(f"{count} walks of {points} points in {frames} steps; expected 1, 2 and 1 at least")
        generator, labels = seeded(seed), self._asked(count, classes)
        passed = draw_latent(points * count, self.latent_size, generator, truncation).view(count, points, -1)
        walks = torch.stack([walk(one, frames) for one in passed], dim=1)
        repeated = None if labels is None else labels.repeat(len(walks))
        return self._make(walks.flatten(0, 1), repeated).unflatten(0, (len(walks), count))

    def example_input(self) -> Tensor:
        """Noise that is all zero."""
        return torch.zeros(1, self.latent_size)

    def golden(self, data: LightningDataModule) -> dict[str, Tensor]:
        """A few noise vectors."""
        return {"input": draw_latent(8, self.latent_size, torch.Generator().manual_seed(_PICTURES))}

    @property
    def columns(self) -> int:
        """Images in a row of a picture: one of each class, where that is few."""
        return self.num_classes if 1 < self.num_classes <= 12 else 8

    def progress(self) -> Tensor:
        """The images of the same noise, after every epoch, uint8 ``(8, columns, C, S, S)``."""
        count = 8 * self.columns
        latent = draw_latent(count, self.latent_size, torch.Generator().manual_seed(_PICTURES))
        return in_rows(self._make(latent, self._asked(count, None)), self.columns)

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


def _average_gradients(gradients: Sequence[Tensor]) -> None:
    """Gives all processes the mean of their gradients, in one message."""
    if not in_company():
        return
    joined = add_up(torch.cat([gradient.flatten() for gradient in gradients])) / number_of_processes()
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, mean in zip(gradients, joined.split(sizes), strict=True):
        gradient.copy_(mean.view_as(gradient))
