"""Mean errors of forecasts, exact however the evaluation is divided into batches and processes."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Errors(Metric):
    """Sums of errors over all counted values; processes exchange sums and counts once, when they are asked for."""

    full_state_update = False
    sums: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(4), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, errors: Tensor, losses: Tensor, scales: Tensor) -> None:
        """Adds errors ``(..., C)``, their losses and the scales of MASE, ``(C,)``."""
        columns = torch.stack([losses, errors.abs(), errors.square(), errors.abs() / scales])
        self.sums += columns.flatten(1).sum(1)
        self.count += errors.numel()

    def compute(self) -> dict[str, Tensor]:
        """Loss, MAE, MSE, RMSE and MASE."""
        loss, mae, mse, mase = self.sums / self.count
        return {"loss": loss, "mae": mae, "mse": mse, "rmse": mse.sqrt(), "mase": mase}
