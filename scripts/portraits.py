"""Draws the gallery of the documentation: a picture a model, made by its published weights, small enough to be kept.

    python scripts/portraits.py                  # those that are missing
    python scripts/portraits.py cnn_digits       # these, anew
    python scripts/portraits.py --cover          # some of them side by side, for the README

Image classifiers name test pictures, backbones find what is alike, GANs make images; of all others it is a picture
that ``zoo test`` draws. Data is looked for where the cards say, so run it in the project's folder.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from lightning import Trainer
from matplotlib.figure import Figure
from PIL import Image

import zoo
from datamodules import Things
from zoo import registry
from zoo.base import ZooModule
from zoo.commands.origin import find_data
from zoo.drawing import as_png, draw_images, draw_tiles
from zoo.errors import ZooError
from zoo.gan import Adversarial
from zoo.text import LanguageModel
from zoo.training.figures import Figures
from zoo.training.plugins import quieten
from zoo.vision import Backbone, Classifier

FOLDER = Path(__file__).parent.parent / "docs" / "portraits"
# In pixels; what a page of the documentation is wide.
WIDTH = 720
# Of several pictures that an evaluation draws, the one that tells most.
TELLING = ("forecasts", "surprise", "mistakes", "line", "curve", "clusters", "embedding", "confusion_matrix")

# Rows of the cover: models side by side, and how high the row is.
COVER = (
    (("mobilenetv2_things", "lstm_co2"), 312),
    (("pca_fashion_mnist", "conditional_dcgan_fashion_mnist", "char_rnn_shakespeare"), 364),
)


def portrait(name: str) -> bytes:
    """The picture of a published model, as a WebP file.

    Args:
        name: Its name.
    """
    model: Any = zoo.load(name)
    if isinstance(model, Adversarial):
        drawn = as_png(draw_tiles(model.progress(), "Generated images"))
    elif isinstance(model, Backbone):
        drawn = as_png(_alike(model))
    elif isinstance(model, Classifier) and getattr(model, "image_size", None):
        drawn = as_png(_named(model, find_data(name)))
    else:
        # Of a text only the beginning is shown.
        short: dict[str, Any] = {"eval_batch_size": 2048} if isinstance(model, LanguageModel) else {}
        drawn = _evaluated(model, find_data(name, **short), 1 if short else None)
    picture = Image.open(io.BytesIO(drawn)).convert("RGB")
    if picture.width > WIDTH:
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "webp", quality=80, method=6)
    return content.getvalue()


def _named(model: Any, data: Any) -> Figure:
    """Test pictures from all over the split, and what the model says of them."""
    images, labels = data.splits["test"]
    chosen = torch.linspace(0, len(labels) - 1, 12).long()
    images, labels = images[chosen], labels[chosen].tolist()
    titles = []
    for row, label in zip(model.probabilities(images), labels, strict=True):
        guess = int(row.argmax())
        mistaken = "" if guess == label else f"\n(is {model.classes[label]})"
        titles.append(f"{model.classes[guess]}, {row[guess]:.0%}{mistaken}")
    return draw_images(images, titles, "Test pictures, and what the model says")


def _alike(model: Any) -> Figure:
    """Three pictures, and those whose features are nearest, most similar first."""
    data = Things(image_size=model.image_size)
    (images, _), (asked, _) = data.splits["train"], data.splits["val"]
    asked = asked[[10, 40, 75]]
    with torch.inference_mode():
        pool, ours = (
            torch.cat([F.normalize(model(part)) for part in pictures.split(64)]) for pictures in (images, asked)
        )
    likeness = ours @ pool.T
    shown, titles = [], []
    for picture, row in zip(asked, likeness, strict=True):
        best = row.topk(5)
        shown += [picture, *images[best.indices]]
        titles += ["asked", *(f"{value:.2f}" for value in best.values.tolist())]
    return draw_images(torch.stack(shown), titles, "Pictures whose features are alike, by their cosine")


def _evaluated(model: ZooModule, data: Any, batches: int | None) -> bytes:
    """The most telling of the pictures that an evaluation on the test split draws."""
    with TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            default_root_dir=folder,
            logger=False,
            callbacks=[Figures()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_test_batches=batches,
        )
        trainer.test(model, data, verbose=False)
        for kind in TELLING:
            drawn = Path(folder) / "figures" / f"test_{kind}.png"
            if drawn.is_file():
                return drawn.read_bytes()
    raise ZooError(f"{type(model).__name__} draws none of {', '.join(TELLING)}")


def cover(folder: Path) -> Image.Image:
    """Some pictures of the gallery side by side, each cut below to the height of its row.

    Args:
        folder: The gallery.
    """
    gap, width = 12, 2 * WIDTH
    sheet = Image.new("RGB", (width, sum(height for _, height in COVER) + gap * (len(COVER) - 1)), "white")
    top = 0
    for models, height in COVER:
        across = (width - gap * (len(models) - 1)) // len(models)
        for place, name in enumerate(models):
            picture = Image.open(folder / f"{name}.webp").convert("RGB")
            picture = picture.resize((across, round(picture.height * across / picture.width)), Image.Resampling.LANCZOS)
            sheet.paste(picture.crop((0, 0, across, min(height, picture.height))), (place * (across + gap), top))
        top += height + gap
    return sheet


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="published models; those without a picture by default")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder (default %(default)s)")
    parser.add_argument("--cover", action="store_true", help="only lay some of them side by side, beside the folder")
    options = parser.parse_args(argv)
    if options.cover:
        cover(options.out).save(options.out.parent / "zoo.webp", "webp", quality=85, method=6)
        return 0
    quieten(True)
    options.out.mkdir(parents=True, exist_ok=True)
    missing = [name for name in registry.list_models(pretrained=True) if not (options.out / f"{name}.webp").is_file()]
    for name in options.names or missing:
        path = options.out / f"{name}.webp"
        path.write_bytes(portrait(name))
        print(f"wrote {path} ({path.stat().st_size / 1000:.0f} kB)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
