"""Runs made-up commands of the ``zoo`` in a box of their own and judges how each ends.

A command ends well with exit code 0, or with 2 and one clear line that was written for what is wrong. A traceback, an
error that nobody foresaw, a hang and a file outside of the run are faults.
"""

import contextlib
import io
import os
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis.strategies import SearchStrategy
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback as LightningCallback
from record import Tally

from zoo.cli import main

# Far more than any command takes that trains two steps of a model of the tests, on a machine that is busy.
DEADLINE = 40
# What a command may take beyond what Python and its libraries have mapped already.
MEMORY = 6 << 30
# A message of one line that nobody reads to its end is not clear.
LONGEST = 1000
# What only somebody who reads the code can make sense of.
_INSIDE = r"object at 0x|Namespace\(|\((Key|Attribute|Index|Assertion|Name|UnboundLocal)Error\b"
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate"}


class Hang(BaseException):
    """A command has run for longer than any may; no handler of errors catches it."""


class Enough(BaseException):
    """A command asked for more than a test can give, such as a second process, and ran well until then."""


@dataclass(frozen=True)
class Command:
    """A command line and what it finds.

    Attributes:
        arguments: What follows ``zoo``.
        files: Contents by path, below the folder that the command is run in; None stands for a folder.
        writes: What it may write besides ``runs/``: files, and folders with all that is below.
        given: Standard input.
    """

    arguments: tuple[str, ...]
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    writes: tuple[str, ...] = ()
    given: bytes = b""

    def __repr__(self) -> str:
        """Short enough to be read, and long enough to be typed where that is possible."""
        parts = [repr(self.arguments)]
        if self.files:
            told = {
                name: content if content is None or len(content) < 600 else f"{len(content)} bytes"
                for name, content in self.files.items()
            }
            parts.append(f"files={told!r}")
        if self.given:
            parts.append(f"given={self.given!r}")
        return f"Command({', '.join(parts)})"


