"""``zoo runs``: what was trained, how well, how large it is, and what may go. Imports neither torch nor lightning."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.table import Table

from datamodules.paths import default_cache
from zoo import registry
from zoo.commands.arguments import Arguments
from zoo.commands.tables import show_table
from zoo.errors import ZooError
from zoo.measures import measure
from zoo.terminal import human_size, say, warn

# What makes a folder a run, and what tells that it came to its end.
_FILES = ("results.json", "config.yaml", "metrics.csv")
_ENDS = ("fit", "validate", "test", "backtest", "elbow", "lr_find")
_RULES = {
    "unfinished": "runs that did not come to their end",
    "older=DAYS": "runs whose last change is longer ago, such as older=30",
    "beyond=N": "all but the N best runs of each recipe, such as beyond=3",
    "caches": "decoded pictures and token ids, which are made anew when they are needed",
}


@dataclass(frozen=True)
class Listed:
    """A folder that ``zoo fit`` and its kin left, as the list shows it.

    Attributes:
        folder: The folder.
    """

    folder: Path

    @cached_property
    def results(self) -> dict[str, Any]:
        """What it says of itself; nothing if that cannot be read."""
        try:
            return registry.read_results(self.folder)
        except ZooError:
            return {}

    @property
    def recipe(self) -> str:
        """The recipe's name, or that of the folder around."""
        return self.results.get("recipe") or self.folder.parent.name

    @cached_property
    def files(self) -> list[os.stat_result]:
        """Size and time of each file."""
        return [path.lstat() for path in self.folder.rglob("*") if not path.is_dir() or path.is_symlink()]

    @property
    def bytes(self) -> int:
        """How much it holds."""
        return sum(file.st_size for file in self.files)

    @property
    def changed(self) -> float:
        """When anything in it was written last, in seconds since 1970."""
        return max((file.st_mtime for file in self.files), default=self.folder.stat().st_mtime)

    @cached_property
    def state(self) -> str:
        """``being trained``, ``finished``, or ``unfinished``."""
        if self._is_locked():
            return "being trained"
        return "finished" if any(verb in self.results for verb in _ENDS) else "unfinished"

    def _is_locked(self) -> bool:
        path = self.folder / ".lock"
        if not path.is_file():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except (Timeout, OSError, NotImplementedError):
            return True

    @property
    def epochs(self) -> int | None:
        """How many it was trained for, if that is over."""
        return self.results.get("fit", {}).get("epochs")

    @cached_property
    def figure(self) -> tuple[str, float] | None:
        """What its model is judged by, with the split that it was measured on, such as ``test accuracy``."""
        for split in ("test", "validate"):
            figures = self.results.get(split) or {}
            name = self._metric if self._metric in figures else next(iter(figures), None)
            if name is not None:
                return f"{split} {name}", figures[name]
        return None

    @cached_property
    def _metric(self) -> str | None:
        known = registry.list_models()
        card = registry.entry(self.recipe).card if self.recipe in known else None
        if card is not None:
            return card.get("metric")
        monitor = re.search(r"^ *monitor: val_(\w+)$", self._config, re.M)
        return monitor[1] if monitor else None

    @property
    def _config(self) -> str:
        path = self.folder / "config.yaml"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def runs(argv: list[str]) -> None:
    """Lists runs: recipe, date, figure, epochs, size, and whether they came to their end; removes what may go.

    Nothing is removed unless --yes is said; a run that is being trained never is.
    """
    parser = Arguments("runs", runs.__doc__)
    parser.add_argument("pattern", nargs="?", default="*", help="shell pattern for recipes, or a word of their names")
    parser.add_argument("--root", type=Path, default=Path("runs"), metavar="DIR", help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="print an array of objects")
    parser.add_argument(
        "--clean",
        action="append",
        metavar="RULE",
        help="show what could go; may be given several times: "
        + "; ".join(f"{rule}: {meaning}" for rule, meaning in _RULES.items()),
    )
    parser.add_argument("--yes", action="store_true", help="remove what --clean shows")
    options = parser.parse_args(argv)
    if options.yes and not options.clean:
        raise ZooError(f"--yes is for --clean RULE, with one of {', '.join(_RULES)}")
    found = sorted(find_runs(options.root, options.pattern), key=lambda run: run.folder)
    if options.clean:
        _clean(found, options.clean, options.root, options.yes)
    elif options.json:
        say(json.dumps([_summarise(run) for run in found], indent=2))
    elif not found:
        raise ZooError(f"no runs in {options.root}; 'zoo fit cnn_digits' makes one, --root DIR looks elsewhere")
    else:
        show_table(_table(found))


