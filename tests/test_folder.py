"""Folders of pictures: every kind of file becomes RGB once, splits are honest, and what is wrong is told by name."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, Zoo
from PIL import EpsImagePlugin, Image, features
from torch import Tensor

from datamodules import ImageFolder, Shapes, Things
from datamodules.errors import DataError
from datamodules.memory import Rows
from datamodules.vision import pictures
from zoo.vision.cnn import CNN

RED, BLUE, WHITE = (230, 20, 20), (20, 20, 230), (255, 255, 255)
SIZE = 8


def halves(left: Any = RED, right: Any = BLUE, mode: str = "RGB", size: tuple[int, int] = (40, 20)) -> Image.Image:
    """A picture whose left half has one colour and whose right half has another."""
    picture = Image.new(mode, size, left)
    picture.paste(right, (size[0] // 2, 0, *size))
    return picture


def deep(left: int, right: int) -> Image.Image:
    """The same in 16-bit grey, which Pillow cannot paste into."""
    return Image.fromarray(np.repeat([[left] * 20 + [right] * 20], 20, axis=0).astype(np.uint16))


def paint(path: Path, number: int) -> Path:
    """Writes a picture that no other number gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    halves((number % 256, number // 256, 0), BLUE).save(path)
    return path


def fill(root: Path, **counts: int) -> Path:
    """Makes a folder of classes with so many pictures each; ``train_cat`` stands for ``train/cat``."""
    for start, (name, count) in enumerate(counts.items()):
        (root / name.replace("_", "/")).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            paint(root / name.replace("_", "/") / f"{number}.png", 1000 * start + number)
    return root


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    """Undoes the silence that a quiet run in another test has left."""
    caplog.set_level("INFO", logger=pictures.log.name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of ten pictures."""
    return fill(tmp_path / "photos", cat=10, dog=10)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., ImageFolder]:
    """Makes the data module of a folder with a cache of the test's own."""

    def make(root: Path, **options: Any) -> ImageFolder:
        return ImageFolder(str(root), **{"image_size": SIZE, "cache": str(tmp_path / "cache"), **options})

    return make


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files decoded, in any order."""
    names: list[str] = []
    read = pictures.read_picture

    def watched(path: Path, size: int, channels: int) -> Tensor:
        names.append(path.name)
        return read(path, size, channels)

    monkeypatch.setattr(pictures, "read_picture", watched)
    return names


Folder = Callable[..., ImageFolder]


def numbers(data: ImageFolder, *splits: str) -> list[int]:
    """Which pictures a split holds, or all do: the numbers that :func:`paint` was given."""
    images = torch.cat([data.splits[split][0][:] for split in splits or data.splits])
    return (images[:, 0, 0, 0].int() + 256 * images[:, 1, 0, 0].int()).tolist()


# Facts and layouts.


def test_facts_answer_before_anything_is_decoded(folder: Folder, root: Path, decoded: list[str]) -> None:
    data = folder(root)
    assert (data.classes, data.num_classes) == (["cat", "dog"], 2)
    assert (data.in_channels, data.image_size, data.in_features) == (3, SIZE, 3 * SIZE * SIZE)
    assert not hasattr(data, "mean"), "the command line would link it to the model"
    assert not hasattr(data, "std")
    assert decoded == []


def test_given_splits_are_kept(folder: Folder, tmp_path: Path) -> None:
    root = fill(tmp_path / "x", train_cat=3, train_dog=4, val_cat=2, val_dog=1, test_cat=1, test_dog=2)
    data = folder(root)
    assert [numbers(data, split) for split in ("train", "val", "test")] == [
        [0, 1, 2, 1000, 1001, 1002, 1003], [2000, 2001, 3000], [4000, 5000, 5001],
    ]  # fmt: skip
    assert data.splits["train"][1].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert all(isinstance(images, Tensor) for images, _ in data.splits.values())


def test_one_folder_is_split_by_class_without_loss(folder: Folder, tmp_path: Path) -> None:
    data = folder(fill(tmp_path / "x", ape=20, bee=40, cow=5), val_size=0.2, test_size=0.1)
    whole = [*range(20), *range(1000, 1040), *range(2000, 2005)]
    assert sorted(numbers(data)) == whole
    counts = {split: labels.bincount().tolist() for split, (_, labels) in data.splits.items()}
    assert counts == {"train": [14, 28, 3], "val": [4, 8, 1], "test": [2, 4, 1]}


@pytest.mark.parametrize(
    ("given", "drawn"), [(["train", "test"], "val"), (["train", "val"], "test"), (["train"], "val")]
)
def test_split_without_a_folder_comes_from_training(
    folder: Folder, tmp_path: Path, given: list[str], drawn: str
) -> None:
    root = fill(tmp_path / "x", **{f"{split}_{kind}": 10 for split in given for kind in ("cat", "dog")})
    data = folder(root, val_size=0.2, test_size=0.2)
    assert data.splits[drawn][1].bincount().tolist() == [2, 2]
    assert not set(numbers(data, drawn)) & set(numbers(data, "train"))
    held_out = 4 * (3 - len(given))
    assert len(data.splits["train"][0]) == 20 - held_out


def test_seed_moves_pictures_without_decoding_again(folder: Folder, root: Path, decoded: list[str]) -> None:
    first = {split: numbers(folder(root), split) for split in ("train", "val", "test")}
    assert len(decoded) == 20
    assert {split: numbers(folder(root), split) for split in first} == first
    assert numbers(folder(root, seed=1), "test") != first["test"]
    assert len(numbers(folder(root, test_size=0.4), "test")) == 8
    assert len(decoded) == 20


def test_one_picture_more_leaves_the_others_in_their_splits(folder: Folder, root: Path) -> None:
    before = set(numbers(folder(root), "test"))
    paint(root / "cat" / "new.png", 77)
    assert len(before & set(numbers(folder(root), "test"))) >= len(before) - 1


@pytest.mark.parametrize("seed", range(5))
def test_identical_files_stay_together(folder: Folder, tmp_path: Path, seed: int) -> None:
    root = fill(tmp_path / "x", cat=0, dog=20)
    for number in range(20):
        paint(root / "cat" / f"{number}.png", number // 4)
    data = folder(root, seed=seed)
    parts = [{number for number in numbers(data, split) if number < 1000} for split in data.splits]
    assert sorted(number for part in parts for number in part) == [0, 1, 2, 3, 4]
    assert all(parts)


def test_nested_hidden_and_oddly_named_files(folder: Folder, root: Path) -> None:
    paint(root / "cat" / "Sommer 2026" / "Kätzchen im Schnee ☃.png", 50)
    paint(root / "cat" / ".thumbnails" / "x.png", 51)
    paint(root / ".git" / "x.png", 52)
    for junk in ("cat/.DS_Store", "dog/Thumbs.db", "dog/desktop.ini", "labels.csv"):
        (root / junk).write_text("no picture")
    data = folder(root)
    found = numbers(data)
    assert sorted(found) == [*range(10), 50, *range(1000, 1010)]


def test_links_in_a_circle_end(folder: Folder, root: Path) -> None:
    (root / "cat" / "again").symlink_to(root / "cat")
    (root / "dog" / "up").symlink_to(root / "dog" / "up2")
    (root / "dog" / "up2").symlink_to(root / "dog" / "up")
    data = folder(root, on_bad_file="skip")
    assert sum(len(labels) for _, labels in data.splits.values()) == 20


# Decoding.

KINDS: dict[str, tuple[Callable[[Path], None], tuple[int, ...], tuple[int, ...]]] = {
    # How the file is written, and what becomes of its left and right half.
    "grey.png": (lambda path: halves(60, 200, "L").save(path), (60, 60, 60), (200, 200, 200)),
    "bits.png": (lambda path: halves(0, 1, "1").save(path), (0, 0, 0), WHITE),
    "palette.png": (lambda path: halves().quantize(4).save(path), RED, BLUE),
    "palette_transparent.png": (
        lambda path: halves().quantize(4).save(path, transparency=halves().quantize(4).getpixel((0, 0))), WHITE, BLUE,
    ),
    "grey_alpha.png": (lambda path: halves((60, 255), (60, 0), "LA").save(path), (60, 60, 60), WHITE),
    "alpha.png": (lambda path: halves((*RED, 255), (*BLUE, 0), "RGBA").save(path), RED, WHITE),
    "half_alpha.webp": (
        lambda path: halves((*RED, 255), (0, 0, 0, 128), "RGBA").save(path, lossless=True, exact=True),
        RED, (127, 127, 127),
    ),
    "grey_transparent.png": (lambda path: halves(60, 200, "L").save(path, transparency=60), WHITE, (200, 200, 200)),
    "cmyk.jpg": (lambda path: halves().convert("CMYK").save(path, quality=95), RED, BLUE),
    "deep.png": (lambda path: deep(60 * 257, 200 * 257).save(path), (60, 60, 60), (200, 200, 200)),
    "deep_and_dark.png": (lambda path: deep(40 * 257, 255).save(path), (40, 40, 40), (0, 0, 0)),
    "photo.jpg": (lambda path: halves(size=(1000, 500)).save(path, quality=95), RED, BLUE),
    "bitmap.bmp": (lambda path: halves().save(path), RED, BLUE),
    "tagged.tif": (lambda path: halves().save(path), RED, BLUE),
    "stereo.mpo": (
        lambda path: halves().save(path, save_all=True, append_images=[halves(BLUE, RED)], quality=95), RED, BLUE,
    ),
    "wavelets.jp2": (lambda path: halves().save(path), RED, BLUE),
    "plain.ppm": (lambda path: halves().save(path), RED, BLUE),
    "icon.ico": (lambda path: halves(size=(32, 32)).save(path, sizes=[(32, 32)]), RED, BLUE),
    "modern.avif": (lambda path: halves(size=(64, 64)).save(path, quality=95), RED, BLUE),
    "animated.gif": (
        lambda path: halves().save(path, save_all=True, append_images=[halves(BLUE, RED), halves(WHITE, RED)]),
        RED, BLUE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_picture_becomes_rgb(name: str, folder: Folder, root: Path) -> None:
    write, left, right = KINDS[name]
    if name == "modern.avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    write(root / "cat" / name)
    data = folder(root)
    data.setup()
    (seen,) = [image for image in _training_pictures(data) if _is(image, left, right)]
    assert seen.shape == (3, SIZE, SIZE)
    assert seen.dtype == torch.uint8


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_pictures_are_turned_as_the_camera_says(orientation: int, folder: Folder, root: Path) -> None:
    upright = halves((240, 240, 10), (10, 240, 240), size=(64, 64))
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright.transpose(turn).save(root / "cat" / "turned.jpg", exif=exif, quality=95)
    data = folder(root)
    assert [image for image in _training_pictures(data) if _is(image, (240, 240, 10), (10, 240, 240))]


def _training_pictures(data: ImageFolder) -> Tensor:
    return torch.cat([data.splits[split][0][:] for split in ("train", "val", "test")])


def _is(image: Tensor, left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    # Away from the seam, which resizing blurs; JPEG may be off by a few levels.
    seen = torch.cat([image[:, :, 1].int().flatten(), image[:, :, -2].int().flatten()])
    wanted = torch.cat([torch.tensor(colour).repeat_interleave(SIZE) for colour in (left, right)])
    return bool((seen - wanted).abs().max() <= 12)


# What is wrong with a file or a folder is told.


def spoil(root: Path, kind: str) -> Path:
    """Puts a file that is no usable picture among the cats."""
    path = root / "cat" / f"{kind}.jpg"
    if kind == "text":
        path.write_text("I am no picture")
    elif kind == "empty":
        path.touch()
    elif kind == "truncated":
        halves(size=(400, 400)).save(path)
        path.write_bytes(path.read_bytes()[:-400])
    elif kind == "bomb":
        halves(size=(300, 300)).save(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind.startswith("hei"):
        # The box that such a file begins with: its length, the brand, a version and compatible brands.
        path.write_bytes(b"\0\0\0\x18ftyp" + BRANDS[kind] + b"\0\0\0\0mif1heic" + bytes(200))
    else:
        path.symlink_to(root / "nowhere.jpg")
    return path


BRANDS = {"heic": b"heic", "heix": b"heix", "heif": b"mif1"}
BAD = {
    "text": "is no image that can be read; expected PNG, JPEG or the like",
    "empty": "is no image that can be read; expected PNG, JPEG or the like",
    "truncated": "is damaged: ",
    "bomb": "would unpack to an excessive size: ",
    "pipe": "is no regular file",
    **dict.fromkeys(BRANDS, "is a HEIC or HEIF picture, which cannot be read; convert it to JPEG first"),
    "link": "cannot be read: No such file or directory",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file_stops_or_is_skipped(kind: str, folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80_000)
    if kind == "truncated":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200_000)
    spoil(root, kind)
    with pytest.raises(DataError) as told:
        folder(root).setup()
    first, reason, advice = str(told.value).splitlines()
    assert first == f"1 of 21 files of {root} cannot be used:"
    assert reason.startswith(f"  cat/{kind}.jpg {BAD[kind]}")
    assert advice == "mend or remove them; --data.on_bad_file skip leaves them out"
    assert sum(len(labels) for _, labels in folder(root, on_bad_file="skip").splits.values()) == 20


def test_no_program_is_started_for_a_file_in_disguise(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []

    def start(command: object, *_: object, **__: object) -> None:
        started.append(command)
        raise OSError("started")

    halves().save(root / "cat" / "evil.jpg", "EPS")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", "gs")
    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(DataError, match=r"cat/evil\.jpg is no image that can be read"):
        folder(root).setup()
    assert started == []


def test_many_bad_files_are_told_briefly(folder: Folder, root: Path) -> None:
    for number in range(25):
        (root / "dog" / f"note{number:02d}.txt").write_text("woof")
    with pytest.raises(DataError) as told:
        folder(root).setup()
    lines = str(told.value).splitlines()
    assert lines[0] == f"25 of 45 files of {root} cannot be used:"
    assert lines[1].startswith("  dog/note00.txt ")
    assert lines[-2] == "  and 15 more"
    assert len(lines) == 13


def test_names_that_no_terminal_shows_are_escaped(folder: Folder, root: Path) -> None:
    (root / "dog" / "two\nlines.png").write_text("woof")
    (root / "dog" / os.fsdecode(b"latin\xe4.png")).write_text("woof")
    with pytest.raises(DataError) as told:
        folder(root).setup()
    assert r"latin\udce4.png is no image" in str(told.value)
    assert r"two\nlines.png is no image" in str(told.value)
    str(told.value).encode()


def test_skipped_files_are_named(folder: Folder, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    spoil(root, "text")
    folder(root, on_bad_file="skip").setup()
    assert "1 of 21 files" in caplog.text
    assert "cat/text.jpg is no image" in caplog.text


def test_mended_file_is_all_that_is_decoded_again(folder: Folder, root: Path, decoded: list[str]) -> None:
    path = spoil(root, "text")
    with pytest.raises(DataError):
        folder(root).setup()
    with pytest.raises(DataError):
        folder(root).setup()
    assert len(decoded) == 21
    halves().save(path)
    data = folder(root)
    assert [image for image in _training_pictures(data) if _is(image, RED, BLUE)]
    assert decoded[21:] == ["text.jpg"]
    path.unlink()
    assert sorted(numbers(folder(root))) == [*range(10), *range(1000, 1010)]
    assert len(decoded) == 22


def test_picture_in_two_classes_is_refused_or_left_out(folder: Folder, root: Path) -> None:
    paint(root / "dog" / "a cat.png", 3)
    with pytest.raises(DataError, match=r"cat/3\.png is the same picture as dog/a cat\.png of another class"):
        folder(root).setup()
    data = folder(root, on_bad_file="skip")
    assert 3 not in numbers(data)
    assert data.source["images"] == "19"


def test_pictures_in_two_given_splits_are_kept_with_a_warning(
    folder: Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = fill(tmp_path / "x", train_cat=3, train_dog=4, val_cat=2, val_dog=1, test_cat=1, test_dog=2)
    paint(root / "test" / "dog" / "leak.png", 1000)
    data = folder(root)
    assert 1000 in numbers(data, "test")
    assert 1000 in numbers(data, "train")
    assert "test/dog/leak.png is the same picture as train/dog/0.png of another split" in caplog.text


REFUSED: dict[str, tuple[dict[str, int], str]] = {
    "nothing": ({}, "x holds no folders; expected one folder a class, or train, val and test"),
    "one class": ({"cat": 5}, "x holds one class only, cat; expected at least two"),
    "one level too high": ({"pets_cat": 5, "pets_dog": 5}, r"only, pets; .*; did you mean --data\.root \S+/x/pets\?"),
    "empty class": ({"cat": 5, "dog": 0}, "x/dog holds no pictures; put some there, or delete the folder"),
    "too few": ({"cat": 5, "dog": 2}, "x has 2 different pictures of dog, too few to be split; expected at least 3"),
    "no train": ({"val_cat": 5, "test_cat": 5}, "x holds test and val, but no train; add it, or rename them"),
    "no classes": ({"train": 5, "val": 5}, "x/train holds no folders; expected one folder a class"),
    "one class in train": ({"train_cat": 5, "val_cat": 5}, "x/train holds one class only, cat"),
    "other classes": (
        {"train_cat": 5, "train_dog": 5, "val_cat": 5, "val_Dog": 5},
        "x/val holds Dog, but .*x/train holds cat, dog; expected the same classes in both",
    ),
    "empty split": ({"train_cat": 5, "train_dog": 5, "val_cat": 0}, "x/val holds no pictures"),
    "other names": (
        {"train_cat": 5, "train_dog": 5, "valid_cat": 5},
        "x holds train, valid; expected folders named train, val and test alone, or one folder a class",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unfit_folder_is_refused(case: str, folder: Folder, tmp_path: Path) -> None:
    counts, told = REFUSED[case]
    (tmp_path / "x").mkdir()
    with pytest.raises(DataError, match=told) as error:
        folder(fill(tmp_path / "x", **counts)).setup()
    assert "\n" not in str(error.value)


def test_class_may_be_absent_from_validation(folder: Folder, tmp_path: Path) -> None:
    root = fill(tmp_path / "x", train_cat=3, train_dog=4, val_dog=1, test_cat=0, test_dog=2)
    assert folder(root).splits["val"][1].tolist() == [1]


def test_class_of_bad_files_only_is_refused(folder: Folder, tmp_path: Path) -> None:
    root = fill(tmp_path / "x", cat=5, dog=5, emu=0)
    (root / "emu" / "text.png").write_text("emu")
    with pytest.raises(DataError, match="x has no picture left to train emu on; expected some of every class"):
        folder(root, on_bad_file="skip").setup()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"image_size": 0}, "image_size is 0, expected at least 1"),
        ({"val_size": 0.5, "test_size": 0.5}, "expected shares that leave some for training"),
        ({"val_size": 20}, "val_size 20 and test_size 0.15; expected shares"),
        ({"on_bad_file": "ignore"}, "on_bad_file is 'ignore'; there are stop, skip"),
    ],
)
def test_unfit_settings_are_refused(folder: Folder, root: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=re.escape(told)):
        folder(root, **options)


def test_pictures_of_a_split_without_class_folders_are_told(folder: Folder, tmp_path: Path) -> None:
    root = fill(tmp_path / "x", train_cat=5, train_dog=5, test=2)
    with pytest.raises(
        DataError, match=r"x/test holds 0\.png, 1\.png, .*; expected one folder a class, as in .*x/train"
    ):
        folder(root)


def test_home_folder_is_put_in_place_of_a_tilde(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    data = ImageFolder("~/photos", image_size=SIZE, cache="~/cache")
    data.setup()
    assert (data.root, data.cache) == (root, tmp_path / "cache")
    for place, cache in (("~no-such-user/x", None), (str(root), "~no-such-user/x")):
        with pytest.raises(DataError, match="~no-such-user/x, but there is no such home folder"):
            ImageFolder(place, cache=cache)


def test_missing_folder_is_told(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none does not exist; .* name it with --data\.root DIR"):
        folder(tmp_path / "none")
    with pytest.raises(DataError, match=r"none; scripts/things\.py builds it from Debian's packages"):
        Things(str(tmp_path / "none"))


# The cache.


def test_next_run_maps_and_never_decodes(folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = folder(root)
    first.setup()
    monkeypatch.setattr(pictures, "read_picture", lambda *_: pytest.fail("decoded again"))
    second = folder(root)
    assert torch.equal(second.splits["train"][0][:], first.splits["train"][0][:])
    batches = list(second.train_dataloader())
    assert sum(len(images) for images, _ in batches) == len(second.splits["train"][0])


def test_cache_is_replaced_when_a_file_changes(folder: Folder, root: Path, tmp_path: Path, decoded: list[str]) -> None:
    folder(root).setup()
    path = paint(root / "cat" / "4.png", 99)
    os.utime(path, ns=(0, time.time_ns() + 10**9))
    data = folder(root)
    assert 99 in numbers(data)
    assert decoded[20:] == ["4.png"]
    kept = [path.suffix for path in (tmp_path / "cache").iterdir() if not path.name.startswith(".")]
    assert sorted(kept) == [".json", ".pixels"]


def test_broken_link_beside_cached_pictures_is_told(folder: Folder, root: Path, decoded: list[str]) -> None:
    folder(root).setup()
    spoil(root, "link")
    with pytest.raises(DataError, match=r"cat/link\.jpg cannot be read: No such file or directory"):
        folder(root).setup()
    assert sorted(numbers(folder(root, on_bad_file="skip"))) == [*range(10), *range(1000, 1010)]
    assert len(decoded) == 20


def test_cache_holds_every_size_apart(folder: Folder, root: Path, decoded: list[str]) -> None:
    assert folder(root, image_size=8).splits["val"][0].shape[2:] == (8, 8)
    assert folder(root, image_size=12).splits["val"][0].shape[2:] == (12, 12)
    folder(root, image_size=8).setup()
    assert len(decoded) == 40


@pytest.mark.parametrize("damage", ["shorter", "longer", "gone", "overwritten", "json", "other json", "emptied"])
def test_damaged_cache_is_built_again(
    damage: str, folder: Folder, root: Path, tmp_path: Path, decoded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = folder(root).splits["train"][0][:]
    (pixels,) = (tmp_path / "cache").glob("*.pixels")
    (told,) = (tmp_path / "cache").glob("*.json")
    if damage == "shorter":
        os.truncate(pixels, 100)
    elif damage == "longer":
        os.truncate(pixels, 10_000)
    elif damage == "gone":
        pixels.unlink()
    elif damage == "overwritten":
        pixels.write_bytes(bytes(pixels.stat().st_size))
    elif damage == "json":
        told.write_text(told.read_text()[:-10])
    elif damage == "other json":
        told.write_text(json.dumps(["cat"]))
    else:
        told.write_text("")
    assert torch.equal(folder(root).splits["train"][0][:], before)
    assert len(decoded) == 40
    assert "is damaged" in caplog.text


def test_interrupted_writing_leaves_nothing(
    folder: Folder, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path, size: int, channels: int) -> Tensor:
        if path.name == "5.png":
            raise KeyboardInterrupt
        return torch.zeros(channels, size, size, dtype=torch.uint8)

    with monkeypatch.context() as patch:
        patch.setattr(pictures, "read_picture", interrupt)
        with pytest.raises(KeyboardInterrupt):
            folder(root).setup()
    assert [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []
    assert len(folder(root).splits["train"][0]) == 12


def test_cache_that_cannot_be_written_says_what_to_do(folder: Folder, root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot keep decoded pictures in .*; name a folder with --data\.cache DIR"):
        folder(root, cache=str(tmp_path / "file" / "cache")).setup()


def test_cache_lies_in_the_users_cache_folder(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    ImageFolder(str(root), image_size=SIZE).setup()
    assert len(list((tmp_path / "mine" / "lightning-zoo").glob("*.pixels"))) == 1


def test_folder_of_pictures_is_only_read(folder: Folder, root: Path) -> None:
    before = sorted(root.rglob("*"))
    for path in (root, root / "cat", root / "dog"):
        path.chmod(0o555)
    folder(root).setup()
    assert sorted(root.rglob("*")) == before
    for path in (root, root / "cat", root / "dog"):
        path.chmod(0o755)


RACE = """
import sys, time
from pathlib import Path
from datamodules.vision import pictures
log, root, cache = map(Path, sys.argv[1:])
read = pictures.read_picture
def slow(path, size, channels):
    with log.open("a") as file:
        file.write(path.name + "\\n")
    time.sleep(0.02)
    return read(path, size, channels)
pictures.read_picture = slow
names = [str(path.relative_to(root)) for path in sorted(root.rglob("*.png"))]
print("ready", flush=True)
sys.stdin.readline()
print(pictures.read_pictures(root, names, 8, cache).pixels.sum().item())
"""


@pytest.mark.slow
def test_processes_that_race_decode_once(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RACE, *map(str, (tmp_path / "log", root, tmp_path / "cache"))]
    racers = [
        subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    seen = [racer.communicate(timeout=60)[0] for racer in racers]
    assert seen[0] == seen[1] != ""
    assert len((tmp_path / "log").read_text().splitlines()) == 20


GROWTH = """
import sys
from pathlib import Path
from datamodules import ImageFolder

def own_memory():  # bytes that are not mapped from files
    return 1024 * int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0])

def epoch():
    data = ImageFolder(sys.argv[1], image_size=700, batch_size=2, cache=sys.argv[2])
    assert len(data.splits["train"][0]) == 44
    return max(own_memory() for images, _ in data.train_dataloader() if images.sum() > 0)

epoch()  # decodes, and makes what is made once in a process
before = own_memory()
print(epoch() - before)
"""


@pytest.mark.slow
def test_pixels_stay_on_disk(tmp_path: Path) -> None:
    root = fill(tmp_path / "x", cat=30, dog=30)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # In a process of its own: what other tests have freed would be counted here when it is used again.
    command = [sys.executable, "-c", GROWTH, str(root), str(tmp_path / "cache")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) < 30 * 3 * 700 * 700, "half of the 60 pictures are in memory, though batches have two"


# How the rest of the zoo sees it.


def test_rows_take_other_tensors(folder: Folder, root: Path) -> None:
    """A frozen backbone's features replace the pictures in the loader."""
    data = folder(root)
    loader = data.train_dataloader()
    rows = loader.dataset
    assert isinstance(rows, Rows)
    images, labels = rows.tensors
    seen = torch.cat([portion.float().mean((2, 3)) for portion in images.split(5)])
    assert torch.equal(seen, images[:].float().mean((2, 3)))
    assert len(images) == images.shape[0] == len(labels)
    assert (images.ndim, images.dtype) == (4, torch.uint8)
    rows.tensors = (seen, labels)
    for means, _ in loader:
        assert means.shape[1:] == (3,)


def test_source_names_folder_and_contents(folder: Folder, root: Path) -> None:
    source = folder(root).source
    assert source["name"] == "photos"
    assert source["images"] == "20"
    assert source["licence"]
    paint(root / "cat" / "0.png", 98)
    assert folder(root).source != source


@pytest.mark.skipif(not (ROOT / "data" / "things8").is_dir(), reason="scripts/things.py was not run")
def test_things_are_all_there(tmp_path: Path) -> None:
    data = Things(str(ROOT / "data" / "things8"), image_size=16, cache=str(tmp_path))
    assert {split: len(labels) for split, (_, labels) in data.splits.items()} == {"train": 450, "val": 85, "test": 143}
    assert data.num_classes == 8
    assert "GPL-2" in data.source["licence"]


def test_shapes_do_not_depend_on_machine_or_size_of_other_splits() -> None:
    few = Shapes(train_size=50, val_size=6, test_size=6).splits
    more = Shapes(train_size=7, val_size=30, test_size=6).splits
    assert torch.equal(few["test"][0], more["test"][0])
    assert not torch.equal(few["test"][0], Shapes(train_size=7, val_size=6, test_size=6, seed=1).splits["test"][0])
    digest = hashlib.sha256(few["test"][0].numpy().tobytes()).hexdigest()
    assert digest.startswith("26556ba1da83b267")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"image_size": 8}, "image_size is 8, expected at least 16"),
        ({"val_size": 3}, "val_size is 3, expected at least"),
    ],
)
def test_shapes_refuse_what_cannot_be_drawn(options: dict[str, int], told: str) -> None:
    with pytest.raises(DataError, match=told):
        Shapes(**options)


def test_refused_folder_leaves_no_run(tmp_path: Path, zoo_command: Zoo) -> None:
    root = fill(tmp_path / "photos", cat=10, dog=10)
    (root / "cat" / "text.jpg").write_text("no picture")
    arguments = ["fit", "mobilenetv2_folder", "--data.root", root, "--data.image_size=32", "--trainer.max_epochs=1"]
    code, _, err = zoo_command(*arguments)
    assert code == 2
    assert "1 of 21 files" in err
    assert "--data.on_bad_file skip" in err
    assert not (tmp_path / "runs").exists()


def test_published_weights_show_nobody_s_photos(root: Path, folder: Folder) -> None:
    data = folder(root)
    data.setup()
    golden = CNN(in_channels=3, image_size=SIZE, num_classes=2).golden(data)["input"]
    photos = data.splits["test"][0][:]
    assert golden.shape[1:] == photos.shape[1:]
    assert golden.dtype == torch.uint8
    assert not any(torch.equal(image, photo) for image in golden for photo in photos)
