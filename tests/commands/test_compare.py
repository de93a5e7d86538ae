"""zoo compare and zoo auto: recipes trained on the same data, ranked without a look at the test split."""

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Zoo

import zoo
from zoo import names, registry
from zoo.commands import contenders, train
from zoo.comparison.leaderboard import Leaderboard
from zoo.comparison.own import FAMILIES, own_recipes
from zoo.registry import read_results, read_yaml
from zoo.series import Forecaster
from zoo.vision import ImageEnsemble, LinearProbe

BRIEF = ("--trainer.max_epochs=3", "--figures=false")


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """Twelve years of months that grow and have a season."""
    months = np.arange(144)
    noise = np.random.default_rng(0).normal(0, 2, 144)
    values = 100 + months + 20 * np.sin(2 * np.pi * months / 12) + noise
    rows = [f"{1990 + month // 12}-{month % 12 + 1:02d}-01,{value:.2f}" for month, value in enumerate(values)]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(["month,sold", *rows]) + "\n")
    return path


SERIES = ("--data.path=sales.csv", "--data.time=month", "--data.value=sold", "--data.period=12", "--data.horizon=6")
BRIEF_SERIES = (*SERIES, "--data.window=24", "--folds=2", *BRIEF)


def leaderboard(folder: Path) -> list[dict[str, str]]:
    with (folder / "leaderboard.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_recipes_are_ranked_by_validation_beside_what_costs_nothing(zoo_command: Zoo) -> None:
    code, out, error = zoo_command("compare", "dense_iris", "backprop_iris", "--seeds=2", *BRIEF, "--out=board")
    assert (code, error) == (0, "")
    first, second, majority = leaderboard(Path("board"))
    assert {first["model"], second["model"]} == {"dense_iris", "backprop_iris"}
    assert float(first["validation"]) >= float(second["validation"])
    assert (majority["model"], majority["rank"], majority["note"]) == ("majority class", "", "costs nothing")
    assert 0.2 < float(majority["validation"]) < 0.5
    assert first["difference"] == ""
    assert second["within_noise"] in ("True", "False")
    assert float(second["low"]) <= float(second["difference"]) <= float(second["high"])
    assert float(second["difference"]) == pytest.approx(float(second["validation"]) - float(first["validation"]))
    for row in (first, second):
        figures = []
        for seed in range(2):
            run = Path("board") / row["model"] / f"seed-{seed}"
            assert read_yaml(run / "config.yaml")["seed_everything"] == seed
            figures.append(read_results(run)["validate"]["accuracy"])
        assert float(row["validation"]) == pytest.approx(np.mean(figures))
        assert read_results(Path(row["run"]))["validate"]["accuracy"] == max(figures)
        assert zoo.load(row["run"]) is not None
    assert "majority class" in out
    assert Path("board/figures/leaderboard.png").stat().st_size > 1000


def test_interrupted_comparison_goes_on_where_it_stopped(zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    train, trained = contenders.Recipe._train, []

    def stop(self: contenders.Recipe, folder: Path, run: Path, *rest: Any) -> None:
        trained.append(run.parent.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        train(self, folder, run, *rest)

    monkeypatch.setattr(contenders.Recipe, "_train", stop)
    command = ("compare", "dense_iris", "backprop_iris", *BRIEF)
    code, out, _ = zoo_command(*command)
    assert code == 130
    (line,) = [line for line in out.splitlines() if line.startswith("stopped; go on with: zoo ")]
    before = files(Path("runs"))
    code, out, error = zoo_command(*line.removeprefix("stopped; go on with: zoo ").split())
    assert (code, error) == (0, "")
    assert trained == ["dense_iris", "backprop_iris", "backprop_iris"]
    (folder,) = Path("runs/compare").iterdir()
    done = folder / "dense_iris" / "seed-0"
    assert {path: stamp for path, stamp in files(Path("runs")).items() if done in path.parents} == {
        path: stamp for path, stamp in before.items() if done in path.parents
    }
    assert len(leaderboard(folder)) == 3


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("compare", "'zoo compare' needs recipes or runs to compare"),
        ("compare cnn_digits dense_iris", "cnn_digits and dense_iris have different data in val and test"),
        ("compare cnn_digits cnn_digits", "cnn_digits is named twice; --seeds N trains it with several seeds"),
        ("compare dense_irris", "no recipe 'dense_irris'; did you mean 'dense_iris'?"),
        ("compare dense_iris --seeds 0", "--seeds is 0, expected at least 1"),
        ("compare dense_iris --seed_everything 3", "--seed_everything has no place in a comparison"),
        (
            "compare dense_iris --trainer.limit_val_batches 0",
            "--trainer.limit_val_batches leaves nothing to compare by",
        ),
        ("compare dense_iris --test", "--test has no place in a comparison, which sets it itself; leave it out"),
        ("compare ets_csv --data.fit_on=known", "--data.fit_on has no place in a comparison, which sets it itself"),
        ("compare dense_iris --ckpt_path last.ckpt", "--ckpt_path has no place in a comparison"),
        ("compare dense_iris --model.hiden_size 3", "Dense takes no 'hiden_size'; did you mean 'hidden_size'?"),
        ("compare dense_iris --out taken", "--out taken is there and holds no comparison; name a new folder"),
        ("auto", "'zoo auto' needs the family of your data first: vision, series, text"),
        ("auto pictures --data.root x", "'zoo auto' needs the family of your data first: vision, series, text"),
        ("auto series", "'zoo auto series' needs to know your data: --data.path ..."),
        ("auto series --data.path none.csv", "none.csv"),
        ("auto vision --data.root none --budget 5", "--budget is '5', expected a time such as 90s, 5m or 2h"),
    ],
)
def test_what_cannot_be_compared_is_told_and_leaves_nothing(typed: str, told: str, zoo_command: Zoo) -> None:
    Path("taken").mkdir()
    Path("taken/precious").write_text("mine")
    before = files(Path.cwd())
    code, _, error = zoo_command(*typed.split())
    assert code == 2
    assert told in error
    assert error.count("\n") == 1
    assert files(Path.cwd()) == before
    assert not Path("runs").exists()


def test_a_folder_holds_one_comparison(zoo_command: Zoo) -> None:
    assert zoo_command("compare", "dense_iris", *BRIEF, "--out", "board")[0] == 0
    before = files(Path("board"))
    code, _, error = zoo_command("compare", "backprop_iris", *BRIEF, "--out", "board")
    assert code == 2
    assert "--out board holds another comparison; it was made by: zoo compare dense_iris" in error
    assert files(Path("board")) == before


def test_comparison_does_not_go_on_with_other_data(zoo_command: Zoo, sales: Path) -> None:
    typed = ("compare", "naive_csv", *BRIEF_SERIES, "--out=board")
    assert zoo_command(*typed)[0] == 0
    assert zoo_command(*typed)[0] == 0
    sales.write_text(sales.read_text() + "2002-01-01,250\n")
    code, _, error = zoo_command(*typed)
    assert (code, error.count("\n")) == (2, 1)
    assert "naive_csv/seed-0/fold-1 was trained on other data than there is now" in error


def test_runs_are_compared_as_they_are(zoo_command: Zoo) -> None:
    for recipe in ("dense_iris", "backprop_iris"):
        assert zoo_command("fit", recipe, *BRIEF, "--quiet")[0] == 0
    runs = sorted(Path("runs").glob("*/*"))
    before = files(Path("runs"))
    code, out, error = zoo_command("compare", *runs)
    assert (code, error) == (0, "")
    assert files(Path("runs")) == before
    assert all(str(run) in out for run in runs)
    assert zoo_command("compare", *runs, "--out=board")[0] == 0
    for row in leaderboard(Path("board"))[:2]:
        run = Path(row["model"])
        assert float(row["validation"]) == pytest.approx(read_results(run)["validate"]["accuracy"])
    code, _, error = zoo_command("compare", runs[0], "dense_iris")
    assert code == 2
    assert "compare runs with runs" in error
    code, _, error = zoo_command("compare", *runs, "--model.lr=1")
    assert code == 2
    assert "--model.lr=1 is for training, and runs are measured as they are" in error


def test_runs_of_other_horizons_are_not_compared(zoo_command: Zoo, sales: Path) -> None:
    for horizon in (1, 6):
        assert zoo_command("fit", "naive_csv", *SERIES, f"--data.horizon={horizon}", "--figures=false")[0] == 0
    code, _, error = zoo_command("compare", *sorted(Path("runs").glob("*/*")))
    assert (code, "compare them with the same --data.horizon" in error) == (2, True)


def test_series_is_ranked_by_folds_that_never_see_the_test_period(zoo_command: Zoo, sales: Path) -> None:
    code, out, error = zoo_command("compare", "lstm_csv", *BRIEF_SERIES, "--out=board")
    assert (code, error) == (0, "")
    model, *references = leaderboard(Path("board"))
    assert model["model"] == "lstm_csv"
    assert [row["model"] for row in references] == ["naive", "seasonal naive", "mean"]
    naive, seasonal, _ = (float(row["validation"]) for row in references)
    assert seasonal < naive
    run = Path(model["run"])
    assert zoo.load(run, kind=Forecaster).horizon == 6  # an ordinary run
    figures = []
    ends = []
    for number in (1, 2):
        results = read_results(run / f"fold-{number}")
        figures.append(results["test"]["mae"])
        ends.append(results["data"]["test"]["until"])
        assert read_yaml(run / f"fold-{number}" / "config.yaml")["data"]["init_args"]["fold_of"] == "before"
    assert float(model["validation"]) == pytest.approx(np.mean(figures), rel=1e-4)
    assert ends[0] < ends[1] < read_results(run)["data"]["test"]["until"]
    assert ends[1] == read_results(run)["data"]["val"]["until"]
    assert float(model["test"]) == read_results(run)["test"]["mae"]
    assert "2 folds before the test" in out


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets ``zoo auto series`` try one of each kind."""
    (field,) = FAMILIES["series"]
    recipes = ("seasonal_naive_csv", "ets_csv", "lstm_csv", "stateful_lstm_csv")
    monkeypatch.setitem(FAMILIES, "series", (field._replace(recipes=recipes),))


@pytest.mark.usefixtures("few")
def test_auto_ends_with_a_series_model_that_knows_everything(zoo_command: Zoo, sales: Path) -> None:
    brief = [flag for flag in BRIEF_SERIES if not flag.startswith("--data.window")]
    code, out, error = zoo_command("auto", "series", *brief, "--out=board")
    assert (code, error) == (0, "")
    models = {row["model"] for row in leaderboard(Path("board")) if row["rank"]}
    assert models == {"seasonal_naive_csv", "ets_csv", "ets_csv-log", "lstm_csv", "ensemble"}
    # What validation does not choose trains on all that lies before a piece.
    for name, fit_on in (("ets_csv-log", "known"), ("lstm_csv", "train")):
        arguments = read_yaml(Path("board") / name / "seed-0/fold-1/config.yaml")["data"]["init_args"]
        assert arguments["fit_on"] == fit_on
    assert read_yaml(Path("board/ets_csv-log/seed-0/config.yaml"))["data"]["init_args"]["transform"] == "log"
    assert read_yaml(Path("board/winner/config.yaml"))["data"]["init_args"]["fit_on"] == "all"
    use = out.splitlines()[-1].partition("zoo ")[2]
    assert re.fullmatch(r"forecast board/winner --horizon 6 --calibrate board/\w+/seed-0", use)
    code, out, error = zoo_command(*use.split(), "--csv=next.csv")
    assert code == 0, error
    assert Path("next.csv").read_text().splitlines()[1].startswith("2002-01-01")


# Four errors at each step are enough for an interval of 80 %, which of the shortest series are not there.
@pytest.mark.parametrize(
    ("rows", "horizon", "intervals"),
    [
        (144, 6, "--calibrate board/naive_csv/seed-0"),
        (90, 6, "--calibrate board/naive_csv/seed-0"),
        (14, 1, "--no-intervals"),
    ],
)
def test_what_auto_says_to_type_works(
    zoo_command: Zoo, sales: Path, monkeypatch: pytest.MonkeyPatch, rows: int, horizon: int, intervals: str
) -> None:
    (field,) = FAMILIES["series"]
    monkeypatch.setitem(FAMILIES, "series", (field._replace(recipes=("naive_csv",)),))
    sales.write_text("".join(sales.read_text().splitlines(keepends=True)[: rows + 1]))
    short = [f"--data.horizon={horizon}", f"--data.period={12 if rows > 24 else 1}"]
    _, out, _ = zoo_command("auto", "series", *SERIES, *short, "--figures=false", "--out=board")
    use = out.splitlines()[-1].partition("zoo ")[2]
    assert use == f"forecast board/winner --horizon {horizon} {intervals}"
    assert zoo_command(*use.split())[0] == 0


@pytest.mark.usefixtures("few")
def test_recipe_that_the_data_does_not_suit_is_left_out(zoo_command: Zoo, sales: Path) -> None:
    code, out, error = zoo_command(
        "auto", "series", *BRIEF_SERIES, "--model.hidden_size=4", "--model.residual=last", "--out=board"
    )
    assert code == 0, error
    assert error.startswith("zoo: seasonal_naive_csv is left out: ")
    assert "SeasonalNaive takes no 'hidden_size'" in error
    assert "zoo: ets_csv, ets_csv-log are left out: " in error
    assert leaderboard(Path("board"))[0]["model"] == "lstm_csv"
    # Learning for three epochs is worse than the season before, and that is said.
    assert "costs nothing: nothing was learnt" in out


def test_mean_of_the_best_is_a_run_like_any_other(zoo_command: Zoo) -> None:
    brief = ("--trainer.max_epochs=1", "--trainer.limit_train_batches=4", "--figures=false", "--folds=2")
    recipes = ("gru_synthetic", "rnn_synthetic", "naive_synthetic")
    code, out, error = zoo_command("compare", *recipes, "--ensemble=2", *brief, "--out=board")
    assert (code, error) == (0, "")
    rows = {row["model"]: row for row in leaderboard(Path("board"))}
    members = rows["ensemble"]["note"].removeprefix("mean of ").split(", ")
    ranked = sorted(recipes, key=lambda name: float(rows[name]["validation"]))
    assert members == ranked[:2]
    run = Path("board/ensemble/seed-0")
    paths = (run, *(Path("board") / name / "seed-0" for name in members))
    ensemble, *models = (zoo.load(path, kind=Forecaster) for path in paths)
    history = np.random.default_rng(0).normal(50, 10, 400)
    expected = np.mean([model.forecast(history, 1).numpy() for model in models], axis=0)
    assert ensemble.forecast(history, 1).numpy() == pytest.approx(expected, rel=1e-5)
    results = read_results(run)
    assert float(rows["ensemble"]["test"]) == results["test"]["mae"]
    code, out, error = zoo_command("test", run, "--figures=false")
    assert (code, error) == (0, "")
    assert f"mae {results['test']['mae']:.5g}" in out
    assert zoo_command("forecast", run, "--horizon=3")[0] == 0
    assert zoo_command("publish", run, "--to=published")[0] == 0
    assert zoo.load("published/ensemble", kind=Forecaster).forecast(history, 1).numpy() == pytest.approx(
        expected, rel=1e-5
    )
    code, _, error = zoo_command("backtest", run, "--folds=2", "--quiet")
    assert code == 2
    assert "ForecastEnsemble is made of trained models and cannot be trained itself" in error


@pytest.mark.usefixtures("few")
def test_winner_may_be_an_ensemble_that_knows_everything(zoo_command: Zoo, sales: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(  # whatever it reached
        Leaderboard, "ranked", property(lambda self: sorted(self.entries, key=lambda one: one.name != "ensemble"))
    )
    code, out, error = zoo_command(
        "auto", "series", *BRIEF_SERIES, "--data.transform=none", "--ensemble=2", "--out=board"
    )
    assert (code, error) == (0, "")
    config = read_yaml(Path("board/winner/config.yaml"))
    assert config["data"]["init_args"]["fit_on"] == "all"
    assert {one["model"] for one in config["model"]["init_args"]["members"]} == {
        "zoo.series.SeasonalNaive",
        "zoo.series.ExponentialSmoothing",
    }
    use = out.splitlines()[-1].partition("zoo ")[2]
    assert use == "forecast board/winner --horizon 6 --calibrate board/ensemble/seed-0"
    assert zoo_command(*use.split())[0] == 0


def test_auto_takes_sentences_or_running_text(zoo_command: Zoo) -> None:
    rows = [f"this film is {'good' if row % 2 else 'bad'} number {row},{row % 2}" for row in range(60)]
    Path("texts.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    Path("song.txt").write_text("".join(f"{number} bottles of beer on the wall\n" for number in range(600)))
    code, out, error = zoo_command("auto", "text", "--data.path", "texts.csv", *BRIEF)
    assert (code, error) == (0, "")
    assert "sentiment_csv" in out
    assert "majority class" in out
    code, out, error = zoo_command("auto", "text", "--data.path=song.txt", "--trainer.limit_train_batches=2", *BRIEF)
    assert (code, error) == (0, "")
    assert "char_rnn_text" in out
    assert "unigrams" in out
    assert "use it    zoo generate runs/auto/" in out


def test_budget_stops_a_training_and_says_so(zoo_command: Zoo) -> None:
    Path("song.txt").write_text("".join(f"{number} bottles of beer on the wall\n" for number in range(6000)))
    code, _, error = zoo_command("auto", "text", "--data.path=song.txt", "--budget=8s", "--out=board")
    assert code == 0, error
    (row, _) = leaderboard(Path("board"))
    assert row["note"] == "stopped by the budget"
    assert read_results(Path(row["run"]))["fit"]["out_of_time"]
    code, _, error = zoo_command("auto", "text", "--data.path=song.txt", "--budget=1s")
    assert code == 2
    assert "the budget did not suffice for a single training; give more with --budget" in error


@pytest.mark.parametrize("name", registry.list_recipes())
def test_own_recipes_are_those_that_need_data_and_are_called_alike(name: str) -> None:
    # Of its own, for what inherits it, such as the things among folders, knows where its data is.
    needs = vars(names.find(registry.recipe(name).config["data"]["class_path"])).get("needs")
    called = {
        "pictures": "_folder", "series": "_csv", "table": "_table", "text": "_text", "sentences": "sentiment_csv",
        None: "",
    }  # fmt: skip
    assert (name in own_recipes()) == (needs is not None)
    assert name.endswith(called[needs])


def test_own_recipes_are_listed(zoo_command: Zoo) -> None:
    listed = json.loads(zoo_command("list", "--own", "--json")[1])
    assert {row["name"] for row in listed} == own_recipes()


def _photos(folder: Path) -> None:
    """Twenty pictures of each of three colours."""
    from PIL import Image

    random = np.random.default_rng(0)
    for kind, base in (("red", (200, 40, 40)), ("blue", (40, 40, 200)), ("green", (40, 160, 40))):
        (folder / kind).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(np.array(base) + random.normal(0, 30, (64, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{number}.png")


@pytest.mark.slow
def test_auto_on_photos(zoo_command: Zoo, tmp_path: Path) -> None:
    _photos(tmp_path / "photos")
    code, out, error = zoo_command("auto", "vision", "--data.root=photos", "--budget=30m", "--out=board")
    assert (code, error) == (0, "")
    rows = leaderboard(Path("board"))
    recipes = list(FAMILIES["vision"][0].recipes)
    assert {row["model"] for row in rows} == {*recipes, "ensemble", "majority class"}
    assert float(rows[0]["test"]) > 0.9
    pictures = sorted(Path("photos").glob("*/?.png"))
    together = zoo.load("board/ensemble/seed-0", kind=ImageEnsemble)
    (mixed,) = [row["note"] for row in rows if row["model"] == "ensemble"]
    names = mixed.removeprefix("mean of ").split(", ")
    members = [zoo.load(f"board/{name}/seed-0", kind=LinearProbe) for name in names]
    mean = sum(member.probabilities(pictures) for member in members) / len(members)
    # Pictures are brought to the size of the data first, then to that of each member.
    assert (together.probabilities(pictures) - mean).abs().max() < 0.1
    assert "run       board/winner, trained on training and validation data: test accuracy " in out
    assert "val" not in read_results(Path("board/winner"))["data"]
    use = out.splitlines()[-1].partition("zoo ")[2]
    code, out, error = zoo_command(*use.replace("photo.jpg", "photos/red/0.png").split(), "--top", "1")
    assert code == 0, error
    assert "red" in out
    assert not math.isnan(float(rows[0]["validation"]))


@pytest.mark.parametrize("name", ["photos", "photos/"])
def test_folder_of_pictures_is_fit_by_itself(
    name: str, zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _photos(tmp_path / "photos")
    asked: list[list[str]] = []
    monkeypatch.setattr(train, "auto", asked.append)
    code, out, _ = zoo_command("fit", name, "--budget", "90s")
    assert code == 0
    assert asked == [["vision", f"--data.root={name}", "--budget", "90s"]]
    assert f"{name} is a folder of pictures; the same as: zoo auto vision --data.root={name} --budget 90s" in out


@pytest.mark.parametrize("made", ["", "empty", "photos/a.png"])
def test_folder_without_classes_of_pictures_is_refused(made: str, zoo_command: Zoo, tmp_path: Path) -> None:
    (tmp_path / "photos" / "empty").mkdir(parents=True)
    if made.endswith("png"):
        (tmp_path / made).touch()
    code, _, error = zoo_command("fit", "photos")
    assert code == 2
    assert (
        error == "zoo: photos is no run folder: it holds no config.yaml, nor of pictures: no folder in it holds any\n"
    )


def test_recipes_and_runs_go_before_folders_of_pictures(zoo_command: Zoo, tmp_path: Path) -> None:
    _photos(tmp_path / "dense_iris")
    code, out, error = zoo_command("fit", "dense_iris", "--trainer.max_epochs", "1")
    assert (code, error) == (0, "")
    assert "folder of pictures" not in out
