"""Errors that are told: bad input in one line, without a traceback. Any room of the zoo may import this file."""

import difflib
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """Bad input that its user can mend, told in one line: what was found, what was expected, what to type.

    Attributes:
        exit_code: Of a command that ends with it.
    """

    exit_code = 2


class DataError(UserError):
    """Bad or missing data."""


def shortened(value: object, most: int = 100) -> str:
    """What Python calls a value, without its middle where that is long: for messages about what may be anything.

    Args:
        value: The value.
        most: Number of characters.
    """
    return in_brief(repr(value), most)


def in_brief(text: str, most: int) -> str:
    """A text without its middle, where it is longer than so many characters."""
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-(most // 2 - 3) :]}"


def listed(things: Sequence[str], most: int = 8) -> str:
    """Things with commas between; of many the first ones, and how many more there are.

    Args:
        things: Their names.
        most: How many are named.
    """
    rest = len(things) - most
    return ", ".join(things[:most]) + (f" and {rest} more" if rest > 0 else "")


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the candidate closest to ``word``, or nothing."""
    close = difflib.get_close_matches(word, list(candidates), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


class TooShortError(DataError):
    """A series is too short for what is asked of it."""
