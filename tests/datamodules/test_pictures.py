"""Files of pictures: every kind becomes RGB, turned as the camera says, and what cannot be read is told by name."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import EpsImagePlugin, Image, features
from torch import Tensor

from datamodules import ImageFolder
from datamodules.errors import DataError
from datamodules.vision import pictures

from .photos import BLUE, BRANDS, RED, SIZE, WHITE, Folder, halves, numbers, spoil


def deep(left: int, right: int) -> Image.Image:
    """The same in 16-bit grey, which Pillow cannot paste into."""
    return Image.fromarray(np.repeat([[left] * 20 + [right] * 20], 20, axis=0).astype(np.uint16))


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
    "deep_and_dark.png": (lambda path: deep(255 * 257, 255).save(path), (255, 255, 255), (1, 1, 1)),
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


# What is wrong with a file is told.


BAD = {
    "text": "is no image that can be read; expected PNG, JPEG or the like",
    "empty": "is no image that can be read; expected PNG, JPEG or the like",
    "truncated": "is damaged: ",
    "bomb": "would unpack to an excessive size: ",
    "pipe": "is no regular file",
    **dict.fromkeys(BRANDS, "is a HEIC or HEIF picture, which needs pillow-heif; install it with: "),
    "link": "cannot be read: No such file or directory",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file_stops_or_is_skipped(kind: str, folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80_000)
    monkeypatch.setattr(pictures, "_formats", lambda: pictures._FORMATS)  # as if pillow-heif were not installed
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


def test_heic_is_read_where_its_package_is(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    path = tmp_path / "phone.heic"
    heif.from_pillow(halves(size=(64, 64))).save(path, quality=95)
    seen = pictures.read_picture(path, SIZE, 3)
    assert _is(seen, RED, BLUE)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="is damaged"):
        pictures.read_picture(path, SIZE, 3)


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
