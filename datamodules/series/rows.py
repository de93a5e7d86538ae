"""Rows of a file of series, sorted and merged: what is wrong with their times is named by line, or repaired."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.errors import DataError
from datamodules.series.notations import Notation
from datamodules.series.numbers import name_lines
from datamodules.series.timeline import written


class Rows(NamedTuple):
    """What the rows of a file say.

    Attributes:
        path: The file.
        names: Of the series.
        times: ``datetime64[us]`` or whole numbers, ``(N,)``; those of the rows if the file tells none.
        values: NaN where there is no number, ``(N, C)``.
        lines: The line of each row.
        notation: How times are written, if it is not as days and times of day.
        whose: What messages add about the rows of one series of several.
        done: What has been repaired, in words.
    """

    path: Path
    names: list[str]
    times: np.ndarray
    values: np.ndarray
    lines: np.ndarray
    notation: Notation | None = None
    whose: str = ""
    done: tuple[str, ...] = ()

    def told(self, place: int) -> str:
        """The time of a row as its file writes it."""
        return written(self.times[place]) if self.notation is None else self.notation.write(self.times[[place]])[0]

    def taken(self, places: np.ndarray) -> "Rows":
        """Some of the rows."""
        return self._replace(times=self.times[places], values=self.values[places], lines=self.lines[places])


def sorted_out(rows: Rows, allowed: Collection[str]) -> Rows:
    """Rows in ascending order, one for each time.

    Raises:
        DataError: They are not, and their repair is not allowed.
    """
    return _merged(_in_order(rows, allowed), allowed)


def _in_order(rows: Rows, allowed: Collection[str]) -> Rows:
    late = np.flatnonzero(np.diff(rows.times).astype(np.int64) < 0)
    if not len(late):
        return rows
    if "order" not in allowed:
        place = int(late[0])
        raise DataError(
            f"{rows.path} line {rows.lines[place + 1]}: {rows.told(place + 1)} comes after {rows.told(place)}"
            f"{rows.whose}; expected ascending times; sort the rows, or let --data.repair+=order do so"
        )
    done = (*rows.done, f"rows sorted{rows.whose}")
    return rows.taken(rows.times.argsort(kind="stable"))._replace(done=done)


def _merged(rows: Rows, allowed: Collection[str]) -> Rows:
    """Of rows of the same time the mean."""
    times, firsts, counts = np.unique(rows.times, return_index=True, return_counts=True)
    if len(times) == len(rows.times):
        return rows
    if "duplicates" not in allowed:
        twice = int(np.flatnonzero(counts > 1)[0])
        same = rows.lines[firsts[twice] : firsts[twice] + counts[twice]]
        raise DataError(
            f"{rows.path} {name_lines(same)} are all of {rows.told(firsts[twice])}{rows.whose}, and there are "
            f"{len(rows.lines)} rows of {len(times)} times; expected every time once; remove some, or, if all are of "
            "one series, let --data.repair+=duplicates take the mean"
        )
    there = ~np.isnan(rows.values)
    sums = np.add.reduceat(np.where(there, rows.values, 0), firsts)
    present = np.add.reduceat(there.astype(int), firsts)
    means = np.where(present > 0, sums / np.maximum(present, 1), np.nan)
    count = len(rows.times) - len(times)
    done = (*rows.done, f"{count} duplicate{'s' if count > 1 else ''} averaged{rows.whose}")
    return rows.taken(firsts)._replace(values=means, done=done)
