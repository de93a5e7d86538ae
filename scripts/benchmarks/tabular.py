"""k-means and PCA on files that stay on disk, against scikit-learn; reading large tables, against pandas."""

import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import sklearn.cluster
import sklearn.decomposition
import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from datamodules.memory import EpochBatches, Rows, load_batches
from datamodules.tabular.kinds import draft
from datamodules.tabular.schema import read_values
from datamodules.tabular.sheet import read_sheet
from datamodules.tabular.table import Table
from scripts.benchmarks.harness import Bench, Measured, measured, measured_beyond_files, quotient
from scripts.benchmarks.report import Row
from zoo.tabular.kmeans import KMeans
from zoo.tabular.pca import PCA
from zoo.training.plugins import quieten

# Rows that are written, or looked at, at a time.
PORTION = 1 << 16


class MappedRows(Rows):
    """Rows of a file that stays on disk, in order, as often as wanted one after the other.

    Args:
        path: A ``.npy`` file.
        times: How often.
    """

    def __init__(self, path: Path, times: int = 1) -> None:
        super().__init__((torch.from_numpy(np.load(path, mmap_mode="c")),))
        self.times = times

    def __len__(self) -> int:
        return self.times * len(self.tensors[0])

    def __getitem__(self, positions: Any) -> tuple[Tensor, ...]:
        start, length = int(positions[0]) % len(self.tensors[0]), len(positions)
        if start + length <= len(self.tensors[0]):
            return (self.tensors[0][start : start + length],)  # as they lie, without a copy
        return super().__getitem__(positions % len(self.tensors[0]))


def kmeans(bench: Bench) -> list[Row]:
    """Lloyd's iterations on a file that stays on disk, against scikit-learn's."""
    if sys.platform != "linux":
        return []
    count, iterations = bench.choose((1_000_000, 10), (50_000, 10), (2_000, 2))
    width, clusters = 64, 64
    path = _write_rows(bench.folder / "kmeans.npy", count, width)
    start = np.array(np.load(path, mmap_mode="r")[:clusters])
    ours, theirs = [], []
    for _ in range(bench.choose(3, 1, 1)):
        found, centroids = bench.in_own_process(_measure_kmeans, path, start, 1, iterations)
        ours.append(found)
        found, expected = bench.in_own_process(_measure_kmeans_of_scikit_learn, path, start, iterations)
        theirs.append(found)
    what = f"k-means, {count:,} x {width} in float32, {clusters} clusters, {iterations} iterations"
    ratio, seconds = _compare(ours, theirs)
    inertias = [_inertia_of(path, torch.from_numpy(found_by)) for found_by in (centroids, expected)]
    apart = abs(inertias[0] / inertias[1] - 1)
    rows = [
        Row(f"{what}: scikit-learn's time to the zoo's", f"{ratio:.2f} x ({seconds})", ">= 1.00", ratio >= 1),
        Row(f"{what}: relative difference of the inertia to scikit-learn's", f"{apart:.1e}", "< 1e-04", apart < 1e-4),
    ]
    rows.append(_memory_row(what, path, ours, theirs))
    # Forty times the file are the 10 GB of an array that no memory holds.
    more = bench.choose((2, 40), (2, 40), (2,))
    scaled = {times: bench.in_own_process(_measure_kmeans, path, start, times, iterations)[0] for times in more}
    return [*rows, *_scaling_rows("k-means", {1: ours[-1], **scaled})]


def _inertia_of(path: Path, centroids: Tensor) -> float:
    """The sum of squared distances of all rows to their nearest centroids."""
    rows = MappedRows(path).tensors[0].split(PORTION)
    # One row between two centroids, which rounding decides, moves both; the inertia hardly notices.
    return sum(float(torch.cdist(part.double(), centroids.double()).amin(1).square().sum()) for part in rows)


def _measure_kmeans(path: Path, start: np.ndarray, times: int, iterations: int) -> tuple[Measured, np.ndarray]:
    """Measures Lloyd's iterations of the zoo and returns the centroids, too."""
    quieten(quiet=True)
    for rows, epochs in ((Rows((torch.randn(10_000, start.shape[1]),)), 1), (MappedRows(path, times), iterations)):
        model = KMeans(start.shape[1], len(start), restarts=1)
        model.begin(torch.from_numpy(start))
        with measured_beyond_files() as found:  # the first time only loads kernels
            _fit_rows(model, rows, epochs)
    return found, model.centroids.numpy()


