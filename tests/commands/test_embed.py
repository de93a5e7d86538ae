"""``zoo embed``: components and clusters drawn in a plane, written beside it, and what cannot be drawn."""

import csv
from pathlib import Path

import numpy as np
import pytest
import sklearn.decomposition
import sklearn.neighbors
import torch
from conftest import Zoo

import zoo
from datamodules import Iris
from zoo import weights
from zoo.commands import tsne
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


def test_tsne_keeps_neighbours_together_and_is_seeded(zoo_command: Zoo) -> None:
    for out in ("a", "b"):
        asked = ["--method", "tsne", "--plot", f"{out}.png", "--csv", f"{out}.csv"]
        assert zoo_command("embed", "pca_iris", *asked)[0] == 0
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    assert Path("a.png").stat().st_size > 10_000
    rows = read_table(Path("a.csv"))
    plane = np.array([[float(row["tsne_1"]), float(row["tsne_2"])] for row in rows])
    found = sklearn.neighbors.KNeighborsClassifier(5).fit(plane, [row["class"] for row in rows])
    assert np.mean(found.predict(plane) == [row["class"] for row in rows]) > 0.9


@pytest.mark.parametrize("name", ["cnn_digits", "dense_iris", "kmeans_iris"])
def test_tsne_of_what_a_model_sees(zoo_command: Zoo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsne, "MOST_ROWS", 60)
    code, _, error = zoo_command("embed", name, "--method=tsne", "--csv=out.csv", "--split=train", "--seed=1")
    assert (code, "t-SNE arranges 60 of " in error) == (0, True)
    rows = read_table(Path("out.csv"))
    assert len({(row["tsne_1"], row["tsne_2"]) for row in rows}) > 50
    assert ("cluster" in rows[0]) == (name == "kmeans_iris")
    assert int(rows[-1]["row"]) > 60  # spread over all


def test_tsne_of_words_puts_good_ones_near_good_ones(zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsne, "MOST_ROWS", 600)
    code, _, error = zoo_command("embed", "sentiment_average_reviews", "--method=tsne", "--csv=out.csv")
    assert (code, error) == (0, "")
    at = {row["token"]: np.array([float(row["tsne_1"]), float(row["tsne_2"])]) for row in read_table(Path("out.csv"))}
    assert np.linalg.norm(at["best"] - at["love"]) < np.linalg.norm(at["best"] - at["too"])


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (torch.zeros(20, 3), "all 20 rows are the same"),
        (torch.rand(5, 3), "t-SNE was given 5 rows of 3 features; expected 10 rows of 2 at least"),
        (torch.rand(20, 1), "t-SNE was given 20 rows of 1 features"),
    ],
)
def test_what_tsne_cannot_arrange_is_told(points: torch.Tensor, told: str) -> None:
    with pytest.raises(zoo.ZooError, match=told):
        tsne.arrange(points)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["lstm_co2", "--method", "tsne"],
            "'lstm_co2' has nothing for t-SNE to arrange: Recurrent has neither rows of a",
        ),
        (["pca_iris", "--perplexity", "5"], "--perplexity is for --method tsne; name that, or leave --perplexity out"),
        (["pca_iris", "--method", "tsne", "--perplexity", "500"], "less than the 150 rows"),
        (["pca_iris", "--method", "umap"], "invalid choice: 'umap'"),
        (["sentiment_average_reviews", "--method", "tsne", "--split", "val"], "has words, whose embedding t-SNE draws"),
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
