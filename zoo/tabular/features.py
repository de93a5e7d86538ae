"""Rows of numbers out of whatever a data module delivers, for models that know only rows."""

import math
import sys
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from datamodules.tabular.sheet import Sheet, sheet_of
from zoo.base.inputs import told
from zoo.base.module import ZooModule
from zoo.errors import ZooError
from zoo.tabular.scaling import Standardisation
from zoo.tabular.schema import StoredSchema
from zoo.terminal import warn

# Numbers that a processor works on at a time, few enough to stay in its cache.
_CACHED = 2**18


class RowInputs(ZooModule):
    """Base of the models that take rows of features, ``(N, F)``, or tables whose columns they know by name.

    Args:
        schema: What the columns of the table mean that the model learns from, as :attr:`datamodules.Table.schema` says.

    Attributes:
        in_features: Length of a row, ``F``.
        schema: What is known of the columns.
    """

    not_kept = ("schema",)
    in_features: int

    def __init__(self, schema: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.schema = StoredSchema(schema)

    @property
    def takes(self) -> str:
        """Rows of features."""
        named = " or a table with its columns" if self.schema.found is not None else ""
        return f"features (N, {self.in_features}){named}"

    def as_tensor(self, inputs: Any) -> Tensor | None:
        """Rows of a table by the names of its columns; all else as it is.

        Raises:
            DataError: A column is absent, or holds something else than in training.
        """
        sheet = sheet_of(inputs) if self.schema.found is not None and not isinstance(inputs, Tensor) else None
        return super().as_tensor(inputs) if sheet is None else self.read(sheet)

    def read(self, sheet: Sheet, decimal: str | None = None, thousands: str | None = None) -> Tensor:
        """Features of the rows of a table, float64 ``(N, F)``; other columns are left alone.

        Args:
            sheet: The rows.
            decimal: The decimal sign, where the cells do not tell.
            thousands: The sign between thousands, likewise.

        Raises:
            ZooError: The model was not trained on a table.
            DataError: A column is absent, or holds something else than in training.
        """
        schema = self.schema.found
        if schema is None:
            raise ZooError(f"this {type(self).__name__} was not trained on a table and knows no columns")
        values = schema.read(sheet, decimal, thousands)
        for note in schema.unseen(values):
            warn(f"{sheet.origin}: {note}")
        return torch.from_numpy(schema.encode(values))

    def feature_names(self) -> list[str]:
        """What each feature is called."""
        schema = self.schema.found
        return [f"x{number + 1}" for number in range(self.in_features)] if schema is None else schema.features

    def answers(self, inputs: Any, level: int | None = None) -> dict[str, list[Any]]:
        """What is told of each row, by the name of a column, for whoever writes tables.

        Args:
            inputs: Rows, or a table.
            level: Per cent of the truth that intervals shall hold, where a model predicts numbers; none if left out.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what it tells of a row")

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


class ScaledInputs(FlatInputs):
    """Base of the models that look for structure in rows, which may be standardised first.

    Args:
        standardise: Bring every feature to zero mean and unit variance, as columns of different units need.
        mean: Mean of each feature.
        std: Standard deviation of each feature.

    Raises:
        ZooError: There are not as many as features.
    """

    def __init__(
        self,
        standardise: bool = False,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.scaling = Standardisation(mean, std) if standardise else None

    def setup(self, stage: str) -> None:
        """Refuses rows that count more or less than one.

        Raises:
            ZooError: Some do.
        """
        super().setup(stage)
        if getattr(getattr(self.trainer, "datamodule", None), "weights", None) is not None:
            raise ZooError(f"{type(self).__name__} takes every row for one; leave out --data.weights")

    def scaled(self, rows: Tensor) -> Tensor:
        """Float64 rows ``(N, F)`` as the model sees them."""
        return rows if self.scaling is None else self.scaling(rows)

    def unscaled(self, rows: Tensor) -> Tensor:
        """The other way round."""
        return rows if self.scaling is None else self.scaling.inverse(rows)

    def seen(self, inputs: Tensor, dtype: torch.dtype, check: bool = True) -> Tensor:
        """Rows as the model sees them; see :func:`rows`."""
        if self.scaling is None:
            return rows(inputs, self.in_features, dtype, check)
        return self.scaling(rows(inputs, self.in_features, torch.float64, check)).to(dtype)


def rows(inputs: Tensor, in_features: int, dtype: torch.dtype, check: bool = True) -> Tensor:
    """Flattens inputs to rows; uint8 images are scaled to 0..1, a table of such numbers is taken as it is.

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
    return _converted(flat, inputs, dtype)


def portions(inputs: Tensor, in_features: int, dtype: torch.dtype) -> Iterator[Tensor]:
    """The same as :func:`rows`, converted a portion at a time; see :func:`portion_size`."""
    flat = _flattened(inputs, in_features)
    check_finite(flat)
    return (_converted(part, inputs, dtype) for part in flat.split(portion_size(flat.device, in_features)))


def portion_size(device: torch.device, width: int) -> int:
    """How many rows of ``width`` numbers to work on at a time: all of them where there is no small cache to stay in."""
    return max(_CACHED // width, 1) if device.type == "cpu" else 2**31


def check_whole(name: str, value: Any, most: int | None = None) -> None:
    """Refuses what is no whole number from 1 on.

    Raises:
        ZooError: It is none, or larger than ``most``.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or int(value) < 1 or (most is not None and int(value) > most):
        raise ZooError(
            f"{name} is {value!r}, expected a whole number {'from 1 on' if most is None else f'1 to {most:,}'}"
        )


def precision(inputs: Tensor, least: torch.dtype) -> torch.dtype:
    """The type in which distances of rows are computed: their own, if it is finer than ``least``.

    Whole numbers, such as seconds since 1970, have more digits than float32; pixels do not.
    """
    own = inputs.dtype if inputs.is_floating_point() or inputs.dtype in (torch.uint8, torch.bool) else torch.float64
    return torch.promote_types(own, least)


def check_extent(rows: Tensor, dtype: torch.dtype) -> None:
    """Refuses rows ``(N, F)`` whose squared distances would overflow, or vanish, though they differ.

    Raises:
        ZooError: They would, computed in ``dtype``.
    """
    extent = min(float((rows.amax(0).double() - rows.amin(0).double()).max()), sys.float_info.max)
    limits = torch.finfo(dtype)
    smallest, largest = math.sqrt(limits.tiny / limits.eps), math.sqrt(limits.max / rows.numel())
    if extent and not smallest <= extent <= largest:
        raise ZooError(
            f"features differ by up to {extent:.3g}, expected {smallest:.0e} to {largest:.0e}, whose squares "
            f"{str(dtype).removeprefix('torch.')} holds; divide all by {extent:.0e}"
        )


def _converted(flat: Tensor, inputs: Tensor, dtype: torch.dtype) -> Tensor:
    return flat.to(dtype) / 255 if inputs.dtype == torch.uint8 and inputs.ndim > 2 else flat.to(dtype)


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
    if inputs.ndim < 2:
        raise ZooError(f"rows are {told(inputs)}, expected numbers (N, {in_features})")
    flat = inputs.flatten(1)
    if flat.shape[1] != in_features:
        raise ZooError(f"rows have {flat.shape[1]} features, expected {in_features}")
    return flat
