"""What the configuration in a run folder may say, since run folders are passed on and may come from anywhere.

The command line writes ``config.yaml`` itself, so its form is known: no other keys, no files within it, and in every
place where a class or a function would be imported one of those listed here. That is decided before anything is
imported, of all that the file says: a name in an unexpected place is refused whether or not it could be imported.
"""

import dataclasses
import inspect
import re
import typing
from collections.abc import Collection, Mapping
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, get_args, get_origin

import torch
from lightning import Trainer
from lightning.pytorch.strategies import StrategyRegistry

from zoo import names
from zoo.errors import ZooError
from zoo.training.places import PLACES

_CALLBACKS = {
    *(
        f"lightning.pytorch.callbacks.{name}"
        for name in (
            "DeviceStatsMonitor", "EMAWeightAveraging", "EarlyStopping", "GradientAccumulationScheduler",
            "LearningRateMonitor", "ModelCheckpoint", "ModelSummary", "OnExceptionCheckpoint", "RichModelSummary",
            "RichProgressBar", "StochasticWeightAveraging", "TQDMProgressBar", "Timer",
        )
    ),
    "zoo.training.StopAfter",
    "zoo.vision.Distillation",
}  # fmt: skip
_LOGGERS = {f"lightning.pytorch.loggers.{name}Logger" for name in ("CSV", "MLFlow", "TensorBoard", "Wandb")}
_STRATEGIES = {f"lightning.pytorch.strategies.{name}Strategy" for name in ("DDP", "FSDP", "SingleDevice")}
_PROFILERS = {f"lightning.pytorch.profilers.{name}Profiler" for name in ("Advanced", "Simple")}

# What a trainer's arguments may name: classes, and words in place of them.
_CLASSES: dict[str, Collection[str]] = {
    "accelerator": (), "callbacks": _CALLBACKS, "logger": _LOGGERS, "plugins": (), "profiler": _PROFILERS,
    "strategy": _STRATEGIES,
}  # fmt: skip
_WORDS: dict[str, Collection[str]] = {
    "accelerator": ("auto", "cpu", "cuda", "gpu", "mps", "tpu"),
    "profiler": ("advanced", "simple"),
    "strategy": ("auto", *StrategyRegistry.available_strategies()),
}
_KEYS = {
    "ckpt_path", "config", "data", "epochs_of", "figures", "freeze", "init_from", "lr_of", "model", "seed_everything",
    "tf32", "trainer", "tune_precision",
}  # fmt: skip
# Arguments that become a part of the path of what is written.
_PARTS = {"filename", "id", "name", "run_id", "sub_dir", "version"}
_PLAIN = (bool, int, float, str, type(None), Path, timedelta)
_LEADS_TO_CODE = ("class_path", "init_args", "dict_kwargs")


