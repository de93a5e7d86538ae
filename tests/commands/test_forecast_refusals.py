"""``zoo forecast``: what it refuses, in one line and with nothing written, and whose code it trusts."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Zoo
from matplotlib.figure import Figure

from zoo import weights
from zoo.commands import forecast
from zoo.series.linear import Linear

from .shop import SYNTHETIC


def test_intervals_of_another_model_or_series_are_refused(
    zoo_command: Zoo, tmp_path: Path, naive: Path, shop: Path, shop_all: Path
) -> None:
    code, _, err = zoo_command("forecast", shop_all, "--horizon", 2, "--calibrate", naive)
    assert (code, "has class Naive, " in err, "expected the same architecture" in err) == (2, True, True)
    code, _, err = zoo_command("forecast", shop_all, "--horizon", 2, "--calibrate", shop_all)
    assert (code, "was trained on every point" in err) == (2, True)
    (tmp_path / "x.csv").write_text("x\n" + "1\n2\n" * 30)
    code, _, err = zoo_command("forecast", naive, "--horizon", 2, "--data", "x.csv", "--calibrate", naive)
    assert (code, "forecasts value, not x; expected the same series" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("NAIVE --horizon 0", "--horizon is 0, expected 1 to 1,000,000"),
        ("NAIVE", "the following arguments are required: --horizon"),
        ("NAIVE --horizon many", "argument --horizon: invalid int value: 'many'"),
        ("cnn_digits --horizon 1", "'cnn_digits' forecasts nothing: CNN is no forecaster"),
        ("naive_synthetic_ --horizon 1", "no recipe 'naive_synthetic_'"),
        ("NAIVE --horizon 1 --value x", "--value is for a file; name it with --data"),
        ("NAIVE --horizon 1 --time-format %Y", "--time-format is for a file; name it with --data"),
        ("NAIVE --horizon 1 --calibrate x --no-intervals", "--calibrate is for intervals; leave out --no-intervals"),
        ("NAIVE --horizon 1 --csv folder", "--csv folder is a folder, expected a file to write"),
        ("NAIVE --horizon 1 --plot out.gif", "--plot is out.gif, expected a name that ends in .png"),
        ("NAIVE --horizon 1 --data x.csv --csv x.csv", "x.csv is the series to continue and would be overwritten"),
        ("NAIVE --horizon 1 --data gtwo.csv", "cannot read gtwo.csv: No such file"),
        ("NAIVE --horizon 1 --data x.csv --value y", "x.csv has no column 'y'; there are t, x, z"),
        ("NAIVE --horizon 1 --data x.csv", "which to forecast with --value, and which holds the times with --time"),
        ("NAIVE --horizon 1 --data x.csv --value x --value t", "x.csv has 2 series (x, t), 'NAIVE' forecasts 1; name"),
        ("NAIVE --horizon 1 --data x.csv --value z", "fill it in, or let --repair missing interpolate"),
        ("NAIVE --horizon 1 --data x.csv --value x --time x", "column 'x' is named both as time and as value"),
        ("NAIVE --horizon 1 --data x.csv --value x --repair all", "no repair 'all'; there are missing, order"),
        ("NAIVE --horizon 24 --data x.csv --value x", "use --horizon 23 at most, or --no-intervals"),
        ("NAIVE --horizon 1 --data short.csv", "use a longer series, or --no-intervals"),
        ("NAIVE --horizon 1 --data two.csv", "two.csv is too short to continue: 2 rows, expected 4 or more"),
        ("SHOP --horizon 1 --data short.csv", "short.csv has no column 'day'; did you mean 'days'?"),
    ],
)
def test_bad_input_is_told_in_one_line_and_nothing_is_written(
    zoo_command: Zoo, tmp_path: Path, naive: Path, shop: Path, arguments: str, told: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.csv").write_text("t,x,z\n" + "".join(f"{row},{row},{'' if row == 5 else 1}\n" for row in range(27)))
    (tmp_path / "short.csv").write_text("days\n" + "1\n2\n" * 2)
    (tmp_path / "two.csv").write_text("x\n1\n2\n")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    names = {"NAIVE": str(naive), "SHOP": str(shop)}
    code, out, err = zoo_command("forecast", *(names.get(argument, argument) for argument in arguments.split()))
    assert (code, out) == (2, "")
    assert told.replace("NAIVE", str(naive)) in err
    assert len(err.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_short_file_for_a_model_that_looks_far_back_is_refused(zoo_command: Zoo, tmp_path: Path) -> None:
    weights.save(Linear(window=30), tmp_path / "linear", {"data": SYNTHETIC}, {"input": torch.zeros(1, 30, 1)})
    (tmp_path / "x.csv").write_text("x\n" + "1\n2\n" * 14)
    for flags in ([], ["--no-intervals"]):
        code, _, err = zoo_command("forecast", "linear", "--horizon", 1, "--data", "x.csv", *flags)
        assert (code, err) == (2, "zoo: Linear looks at 30 steps and got 28; give it more history\n")


def test_failure_leaves_the_files_of_an_earlier_call_alone(
    zoo_command: Zoo, tmp_path: Path, naive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.csv").write_text("earlier")
    assert zoo_command("forecast", naive, "--horizon", 2000, "--csv", "out.csv")[0] == 2

    def fail(*_: Any) -> Figure:
        raise OSError("no space left")

    monkeypatch.setattr(forecast, "draw_future", fail)
    arguments = ["--horizon", 2, "--csv", "out.csv", "--plot", "out.png"]
    assert zoo_command("forecast", naive, *arguments) == (2, "", "zoo: no space left\n")
    assert (tmp_path / "out.csv").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"class_path": "evil.Series"}, "names 'evil.Series', which may run any code; add --trust if the run is yours"),
        ({"class_path": "datamodules.Digits"}, "names 'datamodules.Digits', which is no series"),
        ({"class_path": "datamodules.series.None_"}, "which is not there"),
        ({"class_path": "datamodules.CO2", "init_args": {"value": 1}}, "does not say what"),
        ({"class_path": "datamodules.CO2", "init_args": {"window": "many"}}, "window is 'many', expected int"),
        (
            {"class_path": "datamodules.CsvSeries", "init_args": {"path": "gtwo.csv"}},
            "was trained on gtwo.csv, which is not there; name it with --data",
        ),
        ("datamodules.CO2", "does not say what the model was trained on"),
        (None, "does not say what the model was trained on"),
    ],
)
def test_data_of_a_run_is_not_trusted(zoo_command: Zoo, tmp_path: Path, naive: Path, section: Any, told: str) -> None:
    run = shutil.copytree(naive, tmp_path / "run")
    (run / "config.yaml").write_text(f"data: {section!r}\n" if section else "model: {}\n")
    code, out, err = zoo_command("forecast", "run", "--horizon", 1)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1


def test_own_data_module_is_used_if_it_is_trusted(
    zoo_command: Zoo, tmp_path: Path, naive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(naive, tmp_path / "run")
    (run / "config.yaml").write_text("data: {class_path: mine.Mine}\n")
    (tmp_path / "mine.py").write_text("from datamodules import SyntheticSeries\nclass Mine(SyntheticSeries): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert zoo_command("forecast", "run", "--horizon", 1)[0] == 2
    assert zoo_command("forecast", "run", "--horizon", 1, "--trust")[0] == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--horizon", "3000000000", "--no-intervals"], "--horizon is 3000000000, expected 1 to 1,000,000"),
        (["--horizon", "9000", "--no-intervals", "--plot", "far.png"], "--plot cannot draw dates as far as 11008"),
    ],
)
def test_horizons_beyond_reason_are_refused(zoo_command: Zoo, tmp_path: Path, flags: list[str], told: str) -> None:
    code, out, err = zoo_command("forecast", "lstm_sunspots", *flags)
    assert (code, out, told in err) == (2, "", True)
    assert not list(tmp_path.iterdir())
