"""What was read or kept, in a few characters: a run remembers what it learnt from, a cache vouches for its files.

Any room of the zoo may import this file.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from torch import Tensor

# Rows that are hashed at once: a mapped tensor is read portion by portion.
_PORTION = 1 << 14


class Checksum(TypedDict):
    """Of a split.

    Attributes:
        shape: Of its inputs.
        sha256: Of all that it holds.
        until: Of a series the time of its last point.
    """

    shape: list[int]
    sha256: str
    until: NotRequired[str]


def of_tensors(tensors: Sequence[Tensor]) -> Checksum:
    """The checksum of tensors ``(N, ...)``, inputs first: of their types, shapes and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {list(tensor.shape)}\n".encode())
        for portion in tensor.split(_PORTION):
            digest.update(portion.contiguous().numpy())
    return {"shape": list(tensors[0].shape), "sha256": digest.hexdigest()}


def of_lines(shape: list[int], lines: Iterable[str]) -> Checksum:
    """The checksum of what other checksums, or names, tell of."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode(errors="surrogateescape") + b"\n")
    return {"shape": shape, "sha256": digest.hexdigest()}


def of_file(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def vouch(told: Mapping[str, Any], files: Mapping[str, Path]) -> str:
    """JSON that tells something, and vouches for it and for the files of a cache.

    Args:
        told: What to tell, as JSON holds it.
        files: The files, by the names that :func:`vouched` is given, too.
    """
    content = {"told": told, "files": {name: of_file(path) for name, path in files.items()}}
    return json.dumps({**content, "sha256": _of_json(content)})


def vouched(text: str, files: Mapping[str, Path]) -> dict[str, Any]:
    """What :func:`vouch` was told, if nothing has changed since.

    Raises:
        ValueError: The text or a file holds something else than was written.
        OSError: A file is not there.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.pop("sha256", None) != _of_json(content):
        raise ValueError("what it tells was changed")
    if content["files"].keys() != files.keys():
        raise ValueError("it vouches for other files")
    for name, path in files.items():
        if of_file(path) != content["files"][name]:
            raise ValueError(f"{path.name} holds something else than was written")
    return dict(content["told"])


def _of_json(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
