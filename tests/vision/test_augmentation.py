"""The affine warp: what Keras does to one image at a time, to a whole batch."""

import dataclasses
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch

from zoo.errors import ZooError
from zoo.vision import augmentation
from zoo.vision.augmentation import Augmentation
from zoo.vision.cnn import CNN

ndimage: Any = import_module("scipy.ndimage")
OFF = Augmentation(flip=False, shift=0, rotation=0, shear=0, zoom=0)
SMOOTH = ndimage.gaussian_filter(np.random.default_rng(0).random((40, 56, 3)), (3, 3, 0))
IMAGE = torch.from_numpy((255 * (SMOOTH - SMOOTH.min()) / np.ptp(SMOOTH)).astype(np.uint8)).movedim(2, 0)


def keras(
    image: np.ndarray, rotation: float, down: float, right: float, shear: float, zoom_y: float, zoom_x: float
) -> np.ndarray:
    """What ``apply_affine_transform`` of Keras defines, about the centre of an image ``(H, W, C)``."""
    turn, slant = np.deg2rad(rotation), np.deg2rad(shear)
    matrix = (
        np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        @ np.array([[1, 0, down], [0, 1, right], [0, 0, 1]])
        @ np.array([[1, -np.sin(slant), 0], [0, np.cos(slant), 0], [0, 0, 1]])
        @ np.diag([zoom_y, zoom_x, 1])
    )
    y, x = image.shape[0] / 2 - 0.5, image.shape[1] / 2 - 0.5
    matrix = np.array([[1, 0, y], [0, 1, x], [0, 0, 1]]) @ matrix @ np.array([[1, 0, -y], [0, 1, -x], [0, 0, 1]])
    channels = [
        ndimage.affine_transform(channel, matrix[:2, :2], matrix[:2, 2], order=1, mode="nearest")
        for channel in image.astype(float).transpose(2, 0, 1)
    ]
    return np.stack(channels)


@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "mixed precision"])
@pytest.mark.parametrize("seed", range(4))
def test_warp_is_that_of_keras(seed: int, mixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(seed)
    draws: list[Any] = []

    def draw(low: float, high: float, shape: int | tuple[int, ...], device: torch.device) -> torch.Tensor:
        draws.append(low + (high - low) * torch.rand(shape, generator=generator))
        return draws[-1]

    monkeypatch.setattr(augmentation, "_between", draw)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        (warped,) = Augmentation(flip=False, shear=20.0)(IMAGE[None])
    rotation, shear, (zoom_x, zoom_y), (right, down), _ = (part.squeeze(-1).tolist() for part in draws)
    height, width = IMAGE.shape[1:]
    expected = keras(
        IMAGE.movedim(0, 2).numpy(), 40 * rotation, 0.2 * height * down, 0.2 * width * right, 20 * shear,
        1 + 0.2 * zoom_y, 1 + 0.2 * zoom_x,
    )  # fmt: skip
    assert np.abs(warped.numpy() - expected).max() <= 0.51, "only rounding to whole grey levels"


def test_every_image_has_its_own_draw_and_every_seed_its_own_images() -> None:
    images = IMAGE.expand(20, -1, -1, -1)
    torch.manual_seed(0)
    first = Augmentation()(images)
    assert len({image.numpy().tobytes() for image in first}) == 20
    assert first.dtype == torch.uint8
    torch.manual_seed(0)
    assert torch.equal(first, Augmentation()(images))


def test_brightness_multiplies_and_stays_in_range() -> None:
    torch.manual_seed(0)
    flat = torch.full((500, 3, 4, 4), 200, dtype=torch.uint8)
    lit = dataclasses.replace(OFF, brightness=0.5)(flat)
    levels = lit[:, 0, 0, 0]
    assert torch.equal(lit, levels[:, None, None, None].expand_as(lit))
    assert levels.min() < 110
    assert levels.max() == 255
    assert len(levels.unique()) > 50


def test_warp_flips_half_of_the_images() -> None:
    torch.manual_seed(0)
    images = IMAGE[None].expand(300, -1, -1, -1)
    warped = dataclasses.replace(OFF, flip=True, brightness=1e-9)(images)
    mirrored = sum(torch.equal(image, IMAGE.flip(-1)) for image in warped)
    assert 110 < mirrored < 190
    assert mirrored + sum(torch.equal(image, IMAGE) for image in warped) == 300


def test_only_training_is_augmented() -> None:
    model = CNN(in_channels=3, image_size=16, num_classes=3, rotation=90, shift=0.4)
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    seen: list[torch.Tensor] = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for step in (model.training_step, model.validation_step):
        step((images, torch.tensor([0, 1, 2, 0])), 0)
    assert not torch.equal(seen[0], model.normalise(images))
    assert torch.equal(seen[1], model.normalise(images))
    assert not OFF
    assert Augmentation()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("zoom", 1.0, "less than 1"),
        ("brightness", -0.1, "less than 1"),
        ("rotation", -1.0, "or more"),
        ("shift", 1.5, "whole pixels"),
    ],
)
def test_senseless_values_are_refused(name: str, value: float, expected: str) -> None:
    with pytest.raises(ZooError, match=rf"{name} is {value}, expected .*{expected}"):
        CNN(**{name: value})  # type: ignore[arg-type]
