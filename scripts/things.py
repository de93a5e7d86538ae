"""Builds ``things8``, 678 colour pictures of eight kinds of things, from two of Debian's packages.

    python scripts/things.py --download        # fetches and unpacks the packages into a temporary folder, needs no root
    python scripts/things.py                   # after: sudo apt-get install tuxpaint-stamps-default openclipart-png

The stamps of Tux Paint are under the GPL-2, the drawings of Open Clip Art in the public domain. Every picture is laid
on white, padded to a square and scaled to 224 pixels. Pictures that are nearly alike (recoloured, mirrored) go into the
same split, which the checksum of a path decides.
"""

import argparse
import csv
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.cluster import DBSCAN

from datamodules.errors import DataError

PACKAGES = {"tuxpaint-stamps-default": "2022.06.04-1", "openclipart-png": "1:0.18+dfsg-19"}
# Of the paths and contents of all pictures in these versions.
SHA256 = "c44159dfd1721567edb6e27fdf36f2002aec71283719ba0ea665a0bdf25adc90"
ROOTS = {"T": Path("usr/share/tuxpaint/stamps"), "O": Path("usr/share/openclipart/png")}
# Folders of each class, with the letter of the package that they are in.
CLASSES = {
    "bird": {"T": "animals/birds", "O": "animals/birds"},
    "bug": {"T": "animals/insects", "O": "animals/bugs"},
    "fish": {"T": "animals/fish", "O": "animals/fish"},
    "flower": {"T": "plants/flowers", "O": "plants/flowers"},
    "fruit": {"T": "food/fruit", "O": "food/fruit"},
    "house": {"T": "town/houses", "O": "buildings/homes"},
    "mammal": {"T": "animals/mammals", "O": "animals/mammals"},
    "vegetable": {"T": "food/vegetables", "O": "food/vegetables"},
}
SIZE = 224
# The largest pictures have 169 million pixels, which Pillow warns of as an attack unless it is told otherwise.
MAX_PIXELS = 170_000_000
# Rows of a picture that are worked on at a time: the largest would take 3 GB as a whole.
ROWS = 512
# Of 256 bits of a difference hash, so many differ at most between pictures that are nearly alike.
ALIKE = 18


class Picture(NamedTuple):
    """A picture of a package.

    Attributes:
        label: Its class.
        source: Letter of the package.
        path: Where the package installs it, below the root.
    """

    label: str
    source: str
    path: Path


def main() -> int:
    """Builds things8 from Debian's packages tuxpaint-stamps-default and openclipart-png."""
    parser = argparse.ArgumentParser(description=main.__doc__, allow_abbrev=False)
    parser.add_argument("--to", type=Path, default=Path("data/things8"), help="folder to make (default %(default)s)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--from",
        type=Path,
        default=Path("/"),
        dest="root",
        metavar="ROOT",
        help="where the packages are installed or unpacked (default %(default)s)",
    )
    source.add_argument(
        "--download", action="store_true", help="fetch the packages (290 MB) with apt-get, without root"
    )
    parser.add_argument("--any-version", action="store_true", help="take other versions of the packages, too")
    options = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        counts = build(options.to, None if options.download else options.root, options.any_version)
    except (DataError, OSError) as error:
        print(f"things: {error}", file=sys.stderr)
        return 2
    print(f"{options.to}: " + ", ".join(f"{count} pictures in {split}" for split, count in counts.items()))
    return 0


def build(to: Path, root: Path | None, any_version: bool = False) -> dict[str, int]:
    """Builds the set in a temporary folder beside its place, then renames it.

    Args:
        to: The folder to make.
        root: Where the packages are installed or unpacked; None to download them.
        any_version: Take other versions of the packages, too.

    Returns:
        How many pictures there are in each split.

    Raises:
        DataError: The folder exists, or the packages are missing, or of other versions.
    """
    if to.exists():
        raise DataError(f"{to} exists; remove it, or name another folder with --to")
    pictures = None if root is None else find_pictures(root)
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.parent) as temporary:
        if root is None or pictures is None:
            root = download(Path(temporary))
            pictures = find_pictures(root)
        check_version(pictures, root, any_version)
        print(f"reading {len(pictures)} pictures", flush=True)
        images = [read_square(root / picture.path) for picture in pictures]
        counts = write(pictures, images, Path(temporary) / "set")
        (Path(temporary) / "set").rename(to)
    return counts


