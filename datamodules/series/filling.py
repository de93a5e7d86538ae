"""What a series lacks: cells without a number and absent steps, interpolated as far as that is allowed and sane."""

from collections.abc import Collection

import numpy as np

from datamodules.errors import DataError, listed
from datamodules.series.numbers import name_lines
from datamodules.series.rows import Rows
from datamodules.series.timeline import Timeline

# Beyond a third a file tells too little of what is said to be measured, and from a long stretch a model learns straight
# lines; of a short file a few points may be any share.
_MOST, _STRETCH, _FEW = 3, 10, 3


def numbered(rows: Rows, allowed: Collection[str]) -> tuple[Timeline, np.ndarray]:
    """Numbers rows along the timeline that explains their times.

    Raises:
        DataError: No timeline does, or steps are absent and that must not be repaired.
    """
    timeline = Timeline.find(rows.times)
    step = timeline.step or str(timeline.every)
    if (wrong := ~timeline.holds(rows.times)).any():
        odd = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{rows.path} line {rows.lines[odd]}: {rows.told(odd)} is no whole number of steps of {step} after "
            f"{rows.told(0)}; expected equal distances; without --data.time rows count as equidistant"
        )
    numbers = timeline.number(rows.times)
    absent = int(numbers[-1] + 1 - len(numbers))
    # Before a repair is advised that would be refused.
    _check_invented(
        rows, timeline, numbers, np.arange(len(numbers)), "leave out --data.time, by which rows count as equidistant"
    )
    if absent and "gaps" not in allowed:
        after = int(np.flatnonzero(np.diff(numbers) > 1)[0])
        raise DataError(
            f"{rows.path} line {rows.lines[after + 1]}: {rows.told(after + 1)} follows {rows.told(after)}, expected a "
            f"row every {step}; {absent} are absent in all, beside {len(numbers)} that are there; add them, or let "
            "--data.repair+=gaps interpolate"
        )
    return timeline, numbers


def filled(
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
        _check_invented(rows, timeline, numbers, complete, "fill in cells without a number")
    _check_missing(rows, missing, complete, allowed)
    kept = slice(complete[0], complete[-1] + 1)
    there, values, numbers = ~missing[kept], rows.values[kept], numbers[kept]
    done: list[str] = []
    # Most files lack nothing.
    if there.all() and len(numbers) == numbers[-1] - numbers[0] + 1 and len(numbers) == len(missing):
        return values, numbers, done
    if dropped := len(missing) - len(numbers):
        gone = np.delete(rows.lines, kept)
        done.append(f"{_count(dropped, 'row')} of {len(missing)} without a number dropped at the ends ({_spans(gone)})")
    if count := int((~there).sum()):
        done.append(f"{_count(count, 'missing cell')} interpolated ({name_lines(rows.lines[kept][~there.all(1)])})")
    steps = np.arange(numbers[0], numbers[-1] + 1)
    absent = np.setdiff1d(steps, numbers)
    if len(absent):
        times = listed(timeline.write(timeline.at(absent)), 3)
        done.append(f"{_count(len(absent), 'absent step')} interpolated ({times})")
    columns = [np.interp(steps, numbers[known], column[known]) for column, known in zip(values.T, there.T, strict=True)]
    return np.stack(columns, axis=1), steps, done


def _check_missing(rows: Rows, missing: np.ndarray, complete: np.ndarray, allowed: Collection[str]) -> None:
    """Refuses cells without a number, unless they may be repaired and can be."""
    for name, absent in zip(rows.names, missing.T, strict=True):
        if absent.all():
            raise DataError(f"{rows.path} has no number in column '{name}'")
        if absent.any() and "missing" not in allowed:
            ends = int(absent.argmin() + absent[::-1].argmin())
            drop = f" and drop the {_count(ends, 'row')} at the ends" if ends else ""
            raise DataError(
                f"{rows.path} {name_lines(rows.lines[absent])}: no number in column '{name}'; fill it in, or let "
                f"--data.repair+=missing interpolate{drop}"
            )
    if not len(complete):
        raise DataError(f"{rows.path} has no row without missing cells")


def _check_invented(rows: Rows, timeline: Timeline, numbers: np.ndarray, complete: np.ndarray, cure: str) -> None:
    """Refuses a series of which too much would be interpolated, allowed or not.

    Args:
        rows: The rows.
        timeline: Their timeline.
        numbers: Their numbers along it.
        complete: Places of the rows that lack nothing.
        cure: What may be done about it.
    """
    known = numbers[complete]
    stretches = np.diff(known, append=known[-1] + 1) - 1
    total, count, at = int(known[-1] - known[0] + 1), int(stretches.sum()), int(stretches.argmax())
    stretch = int(stretches[at])
    if count <= max(_FEW, total // _MOST) and stretch <= max(_FEW, total // _STRETCH):
        return
    first, last = timeline.write(timeline.at(known[at] + np.array([1, stretch])))
    raise DataError(
        f"{rows.path} line {rows.lines[complete[at + 1]]}: before it {stretch} points are missing, from {first} to "
        f"{last}, and {count} of {total} in all; so many cannot be interpolated: expected a third at most, and "
        f"a tenth in one stretch; cut the file to a part that lacks less, or {cure}"
    )


def _count(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' if count > 1 else ''}"


def _spans(lines: np.ndarray) -> str:
    """Lines of a file as what they span: ``lines 2 to 21, 233 to 251``."""
    breaks = np.flatnonzero(np.diff(lines) > 1) + 1
    spans = [str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}" for span in np.split(lines, breaks)]
    return f"line{'s' if len(lines) > 1 else ''} {listed(spans, 5)}"
