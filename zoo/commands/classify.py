"""``zoo classify``: pictures or texts in, class names and probabilities out."""

import textwrap
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import ExifTags
from rich.cells import cell_len
from rich.table import Table
from torch import Tensor

from datamodules.errors import DataError
from datamodules.vision.pictures import open_picture, read_picture
from zoo import weights
from zoo.commands.arguments import Arguments
from zoo.commands.inputs import check_text, find_files, read_standard_input
from zoo.commands.outputs import add_csv_flags, check_outputs, write_csv, write_figure
from zoo.commands.tables import Screen
from zoo.drawing import SheetPicture, draw_contact_sheet
from zoo.errors import ZooError
from zoo.terminal import visible, warn
from zoo.text.sentiment import SentimentClassifier
from zoo.vision.grad_cam import GradCAM

_BATCH = 32
# A contact sheet of so many pictures, each of at most so many pixels, can still be looked at.
_ON_SHEET, _THUMBNAIL = 48, 192
# Skipped files that are told by name.
_NAMED = 3


# A line of the table in a file: what was classified, then these columns.
_COLUMNS = ("rank", "class", "probability")
Cells = tuple[str, int, str, str]


class Row(NamedTuple):
    """A line of the table."""

    image: Path | str
    rank: int
    name: str
    probability: float


def classify(argv: list[str]) -> None:
    """Names what is in pictures, or of which kind texts are.

    Pictures of any size and mode are brought to what the model was trained on: its size, grey or colour. What is no
    picture is an error if it was named itself, and is skipped in folders and patterns. Outputs that exist are replaced.
    """
    parser = Arguments("classify", classify.__doc__)
    parser.add_argument("name", help="a published model, a run folder or a checkpoint file")
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="image files, folders (with all that is below) and quoted patterns such as 'photos/**/*.jpg'",
    )
    parser.add_argument(
        "--text",
        nargs="+",
        metavar="TEXT",
        help="texts instead of pictures; - reads them from standard input, a line each",
    )
    parser.add_device()
    parser.add_argument("--top", type=int, help="how many classes to name (default 3)")
    add_csv_flags(parser, "the table")
    parser.add_argument(
        "--plot", type=Path, metavar="OUT.png", help=f"draw the first {_ON_SHEET} pictures with their predicted classes"
    )
    parser.add_argument(
        "--explain", action="store_true", help="colour those pictures where the predicted class is seen (Grad-CAM)"
    )
    options = parser.parse_args(argv)
    check_outputs(options.csv, options.plot)
    _check_explain(options.explain, options.plot)
    if options.text is not None:
        _classify_texts(options)
        return
    if not options.images:
        raise ZooError("name pictures to classify (IMAGE), or texts (--text TEXT); 'zoo classify --help' shows more")
    model = load_classifier(options.name, options.device)
    options.top = _checked_top(options.top, model)
    grad_cam = GradCAM(model) if options.explain else None
    files = find_files(options.images)
    for out in (options.csv, options.plot):
        if out is not None and out.exists() and any(out.samefile(file) for file in files):
            raise ZooError(f"{out} is among the pictures to classify and would be overwritten; write to another file")
    printer = _Printer(files, model.classes)
    skipped: dict[Path, str] = {}
    sheet: list[SheetPicture] = []
    count = 0
    cells: list[Cells] = []
    for paths, images in _read_batches(files, model, skipped):
        rows = _classify_batch(model, paths, images, options.top)
        printer.print(rows)
        if options.csv is not None:
            cells += map(_cells, rows)
        if options.plot is not None and len(sheet) < _ON_SHEET:
            chosen = slice(_ON_SHEET - len(sheet))
            heats = None if grad_cam is None else grad_cam(images[chosen]).cpu()
            sheet += _sheet_pictures([row for row in rows if row.rank == 1][chosen], model.pixel_range, heats)
        count += len(paths)
    if not count:
        reason = next(iter(skipped.values()))
        raise ZooError(f"none of the {len(files)} files found can be read as a picture; for one, {reason}")
    if options.csv is not None:
        write_csv(options.csv, ("image", *_COLUMNS), cells, options.csv_safe)
    if options.plot is not None:
        of_all = f"the first {len(sheet)} of {count:,} pictures" if count > len(sheet) else f"{count} pictures"
        heading = f"{options.name}: {of_all if count > 1 else '1 picture'}"
        if options.explain:
            heading += "\ncoloured where the predicted class is seen (Grad-CAM)"
        write_figure(options.plot, draw_contact_sheet(sheet, heading))
    if skipped:
        names = [*map(str, skipped)][:_NAMED] + [f"{len(skipped) - _NAMED} more"] * (len(skipped) > _NAMED)
        warn(
            f"skipped {len(skipped)} of {len(files)} files, not readable as pictures: {', '.join(names)}; for one, "
            f"{next(iter(skipped.values()))}"
        )


def load_classifier(name: str, device: str = "cpu") -> Any:
    """Loads a model that names classes of images.

    Raises:
        ZooError: The model takes something else, or names no classes, or there is no such device.
    """
    model = weights.load(name, device)
    kind = type(model).__name__
    if isinstance(model, SentimentClassifier):
        raise ZooError(f"'{name}' takes texts, not images: zoo classify {name} --text TEXT")
    if not getattr(model, "image_size", None):
        raise ZooError(f"'{name}' takes no images: {kind} was trained on other data")
    if not getattr(model, "classes", None) or not hasattr(model, "probabilities"):
        raise ZooError(f"'{name}' names no classes: {kind} is no classifier; 'zoo list' shows the family of each model")
    return model


