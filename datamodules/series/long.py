"""Files with a row for each time *and* series, told apart by a column: one column for each series is made of them."""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from datamodules.errors import DataError, did_you_mean, listed
from datamodules.series.numbers import is_number
from datamodules.series.rows import Rows, sorted_out
from datamodules.table import read_columns

# More are hardly meant to be columns of one model.
_MOST = 100


def side_by_side(
    rows: Rows, labels: list[str], column: str, chosen: Sequence[str] | None, allowed: Collection[str]
) -> Rows:
    """Series as columns, a row for each time.

    Args:
        rows: Those of all series.
        labels: What tells the series of each row.
        column: Its column.
        chosen: The series to take, in this order; all if left out.
        allowed: Repairs that are allowed.

    Returns:
        Rows with NaN where a series lacks a time.

    Raises:
        DataError: A series is not there, there are too many, or their times differ and that must not be repaired.
    """
    if "" in labels:
        raise DataError(
            f"{rows.path} line {rows.lines[labels.index('')]}: column '{column}' is empty; expected a series' name"
        )
    if chosen is not None and len(set(chosen)) < max(1, len(chosen)):
        raise DataError(f"series is {list(chosen)}, expected one or several different ones")
    there = list(dict.fromkeys(labels))
    for name in chosen or ():
        if name not in there:
            hint = did_you_mean(name, there) or f"; there are {listed(there)}"
            raise DataError(f"{rows.path} has no series '{name}' in column '{column}'{hint}")
    names = list(chosen or there)
    if len(names) > _MOST:
        raise DataError(
            f"{rows.path} has {len(names)} series in column '{column}', expected {_MOST} at most; name some with "
            f"--data.series {shlex.quote(there[0])}"
        )
    several, places = len(rows.names) > 1, np.array(labels)
    parts = []
    for name in names:
        part = rows.taken(np.flatnonzero(places == name))._replace(whose=f" in series '{name}'")
        parts.append(sorted_out(part, allowed))
    times, firsts = np.unique(np.concatenate([part.times for part in parts]), return_index=True)
    for name, part in zip(names, parts, strict=True):
        lacking = np.isin(times, part.times, invert=True)
        if lacking.any() and "missing" not in allowed:
            first = rows._replace(times=times).told(int(np.flatnonzero(lacking)[0]))
            raise DataError(
                f"{rows.path} lacks {lacking.sum()} of {len(times)} times in series '{name}', the first {first}; "
                "expected the same times in all; name series that share them with --data.series, or let "
                "--data.repair+=missing interpolate and drop what not all have at the ends"
            )
    values = np.full((len(times), len(parts), len(rows.names)), np.nan)
    for place, part in enumerate(parts):
        values[np.searchsorted(times, part.times), place] = part.values
    columns = [f"{name} {value}" if several else name for name in names for value in rows.names]
    lines = np.concatenate([part.lines for part in parts])[firsts]
    return Rows(
        rows.path, rows.names if several and len(names) == 1 else columns, times, values.reshape(len(times), -1), lines,
        rows.notation, done=tuple(one for part in parts for one in part.done),
    )  # fmt: skip


def refuse_several(rows: Rows, time: str, value: Sequence[str], allowed: Collection[str]) -> None:
    """Refuses rows that seem to be of several series, of which no mean should be taken.

    Args:
        rows: The rows as they stand in the file.
        time: Column of the times.
        value: Columns of the values.
        allowed: Repairs that are allowed: of as many duplicates as times no mean is taken nevertheless.

    Raises:
        DataError: Many rows are of the same time, and a column tells them apart.
    """
    count = len(np.unique(rows.times))
    many = len(rows.times) - count >= count / 2
    if len(rows.times) == count or ("duplicates" in allowed and not many):
        return
    labels = _labels(rows.path, rows.times, {time, *value}, numbers=many)
    if not labels:
        return
    column = min(labels, key=lambda name: len(labels[name]))
    names, flag = labels[column], f"--data.id {shlex.quote(column)}"
    one = f"{flag} --data.series {shlex.quote(names[0])}"
    raise DataError(
        f"{rows.path} seems to hold {len(names)} series, told apart by column '{column}' ({listed(names, 3)}): "
        f"{len(rows.times)} rows of {count} times; forecast "
        + (f"all of them with {flag}, or one with {one}" if len(names) <= _MOST else f"some of them with {one}")
    )


def _labels(path: Path, times: np.ndarray, known: set[str], numbers: bool) -> dict[str, list[str]]:
    """Columns that tell rows of the same time apart, and what they hold; numbers count as labels if they may."""

    def others(header: list[str]) -> list[str]:
        return [name for name in header if name not in known and header.count(name) == 1]

    columns = read_columns(path, others, "").cells
    found = {}
    for column, cells in columns.items():
        names = list(dict.fromkeys(cells))
        few = 1 < len(names) <= len(cells) / 2 and "" not in names
        if (
            few
            and (numbers or not all(map(is_number, names)))
            and len(set(zip(times.tolist(), cells, strict=True))) == len(cells)
        ):
            found[column] = names
    return found
