"""Forecasters on the command line: what the data says reaches them, and what the notes measured comes out."""

from pathlib import Path

import numpy as np
import pytest
from conftest import Zoo

import zoo
from datamodules import Sunspots
from zoo import registry
from zoo.registry import read_results


@pytest.mark.parametrize(
    ("name", "mae"),
    [
        ("naive_synthetic", "5.9379"),
        ("moving_average_synthetic", "7.1424"),
        ("seasonal_difference_synthetic", "4.5669"),
    ],
)
def test_baseline_reaches_exactly_what_the_notes_measured(
    zoo_command: Zoo, tmp_path: Path, name: str, mae: str
) -> None:
    code, out, err = zoo_command("fit", name, "--test", "--quiet", "--figures=false")
    assert (code, err) == (0, "")
    assert f" mae {mae} " in next(line for line in out.splitlines() if line.startswith("test"))
    (run,) = (tmp_path / "runs" / name).iterdir()
    assert f"{read_results(run)['test']['mae']:.4f}" == mae


def test_notes_version_without_smoothing_is_a_flag_away(zoo_command: Zoo) -> None:
    _, out, _ = zoo_command(
        "fit", "seasonal_difference_synthetic", "--model.past_average=1", "--quiet", "--figures=false"
    )
    assert " mae 5.8393 " in out


def test_several_series_are_told_each_and_judged_by_what_one_scale_does_not_drown(
    zoo_command: Zoo, tmp_path: Path
) -> None:
    walks = np.random.default_rng(0).normal(size=(200, 2)).cumsum(0) * [1000, 0.1]
    rows = "\n".join(f"{big:.3f},{small:.3f}" for big, small in walks)
    (tmp_path / "two.csv").write_text(f"big,small\n{rows}\n")
    code, out, _ = zoo_command(
        "fit", "naive_csv", "--data.path=two.csv", "--data.value=[big, small]", "--test", "--figures=false"
    )
    assert code == 0
    (run,) = (tmp_path / "runs" / "naive_csv").iterdir()
    results = read_results(run)
    mase = results["test"]["mase"]
    for verb in ("validate", "test"):
        each = results[f"{verb}_of_each"]
        assert list(each) == ["big", "small"]
        for name in ("mae", "mase"):
            assert sum(one[name] for one in each.values()) / 2 == pytest.approx(results[verb][name])
    assert each["big"]["mae"] > 1000 * each["small"]["mae"]
    lines = out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("test"))
    assert [line.split()[0] for line in lines[place + 1 : place + 4]] == ["big", "small", "beside"]
    assert f"beside    naive {mase:.5g}  " in out
    assert "(mase of what costs nothing)" in out
    code, again, _ = zoo_command("test", run, "--figures=false")
    assert code == 0
    assert lines[place + 1] in again.splitlines()


def test_run_draws_forecasts_and_residuals_of_both_splits(zoo_command: Zoo, tmp_path: Path) -> None:
    zoo_command("fit", "naive_synthetic", "--test", "--quiet")
    pictures = {path.stem for path in tmp_path.rglob("*.png")}
    drawn = {f"{split}_{kind}" for split in ("validation", "test") for kind in ("forecasts", "residuals")} | {
        "test_coverage"
    }
    assert pictures == {"learning_curves", *drawn}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["seasonal_difference_synthetic", "--data.window=100"], "use --data.window 415"),
        (["rnn_sequence_synthetic", "--data.mode=vector"], "model and data must agree on output and horizon"),
        (
            ["rnn_sequence_synthetic", "--data.horizon=2"],
            "expected 1, since every step forecasts the next one; leave out",
        ),
        (["stateful_rnn_synthetic", "--data.lanes=100"], "use fewer --data.lanes"),
        (["lstm_synthetic", "--model.window=10"], "--model.window is for the data to say, which says 64; use --data.w"),
        (["ets_csv", "--model.lr=1"], "ExponentialSmoothing takes no 'lr'; it takes nothing but what the data says"),
        (["causal_conv_synthetic", "--data.window=1"], "receptive_field 1, expected at least 2 each; use a longer"),
        (["ets_csv", "--data.transform", "logs"], "no transform 'logs'; there are none, log, box_cox"),
        (["lstm_synthetic", "--model.init_args.num_series", "2"], "which says 1; leave it out"),
    ],
)
def test_data_that_does_not_fit_the_model_is_told_in_one_line(
    zoo_command: Zoo, tmp_path: Path, arguments: list[str], told: str
) -> None:
    code, _, err = zoo_command("fit", *arguments, "--quiet")
    assert code == 2
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*")), "bad input leaves nothing behind"


