"""``zoo predict`` and its kin: rows of a file in, what a model of a table says of them out."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
import sklearn.datasets
from conftest import Zoo

import zoo
from zoo.registry import read_results, read_yaml


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of table recipes on wines, whose columns have titles with spaces and whose target is a text."""
    folder = tmp_path_factory.mktemp("tables")
    frame = sklearn.datasets.load_wine(as_frame=True).frame
    frame.columns = [name.replace("_", " ") for name in frame.columns]
    frame["grape"] = np.array(["Barolo", "Grignolino", "Barbera"])[frame.pop("target")]
    frame.to_csv(folder / "wine.csv", index=False)
    for recipe, data in {
        "logistic_table": {"target": "grape"},
        "linear_table": {"target": "alcohol", "leave_out": "grape"},
        "pca_table": {"leave_out": "grape"},
        "kmeans_table": {"leave_out": "grape"},
    }.items():
        settings = {"path": str(folder / "wine.csv"), **data}
        run = zoo.fit(recipe, data=settings, trainer={"default_root_dir": str(folder)}, quiet=True, figures=False)
        run.folder.rename(folder / recipe.partition("_")[0])
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_classes_come_with_their_probabilities(runs: Path, zoo_command: Zoo, tmp_path: Path) -> None:
    frame = pandas.read_csv(runs / "wine.csv")
    frame.insert(0, "bottle", [f"no. {number}" for number in range(len(frame))])
    frame[frame.columns[::-1]].drop(columns="grape").to_csv(tmp_path / "rows.csv", index=False)
    code, out, error = zoo_command("predict", runs / "logistic", tmp_path / "rows.csv", "--csv", "out.csv")
    assert (code, error) == (
        0,
        f"zoo: {tmp_path / 'rows.csv'} has bottle beside the columns that the model knows; left alone\n",
    )
    assert "... and 168 more rows; --csv OUT writes all" in out
    found = table(Path("out.csv"))
    assert list(found[0])[:3] == ["line", "bottle", "grape"]
    assert (found[0]["line"], found[0]["bottle"], len(found)) == ("2", "no. 0", 178)
    assert np.mean([row["grape"] == grape for row, grape in zip(found, frame["grape"], strict=True)]) > 0.97
    assert sum(float(found[0][f"probability of {name}"]) for name in set(frame["grape"])) == pytest.approx(1, abs=1e-5)


def test_numbers_come_with_intervals_beside_the_truth(runs: Path, zoo_command: Zoo) -> None:
    rows = runs / "wine.csv"
    assert zoo_command("predict", runs / "linear", rows, "--csv", "out.csv", "--level", "80")[0] == 0
    found = table(Path("out.csv"))
    assert {"alcohol", "alcohol in wine.csv", "lower_80", "upper_80"} <= set(found[0])
    held = [float(row["lower_80"]) <= float(row["alcohol in wine.csv"]) <= float(row["upper_80"]) for row in found]
    assert 0.7 < np.mean(held) < 0.95


@pytest.mark.parametrize(
    ("run", "columns"), [("pca", ["component_1", "component_2"]), ("kmeans", ["cluster", "distance"])]
)
def test_components_and_clusters(run: str, columns: list[str], runs: Path, zoo_command: Zoo) -> None:
    assert zoo_command("predict", runs / run, runs / "wine.csv", "--csv", "out.csv")[0] == 0
    assert list(table(Path("out.csv"))[0]) == ["line", "grape", *columns]


def test_embedding_and_elbow_take_a_file(runs: Path, zoo_command: Zoo) -> None:
    for run in ("pca", "kmeans"):
        assert zoo_command("embed", runs / run, runs / "wine.csv", "--csv", "out.csv", "--plot", f"{run}.png")[0] == 0
        assert len(table(Path("out.csv"))) == 178
        assert Path(f"{run}.png").stat().st_size > 5_000
    path = f"--data.path={runs / 'wine.csv'}"
    code, out, error = zoo_command("elbow", "kmeans_table", path, "--data.leave_out=grape", "--k", "1..5", "--quiet")
    assert (code, "knee      3" in out) == (0, True), error


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frame: frame.drop(columns="hue"), "no column 'hue'"),
        (
            lambda frame: frame.assign(hue="red"),
            "lines 2, 3, 4, 5, 6 and 173 more: 'red' in column 'hue' is not a number",
        ),
        (lambda frame: frame.assign(hue=[None, *frame["hue"][1:]]), "line 2: nothing in column 'hue'; fill it in"),
        (lambda frame: frame[:0], "has no rows below its first line"),
    ],
)
def test_faults_of_rows_are_one_line(
    change: Callable[[pandas.DataFrame], pandas.DataFrame], says: str, runs: Path, zoo_command: Zoo
) -> None:
    change(pandas.read_csv(runs / "wine.csv")).to_csv("rows.csv", index=False)
    code, _, error = zoo_command("predict", runs / "logistic", "rows.csv")
    assert code == 2
    assert says in error
    assert error.count("\n") == 1


def test_what_knows_no_columns_is_told(runs: Path, zoo_command: Zoo) -> None:
    code, _, error = zoo_command("predict", "dense_iris", runs / "wine.csv")
    assert (code, "'dense_iris' knows no columns: Dense was not trained on a table of your own" in error) == (2, True)
    code, _, error = zoo_command("predict", runs / "pca", runs / "wine.csv", "--level", "90")
    assert (code, "--level is for models that predict a number, and this is a PCA" in error) == (2, True)
    code, _, error = zoo_command("predict", runs / "linear", runs / "wine.csv", "--level", "99")
    assert (code, "99 % intervals need 99 rows that were held out, and there were 27" in error) == (2, True)


def test_auto_finds_out_what_is_predicted_and_sets_boosting_beside(runs: Path, zoo_command: Zoo) -> None:
    path = f"--data.path={runs / 'wine.csv'}"
    code, out, error = zoo_command(
        "auto", "tabular", path, "--data.target=grape", "--trainer.max_epochs=3", "--out=board"
    )
    assert code == 0, error
    rows = {row["model"]: row for row in table(Path("board/leaderboard.csv"))}
    assert set(rows) == {
        "logistic_table",
        "dense_table",
        "scikit-learn's HistGradientBoostingClassifier",
        "majority class",
    }
    assert rows["scikit-learn's HistGradientBoostingClassifier"]["note"] == "only to compare with"
    assert "use it    zoo predict board/winner" in out
    assert read_yaml(Path("board/winner/config.yaml"))["data"]["init_args"]["fit_on"] == "known"
    accuracy = read_results(Path("board/winner"))["test"]["accuracy"]
    assert f"run       board/winner, trained on training and validation data: test accuracy {accuracy:.5g}\n" in out
    code, _, error = zoo_command("auto", "tabular", path)
    assert (code, "needs to know which column to predict: --data.target" in error) == (2, True)