def download(folder: Path) -> Path:
    """Fetches the packages and unpacks them.

    Raises:
        DataError: A program is missing or fails.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise DataError(f"--download needs {program}, which Debian and its relatives have; found none here")
    print(f"fetching {' and '.join(PACKAGES)}", flush=True)
    root = folder / "root"
    _run(["apt-get", "--quiet", "download", *PACKAGES], folder)
    for package in folder.glob("*.deb"):
        _run(["dpkg-deb", "--extract", package.name, root.name], folder)
        package.unlink()
    return root


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise DataError(f"{' '.join(command[:3])} failed ({reason}); try: sudo apt-get update")


def find_pictures(root: Path) -> list[Picture]:
    """Finds the pictures of all classes, in an order that their paths alone decide.

    Raises:
        DataError: There are none.
    """
    missing = [str(root / folder) for folder in ROOTS.values() if not (root / folder).is_dir()]
    if missing:
        raise DataError(
            f"no {' and no '.join(missing)}; install the packages with: sudo apt-get install {' '.join(PACKAGES)} "
            "(or let this script fetch them: --download)"
        )
    pictures = []
    for label, folders in CLASSES.items():
        for source, folder in folders.items():
            found = (path.relative_to(root) for path in (root / ROOTS[source] / folder).glob("**/*.png"))
            pictures += [Picture(label, source, path) for path in sorted(found, key=lambda path: _sha1(f"/{path}"))]
    if not pictures:
        raise DataError(f"no pictures in {' and '.join(str(root / folder) for folder in ROOTS.values())}")
    return pictures


def check_version(pictures: Sequence[Picture], root: Path, any_version: bool) -> None:
    """Compares paths and contents of all pictures with those that make the set.

    Raises:
        DataError: They are others.
    """
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(f"{picture.path}\n".encode())
        digest.update((root / picture.path).read_bytes())
    if digest.hexdigest() != SHA256 and not any_version:
        versions = " and ".join(f"{package} {version}" for package, version in PACKAGES.items())
        raise DataError(
            f"found {len(pictures)} pictures that are not the 678 of {versions} (sha256 {digest.hexdigest()[:12]}, "
            f"expected {SHA256[:12]}); --any-version makes a set of them all the same"
        )


def read_square(path: Path) -> Image.Image:
    """Reads a picture, lays it on white, pads it to a square and scales it, bicubically.

    Scaling goes over columns first, over rows second, so that the first can be done a few rows at a time.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    width, height = picture.size
    side = max(width, height)
    narrow = Image.new("RGB", (SIZE, side), "white")
    for row in range(0, height, ROWS):
        strip = picture.crop((0, row, width, min(row + ROWS, height))).convert("RGBA")
        opaque = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip).convert("RGB")
        padded = Image.new("RGB", (side, strip.height), "white")
        padded.paste(opaque, ((side - width) // 2, 0))
        scaled = padded.resize((SIZE, strip.height), Image.Resampling.BICUBIC)
        narrow.paste(scaled, (0, (side - height) // 2 + row))
    return narrow.resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def write(pictures: Sequence[Picture], images: Sequence[Image.Image], folder: Path) -> dict[str, int]:
    """Writes the pictures as ``split/class/source_number_name.jpg``, and ``manifest.csv``.

    Returns:
        How many pictures there are in each split.
    """
    firsts = find_groups(images)
    splits = [choose_split(pictures[first].path) for first in firsts]
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("split", "class", "source", "path", "group"))
        for number, (picture, image, split, first) in enumerate(zip(pictures, images, splits, firsts, strict=True)):
            out = folder / split / picture.label / f"{picture.source}_{number:04d}_{picture.path.stem}.jpg"
            out.parent.mkdir(parents=True, exist_ok=True)
            image.save(out, quality=90)
            writer.writerow((split, picture.label, picture.source, f"/{picture.path}", first))
    counts = Counter(splits)
    return {split: counts[split] for split in ("train", "val", "test")}


def find_groups(images: Sequence[Image.Image]) -> list[int]:
    """Finds which pictures are nearly alike, directly or over others.

    Returns:
        For each picture the number of the first that it is nearly alike.
    """
    hashes = np.stack([_difference_hash(image) for image in images]).astype(int)
    mirrored = np.stack(
        [_difference_hash(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) for image in images]
    ).astype(int)
    distances = np.minimum(_hamming(hashes, hashes), _hamming(hashes, mirrored))
    # With one sample each, DBSCAN finds the connected components.
    labels = DBSCAN(eps=ALIKE, min_samples=1, metric="precomputed").fit_predict(np.minimum(distances, distances.T))
    firsts: dict[int, int] = {}
    return [firsts.setdefault(label, number) for number, label in enumerate(labels.tolist())]


def _difference_hash(image: Image.Image) -> np.ndarray:
    """Says of 16 x 16 places whether the picture gets brighter there to the right."""
    grey = np.asarray(image.convert("L").resize((17, 16), Image.Resampling.BILINEAR), dtype=int)
    return (grey[:, 1:] > grey[:, :-1]).ravel()


def _hamming(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left @ (1 - right).T + (1 - left) @ right.T


def choose_split(path: Path) -> str:
    """Draws 65 per cent for training, 15 for validation and 20 for testing, by the checksum of a path in /usr/share."""
    bucket = int(_sha1(str(path.relative_to("usr/share")))[:8], 16) % 100
    return "train" if bucket < 65 else "val" if bucket < 80 else "test"


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
