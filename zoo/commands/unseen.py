"""Which points of a series a model was not trained on: only these tell how far its forecasts may be off."""

import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.checksums import Checksum, of_tensors
from datamodules.errors import DataError
from datamodules.series.csv import CsvSeries
from datamodules.series.periods import divide
from datamodules.series.recording import read_csv
from datamodules.series.series import Series
from datamodules.series.timeline import Timeline
from zoo.commands.origin import find_checksums, find_class, find_settings
from zoo.errors import ZooError
from zoo.series.covariates import Covariates
from zoo.terminal import warn

# What tells how to read a file.
FILE_OPTIONS = ("value", "time", "time_format", "repair", "id", "series", "decimal", "thousands")
# What is said of the points that tell how far a forecast may be off.
_NOT_SEEN, _TAKEN = "which it was not trained on", "taken to be new to the model"


class Source(NamedTuple):
    """A series to continue.

    Attributes:
        data: The series with its times.
        unseen: Points that the model was not trained on; None if it was trained on all.
        told: What these points are.
    """

    data: Series
    unseen: range | None
    told: str


def find_series(
    name: str,
    trust: bool = False,
    file: Namespace | None = None,
    pooled: bool = False,
    beside: Covariates | None = None,
) -> Source:
    """Finds the series that a model was trained on, or reads one from a file.

    Args:
        name: A published model, a run folder or a checkpoint file in one.
        trust: The run may name data from outside the zoo.
        file: The options ``data`` and :data:`FILE_OPTIONS`, if ``data`` names a file, and ``future``.
        pooled: Whether the model forecasts any number of series, each by itself.
        beside: The covariates that it looks at.

    Raises:
        ZooError: What the model was trained on is not known or no series, and no file is named.
        DataError: The series cannot be read.
    """
    origin, settings = find_settings(name)
    learnt_from = find_checksums(name)
    kind = _find_class(origin, settings["class_path"], trust) if settings else None
    arguments = settings["init_args"] if settings else {}
    try:
        if file is not None and file.data is not None:
            csv_run = kind is not None and issubclass(kind, CsvSeries)
            return _read_file(file, arguments if csv_run else None, learnt_from.get("train"), pooled, beside)
        if kind is None:
            raise ZooError(f"{name} lies in no run folder, so its series is not known; name a file with --data")
        if issubclass(kind, CsvSeries) and not Path(arguments.get("path", "")).is_file():
            raise ZooError(f"'{name}' was trained on {arguments.get('path')}, which is not there; name it with --data")
        if file is not None and file.future is not None:
            if not issubclass(kind, CsvSeries):
                raise ZooError(f"--future tells what is known ahead beside a file, and '{name}' learnt from none")
            arguments = {**arguments, "future": str(file.future)}
        data = kind(**arguments)
    except (TypeError, ValueError, AttributeError) as error:
        raise ZooError(
            f"{origin} does not say what {name} was trained on ({error}); name a file with --data"
        ) from error
    return _told_apart(name, data, learnt_from)


def _told_apart(name: str, data: Series, learnt_from: Mapping[str, Checksum]) -> Source:
    """The series that a model was trained on and what the model has not seen of it; its file may have changed since."""
    if "train" not in learnt_from:
        return Source(data, _unseen(data), _TAKEN if getattr(data, "private", False) else _NOT_SEEN)
    new = _after_the_same(data, learnt_from["train"])
    if new is not None:
        return Source(data, None if data.fit_on == "all" and not new else new, _NOT_SEEN)
    warn(f"{data.recording.name} has changed since '{name}' was trained on it")
    new = _after(data, learnt_from["train"].get("until"))
    if new is not None:
        return Source(data, new, "which are later than what it was trained on")
    return Source(data, _unseen(data), _TAKEN)


def _after_the_same(data: Series, seen: Checksum) -> range | None:
    """The points after those that a model was trained on, if the series begins with these."""
    count = seen["shape"][0]
    same = of_tensors([data.values[:count]])["sha256"] == seen["sha256"]
    return range(count, len(data.values)) if same else None


def _after(data: Series, until: str | None) -> range | None:
    """The points after a time; None if it is of another kind than the times of the series."""
    times = data.times
    # NumPy takes any whole number for a year; weeks and seconds since 1970 have not always been times.
    if times.dtype.kind == "M" and re.fullmatch(r"\d{5,}", until or ""):
        return None
    try:
        end = np.datetime64(until) if times.dtype.kind == "M" else int(until or "")
    except ValueError:
        return None
    if until is None or data.recording.timeline == Timeline():
        return None
    return range(int((times <= end).sum()), len(times))


