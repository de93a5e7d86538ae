"""What Python is given, as the command line takes it: settings become flags, so there is one way for them to go in."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from lightning import LightningDataModule

from datamodules.arguments import parameters
from zoo import names
from zoo.base.inputs import told
from zoo.errors import ZooError, shortened
from zoo.training.handed import SAVED, Handed, understood
from zoo.training.run_folder import new_run_folder, remove_run
from zoo.training.target import Target

Settings = Mapping[str, Any]

_EXAMPLES = {"model": "{'dropout': 0.5}", "data": "{'batch_size': 64}", "trainer": "{'max_epochs': 5}"}


def flags(section: str, given: Settings | type | None) -> Iterator[str]:
    """Settings as flags.

    Args:
        section: ``model``, ``data`` or ``trainer``.
        given: Settings by name, or a class.

    Raises:
        ZooError: It is something else.
    """
    if given is None:
        return
    if isinstance(given, type):
        given = {"class_path": given}
    if not isinstance(given, Mapping):
        raise ZooError(f"{section} is {told(given)}, expected settings by name, such as {_EXAMPLES[section]}")
    settings = {**given, **(given.get("init_args") or {})}
    settings.pop("init_args", None)
    if (kind := settings.pop("class_path", None)) is not None:
        yield flag(section, names.path_of(kind) if isinstance(kind, type) else kind)
    for name, value in settings.items():
        if not re.fullmatch(r"[^\W\d]\w*(\.\w+)*\+?", str(name)) or name == "help":
            raise ZooError(f"{section} has a setting {shortened(name)}, expected the name of an argument")
        yield flag(f"{section}.{name}", value)


def flag(name: str, value: Any) -> str:
    """A setting as a flag.

    Args:
        name: That of the flag, without its dashes.
        value: A number, a text, a path, or a list or mapping of such.

    Raises:
        ZooError: It is something else.
    """
    if isinstance(value, str | PathLike):
        text = os.fspath(value)
        if text in ("null", "Null", "NULL", "~"):
            raise ZooError(f"--{name} is {text!r}, which stands for nothing; give None, or something of another name")
    else:
        try:
            plain = yaml.safe_dump(_plain(value), default_flow_style=True, sort_keys=False, width=sys.maxsize)
        except yaml.representer.RepresenterError:
            raise ZooError(
                f"--{name} is {told(value)}, expected a number, a text, or a list of such; objects are for "
                "data=, and callbacks="
            ) from None
        text = plain.removesuffix("...\n").strip()
    return f"--{name}={text}"


def _plain(value: Any) -> Any:
    """Numbers of NumPy as those of Python, paths as texts, wherever they are."""
    match value:
        case np.generic():
            return value.item()
        case PathLike():
            return os.fspath(value)
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return value


def laid_out(
    data: Any, target: Target, trainer: Settings
) -> tuple[LightningDataModule | None, Settings | type | None, Path | None]:
    """What a user gives as data, laid out for the command line.

    Data in hand is written into a new run's folder if it is small; else where it lasts as long as its data module.

    Args:
        data: What :func:`zoo.fit` is given.
        target: What is trained.
        trainer: Settings of the trainer.

    Returns:
        A data module that cannot be written down, settings that describe any other, and the run's folder if it had to
        be made.

    Raises:
        ZooError: It is no data for this recipe.
    """
    if isinstance(data, LightningDataModule):
        data = _written_down(data)
        return (data, None, None) if isinstance(data, LightningDataModule) else (None, data, None)
    if data is None or isinstance(data, type):
        return None, data, None
    found = understood(Path(target.args[1]), data)
    if not isinstance(found, Handed):
        return None, found, None
    if "LOCAL_RANK" in os.environ or trainer.get("devices", 1) not in (1, "auto", "1"):
        raise ZooError("data in hand is trained on in one process; save it, and say where it lies, to train in several")
    if found.is_small and target.run is None:
        folder = new_run_folder(Path(trainer.get("default_root_dir") or "runs") / target.recipe)
        try:
            return None, {"class_path": found.reader, **found.write(folder / SAVED)}, folder
        except BaseException:
            remove_run(folder)
            raise
    scratch = TemporaryDirectory(prefix="zoo-")
    module = found.reader(**_plain(found.write(Path(scratch.name) / SAVED)))
    module.scratch = scratch  # which lasts as long as the module
    return module, None, None


def _written_down(data: LightningDataModule) -> Settings | LightningDataModule:
    """A data module of the zoo as the settings that rebuild it, whoever goes on with the run; any other as it is."""
    path = names.path_of(type(data))
    if path.rpartition(".")[0] not in names.DATA:
        return data
    defaults = parameters(type(data))
    given = {name: value for name, value in data.hparams.items() if value != defaults[name].default}
    try:
        yaml.safe_dump(_plain(given))
    except yaml.representer.RepresenterError:
        return data
    return {"class_path": path, **given}
