"""Shrinks any recipe to a training of seconds, the same for every test that trains."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from filelock import FileLock
from lightning.pytorch.callbacks import Callback
from PIL import Image

from datamodules import Shapes
from zoo import names, registry
from zoo.series.baselines import Baseline
from zoo.training.cli import ZooCLI

ROOT = Path(__file__).parent.parent
EPOCHS = 2
LIMITS = {"limit_train_batches": 4, "limit_val_batches": 2, "limit_test_batches": 2, "check_val_every_n_epoch": 1}
# Overrides the limits: two processes and one must see the same rows.
EVALUATE_ALL = ("--trainer.limit_val_batches=1.0", "--data.init_args.eval_batch_size=500")

SERIES = ("CO2", "Sunspots", "SyntheticSeries", "CsvSeries")


def is_baseline(name: str) -> bool:
    """Whether a recipe's model learns nothing; how far it looks back is what it is."""
    return issubclass(names.find(registry.recipe(name).config["model"]["class_path"]), Baseline)


def tiny_args(name: str, **trainer: Any) -> list[str]:
    """LightningCLI arguments for a recipe with few and small batches and few epochs."""
    settings = {"max_epochs": EPOCHS, "accelerator": "cpu", "devices": 1, **LIMITS, **trainer}
    flags = [
        f"--trainer.{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in settings.items()
    ]
    data = ["--data.init_args.batch_size=8", "--data.init_args.eval_batch_size=16", "--tune_precision=false"]
    if registry.recipe(name).data in ("ImageFolder", "Things"):
        data += [f"--data.init_args.root={photos()}", "--data.init_args.image_size=48"]
    if registry.recipe(name).data == "Celsius":
        data += ["--data.init_args.batch_size=2"]  # of seven rows, more than one batch
    if registry.recipe(name).data == "Shapes":
        data += [f"--data.init_args.{split}_size=100" for split in ("train", "val", "test")]
    keeps_window = is_baseline(name) or registry.recipe(name).config["model"]["init_args"].get("residual") == "season"
    if registry.recipe(name).data in SERIES and not keeps_window:
        data += ["--data.init_args.window=20"]
    if registry.recipe(name).data == "CsvSeries":
        data += [f"--data.init_args.path={sales()}", "--data.init_args.time=day"]
    if "unfreeze_epoch" in registry.recipe(name).config["model"]["init_args"]:
        data += ["--model.init_args.unfreeze_epoch=1"]
    if registry.recipe(name).family == "gan":
        widths = ("width", "discriminator_width", "detail_width", "discriminator_detail_width")
        arguments = registry.recipe(name).config["model"]["init_args"]
        data += [f"--model.init_args.{width}=8" for width in widths if width in arguments]
    if "num_components" in registry.recipe(name).config["model"]["init_args"]:
        data += ["--model.init_args.num_components=2"]
    if registry.recipe(name).data == "MovieReviews":
        data += [f"--data.init_args.root={ROOT / 'data'}"]
    if registry.recipe(name).data == "Sentences":
        data += [f"--data.init_args.path={opinions()}", "--data.init_args.max_vocab_size=60"]
    if registry.recipe(name).data in ("Shakespeare", "Corpus"):
        if registry.recipe(name).data == "Shakespeare":
            data += [f"--data.init_args.root={ROOT / 'data'}", "--data.init_args.works=[lovers_complaint]"]
        else:
            data += [f"--data.init_args.path={tale()}"]
        arguments = registry.recipe(name).config["model"]["init_args"]
        data += [
            f"--model.init_args.{size}=16" for size in ("width", "embedding_size", "hidden_size") if size in arguments
        ]
        data += ["--data.init_args.window=16"] if "window" in registry.recipe(name).config["data"]["init_args"] else []
        data += ["--model.init_args.num_heads=2"] if "num_heads" in arguments else []
    if registry.recipe(name).data == "FashionMNIST":
        data += [f"--data.init_args.root={ROOT / 'data'}", "--data.init_args.train_size=500"]
        data += ["--data.init_args.val_size=500"]
    return ["--config", str(registry.recipe(name).path), *data, *flags]


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


def tiny_cli(
    name: str, folder: Path, verb: str = "fit", *more: str, callbacks: Sequence[Callback] = (), **trainer: Any
) -> ZooCLI:
    """Builds a recipe's model, data and trainer in miniature; the run goes into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    return ZooCLI([*tiny_args(name, **trainer), *more], verb, name, folder, quiet=True, callbacks=callbacks)
