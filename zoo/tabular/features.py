"""Rows of numbers out of whatever a data module delivers, for models that know only rows."""

import torch
from torch import Tensor

from zoo.errors import ZooError


def rows(inputs: Tensor, in_features: int, dtype: torch.dtype) -> Tensor:
    """Flattens inputs to rows; uint8 images are scaled to 0..1.

    Args:
        inputs: Features ``(N, F)`` or images ``(N, C, H, W)``.
        in_features: Wanted length of a row.
        dtype: Wanted type.

    Returns:
        ``(N, in_features)``.

    Raises:
        ZooError: A row is of another length, or holds NaN or an infinite value.
    """
    flat = inputs.flatten(1).to(dtype)
    if flat.shape[1] != in_features:
        raise ZooError(f"rows have {flat.shape[1]} features, expected {in_features}")
    if inputs.dtype == torch.uint8:
        return flat / 255
    # A sum tells in one pass that nothing is wrong; where it is not finite, it may also be too large.
    if flat.sum().isfinite():
        return flat
    finite = flat.isfinite()
    if not finite.all():
        row, column = (~finite).nonzero()[0].tolist()
        raise ZooError(
            f"feature {column} of row {row} of a batch is {float(flat[row, column])}, expected finite numbers; "
            "fill in or leave out what is missing"
        )
    return flat
