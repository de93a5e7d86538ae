"""Token ids of a corpus, kept in files that are mapped into memory: a corpus may be larger than memory."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from datamodules.checksums import vouch, vouched
from datamodules.errors import DataError
from datamodules.text.tokenizer import Tokenizer

# Below Lightning's logger, so that what silences Lightning silences this.
log = logging.getLogger("lightning.pytorch.datamodules")

SPLITS = ("train", "val", "test")
# Lines that are encoded at once.
_BLOCK = 20_000
_VERSION = 2

Lines = Callable[[str], Iterator[str]]


class Tokens(NamedTuple):
    """A corpus in ids.

    Attributes:
        tokenizer: Fitted on the training split.
        ids: Of each split, ``(T,)`` in the smallest type that holds the vocabulary, mapped from a file.
        characters: Length of each split's text, a line break counted as one.
        sha256: Of each split's text, UTF-8.
    """

    tokenizer: Tokenizer
    ids: dict[str, Tensor]
    characters: dict[str, int]
    sha256: dict[str, str]


def prepare(lines: Lines, fit: Callable[[Iterable[str]], Tokenizer], origin: object, cache: Path) -> Tokens:
    """Fits a tokenizer and encodes a corpus, or finds what an earlier call, of whichever process, has left.

    Args:
        lines: Gives the lines of a split, without line breaks; asked twice for ``train``.
        fit: Fits a tokenizer to texts.
        origin: All that the result depends on, as JSON holds it: names, sizes and times of files, settings.
        cache: Folder for the files; may be deleted at any time.

    Raises:
        DataError: A split is empty, or the folder cannot be written to.
    """
    key = hashlib.sha256(json.dumps([_VERSION, origin]).encode()).hexdigest()[:24]
    folder = cache / f"corpus-{key}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".corpus-{key}.lock"):
            kept = _read(folder) if (folder / "told.json").is_file() else None
            if kept is None:
                _write(lines, fit, folder)
                kept = _read(folder)
    except OSError as error:
        raise DataError(f"cannot keep token ids in {cache} ({error}); name a folder with --data.cache DIR") from error
    if kept is None:
        raise DataError(f"{folder} changed while it was written; delete it and start again")
    return kept


def _write(lines: Lines, fit: Callable[[Iterable[str]], Tokenizer], folder: Path) -> None:
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        tokenizer = fit(lines("train"))
        dtype = smallest_type(tokenizer.vocab_size)
        told = {}
        for split in SPLITS:
            characters, digest, length = 0, hashlib.sha256(), 0
            with (scratch / f"{split}.ids").open("wb") as file:
                for block in _blocks(lines(split)):
                    text = "\n".join(block) + "\n"
                    characters += len(text)
                    digest.update(text.encode())
                    ids = np.fromiter(chain.from_iterable(tokenizer.encode_lines(block)), dtype)
                    length += len(ids)
                    file.write(ids.tobytes())
            if not length:
                raise DataError(f"the {split} split of the corpus holds no token; it needs more text")
            told[split] = {"length": length, "characters": characters, "sha256": digest.hexdigest()}
        (scratch / "tokenizer.json").write_text(tokenizer.json, encoding="utf-8")
        (scratch / "told.json").write_text(vouch(told, _files(scratch)))
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    while block := list(islice(lines, _BLOCK)):
        yield block


def _read(folder: Path) -> Tokens | None:
    """Maps the ids of a folder; None if it is damaged."""
    try:
        told = vouched((folder / "told.json").read_text(), _files(folder))
        tokenizer = Tokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"))
        dtype = torch.from_numpy(np.zeros(0, smallest_type(tokenizer.vocab_size))).dtype
        ids = {
            split: torch.from_file(str(folder / f"{split}.ids"), size=told[split]["length"], dtype=dtype)
            for split in SPLITS
        }
        facts = {fact: {split: told[split][fact] for split in SPLITS} for fact in ("characters", "sha256")}
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.warning("%s is damaged (%s); the text is encoded again", folder, error)
        return None
    return Tokens(tokenizer, ids, **facts)


def _files(folder: Path) -> dict[str, Path]:
    return {name: folder / name for name in ("tokenizer.json", *(f"{split}.ids" for split in SPLITS))}


def smallest_type(vocab_size: int) -> np.dtype:
    """The smallest type of integers that holds all ids of a vocabulary."""
    return np.dtype(next(kind for kind in ("uint8", "uint16", "int32") if vocab_size <= np.iinfo(kind).max + 1))
