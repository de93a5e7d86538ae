"""What a verb reads: files by name, folder or pattern, and standard input."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from zoo.errors import ZooError


def find_files(arguments: Iterable[str]) -> dict[Path, bool]:
    """Finds the files that are meant by names of files, names of folders and patterns.

    Folders and patterns give their files in natural order (``2.png`` before ``10.png``), hidden ones left out; a folder
    gives all that is below it.

    Returns:
        Each file once, and whether it was named itself.

    Raises:
        ZooError: A file does not exist, or a folder or a pattern gives none.
    """
    files: dict[Path, bool] = {}
    for argument in arguments:
        path = Path(argument)
        pattern = next((place for place, part in enumerate(path.parts) if re.search(r"[*?[]", part)), None)
        if path.is_dir():
            found, told = _find_below(path, "*"), f"no file in the folder {argument}"
        elif path.exists():
            files[path] = True
            continue
        elif pattern is not None:
            found = _find_below(Path(*path.parts[:pattern]), str(Path(*path.parts[pattern:])))
            told = f"no file matches '{argument}'"
        else:
            found, told = [], f"no file {argument}"
        if not found:
            raise ZooError(told)
        for file in found:
            files.setdefault(file, False)
    return files


def _find_below(folder: Path, pattern: str) -> list[Path]:
    found: set[Path] = set()
    for match in folder.glob(pattern):
        found.update(match.rglob("*") if match.is_dir() else [match])
    wanted = Path(pattern).parts
    shown = [
        path
        for path in found
        if not any(part.startswith(".") and part not in wanted for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    return sorted(shown, key=lambda path: (_natural(path), str(path)))


def _natural(path: Path) -> list[list[str | int]]:
    parts = [re.split(r"(\d+)", part.casefold()) for part in path.parts]
    return [[int(run) if run.isdecimal() else run for run in runs] for runs in parts]


def read_standard_input() -> str:
    """All of standard input, as text.

    Raises:
        ZooError: It is no text.
    """
    try:
        return check_text(sys.stdin.read(), "standard input")
    except UnicodeDecodeError as error:
        raise ZooError(
            f"standard input is not {error.encoding.upper()} (byte 0x{error.object[error.start]:02x})"
        ) from error


def check_text(text: str, origin: str) -> str:
    """Refuses what Python lets through although it could not be decoded.

    Args:
        text: The text.
        origin: What messages call it.

    Raises:
        ZooError: Some bytes of it are no text.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line, byte = text.count("\n", 0, error.start) + 1, ord(text[error.start]) & 0xFF
        raise ZooError(f"{origin} line {line} is not UTF-8 (byte 0x{byte:02x})") from error
    return text
