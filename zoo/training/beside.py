"""A data module that lies beside its user: ``mytable.Table`` in a file ``mytable.py`` of the current folder.

It is loaded only because somebody has named it: by a flag, by a recipe file that was passed by name, or by a run folder
that is trusted. The current folder stays out of Python's search path, so that no other file there is ever imported.
"""

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from itertools import pairwise
from pathlib import Path
from types import CodeType
from typing import Any

from zoo.errors import ZooError
from zoo.terminal import warn

_FLAGS = ("--data", "--data.class_path", "--data.help")


class _Loader(SourceFileLoader):
    """Compiles the file as it is, whatever a folder of compiled files beside it holds, and leaves none there."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def named(args: list[str], sections: list[dict[str, Any]]) -> list[str]:
    """The class paths of data that flags and files name.

    Args:
        args: What was typed.
        sections: What the files say of the data.
    """
    found = [section.get("class_path") for section in sections]
    for flag, value in pairwise([*args, ""]):
        name, equals, given = flag.partition("=")
        if name in _FLAGS:
            found.append(given if equals else value)
    return [path for path in found if isinstance(path, str)]


def load_beside(class_path: str) -> None:
    """Loads the module of a class from the current folder, if it lies there and Python finds none of the name.

    Args:
        class_path: Such as ``mytable.Table``; names with more dots, or none, are left alone.

    Raises:
        ZooError: The file is a link, or fails.
    """
    module, _, name = class_path.partition(".")
    if not (module.isidentifier() and name.isidentifier()) or module in sys.modules or find_spec(module) is not None:
        return
    file = Path.cwd() / f"{module}.py"
    if file.is_symlink():
        raise ZooError(f"{file.name} is a link to {file.readlink()}; copy the file itself into this folder to load it")
    if not file.is_file():
        return
    warn(f"{class_path} is loaded from {file.name} in this folder: no installed module is called {module!r}")
    loader = _Loader(module, str(file))
    spec = spec_from_loader(module, loader)
    assert spec is not None
    sys.modules[module] = loaded = module_from_spec(spec)
    try:
        loader.exec_module(loaded)
    except Exception as error:
        del sys.modules[module]
        raise ZooError(f"{file.name} cannot be loaded ({type(error).__name__}: {error})") from error
