"""How batches are fetched: by this process or by workers, from pinned memory or not."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import Zoo
from tiny import photos

from datamodules import Digits, ImageFolder, Shakespeare, SyntheticSeries
from datamodules.errors import DataError
from datamodules.module import DataModule, usable_cores


def trained_on(device: str, data: DataModule, devices: int = 1, epoch: int = 0) -> Any:
    """A data module as one of several processes has it that train on a kind of device."""
    trainer: Any = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device(device)), num_devices=devices, world_size=1, global_rank=0,
        current_epoch=epoch,
    )  # fmt: skip
    data.trainer = trainer
    return data


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets how many cores a scheduler lets this process use."""
    return lambda number: monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(number)), raising=False)


def test_cores_are_those_that_this_process_may_use(cores: Any) -> None:
    cores(3)
    assert usable_cores() == 3


@pytest.mark.parametrize(("number", "devices", "workers"), [(16, 1, 2), (16, 8, 1), (2, 1, 1), (1, 1, 0), (4, 4, 0)])
def test_workers_read_pictures_for_a_gpu_where_cores_are_to_spare(
    number: int, devices: int, workers: int, cores: Any
) -> None:
    cores(number)
    loading = trained_on("cuda", ImageFolder(str(photos()), image_size=8), devices).loading()
    assert loading == {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": True}


@pytest.mark.parametrize("data", [Digits(), SyntheticSeries(), Shakespeare(unit="characters")], ids=str)
def test_what_lies_in_memory_needs_no_workers(data: DataModule, cores: Any) -> None:
    cores(16)
    assert trained_on("cuda", data).loading() == {
        "num_workers": 0, "persistent_workers": False, "pin_memory": True
    }  # fmt: skip


def test_a_cpu_that_trains_beside_a_gpu_pins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert trained_on("cpu", Digits()).loading()["pin_memory"] is False


def test_settings_are_followed() -> None:
    loading = trained_on("cuda", Digits(workers=3, pin_memory=False)).loading()
    assert loading == {"num_workers": 3, "persistent_workers": True, "pin_memory": False}


@pytest.mark.parametrize("workers", [-1, 100_000])
@pytest.mark.parametrize("make", [Digits, SyntheticSeries, Shakespeare])
def test_number_of_workers_that_there_cannot_be_is_refused(make: type[DataModule], workers: int) -> None:
    with pytest.raises(DataError, match=f"workers is {workers}, expected 0 to"):
        make(workers=workers)


def test_workers_fetch_the_same_batches_also_in_the_middle_of_a_training() -> None:
    """A resumed trainer asks for the first batches before it tells the epoch."""
    ours, alone = (trained_on("cpu", Digits(workers=workers), epoch=3) for workers in (2, 0))
    for batch, expected in zip(ours.train_dataloader(), alone.train_dataloader(), strict=True):
        assert all(torch.equal(one, other) for one, other in zip(batch, expected, strict=True))
        assert batch[0].dtype == torch.uint8


def test_cached_features_and_workers_exclude_each_other(zoo_command: Zoo) -> None:
    fit = ("fit", "mobilenetv2_folder", "--data.root", photos(), "--data.image_size=48", "--trainer.max_epochs=1")
    code, _, error = zoo_command(*fit, "--data.workers=1", "--quiet", "--figures=false", "--tune_precision=false")
    assert code == 2
    assert "use --data.workers 0" in error
    assert len(error.splitlines()) == 1
    assert not list(Path.cwd().glob("runs/*/*"))
