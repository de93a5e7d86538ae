"""The data modules: honest splits, batches that cover everything once, facts that answer at once, errors that help."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from sklearn.datasets import load_digits, load_iris

import datamodules
from datamodules.errors import DataError
from datamodules.memory import EpochBatches, InMemory, Picked, Rows, rows_at
from datamodules.vision import images

IN_MEMORY: list[InMemory] = [
    datamodules.Iris(),
    datamodules.Digits(),
    datamodules.Function1D(points=50),
    datamodules.FashionMNIST(str(ROOT / "data")),
    datamodules.Shapes(32, train_size=3000, val_size=300, test_size=300),
]
every_data = pytest.mark.parametrize("data", IN_MEMORY, ids=lambda data: type(data).__name__)


@every_data
def test_splits_share_no_row_and_leave_none_out(data: InMemory) -> None:
    train, val, test = (data.splits[name] for name in ("train", "val", "test"))
    assert all(len(split[0]) == len(split[1]) > 0 for split in (train, val, test))
    assert all(split[0].dtype in (torch.uint8, torch.float32) for split in (train, val, test))
    together = _sorted_rows(torch.cat([train[0], val[0], test[0]]))
    assert together == _sorted_rows(WHOLE[type(data).__name__]())


def _sorted_rows(rows: torch.Tensor) -> list[bytes]:
    # Sums over a row would differ in their last bits with its place, on some processors.
    return sorted(hashlib.sha256(row.tobytes()).digest() for row in rows.flatten(1).float().numpy())


def _whole_fashion_mnist() -> torch.Tensor:
    parts = (images._read_idx(str(ROOT / "data"), f"{part}-images-idx3-ubyte") for part in ("train", "t10k"))
    return torch.cat(list(parts))


def _whole_function() -> torch.Tensor:
    train = torch.linspace(0, 7, 50, dtype=torch.float64)
    points = torch.cat([train, (train[1:] + train[:-1]) / 2, torch.linspace(0, 7, 500, dtype=torch.float64)])
    return points.float()[:, None]


def _whole_shapes() -> torch.Tensor:
    splits = datamodules.Shapes(32, train_size=3000, val_size=300, test_size=300).splits
    whole = torch.cat([pictures for pictures, _ in splits.values()])
    assert len(whole.unique(dim=0)) == len(whole)
    return whole


# Every row of each source: the splits together must be these, no row twice and none left out.
WHOLE: dict[str, Callable[[], torch.Tensor]] = {
    "Iris": lambda: torch.from_numpy(load_iris().data).float(),
    "Digits": lambda: torch.from_numpy(load_digits().images * (255 / 16)).round()[:, None],
    "Function1D": _whole_function,
    "FashionMNIST": _whole_fashion_mnist,
    "Shapes": _whole_shapes,
}


@pytest.mark.parametrize("positions", [torch.tensor([5, 0, 5]), torch.arange(7), torch.tensor(3), slice(1, 4), 2])
def test_rows_are_those_that_indexing_gives(positions: torch.Tensor | slice | int) -> None:
    numbers = torch.arange(84)
    grey = numbers.view(7, 3, 4)[:, None].as_strided((7, 1, 3, 4), (12, 1, 4, 1))
    for tensor in (numbers.view(7, 3, 4), grey, numbers.view(4, 3, 7).movedim(-1, 0), numbers.unfold(0, 30, 1)):
        found, wanted = rows_at(tensor, positions), tensor[positions]
        assert torch.equal(found, wanted)
        assert found.stride() == wanted.stride(), "by which convolutions choose kernels, which round differently"
        assert torch.equal(rows_at(Picked(tensor, torch.arange(7)), positions), wanted)


@pytest.mark.parametrize(
    "data", [IN_MEMORY[0], IN_MEMORY[1], IN_MEMORY[3], IN_MEMORY[4]], ids=lambda data: type(data).__name__
)
def test_splits_are_stratified_and_seeded(data: InMemory) -> None:
    shares = [split[1].bincount(minlength=3) / len(split[1]) for split in data.splits.values()]
    for share in shares[1:]:
        assert (share - shares[0]).abs().max() < 0.02
    again = type(data)(**{**data.hparams, "seed": 1})
    assert not torch.equal(again.splits["val"][0], data.splits["val"][0])


@every_data
def test_facts_answer_right_after_init(data: InMemory) -> None:
    fresh = type(data)(**data.hparams)
    inputs = data.splits["train"][0]
    facts = {name: getattr(fresh, name) for name in ("in_features", "mean", "std")}
    assert facts["in_features"] == inputs[0].numel()
    values = inputs.double() / (255 if inputs.dtype == torch.uint8 else 1)
    dims = [0, *range(2, inputs.ndim)]
    torch.testing.assert_close(torch.tensor(facts["mean"]).double(), values.mean(dims), rtol=0.01, atol=0.001)
    torch.testing.assert_close(torch.tensor(facts["std"]).double(), values.std(dims), rtol=0.01, atol=0.001)
    assert fresh.source["name"]
    assert fresh.source["licence"]


def test_fashion_mnist_leaves_the_official_test_split_alone() -> None:
    first, second = (datamodules.FashionMNIST(str(ROOT / "data"), seed=seed).splits["test"] for seed in (0, 1))
    assert len(first[0]) == 10_000
    assert torch.equal(first[0], second[0])
    assert len(datamodules.FashionMNIST(str(ROOT / "data"), val_size=100).splits["train"][0]) == 59_900


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize(("size", "batch_size"), [(100, 7), (101, 50), (9, 100), (6, 2)])
def test_batches_cover_every_row_once(size: int, batch_size: int, processes: int, shuffle: bool) -> None:
    rows = Rows((torch.arange(size),))
    ranks = [EpochBatches(rows, batch_size, shuffle, 0, processes, rank) for rank in range(processes)]
    batches = [list(rank) for rank in ranks]
    assert len({len(one) for one in batches}) == 1, "processes that take unequal steps wait for each other forever"
    assert all(len(one) == len(rank) for one, rank in zip(batches, ranks, strict=True))
    seen = torch.cat([batch for one in batches for batch in one])
    assert sorted(seen.tolist()) == list(range(size))
    assert max(len(batch) for one in batches for batch in one) <= batch_size


def test_part_of_a_mapped_tensor_is_indexed_as_if_copied() -> None:
    whole = torch.arange(24).view(12, 2)
    positions = torch.tensor([1, 4, 5, 11])
    part, copy = Picked(whole, positions), whole[positions]
    for index in (torch.tensor([2, 0]), slice(None), slice(1, 3), 2):
        assert torch.equal(part[index], copy[index])
    assert torch.equal(torch.cat(list(part.split(3))), copy)
    assert (len(part), part.shape, part.ndim, part.dtype) == (4, copy.shape, 2, copy.dtype)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        batches = EpochBatches(Rows((torch.arange(50),)), 8, True, seed)
        batches.set_epoch(epoch)
        return torch.cat(list(batches)).tolist()

    first = order(0, 3)
    torch.manual_seed(99)
    assert order(0, 3) == first
    assert order(0, 4) != first
    assert order(1, 3) != first


def test_loading_draws_nothing_from_the_global_generator() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    next(iter(datamodules.Iris().train_dataloader()))
    assert torch.equal(torch.rand(3), expected)


def test_more_processes_than_rows_is_refused() -> None:
    with pytest.raises(DataError, match=r"2 samples cannot be shared by 3 processes; use --trainer\.devices 2"):
        EpochBatches(Rows((torch.arange(2),)), 1, False, 0, 3, 0)


def test_missing_fashion_mnist_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.vision.images._DEBIAN_FASHION_MNIST", tmp_path / "none")
    with pytest.raises(DataError, match=r"install Debian's package dataset-fashion-mnist, or put the four files"):
        datamodules.FashionMNIST(str(tmp_path), download=False).setup()


@pytest.mark.parametrize("packed", [True, False])
def test_damaged_fashion_mnist_is_named(tmp_path: Path, packed: bool) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    content = b"\0\0\x08\x01\0\0\0\x03abc"
    path = raw / f"train-labels-idx1-ubyte{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=f"{path.name} is damaged: sha256"):
        images._read_idx(str(tmp_path), "train-labels-idx1-ubyte")


def test_function_is_exact() -> None:
    x, y = datamodules.Function1D(points=200).splits["test"]
    torch.testing.assert_close(y, 0.4 * x.sin() + 0.5)
    assert (x.min(), x.max()) == (0, 7)
    with pytest.raises(DataError, match="expected at least two points and low < high"):
        datamodules.Function1D(low=2, high=1)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_batches_need_rows(batch_size: int) -> None:
    with pytest.raises(DataError, match="expected at least 1"):
        datamodules.Iris(batch_size=batch_size)


def test_fashion_mnist_is_never_found_half_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(images._FASHION_MNIST_SHA256)
    found: list[Path | None] = []

    def download(root: str, download: bool) -> None:
        folder = Path(root) / "FashionMNIST" / "raw"
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.gz").write_bytes(b"half")
        found.extend(images._find_idx(str(tmp_path), name) for name in names)
        for name in names:
            (folder / f"{name}.gz").write_bytes(b"whole")

    monkeypatch.setattr(images, "_DEBIAN_FASHION_MNIST", tmp_path / "none")
    monkeypatch.setattr(images, "TorchvisionFashionMNIST", download)
    for _ in range(2):
        datamodules.FashionMNIST(str(tmp_path)).prepare_data()
    assert found == [None] * 4
    assert {path.read_bytes() for path in (tmp_path / "FashionMNIST" / "raw").iterdir()} == {b"whole"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".fetch")] == []
