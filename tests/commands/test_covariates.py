"""Covariates on the command line: trained with, tested, forecast, told when they are not looked at."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from conftest import Zoo

import zoo

from .shop import fit

DAYS = np.datetime64("2024-01-01") + np.arange(330)
COLUMNS = ["--data.path=sales.csv", "--data.value=sales", "--data.time=day", "--data.period=7", "--data.horizon=7"]
KNOWN = ["--data.known=price", "--data.calendar=weekday"]


def write(path: Path, known: int = 320, stores: int = 0) -> None:
    """Sales of 300 days, to which prices do something, and prices of some more."""
    random = np.random.default_rng(0)
    lines = []
    for store in range(max(stores, 1)):
        price = random.choice([1.0, 2.0, 3.0], size=len(DAYS))
        sales = 50 + 5 * np.sin(2 * np.pi * np.arange(len(DAYS)) / 7) - 8 * price + 0.5 * random.normal(size=len(DAYS))
        for number, day in enumerate(DAYS[:known]):
            value = f"{sales[number]:.3f}" if number < 300 else ""
            lines.append(f"{day},{f'store {store},' if stores else ''}{value},{price[number]}")
    path.write_text("\n".join([f"day,{'store,' if stores else ''}sales,price", *lines]) + "\n")


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    write(tmp_path / "sales.csv")
    return tmp_path / "sales.csv"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_forecasts_with_what_is_known_ahead(zoo_command: Zoo, sales: Path, tmp_path: Path) -> None:
    run = fit(tmp_path, "linear_csv", *COLUMNS, *KNOWN)
    code, out, err = zoo_command("forecast", run, "--horizon", 20, "--csv", "out.csv", "--plot", "out.png")
    assert (code, err) == (0, "")
    forecasts = np.array([float(row["forecast"]) for row in rows(tmp_path / "out.csv")])
    assert np.ptp(forecasts) > 16
    assert "which it was not trained on" in out
    code, _, err = zoo_command("forecast", run, "--horizon", 21)
    assert code == 2
    assert "'price' will be at 2024-11-16, step 21 of 21; add a row for it behind the last value" in err
    more = "".join(f"{day},1\n" for day in DAYS[300:])
    (tmp_path / "future.csv").write_text(f"day,price\n{more}")
    assert zoo_command("forecast", run, "--horizon", 30, "--future", "future.csv", "--csv", "low.csv")[0] == 0
    low = np.array([float(row["forecast"]) for row in rows(tmp_path / "low.csv")])
    assert np.ptp(low) < 12
    write(sales, 330)
    code, _, err = zoo_command("forecast", run, "--data", "sales.csv", "--horizon", 30, "--csv", "own.csv")
    assert (code, err) == (0, "")
    own = np.array([float(row["forecast"]) for row in rows(tmp_path / "own.csv")])
    np.testing.assert_allclose(own[:20], forecasts, rtol=1e-4)


def test_a_pooled_run_forecasts_each_series_by_its_own_price(zoo_command: Zoo, tmp_path: Path) -> None:
    write(tmp_path / "sales.csv", stores=5)
    run = fit(tmp_path, "linear_csv", *COLUMNS, *KNOWN, "--data.id=store")
    code, _, err = zoo_command("forecast", run, "--horizon", 7, "--csv", "out.csv")
    assert (code, err) == (0, "")
    forecasts = np.array([float(row["forecast"]) for row in rows(tmp_path / "out.csv")]).reshape(5, 7)
    read = rows(tmp_path / "sales.csv")
    ahead = np.array([float(row["price"]) for row in read if not row["sales"]]).reshape(5, -1)[:, :7]
    assert np.corrcoef(forecasts.ravel(), ahead.ravel())[0, 1] < -0.7


def test_a_frame_in_hand_tells_covariates_by_name(zoo_command: Zoo, sales: Path) -> None:
    frame = pandas.read_csv(sales, index_col="day", parse_dates=True)
    data = {"path": frame, "known": "price", "period": 7, "horizon": 7}
    model: Any = zoo.fit("linear_csv", data=data, quiet=True, figures=False).load()
    ahead = model.forecast(frame, 7)
    assert list(ahead.columns) == ["sales"]
    assert ahead.index[0] == pandas.Timestamp("2024-10-27")
    dearer = frame.assign(price=frame["price"] + frame["sales"].isna())
    change = model.forecast(dearer, 7)["sales"] - ahead["sales"]
    np.testing.assert_allclose(change, -8, atol=0.5)


def test_a_backtest_and_a_comparison_look_beside(
    zoo_command: Zoo, sales: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code, _, err = zoo_command("backtest", "linear_csv", *COLUMNS, *KNOWN, "--folds", 2, "--quiet")
    assert (code, err) == (0, "")
    (results,) = tmp_path.glob("runs/linear_csv-backtest/*/results.json")
    found = json.loads(results.read_text())["backtest"]
    assert found["mae"] < 0.2 * found["seasonal_naive_mae"]
    recipes = ["linear_csv", "seasonal_naive_csv"]
    code, _, err = zoo_command("compare", *recipes, *COLUMNS, *KNOWN, "--out", "board", "--figures=false")
    assert code == 0, err
    assert caplog.messages.count("SeasonalNaive does not look at price, weekday") == 1
