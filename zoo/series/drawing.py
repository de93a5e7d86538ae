"""Pictures of forecasts; every function returns a matplotlib figure and shows nothing by itself."""

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from zoo.drawing import COLOURS

# More panels than that cannot be read.
PANELS = 4


def draw_forecasts(targets: Tensor, forecasts: Tensor) -> Figure:
    """Draws series and what was forecast of them one step ahead and, if there are more, at the farthest step.

    Args:
        targets: True values, ``(N, H, C)``; each row begins one step after the row before.
        forecasts: Forecasts, likewise.
    """
    steps, horizon, series = targets.shape
    panels = min(series, PANELS)
    figure = Figure(figsize=(10, 1 + 3 * panels), layout="constrained", dpi=110)
    for number, axes in enumerate(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]):
        truth, ahead = targets[:, :, number].numpy(), forecasts[:, :, number].numpy()
        whole = np.concatenate([truth[:, 0], truth[-1, 1:]])
        axes.plot(whole, color="black", linewidth=3, alpha=0.25, label="truth")
        for colour, step in zip(COLOURS[1::-1], sorted({0, horizon - 1}), strict=False):
            name = f"forecast {step + 1} step{'s' if step else ''} ahead"
            axes.plot(np.arange(steps) + step, ahead[:, step], color=colour, linewidth=1, label=name)
        error = np.abs(ahead - truth).mean()
        axes.set_title(f"{_name(number, series)}mean absolute error {error:.4g}")
        axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    axes.set_xlabel("step of the evaluated period")
    return figure


def draw_residuals(residuals: Tensor) -> Figure:
    """Draws what forecasts left over, truth less forecast: over time, and how it is distributed.

    Args:
        residuals: One row a step, ``(N, C)``.
    """
    series = residuals.shape[1]
    panels = min(series, PANELS)
    figure = Figure(figsize=(10, 1 + 2.4 * panels), layout="constrained", dpi=110)
    for number, (left, right) in enumerate(
        figure.subplots(panels, 2, squeeze=False, sharey="row", width_ratios=[3, 1])
    ):
        values = residuals[:, number].numpy()
        left.plot(values, color=COLOURS[0], linewidth=0.8)
        left.axhline(0, color="black", linewidth=0.5)
        left.set_ylabel("truth - forecast")
        right.hist(values, bins=40, orientation="horizontal", color=COLOURS[0])
        left.set_title(f"{_name(number, series)}mean {values.mean():.3g}, standard deviation {values.std():.3g}")
    left.set_xlabel("step of the evaluated period")
    right.set_xlabel("how often")
    return figure


def _name(number: int, series: int) -> str:
    return f"series {number + 1}: " if series > 1 else ""
