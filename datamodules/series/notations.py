"""Ways to write times that are not days or hours: weeks, quarters, months, seconds since 1970, offsets from UTC."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from datamodules.series.month_names import language_of, number_of, write_month

Kind = Literal["week", "quarter", "month", "name", "unix", "utc"]

_YEAR = r"(?P<year>(?:1[5-9]|2[01])\d\d)"
_WORD = r"[^\W\d_]{3,10}"
# Months before weeks: six digits are months if all of them can be.
_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "quarter": re.compile(
        rf"{_YEAR}[-/: ]?[Qq](?P<part>[1-4])|(?=.?[Qq])[Qq]?(?P<part2>[1-4])[Qq]?[-/ ]?(?P<year2>\d{{4}})"
    ),
    "month": re.compile(
        rf"{_YEAR}[-/. ]?[Mm]?(?P<part>\d\d|(?<=[-/Mm])\d)|[Mm]?(?P<part2>\d\d?)[-/.](?P<year2>\d{{4}})"
    ),
    "name": re.compile(rf"{_YEAR}[-/ ]?(?P<part>{_WORD})|(?P<part2>{_WORD})[-/., ]*(?P<year2>\d{{4}}|(?<=\W)\d\d)"),
    "week": re.compile(rf"{_YEAR}[-/ ]?[Ww]?(?P<part>\d\d)|(?:[KC]?W ?)?(?P<part2>\d\d?)[-/ ](?P<year2>\d{{4}})"),
}
# Digits of whole numbers that count seconds, or parts of them, since 1970; later than 2030 they may begin with a year.
_UNIX = {10: "s", 13: "ms", 16: "us"}


@dataclass(frozen=True)
class Notation:
    """How a column writes its times, so that those that follow are written alike.

    Args:
        kind: What is written: the week or quarter or month of a year, the name of a month, seconds since 1970, or times
            with their offset from UTC.
        example: A time of the column; of seconds since 1970 their unit in NumPy's words.
        language: In which months are named.
    """

    kind: Kind
    example: str
    language: str = "en"

    def write(self, times: np.ndarray) -> list[str]:
        """Times in this notation."""
        if self.kind == "unix":
            return [str(time) for time in times.astype(f"M8[{self.example}]").astype(np.int64)]
        if self.kind == "utc":
            return [f"{time}+00:00" for time in written_plainly(times.astype("M8[us]"))]
        example = _PATTERNS[self.kind].fullmatch(self.example)
        assert example is not None
        # What stands at which place of the example: ("year", (0, 4)), ("part", (6, 8)).
        places = sorted(
            (example.span(name), name[:4]) for name, text in example.groupdict().items() if text is not None
        )
        written = []
        for year, part in zip(*_parts(self.kind, times.astype("M8[D]")), strict=True):
            text, done = "", 0
            for (start, stop), name in places:
                like = self.example[start:stop]
                number = _write_year(int(year), like) if name == "year" else self._write_part(int(part), like)
                text, done = text + self.example[done:start] + number, stop
            written.append(text + self.example[done:])
        return written

    def _write_part(self, part: int, like: str) -> str:
        if self.kind == "name":
            return write_month(part, self.language, like)
        return str(part).zfill(len(like))

    def read(self, cell: str) -> np.datetime64 | None:
        """The time that a cell names, its first moment; None if it names none."""
        if self.kind == "unix":
            return np.int64(int(cell)).astype(f"M8[{self.example}]")
        return _read(self.kind, cell)


def _write_year(year: int, like: str) -> str:
    return f"{year % 100:02d}" if len(like) == 2 else str(year)


def written_plainly(times: np.ndarray) -> list[str]:
    """Times as people write them, no finer than need be."""
    if times.dtype.kind == "M" and np.datetime_data(times.dtype)[0] in ("s", "us"):
        units = ("m", "s", "us")
        times = next(coarse for unit in units if ((coarse := times.astype(f"M8[{unit}]")) == times).all())
    return [str(time).replace("T", " ") for time in times]


def find_notation(cells: Sequence[str]) -> Notation | None:
    """The notation of a column; None if its cells are days, times of day or whole numbers.

    Six digits are months if they can be, otherwise weeks: ``201801``, ``201852``.
    """
    first = cells[0]
    if len(first) in _UNIX and all(len(cell) == len(first) and re.fullmatch(r"1[0-8]\d+", cell) for cell in cells):
        return Notation("unix", _UNIX[len(first)])
    kinds = [kind for kind in _PATTERNS if _read(kind, first) is not None]
    fitting = (kind for kind in kinds if all(_read(kind, cell) is not None for cell in cells))
    # What is no time of the only notation that begins a column is named later; of mere digits, all have to be times.
    kind = next(fitting, None if first.isdigit() or not kinds else kinds[0])
    if kind == "name":
        # Of May nobody knows whether names are short.
        longest = max(cells, key=len)
        return Notation(kind, longest, language_of(word for cell in cells for word in re.findall(_WORD, cell)))
    # The shortest tells whether a first week is W1 or W01.
    return None if kind is None else Notation(kind, min(cells, key=len) if kind == "week" else first)


def _read(kind: Kind, cell: str) -> np.datetime64 | None:
    found = _PATTERNS[kind].fullmatch(cell)
    if found is None:
        return None
    year, part = (found[name] or found[f"{name}2"] for name in ("year", "part"))
    if len(year) == 2:
        # As strptime has it.
        year = f"{'20' if int(year) < 69 else '19'}{year}"
    number = number_of(part) if kind == "name" else int(part)
    if kind == "week":
        try:
            return np.datetime64(date.fromisocalendar(int(year), number, 1))
        except ValueError:
            return None
    month = 3 * number - 2 if kind == "quarter" else number
    return np.datetime64(f"{year}-{month:02d}-01") if 1 <= month <= 12 else None


def _parts(kind: Kind, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The years of days, and which of its weeks, quarters or months they are."""
    if kind == "week":
        # The year of a week is that of its Thursday.
        days = days - (days.astype(np.int64) + 3) % 7 + 3
    years = days.astype("M8[Y]")
    if kind == "week":
        parts = (days - years.astype("M8[D]")).astype(np.int64) // 7 + 1
    else:
        parts = (days.astype("M8[M]") - years.astype("M8[M]")).astype(np.int64) + 1
        if kind == "quarter":
            parts = (parts + 2) // 3
    return years.astype(np.int64) + 1970, parts
