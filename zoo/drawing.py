"""Pictures that several wings draw; every function returns a matplotlib figure and shows nothing by itself."""

import io
import textwrap
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

COLOURS = ("#1f6fb2", "#d1495b", "#3c8d5a", "#8a5fb5")
# Of confidence, in the picture of how well a classifier knows what it knows.
_BINS = 10
_SPLIT_COLOURS = {"train": COLOURS[0], "val": COLOURS[1], "learning": COLOURS[2]}


def as_png(figure: Figure) -> bytes:
    """A drawing as the content of a picture file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def draw_confusion_matrix(labels: Tensor, predicted: Tensor, classes: Sequence[str]) -> Figure:
    """Draws how often each class (row) was taken for each class (column), in per cent of the row.

    Args:
        labels: True classes, ``(N,)``.
        predicted: Predicted classes, ``(N,)``.
        classes: Their names.
    """
    count = len(classes)
    counts = np.bincount((labels * count + predicted).numpy(), minlength=count**2).reshape(count, count)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = 3.2 + 0.55 * count
    figure = Figure(figsize=(size, size), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    # A class may be called "$_$", which is no formula.
    axes.set_xticks(range(count), classes, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(range(count), classes, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"{np.trace(counts) / max(counts.sum(), 1):.2%} of {counts.sum():,} right; rows in per cent")
    for row, column in np.argwhere(counts > 0):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = f"{100 * shares[row, column]:.1f}".removesuffix(".0")
        number = axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        number.set_in_layout(False)  # stands inside anyway, and hundreds take long to measure
    return figure


def draw_reliability(confidence: Tensor, right: Tensor) -> Figure:
    """Draws how often a classifier is right beside how sure it is (DeGroot and Fienberg, 1983), and how often it is so.

    Whiskers are 95 % intervals of the shares (Wilson, 1927). The title tells the expected calibration error: how far
    confidence and share are apart in the mean over all rows (Guo et al., 2017).

    Args:
        confidence: Probability of the class that each row was taken for, 0 to 1, ``(N,)``.
        right: Whether it was that class, ``(N,)``.
    """
    sure, hits = confidence.double().numpy(), right.double().numpy()
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    filled = counts > 0
    sums = (np.bincount(bins, weights=one, minlength=_BINS)[filled] for one in (sure, hits))
    told, shares = (one / counts[filled] for one in sums)
    error = (np.abs(told - shares) * counts[filled]).sum() / max(counts.sum(), 1)
    low, high = _wilson(shares, counts[filled])
    figure = Figure(figsize=(5, 5.6), layout="constrained", dpi=110)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="as sure as right")
    above.errorbar(
        told, shares, yerr=(shares - low, high - shares), fmt="o", markersize=4, capsize=3, color=COLOURS[0],
        label="rows of like confidence",
    )  # fmt: skip
    above.set(ylabel="share that is right", ylim=(-0.02, 1.02), xlim=(-0.02, 1.02))
    above.set_title(f"expected calibration error {error:.3f} over {counts.sum():,} rows")
    above.legend(frameon=False, loc="upper left")
    below.bar((np.arange(_BINS) + 0.5) / _BINS, counts, width=0.9 / _BINS, color=COLOURS[0])
    below.set(xlabel="probability of the class that was named", ylabel="rows")
    for axes in (above, below):
        axes.grid(alpha=0.25)
    return figure


def _wilson(shares: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of 95 % intervals of shares, each of so many, ``(N,)``."""
    spread = 1.96**2 / counts
    middle = (shares + spread / 2) / (1 + spread)
    half = np.sqrt(spread * (shares * (1 - shares) + spread / 4)) / (1 + spread)
    return np.minimum(middle - half, shares), np.maximum(middle + half, shares)


# In inches: the side of a picture with the gap beside it, that gap, and a line of the text that is with it.
_CELL, _GAP, _LINE = 1.9, 0.1, 0.135
# Characters of a title that fit over a picture.
_TITLE = 28


