"""Equidistant points in time: which step lies between them, which are missing, and how they go on."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from datamodules.errors import DataError
from datamodules.series.notations import Notation, written_plainly

_MICROSECONDS = {"D": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "us": 1}
# No exchange is closed for more days from Monday to Friday in a row.
_HOLIDAYS = 7
_WORDS = {
    "Y": "year",
    "M": "month",
    "BM": "month",
    "B": "business day",
    "D": "day",
    "h": "hour",
    "m": "minute",
    "s": "second",
    "us": "microsecond",
}


@dataclass(frozen=True)
class Timeline:
    """Times at equal distances: whole numbers, a fixed span, months of the calendar, or the days from Monday to Friday.

    Months may also be told by their first or last day from Monday to Friday.

    Args:
        start: The first time.
        every: Number of units from one time to the next.
        unit: A unit of NumPy's ``timedelta64``, or ``B`` for business days, or ``BM`` for months told by one of them;
            means nothing if times are numbers.
        day: Where in its month a time of a monthly series lies, up to 31 for the last day; 0 if the series is not. Of
            unit ``BM`` 1 is the first business day, 31 the last.
        notation: How times are written, if it is not as days and times of day.
    """

    start: int | np.datetime64 = 0
    every: int = 1
    unit: str = "D"
    day: int = 0
    notation: Notation | None = None

    @classmethod
    def find(cls, times: np.ndarray) -> "Timeline":
        """Finds the step that explains times with the fewest gaps.

        Args:
            times: Ascending, none twice; whole numbers or ``datetime64[us]``.

        Returns:
            The timeline that begins with the first time. If no step explains all, it has the commonest one.
        """
        if times.dtype.kind == "i":
            return cls(int(times[0]), _commonest(np.diff(times)))
        # Months first: July, August and September also begin 31 days apart.
        candidates = [
            cls._monthly(times), cls._business_monthly(times, 1), cls._business_monthly(times, 31), cls._fixed(times),
            cls._business(times),
        ]  # fmt: skip
        explaining = [timeline for timeline in candidates if timeline is not None and timeline.holds(times).all()]
        return min(explaining, key=lambda timeline: timeline.number(times)[-1], default=cls._fixed(times))

    @classmethod
    def find_trading(cls, times: np.ndarray) -> "Timeline | None":
        """Finds the first or the last business day of each month, of which some are earlier or later by holidays.

        Args:
            times: As :meth:`find` takes them.

        Returns:
            The timeline, on which not all of the times lie; None if two thirds do not, or if another one explains all
            with as few gaps.
        """
        if times.dtype.kind == "i" or len(times) < 3 or len(np.unique(times.astype("M8[M]"))) < len(times):
            return None
        found = cls.find(times)
        if found.unit in ("M", "BM") and found.holds(times).all():
            return None
        for day in (1, 31):
            line = cls._business_monthly(times, day)
            assert line is not None
            line = dataclasses.replace(line, start=line.at(np.zeros(1, np.int64))[0])
            on_time = line.at(line.number(times))
            late = np.busday_count(on_time.astype("M8[D]"), times.astype("M8[D]")) * (1 if day == 1 else -1)
            same_hour = (times - times.astype("M8[D]") == line._hours).all()
            if same_hour and (late >= 0).all() and (late <= _HOLIDAYS).all() and (late > 0).sum() * 3 <= len(times):
                return line
        return None

    @classmethod
    def of(cls, times: np.ndarray) -> "Timeline":
        """The timeline of points of which none is missing.

        Args:
            times: ``datetime64[us]``, or whole numbers.

        Raises:
            DataError: They do not ascend, or not at equal distances.
        """
        steps = np.diff(times).astype(np.int64)
        if (steps <= 0).any():
            late = int(np.flatnonzero(steps <= 0)[0])
            raise DataError(
                f"the time {written(times[late + 1])} comes after {written(times[late])}; expected ascending times, "
                "each once: sort them, such as with sort_index() of pandas, and drop duplicates"
            )
        timeline = cls.find(times)
        numbers = timeline.number(times)
        wrong = ~timeline.holds(times) | (numbers != np.arange(len(times)))
        if wrong.any():
            odd = int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"the time {written(times[odd])} follows {written(times[odd - 1])}, expected equal distances, of "
                f"{timeline.step or timeline.every}; fill in what is missing, such as with asfreq() and interpolate() "
                "of pandas"
            )
        return timeline

    @classmethod
    def _fixed(cls, times: np.ndarray) -> "Timeline":
        span = _commonest(np.diff(times).astype(np.int64)) if len(times) > 1 else _MICROSECONDS["D"]
        unit = next(unit for unit, length in _MICROSECONDS.items() if span % length == 0)
        # As coarse as it can be, so that days are written as days.
        resolutions = ("D", "s", "us") if unit == "D" else ("s", "us")
        start = next(coarse for name in resolutions if (coarse := times[0].astype(f"M8[{name}]")) == times[0])
        return cls(start, span // _MICROSECONDS[unit], unit)

    @classmethod
    def _monthly(cls, times: np.ndarray) -> "Timeline | None":
        every = _commonest(np.diff(times.astype("M8[M]")).astype(np.int64))
        if every == 0:
            return None
        days = times.astype("M8[D]") - times.astype("M8[M]").astype("M8[D]")
        start = times[0].astype("M8[D]")
        return cls(
            start if start == times[0] else times[0].astype("M8[s]"), every, "M", int(days.astype(int).max()) + 1
        )

    @classmethod
    def _business_monthly(cls, times: np.ndarray, day: int) -> "Timeline | None":
        monthly = cls._monthly(times)
        return monthly and dataclasses.replace(monthly, unit="BM", day=day)

    @classmethod
    def _business(cls, times: np.ndarray) -> "Timeline | None":
        start = times[0].astype("M8[D]")
        if not np.is_busday(start):
            return None
        return cls(start if start == times[0] else times[0].astype("M8[s]"), 1, "B")

    @property
    def step(self) -> str | None:
        """The time between two points in words, such as ``1 day``; None if times are mere numbers."""
        if isinstance(self.start, int):
            return None
        yearly = self.unit in ("M", "BM") and self.every % 12 == 0
        every, unit = (self.every // 12, "Y") if yearly else (self.every, self.unit)
        return f"{every} {_WORDS[unit]}{'s' if every > 1 else ''}"

    def at(self, numbers: np.ndarray) -> np.ndarray:
        """The times of points, counted from zero."""
        steps = numbers * self.every
        if isinstance(self.start, int):
            return self.start + steps
        if self.unit == "B":
            return np.busday_offset(self.start.astype("M8[D]"), steps) + self._hours
        if self.day:
            return self._days_of(self.start.astype("M8[M]") + steps) + self._hours
        return self.start + steps.astype(f"m8[{self.unit}]")

    @property
    def _hours(self) -> np.timedelta64:
        """The time of day."""
        assert isinstance(self.start, np.datetime64)
        return self.start - self.start.astype("M8[D]")

    def _days_of(self, months: np.ndarray) -> np.ndarray:
        """The days on which points of a monthly series lie."""
        first, following = months.astype("M8[D]"), (months + 1).astype("M8[D]")
        if self.unit == "BM":
            return (
                np.busday_offset(first, 0, "forward") if self.day == 1 else np.busday_offset(following, -1, "forward")
            )
        return first + (np.minimum(self.day, (following - first).astype(int)) - 1)

    def number(self, times: np.ndarray) -> np.ndarray:
        """The number of the last point that is not after each time."""
        if isinstance(self.start, int):
            return (times - self.start) // self.every
        if self.unit == "B":
            return np.busday_count(self.start.astype("M8[D]"), (times - self._hours).astype("M8[D]")) // self.every
        if self.day:
            return (times.astype("M8[M]") - self.start.astype("M8[M]")).astype(np.int64) // self.every
        return (times - self.start) // np.array(self.every, dtype=f"m8[{self.unit}]")

    def holds(self, times: np.ndarray) -> np.ndarray:
        """Whether each time is one of the points."""
        return self.at(self.number(times)) == times

    def write(self, times: np.ndarray) -> list[str]:
        """Times of this line as people write them, or as their file does."""
        return written_plainly(times) if self.notation is None else self.notation.write(times)


def written(time: np.datetime64 | np.integer) -> str:
    """A time as people write it, no finer than need be."""
    if isinstance(time, np.datetime64):
        coarse = next(one for unit in ("D", "m", "s", "us") if (one := time.astype(f"M8[{unit}]")) == time)
        return str(coarse).replace("T", " ")
    return str(time)


def is_regular(times: np.ndarray) -> bool:
    """Whether times, in any order, follow each other at equal distances, but for gaps and duplicates."""
    once = np.unique(times).astype("M8[us]")
    return bool(Timeline.find(once).holds(once).all())


def on_one_clock(walls: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Times of which the offset from UTC is known, without it.

    Args:
        walls: As a clock on the wall shows them, ``datetime64[us]``.
        moments: The same in UTC.

    Returns:
        Those on the wall if they are always of the same time of day, or regular where UTC is not; otherwise UTC.
    """
    hours = walls - walls.astype("M8[D]")
    if (hours == hours[:1]).all():
        return walls
    return next((times for times in (moments, walls) if is_regular(times)), moments)


def _commonest(numbers: np.ndarray) -> int:
    """The most frequent number, the smallest of them if there are several; 1 of none."""
    if not len(numbers):
        return 1
    found, counts = np.unique(numbers, return_counts=True)
    return int(found[counts.argmax()])
