"""Files with a row for each time *and* series, which a column tells apart: one column for each is made of them."""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from datamodules.errors import DataError, did_you_mean, listed
from datamodules.series.numbers import is_number
from datamodules.series.rows import Rows
from datamodules.table import Coded, read_table

# More are hardly meant to be columns of one model.
MOST = 100


def told_apart(rows: Rows, labels: Coded, column: str, chosen: Sequence[str] | None, most: int | None) -> Rows:
    """Rows that know which series they are of.

    Args:
        rows: Those of all series.
        labels: What tells the series of each row.
        column: Its column.
        chosen: The series to take, in this order; all if left out.
        most: How many there may be; None if any number.

    Raises:
        DataError: A series is not there, or there are too many.
    """
    there = labels.distinct
    if "" in there:
        line = rows.lines[labels.rows([there.index("")])[0]]
        raise DataError(f"{rows.path} line {line}: column '{column}' is empty; expected a series' name")
    if chosen is not None and len(set(chosen)) < max(1, len(chosen)):
        raise DataError(f"series is {list(chosen)}, expected one or several different ones")
    names = there if chosen is None else list(chosen)
    places = {name: place for place, name in enumerate(there)}
    for name in names:
        if name not in places:
            hint = did_you_mean(name, there) or f"; there are {listed(there)}"
            raise DataError(f"{rows.path} has no series '{name}' in column '{column}'{hint}")
    if most is not None and len(names) > most:
        raise DataError(
            f"{rows.path} has {len(names)} series in column '{column}', expected {most} at most; name some with "
            f"--data.series {shlex.quote(there[0])}"
        )
    if chosen is None:
        return rows._replace(series=names, owners=labels.codes)
    owners = np.full(len(there), -1, np.int32)
    owners[[places[name] for name in names]] = np.arange(len(names))
    owners = owners[labels.codes]
    return rows._replace(series=names, owners=owners).taken(np.flatnonzero(owners >= 0))


def side_by_side(rows: Rows, allowed: Collection[str]) -> Rows:
    """Series as columns, a row for each time.

    Args:
        rows: Those of all series, sorted out.
        allowed: Repairs that are allowed.

    Returns:
        Rows with NaN where a series lacks a time.

    Raises:
        DataError: Their times differ, and that must not be repaired.
    """
    assert rows.owners is not None
    times, firsts, steps = np.unique(rows.times, return_index=True, return_inverse=True)
    there = np.zeros((len(times), len(rows.series)), bool)
    there[steps, rows.owners] = True
    if not there.all() and "missing" not in allowed:
        owner = int(there.all(0).argmin())
        lacking = np.flatnonzero(~there[:, owner])
        raise DataError(
            f"{rows.path} lacks {len(lacking)} of {len(times)} times in series '{rows.series[owner]}', the first "
            f"{rows._replace(times=times).told(int(lacking[0]))}; expected the same times in all; name series that "
            "share them with --data.series, or let --data.repair+=missing interpolate and drop what not all have at "
            "the ends"
        )
    values = np.full((*there.shape, len(rows.names)), np.nan)
    values[steps, rows.owners] = rows.values
    return rows._replace(
        names=rows.column_names(), times=times, values=values.reshape(len(times), -1), lines=rows.lines[firsts],
        series=(), owners=None,
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
        + (f"all of them with {flag}, or one with {one}" if len(names) <= MOST else f"some of them with {one}")
    )


def _labels(path: Path, times: np.ndarray, known: set[str], numbers: bool) -> dict[str, list[str]]:
    """Columns that tell rows of the same time apart, and what they hold; numbers count as labels if they may."""

    def others(header: list[str]) -> list[str]:
        return [name for name in header if name not in known and header.count(name) == 1]

    found = {}
    for column, cells in read_table(path, others).columns.items():
        assert isinstance(cells, Coded)
        names = cells.distinct
        few = 1 < len(names) <= len(cells.codes) / 2 and "" not in names
        if few and (numbers or not all(map(is_number, names))) and _tells_apart(times, cells.codes):
            found[column] = names
    return found


def _tells_apart(times: np.ndarray, codes: np.ndarray) -> bool:
    """Whether no two rows are of the same time and have the same code."""
    order = np.lexsort((codes, times))
    times, codes = times[order], codes[order]
    return not ((times[1:] == times[:-1]) & (codes[1:] == codes[:-1])).any()
