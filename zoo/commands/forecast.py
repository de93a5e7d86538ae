"""``zoo forecast``: how a series goes on, and how far that may be off."""

import textwrap
from argparse import Namespace
from collections.abc import Iterator
from math import floor, log10
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor

from datamodules.series.series import Series
from zoo import weights
from zoo.commands.arguments import Arguments
from zoo.commands.likeness import tell_unlike
from zoo.commands.outputs import add_csv_flags, check_outputs, write_csv, write_figure
from zoo.commands.pooled import going_on
from zoo.commands.tables import show_table
from zoo.commands.unseen import FILE_OPTIONS, Source, find_series
from zoo.ensemble import Ensemble
from zoo.errors import ZooError
from zoo.series.conformal import (
    drifting_half_widths,
    fewest_errors,
    pooled_half_widths,
    rolled_errors,
    spreads,
)
from zoo.series.drawing import draw_future
from zoo.series.forecaster import Forecaster
from zoo.terminal import say, warn

# Of the intervals, in per cent.
LEVELS = (80, 95)
# More forecasts than the latest so many change no interval that one would notice.
_CALIBRATION = 10_000
# Changes of a series that tell how much it changes now, unless two seasons are more.
_LATELY = 30
# Of more than twice as many series, so many are shown.
_SHOWN = 10
# More steps than anybody reads.
_LONGEST = 1_000_000
# What says how a model was trained rather than what it is.
_TRAINING = {"loss", "delta", "optimizer", "lr", "weight_decay", "momentum", "schedule", "dropout"}
_FACTS = {"mean", "std", "naive_mae"}
# What to do where a covariate is not known so far ahead.
_AHEAD = "add a row for it behind the last value, whose cell is left empty, or name a file that has it with --future"


Bounds = tuple[np.ndarray, np.ndarray]


class Row(NamedTuple):
    """A step ahead of one series.

    Attributes:
        time: When it will be.
        series: Name of the series.
        step: How many steps ahead, from 1.
        forecast: What is expected.
        bounds: Lower and upper end of the interval of each level.
    """

    time: str
    series: str
    step: int
    forecast: np.floating
    bounds: list[np.floating]


def forecast(argv: list[str]) -> None:
    """Continues a series beyond its last value, with intervals that hold the truth in 80 and 95 of 100 cases.

    The series is the one that the model was trained on, or one from a file. The intervals are those of split conformal
    prediction: so wide that they would have held that share of what happened after earlier forecasts by the same model,
    made from every point since its validation period began, or of a file that is new to it. They promise what they say
    as far as the future resembles that time. Outputs that exist are replaced.
    """
    parser = Arguments("forecast", forecast.__doc__)
    parser.add_argument("name", help="a published model, a run folder or a checkpoint file in one")
    parser.add_argument("--horizon", type=int, required=True, metavar="H", help="how many steps")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="CSV",
        help="continue the series in this file; a run of CsvSeries knows its columns",
    )
    parser.add_argument("--value", action="append", metavar="COLUMN", help="column of the values; may be repeated")
    parser.add_argument("--time", metavar="COLUMN", help="column of the times")
    parser.add_argument("--time-format", metavar="FORMAT", help="how times are written, such as %%d.%%m.%%Y")
    parser.add_argument("--id", metavar="COLUMN", help="column that tells several series of the same times apart")
    parser.add_argument("--series", action="append", metavar="NAME", help="one of these; may be repeated")
    parser.add_argument("--decimal", metavar="SIGN", help="decimal sign, where the file does not tell: . or ,")
    parser.add_argument("--thousands", metavar="SIGN", help="sign between thousands, likewise")
    parser.add_argument(
        "--repair", nargs="+", metavar="WORD", help="repairs that are allowed: missing, order, duplicates, gaps"
    )
    parser.add_argument(
        "--future",
        type=Path,
        metavar="CSV",
        help="what is known ahead, such as prices, if not rows behind the last value tell it",
    )
    parser.add_argument(
        "--calibrate",
        metavar="NAME",
        help="take the intervals from this model of the same architecture and data, which kept a validation period",
    )
    parser.add_argument("--no-intervals", action="store_true", help="forecasts only")
    add_csv_flags(parser, "the forecasts")
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="draw them behind the end of the series")
    parser.add_device()
    parser.add_argument("--trust", action="store_true", help="the run may name data from outside the zoo")
    options = parser.parse_args(argv)
    _check(options)

    model = load_forecaster(options.name, options.device)
    source = find_series(options.name, options.trust, options, model.pooled, model.beside)
    data, horizon = source.data, options.horizon
    if not model.pooled and data.num_series != model.num_series:
        advice = "; name columns with --value" if options.data else ""
        raise ZooError(
            f"{data.recording.name} has {data.num_series} series ({', '.join(data.names)}), '{options.name}' forecasts "
            f"{model.num_series}{advice}"
        )
    if model.pooled:
        data = source.data.only(going_on(model, data))
    known = data.ahead(horizon, _AHEAD)
    model.check(known[None])
    if options.data is not None:
        tell_unlike(options.name, model, data, options.trust)
    if len(data.values) < model.window:
        warn(
            f"{data.recording.name} has {len(data.values)} points, '{options.name}' was trained on windows of "
            f"{model.window}; its forecasts may be poor"
        )
    if options.plot is not None:
        _check_dates(data, horizon)
    widths: dict[int, Tensor] = {}
    if not options.no_intervals:
        judge, judged = model, source
        if options.calibrate is not None:
            judge = load_forecaster(options.calibrate, options.device)
            judged = find_series(options.calibrate, options.trust, pooled=model.pooled)
            _check_alike(options, model, data, judge, judged.data)
        widths, told = calibrate(options.calibrate or options.name, judge, judged, horizon, data.values)
        told += f"; made by {options.calibrate}" if options.calibrate is not None else ""
    ahead = model.forecast(known, horizon).cpu()
    if not ahead.isfinite().all():
        raise ZooError(f"the forecasts of '{options.name}' grow beyond all bounds; use a shorter --horizon")

    future = data.future_times(horizon)
    bounds = {level: _bounds(ahead, half, data) for level, half in widths.items()}
    rows = list(_rows(data.recording.timeline.write(future), data.names, ahead, bounds))
    picture = None if options.plot is None else _draw(options.name, model, data, ahead, bounds)
    if options.csv is not None:
        ends = [f"{end}_{level}" for level in widths for end in ("lower", "upper")]
        cells = ((row.time, row.series, row.step, row.forecast, *row.bounds) for row in rows)
        write_csv(options.csv, ("time", "series", "step", "forecast", *ends), cells, options.csv_safe)
    if picture is not None:
        write_figure(options.plot, picture)
    _print(rows, data, widths)
    if widths:
        say(told)


