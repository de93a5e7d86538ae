"""Columns of text out of a file, or out of what Python holds, so that both go the same way from here on."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.cells.numbers import check_signs, missing_words
from datamodules.errors import DataError, listed
from datamodules.table import Coded, no_column, read_table

_COMMAS = "put quotation marks around a cell that holds a comma"


class Sheet(NamedTuple):
    """Some columns of a table, as text, or as numbers where that is known.

    Attributes:
        origin: What messages call it: the file.
        columns: Cells by name of the column, without spaces around them, nothing where there is none; or numbers,
            float64 ``(N,)``, NaN where there is none.
        lines: The line of the file that each row ends on, or the number of the row from 1 on, ``(N,)``.
        delimiter: What stands between cells.
    """

    origin: Path
    columns: dict[str, Coded | np.ndarray]
    lines: np.ndarray
    delimiter: str

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.lines)

    def coded(self, name: str) -> Coded:
        """The cells of a column, equal ones once."""
        column = self.columns[name]
        return column if isinstance(column, Coded) else Coded.of([_of_number(one) for one in column.tolist()])

    def cells(self, name: str) -> list[str]:
        """The cells of a column, row by row."""
        distinct, codes = self.coded(name)
        return [distinct[code] for code in codes]


def read_sheet(
    path: str | Path,
    choose: Callable[[list[str]], list[str]],
    is_numeric: Callable[[str], bool] = no_column,
    decimal: str | None = None,
    thousands: str | None = None,
) -> Sheet:
    """Reads columns of a Parquet file, or of a CSV or TSV file whose first line names them.

    Args:
        path: The file.
        choose: Tells which of all columns to read; may be asked more than once.
        is_numeric: Tells of a column whether it may be given as numbers, if it holds nothing else.
        decimal: The decimal sign, if it is known.
        thousands: The sign between thousands, likewise; where either is said, all cells are texts.

    Raises:
        DataError: The file is missing or malformed, a column is not there, or no number has such a sign.
    """
    check_signs(decimal, thousands)
    path = Path(path)
    # A comma may stand between thousands where a point is known to be the decimal sign, and the other way round.
    numeric = is_numeric if decimal is None and thousands is None else no_column
    columns, lines, delimiter = read_table(path, choose, _COMMAS, numeric, missing_words(), sniff=True)
    return Sheet(path, columns, lines, delimiter)


def sheet_of(table: Any, origin: str = "the table") -> Sheet | None:
    """What Python holds, as a sheet; None of what has no named columns.

    Args:
        table: A ``DataFrame`` of pandas, or a mapping from names to columns of equal length.
        origin: What messages call it.

    Raises:
        DataError: Two columns share a name, differ in length, or hold neither numbers, texts nor times.
    """
    if hasattr(table, "iloc") and hasattr(table, "columns"):
        names = [str(name).strip() for name in table.columns]
        columns: list[Any] = [table.iloc[:, place] for place in range(len(names))]
        columns = [column.astype(object).where(column.notna(), None).tolist() for column in columns]
    elif isinstance(table, Mapping) and table and all(isinstance(name, str) for name in table):
        names = [name.strip() for name in table]
        columns = [column.tolist() if hasattr(column, "tolist") else column for column in table.values()]
    else:
        return None
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        raise DataError(f"{origin} has {names.count(doubled[0])} columns '{doubled[0]}'; expected different names")
    if not all(isinstance(column, Sequence) and not isinstance(column, str) for column in columns):
        raise DataError(f"{origin} has a column that is no list; expected one of equal length for each name")
    if len({len(column) for column in columns}) != 1 or not len(columns[0]):
        raise DataError(
            f"{origin} has columns of {listed([str(len(column)) for column in columns])} rows; expected some"
        )
    cells: dict[str, Coded | np.ndarray] = {
        name: Coded.of([_written(one, name, origin) for one in column])
        for name, column in zip(names, columns, strict=True)
    }
    return Sheet(Path(origin), cells, np.arange(1, len(columns[0]) + 1), ",")


def _of_number(value: float) -> str:
    """A number as a file would have it."""
    return "" if math.isnan(value) else repr(value)


def _written(value: Any, name: str, origin: str) -> str:
    """A value as a file would have it."""
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case bool() | np.bool_():
            return "true" if value else "false"
        case Integral():
            return str(int(value))
        case Real():
            return _of_number(float(value))
        case np.datetime64():
            return "" if np.isnat(value) else str(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise DataError(f"{origin} holds {value!r} in column '{name}'; expected numbers, texts or times")