def _measure_kmeans_of_scikit_learn(path: Path, start: np.ndarray, iterations: int) -> tuple[Measured, np.ndarray]:
    """Measures those of scikit-learn, from the same centroids and on the same mapped file."""
    warnings.simplefilter("ignore")  # it tells that it has not converged
    settings: dict[str, Any] = {"init": start, "n_init": 1, "tol": 0.0, "algorithm": "lloyd"}
    sklearn.cluster.KMeans(len(start), max_iter=1, **settings).fit(np.load(path, mmap_mode="r")[:10_000])
    with measured_beyond_files() as found:
        model = sklearn.cluster.KMeans(len(start), max_iter=iterations, **settings).fit(np.load(path, mmap_mode="r"))
    return found, model.cluster_centers_


def table(bench: Bench) -> list[Row]:
    """Reading a large CSV file of numbers and texts, against the reader in C of pandas, and all that Table does."""
    rounds = bench.choose(3, 2, 1)
    path = _write_csv(bench.folder / "table.csv", bench.choose(8_000_000, 400_000, 2_000))
    found: dict[str, list[Measured]] = {}
    for _ in range(rounds):
        for name, work in (("pandas", _read_by_pandas), ("zoo", _read), ("door", _open_table)):
            found.setdefault(name, []).append(bench.in_own_process(work, path))
    seconds = {name: statistics.median(one.seconds for one in each) for name, each in found.items()}
    megabytes = {name: max(one.megabytes for one in each) for name, each in found.items()}
    what = f"CSV of {path.stat().st_size / 1e6:,.0f} MB, 12 columns of numbers, 2 of texts"
    ratio = quotient(seconds["pandas"], seconds["zoo"])
    return [
        Row(
            f"{what}: pandas' time to read it to the zoo's",
            f"{ratio:.2f} x ({seconds['pandas']:.1f} s and {seconds['zoo']:.1f} s)",
            ">= 0.50",
            ratio >= 0.5,
        ),
        Row(f"{what}: read, split, as features in splits of datamodules.Table", f"{seconds['door']:.1f} s"),
        *(
            Row(f"{what}: memory that {name} takes at most", f"{megabytes[key]:,.0f} MB")
            for key, name in (("pandas", "pandas"), ("zoo", "reading"), ("door", "datamodules.Table"))
        ),
    ]


def _write_csv(path: Path, count: int) -> Path:
    """Twelve columns of numbers, a category, and a target of two classes."""
    random = np.random.default_rng(0)
    names = [f"x{number}" for number in range(12)]
    path.unlink(missing_ok=True)
    for start in range(0, count, PORTION):
        rows = min(PORTION, count - start)
        frame = pandas.DataFrame(random.normal(size=(rows, len(names))).round(6), columns=names)
        frame["city"] = random.choice(["Rome", "Bonn", "Oslo", "Wien"], rows)
        frame["target"] = np.where(frame["x0"] > 0, "high", "low")
        frame.to_csv(path, mode="a", header=start == 0, index=False)
    return path


def _read_by_pandas(path: Path) -> Measured:
    """Reads a file with pandas."""
    with measured() as found:
        pandas.read_csv(path)
    return found


def _read(path: Path) -> Measured:
    """Reads a file as Table does, to what its cells mean."""
    features: list[str] = []

    def choose(header: list[str]) -> list[str]:
        features[:] = [name for name in header if name != "target"]
        return header

    with measured() as found:
        sheet = read_sheet(path, choose, features.__contains__)
        read_values(sheet, [draft(sheet, name, None, None, 50) for name in features])
    return found


def _open_table(path: Path) -> Measured:
    """Makes splits of features of a file."""
    with measured() as found:
        _ = Table(str(path), target="target").splits
    return found


def pca(bench: Bench) -> list[Row]:
    """Components of a file that stays on disk, in one pass, against scikit-learn's two ways."""
    if sys.platform != "linux":
        return []
    count, width, components = bench.choose(1_000_000, 50_000, 2_000), 256, 32
    path = _write_rows(bench.folder / "pca.npy", count, width)
    what = f"PCA, {count:,} x {width} in float32, {components} components"
    rows = []
    for name, measure, rounds, target in (
        ("PCA", _measure_pca_of_scikit_learn, bench.choose(3, 1, 1), 1.0),
        ("IncrementalPCA", _measure_incremental_pca, 1, 5.0),
    ):
        ours, theirs = [], []
        for _ in range(rounds):
            found, variances = bench.in_own_process(_measure_pca, path, components, 1)
            ours.append(found)
            found, expected = bench.in_own_process(measure, path, components)
            theirs.append(found)
        (ratio, seconds), apart = _compare(ours, theirs), float(np.abs(variances / expected - 1).max())
        figure = f"{ratio:.2f} x ({seconds}; variances differ by {apart:.0e})"
        rows.append(
            Row(f"{what}: time of scikit-learn's {name} to the zoo's", figure, f">= {target:.2f}", ratio >= target)
        )
        rows.append(_memory_row(f"{what}, beside {name}", path, ours, theirs))
    # Ten times the file are the 10 GB of an array that no memory holds.
    more = bench.choose((2, 10), (2, 10), (2,))
    scaled = {times: bench.in_own_process(_measure_pca, path, components, times)[0] for times in more}
    return [*rows, *_scaling_rows("PCA", {1: ours[-1], **scaled})]


