"""Reads picture files of any size and mode into uint8 tensors, and keeps what was read in a memory-mapped file."""

import contextlib
import hashlib
import io
import json
import logging
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import PIL
import torch
from filelock import FileLock
from PIL import ExifTags, Image, UnidentifiedImageError, features
from rich.console import Console
from rich.progress import track
from torch import Tensor

from datamodules.checksums import vouch, vouched
from datamodules.errors import DataError
from datamodules.vision.depth import (
    Span,
    check_upper_bits,
    checked_range,
    is_deep,
    joint_range,
    loses_lower_bits,
    span_of,
    to_eight_bits,
)
from datamodules.vision.forgiving import mended

# Below Lightning's logger, so that what silences Lightning silences this.
log = logging.getLogger("lightning.pytorch.datamodules")

# Raised when the same file would give other pixels than before.
_VERSION = 4
# Pillow goes by content, whatever the name: left to itself it takes an EPS for a picture and starts Ghostscript.
# JPEG stands for MPO too. TGA is not here, since it has no signature: other files pass for it.
_FORMATS = ["PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "JPEG2000", "ICO"]
if "avif" in features.modules:  # since Pillow 11.3
    _FORMATS.append("AVIF")
# What follows "ftyp" at the beginning of a HEIF file; "mif1" and "msf1" can be AVIF, which is tried first.
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
# What puts a picture upright, by its orientation in EXIF.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_opening = Lock()


def read_picture(
    source: str | os.PathLike[str] | Image.Image,
    size: int,
    channels: int,
    pixel_range: Sequence[float] | None = None,
    max_megapixels: float | None = None,
) -> Tensor:
    """Reads an image file, or an image of Pillow, and brings it to one size and one or three channels.

    Rotation by EXIF is applied, transparency is laid on white, and of an animation the first frame is taken. Height and
    width are scaled each by itself: nothing is cut off. Grey of more than eight bits is scaled by ``pixel_range``, not
    by the picture's own values.

    PNG, JPEG, GIF, BMP, PPM, WebP, TIFF, JPEG 2000, ICO and, where Pillow can, AVIF are read, whatever the file's name;
    HEIC with the extra ``heif``. What is wrong around good pixels is forgiven, see
    :mod:`datamodules.vision.forgiving`.

    Args:
        source: The file, or the image.
        size: Height and width of the result.
        channels: 1 for grey, 3 for colour.
        pixel_range: The values of black and white in pictures of more than eight bits, see
            :func:`datamodules.vision.depth.to_eight_bits`.
        max_megapixels: The largest picture to unpack, in millions of pixels; Pillow's limit by default, 89.5. A JPEG
            is unpacked at an eighth of its height and width or more, as ``size`` needs.

    Returns:
        uint8 tensor ``(channels, size, size)``.

    Raises:
        DataError: The file is missing, no image of these formats, truncated, or would unpack to an excessive size; or
            its values have no place in the range.
    """
    if isinstance(source, Image.Image):
        try:
            return _to_pixels(source, size, channels, pixel_range)
        except OSError as error:  # of a file that was opened and is decoded only now
            raise DataError(f"the picture is damaged: {error}") from error
    path = Path(source)
    try:
        try:
            return _read(path, path, size, channels, pixel_range, max_megapixels)
        except (OSError, SyntaxError, ValueError) as error:
            if isinstance(error, FileNotFoundError | IsADirectoryError | DataError):
                raise
            sound = mended(path)
            if sound is None:
                raise
            return _read(path, io.BytesIO(sound), size, channels, pixel_range, max_megapixels)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"no file {path}") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder, expected an image file") from error
    except UnidentifiedImageError as error:
        if _is_heif(path) and "HEIF" in _formats():
            raise DataError(f"{path} is damaged: a HEIC or HEIF picture that cannot be decoded") from error
        if _is_heif(path):
            raise DataError(
                f"{path} is a HEIC or HEIF picture, which needs pillow-heif; install it with: pip install "
                "'lightning-zoo[heif]', or convert it to JPEG"
            ) from error
        raise DataError(f"{path} is no image that can be read; expected PNG, JPEG or the like") from error
    except Exception as error:  # a damaged file can make a decoder of Pillow raise almost anything
        raise DataError(f"{path} is damaged: {error}") from error


