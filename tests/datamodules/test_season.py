"""The length of a season is found where there is one, and none where there is none."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datamodules import CsvSeries
from datamodules.errors import DataError
from datamodules.series.season import find_period
from datamodules.series.timeline import Timeline

DAYS, HOURS = Timeline(np.datetime64("2024-01-01"), 1, "D"), Timeline(np.datetime64("2024-01-01"), 1, "h")
HALF_DAYS, HALF_YEARS = Timeline(DAYS.start, 12, "h"), Timeline(DAYS.start, 6, "M", 1)
TRADING_MONTHS = Timeline(np.datetime64("2000-01-03"), 1, "BM", 1)
MONTHS = Timeline(np.datetime64("2000-01-01"), 1, "M", 1)


def wave(length: int, period: float, noise: float = 0.3) -> np.ndarray:
    random = np.random.default_rng(0)
    return np.sin(2 * np.pi * np.arange(length) / period) + noise * random.normal(size=length)


def counts(length: int) -> np.ndarray:
    week = np.tile([10, 10, 11, 12, 20, 30, 25], length // 7 + 1)[:length]
    return np.random.default_rng(0).poisson(week).astype(float)


@pytest.mark.parametrize(
    ("values", "timeline", "period"),
    [
        (wave(600, 7), DAYS, 7),
        (wave(600, 7) + 0.01 * np.arange(600), DAYS, 7),
        (wave(600, 7) + 3 * wave(600, 400, 0), DAYS, 7),
        (np.exp(0.5 * wave(144, 12) + 0.02 * np.arange(144)), MONTHS, 12),
        (wave(800, 24) + 0.5 * wave(800, 168, 0), HOURS, 24),
        (wave(1500, 365), DAYS, 365),
        (counts(200), DAYS, 7),
        (wave(400, 11), Timeline(), 11),
        (np.arange(60.0) + 3 * (np.arange(60) % 2) + wave(60, 50), HALF_YEARS, 2),
        (wave(300, 14) + 2 * (np.arange(300) % 2), HALF_DAYS, 2),
        (wave(144, 12), TRADING_MONTHS, 12),
        (np.stack([wave(300, 7), -wave(300, 7)], 1), DAYS, 7),
    ],
)
def test_season_is_found(values: np.ndarray, timeline: Timeline, period: int) -> None:
    found, strength = find_period(values, timeline)
    assert found == period
    assert 0.2 < strength <= 1.01


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=500),
        np.random.default_rng(0).normal(size=500).cumsum(),
        np.arange(300.0),
        np.arange(300.0) ** 2,
        np.ones(300),
        np.array([3.0, 1.0]),
        wave(30, 15),
    ],
    ids=["noise", "random walk", "line", "parabola", "constant", "two points", "two seasons"],
)
@pytest.mark.parametrize("timeline", [DAYS, MONTHS, Timeline()])
def test_no_season_is_made_up(values: np.ndarray, timeline: Timeline) -> None:
    assert find_period(values, timeline) == (1, 0.0)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[np.ndarray], Path]:
    def write(values: np.ndarray) -> Path:
        path = tmp_path / "series.csv"
        days = np.datetime64("2024-01-01") + np.arange(len(values))
        path.write_text("\n".join(["day,v", *(f"{day},{value}" for day, value in zip(days, values, strict=True))]))
        return path

    return write


def test_what_was_found_is_told(written: Callable[[np.ndarray], Path], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        data = CsvSeries(path=str(written(counts(200))), time="day", period="auto", window="auto", horizon=5)
    assert (data.period, data.naive_lag, data.window) == (7, 7, 16)
    assert "has a season of 7 steps (autocorrelation 0." in caplog.text
    assert "--data.period names another" in caplog.text


def test_season_is_found_before_the_validation_period(written: Callable[[np.ndarray], Path]) -> None:
    flat = np.random.default_rng(1).normal(size=300)
    flat[240:] += 30 * wave(60, 7, 0)
    assert CsvSeries(path=str(written(flat)), time="day", period="auto").period == 1


def test_period_is_a_number_or_auto(written: Callable[[np.ndarray], Path]) -> None:
    with pytest.raises(DataError, match="period is 'week', expected a number of steps, or auto"):
        CsvSeries(path=str(written(counts(50))), time="day", period="week")  # type: ignore[arg-type]
