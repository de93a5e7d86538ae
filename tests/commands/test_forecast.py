"""``zoo forecast``: which series it continues, what its intervals come from, what it writes and draws."""

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Zoo
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from PIL import Image

import zoo
from datamodules import CsvSeries, Series, SyntheticSeries
from zoo import weights
from zoo.commands import forecast, intervals
from zoo.series import Forecaster
from zoo.series.baselines import Naive
from zoo.series.conformal import drifting_half_widths, rolled_errors, spreads
from zoo.series.recurrent import Recurrent
from zoo.series.stateful import Stateful

from .shop import DAYS, SYNTHETIC, fit, write_shop


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> torch.Tensor:
    """Numbers of a column, of two series ``(2, H)``."""
    return torch.tensor([float(row[name]) for row in rows]).unflatten(0, (len({row["series"] for row in rows}), -1))


def unseen(data: CsvSeries) -> range:
    """Validation and test period."""
    return range(data.periods["val"].start, len(data.values))


def half_of(model: Forecaster, data: Series, period: range, horizon: int, level: int) -> torch.Tensor:
    """How far intervals reach from the end of a series on, calibrated on a period of it."""
    span = max(2 * data.period, 30)
    before, now = spreads(data.values, period, span), spreads(data.values, [len(data.values)], span)[0]
    return drifting_half_widths(rolled_errors(model, data.values, period, horizon), before, now, level)


def test_series_of_a_run_goes_on_with_intervals_from_what_it_was_not_trained_on(
    zoo_command: Zoo, tmp_path: Path, naive: Path
) -> None:
    code, out, err = zoo_command("forecast", naive, "--horizon", 3, "--csv", "out.csv")
    assert (code, err) == (0, "")
    head, *lines, told = out.splitlines()
    assert re.split(" {2,}", head) == ["time", "forecast", "80 % low", "80 % high", "95 % low", "95 % high"]
    assert [line.split()[0] for line in lines] == ["1461", "1462", "1463"]
    assert told == (
        "intervals from 461 forecasts of the synthetic series from 1000 to 1460, which it was not trained on; "
        "459 of them reach 3 steps"
    )
    rows, values = table(tmp_path / "out.csv"), SyntheticSeries().values
    assert list(rows[0]) == ["time", "series", "step", "forecast", "lower_80", "upper_80", "lower_95", "upper_95"]
    assert [(row["time"], row["series"], row["step"]) for row in rows] == [
        (str(1460 + step), "value", str(step)) for step in (1, 2, 3)
    ]
    for level in (80, 95):
        for end, sign in (("lower", -1), ("upper", 1)):
            half = half_of(Naive(), SyntheticSeries(), range(1000, 1461), 3, level)
            expected = values[-1] + sign * half
            torch.testing.assert_close(column(rows, f"{end}_{level}"), expected.T)


def test_file_in_place_of_the_runs_own_calibrates_on_what_is_new_in_it(
    zoo_command: Zoo, tmp_path: Path, shop: Path
) -> None:
    newer = write_shop(tmp_path / "newer.csv", 1, DAYS + 40)
    code, out, _ = zoo_command("forecast", shop, "--data", newer, "--horizon", 4, "--csv", "out.csv")
    assert code == 0
    data, model = CsvSeries(str(newer), ["bread", "cakes"], "day", val=0.2), zoo.load(shop, kind=Forecaster)
    rows = table(tmp_path / "out.csv")
    assert [row["time"] for row in rows] == 2 * [str(day) for day in data.future_times(4)]
    assert [row["series"] for row in rows] == 4 * ["bread"] + 4 * ["cakes"]
    ahead = model.forecast(data.values, 4)
    own = CsvSeries(str(shop.parent.parent / "shop.csv"), ["bread", "cakes"], "day", val=0.2)
    new = range(own.periods["val"].start - 40, len(data.values))
    half = half_of(model, data, new, 4, 95)
    torch.testing.assert_close(column(rows, "forecast"), ahead.T)
    torch.testing.assert_close(column(rows, "upper_95"), (ahead + half).T)
    first, last = data.times[[new.start, -1]]
    assert f"intervals from {len(new)} forecasts of {newer} from {first} to {last}, which it was not" in out


