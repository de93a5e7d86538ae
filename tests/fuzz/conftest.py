"""The box that commands are tried in."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis.configuration import set_hypothesis_home_dir
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from record import Tally

from zoo.training.cli import ZooCLI

from .harness import Box, Enough, Fuzz, StopSoon

# What a run of half a minute tries.
QUICK = 120

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / f"hypothesis-{os.getuid()}")


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Where commands are run."""
    return Box(Path(os.path.realpath(tmp_path_factory.mktemp("fuzz"))) / "box")


@pytest.fixture
def fuzz(box: Box, tally: Tally, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Fuzz:
    """Tries commands whose trainings are two steps long, and none of which starts a process."""
    own_callbacks = ZooCLI._own_callbacks

    def with_an_end(cli: ZooCLI) -> list[Callback]:
        return [*own_callbacks(cli), StopSoon()]

    def refuse(*_: Any, **__: Any) -> None:
        raise Enough

    monkeypatch.setattr(ZooCLI, "_own_callbacks", with_an_end)
    monkeypatch.setattr(_SubprocessScriptLauncher, "_call_children_scripts", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(box.folder / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(box.folder))
    asked = request.config.getoption("--tries")
    return Fuzz(box, asked or QUICK, tally, quick=asked is None)
