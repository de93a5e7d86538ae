"""Mean errors of forecasts, exact however the evaluation is divided into batches and processes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class Errors(Metric):
    """Sums of errors over all counted values; processes exchange sums and counts once, when they are asked for.

    Args:
        horizon: Steps ahead of each forecast. If there are several, the first and the last are also told alone.
        num_series: Number of series, of which each is also told alone.
    """

    full_state_update = False
    sums: Tensor
    counts: Tensor

    def __init__(self, horizon: int = 1, num_series: int = 1) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(4, horizon, num_series), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(horizon, num_series, dtype=torch.long), dist_reduce_fx="sum")

    def widen(self, num_series: int) -> None:
        """Makes room for as many series, as long as nothing has been added."""
        if self.sums.shape[2] != num_series:
            for name in ("sums", "counts"):
                default = self._defaults[name]
                assert isinstance(default, Tensor)
                self._defaults[name] = default[..., :1].repeat_interleave(num_series, -1)
            self.reset()

    def update(self, errors: Tensor, losses: Tensor, scales: Tensor, counted: Tensor | None = None) -> None:
        """Adds errors ``(N, H, C)``; all of a sequence are one step ahead.

        Args:
            errors: 0 where nothing is to be counted.
            losses: Likewise.
            scales: Of MASE, ``(C,)``.
            counted: What is to be counted; everything if left out.
        """
        columns = torch.stack([losses, errors.abs(), errors.square(), errors.abs() / scales])
        counts = errors.new_ones(errors.shape, dtype=torch.long).sum(0) if counted is None else counted.sum(0)
        is_told_by_step = self.sums.shape[1] > 1
        self.sums += columns.sum(1) if is_told_by_step else columns.sum(1).sum(1, keepdim=True)
        self.counts += counts if is_told_by_step else counts.sum(0, keepdim=True)

    def compute(self) -> tuple[dict[str, Tensor], Tensor]:
        """What all values together say, and each series.

        Returns:
            Loss, MAE, MSE, RMSE, MASE; of several steps ahead also ``mae_1``, ``mase_1``, ``mae_H`` and ``mase_H``. And
            MAE and MASE of each series, ``(2, C)``.
        """
        horizon = self.sums.shape[1]
        by_step, counts = self.sums.sum(2), self.counts.sum(1)
        loss, mae, mse, mase = by_step.sum(1) / counts.sum()
        figures = {"loss": loss, "mae": mae, "mse": mse, "rmse": mse.sqrt(), "mase": mase}
        if horizon > 1:
            means = by_step / counts
            for step in (1, horizon):
                figures |= {f"mae_{step}": means[1, step - 1], f"mase_{step}": means[3, step - 1]}
        return figures, self.sums[[1, 3]].sum(1) / self.counts.sum(0)


def naive_errors(values: Tensor, points: range, shape: Sequence[int], period: int) -> dict[str, float | None]:
    """Mean absolute errors of the forecasts that learn nothing, of the same points as those of a model.

    Args:
        values: The whole series, ``(T, C)``; NaN where one has not begun, or is over.
        points: Those that were forecast.
        shape: That of the model's forecasts, ``(N, H, C)``; row ``n`` begins with point ``n`` of the piece.
        period: Steps of a season; 1 if there is none.

    Returns:
        ``naive_mae`` and ``seasonal_naive_mae``, None where no season is known before the first point.
    """
    rows, horizon, _ = shape
    begins = torch.arange(points.start, points.start + rows)[:, None]
    targets = values[begins + torch.arange(horizon)]
    back = torch.tensor(seasons_back(horizon, period))
    has_season = period > 1 and points.start >= int(back.max())
    return {
        "naive_mae": (values[begins - 1] - targets).abs().nanmean().item(),
        "seasonal_naive_mae": (values[begins - back] - targets).abs().nanmean().item() if has_season else None,
    }


def seasons_back(horizon: int, period: int, beyond: int = 0) -> list[int]:
    """For each step ahead, how far before the window's end lies the latest value of the same phase.

    Args:
        horizon: Steps ahead.
        period: Steps of a season.
        beyond: So many steps after that value must be known, too.

    Returns:
        Numbers of steps; 1 is the last of the window.
    """
    return [period * -(-(step + 1 + beyond) // period) - step for step in range(horizon)]
