"""Flags of every verb with values of every kind."""

import contextlib
import inspect
import io
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import strategies as st
from lightning import Trainer
from PIL import Image

from datamodules.arguments import parameters
from zoo import names, registry
from zoo.cli import main

from .given import DATA, QUIETLY, TRAININGS, run_of
from .harness import Command, Fuzz
from .odd import like, texts


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), 99).save(buffer, "PNG")
    return buffer.getvalue()


RUNS = run_of("series_csv") | run_of("tabular", finished=True)
FILES = {**DATA, "a.png": _picture(), "there.txt": b"there\n", **RUNS}
# A command of each verb that ends well, or nearly.
VERBS: list[tuple[str, ...]] = [
    ("list",),
    ("runs",),
    ("completion", "bash"),
    ("completion", "--words=cnn", "--before=fit"),
    ("show", "backprop_iris"),
    ("doctor",),
    ("validate", "backprop_iris"),
    ("compare", "runs/tabular/1"),
    ("compare", "backprop_iris", "--trainer.max_epochs=1", "--figures=false"),
    ("auto", "series", "--data.path=sales.csv", "--data.time=day", "--model.hidden_size=4", "--figures=false"),
    ("test", "runs/tabular/1"),
    ("backtest", "lstm_csv", *TRAININGS["lstm_csv"], "--folds=2", *QUIETLY),
    ("lr-find", "backprop_iris", "--steps=20", *QUIETLY),
    ("sweep", "backprop_iris", "--search", "model.lr=[0.1,0.5]", "--trials=1", "--trainer.max_epochs=1"),
    ("elbow", "kmeans_iris", "--k=1..3", *QUIETLY),
    ("embed", "pca_iris"),
    ("classify", "cnn_digits", "a.png"),
    ("classify", "sentiment_average_reviews", "--text", "fine"),
    ("forecast", "seasonal_naive_co2", "--horizon=3"),
    ("forecast", "runs/series_csv/1", "--horizon=3", "--data=sales.csv"),
    ("generate", "bigram_shakespeare", "--tokens=3"),
    ("perplexity", "bigram_shakespeare", "tale.txt"),
    ("perplexity", "bigram_shakespeare+trigram_shakespeare", "tale.txt", "--weights", "0.5", "0.5"),
    ("sample", "dcgan_digits", "--num=2"),
    ("interpolate", "dcgan_digits", "--num=1", "--points=2", "--frames=2"),
    ("import-keras", "there.txt"),
    ("export", "bigram_shakespeare", "--to=arpa", "out.arpa"),
    ("publish", "runs/tabular/1", "--to=published"),
]
WRITTEN = ("samples.png", "walk.gif", "embedding.png", "out.arpa")


def test_flags_of_training(fuzz: Fuzz) -> None:
    fuzz.check("flags of training", 0.2, trainings())


def test_flags_of_every_verb(fuzz: Fuzz) -> None:
    fuzz.check("flags of every verb", 0.15, verbs())


@st.composite
def trainings(draw: Callable[..., Any]) -> Command:
    """A training with odd settings."""
    recipe = draw(st.sampled_from(sorted(TRAININGS)))
    usual = settings_of(recipe)
    flags = []
    for flag in draw(st.lists(st.sampled_from(sorted(usual)), min_size=1, max_size=3)):
        fitting = like(usual[flag]).map(_typed)
        flags.append(f"{flag}={draw(fitting | fitting | texts)}")
    writes = (*_named(flags), *WRITTEN)
    return Command(("fit", recipe, *TRAININGS[recipe], *flags, *QUIETLY), DATA, writes)


@st.composite
def verbs(draw: Callable[..., Any]) -> Command:
    """A command of any verb in which arguments are odd, too many or missing."""
    verb, *arguments = draw(st.sampled_from(VERBS))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(arguments)))
        action = draw(st.sampled_from(["flag", "flag", "flag", "apart", "another", "gone"]))
        if action == "gone":
            del arguments[place : place + 1]
        elif action == "another":
            arguments[place : place + 1] = [draw(texts)]
        else:
            flag, text = draw(st.sampled_from(options_of(verb))), draw(texts)
            arguments += [f"{flag}={text}"] if action == "flag" else [flag, text]
    return Command((verb, *arguments), FILES, (*_named(arguments), *WRITTEN))


def settings_of(recipe: str) -> dict[str, Any]:
    """All flags of a training, and what their values are like."""
    config = registry.recipe(recipe).config
    found: dict[str, Any] = dict.fromkeys(("--config", "--model", "--data", "--trainer", "--modle.lr"), "")
    found |= {"--seed_everything": 0, "--ckpt_path": "", "--epochs_of": "", "--tune_precision": True, "--figures": True}
    found |= {f"--trainer.{name}": _example(one) for name, one in inspect.signature(Trainer).parameters.items()}
    for key in ("model", "data"):
        taken = parameters(names.find(config[key]["class_path"]))
        found |= {f"--{key}.{name}": _example(one) for name, one in taken.items()}
        found |= {f"--{key}.{name}": value for name, value in config[key].get("init_args", {}).items()}
    return found


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _example(parameter: inspect.Parameter) -> Any:
    """A value of the kind that a parameter takes."""
    if parameter.default not in (None, parameter.empty):
        return parameter.default
    told = str(parameter.annotation)
    return next((value for kind, value in (("int", 1), ("float", 1.0), ("str", "")) if kind in told), None)


@cache
def options_of(verb: str) -> list[str]:
    """All flags of a verb, as its help names them."""
    if verb in ("fit", "validate", "test"):
        return ["--ckpt_path", "--trainer.devices", "--data.seed", "--trust", "--quiet", "--traceback_"]
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        main([verb, "--help"])
    return sorted({*re.findall(r"--[a-z][\w-]*", told.getvalue()), "--flag"} - {"--help", "--traceback"})


def _named(arguments: list[str]) -> tuple[str, ...]:
    """The files that arguments may name, which may be written."""
    given = [argument.partition("=")[2] if argument.startswith("--") else argument for argument in arguments]
    return tuple(name or "." for name in given)
