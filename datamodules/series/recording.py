"""Recorded series: what was measured when; read from a CSV file, whose faults are named by line."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from datamodules.cells.numbers import check_signs, is_number, missing_words, read_numbers
from datamodules.errors import DataError, listed
from datamodules.series.ahead import covariates_of, laid_ahead, parted
from datamodules.series.covariates import Covariates
from datamodules.series.filling import together
from datamodules.series.long import MOST, refuse_several, side_by_side, told_apart
from datamodules.series.moments import read_times
from datamodules.series.ragged import apart
from datamodules.series.rows import Rows, sorted_out
from datamodules.series.timeline import Timeline
from datamodules.table import Coded, check_columns, read_table

Repair = Literal["missing", "order", "duplicates", "gaps"]


class Recording(NamedTuple):
    """One or several series that were measured at the same, equidistant times.

    Args:
        name: What messages call it.
        values: In the series' own units, float64 ``(T, C)``, all finite but for ragged series: NaN stands before the
            first value of each and after its last.
        names: Of the series.
        timeline: When they were measured.
        repaired: What was done to the file, in words.
        covariates: What was recorded beside them.
    """

    name: str
    values: np.ndarray
    names: list[str]
    timeline: Timeline
    repaired: str = ""
    covariates: Covariates | None = None


def read_csv(
    path: str | Path,
    value: Sequence[str] | str | None = None,
    time: str | None = None,
    time_format: str | None = None,
    repair: Iterable[Repair] = (),
    *,
    id: str | None = None,
    series: Sequence[str | int] | str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    ragged: bool = False,
    past: Sequence[str] | str | None = None,
    known: Sequence[str] | str | None = None,
    future: str | Path | None = None,
) -> Recording:
    """Reads series from a CSV file: UTF-8, or UTF-16 that says so; its first line names the columns. Or from Parquet.

    Cells are separated by commas, tabs, semicolons or bars. Numbers may have decimal commas, and points, commas,
    spaces, apostrophes or underscores between thousands, wherever that can be read in one way only. Times are ISO 8601
    (``2024-01-31``, ``2024-01-31 14:30``), weeks, quarters or months (``2024-W05``, ``202405``, ``2024Q1``, ``Okt
    2024``), seconds, milli- or microseconds since 1970, whole numbers, other dates that can be read in one way only, or
    anything that ``time_format`` describes. They must follow each other at equal distances: of time, of months, or from
    Monday to Friday. Of the first or last business day of each month holidays may move some, which is told. Times with
    an offset from UTC become UTC, but for those that always show the same time of day: they are days of their own
    calendar. Without a column of times rows are taken to be equidistant and are numbered from zero.

    What is wrong is refused, unless its repair is allowed: ``missing`` cells and the steps in ``gaps`` are interpolated
    linearly in time, a third of the points at most and a tenth in one stretch; rows with missing cells at either end
    are dropped; ``order`` sorts by time; of ``duplicates``, rows of the same time, the mean is taken. Mind that an
    interpolated point knows of the one after it.

    Args:
        path: The file.
        value: Column, or columns, of the values; not needed if there is but one.
        time: Column of the times.
        time_format: How times are written, as for ``strptime``: ``%d.%m.%Y``; or ``excel`` for days that it counts.
        repair: Repairs that are allowed.
        id: Column that tells several series apart, which become columns beside each other.
        series: Those of them to read; all if left out.
        decimal: The decimal sign, where the file does not tell.
        thousands: The sign between thousands, likewise.
        ragged: Whether series may begin and end at different times, any number of them: those of ``id``, or of several
            columns whose first and last cells may be empty. What a series lacks in between is still refused, unless
            ``missing`` (of cells) or ``gaps`` (of rows) is allowed, a third of its points at most and a tenth in one
            stretch. A series has two values at least.
        past: Columns of covariates that are known up to now; those of each series where ``id`` tells them apart.
        known: Columns of covariates that are known ahead: rows behind the last value, with its cell empty, tell them.
        future: Another file that tells what is known ahead instead, with the same columns but for the values.

    Raises:
        DataError: The file is missing or cannot be understood, or something needs a repair that is not allowed.
    """
    path, repairs = Path(path), set(repair)
    _check_wishes(repairs, time, time_format, id, series)
    check_signs(decimal, thousands)
    value, past, known = (_as_list(names) for names in (value, past, known))
    beside = [*(past or ()), *(known or ())]
    if future is not None and not known:
        raise DataError(f"{future} is to tell what is known ahead, but names no column of it; use --data.known")
    chosen = None if series is None else list(map(str, _as_list(series) or ()))
    reading = partial(_read_rows, time=time, time_format=time_format, id=id, decimal=decimal, thousands=thousands)
    rows, labels = reading(path, value, beside)
    if id is not None and labels is not None:
        rows = sorted_out(told_apart(rows, labels, id, chosen, None if ragged else MOST), repairs)
    elif time is not None:
        refuse_several(rows, time, rows.names, repairs)
    count = len(rows.names) - len(beside)
    names, each = rows._replace(names=rows.names[:count]).column_names(), list(rows.series)
    if beside:
        rows, ahead = parted(rows, count)
        ahead = ahead.of_columns(len(rows.names) - len(known or ()))
    if future is not None:
        ahead, labels = reading(Path(future), known, [])
        if id is not None and labels is not None:
            ahead = told_apart(ahead, labels, id, each, None)
    if not ragged and rows.owners is not None:
        rows = side_by_side(rows, repairs)
    timeline, values, number, done = (apart if ragged else together)(rows, repairs, time is not None)
    covariates = None
    if beside:
        values = values.reshape(len(values), max(len(each), 1), -1)
        known_ahead = laid_ahead(ahead, timeline, number + len(values), repairs)
        covariates = covariates_of(
            past or [], known or [], values[..., count:], known_ahead, each, count if ragged else None
        )
        values = values[..., :count].reshape(len(values), -1)
    if number:
        first = timeline.at(np.array([number]))[0]
        timeline = replace(timeline, start=first if isinstance(first, np.datetime64) else int(first))
    timeline = replace(timeline, notation=rows.notation)
    return Recording(str(path), values, names, timeline, ", ".join(done), covariates)


def _as_list(names: Sequence[Any] | str | None) -> list[Any] | None:
    return [names] if isinstance(names, str) else None if names is None else list(names)


def _read_rows(
    path: Path,
    value: Sequence[str] | None,
    beside: Sequence[str],
    *,
    time: str | None,
    time_format: str | None,
    id: str | None,
    decimal: str | None,
    thousands: str | None,
) -> tuple[Rows, Coded | None]:
    """Rows as they stand in the file, covariates behind the values, and what tells the series of each."""
    others = [name for name in (time, id) if name is not None]
    columns, lines, delimiter = read_table(
        path, partial(_choose, path, value, others, beside), "decimal commas need ; between the cells",
        lambda name: thousands is None and name not in others, missing_words(), decimal,
    )  # fmt: skip
    moments, labels = (columns.pop(name) if name is not None else None for name in (time, id))
    each = list(read_numbers(path, columns, lines, delimiter, decimal, thousands).values())
    values = np.stack(each, axis=1) if len(each) > 1 else each[0][:, None]
    numbers = np.arange(len(values))
    rows = Rows(path, list(columns), numbers, numbers, values, lines)
    if time is not None and isinstance(moments, Coded):
        times, steps, notation = read_times(path, time, moments, lines, time_format)
        rows = rows._replace(moments=times, steps=steps, notation=notation)
    return rows, labels if isinstance(labels, Coded) else None


def _check_wishes(
    repairs: set[Repair], time: str | None, time_format: str | None, id: str | None, series: Sequence[str | int] | None
) -> None:
    """Tells what is wrong with what is asked for, whatever the file holds."""
    if unknown := sorted(repairs - set(get_args(Repair))):
        raise DataError(f"no repair '{unknown[0]}'; there are {', '.join(get_args(Repair))}")
    if time_format is not None and time is None:
        raise DataError(f"time_format is '{time_format}', but no column of times is named; name it with --data.time")
    if id is not None and time is None:
        raise DataError(f"id is '{id}', but no column of times is named; name it with --data.time")
    if series is not None and id is None:
        raise DataError(f"series is {series}, but no column tells series apart; name it with --data.id")


def _choose(
    path: Path, value: Sequence[str] | None, others: list[str], beside: Sequence[str], header: list[str]
) -> list[str]:
    """Names of the columns to read: those of times and labels, of values, of covariates."""
    if all(map(is_number, header)):
        raise DataError(f"{path} line 1: {', '.join(header)}; expected the names of the columns")
    check_columns(path, header, [*others, *beside])
    if value is None:
        value = [name for name in header if name not in {*others, *beside}]
        if len(value) != 1:
            raise DataError(
                f"{path} has the columns {listed(header)}; say which to forecast with --data.value, and which holds "
                "the times with --data.time"
            )
    if not value or len(set(value)) < len(value):
        raise DataError(f"value is {list(value)}, expected one column or several different ones")
    roles: dict[str, str] = {}
    named = [*zip(others, ("time", "id"), strict=False)]
    named += [*((name, "value") for name in value), *((name, "a covariate") for name in beside)]
    for name, role in named:
        if name in roles:
            raise DataError(f"column '{name}' is named both as {roles[name]} and as {role}")
        roles[name] = role
    return [*others, *value, *beside]
