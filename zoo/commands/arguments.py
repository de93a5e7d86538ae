"""Arguments, whose faults are told in one line, for the verbs that LightningCLI does not parse."""

import argparse
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
