"""Recipe and model names: where their recipe, weights and card lie. Imports neither torch nor lightning."""

import fnmatch
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from zoo import names, renamed
from zoo.errors import ZooError, did_you_mean
from zoo.schemas import fault_of_card, fault_of_results

_PACKAGE = Path(__file__).parent
RECIPES = _PACKAGE / "recipes"
# In an installed wheel inside the package, in a checkout beside it.
CHECKPOINTS = _PACKAGE / "checkpoints" if (_PACKAGE / "checkpoints").is_dir() else _PACKAGE.parent / "checkpoints"
# Where the distributions lie that hold what is too large for this one, a folder for each family.
_LARGE = "lightning_zoo_weights"
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What ``fit_on`` says where nothing is left to validate on.
UNVALIDATED = ("all", "known")
# How deep YAML may be nested, and for how many values its aliases may stand, by far more than a recipe needs.
_DEPTH, _REPEATED = 50, 10_000


@dataclass(frozen=True)
class Recipe:
    """A recipe of the zoo and what is published of it.

    Attributes:
        name: Its name, also that of its published weights.
    """

    name: str

    @property
    def path(self) -> Path:
        """The recipe's YAML file."""
        return RECIPES / f"{self.name}.yaml"

    @property
    def text(self) -> str:
        """The recipe as it is written, comments and all."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The recipe, parsed."""
        return read_yaml(self.path)

    @property
    def summary(self) -> str:
        """The comment in the recipe's first line."""
        return self.text.partition("\n")[0].removeprefix("#").strip()

    @property
    def about(self) -> str:
        """The comments that follow it: how the settings were chosen, for example."""
        lines = takewhile(lambda line: line.startswith("#"), self.text.splitlines()[1:])
        return " ".join(line.removeprefix("#").strip() for line in lines)

    @property
    def family(self) -> str:
        """The wing that the model lives in, such as ``vision``."""
        return self.config["model"]["class_path"].split(".")[1]

    @property
    def data(self) -> str:
        """Name of the data module's class."""
        return self.config["data"]["class_path"].rpartition(".")[2]

    @property
    def folder(self) -> Path:
        """Where the published weights are, if there are any."""
        return CHECKPOINTS / self.name

    @cached_property
    def card(self) -> dict[str, Any] | None:
        """The card of the published weights, or None."""
        return read_card(self.folder) if (self.folder / "card.json").is_file() else None


