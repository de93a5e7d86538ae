"""How a folder of pictures is laid out: which of its folders are splits, which are classes, and what is neither."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import DataError
from datamodules.notes import tell
from datamodules.order import in_order

SPLITS = ("train", "val", "test")
# In any case.
_CALLED = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Names that are no split's, but look like one: two of them are hardly classes.
_LIKE_TRAINING = re.compile(r"train(ing)?([-_ .]?(\d+|set|data|images?|imgs?|pictures?|photos?|split))*", re.IGNORECASE)
_LIKE_ANOTHER = re.compile(
    r"(val(id(ation)?)?|dev|test(ing)?|eval(uation)?|hold[-_ ]?out|unlabell?ed|predict(ion)?)"
    r"([-_ .]?(\d+|set|data|images?|imgs?|pictures?|photos?|split))*",
    re.IGNORECASE,
)
# Left by operating systems and servers; beginning with a dot is another sign.
_JUNK = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "picasa.ini", "__macosx", "@eadir", "#recycle", "@recycle"),
    *("$recycle.bin", "system volume information", "lost+found", "__pycache__"),
}
_PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"}

# Paths below the root, of each class of each split that has a folder.
Files = dict[str, dict[str, list[str]]]


class _Layout(NamedTuple):
    """What the folders in a folder are.

    Attributes:
        splits: The folder that holds the class folders of each split; the whole for training where none is a split.
        left: Names of the folders that are neither.
    """

    splits: dict[str, Path]
    left: list[str]


def find_files(root: Path) -> Files:
    """Finds the files of each class of each split that has a folder, and tells what else there is; opens none.

    Args:
        root: The folder.

    Raises:
        DataError: It is missing, holds fewer than two classes, or can be read in two ways; the splits have different
            classes, or one has no pictures.
    """
    if not root.is_dir():
        found = "is a file" if root.exists() else "does not exist"
        raise DataError(f"{root} {found}; expected a folder of pictures, name it with --data.root DIR")
    layout = _understood(root)
    training = layout.splits["train"]
    files = {"train": _find_training(training, root)}
    for split, folder in layout.splits.items():
        if split != "train":
            files[split] = _find_others(folder, root, training, files["train"])
    _tell_what_is_left(root, layout)
    _tell_of_doubts(training, files["train"])
    return files


def holds_pictures(folder: Path) -> bool:
    """Whether a picture, by its name, lies in a folder of this folder, however deep."""
    return any(
        Path(name).suffix.lower() in _PICTURES
        for place, _, names in os.walk(folder)
        if Path(place) != folder
        for name in names
    )


def _understood(root: Path) -> _Layout:
    """Says which folders are splits: those that are called so and hold class folders, if one of them is for training.

    Raises:
        DataError: It can be read in two ways.
    """
    children = _folders(root)
    if not children:
        raise DataError(f"{root} holds no folders; expected one folder a class, or train, val and test")
    called = {name: _CALLED[name.lower()] for name in children if name.lower() in _CALLED}
    parts = [name for name in called if _folders(root / name)]
    if "train" in (called[name] for name in parts):
        # An empty one was meant to be filled.
        parts = [name for name in called if name in parts or not _files(root / name)]
        _refuse_twins(root, parts, called)
        splits = {called[name]: root / name for name in parts}
        ordered = {split: splits[split] for split in SPLITS if split in splits}
        return _Layout(ordered, [name for name in children if name not in parts])
    if parts:
        beside = "" if len(parts) == len(children) else " that hold their classes"
        raise DataError(
            f"{root} holds {' and '.join(map(printable, parts))}{beside}, but no train; add it, or rename them"
            + (" if they are classes" if beside else "")
        )
    _refuse_seeming_splits(root, children, called)
    return _Layout({"train": root}, [])


def _refuse_twins(root: Path, parts: Iterable[str], called: Mapping[str, str]) -> None:
    """Refuses two folders of the same meaning."""
    of_meaning: dict[str, list[str]] = defaultdict(list)
    for name in parts:
        of_meaning[called[name]].append(name)
    for meaning, names in of_meaning.items():
        if len(names) > 1:
            raise DataError(
                f"{root} holds {' and '.join(map(printable, names))}, which mean the same; expected one folder "
                f"called {meaning}: join them, or move one elsewhere"
            )


def _refuse_seeming_splits(root: Path, children: Collection[str], called: Mapping[str, str]) -> None:
    """Refuses to take for classes what is called like splits, though no folder of training pictures holds classes."""
    training = [name for name in children if _LIKE_TRAINING.fullmatch(name)]
    others = [name for name in children if _LIKE_ANOTHER.fullmatch(name)]
    flat = next((name for name in training if name in called), None)
    if flat is not None and others:
        raise DataError(
            f"{root / flat} holds no folders; expected one folder a class, as {listed_names(others)} beside it is "
            "called like a split, too"
        )
    if (training and others) or len(called) > 1:
        raise DataError(
            f"{root} holds {listed_names([*training, *others])}, which are called like splits; expected class folders "
            "in folders called train, val and test, or one folder a class; rename them"
        )


def _find_training(folder: Path, root: Path) -> dict[str, list[str]]:
    """The files of each class to train on."""
    classes = _classes_in(folder, root)
    if not classes:
        raise DataError(f"{folder} holds no folders; expected one folder a class")
    if len(classes) == 1:
        (only,) = classes
        deeper = _unwrapped(folder / only)
        hint = f"; did you mean --data.root {deeper}?" if deeper is not None else ""
        raise DataError(f"{folder} holds one class only, {printable(only)}; expected at least two{hint}")
    for name, files in classes.items():
        if name != name.encode(errors="replace").decode():
            raise DataError(f"{folder} holds a folder called {printable(name)}, which is no UTF-8; rename it")
        if not files:
            raise DataError(f"{folder / name} holds no pictures; put some there, or delete the folder")
    _refuse_splits_of_classes(folder, classes)
    return classes


def _find_others(folder: Path, root: Path, training: Path, known: Collection[str]) -> dict[str, list[str]]:
    """The files of each class of another split, whose classes must be among those that are trained on."""
    classes = _classes_in(folder, root)
    unknown = in_order(set(classes) - set(known))
    if unknown:
        raise DataError(
            f"{folder} holds {listed_names(unknown)}, but {training} holds {listed_names(known)}; expected the same "
            "classes in both"
        )
    if not any(classes.values()):
        raise DataError(f"{folder} holds no pictures; put some there, or delete the folder")
    return classes


def _classes_in(folder: Path, root: Path) -> dict[str, list[str]]:
    return {name: sorted(_walk(folder / name, root)) for name in in_order(_folders(folder))}


def _unwrapped(folder: Path) -> Path | None:
    """The folder below that looks as the root should, if all is wrapped in folders."""
    inside = _folders(folder)
    if len(inside) > 1 or any(name.lower() in _CALLED for name in inside):
        return folder
    return _unwrapped(folder / inside[0]) if inside and not folder.is_symlink() else None


def _refuse_splits_of_classes(folder: Path, classes: Iterable[str]) -> None:
    """Refuses splits within every class, which would be mixed in silence."""
    within = [[name for name in _folders(folder / kind) if name.lower() in _CALLED] for kind in classes]
    if all("train" in (_CALLED[name.lower()] for name in names) and len(names) > 1 for names in within):
        first = next(iter(classes))
        raise DataError(
            f"{folder / first} holds {listed_names(within[0])}; expected the splits above the classes, such as "
            f"{folder / within[0][-1] / first}; move them"
        )


def _tell_what_is_left(root: Path, layout: _Layout) -> None:
    """Says which folders are neither splits nor classes, and which pictures lie in no class."""
    places = {root, *layout.splits.values()}
    loose = [str((place / name).relative_to(root)) for place in sorted(places) for name in _pictures(place)]
    left = [f"{name}{os.sep}" for name in layout.left]
    if loose:
        left.append(loose[0] if len(loose) == 1 else f"{len(loose)} pictures in no class folder, such as {loose[0]}")
    if left:
        taken = [folder.name for folder in layout.splits.values() if folder != root]
        read = f"reads {listed_names(taken)} and " if taken else ""
        tell(f"{root}: {read}leaves alone {listed_names(left)}")


def _tell_of_doubts(folder: Path, classes: Collection[str]) -> None:
    """Says which classes may be one, or may be none."""
    splits = [name for name in classes if _LIKE_TRAINING.fullmatch(name) or _LIKE_ANOTHER.fullmatch(name)]
    if splits:
        tell(f"{folder}: takes {listed_names(splits)} for a class, though called like a split, as it holds no classes")
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[unicodedata.normalize("NFKC", name).casefold().strip()].append(name)
    for names in alike.values():
        if len(names) > 1:
            tell(
                f"{folder} holds {' and '.join(map(printable, names))}, whose names differ in little; they are taken "
                "for different classes"
            )
    within = {tuple(_folders(folder / name)) for name in classes}
    if len(within) == 1 and len(next(iter(within))) > 1 and not any(_pictures(folder / name) for name in classes):
        tell(
            f"{folder}: takes {listed_names(classes)} for the classes, though each holds folders of the same names, "
            f"{listed_names(next(iter(within)))}, whose pictures count to it"
        )


def _folders(folder: Path) -> list[str]:
    return _names(folder, are_folders=True)


def _files(folder: Path) -> list[str]:
    return _names(folder, are_folders=False)


def _pictures(folder: Path) -> list[str]:
    return [name for name in _files(folder) if Path(name).suffix.lower() in _PICTURES]


def _names(folder: Path, are_folders: bool) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(one.name for one in entries if _is_folder(one) == are_folders and not _is_junk(one.name))
    except OSError as error:
        raise DataError(f"cannot look into {folder}: {error.strerror}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _walk(folder: Path, root: Path) -> Iterator[str]:
    """Files at any depth, relative to the root; folders that links lead to are entered once."""
    seen = set()
    for path, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        status = Path(path).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        yield from (str((Path(path) / name).relative_to(root)) for name in files if not _is_junk(name))


def _raise(error: OSError) -> None:
    raise DataError(f"cannot look into {error.filename}: {error.strerror}") from error


def listed_names(names: Iterable[str], most: int = 10) -> str:
    """Names with commas between; of many the first ones, and how many more there are.

    Args:
        names: Of files or folders.
        most: How many are named.
    """
    shown = [printable(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def printable(text: str) -> str:
    """Names of files can be anything, even what a terminal cannot show."""
    return text if text.isprintable() else ascii(text)
