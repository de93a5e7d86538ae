"""Shrinks any recipe to a training of seconds, the same for every test that trains."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback

from zoo import registry
from zoo.training import ZooCLI

ROOT = Path(__file__).parent.parent
EPOCHS = 2
LIMITS = {"limit_train_batches": 4, "limit_val_batches": 2, "limit_test_batches": 2}
# Overrides the limits: two processes and one must see the same rows.
EVALUATE_ALL = ("--trainer.limit_val_batches=1.0", "--data.init_args.eval_batch_size=500")


def tiny_args(name: str, **trainer: Any) -> list[str]:
    """LightningCLI arguments for a recipe with few and small batches and few epochs."""
    settings = {"max_epochs": EPOCHS, "accelerator": "cpu", "devices": 1, **LIMITS, **trainer}
    flags = [
        f"--trainer.{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in settings.items()
    ]
    data = ["--data.init_args.batch_size=8", "--data.init_args.eval_batch_size=16", "--tune_precision=false"]
    if registry.recipe(name).data == "FashionMNIST":
        data += [f"--data.init_args.root={ROOT / 'data'}", "--data.init_args.train_size=500"]
    return ["--config", str(registry.recipe(name).path), *data, *flags]


def tiny_cli(
    name: str, folder: Path, verb: str = "fit", *more: str, callbacks: Sequence[Callback] = (), **trainer: Any
) -> ZooCLI:
    """Builds a recipe's model, data and trainer in miniature; the run goes into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    return ZooCLI([*tiny_args(name, **trainer), *more], verb, name, folder, quiet=True, callbacks=callbacks)
