"""Fixtures that several tests share."""

import os

# The models of the tests are so small that a second thread costs more than it gains. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import pytest

# A terminal wide enough that no table is cut.
os.environ["COLUMNS"] = "200"
# Data sets stay in the project's folder although tests run in folders of their own.
ROOT = Path(__file__).parent.parent

Zoo = Callable[..., tuple[int, str, str]]


@pytest.fixture
def zoo_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Zoo:
    """Runs the command line in an empty folder; returns exit code, output and error output."""
    from zoo.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