def _checked_top(top: int | None, model: Any) -> int:
    """How many classes to name."""
    if top is None:
        return min(3, model.num_classes)
    if not 1 <= top <= model.num_classes:
        raise ZooError(f"--top is {top}, expected 1 to {model.num_classes}")
    return top


def _classify_texts(options: Namespace) -> None:
    """Names the classes of texts."""
    if options.images or options.plot is not None:
        raise ZooError("--text is instead of pictures; leave out the names of pictures, --plot and --explain")
    model = weights.load(options.name, options.device)
    if not isinstance(model, SentimentClassifier):
        raise ZooError(f"'{options.name}' takes no texts: {type(model).__name__} was trained on other data")
    top = _checked_top(options.top, model)
    texts = _read_texts(options.text)
    printer = _Printer(texts, model.classes, "text")
    rows: list[Row] = []
    for start in range(0, len(texts), _BATCH):
        part = texts[start : start + _BATCH]
        found = _best(part, model.probabilities(part), model.classes, top)
        printer.print(found)
        rows += found
    if options.csv is not None:
        write_csv(options.csv, ("text", *_COLUMNS), map(_cells, rows), options.csv_safe)


def _cells(row: Row) -> Cells:
    """A line of the table in a file."""
    return str(row.image), row.rank, row.name, f"{row.probability:.6f}"


def _read_texts(given: list[str]) -> list[str]:
    """The texts that are meant: those given, or the lines of standard input."""
    if "-" not in given:
        return [check_text(text, "--text") for text in given]
    if len(given) > 1:
        raise ZooError("--text - reads all texts from standard input; leave out the others")
    lines = read_standard_input().removesuffix("\n")
    if not lines:
        raise ZooError("standard input holds no text")
    return [line.removesuffix("\r") for line in lines.split("\n")]


def _check_explain(explain: bool, plot: Path | None) -> None:
    """Tells before anything is classified what could not be explained."""
    if explain and plot is None:
        raise ZooError("--explain colours the pictures of --plot; add --plot OUT.png")
    if explain and find_spec("captum") is None:
        raise ZooError("explaining needs captum; install it with: pip install 'lightning-zoo[explain]'")


def _read_batches(files: dict[Path, bool], model: Any, skipped: dict[Path, str]) -> Iterator[tuple[list[Path], Tensor]]:
    """Reads pictures, a batch at a time; tells in ``skipped`` why one that was not named itself is none."""
    paths: list[Path] = []
    pictures: list[Tensor] = []
    for path, named in files.items():
        try:
            pictures.append(read_picture(path, model.image_size, model.in_channels, model.pixel_range))
        except DataError as error:
            if named:
                raise
            skipped[path] = str(error)
        else:
            paths.append(path)
        if len(paths) == _BATCH:
            yield paths, torch.stack(pictures)
            paths, pictures = [], []
    if paths:
        yield paths, torch.stack(pictures)


def _classify_batch(model: Any, paths: Sequence[Path], images: Tensor, top: int) -> list[Row]:
    return _best(paths, model.probabilities(images), model.classes, top)


def _best(inputs: Sequence[Path | str], probabilities: Tensor, classes: Sequence[str], top: int) -> list[Row]:
    best = probabilities.topk(top)
    return [
        Row(one, rank, classes[index], probability)
        for one, values, indices in zip(inputs, best.values.tolist(), best.indices.tolist(), strict=True)
        for rank, (probability, index) in enumerate(zip(values, indices, strict=True), start=1)
    ]


class _Printer:
    """Prints the table a batch at a time, with columns that suit all batches."""

    def __init__(self, inputs: Iterable[Path | str], classes: Iterable[str], kind: str = "image") -> None:
        self.kind = kind
        image = max(cell_len(visible(str(one))) for one in inputs)
        name = max(cell_len(visible(word)) for word in ("class", *classes))
        others = name + len("probability") + 4
        self.console = Screen()
        if not self.console.is_terminal:
            self.console = Screen(width=max(image, 5) + others)
        self.widths = max(min(image, self.console.width - others), 5), name
        self.header = True

    def print(self, rows: Sequence[Row]) -> None:
        """Prints the rows of a batch, under the names of the columns if they are the first."""
        table = Table(box=None, header_style="bold", pad_edge=False, show_header=self.header)
        table.add_column(self.kind, width=self.widths[0], overflow="fold")
        table.add_column("class", width=self.widths[1])
        table.add_column("probability", justify="right", width=len("probability"))
        for row in rows:
            table.add_row(str(row.image) if row.rank == 1 else "", row.name, f"{row.probability:.4f}")
        self.console.print(table)
        self.header = False


def _sheet_pictures(
    rows: Sequence[Row], pixel_range: Sequence[float] | None, heats: Tensor | None
) -> list[SheetPicture]:
    pictures = []
    for place, row in enumerate(rows):
        with open_picture(Path(row.image)) as file:
            width, height = file.size
            if file.getexif().get(ExifTags.Base.Orientation, 1) >= 5:
                width, height = height, width
        # In colour even for a model that takes grey, and no larger than it is: what is small shows its pixels.
        pixels = read_picture(row.image, min(_THUMBNAIL, max(width, height)), 3, pixel_range)
        caption = f"{textwrap.fill(row.name, 20)}\n{row.probability:.0%}"
        pictures.append(SheetPicture(pixels, height / width, caption, None if heats is None else heats[place, 0]))
    return pictures
