"""What a series lacks: cells without a number and absent steps, interpolated as far as that is allowed and sane."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from datamodules.errors import DataError, listed
from datamodules.series.clocks import refuse_changes
from datamodules.series.moments import EXCEL
from datamodules.series.numbers import name_lines
from datamodules.series.rows import Rows, sorted_out
from datamodules.series.timeline import Timeline

# Beyond a third a file tells too little of what is said to be measured, and from a long stretch a model learns straight
# lines; of a short file a few points may be any share.
_MOST, _STRETCH, _FEW = 3, 10, 3


class Laid(NamedTuple):
    """Rows laid along a timeline.

    Attributes:
        timeline: The timeline.
        values: Of all its points from the first row to the last, ``(T, C)``.
        first: The number of the first of them.
        done: What has been repaired, in words.
    """

    timeline: Timeline
    values: np.ndarray
    first: int
    done: list[str]


def together(rows: Rows, allowed: Collection[str], timed: bool) -> Laid:
    """Lays series that share their times along a timeline.

    Args:
        rows: The rows as they stand in the file.
        allowed: Repairs that are allowed.
        timed: Whether the file tells times.

    Raises:
        DataError: Something needs a repair that is not allowed.
    """
    timeline, numbers = Timeline(), rows.times
    moved: list[str] = []
    if timed:
        refuse_changes(rows, allowed)
        rows = sorted_out(rows, allowed)
        timeline, numbers, moved = _numbered(rows, allowed)
    values, numbers, done = _filled(rows, timeline, numbers, allowed)
    return Laid(timeline, values, int(numbers[0]), [*rows.done, *moved, *done])


def _numbered(rows: Rows, allowed: Collection[str]) -> tuple[Timeline, np.ndarray, list[str]]:
    """What :func:`explained` finds.

    Raises:
        DataError: No timeline does, or steps are absent and that must not be repaired.
    """
    timeline, numbers, done = explained(rows)
    step = timeline.step or str(timeline.every)
    absent = int(numbers[-1] + 1 - len(numbers))
    # Before a repair is advised that would be refused.
    check_invented(
        rows, timeline, numbers, np.arange(len(numbers)), "leave out --data.time, by which rows count as equidistant"
    )
    if absent and "gaps" not in allowed:
        after = int(np.flatnonzero(np.diff(numbers) > 1)[0])
        raise DataError(
            f"{rows.path} line {rows.lines[after + 1]}: {rows.told(after + 1)} follows {rows.told(after)}, expected a "
            f"row every {step}; {absent} are absent in all, beside {len(numbers)} that are there; add them, or let "
            f"--data.repair+=gaps interpolate{_hint(rows)}"
        )
    return timeline, numbers, done


def explained(rows: Rows) -> tuple[Timeline, np.ndarray, list[str]]:
    """The timeline on which all times lie but for holidays, their numbers along it, and what holidays moved, in words.

    Raises:
        DataError: There is none.
    """
    trading = Timeline.find_trading(rows.times)
    if trading is not None:
        moved = np.flatnonzero(~trading.holds(rows.times))
        which = f"{'first' if trading.day == 1 else 'last'} business day"
        told = listed([rows.told(int(place)) for place in moved], 3)
        return trading, trading.number(rows.times), [f"{told} taken for the {which} of the month"]
    timeline = Timeline.find(rows.times)
    if (wrong := ~timeline.holds(rows.times)).any():
        odd = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{rows.path} line {rows.lines[odd]}: {rows.told(odd)} is no whole number of steps of "
            f"{timeline.step or timeline.every} after {rows.told(0)}; expected equal distances; without --data.time "
            f"rows count as equidistant{_hint(rows)}"
        )
    return timeline, timeline.number(rows.times), []


def _hint(rows: Rows) -> str:
    """What else whole numbers may be that are no equidistant times: days of the years 1954 to 2119."""
    whole = rows.times.dtype.kind == "i" and ((rows.times >= 20_000) & (rows.times < 80_000)).all()
    return f"; {EXCEL}" if whole else ""


def _filled(
    rows: Rows, timeline: Timeline, numbers: np.ndarray, allowed: Collection[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Interpolates between the first and the last row that lack nothing; rows before and after these are dropped.

    Returns:
        The values, their numbers along the timeline, and what was done, in words.

    Raises:
        DataError: Cells have no number and that must not be repaired, or too much would be invented.
    """
    missing = np.isnan(rows.values)
    complete = np.flatnonzero(~missing.any(1))
    if len(complete):
        check_invented(rows, timeline, numbers, complete, "fill in cells without a number")
    _check_missing(rows, missing, complete, allowed)
    kept = slice(complete[0], complete[-1] + 1)
    there, values, numbers = ~missing[kept], rows.values[kept], numbers[kept]
    done: list[str] = []
    # Most files lack nothing.
    if there.all() and len(numbers) == numbers[-1] - numbers[0] + 1 and len(numbers) == len(missing):
        return values, numbers, done
    if dropped := len(missing) - len(numbers):
        gone = np.delete(rows.lines, kept)
        done.append(
            f"{counted(dropped, 'row')} of {len(missing)} without a number dropped at the ends ({_spans(gone)})"
        )
    if count := int((~there).sum()):
        done.append(f"{counted(count, 'missing cell')} interpolated ({name_lines(rows.lines[kept][~there.all(1)])})")
    steps = np.arange(numbers[0], numbers[-1] + 1)
    absent = np.setdiff1d(steps, numbers)
    if len(absent):
        times = listed(timeline.write(timeline.at(absent)), 3)
        done.append(f"{counted(len(absent), 'absent step')} interpolated ({times})")
    columns = [np.interp(steps, numbers[known], column[known]) for column, known in zip(values.T, there.T, strict=True)]
    return np.stack(columns, axis=1), steps, done


