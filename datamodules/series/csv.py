"""Series from a CSV file of one's own."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.errors import DataError, listed
from datamodules.notes import tell
from datamodules.series.divided import DividedSeries
from datamodules.series.recording import Recording, Repair, read_csv
from datamodules.series.season import find_period
from datamodules.series.transform import words

# Of more series so many tell the season.
_TYPICAL = 32
# The name of a source tells so many.
_NAMED = 20


class CsvSeries(DividedSeries):
    """One or several series from a CSV file. See :func:`read_csv` for what a file may look like, and what is refused.

    See :class:`DividedSeries` for the batches and the arguments not listed.

    Args:
        path: The file.
        value: Column of the values, or a list of columns; not needed if there is but one.
        time: Column of the times; without it the rows are taken to be equidistant.
        time_format: How times are written, if not like 2024-01-31 14:30, as for ``strptime``: ``%d.%m.%Y``.
        repair: Repairs that are allowed. ``missing`` cells and steps in ``gaps`` are interpolated, ``order`` sorts by
            time, of ``duplicates`` the mean is taken.
        id: Column that tells several series of the same times apart: a file with a row for each time and series.
        series: Which of them to read; all if left out.
        decimal: The decimal sign, ``.`` or ``,``, where the file does not tell.
        thousands: The sign between thousands, likewise.
        period: Length of a season in steps; 1 if there is none. The naive forecast that MASE compares with repeats it.
            ``auto`` finds it by autocorrelation in what lies before the validation period, and says what it found.
        known: Column, or columns, of what is known ahead, such as prices: covariates of the series, or of each series
            where ``id`` tells them apart. Rows behind the last value, with its cell empty, tell what lies ahead.
        past: Column, or columns, of covariates that are known up to now.
        future: Another file that tells what is known ahead, with the columns of times and of ``known``.
        pool: Whether all series train one model that forecasts each by itself, see :class:`Series`; ``auto``: if ``id``
            tells them apart and they are shown as windows.

    Raises:
        DataError: The file cannot be used, or is too short.
    """

    # Published weights shall show nobody's series.
    private = True
    needs = "series"

    def __init__(
        self,
        path: str,
        value: list[str] | str | None = None,
        time: str | None = None,
        time_format: str | None = None,
        repair: list[Repair] | None = None,
        id: str | None = None,
        series: list[str | int] | str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        period: int | Literal["auto"] = 1,
        known: list[str] | str | None = None,
        past: list[str] | str | None = None,
        future: str | None = None,
        pool: bool | Literal["auto"] = "auto",
        **options: Any,
    ) -> None:
        if isinstance(pool, str) and pool != "auto":
            raise DataError(f"pool is {pool!r}, expected true, false or auto")
        pool = id is not None and options.get("mode", "vector") == "vector" if isinstance(pool, str) else pool
        words(options.get("transform"))  # before a large file is read
        recording = _read(
            path, value=value, time=time, time_format=time_format, repair=repair or (), id=id, series=series,
            decimal=decimal, thousands=thousands, ragged=pool, past=past, known=known, future=future,
        )  # fmt: skip
        if recording.repaired:
            tell(f"{path} was repaired: {recording.repaired}")
        if isinstance(period, str) and period != "auto":
            raise DataError(f"period is {period!r}, expected a number of steps, or auto")
        if isinstance(period, int) and period < 1:
            raise DataError(f"period is {period}, expected at least 1, which stands for no season")
        self._period_asked = period
        super().__init__(recording=recording, pool=pool and len(recording.names) > 1, **options)
        self.path = Path(path)
        if self.pooled and (short := self._pooled_windows().num_short):
            tell(
                f"{short} of the {len(self.names)} series in {path} are too short for a window of "
                f"{self._trained_window} and {self.horizon} steps ahead, and train nothing; they can be forecast all "
                "the same"
            )

    def _settle_season(self, train: range) -> None:
        period = self._period_asked
        if isinstance(period, str):
            period, strength = find_period(self._typical(train.stop), self.recording.timeline)
            tell(_found(self.recording, period, strength))
        self.period = self.naive_lag = period

    def _typical(self, stop: int) -> np.ndarray:
        """What tells the season: all series up to a point, or, of many, some of those that lack least before it."""
        known = self.recording.values[:stop]
        lacking = np.isnan(known).sum(0)
        fullest = np.flatnonzero(lacking <= np.quantile(lacking, 0.5)) if lacking.any() else np.arange(len(lacking))
        some = known[:, fullest[:: max(1, len(fullest) // _TYPICAL)]]
        return some[~np.isnan(some).any(1)] if self.pooled else known

    @property
    def source(self) -> dict[str, str]:
        """Name and checksum of the file, and what was repaired."""
        return {
            "name": f"{listed(self.names, _NAMED)} of {self.path.name}",
            "url": "local file",
            "licence": "that of your data",
            **({"repaired": self.recording.repaired} if self.recording.repaired else {}),
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
        }


def _read(path: str, **options: Any) -> Recording:
    """What :func:`read_csv` reads. The recipes of a comparison read one file, so it is kept while it stays the same."""
    files = [Path(one) for one in (path, options["future"]) if one is not None]
    asked: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in options.items()}
    if not all(file.is_file() for file in files):
        return read_csv(path, **asked)
    states = [file.stat() for file in files]
    return _read_anew(path, *((one.st_ino, one.st_mtime_ns, one.st_size) for one in states), **asked)


@lru_cache(maxsize=2)
def _read_anew(path: str, *states: tuple[int, int, int], **asked: Any) -> Recording:
    return read_csv(path, **asked)


def _found(recording: Recording, period: int, strength: float) -> str:
    """What was found out about the season, in a line."""
    if period == 1:
        return f"{recording.name} has no season that its autocorrelation shows; --data.period N names one"
    return (
        f"{recording.name} has a season of {period} steps (autocorrelation {strength:.2f}); --data.period names another"
    )
