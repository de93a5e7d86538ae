"""What becomes of a run of several processes when one of them ends: one line, an exit code, and no process left.

Lightning starts the other processes of a computer, and has its own way to end them all: silently, and where a
termination signal reaches but one of them, not at all. ``torchrun`` and ``srun`` see to their processes themselves; of
those, each that is left tells its own line.
"""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

import torch
import torch.distributed as dist
from lightning import LightningModule, Trainer
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from zoo.errors import ZooError
from zoo.terminal import REPORTS, warn

# Seconds in which a process has to notice by itself that it has lost another one.
GRACE = 5.0
_LOOK = 0.2
# Seconds after which a process whose parent has ended knows that, and those in which one ends that knows why it does.
_ORPHANED, _LEAVING = 1.0, 30.0
# Exit codes: of a process that ends because another one did, and what a shell adds to the number of a signal.
_LOST_TOUCH, _SIGNALLED = 75, 128


class ProcessLostError(ZooError):
    """A process of the run has ended before its time."""

    exit_code = 1


def lost_touch(error: BaseException) -> bool:
    """Whether what processes exchange failed, as it does when one of them has ended."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, dist.DistError) or (isinstance(seen, RuntimeError) and "gloo" in str(seen)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


class Company:
    """The processes that a trainer has started, or that of which the first one has started this one.

    Nothing happens where there is a single process.

    Args:
        trainer: Builds its run of several processes.
        leave: Called before a process ends that waits for one that is lost.
    """

    def __init__(self, trainer: Trainer, leave: Callable[[], None]) -> None:
        self.trainer, self.leave = trainer, leave
        self._launcher: _Launcher | None = None
        self._parent: int | None = None
        self._left = self._done = False
        if trainer.world_size == 1:
            return
        launcher = trainer.strategy.launcher
        if isinstance(launcher, _SubprocessScriptLauncher) and not _are_started_elsewhere(launcher):
            self._launcher = _Launcher(launcher, self)
            trainer.strategy._launcher = self._launcher
        if REPORTS in os.environ:
            self._parent = int(Path(os.environ[REPORTS]).name.split("-")[1])
            self._watch(self._parent_ended)
        # Lightning has the first process tell the others before every step that it received no signal, which waits for
        # the device, and has whichever does receive one wait for all others.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        connector = trainer._signal_connector
        connector._sigterm_notifier_fn = lambda *_: setattr(connector, "received_sigterm", True)  # type: ignore[method-assign]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """Ends what this process has started; tells of a lost process instead of what came of it."""
        self._left, self._done = True, error is None
        if error is None:
            if self._launcher is not None:
                self._launcher.forget()
            return
        stopped = self.trainer.received_sigterm
        lost = isinstance(error, Exception) and self.trainer.world_size > 1 and lost_touch(error)
        verdict = self._verdict(str(error)) if lost and not stopped else None
        if self._launcher is not None:
            self._launcher.end()
        if verdict is not None:
            raise verdict from error
        if self._parent is not None and (lost or stopped):
            raise SystemExit(_LOST_TOUCH if lost else _SIGNALLED + signal.SIGTERM) from error
        if lost:
            raise SystemExit(1) from error

    def _verdict(self, said: str) -> ZooError | None:
        """Why the run ended; None where another process tells."""
        if self._launcher is not None:
            return self._launcher.verdict(GRACE) or self._lost(f"the processes lost touch ({_first_line(said)})")
        if self._parent is None:
            place = f"process {self.trainer.global_rank} of {self.trainer.world_size}"
            return self._lost(f"{place} lost touch with the others ({_first_line(said)})")
        deadline = time.monotonic() + _ORPHANED
        while time.monotonic() < deadline:
            if (verdict := self._parent_ended()) is not None:
                return verdict if self._tells else None
            time.sleep(_LOOK)
        return None

    def _parent_ended(self) -> ZooError | None:
        """What the first one that is left tells of the process that has started it."""
        if os.getppid() == self._parent:
            return None
        if (reports := os.environ.pop(REPORTS, None)) is not None:
            shutil.rmtree(reports, ignore_errors=True)
        return self._lost(f"the first of {self.trainer.world_size} processes has ended")

    @property
    def _tells(self) -> bool:
        """Whether this is the first process that is left."""
        return self.trainer.local_rank < 2

    def _lost(self, what: str) -> ProcessLostError:
        run = Path(self.trainer.default_root_dir)
        can_go_on = self.trainer.state.fn == "fit" and (run / "checkpoints" / "last.ckpt").is_file()
        return ProcessLostError(f"{what}; resume with: zoo fit {run}" if can_go_on else what)

    def _watch(self, ended: Callable[[], ZooError | None]) -> None:
        """Ends this process if it cannot notice that another one has ended, because it waits for that one."""

        def look() -> None:
            while (found := ended()) is None:
                if self._done:
                    return
                time.sleep(_LOOK)
            time.sleep(2 * GRACE)
            if self._left:
                time.sleep(_LEAVING)
            if self._done:
                return
            try:
                if self._launcher is not None:
                    self._launcher.end()
                if self._tells:
                    self.leave()
                    warn(str(found))
            finally:  # also where nobody is left who reads
                os._exit(found.exit_code)

        threading.Thread(target=look, daemon=True, name="company").start()


class _Launcher(_SubprocessScriptLauncher):
    """Starts the other processes and hears from them why they ended.

    Args:
        launcher: That of the trainer.
        company: Tells.
    """

    def __init__(self, launcher: _SubprocessScriptLauncher, company: Company) -> None:
        super().__init__(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        self.company = company
        self.reports: Path | None = None

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Trainer | None = None, **options: Any) -> Any:
        """Starts the others, if that was not done before, and calls the function."""
        if not _are_started_elsewhere(self):
            self.reports = Path(mkdtemp(prefix=f"zoo-{os.getpid()}-"))
            os.environ[REPORTS] = str(self.reports)
            try:
                self._call_children_scripts()
            finally:  # or a later run of this process would take itself for one of the others
                del os.environ[REPORTS]
            self.company._watch(lambda: self.verdict(0.0))
        _set_num_threads_if_needed(num_processes=self.num_processes)
        return function(*args, **options)

    def verdict(self, seconds: float) -> ZooError | None:
        """Why one of the others ended; None if, within some seconds, none did that was not ended by a loss itself."""
        deadline, found = time.monotonic() + seconds, None
        while found is None:
            codes = ((number, process.poll()) for number, process in enumerate(self.procs, 1))
            found = self._cause({number: code for number, code in codes if code})
            if time.monotonic() >= deadline:
                break
            time.sleep(_LOOK)
        return found

    def _cause(self, ended: dict[int, int]) -> ZooError | None:
        first, count = self.company.trainer.global_rank, self.company.trainer.world_size
        place = {number: f"process {first + number} of {count}" for number in ended}
        for number in ended:
            report = self.reports / str(number) if self.reports is not None else None
            if report is not None and report.is_file():
                return ZooError(f"{place[number]}: {report.read_text()}")
        for number, code in ended.items():
            if code != _LOST_TOUCH:
                return self.company._lost(f"{place[number]} {_how(code)}")
        return None

    def end(self) -> None:
        """Ends the others at once: whatever they wait for, nobody answers."""
        for process in self.procs:
            process.kill()
        for process in self.procs:
            process.wait()
        self.forget()

    def forget(self) -> None:
        """Leaves nothing behind."""
        if self.reports is not None:
            shutil.rmtree(self.reports, ignore_errors=True)


def _how(code: int) -> str:
    """In words, how a process ended that has an exit code, negative where a signal ended it."""
    if code in range(1, _SIGNALLED):
        return f"ended with exit code {code}"
    name = signal.Signals(abs(code) % _SIGNALLED).name
    return f"was ended by {name}" + (", as by a system that has no memory left" if name == "SIGKILL" else "")


class SumInOrder(Callback):
    """Has three or more processes on CPUs add their gradients up in one order, whatever these look like in memory.

    They are arranged anew after the first step, and what is added up piece by piece would come out differently in the
    last digit: a resumed run would not end bit-identical. Two numbers have one sum.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts the order into the reducer of the gradients."""
        model = trainer.strategy.model
        if isinstance(model, DistributedDataParallel) and pl_module.device.type == "cpu" and trainer.world_size > 2:
            model.register_comm_hook(None, _mean_in_order)


def _mean_in_order(state: None, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    mine = bucket.buffer()
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    work = dist.all_gather(parts, mine, async_op=True)

    def mean(_: Any) -> Tensor:
        for part in parts[1:]:
            parts[0] += part
        return parts[0].div_(len(parts))

    return work.get_future().then(mean)


def _are_started_elsewhere(launcher: _SubprocessScriptLauncher) -> bool:
    """Whether the processes are there already: ``torchrun``, ``srun`` or the first of them has started them."""
    return launcher.cluster_environment.creates_processes_externally


def _first_line(said: str) -> str:
    return said.strip().partition("\n")[0].split(". This is typically")[0]
