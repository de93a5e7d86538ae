"""Pictures of more than eight bits: one scale for all of a folder, or a line; damage around good pixels is forgiven."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from datamodules import ImageFolder
from datamodules.errors import DataError
from datamodules.vision.pictures import read_picture
from zoo.vision import CNN

from .photos import BLUE, RED, SIZE, Folder, fill, halves, numbers

Values = np.ndarray


def flat(value: float, kind: str, size: int = 16) -> Values:
    return np.full((size, size), value, dtype=kind)


def deep_folder(root: Path, values: list[Values]) -> Path:
    """A folder of two classes of deep pictures, each of the values once a class; what is said of them differs."""
    for kind in range(2):
        for number, one in enumerate(values):
            path = root / "ab"[kind] / f"{number}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(one).save(path, description=str(path))
    return root


@pytest.mark.parametrize(
    ("kind", "greatest", "white"),
    [("uint16", 4000, 4095), ("uint16", 60000, 65535), ("uint16", 900, 1023), ("int32", 1000, 1023), ("float32", 1, 1)],
)
def test_all_of_a_folder_have_one_scale(
    kind: str, greatest: float, white: float, folder: Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shares = [0.25, 0.5, 0.75, 1.0]
    data = folder(deep_folder(tmp_path / "x", [flat(share * greatest, kind) for share in shares]))
    assert data.pixel_range == [0, white]
    assert f"0 is black and {white} white" in caplog.text
    seen = sorted(int(image[0, 4, 4]) for split in data.splits.values() for image in split[0][:])
    wanted = sorted(round(share * greatest / white * 255) for share in shares * 2)
    assert max(abs(one - other) for one, other in zip(seen, wanted, strict=True)) <= 1


@pytest.mark.parametrize(
    "values",
    [
        [flat(-5, "int32"), flat(900, "int32"), flat(3, "int32")],
        [flat(300.5, "float32"), flat(3.5, "float32"), flat(4.5, "float32")],
        [flat(0.01, "float32"), flat(0.02, "float32"), flat(0.03, "float32")],
        [flat(1 << 20, "int32")] * 3,
        [flat(3, "uint16"), flat(2, "uint16"), flat(1, "uint16")],
        [flat(0.5, "float32"), flat(400, "uint16"), flat(401, "uint16")],
    ],
    ids=["negative", "floating", "dark", "large", "labels", "mixed"],
)
def test_what_black_and_white_are_is_asked(values: list[Values], folder: Folder, tmp_path: Path) -> None:
    root = deep_folder(tmp_path / "x", values)
    with pytest.raises(DataError, match=r"--data\.pixel_range '\["):
        folder(root).setup()
    high = float(max(one.max() for one in values))
    assert folder(root, pixel_range=[-5.0, high]).pixel_range == [-5, high]


def test_what_is_not_finite_is_named(folder: Folder, tmp_path: Path) -> None:
    root = deep_folder(tmp_path / "x", [flat(share, "float32") for share in (0.2, 0.5, 1.0)])
    wrong = flat(0.5, "float32")
    wrong[3, :5] = np.nan
    Image.fromarray(wrong).save(root / "a" / "wrong.tif")
    with pytest.raises(DataError, match=r"a/wrong\.tif cannot be scaled: 5 of 256 values are NaN or infinite"):
        folder(root).setup()


def test_new_file_changes_the_scale_of_all(folder: Folder, tmp_path: Path) -> None:
    root = deep_folder(tmp_path / "x", [flat(share * 1000, "uint16") for share in (0.2, 0.5, 1.0)])
    assert folder(root).pixel_range == [0, 1023]
    Image.fromarray(flat(4000, "uint16")).save(root / "a" / "bright.tif")
    data = folder(root)
    assert data.pixel_range == [0, 4095]
    seen = [int(image[0, 4, 4]) for split in data.splits.values() for image in split[0][:]]
    assert sorted(seen)[-2] == round(1000 / 4095 * 255)


def test_range_without_deep_pictures_is_refused(folder: Folder, root: Path) -> None:
    with pytest.raises(DataError, match=r"for pictures of more than 8 bits, and .* holds none"):
        folder(root, pixel_range=[0.0, 4095.0]).setup()


def test_model_knows_the_scale_that_it_was_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = deep_folder(tmp_path / "x", [flat(share * 4000, "uint16") for share in (0.2, 0.5, 1.0)])
    data = ImageFolder(str(root), image_size=SIZE, cache=str(tmp_path / "cache"))
    model = zoo.fit("cnn_digits", data=data, trainer={"max_epochs": 1}).load()
    assert isinstance(model, CNN)
    assert list(model.pixel_range or ()) == [0, 4095]
    scan = tmp_path / "scan.tif"
    for value in (60000, 3000):
        Image.fromarray(flat(value, "uint16")).save(scan)
        if value > 4095:
            with pytest.raises(DataError, match=r"100% of them beyond the 0 \(black\) to 4095 \(white\) of the data"):
                model.probabilities(str(scan))
        else:
            as_eight_bits = torch.full((1, 3, SIZE, SIZE), round(value / 4095 * 255), dtype=torch.uint8)
            torch.testing.assert_close(model.probabilities(str(scan)), model.probabilities(as_eight_bits))


def test_colours_of_lower_bits_are_refused(tmp_path: Path) -> None:
    # Pillow writes no picture of 16 bits a channel, so the bytes are put together here.
    rows = b"".join(b"\0" + struct.pack(">48H", *[4095] * 48) for _ in range(16))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    written = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    path = tmp_path / "deep.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + written)
    with pytest.raises(DataError, match="16 bits a channel, and no value reaches 4096 of 65535"):
        read_picture(path, SIZE, 3)


# Damage around good pixels.


def test_jpeg_without_its_last_bytes_is_read_and_a_cut_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    picture.save(path)
    whole, data = read_picture(path, SIZE, 3), path.read_bytes()
    path.write_bytes(data[:-2])
    assert torch.equal(read_picture(path, SIZE, 3), whole)
    for missing in (12, 100, 1000):
        path.write_bytes(data[:-missing])
        with pytest.raises(DataError, match="is damaged"):
            read_picture(path, SIZE, 3)


@pytest.mark.parametrize("checksum", ["right", "wrong"])
def test_broken_exif_is_no_loss(checksum: str, tmp_path: Path) -> None:
    sound, body = io.BytesIO(), b"eXIf" + b"\0\x08\0\x02\x01\x12\0\x03"
    halves().save(sound, "PNG")
    data = sound.getvalue()
    told = struct.pack(">I", zlib.crc32(body)) if checksum == "right" else b"\xff\xff\xff\xff"
    # After the signature and the header.
    data = data[:33] + struct.pack(">I", len(body) - 4) + body + told + data[33:]
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    seen = read_picture(path, SIZE, 3)
    assert (seen[:, 4, 1].tolist(), seen[:, 4, -2].tolist()) == (list(RED), list(BLUE))


def test_large_jpeg_is_decoded_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    for name in ("photo.jpg", "photo.png"):
        halves(size=(400, 400)).save(tmp_path / name)
    assert read_picture(tmp_path / "photo.jpg", SIZE, 3).shape == (3, SIZE, SIZE)
    with pytest.raises(DataError, match=r"400 x 400 .*--data\.max_megapixels N raises the limit"):
        read_picture(tmp_path / "photo.png", SIZE, 3)
    assert read_picture(tmp_path / "photo.png", SIZE, 3, max_megapixels=1).shape == (3, SIZE, SIZE)


def test_limit_is_an_option_of_the_folder(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    root = fill(tmp_path / "x", cat=4, dog=4)
    with pytest.raises(DataError, match="excessive size"):
        folder(root).setup()
    assert len(numbers(folder(root, max_megapixels=1))) == 8
