"""Pictures of tables: points in the plane, spectra, elbows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from zoo.drawing import COLOURS
from zoo.errors import in_brief as shorten
from zoo.tabular.descent import Surface

# More points than these hide each other.
_MOST_POINTS = 4000
# More columns and lines than these are not read.
_MOST_COMPONENTS, _MOST_FEATURES = 10, 40


def draw_embedding(
    coordinates: Tensor,
    labels: Tensor,
    classes: Sequence[str] | None,
    shares: Sequence[float] = (),
    centroids: Tensor | None = None,
    axis: str = "component",
    words: Sequence[str] = (),
) -> Figure:
    """Draws points in the plane, coloured by class.

    Args:
        coordinates: ``(N, 2)``; of very many a part is shown, spread evenly.
        labels: Class of each, ``(N,)``.
        classes: Their names; numbers if left out.
        shares: Share of the variance along each axis.
        centroids: Further points to mark, ``(K, 2)``.
        axis: What the axes are called, in front of their numbers.
        words: What each point is; the first ones are written beside theirs, as far as there is room.
    """
    figure = Figure(figsize=(9, 8) if words else (6.5, 5), layout="constrained", dpi=110)
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
    _write_words(axes, coordinates.double().cpu(), words)
    for set_label, number in ((axes.set_xlabel, 0), (axes.set_ylabel, 1)):
        share = f" ({shares[number]:.1%} of the variance)" if len(shares) > number else ""
        set_label(f"{axis} {number + 1}{share}")
    if members.unique().numel() > 1 or centroids is not None:
        axes.legend(
            frameon=False, markerscale=2 if len(shown) > 1000 else 1, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    axes.grid(alpha=0.25)
    return figure


def _write_words(axes: Axes, coordinates: Tensor, words: Sequence[str]) -> None:
    """Writes words beside their points, but none over another."""
    low, high = (coordinates.amin(0), coordinates.amax(0)) if words else (torch.zeros(2), torch.ones(2))
    taken: list[tuple[float, float, float]] = []
    for word, place in zip(words, ((coordinates - low) / (high - low)).tolist(), strict=False):
        text, (x, y) = shorten(word.strip(), 16), place
        width = 0.011 * len(text)
        if text and all(abs(y - up) > 0.02 or x > right or x + width < left for left, right, up in taken):
            taken.append((x, x + width, y))
            across, up = (low + torch.tensor(place) * (high - low)).tolist()
            axes.annotate(text, (across, up), fontsize=7, parse_math=False, xytext=(2, 1), textcoords="offset points")


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


def draw_predictions(truth: Tensor, predicted: Tensor) -> Figure:
    """Draws what was predicted against the truth, and what is left of it, both ``(N,)``; of many a part."""
    figure = Figure(figsize=(9.5, 4.2), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    shown = torch.linspace(0, len(truth) - 1, min(len(truth), _MOST_POINTS)).long()
    truth, predicted = truth[shown], predicted[shown]
    look: dict[str, Any] = {"s": 14 if len(shown) < 1000 else 5, "alpha": 0.6, "linewidths": 0, "color": COLOURS[0]}
    left.scatter(predicted, truth, **look)
    ends = [float(torch.minimum(truth, predicted).min()), float(torch.maximum(truth, predicted).max())]
    left.plot(ends, ends, color="black", linewidth=0.8)
    left.set(xlabel="predicted", ylabel="true")
    right.scatter(predicted, truth - predicted, **look)
    right.axhline(0, color="black", linewidth=0.8)
    right.set(xlabel="predicted", ylabel="true minus predicted")
    for axes in (left, right):
        axes.grid(alpha=0.25)
    return figure


def draw_coefficients(names: Sequence[str], values: Tensor, errors: Tensor) -> Figure:
    """Draws coefficients of standardised features, with whiskers of 95 % confidence where errors are known.

    Args:
        names: Of the features.
        values: Coefficients, ``(F,)``.
        errors: Their standard errors, ``(F,)``.
    """
    figure = Figure(figsize=(7.5, 1 + 0.24 * len(names)), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    whiskers = torch.where(errors.isfinite(), 1.96 * errors, 0.0).cpu()
    places = range(len(names))
    axes.errorbar(values.cpu(), places, xerr=whiskers, fmt="o", markersize=4, capsize=3, color=COLOURS[0])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(places, [shorten(name, 40) for name in names], fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("coefficient of the standardised feature")
    axes.grid(alpha=0.25)
    return figure


def draw_importance(names: Sequence[str], drops: Tensor, score: str) -> Figure:
    """Draws how much a score falls without each column, those that count most first, each deal of its values a point.

    Args:
        names: Of the columns.
        drops: ``(columns, repeats)``.
        score: What falls.
    """
    means = drops.mean(1)
    order = means.argsort(descending=True)[:_MOST_FEATURES]
    places = range(len(order))
    figure = Figure(figsize=(7.5, 1.2 + 0.26 * len(order)), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    axes.barh(places, means[order].tolist(), color=COLOURS[0], alpha=0.5)
    axes.plot(drops[order].T, [list(places)] * drops.shape[1], ".", color=COLOURS[0], markersize=4)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(places, [shorten(names[place], 40) for place in order.tolist()], fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel(f"drop of {score} when the column's values are dealt anew")
    axes.grid(alpha=0.25)
    return figure


def draw_silhouettes(widths: np.ndarray, clusters: np.ndarray, num_clusters: int) -> Figure:
    """Draws how much nearer each row is to its own cluster than to the next (Rousseeuw, 1987), cluster by cluster.

    Args:
        widths: Of the rows, -1 to 1, ``(N,)``.
        clusters: Number of the cluster of each, ``(N,)``.
        num_clusters: How many there are.
    """
    figure = Figure(figsize=(6.5, 4.6), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    gap = len(widths) / 50
    start, middles = 0.0, []
    for number in range(num_clusters):
        own = np.sort(widths[clusters == number])[::-1]
        places = start + np.arange(len(own) + 1)
        axes.fill_betweenx(places, 0, np.append(own, own[-1:]), step="post", color=COLOURS[number % len(COLOURS)])
        middles.append(start + len(own) / 2)
        start += len(own) + gap
    mean = float(widths.mean())
    axes.axvline(mean, color="black", linestyle="--", linewidth=0.8)
    shown = range(0, num_clusters, -(-num_clusters // 20))
    axes.set_yticks([middles[number] for number in shown], [str(number) for number in shown])
    axes.invert_yaxis()
    axes.set(xlabel="silhouette: 1 well inside its cluster, below 0 nearer to another", ylabel="cluster")
    axes.set_title(f"mean silhouette {mean:.3f} over {len(widths):,} rows")
    axes.grid(alpha=0.25, axis="x")
    return figure


def draw_loadings(names: Sequence[str], components: Tensor) -> Figure:
    """Draws how much of each feature is in each component.

    Args:
        names: Of the features.
        components: Unit vectors, ``(K, F)``; the first ones are drawn, and those features that they hold most of.
    """
    shown = components[:_MOST_COMPONENTS]
    largest = shown.abs().amax(0).argsort(descending=True)[:_MOST_FEATURES].sort().values
    figure = Figure(figsize=(2.5 + 0.5 * len(shown), 1.2 + 0.24 * len(largest)), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    image = axes.imshow(shown[:, largest].T.numpy(), cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    axes.set_xticks(range(len(shown)), [str(place + 1) for place in range(len(shown))])
    axes.set_yticks(
        range(len(largest)), [shorten(names[place], 40) for place in largest.tolist()], fontsize=8, parse_math=False
    )
    axes.set_xlabel("component")
    figure.colorbar(image, ax=axes)
    return figure


class Descent(NamedTuple):
    """One run of gradient descent.

    Attributes:
        path: Weight, bias and seconds of every step, float64 ``(steps + 1, 3)``.
        epochs: How many epochs it took.
    """

    path: Tensor
    epochs: int


def draw_descent(surface: Surface, path: Tensor) -> Figure:
    """Draws a path over the surface of the mean squared error.

    Args:
        surface: The error over weight and bias.
        path: Weight, bias and seconds of every step, ``(steps + 1, 3)``.
    """
    figure = Figure(figsize=(6.5, 5), layout="constrained", dpi=110)
    _draw_path(figure.add_subplot(), surface, path, COLOURS[1], _window(surface, [path]))
    return figure


def draw_descents(surface: Surface, descents: Mapping[str, Descent], diverging: Mapping[str, Descent]) -> Figure:
    """Draws paths side by side over the same surface, and their mean error in each epoch, by epoch and by second.

    Args:
        surface: The error over weight and bias.
        descents: Runs by their names.
        diverging: Runs that are drawn apart, on a scale of their own.
    """
    count = max(len(descents), 2 + len(diverging))
    figure = Figure(figsize=(4.2 * count, 7.6), layout="constrained", dpi=100)
    window = _window(surface, [descent.path for descent in descents.values()])
    for place, (name, descent) in enumerate(descents.items()):
        axes = figure.add_subplot(2, count, place + 1)
        _draw_path(axes, surface, descent.path, COLOURS[place], window)
        axes.set_title(f"{name}\n{len(descent.path) - 1:,} steps in {descent.epochs} epochs", fontsize=10)
    by_epoch, by_second = (figure.add_subplot(2, count, count + place) for place in (1, 2))
    for colour, (name, (path, epochs)) in zip(COLOURS, descents.items(), strict=False):
        steps = path[1:].view(epochs, -1, 3)
        excess = (surface.loss(steps[..., 0], steps[..., 1]) - surface.least).mean(1)
        by_epoch.plot(range(1, epochs + 1), excess, color=colour, label=name.partition(":")[0])
        by_second.plot(steps[:, -1, 2], excess, color=colour)
    for axes, label in ((by_epoch, "epochs"), (by_second, "seconds of training")):
        axes.set(yscale="log", xlabel=label, ylabel="mean squared error above the least")
        axes.grid(alpha=0.25)
    by_second.set_xscale("log")
    by_epoch.legend(frameon=False, fontsize=9)
    for place, (name, descent) in enumerate(diverging.items(), start=count + 3):
        axes = figure.add_subplot(2, count, place)
        _draw_path(axes, surface, descent.path, "black", _window(surface, [descent.path]))
        axes.set_title(f"{name}\n{len(descent.path) - 1:,} steps, away from the minimum", fontsize=10)
    return figure


def draw_line(inputs: Tensor, targets: Tensor, weight: float, bias: float) -> Figure:
    """Draws points and the line through them; ``inputs`` and ``targets`` are ``(N,)``."""
    figure = Figure(figsize=(6.5, 4), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    axes.scatter(inputs, targets, s=18, color=COLOURS[0], alpha=0.7, linewidths=0, label="data")
    ends = torch.stack([inputs.min(), inputs.max()]).double()
    axes.plot(ends, weight * ends + bias, color=COLOURS[1], label="model")
    axes.set(xlabel="x", ylabel="y", title=f"y = {weight:.5g} x {'-' if bias < 0 else '+'} {abs(bias):.5g}")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    return figure


# Points of the surface across and up.
_GRID = 160
# Contours of the surface.
_CONTOURS = 12


def _window(surface: Surface, paths: Sequence[Tensor]) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of what holds the paths and the minimum, with a margin."""
    points = torch.cat([*(path[:, :2] for path in paths), torch.tensor([surface.minimum], dtype=torch.float64)])
    low, high = points.amin(0), points.amax(0)
    margin = 0.12 * (high - low).clamp(min=1e-6)
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    return left, right, bottom, top


