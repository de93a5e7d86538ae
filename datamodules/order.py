"""The order in which people count names. Any room of the zoo may import this file."""

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def natural(name: str) -> tuple[list[str | int], str]:
    """A key to sort by: what is not digits as it is, digits by what they count, so that 2 comes before 10.

    Args:
        name: The name.
    """
    runs = re.split(r"(\d+)", name)
    return [int(run) if place % 2 else run for place, run in enumerate(runs)], name


def in_order(names: Iterable[str]) -> list[str]:
    """Names in natural order; numbers alone by their value, such as -1 before 0.25 before 0.5.

    Args:
        names: The names.
    """
    known = list(names)
    if all(_NUMBER.fullmatch(name) for name in known):
        return sorted(known, key=lambda name: (float(name), name))
    return sorted(known, key=natural)
