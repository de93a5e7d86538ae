"""Roll-forward evaluation: every point of the test period forecast once, by a model that knew only what came before."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, Zoo
from matplotlib.figure import Figure

import zoo
from datamodules import CO2, SyntheticSeries
from datamodules.errors import DataError
from zoo import registry, weights
from zoo.registry import read_results
from zoo.series import Forecaster
from zoo.series.backtesting import draw_backtest
from zoo.series.baselines import Naive, SeasonalNaive
from zoo.series.metrics import naive_errors

# A recipe for a file, on a series that needs none.
FILELESS = ["--data=SyntheticSeries", "--data.window=100"]
SHORT = ["--trainer.max_epochs=2", "--trainer.limit_train_batches=4", "--quiet", "--figures=false"]


def backtested(root: Path) -> Path:
    """The one folder that a backtest left."""
    (folder,) = root.glob("runs/*-backtest/*")
    return folder


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "backtest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# A fold of a data module.


@pytest.mark.parametrize("refit", [True, False])
def test_fold_is_an_argument_of_the_data(refit: bool) -> None:
    for number, fold in enumerate(CO2().folds(5, refit), start=1):
        alone = CO2(fold=f"{number}/5", refit=refit)
        assert alone.periods == fold.periods
        assert (alone.mean, alone.std, alone.naive_mae) == (fold.mean, fold.std, fold.naive_mae)


@pytest.mark.parametrize("fold", ["0/3", "4/3", "2", "1/", "-1/3", "two"])
def test_fold_that_does_not_exist_is_refused(fold: str) -> None:
    with pytest.raises(DataError, match=f"fold is '{fold}', expected a piece of the test period such as 2/5"):
        SyntheticSeries(fold=fold)


def test_fold_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="fit_on all leaves nothing to be forecast in folds"):
        SyntheticSeries(fold="1/2", fit_on="all")


# Errors of forecasts that learn nothing.


@pytest.mark.parametrize("horizon", [1, 3])
def test_naive_errors_are_those_of_the_naive_forecasters(horizon: int) -> None:
    data = SyntheticSeries(window=365, horizon=horizon, fold="2/3")
    points = data.periods["test"]
    inputs, targets = next(iter(data.test_dataloader()))
    found = naive_errors(data.values, points, targets.shape, data.period)
    for name, model in (
        ("naive_mae", Naive(horizon=horizon)),
        ("seasonal_naive_mae", SeasonalNaive(horizon=horizon)),
    ):
        assert found[name] == pytest.approx((model(inputs) - targets).abs().mean().item(), rel=1e-6)


@pytest.mark.parametrize("period", [1, 1001])
def test_without_a_season_there_is_no_seasonal_error(period: int) -> None:
    data = SyntheticSeries()
    assert naive_errors(data.values, range(1000, 1461), (461, 1, 1), period)["seasonal_naive_mae"] is None


# The command.


def test_folds_of_a_baseline_add_up_to_what_the_notes_measured(zoo_command: Zoo, tmp_path: Path) -> None:
    """Four folds of 461 points differ in length, so a mean of their means would be another number."""
    code, out, err = zoo_command("backtest", "naive_synthetic", "--folds", 4, "--quiet", "--figures=false")
    assert (code, err) == (0, "")
    folder = backtested(tmp_path)
    assert {path.name for path in folder.iterdir()} == {
        "backtest.csv", "figures", "results.json", *(f"fold-{number}" for number in range(1, 5))
    }  # fmt: skip
    header, *rows, last = out.splitlines()
    assert header.split()[:4] == ["fold", "first", "last", "trained"]
    assert [row.split()[0] for row in rows] == [str(number) for number in range(1, 5)]
    assert last.split()[:3] == ["all", "1000", "1460"]
    whole = read_results(folder)["backtest"]
    assert f"{whole['mae']:.4f}" == f"{whole['naive_mae']:.4f}" == "5.9379"
    assert f"{whole['seasonal_naive_mae']:.4f}" == "18.3662"
    assert whole["rmse"] == pytest.approx(whole["mse"] ** 0.5)
    assert (folder / "figures" / "backtest.png").stat().st_size > 20_000


@pytest.mark.parametrize(
    "name",
    [
        "stateful_rnn_synthetic",
        pytest.param("lstm_co2", marks=pytest.mark.slow),
        pytest.param("lstm_synthetic", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("goes_on", [[], ["--continue"]], ids=["refit", "continue"])
def test_fold_alone_can_be_measured_again(zoo_command: Zoo, tmp_path: Path, name: str, goes_on: list[str]) -> None:
    window = [] if name == "lstm_synthetic" else [f"--data.window={60 if name == 'lstm_co2' else 10}"]
    code, _, err = zoo_command("backtest", name, "--folds", 2, *goes_on, *window, *SHORT)
    assert (code, err) == (0, "")
    folder = backtested(tmp_path)
    second = table(folder)[1]
    assert zoo_command("test", folder / "fold-2", "--quiet")[0] == 0
    results = read_results(folder / "fold-2")
    assert results["test"]["mae"] == pytest.approx(float(second["mae"]), rel=1e-5)
    assert results["test"]["mase"] == pytest.approx(float(second["mase"]), rel=1e-5)
    if not goes_on:
        # Trained for as long as was best on all before the piece, which the weights that were chosen have not seen.
        assert results["fit"]["epochs"] == int(second["best_epoch"])
        assert registry.read_yaml(folder / "fold-2" / "config.yaml")["data"]["init_args"]["fit_on"] == "known"
        results = read_results(folder / "fold-2" / "choice")
    assert results["fit"]["best_epoch"] == int(second["best_epoch"])
    config = registry.read_yaml(folder / "fold-2" / "config.yaml")["data"]["init_args"]
    assert (config["fold"], config["refit"]) == ("2/2", not goes_on)


def test_each_fold_begins_with_facts_and_weights_of_its_own(zoo_command: Zoo, tmp_path: Path) -> None:
    zoo_command("backtest", "dense_synthetic", "--folds", 3, *SHORT)
    folder = backtested(tmp_path)
    for number, fold in enumerate(SyntheticSeries().folds(3, known=True), start=1):
        model = zoo.load(folder / f"fold-{number}", kind=Forecaster)
        assert model.mean.tolist() == pytest.approx(fold.mean)
        assert model.naive_mae.tolist() == pytest.approx(fold.naive_mae)
        assert int(table(folder)[number - 1]["trained_on"]) == fold.periods["test"].start
    zoo_command("fit", "dense_synthetic", "--data.fold=3/3", *SHORT)
    (alone,) = (tmp_path / "runs" / "dense_synthetic").iterdir()
    again, inside = zoo.load(alone).state_dict(), zoo.load(folder / "fold-3/choice").state_dict()
    assert all(torch.equal(again[key], inside[key]) for key in again)


def test_once_measures_what_validation_chose(zoo_command: Zoo, tmp_path: Path) -> None:
    code, _, err = zoo_command("backtest", "dense_synthetic", "--folds", 2, "--once", *SHORT)
    assert (code, err) == (0, "")
    folder = backtested(tmp_path)
    assert not list(folder.glob("*/choice"))
    trained_on = [len(fold.periods["train"]) for fold in SyntheticSeries().folds(2)]
    assert [int(row["trained_on"]) for row in table(folder)] == trained_on


def test_model_that_goes_on_keeps_its_weights_and_normalisation(zoo_command: Zoo, tmp_path: Path) -> None:
    zoo_command("backtest", "dense_synthetic", "--folds", 3, "--continue", "--model.lr=0", *SHORT)
    folder = backtested(tmp_path)
    first, *others = (zoo.load(folder / f"fold-{number}").state_dict() for number in (1, 2, 3))
    assert all(torch.equal(first[key], other[key]) for other in others for key in first)
    folds = SyntheticSeries().folds(3, refit=False)
    assert [int(row["trained_on"]) for row in table(folder)] == [len(fold.periods["train"]) for fold in folds]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["naive_synthetic"], "the following arguments are required: --folds; 'zoo backtest --help' shows"),
        (["naive_synthetic", "--folds=0"], "0 folds of a test period of 461 points; expected 1 to 461"),
        (["naive_synthetic", "--folds=462"], "462 folds of a test period of 461 points; expected 1 to 461"),
        (["naive_synthetic", "--folds=two"], "invalid int value: 'two'"),
        (["dense_iris", "--folds=3"], "Dense on Iris forecasts no series"),
        (["lstm_co", "--folds=3"], "did you mean 'lstm_co2'?"),
        (["naive_synthetic", "--folds=3", "--data.fit_on=all"], "leaves nothing to be forecast in folds"),
        (["naive_synthetic", "--folds=3", "--trainer.fast_dev_run=true"], "use --trainer.max_epochs 1"),
        (["naive_synthetic", "--folds=3", "--trainer.callbacks=null"], "add a ModelCheckpoint"),
        (["naive_synthetic", "--folds=3", "--data.fold=1/2"], "fold 1/2 is a piece already; leave out --data.fold"),
        (["naive_synthetic", "--folds=3", "--ckpt_path=last.ckpt"], "a backtest trains every fold itself"),
        (
            ["ets_csv", *FILELESS, "--folds=2", "--continue"],
            "ExponentialSmoothing is found at once, from all that it is given, and cannot go on; leave out --continue",
        ),
        (["stateful_rnn_synthetic", "--folds=40", "--continue"], "use fewer --data.lanes or a shorter --data.window"),
        (
            ["dense_synthetic", "--folds=3", "--data.horizon=200"],
            "at least the horizon of 200; use fewer --folds, a shorter --data.horizon, or a test period of 600",
        ),
    ],
)
def test_what_cannot_be_backtested_is_told_in_one_line(
    zoo_command: Zoo, tmp_path: Path, arguments: list[str], told: str
) -> None:
    code, _, err = zoo_command("backtest", *arguments)
    assert code == 2
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*")), "bad input leaves nothing behind"


def test_failure_of_a_fold_leaves_those_before_it(
    zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise zoo.ZooError("it does not fit")

    monkeypatch.setattr(weights, "fill", refuse)
    code, _, err = zoo_command("backtest", "naive_synthetic", "--folds", 3, "--continue", "--quiet")
    folder = backtested(tmp_path)
    told = f"fold 2 of 3: it does not fit; the folds before it are done, see {folder.relative_to(tmp_path)}"
    assert (code, told in err) == (2, True)
    assert len(table(folder)) == 1
    assert (folder / "fold-1" / "checkpoints" / "best.ckpt").is_file()


@pytest.mark.slow
def test_interrupt_says_what_is_there(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "zoo.cli", "backtest", "linear_synthetic", "--folds", "3", *SHORT[1:]]
    process = subprocess.Popen(
        [*command, "--trainer.max_epochs=300"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 90
        while not list(tmp_path.glob("runs/*/*/fold-2/checkpoints/last.ckpt")):
            assert time.monotonic() < deadline, "no second fold"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0
    folder = backtested(tmp_path)
    assert f"stopped in fold 2 of 3; the folds before it are done, see {folder.relative_to(tmp_path)}" in out
    assert json.loads((folder / "fold-1" / "results.json").read_text())["test"]["mae"] > 0


def test_picture_shows_true_dates_and_a_colour_a_fold(zoo_command: Zoo, tmp_path: Path) -> None:
    from zoo.commands import backtest

    drawn: dict[str, Figure] = {}

    def draw(*arguments: Any) -> Figure:
        drawn["figure"] = draw_backtest(*arguments)
        return drawn["figure"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backtest, "draw_backtest", draw)
        assert zoo_command("backtest", "seasonal_naive_co2", "--folds", 3, "--quiet", "--figures=false")[0] == 0
    upper, lower = drawn["figure"].axes
    times = [np.asarray(line.get_xdata()) for line in upper.lines]
    colours = [line.get_color() for line in upper.lines if np.size(line.get_xdata()) > 2]
    truth, *forecasts = (line for line in times if len(line) > 2)
    data = CO2()
    begins = [data.times[fold.periods["test"].start] for fold in data.folds(3)]
    assert [line[0] for line in forecasts] == begins
    assert colours[1] == colours[3] != colours[2]
    assert len(truth) > sum(map(len, forecasts)), "some history"
    assert len(lower.collections) == 3
