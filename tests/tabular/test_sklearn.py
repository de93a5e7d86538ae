"""The estimators in scikit-learn's manner, by its own list of what an estimator has to be."""

import inspect
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from zoo.tabular import sklearn as estimators

QUICK: list[Any] = [
    estimators.LinearRegression(),
    estimators.LogisticRegression(),
    estimators.PCA(),
    estimators.KMeans(n_clusters=3, n_init=2, random_state=0),
    estimators.DenseClassifier(random_state=0),
    estimators.DenseRegressor(random_state=0),
]


# By estimator: the checks that it does not pass, and why.
EXPECTED_FAILURES = {
    name: {
        "check_sample_weight_equivalence_on_dense_data": "batches are cut by the number of rows, and rows that stand "
        "twice are in other batches than one of weight two"
    }
    for name in ("DenseClassifier", "DenseRegressor")
}


def test_all_estimators_are_checked() -> None:
    public = {
        name for name, one in vars(estimators).items() if inspect.isclass(one) and one.__module__ == estimators.__name__
    }
    assert {type(one).__name__ for one in QUICK} == {name for name in public if not name.startswith("_")}


@parametrize_with_checks(QUICK, expected_failed_checks=lambda one: EXPECTED_FAILURES.get(type(one).__name__, {}))
def test_estimator_is_one_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_estimators_fit_into_pipelines_and_searches() -> None:
    rows, kinds = sklearn.datasets.load_wine(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), estimators.PCA(3), estimators.LogisticRegression())
    found = GridSearchCV(pipeline, {"pca__n_components": [1, 3], "logisticregression__penalty": [1.0]}, cv=3).fit(
        rows, kinds
    )
    assert found.best_params_["pca__n_components"] == 3
    assert found.best_score_ > 0.9
    assert list(pipeline[:2].fit(rows).get_feature_names_out()) == ["pca0", "pca1", "pca2"]


def test_names_of_classes_come_back() -> None:
    rows = np.arange(40.0)[:, None]
    kinds = np.where(rows[:, 0] > 20, "large", "small")
    model = estimators.LogisticRegression().fit(rows, kinds)
    assert model.predict([[39.0], [1.0]]).tolist() == ["large", "small"]
    assert model.classes_.tolist() == ["large", "small"]


@pytest.mark.parametrize("seed", [0, 1])
def test_random_state_decides_and_nothing_else_is_moved(seed: int) -> None:
    import torch

    rows = np.random.default_rng(0).normal(size=(60, 3))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (estimators.KMeans(4, n_init=1, random_state=seed).fit(rows) for _ in range(2))
    assert (first.labels_ == second.labels_).all()
    assert torch.equal(before, torch.get_rng_state())