class StopSoon(LightningCallback):
    """Ends any training after two batches, however much was asked for, and a training that will not end.

    Args:
        batches: How many there may be of all kinds.
    """

    def __init__(self, batches: int = 60) -> None:
        self.batches = batches

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Counts."""
        self._count()
        trainer.should_stop = trainer.should_stop or trainer.fit_loop.epoch_loop.batch_idx >= 1

    def on_validation_batch_end(self, *_: Any) -> None:
        """Counts."""
        self._count()

    def on_test_batch_end(self, *_: Any) -> None:
        """Counts."""
        self._count()

    def _count(self) -> None:
        self.batches -= 1
        if self.batches < 0:
            raise Enough


class Box:
    """A folder, within which commands are run; what they try to write elsewhere is refused and remembered.

    Args:
        folder: The folder, which is emptied for every command.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / "work"
        self.watching = False
        self.strayed: list[str] = []
        sys.addaudithook(self._look)  # which stays for as long as Python runs

    def run(self, command: Command) -> str | None:
        """Runs a command; says what is wrong with how it ended, if anything is."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.work.mkdir(parents=True)
        for name, content in command.files.items():
            path = self.work / name
            (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
            if content is not None:
                path.write_bytes(content)
        before = self._contents()
        self.strayed = []
        out, error = _stream("strict"), _stream("backslashreplace")
        raised = ""
        code: object = 0
        with contextlib.chdir(self.work), _within(DEADLINE, MEMORY), _streams(command.given, out, error):
            self.watching = True
            try:
                code = main(list(command.arguments))
            except SystemExit as stop:  # as --help ends
                code = stop.code or 0
            except Enough:
                return None
            except BaseException as escaped:
                if isinstance(escaped, KeyboardInterrupt):
                    raise
                raised = f"{type(escaped).__name__}: {escaped} at {_place(escaped)}"
            finally:
                self.watching = False
        if raised:
            return f"raised {raised}"
        return self._judge(command, code, _text(error), before)

    def _judge(self, command: Command, code: object, error: str, before: Mapping[str, bytes]) -> str | None:
        fault = _fault_of(code, error)
        if fault is None and self.strayed:
            fault = f"wrote outside of the box: {self.strayed[0]}"
        if fault is not None:
            return fault
        now = self._contents()
        changed = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
        allowed = ("runs", *command.writes)
        if stray := [name for name in changed if not any(Path(name).is_relative_to(root) for root in allowed)]:
            return f"exit code {code}, but changed {stray[0]}"
        runs = {"/".join(name.split("/")[:3]) for name in changed if name.startswith("runs/")}
        fresh = [run for run in runs if not any(name.startswith(f"{run}/") for name in before)]
        if code == 2 and any(not any((self.work / run).rglob("*.ckpt")) for run in fresh):
            return f"left a run that never began: {error.strip()}"
        return None

    def _contents(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.work)): path.read_bytes() for path in self.work.rglob("*") if path.is_file()}

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching or not (event == "open" or event in _CHANGES):
            return
        path = arguments[0]
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITES):
            return
        if isinstance(path, str | bytes | os.PathLike):
            place = os.path.realpath(os.fsdecode(path))
            if not f"{place}/".startswith((f"{self.folder}/", "/dev/", "/proc/")):
                self.strayed.append(f"{event} {place}")
                raise PermissionError(13, "Permission denied", place)


def _fault_of(code: object, error: str) -> str | None:
    """What is wrong with an exit code and what was told with it."""
    if code not in (0, 2):
        return f"exit code {code}: {error}"
    if "Traceback" in error:
        return f"told a traceback: {error}"
    if code == 0:
        return None
    # A bar of progress stays where an error ends it, and is written over before.
    error = re.sub(r"[^\n]*\r|Finding best initial lr: .*?it/s\](\x1b\[A)?", "", error)
    # What many files lack is told as a list.
    lines = re.sub(r":(\n  .+)+\n(?=\w)", ": ", error).splitlines()
    if not lines:
        return "exit code 2 without a word"
    if lines[-1].startswith("zoo: unexpected"):
        return f"nobody foresaw: {lines[-1]}"
    if odd := next((line for line in lines if not line.startswith("zoo: ")), None):
        return f"told more than a line: {odd!r} of {error!r}"
    if not 10 <= len(lines[-1]) <= LONGEST or re.search(_INSIDE, lines[-1]):
        return f"told nothing that helps: {lines[-1]}"
    return None


class Fuzz:
    """Tries commands, and counts how many of each kind failed.

    Args:
        box: Where they are run.
        examples: How many to try in all kinds together.
        tally: Where it is counted: commands that ran, and those that failed, by kind.
        quick: Whether they are always the same.
    """

    def __init__(self, box: Box, examples: int, tally: Tally, quick: bool) -> None:
        self.box, self.examples, self.tally, self.quick = box, examples, tally, quick

    def check(self, kind: str, share: float, commands: SearchStrategy[Command], known: Sequence[Command] = ()) -> None:
        """Asserts that commands end well.

        Args:
            kind: What messages and records call them.
            share: Of all examples.
            commands: What to try.
            known: What once failed, and is tried always.
        """
        count, begun = self.tally.of(f"made-up {kind}"), time.monotonic()
        faults: dict[str, tuple[str, Command]] = {}

        def try_one(command: Command) -> None:
            fault = self.box.run(command)
            count.tries += 1
            if fault is not None:
                count.failures += 1
                faults.setdefault(_signature(fault), (fault, command))

        test: Callable[[Command], None] = try_one
        for command in known:
            test = example(command)(test)
        few = settings(
            max_examples=max(1, round(share * self.examples)),
            derandomize=self.quick,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        few(given(commands)(test))()
        count.seconds += time.monotonic() - begun
        told = [f"{fault}\n    {command!r}" for fault, command in faults.values()]
        assert not faults, f"{count.failures} of {count.tries} commands failed:\n" + "\n".join(told)


def _signature(fault: str) -> str:
    """What two faults of the same kind have in common."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|[\d.]+", "*", fault)[:90]


def _place(error: BaseException) -> str:
    """Where an error came from: the last line of the zoo, and the last line at all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/zoo/" in frame.filename or "/datamodules/" in frame.filename]
    return " and ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in (*ours[-1:], *frames[-1:]))


@contextlib.contextmanager
def _within(seconds: int, memory: int) -> Iterator[None]:
    """Ends what takes too long, and what takes too much memory."""

    def stop(_: int, frame: FrameType | None) -> None:
        raise Hang(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _stream(errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextlib.contextmanager
def _streams(given: bytes, out: io.TextIOWrapper, error: io.TextIOWrapper) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            yield
    finally:
        sys.stdin = before