@dataclass(frozen=True)
class Imported(Recipe):
    """Published weights without a recipe: made elsewhere and imported."""

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the card says of the model."""
        return {"model": read_card(self.folder)["model"], "data": {"class_path": "imported"}}

    @property
    def text(self) -> str:
        """One comment, in place of a recipe."""
        return f"# {self.summary}\n"

    @property
    def summary(self) -> str:
        """What the card says."""
        return read_card(self.folder).get("summary", "Imported weights.")


def published_file(folder: Path, name: str) -> Path:
    """A file of published weights: in their folder or, if it is large, in the distribution of their family.

    Args:
        folder: That of the card.
        name: Such as ``model.safetensors``.

    Raises:
        ZooError: The distribution is not installed.
    """
    path = folder / name
    if path.exists() or folder.parent != CHECKPOINTS:
        return path
    family = read_card(folder)["family"]
    found = find_spec(_LARGE)
    for root in (found and found.submodule_search_locations) or ():
        if (large := Path(root) / family / folder.name / name).is_file():
            return large
    raise ZooError(
        f"{name} of '{folder.name}' is not installed; it comes with: pip install lightning-zoo-weights-{family}"
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """Parses a YAML file; only plain data, nothing is executed. Class paths are brought up to date.

    Raises:
        ZooError: The file is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        check_extent(text)
        content = yaml.load(text, Loader=_YAML_LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ZooError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ZooError(f"{path} holds {type(content).__name__}, expected a recipe with 'model', 'data' and 'trainer'")
    return names.updated(content)


def check_extent(text: str) -> None:
    """Looks at YAML before it is parsed: a few lines of aliases can stand for billions of values, or for themselves.

    Raises:
        yaml.YAMLError: It is nested too deep, an alias lies in what it stands for, or aliases stand for too much.
    """
    sizes: dict[str, int] = {}
    around: list[tuple[str | None, int]] = []  # the anchors of the collections that are not closed yet, and their sizes
    repeated = 0
    for event in yaml.parse(text, Loader=_YAML_LOADER):
        size = 1
        if isinstance(event, yaml.CollectionStartEvent):
            around.append((event.anchor, 1))
            if len(around) > _DEPTH:
                raise yaml.YAMLError(f"nested deeper than {_DEPTH} levels")
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in [anchor for anchor, _ in around]:
                raise yaml.YAMLError(f"the alias *{event.anchor} lies in what it stands for")
            size = sizes.get(str(event.anchor), 1)
            repeated += size
            if repeated > _REPEATED:
                raise yaml.YAMLError(f"aliases stand for more than {_REPEATED:,} values")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = around.pop()
            if anchor is not None:
                sizes[anchor] = size
        elif not isinstance(event, yaml.ScalarEvent):
            continue
        if around:
            around[-1] = (around[-1][0], around[-1][1] + size)


def fits_on_all(config: dict[str, Any]) -> bool:
    """Whether a recipe or a run's configuration trains on so much that nothing is left to validate on."""
    data = config.get("data")
    arguments = data.get("init_args") if isinstance(data, dict) else None
    return isinstance(arguments, dict) and arguments.get("fit_on") in UNVALIDATED


def read_results(folder: Path) -> dict[str, Any]:
    """What a run's ``results.json`` holds; nothing if it is not written yet.

    Raises:
        ZooError: It is damaged.
    """
    path = folder / "results.json"
    return _read_json(path, fault_of_results, "delete it") if path.is_file() else {}


def read_card(folder: Path) -> dict[str, Any]:
    """Reads the card in a folder of published weights. Class paths are brought up to date.

    Raises:
        ZooError: There is none, or it is damaged.
    """
    path = folder / "card.json"
    if not path.is_file():
        raise ZooError(f"{folder} holds no card.json; expected a folder that 'zoo publish' wrote")
    return names.updated(_read_json(path, fault_of_card, "fetch it again"))


def _read_json(path: Path, fault: Callable[[Any], str | None], advice: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        wrong = fault(content)
    except (ValueError, RecursionError) as error:
        wrong = str(error)
    if wrong is not None:
        raise ZooError(f"{path} is damaged: {wrong}; {advice}")
    return dict(content)


def list_models(pattern: str = "*", pretrained: bool = False) -> list[str]:
    """Lists the recipes and imported weights whose name matches.

    Args:
        pattern: Shell pattern such as ``"*fashion*"``; a plain word matches anywhere in the name.
        pretrained: Only those with published weights.

    Returns:
        Names in alphabetical order.
    """
    imported = (path.parent.name for path in CHECKPOINTS.glob("*/card.json"))
    imported = (name for name in imported if not Recipe(name).path.is_file())
    names = [*list_recipes(pattern), *(name for name in imported if matches(name, pattern))]
    return sorted(name for name in names if not pretrained or (CHECKPOINTS / name / "card.json").is_file())


def list_recipes(pattern: str = "*") -> list[str]:
    """Lists what can be trained; :func:`list_models` lists imported weights, too."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml") if matches(path.stem, pattern))


def matches(name: str, pattern: str) -> bool:
    """Whether a name fits a shell pattern; a plain word matches anywhere."""
    return fnmatch.fnmatchcase(name, _anywhere(pattern))


def _anywhere(pattern: str) -> str:
    return pattern if any(wildcard in pattern for wildcard in "*?[") else f"*{pattern}*"


def entry(name: str) -> Recipe:
    """Finds a recipe or imported weights by name.

    Raises:
        ZooError: There is none of that name.
    """
    name = renamed.todays(name, renamed.RECIPES)
    if "/" not in name and Recipe(name).path.is_file():
        return Recipe(name)
    if "/" not in name and (CHECKPOINTS / name / "card.json").is_file():
        return Imported(name)
    raise ZooError(f"no recipe '{name}'{did_you_mean(name, list_models())}; 'zoo list' shows all")


def recipe(name: str) -> Recipe:
    """Finds a recipe by its name.

    Raises:
        ZooError: There is none of that name.
    """
    found = entry(name)
    if isinstance(found, Imported):
        raise ZooError(f"'{name}' has no recipe: its weights were imported; 'zoo show {name}' says what they are")
    return found


def card(name: str) -> dict[str, Any]:
    """Reads the card of published weights: architecture, classes, data, metrics, checksums, seed, versions.

    Raises:
        ZooError: There is no such recipe, or nothing is published of it.
    """
    found = entry(name).card
    if found is None:
        raise ZooError(f"nothing is published of '{name}'; 'zoo list --pretrained' shows what is")
    return found
