"""Tables of text in CSV and TSV files, whose faults are named by line."""

import codecs
import csv
import difflib
import gzip
import io
import re
import shlex
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from datamodules.errors import DataError, listed

# Bytes from which a file is worth the time that it takes to import pyarrow.
LARGE = 1 << 22
# What a file packed by gzip begins with, and how many bytes it may unpack to: a few may stand for any number.
_PACKED, _MOST_UNPACKED = b"\x1f\x8b", 1 << 28


class Coded(NamedTuple):
    """A column that tells equal cells once, so that each is understood once.

    Attributes:
        distinct: Its different cells, in the order in which they come first.
        codes: Which of them each row holds, ``(N,)``.
    """

    distinct: list[str]
    codes: np.ndarray

    @classmethod
    def of(cls, cells: Sequence[str]) -> "Coded":
        """A column of cells."""
        places: dict[str, int] = {}
        codes = np.fromiter((places.setdefault(cell, len(places)) for cell in cells), np.int32, len(cells))
        return cls(list(places), codes)

    def rows(self, places: Sequence[int] | np.ndarray) -> np.ndarray:
        """The rows that hold some of the different cells, given by their places."""
        return np.flatnonzero(np.isin(self.codes, places))


class Table(NamedTuple):
    """Some columns of a table, or of a piece of it.

    Attributes:
        columns: Cells by name of the column, or float64 numbers ``(N,)``, NaN where there is none, if all cells are as
            programs write them.
        lines: The line of the file that each row ends on, ``(N,)``; of a Parquet file the row, counted from 1.
        delimiter: What stands between cells.
    """

    columns: dict[str, Coded | np.ndarray]
    lines: np.ndarray
    delimiter: str


class Columns(NamedTuple):
    """Some columns of a table.

    Attributes:
        cells: By name of the column, without spaces around them.
        lines: The line of the file that each row ends on, ``(N,)``.
        delimiter: What stands between cells.
    """

    cells: dict[str, list[str]]
    lines: np.ndarray
    delimiter: str


def no_column(name: str) -> bool:
    """Of no column that it is one of numbers."""
    return False


def usual_decimal(delimiter: str) -> str:
    """The decimal sign that goes with what stands between cells."""
    return "," if delimiter == ";" else "."


def read_table(
    path: Path,
    choose: Callable[[list[str]], list[str]],
    comma_hint: str = "",
    is_numeric: Callable[[str], bool] = no_column,
    missing: Sequence[str] = (),
    decimal: str | None = None,
    sniff: bool = False,
) -> Table:
    """Reads columns of a Parquet file, or of one as :func:`read_columns` reads it; large ones through pyarrow.

    Args:
        path: The file.
        choose: Tells which of all columns to read; may be asked more than once.
        comma_hint: What to do about a row that a comma within a cell has torn apart.
        is_numeric: Tells of a column whether it should be one of numbers, which a large file may give as such.
        missing: Cells that say that there is no number.
        decimal: The decimal sign, if it is known.
        sniff: Columns may be no numbers after all, each for itself; else all are texts as soon as a cell is one.

    Raises:
        DataError: The file is missing or malformed, or a column is not there.
    """
    # They need this file.
    from datamodules import arrow
    from datamodules.plain import UnclearError

    if path.suffix.lower() in (".parquet", ".pq"):
        return arrow.joined(arrow.parquet_pieces(path, choose, is_numeric))
    if path.is_file() and path.stat().st_size >= LARGE and not _is_packed(path) and arrow.is_installed():
        with suppress(UnclearError):
            return _read_large(path, choose, is_numeric, missing, decimal, sniff)
    cells, lines, delimiter = read_columns(path, choose, comma_hint)
    return Table({name: Coded.of(column) for name, column in cells.items()}, lines, delimiter)


def _read_large(
    path: Path,
    choose: Callable[[list[str]], list[str]],
    is_numeric: Callable[[str], bool],
    missing: Sequence[str],
    decimal: str | None,
    sniff: bool,
) -> Table:
    """Reads a CSV file through pyarrow, as :func:`read_table` does.

    Raises:
        UnclearError: Something is not as plain as pyarrow takes it.
    """
    from datamodules import arrow
    from datamodules.plain import NoNumberError

    numeric = arrow.numeric_at_first(path, missing, decimal) if sniff else None
    while True:

        def kept(name: str, among: set[str] | None = numeric) -> bool:
            return is_numeric(name) and (among is None or name in among)

        try:
            return arrow.joined(arrow.csv_pieces(path, choose, kept, missing, decimal))
        except NoNumberError as error:
            if numeric is None or error.column not in numeric:
                # Then cells are looked at one by one, equal ones once.
                return arrow.joined(arrow.csv_pieces(path, choose))
            numeric = numeric - {error.column}


