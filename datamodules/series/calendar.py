"""What a time tells by itself: hour, day of the week, time of the year, public holidays. Any room may import this file.

Hours, days and seasons go round, so they are told by Fourier terms (dynamic harmonic regression; Young et al., 1999).
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from datamodules.errors import DataError, did_you_mean, listed
from datamodules.series.timeline import Timeline

Calendar = Literal["hour", "weekday", "month"]

# Pairs of waves by which each is told: three tell seven days apart, four the two peaks of a working day.
_WAVES = {"hour": 4, "weekday": 3, "month": 3}
_DAY = np.timedelta64(1, "D")
# What comes round once a year is learnt from two of them at least.
_TWO_YEARS = np.timedelta64(730, "D")


def columns(calendar: Sequence[str], holidays: str | None) -> list[str]:
    """Names of what :func:`features` computes.

    Args:
        calendar: Of :data:`Calendar`.
        holidays: A country, if its holidays are wanted, too.
    """
    waves = [f"{word} {wave} {n}" for word in calendar for n in range(1, _WAVES[word] + 1) for wave in ("sin", "cos")]
    return waves + ([f"holidays {holidays}"] if holidays is not None else [])


def features(timeline: Timeline, start: int, stop: int, calendar: Sequence[str], holidays: str | None) -> np.ndarray:
    """What the times of points tell.

    Args:
        timeline: The times.
        start: The first point, counted from the beginning of the timeline.
        stop: The one after the last.
        calendar: Of :data:`Calendar`.
        holidays: A country, such as ``DE``, or a part of it, ``DE-BY``, whose holidays are wanted, too: the number of
            those that a step holds.

    Returns:
        float64 ``(stop - start, F)``, whose columns :func:`columns` names.

    Raises:
        DataError: Points are merely numbered, or the holidays are not known.
    """
    times = timeline.at(np.arange(start, stop + 1))
    if (calendar or holidays) and times.dtype.kind != "M":
        raise DataError(
            f"calendar features ({listed(columns(calendar, holidays), 2)}) need times, but points are merely numbered; "
            "name the column of times with --data.time, or leave them out"
        )
    found = [_waves(word, times[:-1].astype("M8[s]")) for word in calendar]
    if holidays is not None:
        found.append(_holidays(times.astype("M8[D]"), holidays)[:, None])
    return np.concatenate(found, 1) if found else np.empty((stop - start, 0))


def asked(calendar: str | Sequence[str] | None, timeline: Timeline, length: int) -> list[str]:
    """The words that were asked for.

    Args:
        calendar: One, several in a list or with commas between, or ``auto``: those that vary from step to step, and
            ``month`` if two years are there to learn it from.
        timeline: The times.
        length: Points to learn from.

    Raises:
        DataError: There is no such word.
    """
    words = [one.strip() for one in calendar.split(",")] if isinstance(calendar, str) else list(calendar or ())
    if words == ["auto"]:
        return _suitable(timeline, length)
    for word in words:
        if word not in get_args(Calendar):
            hint = did_you_mean(word, get_args(Calendar))
            raise DataError(f"no calendar {word!r}{hint}; there are {', '.join(get_args(Calendar))}, or auto alone")
    if len(set(words)) < len(words):
        raise DataError(f"calendar is {words}, expected each word once")
    return words


def _suitable(timeline: Timeline, length: int) -> list[str]:
    first, second, last = timeline.at(np.array([0, 1, max(length - 1, 1)]))
    if not isinstance(first, np.datetime64):
        return []
    step = second - first
    words = ["hour"] * bool(step < _DAY) + ["weekday"] * bool(step <= _DAY or timeline.unit == "B")
    return words + ["month"] * bool(step < 300 * _DAY and last - first >= _TWO_YEARS)


def _waves(word: str, times: np.ndarray) -> np.ndarray:
    """Fourier terms of where in its day, week or year each time lies, ``(T, 2 * waves)``."""
    days = times.astype("M8[D]")
    if word == "hour":
        share = (times - days) / _DAY
    elif word == "weekday":
        share = (days.astype(np.int64) + 3) % 7 / 7  # 1970 began on a Thursday
    else:
        years = days.astype("M8[Y]")
        share = (times - years) / ((years + 1).astype("M8[D]") - years.astype("M8[D]"))
    angles = 2 * np.pi * share[:, None] * np.arange(1, _WAVES[word] + 1)
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(len(times), -1)


def _holidays(days: np.ndarray, place: str) -> np.ndarray:
    """How many holidays lie in each step from one day to the next, ``(T,)``; within a day, whether it is one."""
    free = np.array(sorted(_known_holidays(place, days)), dtype="M8[D]")
    after = np.maximum(days[1:], days[:-1] + 1)
    return (np.searchsorted(free, after) - np.searchsorted(free, days[:-1])).astype(np.float64)


def _known_holidays(place: str, days: np.ndarray) -> list[Any]:
    try:
        import holidays
    except ImportError as error:
        raise DataError(
            "holidays need the package of that name; install it with: pip install 'lightning-zoo[holidays]'"
        ) from error
    first, last = (int(day.astype("M8[Y]").astype(int)) + 1970 for day in (days[0], days[-1]))
    country, _, part = place.partition("-")
    try:
        return list(holidays.country_holidays(country, subdiv=part or None, years=range(first, last + 1)))
    except NotImplementedError as error:
        raise DataError(
            f"no holidays of {place!r} are known; expected a country such as DE, or a part of one such as DE-BY"
        ) from error
