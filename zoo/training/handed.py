"""What a user has in hand, an array or a frame of pandas, written into files that the data modules read.

So it goes the way of all data: the same checks, the same splits, and a run that holds its data can go on anywhere.
"""

import csv
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from datamodules import frames
from datamodules.tabular.sheet import sheet_of
from datamodules.vision.pictures import pictures_of
from zoo import names, registry
from zoo.base.inputs import to_tensor, told
from zoo.errors import ZooError

# Folder of a run that holds what it was handed.
SAVED = "data"
# Which argument of a data module takes the files of what it needs.
PLACES = {"pictures": "root", **dict.fromkeys(("series", "table", "text", "sentences"), "path")}
# What is written of them; pictures are folders.
_FILES = {"pictures": "", "series": "series.csv", "table": "table.csv", "text": "text.txt", "sentences": "texts.csv"}
# What a run keeps at most, in bytes of memory.
_LARGEST = 64_000_000


def reader_of(recipe_config: Path, class_path: str | None = None) -> Any:
    """The class of data that reads what a user has, for a recipe or for data that are named.

    Args:
        recipe_config: The recipe, or a run's configuration.
        class_path: Of the data module, if it is not the recipe's.

    Raises:
        ZooError: There is none for such data.
    """
    if class_path is None:
        section = registry.read_yaml(recipe_config).get("data")
        recipe = registry.read_results(recipe_config.parent).get("recipe")
        if section is None and recipe in registry.list_recipes():  # a run whose data was too large to be kept
            section = registry.recipe(recipe).config["data"]
        class_path = str(section.get("class_path") if isinstance(section, dict) else section)
    path = names.in_full(class_path, names.DATA)
    kind = names.find(path) if path.rpartition(".")[0] in names.DATA else None
    reader = getattr(kind, "reader", None)
    if reader is None:
        raise ZooError(
            f"{path.rpartition('.')[2]} is not for data of one's own; use a recipe of pictures, series, tables "
            "or texts, or hand over a data module"
        )
    return names.find(f"datamodules.{reader}")


def saved_in(run: Path) -> dict[str, Path]:
    """The argument of a run's data module that takes what the run was handed, and where that lies now."""
    section = registry.read_yaml(run / "config.yaml").get("data") if (run / SAVED).is_dir() else None
    path = str(section.get("class_path")) if isinstance(section, dict) else ""
    needs = names.find(path).needs if path.rpartition(".")[0] in names.DATA else None
    if needs is None:
        return {}
    place = run / SAVED / _FILES[needs]
    return {PLACES[needs]: place} if place.exists() else {}


@dataclass(frozen=True)
class Handed:
    """Data that a user has in hand.

    Attributes:
        thing: The data.
        reader: The class of data that reads it once it is written.
        settings: What else was said of it, by argument.
    """

    thing: Any
    reader: Any
    settings: Mapping[str, Any]

    @property
    def is_small(self) -> bool:
        """Whether a run may keep it."""
        return _bytes(self.thing) <= _LARGEST

    def write(self, folder: Path) -> dict[str, Any]:
        """Writes it into a new folder.

        Returns:
            The settings that read it.

        Raises:
            ZooError: It is no such data.
        """
        folder.mkdir(parents=True)
        try:
            return {**_WRITERS[self.reader.needs](self.thing, self.settings, folder), **self.settings}
        except UnicodeEncodeError as error:
            raise ZooError(f"a text holds {error.object[error.start]!a}, half of a character") from error


def _bytes(thing: Any) -> int:
    """About how much memory something takes."""
    if frames.is_frame(thing):
        return int(np.sum(thing.memory_usage(deep=True)))
    if isinstance(thing, list | tuple):
        return sum(map(_bytes, thing))
    if isinstance(thing, Image.Image):
        return thing.width * thing.height * len(thing.getbands())
    return int(thing.nbytes) if isinstance(thing, np.ndarray | Tensor) else sys.getsizeof(thing)


