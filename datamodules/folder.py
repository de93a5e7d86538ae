"""Pictures in a folder of one's own, one sub-folder a class."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import torch
from lightning.pytorch.utilities import rank_zero_only

from datamodules.errors import DataError
from datamodules.images import Images
from datamodules.memory import Picked, Split
from datamodules.pictures import log, read_pictures

_SPLITS = ("train", "val", "test")
# Left by operating systems; beginning with a dot is another sign.
_JUNK = {"thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db", "icon\r"}


class ImageFolder(Images):
    """Pictures of any size and mode in a folder, one sub-folder a class; they become RGB of one size.

    The folder holds either one sub-folder a class, or ``train``, ``val`` and ``test`` with the same sub-folders in
    each. What lies deeper counts to its class; hidden files, and files outside of the class folders, are ignored.

    A split that has no folder is held out of the training pictures (of all pictures, if no split has a folder), by a
    rule that depends on ``seed`` and on the contents of the files: every class keeps its share, and identical files
    stay together. So a test never sees pictures that were trained on or that chose the checkpoint, also if there are
    only ``train`` and ``val``. Splits that have folders are taken as they are; of identical files in two splits or two
    classes there is a warning. Without such folders, identical files in two classes count as bad files.

    Pictures are decoded once: their pixels go into a file in ``cache`` that is mapped into memory and shared by all
    processes and all later runs. It is replaced when files or ``image_size`` change. See
    :func:`datamodules.pictures.read_picture` for how pictures become RGB. Batches are
    ``(images uint8 (N, 3, S, S), labels int64 (N,))``.

    Args:
        root: The folder.
        image_size: Height and width that pictures are scaled to.
        val_size: Share of the pictures to hold out for validation if there is no ``val``.
        test_size: Share of the pictures to hold out for testing if there is no ``test``.
        on_bad_file: What to do about files that are no images, truncated or excessively large: ``stop`` before training
            with a list of them, or ``skip`` them.
        cache: Folder for decoded pictures; ``lightning-zoo`` in the user's cache folder by default.
        batch_size: Images in a training batch of one process.
        eval_batch_size: Images in a validation or test batch of one process.
        seed: Determines the splits and the order of the training batches.

    Raises:
        DataError: The folder is missing or holds fewer than two classes, the splits have different classes, a class has
            too few pictures, or there are bad files.
    """

    in_channels = 3

    def __init__(
        self,
        root: str,
        image_size: int = 150,
        val_size: float = 0.15,
        test_size: float = 0.15,
        on_bad_file: Literal["stop", "skip"] = "stop",
        cache: str | None = None,
        batch_size: int = 32,
        eval_batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        self.save_hyperparameters()
        if image_size < 1:
            raise DataError(f"image_size is {image_size}, expected at least 1")
        if not (val_size > 0 and test_size > 0 and val_size + test_size < 1):
            raise DataError(
                f"val_size {val_size} and test_size {test_size}; expected shares that leave some for training"
            )
        if on_bad_file not in ("stop", "skip"):
            raise DataError(f"on_bad_file is {on_bad_file!r}; there are stop, skip")
        self.root = Path(root)
        self.image_size = image_size
        self.shares = {"val": val_size, "test": test_size}
        self.on_bad_file = on_bad_file
        self.cache = Path(cache).expanduser() if cache is not None else _default_cache()
        self._has_splits = False
        self.files = self._find_files()
        self.classes = sorted(self.files["train"])
        self._digests: dict[str, str] = {}

    @property
    def source(self) -> dict[str, str]:
        """Name of the folder, and what was in it."""
        _ = self.splits
        listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(self._digests.items()))
        return {
            "name": self.root.resolve().name,
            "url": "local folder",
            "licence": "that of your pictures",
            "images": str(len(self._digests)),
            "sha256 of names and sha256 sums": hashlib.sha256(listed.encode(errors="surrogateescape")).hexdigest(),
        }

    def _find_files(self) -> dict[str, dict[str, list[str]]]:
        """Finds the files of each class of each split that has a folder; decodes nothing."""
        if not self.root.is_dir():
            found = "is a file" if self.root.exists() else "does not exist"
            raise DataError(f"{self.root} {found}; expected a folder of pictures, name it with --data.root DIR")
        folders = _folders(self.root)
        if not set(folders) <= set(_SPLITS):
            if "train" in folders and not {"val", "test"}.isdisjoint(folders):
                others = ", ".join(sorted(set(folders) - set(_SPLITS)))
                raise DataError(
                    f"{self.root} holds {others} beside train; "
                    "expected train, val and test alone, or one folder a class"
                )
            return {"train": self._find_classes(self.root)}
        if folders and "train" not in folders:
            raise DataError(f"{self.root} holds {' and '.join(folders)}, but no train; add it, or rename them")
        if not folders:
            raise DataError(f"{self.root} holds no folders; expected one folder a class, or train, val and test")
        self._has_splits = True
        files = {split: self._find_classes(self.root / split) for split in _SPLITS if split in folders}
        for split in files:
            unknown = sorted(set(files[split]) - set(files["train"]))
            if unknown:
                raise DataError(
                    f"{self.root / split} holds {', '.join(unknown)}, but {self.root / 'train'} holds "
                    f"{', '.join(files['train'])}; expected the same classes in both"
                )
        return files

    def _find_classes(self, folder: Path) -> dict[str, list[str]]:
        classes = {name: sorted(_walk(folder / name, self.root)) for name in _folders(folder)}
        in_training = folder.name == "train" or folder == self.root
        if not in_training:
            return classes
        if len(classes) < 2:
            found = f"one class only, {next(iter(classes))}" if classes else "no folders"
            raise DataError(f"{folder} holds {found}; expected one folder a class, and at least two")
        for name, files in classes.items():
            if not files:
                raise DataError(f"{folder / name} holds no pictures; put some there, or delete the folder")
        return classes

    def load(self) -> dict[str, Split]:
        """Reads the pictures, or maps what was read before, and splits them."""
        found = [
            (split, label, name)
            for split, classes in self.files.items()
            for label, kind in enumerate(self.classes)
            for name in classes.get(kind, ())
        ]
        pictures = read_pictures(self.root, [name for _, _, name in found], self.image_size, self.cache)
        good = [(split, label, name) for split, label, name in found if name in pictures.rows]
        copies = _find_copies(good, pictures.digests)
        faults = {**pictures.faults, **({} if self._has_splits else copies)}
        self._report(faults, len(found))
        if self._has_splits:
            self._tell_of_copies(copies)
        good = [(split, label, name) for split, label, name in good if name not in faults]
        self._digests = {name: pictures.digests[name] for _, _, name in good}
        given = {split: [(label, name) for where, label, name in good if where == split] for split in self.files}
        missing = {split: share for split, share in self.shares.items() if split not in given}
        parts = {**given, **self._hold_out(given["train"], missing)} if missing else given
        splits: dict[str, Split] = {}
        for split in _SPLITS:
            if not parts[split]:
                raise DataError(f"{self.root / split} holds no pictures; put some there, or delete the folder")
            rows = torch.tensor([pictures.rows[name] for _, name in parts[split]])
            labels = torch.tensor([label for label, _ in parts[split]])
            splits[split] = (_pick(pictures.pixels, rows), labels)
        absent = set(range(self.num_classes)) - set(splits["train"][1].tolist())
        if absent:
            names = ", ".join(self.classes[label] for label in sorted(absent))
            raise DataError(f"no picture for training is left of {names}; expected some of every class")
        return splits

    def _tell_of_copies(self, copies: Mapping[str, str]) -> None:
        """Warns of identical files; the splits are the user's own, so they are left alone."""
        if copies:
            example = _printable(next(iter(copies.values())))
            _tell(f"{len(copies)} files of {self.root} are not only in one split and class; for example {example}")

    def _report(self, faults: Mapping[str, str], total: int) -> None:
        """Tells of bad files, and stops unless they are to be skipped."""
        if not faults:
            return
        lines = [f"  {_printable(reason)}" for _, reason in sorted(faults.items())[:10]]
        if len(faults) > 10:
            lines.append(f"  and {len(faults) - 10} more")
        if self.on_bad_file == "skip":
            _tell(f"{len(faults)} of {total} files of {self.root} are left out:\n" + "\n".join(lines))
            return
        listed = "\n".join(lines)
        raise DataError(
            f"{len(faults)} of {total} files of {self.root} cannot be used:\n{listed}\n"
            "mend or remove them; --data.on_bad_file skip leaves them out"
        )

    def _hold_out(
        self, labelled: Sequence[tuple[int, str]], shares: Mapping[str, float]
    ) -> dict[str, list[tuple[int, str]]]:
        """Takes a share of every class, identical files together, and leaves the rest to training."""
        parts: dict[str, list[tuple[int, str]]] = {split: [] for split in ("train", *shares)}
        for label, kind in enumerate(self.classes):
            copies: dict[str, list[str]] = defaultdict(list)
            for other, name in labelled:
                if other == label:
                    copies[self._digests[name]].append(name)
            if len(copies) <= len(shares):
                raise DataError(
                    f"{self.root} has {len(copies)} different pictures of {_printable(kind)}, too few to be split; "
                    f"expected at least {len(shares) + 1}"
                )
            # In the order of a seeded hash a new picture leaves nearly all others where they are.
            left = sorted(copies, key=lambda digest: hashlib.sha256(f"{self.seed} {digest}".encode()).digest())
            total = sum(map(len, copies.values()))
            for split, share in shares.items():
                wanted, taken = max(1, round(share * total)), []
                for digest in left[: len(left) - 1]:
                    if len(copies[digest]) <= wanted:
                        taken.append(digest)
                        wanted -= len(copies[digest])
                # Where every picture has many copies, one more than wanted is better than none.
                taken = taken or [min(left, key=lambda digest: len(copies[digest]))]
                left = [digest for digest in left if digest not in taken]
                parts[split] += [(label, name) for digest in taken for name in copies[digest]]
            parts["train"] += [(label, name) for digest in left for name in copies[digest]]
        order = {name: position for position, (_, name) in enumerate(labelled)}
        return {split: sorted(part, key=lambda pair: order[pair[1]]) for split, part in parts.items()}


