"""Bytes of picture files as browsers and viewers take them: what is wrong around good pixels is no loss."""

import io
import struct
import zlib
from pathlib import Path

from PIL import Image

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"


def mended(path: Path) -> bytes | None:
    """The file without what does not matter to its pixels; None if nothing of the kind is wrong with it.

    Of a JPEG whose last two bytes, which say that it ends, are missing, these are added if all pixels are there. Of a
    PNG, chunks are left out that no pixel needs and whose checksum is wrong.
    """
    data = path.read_bytes()
    if data.startswith(_JPEG_START):
        return _ended(data)
    if data.startswith(_PNG_START):
        return _without_broken_extras(data)
    return None


def _ended(data: bytes) -> bytes | None:
    """A JPEG with its end, if no more than that is missing.

    A decoder fills in what is missing, and says nothing. So the file is decoded twice, with and without bytes before
    the end: they change a picture that still waits for some, and no other.
    """
    if data.rstrip(b"\0").endswith(_JPEG_END):
        return None
    whole = data + _JPEG_END
    with (
        Image.open(io.BytesIO(whole), formats=["JPEG"]) as one,
        Image.open(io.BytesIO(data + b"\x55" * 64 + _JPEG_END), formats=["JPEG"]) as other,
    ):
        return whole if one.tobytes() == other.tobytes() else None


def _without_broken_extras(data: bytes) -> bytes | None:
    """A PNG without the chunks that may be left out, by the case of their first letter, and are damaged."""
    kept, place = [_PNG_START], len(_PNG_START)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        stop = place + 12 + length
        kind, told = data[place + 4 : place + 8], data[stop - 4 : stop]
        is_sound = told == struct.pack(">I", zlib.crc32(data[place + 4 : stop - 4]))
        if is_sound or not kind[:1].islower():
            kept.append(data[place:stop])
        place = stop
    mended = b"".join([*kept, data[place:]])
    return mended if mended != data else None
