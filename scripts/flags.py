"""Writes ``zoo/commands/flags.json``: the flags of every verb and the arguments of every class, for ``zoo completion``.

    python scripts/flags.py

Run it when a flag, a model or a data module is added; a test compares the file with what this would write.
"""

import contextlib
import inspect
import io
import json
import re
from importlib import import_module
from typing import Any
from unittest.mock import patch

from datamodules.arguments import parameters
from datamodules.module import DataModule
from zoo import names
from zoo.base.module import ZooModule
from zoo.cli import VERBS, main
from zoo.commands.arguments import Arguments
from zoo.commands.completion import FLAGS
from zoo.training.facts import FACTS

# Needs nothing but an interpreter to be told.
_RECIPE = "dense_iris"


class AskedError(Exception):
    """A verb has made its parser."""


def flags() -> dict[str, Any]:
    """What the file should hold."""
    return {
        "verbs": {verb: _of_verb(target) for verb, (target, _) in VERBS.items()},
        "training": _of_training(),
        "models": _of_classes(names.MODELS),
        "data": _of_classes(names.DATA),
    }


def _of_verb(target: str) -> dict[str, Any]:
    """The flags of a verb, with the values that each can have, and whether those of training may follow."""
    module, _, function = target.partition(":")
    made: list[Arguments] = []

    def ask(parser: Arguments, *_: Any) -> None:
        made.append(parser)
        raise AskedError

    run = getattr(import_module(module), function)
    asking = patch.multiple(Arguments, parse_args=ask, parse_known_args=ask)
    with asking, contextlib.suppress(AskedError):
        if "Arguments(" in inspect.getsource(run):
            run([])
    found: dict[str, list[str]] = {"--help": [], "--traceback": []}
    for parser in made:
        for action in parser._actions:
            found |= {flag: list(map(str, action.choices or ())) for flag in action.option_strings if flag[:2] == "--"}
    own = re.findall(r"(--[a-z-]+)", (run.__doc__ or "").partition("Also:")[2])
    found |= {flag: [] for flag in own}
    return {"flags": dict(sorted(found.items())), "trains": not made or "parse_known_args" in inspect.getsource(run)}


def _of_training() -> list[str]:
    """The flags that every training has."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(["fit", _RECIPE, "--help"])
    found = re.findall(r"^ +(?:-\w, )?(--[\w.]+)", out.getvalue(), re.M)
    return sorted(
        {flag for flag in found if flag not in ("--help", "--model", "--data") and not flag.endswith(".help")}
    )


def _of_classes(packages: tuple[str, ...]) -> dict[str, list[str]]:
    """The arguments of each public class that a recipe could name."""
    found: dict[str, set[str]] = {}
    for package in packages:
        for name in import_module(package).__all__:
            kind = getattr(import_module(package), name)
            if inspect.isclass(kind) and issubclass(kind, ZooModule | DataModule):
                found.setdefault(name, set()).update(parameters(kind).keys() - _given(kind))
    return {name: sorted(arguments) for name, arguments in sorted(found.items())}


def _given(kind: type) -> set[str]:
    """What a model is told by its data."""
    return set(FACTS) if issubclass(kind, ZooModule) else set()


if __name__ == "__main__":
    FLAGS.write_text(json.dumps(flags(), indent=1) + "\n", encoding="utf-8")
