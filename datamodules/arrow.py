"""Large tables, CSV or Parquet, read piece by piece through pyarrow, so that no text of a number ever is in Python."""

import importlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import DataError
from datamodules.plain import NoNumberError, PlainText, UnclearError
from datamodules.table import Coded, Table, check_columns, no_column, usual_decimal

# Bytes of CSV, and rows of Parquet, that are read at a time.
_BLOCK, _ROWS = 1 << 22, 1 << 18
# How pyarrow says in which column, counted from 0, something is wrong.
_COLUMN = re.compile(r"In CSV column #(\d+)")


def is_installed() -> bool:
    """Whether pyarrow is there."""
    return find_spec("pyarrow") is not None


def csv_pieces(
    path: Path,
    choose: Callable[[list[str]], list[str]],
    is_numeric: Callable[[str], bool] = no_column,
    missing: Sequence[str] = (),
    decimal: str | None = None,
) -> Iterator[Table]:
    """Reads columns of a CSV file whose first line names them, piece by piece.

    The line of each row is known after the last piece only: a file whose cells hold line breaks is refused there.

    Args:
        path: The file, in UTF-8.
        choose: Tells which of all columns to read.
        is_numeric: Tells of a column whether its cells are numbers.
        missing: Cells that say that there is no number.
        decimal: The decimal sign; if left out a comma where semicolons stand between cells, otherwise a point.

    Raises:
        UnclearError: Something is not as plain as pyarrow takes it: a :class:`NoNumberError` if that is a cell.
        DataError: The file cannot be read, or a column is not there.
    """
    _import_frugally()
    import pyarrow
    from pyarrow import csv as reader

    with _frugal(), PlainText(path) as text:
        wanted = choose(text.header)
        check_columns(path, text.header, wanted)
        wished = set(wanted)
        places = {name: str(place) for place, name in enumerate(text.header) if name in wished}
        coded = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        kinds = {
            place: pyarrow.float64() if is_numeric(name) else coded for name, place in places.items()
        }  # fmt: skip
        count = 0
        try:
            stream = reader.open_csv(
                pyarrow.PythonFile(text, mode="r"),
                *_options(text),
                reader.ConvertOptions(
                    include_columns=list(kinds) or ["0"], column_types=kinds, null_values=list(missing),
                    decimal_point=decimal or usual_decimal(text.delimiter),
                ),
            )  # fmt: skip
            for batch in stream:
                columns = {name: _of_csv(batch.column(places[name])) for name in wanted}
                lines = np.arange(batch.num_rows, dtype=np.int32) + text.skipped + count + 2
                count += batch.num_rows
                yield Table(columns, lines, text.delimiter)
        except pyarrow.ArrowInvalid as error:
            if "conversion error to double" not in str(error):
                raise UnclearError(str(error)) from error
            told = _COLUMN.match(str(error))
            raise NoNumberError(str(error), text.header[int(told[1])] if told else None) from error
        if not count or count != text.lines:
            raise UnclearError(f"{count} rows in {text.lines} lines")
        if all(map(_ends_empty, columns.values())):
            raise UnclearError("the last row may be empty, and then is none")


def parquet_pieces(
    path: Path, choose: Callable[[list[str]], list[str]], is_numeric: Callable[[str], bool] = no_column
) -> Iterator[Table]:
    """Reads columns of a Parquet file, piece by piece; times are written as those of ISO 8601.

    Args:
        path: The file.
        choose: Tells which of all columns to read.
        is_numeric: Tells of a column whether its cells are numbers; texts are never taken for any.

    Raises:
        DataError: The file cannot be read, or a column is not there, or holds something else.
    """
    if not is_installed():
        raise DataError(f"reading {path} needs pyarrow; install it with: pip install 'lightning-zoo[arrow]'")
    _import_frugally()
    import pyarrow
    from pyarrow import parquet

    count = 0
    try:
        with _frugal(), parquet.ParquetFile(path) as file:
            header = file.schema_arrow.names
            wanted = choose(header)
            check_columns(path, header, wanted)
            for batch in file.iter_batches(_ROWS, columns=wanted):
                columns = {name: _of_parquet(path, name, batch.column(name), is_numeric(name)) for name in wanted}
                yield Table(columns, np.arange(batch.num_rows, dtype=np.int32) + count + 1, ",")
                count += batch.num_rows
    except pyarrow.ArrowException as error:
        raise DataError(f"pyarrow cannot read {path}: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; expected a Parquet file") from error
    if not count:
        raise DataError(f"{path} has no rows; expected some")


def numeric_at_first(path: Path, missing: Sequence[str] = (), decimal: str | None = None) -> set[str]:
    """Names of the columns of a CSV file that hold numbers, or nothing, in the first piece; see :func:`csv_pieces`.

    Raises:
        UnclearError: Something is not as plain as pyarrow takes it.
    """
    _import_frugally()
    import pyarrow
    from pyarrow import csv as reader
    from pyarrow.types import is_floating, is_integer, is_null

    with _frugal(), PlainText(path) as text:
        convert = reader.ConvertOptions(
            null_values=list(missing), decimal_point=decimal or usual_decimal(text.delimiter)
        )
        try:
            schema = reader.open_csv(pyarrow.PythonFile(text, mode="r"), *_options(text), convert).schema
        except pyarrow.ArrowInvalid as error:
            raise UnclearError(str(error)) from error
        kinds = zip(text.header, schema.types, strict=True)
        return {name for name, kind in kinds if is_integer(kind) or is_floating(kind) or is_null(kind)}


