"""Series that begin and end at different times, on one line of time: NaN stands before and after each."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from datamodules.errors import DataError, listed
from datamodules.series.clocks import refuse_changes
from datamodules.series.filling import Laid, check_invented, counted, explained
from datamodules.series.rows import Rows, sorted_out
from datamodules.series.timeline import Timeline

# A table of less than a gigabyte may be as empty as it likes; nobody means one of which a hundredth is filled.
_CELLS, _SHARE = 100_000_000, 100


class _Holes(NamedTuple):
    """What a series lacks between its first and its last value.

    Attributes:
        column: Its column.
        steps: Numbers along the timeline, from the first value to the last.
        known: Whether there is a value at each.
        absent: Whether there is no row at each.
    """

    column: int
    steps: np.ndarray
    known: np.ndarray
    absent: np.ndarray

    @property
    def needed(self) -> dict[str, int]:
        """What each repair would fill."""
        return {"missing": int((~self.known & ~self.absent).sum()), "gaps": int(self.absent.sum())}


def apart(rows: Rows, allowed: Collection[str], timed: bool) -> Laid:
    """Lays series along a timeline, each where it lies, from the first value of any to the last.

    Args:
        rows: The rows of all series as they stand in the file.
        allowed: Repairs that are allowed: what lacks within a series is interpolated.
        timed: Whether the file tells times.

    Returns:
        Values that are NaN before and after a series.

    Raises:
        DataError: Something needs a repair that is not allowed, a series has fewer than two values, or they lie too far
            apart.
    """
    timeline, numbers = Timeline(), rows.times
    moved: list[str] = []
    if timed:
        once = _at_any_time(rows)
        refuse_changes(once, allowed)
        rows = sorted_out(rows, allowed)
        timeline, _, moved = explained(rows if rows.owners is None else once)
        numbers = timeline.number(rows.times)
    owners = np.zeros(len(numbers), np.int32) if rows.owners is None else rows.owners
    shape = int(numbers.max()) + 1, max(len(rows.series), 1), len(rows.names)
    _check_size(rows, timeline, shape)
    grid = np.full(shape, np.nan)
    grid[numbers, owners] = rows.values
    values = grid.reshape(len(grid), -1)
    present = ~np.isnan(values)
    counts, firsts, ends = present.sum(0), present.argmax(0), len(present) - present[::-1].argmax(0)
    _check_enough(rows, counts)
    done = [*rows.done, *moved]
    if len(holed := np.flatnonzero(ends - firsts > counts)):
        absent = np.ones(shape[:2], bool)
        absent[numbers, owners] = False
        found = []
        for column in holed:
            steps = np.arange(firsts[column], ends[column])
            holes = _Holes(int(column), steps, present[steps, column], absent[steps, column // shape[2]])
            _check_holes(rows, timeline, numbers, holes, len(holed) - 1, allowed)
            values[steps, column] = np.interp(steps, steps[holes.known], values[steps[holes.known], column])
            found.append(holes)
        done.append(_told(found, rows.column_names()))
    first = int(firsts.min())
    return Laid(timeline, values[first : ends.max()], first, done)


def _at_any_time(rows: Rows) -> Rows:
    """A row for each time of whichever series; rows of one series as they are."""
    if rows.owners is None:
        return rows
    _, firsts = np.unique(rows.times, return_index=True)
    return rows.taken(firsts)._replace(series=(), owners=None)


def _check_size(rows: Rows, timeline: Timeline, shape: tuple[int, int, int]) -> None:
    """Refuses series that lie so far apart that hardly anything of their table would be filled."""
    cells = shape[0] * shape[1] * shape[2]
    if cells <= _CELLS or cells <= _SHARE * rows.values.size:
        return
    first, last = timeline.write(timeline.at(np.array([0, shape[0] - 1])))
    raise DataError(
        f"{rows.path} has {shape[1] * shape[2]} series and {rows.values.size} values, but {shape[0]} steps of "
        f"{timeline.step or timeline.every} lie between {first} and {last}; expected values at a hundredth of all "
        "steps at least; leave out series that lie far from the others, or put them into a file of their own"
    )


def _check_enough(rows: Rows, counts: np.ndarray) -> None:
    """Refuses series of which there is hardly anything.

    Args:
        rows: The rows of all series.
        counts: Number of values in each column.
    """
    few = np.flatnonzero(counts < 2)
    if not len(few):
        return
    names, flag = rows.column_names(), "--data.value" if rows.owners is None else "--data.series"
    more = f", and so few in {counted(len(few) - 1, 'other')}" if len(few) > 1 else ""
    raise DataError(
        f"{rows.path} has {counted(int(counts[few[0]]), 'value')} in series '{names[few[0]]}'{more}; expected 2 at "
        f"least; take it out of the file, or name the other series with {flag}"
    )


def _check_holes(
    rows: Rows, timeline: Timeline, numbers: np.ndarray, holes: _Holes, others: int, allowed: Collection[str]
) -> None:
    """Refuses what a series lacks, unless it may be interpolated and can be.

    Args:
        rows: Rows of all series.
        timeline: Their timeline.
        numbers: Their numbers along it.
        holes: What the series lacks.
        others: How many other series lack something.
        allowed: Repairs that are allowed.
    """
    owner, place = divmod(holes.column, len(rows.names))
    its = np.arange(len(numbers)) if rows.owners is None else np.flatnonzero(rows.owners == owner)
    own, whose = rows.taken(its), f" in series '{rows.column_names()[holes.column]}'"
    # Before a repair is advised that would be refused.
    complete = np.flatnonzero(~np.isnan(own.values[:, place]))
    check_invented(own, timeline, numbers[its], complete, "fill in what is missing", whose)
    lacking = [repair for repair, count in holes.needed.items() if count and repair not in allowed]
    if not lacking:
        return
    first, count = holes.steps[~holes.known][:1], int((~holes.known).sum())
    line = own.lines[np.searchsorted(numbers[its], first[0])]
    more = f"; {others} other series lack some, too" if others else ""
    raise DataError(
        f"{rows.path} line {line}: there is no value of {timeline.write(timeline.at(first))[0]}{whose}, the first of "
        f"{count} that lack between its first and its last{more}; fill in what lacks, or let "
        f"{' '.join(f'--data.repair+={repair}' for repair in lacking)} interpolate"
    )


def _told(found: Sequence[_Holes], names: Sequence[str]) -> str:
    """What was interpolated, in words."""

    def parts() -> Iterator[str]:
        for repair, thing in (("missing", "missing cell"), ("gaps", "absent step")):
            if count := sum(holes.needed[repair] for holes in found):
                yield counted(count, thing)

    whose = listed([repr(names[holes.column]) for holes in found], 3)
    return f"{' and '.join(parts())} interpolated in series {whose}"
