"""Rows of a file of series, sorted and merged: what is wrong with their times is named by line, or repaired."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.cells.notations import Notation
from datamodules.cells.numbers import name_lines
from datamodules.errors import DataError, listed
from datamodules.series.timeline import written


class Rows(NamedTuple):
    """What the rows of a file say.

    Attributes:
        path: The file.
        names: Of the columns of values.
        moments: The different times of the file in ascending order, ``datetime64[us]`` or whole numbers, ``(T,)``;
            those of the rows if it tells none.
        steps: The time of each row, by its place among these, ``(N,)``.
        values: NaN where there is no number, ``(N, C)``.
        lines: The line of each row.
        notation: How times are written, if it is not as days and times of day.
        series: Names of the series that rows are of, if a column tells them apart.
        owners: Which of these each row is of, ``(N,)``.
        done: What has been repaired, in words.
    """

    path: Path
    names: list[str]
    moments: np.ndarray
    steps: np.ndarray
    values: np.ndarray
    lines: np.ndarray
    notation: Notation | None = None
    series: Sequence[str] = ()
    owners: np.ndarray | None = None
    done: tuple[str, ...] = ()

    @property
    def times(self) -> np.ndarray:
        """The time of each row, ``(N,)``."""
        return self.moments[self.steps]

    def told(self, place: int) -> str:
        """The time of a row as its file writes it."""
        return self.write(self.moments[self.steps[place]])

    def write(self, time: np.datetime64 | np.integer) -> str:
        """A time as the file would write it."""
        return written(time) if self.notation is None else self.notation.write(np.array([time]))[0]

    def whose(self, places: np.ndarray | slice = slice(None)) -> str:
        """What messages add about the series of some rows, if there are several."""
        if self.owners is None:
            return ""
        return f" in series {listed([repr(self.series[owner]) for owner in np.unique(self.owners[places])], 3)}"

    def taken(self, places: np.ndarray | slice) -> "Rows":
        """Some of the rows."""
        owners = None if self.owners is None else self.owners[places]
        return self._replace(
            steps=self.steps[places], values=self.values[places], lines=self.lines[places], owners=owners
        )

    def of_columns(self, first: int) -> "Rows":
        """The same rows with the columns from one on."""
        return self._replace(names=self.names[first:], values=self.values[:, first:])

    def column_names(self) -> list[str]:
        """The name of each column of each series, as those of one recording."""
        if len(self.names) == 1:
            return list(self.series) or self.names
        several = len(self.series) > 1
        return [f"{one} {name}" for one in self.series for name in self.names] if several else self.names


def sorted_out(rows: Rows, allowed: Collection[str]) -> Rows:
    """Rows series by series, in ascending order, one for each time.

    Raises:
        DataError: They are not, and their repair is not allowed.
    """
    return _merged(_in_order(_by_series(rows), allowed), allowed)


def _by_series(rows: Rows) -> Rows:
    """Rows of one series after those of another, otherwise as they come."""
    if rows.owners is None or (rows.owners[1:] >= rows.owners[:-1]).all():
        return rows
    # NumPy sorts by radix what has no more than 16 bits.
    owners = rows.owners.astype(np.uint16) if len(rows.series) <= 1 << 16 else rows.owners
    return rows.taken(owners.argsort(kind="stable"))


def _goes_on(rows: Rows) -> np.ndarray:
    """Whether each row but the first is of the same series as the one before it."""
    return np.ones(max(len(rows.steps) - 1, 0), bool) if rows.owners is None else rows.owners[1:] == rows.owners[:-1]


def _in_order(rows: Rows, allowed: Collection[str]) -> Rows:
    late = np.flatnonzero((rows.steps[1:] < rows.steps[:-1]) & _goes_on(rows))
    if not len(late):
        return rows
    place = int(late[0])
    if "order" not in allowed:
        raise DataError(
            f"{rows.path} line {rows.lines[place + 1]}: {rows.told(place + 1)} comes after {rows.told(place)}"
            f"{rows.whose(late[:1])}; expected ascending times; sort the rows, or let --data.repair+=order do so"
        )
    done = (*rows.done, f"rows sorted{rows.whose(late)}")
    keys = (rows.steps,) if rows.owners is None else (rows.steps, rows.owners)
    return rows.taken(np.lexsort(keys))._replace(done=done)


def _merged(rows: Rows, allowed: Collection[str]) -> Rows:
    """Of rows of the same time and series the mean."""
    repeated = np.flatnonzero((rows.steps[1:] == rows.steps[:-1]) & _goes_on(rows)) + 1
    if not len(repeated):
        return rows
    if "duplicates" not in allowed:
        _refuse_repeated(rows, repeated)
    firsts = np.delete(np.arange(len(rows.steps)), repeated)
    there = ~np.isnan(rows.values)
    sums = np.add.reduceat(np.where(there, rows.values, 0), firsts)
    present = np.add.reduceat(there.astype(int), firsts)
    means = np.where(present > 0, sums / np.maximum(present, 1), np.nan)
    count = len(repeated)
    done = (*rows.done, f"{count} duplicate{'s' if count > 1 else ''} averaged{rows.whose(repeated)}")
    return rows.taken(firsts)._replace(values=means, done=done)


def _refuse_repeated(rows: Rows, repeated: np.ndarray) -> None:
    """Refuses rows of the same time and series as the row before.

    Args:
        rows: The rows, in order.
        repeated: Their places.
    """
    first = int(repeated[0]) - 1
    its = np.ones(len(rows.steps), bool) if rows.owners is None else rows.owners == rows.owners[first]
    same = its & (rows.steps == rows.steps[first])
    count = int(its.sum())
    raise DataError(
        f"{rows.path} {name_lines(rows.lines[same])} are all of {rows.told(first)}{rows.whose(same)}, and there are "
        f"{count} rows of {count - int(its[repeated].sum())} times; expected every time once; remove some, or, if all "
        "are of one series, let --data.repair+=duplicates take the mean"
    )
