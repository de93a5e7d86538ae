"""Decoded pictures on disk: made once, mapped after that, mended where damaged, shared by processes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from damage import damage_file
from torch import Tensor

from datamodules import ImageFolder
from datamodules.errors import DataError
from datamodules.vision import pictures

from .photos import SIZE, Folder, fill, numbers, paint, spoil


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


@pytest.mark.parametrize(
    "damage", ["shorter", "longer", "gone", "another byte", "overwritten", "told", "json", "other json", "emptied"]
)
def test_damaged_cache_is_built_again(
    damage: str, folder: Folder, root: Path, tmp_path: Path, decoded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = folder(root).splits["train"][0][:]
    (pixels,) = (tmp_path / "cache").glob("*.pixels")
    (told,) = (tmp_path / "cache").glob("*.json")
    if damage in ("shorter", "longer", "gone", "another byte"):
        damage_file(pixels, damage)
    elif damage == "told":
        damage_file(told, "another byte")
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
    def interrupt(path: Path, size: int, channels: int, *how: Any) -> Tensor:
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
def slow(path, *how):
    with log.open("a") as file:
        file.write(path.name + "\\n")
    time.sleep(0.02)
    return read(path, *how)
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
    return max(own_memory() for images, _ in data.train_dataloader() if images.max() > 0)

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