def draw_images(images: Tensor, titles: Sequence[str], heading: str) -> Figure:
    """Draws uint8 images ``(N, C, H, W)`` in rows of six, each under its title."""
    titles = ["\n".join(textwrap.fill(line, _TITLE) for line in title.split("\n")) for title in titles]
    columns = min(6, len(images))
    lines = ceil(len(images) / columns)
    height, width = images.shape[-2:]
    across, up = ((_CELL - _GAP) * side / max(height, width) for side in (width, height))
    above = 0.06 + _LINE * max(title.count("\n") + bool(title) for title in titles)
    size = max(_CELL * columns, 3.5), 0.4 + lines * (above + up + 1.5 * _GAP)
    figure = Figure(figsize=size, dpi=110)
    figure.suptitle(heading, y=1 - 0.1 / size[1], va="top")
    # One axes in inches for all of them: an axes a picture takes ten times as long to lay out and to draw.
    axes = figure.add_axes((0, 0, 1, 1))
    for place, (image, title) in enumerate(zip(images.numpy(), titles, strict=True)):
        middle = (size[0] - _CELL * columns) / 2 + _CELL * (place % columns + 0.5)
        top = 0.4 + place // columns * (above + up + 1.5 * _GAP) + above
        grey = image.shape[0] == 1
        axes.imshow(
            image[0] if grey else np.moveaxis(image, 0, -1),
            cmap="gray" if grey else None,
            vmin=0,
            vmax=255,
            extent=(middle - across / 2, middle + across / 2, top + up, top),
        )
        axes.text(middle, top - 0.06, title, fontsize=8, ha="center", va="bottom", parse_math=False)
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0), aspect="auto")
    axes.axis("off")
    return figure