class RunConfiguration:
    """Checks the configuration of a run folder.

    Args:
        config: What ``config.yaml`` holds.
        path: The file.
    """

    def __init__(self, config: Mapping[str, Any], path: Path) -> None:
        self.config, self.path, self.run = config, path, path.parent.resolve()

    def check(self) -> None:
        """Refuses what could run code from elsewhere, or write outside of the run.

        Raises:
            ZooError: It holds such a thing; what it is, and what to type if the run is one's own.
        """
        for key in self.config:
            if key not in _KEYS or key == "config":
                self._refuse(f"holds {key!r}, which the zoo does not write there")
        for key in _KEYS - {"config", "data", "model", "trainer"}:
            self._plain(self.config.get(key), key)
        self._place(self.config.get("ckpt_path"), "ckpt_path")
        for key, packages in (("model", names.MODELS), ("data", names.DATA)):
            known = {f"{package}.{name}" for package in packages for name in import_module(package).__all__}
            if self.config.get(key) is not None:
                self._object(self.config[key], key, known)
        self._trainer(self.config.get("trainer") or {})

    def _trainer(self, settings: Any) -> None:
        if not isinstance(settings, dict):
            self._refuse(f"has trainer {settings!r}, expected settings by name")
        known = inspect.signature(Trainer).parameters
        for name, value in settings.items():
            where = f"trainer.{name}"
            if name not in known or name == "model_registry":
                if value is not None or name not in known:
                    self._refuse(f"holds '{where}', which the zoo does not write there")
            elif name in _CLASSES and isinstance(value, dict | list):
                for one in value if isinstance(value, list) else [value]:
                    self._object(one, where, _CLASSES[name])
            elif name in _CLASSES and not isinstance(value, bool | None) and value not in _WORDS.get(name, ()):
                self._refuse(f"has {where} {value!r}, which may run any code")
            else:
                self._plain(value, where)

    def _object(self, section: Any, where: str, known: Collection[str]) -> None:
        """Checks a class and its arguments."""
        if not isinstance(section, dict) or not isinstance(section.get("class_path"), str):
            self._refuse(f"has {where} {section!r}, expected a class_path and init_args")
        class_path, arguments = section["class_path"], section.get("init_args") or {}
        if class_path not in known:
            self._refuse(f"names {class_path!r}, which may run any code")
        for key in section:
            if key not in ("class_path", "init_args"):
                self._refuse(f"holds '{where}.{key}', which the zoo does not write there")
        if not isinstance(arguments, dict):
            self._refuse(f"has {where}.init_args {arguments!r}, expected arguments by name")
        known_arguments = {} if class_path.startswith(("zoo.", "datamodules.")) else _arguments(class_path)
        for name, value in arguments.items():
            self._plain(value, f"{where}.{name}")
            if known_arguments:
                # What is handed on to another function, of an unknown type, names nothing as long as it is no text.
                argument = known_arguments.get(name)
                if not argument.takes(value) if argument else isinstance(value, str | list | dict) and value:
                    self._refuse(f"gives {class_path} {name} {value!r}, which may run any code")
                if name in PLACES | _PARTS:
                    self._place(value, f"{where}.{name}")

    def _plain(self, value: Any, where: str) -> None:
        """Refuses a value in which classes could be named."""
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in (*_LEADS_TO_CODE, "config") or not (isinstance(key, int) or str(key).isidentifier()):
                    self._refuse(f"holds '{where}.{key}', which the zoo does not write there")
                self._plain(inner, f"{where}.{key}")
        elif isinstance(value, list):
            for inner in value:
                self._plain(inner, where)
        elif isinstance(value, str) and any(word in value for word in _LEADS_TO_CODE):
            self._refuse(f"has {where} {value!r}, which may run any code")
        elif not isinstance(value, bool | int | float | str | None):
            self._refuse(f"has {where} {value!r}, expected a number, a text or a list of such")

    def _place(self, value: Any, where: str) -> None:
        """Refuses a place outside of the run."""
        if value is None or not isinstance(value, str):
            return
        # sqlite:///a is relative, sqlite:////a is not; file:a is relative, file:/a and file:///a are not.
        place = value.removeprefix("sqlite:///").removeprefix("file:")
        inside = (self.run / place).resolve().is_relative_to(self.run)
        if not inside or place.startswith("~") or "://" in place:
            self._refuse(f"has {where} {value!r}, which lies outside of the run")

    def _refuse(self, told: str) -> NoReturn:
        raise ZooError(f"{self.path} {told}; add --trust if the run is yours")


class _Argument(NamedTuple):
    """An argument of a listed class.

    Attributes:
        kind: Its type.
        default: Its default.
    """

    kind: Any
    default: Any

    def takes(self, value: Any) -> bool:
        """Whether a value can be given that names neither a class nor a function, or changes nothing."""
        if value is None or value == self.default or value == str(self.default) or _is_plain(self.kind):
            return True
        return (dataclasses.is_dataclass(self.kind) and isinstance(value, dict)) or (
            torch.device in get_args(self.kind) and re.fullmatch(r"(cpu|cuda|mps)(:\d+)?", str(value)) is not None
        )


def _arguments(class_path: str) -> dict[str, _Argument]:
    """The arguments of a listed class, those of its bases included."""
    module, _, name = class_path.rpartition(".")
    found: dict[str, _Argument] = {}
    for base in reversed(getattr(import_module(module), name).__mro__):
        init = base.__dict__.get("__init__")
        if inspect.isfunction(init):
            try:
                hints = typing.get_type_hints(init)
            except NameError:  # a type of a package that is not there
                hints = init.__annotations__
            parameters = list(inspect.signature(init).parameters.values())[1:]
            found |= {one.name: _Argument(hints.get(one.name, object), one.default) for one in parameters}
    return found


def _is_plain(kind: Any) -> bool:
    """Whether values of a type are numbers and texts, and lists and dicts of such."""
    if get_origin(kind) is Literal or kind in _PLAIN:
        return True
    inner = get_args(kind)
    return bool(inner) and all(_is_plain(one) or one is Ellipsis for one in inner)
