"""Draws what the published GANs of a data set make, side by side below real images, and how their distances fell."""

import argparse
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure

import zoo
from datamodules import FashionMNIST
from zoo import registry
from zoo.drawing import COLOURS, in_rows, tile
from zoo.gan import Adversarial

ROOT = Path(__file__).parent.parent
_COLUMNS, _ROWS = 10, 4


def draw_gallery(names: list[str], data: FashionMNIST) -> Figure:
    """Draws forty images of each model, forty real ones, and the distances over the batches of training.

    Args:
        names: Published GANs.
        data: What they were trained on.
    """
    real = data.splits["test"][0][torch.arange(_COLUMNS * _ROWS)]
    panels = [("real images", real)]
    for name in names:
        distance = zoo.card(name)["metrics"]["cnn_fid"]
        panels.append(
            (f"{name}: distance {distance:.1f}", zoo.load(name, kind=Adversarial).sample(_COLUMNS * _ROWS, seed=0))
        )
    lines = (len(panels) + 2) // 2
    figure = Figure(figsize=(10, 2.25 * lines), layout="constrained", dpi=110)
    for place, (title, images) in enumerate(panels, start=1):
        axes = figure.add_subplot(lines, 2, place)
        axes.imshow(tile(in_rows(images, _COLUMNS)), interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    axes = figure.add_subplot(lines, 2, len(panels) + 1)
    for name, colour in zip(names, COLOURS, strict=False):
        curve = zoo.card(name)["curve"]
        axes.plot(curve["steps"], curve["val_cnn_fid"], label=name.removesuffix("_fashion_mnist"), color=colour)
    axes.set_yscale("log")
    axes.set_xlabel("batches", fontsize=8)
    axes.set_title("distance to validation images in training", fontsize=9)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    return figure


def main() -> int:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(ROOT / "data"), help="folder of data sets (default %(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "gans.png", help="picture (default %(default)s)")
    options = parser.parse_args()
    names = registry.list_models("*gan*_fashion_mnist", pretrained=True)
    if not names:
        print("gallery: no GAN of Fashion-MNIST is published yet; train and publish one first", file=sys.stderr)
        return 2
    draw_gallery(names, FashionMNIST(options.root)).savefig(options.out)
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