def _measure_pca(path: Path, components: int, times: int) -> tuple[Measured, np.ndarray]:
    """Measures one pass of the zoo's PCA and returns the variances, too."""
    quieten(quiet=True)
    for rows in (Rows((torch.from_numpy(np.load(path, mmap_mode="r")[:10_000].copy()),)), MappedRows(path, times)):
        model = PCA(rows[torch.arange(1)][0].shape[1], components)
        with measured_beyond_files() as found:  # the first time only loads kernels
            _fit_rows(model, rows, 1)
    return found, model.explained_variance.numpy()


def _measure_pca_of_scikit_learn(path: Path, components: int) -> tuple[Measured, np.ndarray]:
    """Measures scikit-learn's PCA by the covariance, of the whole file at once."""
    settings: dict[str, Any] = {"n_components": components, "svd_solver": "covariance_eigh"}
    sklearn.decomposition.PCA(**settings).fit(np.load(path, mmap_mode="r")[:10_000])
    with measured_beyond_files() as found:
        model = sklearn.decomposition.PCA(**settings).fit(np.load(path, mmap_mode="r"))
    return found, model.explained_variance_


def _measure_incremental_pca(path: Path, components: int) -> tuple[Measured, np.ndarray]:
    """Measures scikit-learn's incremental PCA, batch by batch as large as it chooses by itself."""
    rows = np.load(path, mmap_mode="r")
    size = 5 * rows.shape[1]
    sklearn.decomposition.IncrementalPCA(components).partial_fit(rows[:size])
    model = sklearn.decomposition.IncrementalPCA(components)
    with measured_beyond_files() as found:
        for start in range(0, len(rows) - size + 1, size):
            model.partial_fit(rows[start : start + size])
    return found, np.asarray(model.explained_variance_)


def _write_rows(path: Path, count: int, width: int) -> Path:
    """Writes float32 rows around sixty-four middles, whose features vary the less the farther to the right."""
    generator = np.random.default_rng(0)
    middles = generator.normal(size=(64, width)).astype(np.float32) * 2
    scales = np.geomspace(1, 0.05, width, dtype=np.float32)
    file = np.lib.format.open_memmap(path, "w+", np.float32, (count, width))
    for start in range(0, count, PORTION):
        part = file[start : start + PORTION]
        noise = generator.standard_normal(part.shape, dtype=np.float32)
        part[:] = (noise + middles[generator.integers(0, len(middles), len(part))]) * scales
    file.flush()
    return path


def _fit_rows(model: LightningModule, rows: Rows, epochs: int) -> None:
    """Trains a model of rows, in order and in batches of an eighth of the file, and nothing besides."""
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, load_batches(rows, EpochBatches(rows, len(rows.tensors[0]) // 8, shuffle=False)))


def _compare(ours: list[Measured], theirs: list[Measured]) -> tuple[float, str]:
    """How many times as long others took as the zoo, and the times in words."""
    ratio = statistics.median(other.seconds / one.seconds for one, other in zip(ours, theirs, strict=True))
    one, other = (statistics.median(found.seconds for found in measured) for measured in (ours, theirs))
    return ratio, f"{other:.1f} to {one:.1f} s"


def _memory_row(what: str, path: Path, ours: list[Measured], theirs: list[Measured]) -> Row:
    """Compares what two take beyond the file that they read."""
    one, other = (max(found.megabytes for found in measured) for measured in (ours, theirs))
    what = f"{what}: memory beyond the mapped file of {path.stat().st_size / 1e6:.0f} MB (scikit-learn's)"
    return Row(what, f"{one:.0f} MB ({other:.0f} MB)", "<= 200 MB", one <= 200)


def _scaling_rows(what: str, found: dict[int, Measured]) -> list[Row]:
    """How time and memory grow with the rows."""
    once, most = found[1], max(found)
    times = ", ".join(f"{factor} x: {one.seconds:.1f} s" for factor, one in found.items())
    held = ", ".join(f"{factor} x: {one.megabytes:.0f} MB" for factor, one in found.items())
    growth, linear = found[most].seconds / once.seconds, 1.1 * most
    extra = found[most].megabytes - once.megabytes
    return [
        Row(f"{what}, {most} x the rows: time", f"{growth:.2f} x ({times})", f"<= {linear:.1f} x", growth <= linear),
        Row(f"{what}, {most} x the rows: more memory", f"{extra:.0f} MB ({held})", "<= 20 MB", extra <= 20),
    ]
