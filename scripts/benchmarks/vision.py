"""Training of image classifiers: against hand-written loops, and until an accuracy is reached."""

import copy
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from lightning import LightningModule, Trainer
from PIL import Image
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, ToTensor

from scripts.benchmarks.harness import Batches, Bench, Race, TrainingClock
from scripts.benchmarks.report import Row
from zoo.base.processor import has_bfloat16
from zoo.training.cli import ZooCLI
from zoo.vision.classifier import Classifier


class HandWritten:
    """A float32 PyTorch loop with the network, augmentation, loss, optimizer and schedule of a recipe, no more.

    Args:
        cli: The recipe, not run yet.
        rounds: How often it will train.
        batches_a_round: Batches it trains on each time.
        pictures: Read PIL images through a ``DataLoader``, as from torchvision's own data sets, instead of indexing
            tensors.
    """

    def __init__(self, cli: ZooCLI, rounds: int, batches_a_round: int, pictures: bool = False) -> None:
        self.model: Any = cli.model
        self.batches_a_round = batches_a_round
        self.batch_size = cli.datamodule.batch_size
        cli.datamodule.setup("fit")
        self.images, self.labels = cli.datamodule.splits["train"]
        # A copy from before the run, which may bring its own into channels-last format.
        self.network = copy.deepcopy(self.model.network).train()
        self._batches = self._from_pictures() if pictures else self._from_tensors
        decayed = [parameter for parameter in self.network.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in self.network.parameters() if parameter.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.model.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=self.model.lr, fused=True)
        self.scheduler = OneCycleLR(
            self.optimizer, self.model.lr, total_steps=rounds * batches_a_round + 1, cycle_momentum=False
        )

    def train(self) -> int:
        """Trains for a round and returns on how many images."""
        seen = 0
        for inputs, labels in islice(self._batches(), self.batches_a_round):
            loss = F.cross_entropy(self.network(inputs), labels, label_smoothing=self.model.label_smoothing)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            seen += len(labels)
        return seen

    def _from_tensors(self) -> Batches:
        mean, std = (255 * statistic.view(-1, 1, 1) for statistic in (self.model.mean, self.model.std))
        for rows in torch.randperm(len(self.labels)).split(self.batch_size):
            images = self.images[rows]
            if self.model.augmentation:
                images = self.model.augmentation(images)
            yield images.float().sub_(mean).div_(std), self.labels[rows]

    def _from_pictures(self) -> Callable[[], Batches]:
        transform = Compose([ToTensor(), Normalize(self.model.mean.tolist(), self.model.std.tolist())])
        loader = DataLoader(Pictures(self.images, self.labels, transform), self.batch_size, shuffle=True)
        return lambda: iter(loader)


class Pictures(Dataset[tuple[Tensor, int]]):
    """Grey images one by one, by way of PIL, as in ``torchvision.datasets.FashionMNIST``.

    Args:
        images: uint8 ``(N, 1, H, W)``.
        labels: ``(N,)``.
        transform: Turns a PIL image into a tensor.
    """

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Image.Image], Tensor]) -> None:
        self.images, self.labels, self.transform = images.squeeze(1), labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index].numpy())), int(self.labels[index])


class UntilAccuracy(TrainingClock):
    """Stops training as soon as the test accuracy is reached.

    Looking at the test split after every epoch would be wrong to choose a model by; here nothing is chosen, only the
    moment is noted at which a figure known beforehand is reached. The look is not counted as training.

    Args:
        goal: The accuracy.
        images: Those of the test split.
        labels: Theirs.
    """

    def __init__(self, goal: float, images: Tensor, labels: Tensor) -> None:
        super().__init__()
        self.goal, self.images, self.labels = goal, images, labels
        self.accuracy = 0.0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks."""
        assert isinstance(pl_module, Classifier)
        pl_module.eval()
        with torch.inference_mode():
            guesses = torch.cat([pl_module.labels(pl_module(batch)) for batch in self.images.split(1000)])
        pl_module.train()
        self.accuracy = (guesses == self.labels).float().mean().item()
        trainer.should_stop = trainer.should_stop or self.accuracy >= self.goal


def cnn(bench: Bench) -> list[Row]:
    """The convolutional recipe, at equal precision and as it comes, against the float32 loop."""
    rounds, batches = bench.choose((6, 150), (4, 30), (2, 2))
    limits = (f"--trainer.max_epochs={rounds}", f"--trainer.limit_train_batches={batches}", *bench.fashion_mnist)
    plain = ("--tune_precision=false", "--trainer.precision=32-true", "--model.init_args.channels_last=false")
    rows = []
    for what, flags, target, applies in (
        ("cnn_fashion_mnist in float32: zoo fit to hand-written float32 loop", plain, 0.95, True),
        ("cnn_fashion_mnist as it comes: zoo fit to hand-written float32 loop", (), 1.5, has_bfloat16()),
    ):
        cli = bench.cli("cnn_fashion_mnist", *limits, *flags)
        race = Race({"loop": HandWritten(cli, rounds, batches).train})
        bench.fit(cli, race)
        rows.append(race.row(what, "loop", target, applies))
    return rows


def dense(bench: Bench) -> list[Row]:
    """The dense network, whose steps take a few milliseconds, against a hand-written loop and torchvision's way.

    Once as the recipe trains it and once as the notes have it: the recipe's dropout of input pixels takes as long as
    the rest of the step, whoever writes the loop, and so brings every ratio nearer to one.
    """
    rounds, batches = bench.choose((9, 200), (5, 200), (2, 10))
    limits = (f"--trainer.max_epochs={rounds}", f"--trainer.limit_train_batches={batches}", *bench.fashion_mnist)
    rows = []
    for what, flags in (
        ("dense_fashion_mnist", ()),
        ("dense_fashion_mnist without dropout", ("--model.input_dropout=0",)),
    ):
        cli = bench.cli("dense_fashion_mnist", *limits, *flags)
        loop, pictures = HandWritten(cli, rounds, batches), HandWritten(cli, rounds, batches // 5, pictures=True)
        race = Race({"loop": loop.train, "pictures": pictures.train})
        bench.fit(cli, race)
        rows += [
            race.row(f"{what}: zoo fit to hand-written loop", "loop", 0.8),
            race.row(f"{what}: zoo fit to torchvision data set, DataLoader and loop", "pictures", 6.0),
        ]
    return rows


def accuracy(bench: Bench) -> list[Row]:
    """Training until the test accuracy that Keras reached with the settings of the notes."""
    rows = []
    for recipe, goal, quick_epochs in (("dense_fashion_mnist", 0.879, 10), ("cnn_fashion_mnist", 0.919, 8)):
        # The recipe's schedule spans all epochs, so fewer epochs mean the same schedule run through faster.
        epochs = bench.choose((), (f"--trainer.max_epochs={quick_epochs}",), ("--trainer.max_epochs=2",))
        cli = bench.cli(recipe, *bench.fashion_mnist, *epochs)
        cli.datamodule.setup("fit")
        images, labels = cli.datamodule.splits["test"]
        looked_at = bench.choose(len(labels), len(labels), 100)
        clock = UntilAccuracy(goal, images[:looked_at], labels[:looked_at])
        bench.fit(cli, clock)
        what = f"{recipe}: training until test accuracy {goal}, which Keras reached with the notes' settings"
        taken = f"{len(clock.samples)} epochs of a schedule of {cli.trainer.max_epochs}"
        figure = f"{clock.accuracy:.3f} after {sum(clock.seconds):.1f} s, {sum(clock.samples):,} images, {taken}"
        rows.append(Row(what, figure, "reached", clock.accuracy >= goal))
    return rows
