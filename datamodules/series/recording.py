"""Recorded series: what was measured when; read from a CSV file, whose faults are named by line."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from datamodules.errors import DataError
from datamodules.series.timeline import Timeline, written
from datamodules.table import check_column, read_columns

Repair = Literal["missing", "order", "duplicates", "gaps"]

# What people and programs write where there is no number, in lower case.
_MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "."}


class Recording(NamedTuple):
    """One or several series that were measured at the same, equidistant times.

    Args:
        name: What messages call it.
        values: In the series' own units, float64 ``(T, C)``, all finite.
        names: Of the series.
        timeline: When they were measured.
        repaired: What was done to the file, in words.
    """

    name: str
    values: np.ndarray
    names: list[str]
    timeline: Timeline
    repaired: str = ""


def read_csv(
    path: str | Path,
    value: Sequence[str] | str | None = None,
    time: str | None = None,
    time_format: str | None = None,
    repair: Iterable[Repair] = (),
) -> Recording:
    """Reads series from a CSV file: UTF-8, its first line names the columns.

    Cells are separated by commas, tabs or semicolons; with semicolons numbers may have decimal commas. Times are ISO
    8601 (``2024-01-31``, ``2024-01-31 14:30``; with an offset they become UTC), whole numbers, or anything that
    ``time_format`` describes. They must follow each other at equal distances: of time, of months, or from Monday to
    Friday. Without a column of times the rows are taken to be equidistant and are numbered from zero.

    What is wrong is refused, unless its repair is allowed: ``missing`` cells and the steps in ``gaps`` are interpolated
    linearly in time, rows with missing cells at either end are dropped; ``order`` sorts by time; of ``duplicates``,
    rows of the same time, the mean is taken. Mind that an interpolated point knows of the one after it.

    Args:
        path: The file.
        value: Column, or columns, of the values; not needed if there is but one.
        time: Column of the times.
        time_format: How times are written, as for ``strptime``: ``%d.%m.%Y``.
        repair: Repairs that are allowed.

    Raises:
        DataError: The file is missing or cannot be understood, or something needs a repair that is not allowed.
    """
    path, repairs = Path(path), set(repair)
    if unknown := sorted(repairs - set(get_args(Repair))):
        raise DataError(f"no repair '{unknown[0]}'; there are {', '.join(get_args(Repair))}")
    if time_format is not None and time is None:
        raise DataError(f"time_format is '{time_format}', but no column of times is named; name it with --data.time")
    value = [value] if isinstance(value, str) else value
    columns, lines, delimiter = read_columns(
        path, partial(_choose, path, value, time), "decimal commas need ; between the cells"
    )
    decimal_comma = delimiter == ";"
    written = columns.pop(time) if time is not None else None
    values = np.stack([_to_numbers(path, name, columns[name], lines, decimal_comma) for name in columns], axis=1)
    done = []

    missing = np.isnan(values)
    for name, absent in zip(columns, missing.T, strict=True):
        if absent.all():
            raise DataError(f"{path} has no number in column '{name}'")
        if absent.any() and "missing" not in repairs:
            raise DataError(
                f"{path} {_listed(lines[absent])}: no number in column '{name}'; fill it in, or let "
                "--data.repair+=missing interpolate"
            )
    if missing.any():
        done.append(f"missing cells ({missing.sum()})")

    if written is None:
        timeline, numbers = Timeline(), np.arange(len(values))
    else:
        times = _to_times(path, str(time), written, lines, time_format)
        if (np.diff(times.astype(np.int64)) < 0).any():
            times, values, lines = _sort(path, times, values, lines, "order" in repairs)
            done.append("rows sorted")
        if (np.diff(times.astype(np.int64)) == 0).any():
            count = len(times)
            times, values, lines = _merge(path, times, values, lines, "duplicates" in repairs)
            done.append(f"duplicates ({count - len(times)})")
        timeline, numbers, absent_steps = _number(path, times, lines, "gaps" in repairs)
        if absent_steps:
            done.append(f"absent steps ({absent_steps})")

    if done:
        values, numbers = _fill(path, values, numbers)
        first = timeline.at(numbers[:1])[0]
        start = first if isinstance(first, np.datetime64) else int(first)
        timeline = Timeline(start, timeline.every, timeline.unit, timeline.day)
    return Recording(str(path), values, list(columns), timeline, ", ".join(done))


def _choose(path: Path, value: Sequence[str] | None, time: str | None, header: list[str]) -> list[str]:
    """Names of the columns to read, the time first."""
    if all(_is_number(name) for name in header):
        raise DataError(f"{path} line 1: {', '.join(header)}; expected the names of the columns")
    if time is not None:
        check_column(path, header, time)
    if value is None:
        value = [name for name in header if name != time]
        if len(value) != 1:
            raise DataError(
                f"{path} has the columns {', '.join(header)}; say which to forecast with --data.value, and which holds "
                "the times with --data.time"
            )
    if not value or len(set(value)) < len(value):
        raise DataError(f"value is {list(value)}, expected one column or several different ones")
    if time in value:
        raise DataError(f"column '{time}' is named both as time and as value")
    return [*([time] if time is not None else []), *value]


def _is_number(text: str) -> bool:
    try:
        _number_of(text)
    except ValueError:
        return False
    return True


def _number_of(text: str) -> float:
    """What Python takes for a number, but for underscores between digits."""
    if "_" in text:
        raise ValueError(text)
    return float(text)


def _to_numbers(path: Path, name: str, cells: list[str], lines: np.ndarray, decimal_comma: bool) -> np.ndarray:
    """Numbers of a column, NaN where a cell says that there is none."""
    if decimal_comma and not any("." in cell for cell in cells if cell.lower() not in _MISSING):
        cells = [cell.replace(",", ".") for cell in cells]
    try:
        numbers = np.array(list(map(_number_of, cells)))
    except ValueError:
        plain = ["nan" if cell.lower() in _MISSING else cell for cell in cells]
        wrong = np.array([not _is_number(cell) for cell in plain])
        if wrong.any():
            raise DataError(
                f"{path} {_listed(lines[wrong])}: '{next(compress(cells, wrong))}' in column '{name}' is not a number; "
                "expected digits with one decimal sign, or nothing"
            ) from None
        numbers = np.array(list(map(_number_of, plain)))
    if (wrong := np.isinf(numbers)).any():
        raise DataError(f"{path} {_listed(lines[wrong])}: infinite in column '{name}'; expected a number, or nothing")
    return numbers


def _to_times(path: Path, name: str, cells: list[str], lines: np.ndarray, time_format: str | None) -> np.ndarray:
    """Whole numbers or ``datetime64[us]``, whichever the first cell is."""
    if time_format is None and re.fullmatch(r"-?\d+", cells[0]) and not _is_compact_date(cells[0]):
        wrong = np.array([not re.fullmatch(r"-?\d{1,18}", cell) for cell in cells])
        expected = "a whole number as in the rows before"
        times = np.array([0 if bad else int(cell) for cell, bad in zip(cells, wrong, strict=True)], dtype=np.int64)
    else:
        moments = [_to_moment(cell, time_format) for cell in cells]
        wrong = np.array([moment is None for moment in moments])
        expected = "a time such as 2024-01-31 or 2024-01-31 14:30, or one described by --data.time_format '%d.%m.%Y'"
        if time_format is not None:
            expected = f"a time written as {time_format}"
        times = np.array(moments, dtype="M8[us]")
    if wrong.any():
        raise DataError(
            f"{path} {_listed(lines[wrong])}: '{next(compress(cells, wrong))}' in column '{name}'; expected {expected}"
        )
    return times


def _to_moment(text: str, time_format: str | None) -> datetime | None:
    try:
        if time_format is not None:
            moment = datetime.strptime(text, time_format)
        else:
            moment = datetime.fromisoformat(f"{text}-01" if re.fullmatch(r"\d{4}-\d\d", text) else text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment
    except (ValueError, OverflowError):
        return None


def _is_compact_date(text: str) -> bool:
    return bool(re.fullmatch(r"(1[6-9]|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", text))


def _sort(
    path: Path, times: np.ndarray, values: np.ndarray, lines: np.ndarray, allowed: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not allowed:
        late = int(np.flatnonzero(np.diff(times).astype(np.int64) < 0)[0])
        raise DataError(
            f"{path} line {lines[late + 1]}: {written(times[late + 1])} comes after {written(times[late])}; expected "
            "ascending times; sort the rows, or let --data.repair+=order do so"
        )
    order = times.argsort(kind="stable")
    return times[order], values[order], lines[order]


def _merge(
    path: Path, times: np.ndarray, values: np.ndarray, lines: np.ndarray, allowed: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    times, firsts, counts = np.unique(times, return_index=True, return_counts=True)
    if not allowed:
        twice = int(np.flatnonzero(counts > 1)[0])
        same = lines[firsts[twice] : firsts[twice] + counts[twice]]
        raise DataError(
            f"{path} {_listed(same)} are all of {written(times[twice])}, and there are {len(lines)} rows of "
            f"{len(times)} times; expected every time once; remove some, or let --data.repair+=duplicates take the mean"
        )
    there = ~np.isnan(values)
    sums = np.add.reduceat(np.where(there, values, 0), firsts)
    present = np.add.reduceat(there.astype(int), firsts)
    return times, np.where(present > 0, sums / np.maximum(present, 1), np.nan), lines[firsts]


def _number(path: Path, times: np.ndarray, lines: np.ndarray, allowed: bool) -> tuple[Timeline, np.ndarray, int]:
    """Numbers times along the timeline that explains them, and counts the steps that are absent."""
    timeline = Timeline.find(times)
    step = timeline.step or str(timeline.every)
    if (wrong := ~timeline.holds(times)).any():
        odd = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{path} line {lines[odd]}: {written(times[odd])} is no whole number of steps of {step} after "
            f"{written(times[0])}; expected equal distances; without --data.time rows count as equidistant"
        )
    numbers = timeline.number(times)
    absent = int(numbers[-1] + 1 - len(numbers))
    if absent and not (allowed and absent <= len(numbers)):
        after = int(np.flatnonzero(np.diff(numbers) > 1)[0])
        cure = "let --data.repair+=gaps interpolate"
        if absent > len(numbers):
            cure = "without --data.time rows count as equidistant; so many cannot be interpolated"
        raise DataError(
            f"{path} line {lines[after + 1]}: {written(times[after + 1])} follows {written(times[after])}, expected "
            f"a row every {step}; {absent} are absent in all; add them, or {cure}"
        )
    return timeline, numbers, absent


def _fill(path: Path, values: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolates between the first and the last row that lack nothing."""
    complete = np.flatnonzero(~np.isnan(values).any(1))
    if not len(complete):
        raise DataError(f"{path} has no row without missing cells")
    kept = slice(complete[0], complete[-1] + 1)
    values, numbers = values[kept], numbers[kept]
    steps = np.arange(numbers[0], numbers[-1] + 1)
    present = ~np.isnan(values)
    columns = [
        np.interp(steps, numbers[there], column[there]) for column, there in zip(values.T, present.T, strict=True)
    ]
    return np.stack(columns, axis=1), steps


def _listed(lines: np.ndarray) -> str:
    if len(lines) == 1:
        return f"line {lines[0]}"
    few = ", ".join(str(line) for line in lines[:5])
    return f"lines {few} and {len(lines) - 5} more" if len(lines) > 5 else f"lines {few}"
