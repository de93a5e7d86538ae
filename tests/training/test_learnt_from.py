"""A run remembers the data that it learnt from, and whoever uses it later is told when that has changed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Zoo
from PIL import Image

from datamodules import CsvSeries, ImageFolder
from zoo.training.learnt_from import changed


def write_series(path: Path, values: np.ndarray, first: int = 0) -> None:
    days = np.datetime64("2024-01-01") + np.arange(first, first + len(values))
    path.write_text("day,x\n" + "".join(f"{day},{value:.3f}\n" for day, value in zip(days, values, strict=True)))


@pytest.fixture
def series_run(zoo_command: Zoo) -> Path:
    write_series(Path("x.csv"), np.sin(np.arange(300)))
    data = ["--data=CsvSeries", "--data.path=x.csv", "--data.time=day", "--data.window=5"]
    assert zoo_command("fit", "naive_synthetic", *data, "--quiet", "--figures=false")[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    return run


def test_folder_is_known_by_its_pictures_not_their_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("a", "b"):
        (tmp_path / "p" / kind).mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "p" / kind / f"{number}.png")

    def sums() -> dict:
        return ImageFolder(str(tmp_path / "p"), 8, cache=str(tmp_path / "cache")).checksums()

    before = sums()
    (tmp_path / "p" / "a" / "0.png").rename(tmp_path / "p" / "a" / "9.png")
    assert sums() == before
    (tmp_path / "p" / "a" / "9.png").rename(tmp_path / "p" / "b" / "9.png")
    assert changed(before, sums())
    assert changed(before, before) == []


def test_run_says_when_its_data_has_changed(series_run: Path, zoo_command: Zoo) -> None:
    remembered = json.loads((series_run / "results.json").read_text())["data"]
    own = CsvSeries("x.csv", time="day", window=5)
    assert remembered == own.checksums()
    assert remembered["train"]["until"] == str(own.times[own.periods["train"].stop - 1])
    assert zoo_command("test", series_run)[2] == ""
    write_series(Path("x.csv"), np.sin(np.arange(310)))
    _, _, error = zoo_command("test", series_run)
    assert f"zoo: the data is not what {series_run} learnt from: " in error
    _, _, error = zoo_command("publish", series_run, "--to", "published")
    assert f"the data is not what {series_run} learnt from: " in error
    (card,) = Path("published").glob("*/card.json")
    assert json.loads(card.read_text())["data"]["checksums"] == remembered


def intervals(out: str) -> str:
    return next(line for line in out.splitlines() if line.startswith("intervals from"))


@pytest.mark.parametrize(
    ("change", "told", "claims"),
    [
        (lambda x: x, "from 2024-08-28", "which it was not trained on"),
        (lambda x: np.append(x, x[:80]), "from 2024-08-28", "which it was not trained on"),
        (lambda x: x + 1, "from 2024-08-28", "which are later than what it was trained on"),
        (lambda x: np.append(x[:100] + 1, np.append(x, x)), "from 2024-08-28", "which are later"),
    ],
    ids=["the same", "longer", "changed", "changed and longer"],
)
@pytest.mark.parametrize("named", [False, True])
def test_forecast_claims_only_what_it_knows(
    change: Callable[[np.ndarray], np.ndarray], told: str, claims: str, named: bool, series_run: Path, zoo_command: Zoo
) -> None:
    values = change(np.sin(np.arange(300)))
    write_series(Path("y.csv" if named else "x.csv"), values)
    if named:
        Path("x.csv").unlink()
    flags = ["--data", "y.csv"] if named else []
    code, out, error = zoo_command("forecast", series_run, "--horizon", 2, *flags)
    assert code == 0
    assert told in intervals(out)
    assert (claims if not named else "not trained on") in intervals(out)
    assert ("has changed since" in error) == ("later" in claims and not named)


@pytest.mark.parametrize("flags", [[], ["--data", "x.csv"]])
def test_forecast_by_a_run_of_former_times_claims_nothing(flags: list[str], series_run: Path, zoo_command: Zoo) -> None:
    results = json.loads((series_run / "results.json").read_text())
    del results["data"]
    (series_run / "results.json").write_text(json.dumps(results))
    code, out, _ = zoo_command("forecast", series_run, "--horizon", 2, *flags)
    assert code == 0
    assert "taken to be new to the model" in intervals(out)


def test_forecast_of_what_was_trained_on_under_another_name_is_no_news(series_run: Path, zoo_command: Zoo) -> None:
    write_series(Path("y.csv"), np.sin(np.arange(240)))
    code, _, error = zoo_command("forecast", series_run, "--data", "y.csv", "--horizon", 2)
    assert code == 2
    assert "holds nothing that the model was not trained on" in error
    assert zoo_command("forecast", series_run, "--data", "y.csv", "--horizon", 2, "--no-intervals")[0] == 0


def test_resumption_on_other_data_says_so(zoo_command: Zoo) -> None:
    values = np.sin(np.arange(300))
    write_series(Path("x.csv"), values)
    data = ["--data.path=x.csv", "--data.value=x", "--data.time=day", "--data.window=5"]
    flags = ["--model.schedule=constant", "--model.hidden_size=4", "--trainer.max_epochs=1"]
    assert zoo_command("fit", "lstm_csv", *data, *flags, "--quiet", "--figures=false")[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    values[290:] = 0
    write_series(Path("x.csv"), values)
    code, _, error = zoo_command("fit", run, "--trainer.max_epochs=2", "--quiet", "--figures=false")
    assert code == 0
    assert f"the data is not what {run} learnt from: test has 300 as before, of other contents" in error


@pytest.mark.parametrize(
    "results", ['{"recipe": 5}', '{"data": {"train": 1}}', '{"data": {"other": {}}}', "[1]", '{"fit": []}']
)
def test_results_of_odd_types_are_damaged(results: str, series_run: Path, zoo_command: Zoo) -> None:
    (series_run / "results.json").write_text(results)
    for verb in ("test", "fit", "publish"):
        code, _, error = zoo_command(verb, series_run)
        assert code == 2
        assert "results.json is damaged" in error
