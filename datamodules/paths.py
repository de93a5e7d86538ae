"""Folders: those that users name, and where prepared data is kept."""

import os
from pathlib import Path

from datamodules.errors import DataError


def expanded(path: str, option: str) -> Path:
    """Puts the home folder in place of ``~``, which the shell leaves alone in ``--data.root=~/photos``."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(f"{option} is {path}, but there is no such home folder; give the whole path") from error


def default_cache() -> Path:
    """Where prepared data is kept: ``lightning-zoo`` in the user's cache folder."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lightning-zoo"
    except RuntimeError as error:
        raise DataError(f"no place for prepared data ({error}); name a folder with --data.cache DIR") from error
