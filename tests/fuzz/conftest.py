"""The box that commands are tried in, and the record of a long run."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis.configuration import set_hypothesis_home_dir
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from zoo.training.cli import ZooCLI

from .harness import Box, Enough, Fuzz, StopSoon

# What a run of half a minute tries.
QUICK = 120

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / f"hypothesis-{os.getuid()}")


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Where commands are run."""
    return Box(Path(os.path.realpath(tmp_path_factory.mktemp("fuzz"))) / "box")


@pytest.fixture(scope="session")
def counts(request: pytest.FixtureRequest) -> Iterator[dict[str, Counter[str]]]:
    """How many commands of each kind ran and failed.

    Goes into the file that ``--fuzz-record`` names, beside what it tells of kinds that were left out this time.
    """
    found: dict[str, Counter[str]] = {}
    yield found
    if record := request.config.getoption("--fuzz-record"):
        file = Path(record)
        kinds = json.loads(file.read_text())["fuzz"] if file.is_file() else {}
        kinds |= {kind: dict(count) for kind, count in found.items()}
        file.write_text(json.dumps({"fuzz": dict(sorted(kinds.items()))}, indent=2) + "\n")


@pytest.fixture
def fuzz(
    box: Box, counts: dict[str, Counter[str]], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Fuzz:
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
    asked = request.config.getoption("--fuzz-examples")
    return Fuzz(box, asked or QUICK, counts, quick=asked is None)
