"""The one exception that the zoo raises for what its user can mend."""

import difflib
from collections.abc import Iterable


class ZooError(Exception):
    """Bad input, told in one line: what was found, what was expected, what to type."""


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the candidate closest to ``word``, or nothing."""
    close = difflib.get_close_matches(word, list(candidates), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
