"""The data that a run learnt from: remembered beside its results, and compared by whoever measures or publishes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

from datamodules.checksums import Checksum
from zoo.registry import read_results
from zoo.terminal import warn
from zoo.training.run_folder import write_results

Checksums = Mapping[str, Checksum]


class RememberData(Callback):
    """Writes the checksums of what is trained on into ``results.json``; a resumed run is told when they have changed.

    Args:
        recipe: Name of the run.
        resumed: Whether the run goes on.
    """

    def __init__(self, recipe: str, resumed: bool) -> None:
        self.recipe, self.resumed = recipe, resumed

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes, or compares."""
        data, folder = getattr(trainer, "datamodule", None), Path(trainer.default_root_dir)
        if self.resumed and "data" in read_results(folder):
            tell_changes(str(folder), read_results(folder)["data"], data)
        elif found := _checksums(data):
            write_results(folder, self.recipe, {"data": found})


@rank_zero_only
def tell_changes(name: str, learnt_from: Checksums | None, data: Any) -> None:
    """Says on the screen what is no longer as a model learnt from it; nothing where that is not known.

    Args:
        name: Of the model, as its user calls it.
        learnt_from: The checksums that are remembered.
        data: What is read now.
    """
    found = _checksums(data) if learnt_from else {}
    changes = changed(learnt_from, found) if learnt_from and found else []
    if changes:
        warn(f"the data is not what {name} learnt from: {'; '.join(changes)}")


def _checksums(data: Any) -> Checksums:
    """Those of a data module of the zoo; none of any other."""
    return data.checksums() if hasattr(data, "checksums") else {}


def changed(then: Checksums, now: Checksums) -> list[str]:
    """What is different about each split, in words."""
    told = []
    for split in sorted({*then, *now}, key=["train", "val", "test"].index):
        if split not in now or split not in then:
            told.append(f"{split} is {'gone' if split in then else 'new'}")
        elif then[split]["sha256"] != now[split]["sha256"]:
            before, after = (side[split]["shape"] for side in (then, now))
            told.append(f"{split} {_difference(before, after)}")
    return told


def _difference(before: list[int], after: list[int]) -> str:
    if before == after:
        return f"has {after[0]:,} as before, of other contents"
    if before[1:] == after[1:]:
        return f"had {before[0]:,}, has {after[0]:,}"
    return f"had the shape {tuple(before)}, has {tuple(after)}"
