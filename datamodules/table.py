"""Tables of text in CSV and TSV files, whose faults are named by line."""

import codecs
import csv
import difflib
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from datamodules.errors import DataError


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


def read_columns(
    path: Path, choose: Callable[[list[str]], list[str]], comma_hint: str, quotes_in_tabs: bool = True
) -> Columns:
    """Reads columns of a file whose first line names them; commas, tabs, semicolons or bars stand between cells.

    It is UTF-8, or UTF-16 that says so. Above the names there may be ``sep=;``, by which Excel is told what stands
    between cells.

    Args:
        path: The file.
        choose: Tells which of all columns to read.
        comma_hint: What to do about a row that a comma within a cell has torn apart.
        quotes_in_tabs: Whether quotation marks hold a cell together in a file of tabs, too, or are signs like others.

    Raises:
        DataError: The file is missing or malformed, or a column is not there.
    """
    source = io.StringIO(_read_text(path), newline="")
    delimiter, skipped = _delimiter_of(source)
    literal = delimiter == "\t" and not quotes_in_tabs
    quoting: Literal[0, 3] = csv.QUOTE_NONE if literal else csv.QUOTE_MINIMAL
    reader = csv.reader(source, delimiter=delimiter, quoting=quoting, strict=True)
    lines: list[int] = []
    # Spreadsheets leave empty rows below the last one.
    filled = 0
    try:
        header = [name.strip() for name in next(reader, [])]
        wanted = choose(header)
        for name in wanted:
            check_column(path, header, name)
        places = [header.index(name) for name in wanted]
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


def _delimiter_of(source: io.StringIO) -> tuple[str, int]:
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


def check_column(path: Path, header: list[str], name: str) -> None:
    """Refuses the name of a column that is not there, or there more than once."""
    if header.count(name) > 1:
        raise DataError(f"{path} has {header.count(name)} columns '{name}'; expected one, rename the others")
    if name not in header:
        close = difflib.get_close_matches(name, header, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(header)}"
        raise DataError(f"{path} has no column '{name}'; {hint}")


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; expected a CSV file") from error
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
