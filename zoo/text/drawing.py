"""Pictures of text."""

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

# Bits from which on a token is as red as can be.
_MOST_BITS = 12.0
_COLUMNS = 84


def draw_surprise(pieces: Sequence[str], bits: Tensor) -> Figure:
    """Draws a text, every token on a ground that tells how many bits it took.

    Args:
        pieces: The text of each token.
        bits: Its surprise, ``(N,)``.
    """
    cells: list[tuple[int, int, str, float]] = []
    line = column = 0
    for piece, surprise in zip(pieces, bits.tolist(), strict=True):
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
