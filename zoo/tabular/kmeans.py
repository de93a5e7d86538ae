"""k-means clustering, one Lloyd iteration an epoch, over any data (Lloyd, 1982)."""

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.base.gradient_free import GradientFree
from zoo.base.inputs import inputs_of
from zoo.base.processes import add_up, broadcast, gather, shared_seed
from zoo.base.processor import in_float64
from zoo.errors import ZooError
from zoo.tabular.drawing import draw_embedding
from zoo.tabular.features import ScaledInputs, check_finite, portion_size
from zoo.tabular.seeding import Initialisation, initial_centroids, squared_distances

# Rows that initial centroids are picked among; of more rows a random part.
_MOST_TO_BEGIN_WITH = 20_000
# Restarts, and clusters, by far more than anything has use for; each takes its time.
MOST_CLUSTERS = 100_000


class LloydStep:
    """What one pass over the rows needs to remember for the centroids of several restarts at once.

    Args:
        centroids: ``(R, K, F)``.
    """

    def __init__(self, centroids: Tensor) -> None:
        self.centroids = centroids
        restarts, count, _ = centroids.shape
        self.sums = torch.zeros_like(centroids, dtype=torch.float64)
        self.members = torch.zeros(restarts, count, dtype=torch.float64, device=centroids.device)
        self.inertia = torch.zeros(restarts, dtype=torch.float64, device=centroids.device)
        # The rows farthest from their centroids, to begin clusters anew that have lost all rows.
        self.far_distances = torch.full((restarts, count), -1.0, dtype=torch.float64, device=centroids.device)
        self.far_rows = torch.zeros_like(centroids)
        self.far_labels = torch.zeros(restarts, count, dtype=torch.long, device=centroids.device)

    def add(self, rows: Tensor) -> None:
        """Assigns rows ``(N, F)`` to their nearest centroids."""
        restarts, count, width = self.centroids.shape
        # Relative to the centroids' own mean, so that nothing cancels where values are large and alike.
        flat = self.centroids.reshape(-1, width)
        middle = flat.mean(0)
        flat = flat - middle
        lengths, directions = flat.square().sum(1), flat.T.contiguous()
        size = min(portion_size(rows.device, max(len(flat), width)), len(rows))
        centred, scores = rows.new_empty(size, width), rows.new_empty(size, len(flat))
        sums = torch.zeros_like(self.sums)
        found = []
        for part in rows.split(size):
            here = torch.sub(part, middle, out=centred[: len(part)])
            # Only what differs between centroids decides; what belongs to the row is added afterwards.
            torch.addmm(lengths, here, directions, alpha=-2, out=scores[: len(part)])
            nearest, labels = smallest(scores[: len(part)].view(len(part), restarts, count))
            for restart in range(restarts):
                sums[restart] += torch.zeros_like(flat[:count]).index_add_(0, labels[:, restart], here)
            found.append((nearest + here.square_().sum(1, keepdim=True), labels))
        distances, labels = (torch.cat(parts).T for parts in zip(*found, strict=True))
        members = torch.stack([mine.bincount(minlength=count) for mine in labels])
        self.members += members
        self.sums += sums + members.unsqueeze(2) * middle.double()
        distances = distances.clamp(min=0).double()
        self.inertia += distances.sum(1)
        if (self.members == 0).any():  # a cluster that is empty in the end has been empty all the time
            best, at = distances.topk(min(count, len(rows)), 1)
            self._keep_farthest(best, rows[at], labels.gather(1, at))

    def _keep_farthest(self, distances: Tensor, rows: Tensor, labels: Tensor) -> None:
        kept, at = torch.cat([self.far_distances, distances], 1).topk(self.far_distances.shape[1], 1)
        restarts = torch.arange(len(kept), device=kept.device).unsqueeze(1)
        self.far_rows = torch.cat([self.far_rows, rows], 1)[restarts, at]
        self.far_labels = torch.cat([self.far_labels, labels], 1)[restarts, at]
        self.far_distances = kept

    def finish(self) -> tuple[Tensor, Tensor]:
        """Joins what all processes have seen.

        Returns:
            The centroids of the rows assigned to them, ``(R, K, F)``, and the inertia of the assignment, ``(R,)``.
        """
        sums, members, inertia = add_up(self.sums), add_up(self.members), add_up(self.inertia)
        if (members == 0).any():
            self._gather_farthest()
            self._begin_anew(sums, members)
        means = sums / members.clamp(min=1).unsqueeze(2)
        # Where rows are fewer than clusters a centroid stays.
        return torch.where(members.unsqueeze(2) > 0, means, self.centroids.double()), inertia

    def _gather_farthest(self) -> None:
        parts = [gather(part.unsqueeze(0)) for part in (self.far_distances, self.far_rows, self.far_labels)]
        distances, rows, labels = (part.transpose(0, 1).flatten(1, 2) for part in parts)
        self.far_distances = torch.full_like(self.far_distances, -1.0)
        self._keep_farthest(distances, rows, labels)

    def _begin_anew(self, sums: Tensor, members: Tensor) -> None:
        """Gives the farthest rows to empty clusters and takes them from those that they were in."""
        for restart, empty in (members == 0).nonzero().tolist():
            taken = int((members[restart] == -1).sum())
            if self.far_distances[restart, taken] <= 0:
                continue
            row, former = self.far_rows[restart, taken].double(), self.far_labels[restart, taken]
            sums[restart, former] -= row
            members[restart, former] -= 1
            sums[restart, empty] = row
            members[restart, empty] = -1
        members[members == -1] = 1


