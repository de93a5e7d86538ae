"""PCA and k-means, against scikit-learn, which is the reference of the field."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import sklearn.cluster
import sklearn.decomposition
import torch
import torch.distributed as dist
from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from sklearn.metrics import adjusted_rand_score
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

import datamodules
from datamodules.memory import EpochBatches, Rows, load_batches
from zoo.errors import ZooError
from zoo.tabular.kmeans import KMeans, adjusted_rand, smallest
from zoo.tabular.pca import PCA
from zoo.tabular.seeding import Initialisation, initial_centroids

from .rows import blobs, digits, fashion, iris


def as_float64(inputs: Tensor) -> np.ndarray:
    return np.asarray(inputs.flatten(1).double().numpy() / (255 if inputs.dtype == torch.uint8 else 1))


def loader(rows: Tensor, batch_size: int = 256) -> DataLoader[Any]:
    data = Rows((rows,))
    return load_batches(data, EpochBatches(data, batch_size, shuffle=True))


def fit(model: Any, rows: Tensor, epochs: int = 1, batch_size: int = 256, **settings: Any) -> Trainer:
    trainer = Trainer(
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        **settings,
    )
    trainer.fit(model, loader(rows, batch_size))
    return trainer


@pytest.mark.parametrize("data", [iris, digits, fashion], ids=lambda data: data.__name__)
def test_pca_equals_that_of_scikit_learn(data: Any) -> None:
    inputs = data()
    count = min(20, inputs[0].numel())
    ours = PCA(inputs[0].numel(), count)
    fit(ours, inputs)
    theirs = sklearn.decomposition.PCA(count, svd_solver="full").fit(as_float64(inputs))
    np.testing.assert_allclose(ours.explained_variance, theirs.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(ours.explained_variance_ratio, theirs.explained_variance_ratio_, rtol=1e-9)
    same_sign = np.sign((ours.components.numpy() * theirs.components_).sum(1, keepdims=True))
    np.testing.assert_allclose(ours.components, theirs.components_ * same_sign, atol=1e-6)
    np.testing.assert_allclose(ours.transform(inputs), theirs.transform(as_float64(inputs)) * same_sign.T, atol=1e-6)


def test_pca_keeps_its_digits_far_from_zero() -> None:
    rows = iris().double() + 1e7
    ours = PCA(4, 4)
    fit(ours, rows)
    theirs = sklearn.decomposition.PCA(4).fit((rows - 1e7).numpy())
    np.testing.assert_allclose(ours.explained_variance, theirs.explained_variance_, rtol=1e-6)


def test_signs_do_not_depend_on_the_order_of_rows() -> None:
    first, second = PCA(64, 5), PCA(64, 5)
    rows = torch.randn(500, 64, generator=torch.Generator().manual_seed(0))
    fit(first, rows)
    fit(second, rows.flip(0))
    torch.testing.assert_close(first.components, second.components, rtol=0, atol=1e-9)
    assert (first.components.gather(1, first.components.abs().argmax(1, keepdim=True)) > 0).all()


def test_share_of_the_variance_chooses_how_many_components() -> None:
    inputs = digits()
    ours = PCA(inputs[0].numel(), 0.9)
    fit(ours, inputs)
    theirs = sklearn.decomposition.PCA(0.9, svd_solver="full").fit(as_float64(inputs))
    assert len(ours.components) == theirs.n_components_


def test_whitened_rows_have_unit_variance_and_come_back() -> None:
    rows = blobs()
    model = PCA(6, 6, whiten=True)
    fit(model, rows)
    white = model.transform(rows)
    torch.testing.assert_close(white.T.cov(), torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(model.inverse_transform(white), rows.double(), rtol=0, atol=1e-9)


def test_randomized_solver_comes_close_in_few_epochs() -> None:
    inputs = fashion()
    exact, randomized = PCA(784, 10), PCA(784, 10, solver="randomized")
    fit(exact, inputs)
    fit(randomized, inputs, epochs=6)
    torch.testing.assert_close(randomized.explained_variance, exact.explained_variance, rtol=1e-4, atol=0)
    torch.testing.assert_close(randomized.components, exact.components, rtol=0, atol=1e-2)


@pytest.mark.parametrize("cached", [2**18, 500], ids=["at once", "in portions"])
@pytest.mark.parametrize("data", [iris, digits, blobs], ids=lambda data: data.__name__)
def test_lloyd_from_the_same_centroids_equals_that_of_scikit_learn(
    data: Any, cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.tabular.features._CACHED", cached)
    inputs = data()
    ours = KMeans(inputs[0].numel(), 8, restarts=1).double()
    start = as_float64(inputs)[:: len(inputs) // 8][:8]
    ours.begin(torch.from_numpy(start))
    fit(ours, inputs, epochs=60)
    theirs = sklearn.cluster.KMeans(8, init=start, n_init=1, max_iter=60, tol=0).fit(as_float64(inputs))
    assert (ours.cluster(inputs).numpy() == theirs.labels_).all()
    inertia = float(ours(inputs).amin(1).sum())
    assert inertia == pytest.approx(theirs.inertia_, rel=1e-6)


def test_first_of_several_nearest_centroids_wins() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0], [2.0, 0.0, 0.0], [5.0, 5.0, 5.0]])
    for rows in (scores[:1], scores, scores.unsqueeze(1)):
        values, places = smallest(rows)
        assert torch.equal(values, rows.amin(-1))
        assert places.flatten().tolist() == [1, 1, 0][: len(rows)]


@pytest.mark.parametrize("init", ["kmeans++", "kmeans||", "farthest", "random"])
@pytest.mark.parametrize("data", [iris, blobs], ids=lambda data: data.__name__)
def test_inertia_is_as_low_as_scikit_learns_best_of_ten(data: Any, init: Any) -> None:
    rows = data()
    model = KMeans(rows.shape[1], 5, init=init)
    trainer = fit(
        model,
        rows,
        100,
        callbacks=[EarlyStopping("train_inertia_of_restarts", patience=2, check_on_train_epoch_end=True)],
    )
    assert trainer.current_epoch < 100, "centroids stand still before"
    best = sklearn.cluster.KMeans(5, n_init=10, random_state=0).fit(rows.numpy()).inertia_
    assert float(model(rows).amin(1).sum()) <= (1.001 if init.startswith("kmeans") else 1.2) * best


def test_kmeans_keeps_its_digits_far_from_zero() -> None:
    near, far = (KMeans(6, 5, restarts=1) for _ in range(2))
    for model, rows in ((near, blobs()), (far, blobs() + 4096)):
        model.begin(rows[:5])
        fit(model, rows, epochs=5)
    assert (near.cluster(blobs()) == far.cluster(blobs() + 4096)).all()


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9])
def test_labels_of_float64_rows_are_those_of_scikit_learn_at_any_offset(offset: float) -> None:
    rows = blobs(300).double() + offset
    start = rows[:5]
    model = KMeans(6, 5, restarts=1)
    model.begin(start)
    fit(model, rows, epochs=30)
    theirs = sklearn.cluster.KMeans(5, init=start.numpy(), n_init=1, max_iter=30, tol=0).fit(rows.numpy())
    assert (model.cluster(rows).numpy() == theirs.labels_).all()
    assert float(model(rows).amin(1).sum()) == pytest.approx(theirs.inertia_, rel=1e-6)


def test_seconds_since_1970_are_told_apart() -> None:
    seconds = 1_700_000_000 + torch.tensor([0, 1, 2, 100, 101, 102, 200, 201, 202])[:, None]
    model = KMeans(1, 3)
    fit(model, seconds, epochs=5)
    assert sorted(model.centroids.flatten().tolist()) == [1_700_000_001, 1_700_000_101, 1_700_000_201]
    assert float(model(seconds).amin(1).sum()) == 6


def test_inertia_of_tight_clusters_is_not_zero_in_float32() -> None:
    spread = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 1e-4
    rows = (spread + torch.tensor([0.0, 10.0, 20.0])).T.reshape(-1, 1)
    model = KMeans(1, 3)
    trainer = fit(model, rows, epochs=3)
    best = sklearn.cluster.KMeans(3, n_init=3).fit(rows.double().numpy()).inertia_
    assert float(model(rows).amin(1).sum()) == pytest.approx(best, rel=1e-2)
    assert float(trainer.callback_metrics["train_inertia"]) == pytest.approx(best, rel=1e-2)


@pytest.mark.parametrize("init", get_args(Initialisation))
def test_groups_far_narrower_than_their_distance_are_not_called_equal_rows(init: Any) -> None:
    rows = (torch.arange(3.0) + torch.randn(20, 3, generator=torch.Generator().manual_seed(0)) * 1e-5).reshape(-1, 1)
    model = KMeans(1, 6, init=init, restarts=1)
    fit(model, rows)
    assert model.centroids.unique().numel() == 6


@pytest.mark.parametrize("rows", [torch.ones(1, 2), torch.ones(5, 2), torch.tensor([[-1.0, 1.0], [1.0, -1.0]])])
@pytest.mark.parametrize("init", get_args(Initialisation))
def test_one_cluster_is_a_clustering_of_any_rows(init: Any, rows: Tensor) -> None:
    model = KMeans(2, 1, init=init)
    fit(model, rows, epochs=2)
    assert model.cluster(rows).tolist() == [0] * len(rows)
    torch.testing.assert_close(model.centroids[0], rows.double().mean(0))


def test_bytes_of_a_table_are_no_picture() -> None:
    table = torch.randint(0, 256, (50, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pictures = table.view(50, 1, 2, 2)
    for rows, scale in ((table, 1), (pictures, 255)):
        model, clusters = PCA(4, 2), KMeans(4, 1)
        fit(model, rows)
        fit(clusters, rows)
        torch.testing.assert_close(model.mean, table.double().mean(0) / scale)
        torch.testing.assert_close(clusters.centroids[0], table.double().mean(0) / scale, rtol=1e-6, atol=0)


def test_empty_cluster_begins_anew_at_the_farthest_row() -> None:
    rows = torch.tensor([[0.0], [1.0], [2.0], [50.0]], dtype=torch.float64)
    start = torch.tensor([[0.0], [1.5], [1000.0]], dtype=torch.float64)
    model = KMeans(1, 3, restarts=1).double()
    model.begin(start)
    fit(model, rows, epochs=10)
    theirs = sklearn.cluster.KMeans(3, init=start.numpy(), n_init=1, tol=0).fit(rows.numpy())
    assert sorted(model.centroids.flatten().tolist()) == pytest.approx(sorted(theirs.cluster_centers_.flatten()))


def test_mini_batches_come_close() -> None:
    rows = blobs(20_000)
    torch.manual_seed(0)
    model = KMeans(6, 5, mini_batch=True, restarts=10)
    fit(model, rows, epochs=3)
    best = sklearn.cluster.KMeans(5, n_init=3, random_state=0).fit(rows.numpy()).inertia_
    assert float(model(rows).amin(1).sum()) <= 1.02 * best


def in_processes(count: int, model: Any, data: Any, epochs: int) -> Any:
    """Trains on a data module, by two forked processes or in this one."""
    trainer = Trainer(
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        devices=count,
        strategy="ddp_fork" if count > 1 else "auto",
        limit_val_batches=0,
    )
    trainer.fit(model, datamodule=data)
    return model


def test_clusters_of_two_processes_are_those_of_one() -> None:
    labels = []
    for processes in (1, 2):
        data = datamodules.Digits(batch_size=200)
        rows = data.splits["train"][0]
        model = KMeans(rows[0].numel(), 8, restarts=1).double()
        model.begin(torch.from_numpy(as_float64(rows))[:: len(rows) // 8][:8])
        labels.append(in_processes(processes, model, data, 15).cluster(rows))
    assert torch.equal(*labels)
    assert labels[0].unique().numel() == 8


def test_components_of_two_processes_are_those_of_one() -> None:
    one, two = (in_processes(count, PCA(4, 4), datamodules.Iris(batch_size=16, whole=True), 1) for count in (1, 2))
    torch.testing.assert_close(two.components, one.components, rtol=0, atol=1e-9)
    torch.testing.assert_close(two.explained_variance, one.explained_variance, rtol=1e-9, atol=0)


def test_farthest_rule_is_that_of_the_notes() -> None:
    rows = torch.tensor([[0.0], [1.0], [10.0], [4.0]])
    picked = initial_centroids(rows, 3, "farthest", torch.Generator().manual_seed(0)).flatten().tolist()
    for number in (1, 2):
        nearest = [min(abs(float(row) - other) for other in picked[:number]) for row in rows]
        assert picked[number] == float(rows[int(np.argmax(nearest))])


def test_adjusted_rand_equals_that_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randint(4, (300,), generator=generator) for _ in range(2))
    second[:150] = first[:150]
    table = (first * 4 + second).bincount(minlength=16).view(4, 4).double()
    assert float(adjusted_rand(table)) == pytest.approx(adjusted_rand_score(first, second))
    assert float(adjusted_rand(torch.tensor([[5.0]]))) == 1


@pytest.mark.parametrize(
    ("build", "rows", "says"),
    [
        (lambda: KMeans(2, 9), torch.randn(5, 2), "9 clusters of 5 rows"),
        *(
            (
                lambda rule=rule: KMeans(2, 3, rule),
                torch.tensor([[0.0, 0.0], [1.0, 1.0]]).repeat(4, 1),
                "different rows",
            )
            for rule in get_args(Initialisation)
        ),
        (
            lambda: PCA(6, 5, solver="randomized"),
            torch.cat([blobs()[:, :3], blobs()[:, :3]], 1),
            "rows vary in 3 directions only; use num_components 3",
        ),
        (lambda: KMeans(2, 2), torch.ones(8, 2), "all features are constant"),
        (lambda: KMeans(2, 2), torch.tensor([[0.0, 1.0], [0.0, float("nan")]]), "feature 1 of row 1 of a batch is nan"),
        (
            lambda: begun(torch.tensor([[4.0, 0.0], [0.0, 0.0], [2.0, 0.0]])),
            torch.tensor([[1.0, 0.0], [float("nan"), 0.0], [4.0, 0.0]]),  # the first row lies between two centroids
            "of a batch is nan, expected finite numbers",
        ),
        (lambda: PCA(2, 1), torch.tensor([[0.0, 1.0], [float("inf"), 1.0]]), "is inf, expected finite numbers"),
        (lambda: PCA(2, 1), torch.ones(8, 2), "all features are constant"),
        (lambda: PCA(6, 6), torch.randn(4, 6), "6 components of 4 rows"),
        (lambda: PCA(4, 5), iris(), "5 components of 4 features"),
        (lambda: PCA(4, 0), iris(), "num_components is 0"),
        (lambda: PCA(4, 1.5), iris(), "num_components is 1.5"),
        (lambda: PCA(4, 0.5, solver="randomized"), iris(), "needs a number of components"),
        (lambda: KMeans(4, 0), iris(), "num_clusters is 0"),
        (lambda: PCA(4, True), iris(), "num_components is True"),
        (lambda: PCA(True, 1), iris(), "in_features is True"),
        (lambda: KMeans(4, True), iris(), "num_clusters is True"),
        (lambda: PCA(3, 2), iris(), "rows have 4 features, expected 3"),
        (lambda: PCA(4, 2), iris()[:, 0], r"rows are float32 \(150,\), expected numbers \(N, 4\)"),
        (lambda: KMeans(1, 2), iris()[:, 0], r"rows are float32 \(150,\), expected numbers \(N, 1\)"),
        (lambda: KMeans(4, 2), iris() * 1e30, "differ by up to 5.9e.30, .* divide all by 6e.30"),
        (lambda: KMeans(4, 2), iris() * 1e-30, "differ by up to 5.9e-30, .* divide all by 6e-30"),
        (lambda: begun(iris()[:2]), iris() * 1e30, "divide all by 8e.30"),
        (lambda: KMeans(4, 2), iris().double() * 1e160, "differ by up to 5.9e.160"),
        (lambda: PCA(4, 2), iris().double() * 1e160, "differ by up to 5.9e.160"),
        (lambda: PCA(4, 2), iris().double() * 1e-200, "differ by up to 5.9e-200"),
    ],
)
def test_bad_input_is_named(build: Any, rows: Tensor, says: str) -> None:
    with pytest.raises(ZooError, match=says):
        fit(build(), rows)


@pytest.mark.parametrize(
    "centroids",
    [torch.zeros(4, 3), torch.zeros(3), torch.zeros(2, 4), torch.zeros(0, 3, 4), torch.full((3, 4), torch.nan), "x"],
)
def test_centroids_to_begin_with_are_numbers_of_the_right_shape(centroids: Any) -> None:
    with pytest.raises(ZooError, match="centroids to begin with"):
        KMeans(4, 3).begin(centroids)


@pytest.mark.parametrize("build", [lambda: KMeans(4, 2), lambda: PCA(4, 2), lambda: PCA(4, 0.9)])
@pytest.mark.parametrize("verb", ["test", "validate", "predict"])
def test_what_has_learnt_nothing_is_not_measured(build: Any, verb: str) -> None:
    trainer = Trainer(logger=False, enable_progress_bar=False, accelerator="cpu")
    with pytest.raises(ZooError, match="has learnt nothing yet"):
        getattr(trainer, verb)(build(), loader(iris()))


def begun(centroids: Tensor) -> KMeans:
    model = KMeans(centroids.shape[-1], len(centroids))
    model.begin(centroids)
    return model


def test_constant_directions_stay_nothing_when_whitened() -> None:
    rows = torch.cat([blobs(), torch.full((2000, 1), 3.0)], 1)
    model = PCA(7, 7, whiten=True)
    fit(model, rows)
    white = model.transform(rows)
    assert white.isfinite().all()
    torch.testing.assert_close(model.inverse_transform(white), rows.double(), rtol=0, atol=1e-6)


class Pairs(Dataset[Any]):
    """What users bring along: one row at a time."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.rows[number], 0