def find_runs(root: Path, pattern: str = "*") -> Iterator[Listed]:
    """The runs in a folder and below; a run within another, such as a fold of a backtest, belongs to that.

    Args:
        root: The folder.
        pattern: Shell pattern for the names of recipes; a plain word matches anywhere.
    """
    for folder, folders, files in os.walk(root):
        if not set(_FILES).isdisjoint(files):
            folders.clear()
            run = Listed(Path(folder))
            if registry.matches(run.recipe, pattern):
                yield run


def _summarise(run: Listed) -> dict[str, Any]:
    name, value = run.figure or (None, None)
    return {
        "folder": str(run.folder),
        "recipe": run.recipe,
        "changed": datetime.fromtimestamp(run.changed).isoformat(timespec="seconds"),
        "state": run.state,
        "epochs": run.epochs,
        "figure": name,
        "value": value,
        "bytes": run.bytes,
    }


def _table(found: Iterable[Listed]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("run", "changed", "state", "figure"):
        table.add_column(column, no_wrap=True)
    for column in ("value", "epochs", "size"):
        table.add_column(column, justify="right", no_wrap=True)
    for run in found:
        name, value = run.figure or ("-", None)
        table.add_row(
            str(run.folder),
            f"{datetime.fromtimestamp(run.changed):%Y-%m-%d %H:%M}",
            run.state,
            name,
            "-" if value is None else f"{value:.5g}",
            "-" if run.epochs is None else str(run.epochs),
            human_size(run.bytes),
        )
    return table


def _clean(found: Sequence[Listed], rules: Sequence[str], root: Path, really: bool) -> None:
    """Shows what rules name, and removes it if that is really meant."""
    chosen: dict[Path, str] = {}
    for rule in rules:
        chosen |= {path: rule for path in _named_by(rule, found) if path not in chosen}
    for run in found:
        if run.folder in chosen and run.state == "being trained":
            warn(f"{run.folder} is being trained and stays")
            del chosen[run.folder]
    sizes = {path: _size(path) for path in chosen}
    for path, rule in chosen.items():
        say(f"{human_size(sizes[path]):>8s}  {path}  ({rule})")
    if not chosen:
        say("nothing to remove")
        return
    total = f"{len(chosen):,} of {human_size(sum(sizes.values()))} in all"
    if not really:
        say(f"{total}; nothing was removed; --yes removes it")
        return
    for path in chosen:
        _remove(path, root)
    say(f"removed {total}")


def _named_by(rule: str, found: Sequence[Listed]) -> list[Path]:
    """What a rule names."""
    name, _, text = rule.partition("=")
    rules: dict[str, Callable[[], Iterable[Path]]] = {
        "unfinished": lambda: (run.folder for run in found if run.state == "unfinished"),
        "older": lambda: _older(found, _number(rule, text)),
        "beyond": lambda: _beyond(found, round(_number(rule, text))),
        "caches": _caches,
    }
    if name not in rules or bool(text) != (name in ("older", "beyond")):
        raise ZooError(f"--clean is {rule!r}, expected one of {', '.join(_RULES)}")
    return list(rules[name]())


def _number(rule: str, text: str) -> float:
    if not re.fullmatch(r"\d{1,6}", text):
        raise ZooError(f"--clean is {rule!r}, expected a whole number behind =, such as 30")
    return int(text)


def _older(found: Iterable[Listed], days: float) -> Iterator[Path]:
    border = time.time() - days * 86_400
    return (run.folder for run in found if run.changed < border)


def _beyond(found: Iterable[Listed], kept: int) -> Iterator[Path]:
    """All but the best finished runs of each recipe; those without a figure are not compared and stay."""
    of_recipe: dict[tuple[str, str], list[Listed]] = {}
    for run in found:
        if run.state == "finished" and run.figure is not None:
            of_recipe.setdefault((run.recipe, run.figure[0]), []).append(run)
    for (_, figure), ones in of_recipe.items():
        upwards = measure(figure.partition(" ")[2]).higher_is_better
        ones.sort(key=lambda run: run.figure[1] if run.figure else 0.0, reverse=upwards)
        yield from (run.folder for run in ones[kept:])


def _caches() -> Iterator[Path]:
    folder = default_cache()
    return iter(sorted(folder.iterdir()) if folder.is_dir() else ())


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return Listed(path).bytes


def _remove(path: Path, root: Path) -> None:
    """Removes a run or a cache, and the folder of the recipe when it was its last."""
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)
    except OSError as error:
        raise ZooError(f"{error.filename or path} cannot be removed: {error.strerror or error}") from error
    if path.parent != root and path.is_relative_to(root) and not any(path.parent.iterdir()):
        path.parent.rmdir()
