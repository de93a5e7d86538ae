"""Pictures of text."""

import textwrap
from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

# Bits from which on a token is as red as can be.
_MOST_BITS = 12.0
_COLUMNS = 84
# A passage of so many characters can still be read.
_CHARACTERS = 1500


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
    figure = Figure(figsize=(max(0.085 * columns, 6), 0.6 + 0.165 * lines), layout="constrained", dpi=130)
    axes = figure.add_subplot()
    colours = colormaps["YlOrRd"]
    for row, place, character, surprise in cells:
        shade = min(surprise / _MOST_BITS, 1.0)
        axes.add_patch(Rectangle((place, row), 1, 1, facecolor=colours(0.8 * shade), edgecolor="none"))
        axes.text(
            place + 0.5, row + 0.5, character, family="monospace", fontsize=7, ha="center", va="center",
            parse_math=False,
        )  # fmt: skip
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
