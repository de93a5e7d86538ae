"""Pictures in a folder of one's own, one sub-folder a class."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import torch
from lightning.pytorch.utilities import rank_zero_only

from datamodules.checksums import Checksum, of_lines
from datamodules.errors import DataError
from datamodules.memory import Picked, Split
from datamodules.paths import default_cache, expanded
from datamodules.vision.depth import Span, checked_range, joint_span
from datamodules.vision.images import Images
from datamodules.vision.layout import SPLITS, find_files, listed_names, printable
from datamodules.vision.pictures import log, read_pictures


class _File(NamedTuple):
    split: str
    label: int
    name: str


class ImageFolder(Images):
    """Pictures of any size and mode in a folder, one sub-folder a class; they become RGB of one size.

    The folder holds either one sub-folder a class, or ``train``, ``val`` and ``test`` with the same sub-folders in
    each; these may be called ``Training``, ``valid``, ``validation``, ``dev`` and ``testing``, too. Folders beside
    them, and pictures in no class folder, are named and left alone. What lies deeper counts to its class; hidden files,
    and what operating systems leave, are ignored. Classes are in natural order: 1, 2, 10.

    A split that has no folder is held out of the training pictures (of all pictures, if no split has a folder), by a
    rule that depends on ``seed`` and on the contents of the files: every class keeps its share, and identical files
    stay together. So a test never sees pictures that were trained on or that chose the checkpoint, also if there are
    only ``train`` and ``val``. Splits that have folders are taken as they are; of identical files in two splits or two
    classes there is a warning. Without such folders, identical files in two classes count as bad files.

    Pictures are decoded once: their pixels go into a file in ``cache`` that is mapped into memory and shared by all
    processes and all later runs. It is replaced when files or ``image_size`` change. See
    :func:`datamodules.vision.pictures.read_picture` for how pictures become RGB. Batches are
    ``(images uint8 (N, 3, S, S), labels int64 (N,))``.

    Args:
        root: The folder.
        image_size: Height and width that pictures are scaled to.
        val_size: Share of the pictures to hold out for validation if there is no ``val``.
        test_size: Share of the pictures to hold out for testing if there is no ``test``.
        on_bad_file: What to do about files that are no images, truncated or excessively large: ``stop`` before training
            with a list of them, or ``skip`` them.
        pixel_range: The values of black and white in pictures of more than eight bits, such as ``[0, 4095]``; by
            default those of the least number of bits that holds all of them, or 0 and 1 of floating-point values.
        max_megapixels: The largest picture to unpack, in millions of pixels; 89.5 by default.
        fit_on: ``known`` trains on the pictures of validation, too, for a model that is to be used; there is no
            validation then.
        cache: Folder for decoded pictures; ``lightning-zoo`` in the user's cache folder by default.
        eval_batch_size: Images in a validation or test batch of one process.

    Raises:
        DataError: The folder is missing or holds fewer than two classes, the splits have different classes, a class has
            too few pictures, there are bad files, or nothing tells which values of deep pictures are black and white.
    """

    in_channels = 3
    # What is published of a model must not show anybody's photos.
    private = True
    on_disk = True
    needs = "pictures"
    miniature = Images.miniature | {"image_size": 48}

    def __init__(
        self,
        root: str,
        image_size: int = 150,
        val_size: float = 0.15,
        test_size: float = 0.15,
        on_bad_file: Literal["stop", "skip"] = "stop",
        pixel_range: list[float] | None = None,
        max_megapixels: float | None = None,
        fit_on: Literal["train", "known"] = "train",
        cache: str | None = None,
        eval_batch_size: int = 256,
        **options: Any,
    ) -> None:
        super().__init__(eval_batch_size=eval_batch_size, **options)
        if image_size < 1:
            raise DataError(f"image_size is {image_size}, expected at least 1")
        if not (val_size > 0 and test_size > 0 and val_size + test_size < 1):
            raise DataError(
                f"val_size {val_size} and test_size {test_size}; expected shares that leave some for training"
            )
        if on_bad_file not in ("stop", "skip"):
            raise DataError(f"on_bad_file is {on_bad_file!r}; there are stop, skip")
        if fit_on not in ("train", "known"):
            raise DataError(f"fit_on is {fit_on!r}; there are train, known")
        self.fit_on = fit_on
        self.root = expanded(root, "--data.root")
        self.image_size = image_size
        self.shares = {"val": val_size, "test": test_size}
        if max_megapixels is not None and not max_megapixels > 0:
            raise DataError(f"max_megapixels is {max_megapixels}, expected more than 0")
        self.on_bad_file = on_bad_file
        self.given_range, self.max_megapixels = checked_range(pixel_range), max_megapixels
        self.cache = expanded(cache, "--data.cache") if cache is not None else default_cache()
        self.files = find_files(self.root)
        self.classes = list(self.files["train"])
        self._digests: dict[str, str] = {}
        self._parts: dict[str, list[_File]] = {}

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

    def checksums(self) -> dict[str, Checksum]:
        """Of the files of each split and their classes, whatever their names."""
        shapes = {split: list(tensors[0].shape) for split, tensors in self.splits.items()}
        return {
            split: of_lines(shapes[split], sorted(f"{self._digests[one.name]} {one.label}" for one in files))
            for split, files in self._parts.items()
        }

    @property
    def pixel_range(self) -> list[float] | None:
        """The values of black and white in pictures of more than eight bits; None if there are none."""
        _ = self.splits
        return None if self._pixel_range is None else list(self._pixel_range)

    def load(self) -> dict[str, Split]:
        """Reads the pictures, or maps what was read before, and splits them."""
        found = [
            _File(split, label, name)
            for split, classes in self.files.items()
            for label, kind in enumerate(self.classes)
            for name in classes.get(kind, ())
        ]
        names = [file.name for file in found]
        pictures = read_pictures(self.root, names, self.image_size, self.cache, self.given_range, self.max_megapixels)
        good = [file for file in found if file.name in pictures.rows]
        faults = dict(pictures.faults)
        shares = {split: share for split, share in self.shares.items() if split not in self.files}
        if shares:
            # Of a picture in two classes one copy could be trained on and the other tested.
            faults |= _find_copies([file for file in good if file.split == "train"], pictures.digests)
        self._report(faults, len(found))
        good = [file for file in good if file.name not in faults]
        self._digests = {file.name: pictures.digests[file.name] for file in good}
        self._settle_range(
            pictures.pixel_range, {name: span for name, span in pictures.spans.items() if name not in faults}
        )
        self._tell_of_copies(_find_copies(good, self._digests))
        parts = {split: [file for file in good if file.split == split] for split in self.files}
        absent = set(range(self.num_classes)) - {file.label for file in parts["train"]}
        if absent:
            gone = listed_names(self.classes[label] for label in sorted(absent))
            raise DataError(f"{self.root} has no picture left to train {gone} on; expected some of every class")
        if shares:
            parts |= self._hold_out(parts["train"], shares)
        for split in SPLITS:
            if not parts[split]:
                raise DataError(f"{self.root / split} has no picture left; expected some")
        if self.fit_on == "known":
            parts["train"] = parts["train"] + parts.pop("val")
        self._parts = parts
        splits: dict[str, Split] = {}
        for split in parts:
            rows = torch.tensor([pictures.rows[file.name] for file in parts[split]])
            labels = torch.tensor([file.label for file in parts[split]])
            splits[split] = (_pick(pictures.pixels, rows), labels)
        return splits

    def _report(self, faults: Mapping[str, str], total: int) -> None:
        """Tells of bad files, and stops unless they are to be skipped."""
        if not faults:
            return
        lines = [f"  {printable(reason)}" for _, reason in sorted(faults.items())[:10]]
        if len(faults) > 10:
            lines.append(f"  and {len(faults) - 10} more")
        listed = "\n".join(lines)
        count = f"{len(faults)} of {total} files of {self.root}"
        if self.on_bad_file == "stop":
            raise DataError(
                f"{count} cannot be used:\n{listed}\nmend or remove them; --data.on_bad_file skip leaves them out"
            )
        _tell(f"{count} are left out:\n{listed}")

    def _settle_range(self, pixel_range: tuple[float, float] | None, spans: Mapping[str, Span]) -> None:
        """Keeps what is black and white of deep pictures, if there are any, and tells of it."""
        self._pixel_range = pixel_range if spans else None
        if self._pixel_range is not None:
            found = joint_span(spans.values())
            low, high = self._pixel_range
            said = "" if self.given_range else "; --data.pixel_range '[BLACK, WHITE]' says otherwise"
            _tell(
                f"{len(spans)} of {len(self._digests)} pictures of {self.root} hold {found}; in all of them "
                f"{low:.6g} is black and {high:.6g} white{said}"
            )
        elif self.given_range is not None:
            raise DataError(
                f"pixel_range is for pictures of more than 8 bits, and {self.root} holds none; leave it out"
            )

    def _tell_of_copies(self, copies: Mapping[str, str]) -> None:
        """Warns of identical files; the splits are the user's own, so they are left alone."""
        if copies:
            example = printable(next(iter(copies.values())))
            _tell(f"{len(copies)} files of {self.root} are not only in one split and class; for example {example}")

    def _hold_out(self, files: Sequence[_File], shares: Mapping[str, float]) -> dict[str, list[_File]]:
        """Takes a share of every class, identical files together, and leaves the rest to training."""
        copies: dict[int, dict[str, list[_File]]] = defaultdict(lambda: defaultdict(list))
        for file in files:
            copies[file.label][self._digests[file.name]].append(file)
        part_of: dict[str, str] = {}
        for label, alike in copies.items():
            if len(alike) <= len(shares):
                raise DataError(
                    f"{self.root} has {len(alike)} different pictures of {printable(self.classes[label])}, too few to "
                    f"be split; expected at least {len(shares) + 1}"
                )
            # In the order of a seeded hash, a new picture leaves nearly all others where they are.
            left = sorted(alike, key=lambda digest: hashlib.sha256(f"{self.seed} {digest}".encode()).digest())
            total = sum(map(len, alike.values()))
            for needed, (split, share) in zip(range(len(shares), 0, -1), shares.items(), strict=True):
                wanted, taken = max(1, round(share * total)), 0
                # Later splits, and training, need a picture each.
                for digest in left[:-needed]:
                    if taken + len(alike[digest]) <= wanted:
                        part_of[digest] = split
                        taken += len(alike[digest])
                if not taken:
                    # Every picture has more copies than are wanted; too many are better than none.
                    part_of[min(left, key=lambda digest: len(alike[digest]))] = split
                left = [digest for digest in left if digest not in part_of]
        parts: dict[str, list[_File]] = {split: [] for split in ("train", *shares)}
        for file in files:
            parts[part_of.get(self._digests[file.name], "train")].append(file)
        return parts


