"""Pictures of every mode and in every state, and folders of them."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from PIL import Image

from .given import QUIETLY
from .harness import Command, Fuzz
from .odd import damaged, either, words

_MODES = ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16", "LA", "LAB"]
_SIZES = [(1, 1), (1, 300), (300, 1), (7, 9), (40, 40)]


def test_pictures(fuzz: Fuzz) -> None:
    fuzz.check("pictures", 0.1, pictures_given())


@st.composite
def pictures(draw: Callable[..., Any]) -> bytes:
    """A picture, or what once was one."""
    kind = draw(either("PNG PNG JPEG GIF BMP TIFF WEBP ICO PPM bomb none"))
    if kind == "bomb":
        return _bomb(draw(st.sampled_from([9_000, 20_000, 2_000_000_000])))
    if kind == "none":
        return draw(st.binary(max_size=50))
    picture = Image.new("RGB", draw(st.sampled_from(_SIZES)), draw(st.sampled_from(["black", "red", "white"])))
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        exif = Image.Exif()
        exif[0x0112] = draw(st.sampled_from([0, 1, 3, 6, 8, 9, 65535]))
        options["exif"] = exif.tobytes()
    buffer = io.BytesIO()
    try:
        _in_mode(picture, draw(st.sampled_from(_MODES))).save(buffer, kind, **options)
    except (OSError, ValueError, KeyError):  # a mode or a size that the format does not know
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
    return draw(damaged(buffer.getvalue())) if draw(st.booleans()) else buffer.getvalue()


@st.composite
def pictures_given(draw: Callable[..., Any]) -> Command:
    """A command that reads pictures."""
    if draw(st.booleans()):
        names = either("a.png b.jpg c.txt Thumbs.db .hidden.png d é.png") | words.filter(_is_name)
        given = draw(st.dictionaries(names, pictures(), max_size=3))
        files = {f"photos/{name}": content for name, content in given.items()}
        asked = draw(st.sampled_from([("photos",), tuple(files) or ("photos",), ("photos/*.png",), ("photos/**",)]))
        more = draw(st.sampled_from([(), ("--plot=out.png",), ("--csv=out.csv",), ("--top=1",)]))
        model = draw(st.sampled_from(["cnn_digits", "cnn_shapes", "dense_fashion_mnist"]))
        return Command(("classify", model, *asked, *more), files, ("out.png", "out.csv"))
    folders = either("cats dogs train/cats train/dogs val/cats val/dogs test/cats train .git cats/deep x")
    files = {}
    good = draw(st.booleans())
    for folder in draw(st.lists(folders, min_size=1, max_size=4, unique=True)):
        for number in range(draw(st.sampled_from([0, 1, 5, 5]))):
            files[f"photos/{folder}/{number}.png"] = _plain(len(files)) if good or number else draw(pictures())
    bad = draw(st.sampled_from(["stop", "skip"]))
    data = ["--data=ImageFolder", "--data.root=photos", f"--data.on_bad_file={bad}", "--data.image_size=8"]
    model = ["--model=CNN", "--model.channels=[2]", "--model.hidden_size=4", "--trainer.max_epochs=1"]
    return Command(("fit", *model, *data, "--data.cache=cache", *QUIETLY), files, ("cache",))


def _plain(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number * 9 % 256, 50, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    return picture.convert("I").convert("I;16") if mode == "I;16" else picture.convert(mode)


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name


def _bomb(size: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(b"\0" * 9999)) + chunk(b"IEND", b"")
