"""What was read, in a few characters, so that a run can remember what it learnt from."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NotRequired, TypedDict

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
