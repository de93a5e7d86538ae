"""Arguments, whose faults are told in one line, for the verbs that LightningCLI does not parse."""

import argparse
from typing import NoReturn

from zoo.docstrings import plain
from zoo.errors import ZooError


class Arguments(argparse.ArgumentParser):
    """``argparse`` whose errors are :class:`ZooError` and which takes no abbreviations.

    Args:
        verb: Name of the verb.
        description: What the verb does.
    """

    def __init__(self, verb: str, description: str | None) -> None:
        super().__init__(prog=f"zoo {verb}", description=description, allow_abbrev=False)

    def format_help(self) -> str:
        """The help, as people read it."""
        return plain(super().format_help())

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print."""
        raise ZooError(f"{message}; '{self.prog} --help' shows what it takes")
