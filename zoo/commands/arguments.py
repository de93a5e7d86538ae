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

    def add_device(self) -> None:
        """Adds ``--device``, which :func:`zoo.load` takes as it is.

        The CPU is the default: it is there on every machine, answers alike on all, and needs no seconds to wake up.
        """
        self.add_argument(
            "--device",
            default="cpu",
            metavar="D",
            help="where to compute: cpu (default), cuda, cuda:1, mps, or auto, which is a graphics processor if there "
            "is one, as zoo fit and zoo test take it",
        )

    def format_help(self) -> str:
        """The help, as people read it."""
        return plain(super().format_help())

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print."""
        raise ZooError(f"{message}; '{self.prog} --help' shows what it takes")
