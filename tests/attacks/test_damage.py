"""Files that a failing disk, a broken download or a hasty editor has changed: told, or made anew."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from PIL import Image

import zoo
from datamodules import Corpus, ImageFolder
from datamodules.errors import UserError
from zoo import registry, weights
from zoo.registry import read_results

from .conftest import Attack

FORMER = ROOT / "tests" / "former"


def damage(content: bytes, chance: random.Random) -> bytes:
    """Changes some bytes in a way that disks, networks and people have."""
    at, length = chance.randrange(len(content)), chance.choice([1, 1, 16, 512, 4096])
    before, part, after = content[:at], content[at : at + length], content[at + length :]
    return {
        "a bit": before + bytes([part[0] ^ 1 << chance.randrange(8)]) + part[1:] + after,
        "zeros": before + bytes(len(part)) + after,
        "noise": before + chance.randbytes(len(part)) + after,
        "lost": before + after,
        "twice": before + part + part + after,
        "cut": before,
        "longer": content + chance.randbytes(length),
        "empty": b"",
    }[chance.choice(["a bit"] * 4 + ["zeros", "noise", "lost", "twice", "cut", "cut", "longer", "empty"])]


def damaged(path: Path, whole: bytes, chance: random.Random) -> bool:
    """Damages a file; whether it is another now."""
    content = damage(whole, chance)
    path.write_bytes(content)
    return content != whole


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_damaged_checkpoints_are_told(attack: Attack, tmp_path: Path, name: str) -> None:
    whole = (FORMER / "vision" / "run" / "checkpoints" / name).read_bytes()
    path = tmp_path / name

    def attempt(chance: random.Random) -> str | None:
        if not damaged(path, whole, chance):
            return None
        try:
            zoo.load(path)
        except UserError:
            return None
        return "it was loaded"

    attack("damaged checkpoints", 40, 0.4, attempt)


@pytest.mark.parametrize("name", ["model.safetensors", "golden.safetensors"])
def test_damaged_weights_are_told(attack: Attack, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(FORMER / "vision" / "published", tmp_path / "published")
    # As it is published today, the card vouches for the golden tensors, too.
    model = zoo.load(folder)
    weights.save(model, folder, registry.read_card(folder), {"input": model.example_input()})
    whole = (folder / name).read_bytes()

    def attempt(chance: random.Random) -> str | None:
        if not damaged(folder / name, whole, chance):
            return None
        try:
            if name == "model.safetensors":
                zoo.load(folder)
            else:
                weights.load_golden(folder)
        except UserError:
            return None
        return "it was loaded"

    attack("damaged weights", 20, 0.2, attempt)


@pytest.mark.parametrize("name", ["card.json", "results.json"])
def test_damaged_facts_are_told_or_still_right(attack: Attack, tmp_path: Path, name: str) -> None:
    kind = "published" if name == "card.json" else "run"
    folder = shutil.copytree(FORMER / "series" / kind, tmp_path / kind)
    whole = (folder / name).read_bytes()

    def attempt(chance: random.Random) -> str | None:
        damaged(folder / name, whole, chance)
        try:
            found = registry.read_card(folder) if name == "card.json" else read_results(folder)
        except UserError as error:
            return None if name in str(error) else f"it was told without the file's name: {error}"
        # A figure of a text has no checksum; what is read has at least the form that it should have.
        return None if found.keys() <= json.loads((folder / name).read_text(encoding="utf-8")).keys() else "odd facts"

    attack("damaged facts", 30, 0.3, attempt)


def test_damaged_token_ids_are_made_anew(attack: Attack, tmp_path: Path) -> None:
    text = tmp_path / "tale.txt"
    text.write_text("".join(f"the {number} of {number % 7} went on\n" for number in range(900)))

    def read() -> tuple[torch.Tensor, str]:
        tokens = Corpus(str(text), cache=str(tmp_path / "cache")).tokens
        return torch.cat([ids.clone() for ids in tokens.ids.values()]), tokens.tokenizer.json

    ids, tokenizer = read()
    (folder,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    files = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def attempt(chance: random.Random) -> str | None:
        path = chance.choice(sorted(files))
        damaged(path, files[path], chance)
        found, again = read()
        shutil.rmtree(folder)
        folder.mkdir()
        for path, content in files.items():
            path.write_bytes(content)
        return None if torch.equal(found, ids) and again == tokenizer else f"{path.name} was taken as whole"

    attack("damaged caches", 20, 0.2, attempt)


def test_damaged_pictures_are_decoded_anew(attack: Attack, tmp_path: Path) -> None:
    root, cache = tmp_path / "photos", tmp_path / "cache"
    chance = random.Random(0)
    for kind in ("cat", "dog"):
        for number in range(6):
            path = root / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.frombytes("RGB", (8, 8), chance.randbytes(8 * 8 * 3)).save(path)

    def read() -> torch.Tensor:
        data = ImageFolder(str(root), image_size=8, cache=str(cache))
        return torch.cat([data.splits[split][0][:].clone() for split in ("train", "val", "test")])

    pictures = read()
    files = {path: path.read_bytes() for path in cache.iterdir() if path.suffix in (".json", ".pixels")}

    def attempt(chance: random.Random) -> str | None:
        path = chance.choice(sorted(files))
        damaged(path, files[path], chance)
        found = read()
        shutil.rmtree(cache)
        cache.mkdir()
        for one, content in files.items():
            one.write_bytes(content)
        return None if torch.equal(found, pictures) else f"{path.name} was taken as whole"

    attack("damaged caches", 20, 0.2, attempt)
