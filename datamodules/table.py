"""Tables of text in CSV and TSV files, whose faults are named by line."""

import csv
import difflib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from datamodules.errors import DataError


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
    """Reads columns of a UTF-8 file whose first line names them; commas, tabs or semicolons stand between cells.

    Args:
        path: The file.
        choose: Tells which of all columns to read.
        comma_hint: What to do about a row that a comma within a cell has torn apart.
        quotes_in_tabs: Whether quotation marks hold a cell together in a file of tabs, too, or are signs like others.

    Raises:
        DataError: The file is missing or malformed, or a column is not there.
    """
    text = _read_text(path)
    delimiter = _delimiter_of(text)
    literal = delimiter == "\t" and not quotes_in_tabs
    quoting: Literal[0, 3] = csv.QUOTE_NONE if literal else csv.QUOTE_MINIMAL
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
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
                    f"{path} line {reader.line_num}: {len(row)} cells, expected {len(header)} as in line 1{hint}"
                )
            lines.append(reader.line_num)
            for column, place in zip(columns, places, strict=True):
                column.append(row[place].strip() if row else "")
            if any(map(str.strip, row)):
                filled = len(lines)
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num}: {error}") from error
    if not filled:
        raise DataError(f"{path} has no rows below its first line; expected some")
    cells = {name: column[:filled] for name, column in zip(wanted, columns, strict=True)}
    return Columns(cells, np.array(lines[:filled]), delimiter)


def _delimiter_of(text: str) -> str:
    """What parts the first line into the most cells; line breaks of any system end it."""
    first = io.StringIO(text, newline="").readline()

    def cells(delimiter: str) -> int:
        try:
            return len(next(csv.reader([first], delimiter=delimiter), []))
        except csv.Error:
            return 0

    return max(",;\t", key=cells)


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
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} line {line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file in that encoding"
        ) from error
