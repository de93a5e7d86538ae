"""Images as uint8 tensors ``(N, C, H, W)`` with integer class labels ``(N,)``."""

import gzip
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.datasets import FashionMNIST as TorchvisionFashionMNIST

from datamodules.errors import DataError
from datamodules.memory import InMemory, Split, stratified_split


class Images(InMemory):
    """Base of the in-memory image data modules; batches are ``(images uint8 (N, C, H, W), labels int64 (N,))``."""

    reader = "ImageFolder"
    classes: list[str]
    in_channels: int
    image_size: int
    mean: list[float]
    std: list[float]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def in_features(self) -> int:
        """Number of values in one image, for networks that flatten."""
        return self.in_channels * self.image_size**2


class Digits(Images):
    """The 1,797 handwritten digits of 8x8 pixels bundled with scikit-learn (Alpaydin and Kaynak, 1998).

    The sixteen grey levels are stretched to 0..255. Splits are stratified: 20 % test, 10 % validation, 70 % train.

    Args:
        train_size: Use only so many of the 1,257 training images; all if left out.
        batch_size: Images in a training batch of one process.
    """

    classes = [str(digit) for digit in range(10)]
    in_channels = 1
    image_size = 8
    mean = [0.305]
    std = [0.376]
    source = {
        "name": "Optical recognition of handwritten digits (test part), as bundled with scikit-learn",
        "url": "https://archive.ics.uci.edu/dataset/80",
        "licence": "CC BY 4.0",
    }

    def __init__(self, train_size: int | None = None, batch_size: int = 64, **options: Any) -> None:
        super().__init__(batch_size=batch_size, **options)
        self.train_size = train_size

    def load(self) -> dict[str, Split]:
        """Reads and splits the digits."""
        bunch = load_digits()
        images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
        labels = bunch.target.astype(np.int64)
        rest, test = stratified_split(labels, 0.2, self.seed)
        train, val = stratified_split(labels[rest], 0.125, self.seed)
        if self.train_size is not None:
            _, chosen = stratified_split(labels[rest][train], self.train_size, self.seed)
            train = train[chosen]
        positions = {"train": rest[train], "val": rest[val], "test": test}
        return {
            name: (torch.from_numpy(images[rows]), torch.from_numpy(labels[rows])) for name, rows in positions.items()
        }


class FashionMNIST(Images):
    """Fashion-MNIST, 70,000 grey pictures of clothes, 28x28 (Xiao, Rasul and Vollgraf, 2017, arXiv:1708.07747).

    The official 10,000 test images stay untouched; validation images are a stratified part of the 60,000 training
    images. Files are looked for in ``root/FashionMNIST/raw`` (where torchvision puts them) and where Debian's package
    ``dataset-fashion-mnist`` puts them, packed or unpacked, and verified by sha256; otherwise torchvision downloads
    them.

    Args:
        root: Folder for data sets.
        download: Let torchvision download what is not there.
        val_size: Number of validation images taken from the training images.
        train_size: Use only so many of the remaining training images; all if left out.
        batch_size: Images in a training batch of one process.
        eval_batch_size: Images in a validation or test batch of one process.

    Raises:
        DataError: The files cannot be had, or are damaged.
    """

    classes = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ]  # fmt: skip
    in_channels = 1
    image_size = 28
    mean = [0.2860]
    std = [0.3530]
    miniature = Images.miniature | {"train_size": 500, "val_size": 500}

    def __init__(
        self,
        root: str = "data",
        download: bool = True,
        val_size: int = 5000,
        train_size: int | None = None,
        batch_size: int = 128,
        eval_batch_size: int = 1000,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, **options)
        self.root = root
        self.download = download
        self.val_size = val_size
        self.train_size = train_size

    @property
    def source(self) -> dict[str, str]:
        """Name, address, licence and checksums."""
        return {
            "name": "Fashion-MNIST",
            "url": "https://github.com/zalandoresearch/fashion-mnist",
            "licence": "MIT",
            **{f"sha256 of {name}": sha256 for name, sha256 in _FASHION_MNIST_SHA256.items()},
        }

    def prepare_data(self) -> None:
        """Downloads what is not there yet."""
        if all(_find_idx(self.root, name) for name in _FASHION_MNIST_SHA256):
            return
        how = (
            "install Debian's package dataset-fashion-mnist, or put the four files named train-images-idx3-ubyte.gz "
            f"and so on into {Path(self.root) / 'FashionMNIST' / 'raw'}, or name their folder's root with --data.root"
        )
        if not self.download:
            raise DataError(f"no Fashion-MNIST in {self.root!r} and download is false; {how}")
        Path(self.root).mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(Path(self.root) / ".FashionMNIST.lock"):
                if not all(_find_idx(self.root, name) for name in _FASHION_MNIST_SHA256):
                    self._download()
        except (OSError, RuntimeError) as error:
            raise DataError(f"Fashion-MNIST could not be downloaded ({error}); {how}") from error

    def _download(self) -> None:
        # Elsewhere first, since torchvision writes slowly where another process looks for whole files.
        with TemporaryDirectory(dir=self.root, prefix=".fetch-") as scratch:
            TorchvisionFashionMNIST(scratch, download=True)
            raw = Path(self.root) / "FashionMNIST" / "raw"
            raw.mkdir(parents=True, exist_ok=True)
            for path in (Path(scratch) / "FashionMNIST" / "raw").iterdir():
                path.replace(raw / path.name)

    def load(self) -> dict[str, Split]:
        """Reads the four files and splits the training images."""
        self.prepare_data()
        images, labels = (_read_idx(self.root, f"train-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        test = tuple(_read_idx(self.root, f"t10k-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        kept, held = stratified_split(labels.numpy(), self.val_size, self.seed)
        if self.train_size is not None:
            _, chosen = stratified_split(labels[kept].numpy(), self.train_size, self.seed)
            kept = kept[chosen]
        return {"train": (images[kept], labels[kept]), "val": (images[held], labels[held]), "test": test}


# Of the unpacked files, so that every way of packing gives the same sums.
_FASHION_MNIST_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
_DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def _find_idx(root: str, name: str) -> Path | None:
    folders = (Path(root) / "FashionMNIST" / "raw", Path(root), _DEBIAN_FASHION_MNIST)
    candidates = (folder / (name + ending) for folder in folders for ending in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _read_idx(root: str, name: str) -> Tensor:
    """Reads an idx file: images become ``(N, 1, H, W)`` uint8, labels ``(N,)`` int64."""
    path = _find_idx(root, name)
    if path is None:
        raise DataError(f"no {name} in {root!r}")
    return _parse_idx(path, _FASHION_MNIST_SHA256[name])


def _parse_idx(path: Path, sha256: str) -> Tensor:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and fetch it again") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(
            f"{path} is damaged: sha256 {found[:12]}..., expected {sha256[:12]}...; delete it and fetch it again"
        )
    dimensions = content[3]
    shape = np.frombuffer(content, dtype=">i4", count=dimensions, offset=4)
    array = torch.from_numpy(np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy())
    return array.unsqueeze(1) if dimensions == 3 else array.long()
