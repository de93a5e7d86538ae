"""Where loggers, callbacks and profilers write: into the run's folder, unless a new run's user says otherwise."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

# Arguments that say where something is written.
PLACES = {"artifact_location", "dir", "dirpath", "log_dir", "root_dir", "save_dir", "tracking_uri"}
# What makes a tracking server of a file.
_SCHEMES = ("sqlite:///", "file:")


def has_unsaid_places(trainer: Namespace) -> bool:
    """Whether a logger would write into the current folder, because nobody said where to."""
    return any(value is not None and value == default for _, _, value, default in _places(trainer))


def settled(trainer: Namespace, run: Path, resumed: bool) -> Namespace:
    """The settings of a trainer, everything in its place.

    Of a new run, what nobody said is the run's folder. Of one that is resumed, all that is relative lies there: its
    ``config.yaml`` may have been written anywhere.

    Args:
        trainer: The settings.
        run: The run's folder.
        resumed: Whether the run goes on.
    """
    found = trainer.clone()
    for arguments, name, value, default in _places(found):
        if value is not None and (resumed or value == default):
            scheme = next((scheme for scheme in _SCHEMES if value.startswith(scheme)), "")
            if "://" not in value.removeprefix(scheme):
                arguments[name] = scheme + str(run.resolve() / value.removeprefix(scheme))
    return found


def _places(trainer: Namespace) -> Iterator[tuple[Any, str, Any, Any]]:
    """Arguments, the name of one that is a place, its value and its default."""
    for key in ("callbacks", "logger", "profiler"):
        sections = trainer.get(key)
        for section in sections if isinstance(sections, list) else [sections]:
            arguments = section.get("init_args") if isinstance(section, Namespace) else None
            if arguments is None:
                continue
            module, _, name = section["class_path"].rpartition(".")
            parameters = inspect.signature(getattr(import_module(module), name)).parameters
            for name in sorted(PLACES & vars(arguments).keys() & parameters.keys()):
                if isinstance(arguments[name], str | None):
                    yield arguments, name, arguments[name], parameters[name].default
