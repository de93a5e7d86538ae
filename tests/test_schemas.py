"""Cards and results that say odd things are one line each, whoever reads them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Zoo
from damage import damage_file

import zoo
from zoo import registry, weights

SHA = "0" * 64
ODD: dict[str, Any] = {
    "a number for the model": {"model": 5},
    "no arguments": {"model": {"class_path": "zoo.vision.CNN"}},
    "a list of arguments": {"model": {"class_path": "zoo.vision.CNN", "init_args": []}},
    "a class that is no text": {"model": {"class_path": 3, "init_args": {}}},
    "negative bytes": {"bytes": -1},
    "parameters as text": {"parameters": "many"},
    "true parameters": {"parameters": True},
    "a short checksum": {"sha256": "abc"},
    "a checksum of numbers": {"sha256": 12},
    "a short checksum of golden tensors": {"sha256_golden": "abc"},
    "borrows a list": {"borrows": []},
    "borrows a name alone": {"borrows": {"network.": "cnn_digits"}},
    "borrows without a checksum": {"borrows": {"network.": {"from": "cnn_digits"}}},
    "borrows from a number": {"borrows": {"network.": {"from": 1, "sha256": SHA}}},
    "another figure than there is": {"metric": "beauty"},
    "figures as text": {"metrics": {"accuracy": "good"}},
    "figures in a list": {"metrics": [0.9]},
    "classes by number": {"classes": {"0": "a"}},
    "numbers for classes": {"classes": [1, 2]},
    "data as text": {"data": "digits"},
    "data with odd checksums": {"data": {"checksums": {"train": 1}}},
    "a curve of text": {"curve": {"steps": ["a"]}},
    "another dtype": {"dtype": "float8"},
    "a family that is a list": {"family": []},
}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return shutil.copytree(registry.CHECKPOINTS / "cnn_digits", tmp_path / "published" / "cnn_digits")


@pytest.mark.parametrize("name", ODD)
def test_odd_card_is_one_line(name: str, published: Path, zoo_command: Zoo) -> None:
    card = json.loads((published / "card.json").read_text())
    (published / "card.json").write_text(json.dumps(card | ODD[name]))
    with pytest.raises(zoo.ZooError, match=r"card\.json is damaged: .*; fetch it again"):
        zoo.load(published)
    code, _, error = zoo_command("classify", published, ROOT / "docs" / "heat.png")
    assert code == 2
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("content", ["", "[]", "5", "{", "null", '"card"', "[" * 100_000, "\ufeff{}", "{}"])
def test_card_that_is_none_is_one_line(content: str, published: Path) -> None:
    (published / "card.json").write_text(content, encoding="utf-8")
    with pytest.raises(zoo.ZooError, match=r"card\.json is damaged: .*; fetch it again"):
        zoo.load(published)


def test_card_of_bytes_is_one_line(published: Path) -> None:
    (published / "card.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(zoo.ZooError, match=r"card\.json is damaged"):
        zoo.load(published)


@pytest.mark.parametrize("damage", ["shorter", "longer", "gone", "another byte"])
def test_damaged_golden_tensors_are_told(damage: str, published: Path) -> None:
    damage_file(published / "golden.safetensors", damage)
    with pytest.raises(zoo.ZooError, match=r"golden\.safetensors"):
        weights.load_golden(published)


@pytest.mark.parametrize("name", registry.list_models(pretrained=True))
def test_card_vouches_for_weights_and_golden_tensors(name: str) -> None:
    assert {"sha256", "sha256_golden"} <= zoo.card(name).keys()
    assert weights.load_golden(registry.CHECKPOINTS / name)
