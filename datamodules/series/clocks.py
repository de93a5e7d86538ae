"""Clocks on the wall that were put back in autumn and forward in spring: an hour comes twice, another never."""

from collections.abc import Collection

import numpy as np

from datamodules.errors import DataError
from datamodules.series.rows import Rows

_HOUR = np.timedelta64(1, "h")
# Clocks are changed in the early hours of a Sunday in one of these months, in both hemispheres.
_MONTHS, _LATEST = (3, 4, 9, 10, 11), 4


def refuse_changes(rows: Rows, allowed: Collection[str]) -> None:
    """Refuses rows whose faults are those of a change of clocks; other faults are told elsewhere.

    Args:
        rows: The rows as they stand in the file.
        allowed: Repairs that are allowed.

    Raises:
        DataError: What the changes take is not allowed.
    """
    if rows.times.dtype.kind != "M" or len(rows.times) < 3:
        return
    once, firsts, counts = np.unique(rows.times, return_index=True, return_counts=True)
    steps = np.diff(once)
    step = steps.min() if len(steps) else _HOUR * 2
    if step > _HOUR or _HOUR % step:
        return
    twice, absent = np.flatnonzero(counts > 1), np.flatnonzero(steps > step)
    forward = absent[(steps[absent] == step + _HOUR) & _may_change(once[absent] + step)]
    back = (np.diff(rows.times) < np.timedelta64(0)).any()
    if not _may_change(once[twice]).all() or not (len(twice) or len(forward) == len(absent) > 0):
        return
    needed = {"order": bool(back), "duplicates": len(twice) > 0, "gaps": len(absent) > 0}
    lacking = [repair for repair, need in needed.items() if need and repair not in allowed]
    if not lacking:
        return
    skipped = rows.write(once[forward][0] + step) if len(forward) else ""
    if len(twice):
        at = int(firsts[twice[0]])
        found = f"{rows.told(at)} comes twice, as when clocks are put back"
        found += f", and {skipped} never, as when they are put forward" if skipped else ""
    else:
        at = int(firsts[forward[0] + 1])
        found = f"{skipped} is absent, as when clocks are put forward"
    cures = {"duplicates": "take the mean of hours that come twice", "gaps": "interpolate absent ones"}
    raise DataError(
        f"{rows.path} line {rows.lines[at]}: {found}; write every time with its offset from UTC, such as "
        f"{rows.told(at)}+02:00, or let {' '.join(f'--data.repair+={repair}' for repair in lacking)} "
        + " and ".join(cure for repair, cure in cures.items() if needed[repair])
    )


def _may_change(times: np.ndarray) -> np.ndarray:
    """Whether clocks may be changed at times."""
    days = times.astype("M8[D]")
    sunday = (days.astype(np.int64) + 4) % 7 == 0
    months = times.astype("M8[M]").astype(np.int64) % 12 + 1
    hours = (times - days) // _HOUR
    return sunday & np.isin(months, _MONTHS) & (hours < _LATEST)
