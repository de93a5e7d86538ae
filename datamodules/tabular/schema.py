"""What the columns of a table mean, learnt from its training rows: how cells become the numbers that models take.

A model keeps its schema, so that a row in its own units is all that a prediction needs.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from datamodules.cells.moments import read_moments
from datamodules.cells.numbers import is_missing, name_lines, read_numbers
from datamodules.errors import DataError, listed, shortened
from datamodules.table import Coded
from datamodules.tabular.sheet import Sheet

Kind = Literal["number", "boolean", "category", "date"]

# What columns of two values say, no first.
BOOLEANS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"), ("off", "on"), ("nein", "ja"), ("non", "oui"))
# Rows that become features at a time.
_PART = 1 << 14
_DAY, _YEAR = np.timedelta64(86_400_000_000, "us"), 365.2425


class Unseen(NamedTuple):
    """Values of a category that the training rows did not have.

    Attributes:
        column: Its name.
        values: They, each once.
        rows: How many rows have one.
    """

    column: str
    values: list[str]
    rows: int

    def __str__(self) -> str:
        """One line."""
        named = listed([shortened(value, 40) for value in self.values], 4)
        rows = f"{self.rows:,} row{' has' if self.rows == 1 else 's have'}"
        return f"{rows} in column '{self.column}' what no training row had, and count as none of its values: {named}"


@dataclass(frozen=True)
class Column:
    """What a column means.

    Attributes:
        name: Its name.
        kind: ``number``, ``boolean``, ``category`` (a feature for each value) or ``date`` (the day, and where in the
            year it lies).
        values: Those of a category, or of a boolean the two, no first.
        fill: What stands for a missing cell: the median of numbers and days, the commonest value of others; None if
            nothing may be missing.
        indicated: Whether a feature of its own says that a cell is missing.
        time_format: How dates are written, as for ``strptime``, if not by ISO 8601.
    """

    name: str
    kind: Kind
    values: tuple[str, ...] = ()
    fill: float | str | None = None
    indicated: bool = False
    time_format: str | None = None

    @property
    def features(self) -> list[str]:
        """The names of the features that it becomes."""
        match self.kind:
            case "boolean":
                named = [f"{self.name}={self.values[1]}"]
            case "category":
                named = [f"{self.name}={value}" for value in self.values]
            case "date":
                named = [f"{self.name} ({part})" for part in ("day", "sine of the year", "cosine of the year")]
            case _:
                named = [self.name]
        return [*named, *([f"{self.name} is missing"] if self.indicated else [])]

    def encoded(self, values: np.ndarray) -> np.ndarray:
        """Its features, float64 ``(N, F)``.

        Args:
            values: As :func:`read_values` gives them, ``(N,)``.
        """
        missing = missing_in(values)
        filled = values
        if self.fill is not None and missing.any():
            filled = values.copy()
            filled[missing] = self.fill
        match self.kind:
            case "boolean":
                features = [filled == self.values[1]]
            case "category":
                features = [filled == value for value in self.values]
            case "date":
                turn = 2 * np.pi * filled / _YEAR
                features = [filled, np.sin(turn), np.cos(turn)]
            case _:
                features = [filled]
        if self.indicated:
            features.append(missing)
        return np.stack(features, axis=1).astype(np.float64) if features else np.zeros((len(values), 0))


def missing_in(values: np.ndarray) -> np.ndarray:
    """Which values are missing, ``(N,)``."""
    return np.isnan(values) if values.dtype.kind == "f" else values == ""


def read_values(
    sheet: Sheet, columns: Sequence[Column], decimal: str | None = None, thousands: str | None = None
) -> dict[str, np.ndarray]:
    """What cells say: numbers, and dates as days since 1970, float64 with NaN; the others as texts, some empty.

    Args:
        sheet: The cells.
        columns: What they mean.
        decimal: The decimal sign, where the cells do not tell.
        thousands: The sign between thousands, likewise.

    Raises:
        DataError: A cell says something else.
    """
    found: dict[str, np.ndarray] = {}
    numeric = {one.name: sheet.columns[one.name] for one in columns if one.kind == "number"}
    if numeric:
        found |= read_numbers(sheet.origin, numeric, sheet.lines, sheet.delimiter, decimal, thousands)
    for column in columns:
        if column.kind == "date":
            found[column.name] = _days(sheet, column)
        elif column.kind == "boolean":
            found[column.name] = _booleans(sheet, column)
        elif column.kind == "category":
            found[column.name] = _texts(sheet.coded(column.name), category)
    return found


def category(cell: str) -> str:
    """A cell as the name of a category; nothing if it is missing. Whole numbers are written without a fraction."""
    if is_missing(cell):
        return ""
    whole, point, fraction = cell.partition(".")
    return whole if point and fraction.strip("0") == "" and whole.lstrip("-").isdigit() else cell


def _texts(column: Coded, read: Callable[[str], str]) -> np.ndarray:
    """What cells say as texts, ``(N,)``."""
    return np.array([read(cell) for cell in column.distinct], dtype=object)[column.codes]


def there(sheet: Sheet, name: str) -> tuple[Coded, np.ndarray]:
    """A column without its missing cells, and which rows, ``(N,)``, are left."""
    column = sheet.coded(name)
    filled = np.array([not is_missing(cell) for cell in column.distinct])
    known = filled[column.codes]
    places = np.cumsum(filled, dtype=np.int32) - 1
    return Coded(list(compress(column.distinct, filled)), places[column.codes[known]]), known


def _days(sheet: Sheet, column: Column) -> np.ndarray:
    cells, known = there(sheet, column.name)
    days = np.full(sheet.num_rows, np.nan)
    if known.any():
        walls, offsets, _ = read_moments(sheet.origin, column.name, cells, sheet.lines[known], column.time_format)
        if walls.dtype.kind != "M":
            raise DataError(
                f"{sheet.origin} line {sheet.lines[known][0]}: '{cells.distinct[0]}' in column '{column.name}' is a "
                "number; expected a date such as 2024-01-31"
            )
        days[known] = (((walls if offsets is None else walls - offsets) - np.datetime64(0, "us")) / _DAY)[cells.codes]
    return days


def _booleans(sheet: Sheet, column: Column) -> np.ndarray:
    found = _texts(sheet.coded(column.name), lambda cell: "" if is_missing(cell) else cell.lower())
    odd = ~np.isin(found, ["", *column.values])
    if odd.any():
        raise DataError(
            f"{sheet.origin} {name_lines(sheet.lines[odd])}: '{found[odd][0]}' in column '{column.name}', expected "
            f"{' or '.join(column.values)}"
        )
    return found


class Schema:
    """The columns of a table, in order, and what is predicted of it.

    Args:
        columns: The columns that are features.
        target: Name of the column that is predicted, if one is.
    """

    def __init__(self, columns: Sequence[Column], target: str | None = None) -> None:
        self.columns, self.target = list(columns), target

    @property
    def features(self) -> list[str]:
        """The names of all features, in the order in which models take them."""
        return [name for column in self.columns for name in column.features]

    @property
    def references(self) -> list[int]:
        """Places of features that others add up to: of each category its first value."""
        places, start = [], 0
        for column in self.columns:
            if column.kind == "category" and column.values:
                places.append(start)
            start += len(column.features)
        return places

    def encode(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Features of rows, float64 ``(N, F)``; values as from :func:`read_values`."""
        found = np.empty((len(next(iter(values.values()))), len(self.features)))
        # What a part of the rows takes stays in the processor's cache.
        for start in range(0, len(found), _PART):
            part = slice(start, start + _PART)
            found[part] = np.concatenate([one.encoded(values[one.name][part]) for one in self.columns], axis=1)
        return found

    def read(self, sheet: Sheet, decimal: str | None = None, thousands: str | None = None) -> Mapping[str, np.ndarray]:
        """The values of a sheet, as :func:`read_values`, if nothing is missing that may not be.

        Raises:
            DataError: A column is absent, or a cell is missing or says something else than its column's do.
        """
        absent = [column.name for column in self.columns if column.name not in sheet.columns]
        if absent:
            others = f"; there are {listed(list(sheet.columns))}" if sheet.columns else ""
            raise DataError(f"{sheet.origin} has no column {listed([repr(name) for name in absent])}{others}")
        return self.checked(sheet, read_values(sheet, self.columns, decimal, thousands))

    def checked(self, sheet: Sheet, values: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """The values of a sheet, if nothing is missing that may not be.

        Raises:
            DataError: Something is.
        """
        for column in self.columns:
            missing = missing_in(values[column.name])
            if column.fill is None and missing.any():
                raise DataError(
                    f"{sheet.origin} {name_lines(sheet.lines[missing])}: nothing in column '{column.name}'; fill it "
                    "in, or train with --data.missing fill, which takes the median or the commonest value"
                )
        return values

    def unseen(self, values: Mapping[str, np.ndarray]) -> Iterator[Unseen]:
        """What categories have that they did not have in training."""
        for column in self.columns:
            if column.kind == "category":
                found = values[column.name]
                new = ~np.isin(found, ["", *column.values])
                if new.any():
                    yield Unseen(column.name, list(dict.fromkeys(found[new].tolist())), int(new.sum()))

    @property
    def json(self) -> str:
        """All of it, for :meth:`from_json`."""
        return json.dumps({"columns": [asdict(column) for column in self.columns], "target": self.target})

    @classmethod
    def from_json(cls, text: str) -> "Schema":
        """Reads what :attr:`json` gave, from wherever it comes.

        Raises:
            DataError: It is something else.
        """
        try:
            content = json.loads(text)
            target = content["target"]
            columns = [_column(one) for one in content["columns"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"the columns of a table are told by damaged JSON ({error})") from error
        if not isinstance(target, str | None):
            raise DataError(f"the target of a table is {target!r}, expected a name")
        return cls(columns, target)


def _column(told: Any) -> Column:
    """A column as JSON has it.

    Raises:
        ValueError: It is none.
        TypeError: Likewise.
    """
    column = Column(**{**told, "values": tuple(told["values"])})
    is_text = column.kind in ("boolean", "category")
    kinds: tuple[type, ...] = (str,) if is_text else (int, float)
    fits = (
        isinstance(column.name, str)
        and column.kind in get_args(Kind)
        and all(isinstance(value, str) for value in column.values)
        and (column.kind != "boolean" or len(column.values) == 2)
        and (column.fill is None or (isinstance(column.fill, kinds) and not isinstance(column.fill, bool)))
        and isinstance(column.indicated, bool)
        and isinstance(column.time_format, str | None)
    )
    if not fits:
        raise ValueError(f"column {shortened(told)}")
    return column
