"""Drawn shapes: the same on every machine, and what cannot be drawn."""

import hashlib

import pytest
import torch

from datamodules import Shapes
from datamodules.errors import DataError


def test_shapes_do_not_depend_on_machine_or_size_of_other_splits() -> None:
    few = Shapes(train_size=50, val_size=6, test_size=6).splits
    more = Shapes(train_size=7, val_size=30, test_size=6).splits
    assert torch.equal(few["test"][0], more["test"][0])
    assert not torch.equal(few["test"][0], Shapes(train_size=7, val_size=6, test_size=6, seed=1).splits["test"][0])
    digest = hashlib.sha256(few["test"][0].numpy().tobytes()).hexdigest()
    assert digest.startswith("26556ba1da83b267")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"image_size": 8}, "image_size is 8, expected at least 16"),
        ({"val_size": 3}, "val_size is 3, expected at least"),
    ],
)
def test_shapes_refuse_what_cannot_be_drawn(options: dict[str, int], told: str) -> None:
    with pytest.raises(DataError, match=told):
        Shapes(**options)
