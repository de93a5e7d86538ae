"""Callbacks that every run of the command line has."""

import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, RichProgressBar, TQDMProgressBar
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_only

from datamodules.files import written_whole
from zoo.terminal import in_notebook, say
from zoo.training.figures import Figures


class SaveConfig(SaveConfigCallback):
    """Writes ``config.yaml`` into the run's folder, whatever logs where.

    It does so only once training really starts: a refused resumption leaves the run as it was.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Nothing yet."""

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the file."""
        with written_whole(Path(trainer.default_root_dir) / "config.yaml") as scratch:
            self.parser.save(self.config, scratch, skip_none=False, overwrite=True, multifile=self.multifile)


class SeedEpochs(Callback):
    """Seeds every epoch from (seed, epoch, process).

    Lightning checkpoints hold no random state. With this, dropout and augmentation of an epoch do not depend on what
    was drawn before, so a resumed run ends, on a CPU bit-identically, as an uninterrupted one, and every process draws
    its own numbers.

    Args:
        seed: The run's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seeds Python, NumPy and torch."""
        sequence = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank])
        seed = int(sequence.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        if trainer.strategy.root_device.type == "cpu":
            # torch.manual_seed would also note, for a GPU to come, who called it: as long as a small step takes.
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)


class Finish(Callback):
    """Ends a training that is over as if it had just been: for a run that was killed before its results were written.

    What a trained model shows is drawn; nothing is trained.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Has the loop find that it is over."""
        trainer.should_stop = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Has the pictures drawn that follow the training."""
        for callback in getattr(trainer, "callbacks", []):
            if isinstance(callback, Figures):
                callback.on_train_end(trainer, pl_module)


class ValidateAtLastStep(Callback):
    """Has a model measured where ``max_steps`` ends its training, also inside an epoch.

    Otherwise what was learnt since the last border would never become ``best.ckpt``, and a training shorter than an
    epoch would have nothing to choose by.
    """

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Asks the loop to validate and to stop, as ``max_time`` does."""
        if 0 < trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True


class InterruptBetweenBatches(Callback):
    """Lets Ctrl-C stop the training after the batch at hand; a second one stops at once.

    An exception that strikes anywhere, such as inside the queue of TensorBoard's writer thread, can leave a lock behind
    that the shutdown then waits for without end.
    """

    def __init__(self) -> None:
        self._interrupted = False
        self._previous: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the signal over, where Python would raise KeyboardInterrupt."""
        main_thread = threading.current_thread() is threading.main_thread()
        if main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._remember)

    def _remember(self, number: int, frame: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def on_train_batch_end(self, *_: Any) -> None:
        """Stops if Ctrl-C was pressed during the batch."""
        if self._interrupted:
            raise KeyboardInterrupt

    def on_validation_batch_end(self, *_: Any) -> None:
        """Stops if Ctrl-C was pressed during the batch."""
        if self._interrupted:
            raise KeyboardInterrupt

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gives the signal back."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Gives the signal back, unless Lightning is shutting down and wants to hear no more of it."""
        if not isinstance(exception, KeyboardInterrupt):
            self.on_train_end(trainer, pl_module)


class EpochLines(Callback):
    """Prints a line now and then where no progress bar can be drawn: into a file, under a scheduler.

    Args:
        seconds: Shortest time between two lines.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = seconds
        self._printed_at = time.monotonic()

    @rank_zero_only
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the epoch and its metrics."""
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not last and time.monotonic() - self._printed_at < self.seconds:
            return
        self._printed_at = time.monotonic()
        metrics = "  ".join(f"{name} {value:.5g}" for name, value in sorted(trainer.callback_metrics.items()))
        say(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {metrics}", flush=True)


def progress() -> Callback:
    """What shows how far a training is: a bar in a terminal or a notebook, else :class:`EpochLines`."""
    if in_notebook():
        return TQDMProgressBar()
    return RichProgressBar() if sys.stdout.isatty() else EpochLines()
