"""k-means clustering, one Lloyd iteration an epoch, over any data (Lloyd, 1982)."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.base.gradient_free import GradientFree
from zoo.base.inputs import inputs_of, to_tensor, told
from zoo.base.processes import (
    add_up,
    broadcast,
    gather,
    gather_rows,
    in_company,
    number_of_processes,
    shared_seed,
)
from zoo.base.processor import in_float64
from zoo.errors import ZooError
from zoo.tabular.drawing import draw_embedding, draw_silhouettes
from zoo.tabular.features import ScaledInputs, check_extent, check_finite, check_whole, portion_size, precision
from zoo.tabular.seeding import Initialisation, initial_centroids, squared_distances, squared_lengths

# Rows that initial centroids are picked among; of more rows a random part.
_MOST_TO_BEGIN_WITH = 20_000
# Silhouettes compare every row with every other.
_MOST_COMPARED = 3000
# Restarts, and clusters, by far more than anything has use for; each takes its time.
MOST_CLUSTERS = 100_000


class LloydStep:
    """What one pass over the rows needs to remember for the centroids of several restarts at once.

    Args:
        centroids: Float64 ``(R, K, F)``.
    """

    def __init__(self, centroids: Tensor) -> None:
        self.centroids = centroids
        restarts, count, _ = centroids.shape
        self.sums = torch.zeros_like(centroids)
        self.members = torch.zeros(restarts, count, dtype=torch.float64, device=centroids.device)
        self.inertia = torch.zeros(restarts, dtype=torch.float64, device=centroids.device)
        # The rows farthest from their centroids, to begin clusters anew that have lost all rows.
        self.far_distances = torch.full((restarts, count), -1.0, dtype=torch.float64, device=centroids.device)
        self.far_rows = torch.zeros_like(centroids)
        self.far_labels = torch.zeros(restarts, count, dtype=torch.long, device=centroids.device)

    def add(self, rows: Tensor) -> None:
        """Assigns rows ``(N, F)`` to their nearest centroids, in the precision of the rows."""
        if not len(rows):
            return
        restarts, count, width = self.centroids.shape
        flat, middle = centred(self.centroids.view(-1, width), rows.dtype)
        lengths, directions = flat.square().sum(1), flat.T.contiguous()
        size = min(portion_size(rows.device, max(len(flat), width)), len(rows))
        moved, scores = rows.new_empty(size, width), rows.new_empty(size, len(flat))
        sums = torch.zeros_like(self.sums)
        found = []
        for part in rows.split(size):
            here = torch.sub(part, middle, out=moved[: len(part)])
            # Only what differs between centroids decides.
            torch.addmm(lengths, here, directions, alpha=-2, out=scores[: len(part)])
            labels = smallest(scores[: len(part)].view(len(part), restarts, count))[1].T
            lengths_of = []
            for mine, total, centroids in zip(labels, sums, flat.split(count), strict=True):
                total += torch.zeros_like(centroids).index_add_(0, mine, here)
                lengths_of.append(squared_lengths(here, centroids, mine))
            found.append((torch.stack(lengths_of), labels))
        distances, labels = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        members = torch.stack([mine.bincount(minlength=count) for mine in labels])
        self.members += members
        self.sums += sums + members.unsqueeze(2) * middle.double()
        distances = distances.double()
        self.inertia += distances.sum(1)
        if (self.members == 0).any():  # a cluster that is empty in the end has been empty all the time
            best, at = distances.topk(min(count, len(rows)), 1)
            self._keep_farthest(best, rows[at].double(), labels.gather(1, at))

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
        return torch.where(members.unsqueeze(2) > 0, means, self.centroids), inertia

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
            row, former = self.far_rows[restart, taken], self.far_labels[restart, taken]
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
        centroids: Of rows as the model sees them, float64 ``(K, F)``.

    Shape:
        - Input: ``(N, F)`` or images ``(N, C, H, W)`` of ``F`` values.
        - Output: squared distances to the centroids, ``(N, K)``, float64 of float64 rows and of whole numbers that are
          no images, else in the model's precision.

    Raises:
        ZooError: There are fewer rows, or fewer different ones, than clusters, or their squares overflow.
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
        check_whole("in_features", in_features)
        check_whole("num_clusters", num_clusters, MOST_CLUSTERS)
        check_whole("restarts", restarts, MOST_CLUSTERS)
        self.in_features, self.num_clusters, self.restarts = in_features, num_clusters, restarts
        self.init, self.mini_batch = init, mini_batch
        self.classes = list(classes) if classes else None
        # Unknown is not zero, which the mean of centred rows may be.
        self.register_buffer("centroids", torch.full((num_clusters, in_features), torch.nan, dtype=torch.float64))
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
        return not bool(self.centroids.isnan().any())

    def forward(self, inputs: Tensor) -> Tensor:
        """Squared distances of raw rows to the centroids, ``(N, K)``.

        Raises:
            ZooError: The model has learnt nothing yet, or they are no rows of ``F`` finite numbers.
        """
        rows = self._rows(self.take(inputs))
        centroids, middle = centred(self.centroids, rows.dtype)
        moved = rows - middle
        found = squared_distances(moved, centroids)
        nearest = found.argmin(1)
        found = found.scatter(1, nearest.unsqueeze(1), squared_lengths(moved, centroids, nearest).unsqueeze(1))
        if not torch.compiler.is_compiling() and not found.isfinite().all():
            check_extent(torch.cat([rows, self.centroids.to(rows)]), rows.dtype)
        return found

    def _rows(self, inputs: Tensor, check: bool = True) -> Tensor:
        """Rows as the model sees them, in the precision that their distances are computed in."""
        return self.seen(inputs, precision(inputs, cast(torch.dtype, self.dtype)), check)

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
        rows = self._first_rows(generator)
        if self.num_clusters > 1 and not (rows != rows[0]).any():
            raise ZooError(f"all features are constant over {len(rows)} rows; there is nothing to find")
        picked = torch.stack([self._pick(rows, generator) for _ in range(self.restarts)])
        broadcast(picked)
        self.begin(picked)

    def _first_rows(self, generator: torch.Generator) -> Tensor:
        """Some of the training data of all processes, float64 ``(N, F)``.

        At random where it can be indexed a batch at a time, else the first batches.
        """
        loader: Any = self.trainer.train_dataloader
        is_whole = hasattr(loader.dataset, "tensors")  # as of the zoo's data modules and torch's TensorDataset
        if is_whole:
            at = torch.randperm(len(loader.dataset), generator=generator)[:_MOST_TO_BEGIN_WITH]
            found = loader.dataset[at.sort().values][0]
        else:
            found = _first_of(loader, -(-_MOST_TO_BEGIN_WITH // number_of_processes()))
        rows = torch.zeros(0, self.in_features, dtype=torch.float64, device=self.device)
        if len(found):
            rows = self.seen(found.to(self.device), torch.float64)
            check_extent(rows, precision(found, cast(torch.dtype, self.dtype)))
        counts = gather(torch.tensor([len(rows)], device=self.device))
        if not counts.any():
            raise ZooError("there are no rows to learn from")
        return rows if is_whole and counts.all() else gather_rows(rows)

    def _pick(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        return initial_centroids(rows, self.num_clusters, self.init, generator)

    def begin(self, candidates: Any) -> None:
        """Begins with given centroids, ``(R, K, F)`` or ``(K, F)`` for one restart; call it before training.

        Raises:
            ZooError: They are no such numbers, or not finite.
        """
        given, shape = to_tensor(candidates), (self.num_clusters, self.in_features)
        if given is None or given.ndim not in (2, 3) or given.shape[-2:] != shape or not len(given):
            raise ZooError(f"centroids to begin with are {told(candidates)}, expected numbers {shape}")
        if not given.isfinite().all():
            raise ZooError("centroids to begin with hold NaN or infinite values, expected finite numbers")
        shaped = given.to(self.centroids).view(-1, *shape)
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
        inputs = inputs_of(batch)
        rows = self._rows(inputs, check=False)
        if self.mini_batch:
            self._move(rows)
        else:
            self._step.add(rows)
        if not self._step.inertia.isfinite().all():
            check_finite(rows)
            check_extent(torch.cat([rows, self.centroids.to(rows)]), rows.dtype)
        return self.no_loss()

    def _move(self, rows: Tensor | None) -> bool:
        """Moves the centroids by a batch of every process that has one left; those that have not take part, too.

        Returns:
            Whether any had.
        """
        assert self._candidates is not None
        assert self._seen is not None
        assert self._step is not None
        if not add_up(torch.tensor(int(rows is not None), device=self.device)):
            return False
        step = LloydStep(self._candidates)
        if rows is not None:
            step.add(rows)
        sums, members = add_up(step.sums), add_up(step.members)
        self._step.inertia += step.inertia
        self._seen = self._seen + members
        share = (sums - members.unsqueeze(2) * self._candidates) / self._seen.clamp(min=1).unsqueeze(2)
        self._candidates = self._candidates + share
        return True

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
            while in_company() and self._move(None):
                pass
            self._restart_inertia = add_up(self._step.inertia)
        else:
            self._candidates, self._restart_inertia = self._step.finish()
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
        # Those of version 0.1.0 are float32.
        kept = (checkpoint["restarts"][name] for name in ("candidates", "seen"))
        self._candidates, self._seen = (None if one is None else one.double() for one in kept)

    def example_input(self) -> Tensor:
        """One row of zeros."""
        return torch.zeros(1, self.in_features)

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the clusters along their first two principal components, and how well each row fits into its own."""
        drawn = self._silhouettes(outputs["rows"], outputs["clusters"])
        if self.in_features > 1:
            coordinates, centroids = self.in_plane(outputs["rows"])
            names = [f"cluster {number}" for number in range(self.num_clusters)]
            drawn["clusters"] = draw_embedding(coordinates, outputs["clusters"], names, (), centroids)
        return drawn

    def _silhouettes(self, given: Tensor, clusters: Tensor) -> dict[str, Figure]:
        """The silhouettes, where there is something to compare; of many rows, of some from everywhere."""
        chosen = torch.linspace(0, len(given) - 1, min(len(given), _MOST_COMPARED), dtype=torch.float64).long()
        numbers = clusters[chosen].cpu()
        if not 1 < len(numbers.unique()) < len(numbers):
            return {}
        from sklearn.metrics import silhouette_samples  # takes a second to import, which only pictures need

        rows = self._rows(given[chosen].to(self.device)).cpu()
        widths = silhouette_samples((rows - rows.mean(0)).numpy(), numbers.numpy())
        return {"silhouettes": draw_silhouettes(widths, numbers.numpy(), self.num_clusters)}

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


def centred(centroids: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Float64 centroids ``(K, F)`` less their mean ``(F,)``, and that, for nothing to cancel where rows are far away.

    Both are of a type in which the mean, as it is rounded there, can be taken off rows without a loss.
    """
    middle = centroids.mean(0).to(dtype)
    return (centroids - middle.to(centroids)).to(dtype), middle


def _first_of(loader: Any, count: int) -> Tensor:
    """The first ``count`` rows that a loader gives; fewer where it has fewer."""
    parts: list[Tensor] = []
    for batch in loader:
        parts.append(inputs_of(batch))
        if sum(map(len, parts)) >= count:
            break
    return torch.cat(parts)[:count] if parts else torch.zeros(0)


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
