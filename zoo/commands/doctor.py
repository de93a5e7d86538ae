"""``zoo doctor``: what is installed, what there is to compute with, and what is wrong, in one screen."""

import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from datamodules.errors import DataError
from datamodules.paths import default_cache
from zoo import __version__, registry
from zoo.commands.arguments import Arguments
from zoo.errors import ZooError
from zoo.terminal import human_size, say

_DISTRIBUTION = "lightning-zoo"
# Below this a training that keeps pictures or token ids may end with a full disk.
_ROOM = 2_000_000_000


class Findings:
    """What is said of the machine, and what is wrong with it."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def tell(self, name: str, text: str) -> None:
        """Prints a line."""
        say(f"{name:10s} {text}")

    def fault(self, text: str) -> None:
        """Keeps what is wrong for the end."""
        self.wrong.append(text)


def doctor(argv: list[str]) -> int:
    """Says what is installed, which devices, extras and weights there are, and what is wrong.

    The exit code is 1 if something is wrong.
    """
    Arguments("doctor", doctor.__doc__).parse_args(argv)
    found = Findings()
    for look in (_python, _packages, _extras, _devices, _weights, _places):
        look(found)
    if not found.wrong:
        say("\nnothing is wrong")
        return 0
    say("\nwhat is wrong")
    for text in found.wrong:
        say(f"  {text}")
    return 1


def _python(found: Findings) -> None:
    found.tell("zoo", f"{__version__} in {Path(__file__).parent.parent}")
    found.tell("python", f"{platform.python_version()} in {sys.prefix}; {platform.platform()}")
    command = shutil.which("zoo")
    if command is not None and Path(command).parent.resolve() != (Path(sys.prefix) / "bin").resolve():
        found.fault(f"the command 'zoo' is {command}, of another Python than {sys.executable}")


def _requirements() -> Iterator[tuple[str, Requirement]]:
    """What the zoo needs, by extra; those without one by ''."""
    try:
        texts = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        return
    extras = {"", *(extra for text in texts for extra in _extras_of(Requirement(text)))}
    for extra in sorted(extras):
        for text in texts:
            one = Requirement(text)
            needed = one.marker is None or one.marker.evaluate({"extra": extra})
            if needed and (not extra or one.marker is not None) and one.name != _DISTRIBUTION:
                yield extra, one


def _extras_of(one: Requirement) -> list[str]:
    return [part.strip(" \"'") for part in str(one.marker or "").split("extra ==")[1:2]]


def _packages(found: Findings) -> None:
    told = []
    for extra, one in _requirements():
        if not extra and one.name in ("torch", "torchvision", "lightning", "torchmetrics", "timm", "jsonargparse"):
            told.append(f"{one.name} {_version(one.name) or 'is missing'}")
        if not extra and (fault := _fault(one)) is not None:
            found.fault(f"{fault}; install it with: pip install '{one}'")
    if not told:
        found.fault(f"{_DISTRIBUTION} is not installed, only imported; install it with: pip install -e .")
    found.tell("packages", ", ".join(told) or "unknown")


def _fault(one: Requirement) -> str | None:
    """What is wrong with a package."""
    there = _version(one.name)
    if there is None:
        return f"{one.name} is not installed"
    return (
        None if one.specifier.contains(there, prereleases=True) else f"{one.name} is {there}, expected {one.specifier}"
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _extras(found: Findings) -> None:
    lacking: dict[str, list[str]] = {}
    for extra, one in _requirements():
        if extra:
            lacking.setdefault(extra, []).extend([one.name] if _fault(one) is not None else [])
    there = [extra for extra, names in lacking.items() if not names]
    absent = [f"{extra} ({', '.join(names)})" for extra, names in lacking.items() if names]
    found.tell("extras", f"{', '.join(there) or 'none'}; not installed: {', '.join(absent) or 'none'}")


def _devices(found: Findings) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        import torch
    except Exception as error:
        found.fault(f"torch cannot be imported ({type(error).__name__}: {' '.join(str(error).split())})")
        found.tell("devices", f"{cores} cores; torch cannot be imported")
        return
    told = [f"{cores} cores, {torch.get_num_threads()} threads"]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        told.append(f"cuda:{index} {properties.name}, {human_size(properties.total_memory)}")
    if torch.backends.mps.is_available():
        told.append("mps")
    if torch.cuda.device_count() and not torch.cuda.is_available():
        found.fault(f"there are GPUs, but torch {torch.__version__} cannot use them")
    found.tell("devices", "; ".join(told) + ("" if len(told) > 1 else "; no GPU"))


def _weights(found: Findings) -> None:
    names = registry.list_models(pretrained=True)
    absent: dict[str, int] = {}
    for name in names:
        folder, card = registry.entry(name).folder, registry.card(name)
        for file, key in (("model.safetensors", "sha256"), ("golden.safetensors", "sha256_golden")):
            try:
                path = registry.published_file(folder, file)
            except ZooError:
                absent[card["family"]] = absent.get(card["family"], 0) + (file == "model.safetensors")
                continue
            if not path.is_file():
                found.fault(f"{path} is missing")
            elif key in card and hashlib.sha256(path.read_bytes()).hexdigest() != card[key]:
                found.fault(f"{path} is damaged, or of another version than its card; install both again")
    lacking = "".join(
        f"; {count} of {family} come with: pip install lightning-zoo-weights-{family}"
        for family, count in absent.items()
    )
    found.tell("weights", f"{len(names) - sum(absent.values())} of {len(names)} published{lacking}")


def _places(found: Findings) -> None:
    looks: dict[str, Callable[[], Path]] = {"cache": default_cache, "runs": lambda: Path("runs").absolute()}
    for name, look in looks.items():
        try:
            place = look()
        except DataError as error:
            found.fault(str(error))
            continue
        there = next(folder for folder in (place, *place.parents) if folder.is_dir())
        room = shutil.disk_usage(there).free
        found.tell(name, f"{place}; {human_size(room)} free")
        if not os.access(there, os.W_OK):
            found.fault(f"{there} cannot be written, where {name} would be kept")
        elif room < _ROOM:
            found.fault(f"{there} has {human_size(room)} free, where {name} would be kept")
