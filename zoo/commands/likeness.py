"""Whether a series is like the one that a model was trained on: another column, unit or step is told."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.checksums import of_tensors
from datamodules.errors import DataError
from datamodules.series.csv import CsvSeries
from datamodules.series.series import Series
from zoo.commands.origin import find_checksums, find_class, find_settings
from zoo.series.forecaster import Forecaster
from zoo.terminal import warn

# A trend that goes on for twice as long as it was trained on ends up five standard deviations away; changes from step
# to step stay what they are unless the unit changes.
_AWAY, _TIMES = 6, 10


class Facts(NamedTuple):
    """What tells one series from another, of each a value.

    Attributes:
        mean: Its level.
        std: Its standard deviation.
        change: Its mean absolute change from point to point.
    """

    mean: np.ndarray
    std: np.ndarray
    change: np.ndarray


def tell_unlike(name: str, model: Forecaster, data: Series, trust: bool = False) -> None:
    """Says on the screen by what a series differs from what a model was trained on, beyond what going on could explain.

    Args:
        name: The model, as its user calls it: published, a run folder or a checkpoint file in one.
        model: The model.
        data: What it is to forecast.
        trust: The run may name data from outside the zoo.
    """
    seen = find_checksums(name).get("train")
    if seen is not None and of_tensors([data.values[: seen["shape"][0]]])["sha256"] == seen["sha256"]:
        return
    learnt = _learnt_from(name, trust)
    told = []
    if isinstance(learnt, CsvSeries) and list(learnt.names) != list(data.names) and not model.pooled:
        told.append(f"{_columns(data)}, not {_columns(learnt)}")
    if learnt is not None and None not in (learnt.step, data.step) and learnt.step != data.step:
        told.append(f"steps of {data.step}, not {learnt.step}")
    # Where each series is in its own scale, none is too high.
    known = None if model.pooled else _known(model, learnt)
    if known is not None and model.num_series == data.num_series:
        told += _levels(data, _facts(data), known)
    if told:
        warn(
            f"{data.recording.name} is not like what '{name}' was trained on: {'; '.join(told)}; name a file or column "
            "that is, or train on this one"
        )


def _learnt_from(name: str, trust: bool) -> Series | None:
    """The series that a model was trained on, as far as it can still be read."""
    origin, settings = find_settings(name)
    if settings is None:
        return None
    kind, arguments = find_class(origin, settings["class_path"], trust), settings["init_args"]
    if not (isinstance(kind, type) and issubclass(kind, Series)):
        return None
    if issubclass(kind, CsvSeries) and not Path(arguments.get("path", "")).is_file():
        return None
    with suppress(DataError, TypeError, ValueError, AttributeError):
        return kind(**arguments)
    return None


def _known(model: Forecaster, learnt: Series | None) -> Facts | None:
    """What a model knows of the series that it was trained on; None if that is only of transformed values."""
    if learnt is not None and learnt.num_series == model.num_series:
        return _facts(learnt, learnt.periods["train"].stop)
    if model.is_raised or model.differences:
        return None
    mean, std, change = (
        np.broadcast_to(fact.double().cpu().numpy(), model.num_series)
        for fact in (model.mean, model.std, model.naive_mae)
    )
    return Facts(mean, std, change)


def _facts(data: Series, stop: int | None = None) -> Facts:
    values = data.recording.values[:stop]
    return Facts(values.mean(0), values.std(0), np.abs(np.diff(values, axis=0)).mean(0))


def _levels(data: Series, found: Facts, known: Facts) -> list[str]:
    """The series whose level or whose changes are others, in words."""
    away = np.abs(found.mean - known.mean) > _AWAY * np.maximum(known.std, known.change)
    moving = (found.change > 0) & (known.change > 0)
    ratio = np.divide(found.change, known.change, out=np.ones_like(found.change), where=moving)
    unlike = away | (ratio > _TIMES) | (ratio < 1 / _TIMES)
    return [
        f"'{data.names[place]}' is about {found.mean[place]:.4g} and changes by {found.change[place]:.3g} a step, not "
        f"about {known.mean[place]:.4g} and by {known.change[place]:.3g}"
        for place in np.flatnonzero(unlike)
    ]


def _columns(data: Series) -> str:
    return f"column{'s' if len(data.names) > 1 else ''} {', '.join(data.names)}"
