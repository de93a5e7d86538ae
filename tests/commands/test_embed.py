"""``zoo embed``: components and clusters drawn in a plane, written beside it, and what cannot be drawn."""

import csv
from pathlib import Path

import numpy as np
import pytest
import sklearn.decomposition
import torch
from conftest import Zoo

import zoo
from datamodules import Iris
from zoo import weights
from zoo.tabular.pca import PCA


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_components_are_drawn_and_written(zoo_command: Zoo, tmp_path: Path) -> None:
    code, out, _ = zoo_command("embed", "pca_iris", "--plot", "plane.png", "--csv", "plane.csv")
    assert code == 0
    assert "picture   plane.png" in out
    assert (tmp_path / "plane.png").stat().st_size > 10_000
    rows = read_table(tmp_path / "plane.csv")
    flowers, species = Iris(whole=True).splits["test"]
    theirs = sklearn.decomposition.PCA(2).fit_transform(flowers.numpy())
    ours = np.array([[float(row["component_1"]), float(row["component_2"])] for row in rows])
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-4)
    assert [row["class"] for row in rows] == [Iris.classes[number] for number in species.tolist()]


def test_clusters_are_drawn_and_written(zoo_command: Zoo, tmp_path: Path) -> None:
    assert zoo_command("embed", "kmeans_iris", "--plot", "plane.png", "--csv", "plane.csv", "--split", "train")[0] == 0
    clusters = zoo.load("kmeans_iris").cluster(Iris(whole=True).splits["train"][0])
    assert [int(row["cluster"]) for row in read_table(tmp_path / "plane.csv")] == clusters.tolist()
    assert (tmp_path / "plane.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cnn_digits", "--plot", "p.png"], "'cnn_digits' has no plane to draw in: CNN is neither PCA nor k-means"),
        (["pca_irs", "--plot", "p.png"], "did you mean 'pca_iris'?"),
        (["pca_iris", "--plot", "p.pdf"], "expected a name that ends in .png"),
        (["pca_iris", "--plot", "gone/p.png"], "no folder gone"),
        (["pca_iris", "--plot", "p.png", "--split", "all"], "invalid choice: 'all'"),
        (["pca_iris", "--plot", "p.png", "--root", "data"], "Iris takes no 'root'; leave out --root"),
        (["runs/pca_iris/gone", "--plot", "p.png"], "no model at runs/pca_iris/gone"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(
    zoo_command: Zoo, tmp_path: Path, arguments: list[str], told: str
) -> None:
    code, _, err = zoo_command("embed", *arguments)
    assert code == 2
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(("fitted", "told"), [(True, "one component, and"), (False, "learnt nothing")])
def test_a_plane_takes_two_components(
    zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fitted: bool, told: str
) -> None:
    model = PCA(4, 1)
    if fitted:
        model.components[0, 0] = 1.0
    with monkeypatch.context() as patch:
        patch.setattr(PCA, "is_fitted", True)  # or it would not be saved
        weights.save(model, tmp_path / "some_pca", {"recipe": "some_pca"}, {"input": torch.zeros(1, 4)})
    code, _, err = zoo_command("embed", tmp_path / "some_pca", "--plot", "p.png")
    assert (code, told in err) == (2, True)
