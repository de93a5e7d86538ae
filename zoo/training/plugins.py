"""What keeps Lightning quick and quiet."""

import contextlib
import logging
import warnings
from typing import Any

from lightning.pytorch.profilers import Profiler

LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric")


class NoProfiler(Profiler):
    """Measures nothing, faster than Lightning's own way of doing so.

    Lightning enters a profiling context around every hook of every callback, some seventy times a step, which counts
    where a step takes a millisecond; this one is always the same empty context.
    """

    _nothing = contextlib.nullcontext()

    def profile(self, action_name: str) -> Any:
        """Returns an empty context."""
        return self._nothing

    def start(self, action_name: str) -> None:
        """Nothing."""

    def stop(self, action_name: str) -> None:
        """Nothing."""

    def summary(self) -> str:
        """Nothing."""
        return ""


def quieten(quiet: bool) -> None:
    """Silences what Lightning says about itself; what concerns the run is said by the zoo.

    Args:
        quiet: Silence warnings, too.
    """
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR if quiet else logging.WARNING)
    if quiet:
        warnings.filterwarnings("ignore")
    for message in (
        "LightningCLI's args parameter",
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated",
        "Found .* module\\(s\\) in eval mode at the start of training",  # a frozen backbone
        "The number of training batches .* is smaller than the logging interval",
        "The '.*_dataloader' does not have many workers",
        "Checkpoint directory .* exists and is not empty",
        "Experiment logs directory .* exists and is not empty",
        "`LightningModule.configure_optimizers` returned `None`",  # a baseline, which learns nothing
        "`training_step` returned `None`",
        "Total length of `list` across ranks is zero",  # nothing is left to validate on
        "Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",  # an evaluation needs none
        "Grad strides do not match bucket view strides",  # of kernels of one channel, which have two ways to tell them
        ".*lr_scheduler.step\\(\\)` before `optimizer.step",
    ):
        warnings.filterwarnings("ignore", message=message)