class Stream(IterableDataset[Any]):
    """Data that does not tell how long it is."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def __iter__(self) -> Any:
        return ((row,) for row in self.rows)


class FirstProcessOnly(IterableDataset[Any]):
    """A user's own sharding, which leaves nothing to the processes behind the first, or the other way round."""

    def __init__(self, rows: Tensor, rank: int) -> None:
        self.rows, self.rank = rows, rank

    def __iter__(self) -> Any:
        return ((row,) for row in self.rows if dist.get_rank() == self.rank)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    "build",
    [
        lambda: PCA(6, 2),
        lambda: PCA(6, 2, solver="randomized"),
        lambda: KMeans(6, 5, restarts=3),
        lambda: KMeans(6, 5, restarts=3, mini_batch=True),
    ],
    ids=["pca", "randomized", "kmeans", "mini_batch"],
)
def test_process_without_a_batch_lets_nobody_wait(build: Any, rank: int) -> None:
    rows = blobs(500)
    model = build()
    settings: Any = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    Trainer(max_epochs=2, accelerator="cpu", devices=2, strategy="ddp_fork", **settings).fit(
        model, DataLoader(FirstProcessOnly(rows, rank), batch_size=100)
    )
    alone = build()
    fit(alone, rows, 2, 100)
    score = [float(found.explained_variance.sum()) if isinstance(found, PCA) else float(found(rows).amin(1).sum())
             for found in (model, alone)]  # fmt: skip
    assert score[0] == pytest.approx(score[1], rel=0.1)


@pytest.mark.parametrize("kind", [Pairs, Stream])
@pytest.mark.parametrize("mini_batch", [False, True])
def test_kmeans_takes_any_data_loader(kind: Any, mini_batch: bool) -> None:
    torch.manual_seed(0)
    rows = blobs()
    model = KMeans(6, 5, restarts=10, mini_batch=mini_batch)
    Trainer(
        max_epochs=10, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
    ).fit(model, DataLoader(kind(rows), batch_size=100))  # fmt: skip
    best = sklearn.cluster.KMeans(5, n_init=10, random_state=0).fit(rows.numpy()).inertia_
    assert float(model(rows).amin(1).sum()) == pytest.approx(best, rel=0.02)


def test_share_of_the_variance_survives_publishing(tmp_path: Path) -> None:
    from zoo import weights

    model = PCA(4, 0.9)
    fit(model, iris())
    weights.save(model, tmp_path / "some_pca", {"recipe": "some_pca"}, {"input": iris()[:3]})
    loaded = weights.load(tmp_path / "some_pca", kind=PCA)
    assert torch.equal(loaded.transform(iris()), model.transform(iris()))
