"""Rows of numbers out of whatever a data module delivers, for models that know only rows."""

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.base.module import ZooModule
from zoo.errors import ZooError

# Numbers that a processor works on at a time, few enough to stay in its cache.
_CACHED = 2**18


class RowInputs(ZooModule):
    """Base of the models that take rows of features, ``(N, F)``.

    Attributes:
        in_features: Length of a row, ``F``.
    """

    in_features: int

    @property
    def takes(self) -> str:
        """Rows of features."""
        return f"features (N, {self.in_features})"

    def check(self, inputs: Tensor) -> None:
        """Refuses what are no rows of features.

        Raises:
            ZooError: They are not.
        """
        if inputs.ndim != 2 or inputs.shape[1] != self.in_features:
            raise self.refusal(inputs)


class FlatInputs(RowInputs):
    """Base of the models that take rows, or images for rows of pixels."""

    @property
    def takes(self) -> str:
        """Rows, or images."""
        return f"rows (N, {self.in_features}), or images of as many pixels"

    def check(self, inputs: Tensor) -> None:
        """Refuses what are no rows.

        Raises:
            ZooError: They are not.
        """
        if inputs.ndim < 2 or inputs.shape[1:].numel() != self.in_features:
            raise self.refusal(inputs)


def rows(inputs: Tensor, in_features: int, dtype: torch.dtype, check: bool = True) -> Tensor:
    """Flattens inputs to rows; uint8 images are scaled to 0..1.

    Args:
        inputs: Features ``(N, F)`` or images ``(N, C, H, W)``.
        in_features: Wanted length of a row.
        dtype: Wanted type.
        check: Look for NaN and infinite values; one who sees them in the results may call :func:`check_finite` then.

    Returns:
        ``(N, in_features)``.

    Raises:
        ZooError: A row is of another length, or holds NaN or an infinite value.
    """
    flat = _flattened(inputs, in_features)
    if check:
        check_finite(flat)
    return _converted(flat, dtype)


def portions(inputs: Tensor, in_features: int, dtype: torch.dtype) -> Iterator[Tensor]:
    """The same as :func:`rows`, converted a portion at a time; see :func:`portion_size`."""
    flat = _flattened(inputs, in_features)
    check_finite(flat)
    return (_converted(part, dtype) for part in flat.split(portion_size(flat.device, in_features)))


def portion_size(device: torch.device, width: int) -> int:
    """How many rows of ``width`` numbers to work on at a time: all of them where there is no small cache to stay in."""
    return max(_CACHED // width, 1) if device.type == "cpu" else 2**31


def _converted(flat: Tensor, dtype: torch.dtype) -> Tensor:
    return flat.to(dtype) / 255 if flat.dtype == torch.uint8 else flat.to(dtype)


def check_finite(flat: Tensor) -> None:
    """Refuses rows ``(N, F)`` of which a value is NaN or infinite."""
    # A sum tells in one pass that nothing is wrong; where it is not finite, it may also be too large.
    if not flat.is_floating_point() or flat.sum().isfinite():
        return
    finite = flat.isfinite()
    if not finite.all():
        row, column = (~finite).nonzero()[0].tolist()
        raise ZooError(
            f"feature {column} of row {row} of a batch is {float(flat[row, column])}, expected finite numbers; "
            "fill in or leave out what is missing"
        )


def _flattened(inputs: Tensor, in_features: int) -> Tensor:
    flat = inputs.flatten(1)
    if flat.shape[1] != in_features:
        raise ZooError(f"rows have {flat.shape[1]} features, expected {in_features}")
    return flat