class KMeans(ScaledInputs, GradientFree):
    """Groups rows around ``K`` centroids; an epoch is one of Lloyd's iterations.

    Several restarts run side by side and share every pass; the best of them is the model. Training has found all that
    there is to find when the centroids stand still: EarlyStopping on ``train_inertia_of_restarts`` sees that.

    Rounding decides about a row that is equally far from two centroids. Where many are, such as in irises measured in
    tenths from centroids that are irises, another program or precision may end in another minimum.

    Args:
        in_features: Length of a row; images are flattened and scaled to 0..1.
        num_clusters: ``K``.
        init: Where to begin, see :func:`zoo.tabular.seeding.initial_centroids`.
        restarts: How often to begin.
        mini_batch: Move the centroids with every batch, each by the share that the batch has of all rows that it was
            nearest to (Sculley, 2010), for data without end; else once an epoch. A centroid that no row is near stays
            where it is.
        classes: Names of the classes that rows are labelled with; only compared with, never learnt from.

    See :class:`~zoo.tabular.features.ScaledInputs` for the arguments not listed.

    Attributes:
        centroids: Of rows as the model sees them, ``(K, F)``.

    Shape:
        - Input: ``(N, F)`` or images ``(N, C, H, W)`` of ``F`` values.
        - Output: squared distances to the centroids, ``(N, K)``.

    Raises:
        ZooError: There are fewer rows, or fewer different ones, than clusters.
    """

    metric = "inertia"
    centroids: Tensor

    def __init__(
        self,
        in_features: int = 4,
        num_clusters: int = 3,
        init: Initialisation = "kmeans++",
        restarts: int = 10,
        mini_batch: bool = False,
        classes: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        for name, value in (("num_clusters", num_clusters), ("restarts", restarts)):
            if not 1 <= value <= MOST_CLUSTERS:
                raise ZooError(f"{name} is {value}, expected 1 to {MOST_CLUSTERS:,}")
        self.in_features, self.num_clusters, self.restarts = in_features, num_clusters, restarts
        self.init, self.mini_batch = init, mini_batch
        self.classes = list(classes) if classes else None
        self.register_buffer("centroids", torch.zeros(num_clusters, in_features))
        # How many rows of each class are in each cluster.
        self._contingency = torch.zeros(num_clusters, len(self.classes or ()), dtype=torch.float64)
        # Of the restarts: centroids (R, K, F) and, of mini-batches, how many rows each was nearest to (R, K).
        self._candidates: Tensor | None = None
        self._seen: Tensor | None = None
        self._step: LloydStep | None = None
        self._restart_inertia: Tensor | None = None
        self._sum = 0.0

    @property
    def is_fitted(self) -> bool:
        """Whether there are centroids."""
        return bool(self.centroids.any())

    def forward(self, inputs: Tensor) -> Tensor:
        """Squared distances of raw rows to the centroids, ``(N, K)``.

        Raises:
            ZooError: The model has learnt nothing yet, or they are no rows of ``F`` finite numbers.
        """
        rows = self.seen(self.take(inputs), self.centroids.dtype)
        # Relative to the centroids' own mean, so that nothing cancels where values are large and alike.
        middle = self.centroids.mean(0)
        return squared_distances(rows - middle, self.centroids - middle)

    def cluster(self, inputs: Any) -> Tensor:
        """Number of the nearest centroid of each raw row, ``(N,)``."""
        return self(inputs).argmin(1)

    def answers(self, inputs: Any, level: int | None = None) -> dict[str, list[Any]]:
        """The cluster of each row, and how far its centroid is."""
        distances, clusters = self(inputs).min(1)
        return {"cluster": clusters.tolist(), "distance": distances.sqrt().tolist()}

    def tables(self) -> dict[str, dict[str, list[Any]]]:
        """The centroids, in the units of the rows."""
        if self.schema.found is None:
            return {}
        found = {f"cluster_{place}": one.tolist() for place, one in enumerate(self.unscaled(self.centroids.double()))}
        return {"centroids": {"feature": self.feature_names(), **found}}

    def on_train_start(self) -> None:
        """Picks the centroids to begin with, among rows of the training data, the same in every process."""
        if self._candidates is not None:
            self._candidates = self._candidates.to(self.device)
            self._seen = None if self._seen is None else self._seen.to(self.device)
            return
        generator = torch.Generator().manual_seed(shared_seed(self.device))
        rows = self.seen(self._first_rows(generator).to(self.device), self.centroids.dtype)
        if not (rows != rows[0]).any():
            raise ZooError(f"all features are constant over {len(rows)} rows; there is nothing to find")
        picked = torch.stack([self._pick(rows, generator) for _ in range(self.restarts)])
        broadcast(picked)
        self.begin(picked)

    def _first_rows(self, generator: torch.Generator) -> Tensor:
        """Some of the training data: at random where it can be indexed a batch at a time, else the first batches."""
        loader: Any = self.trainer.train_dataloader
        if hasattr(loader.dataset, "tensors"):  # as of the zoo's data modules and torch's TensorDataset
            at = torch.randperm(len(loader.dataset), generator=generator)[:_MOST_TO_BEGIN_WITH]
            return loader.dataset[at.sort().values][0]
        parts: list[Tensor] = []
        for batch in loader:
            parts.append(batch[0])
            if sum(map(len, parts)) >= _MOST_TO_BEGIN_WITH:
                break
        return torch.cat(parts)[:_MOST_TO_BEGIN_WITH]

    def _pick(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        return initial_centroids(rows, self.num_clusters, self.init, generator)

    def begin(self, candidates: Tensor) -> None:
        """Begins with given centroids, ``(R, K, F)`` or ``(K, F)`` for one restart; call it before training."""
        shaped = candidates.to(self.centroids).view(-1, self.num_clusters, self.in_features)
        self._candidates, self._seen = shaped, shaped.new_zeros(shaped.shape[:2])
        self.centroids = shaped[0].clone()

    def on_train_epoch_start(self) -> None:
        """Begins a pass."""
        assert self._candidates is not None
        self._step = LloydStep(self._candidates)
        self._restart_inertia = None

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Assigns a batch; of mini-batches, also moves the centroids."""
        assert self._step is not None
        rows = self.seen(batch[0], self.centroids.dtype, check=False)
        if self.mini_batch:
            self._move(rows)
        else:
            self._step.add(rows)
        if not self._step.inertia.isfinite().all():
            check_finite(rows)
        return self.no_loss()

    def _move(self, rows: Tensor) -> None:
        assert self._candidates is not None
        assert self._seen is not None
        assert self._step is not None
        step = LloydStep(self._candidates)
        step.add(rows)
        sums, members = add_up(step.sums), add_up(step.members)
        self._step.inertia += step.inertia
        self._seen = self._seen + members.to(self._seen)
        share = (sums - members.unsqueeze(2) * self._candidates) / self._seen.clamp(min=1).unsqueeze(2)
        self._candidates = (self._candidates + share).to(self._candidates)

    def on_validation_epoch_start(self) -> None:
        """Moves the centroids to the middle of what was assigned to them."""
        self._finish()
        self._start_sums()

    def on_test_epoch_start(self) -> None:
        """Starts new sums."""
        self._start_sums()

    def _start_sums(self) -> None:
        self._sum = 0.0
        self._contingency = torch.zeros_like(self._contingency, device=self.device)

    def on_train_epoch_end(self) -> None:
        """Logs the inertia of the pass, as the centroids were before it: of the best restart, and the mean of all."""
        self._finish()
        assert self._restart_inertia is not None
        self.log("train_inertia", self._restart_inertia.min())
        self.log("train_inertia_of_restarts", self._restart_inertia.mean())

    def _finish(self) -> None:
        if self._step is None:
            return
        if self.mini_batch:
            self._restart_inertia = add_up(self._step.inertia)
        else:
            found, self._restart_inertia = self._step.finish()
            self._candidates = found.to(self.centroids)
        assert self._candidates is not None
        self.centroids = self._candidates[int(self._restart_inertia.argmin())].clone()
        self._step = None

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Adds up squared distances; compares with the labels, if there are any."""
        if not self.is_fitted:
            return {}
        distances, clusters = self(batch[0]).min(1)
        self._sum = self._sum + distances.double().sum()
        if self.classes is not None:
            pairs = clusters * len(self.classes) + batch[1]
            self._contingency += pairs.bincount(minlength=self._contingency.numel()).view_as(self._contingency)
        return {"rows": batch[0], "clusters": clusters}

    test_step = validation_step

    def predict_step(self, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """The cluster of each row, ``(N,)``; see :meth:`ZooModule.predict_step`."""
        return self.cluster(inputs_of(batch))

    def log_evaluation(self, split: str) -> None:
        """Logs ``inertia`` of a split and, where rows are labelled, ``adjusted_rand``."""
        inertia = add_up(torch.as_tensor(self._sum, dtype=torch.float64, device=self.device))
        self.log(f"{split}_inertia", inertia, prog_bar=True)
        if self.classes is not None:
            self.log(f"{split}_adjusted_rand", adjusted_rand(add_up(self._contingency)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the restarts, too."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["restarts"] = {"candidates": self._candidates, "seen": self._seen}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up the restarts."""
        self._candidates, self._seen = (checkpoint["restarts"][name] for name in ("candidates", "seen"))

    def example_input(self) -> Tensor:
        """One row of zeros."""
        return torch.zeros(1, self.in_features)

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the clusters along their first two principal components."""
        if self.in_features < 2:
            return {}
        coordinates, centroids = self.in_plane(outputs["rows"])
        names = [f"cluster {number}" for number in range(self.num_clusters)]
        return {"clusters": draw_embedding(coordinates, outputs["clusters"], names, (), centroids)}

    def in_plane(self, rows: Any) -> tuple[Tensor, Tensor]:
        """Coordinates of rows ``(N, F)``, ``F`` at least 2, along the first two principal components of these rows.

        Returns:
            Those of the rows, float64 ``(N, 2)``, and of the centroids, ``(K, 2)``.
        """
        given = self.take(rows)
        points = in_float64(self.seen(given, given.dtype if given.is_floating_point() else torch.float32))
        middle = points.mean(0)
        _, vectors = torch.linalg.eigh((points - middle).T @ (points - middle))
        plane = vectors[:, -2:].flip(1)
        return (points - middle) @ plane, (self.centroids.to(middle) - middle) @ plane


def smallest(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest score along the last dimension and its place, the first one of several.

    The same as ``scores.min(-1)``, whose search for the place takes a processor several times as long.
    """
    if scores.device.type == "cpu":
        best = scores.amin(-1)
        is_best = torch.eq(scores, best.unsqueeze(-1), out=torch.empty_like(scores))
        # One place a row: neither a draw, nor NaN, which equals nothing and could hide a draw elsewhere.
        if is_best.sum() == best.numel() and not best.isnan().any():
            return best, (is_best @ torch.arange(scores.shape[-1], dtype=scores.dtype)).long()
    best, places = scores.min(-1)
    return best, places


def adjusted_rand(contingency: Tensor) -> Tensor:
    """How well two groupings agree: 1 if they are the same, 0 on average by chance (Hubert and Arabie, 1985).

    Args:
        contingency: How many rows are in each group of the one and of the other, float64 ``(A, B)``.
    """

    def pairs(counts: Tensor) -> Tensor:
        return (counts * (counts - 1) / 2).sum()

    together, first, second = pairs(contingency), pairs(contingency.sum(1)), pairs(contingency.sum(0))
    by_chance = first * second / pairs(contingency.sum())
    most = (first + second) / 2
    # One group on either side, or a group for every row: they agree.
    return torch.where(most == by_chance, 1.0, (together - by_chance) / (most - by_chance))
