"""What is shown in a terminal: names of files, classes and cards are others' words, and none may steer it.

A control character in a name can colour, overwrite or retitle whatever a terminal shows. Text goes out through here,
where such characters become their codes; tables go through :mod:`zoo.commands.tables`. Imports nothing that takes time.
"""

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from zoo.errors import ZooError

# Names, in the environment of processes that another one has started, the folder where they tell it why they end.
REPORTS = "ZOO_REPORTS"
# Control characters but for line feed and tab; what ends a line or turns its direction; halves of characters.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Text whose control characters are written as their codes, such as ``\u001b``, which JSON reads alike."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@contextmanager
def printing() -> Iterator[None]:
    """Says that it was the output which could not be written, where a full disk does not.

    Raises:
        ZooError: It cannot be, for want of room.
        BrokenPipeError: Nobody reads it any more.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ZooError(f"standard output cannot be written: {error.strerror or error}") from error


def say(text: str = "", end: str = "\n", flush: bool = False) -> None:
    """Prints text."""
    with printing():
        print(visible(text), end=end, flush=flush)


def warn(text: str) -> None:
    """Prints what a user should know of, on standard error."""
    print(f"zoo: {visible(text)}", file=sys.stderr, flush=True)


def tell(text: str) -> None:
    """Prints why a command ends; of several processes the first one does so for all, and only once."""
    reports = Path(os.environ[REPORTS]) if REPORTS in os.environ else None
    if reports is not None and reports.is_dir():
        (reports / os.environ["LOCAL_RANK"]).write_text(text, encoding="utf-8", errors="replace")
    else:
        warn(text)


@contextmanager
def once() -> Iterator[None]:
    """Meanwhile what data modules have to say of data is said once, however often the data is read."""
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in said
        said.add(message)
        return new

    log = logging.getLogger("datamodules")
    log.addFilter(is_new)
    try:
        yield
    finally:
        log.removeFilter(is_new)


@contextmanager
def guarded() -> Iterator[None]:
    """Meanwhile logs and warnings show control characters as codes, too, and nothing fails for a stream's encoding."""
    made, written = logging.getLogRecordFactory(), warnings.formatwarning
    streams: list[tuple[TextIO, str]] = []
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            streams.append((stream, stream.errors or "strict"))
            stream.reconfigure(errors="backslashreplace")

    def record(*arguments: Any, **options: Any) -> logging.LogRecord:
        kept = made(*arguments, **options)
        kept.msg, kept.args = visible(kept.getMessage()), ()
        return kept

    logging.setLogRecordFactory(record)
    warnings.formatwarning = lambda *arguments, **options: visible(written(*arguments, **options))
    try:
        yield
    finally:
        logging.setLogRecordFactory(made)
        warnings.formatwarning = written
        for stream, errors in streams:
            if not stream.closed:
                stream.reconfigure(errors=errors)  # type: ignore[attr-defined]


def in_notebook() -> bool:
    """Whether a notebook runs this process; a shell of IPython is a terminal."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


def hang_up() -> None:
    """After whoever read the output has gone, as ``head`` does: what is left of it goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def human_size(count: int) -> str:
    """A number of bytes in the unit that suits it, such as ``1.7 MB``."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def human_time(seconds: float) -> str:
    """A time in the unit that suits it, such as ``12 s`` or ``4 min``."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
