"""Fixtures of the tests that read folders of pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from datamodules import ImageFolder
from datamodules.vision import pictures

from .photos import SIZE, fill


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    """Undoes the silence that a quiet run in another test has left."""
    caplog.set_level("INFO", logger=pictures.log.name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of ten pictures."""
    return fill(tmp_path / "photos", cat=10, dog=10)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., ImageFolder]:
    """Makes the data module of a folder with a cache of the test's own."""

    def make(root: Path, **options: Any) -> ImageFolder:
        return ImageFolder(str(root), **{"image_size": SIZE, "cache": str(tmp_path / "cache"), **options})

    return make


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files decoded, in any order."""
    names: list[str] = []
    read = pictures.read_picture

    def watched(path: Path, *how: Any) -> Tensor:
        names.append(path.name)
        return read(path, *how)

    monkeypatch.setattr(pictures, "read_picture", watched)
    return names