def read_columns(
    path: Path, choose: Callable[[list[str]], list[str]], comma_hint: str, quotes_in_tabs: bool = True
) -> Columns:
    """Reads columns of a file whose first line names them; commas, tabs, semicolons or bars stand between cells.

    It is UTF-8, or UTF-16 that says so, and may be packed by gzip. Above the names there may be ``sep=;``, by which
    Excel is told what stands between cells.

    Args:
        path: The file.
        choose: Tells which of all columns to read.
        comma_hint: What to do about a row that a comma within a cell has torn apart.
        quotes_in_tabs: Whether quotation marks hold a cell together in a file of tabs, too, or are signs like others.

    Raises:
        DataError: The file is missing or malformed, or a column is not there.
    """
    source = io.StringIO(_read_text(path), newline="")
    delimiter, skipped = delimiter_of(source)
    literal = delimiter == "\t" and not quotes_in_tabs
    quoting: Literal[0, 3] = csv.QUOTE_NONE if literal else csv.QUOTE_MINIMAL
    reader = csv.reader(source, delimiter=delimiter, quoting=quoting, strict=True)
    lines: list[int] = []
    # Spreadsheets leave empty rows below the last one.
    filled = 0
    try:
        header = [name.strip() for name in next(reader, [])]
        wanted = choose(header)
        check_columns(path, header, wanted)
        place_of = {name: place for place, name in enumerate(header)}
        places = [place_of[name] for name in wanted]
        columns: list[list[str]] = [[] for _ in wanted]
        for row in reader:
            if row and len(row) != len(header):
                hint = f"; {comma_hint}" if delimiter == "," else ""
                raise DataError(
                    f"{path} line {skipped + reader.line_num}: {len(row)} cells, expected {len(header)} as in line "
                    f"{skipped + 1}{hint}"
                )
            lines.append(skipped + reader.line_num)
            for column, place in zip(columns, places, strict=True):
                column.append(row[place].strip() if row else "")
            if any(map(str.strip, row)):
                filled = len(lines)
    except csv.Error as error:
        raise DataError(f"{path} line {skipped + reader.line_num}: {error}") from error
    if not filled:
        raise DataError(f"{path} has no rows below its first line; expected some")
    cells = {name: column[:filled] for name, column in zip(wanted, columns, strict=True)}
    return Columns(cells, np.array(lines[:filled]), delimiter)


def delimiter_of(source: io.StringIO) -> tuple[str, int]:
    """What stands between cells, and how many lines above the names tell it; ``source`` is left before the names.

    It is what parts the names into the most cells; line breaks of any system end a line.
    """
    first = source.readline()
    if told := re.fullmatch(r'"?sep=([,;|:~ \t])"?', first.rstrip("\r\n"), re.IGNORECASE):
        return told[1], 1
    source.seek(0)

    def cells(delimiter: str) -> int:
        try:
            return len(next(csv.reader([first], delimiter=delimiter), []))
        except csv.Error:
            return 0

    return max(",;\t|", key=cells), 0


def check_columns(path: Path, header: list[str], names: Iterable[str]) -> None:
    """Refuses names of columns that are not there, or there more than once."""
    counts = Counter(header)
    for name in names:
        if counts[name] > 1:
            raise DataError(f"{path} has {counts[name]} columns '{name}'; expected one, rename the others")
        if not counts[name]:
            close = difflib.get_close_matches(name, header, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are {listed(header)}"
            raise DataError(f"{path} has no column '{name}'; {hint}")


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; expected a CSV file") from error
    if content.startswith(_PACKED):
        content = _unpacked(path, content)
    if not content.strip():
        raise DataError(f"{path} is empty; expected a CSV file whose first line names the columns")
    # Excel's "Unicode text" is UTF-16.
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if wide and not content.startswith(codecs.BOM_UTF32_LE) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} line {line}: byte 0x{content[error.start]:02x} is not {encoding[:6].strip('-').upper()}; save the "
            "file in UTF-8"
        ) from error


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_PACKED)) == _PACKED


def _unpacked(path: Path, content: bytes) -> bytes:
    """What gzip has packed.

    Raises:
        DataError: It is damaged, or unpacks to more than fits.
    """
    try:
        with gzip.open(io.BytesIO(content)) as file:
            unpacked = file.read(_MOST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: gzip cannot unpack it ({error}); expected a whole .csv.gz file") from error
    if len(unpacked) > _MOST_UNPACKED:
        raise DataError(
            f"{path} unpacks to more than {_MOST_UNPACKED >> 20} MiB; unpack it first: gunzip --keep "
            f"{shlex.quote(str(path))}"
        )
    return unpacked
