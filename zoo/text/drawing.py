"""Pictures of text."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D
from torch import Tensor

# Bits from which on a token is as red as can be.
_MOST_BITS = 12.0
_COLUMNS = 84
# A passage of so many characters can still be read.
_CHARACTERS = 1500
# The size of a character.
_POINTS = 7


def draw_surprise(pieces: Sequence[str], bits: Tensor) -> Figure:
    """Draws a text, every token on a ground that tells how many bits it took.

    Args:
        pieces: The text of each token.
        bits: Its surprise, ``(N,)``.
    """
    cells: list[tuple[int, int, str, float]] = []
    line = column = 0
    for piece, surprise in zip(pieces, bits.tolist(), strict=True):
        if len(cells) >= _CHARACTERS:
            break
        for character in piece:
            if character == "\n" or column == _COLUMNS:
                line, column = line + 1, 0
            if character != "\n":
                cells.append((line, column, character, surprise))
                column += 1
    lines, columns = line + 1, max((cell[1] + 1 for cell in cells), default=1)
    width, height = max(0.085 * columns, 6), 0.6 + 0.165 * lines
    figure = Figure(figsize=(width, height), dpi=130)
    axes = figure.add_axes((0.04 / width, 0.04 / height, 1 - 0.08 / width, 1 - 0.34 / height))
    shades = np.ones((lines, columns, 4))
    places: dict[str, list[tuple[float, float]]] = {}
    for row, place, character, surprise in cells:
        shades[row, place] = colormaps["YlOrRd"](0.8 * min(surprise / _MOST_BITS, 1.0))
        places.setdefault(character, []).append((place + 0.5, row + 0.5))
    axes.imshow(shades, extent=(0, columns, lines, 0), aspect="auto", interpolation="nearest")
    # One shape for all places of a character: a text for each of 1,500 characters takes two seconds.
    monospace = FontProperties(family="monospace")
    size = Affine2D().translate(-30, -25).scale(_POINTS / text_to_path.FONT_SCALE * figure.dpi / 72)
    for character, at in places.items():
        corners, codes = text_to_path.get_text_path(monospace, character)
        if len(corners):  # a blank has none
            letter = PathCollection([Path(corners, codes)], offsets=at, offset_transform=axes.transData, linewidths=0)
            letter.set(facecolor="black", transform=size, snap=False)
            axes.add_collection(letter)
    axes.set_xlim(0, max(columns, 70))
    axes.set_ylim(lines, 0)
    axes.axis("off")
    mean = float(bits.clamp(max=1e6).mean())
    axes.set_title(
        f"the redder, the more surprising: white 0 bits, red {_MOST_BITS:.0f} and more; {mean:.2f} on average",
        fontsize=9,
    )
    return figure


def draw_mistakes(texts: Sequence[str], guesses: Sequence[str], truths: Sequence[str]) -> Figure:
    """Lists texts that were taken for what they are not.

    Args:
        texts: What they say.
        guesses: The classes that they were taken for.
        truths: The classes that they are of.
    """
    entries = [
        (textwrap.wrap(text, _COLUMNS) or [""], f"{guess} (is {truth})")
        for text, guess, truth in zip(texts, guesses, truths, strict=True)
    ]
    lines = sum(len(wrapped) + 0.6 for wrapped, _ in entries)
    figure = Figure(figsize=(9.5, 0.7 + 0.19 * lines), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    row = 0.0
    for wrapped, verdict in entries:
        axes.text(0, row, verdict, fontsize=8, va="top", color="firebrick", parse_math=False)
        axes.text(2.1, row, "\n".join(wrapped), fontsize=8, va="top", linespacing=1.15, parse_math=False)
        row += len(wrapped) + 0.6
    axes.set_xlim(0, 9)
    axes.set_ylim(lines, 0)
    axes.axis("off")
    axes.set_title("The most confident mistakes", fontsize=10)
    return figure