def test_file_without_a_season_has_no_seasonal_forecast(zoo_command: Zoo, tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("sold\n" + "1\n2\n" * 500)
    recipe = registry.recipe("seasonal_naive_co2").path.read_text()
    (tmp_path / "mine.yaml").write_text(
        recipe.replace("CO2\n  init_args:", "CsvSeries\n  init_args:\n    path: sales.csv")
    )
    code, _, err = zoo_command("fit", "mine.yaml", "--quiet", "--data.window=400")
    assert code == 2
    assert "needs a season, but period is 1" in err
    code, out, _ = zoo_command("fit", "mine.yaml", "--quiet", "--figures=false", "--data.period=2")
    assert (code, " mae 0 " in out) == (0, True)


@pytest.mark.parametrize(("given", "first"), [("60", "1898"), ("0.1", "1927"), ("1950-01-01", "1950")])
def test_periods_are_a_number_a_fraction_or_a_date_on_the_command_line(
    zoo_command: Zoo, tmp_path: Path, given: str, first: str
) -> None:
    code, _, err = zoo_command(
        "fit",
        "lstm_sunspots",
        f"--data.val={given}",
        "--data.test=51",
        "--trainer.max_epochs=1",
        "--quiet",
        "--figures=false",
    )
    assert (code, err) == (0, "")
    (run,) = (tmp_path / "runs" / "lstm_sunspots").iterdir()
    settings = registry.read_yaml(run / "config.yaml")["data"]["init_args"]
    assert (str(settings["val"]), settings["test"]) == (given, 51)
    period = Sunspots(val=settings["val"], test=settings["test"]).periods["val"]
    assert str(Sunspots().times[period.start]) == first


def test_deployed_model_has_seen_everything_and_chooses_nothing(zoo_command: Zoo, tmp_path: Path) -> None:
    code, _, err = zoo_command(
        "fit", "dense_synthetic", "--data.fit_on=all", "--trainer.max_epochs=2", "--quiet", "--figures=false"
    )
    assert (code, err) == (0, "")
    (run,) = (tmp_path / "runs" / "dense_synthetic").iterdir()
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["last.ckpt"]
    assert zoo.load(run).window == 64


def test_baseline_has_no_learning_rate_to_find(zoo_command: Zoo, tmp_path: Path) -> None:
    code, _, err = zoo_command("lr-find", "naive_synthetic")
    assert (code, "Naive has no learning rate to find" in err) == (2, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", ["ets_csv", "theta_csv", "sarima_csv", "linear_csv"])
def test_classic_of_a_constant_series_says_nothing_but_its_figures(
    zoo_command: Zoo, tmp_path: Path, recipe: str
) -> None:
    (tmp_path / "sales.csv").write_text("sold\n" + "7\n" * 60)
    code, out, err = zoo_command(
        "fit", recipe, "--data.path=sales.csv", "--data.period=1", "--data.horizon=3", "--figures=false", "--quiet"
    )
    assert (code, err) == (0, "")
    assert " mae 0 " in out


def test_classic_is_nothing_that_onnx_can_hold(zoo_command: Zoo, tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("sold\n" + "1\n2\n" * 30)
    flags = ["--data.path=sales.csv", "--data.period=2", "--data.horizon=3", "--figures=false", "--quiet"]
    assert zoo_command("fit", "theta_csv", *flags)[0] == 0
    (run,) = (tmp_path / "runs" / "theta_csv").iterdir()
    code, out, err = zoo_command("export", run, "--to", "onnx", "theta.onnx")
    assert (code, out, "which ONNX cannot hold" in err, err.count("\n")) == (2, "", True, 1)