def understood(config: Path, data: Any) -> Mapping[str, Any] | Handed:
    """Settings of a data module, and what is not one: where data lies, or the data itself.

    Args:
        config: The recipe's file, or a run's configuration.
        data: Settings by name, one of which may be the data itself; or nothing but the data, or where it lies.

    Raises:
        ZooError: The recipe is not for data of one's own.
    """
    settings = dict(data) if isinstance(data, Mapping) else {}
    settings |= settings.pop("init_args", None) or {}
    named = settings.pop("class_path", None)
    path = names.path_of(named) if isinstance(named, type) else named
    if isinstance(data, Mapping) and not any(_is_thing(settings.get(place)) for place in PLACES.values()):
        return data
    reader = reader_of(config, path)
    place = PLACES[reader.needs]
    thing = settings.pop(place, None) if isinstance(data, Mapping) else data
    if _is_thing(thing):
        return Handed(thing, reader, settings)
    return {"class_path": names.path_of(reader), place: thing, **settings}


def _is_thing(value: Any) -> bool:
    return value is not None and not isinstance(value, str | PathLike | bool | int | float)


def _write_series(thing: Any, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A series ``(T,)``, or several ``(T, C)``; the times are those of a frame's index."""
    moments = frames.times(thing) if frames.is_frame(thing) else None
    values = to_tensor(thing)
    if values is None or values.ndim not in (1, 2) or not values.numel():
        raise ZooError(f"the series is {told(thing)}, expected numbers (T,) or (T, C), or a frame of pandas")
    values = values[:, None] if values.ndim == 1 else values
    if hasattr(thing, "columns"):
        called = [_name(one, number) for number, one in enumerate(thing.columns)]
    else:
        called = [_name(getattr(thing, "name", None), number) for number in range(values.shape[1])]
    time = "time" if moments is not None else None
    head = [*([time] if time else []), *called]
    if len(set(head)) < len(head):
        raise ZooError(f"the columns are {', '.join(head)}; expected different names")
    cells = (["" if np.isnan(one) else repr(one) for one in row] for row in values.double().tolist())
    if moments is not None:
        cells = ([str(moment), *row] for moment, row in zip(moments, cells, strict=True))
    path = _write_csv(folder / _FILES["series"], head, cells)
    beside = {name for place in ("known", "past") for name in _names(settings.get(place))}
    return {"path": path, "time": time, "value": [name for name in called if name not in beside]}


def _names(given: Any) -> list[str]:
    """Names of columns, of which one may be given alone."""
    return [given] if isinstance(given, str) else list(given or ())


def _name(given: Any, number: int) -> str:
    """What a column is called; of a number, which a file would take for no name, a word is made."""
    return given if isinstance(given, str) and given.strip() else f"series {number + 1 if given is None else given}"


def _write_sentences(thing: Any, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A frame with columns of texts and of labels, or the two one after the other."""
    text, label = settings.get("text", "text"), settings.get("label", "label")
    if hasattr(thing, "columns"):
        for name in (text, label):
            if list(thing.columns).count(name) != 1:
                listed = ", ".join(map(str, thing.columns))
                raise ZooError(
                    f"the frame has the columns {listed}, expected one '{name}'; say which with "
                    f"data={{'path': frame, 'text': ..., 'label': ...}}"
                )
        thing = thing[text], thing[label]
    texts, labels = _pair(thing, "texts and their labels, or a frame with the columns text and label")
    written = frames.texts(texts) if frames.is_frame(texts) else list(texts)
    if wrong := [one for one in written if not isinstance(one, str)]:
        raise ZooError(f"among the texts is {told(wrong[0])}, expected texts alone")
    rows = zip(written, _as_labels(labels, len(written)), strict=True)
    return {"path": _write_csv(folder / _FILES["sentences"], [text, label], rows)}


def _write_table(thing: Any, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A frame, or numbers whose columns are called ``x1`` and so on, alone or with the target of each row."""
    rows, target = thing if isinstance(thing, tuple) and len(thing) == 2 else (thing, None)
    cells, found = _columns_of(rows), {}
    if target is not None:
        name = settings.get("target") or "target"
        found = {"target": name}
        cells |= _columns_of({name: target.tolist() if hasattr(target, "tolist") else target})
        if len(counts := {len(column) for column in cells.values()}) > 1:
            raise ZooError(f"rows and targets are {' and '.join(map(str, sorted(counts)))}; expected as many")
    lines = zip(*cells.values(), strict=True)
    return {"path": _write_csv(folder / _FILES["table"], list(cells), lines), **found}


def _columns_of(rows: Any) -> dict[str, list[str]]:
    """The columns of a table as text, by name."""
    sheet = sheet_of(rows)
    if sheet is None:
        values = to_tensor(rows)
        if values is None or values.ndim != 2 or not values.numel():
            raise ZooError(f"the table is {told(rows)}, expected a frame of pandas, or numbers (N, F)")
        sheet = sheet_of({f"x{place + 1}": column for place, column in enumerate(values.T)})
        assert sheet is not None
    return {name: sheet.cells(name) for name in sheet.columns}


def _write_text(thing: Any, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Texts, one after the other."""
    texts = frames.texts(thing) if frames.is_frame(thing) else thing
    if not isinstance(texts, list | tuple | np.ndarray) or not all(isinstance(one, str) for one in texts):
        raise ZooError(f"the texts are {told(thing)}, expected a list of texts, or the path of a file")
    path = folder / _FILES["text"]
    path.write_text("".join(f"{one}\n" for one in texts), encoding="utf-8", newline="\n")
    return {"path": path}


def _write_pictures(thing: Any, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Pictures and the class of each: a folder a class."""
    given, labels = _pair(thing, "pictures and the class of each")
    several = isinstance(given, list | tuple)
    pictures: list[Image.Image] = []
    for one in given if several else [given]:
        found = [one] if isinstance(one, Image.Image) else []
        if isinstance(one, np.ndarray | Tensor):
            found = pictures_of(one, single=several)
        if not found:
            raise ZooError(f"the pictures are {told(given)}, expected arrays or tensors of pixels, or images of Pillow")
        pictures += found
    for number, (picture, label) in enumerate(zip(pictures, _as_labels(labels, len(pictures)), strict=True)):
        if not label or Path(label).name != label or label.startswith("."):
            raise ZooError(f"the class {label!r} cannot name a folder; call it otherwise")
        (folder / label).mkdir(exist_ok=True)
        picture.save(folder / label / f"{number:07d}.png")
    sizes = {side for picture in pictures for side in picture.size}
    return {"root": folder, **({"image_size": sizes.pop()} if len(sizes) == 1 else {})}


def _pair(thing: Any, expected: str) -> tuple[Any, Any]:
    if not isinstance(thing, list | tuple) or len(thing) != 2:
        raise ZooError(f"the data is {told(thing)}, expected {expected}")
    return thing[0], thing[1]


def _as_labels(labels: Any, count: int) -> list[str]:
    """The names of the classes of ``count`` rows."""
    if isinstance(labels, Tensor | np.ndarray) or frames.is_frame(labels):
        labels = labels.tolist() if hasattr(labels, "tolist") else None
    if not isinstance(labels, list | tuple) or len(labels) != count:
        found = f"{len(labels)}" if isinstance(labels, list | tuple) else told(labels)
        raise ZooError(f"there are {count} rows and of labels {found}, expected as many")
    if odd := [one for one in labels if isinstance(one, bool) or not isinstance(one, str | Integral)]:
        raise ZooError(f"among the labels is {odd[0]!r}, expected names or whole numbers")
    return [str(one) for one in labels]


def _write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
    return path


_WRITERS: dict[str, Callable[[Any, Mapping[str, Any], Path], dict[str, Any]]] = {
    "pictures": _write_pictures, "series": _write_series, "table": _write_table, "text": _write_text,
    "sentences": _write_sentences,
}  # fmt: skip
