"""One model of many series in a file, from the command line: trained, measured and continued by name."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Zoo

import zoo
from zoo.series import Forecaster

from .shop import fit

FLAGS = ("--data.time=day", "--data.id=shop", "--data.horizon=7", "--data.period=7", "--data.window=14")
DAYS = pd.date_range("2024-01-01", periods=150)


def write(path: Path, names: list[str], scale: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Weekly sales; the second shop opens late, the third closes early."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(index=DAYS)
    for place, name in enumerate(names):
        season = 3 + np.sin(2 * np.pi * (np.arange(len(DAYS)) + place) / 7)
        frame[name] = (scale * 10.0**place * (season + 0.05 * random.normal(size=len(DAYS)))).round(3)
    frame.iloc[:50, 1], frame.iloc[140:, 2] = np.nan, np.nan
    rows = frame.rename_axis("day").reset_index().melt("day", var_name="shop", value_name="sold").dropna()
    rows.sample(frac=1, random_state=0).sort_values("day", kind="stable").to_csv(path, index=False)
    return frame


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("many")
    frame = write(folder / "sold.csv", ["A", "B", "C", "D"])
    return fit(folder, "linear_csv", f"--data.path={folder / 'sold.csv'}", *FLAGS, "--test"), frame


def test_each_series_is_measured_by_name(run: tuple[Path, pd.DataFrame]) -> None:
    results = json.loads((run[0] / "results.json").read_text())
    assert sorted(results["test_of_each"]) == ["A", "B", "C", "D"]
    assert results["test"]["mase"] < 0.9
    assert all(one["mase"] < 1 for one in results["test_of_each"].values())


def test_those_that_go_on_are_continued_by_name(
    run: tuple[Path, pd.DataFrame], zoo_command: Zoo, tmp_path: Path
) -> None:
    folder, frame = run
    code, out, err = zoo_command("forecast", folder, "--horizon", 9, "--csv", tmp_path / "next.csv")
    assert code == 0
    assert "1 of 4 series" in err
    assert "end before 2024-05-29: C; left out" in err
    assert "the errors of all 4 series are pooled" in out
    with (tmp_path / "next.csv").open() as file:
        rows = list(csv.DictReader(file))
    rows.sort(key=lambda row: (row["series"], int(row["step"])))
    assert [row["series"] for row in rows] == [name for name in "ABD" for _ in range(9)]
    ahead = zoo.load(str(folder), kind=Forecaster).forecast(frame[["A", "B", "D"]], horizon=9)
    assert [float(row["forecast"]) for row in rows] == pytest.approx(ahead.to_numpy().T.ravel().tolist(), rel=1e-4)
    for row in rows:
        expected = 10.0 ** "ABCD".index(row["series"])
        assert float(row["lower_80"]) < float(row["forecast"]) < float(row["upper_80"])
        assert float(row["upper_80"]) - float(row["lower_80"]) < expected


def test_new_series_need_no_training(run: tuple[Path, pd.DataFrame], zoo_command: Zoo, tmp_path: Path) -> None:
    write(tmp_path / "new.csv", ["X", "Y", "Z"], 500, 1)
    code, out, _ = zoo_command("forecast", run[0], "--horizon", 7, "--data", tmp_path / "new.csv", "--csv", "out.csv")
    assert code == 0
    assert "the errors of all 3 series are pooled" in out
    season = 3 + np.sin(2 * np.pi * np.arange(150, 157) / 7)
    ahead = pd.read_csv("out.csv")
    assert ahead.series.unique().tolist() == ["X", "Y"]
    assert ahead.forecast[:7].to_numpy() == pytest.approx(500 * season, rel=0.1)


def test_networks_share_and_classics_ask_for_equal_times(zoo_command: Zoo, tmp_path: Path) -> None:
    write(tmp_path / "sold.csv", ["A", "B", "C"])
    code, _, err = zoo_command("fit", "ets_csv", "--data.path=sold.csv", *FLAGS)
    assert (code, "of 150 times in series" in err) == (2, True)
    code, _, err = zoo_command("fit", "ets_csv", "--data.path=sold.csv", *FLAGS, "--data.pool=true")
    assert (code, "use --data.pool false" in err) == (2, True)
    code, _, err = zoo_command("fit", "linear_csv", "--data.path=sold.csv", *FLAGS, "--data.pool=maybe")
    assert code == 2
