"""Pictures of forecasts; every function returns a matplotlib figure and shows nothing by itself."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from zoo.drawing import COLOURS

# More panels than that cannot be read.
PANELS = 4
# A forecast is shown behind so many points at least.
TAIL = 30
# Of bands, from the widest to the narrowest.
_SHADES = ("#dbe7f2", "#aecbe4")


def draw_forecasts(
    targets: Tensor, forecasts: Tensor, times: np.ndarray | None = None, names: Sequence[str] | None = None
) -> Figure:
    """Draws series and what was forecast of them one step ahead and, if there are more, at the farthest step.

    Args:
        targets: True values, ``(N, H, C)``; each row begins one step after the row before.
        forecasts: Forecasts, likewise.
        times: Of the first ``N + H - 1`` targets or more, ``datetime64`` or numbers; without them steps are counted.
        names: Of the series.
    """
    steps, horizon, series = targets.shape
    panels = min(series, PANELS)
    moments = _moments(times, steps + horizon - 1)
    figure = Figure(figsize=(10, 1 + 3 * panels), layout="constrained", dpi=110)
    for number, axes in enumerate(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]):
        truth, ahead = targets[:, :, number].numpy(), forecasts[:, :, number].numpy()
        whole = np.concatenate([truth[:, 0], truth[-1, 1:]])
        axes.plot(moments, whole, color="black", linewidth=3, alpha=0.25, label="truth")
        for colour, step in zip(COLOURS[1::-1], sorted({0, horizon - 1}), strict=False):
            name = f"forecast {step + 1} step{'s' if step else ''} ahead"
            axes.plot(moments[step : step + steps], ahead[:, step], color=colour, linewidth=1, label=name)
        error = np.abs(ahead - truth).mean()
        axes.set_title(f"{_name(number, series, names)}mean absolute error {error:.4g}", parse_math=False)
        axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    _label_times(axes, moments, times)
    return figure


def draw_residuals(residuals: Tensor, times: np.ndarray | None = None, names: Sequence[str] | None = None) -> Figure:
    """Draws what forecasts left over, truth less forecast: over time, and how it is distributed.

    Args:
        residuals: One row a step, ``(N, C)``.
        times: Of the first ``N`` steps or more, ``datetime64`` or numbers; without them steps are counted.
        names: Of the series.
    """
    series = residuals.shape[1]
    panels = min(series, PANELS)
    moments = _moments(times, len(residuals))
    figure = Figure(figsize=(10, 1 + 2.4 * panels), layout="constrained", dpi=110)
    for number, (left, right) in enumerate(
        figure.subplots(panels, 2, squeeze=False, sharex="col", sharey="row", width_ratios=[3, 1])
    ):
        values = residuals[:, number].numpy()
        left.plot(moments, values, color=COLOURS[0], linewidth=0.8)
        left.axhline(0, color="black", linewidth=0.5)
        left.set_ylabel("truth - forecast")
        right.stairs(*np.histogram(values, bins=40), orientation="horizontal", fill=True, color=COLOURS[0])
        title = f"{_name(number, series, names)}mean {values.mean():.3g}, standard deviation {values.std():.3g}"
        left.set_title(title, parse_math=False)
    _label_times(left, moments, times)
    right.set_xlabel("how often")
    return figure


def draw_future(
    history: np.ndarray,
    times: np.ndarray,
    ahead: np.ndarray,
    future: np.ndarray,
    bands: Mapping[int, tuple[np.ndarray, np.ndarray]],
    names: Sequence[str],
    heading: str,
    period: int = 1,
) -> Figure:
    """Draws the end of series, how they go on, and the intervals around that.

    As much is shown of what is known as makes the forecast readable: two seasons if they are not too long for it.

    Args:
        history: Known values, ``(T, C)``.
        times: When they were measured, ``(T,)``: ``datetime64``, or numbers.
        ahead: Forecasts, ``(H, C)``.
        future: Their times, ``(H,)``.
        bands: By level in per cent the lower and upper ends of its interval, ``(H, C)``; two or none.
        names: Of the series.
        heading: What stands above.
        period: Steps of a season.
    """
    steps, series = ahead.shape
    shown = max(TAIL, 3 * steps, min(2 * period + 1, 8 * steps))
    known, before = history[-shown:], _moments(times[-shown:], min(shown, len(history)))
    panels = min(series, 3 * PANELS)
    # From the last known value on, so that nothing is torn.
    after = np.concatenate([before[-1:], _moments(future, steps)])
    marker = "." if len(known) + steps <= 60 else ""
    figure = Figure(figsize=(10, 1.6 + 2.9 * panels), layout="constrained", dpi=120)
    rows = f", the first {panels} of {series} series" if panels < series else ""
    figure.suptitle(heading + rows, parse_math=False)
    for number, axes in enumerate(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]):
        axes.plot(before, known[:, number], color="#444444", linewidth=1.2, marker=marker, label="known")
        middle = np.concatenate([known[-1:, number], ahead[:, number]])
        axes.plot(after, middle, color=COLOURS[0], linewidth=1.6, marker=marker, label="forecast")
        for level, shade in zip(sorted(bands, reverse=True), _SHADES, strict=False):
            low, high = (np.concatenate([known[-1:, number], end[:, number]]) for end in bands[level])
            axes.fill_between(after, low, high, color=shade, linewidth=0, label=f"{level} % interval")
        axes.axvline(before[-1], color="black", linewidth=0.6, linestyle=":")
        axes.set_ylabel(names[number], parse_math=False)
        axes.grid(alpha=0.25)
        axes.margins(x=0.01)
        axes.spines[["top", "right"]].set_visible(False)
    _label_times(axes, after, times)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def draw_coverage(found: Sequence[tuple[int, str, np.ndarray, float]], points: int) -> Figure:
    """Draws how often intervals held what came, at each step ahead, beside how often they should.

    Args:
        found: Of each kind of intervals its level in per cent, its name, the shares ``(H,)``, and the mean width.
        points: Number of test points.
    """
    kinds = list(dict.fromkeys(kind for _, kind, _, _ in found))
    levels = sorted({level for level, *_ in found})
    steps = np.arange(1, len(found[0][2]) + 1)
    figure = Figure(figsize=(10, 4.6), layout="constrained", dpi=110)
    axes = figure.subplots()
    for level in levels:
        axes.axhline(level / 100, color="black", linewidth=1, linestyle="--")
        axes.annotate(
            f"{level} % wanted", (1, level / 100), (4, 0), ("axes fraction", "data"), "offset points", va="center"
        )
    for level, kind, shares, width in found:
        axes.plot(
            steps,
            shares,
            color=COLOURS[kinds.index(kind)],
            marker="os"[levels.index(level) % 2],
            linewidth=1.6,
            label=f"{level} % by {kind}: {shares.mean():.2f} inside, mean width {width:.4g}",
        )
    axes.set_title(f"Share of {points:,} test points inside intervals that the validation period calibrated")
    axes.set_xlabel("steps ahead")
    axes.set_ylabel("share inside")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(steps[0] - 0.5, steps[-1] + 0.5)
    axes.set_ylim(min(0.6, *(float(shares.min()) - 0.05 for _, _, shares, _ in found)), 1.02)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _moments(times: np.ndarray | None, count: int) -> np.ndarray:
    """The first times, in a unit that matplotlib understands."""
    if times is None:
        return np.arange(count)
    return times[:count].astype("M8[us]") if times.dtype.kind == "M" else times[:count]


def _label_times(axes: Axes, moments: np.ndarray, times: np.ndarray | None) -> None:
    if moments.dtype.kind == "M":
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        formatter = ConciseDateFormatter(locator)
        # A day of the month alone is no date.
        formatter.formats[2] = formatter.zero_formats[2] = formatter.zero_formats[3] = "%d %b"
        formatter.offset_formats[2] = formatter.offset_formats[3] = "%Y"
        axes.xaxis.set_major_formatter(formatter)
    else:
        axes.set_xlabel("step" if times is not None else "step of the evaluated period")


def _name(number: int, series: int, names: Sequence[str] | None) -> str:
    if names is not None:
        return f"{names[number]}: "
    return f"series {number + 1}: " if series > 1 else ""
