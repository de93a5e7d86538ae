"""Grey pictures of more than eight bits: what their values span, and the one scale that brings a data set to 0..255."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from datamodules.errors import DataError

# What instruments and formats fill: a scale is the smallest of these that holds the values.
_BITS = (8, 10, 12, 14, 16)
# A scale of which less is used would show little but black; then its white has to be named.
_LEAST_USE = 0.25
# Values beyond the scale are clipped, as a film is; of a picture with more of them nothing could be seen.
_MOST_CLIPPED = 0.1


class Span(NamedTuple):
    """What the values of a picture, or of many, span.

    Attributes:
        whole: Whether they are integers.
        low: The least value.
        high: The greatest.
    """

    whole: bool
    low: float
    high: float

    def __str__(self) -> str:
        return f"{'integers' if self.whole else 'floating-point values'} from {self.low:.6g} to {self.high:.6g}"


def is_deep(picture: Image.Image) -> bool:
    """Whether a picture holds integers of more than eight bits, or floating-point values."""
    return picture.mode.startswith("I") or picture.mode == "F"


def span_of(picture: Image.Image) -> Span:
    """What the values of a deep picture span; reads its pixels.

    Raises:
        DataError: Some are not finite.
    """
    values = np.asarray(picture)
    wrong = values.size - int(np.isfinite(values).sum())
    if wrong:
        raise DataError(f"{wrong} of {values.size} values are NaN or infinite; expected numbers")
    return Span(picture.mode != "F", float(values.min()), float(values.max()))


def joint_span(spans: Iterable[Span]) -> Span:
    """What the values of several pictures span together."""
    spans = list(spans)
    return Span(all(span.whole for span in spans), min(span.low for span in spans), max(span.high for span in spans))


def joint_range(spans: Mapping[str, Span]) -> tuple[float, float] | None:
    """The values of black and of white that suit all pictures of a data set.

    Integers of 10, 12, 14 or 16 bits have the white of that many bits, floating-point values from 0 to 1 have 1.

    Args:
        spans: Of each of its deep pictures.

    Returns:
        Both; None if there is no deep picture.

    Raises:
        DataError: What black and white are cannot be known of such values.
    """
    if not spans:
        return None
    whole = {span.whole: name for name, span in spans.items()}
    found = joint_span(spans.values())
    if len(whole) == 2:
        raise DataError(
            f"{whole[True]} holds {spans[whole[True]]}, {whole[False]} {spans[whole[False]]}; expected one kind, or a "
            f"range for both: {_advice(found)}"
        )
    white = _white(found)
    if white is None:
        example = max(spans, key=lambda name: spans[name].high)
        raise DataError(
            f"{len(spans)} pictures hold {found}, {example} the greatest; which of them is black and which white? "
            f"{_advice(found)}"
        )
    return 0.0, white


def _white(span: Span) -> float | None:
    """The greatest value of the scale that a span is seen on; None if none is."""
    if span.low < 0:
        return None
    scales = [float((1 << bits) - 1) for bits in _BITS] if span.whole else [1.0]
    white = next((scale for scale in scales if span.high <= scale), None)
    return white if white is not None and span.high >= _LEAST_USE * white else None


def _advice(span: Span) -> str:
    return f"say so with --data.pixel_range '[{span.low:.6g}, {span.high:.6g}]'"


def checked_range(pixel_range: Sequence[float] | None) -> tuple[float, float] | None:
    """A range as somebody gave it.

    Raises:
        DataError: It is none.
    """
    if pixel_range is None:
        return None
    if len(pixel_range) != 2 or not np.isfinite(pixel_range).all() or not pixel_range[0] < pixel_range[1]:
        raise DataError(
            f"pixel_range is {list(pixel_range)}, expected the values of black and white, such as [0, 4095]"
        )
    return float(pixel_range[0]), float(pixel_range[1])


def to_eight_bits(picture: Image.Image, pixel_range: Sequence[float] | None) -> Image.Image:
    """Brings a deep picture to grey levels from 0 to 255.

    Args:
        picture: It.
        pixel_range: The values of black and white. Without them there is no data set to compare with: integers are
            taken for 16 bits if they fill these, floating-point values for 0 to 1.

    Raises:
        DataError: Values are not finite, more than a tenth are beyond the range, or nothing says what white is.
    """
    span = span_of(picture)
    if pixel_range is None:
        white = _white(span)
        if white is None or (span.whole and white != _full(picture)):
            raise DataError(
                f"it holds {span}, and nothing says which of them are black and white; convert it to 8 bits, or train "
                f"on pictures like it"
            )
        pixel_range = (0.0, white)
    low, high = pixel_range
    values = np.asarray(picture, dtype=np.float64)
    beyond = float(((values < low) | (values > high)).mean())
    if beyond > _MOST_CLIPPED:
        raise DataError(
            f"it holds {span}, {beyond:.0%} of them beyond the {low:.6g} (black) to {high:.6g} (white) of the data; "
            "expected pictures of one scale"
        )
    levels = (np.clip(values, low, high) - low) * (255 / (high - low))
    return Image.fromarray(np.rint(levels).astype(np.uint8))


def _full(picture: Image.Image) -> float:
    """White of integers that nothing else is known of: of 16 bits, or of 8 in a file that could hold 32."""
    return 65535.0 if picture.mode.startswith("I;16") or np.asarray(picture).max() > 255 else 255.0


def loses_lower_bits(picture: Image.Image) -> bool:
    """Whether Pillow keeps eight of a picture's sixteen bits a channel; the picture is opened, but not read yet."""
    return picture.mode in ("RGB", "RGBA") and any(
        isinstance(part, str) and ";16" in part
        for tile in getattr(picture, "tile", ())
        for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))
    )


def check_upper_bits(picture: Image.Image) -> None:
    """Refuses a picture of which the bits that Pillow kept are all but empty, such as 12 bits in 16.

    Raises:
        DataError: They are.
    """
    highest = int(np.asarray(picture)[..., :3].max())
    if highest < _LEAST_USE * 255:
        raise DataError(
            f"it has 16 bits a channel, and no value reaches {(highest + 1) * 256} of 65535; convert it to 8 "
            "bits, with the white that it was made with"
        )
