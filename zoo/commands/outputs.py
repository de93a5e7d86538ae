"""Files that a verb writes: what could not be written is told first, and no half of one is ever left."""

import os
from pathlib import Path

from datamodules.files import write_whole
from zoo.errors import ZooError


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
        path.write_bytes(content)
        return
    write_whole(path, content)
