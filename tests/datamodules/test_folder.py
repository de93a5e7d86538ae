"""Folders of pictures: what their layout says, honest splits, and what is wrong is told by name."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, Zoo
from torch import Tensor

from datamodules import ImageFolder, Things
from datamodules.errors import DataError
from datamodules.memory import Rows
from zoo.vision.cnn import CNN

from .photos import SIZE, Folder, fill, numbers, paint

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


# What is wrong with a folder is told.


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
    "twins": (
        {"train_cat": 5, "train_dog": 5, "val_cat": 5, "valid_cat": 5},
        "x holds val and valid, which mean the same; expected one folder called val: join them, or move one elsewhere",
    ),
    "seeming splits": (
        {"train1_cat": 5, "train1_dog": 5, "test1_cat": 5},
        "x holds train1, test1, which are called like splits",
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


def test_class_whose_name_is_no_text_is_refused(folder: Folder, tmp_path: Path) -> None:
    root = fill(tmp_path / "x", cat=3, dog=3)
    try:
        (root / "dog").rename(os.fsdecode(os.fsencode(root) + b"/d\xf6g"))
    except OSError:
        pytest.skip("this file system takes names of UTF-8 only")
    with pytest.raises(DataError, match=r"holds a folder called 'd\\udcf6g', which is no UTF-8; rename it"):
        folder(root)


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


@pytest.mark.parametrize(
    ("beside", "left"),
    [
        ({"test": 2}, "test/"),
        ({"test1_cat": 2, "test1_dog": 2}, "test1/"),
        ({"holdout": 2}, "holdout/"),
        ({"unlabelled": 3}, "unlabelled/"),
        ({"test_images": 3}, "test_images/"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
@pytest.mark.parametrize("training", ["train", "Training", "TRAIN"])
def test_what_lies_beside_splits_is_told_and_never_a_class(
    training: str, beside: dict[str, int], left: str, folder: Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "x"
    fill(root / training, cat=5, dog=5)
    for start, (name, count) in enumerate(beside.items(), start=50):
        for number in range(count):
            paint(root / name.replace("test1_", "test1/") / f"{number}.png", 1000 * start + number)
    data = folder(root)
    assert data.classes == ["cat", "dog"]
    assert sorted(numbers(data)) == [*range(5), *range(1000, 1005)]
    assert f"reads {training} and leaves alone {left}" in caplog.text


@pytest.mark.parametrize("validation", ["val", "Valid", "validation", "dev"])
def test_splits_go_by_their_usual_names(validation: str, folder: Folder, tmp_path: Path) -> None:
    root = tmp_path / "x"
    fill(root / "Train", cat=5, dog=5)
    fill(root / validation, owl=0, cat=2, dog=2)
    (root / validation / "owl").rmdir()
    data = folder(root)
    assert len(data.splits["val"][1]) == 4
    assert sorted(numbers(data, "val")) == [1000, 1001, 2000, 2001]


def test_names_with_numbers_are_counted(folder: Folder, tmp_path: Path) -> None:
    assert folder(fill(tmp_path / "x", **{"10": 3, "2": 3, "1": 3})).classes == ["1", "2", "10"]


def test_classes_that_differ_in_case_are_told(folder: Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert folder(fill(tmp_path / "x", Cat=3, cat=3)).classes == ["Cat", "cat"]
    assert "Cat and cat, whose names differ in little" in caplog.text


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


def test_validation_pictures_can_be_trained_on(folder: Folder, tmp_path: Path) -> None:
    root = fill(tmp_path / "x", ape=20, bee=40)
    apart, known = folder(root), folder(root, fit_on="known")
    assert set(known.splits) == {"train", "test"}
    assert len(known.splits["train"][0]) == len(apart.splits["train"][0]) + len(apart.splits["val"][0])
    assert known.checksums()["test"] == apart.checksums()["test"]
    with pytest.raises(DataError, match="fit_on is 'all'; there are train, known"):
        folder(root, fit_on="all")