def _read(
    path: Path,
    opened: Path | io.BytesIO,
    size: int,
    channels: int,
    pixel_range: Sequence[float] | None,
    max_megapixels: float | None,
) -> Tensor:
    with open_picture(opened) as file:
        width, height = file.size
        # A JPEG many times too large is decoded at a half, a quarter or an eighth, which saves most of the time.
        file.draft(None, (2 * size, 2 * size))
        _check_size(path, file, width, height, max_megapixels)
        halved = loses_lower_bits(file)
        try:
            pixels = _to_pixels(file, size, channels, pixel_range)
            if halved:
                check_upper_bits(file)
        except DataError as error:
            raise DataError(f"{path} cannot be scaled: {error}") from error
        return pixels


def _check_size(path: Path, file: Image.Image, width: int, height: int, max_megapixels: float | None) -> None:
    """Refuses what would unpack to more than somebody's own camera makes."""
    limit = Image.MAX_IMAGE_PIXELS if max_megapixels is None else max_megapixels * 1e6
    pixels = file.size[0] * file.size[1]
    if file.info.get("progressive"):
        # Its decoder holds the frequencies of the whole picture, two bytes each.
        pixels = max(pixels, width * height // 4)
    if limit is not None and pixels > limit:
        raise DataError(
            f"{path} would unpack to an excessive size: {width} x {height} are {width * height / 1e6:.4g} million "
            f"pixels, above {limit / 1e6:.4g}; --data.max_megapixels N raises the limit"
        )


def pictures_of(pixels: np.ndarray | Tensor, single: bool = False) -> list[Image.Image]:
    """The pictures that an array or a tensor holds, one or several.

    Channels come last, as NumPy has them, or first, as torch has them: one of grey, three of colour, four with opacity.
    Without channels a picture is grey.

    Args:
        pixels: ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``, and of several ``(N, ...)``: uint8, or floating-point from 0
            (black) to 1.
        single: It is one of a list, so that it holds no several.

    Returns:
        The pictures; none if this is no such array.

    Raises:
        DataError: Floating-point pixels are not finite or beyond 0 and 1, or it could be one picture or several.
    """
    torch_like = isinstance(pixels, Tensor)
    if isinstance(pixels, Tensor):
        pixels = pixels.detach().cpu()
        pixels = pixels.float() if pixels.is_floating_point() else pixels
    array = np.asarray(pixels)
    if not array.size or array.dtype.kind not in "uf" or (array.dtype.kind == "u" and array.dtype != np.uint8):
        return []
    first, last = (array.ndim > 2 and array.shape[place] in (1, 3, 4) for place in (-3, -1))
    if array.ndim == 3 and not single and not torch_like and first and not last and array.shape[0] > 1:
        height_width = ", ".join(map(str, array.shape[1:]))
        raise DataError(
            f"{array.dtype} {array.shape} may be one picture in colour or {array.shape[0]} grey ones; say which with "
            f"(1, {array.shape[0]}, {height_width}) or ({array.shape[0]}, 1, {height_width})"
        )
    if first and (torch_like or not last):
        array, has_channels = np.moveaxis(array, -3, -1), True
    else:
        has_channels = last
    if array.ndim - has_channels == 2:
        array = array[None]
    if array.ndim - has_channels != 3 or (single and len(array) > 1):
        return []
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            raise DataError(
                f"pixels are from {low:.4g} to {high:.4g}; expected 0 (black) to 1 of floating-point ones, or uint8 "
                "from 0 to 255"
            )
        array = np.rint(array * 255).astype(np.uint8)
    return [Image.fromarray(one.squeeze(-1) if has_channels and one.shape[-1] == 1 else one) for one in array]


def _to_pixels(picture: Image.Image, size: int, channels: int, pixel_range: Sequence[float] | None) -> Tensor:
    upright = _opaque(_upright(picture), pixel_range).convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(upright.resize((size, size), Image.Resampling.BILINEAR), dtype=np.uint8)
    return torch.from_numpy(pixels.reshape(size, size, channels).copy()).movedim(2, 0)


def open_picture(source: Path | io.BytesIO) -> Image.Image:
    """Opens a picture file of whatever size, of the formats that are read; its pixels are not read yet."""
    formats = _formats()
    # The limit of sizes belongs to the whole process, hence one thread at a time; opening reads no more than a header.
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@lru_cache
def _formats() -> list[str]:
    """What is read, with HEIF where the package for it is installed."""
    if find_spec("pillow_heif") is None:
        return _FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener()
    return [*_FORMATS, "HEIF"]


def _is_heif(path: str | Path) -> bool:
    with Path(path).open("rb") as file:
        start = file.read(12)
    return start[4:8] == b"ftyp" and start[8:] in _HEIF_BRANDS


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as its EXIF says; a damaged EXIF says nothing, and Pillow raises almost anything for it."""
    picture.load()
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return picture
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def _opaque(picture: Image.Image, pixel_range: Sequence[float] | None) -> Image.Image:
    if is_deep(picture):
        return to_eight_bits(picture, pixel_range)
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture


class Pictures(NamedTuple):
    """What was read of a list of files.

    Attributes:
        pixels: uint8 ``(rows, 3, size, size)``, mapped from a file: what is not looked at takes no memory.
        rows: Row of each file that could be read; the rows ascend in the order of the list.
        digests: sha256 of the bytes of each of these files.
        faults: Why each of the others could not be read.
        spans: What the values of those of more than eight bits span.
        pixel_range: The values of black and white in these; None if there are none.
    """

    pixels: Tensor
    rows: dict[str, int]
    digests: dict[str, str]
    faults: dict[str, str]
    spans: dict[str, Span]
    pixel_range: tuple[float, float] | None


def read_pictures(
    root: Path,
    names: Sequence[str],
    size: int,
    cache: Path,
    pixel_range: Sequence[float] | None = None,
    max_megapixels: float | None = None,
) -> Pictures:
    """Reads picture files in colour, each once: pixels are kept in ``cache`` for all later calls of all processes.

    The kept pixels are good for as long as Pillow's version and the names, sizes and times of the files stay; when some
    of the files change, the others are not decoded again. The folder ``cache`` can be deleted at any time.

    Args:
        root: Folder of the files.
        names: Their paths below it.
        size: Height and width of the result.
        cache: Folder for the pixels; made if need be.
        pixel_range: The values of black and white in pictures of more than eight bits; by default what suits all of
            them, see :func:`datamodules.vision.depth.joint_range`.
        max_megapixels: The largest picture to unpack, as :func:`read_picture` takes it.

    Raises:
        DataError: The folder cannot be written to, or no range suits the pictures.
    """
    store = _Store(root, names, size, cache, checked_range(pixel_range), max_megapixels)
    kept = store.load()
    if kept is not None:
        return kept
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{store.stem}.lock"):
            # Another process may have been quicker.
            kept = store.load()
            if kept is None:
                store.write()
                kept = store.load()
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"cannot keep decoded pictures in {cache} ({reason}); name a folder with --data.cache DIR"
        ) from error
    if kept is None:
        raise DataError(f"{store.path} changed while it was written; delete {cache} and start again")
    return kept


class _Store:
    """A file of raw pixels, and a JSON file beside it that tells what they are and vouches for them.

    There is one store for a folder and a size; when files change, its successor takes over what is still good.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        size: int,
        cache: Path,
        pixel_range: tuple[float, float] | None,
        max_megapixels: float | None,
    ) -> None:
        self.root, self.names, self.size, self.cache = root, names, size, cache
        self.pixel_range, self.max_megapixels = pixel_range, max_megapixels
        self.stamps = {name: _stamp(root / name) for name in names}
        # All that pixels depend on besides the files.
        self.origin = [_VERSION, PIL.__version__, size, list(pixel_range) if pixel_range else None, max_megapixels]
        self.key = hashlib.sha256(json.dumps([self.origin, list(self.stamps.items())]).encode()).hexdigest()
        folder = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:12]
        self.stem = f"{folder}-{size}"
        self.path = cache / f"{self.stem}-{self.key[:16]}.json"

    def load(self) -> Pictures | None:
        """Maps kept pixels; None if there are none, or if they are damaged."""
        return self._map(self.path)[0] if self.path.is_file() else None

    def _map(self, path: Path) -> tuple[Pictures | None, dict[str, Any]]:
        try:
            pixels = path.with_suffix(".pixels")
            told = vouched(path.read_text(encoding="ascii"), {"pixels": pixels})
            if path == self.path and told["key"] != self.key:
                raise ValueError("it belongs to other files")
            digests, faults = told["digests"], told["faults"]
            length = len(digests) * 3 * self.size**2
            flat = torch.from_file(str(pixels), size=length, dtype=torch.uint8) if length else torch.empty(0).byte()
            rows = {name: row for row, name in enumerate(digests)}
            spans = {name: Span(*span) for name, span in told["spans"].items()}
            scale = tuple(told["pixel_range"]) if told["pixel_range"] else None
            return Pictures(flat.view(-1, 3, self.size, self.size), rows, digests, faults, spans, scale), told
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            log.warning("%s is damaged (%s); its pictures are decoded again", path, error)
            return None, {}

    def write(self) -> None:
        """Decodes what no earlier store holds; the JSON file comes last, as its presence says that all is well."""
        start = time.perf_counter()
        pixels, part = self.path.with_suffix(".pixels"), self.cache / f"{self.stem}-{os.getpid()}.part"
        digests: dict[str, str] = {}
        faults: dict[str, str] = {}
        spans, scale = self._measure()
        earlier = self._earlier(scale)
        shown = sys.stderr.isatty() and log.isEnabledFor(logging.WARNING)
        try:
            with part.open("wb") as file:
                for name, read in track(
                    zip(self.names, self._read_all(earlier, scale), strict=True),
                    "decoding pictures",
                    total=len(self.names),
                    console=Console(stderr=True),
                    transient=True,
                    disable=not shown,
                ):
                    if isinstance(read, str):
                        faults[name] = read
                    else:
                        digests[name], values = read
                        file.write(values.numpy().tobytes())
            part.replace(pixels)
            told = {
                "key": self.key,
                "origin": self.origin,
                "stamps": self.stamps,
                "digests": digests,
                "faults": faults,
                "spans": {name: span for name, span in spans.items() if name in digests},
                "pixel_range": scale,
            }
            part.write_text(vouch(told, {"pixels": pixels}), encoding="ascii")
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
        decoded = len(self.names) - len(earlier)
        log.info("decoded %d pictures in %.1f s into %s", decoded, time.perf_counter() - start, pixels)
        for old in self.cache.glob(f"{self.stem}-*"):
            if old not in (self.path, pixels):
                # Who has it mapped keeps it, where the system allows it to be deleted at all.
                with contextlib.suppress(OSError):
                    old.unlink()

    def _measure(self) -> tuple[dict[str, Span], tuple[float, float] | None]:
        """What deep pictures span, and the range for them; opens all pictures, and reads the deep ones."""
        spans = {}
        for name in self.names:
            # What cannot be read is told when it is read; a pipe would block for ever.
            if not (self.root / name).is_file():
                continue
            with contextlib.suppress(Exception), open_picture(self.root / name) as picture:
                if is_deep(picture):
                    spans[name] = span_of(picture)
        return spans, self.pixel_range or joint_range(spans)

    def _earlier(self, scale: tuple[float, float] | None) -> dict[str, tuple[str, Tensor] | str]:
        """What earlier stores of the folder tell of files that have not changed."""
        found: dict[str, tuple[str, Tensor] | str] = {}
        for path in self.cache.glob(f"{self.stem}-*.json"):
            kept, told = self._map(path)
            if kept is None or told.get("origin") != self.origin:
                continue
            for name, stamp in self.stamps.items():
                # What could not be opened is tried again: it costs nothing, and the reason may be another.
                is_alike = stamp is not None and told["stamps"].get(name) == stamp
                if is_alike and (kept.pixel_range == scale or (name in kept.rows and name not in kept.spans)):
                    row = kept.rows.get(name)
                    found[name] = kept.faults[name] if row is None else (kept.digests[name], kept.pixels[row])
        return found

    def _read_all(
        self, earlier: Mapping[str, tuple[str, Tensor] | str], scale: tuple[float, float] | None
    ) -> Iterator[tuple[str, Tensor] | str]:
        with ThreadPoolExecutor() as pool:
            # In portions, so that pictures decoded but not yet written stay few.
            for start in range(0, len(self.names), 256):
                names = self.names[start : start + 256]
                fresh = pool.map(lambda name: self._read(name, scale), [name for name in names if name not in earlier])
                yield from (earlier[name] if name in earlier else next(fresh) for name in names)

    def _read(self, name: str, scale: tuple[float, float] | None) -> tuple[str, Tensor] | str:
        """Decodes a picture: sha256 of the file and pixels, or what is wrong with it."""
        path = self.root / name
        try:
            # A pipe would block for ever.
            if not stat.S_ISREG(path.stat().st_mode):
                return f"{name} is no regular file"
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            return digest, read_picture(path, self.size, 3, scale, self.max_megapixels)
        except DataError as error:
            return str(error).replace(str(path), name)
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}"


def _stamp(path: Path) -> list[int] | None:
    """Size and time of a file, None if it cannot be opened: what changes when the contents do."""
    try:
        status = path.stat()
    except OSError:  # a link to nowhere, say
        return None
    return [status.st_size, status.st_mtime_ns] if os.access(path, os.R_OK) else None