def test_flags_override_what_a_run_knows_of_its_columns(zoo_command: Zoo, tmp_path: Path, shop: Path) -> None:
    text = write_shop(tmp_path / "other.csv").read_text()
    (tmp_path / "other.csv").write_text(text.replace("day,bread,cakes", "tag,brot,kuchen"))
    code, _, err = zoo_command("forecast", shop, "--data", "other.csv", "--horizon", 1)
    assert (code, "has no column 'day'" in err) == (2, True)
    flags = ["--time", "tag", "--value", "kuchen", "--value", "brot", "--csv", "out.csv"]
    assert zoo_command("forecast", shop, "--data", "other.csv", "--horizon", 1, *flags)[0] == 0
    assert [row["series"] for row in table(tmp_path / "out.csv")] == ["kuchen", "brot"]


@pytest.mark.parametrize(
    ("times", "following"),
    [
        (np.arange("2015-01", "2019-01", dtype="M8[M]").astype("M8[D]"), ["2019-01-01", "2019-02-01", "2019-03-01"]),
        (np.busday_offset(np.datetime64("2024-01-01"), np.arange(45)), ["2024-03-04", "2024-03-05", "2024-03-06"]),
        (
            np.datetime64("2024-01-01T00:30") + np.arange(48) * np.timedelta64(30, "m"),
            ["2024-01-02 00:30", "2024-01-02 01:00", "2024-01-02 01:30"],
        ),
        (np.arange(1000, 1050), ["1050", "1051", "1052"]),
    ],
    ids=["months", "business days", "half hours", "numbers"],
)
def test_file_that_is_new_to_the_model_goes_on_in_its_own_time(
    zoo_command: Zoo, tmp_path: Path, naive: Path, times: np.ndarray, following: list[str]
) -> None:
    (tmp_path / "mine.csv").write_text("t,x\n" + "".join(f"{time},{place % 7}\n" for place, time in enumerate(times)))
    flags = ["--data", "mine.csv", "--time", "t", "--horizon", 3, "--csv", "out.csv", "--plot", "out.png"]
    code, out, _ = zoo_command("forecast", naive, *flags)
    assert code == 0
    assert [row["time"] for row in table(tmp_path / "out.csv")] == following
    assert f"intervals from {len(times) - 1} forecasts of mine.csv from " in out
    assert "taken to be new to the model" in out


def test_forecasts_alone(zoo_command: Zoo, tmp_path: Path, shop_all: Path) -> None:
    arguments = ["--horizon", 300, "--no-intervals", "--csv", "out.csv", "--plot", "out.png"]
    code, out, err = zoo_command("forecast", shop_all, *arguments)
    assert (code, err, "%" in out) == (0, "", False)
    rows = table(tmp_path / "out.csv")
    assert (len(rows), list(rows[0])) == (600, ["time", "series", "step", "forecast"])


def test_model_that_was_trained_on_everything_is_judged_by_one_that_was_not(
    zoo_command: Zoo, tmp_path: Path, shop: Path, shop_all: Path
) -> None:
    code, out, err = zoo_command("forecast", shop_all, "--horizon", 2)
    assert (code, out) == (2, "")
    assert "was trained on every point (fit_on all)" in err
    assert "--calibrate RUN" in err
    code, out, _ = zoo_command("forecast", shop_all, "--horizon", 2, "--calibrate", shop, "--csv", "out.csv")
    assert code == 0
    data = CsvSeries(str(shop.parent.parent / "shop.csv"), ["bread", "cakes"], "day", val=0.2)
    assert f"{len(unseen(data)) - 1} of them reach 2 steps; made by {shop}" in out
    half = half_of(zoo.load(shop, kind=Forecaster), data, unseen(data), 2, 80)
    rows = table(tmp_path / "out.csv")
    ahead = zoo.load(shop_all, kind=Forecaster).forecast(data.values, 2)
    torch.testing.assert_close(column(rows, "upper_80"), (ahead + half).T)


