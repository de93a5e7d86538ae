"""The benchmark of series works by the documented commands, and writes into its page."""

import json

import numpy as np
import pytest

from scripts import series_benchmark
from scripts.results import written


@pytest.mark.slow
def test_series_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    series_benchmark.main(["--only", "copper", "--origins", "1", "--budget", "5s", "--without-peers"])
    name, _, found = capsys.readouterr().out.partition(" ")
    figures = json.loads(found)
    assert (name, figures["points"], figures["origins"], len(figures["winners"])) == ("copper", 25, 1, 1)
    assert 0 < figures["mae"]["zoo auto"] < 2000


def figures(**errors: float) -> dict[str, object]:
    peers = {"ETS": 2.0, "Theta": 3.0, "AutoARIMA": 4.0, "seasonal naive": 8.0}
    return {
        "points": 100, "origins": 5, "mae": {**peers, **errors}, "seconds": {"zoo auto": 31.2}, "winners": ["ensemble"],
        "budget": "60s",
    }  # fmt: skip


def test_errors_are_told_beside_the_best_peer() -> None:
    measured = {
        "machine": "2 processor cores",
        "series": {"lynx": figures(**{"zoo auto": 1.0}), "nile": figures(**{"zoo auto": 9.0, "ETS": 5.0})},
    }
    table, _, unseen = series_benchmark.page_of(measured).partition("### Series that chose nothing")
    assert "None has been measured yet" in unseen
    assert "| lynx | 100 | 5 | 0.50 | 1.00 | 1.50 | 2.00 | 4.00 | 31 | ensemble |" in table
    assert "| nile | 100 | 5 | 3.00 | 1.67 | 1.00 | 1.33 | 2.67 | 31 | ensemble |" in table
    assert "The best *single* peer over all series is Theta" in table
    assert "On 1 of 2 series" in table


def test_page_has_a_place_for_it() -> None:
    page = written(series_benchmark.PAGE.read_text(encoding="utf-8"), "series", "| new |", "series_benchmark")
    assert page is not None
    assert "| new |" in page


@pytest.mark.parametrize("name", series_benchmark.SERIES)
def test_series_are_there(name: str) -> None:
    try:
        values = series_benchmark.SERIES[name].values()
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")
    assert len(values) >= 25
    assert np.isfinite(values).all()