def _check_missing(rows: Rows, missing: np.ndarray, complete: np.ndarray, allowed: Collection[str]) -> None:
    """Refuses cells without a number, unless they may be repaired and can be."""
    for name, absent in zip(rows.names, missing.T, strict=True):
        if absent.all():
            raise DataError(f"{rows.path} has no number in column '{name}'")
        if absent.any() and "missing" not in allowed:
            ends = int(absent.argmin() + absent[::-1].argmin())
            drop = f" and drop the {counted(ends, 'row')} at the ends" if ends else ""
            raise DataError(
                f"{rows.path} {name_lines(rows.lines[absent])}: no number in column '{name}'; fill it in, or let "
                f"--data.repair+=missing interpolate{drop}"
            )
    if not len(complete):
        raise DataError(f"{rows.path} has no row without missing cells")


def check_invented(
    rows: Rows, timeline: Timeline, numbers: np.ndarray, complete: np.ndarray, cure: str, whose: str = ""
) -> None:
    """Refuses a series of which too much would be interpolated, allowed or not.

    Args:
        rows: The rows.
        timeline: Their timeline.
        numbers: Their numbers along it.
        complete: Places of the rows that lack nothing.
        cure: What may be done about it.
        whose: What is added about the series of the rows, if there are several.
    """
    known = numbers[complete]
    stretches = np.diff(known, append=known[-1] + 1) - 1
    total, count, at = int(known[-1] - known[0] + 1), int(stretches.sum()), int(stretches.argmax())
    stretch = int(stretches[at])
    if count <= max(_FEW, total // _MOST) and stretch <= max(_FEW, total // _STRETCH):
        return
    first, last = timeline.write(timeline.at(known[at] + np.array([1, stretch])))
    raise DataError(
        f"{rows.path} line {rows.lines[complete[at + 1]]}: before it {stretch} points are missing{whose}, from "
        f"{first} to {last}, and {count} of {total} in all; so many cannot be interpolated: expected a third at most, "
        f"and a tenth in one stretch; cut the file to a part that lacks less, or {cure}"
    )


def counted(count: int, thing: str) -> str:
    """A number of things: ``1 row``, ``2 rows``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _spans(lines: np.ndarray) -> str:
    """Lines of a file as what they span: ``lines 2 to 21, 233 to 251``."""
    breaks = np.flatnonzero(np.diff(lines) > 1) + 1
    spans = [str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}" for span in np.split(lines, breaks)]
    return f"line{'s' if len(lines) > 1 else ''} {listed(spans, 5)}"