def _options(text: PlainText) -> tuple[Any, Any]:
    """How pyarrow reads and parses a text; columns are named by their places, since titles may be equal."""
    from pyarrow import csv as reader

    named = [str(place) for place in range(len(text.header))]
    return (
        reader.ReadOptions(column_names=named, block_size=_BLOCK),
        reader.ParseOptions(delimiter=text.delimiter, ignore_empty_lines=False),
    )


def joined(pieces: Iterable[Table]) -> Table:
    """Pieces as one table, of which there is at least one."""
    columns: dict[str, _Growing] = {}
    lines, delimiter = _Growing(), ""
    for piece in pieces:
        for name, column in piece.columns.items():
            columns.setdefault(name, _Growing()).add(column)
        lines.add(piece.lines)
        delimiter = piece.delimiter
    whole = lines.column()
    assert isinstance(whole, np.ndarray)
    return Table({name: growing.column() for name, growing in columns.items()}, whole, delimiter)


class _Growing:
    """A column that grows in place: of pieces that are joined at the end there would be two copies."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._places: dict[str, int] | None = None
        self._type = np.dtype(np.int32)

    def add(self, part: Coded | np.ndarray) -> None:
        """Adds what a piece has of the column."""
        numbers = self._recoded(part) if isinstance(part, Coded) else part
        self._type = numbers.dtype
        self._content += np.ascontiguousarray(numbers).view(np.uint8).data

    def _recoded(self, part: Coded) -> np.ndarray:
        """The codes of a piece among the different cells of all."""
        if self._places is None:
            self._places = {}
        places = self._places
        return np.array([places.setdefault(cell, len(places)) for cell in part.distinct], np.int32)[part.codes]

    def column(self) -> Coded | np.ndarray:
        """The whole column."""
        whole = np.frombuffer(self._content, self._type)
        return whole if self._places is None else Coded(list(self._places), whole)


# Pyarrow's own pool reserves a gigabyte of addresses, which counts where memory is limited.
_POOL = "ARROW_DEFAULT_MEMORY_POOL"


def _import_frugally() -> None:
    """Imports pyarrow so that all of it takes memory from the system, unless somebody has imported it before."""
    if _POOL in os.environ:
        return
    os.environ[_POOL] = "system"
    try:
        importlib.import_module("pyarrow").default_memory_pool()
    finally:
        del os.environ[_POOL]


@contextmanager
def _frugal() -> Iterator[None]:
    """Has pyarrow, whoever imported it, take memory from the system as far as it can be told."""
    import pyarrow

    usual = pyarrow.default_memory_pool()
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    try:
        yield
    finally:
        pyarrow.set_memory_pool(usual)


def _ends_empty(column: Coded | np.ndarray) -> bool:
    """Whether the last cell says nothing."""
    return column.distinct[column.codes[-1]] == "" if isinstance(column, Coded) else bool(np.isnan(column[-1]))


def _of_csv(column: Any) -> Coded | np.ndarray:
    """A column of a piece in NumPy's types; NaN where there is no number."""
    if not hasattr(column, "dictionary"):
        return column.to_numpy(zero_copy_only=False)
    # They are in the order in which they come first; without spaces around them some may be equal.
    cells = Coded.of([cell.strip() for cell in column.dictionary.to_pylist()])
    return Coded(cells.distinct, cells.codes[column.indices.to_numpy()])


def _of_parquet(path: Path, name: str, column: Any, is_number: bool) -> Coded | np.ndarray:
    """A column of a piece in NumPy's types."""
    from pyarrow import compute, float64, timestamp, types

    kind = column.type
    if is_number and (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
        return compute.cast(column, float64(), safe=False).to_numpy(zero_copy_only=False)
    if types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        raise DataError(f"{path} holds {kind} in column '{name}'; expected numbers, texts or times")
    if types.is_timestamp(kind):
        column = column.cast(timestamp("us", kind.tz))
    if not types.is_dictionary(kind):
        column = column.dictionary_encode()
    cells = [_written(cell) for cell in column.dictionary.to_pylist()]
    codes = column.indices.to_numpy(zero_copy_only=False)
    if column.null_count:
        codes = np.where(np.isnan(codes), len(cells), codes).astype(np.int32)
    return _first_come([*cells, ""], codes)


def _written(cell: object) -> str:
    """A cell as a file of text would have it."""
    if cell is None:
        return ""
    return cell.isoformat(" ") if isinstance(cell, datetime) else str(cell).strip()


def _first_come(cells: list[str], codes: np.ndarray) -> Coded:
    """A column of cells, of which some may be equal or come nowhere."""
    used, firsts = np.unique(codes, return_index=True)
    used = used[firsts.argsort()]
    shared = Coded.of([cells[code] for code in used])
    places = np.zeros(len(cells), np.int32)
    places[used] = shared.codes
    return Coded(shared.distinct, places[codes])