def load_forecaster(name: str, device: str = "cpu") -> Forecaster:
    """Loads a model that forecasts series.

    Raises:
        ZooError: It does something else, or there is no such device.
    """
    model = weights.load(name, device)
    if not isinstance(model, Forecaster):
        raise ZooError(
            f"'{name}' forecasts nothing: {type(model).__name__} is no forecaster; 'zoo list' shows the family of each "
            "model"
        )
    return model


def _check(options: Namespace) -> None:
    """Tells what is wrong with the options by themselves."""
    check_outputs(options.csv, options.plot)
    if not 1 <= options.horizon <= _LONGEST:
        raise ZooError(f"--horizon is {options.horizon}, expected 1 to {_LONGEST:,}")
    if options.data is None:
        for flag in FILE_OPTIONS:
            if getattr(options, flag) is not None:
                raise ZooError(f"--{flag.replace('_', '-')} is for a file; name it with --data")
    if options.calibrate is not None and options.no_intervals:
        raise ZooError("--calibrate is for intervals; leave out --no-intervals")
    for out in (options.csv, options.plot):
        if options.data is not None and out is not None and out.resolve() == options.data.resolve():
            raise ZooError(f"{out} is the series to continue and would be overwritten; write to another file")


def _check_dates(data: Series, horizon: int) -> None:
    """Tells before anything is computed which dates cannot be drawn."""
    last = data.future_times(horizon)[-1]
    if last.dtype.kind == "M" and not np.datetime64("0001") <= last <= np.datetime64("9999"):
        raise ZooError(f"--plot cannot draw dates as far as {last}; use a shorter --horizon, or leave out --plot")


def _check_alike(options: Namespace, model: Forecaster, data: Series, judge: Forecaster, judged: Series) -> None:
    """Refuses intervals from a model whose errors tell nothing of this one's."""
    settled = _settled(judge, judged)
    ours, theirs = _architecture(model, settled), _architecture(judge, settled)
    for name in ours | theirs:
        if ours.get(name) != theirs.get(name):
            raise ZooError(
                f"--calibrate {options.calibrate} has {name} {theirs.get(name)}, '{options.name}' {ours.get(name)}; "
                "expected the same architecture"
            )
    if list(judged.names) != list(data.names):
        raise ZooError(
            f"--calibrate {options.calibrate} forecasts {', '.join(judged.names)}, not {', '.join(data.names)}; "
            "expected the same series"
        )


def _settled(model: Forecaster, data: Series) -> set[str]:
    """What depends on how long a training period is, unless it is asked for as a number: no matter of architecture."""
    if isinstance(model, Ensemble):
        return {"window", "power"}
    by_data = {"window": isinstance(data.hparams.get("window"), str), "power": {"box_cox", "auto"} & {*data.transform}}
    return {name for name, is_settled in by_data.items() if is_settled}


def _architecture(model: Any, settled: set[str]) -> dict[str, Any]:
    """Class and arguments of a model, but for what the data says and for how it was trained."""
    found = {name: value for name, value in model.hparams.items() if name not in _TRAINING | _FACTS | settled}
    beside = found.get("covariates") or {}
    found["covariates"] = {name: value for name, value in beside.items() if name not in _FACTS}
    if isinstance(model, Ensemble):
        found["members"] = [_architecture(member, settled) for member in model.members]
    return {"class": type(model).__name__, **found}


