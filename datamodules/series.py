"""Time series: values in their own unit, cut into windows or lanes, with every point of an evaluation forecast once."""

import copy
import hashlib
import logging
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

import numpy as np
import statsmodels
import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only
from statsmodels.datasets import co2, sunspots
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.errors import DataError
from datamodules.memory import EpochBatches, Split, load_batches, processes
from datamodules.recording import Recording, Repair, read_csv
from datamodules.timeline import Timeline
from datamodules.windows import Lanes, Windows

# Below Lightning's logger, so that what silences Lightning silences this.
log = logging.getLogger("lightning.pytorch.datamodules")

Mode = Literal["vector", "sequence", "lanes"]
FitOn = Literal["train", "all"]

# Sums are taken portion by portion, since a long series in double precision would take twice its memory.
PORTION = 1 << 16
# Squares of what is larger, or smaller than its inverse, would leave what single precision can hold.
LARGEST = 1e15


class Series(LightningDataModule):
    """Base of the time series, and for a program's own: ``Series(Recording(...), divide(...))``.

    The batches are ``(inputs, targets)`` in the series' own unit, float32. In mode

    - ``vector`` they are windows ``(N, window, C)`` and the ``horizon`` points that follow, ``(N, horizon, C)``;
    - ``sequence`` they are windows and the same windows one step later, both ``(N, window, C)``;
    - ``lanes``, for models that carry their state from batch to batch, they are both ``(lanes, window, C)``: one chunk
      of all lanes, which the next batch continues. The lanes are pieces of the training period, of equal length and in
      order of time; what does not fill a chunk of each lane is left out at the start, where it is oldest. The processes
      of a distributed training share the lanes, in order.

    An evaluation forecasts every point of its period, in ascending order: the first window lies before the period.
    Processes share the windows without repeats. In mode ``lanes`` the period is one lane that goes on where the points
    before it ended, walked by every process alike, since its state cannot be divided; its last chunk may be shorter.

    Args:
        recording: The series.
        periods: The points of ``train``, ``val`` and ``test``.
        window: Number of points that a window shows, or that a chunk of the lanes has.
        horizon: Number of points to forecast from a window; 1 unless the mode is ``vector``.
        mode: What the batches are.
        lanes: Number of lanes, of all processes together.
        fit_on: ``all`` trains on everything, for a model that is to be used: neither validation nor test is left, so
            ``--epochs_of`` says whose early stopping tells how long.
        batch_size: Windows in a training batch of one process; lanes have no use for it.
        eval_batch_size: Windows in a validation or test batch of one process; lanes have no use for it.
        seed: Determines the order of the training batches.
        fold: A piece of the test period, such as ``2/5``, with the periods that :meth:`folds` gives it.
        refit: Whether a fold trains on everything from the start; see :meth:`folds`.

    Raises:
        DataError: A period is too short for a window, a value is not finite, or there is no such fold.
    """

    # Length of a season in steps; 1 if there is none that anybody knows.
    period: int = 1
    # How far back the naive forecast looks whose error is the scale of MASE: a step, or a season that is a strict one.
    naive_lag: int = 1

    def __init__(
        self,
        recording: Recording,
        periods: Mapping[str, range],
        window: int = 30,
        horizon: int = 1,
        mode: Mode = "vector",
        lanes: int = 1,
        fit_on: FitOn = "train",
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
        fold: str | None = None,
        refit: bool = True,
    ) -> None:
        super().__init__()
        for name, value in (
            ("window", window),
            ("horizon", horizon),
            ("lanes", lanes),
            ("batch_size", batch_size),
            ("eval_batch_size", eval_batch_size),
        ):
            if value < 1:
                raise DataError(f"{name} is {value}, expected at least 1")
        if mode not in ("vector", "sequence", "lanes"):
            raise DataError(f"mode is {mode!r}; there are vector, sequence, lanes")
        if mode != "vector" and horizon != 1:
            raise DataError(f"horizon is {horizon} in mode {mode}, expected 1; --data.mode vector has longer ones")
        if fit_on not in ("train", "all"):
            raise DataError(f"fit_on is {fit_on!r}; there are train, all")
        self.recording = recording
        self.values = _to_tensor(recording)
        self.names = recording.names
        self.periods = dict(periods) if fit_on == "train" else {"train": range(len(self.values))}
        if fold is not None:
            number, count = _piece(fold)
            self.periods = self._roll_forward(count, refit)[number - 1]
        self.window = window
        self.horizon = horizon
        self.mode = mode
        self.lanes = lanes
        self.fit_on = fit_on
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self._check()

    def _check(self) -> None:
        """Refuses periods that are too short for a window."""
        name, train = self.recording.name, self.periods["train"]
        if train.stop <= self.naive_lag:
            raise DataError(
                f"{name} has {train.stop} points for training, expected more than a season of {self.naive_lag}; use a "
                "shorter --data.period"
            )
        if self.mode == "lanes":
            if not len(self._trained_by_lanes()):
                raise DataError(
                    f"{name} has {len(train)} points for training; {self.lanes} lanes of at least one chunk of "
                    f"{self.window} need {self.lanes * self.window + 1}; use fewer --data.lanes or a shorter "
                    "--data.window"
                )
        elif train.stop < self.window + self.horizon or len(train) < self.horizon:
            raise DataError(
                f"{name} has {len(train)} points for training of {len(self.values)}; a window of {self.window} and a "
                f"horizon of {self.horizon} need {self.window + self.horizon}; use a shorter --data.window"
            )
        for split in ("val", "test"):
            if split in self.periods and len(self.periods[split]) < self.horizon:
                raise DataError(
                    f"{name} has {len(self.periods[split])} points in {split}, expected at least the horizon of "
                    f"{self.horizon}; use a larger --data.{split} or a shorter --data.horizon"
                )

    @property
    def num_series(self) -> int:
        """Number of series, which is the number of channels."""
        return self.values.shape[1]

    @property
    def mean(self) -> list[float]:
        """Mean of each series over all that lies before the end of the training period."""
        return self._moments()[0].tolist()

    @property
    def std(self) -> list[float]:
        """Standard deviation of each series over the same points; 1 for one that is constant there."""
        return self._moments()[1].tolist()

    @property
    def naive_mae(self) -> list[float]:
        """Mean absolute error of the naive forecast over the same points, the seasonal one of CO2; 1 if constant."""
        errors = self._naive_errors(self.naive_lag)
        # A season that repeats itself exactly is no scale.
        errors = torch.where(errors > 0, errors, self._naive_errors(1))
        return torch.where(errors > 0, errors, 1.0).tolist()

    def _naive_errors(self, lag: int) -> Tensor:
        values = self.values[: self.periods["train"].stop]
        # Each portion begins with the last points of the one before.
        portions = (values[start : start + PORTION + lag].double() for start in range(0, len(values) - lag, PORTION))
        errors = sum(((portion[lag:] - portion[:-lag]).abs().sum(0) for portion in portions), torch.zeros(1))
        return errors / (len(values) - lag)

    def _moments(self) -> tuple[Tensor, Tensor]:
        values = self.values[: self.periods["train"].stop]
        portions = values.split(PORTION)
        mean = sum((portion.double().sum(0) for portion in portions), torch.zeros(1)) / len(values)
        squares = sum(((portion.double() - mean).square().sum(0) for portion in portions), torch.zeros(1))
        std = (squares / (len(values) - 1)).sqrt()
        return mean, torch.where(std > 0, std, 1.0)

    @property
    def step(self) -> str | None:
        """The time between two points in words, such as ``1 day``; None if points are only numbered."""
        return self.recording.timeline.step

    @property
    def times(self) -> np.ndarray:
        """The time of each point: ``datetime64``, or whole numbers."""
        return self.recording.timeline.at(np.arange(len(self.values)))

    def future_times(self, count: int) -> np.ndarray:
        """The times of the points that follow the last one."""
        return self.recording.timeline.at(np.arange(len(self.values), len(self.values) + count))

    @property
    def splits(self) -> dict[str, Tensor]:
        """The values of each period, ``(T, C)``: parts of ``values``, not copies."""
        return {split: self.values[period.start : period.stop] for split, period in self.periods.items()}

    def history(self, split: str) -> Tensor:
        """What a stateful model must have seen before a period's lane begins: all earlier inputs, ``(1, T, C)``."""
        return self.values[None, : self.periods[split].start - 1]

    @property
    def source(self) -> dict[str, str]:
        """Where the series comes from: name, address, licence and checksum, for model cards."""
        return {"name": self.recording.name, "url": "local data", "licence": "that of your data"}

    def folds(self, count: int, refit: bool = True) -> list[Self]:
        """Roll-forward partitioning: the test period is forecast piece by piece, each with all that was known before.

        The pieces tile the test period and differ in length by one at most. The points before a piece, as many as it
        has, are its fold's validation period; training ends where that begins.

        Args:
            count: Number of folds.
            refit: Every fold trains on everything from the start of the series, for a model that begins anew.
                Otherwise it trains on what the fold before did not, for a model that goes on learning.

        Returns:
            A data module for each fold, all with the values of this one.

        Raises:
            DataError: The test period has fewer points than folds, or a fold is too short for a window.
        """
        folds: list[Self] = []
        for periods in self._roll_forward(count, refit):
            fold = copy.copy(self)
            fold.trainer = None
            fold.periods = periods
            try:
                fold._check()
            except DataError as error:
                raise DataError(f"of {count} folds number {len(folds) + 1} is too short: {error}") from error
            folds.append(fold)
        return folds

    def _roll_forward(self, count: int, refit: bool) -> list[dict[str, range]]:
        """The periods of each fold."""
        if "test" not in self.periods:
            raise DataError("fit_on all leaves nothing to be forecast in folds; use --data.fit_on train")
        whole = self.periods["test"]
        if not 1 <= count <= len(whole):
            raise DataError(f"{count} folds of a test period of {len(whole)} points; expected 1 to {len(whole)}")
        borders = [whole.start + len(whole) * number // count for number in range(count + 1)]
        folds: list[dict[str, range]] = []
        trained = 0
        for start, stop in pairwise(borders):
            val = range(max(2 * start - stop, 0), start)
            folds.append({"train": range(trained, val.start), "val": val, "test": range(start, stop)})
            trained = 0 if refit else val.start
        return folds

    def train_dataloader(self) -> DataLoader[Split]:
        """Shuffled windows of the training period, or its lanes in order."""
        count, rank = processes(self)
        if self.mode == "lanes":
            if self.lanes < count:
                raise DataError(
                    f"{self.lanes} lanes cannot be shared by {count} processes; use --data.lanes {count} or "
                    f"--trainer.devices {self.lanes}"
                )
            return _walk(self._chunks(self._trained_by_lanes(), self.lanes).share(count, rank))
        windows = self._windows("train")
        return load_batches(windows, EpochBatches(windows, self.batch_size, True, self.seed, count, rank))

    def val_dataloader(self) -> DataLoader[Split] | list[DataLoader[Split]]:
        """The validation period in order; no loader if all was trained on, since that can tell nothing."""
        return self._evaluate("val") if self.fit_on == "train" else []

    def test_dataloader(self) -> DataLoader[Split]:
        """The test period in order.

        Raises:
            DataError: It was trained on.
        """
        if self.fit_on == "all":
            raise DataError("fit_on all trains on every point, none is left to test on; use --data.fit_on train")
        return self._evaluate("test")

    def _evaluate(self, split: str) -> DataLoader[Split]:
        if self.mode == "lanes":
            return _walk(self._chunks(self.periods[split]))
        windows = self._windows(split)
        return load_batches(windows, EpochBatches(windows, self.eval_batch_size, False, self.seed, *processes(self)))

    def _windows(self, split: str) -> Windows:
        sequence = self.mode == "sequence"
        period, timeline = self.periods[split], self.recording.timeline
        return Windows(self.values, period, self.window, self.horizon, sequence, timeline, self.names)

    def _chunks(self, period: range, lanes: int = 1) -> Lanes:
        return Lanes(self.values, period, self.window, lanes, self.recording.timeline, self.names)

    def _trained_by_lanes(self) -> range:
        """The points that the lanes forecast: as many as fill whole chunks, and none without a point before it."""
        period = self.periods["train"]
        whole = self.lanes * self.window
        return range(period.stop - (period.stop - max(period.start, 1)) // whole * whole, period.stop)


def _piece(fold: str) -> tuple[int, int]:
    """Number and count of a fold such as ``2/5``."""
    number, _, count = fold.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise DataError(f"fold is '{fold}', expected a piece of the test period such as 2/5, the second of five")
    return int(number), int(count)


def _walk(lanes: Lanes) -> DataLoader[Split]:
    """Walks lanes chunk by chunk; the sampler is one that Lightning leaves alone."""
    return load_batches(lanes, EpochBatches(lanes, batch_size=1, shuffle=False))


def _to_tensor(recording: Recording) -> Tensor:
    """The values in single precision; a tensor that already is stays where it is."""
    values = torch.as_tensor(recording.values)
    if values.ndim != 2 or values.shape[1] != len(recording.names) or not len(values):
        raise DataError(
            f"{recording.name} has values of shape {tuple(values.shape)} and {len(recording.names)} names, expected "
            "(T, C) and C names"
        )
    low, high = torch.aminmax(values, dim=0)
    for name, least, most in zip(recording.names, low.tolist(), high.tolist(), strict=True):
        largest = max(abs(least), abs(most))
        if not largest < LARGEST:
            raise DataError(
                f"{recording.name} has values in '{name}' that are not finite or beyond {LARGEST:g}; use a larger unit"
            )
        if 0 < largest < 1 / LARGEST:
            raise DataError(f"{recording.name} has no value in '{name}' beyond {1 / LARGEST:g}; use a smaller unit")
        if 0 < most - least < 1000 * float(np.spacing(np.float32(largest))):
            raise DataError(
                f"{recording.name} has values in '{name}' from {least} to {most}, too close together for 32 bits; "
                "subtract a constant from them first"
            )
    return values.float()


def divide(recording: Recording, val: int | float | str = 0.1, test: int | float | str = 0.1) -> dict[str, range]:
    """Fixed partitioning: the test period at the end, the validation period before it, the training period before both.

    Args:
        recording: The series.
        val: Length of the validation period: a fraction of the series (float), a number of points (int), or the date of
            its first point (str).
        test: Likewise of the test period.

    Returns:
        The points of ``train``, ``val`` and ``test``.

    Raises:
        DataError: A period has no points, or the date cannot be understood.
    """
    length = len(recording.values)
    test_start = _start(recording, "test", test, length)
    val_start = _start(recording, "val", val, test_start)
    if not 0 < val_start < test_start < length:
        raise DataError(
            f"{recording.name} has {length} points; val {val} would begin at point {val_start} and test {test} at "
            f"{test_start}; expected points for training, validation and test, in this order"
        )
    return {"train": range(val_start), "val": range(val_start, test_start), "test": range(test_start, length)}


def _start(recording: Recording, split: str, share: int | float | str, stop: int) -> int:
    """The first point of a period that ends before ``stop``."""
    if isinstance(share, int):
        return stop - share
    if isinstance(share, float):
        if not 0 < share < 1:
            raise DataError(f"{split} is {share}, expected a fraction between 0 and 1, or a whole number of points")
        return stop - max(1, round(share * len(recording.values)))
    times = recording.timeline.at(np.arange(len(recording.values)))
    try:
        date = np.datetime64(share)
    except ValueError as error:
        raise DataError(
            f"{split} is '{share}', expected a fraction, a number of points, or a date such as 2001-01-31"
        ) from error
    if times.dtype.kind != "M":
        raise DataError(f"{split} is '{share}', but {recording.name} has no dates; say how many points it shall have")
    if not times[0] < date <= times[-1]:
        raise DataError(f"{split} begins at {share}, expected a date after {times[0]} and up to {times[-1]}")
    return int((times < date).sum())


def synthetic_series() -> np.ndarray:
    """The course's series, 1,461 values in float64: trend, a season of 365 steps and noise.

    The generator is NumPy's old one, whose stream will never change.
    """
    time = np.arange(4 * 365 + 1)
    phase = (time % 365) / 365
    season = 40 * np.where(phase < 0.4, np.cos(phase * 2 * np.pi), 1 / np.exp(3 * phase))
    noise = 5 * np.random.RandomState(42).randn(len(time))
    return 10 + 0.05 * time + season + noise


class SyntheticSeries(Series):
    """The series of the notes, generated: trend + season of 365 steps + noise of standard deviation 5; 1,461 steps.

    Training is on steps 0 to 999. The notes report on the 461 steps from 1000 on and have no others: these are both
    ``val`` and ``test``, so a checkpoint that they chose is measured on what chose it. To choose hyperparameters use
    ``inner``, which never looks beyond step 999 until the test. See :class:`Series` for the batches.

    Args:
        inner: Train on steps 0 to 799 and validate on 800 to 999; the test stays where it is.
        window: Number of points that a window shows, or that a chunk of the lanes has.
        horizon: Number of points to forecast from a window; 1 unless the mode is ``vector``.
        mode: What the batches are: ``vector``, ``sequence`` or ``lanes``.
        lanes: Number of lanes, of all processes together.
        fit_on: ``all`` trains on everything; neither validation nor test is left.
        batch_size: Windows in a training batch of one process; lanes have no use for it.
        eval_batch_size: Windows in a validation or test batch of one process; lanes have no use for it.
        seed: Determines the order of the training batches.
        fold: Only a piece of the test period, such as ``2/5``, trained on what lies before it.
        refit: Whether a fold trains on everything from the start, or only on what the fold before did not.
    """

    period = 365
    source = {
        "name": "generated: 10 + 0.05 t + season of 365 steps + 5 * noise of NumPy's RandomState(42), 1,461 steps",
        "url": "https://github.com/tensorflow/examples/tree/master/courses/udacity_intro_to_tensorflow_for_deep_learning",
        "licence": "CC0-1.0",
    }

    def __init__(
        self,
        inner: bool = False,
        window: int = 30,
        horizon: int = 1,
        mode: Mode = "vector",
        lanes: int = 1,
        fit_on: FitOn = "train",
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
        fold: str | None = None,
        refit: bool = True,
    ) -> None:
        values = synthetic_series()[:, None]
        recording = Recording("the synthetic series", values, ["value"], Timeline())
        notes = range(1000, len(values))
        periods = {"train": range(1000), "val": notes, "test": notes}
        if inner:
            periods = {"train": range(800), "val": range(800, 1000), "test": notes}
        super().__init__(
            recording, periods, window, horizon, mode, lanes, fit_on, batch_size, eval_batch_size, seed, fold, refit
        )
        self.save_hyperparameters()


class CO2(Series):
    """Carbon dioxide in the air above Mauna Loa, weekly, 29 March 1958 to 29 December 2001, in ppm; from statsmodels.

    Of the 2,284 weeks 59 have no measurement and are interpolated linearly. See :class:`Series` for the batches.

    Args:
        window: Number of points that a window shows, or that a chunk of the lanes has.
        horizon: Number of points to forecast from a window; 1 unless the mode is ``vector``.
        mode: What the batches are: ``vector``, ``sequence`` or ``lanes``.
        lanes: Number of lanes, of all processes together.
        val: Validation period: a fraction, a number of weeks, or the date of its first week.
        test: Test period, at the end: likewise.
        fit_on: ``all`` trains on everything; neither validation nor test is left.
        batch_size: Windows in a training batch of one process; lanes have no use for it.
        eval_batch_size: Windows in a validation or test batch of one process; lanes have no use for it.
        seed: Determines the order of the training batches.
        fold: Only a piece of the test period, such as ``2/5``, trained on what lies before it.
        refit: Whether a fold trains on everything from the start, or only on what the fold before did not.
    """

    period = 52
    naive_lag = 52

    def __init__(
        self,
        window: int = 104,
        horizon: int = 1,
        mode: Mode = "vector",
        lanes: int = 1,
        val: int | float | str = 0.1,
        test: int | float | str = 0.1,
        fit_on: FitOn = "train",
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
        fold: str | None = None,
        refit: bool = True,
    ) -> None:
        column = co2.load().data["co2"]
        measured = column.to_numpy(dtype=np.float64)
        weeks, there = np.arange(len(measured)), np.isfinite(measured)
        values = np.interp(weeks, weeks[there], measured[there])[:, None]
        self.interpolated = int((~there).sum())
        recording = Recording("CO2", values, ["co2"], Timeline(np.datetime64(column.index[0].date()), 7))
        periods = divide(recording, val, test)
        super().__init__(
            recording, periods, window, horizon, mode, lanes, fit_on, batch_size, eval_batch_size, seed, fold, refit
        )
        self.save_hyperparameters()

    @property
    def source(self) -> dict[str, str]:
        """Name, authors, licence and checksum."""
        return {
            "name": "weekly CO2 above Mauna Loa, 1958 to 2001 (C.D. Keeling and T.P. Whorf, 2004), "
            f"{self.interpolated} weeks interpolated",
            "url": "http://cdiac.ornl.gov/trends/co2/sio-keel-flask/sio-keel-flaskmlo_c.html",
            "licence": "public domain",
            **_packaged(self.recording),
        }


class Sunspots(Series):
    """Sunspots of each year from 1700 to 2008, in cycles of about eleven years; from statsmodels.

    See :class:`Series` for the batches.

    Args:
        window: Number of points that a window shows, or that a chunk of the lanes has.
        horizon: Number of points to forecast from a window; 1 unless the mode is ``vector``.
        mode: What the batches are: ``vector``, ``sequence`` or ``lanes``.
        lanes: Number of lanes, of all processes together.
        val: Validation period: a fraction, a number of years, or the date of its first year, such as 1950-01-01.
        test: Test period, at the end: likewise.
        fit_on: ``all`` trains on everything; neither validation nor test is left.
        batch_size: Windows in a training batch of one process; lanes have no use for it.
        eval_batch_size: Windows in a validation or test batch of one process; lanes have no use for it.
        seed: Determines the order of the training batches.
        fold: Only a piece of the test period, such as ``2/5``, trained on what lies before it.
        refit: Whether a fold trains on everything from the start, or only on what the fold before did not.
    """

    # The length of a cycle is no constant: nine to fourteen years.
    period = 11

    def __init__(
        self,
        window: int = 22,
        horizon: int = 1,
        mode: Mode = "vector",
        lanes: int = 1,
        val: int | float | str = 0.1,
        test: int | float | str = 0.1,
        fit_on: FitOn = "train",
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
        fold: str | None = None,
        refit: bool = True,
    ) -> None:
        values = np.array(sunspots.load().data["SUNACTIVITY"], dtype=np.float64)[:, None]
        recording = Recording("Sunspots", values, ["sunspots"], Timeline(np.datetime64("1700", "Y"), 1, "Y"))
        periods = divide(recording, val, test)
        super().__init__(
            recording, periods, window, horizon, mode, lanes, fit_on, batch_size, eval_batch_size, seed, fold, refit
        )
        self.save_hyperparameters()

    @property
    def source(self) -> dict[str, str]:
        """Name, address, licence and checksum."""
        return {
            "name": "yearly sunspots, 1700 to 2008 (National Geophysical Data Center)",
            "url": "http://www.ngdc.noaa.gov/stp/solar/solarda3.html",
            "licence": "public domain",
            **_packaged(self.recording),
        }


def _packaged(recording: Recording) -> dict[str, str]:
    return {
        "bundled with": f"statsmodels {statsmodels.__version__}",
        "sha256 of values": hashlib.sha256(recording.values.astype("<f8").tobytes()).hexdigest(),
    }


class CsvSeries(Series):
    """One or several series from a CSV file. See :func:`read_csv` for what a file may look like, and what is refused.

    See :class:`Series` for the batches.

    Args:
        path: The file.
        value: Column of the values, or a list of columns; not needed if there is but one.
        time: Column of the times; without it the rows are taken to be equidistant.
        time_format: How times are written, if not like 2024-01-31 14:30, as for ``strptime``: ``%d.%m.%Y``.
        repair: Repairs that are allowed. ``missing`` cells and steps in ``gaps`` are interpolated, ``order`` sorts by
            time, of ``duplicates`` the mean is taken.
        period: Length of a season in steps; 1 if there is none. The naive forecast that MASE compares with repeats it.
        window: Number of points that a window shows, or that a chunk of the lanes has.
        horizon: Number of points to forecast from a window; 1 unless the mode is ``vector``.
        mode: What the batches are: ``vector``, ``sequence`` or ``lanes``.
        lanes: Number of lanes, of all processes together.
        val: Validation period: a fraction, a number of points, or the date of its first point.
        test: Test period, at the end: likewise.
        fit_on: ``all`` trains on everything; neither validation nor test is left.
        batch_size: Windows in a training batch of one process; lanes have no use for it.
        eval_batch_size: Windows in a validation or test batch of one process; lanes have no use for it.
        seed: Determines the order of the training batches.
        fold: Only a piece of the test period, such as ``2/5``, trained on what lies before it.
        refit: Whether a fold trains on everything from the start, or only on what the fold before did not.

    Raises:
        DataError: The file cannot be used, or is too short.
    """

    # Published weights shall show nobody's series.
    private = True

    def __init__(
        self,
        path: str,
        value: list[str] | str | None = None,
        time: str | None = None,
        time_format: str | None = None,
        repair: list[Repair] | None = None,
        period: int = 1,
        window: int = 30,
        horizon: int = 1,
        mode: Mode = "vector",
        lanes: int = 1,
        val: int | float | str = 0.1,
        test: int | float | str = 0.1,
        fit_on: FitOn = "train",
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
        fold: str | None = None,
        refit: bool = True,
    ) -> None:
        recording = read_csv(path, value, time, time_format, repair or ())
        if recording.repaired:
            _tell(f"{path} was repaired: {recording.repaired}")
        if period < 1:
            raise DataError(f"period is {period}, expected at least 1, which stands for no season")
        self.period = self.naive_lag = period
        periods = divide(recording, val, test)
        super().__init__(
            recording, periods, window, horizon, mode, lanes, fit_on, batch_size, eval_batch_size, seed, fold, refit
        )
        self.save_hyperparameters()
        self.path = Path(path)

    @property
    def source(self) -> dict[str, str]:
        """Name and checksum of the file, and what was repaired."""
        return {
            "name": f"{', '.join(self.names)} of {self.path.name}",
            "url": "local file",
            "licence": "that of your data",
            **({"repaired": self.recording.repaired} if self.recording.repaired else {}),
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
        }


@rank_zero_only
def _tell(message: str) -> None:
    log.warning(message)
