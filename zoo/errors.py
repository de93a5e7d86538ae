"""The one exception that the zoo raises for what its user can mend."""

import re

from datamodules.errors import UserError
from datamodules.errors import did_you_mean as did_you_mean
from datamodules.errors import in_brief as in_brief
from datamodules.errors import listed as listed
from datamodules.errors import shortened as shortened


class ZooError(UserError):
    """Bad input, told in one line: what was found, what was expected, what to type."""


def foreseen(error: BaseException) -> str | None:
    """What to say of bad input, of what the system refuses, and where memory does not suffice; None of any other."""
    return str(error) if isinstance(error, UserError | OSError) else lack_of_memory(error)


def lack_of_memory(error: BaseException) -> str | None:
    """What to say of an error if memory, or what numbers are kept in, did not suffice; None of any other."""
    text = str(error)
    if "can't allocate memory" in text or "out of memory" in text or isinstance(error, MemoryError):
        asked = re.search(r"(?:tried to allocate|Unable to allocate) (\S+ (?:bytes|.iB))", text)
        return f"there is not enough memory{f', {asked[1]} were asked for' if asked else ''}; use smaller sizes"
    if isinstance(error, OverflowError) or re.search(
        "(?i)size.*overflow|overflow when unpacking|without overflow", text
    ):
        return f"a number is too large ({text.splitlines()[0]}); use smaller ones"
    return None
