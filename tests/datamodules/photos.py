"""Folders of small pictures as people have them, and what spoils them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from datamodules import ImageFolder

RED, BLUE, WHITE = (230, 20, 20), (20, 20, 230), (255, 255, 255)
SIZE = 8


def halves(left: Any = RED, right: Any = BLUE, mode: str = "RGB", size: tuple[int, int] = (40, 20)) -> Image.Image:
    """A picture whose left half has one colour and whose right half has another."""
    picture = Image.new(mode, size, left)
    picture.paste(right, (size[0] // 2, 0, *size))
    return picture


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


Folder = Callable[..., ImageFolder]


def numbers(data: ImageFolder, *splits: str) -> list[int]:
    """Which pictures a split holds, or all do: the numbers that :func:`paint` was given."""
    images = torch.cat([data.splits[split][0][:] for split in splits or data.splits])
    return (images[:, 0, 0, 0].int() + 256 * images[:, 1, 0, 0].int()).tolist()


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
        halves(size=(300, 300)).save(path, "PNG")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind.startswith("hei"):
        # The box that such a file begins with: its length, the brand, a version and compatible brands.
        path.write_bytes(b"\0\0\0\x18ftyp" + BRANDS[kind] + b"\0\0\0\0mif1heic" + bytes(200))
    else:
        path.symlink_to(root / "nowhere.jpg")
    return path


BRANDS = {"heic": b"heic", "heix": b"heix", "heif": b"mif1"}