class Things(ImageFolder):
    """678 colour pictures of eight kinds of things: Debian's stamps for Tux Paint and clip art of Open Clip Art.

    Made by ``scripts/things.py``: JPEG of 224 x 224 pixels, 450 for training, 85 for validation, 143 for testing.
    Nine of the pictures are in two classes of the same split, as the packages have them.

    Args:
        root: The folder that ``scripts/things.py`` wrote.
        image_size: Height and width that pictures are scaled to.
        cache: Folder for decoded pictures; ``lightning-zoo`` in the user's cache folder by default.
        batch_size: Images in a training batch of one process.
        eval_batch_size: Images in a validation or test batch of one process.
        seed: Determines the order of the training batches.

    Raises:
        DataError: The folder is missing, or the pictures are not all there.
    """

    def __init__(
        self,
        root: str = "data/things8",
        image_size: int = 150,
        cache: str | None = None,
        batch_size: int = 32,
        eval_batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        if not Path(root).is_dir():
            raise DataError(f"no folder {root}; scripts/things.py builds it from Debian's packages")
        super().__init__(
            root, image_size, cache=cache, batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed
        )

    @property
    def source(self) -> dict[str, str]:
        """Name, address, licences and checksum."""
        return {
            **super().source,
            "name": "things8: 678 colour pictures of 8 kinds of things, from Debian's tuxpaint-stamps-default and "
            "openclipart-png",
            "url": "https://packages.debian.org/bookworm/tuxpaint-stamps-default, "
            "https://packages.debian.org/bookworm/openclipart-png",
            "licence": "GPL-2 (stamps), public domain (clip art)",
        }

    def _tell_of_copies(self, copies: Mapping[str, str]) -> None:
        """Nothing, since they are known."""


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lightning-zoo"


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not _is_junk(entry.name))


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _walk(folder: Path, root: Path) -> Iterator[str]:
    """Files at any depth, relative to the root; folders that links lead to are entered once."""
    seen = set()
    for path, folders, files in os.walk(folder, followlinks=True):
        status = Path(path).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        yield from (str((Path(path) / name).relative_to(root)) for name in files if not _is_junk(name))


def _find_copies(found: Sequence[tuple[str, int, str]], digests: Mapping[str, str]) -> dict[str, str]:
    """Finds identical files in two classes, whose labels cannot be trusted, or in two splits."""
    first: dict[str, tuple[str, int, str]] = {}
    copies = {}
    for split, label, name in found:
        other_split, other_label, other = first.setdefault(digests[name], (split, label, name))
        if (split, label) != (other_split, other_label):
            where = "class" if label != other_label else "split"
            copies[name] = f"{name} is the same picture as {other} of another {where}"
            copies.setdefault(other, f"{other} is the same picture as {name} of another {where}")
    return copies


def _pick(pixels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """A slice where the rows follow each other, which is an ordinary tensor, else a selection; neither is a copy."""
    first, last = int(rows[0]), int(rows[-1])
    return pixels[first : last + 1] if last - first + 1 == len(rows) else cast(torch.Tensor, Picked(pixels, rows))


def _printable(text: str) -> str:
    """Names of files can be anything, even what a terminal cannot show."""
    return text if text.isprintable() else ascii(text)


@rank_zero_only
def _tell(message: str) -> None:
    log.warning(message)