def _draw_path(
    axes: Axes, surface: Surface, path: Tensor, colour: str, window: tuple[float, float, float, float]
) -> None:
    """Draws the surface within a window, and a path on it."""
    left, right, bottom, top = window
    weights, biases = torch.linspace(left, right, _GRID).double(), torch.linspace(bottom, top, _GRID).double()
    up, across = torch.meshgrid(biases, weights, indexing="ij")
    excess = surface.loss(across, up) - surface.least
    # The farther from the minimum, the wider apart: by their roots they would be evenly spaced.
    levels = (torch.linspace(0, 1, _CONTOURS + 1)[1:] ** 2 * float(excess.max())).tolist()
    axes.contourf(weights, biases, excess, levels=[0, *levels], cmap="Blues", alpha=0.35)
    axes.contour(weights, biases, excess, levels=levels, colors="grey", linewidths=0.5)
    few = len(path) <= 100
    axes.plot(path[:, 0], path[:, 1], color=colour, linewidth=1, marker="o" if few else "", markersize=3)
    axes.plot(*path[0, :2], color=colour, marker="s", markersize=7)
    axes.plot(*surface.minimum, color="black", marker="*", markersize=12)
    axes.set(xlabel="weight", ylabel="bias", xlim=(left, right), ylim=(bottom, top))
