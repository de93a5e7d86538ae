"""What came of a roll-forward evaluation: the forecasts of each fold, their errors beside naive ones, and a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from torch import Tensor

from zoo.drawing import COLOURS
from zoo.series.drawing import PANELS


@dataclass(frozen=True)
class Piece:
    """The piece of the test period that a fold forecast.

    Attributes:
        points: Its points, in the whole series.
        forecasts: One row a forecast, each beginning one step after the row before, ``(N, H, C)``.
        trained_on: Number of points that the fold trained on.
        epochs: How many epochs it trained.
        best_epoch: After how many of them its checkpoint was written.
        errors: ``mae``, ``mse``, ``rmse`` and ``mase`` of the forecasts, and ``naive_mae`` and ``seasonal_naive_mae``
            of the same points; the last is None without a season.
    """

    points: range
    forecasts: Tensor
    trained_on: int
    epochs: int
    best_epoch: int
    errors: dict[str, float | None]


class KeepForecasts(Callback):
    """Keeps what a forecaster forecasts in a test."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []

    @property
    def forecasts(self) -> Tensor:
        """All of them, ``(N, H, C)``."""
        return torch.cat(self._parts)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps those of a batch."""
        self._parts.append(outputs["forecasts"].detach().cpu())


def over_all_points(pieces: Sequence[Piece]) -> dict[str, float | None]:
    """The errors of all pieces together: means over their values, not over their means."""
    weights = np.array([piece.forecasts.numel() for piece in pieces])
    errors: dict[str, float | None] = {}
    for name in pieces[0].errors:
        found = [piece.errors[name] for piece in pieces]
        known = [value for value in found if value is not None]
        errors[name] = float(np.average(known, weights=weights)) if len(known) == len(pieces) else None
    errors["rmse"] = float(np.sqrt(np.average([piece.errors["mse"] or 0.0 for piece in pieces], weights=weights)))
    return errors


def draw_backtest(values: Tensor, times: np.ndarray, pieces: Sequence[Piece], names: Sequence[str]) -> Figure:
    """Draws the test period as it was and as each fold forecast it, and the errors of the folds beneath.

    Every point is forecast one step ahead, except that the last forecast of a fold goes on to the end of its piece.

    Args:
        values: The whole series, ``(T, C)``.
        times: The time of each point and of the one to come, ``(T + 1,)``.
        pieces: What the folds forecast, in order of time.
        names: Those of the series.
    """
    start, stop = pieces[0].points.start, pieces[-1].points.stop
    shown = slice(max(start - (stop - start) // 2, 0), stop)
    count = min(values.shape[1], PANELS)
    figure = Figure(figsize=(10, 3.2 + 3 * count), layout="constrained", dpi=110)
    *panels, lower = figure.subplots(count + 1, 1, sharex=True, height_ratios=[*[3] * count, 1.6])
    for number, axes in enumerate(panels):
        axes.plot(times[shown], values[shown, number], color="black", linewidth=3, alpha=0.25, label="truth")
        for fold, piece in enumerate(pieces):
            ahead = torch.cat([piece.forecasts[:, 0, number], piece.forecasts[-1, 1:, number]])
            place = times[piece.points.start : piece.points.start + len(ahead)]
            # A piece of a single point is no line.
            marker = "." if len(ahead) < 3 else ""
            label = "forecast, a colour a fold" if fold == 0 else None
            axes.plot(place, ahead, color=COLOURS[fold % 2], linewidth=1, marker=marker, label=label)
        axes.set_title(names[number], parse_math=False)
    panels[0].legend(frameon=False)
    borders = [*(times[piece.points.start] for piece in pieces), times[stop]]
    for axes in (*panels, lower):
        for border in borders[:-1]:
            axes.axvline(border, color="black", linewidth=0.6, linestyle=":")
        axes.grid(alpha=0.25)
    for fold, piece in enumerate(pieces):
        left, right = borders[fold : fold + 2]
        lower.fill_between([left, right], [piece.errors["mae"]] * 2, color=COLOURS[fold % 2], alpha=0.6, linewidth=0)
        for name, style in (("naive_mae", "--"), ("seasonal_naive_mae", ":")):
            if piece.errors[name] is not None:
                label = name.removesuffix("_mae").replace("_", " ") if fold == 0 else None
                lower.plot([left, right], [piece.errors[name]] * 2, color="black", linestyle=style, label=label)
    lower.set_ylim(bottom=0)
    lower.set_ylabel("mean absolute error")
    lower.legend(frameon=False, loc="upper left", ncols=2)
    return figure