@pytest.mark.parametrize("recipe", ["ets_csv", "linear_csv"])
def test_window_that_grew_with_the_training_period_takes_intervals_of_a_shorter_one(
    zoo_command: Zoo, shop_files: Path, recipe: str
) -> None:
    asked = ["--data.value=bread", "--data.time=day", "--data.horizon=90", "--data.transform=box_cox"]
    judge, everything = (
        fit(shop_files, recipe, f"--data.path={shop_files / 'shop.csv'}", *asked, f"--data.fit_on={part}")
        for part in ("train", "all")
    )
    assert zoo.load(judge, kind=Forecaster).window < zoo.load(everything, kind=Forecaster).window
    code, out, _ = zoo_command("forecast", everything, "--horizon", 2, "--calibrate", judge)
    assert (code, f"made by {judge}" in out) == (0, True)


def test_longest_horizon_is_told_and_works(zoo_command: Zoo, naive: Path) -> None:
    code, out, err = zoo_command("forecast", naive, "--horizon", 459)
    assert (code, out) == (2, "")
    assert "has 461 points that" in err
    assert "use --horizon 458 at most, or --no-intervals" in err
    code, out, _ = zoo_command("forecast", naive, "--horizon", 458)
    assert (code, out.rstrip().endswith("; too few for 95 %"), "95 % low" in out) == (0, True, False)
    code, out, _ = zoo_command("forecast", naive, "--horizon", 443)
    assert (code, "too few" in out, "95 % low" in out) == (0, False, True)


def test_only_the_latest_of_a_long_file_is_calibrated_on(
    zoo_command: Zoo, naive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "_CALIBRATION", 50)
    (tmp_path / "long.csv").write_text("x\n" + "1\n2\n" * 200)
    _, out, _ = zoo_command("forecast", naive, "--data", "long.csv", "--horizon", 1)
    assert "intervals from 50 forecasts of long.csv from 350 to 399" in out


@pytest.mark.parametrize("build", [Recurrent, Stateful])
def test_published_model_continues_the_series_of_its_card(
    zoo_command: Zoo, tmp_path: Path, build: Callable[..., Any]
) -> None:
    torch.manual_seed(0)
    settings = {"output": "sequence"} if build is Recurrent else {}
    model = build(window=20, hidden_size=4, mean=[50.0], std=[20.0], **settings)
    weights.save(model, tmp_path / "mine", {"data": SYNTHETIC}, {"input": model.example_input()})
    code, out, _ = zoo_command("forecast", "mine", "--horizon", 30)
    assert code == 0
    assert "intervals from 661 forecasts of the synthetic series from 800 to 1460, which it was not trained on" in out


