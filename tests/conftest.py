"""Fixtures that several tests share."""

import os

# The models of the tests are so small that a second thread costs more than it gains. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import gc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# A terminal wide enough that no table is cut.
os.environ["COLUMNS"] = "200"
# Data sets stay in the project's folder although tests run in folders of their own.
ROOT = Path(__file__).parent.parent

Zoo = Callable[..., tuple[int, str, str]]

# A test of the conformance list and its recipe; those with two processes are started together for all recipes.
CONFORMANCE = re.compile(r"test_recipes\.py::(?!test_two_processes)\w+\[(\w+)(-[\w, ]+)?\]$")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds what makes ``tests/fuzz`` try for long, and tell what came of it."""
    group = parser.getgroup("fuzz")
    group.addoption("--fuzz-examples", type=int, metavar="N", help="try N other commands in all, instead of a few")
    group.addoption("--fuzz-record", metavar="FILE", help="write into this JSON how many ran and failed of each kind")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what takes longest first, and last the many small portions that fill the time of every process."""
    items.sort(
        key=lambda item: (
            "test_two_processes_train_it" not in item.nodeid,
            CONFORMANCE.search(item.nodeid) is not None,
        )
    )


def pytest_collection_finish() -> None:
    """Leaves what was imported out of garbage collection, which takes a tenth of the time otherwise."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Shares tests among processes so that what several use is made once: by file, the conformance list by recipe."""
    from xdist.scheduler import LoadScopeScheduling

    class Sharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            recipe = CONFORMANCE.search(nodeid)
            return recipe[1] if recipe else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return Sharing(config, log)


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
