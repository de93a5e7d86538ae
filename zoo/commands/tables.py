"""Tables in a terminal, whose cells hold names that others gave."""

from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from zoo.terminal import printing, visible

# Columns of a table that nobody's screen cuts off.
_WIDE = 10_000


class Screen(Console):
    """A console that shows strings as they are: no markup, no emoji, control characters as their codes.

    Args:
        width: Columns, if not those of the terminal.
    """

    def __init__(self, width: int | None = None) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, width=width)

    def render_str(self, text: str, **options: Any) -> Text:
        """Turns a string into what Rich draws."""
        return super().render_str(visible(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints."""
        with printing():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Leaves it to the command to end where nobody reads any more."""
        raise BrokenPipeError


def show_table(table: Table) -> None:
    """Prints a table: in a terminal as wide as that is, elsewhere as wide as the table."""
    screen = Screen()
    if not screen.is_terminal:
        # Measured without bounds, or columns would be dropped.
        wide = Measurement.get(screen, screen.options.update(width=_WIDE), table).maximum
        screen = Screen(width=max(screen.width, wide))
    screen.print(table)
