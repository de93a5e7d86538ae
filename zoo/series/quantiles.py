"""Quantile regression (Koenker and Bassett, 1978): ends of intervals that a network forecasts beside the median."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError


def check_quantiles(quantiles: Sequence[float]) -> None:
    """Refuses what no forecaster can be asked for.

    Raises:
        ZooError: They do not ascend between 0 and 1, or lack the median.
    """
    ascend = all(low < high for low, high in zip([0.0, *quantiles], [*quantiles, 1.0], strict=True))
    if not ascend or 0.5 not in quantiles:
        raise ZooError(f"quantiles are {list(quantiles)}, expected them to ascend between 0 and 1 and to hold 0.5")


def ascending_from(raw: Tensor, median: int) -> Tensor:
    """Quantiles that cannot cross: the median, and distances to either side of it that add up.

    Args:
        raw: What a network puts out, ``(..., C, Q)``; any numbers.
        median: Which of the last axis is the median.

    Returns:
        ``(Q, ..., C)``, ascending.
    """
    middle, gaps = raw[..., median : median + 1], F.softplus(raw)
    below = gaps[..., :median].flip(-1).cumsum(-1).flip(-1)
    above = gaps[..., median + 1 :].cumsum(-1)
    return torch.cat([middle - below, middle, middle + above], -1).movedim(-1, 0)


def pinball(forecasts: Tensor, targets: Tensor, quantiles: Sequence[float]) -> Tensor:
    """The loss that quantiles make least, a mean over all of them.

    Args:
        forecasts: ``(Q, N, H, C)``.
        targets: ``(N, H, C)``.
        quantiles: Which ones they are.

    Returns:
        ``(N, H, C)``.
    """
    shares = forecasts.new_tensor(quantiles).view(-1, *[1] * targets.ndim)
    errors = targets - forecasts
    return torch.maximum(shares * errors, (shares - 1) * errors).mean(0)
