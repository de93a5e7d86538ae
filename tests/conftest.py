"""Fixtures that several tests share."""

import os

# The models of the tests are so small that a second thread costs more than it gains. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import gc
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from record import Tally

# A terminal wide enough that no table is cut.
os.environ["COLUMNS"] = "200"
# Data sets stay in the project's folder although tests run in folders of their own.
ROOT = Path(__file__).parent.parent

Zoo = Callable[..., tuple[int, str, str]]

# A test of the conformance list and its recipe; those with two processes are started together for all recipes.
CONFORMANCE = re.compile(r"test_recipes\.py::(?!test_two_processes)\w+\[(\w+)(-[\w, ]+)?\]$")

# A documented command and its page, whose commands run one after the other in one folder.
PAGE = re.compile(r"(test_documented_commands\.py::test_command\w+\[[\w-]+): ")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds what makes the attacks on the zoo long, and keeps what came of them."""
    group = parser.getgroup("reliability")
    group.addoption(
        "--tries", type=int, metavar="N", help="try N times instead of a few; kinds that take long less often"
    )
    group.addoption("--record", type=Path, metavar="FILE", help="write how many tries of each kind failed, as JSON")


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Counts what is tried; goes into the file that ``--record`` names."""
    found = Tally(request.config.getoption("--record"))
    yield found
    found.write()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Records how many tests of each file passed and failed, too."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    record: Path | None = session.config.getoption("--record")
    if record is None or terminal is None or hasattr(session.config, "workerinput"):
        return
    tally = Tally(record)
    for outcome in ("passed", "failed", "error"):
        for report in terminal.stats.get(outcome, []):
            if report.when == "call" or outcome == "error":
                count = tally.of(report.nodeid.partition("::")[0])
                count.tries += 1
                count.failures += outcome != "passed"
                count.seconds += report.duration
    tally.write()


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
    """Shares tests among processes so that what several use is made once.

    That is by file, but for the conformance list, which is shared by recipe, and documented commands, by their page.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Sharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            part = CONFORMANCE.search(nodeid) or PAGE.search(nodeid)
            return part[1] if part else nodeid.partition("::")[0]

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
