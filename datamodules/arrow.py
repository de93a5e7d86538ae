"""Large tables, CSV or Parquet, read piece by piece through pyarrow, so that no text of a number ever is in Python."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import DataError
from datamodules.plain import NoNumberError, PlainText, UnclearError
from datamodules.table import Coded, Table, check_columns

# Bytes of CSV, and rows of Parquet, that are read at a time.
_BLOCK, _ROWS = 1 << 24, 1 << 18


def is_installed() -> bool:
    """Whether pyarrow is there."""
    return find_spec("pyarrow") is not None


def csv_pieces(
    path: Path,
    choose: Callable[[list[str]], list[str]],
    labels: Collection[str] | None = None,
    missing: Sequence[str] = (),
    decimal: str | None = None,
) -> Iterator[Table]:
    """Reads columns of a CSV file whose first line names them, piece by piece.

    The line of each row is known after the last piece only: a file whose cells hold line breaks is refused there.

    Args:
        path: The file, in UTF-8.
        choose: Tells which of all columns to read.
        labels: Those of them that are no numbers; all if left out.
        missing: Cells that say that there is no number.
        decimal: The decimal sign; if left out a comma where semicolons stand between cells, otherwise a point.

    Raises:
        UnclearError: Something is not as plain as pyarrow takes it: a :class:`NoNumberError` if that is a cell.
        DataError: The file cannot be read, or a column is not there.
    """
    import pyarrow
    from pyarrow import csv as reader

    with PlainText(path) as text:
        wanted = choose(text.header)
        check_columns(path, text.header, wanted)
        wished = set(wanted)
        places = {name: str(place) for place, name in enumerate(text.header) if name in wished}
        coded = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        kinds = {
            place: coded if labels is None or name in labels else pyarrow.float64() for name, place in places.items()
        }  # fmt: skip
        count = 0
        try:
            stream = reader.open_csv(
                pyarrow.PythonFile(text, mode="r"),
                reader.ReadOptions(column_names=[str(place) for place in range(len(text.header))], block_size=_BLOCK),
                reader.ParseOptions(delimiter=text.delimiter, ignore_empty_lines=False),
                reader.ConvertOptions(
                    include_columns=list(kinds) or ["0"], column_types=kinds, null_values=list(missing),
                    decimal_point=decimal or ("," if text.delimiter == ";" else "."),
                ),
            )  # fmt: skip
            for batch in stream:
                columns = {name: _of_csv(batch.column(places[name])) for name in wanted}
                lines = np.arange(batch.num_rows, dtype=np.int32) + text.skipped + count + 2
                count += batch.num_rows
                yield Table(columns, lines, text.delimiter)
        except pyarrow.ArrowInvalid as error:
            raise (NoNumberError if "conversion error to double" in str(error) else UnclearError)(str(error)) from error
        if not count or count != text.lines:
            raise UnclearError(f"{count} rows in {text.lines} lines")
        if all(map(_ends_empty, columns.values())):
            raise UnclearError("the last row may be empty, and then is none")


def parquet_pieces(
    path: Path, choose: Callable[[list[str]], list[str]], labels: Collection[str] | None = None
) -> Iterator[Table]:
    """Reads columns of a Parquet file, piece by piece; times are written as those of ISO 8601.

    Args:
        path: The file.
        choose: Tells which of all columns to read.
        labels: Those of them that are no numbers; all if left out. Texts are never taken for numbers.

    Raises:
        DataError: The file cannot be read, or a column is not there, or holds something else.
    """
    if not is_installed():
        raise DataError(f"reading {path} needs pyarrow; install it with: pip install 'lightning-zoo[arrow]'")
    import pyarrow
    from pyarrow import parquet

    count = 0
    try:
        with parquet.ParquetFile(path) as file:
            header = file.schema_arrow.names
            wanted = choose(header)
            check_columns(path, header, wanted)
            for batch in file.iter_batches(_ROWS, columns=wanted):
                columns = {
                    name: _of_parquet(path, name, batch.column(name), labels is not None and name not in labels)
                    for name in wanted
                }
                yield Table(columns, np.arange(batch.num_rows, dtype=np.int32) + count + 1, ",")
                count += batch.num_rows
    except pyarrow.ArrowException as error:
        raise DataError(f"pyarrow cannot read {path}: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; expected a Parquet file") from error
    if not count:
        raise DataError(f"{path} has no rows; expected some")


def joined(pieces: Iterator[Table]) -> Table:
    """Pieces as one table."""
    first, *others = pieces
    tables = [first, *others]
    columns: dict[str, Coded | np.ndarray] = {}
    for name in list(first.columns):
        parts = [table.columns.pop(name) for table in tables]
        columns[name] = _joined(parts)
    return Table(columns, np.concatenate([table.lines for table in tables]), first.delimiter)


def _joined(parts: list[Any]) -> Coded | np.ndarray:
    if not isinstance(parts[0], Coded):
        return np.concatenate(parts)
    places: dict[str, int] = {}
    for place, part in enumerate(parts):
        own = np.array([places.setdefault(cell, len(places)) for cell in part.distinct], np.int32)
        parts[place] = own[part.codes]
    return Coded(list(places), np.concatenate(parts))


def _ends_empty(column: Coded | np.ndarray) -> bool:
    """Whether the last cell says nothing."""
    return column.distinct[column.codes[-1]] == "" if isinstance(column, Coded) else bool(np.isnan(column[-1]))


def _of_csv(column: Any) -> Coded | np.ndarray:
    """A column of a piece in NumPy's types; NaN where there is no number."""
    if not hasattr(column, "dictionary"):
        return column.to_numpy(zero_copy_only=False)
    return _first_come([cell.strip() for cell in column.dictionary.to_pylist()], column.indices.to_numpy())


def _of_parquet(path: Path, name: str, column: Any, is_number: bool) -> Coded | np.ndarray:
    """A column of a piece in NumPy's types."""
    from pyarrow import compute, float64, int32, timestamp, types

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
    codes = compute.fill_null(column.indices.cast(int32()), len(cells)).to_numpy(zero_copy_only=False)
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
