"""Files that are written at once or not at all. Any room of the zoo may import this file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.errors import UserError


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Names what could not be written, which a full disk does not.

    Raises:
        UserError: Something could not be written.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yields a file to write beside ``path``, which takes its place when all is written, and is removed otherwise.

    Whoever reads ``path`` meanwhile, or after a crash, finds what it held before.

    Raises:
        UserError: It cannot be written, for want of room or permission.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with naming(path):
            yield scratch
            scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file at once or not at all.

    Raises:
        UserError: It cannot be written.
    """
    with written_whole(path) as scratch:
        scratch.write_bytes(content)