def tile(images: Tensor, gap: int = 2) -> np.ndarray:
    """Lays uint8 images ``(R, K, C, H, W)`` in R rows of K, pixel by pixel, on white.

    Args:
        images: Grey or colour.
        gap: Pixels between them.

    Returns:
        uint8 ``(height, width, 3)``.
    """
    lines, columns, _, height, width = images.shape
    sheet = np.full((lines * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, dtype=np.uint8)
    for line, row in enumerate(images.cpu()):
        for column, image in enumerate(row):
            top, left = line * (height + gap), column * (width + gap)
            sheet[top : top + height, left : left + width] = image.movedim(0, -1).numpy()
    return sheet


def in_rows(images: Tensor, columns: int) -> Tensor:
    """Arranges uint8 images ``(N, C, H, W)`` in rows, ``(R, columns, C, H, W)``; what is left of the last is white."""
    lines = ceil(len(images) / columns)
    arranged = images.new_full((lines * columns, *images.shape[1:]), 255)
    arranged[: len(images)] = images
    return arranged.unflatten(0, (lines, columns))


def draw_tiles(images: Tensor, heading: str) -> Figure:
    """Draws uint8 images ``(R, K, C, H, W)`` close together, without titles."""
    sheet = tile(images)
    width = max(2.5, 0.75 * images.shape[1])
    figure = Figure(figsize=(width, width * sheet.shape[0] / sheet.shape[1] + 0.4), layout="constrained", dpi=110)
    figure.suptitle(heading)
    axes = figure.add_subplot()
    axes.imshow(sheet, interpolation="nearest")
    axes.axis("off")
    return figure


def draw_growth(sheets: Sequence[tuple[int, np.ndarray]], heading: str) -> Figure:
    """Draws rows of images one below the other, each beside the epoch that it is of.

    Args:
        sheets: Epoch and pixels ``(height, width, 3)``, in order.
        heading: What stands above.
    """
    height, width = sheets[0][1].shape[:2]
    line = 6 * height / width
    figure = Figure(figsize=(6.8, line * len(sheets) + 0.5), layout="constrained", dpi=110)
    figure.suptitle(heading)
    for place, (epoch, pixels) in enumerate(sheets, start=1):
        axes = figure.add_subplot(len(sheets), 1, place)
        axes.imshow(pixels, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_ylabel(str(epoch), rotation=0, ha="right", va="center")
    return figure


class SheetPicture(NamedTuple):
    """A picture of a contact sheet.

    Attributes:
        pixels: uint8 ``(3, H, W)``.
        aspect: Height through width in which it is shown.
        caption: What stands below.
        heat: Where to colour it, 0 to 1, ``(h, w)``; None for nowhere.
    """

    pixels: Tensor
    aspect: float
    caption: str
    heat: Tensor | None = None


def draw_contact_sheet(pictures: Sequence[SheetPicture], heading: str) -> Figure:
    """Draws pictures in a grid, each over its caption; those with a heat map are grey where it is zero."""
    columns = min(8, max(1, round((4 / 3 * len(pictures)) ** 0.5)))
    lines = ceil(len(pictures) / columns)
    # In inches, by what is known beforehand: to measure every caption takes longer than to draw it.
    cell, above = max(1.5, 4.5 / columns), 0.2 + 0.17 * (heading.count("\n") + 1)
    side = min(cell, 2.2)
    row = side + 0.18 + _LINE * max(picture.caption.count("\n") + 1 for picture in pictures)
    width, height = cell * columns, above + row * lines
    figure = Figure(figsize=(width, height), dpi=130)
    figure.suptitle(heading, fontsize=10, y=1 - 0.08 / height, va="top", parse_math=False)
    for place, picture in enumerate(pictures):
        left = place % columns * cell + 0.05
        bottom = height - above - place // columns * row - side
        axes = figure.add_axes((left / width, bottom / height, (cell - 0.1) / width, side / height), anchor="S")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("lightgrey")
        axes.set_xlabel(picture.caption, fontsize=8, parse_math=False)
        pixels = picture.pixels.movedim(0, -1).numpy()
        if picture.heat is None:
            axes.imshow(pixels, extent=(0, 1, 0, 1))
        else:
            axes.imshow(pixels.mean(2), cmap="gray", vmin=0, vmax=255, extent=(0, 1, 0, 1))
            # The root lifts what is weak, so that only what is nothing stays grey.
            alpha = 0.65 * picture.heat.sqrt().numpy()
            heat = picture.heat.numpy()
            axes.imshow(heat, cmap="turbo", vmin=0, vmax=1, alpha=alpha, interpolation="bilinear", extent=(0, 1, 0, 1))
        axes.set_aspect(picture.aspect)
    return figure


def draw_curve(inputs: Tensor, targets: Tensor, outputs: Tensor) -> Figure:
    """Draws a function of one variable, its approximation, and the difference; all ``(N, 1)``."""
    x, truth, fit = (tensor.squeeze(1).float().numpy() for tensor in (inputs, targets, outputs))
    figure = Figure(figsize=(7, 5), layout="constrained", dpi=110)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    upper.plot(x, truth, color="black", linewidth=4, alpha=0.25, label="function")
    upper.plot(x, fit, color=COLOURS[1], linewidth=1.5, label="network")
    upper.legend(frameon=False)
    upper.set_title(f"mean absolute error {np.abs(fit - truth).mean():.2g}")
    lower.plot(x, fit - truth, color=COLOURS[1], linewidth=1)
    lower.axhline(0, color="black", linewidth=0.5)
    lower.set_xlabel("x")
    lower.set_ylabel("difference")
    return figure


# Panels of the learning curves that can be read side by side.
_IN_A_ROW = 4


def draw_learning_curves(rows: Sequence[dict[str, str]]) -> Figure | None:
    """Draws every metric of a run over its epochs, one panel a metric, train and validation together.

    Args:
        rows: The lines of ``metrics.csv``.

    Returns:
        The picture, or nothing if nothing was logged.
    """
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        for column, value in row.items():
            split, _, metric = column.partition("_")
            if value in ("", None) or split not in ("train", "val", "learning"):
                continue
            panel = column if split == "learning" else metric
            curves.setdefault(panel, {}).setdefault(split, []).append((float(row["epoch"]) + 1, float(value)))
    if not curves:
        return None
    columns = min(len(curves), _IN_A_ROW)
    height = -(-len(curves) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * height), dpi=110)
    # Margins that are known beforehand: to measure every label takes longer than to draw all.
    across, up = 4.2 * columns, 3.4 * height
    grid = figure.add_gridspec(
        height,
        columns,
        left=0.75 / across,
        right=1 - 0.1 / across,
        bottom=0.46 / up,
        top=1 - 0.3 / up,
        wspace=0.82 / (4.2 - 0.82),
        hspace=0.78 / (3.4 - 0.78),
    )
    for place, (panel, lines) in enumerate(sorted(curves.items())):
        axes = figure.add_subplot(grid[place])
        for split, points in sorted(lines.items()):
            x, y = zip(*points, strict=True)
            name = "validation" if split == "val" else split
            axes.plot(x, y, color=_SPLIT_COLOURS[split], label=name, marker="." if len(x) < 3 else "")
        axes.set_title(panel.replace("_", " "), y=1)  # given, since else it is placed by measuring all labels
        axes.set_xlabel("epoch")
        values = [value for points in lines.values() for _, value in points]
        # Within a few units a logarithmic axis has no labels that one would want to read.
        if panel.endswith(("loss", "mae", "mse")) and 0 < 5 * min(values) < max(values):
            axes.set_yscale("log")
        else:
            axes.ticklabel_format(axis="y", scilimits=(-3, 5))  # longer numbers would not fit
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if panel != "learning_rate":
            axes.legend(frameon=False)
        axes.grid(alpha=0.25)
    return figure
