"""How generated images compare with real ones, after every epoch and in a test."""

from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor

from zoo.base.processes import number_of_processes, place_among_processes
from zoo.errors import ZooError
from zoo.gan.averaging import share_statistics
from zoo.gan.calibration import calibrate
from zoo.gan.health import INCEPTION, FeatureNetwork, RealImages, Seen, compare, gathered, missing_classes
from zoo.gan.latent import EVALUATION, draw_latent
from zoo.gan.sampling import ImageGenerator


class JudgedGenerator(ImageGenerator):
    """Base of the models whose images are judged. See :class:`ImageGenerator` for the arguments not listed.

    Args:
        features: In which network's features the images are judged; see :class:`FeatureNetwork`. None: not at all.

    Attributes:
        found: What the last validation found.
        missing: Classes that its images lacked.
    """

    metric = "cnn_fid"
    # A file that publishes them may be rounded if the distance moves by no more than this share.
    rounding_tolerance = 0.01

    def __init__(self, features: str | None = "cnn_fashion_mnist", **options: Any) -> None:
        super().__init__(**options)
        self.feature_name = features
        self.metric = f"{INCEPTION if features == INCEPTION else 'cnn'}_fid"
        self._feature_network: FeatureNetwork | None = None
        self._real = RealImages()
        self.found: dict[str, float] = {}
        self.missing: list[str] = []

    def setup(self, stage: str) -> None:
        """Loads the feature network.

        Raises:
            ZooError: What is to be watched is not measured.
        """
        super().setup(stage)
        if self._trainer is not None and stage == "fit":
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

    def on_train_epoch_start(self) -> None:
        """Forgets what the validation of the epoch before has found."""
        self.found, self.missing = {}, []

    def on_validation_epoch_start(self) -> None:
        """Gets ready to look at images."""
        self.share_statistics()
        self.settle()
        self._real.begin(self.trainer.val_dataloaders, [self.trainer.sanity_checking, *self.trainer.num_val_batches])

    def on_test_epoch_start(self) -> None:
        """Gets ready to look at images."""
        self.settle()
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
            self.missing = missing_classes(real, fake, network.classes)
            self.found = {name: float(value) for name, value in found.items()}
            self.found["classes_missing"] = float(len(self.missing))

    def _look_at_samples(self, count: int, network: FeatureNetwork) -> tuple[Seen, Tensor | None]:
        """What is seen in the samples of an evaluation, of which each process makes a share, and the classes asked."""
        latent = draw_latent(count, self.latent_size, torch.Generator().manual_seed(EVALUATION))
        labels = self.asked(count, None)
        mine = torch.arange(count).tensor_split(number_of_processes())[place_among_processes()]
        made = self.make(latent[mine], None if labels is None else labels[mine])
        return gathered(network.look(made)), None if labels is None else labels.to(made.device)

    def calibration(self, data: LightningDataModule) -> dict[str, dict[str, float]]:
        """What real images and trivial generators reach by the same figures, so that these mean something."""
        if self._feature_network is None or not hasattr(data, "splits"):
            return {}
        return calibrate(data.splits["train"], data.splits["test"], self._feature_network)

    def share_statistics(self) -> None:
        """Gives all processes the same running statistics."""
        share_statistics(self.generator)

    def teardown(self, stage: str) -> None:
        """Forgets the real images."""
        self._real = RealImages()
