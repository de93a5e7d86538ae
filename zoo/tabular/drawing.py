"""Pictures of tables: points in the plane, spectra, elbows."""

from collections.abc import Sequence

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from zoo.drawing import COLOURS

# More points than these hide each other.
_MOST_POINTS = 4000


def draw_embedding(
    coordinates: Tensor,
    labels: Tensor,
    classes: Sequence[str] | None,
    shares: Sequence[float] = (),
    centroids: Tensor | None = None,
) -> Figure:
    """Draws points in the plane, coloured by class.

    Args:
        coordinates: ``(N, 2)``; of very many a part is shown, spread evenly.
        labels: Class of each, ``(N,)``.
        classes: Their names; numbers if left out.
        shares: Share of the variance along each axis.
        centroids: Further points to mark, ``(K, 2)``.
    """
    figure = Figure(figsize=(6.5, 5), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    shown = torch.linspace(0, len(labels) - 1, min(len(labels), _MOST_POINTS)).long()
    x, y = coordinates[shown].double().cpu().unbind(1)
    members = labels[shown].cpu()
    palette = colormaps["tab10"]
    for number in members.unique().tolist():
        mine = members == number
        name = classes[int(number)] if classes and int(number) < len(classes) else str(int(number))
        size = 14 if len(shown) < 1000 else 5
        axes.scatter(x[mine], y[mine], s=size, alpha=0.7, linewidths=0, color=palette(int(number) % 10), label=name)
    if centroids is not None:
        across, up = centroids.double().cpu().unbind(1)
        axes.scatter(across, up, s=90, marker="X", color="black", label="centroids")
    for axis, number in ((axes.set_xlabel, 0), (axes.set_ylabel, 1)):
        share = f" ({shares[number]:.1%} of the variance)" if len(shares) > number else ""
        axis(f"component {number + 1}{share}")
    if members.unique().numel() > 1 or centroids is not None:
        axes.legend(
            frameon=False, markerscale=2 if len(shown) > 1000 else 1, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    axes.grid(alpha=0.25)
    return figure


def draw_spectrum(ratios: Tensor) -> Figure:
    """Draws how much of the variance the components explain, each and together.

    Args:
        ratios: Share of each, ``(K,)``.
    """
    figure = Figure(figsize=(6.5, 4), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    numbers = range(1, len(ratios) + 1)
    axes.bar(numbers, ratios.tolist(), color=COLOURS[0], label="each")
    axes.plot(numbers, ratios.cumsum(0).tolist(), color=COLOURS[1], marker="o", markersize=3, label="together")
    axes.set_xlabel("component")
    axes.set_ylabel("share of the variance")
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    return figure


def draw_elbow(counts: Sequence[int], inertias: Sequence[float], knee: int | None, title: str) -> Figure:
    """Draws the inertia over the number of clusters, the knee marked.

    Args:
        counts: Numbers of clusters.
        inertias: Inertia of each.
        knee: The number at the bend, if there is one.
        title: Heading.
    """
    figure = Figure(figsize=(6.5, 4), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    axes.plot(counts, inertias, color=COLOURS[0], marker="o", markersize=4)
    if knee is not None:
        axes.axvline(knee, color=COLOURS[1], linestyle="--", label=f"knee at {knee}")
        axes.legend(frameon=False)
    axes.set_xlabel("number of clusters")
    axes.set_ylabel("inertia: sum of squared distances")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title)
    axes.grid(alpha=0.25)
    return figure
