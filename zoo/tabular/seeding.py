"""Where k-means begins: rules that pick centroids among rows."""

from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from zoo.errors import ZooError

Initialisation = Literal["kmeans++", "kmeans||", "farthest", "random"]


def initial_centroids(rows: Tensor, count: int, rule: Initialisation, generator: Generator) -> Tensor:
    """Picks centroids among rows.

    Args:
        rows: ``(N, F)``.
        count: Number of centroids, ``K``.
        rule: ``random``: different rows, all equally likely (Forgy, 1965). ``farthest``: a random row, then again and
            again the row that is farthest from those picked (Gonzalez, 1985), as in the notes; outliers attract it.
            ``kmeans++``: likewise, but drawn in proportion to the squared distance, the best of ``2 + log K`` draws
            each time (Arthur and Vassilvitskii, 2007). ``kmeans||``: five rounds that draw some ``2 K`` rows at once
            in that proportion, which ``kmeans++`` then thins by their weights (Bahmani et al., 2012).
        generator: Draws.

    Returns:
        ``(K, F)``.

    Raises:
        ZooError: There are fewer different rows than centroids, or no such rule.
    """
    if len(rows) < count:
        raise ZooError(f"{count} clusters of {len(rows)} rows; expected at least as many rows as clusters")
    if rule == "random":
        shuffled = rows[torch.randperm(len(rows), generator=generator).to(rows.device)]
        if len(shuffled[:count].unique(dim=0)) == count:
            return shuffled[:count]
        return _first_different(shuffled, count)
    if rule == "farthest":
        return _one_by_one(rows, count, None, generator)
    if rule == "kmeans++":
        return _one_by_one(rows, count, rows.new_ones(len(rows)), generator)
    if rule == "kmeans||":
        picked = _in_parallel(rows, count, generator)
        if len(picked) <= count:
            return _one_by_one(rows, count, rows.new_ones(len(rows)), generator)
        weights = torch.cdist(rows, picked).argmin(1).bincount(minlength=len(picked)).to(rows.dtype)
        return _one_by_one(picked, count, weights, generator)
    raise ZooError(f"no initialisation {rule!r}; there are {', '.join(get_args(Initialisation))}")


def squared_distances(rows: Tensor, centroids: Tensor) -> Tensor:
    """Squared Euclidean distances, ``(N, K)``, at least zero."""
    products = torch.addmm(centroids.square().sum(1), rows, centroids.T, alpha=-2)
    return products.add_(rows.square().sum(1, keepdim=True)).clamp_(min=0)


def squared_lengths(rows: Tensor, centroids: Tensor, labels: Tensor) -> Tensor:
    """Squared distance of each row to the centroid of its label, ``(N,)``, from differences, of which none cancels."""
    return centroids.index_select(0, labels).sub_(rows).square_().sum(1)


def _one_by_one(rows: Tensor, count: int, weights: Tensor | None, generator: Generator) -> Tensor:
    """Picks rows one after the other: the farthest without weights, else drawn by weight times squared distance."""
    # Distances are those of centred rows, which lose fewer digits.
    centred = rows - rows.mean(0)
    first = _draw(rows.new_ones(len(rows)) if weights is None else weights, 1, generator)
    picked = [int(first)]
    nearest = squared_distances(centred, centred[first]).squeeze(1)
    trials = 2 + int(torch.tensor(float(count)).log())
    for _ in range(count - 1):
        if not nearest.max() > 0:
            raise ZooError(f"{count} clusters of {len(picked)} different rows; use fewer clusters")
        choices = nearest.argmax().unsqueeze(0) if weights is None else _draw(weights * nearest, trials, generator)
        reached = torch.minimum(nearest.unsqueeze(1), squared_distances(centred, centred[choices]))
        gain = (reached if weights is None else reached * weights.unsqueeze(1)).sum(0)
        best = int(gain.argmin())
        picked.append(int(choices[best]))
        nearest = reached[:, best]
    return rows[picked]


def _first_different(rows: Tensor, count: int) -> Tensor:
    """The first rows no two of which are equal."""
    different, kinds = rows.unique(dim=0, return_inverse=True)
    if len(different) < count:
        raise ZooError(f"{count} clusters of {len(different)} different rows; use fewer clusters")
    first = torch.full((len(different),), len(rows), device=rows.device)
    first.scatter_reduce_(0, kinds, torch.arange(len(rows), device=rows.device), "amin")
    return rows[first.sort().values[:count]]


def _in_parallel(rows: Tensor, count: int, generator: Generator) -> Tensor:
    """The oversampled rows of k-means||."""
    picked = rows[torch.randint(len(rows), (1,), generator=generator).to(rows.device)]
    for _ in range(5):
        nearest = squared_distances(rows, picked).amin(1)
        if not nearest.max() > 0:
            break
        chances = (2 * count * nearest / nearest.sum()).cpu()
        chosen = torch.rand(len(rows), generator=generator, dtype=chances.dtype) < chances
        picked = torch.cat([picked, rows[chosen.to(rows.device)]])
    return picked


def _draw(weights: Tensor, count: int, generator: Generator) -> Tensor:
    """Positions in proportion to weights, with repeats, ``(count,)``; torch's own draws refuse more than 2^24."""
    steps = weights.double().cumsum(0)
    at = torch.rand(count, generator=generator, dtype=torch.float64).to(steps.device) * steps[-1]
    return torch.searchsorted(steps, at, right=True).clamp(max=len(weights) - 1)
