"""Reads picture files of any size and mode into uint8 tensors."""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from datamodules.errors import DataError


def read_picture(path: str | Path, size: int, channels: int) -> Tensor:
    """Reads an image file and brings it to one size and one or three channels.

    Rotation by EXIF is applied, transparency is laid on white, 16-bit grey is scaled down, and of an animation the
    first frame is taken.

    Args:
        path: The file.
        size: Height and width of the result.
        channels: 1 for grey, 3 for colour.

    Returns:
        uint8 tensor ``(channels, size, size)``.

    Raises:
        DataError: The file is missing, no image, truncated, or would unpack to an excessive size.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                picture = ImageOps.exif_transpose(file)
                picture = _opaque(picture).convert("L" if channels == 1 else "RGB")
    except FileNotFoundError as error:
        raise DataError(f"no file {path}") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder, expected an image file") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path} is no image that can be read; expected PNG, JPEG or the like") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path} would unpack to an excessive size: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR), dtype=np.uint8)
    return torch.from_numpy(pixels.reshape(size, size, channels).copy()).movedim(2, 0)


def _opaque(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        highest = 65535.0 if values.max(initial=0) > 255 else 255.0
        return Image.fromarray(np.clip(values * (255 / highest), 0, 255).astype(np.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture
