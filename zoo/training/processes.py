"""A run of several processes: as many as were launched, and one folder, which the first one makes."""

import os
import sys

from lightning import LightningModule, Trainer
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher

from zoo.errors import ZooError

# What an interactive Python, such as a notebook, is told.
ONE_PROCESS = (
    "an interactive Python trains in one process; use --trainer.devices 1, or train in a terminal: zoo fit RECIPE "
    "--trainer.devices N"
)


def check_processes(trainer: Trainer) -> None:
    """Refuses to train in another number of processes than a launcher started.

    Raises:
        ZooError: Each process would train a run of its own, or the run could not hand back what it found.
    """
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        if hasattr(sys, "ps1"):
            raise ZooError(ONE_PROCESS)
        name = trainer.strategy.launcher._start_method
        raise ZooError(
            f"processes that a strategy {name}s hand back neither results nor checkpoints; use --trainer.strategy ddp"
        )
    wanted = trainer.num_devices * trainer.num_nodes
    launcher, count = _launched()
    if count is not None and count != wanted:
        nodes = max(1, trainer.num_nodes)
        more = f"--trainer.devices {count // nodes}" if count % nodes == 0 else "--trainer.num_nodes"
        raise ZooError(
            f"{launcher} started {count} processes, but --trainer.devices {trainer.num_devices} and "
            f"--trainer.num_nodes {trainer.num_nodes} make a run of {wanted}; use {more}, or have {launcher} start "
            f"{wanted}"
        )


def _launched() -> tuple[str, int | None]:
    """What started this process, and how many there are; None if it is the only one that was started."""
    if TorchElasticEnvironment.detect():
        return "torchrun", int(os.environ["WORLD_SIZE"])
    # An interactive allocation has tasks, too, but what is typed there is one process.
    if "SLURM_NTASKS" in os.environ and SLURMEnvironment.job_name() not in ("bash", "interactive"):
        return "srun", int(os.environ["SLURM_NTASKS"])
    if "LOCAL_RANK" in os.environ and os.environ.get("WORLD_SIZE", "").isdecimal():
        return "the launcher", int(os.environ["WORLD_SIZE"])
    return "nothing", None


class OneFolder(Callback):
    """Gives all processes the name of the folder that the first one made: each of them has a clock of its own."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Asks the first process, as soon as they know each other."""
        folder = trainer.strategy.broadcast(trainer.default_root_dir)
        trainer._default_root_dir = folder  # type: ignore[attr-defined]
