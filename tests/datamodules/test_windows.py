"""Windows and lanes over a series: they leak nothing, copy nothing, leave nothing out and go on in order."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import CO2, Series, SyntheticSeries
from datamodules.errors import DataError
from datamodules.memory import Split
from datamodules.series.periods import divide
from datamodules.series.recording import Recording
from datamodules.series.timeline import Timeline
from datamodules.windows import Lanes, Steps, Windows

from .counting import as_process, counting, joined

# Windows.


@pytest.mark.parametrize("mode", ["vector", "sequence", "lanes"])
def test_every_point_of_the_notes_period_is_forecast_in_order(mode: Any) -> None:
    data = SyntheticSeries(mode=mode, eval_batch_size=100)
    loader = data.val_dataloader()
    assert isinstance(loader, DataLoader)
    last = [targets[0] if mode == "lanes" else targets[:, -1] for _, targets in loader]
    assert torch.equal(torch.cat(last), data.values[1000:])


@pytest.mark.parametrize("mode", ["vector", "sequence", "lanes"])
def test_evaluated_rows_tell_time_and_name_of_what_they_forecast(mode: Any) -> None:
    data = CO2(mode=mode)
    for split in ("val", "test"):
        rows = cast(DataLoader[Split], getattr(data, f"{split}_dataloader")()).dataset
        assert isinstance(rows, Steps)
        assert rows.times is not None
        period = data.periods[split]
        assert (rows.times == data.times[period.start : period.stop]).all()
        assert rows.names == ["co2"]


def test_points_without_a_full_window_are_not_among_the_forecast() -> None:
    recording = Recording("counted", np.arange(50.0)[:, None], ["number"], Timeline())
    periods = {"train": range(3, 40), "val": range(40, 45), "test": range(45, 50)}
    for mode in ("vector", "sequence"):
        rows: Any = Series(recording, periods, window=10, mode=mode).train_dataloader().dataset
        assert rows.times.tolist() == rows.tensors[1][:, -1, 0].tolist()


@pytest.mark.parametrize("rank", [0, 1])
def test_shared_lanes_know_their_points(rank: int) -> None:
    data = as_process(counting(mode="lanes", lanes=3, window=5), rank)
    lanes: Any = data.train_dataloader().dataset
    assert lanes.times.tolist() == lanes.tensors[1].flatten().tolist()


def test_first_target_of_validation_is_the_first_step_after_training() -> None:
    data = SyntheticSeries()
    inputs, targets = joined(data.val_dataloader())
    assert torch.equal(inputs[0], data.values[970:1000])
    assert torch.equal(targets[0], data.values[1000:1001])


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_window_never_shows_what_it_asks_for(split: str, horizon: int) -> None:
    inputs, targets = joined(getattr(counting(horizon=horizon), f"{split}_dataloader")())
    assert inputs.shape[1:] == (10, 1)
    assert torch.equal(targets[:, :, 0], inputs[:, -1] + torch.arange(1, horizon + 1))


def test_sequence_asks_for_the_successor_of_every_point() -> None:
    inputs, targets = joined(counting(mode="sequence").train_dataloader())
    assert inputs.shape[1:] == (10, 1)
    assert torch.equal(targets, inputs + 1)


def test_training_windows_stay_within_the_training_period() -> None:
    data = counting(horizon=3)
    inputs, targets = joined(data.train_dataloader())
    assert sorted(targets[:, 0, 0].tolist()) == list(range(10, 158))
    assert (inputs.min(), targets.max()) == (0, 159)


def test_several_series_keep_their_channels() -> None:
    inputs, targets = joined(counting(channels=3, horizon=2).val_dataloader())
    assert (inputs.shape, targets.shape) == ((19, 10, 3), (19, 2, 3))
    assert torch.equal(inputs[:, :, 2] - inputs[:, :, 0], torch.full((19, 10), 2000.0))


@pytest.mark.parametrize("sequence", [False, True])
def test_windows_share_the_memory_of_the_series(sequence: bool) -> None:
    values = torch.randn(1000, 2)
    storage = values.untyped_storage().data_ptr()
    for rows in (Windows(values, 30, 1, sequence), Lanes(values.view(4, 250, 2), 30)):
        assert all(tensor.untyped_storage().data_ptr() == storage for tensor in rows.tensors)


def test_ten_million_points_are_neither_copied_nor_converted() -> None:
    values = np.zeros((10_000_000, 1), dtype=np.float32)
    recording = Recording("long", values, ["value"], Timeline())
    data = Series(recording, divide(recording), window=64)
    assert data.values.data_ptr() == values.ctypes.data
    assert {split.untyped_storage().data_ptr() for split in data.splits.values()} == {values.ctypes.data}
    loader = data.val_dataloader()
    assert isinstance(loader, DataLoader)
    assert next(iter(loader))[0].shape == (1024, 64, 1)


def test_order_of_training_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[float]:
        loader = counting(seed=seed).train_dataloader()
        cast(Any, loader.sampler).set_epoch(epoch)
        return joined(loader)[1].flatten().tolist()

    first = order(0, 1)
    torch.manual_seed(7)
    assert order(0, 1) == first
    assert sorted(first) != first
    assert order(0, 2) != first
    assert order(1, 1) != first


@pytest.mark.parametrize("mode", ["vector", "sequence"])
def test_two_processes_share_an_evaluation_without_repeats(mode: Any) -> None:
    together = torch.cat(
        [joined(as_process(counting(mode=mode, eval_batch_size=3), rank).val_dataloader())[1] for rank in (0, 1)]
    )
    assert sorted(together[:, -1, 0].tolist()) == list(range(160, 180))


# Lanes.


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("lanes", [1, 3, 4])
def test_lanes_walk_the_training_period_once_and_in_order(lanes: int, processes: int) -> None:
    if lanes < processes:
        with pytest.raises(DataError, match=rf"1 lanes cannot be shared by {processes} processes; use --data.lanes"):
            as_process(counting(mode="lanes", lanes=lanes), 0, processes).train_dataloader()
        return
    walked: list[Tensor] = []
    chunks = set()
    for rank in range(processes):
        batches = list(as_process(counting(mode="lanes", lanes=lanes), rank, processes).train_dataloader())
        assert all(torch.equal(targets, inputs + 1) for inputs, targets in batches)
        chunks.add(len(batches))
        walked += torch.cat([targets for _, targets in batches], dim=1)
    assert len(chunks) == 1, "processes that take unequal steps wait for each other forever"
    seen = torch.cat(walked)[:, 0].tolist()
    assert seen == list(range(160 - len(seen), 160))
    assert 160 - len(seen) - 1 < lanes * 10, "more is left out than does not fill a chunk"


def test_lanes_of_an_evaluation_go_on_where_training_ended() -> None:
    data = counting(mode="lanes", lanes=3, window=8)
    *_, (_, trained) = data.train_dataloader()
    inputs, targets = zip(*cast(DataLoader[Split], data.val_dataloader()), strict=True)
    assert [chunk.shape for chunk in targets] == [(1, 8, 1), (1, 8, 1), (1, 4, 1)]
    assert inputs[0][0, 0] == trained[-1, -1]
    assert torch.cat(targets, dim=1)[0, :, 0].tolist() == list(range(160, 180))


def test_every_process_walks_the_lane_of_an_evaluation() -> None:
    first, second = (list(as_process(counting(mode="lanes"), rank).test_dataloader()) for rank in (0, 1))
    assert all(torch.equal(a[1], b[1]) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("split", ["val", "test"])
def test_history_ends_where_the_lane_begins(split: str) -> None:
    data = counting(mode="lanes")
    first = next(iter(cast(DataLoader[Split], getattr(data, f"{split}_dataloader")())))[0][0, 0]
    assert torch.equal(torch.cat([data.history(split)[0], first[None]]), data.values[: data.periods[split].start])