def _find_class(origin: Path, class_path: str, trust: bool) -> type[Series]:
    """The series of that path."""
    found = find_class(origin, class_path, trust)
    if not (isinstance(found, type) and issubclass(found, Series)):
        raise ZooError(f"{origin} names {class_path!r}, which is no series; expected one as in datamodules.series")
    return found


def _read_file(
    file: Namespace,
    trained: dict[str, Any] | None,
    seen: Checksum | None,
    pooled: bool = False,
    beside: Covariates | None = None,
) -> Source:
    """Reads a file.

    Args:
        file: The options.
        trained: The arguments of the :class:`CsvSeries` that the model learned from, if it did.
        seen: The checksum of what it was trained on, if that is known.
        pooled: Whether series may begin and end at different times.
        beside: The covariates that the model looks at.
    """
    beside = beside or Covariates()
    options: dict[str, Any] = {name: getattr(file, name) or (trained or {}).get(name) for name in FILE_OPTIONS}
    options["repair"] = options["repair"] or ()
    options |= {name: (trained or {}).get(name) or getattr(beside, name) for name in ("past", "known")}
    clock: dict[str, Any] = {"calendar": beside.calendar, "holidays": beside.holidays}
    try:
        recording = read_csv(file.data, **options, ragged=pooled, future=file.future)
    except DataError as error:
        raise DataError(_in_own_flags(str(error))) from error
    if recording.repaired:
        warn(f"{file.data} was repaired: {recording.repaired}")
    if len(recording.values) < 4:
        raise ZooError(f"{file.data} is too short to continue: {len(recording.values)} rows, expected 4 or more")
    data = Series(recording, {}, window=1, fit_on="all", pool=pooled, **clock)
    new = _after_the_same(data, seen) if seen is not None else None
    if new is None and trained is not None and options["time"] is not None:
        new = _after(data, seen.get("until") if seen is not None else _end_of_training(trained))
    # A run of former times remembers no checksum, so its file may have been another when it was trained.
    told = _NOT_SEEN if seen is not None else _TAKEN
    if new is not None and not new and pooled and _are_others(data, trained or {}):
        new = range(len(data.values))
    if new is not None:
        if not new and not file.no_intervals:
            raise ZooError(
                f"{file.data} ends at {data.times[-1]} and holds nothing that the model was not trained on, so nothing "
                "in it tells how far it may be off; name a longer file, or add --no-intervals"
            )
        return Source(data, new, told)
    if trained is None:
        return Source(data, range(len(data.values)), _TAKEN)
    if trained.get("fit_on") == "all":
        return Source(data, None, "")
    shares = {split: trained[split] for split in ("val", "test") if split in trained}
    data = Series(recording, divide(recording, **shares), window=1, pool=pooled, **clock)
    return Source(data, _unseen(data), f"{_TAKEN}, as in the division it was trained with")


def _are_others(data: Series, trained: dict[str, Any]) -> bool:
    """Whether no series is among those that a pooled model was trained on, as far as their names tell."""
    return Path(trained.get("path", "")).is_file() and not {*CsvSeries(**trained).names} & {*data.names}


def _end_of_training(trained: dict[str, Any]) -> str | None:
    """The time of the last point that a run was trained on; None if its file is gone or has no times."""
    if not trained.get("time") or not Path(trained.get("path", "")).is_file():
        return None
    return CsvSeries(**trained).checksums()["train"].get("until")


def _unseen(data: Series) -> range | None:
    """What a model was not trained on: the validation period, if there is one, the test period and all that follows."""
    first = next((data.periods[split] for split in ("val", "test") if split in data.periods), None)
    return range(first.start, len(data.values)) if first is not None else None


def _in_own_flags(advice: str) -> str:
    """Advice on the flags of training, in those of this verb."""
    repair = r"--data\.repair\+=\w+"
    advice = re.sub(
        rf"{repair}(?: {repair})*", lambda found: " ".join(["--repair", *re.findall(r"=(\w+)", found[0])]), advice
    )
    return advice.replace("--data.time_format", "--time-format").replace("--data.", "--")
