"""The times of a series, as its file writes them, on one clock."""

from pathlib import Path

import numpy as np

from datamodules.cells.moments import read_moments
from datamodules.cells.notations import Notation
from datamodules.series.timeline import is_regular, on_one_clock
from datamodules.table import Coded

_HOUR = np.timedelta64(1, "h")


def read_times(
    path: Path, name: str, cells: Coded, lines: np.ndarray, time_format: str | None
) -> tuple[np.ndarray, np.ndarray, Notation | None]:
    """The times of a column.

    Args:
        path: The file.
        name: The column.
        cells: Its cells, of which only different ones are looked at.
        lines: The line of each row.
        time_format: How times are written, as for ``strptime``, or ``excel``.

    Returns:
        The different times in ascending order, which of them each row has, and the notation that they are written in,
        if it is one. Times are ``datetime64[us]``, or whole numbers if that is what the first cell is. Those with their
        offset from UTC are those of a clock on the wall if that always shows the same time of day, or goes on regularly
        where UTC does not; otherwise UTC. Days that a change of clocks moved by an hour are moved back.

    Raises:
        DataError: A cell is no time, or may be one of two.
    """
    times, offsets, notation = read_moments(path, name, cells, lines, time_format)
    if offsets is not None:
        utc = times - offsets
        times = on_one_clock(times, utc)
        notation = Notation("utc", cells.distinct[0]) if times is utc else None
    moments, places = np.unique(_at_one_hour(times), return_inverse=True)
    return moments, places.astype(np.int32)[cells.codes], notation


def _at_one_hour(times: np.ndarray) -> np.ndarray:
    """Days that a change of clocks moved by an hour, such as local midnights in UTC, moved back; other times as is."""
    if times.dtype.kind != "M":
        return times
    days = times.astype("M8[D]")
    hours, counts = np.unique(times - days, return_counts=True)
    if len(hours) != 2 or hours[1] - hours[0] != _HOUR or len(np.unique(days)) < len(days) or is_regular(times):
        return times
    return days.astype("M8[us]") + hours[counts.argmax()] if is_regular(days) else times
