"""Rows of a file behind the last value of its series, which tell what is known ahead."""

from collections.abc import Collection, Sequence

import numpy as np

from datamodules.errors import DataError
from datamodules.series.covariates import Covariates
from datamodules.series.rows import Rows, sorted_out
from datamodules.series.timeline import Timeline


def parted(rows: Rows, count: int) -> tuple[Rows, Rows]:
    """Rows up to the last value of any series, and those behind it.

    Args:
        rows: The rows.
        count: How many of their first columns are values; the others are covariates.

    Raises:
        DataError: There is no value.
    """
    told = ~np.isnan(rows.values[:, :count]).all(1)
    if not told.any():
        raise DataError(f"{rows.path} has no number in column '{rows.names[0]}'")
    is_ahead = rows.times > rows.times[told].max()
    return rows.taken(np.flatnonzero(~is_ahead)), rows.taken(np.flatnonzero(is_ahead))


def laid_ahead(rows: Rows, timeline: Timeline, first: int, allowed: Collection[str]) -> np.ndarray:
    """Lays rows along a timeline behind its last point.

    Args:
        rows: What is known ahead.
        timeline: The timeline of the series.
        first: The number of the point that follows its last.
        allowed: Repairs that are allowed.

    Returns:
        ``(F, S, K)``, NaN where nothing is told.

    Raises:
        DataError: A row is not of a time ahead.
    """
    rows = sorted_out(rows, allowed)
    series = max(len(rows.series), 1)
    if not len(rows.times):
        return np.empty((0, series, len(rows.names)))
    numbers = timeline.number(rows.times) - first
    wrong = np.flatnonzero((numbers < 0) | ~timeline.holds(rows.times))
    if len(wrong):
        place = int(wrong[0])
        expected = timeline.write(timeline.at(np.array([first, first + 1])))
        raise DataError(
            f"{rows.path} line {rows.lines[place]}: {rows.told(place)} is no step ahead; expected "
            f"{', '.join(expected)} and so on"
        )
    owners = np.zeros(len(numbers), np.int32) if rows.owners is None else rows.owners
    values = np.full((int(numbers.max()) + 1, series, len(rows.names)), np.nan)
    values[numbers, owners] = rows.values
    return values


def covariates_of(
    past: Sequence[str],
    known: Sequence[str],
    recorded: np.ndarray,
    ahead: np.ndarray,
    series: Sequence[str],
    repeats: int | None,
) -> Covariates:
    """What was recorded beside series.

    Args:
        past: Names of what is known up to now.
        known: Names of what is known ahead.
        recorded: ``(T, S, P + K)``, of each series that a column tells apart.
        ahead: ``(F, S, K)``.
        series: Their names.
        repeats: How many columns of values each has, which see its covariates alone; None if all see those of all.
    """
    nothing = np.full((*ahead.shape[:2], len(past)), np.nan)
    values = np.concatenate([recorded, np.concatenate([nothing, ahead], 2)]).transpose(0, 2, 1)
    if len(series) <= 1:
        return Covariates(past, known, values)
    if repeats is not None:
        return Covariates(past, known, np.repeat(values, repeats, 2))
    past_of_each, known_of_each = ([f"{one} {name}" for name in names for one in series] for names in (past, known))
    return Covariates(past_of_each, known_of_each, values.reshape(len(values), -1, 1))
