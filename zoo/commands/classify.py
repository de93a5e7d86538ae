"""``zoo classify``: image files in, class names and probabilities out."""

import csv
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from datamodules.pictures import read_picture
from zoo import weights
from zoo.commands.arguments import Arguments
from zoo.errors import ZooError

_BATCH = 64


def classify(argv: list[str]) -> None:
    """Names what is in image files.

    Pictures of any size and mode are brought to what the model was trained on: its size, grey or colour.
    """
    parser = Arguments("classify", classify.__doc__)
    parser.add_argument("name", help="a published model, a run folder or a checkpoint file")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--top", type=int, help="how many classes to name (default 3)")
    parser.add_argument("--csv", metavar="OUT", help="write the table to this file, too")
    options = parser.parse_args(argv)
    model = weights.load(options.name)
    if not getattr(model, "image_size", None):
        raise ZooError(f"'{options.name}' takes no images: {type(model).__name__} was trained on other data")
    if options.top is None:
        options.top = min(3, model.num_classes)
    if not 1 <= options.top <= model.num_classes:
        raise ZooError(f"--top is {options.top}, expected 1 to {model.num_classes}")
    pictures = [read_picture(path, model.image_size, model.in_channels) for path in options.images]
    chunks = torch.stack(pictures).split(_BATCH)
    probabilities = torch.cat([model.probabilities(chunk) for chunk in chunks])
    best = probabilities.topk(options.top)
    rows = [
        (image, rank, model.classes[index], probability)
        for image, values, indices in zip(options.images, best.values.tolist(), best.indices.tolist(), strict=True)
        for rank, (probability, index) in enumerate(zip(values, indices, strict=True), start=1)
    ]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("image", "class"):
        table.add_column(column)
    table.add_column("probability", justify="right")
    for image, rank, name, probability in rows:
        table.add_row(image if rank == 1 else "", name, f"{probability:.4f}")
    Console().print(table)
    if options.csv:
        with Path(options.csv).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("image", "rank", "class", "probability"))
            writer.writerows((image, rank, name, f"{probability:.6f}") for image, rank, name, probability in rows)