class Things(ImageFolder):
    """678 colour pictures of eight kinds of things: Debian's stamps for Tux Paint and clip art of Open Clip Art.

    Made by ``scripts/things.py``: JPEG of 224 x 224 pixels, 450 for training, 85 for validation, 143 for testing.
    Nine of the pictures are in two classes of the same split, as the packages have them.

    Args:
        root: The folder that ``scripts/things.py`` wrote.

    Raises:
        DataError: The folder is missing, or a file in it is damaged.
    """

    private = False

    def __init__(self, root: str = "data/things8", **options: Any) -> None:
        if not expanded(root, "--data.root").is_dir():
            raise DataError(f"no folder {root}; scripts/things.py builds it from Debian's packages")
        super().__init__(root=root, val_size=0.15, test_size=0.15, on_bad_file="stop", **options)

    @property
    def source(self) -> dict[str, str]:
        """Name, address, licences and checksum."""
        return {
            **super().source,
            "name": "things8: 678 colour pictures of 8 kinds of things, from Debian's tuxpaint-stamps-default and "
            "openclipart-png",
            "url": "Debian packages tuxpaint-stamps-default and openclipart-png; scripts/things.py joins them",
            "licence": "GPL-2 (stamps), public domain (clip art)",
        }

    def _tell_of_copies(self, copies: Mapping[str, str]) -> None:
        """Nothing, since they are known."""


def _find_copies(files: Sequence[_File], digests: Mapping[str, str]) -> dict[str, str]:
    """Finds identical files in two classes, whose labels cannot both be true, and in two splits."""
    first: dict[str, _File] = {}
    copies = {}
    for file in files:
        other = first.setdefault(digests[file.name], file)
        if (file.split, file.label) != (other.split, other.label):
            where = "class" if file.label != other.label else "split"
            copies[file.name] = f"{file.name} is the same picture as {other.name} of another {where}"
            copies.setdefault(other.name, f"{other.name} is the same picture as {file.name} of another {where}")
    return copies


def _pick(pixels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """A slice where the rows follow each other, which is an ordinary tensor, else a selection; neither is a copy."""
    first, last = int(rows[0]), int(rows[-1])
    return pixels[first : last + 1] if last - first + 1 == len(rows) else cast(torch.Tensor, Picked(pixels, rows))


@rank_zero_only
def _tell(message: str) -> None:
    log.warning(message)
