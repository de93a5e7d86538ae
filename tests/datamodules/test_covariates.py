"""Covariates of a file: which columns they are, what is known ahead, what is missing; and what times tell."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import CsvSeries
from datamodules.errors import DataError
from datamodules.series.calendar import asked, columns, features
from datamodules.series.timeline import Timeline

DAYS = np.datetime64("2024-01-01") + np.arange(60)


def write(path: Path, sales: int = 50, price: int = 60, days: np.ndarray = DAYS) -> str:
    """Sales that end before prices do."""
    rows = [
        f"{day},{100 + number if number < sales else ''},{number % 3 if number < price else ''},{number}"
        for number, day in enumerate(days)
    ]
    path.write_text("day,sales,price,visitors\n" + "\n".join(rows) + "\n")
    return str(path)


def write_long(path: Path) -> str:
    """Two stores; B opens ten days later, and has prices of its own."""
    rows = [
        f"{day},{store},{base + number if number < 50 else ''},{base + number % 3}"
        for number, day in enumerate(DAYS)
        for store, base in (("A", 100), ("B", 200))
        if store == "A" or number >= 10
    ]
    path.write_text("day,store,sales,price\n" + "\n".join(rows) + "\n")
    return str(path)


def read(path: Any, **options: Any) -> CsvSeries:
    defaults: dict[str, Any] = {"value": "sales", "time": "day", "window": 5, "horizon": 3}
    return CsvSeries(str(path), **defaults | options)


def test_rows_behind_the_last_value_tell_what_is_known_ahead(tmp_path: Path) -> None:
    data = read(write(tmp_path / "x.csv"), known="price", past="visitors", value=None)
    assert data.names == ["sales"]
    assert data.values.flatten().tolist() == [100 + number for number in range(50)]
    assert (data.covariates["past"], data.covariates["known"]) == (["visitors"], ["price"])
    stop = data.periods["train"].stop
    assert data.covariates["mean"] == pytest.approx([np.arange(stop).mean(), (np.arange(stop) % 3).mean()])
    ahead = data.ahead(10)
    assert ahead.shape == (60, 3)
    assert ahead[50:, :2].isnan().all()
    assert ahead[:, 2].tolist() == [number % 3 for number in range(60)]
    inputs, targets = next(iter(data.train_dataloader()))
    assert torch.equal(inputs[:, 5:, 2], (targets[..., 0] - 100) % 3)
    assert inputs[:, 5:, :2].isnan().all()


def test_another_file_may_tell_what_is_known_ahead(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", price=50, days=DAYS[:50])
    (tmp_path / "future.csv").write_text("price,day\n" + "".join(f"{7 + n},{day}\n" for n, day in enumerate(DAYS[50:])))
    data = read(path, known="price", future=str(tmp_path / "future.csv"))
    assert data.ahead(10)[50:, 1].tolist() == list(range(7, 17))


@pytest.mark.parametrize("pool", [True, False])
def test_each_series_has_covariates_of_its_own(tmp_path: Path, pool: bool) -> None:
    options = {} if pool else {"series": ["A", "B"], "repair": ["missing"]}
    data = read(write_long(tmp_path / "x.csv"), id="store", known="price", pool=pool, calendar="weekday", **options)
    assert data.names == ["A", "B"]
    assert data.covariates["known"] == (["price"] if pool else ["A price", "B price"])
    price = data.ahead(10)[-10:, 2:4]
    assert price[:, 1].tolist() == [200 + number % 3 for number in range(50, 60)]
    assert torch.equal(price[:, 0], price[:, 1] - 100)
    if pool:
        inputs, targets = next(iter(data.train_dataloader()))
        assert inputs.shape[1:] == (8, 1 + 1 + 6)
        base = 100 * (targets // 200 + 1)
        assert torch.equal(inputs[:, 5:, 1], (base + (targets - base) % 3)[..., 0])
        assert data.only([1]).ahead(10)[-10:, 1].tolist() == price[:, 1].tolist()


def test_times_tell_hours_days_and_seasons() -> None:
    hours = Timeline(np.datetime64("2024-01-01"), 1, "h")
    found = features(hours, 0, 24 * 8, ["hour", "weekday", "month"], None)
    assert found.shape[1] == len(columns(["hour", "weekday", "month"], None)) == 20
    np.testing.assert_allclose(found[:24, :8], found[24:48, :8], atol=1e-12)
    np.testing.assert_allclose(found[:24, 8:14], found[24 * 7 :, 8:14], atol=1e-12)
    assert len(np.unique(found[:, 8:14].round(9), axis=0)) == 7
    assert np.ptp(found[: 24 * 7, 14:], 0).max() < 0.4


@pytest.mark.parametrize(("every", "unit", "length", "expected"), [
    (1, "h", 500, ["hour", "weekday"]),
    (1, "h", 20_000, ["hour", "weekday", "month"]),
    (1, "D", 800, ["weekday", "month"]),
    (1, "B", 300, ["weekday"]),
    (7, "D", 200, ["month"]),
    (1, "M", 60, ["month"]),
    (12, "M", 60, []),
])  # fmt: skip
def test_auto_takes_what_varies_from_step_to_step(every: int, unit: str, length: int, expected: list[str]) -> None:
    day = 1 if unit == "M" else 0
    assert asked("auto", Timeline(np.datetime64("2020-01-01"), every, unit, day), length) == expected


def test_holidays_are_counted_in_each_step() -> None:
    pytest.importorskip("holidays")
    day = features(Timeline(np.datetime64("2024-12-23"), 1, "D"), 0, 5, [], "DE")
    assert day[:, 0].tolist() == [0, 0, 1, 1, 0]
    week = features(Timeline(np.datetime64("2024-12-16"), 7, "D"), 0, 3, [], "DE")
    assert week[:, 0].tolist() == [0, 2, 1]
    hour = features(Timeline(np.datetime64("2024-12-24T22:00:00"), 1, "h"), 0, 3, [], "DE-BY")
    assert hour[:, 0].tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="no holidays of 'Atlantis' are known"):
        features(Timeline(np.datetime64("2024-12-23"), 1, "D"), 0, 5, [], "Atlantis")


def test_holidays_that_are_not_installed_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(DataError, match=r"pip install 'lightning-zoo\[holidays\]'"):
        read(write(tmp_path / "x.csv", 60), holidays="DE")


def future(path: Path, *rows: str) -> str:
    path.write_text("\n".join(["day,price", *rows]) + "\n")
    return str(path)


@pytest.mark.parametrize(("make", "words"), [
    (lambda path: read(write(path), known="price").ahead(12), "'price' will be at 2024-03-01, step 11 of 12"),
    (lambda path: read(write(path, price=20), known="price"), "no number in column 'price'"),
    (lambda path: read(write(path), known="prize"), "no column 'prize'"),
    (lambda path: read(write(path), known="price", past="price"), "named both as a covariate and as a covariate"),
    (lambda path: read(write(path), known="sales"), "column 'sales' is named both as value and as a covariate"),
    (lambda path: read(write(path), time=None, known="price", calendar="weekday"), "need times"),
    (lambda path: read(write(path), future="f.csv"), "f.csv is to tell what is known ahead, but names no column"),
    (lambda path: read(write(path), known="price", future=future(path.with_suffix(".f"), "2024-01-07,3")),
     "2024-01-07 is no step ahead; expected 2024-02-20, 2024-02-21 and so on"),
    (lambda path: read(write(path), known="price", future=future(path.with_suffix(".f"), "2024-02-20,3")).ahead(2),
     "'price' will be at 2024-02-21, step 2 of 2"),
])  # fmt: skip
def test_what_is_missing_is_named(tmp_path: Path, make: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        make(tmp_path / "x.csv")
