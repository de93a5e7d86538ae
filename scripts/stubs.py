"""Writes ``zoo/__init__.pyi``, which tells type checkers what ``zoo.load`` and ``zoo.create`` return by name.

    python scripts/stubs.py

Run it when a recipe is added or published; a test compares the file with what this would write.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from zoo import registry

STUB = Path(registry.__file__).with_name("__init__.pyi")

_HEAD = """# Written by scripts/stubs.py; do not edit.

from os import PathLike
from typing import Any, Literal, TypeVar, overload

from torch import device as Device

from . import base as base
from . import gan as gan
from . import series as series
from . import tabular as tabular
from . import text as text
from . import training as training
from . import vision as vision
from .base import ZooModule as ZooModule
from .errors import ZooError as ZooError
from .registry import card as card
from .registry import list_models as list_models
from .training import Run as Run
from .training import fit as fit
from .training import open_run as open_run

_Model = TypeVar("_Model", bound=ZooModule)

WINGS: tuple[str, ...]
__version__: str
"""


def stub() -> str:
    """What the file should hold."""
    published = registry.list_models(pretrained=True)
    loads = _overloads("load", published, "name: str | PathLike[str]", "device: str | Device = ...")
    typed = (
        "@overload\n"
        "def load(name: str | PathLike[str], device: str | Device = ..., *, kind: type[_Model]) -> _Model: ...\n"
    )
    options = "*, init_from: str | PathLike[str] | None = ..., **overrides: Any"
    creates = _overloads("create", registry.list_recipes(), "name: str", options)
    return _HEAD + loads + typed + creates


def _overloads(function: str, names: Iterable[str], any_name: str, rest: str) -> str:
    """One signature a class of models, and one for every other name."""
    by_class: dict[str, list[str]] = defaultdict(list)
    for name in names:
        entry = registry.entry(name)
        model = entry.card["model"] if entry.card else entry.config["model"]
        by_class[model["class_path"].removeprefix("zoo.")].append(name)
    lines = []
    one_by_one = rest.replace(", ", ",\n    ")
    for path, members in sorted(by_class.items()):
        listed = "".join(f'        "{name}",\n' for name in sorted(members))
        lines.append(
            f"@overload\ndef {function}(\n    name: Literal[\n{listed}    ],\n    {one_by_one},\n) -> {path}: ...\n"
        )
    lines.append(f"@overload\ndef {function}({any_name}, {rest}) -> ZooModule: ...\n")
    return "".join(lines)


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
    print(f"wrote {STUB}")