def calibrate(
    name: str, model: Forecaster, source: Source, horizon: int, known: Tensor
) -> tuple[dict[int, Tensor], str]:
    """How far the intervals of each level reach to either side, ``(H, C)``, and a line that says what tells so.

    Args:
        name: What the user calls the model whose errors tell.
        model: That model.
        source: What it is to be wrong about.
        horizon: Steps ahead.
        known: The series that is to go on, ``(T, C)``.

    Raises:
        ZooError: The model was trained on everything, or too little is left for intervals so far ahead.
    """
    if source.unseen is None:
        raise ZooError(
            f"'{name}' was trained on every point (fit_on all), so nothing tells how far it may be off; take intervals "
            "from a run that kept a validation period with --calibrate RUN, or add --no-intervals"
        )
    data = source.data
    count = data.values.shape[1] if model.pooled else 1
    latest = _CALIBRATION if count == 1 else horizon - 1 + max(_LATELY, _CALIBRATION // count)
    period = range(max(source.unseen.start, model.window), source.unseen.stop)[-latest:]
    levels = [level for level in LEVELS if (len(period) - horizon + 1) * count >= fewest_errors(level)]
    if not levels:
        fewest = fewest_errors(min(LEVELS))
        longest = len(period) + 1 + -fewest // count
        found = f"{data.recording.name} has {len(period)} points that '{name}' can forecast and was not trained on"
        need = f"every step ahead takes {fewest} to calibrate {min(LEVELS)} %"
        advice = f"use --horizon {longest} at most, or" if longest > 0 else "use a longer series, or"
        raise ZooError(f"--horizon is {horizon}, but {found}, and {need}; {advice} --no-intervals")
    errors = rolled_errors(model, data.inputs, period, horizon).cpu()
    first, last = data.recording.timeline.write(data.times[[period.start, period.stop - 1]])
    told = f"intervals from {len(period):,} forecasts of {data.recording.name} from {first} to {last}, {source.told}"
    if model.pooled:
        told += f"; the errors of all {count:,} series are pooled, each in its own scale"
    if horizon > 1:
        told += f"; {len(period) - horizon + 1:,} of them reach {horizon} steps"
    span = max(2 * data.period, _LATELY)
    before, now = spreads(data.values, period, span), spreads(known, [len(known)], span)[0]
    told += "".join(f"; too few for {level} %" for level in LEVELS if level not in levels)
    widths = pooled_half_widths if model.pooled else drifting_half_widths
    return {level: widths(errors, before, now, level) for level in levels}, told


def _bounds(ahead: Tensor, half: Tensor, data: Series) -> Bounds:
    """Lower and upper ends of intervals, ``(H, C)``; a series that never was negative will not be."""
    least = torch.where(data.values.isnan(), torch.inf, data.values).min(0).values.cpu()
    floor = torch.where(least >= 0, ahead.clamp_max(0), -torch.inf)
    return torch.maximum(ahead - half, floor).numpy(), (ahead + half).numpy()


def _rows(times: list[str], names: list[str], ahead: Tensor, bounds: dict[int, Bounds]) -> Iterator[Row]:
    values = ahead.numpy()
    ends = [end for both in bounds.values() for end in both]
    for place, name in enumerate(names):
        for step, time in enumerate(times):
            yield Row(time, name, step + 1, values[step, place], [end[step, place] for end in ends])


def _draw(name: str, model: Forecaster, data: Series, ahead: Tensor, bounds: dict[int, Bounds]) -> Figure:
    steps = f"{len(ahead)} step{'s' if len(ahead) > 1 else ''}" + (f" of {data.step}" if data.step else "")
    heading = textwrap.fill(f"Forecast of {Path(data.recording.name).name}, {steps} ahead, by {name}", 100)
    figure = draw_future(
        data.values.numpy(), data.times, ahead.numpy(), data.future_times(len(ahead)), bounds, data.names, heading,
        model.period,
    )  # fmt: skip
    return figure


def _print(rows: list[Row], data: Series, widths: dict[int, Tensor]) -> None:
    shown = set(data.names if len(data.names) <= 2 * _SHOWN else data.names[:_SHOWN])
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("time", no_wrap=True)
    if len(data.names) > 1:
        table.add_column("series")
    for name in ("forecast", *(f"{level} % {end}" for level in widths for end in ("low", "high"))):
        table.add_column(name, justify="right", no_wrap=True)
    decimals = dict(zip(data.names, _decimals(data), strict=True))
    for row in (row for row in rows if row.series in shown):
        numbers = [f"{number:.{decimals[row.series]}f}" for number in (row.forecast, *row.bounds)]
        table.add_row(row.time, *([row.series] if len(data.names) > 1 else []), *numbers)
    show_table(table)
    if len(shown) < len(data.names):
        say(f"the first {len(shown)} of {len(data.names):,} series; --csv FILE writes all")


def _decimals(data: Series) -> list[int]:
    """Of each series, so many that two digits of an ordinary change can be seen."""
    return [max(0, 1 - floor(log10(change))) for change in data.scales]
