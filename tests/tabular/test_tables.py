"""Models of tables beside scikit-learn and statsmodels, from the file to what they say of new rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import sklearn.datasets
import sklearn.decomposition
import sklearn.linear_model
import torch
from sklearn.preprocessing import StandardScaler
from statsmodels.discrete.discrete_model import Logit
from statsmodels.regression.linear_model import OLS, WLS
from statsmodels.tools import add_constant

import zoo
from datamodules import Table
from datamodules.errors import DataError

QUIET: dict[str, Any] = {"quiet": True, "figures": False}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def frame_of(name: str) -> pandas.DataFrame:
    return getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame


def fit(recipe: str, data: Any, **options: Any) -> tuple[Any, Any]:
    run = zoo.fit(recipe, data=data, **{**QUIET, **options})
    return run, run.load()


def everything(frame: pandas.DataFrame, **settings: Any) -> dict[str, Any]:
    return {"path": frame, "whole": True, **settings}


def test_least_squares_are_those_of_statsmodels() -> None:
    frame = frame_of("diabetes")
    _, model = fit("linear_table", everything(frame))
    theirs = OLS(frame["target"], add_constant(frame.drop(columns="target"))).fit()
    ours = model.tables()["coefficients"]
    assert ours["feature"] == [*frame.columns[:-1], "(bias)"]
    order = [*frame.columns[:-1], "const"]
    np.testing.assert_allclose(ours["coefficient"], theirs.params[order], rtol=1e-8)
    np.testing.assert_allclose(ours["standard_error"], theirs.bse[order], rtol=1e-8)
    np.testing.assert_allclose(model.predict(frame), theirs.fittedvalues, rtol=1e-9)


def test_weights_count_rows_as_statsmodels_does() -> None:
    frame = frame_of("diabetes")
    frame["weight"] = np.arange(len(frame)) % 3 + 0.5
    _, model = fit("linear_table", everything(frame, weights="weight"))
    rows = add_constant(frame.drop(columns=["target", "weight"]))
    theirs = WLS(frame["target"], rows, frame["weight"]).fit()
    assert "weight" not in model.feature_names()
    np.testing.assert_allclose(model.weight, theirs.params[1:], rtol=1e-8)
    np.testing.assert_allclose(model.standard_errors[:-1], theirs.bse[1:], rtol=1e-8)


def test_categories_are_compared_with_the_first_and_what_others_tell_has_no_error() -> None:
    random = np.random.default_rng(0)
    frame = pandas.DataFrame({"x": random.normal(size=90), "city": ["Rome", "Bonn", "Oslo"] * 30})
    frame["twice"], frame["same"] = 2 * frame["x"], 3.0
    frame["target"] = frame["x"] + (frame["city"] == "Rome") * 5 + random.normal(size=90) / 10
    _, model = fit("linear_table", everything(frame))
    found = {name: cells for name, *cells in zip(*model.tables()["coefficients"].values(), strict=True)}
    assert found["city=Bonn"][:2] == [0, None]
    assert found["city=Rome"][0] == pytest.approx(5, abs=0.1)
    assert found["city=Rome"][1] == pytest.approx(0.0257, abs=0.003)
    assert [found[name][1] for name in ("x", "twice", "same")] == [None] * 3
    assert model.predict(frame).isfinite().all()


@pytest.mark.parametrize("alpha", [1.0, 50.0])
def test_ridge_is_that_of_scikit_learn(alpha: float) -> None:
    frame = frame_of("diabetes")
    _, model = fit("linear_table", everything(frame), model={"penalty": alpha})
    features = frame.drop(columns="target")
    # The zoo divides by N - 1.
    rows = (features - features.mean()) / features.std()
    theirs = sklearn.linear_model.Ridge(alpha).fit(rows, frame["target"])
    np.testing.assert_allclose(model.coefficients, theirs.coef_, rtol=1e-8)


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "digits"])
def test_logistic_regression_is_that_of_scikit_learn(name: str) -> None:
    frame = frame_of(name)
    run, model = fit("logistic_table", everything(frame, predicts="classes"))
    features = frame.drop(columns="target")
    rows = (features - features.mean()) / features.std().replace(0, 1)
    theirs = sklearn.linear_model.LogisticRegression(tol=1e-10, max_iter=10_000).fit(rows, frame["target"])
    assert run.results["fit"]["epochs"] < 20
    np.testing.assert_allclose(model.coefficients[:, :-1], theirs.coef_, atol=2e-5)
    np.testing.assert_allclose(model.probabilities(features), theirs.predict_proba(rows), atol=1e-5)


def test_standard_errors_of_logits_are_those_of_statsmodels() -> None:
    frame = frame_of("breast_cancer")[["mean radius", "mean texture", "target"]]
    _, model = fit("logistic_table", everything(frame, predicts="classes"), model={"penalty": 0.0})
    theirs = Logit(frame["target"], add_constant(frame.drop(columns="target"))).fit(disp=False)
    found = model.tables()["coefficients"]
    np.testing.assert_allclose(found["coefficient"], theirs.params[["mean radius", "mean texture", "const"]], rtol=1e-5)
    np.testing.assert_allclose(found["standard_error"], theirs.bse[["mean radius", "mean texture", "const"]], rtol=1e-4)


def test_components_are_those_of_standardised_columns() -> None:
    frame = frame_of("wine").drop(columns="target")
    _, model = fit("pca_table", frame)
    theirs = sklearn.decomposition.PCA(2).fit(StandardScaler().fit_transform(frame))
    np.testing.assert_allclose(model.explained_variance_ratio, theirs.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(model.components.abs(), np.abs(theirs.components_), atol=1e-9)
    assert model.inverse_transform(model.transform(frame)).shape == frame.shape
    assert model.inverse_transform(model.transform(frame)).mean(0).tolist() == pytest.approx(frame.mean().tolist())


def test_clusters_of_standardised_columns_find_the_wines() -> None:
    frame = frame_of("wine")
    run, model = fit("kmeans_table", {"path": frame, "target": "target", "predicts": "classes"})
    assert run.results["validate"]["adjusted_rand"] > 0.85
    means = torch.tensor([frame["proline"][model.cluster(frame).numpy() == number].mean() for number in range(3)])
    named = dict(
        zip(model.feature_names(), zip(*list(model.tables()["centroids"].values())[1:], strict=True), strict=True)
    )
    assert list(named["proline"]) == pytest.approx(means.tolist(), rel=1e-3)


def test_large_offsets_cost_no_digits() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat([0, 100, 200], 50)
    frame = pandas.DataFrame({"seconds": 1.7e9 + groups + random.normal(0, 5, 150)})
    _, model = fit("kmeans_table", frame)
    for group in range(3):
        assert len(set(model.cluster(frame)[groups == 100 * group].tolist())) == 1


@pytest.mark.parametrize(
    ("recipe", "name", "least"),
    [("dense_table", "wine", 0.95), ("backprop_table", "wine", 0.95), ("dense_regression_table", "diabetes", 0.3)],
)
def test_network_learns_a_table(recipe: str, name: str, least: float) -> None:
    run, model = fit(recipe, frame_of(name), test=True)
    assert run.results["test"]["accuracy" if name == "wine" else "r2"] > least
    assert zoo.load(run.folder).feature_names() == model.feature_names()


def test_intervals_hold_what_they_promise() -> None:
    random = np.random.default_rng(0)
    frame = pandas.DataFrame({"x": random.normal(size=3000)})
    frame["target"] = 2 * frame["x"] + random.standard_t(3, size=3000)
    _, model = fit("linear_table", frame)
    new = pandas.DataFrame({"x": random.normal(size=5000)})
    truth = torch.tensor((2 * new["x"] + random.standard_t(3, size=5000)).tolist())
    for level in (80, 95):
        _, low, high = model.intervals(new, level)
        assert ((low <= truth) & (truth <= high)).float().mean() == pytest.approx(level / 100, abs=0.02)


@pytest.mark.parametrize(("recipe", "name"), [("linear_table", "diabetes"), ("logistic_table", "wine")])
def test_what_validation_does_not_choose_learns_from_its_rows_too(recipe: str, name: str) -> None:
    frame_of(name).to_csv("t.csv", index=False)
    said: dict[str, Any] = {"path": "t.csv", "target": "target", "predicts": "classes" if name == "wine" else "number"}
    run, model = fit(recipe, {**said, "fit_on": "known"}, test=True)
    table = Table(**said)
    known = torch.cat([table.splits[split][0] for split in ("train", "val")])
    torch.testing.assert_close(model.scaling.mean, known.mean(0))
    assert "validate" not in run.results
    inputs, targets = table.splits["test"]
    if name == "wine":
        assert run.results["test"]["accuracy"] == (model.probabilities(inputs).argmax(1) == targets).float().mean()
        return
    # Intervals are by the errors on the test rows, which are all that the model has not learnt from.
    errors = (model.predict(inputs) - targets.squeeze(1)).abs()
    torch.testing.assert_close(model.residuals, errors.float().sort().values)
    assert run.results["test"]["mse"] == pytest.approx(float(errors.square().mean()))


def test_network_on_known_rows_learns_as_long_as_another_run_says() -> None:
    frame = frame_of("wine")
    first, _ = fit("dense_table", frame, trainer={"max_epochs": 4})
    data = {"path": frame, "target": "target", "predicts": "classes", "fit_on": "known"}
    run, _ = fit("dense_table", data, epochs_of=first.folder, test=True)
    assert run.results["fit"]["epochs"] == first.results["fit"]["best_epoch"]
    assert run.results["test"]["accuracy"] > 0.8
    with pytest.raises(zoo.ZooError, match="say how long with --epochs_of RUN"):
        fit("dense_table", data)


def test_weighted_rows_count_more_for_a_network() -> None:
    frame = pandas.DataFrame({"x": np.zeros(300), "target": [0.0, 1.0, 1.0] * 100, "weight": [1.0, 0.0, 0.0] * 100})
    settings: dict[str, Any] = {"trainer": {"max_epochs": 30}}
    _, model = fit("dense_regression_table", everything(frame, weights="weight"), **settings)
    assert float(model.predict(frame)[0]) == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize("recipe", ["pca_table", "kmeans_table", "backprop_table"])
def test_what_takes_no_weights_says_so(recipe: str) -> None:
    frame = pandas.DataFrame({"x": np.arange(60.0), "y": np.arange(60.0) % 7, "weight": 1.0})
    frame["target"] = np.where(frame["y"] > 3, "high", "low")
    data = {"path": frame, "weights": "weight"} | ({} if recipe == "backprop_table" else {"leave_out": "target"})
    with pytest.raises(zoo.ZooError, match=r"takes every row for one; leave out --data\.weights"):
        fit(recipe, data)


def test_strings_of_a_frame_are_taken_by_name_and_faults_are_told() -> None:
    frame = pandas.DataFrame({"x": np.arange(90.0), "city": ["Rome", "Bonn", "Oslo"] * 30})
    frame["target"] = np.where(frame["city"] == "Rome", "south", "north")
    _, model = fit("logistic_table", frame)
    assert model.classify(frame[["city", "x"]][:3]) == ["south", "north", "north"]
    assert model.classify({"city": ["Rome"], "x": [3]}) == ["south"]
    with pytest.raises(DataError, match="the table has no column 'city'; there are x"):
        model.classify(frame[["x"]])
    with pytest.raises(DataError, match="line 1: 'many' in column 'x' is not a number"):
        model.classify({"city": ["Rome"], "x": ["many"]})
