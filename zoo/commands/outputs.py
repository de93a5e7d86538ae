"""Files that a verb writes: what could not be written is told first, and no half of one is ever left."""

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from datamodules.files import naming, write_whole
from zoo.commands.arguments import Arguments
from zoo.drawing import as_png
from zoo.errors import ZooError
from zoo.terminal import warn

# What a spreadsheet takes for the beginning of a formula, in full width, too, and what it takes for a number.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def check_outputs(table: Path | None, plot: Path | None) -> None:
    """Tells before anything is computed what could not be written after it.

    Args:
        table: What ``--csv`` names.
        plot: What ``--plot`` names.

    Raises:
        ZooError: One cannot be written or has a wrong name; or both are the same.
    """
    if table is not None:
        check_output("--csv", table)
    if plot is not None:
        check_output("--plot", plot, ".png")
    if plot is not None and table is not None and plot.resolve() == table.resolve():
        raise ZooError(f"--csv and --plot both name {plot}, expected two files")


def check_output(flag: str, out: Path, suffix: str | None = None) -> None:
    """Tells before anything is computed that a file could not be written after it.

    Args:
        flag: What names it, for the message.
        out: The file.
        suffix: What its name must end in.

    Raises:
        ZooError: It is a folder, lies in none, may not be written, or has a wrong name.
    """
    if out.is_dir():
        raise ZooError(f"{flag} {out} is a folder, expected a file to write")
    if not out.parent.is_dir():
        raise ZooError(f"no folder {out.parent} to write {out.name} into")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise ZooError(f"{flag} {out} cannot be written: permission denied")
    if suffix is not None and out.suffix.lower() != suffix:
        raise ZooError(f"{flag} is {out}, expected a name that ends in {suffix}")


def check_folder(flag: str, folder: Path) -> None:
    """Tells before anything is computed that files could not be written into a new folder.

    Args:
        flag: What names it, for the message.
        folder: The folder; it may be there if it is empty.

    Raises:
        ZooError: It holds something, lies in no folder, or may not be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ZooError(f"{flag} {folder} exists and is not an empty folder; name a new one")
    if not folder.parent.is_dir():
        raise ZooError(f"no folder {folder.parent} to make {folder.name} in")
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        raise ZooError(f"{flag} {folder} cannot be written: permission denied")


def write_output(path: Path, content: bytes) -> None:
    """Writes a file at once or not at all; what is no ordinary file, such as a pipe, is written to."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        with naming(path):
            path.write_bytes(content)
        return
    write_whole(path, content)


def write_figure(path: Path, figure: Figure) -> None:
    """Writes a drawing as a picture, at once or not at all."""
    write_output(path, as_png(figure))


def add_csv_flags(parser: Arguments, what: str) -> None:
    """Lets a verb write a table.

    Args:
        parser: Of the verb.
        what: The table holds, for the help.
    """
    parser.add_argument("--csv", type=Path, metavar="OUT", help=f"write {what} to this file, too")
    parser.add_argument(
        "--csv-safe",
        action="store_true",
        help="put ' before text that a spreadsheet would execute as a formula; without, the table reads back as it was",
    )


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], safe: bool) -> None:
    """Writes a table, and tells of text in it that a spreadsheet would execute.

    Args:
        path: The file.
        columns: Names of the columns.
        rows: A cell for each column.
        safe: Put an apostrophe before such text, as a spreadsheet expects of what is no formula.
    """
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(columns)
    found = 0
    for row in rows:
        cells = [str(cell) if isinstance(cell, Path) else cell for cell in row]
        formulas = [is_formula(cell) for cell in cells]
        found += sum(formulas)
        writer.writerow([f"'{cell}" if safe and one else cell for cell, one in zip(cells, formulas, strict=True)])
    # A file's name may hold bytes that are no UTF-8; they are written as they are.
    write_output(path, table.getvalue().encode(errors="surrogateescape"))
    if found and not safe:
        warn(
            f"{found:,} {'cell' if found == 1 else 'cells'} of {path} would be executed by a spreadsheet, as they "
            "begin with =, +, - or @; --csv-safe writes them as text"
        )


def is_formula(cell: Any) -> bool:
    """Whether a spreadsheet would execute a cell; numbers are none."""
    return isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell)
