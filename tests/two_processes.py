"""Trains every recipe in miniature under DDP; started by torchrun once for all (see ``test_recipes.py``).

Writes one JSON file a recipe and process: a digest of its weights and the validation metrics that both measured
together.
"""

import hashlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from tiny import EVALUATE_ALL, tiny_cli

from zoo.errors import ZooError


def digest(model: LightningModule) -> str:
    """Tells whether two models have the same weights, to the last bit."""
    sha256 = hashlib.sha256()
    for _, tensor in sorted(model.state_dict().items()):
        sha256.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()


def train(name: str, out: Path) -> dict[str, Any]:
    """Trains and evaluates a recipe in two processes."""
    torch.manual_seed(int(os.environ["RANK"]))  # fresh weights would differ if nothing synchronised them
    cli = tiny_cli(name, out / name / "run", "fit", *EVALUATE_ALL, devices=2, strategy="ddp")
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    metrics = cli.trainer.validate(cli.model, datamodule=cli.datamodule, verbose=False)[0]
    return {"digest": digest(cli.model), "metrics": metrics, "steps": cli.trainer.global_step}


def main(out: Path, names: list[str]) -> None:
    """Trains all named recipes one after the other."""
    torch.set_num_threads(1)
    for name in names:
        try:
            result = train(name, out)
        except ZooError as refusal:
            result = {"refused": str(refusal)}
        except Exception:
            result = {"failed": traceback.format_exc()}
        (out / f"{name}.{os.environ['RANK']}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
