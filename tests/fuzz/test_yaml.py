"""Recipes and configurations that came to harm, in their words or in their letters."""

import copy
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import strategies as st

from zoo import registry

from .given import DATA, QUIETLY, TRAININGS
from .harness import Command, Fuzz
from .odd import changed, damaged


def test_recipes(fuzz: Fuzz) -> None:
    fuzz.check("recipes", 0.15, recipes())


@st.composite
def recipes(draw: Callable[..., Any]) -> Command:
    """A recipe of one's own that is wrong somewhere."""
    name = draw(st.sampled_from(sorted(TRAININGS)))
    verb = draw(st.sampled_from(["fit", "fit", "fit", "lr-find", "elbow", "backtest"]))
    content = draw(odd_yaml(small(name)))
    more = {"backtest": ("--folds=2",), "elbow": ("--k=1..3",), "lr-find": ("--steps=20",)}.get(verb, ())
    return Command((verb, "mine.yaml", *more, *QUIETLY), {**DATA, "mine.yaml": content})


@st.composite
def odd_yaml(draw: Callable[..., Any], tree: Any) -> bytes:
    """A tree as YAML, with a fault in what it says or in how it is written."""
    if draw(st.integers(0, 3)):
        text = yaml.safe_dump(draw(changed(tree)), allow_unicode=draw(st.booleans()), sort_keys=False)
        return text.encode("utf-8", "surrogatepass")
    return draw(damaged(yaml.safe_dump(tree, sort_keys=False).encode()))


def small(name: str) -> dict[str, Any]:
    """A recipe that trains for a moment."""
    config = copy.deepcopy(registry.recipe(name).config)
    for flag in TRAININGS[name]:
        key, _, value = flag.removeprefix("--").partition("=")
        section, _, argument = key.partition(".")
        config[section].setdefault("init_args", {})[argument] = yaml.safe_load(value)
    return config
