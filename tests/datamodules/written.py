"""Files of series, as tests write them."""

from collections.abc import Iterable
from pathlib import Path


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    """A file that holds a text."""
    path = folder / "sales.csv"
    path.write_bytes(text.encode(encoding))
    return path


def table(*rows: Iterable[object], delimiter: str = ",") -> str:
    """The text of a file of rows."""
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)
