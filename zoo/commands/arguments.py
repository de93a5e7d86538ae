"""Arguments and standard input, whose faults are told in one line, for the verbs that LightningCLI does not parse."""

import argparse
import sys
from typing import NoReturn

from zoo.errors import ZooError


class Arguments(argparse.ArgumentParser):
    """``argparse`` whose errors are :class:`ZooError` and which takes no abbreviations.

    Args:
        verb: Name of the verb.
        description: What the verb does.
    """

    def __init__(self, verb: str, description: str | None) -> None:
        super().__init__(prog=f"zoo {verb}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print."""
        raise ZooError(f"{message}; '{self.prog} --help' shows what it takes")


def read_standard_input() -> str:
    """All of standard input, as text.

    Raises:
        ZooError: It is no text.
    """
    try:
        return check_text(sys.stdin.read(), "standard input")
    except UnicodeDecodeError as error:
        raise ZooError(
            f"standard input is not {error.encoding.upper()} (byte 0x{error.object[error.start]:02x})"
        ) from error


def check_text(text: str, origin: str) -> str:
    """Refuses what Python lets through although it could not be decoded.

    Args:
        text: The text.
        origin: What messages call it.

    Raises:
        ZooError: Some bytes of it are no text.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line, byte = text.count("\n", 0, error.start) + 1, ord(text[error.start]) & 0xFF
        raise ZooError(f"{origin} line {line} is not UTF-8 (byte 0x{byte:02x})") from error
    return text
