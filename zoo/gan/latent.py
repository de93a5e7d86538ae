"""Noise that generators make images of: drawn, truncated, and walked through."""

import torch
from torch import Tensor, nn

from zoo.errors import ZooError

# Seeds of the noise that is always the same: of evaluations, of settling, of pictures.
EVALUATION, SETTLED, PICTURES = 0, 1, 2


def draw_latent(count: int, size: int, generator: torch.Generator, truncation: float | None = None) -> Tensor:
    """Draws standard normal noise on the CPU, ``(count, size)``, so that a seed means the same on every device.

    Args:
        count: Number of vectors.
        size: Length of each.
        generator: Where the random numbers come from.
        truncation: Draw no value farther than this from zero (Brock et al., 2019, arXiv:1809.11096): images become
            more typical and less various.

    Raises:
        ZooError: The truncation is hardly positive, or infinite.
    """
    if truncation is None:
        return torch.randn(count, size, generator=generator)
    if not 0.01 <= truncation < float("inf"):
        raise ZooError(f"truncation is {truncation}, expected a number from 0.01 on, such as 0.7")
    return nn.init.trunc_normal_(torch.empty(count, size), a=-truncation, b=truncation, generator=generator)


def walk(points: Tensor, frames: int) -> Tensor:
    """Walks from point to point and back to the first, along great circles (White, 2016, arXiv:1609.04468).

    Normal noise of many dimensions lies close to a sphere; a straight line would cut through its empty inside.

    Args:
        points: ``(P, Z)``.
        frames: Steps from one point to the next.

    Returns:
        ``(P * frames, Z)``.
    """
    shares = torch.arange(frames, dtype=points.dtype, device=points.device)[:, None] / frames
    return torch.cat([spherical(start, end, shares) for start, end in zip(points, points.roll(-1, 0), strict=True)])


def spherical(start: Tensor, end: Tensor, shares: Tensor) -> Tensor:
    """Points between two, on the great circle through both directions (Shoemake, 1985).

    Args:
        start: ``(Z,)``.
        end: ``(Z,)``.
        shares: Share of the way of each, 0 to 1, ``(T, 1)``.

    Returns:
        ``(T, Z)``.
    """
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=0).clamp(-1, 1)
    angle = cosine.acos()
    if float(angle.sin().abs()) < 1e-6:
        return start + shares * (end - start)
    return (((1 - shares) * angle).sin() * start + (shares * angle).sin() * end) / angle.sin()
