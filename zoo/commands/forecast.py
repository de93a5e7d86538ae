"""``zoo forecast``: how a series goes on, and how far that may be off."""

import textwrap
from argparse import Namespace
from collections.abc import Iterator
from math import floor, log10
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor

from datamodules.series.series import Series
from zoo import weights
from zoo.commands.arguments import Arguments
from zoo.commands.intervals import Bounds, Reach, calibrate, ends
from zoo.commands.likeness import tell_unlike
from zoo.commands.outputs import add_csv_flags, check_outputs, write_csv, write_figure
from zoo.commands.pooled import going_on
from zoo.commands.tables import show_table
from zoo.commands.unseen import FILE_OPTIONS, find_series
from zoo.ensemble import Ensemble
from zoo.errors import ZooError
from zoo.series.drawing import draw_future
from zoo.series.forecaster import Forecaster
from zoo.terminal import say, warn

# Of more than twice as many series, so many are shown.
_SHOWN = 10
# More steps than anybody reads.
_LONGEST = 1_000_000
# What says how a model was trained rather than what it is.
_TRAINING = {"loss", "delta", "optimizer", "lr", "weight_decay", "momentum", "schedule", "dropout"}
_FACTS = {"mean", "std", "naive_mae"}
# What to do where a covariate is not known so far ahead.
_AHEAD = "add a row for it behind the last value, whose cell is left empty, or name a file that has it with --future"


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
    reaches: dict[int, Reach] = {}
    if not options.no_intervals:
        judge, judged = model, source
        if options.calibrate is not None:
            judge = load_forecaster(options.calibrate, options.device)
            judged = find_series(options.calibrate, options.trust, pooled=model.pooled)
            _check_alike(options, model, data, judge, judged.data)
        reaches, told = calibrate(options.calibrate or options.name, judge, judged, horizon, data.values)
        told += f"; made by {options.calibrate}" if options.calibrate is not None else ""
    ahead = model.forecast(known, horizon).cpu()
    if not ahead.isfinite().all():
        raise ZooError(f"the forecasts of '{options.name}' grow beyond all bounds; use a shorter --horizon")

    future = data.future_times(horizon)
    bounds = {level: ends(model, known, ahead, reach, data.values) for level, reach in reaches.items()}
    rows = list(_rows(data.recording.timeline.write(future), data.names, ahead, bounds))
    picture = None if options.plot is None else _draw(options.name, model, data, ahead, bounds)
    if options.csv is not None:
        heads = [f"{end}_{level}" for level in bounds for end in ("lower", "upper")]
        cells = ((row.time, row.series, row.step, row.forecast, *row.bounds) for row in rows)
        write_csv(options.csv, ("time", "series", "step", "forecast", *heads), cells, options.csv_safe)
    if picture is not None:
        write_figure(options.plot, picture)
    _print(rows, data, list(bounds))
    if bounds:
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


def _rows(times: list[str], names: list[str], ahead: Tensor, bounds: dict[int, Bounds]) -> Iterator[Row]:
    values = ahead.numpy()
    borders = [end for both in bounds.values() for end in both]
    for place, name in enumerate(names):
        for step, time in enumerate(times):
            yield Row(time, name, step + 1, values[step, place], [end[step, place] for end in borders])


def _draw(name: str, model: Forecaster, data: Series, ahead: Tensor, bounds: dict[int, Bounds]) -> Figure:
    steps = f"{len(ahead)} step{'s' if len(ahead) > 1 else ''}" + (f" of {data.step}" if data.step else "")
    heading = textwrap.fill(f"Forecast of {Path(data.recording.name).name}, {steps} ahead, by {name}", 100)
    figure = draw_future(
        data.values.numpy(), data.times, ahead.numpy(), data.future_times(len(ahead)), bounds, data.names, heading,
        model.period,
    )  # fmt: skip
    return figure


def _print(rows: list[Row], data: Series, levels: list[int]) -> None:
    shown = set(data.names if len(data.names) <= 2 * _SHOWN else data.names[:_SHOWN])
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("time", no_wrap=True)
    if len(data.names) > 1:
        table.add_column("series")
    for name in ("forecast", *(f"{level} % {end}" for level in levels for end in ("low", "high"))):
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
