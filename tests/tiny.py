"""Shrinks any recipe to a training of seconds, the same for every test that trains."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from filelock import FileLock
from lightning.pytorch.callbacks import Callback
from PIL import Image

from datamodules import Shapes
from datamodules.arguments import parameters
from datamodules.module import DataModule
from zoo import names, registry
from zoo.base.module import ZooModule
from zoo.training.cli import ZooCLI

ROOT = Path(__file__).parent.parent
EPOCHS = 2
LIMITS = {"limit_train_batches": 4, "limit_val_batches": 2, "limit_test_batches": 2, "check_val_every_n_epoch": 1}
# Overrides the limits: two processes and one must see the same rows.
EVALUATE_ALL = ("--trainer.limit_val_batches=1.0", "--data.init_args.eval_batch_size=500")

# What a model's arguments are reduced to, where a recipe sets them to more.
SMALL = {
    **dict.fromkeys(("width", "discriminator_width", "detail_width", "discriminator_detail_width"), 8),
    **dict.fromkeys(("embedding_size", "hidden_size", "channels"), 8),
    **dict.fromkeys(("num_heads", "num_components"), 2),
    "unfreeze_epoch": 1,
}


def one_a_kind(*wanted: str) -> list[str]:
    """Recipes that between them have every class of model and of data, and those that are wanted besides.

    For what takes long with all of them: recipes of the same classes differ in their settings, which change little of
    what a device or a second process is asked to do.
    """
    found: list[str] = []
    seen: set[str] = set()
    for name in registry.list_recipes():
        config = registry.recipe(name).config
        kinds = {config[part]["class_path"] for part in ("model", "data")}
        if name in wanted or kinds - seen:
            found.append(name)
            seen |= kinds
    return found


def learns(name: str) -> bool:
    """Whether a recipe's model is trained; how far back a baseline looks is all that it is."""
    model: type[ZooModule] = names.find(registry.recipe(name).config["model"]["class_path"])
    return model.learns


def tiny_args(name: str, figures: bool = False, **trainer: Any) -> list[str]:
    """LightningCLI arguments for a recipe with few and small batches and few epochs."""
    recipe = registry.recipe(name)
    settings = {"max_epochs": EPOCHS, "accelerator": "cpu", "devices": 1, **LIMITS, **trainer}
    flags = [f"--trainer.{key}={_written(value)}" for key, value in settings.items()]
    data = [f"--data.init_args.{key}={_written(value)}" for key, value in _tiny_data(recipe).items()]
    asked = recipe.config["model"]["init_args"]
    reduced = {key: small for key, small in SMALL.items() if isinstance(asked.get(key), int) and asked[key] > small}
    model = [f"--model.init_args.{key}={value}" for key, value in reduced.items()]
    more = [f"--figures={_written(figures)}", "--tune_precision=false"]
    return ["--config", str(recipe.path), *data, *model, *flags, *more]


def _tiny_data(recipe: registry.Recipe) -> dict[str, Any]:
    """What the data module states for a quick try; a user's file, where it needs one, else the project's data."""
    kind: type[DataModule] = names.find(recipe.config["data"]["class_path"])
    arguments = dict(kind.miniature)
    if not learns(recipe.name) or recipe.config["model"]["init_args"].get("residual") == "season":
        arguments.pop("window", None)  # which must hold what the model looks back to
    if kind.needs is not None:
        return arguments | USER_FILES[kind.needs]()
    root = public_data(recipe.name)
    return arguments if root is None else arguments | {"root": str(root)}


def public_data(name: str) -> Path | None:
    """Where a recipe's data is looked for from the project's folder, though tests run in folders of their own."""
    root = parameters(names.find(registry.recipe(name).config["data"]["class_path"])).get("root")
    return None if root is None or root.default is root.empty else ROOT / root.default


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def photos() -> Path:
    """A folder of pictures of three classes, in place of a user's; made on first use."""
    folder = ROOT / "data" / "tiny_photos"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            data = Shapes(image_size=40, train_size=180, val_size=6, test_size=6)
            images, labels = data.splits["train"]
            with TemporaryDirectory(dir=folder.parent) as scratch:
                for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
                    if label < 3:
                        path = Path(scratch) / "photos" / data.classes[label] / f"{number}.png"
                        path.parent.mkdir(parents=True, exist_ok=True)
                        Image.fromarray(image.movedim(0, -1).numpy()).save(path)
                (Path(scratch) / "photos").rename(folder)
    return folder


def sales() -> Path:
    """A daily series with a weekly season in a CSV file, in place of a user's; made on first use."""
    days = np.datetime64("2024-01-01") + np.arange(300)
    lines = [f"{day},{100 + number % 7 * 5 + number % 11}" for number, day in enumerate(days)]
    return _made("tiny_sales.csv", "\n".join(["day,sold", *lines]) + "\n")


def opinions() -> Path:
    """A table of labelled texts, in place of a user's; made on first use."""
    verdicts, things, links = ("dull", "great"), ("film", "play", "song", "book"), ("and", "but", "so")
    lines = [
        f"a {verdicts[number % 2]} {things[number % 4]} {links[number % 3]} {number},{('bad', 'good')[number % 2]}"
        for number in range(300)
    ]
    return _made("tiny_opinions.csv", "\n".join(["text,label", *lines]) + "\n")


def flats() -> Path:
    """A table of numbers, texts and dates whose target may be classes or a number, in place of a user's."""
    lines = [
        f"{30 + number % 71},{('Rome', 'Berlin', 'Oslo')[number % 3]},{('no', 'yes')[number % 2]},"
        f"2024-{1 + number % 12:02d}-{1 + number % 28:02d},{(number % 71 > 30) + (number % 71 > 50)}"
        for number in range(300)
    ]
    return _made("tiny_flats.csv", "\n".join(["size in m2,city,balcony,built,target", *lines]) + "\n")


def tale() -> Path:
    """A text, in place of a user's; made on first use."""
    lines = (f"once upon a time there were {number} bears\n" for number in range(300))
    return _made("tiny_tale.txt", "".join(lines))


def _made(name: str, content: str) -> Path:
    path = ROOT / "data" / name
    path.parent.mkdir(exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.is_file():
            scratch = path.with_suffix(".part")
            scratch.write_text(content)
            scratch.replace(path)
    return path


# What a user's file is read with, by the kind that a data module needs.
USER_FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "pictures": lambda: {"root": str(photos())},
    "series": lambda: {"path": str(sales()), "time": "day", "period": 7},
    "table": lambda: {"path": str(flats())},
    "text": lambda: {"path": str(tale())},
    "sentences": lambda: {"path": str(opinions())},
}


def tiny_cli(
    name: str,
    folder: Path,
    verb: str = "fit",
    *more: str,
    callbacks: Sequence[Callback] = (),
    figures: bool = False,
    **trainer: Any,
) -> ZooCLI:
    """Builds a recipe's model, data and trainer in miniature; the run goes into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [*tiny_args(name, figures, **trainer), *more]
    return ZooCLI(arguments, verb, name, folder, quiet=True, callbacks=callbacks)
