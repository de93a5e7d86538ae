"""Features of zero mean and unit variance, in float64, so that no digits of large and alike values are lost."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.errors import ZooError


class Standardisation(nn.Module):
    """Takes the mean off each feature and divides it by its standard deviation.

    Args:
        mean: Of each feature, or one for all.
        std: Standard deviation, likewise; zero, that of a constant, divides nothing.

    Shape:
        - Input: ``(N, F)``.
        - Output: float64 ``(N, F)``.

    Raises:
        ZooError: They differ in number.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        if len(mean) != len(std):
            raise ZooError(f"there are {len(mean)} means and {len(std)} standard deviations; expected as many")
        spread = torch.tensor(list(std), dtype=torch.float64)
        self.register_buffer("mean", torch.tensor(list(mean), dtype=torch.float64))
        self.register_buffer("std", torch.where(spread > 0, spread, 1.0))

    def forward(self, rows: Tensor) -> Tensor:
        """Standardised rows."""
        return (rows.to(self.mean.dtype) - self.mean) / self.std

    def inverse(self, rows: Tensor) -> Tensor:
        """The rows that standardised ones stand for."""
        return rows * self.std + self.mean
