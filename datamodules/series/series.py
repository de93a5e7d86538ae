"""Time series: values in their own unit, cut into windows or lanes, with every point of an evaluation forecast once."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from lightning.fabric.utilities.data import AttributeDict
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.checksums import Checksum, of_tensors
from datamodules.errors import DataError, TooShortError
from datamodules.memory import EpochBatches, Split, load_batches, processes
from datamodules.module import DataModule
from datamodules.series.calendar import Calendar, asked
from datamodules.series.covariates import Beside, WindowsBeside, joined
from datamodules.series.periods import before, piece, roll_forward
from datamodules.series.pooled import DrawnBatches, EvaluatedWindows, PooledWindows, bounds, thinning
from datamodules.series.recording import Recording
from datamodules.series.resolution import in_few_bits
from datamodules.series.timeline import Timeline
from datamodules.series.transform import Transform, difference, lags, power, powers, words
from datamodules.windows import Lanes, Starts, Windows

Mode = Literal["vector", "sequence", "lanes"]
FitOn = Literal["train", "known", "all"]
Window = Literal["auto", "longest"]
FoldOf = Literal["test", "before"]

# Sums are taken portion by portion, since a long series in double precision would take twice its memory.
PORTION = 1 << 16
# Squares of what is larger, or smaller than its inverse, would leave what single precision can hold.
LARGEST = 1e15
# Windows that nobody has named are no longer; of longer ones the start hardly matters.
LONGEST_WINDOW = 2048


class Series(DataModule):
    """Base of the time series, and for a program's own: ``Series(Recording(...), divide(...))``.

    The batches are ``(inputs, targets)`` in the series' own unit, float32, or float64 where float32 would round what
    changes from point to point. In mode

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
        window: Number of points that a window shows, or that a chunk of the lanes has. ``auto``: two seasons or two
            horizons, whichever is longer, as far as the training period has as many windows; ``longest``: all that lies
            before the end of the training period, up to 2,048, for models that filter what has been; windows to train
            on are a horizon shorter then.
        horizon: Number of points to forecast from a window; 1 unless the mode is ``vector``.
        mode: What the batches are.
        lanes: Number of lanes, of all processes together.
        fit_on: ``all`` trains on everything, for a model that is to be used: neither validation nor test is left, so
            ``--epochs_of`` says whose early stopping tells how long. ``known`` trains on all that lies before the test
            period, for a model that needs no validation.
        pool: Whether all series train one model that forecasts each by itself, in its own scale, also such as it has
            never seen; else they are the channels of one that sees all of them at once. Pooled series may begin later
            or end earlier than others, with NaN there; periods are cut by time, alike for all. An epoch draws at most
            8,192 of their windows, or 64 batches if that is more, and a validation looks at fewer of them than a test,
            which looks at all.
        transform: What models see of the values, see :mod:`~datamodules.series.transform`: ``log``, ``box_cox`` with
            Guerrero's exponent, ``difference``, ``seasonal_difference``, or several of them in a list; ``auto``: the
            power with which a linear forecast of the last quarter of the training period is best. Batches, forecasts
            and errors are in the series' own unit all the same.
        calendar: What models see of the times, see :mod:`~datamodules.series.calendar`: ``hour``, ``weekday``,
            ``month``, or several of them in a list; ``auto``: those that vary from step to step.
        holidays: A country, such as ``DE``, whose holidays models see, too; or a part of one, ``DE-BY``.
        batch_size: Windows in a training batch of one process; lanes have no use for it.
        eval_batch_size: Windows in a validation or test batch of one process; lanes have no use for it.
        seed: Determines the order of the training batches.
        fold: A piece of the test period, such as ``2/5``, with the periods that :meth:`folds` gives it.
        refit: Whether a fold trains on everything from the start; see :meth:`folds`.
        fold_of: What folds are pieces of: the ``test`` period, or what lies ``before`` it, to choose by.

    Raises:
        DataError: A period is too short for a window, a value is not finite or none that can be transformed, or there
            is no such fold.

    Attributes:
        power: Exponent of Box and Cox for each series; 1 leaves it as it is.
        differences: Lags of the differences that are taken after that.
        pooled: Whether the series are forecast each by itself.
    """

    not_kept = ("recording", "periods")  # no primitives; a subclass makes them of its own arguments
    reader = "CsvSeries"
    miniature = DataModule.miniature | {"window": 20}
    # Length of a season in steps; 1 if there is none that anybody knows.
    period: int = 1
    # How far back the naive forecast looks whose error is the scale of MASE: a step, or a season that is a strict one.
    naive_lag: int = 1

    def __init__(
        self,
        recording: Recording,
        periods: Mapping[str, range],
        window: int | Window = 30,
        horizon: int = 1,
        mode: Mode = "vector",
        lanes: int = 1,
        fit_on: FitOn = "train",
        pool: bool = False,
        transform: Transform | list[Transform] | str = "none",
        calendar: list[Calendar] | Calendar | Literal["auto"] | None = None,
        holidays: str | None = None,
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
        fold: str | None = None,
        refit: bool = True,
        fold_of: FoldOf = "test",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if isinstance(window, str) and window not in get_args(Window):
            raise DataError(f"window is {window!r}, expected a number of points, auto or longest")
        for name, value in (
            ("window", 1 if isinstance(window, str) else window),
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
            raise DataError(
                f"horizon is {horizon} in mode {mode}, expected 1, since every step forecasts the next one; leave out "
                "--data.horizon, and say with --horizon of 'zoo forecast' how far the model shall go on"
            )
        if fit_on not in get_args(FitOn):
            raise DataError(f"fit_on is {fit_on!r}; there are {', '.join(get_args(FitOn))}")
        if fold_of not in ("test", "before"):
            raise DataError(f"fold_of is {fold_of!r}; there are test, before")
        if mode != "vector" and (calendar or holidays or recording.covariates is not None):
            raise DataError(
                f"mode is {mode!r}, which knows no covariates; leave out --data.known, --data.past, --data.calendar "
                "and --data.holidays, or use a model of windows, such as lstm_csv"
            )
        if pool and mode != "vector":
            raise DataError(f"mode is {mode!r}, but pooled series are windows; use --data.pool false")
        self.recording, self.pooled = recording, pool
        self.values = _to_tensor(recording, pool)
        self.names = recording.names
        self._settle_season(periods.get("train", range(len(self.values))))
        self.fit_on, self.horizon, self.mode, self.lanes = fit_on, horizon, mode, lanes
        self.periods = dict(periods) if fit_on != "all" else {"train": range(len(self.values))}
        if fold is not None:
            number, count = piece(fold)
            self.periods = self._roll_forward(count, refit, fold_of)[number - 1]
        if fit_on == "known":
            self.periods = _without_validation(self.periods)
        self._window_asked, self.transform = window, words(transform)
        self.beside = self._find_beside(calendar, holidays)
        self._settle()
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self._check()

    def _find_beside(self, calendar: list[Calendar] | str | None, holidays: str | None) -> Beside:
        """What models see beside the series."""
        recording, timeline = self.recording, self.recording.timeline
        length, count = self.values.shape
        beside = Beside(
            recording.name, timeline, length, recording.covariates, asked(calendar, timeline, length), holidays,
            count if self.pooled else 1, self.values.dtype,
        )  # fmt: skip
        beside.check(self.values, self.names)
        return beside

    def _settle_season(self, train: range) -> None:
        """Settles the length of a season, for a subclass that finds it in the training period."""

    def _settle(self) -> None:
        """Settles what depends on the training period: how values are transformed, and how long windows are."""
        train = self.periods["train"]
        self.differences = lags(self.transform, self.period, self.recording.name)
        if self.pooled and {"box_cox", "auto"} & set(self.transform):
            raise DataError(
                f"transform {self.transform[0]} finds an exponent for each series, but pooled series share one; use log"
            )
        power = powers(
            self.transform, self.values, self.names, train.stop, self.period, self.horizon, self.recording.name
        )
        self.power = power[:1] if self.pooled else power
        self.window = self._window_asked if isinstance(self._window_asked, int) else self._found_window(train)

    def _found_window(self, train: range) -> int:
        """As many points as :class:`Series` says of a window that nobody has measured."""
        if self._window_asked == "longest":
            return min(train.stop, LONGEST_WINDOW)
        is_walked = self.mode == "lanes"
        room = (self._usual_length(train) - self.horizon) // (2 * (self.lanes if is_walked else 1))
        most = room if is_walked else max(room, self.period)
        wanted = max(2 * self.period, 2 * self.horizon, 16)
        return max(1, min(wanted, most, LONGEST_WINDOW)) + sum(self.differences)

    def _usual_length(self, train: range) -> int:
        """Points for training that three of four series have."""
        if not self.pooled:
            return len(train)
        begins, ends = bounds(self.values[train.start : train.stop])
        return int((ends - begins).double().quantile(0.25, interpolation="lower")) if len(train) else 0

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
        elif train.stop < (window := self._trained_window) + self.horizon or len(train) < self.horizon:
            raise DataError(
                f"{name} has {len(train)} points for training of {len(self.values)}; a window of {window} and a "
                f"horizon of {self.horizon} need {window + self.horizon}; {self._room()}"
            )
        elif self.pooled and not len(self._pooled_windows()):
            raise DataError(
                f"{name} has no series of {self._trained_window + self.horizon} points for training, as a window of "
                f"{self._trained_window} and a horizon of {self.horizon} need; use a shorter --data.window or "
                "--data.horizon"
            )
        for split in ("val", "test"):
            if split in self.periods and len(self.periods[split]) < self.horizon:
                raise DataError(
                    f"{name} has {len(self.periods[split])} points in {split}, expected at least the horizon of "
                    f"{self.horizon}; use a larger --data.{split} or a shorter --data.horizon"
                )

    def _room(self) -> str:
        """What to type where window and horizon do not fit into the periods."""
        train = self.periods["train"]
        longest = min(train.stop - 1, *map(len, self.periods.values()))
        if longest < 1:
            return "use a longer file"
        if self.horizon > longest:
            return f"use --data.horizon {longest} at most, and --data.window {train.stop - longest} at most with that"
        return f"use --data.window {train.stop - self.horizon} at most"

    def setup(self, stage: str | None = None) -> None:
        """Refuses a device that knows fewer bits than the values need."""
        on_mps = self.trainer is not None and self.trainer.strategy.root_device.type == "mps"
        if on_mps and self.values.dtype == torch.float64:
            raise DataError(
                f"{self.recording.name} changes by less than 32 bits tell apart, and mps knows no more; use "
                "--trainer.accelerator cpu"
            )

    @property
    def hparams_initial(self) -> AttributeDict:
        """The arguments as loggers compare them with the model's: lengths as they were settled."""
        found = super().hparams_initial
        return AttributeDict({**found, **{name: getattr(self, name) for name in ("window", "period") if name in found}})

    @property
    def _trained_window(self) -> int:
        """Points that a window to train on shows."""
        if self._window_asked != "longest":
            return self.window
        return max(1, min(self.window, self.periods["train"].stop - self.horizon))

    @property
    def num_series(self) -> int:
        """Number of series that a model sees at once, which is the number of channels."""
        return 1 if self.pooled else self.values.shape[1]

    @property
    def mean(self) -> list[float]:
        """Mean of each series, transformed, over all that lies before the end of the training period; 0 if pooled."""
        return [0.0] if self.pooled else self._moments()[0].tolist()

    @property
    def std(self) -> list[float]:
        """Standard deviation of each series, transformed, over the same points; 1 for one that is constant there."""
        return [1.0] if self.pooled else self._moments()[1].tolist()

    @property
    def naive_mae(self) -> list[float]:
        """The scale of MASE for each series that a model knows; batches of pooled ones name it."""
        return [1.0] if self.pooled else self.scales

    @property
    def scales(self) -> list[float]:
        """Mean absolute error of the naive forecast of each series before the end of training; 1 if it is constant.

        It is that of the seasonal one where there is a season.
        """
        errors = self._naive_errors(self.naive_lag)
        # A season that repeats itself exactly is no scale.
        errors = torch.where(errors > 0, errors, self._naive_errors(1))
        return torch.where(errors > 0, errors, 1.0).tolist()

    def _naive_errors(self, lag: int) -> Tensor:
        values = self.values[: self.periods["train"].stop]
        # Each portion begins with the last points of the one before.
        portions = (values[start : start + PORTION + lag].double() for start in range(0, len(values) - lag, PORTION))
        errors = sum(((portion[lag:] - portion[:-lag]).abs().nansum(0) for portion in portions), torch.zeros(1))
        if not self.pooled:
            return errors / (len(values) - lag)
        begins, ends = bounds(values)
        return errors / (ends - begins - lag).clamp_min(1)

    def _moments(self) -> tuple[Tensor, Tensor]:
        count = self.periods["train"].stop - sum(self.differences)
        mean = sum((portion.sum(0) for portion in self._portions()), torch.zeros(1)) / count
        squares = sum(((portion - mean).square().sum(0) for portion in self._portions()), torch.zeros(1))
        std = (squares / (count - 1)).sqrt()
        return mean, torch.where(std > 0, std, 1.0)

    def _portions(self) -> Iterator[Tensor]:
        """The transformed values of the training period and before, float64, portion by portion."""
        values, reach = self.values[: self.periods["train"].stop], sum(self.differences)
        lambdas = torch.tensor(self.power, dtype=torch.float64)
        for start in range(0, len(values) - reach, PORTION):
            portion = values[start : start + PORTION + reach].double()
            yield difference(power(portion, lambdas), self.differences)

    @property
    def covariates(self) -> dict[str, Any]:
        """What a model needs to know of what lies beside the series; nothing if there is nothing."""
        return self.beside.facts(self.periods["train"].stop)

    @property
    def inputs(self) -> Tensor:
        """The series as models take it, ``(T, C)``; with covariates ``(T, C + (P + K) * S)``."""
        return self._with_beside(0) if self.beside else self.values

    def ahead(self, horizon: int, hint: str = "add it to the data") -> Tensor:
        """The series with what is known of the steps ahead, as a forecast takes it.

        Args:
            horizon: Steps ahead.
            hint: What to do about a covariate that is not known so far ahead.

        Returns:
            ``(T, C)``; with covariates ``(T + horizon, C + (P + K) * S)``.

        Raises:
            DataError: A covariate is not known so far ahead.
        """
        if not self.beside:
            return self.values
        self.beside.check_ahead(horizon, self.names, hint)
        return self._with_beside(horizon)

    def _with_beside(self, horizon: int) -> Tensor:
        return joined(self.values, self.beside.rows(0, len(self.values) + horizon), len(self.beside.past))

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

    def checksums(self) -> dict[str, Checksum]:
        """Of the values up to the end of each period, and when that is, if points are not merely counted."""
        found = {split: of_tensors([self.values[: period.stop]]) for split, period in self.periods.items()}
        if self.recording.timeline != Timeline():
            for split, checksum in found.items():
                checksum["until"] = str(self.times[self.periods[split].stop - 1])
        return found

    def history(self, split: str) -> Tensor:
        """What a stateful model must have seen before a period's lane begins: all earlier inputs, ``(1, T, C)``."""
        return self.values[None, : self.periods[split].start - 1]

    @property
    def source(self) -> dict[str, str]:
        """Where the series comes from: name, address, licence and checksum, for model cards."""
        return {"name": self.recording.name, "url": "local data", "licence": "that of your data"}

    def only(self, places: Sequence[int]) -> Self:
        """Some of pooled series, by their places."""
        some = copy.copy(self)
        names = [self.names[place] for place in places]
        some.recording = self.recording._replace(values=self.recording.values[:, places], names=names)
        some.values, some.names = self.values[:, places], names
        some.beside = self.beside.only(places)
        return some

    def folds(self, count: int, refit: bool = True, of: FoldOf = "test", known: bool = False) -> list[Self]:
        """A data module for each piece of a period, all with the values of this one.

        Args:
            count: Number of pieces; see :func:`~datamodules.series.periods.roll_forward`.
            refit: Whether every one trains on everything from the start of the series.
            of: The ``test`` period, or what lies ``before`` it, see :func:`~datamodules.series.periods.before`.
            known: Whether each trains on all that lies before its piece, whatever ``fit_on`` says.

        Raises:
            DataError: The test period has fewer points than pieces.
            TooShortError: A period is too short for a window.
        """
        folds: list[Self] = []
        pieces = self._roll_forward(count, refit, of)
        for number, shortest in enumerate((len(periods["test"]) for periods in pieces), start=1):
            if shortest < self.horizon:
                longer = f"a test period of {count * self.horizon} points" if of == "test" else "a longer file"
                raise TooShortError(
                    f"of {count} folds number {number} is too short: {self.recording.name} has {shortest} points in "
                    f"it, expected at least the horizon of {self.horizon}; use fewer --folds, a shorter "
                    f"--data.horizon, or {longer}"
                )
        for periods in pieces:
            fold = copy.copy(self)
            fold.trainer = None
            fold.fit_on = "known" if known else self.fit_on
            fold.periods = periods if fold.fit_on == "train" else _without_validation(periods)
            try:
                fold._settle()
                fold._check()
            except DataError as error:
                raise TooShortError(f"of {count} folds number {len(folds) + 1} is too short: {error}") from error
            folds.append(fold)
        return folds

    def _roll_forward(self, count: int, refit: bool, of: FoldOf) -> list[dict[str, range]]:
        """The periods of each fold."""
        if "test" not in self.periods:
            raise DataError("fit_on all leaves nothing to be forecast in folds; use --data.fit_on train")
        test = self.periods["test"]
        if of == "test":
            return roll_forward(test, count, refit)
        return roll_forward(before(test, count, self.horizon), count, refit, self.horizon)

    def train_dataloader(self) -> DataLoader[Split]:
        """Shuffled windows of the training period, or its lanes in order."""
        count, rank = processes(self)
        if self.mode == "lanes":
            if self.lanes < count:
                raise DataError(
                    f"{self.lanes} lanes cannot be shared by {count} processes; use --data.lanes {count} or "
                    f"--trainer.devices {self.lanes}"
                )
            return self._walk(self._chunks(self._trained_by_lanes(), self.lanes).share(count, rank))
        if self.pooled:
            pooled = self._pooled_windows()
            return load_batches(pooled, DrawnBatches(pooled, self.batch_size, self.seed, count, rank), self)
        windows = self._windows("train")
        return load_batches(windows, EpochBatches(windows, self.batch_size, True, self.seed, count, rank), self)

    def val_dataloader(self) -> DataLoader[Split] | list[DataLoader[Split]]:
        """The validation period in order; no loader if all was trained on, since that can tell nothing."""
        return self._evaluate("val") if "val" in self.periods else []

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
            return self._walk(self._chunks(self.periods[split]))
        windows = self._windows(split)
        size = max(1, self.eval_batch_size // (self.values.shape[1] if self.pooled else 1))
        return load_batches(windows, EpochBatches(windows, size, False, self.seed, *processes(self)), self)

    def _walk(self, lanes: Lanes) -> DataLoader[Split]:
        """Walks lanes chunk by chunk; the sampler is one that Lightning leaves alone."""
        return load_batches(lanes, Starts(lanes, lanes.chunk), self)

    def _windows(self, split: str) -> Windows:
        period, sequence = self.periods[split], self.mode == "sequence"
        window = self._trained_window if split == "train" else self.window
        reach = self.values[max(period.start - window, 0) : period.stop]
        points = range(max(period.start, window), period.stop)
        around = self._around(max(period.start - window, 0), period.stop)
        if self.pooled:
            every = 1 if split == "test" else thinning(len(points), self.horizon, self.values.shape[1])
            evaluated = EvaluatedWindows(reach, window, self.horizon, torch.tensor(self.scales), every, **around)
            return evaluated.of(points, self.recording.timeline, self.names)
        windows = WindowsBeside(reach, window, self.horizon, sequence, **around)
        return windows.of(points, self.recording.timeline, self.names)

    def _pooled_windows(self) -> PooledWindows:
        around = self._around(0, len(self.values))
        return PooledWindows(self.values, self.periods["train"], self._trained_window, self.horizon, **around)

    def _around(self, start: int, stop: int) -> dict[str, Any]:
        """The arguments by which windows show covariates of some points."""
        return {"beside": self.beside.rows(start, stop), "past": len(self.beside.past)} if self.beside else {}

    def _chunks(self, period: range, lanes: int = 1) -> Lanes:
        length = len(period) // lanes
        # The last value of a lane is the first input of the next one.
        values = self.values[period.start - 1 : period.stop].unfold(0, length + 1, length).movedim(-1, 1)
        return Lanes(values, self.window).of(period, self.recording.timeline, self.names)

    def _trained_by_lanes(self) -> range:
        """The points that the lanes forecast: as many as fill whole chunks, and none without a point before it."""
        period = self.periods["train"]
        whole = self.lanes * self.window
        return range(period.stop - (period.stop - max(period.start, 1)) // whole * whole, period.stop)


def _without_validation(periods: Mapping[str, range]) -> dict[str, range]:
    """The periods of a model that trains on all that lies before the test period."""
    return {"train": range(periods["train"].start, periods["test"].start), "test": periods["test"]}


def _to_tensor(recording: Recording, may_lack: bool = False) -> Tensor:
    """The values in as many bits as they need; a tensor in single precision stays where it is.

    Args:
        recording: The series.
        may_lack: Whether they may begin and end at different times.
    """
    values = torch.as_tensor(recording.values)
    if values.ndim != 2 or values.shape[1] != len(recording.names) or not len(values):
        raise DataError(
            f"{recording.name} has values of shape {tuple(values.shape)} and {len(recording.names)} names, expected "
            "(T, C) and C names"
        )
    if may_lack:
        _check_whole(recording, values)
    low, high = torch.aminmax(values.nan_to_num(0.0, torch.inf, -torch.inf) if may_lack else values, dim=0)
    for name, least, most in zip(recording.names, low.tolist(), high.tolist(), strict=True):
        largest = max(abs(least), abs(most))
        if not largest < LARGEST:
            raise DataError(
                f"{recording.name} has values in '{name}' that are not finite or beyond {LARGEST:g}; use a larger unit"
            )
        if 0 < largest < 1 / LARGEST:
            raise DataError(f"{recording.name} has no value in '{name}' beyond {1 / LARGEST:g}; use a smaller unit")
    return in_few_bits(values)


def _check_whole(recording: Recording, values: Tensor) -> None:
    """Refuses series that lack values between the first and the last."""
    begins, ends = bounds(values)
    lacking = ends - begins - (~values.isnan()).sum(0)
    for name, length, count in zip(recording.names, (ends - begins).tolist(), lacking.tolist(), strict=True):
        if not length or count:
            what = f"lacks {count} values between its first and its last" if length else "has no value"
            raise DataError(f"{recording.name}: '{name}' {what}; fill them in, or leave the series out")
