"""Many series through a model of one: each by itself, in the scale of its own window (RevIN; Kim et al., 2022)."""

from collections.abc import Callable

import torch
from torch import Tensor

# A window that hardly moves is scaled by so much of its level, or what follows would look like an explosion.
_LEAST = 0.01


def as_rows(windows: Tensor, features: int = 1) -> Tensor:
    """Series beside each other as rows of their own, ``(N, T, F * C)`` to ``(N * C, T, F)``.

    Args:
        windows: All series, then the next feature of each, and so on.
        features: Numbers that each series has at a step.
    """
    return windows.unflatten(2, (features, -1)).permute(0, 3, 1, 2).flatten(0, 1)


def as_columns(rows: Tensor, columns: int) -> Tensor:
    """The inverse of :func:`as_rows`: ``(N * C, H, 1)`` to ``(N, H, C)``."""
    return rows.squeeze(-1).unflatten(0, (-1, columns)).transpose(1, 2)


def moments(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each series of each window, ``(N, 1, C)``.

    Args:
        windows: ``(N, T, C)``.
    """
    mean = windows.mean(-2, keepdim=True)
    std = windows.std(-2, correction=0, keepdim=True).clamp_min(_LEAST * mean.abs())
    # Of a series that has been nothing but zero, nobody knows the scale.
    return mean, torch.where(std > 0, std, 1.0)


def of_what_is_known(
    extend: Callable[[Tensor], Tensor], rows: Tensor, shortest: int, horizon: int, ahead: int = 0
) -> Tensor:
    """Continues series that begin at different times, those of equal length together.

    Args:
        extend: Continues series of equal length, ``(N, T, 1)`` to ``(N, horizon, 1)``.
        rows: ``(N, T, 1)``; NaN before a series begins. With covariates behind it ``(N, T + ahead, F)``.
        shortest: Steps without which none can be continued.
        horizon: Steps to forecast.
        ahead: Steps of covariates ahead.

    Returns:
        ``(N, horizon, 1)``; NaN of series that have ended, or are shorter.
    """
    steps = rows.shape[1] - ahead
    lacking = rows[:, :steps, 0].isnan()
    begins = torch.where(lacking[:, -1], steps, lacking.sum(1))
    following = rows.new_full((len(rows), horizon, 1), torch.nan)
    for begin in begins.unique().tolist():
        if steps - begin >= shortest:
            alike = begins == begin
            following[alike] = extend(rows[alike, begin:]).to(following.dtype)
    return following
