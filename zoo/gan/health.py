"""How good a generator's images are, in the feature space of a classifier: distances, coverage, classes.

Fréchet distance (Heusel et al., 2017), kernel distance (Bińkowski et al., 2018), precision and recall (Kynkäänniemi et
al., 2019), density and coverage (Naeem et al., 2020). In the features of one of the zoo's own classifiers, nothing has
to be downloaded; such figures must not be compared with those of Inception, and are named after the classifier's kind.
"""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from zoo import weights
from zoo.base.processes import gather_rows
from zoo.base.processor import has_float64
from zoo.errors import ZooError

INCEPTION = "inception"
# Neighbours that span the ball around an image, and how many images are compared with each other.
_NEIGHBOURS, _MOST_COMPARED = 5, 5000


class Seen(NamedTuple):
    """What a feature network sees in images.

    Attributes:
        features: float32 ``(N, F)``.
        labels: The class that each is taken for, int64 ``(N,)``; None where the network knows no classes.
    """

    features: Tensor
    labels: Tensor | None

    def cpu(self) -> "Seen":
        """The same on the CPU."""
        return Seen(self.features.cpu(), None if self.labels is None else self.labels.cpu())


def gathered(seen: Seen) -> Seen:
    """What all processes have seen."""
    return Seen(gather_rows(seen.features), None if seen.labels is None else gather_rows(seen.labels))


class RealImages:
    """What was seen in the real images of an evaluation, for the next one over the same images."""

    def __init__(self) -> None:
        self.known = False
        self._loader: Any = None
        self._extent: list[Any] = []
        self._parts: list[Seen] = []

    def begin(self, loader: Any, extent: Sequence[Any]) -> None:
        """Starts anew, unless all of it was seen before.

        Args:
            loader: Where the images come from.
            extent: What else makes a difference to which they are.
        """
        self.known = self.known and loader is self._loader and list(extent) == self._extent
        if not self.known:
            self._loader, self._extent, self._parts = loader, list(extent), []

    def add(self, seen: Seen) -> None:
        """Adds a batch."""
        self._parts.append(seen)

    def all(self) -> Seen:
        """What all processes have seen in all batches."""
        if not self.known:
            labels = [part.labels for part in self._parts if part.labels is not None]
            joined = Seen(torch.cat([part.features for part in self._parts]), torch.cat(labels) if labels else None)
            self._parts, self.known = [gathered(joined)], True
        return self._parts[0]


class FeatureNetwork:
    """A frozen network that images are looked at with. It is no module, so no model that holds one trains or saves it.

    Args:
        name: A published image classifier of the zoo that has ``features``, or ``inception`` for the Inception network
            that comes with the package torch-fidelity.
        in_channels: Channels of the images that it will be shown.
        image_size: Their height and width.

    Raises:
        ZooError: There is no such classifier, it takes other images, or torch-fidelity is not installed.
    """

    def __init__(self, name: str, in_channels: int, image_size: int) -> None:
        self.name = name
        self.classes: list[str] = []
        if name == INCEPTION:
            self.kind = INCEPTION
            try:
                self._network: Any = FrechetInceptionDistance(2048).inception
            except ModuleNotFoundError as error:
                raise ZooError(
                    "features 'inception' need the package torch-fidelity, which downloads the weights; "
                    "pip install torch-fidelity, or name a classifier of the zoo"
                ) from error
        else:
            self.kind = "cnn"
            model: Any = weights.load(name)
            if not hasattr(model, "decide"):
                raise ZooError(f"'{name}' is a {type(model).__name__}, expected an image classifier such as a CNN")
            if (model.in_channels, model.image_size) != (in_channels, image_size):
                raise ZooError(
                    f"'{name}' looks at images of {model.in_channels} channels and {model.image_size} pixels, these "
                    f"have {in_channels} and {image_size}; train a CNN on them and name its run with --model.features, "
                    "or look at none (null, in Python None)"
                )
            self._network, self.classes = model, model.classes
        self._network.eval().requires_grad_(False)

    @torch.no_grad()
    def look(self, images: Tensor) -> Seen:
        """Looks at uint8 images ``(N, C, H, W)``, in float32 whatever the training's precision is."""
        network = self._network.to(images.device)
        parts, labels = [], []
        with torch.autocast(images.device.type, enabled=False):
            for batch in images.split(500):
                if self.kind == INCEPTION:
                    parts.append(network(batch.expand(-1, 3, -1, -1)))
                else:
                    parts.append(network.features(batch))
                    labels.append(network.labels(network.decide(parts[-1])))
        return Seen(torch.cat(parts), torch.cat(labels) if labels else None)


