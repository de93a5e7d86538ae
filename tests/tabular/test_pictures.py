"""What a run on a table draws, and that it draws what others compute."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import sklearn.datasets
import torch
from sklearn.inspection import permutation_importance as theirs_of
from sklearn.metrics import silhouette_score
from torchmetrics.functional.classification import multiclass_calibration_error

import zoo
from zoo.drawing import draw_reliability
from zoo.tabular.importance import permutation_importance


@pytest.fixture(scope="module")
def wine() -> pandas.DataFrame:
    frame = sklearn.datasets.load_wine(as_frame=True).frame
    frame["target"] = frame["target"].map(lambda number: "abc"[number])
    frame["soil"] = np.where(frame["proline"] > 700, "chalk", np.where(frame["ash"] > 2.3, "clay", "sand"))
    return frame


@pytest.mark.parametrize(
    ("recipe", "drawn"),
    [
        ("logistic_table", {"calibration", "confusion_matrix", "importance"}),
        ("dense_regression_table", {"importance", "predictions"}),
        ("kmeans_table", {"clusters", "silhouettes"}),
    ],
)
def test_pictures_of_a_table(
    wine: pandas.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, drawn: set[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: dict[str, dict[str, Any]] = {
        "logistic_table": {"target": "target"},
        "dense_regression_table": {"target": "alcohol"},
        "kmeans_table": {"leave_out": ["target"]},
    }
    run = zoo.fit(recipe, data={"path": wine, **asked[recipe]}, trainer={"max_epochs": 2}, quiet=True)
    run.test()
    found = {path.stem.removeprefix("test_") for path in run.folder.glob("figures/test_*.png")}
    assert found == drawn


def test_importance_is_that_of_scikit_learn(wine: pandas.DataFrame, tmp_path: Path) -> None:
    run = zoo.fit(
        "linear_table", data={"path": wine.drop(columns=["target", "soil"]), "target": "alcohol"}, quiet=True,
        figures=False, trainer={"default_root_dir": str(tmp_path)},
    )  # fmt: skip
    model: Any = run.load()
    rows, truth = wine[model.feature_names()].to_numpy(), wine["alcohol"].to_numpy()

    def score(inputs: torch.Tensor) -> float:
        return -float((model.predict(inputs) - torch.from_numpy(truth)).square().mean())

    class Asked:
        def fit(self) -> None: ...

        def score(self, inputs: np.ndarray, labels: np.ndarray) -> float:
            return score(torch.from_numpy(inputs))

    ours = permutation_importance(score, torch.from_numpy(rows), {name: [at] for at, name in enumerate("abcdefghijkl")})
    theirs = theirs_of(Asked(), rows, truth, n_repeats=20, random_state=0)
    np.testing.assert_allclose(ours.drops.mean(1), theirs.importances_mean, atol=0.02, rtol=0.3)


def test_a_column_of_categories_is_dealt_as_a_whole() -> None:
    rows = torch.eye(3, dtype=torch.float64).repeat(40, 1)
    rows = torch.cat([rows, torch.arange(120.0, dtype=torch.float64)[:, None]], 1)

    def score(dealt: torch.Tensor) -> float:
        assert (dealt[:, :3].sum(1) == 1).all()
        return float((dealt[:, :3].argmax(1) == rows[:, :3].argmax(1)).double().mean())

    found = permutation_importance(score, rows, {"city": [0, 1, 2], "number": [3]})
    assert found.names == ["city", "number"]
    assert (found.drops[0] > 0.5).all()
    assert (found.drops[1] == 0).all()


def test_calibration_error_is_that_of_torchmetrics() -> None:
    generator = torch.Generator().manual_seed(1)
    chances = (3 * torch.randn(500, 4, generator=generator)).softmax(1)
    labels = torch.randint(4, (500,), generator=generator)
    figure = draw_reliability(chances.amax(1), chances.argmax(1) == labels)
    expected = multiclass_calibration_error(chances, labels, 4, n_bins=10)
    assert figure.axes[0].get_title() == f"expected calibration error {expected:.3f} over 500 rows"


def test_silhouette_is_that_of_the_model(wine: pandas.DataFrame, tmp_path: Path) -> None:
    data: dict[str, Any] = {"path": wine, "leave_out": ["target", "soil"], "whole": True}
    run = zoo.fit("kmeans_table", data=data, quiet=True, trainer={"default_root_dir": str(tmp_path)}, figures=False)
    model: Any = run.load()
    rows = torch.from_numpy(wine[model.feature_names()].to_numpy())
    clusters = model.cluster(rows)
    (figure,) = (
        one for name, one in model.figures({"rows": rows, "clusters": clusters}, range(0)).items() if name[0] == "s"
    )
    expected = silhouette_score(model.seen(rows, torch.float64).numpy(), clusters.numpy())
    assert figure.axes[0].get_title() == f"mean silhouette {expected:.3f} over 178 rows"
