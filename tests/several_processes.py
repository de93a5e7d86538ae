"""Leads recipes in miniature through the life of a run in several processes; started by torchrun once for all.

Of each recipe and process (see ``test_several_processes.py``) it writes one JSON file: digests of the weights of a run
that nothing interrupted and of one that was resumed, and the figures that all processes measured together.
"""

import json
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from tiny import EPOCHS, EVALUATE_ALL, tiny_cli
from two_processes import digest

from zoo.training.checkpoints import LastCheckpoint
from zoo.training.cli import ZooCLI
from zoo.training.run_folder import write_results

WHOLE = (*EVALUATE_ALL, "--trainer.limit_test_batches=1.0")


class PullThePlug(Callback):
    """Keeps what there is of a run when its last epoch begins, as if all computers had gone out then."""

    def __init__(self, run: Path, left: Path) -> None:
        self.run, self.left = run, left

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == EPOCHS - 1:
            if trainer.is_global_zero:
                shutil.copytree(self.run, self.left)
            trainer.strategy.barrier()


def start(name: str, run: Path, verb: str, *more: str, callbacks: tuple[Callback, ...] = ()) -> ZooCLI:
    """What a verb builds in each of the processes that were launched."""
    devices, nodes = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["GROUP_WORLD_SIZE"])
    cli = tiny_cli(
        name, run, verb, *WHOLE, *more, callbacks=callbacks, devices=devices, num_nodes=nodes, strategy="ddp"
    )
    for callback in cli.trainer.checkpoint_callbacks:
        if isinstance(callback, LastCheckpoint):
            callback.seconds = 0.0
    return cli


def lead(name: str, out: Path) -> dict[str, Any]:
    """Trains, measures and resumes a recipe."""
    torch.manual_seed(int(os.environ["RANK"]))  # fresh weights would differ if nothing synchronised them
    run, left = out / name / "run", out / name / "left"
    trained = start(name, run, "fit", callbacks=(PullThePlug(run, left),))
    results = trained.run()
    found: dict[str, Any] = {"results": results, "whole": digest(trained.model)}
    if trained.trainer.is_global_zero:
        write_results(run, name, results)
    for verb in ("validate", "test"):
        found |= start(name, run, verb, "--ckpt_path", str(run / "checkpoints" / "best.ckpt")).run()
    resumed = start(name, left, "fit", "--ckpt_path", str(left / "checkpoints" / "last.ckpt"))
    resumed.run()
    return {**found, "resumed": digest(resumed.model), "epochs": resumed.trainer.current_epoch}


def main(out: Path, names: list[str]) -> None:
    """Leads all named recipes one after the other."""
    torch.set_num_threads(1)
    for name in names:
        try:
            result = lead(name, out)
        except Exception:
            result = {"failed": traceback.format_exc()}
        (out / f"{name}.{os.environ['RANK']}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
