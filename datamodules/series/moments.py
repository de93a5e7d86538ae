"""Times as files write them: ISO 8601, other dates that can be read in one way only, notations, whole numbers."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import compress, product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.errors import DataError
from datamodules.series.month_names import in_english
from datamodules.series.notations import Notation, find_notation
from datamodules.series.numbers import name_lines
from datamodules.series.timeline import is_regular, on_one_clock
from datamodules.table import Coded

_ISO = "a time such as 2024-01-31 or 2024-01-31 14:30, or one described by --data.time_format '%d.%m.%Y'"
# Orders of day, month and year, with what stands between them in place of spaces.
_DATES = ("%d %m %Y", "%m %d %Y", "%Y %m %d", "%d %m %y", "%m %d %y", "%y %m %d", "%d %b %Y", "%d %B %Y", "%d %b %y")
_WORDED_DATES = ("%b %d, %Y", "%B %d, %Y", "%d. %B %Y", "%d. %b %Y")
EXCEL = "if these are days as Excel counts them, say so with --data.time_format excel"
_EXCEL_START, _MARCH = datetime(1899, 12, 30), 61
_HOUR = np.timedelta64(1, "h")
_HOURS = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
_DIGITS = {10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


def read_times(
    path: Path, name: str, cells: Coded, lines: np.ndarray, time_format: str | None
) -> tuple[np.ndarray, Notation | None]:
    """The times of a column, and the notation that it writes them in, if it has one.

    Args:
        path: The file.
        name: The column.
        cells: Its cells, of which only different ones are looked at.
        lines: The line of each row.
        time_format: How times are written, as for ``strptime``, or ``excel``.

    Returns:
        ``datetime64[us]``, or whole numbers if that is what the first cell is. Times with their offset from UTC are
        those of a clock on the wall if that always shows the same time of day, or goes on regularly where UTC does not;
        otherwise UTC. Days that a change of clocks moved by an hour are moved back.

    Raises:
        DataError: A cell is no time, or may be one of two.
    """
    column = _Column(path, name, cells, lines)
    times, notation = _read(column, cells.distinct, time_format)
    return _at_one_hour(times)[cells.codes], notation


class _Column(NamedTuple):
    """A column of times, for messages about it."""

    path: Path
    name: str
    cells: Coded
    lines: np.ndarray

    def lines_of(self, places: np.ndarray) -> str:
        """The lines of cells, given by their places among the distinct ones."""
        return f"{self.path} {name_lines(self.lines[self.cells.rows(places)])}"

    def first_line_of(self, place: int) -> str:
        """The first line of a cell."""
        return f"{self.path} line {self.lines[self.cells.rows([place])[0]]}"


def _read(column: _Column, cells: list[str], time_format: str | None) -> tuple[np.ndarray, Notation | None]:
    """What :func:`read_times` reads from the distinct cells, at the hours that the file tells."""
    if time_format is not None:
        read = _by_excel if time_format == "excel" else _by(time_format)
        return _to_moments(column, cells, read, f"a time written as {time_format}")
    if all(re.fullmatch(r"-?\d+\.0+", cell) for cell in cells):
        cells = [cell.partition(".")[0] for cell in cells]
    if (notation := find_notation(cells)) is not None:
        expected = f"a {'month' if notation.kind == 'name' else notation.kind} as in the rows before"
        return _checked(column, [notation.read(cell) for cell in cells], expected), notation
    if re.fullmatch(r"-?\d+", cells[0]) and not _is_compact(cells[0]):
        whole = [int(cell) if re.fullmatch(r"-?\d{1,18}", cell) else None for cell in cells]
        return _checked(column, whole, "a whole number as in the rows before"), None
    english = cells if _by_iso(cells[0]) is not None else list(map(in_english, cells))
    if english is not cells and (written := _format_of(column, english)) is not None:
        expected = f"a time written as {written} like that in line {column.lines[0]}"
        return _to_moments(column, english, _by(written), expected)
    hint = f"; {EXCEL}" if re.fullmatch(r"[2-7]\d{4}[.,]\d+", cells[0]) else ""
    return _to_moments(column, cells, _by_iso, _ISO + hint)


def _by_excel(text: str) -> datetime | None:
    """Reads days since 1900 as Excel counts them, to the second; it thinks that 1900 was a leap year."""
    if not re.fullmatch(r"\d{2,6}(?:[.,]\d+)?", text) or (days := float(text.replace(",", "."))) < _MARCH:
        return None
    return _EXCEL_START + timedelta(seconds=round(days * 86_400))


def _to_moments(
    column: _Column, cells: list[str], read: Callable[[str], datetime | None], expected: str
) -> tuple[np.ndarray, Notation | None]:
    moments = [read(cell) for cell in cells]
    walls = [None if moment is None else moment.replace(tzinfo=None) for moment in moments]
    times = _checked(column, walls, expected)
    offsets = [None if moment is None else moment.utcoffset() for moment in moments]
    lacking = np.array([offset is None for offset in offsets])
    if lacking.all():
        return times, None
    if lacking.any():
        odd = int(np.flatnonzero(lacking != lacking[0])[0])
        raise DataError(
            f"{column.first_line_of(odd)}: '{column.cells.distinct[odd]}' in column '{column.name}' has "
            f"{'no' if lacking[odd] else 'an'} offset from UTC, unlike the rows before; expected one in every row or "
            "in none"
        )
    utc = times - np.array(offsets, dtype="m8[us]")
    settled = on_one_clock(times, utc)
    return settled, Notation("utc", cells[0]) if settled is utc else None


def _at_one_hour(times: np.ndarray) -> np.ndarray:
    """Days that a change of clocks moved by an hour, such as local midnights in UTC, moved back; other times as is."""
    if times.dtype.kind != "M":
        return times
    days = times.astype("M8[D]")
    hours, counts = np.unique(times - days, return_counts=True)
    if len(hours) != 2 or hours[1] - hours[0] != _HOUR or len(np.unique(days)) < len(days) or is_regular(times):
        return times
    return days.astype("M8[us]") + hours[counts.argmax()] if is_regular(days) else times


def _checked(column: _Column, found: list, expected: str) -> np.ndarray:
    """What was found in cells, as an array; refuses those in which nothing was."""
    wrong = np.array([one is None for one in found])
    if wrong.any():
        raise DataError(
            f"{column.lines_of(np.flatnonzero(wrong))}: '{next(compress(column.cells.distinct, wrong))}' in column "
            f"'{column.name}'; "
            f"expected {expected}"
        )
    return np.array(found, dtype=np.int64 if isinstance(found[0], int) else "M8[us]")


def _by_iso(text: str) -> datetime | None:
    """Reads ISO 8601 and what databases write much like it."""
    if text.isdigit() and len(text) in _DIGITS:
        return _by(_DIGITS[len(text)])(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        # 2024-01-31 14:30:00 UTC, 2024-01-31 14:30:00 +0100, 2024-01-31 14:30:00 +0100 CET
        plain = re.sub(r" ?([+-]\d\d:?\d\d)(?: [A-Z]{2,5})?$", r"\1", text)
        plain = re.sub(r" ?(?:UTC|GMT|Z)$", "+00:00", plain)
        return None if plain == text else _by_iso(plain)


def _by(time_format: str) -> Callable[[str], datetime | None]:
    def read(text: str) -> datetime | None:
        try:
            return datetime.strptime(text, time_format)
        except (ValueError, OverflowError):
            return None

    return read


def _is_compact(text: str) -> bool:
    """Whether digits are a date, perhaps with a time of day, of the centuries in which people measured."""
    return bool(re.match(r"1[6-9]|20", text)) and len(text) in (8, *_DIGITS) and _by_iso(text) is not None


def _format_of(column: _Column, cells: list[str]) -> str | None:
    """How dates other than those of ISO 8601 are written; None if that is not known.

    Raises:
        DataError: All can be read in two ways.
    """
    mark = next((mark for mark in re.findall(r"[./\- ]", cells[0])), " ")
    dates = [*(date.replace(" ", mark) for date in _DATES), *_WORDED_DATES]
    formats = [f"{date} {hour}".rstrip() for date, hour in product(dates, _HOURS)]
    known = [written for written in formats if _by(written)(cells[0]) is not None]
    fitting = [written for written in known if all(_by(written)(cell) is not None for cell in cells)]
    if len(fitting) < 2:
        return max(fitting or known, key=lambda one: sum(_by(one)(cell) is not None for cell in cells), default=None)
    columns = {written: np.array(list(map(_by(written), cells)), dtype="M8[us]") for written in fitting}
    monotone = [written for written, times in columns.items() if _goes_on(times)] or fitting
    first, *others = monotone
    different = [other for other in others if (columns[other] != columns[first]).any()]
    if different:
        place = int(np.flatnonzero(columns[first] != columns[different[0]])[0])
        one, two = (str(columns[written][place].astype("M8[D]")) for written in (first, different[0]))
        raise DataError(
            f"{column.first_line_of(place)}: '{column.cells.distinct[place]}' in column '{column.name}' may be {one} "
            f"or {two}; say which with --data.time_format '{first}' ({one}) or --data.time_format '{different[0]}' "
            f"({two})"
        )
    return first


def _goes_on(times: np.ndarray) -> bool:
    """Whether times only ascend, or only descend."""
    steps = np.diff(times).astype(np.int64)
    return bool((steps >= 0).all() or (steps <= 0).all())
