"""Verbs that train for long: in a folder of their own, where the same command goes on with what was interrupted."""

import re
import shlex
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

from datamodules.files import write_whole
from zoo.errors import ZooError
from zoo.training.run_folder import new_run_folder

# What was typed, so that another command does not go on in the same folder.
_COMMAND = "command.txt"
# What says how long to train, where the best checkpoint of another training tells.
DURATION = ("--trainer.max_epochs", "--trainer.max_steps", "--trainer.max_time")


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before the first flag, and the rest."""
    names = list(takewhile(lambda word: not word.startswith("-"), argv))
    return names, list(argv[len(names) :])


def seconds(flag: str) -> Callable[[str], float]:
    """What reads the time that a flag gives.

    Args:
        flag: Its name, for the message.
    """

    def read(text: str) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
        if found is None:
            raise ZooError(f"{flag} is {text!r}, expected a time such as 90s, 5m or 2h")
        return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]

    return read


def without(words: Sequence[str], *flags: str) -> list[str]:
    """Words but for some flags and their values, which may be words of their own."""
    kept: list[str] = []
    skips = False
    for word in words:
        named = word.partition("=")[0] in flags
        if not named and not skips:
            kept.append(word)
        skips = named and "=" not in word
    return kept


def with_out(command: Sequence[str], folder: Path) -> list[str]:
    """The command that goes on in a folder."""
    if any(word.partition("=")[0] == "--out" for word in command):
        return list(command)
    return [*command, "--out", str(folder)]


def folder_of(kind: str, out: Path | None, command: Sequence[str], may_differ: Sequence[str] = ()) -> Path:
    """The folder of what takes long: a new one, or one that the same command was interrupted in.

    Args:
        kind: What it holds, in a word.
        out: What ``--out`` names, if anything.
        command: What was typed after ``zoo``.
        may_differ: Flags that may be others when it goes on.

    Raises:
        ZooError: The folder holds something else.
    """
    typed = shlex.join(["zoo", *without(command, "--out", *may_differ)]) + "\n"
    folder = out or new_run_folder(Path("runs") / command[0])
    kept = folder / _COMMAND
    if out is not None and out.exists():
        # What is hidden another worker may be about to write.
        if not out.is_dir() or (any(one.name[0] != "." for one in out.iterdir()) and not kept.is_file()):
            raise ZooError(f"--out {out} is there and holds no {kind}; name a new folder")
        if kept.is_file() and kept.read_text(encoding="utf-8") != typed:
            raise ZooError(f"--out {out} holds another {kind}; it was made by: {kept.read_text('utf-8').strip()}")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(kept, typed.encode())
    return folder
