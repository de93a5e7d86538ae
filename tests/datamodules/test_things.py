"""``scripts/things.py``, on packages in miniature."""

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, ImageOps

STAMPS, CLIP_ART = Path("usr/share/tuxpaint/stamps"), Path("usr/share/openclipart/png")


@pytest.fixture(scope="module")
def things() -> ModuleType:
    spec = importlib.util.spec_from_file_location("things", ROOT / "scripts" / "things.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scribble(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A picture that is like no other."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Both packages: thirty scribbles, and a bird that is in them three times."""
    root = tmp_path / "root"
    (root / CLIP_ART / "animals/birds/deep").mkdir(parents=True)
    (root / STAMPS / "animals/birds").mkdir(parents=True)
    (root / STAMPS / "town/houses").mkdir(parents=True)
    for seed in range(30):
        scribble(seed).save(root / STAMPS / f"town/houses/house{seed}.png")
    bird = scribble(100)
    bird.save(root / STAMPS / "animals/birds/bird.png")
    ImageOps.mirror(bird).save(root / CLIP_ART / "animals/birds/mirrored.png")
    bird.point(lambda value: value // 2 + 20).save(root / CLIP_ART / "animals/birds/deep/dark.png")
    (root / CLIP_ART / "animals/birds/README").write_text("no picture")
    return root


def run(things: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["things.py", *map(str, arguments)])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    return things.main()


def test_every_picture_becomes_a_square_jpeg_in_one_split(
    things: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, packages: Path
) -> None:
    out = tmp_path / "data" / "things"
    assert run(things, monkeypatch, "--from", packages, "--to", out, "--any-version") == 0
    rows = list(csv.DictReader((out / "manifest.csv").open(newline="")))
    files = {path.relative_to(out) for path in out.rglob("*.jpg")}
    assert files == {
        Path(row["split"], row["class"], f"{row['source']}_{number:04d}_{Path(row['path']).stem}.jpg")
        for number, row in enumerate(rows)
    }
    assert len(files) == 33
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    assert {Image.open(out / file).size for file in files} == {(224, 224)}
    assert list(out.parent.iterdir()) == [out], "nothing is left beside it"


def test_pictures_nearly_alike_stay_together(
    things: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, packages: Path
) -> None:
    assert run(things, monkeypatch, "--from", packages, "--to", tmp_path / "things", "--any-version") == 0
    rows = list(csv.DictReader((tmp_path / "things" / "manifest.csv").open(newline="")))
    birds = [row for row in rows if row["class"] == "bird"]
    assert len(birds) == 3
    assert {row["group"] for row in birds} == {"0"}
    assert len({row["split"] for row in birds}) == 1
    assert len({row["group"] for row in rows}) == 31


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(things: ModuleType, tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 20, 40))
    if mode == "P":
        picture.quantize().save(tmp_path / "picture.png")
    else:
        picture.convert(mode).save(tmp_path / "picture.png")
    square = np.asarray(things.read_square(tmp_path / "picture.png"))
    assert square[:, :100].max() == 0
    assert square[:, 124:].min() == 255


@pytest.mark.parametrize("size", [(300, 1200), (1200, 300)])
def test_a_few_rows_at_a_time_give_the_pixels_of_the_whole(
    things: ModuleType, tmp_path: Path, size: tuple[int, int]
) -> None:
    picture = scribble(0, size)
    picture.save(tmp_path / "picture.png")
    padded = Image.new("RGB", (1200, 1200), "white")
    padded.paste(picture, ((1200 - size[0]) // 2, (1200 - size[1]) // 2))
    expected = padded.resize((224, 224), Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(things.read_square(tmp_path / "picture.png")), np.asarray(expected))


def test_what_is_missing_or_in_the_way_is_told_in_one_line(
    things: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    packages: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments, told in (
        (["--from", tmp_path / "none"], "sudo apt-get install tuxpaint-stamps-default openclipart-png"),
        (["--from", packages], "found 33 pictures that are not the 678 of tuxpaint-stamps-default 2022.06.04-1"),
        (["--to", packages], f"{packages} exists"),
    ):
        before = sorted(tmp_path.rglob("*"))
        assert run(things, monkeypatch, "--to", tmp_path / "things", *arguments) == 2
        error = capsys.readouterr().err
        assert told in error
        assert len(error.splitlines()) == 1
        assert sorted(tmp_path.rglob("*")) == before
