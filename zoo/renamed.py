"""What recipes, verbs and flags were called before, and what they are called now.

A former name works, with a warning, until the next minor release; from then on it is an error that says the new one.
Former paths of classes, which files hold, are in :data:`zoo.names.FORMER` and are read for ever.
"""

from functools import cache
from typing import NamedTuple

from zoo import __version__
from zoo.errors import ZooError
from zoo.terminal import warn


class Renamed(NamedTuple):
    """A new name.

    Attributes:
        name: The new one.
        since: Version that renamed it.
    """

    name: str
    since: str


RECIPES: dict[str, Renamed] = {}
VERBS: dict[str, Renamed] = {}
# As they are typed: ``--model.units``.
FLAGS: dict[str, Renamed] = {}


def todays(name: str, table: dict[str, Renamed], version: str = __version__) -> str:
    """What something is called now; of a former name with a warning.

    Args:
        name: A former name or one of today.
        table: One of those above.
        version: That of the zoo.

    Raises:
        ZooError: It is a former name whose time is over.
    """
    if name not in table:
        return name
    new, since = table[name]
    told = f"'{name}' is called '{new}' since version {since}"
    if _minor(version) > _minor(since):
        raise ZooError(told)
    warn_once(f"{told}; the former name works until the next minor release")
    return new


@cache
def warn_once(text: str) -> None:
    """Prints a warning, however often a name is looked up."""
    warn(text)


def _minor(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


def todays_arguments(arguments: list[str]) -> list[str]:
    """Arguments of a verb whose flags are called as they are now.

    Args:
        arguments: As they were typed; ``--flag=value`` is one.
    """
    found = []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        found.append(todays(flag, FLAGS) + equals + value if flag.startswith("--") else argument)
    return found
