"""Facts of the data that reach the model as constructor arguments of the same name."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import LightningDataModule

from zoo.errors import ZooError

FACTS = (
    "num_classes", "classes", "in_features", "in_channels", "image_size", "pixel_range",
    "mean", "std",
    "target_mean", "target_std", "num_series", "window", "horizon", "period", "naive_mae", "power",
    "differences", "pooled", "covariates", "vocab_size", "tokenizer", "length", "schema",
)  # fmt: skip


def check_given(names: Mapping[str, str], data: LightningDataModule) -> None:
    """Refuses facts that were given to the model: only the data can state them, and nobody would notice.

    Args:
        names: What was given to the model, by the flag or the place that gave it.
        data: The data module.

    Raises:
        ZooError: One of them is a fact.
    """
    for flag, fact in names.items():
        if fact in FACTS:
            says = getattr(data, fact, None)
            said = textwrap.shorten(str(says), 60, placeholder=" ...")
            told = f"says {said}" if says is not None else "does not state it, so the model's default stands"
            advice = f"use --data.{fact}" if fact in data.hparams else "leave it out"
            raise ZooError(f"{flag} is for the data to say, which {told}; {advice}")


def check_trained(trained: Mapping[str, Any], data: LightningDataModule, checkpoint: Path | None) -> None:
    """Refuses data that means something else by the same numbers than what a checkpoint was trained on.

    Args:
        trained: The checkpoint's hyper-parameters.
        data: The data module.
        checkpoint: Where they are from.

    Raises:
        ZooError: It has other classes, or other values for black and white.
    """
    classes, found = trained.get("classes"), getattr(data, "classes", None)
    if classes and found and list(classes) != list(found):
        raise ZooError(
            f"{checkpoint} was trained to tell {', '.join(map(str, classes))}; "
            f"the data has {', '.join(map(str, found))}"
        )
    if not trained.get("pixel_range"):
        return
    wanted, seen = list(trained["pixel_range"]), getattr(data, "pixel_range", None)
    if seen and list(seen) != wanted:
        raise ZooError(
            f"{checkpoint} was trained with {wanted[0]:.6g} as black and {wanted[1]:.6g} as white; the data has "
            f"{seen[0]:.6g} and {seen[1]:.6g}; use --data.pixel_range '[{wanted[0]:.6g}, {wanted[1]:.6g}]'"
        )