class _Itself(nn.Module):
    """Takes features for images, so that torchmetrics computes what was looked at once."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def compare(real: Seen, fake: Seen, kind: str, num_classes: int) -> dict[str, Tensor]:
    """All figures of some generated images beside real ones.

    Args:
        real: What was seen in real images.
        fake: What was seen in generated ones.
        kind: The kind of the feature network, with which the distances are named.
        num_classes: Number of classes that the feature network knows; 0 for none.

    Returns:
        Fréchet and kernel distance, precision, recall, density, coverage and, where there are classes, how many the
        generated images cover and the divergence of their shares, in nats.
    """
    if not has_float64(real.features.device):
        real, fake = real.cpu(), fake.cpu()
    found = {
        f"{kind}_fid": frechet_distance(real.features, fake.features),
        f"{kind}_kid": kernel_distance(real.features, fake.features),
        **prdc(_some(real.features), _some(fake.features)),
    }
    if num_classes and fake.labels is not None:
        shares = class_shares(fake.labels, num_classes)
        found["classes_covered"] = covered(shares).sum().float()
        found["class_kl"] = (shares * (shares * num_classes).clamp(min=1e-12).log()).sum()
    return found


def _some(features: Tensor) -> Tensor:
    """Of very many rows a part; drawn, since classes may take turns."""
    if len(features) <= _MOST_COMPARED:
        return features
    drawn = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:_MOST_COMPARED]
    return features[drawn.to(features.device)]


def frechet_distance(real: Tensor, fake: Tensor) -> Tensor:
    """Squared Fréchet distance of two normal distributions with the mean and covariance of features ``(N, F)``."""
    metric = FrechetInceptionDistance(feature=_Itself(real.shape[1]), sync_on_compute=False).to(real.device)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute()


def kernel_distance(real: Tensor, fake: Tensor) -> Tensor:
    """Squared maximum mean discrepancy with a cubic kernel, the mean over ten random parts; no bias with few images."""
    size = min(1000, len(real), len(fake))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(0)
        metric = KernelInceptionDistance(_Itself(real.shape[1]), 10, size, sync_on_compute=False).to(real.device)
        metric.update(real, real=True)
        metric.update(fake, real=False)
        return metric.compute()[0]


def prdc(real: Tensor, fake: Tensor, neighbours: int = _NEIGHBOURS) -> dict[str, Tensor]:
    """Precision, recall, density and coverage.

    Around every image lies a ball that reaches to its ``neighbours``-th nearest of the same kind. Precision is the
    share of generated images inside a ball of a real one, recall the share of real images inside a ball of a generated
    one. Density counts in how many balls of real images a generated one lies, through ``neighbours``; coverage is the
    share of real images in whose ball there is a generated one.

    Args:
        real: Features of real images, ``(N, F)``.
        fake: Features of generated ones, ``(M, F)``.
        neighbours: How far a ball reaches.
    """
    reach = min(neighbours, len(real) - 1, len(fake) - 1)
    real_radius, fake_radius = (_radius(features, reach) for features in (real, fake))
    inside_real, inside_fake, hits, nearest = [], [], torch.zeros((), device=real.device), []
    for start in range(0, len(real), 1000):
        distances = torch.cdist(real[start : start + 1000], fake)
        balls = distances < real_radius[start : start + 1000, None]
        inside_real.append(balls.any(0))
        hits = hits + balls.sum()
        nearest.append(balls.any(1))
        inside_fake.append((distances < fake_radius).any(1))
    return {
        "precision": torch.stack(inside_real).any(0).float().mean(),
        "recall": torch.cat(inside_fake).float().mean(),
        "density": hits / (reach * len(fake)),
        "coverage": torch.cat(nearest).float().mean(),
    }


def _radius(features: Tensor, reach: int) -> Tensor:
    # The nearest of all is the image itself.
    # Not kthvalue, which CUDA refuses where it has to be deterministic.
    nearest = (torch.cdist(part, features).topk(reach + 1, largest=False).values for part in features.split(1000))
    return torch.cat([distances[:, -1] for distances in nearest])


def missing_classes(real: Seen, fake: Seen, classes: Sequence[str]) -> list[str]:
    """Names the classes that real images cover and generated ones do not."""
    if real.labels is None or fake.labels is None:
        return []
    there, made = (covered(class_shares(seen.labels, len(classes))) for seen in (real, fake))  # type: ignore[arg-type]
    return [name for name, lacks in zip(classes, (there & ~made).tolist(), strict=True) if lacks]


def class_shares(labels: Tensor, num_classes: int) -> Tensor:
    """Share of each class among labels ``(N,)``."""
    return labels.bincount(minlength=num_classes).float() / len(labels)


def covered(shares: Tensor) -> Tensor:
    """Which classes are there: a tenth of an equal share, since a classifier takes some images for others."""
    return shares >= 0.1 / len(shares)