def test_checkpoint_is_known_by_the_run_it_lies_in(zoo_command: Zoo, tmp_path: Path, naive: Path) -> None:
    checkpoint = naive / "checkpoints" / "last.ckpt"
    assert "1461" in zoo_command("forecast", checkpoint, "--horizon", 1)[1]
    shutil.copy(checkpoint, tmp_path / "lone.ckpt")
    shutil.copy(naive / "config.yaml", tmp_path)
    lone = "lone.ckpt"
    code, _, err = zoo_command("forecast", lone, "--horizon", 1)
    assert (code, "lies in no run folder, so its series is not known; name a file with --data" in err) == (2, True)
    (tmp_path / "x.csv").write_text("x\n" + "1\n2\n" * 30)
    assert zoo_command("forecast", lone, "--horizon", 1, "--data", "x.csv")[0] == 0


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The pictures that a command draws."""
    figures: list[Figure] = []
    draw = forecast.draw_future

    def noted(*arguments: Any) -> Figure:
        figures.append(draw(*arguments))
        return figures[-1]

    monkeypatch.setattr(forecast, "draw_future", noted)
    return figures


def test_picture_shows_every_series_with_dates_and_bands(
    zoo_command: Zoo, tmp_path: Path, shop: Path, drawn: list[Figure]
) -> None:
    code, _, _ = zoo_command("forecast", shop, "--horizon", 14, "--plot", "out.png")
    assert code == 0
    assert Image.open(tmp_path / "out.png").width > 1000
    (figure,) = drawn
    assert figure.get_suptitle().startswith("Forecast of shop.csv, 14 steps of 1 day ahead, by ")
    assert [axes.get_ylabel() for axes in figure.axes] == ["bread", "cakes"]
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["known", "forecast", "95 % interval", "80 % interval"]
    known, ahead = figure.axes[0].lines[:2]
    assert np.asarray(known.get_xdata())[-1] == np.asarray(ahead.get_xdata())[0], "nothing is torn"
    assert str(np.asarray(ahead.get_xdata())[-1])[:10] == str(DAYS[-1] + 14)
    assert num2date(figure.axes[0].get_xlim()[0]).date() > DAYS[300].item(), "only the end is shown"


def test_repairs_are_told(zoo_command: Zoo, tmp_path: Path, naive: Path) -> None:
    (tmp_path / "x.csv").write_text("x,y\n" + "1,\n2,3\n2,4\n2,5\n" * 8)
    arguments = ["--data", "x.csv", "--value", "y", "--horizon", 1, "--repair", "missing", "gaps"]
    code, _, err = zoo_command("forecast", naive, *arguments)
    repaired = "1 row of 32 without a number dropped at the ends (line 2), 7 missing cells interpolated (lines 6, 10, "
    repaired += "14, 18, 22 and 2 more)"
    assert (code, err) == (0, f"zoo: x.csv was repaired: {repaired}\n")


def test_forecast_is_written_into_a_pipe_as_into_a_file(zoo_command: Zoo, naive: Path) -> None:
    assert zoo_command("forecast", naive, "--horizon", 1, "--csv", "/dev/null")[0] == 0
    assert Path("/dev/null").is_char_device()


def test_points_that_the_run_was_trained_on_do_not_calibrate(zoo_command: Zoo, tmp_path: Path, shop: Path) -> None:
    head, *lines = (shop.parent.parent / "shop.csv").read_text().splitlines()
    for name, count in (("older.csv", 200), ("half.csv", len(lines) // 2)):
        (tmp_path / name).write_text("\n".join([head, *lines[:count]]) + "\n")
    trained = CsvSeries(str(shop.parent.parent / "shop.csv"), ["bread", "cakes"], "day", val=0.2).periods["train"].stop
    (tmp_path / "newer.csv").write_text("\n".join([head, *lines[: trained + 25]]) + "\n")
    code, out, _ = zoo_command("forecast", shop, "--data", "newer.csv", "--horizon", 1)
    assert (code, "intervals from 25 forecasts of newer.csv" in out) == (0, True)
    code, out, err = zoo_command("forecast", shop, "--data", "half.csv", "--horizon", 1)
    assert (code, out) == (2, "")
    assert "nothing in it tells how far it may be off; name a longer file, or add --no-intervals" in err
    assert zoo_command("forecast", shop, "--data", "half.csv", "--horizon", 1, "--no-intervals")[0] == 0


def test_no_column_is_dropped_where_there_is_no_terminal(zoo_command: Zoo, naive: Path, tmp_path: Path) -> None:
    rows = "".join(f"2024-01-01 {hour:02d}:00,{5e9 + hour % 7 * 1e8}\n" for hour in range(24))
    rows += rows.replace("2024-01-01", "2024-01-02")
    (tmp_path / "wide.csv").write_text(f"hour,revenue of the northern branch\n{rows}")
    _, out, _ = zoo_command("forecast", naive, "--data", "wide.csv", "--time", "hour", "--horizon", 1)
    head, line, _ = out.splitlines()
    assert len(re.split(" {2,}", head)) == len(re.split(" {2,}", line)) == 6
    assert "…" not in out
