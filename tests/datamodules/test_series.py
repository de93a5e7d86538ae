"""Time series: windows that leak nothing and copy nothing, honest periods, and files whose faults are named by line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from statsmodels.datasets import co2
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import CO2, CsvSeries, Series, Sunspots, SyntheticSeries
from datamodules.errors import DataError
from datamodules.memory import Split
from datamodules.series.csv import log
from datamodules.series.known import synthetic_series
from datamodules.series.periods import divide
from datamodules.series.recording import Recording, Repair, read_csv
from datamodules.series.timeline import Timeline
from datamodules.windows import Lanes, Steps, Windows

NOTES = range(1000, 1461)


def counting(length: int = 200, channels: int = 1, **options: Any) -> Series:
    """A series in which every value tells where it stands: 0, 1, 2, ...; the next channel begins at 1000."""
    values = np.arange(length, dtype=np.float32)[:, None] + 1000 * np.arange(channels, dtype=np.float32)
    recording = Recording("counting", values, [f"channel {number}" for number in range(channels)], Timeline())
    periods = divide(recording, options.pop("val", 0.1), options.pop("test", 0.1))
    return Series(recording, periods, **{"window": 10, **options})


def as_process(data: Series, rank: int, processes: int = 2) -> Series:
    """Makes a data module believe that it is in a process of a distributed run."""
    data.trainer = cast(Trainer, SimpleNamespace(world_size=processes, global_rank=rank))
    return data


def joined(loader: DataLoader[Split] | list[DataLoader[Split]]) -> tuple[Tensor, Tensor]:
    """All windows of an epoch."""
    assert isinstance(loader, DataLoader)
    inputs, targets = zip(*loader, strict=True)
    return torch.cat(inputs), torch.cat(targets)


# The series.


def test_synthetic_series_is_that_of_the_notes_to_the_last_bit() -> None:
    values = synthetic_series()
    assert [round(value, 6) for value in values[:5]] == [52.483571, 49.352752, 53.314739, 57.711822, 48.934445]
    assert (len(values), round(values[-1], 6), round(values.mean(), 6)) == (1461, 122.30772, 53.954441)
    assert torch.equal(SyntheticSeries().values[:, 0], torch.from_numpy(values).float())


def test_naive_forecast_of_batches_has_the_error_of_the_notes() -> None:
    inputs, targets = joined(SyntheticSeries().val_dataloader())
    assert f"{(targets[:, 0] - inputs[:, -1]).abs().mean():.4f}" == "5.9379"


def test_moving_average_of_batches_has_the_error_of_the_notes() -> None:
    inputs, targets = joined(SyntheticSeries(window=30).val_dataloader())
    assert f"{(targets[:, 0] - inputs.mean(1)).abs().mean():.4f}" == "7.1424"


def test_year_before_can_be_seen_in_single_precision() -> None:
    inputs, targets = joined(SyntheticSeries(window=420).val_dataloader())
    changes = inputs[:, 365:] - inputs[:, :-365]
    year_before = inputs[:, -365]
    assert f"{(targets[:, 0] - year_before - changes[:, -50:].mean(1)).abs().mean():.4f}" == "5.8393"


def test_co2_is_weekly_and_says_how_much_was_interpolated() -> None:
    data = CO2()
    assert (data.num_series, len(data.values), data.interpolated, data.step) == (1, 2284, 59, "7 days")
    assert (data.times == co2.load().data.index.to_numpy()).all()
    assert str(data.future_times(2)[-1]) == "2002-01-12"
    assert "59 weeks interpolated" in data.source["name"]
    assert data.values.isfinite().all()


def test_sunspots_are_yearly() -> None:
    data = Sunspots()
    assert (len(data.values), data.step, data.period) == (309, "1 year", 11)
    assert (str(data.times[0]), str(data.future_times(1)[0])) == ("1700", "2009")


@pytest.mark.parametrize("make", [SyntheticSeries, CO2, Sunspots])
def test_facts_answer_right_after_init(make: Callable[[], Series]) -> None:
    data = make()
    train = data.splits["train"].double()
    assert data.mean == pytest.approx(train.mean(0).tolist())
    assert data.std == pytest.approx(train.std(0).tolist())
    lag = 52 if make is CO2 else 1
    assert data.naive_mae == pytest.approx((train[lag:] - train[:-lag]).abs().mean(0).tolist())
    assert (data.num_series, len(data.names)) == (1, 1)
    assert data.source["name"]
    assert data.source["licence"]
    assert data.hparams["window"] == data.window


@pytest.mark.parametrize("lag", [1, 5])
def test_facts_do_not_depend_on_the_portions_they_are_summed_by(monkeypatch: pytest.MonkeyPatch, lag: int) -> None:
    monkeypatch.setattr("datamodules.Series.naive_lag", lag)
    values = np.random.RandomState(0).randn(1000, 2).cumsum(0)
    recording = Recording("walks", values, ["a", "b"], Timeline())
    data = Series(recording, divide(recording))
    whole = data.mean, data.std, data.naive_mae
    for portion in (1, 7, 799, 800):
        monkeypatch.setattr("datamodules.series.series.PORTION", portion)
        assert np.allclose((data.mean, data.std, data.naive_mae), whole, rtol=1e-12)
    assert data.naive_mae == pytest.approx(
        (data.values[lag:800] - data.values[: 800 - lag]).abs().mean(0).tolist(), rel=1e-5
    )


def test_naive_forecast_of_a_constant_series_has_a_scale() -> None:
    recording = Recording("constant", np.ones((100, 1)), ["one"], Timeline())
    assert (lambda data: (data.std, data.naive_mae))(Series(recording, divide(recording))) == ([1.0], [1.0])


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


# Periods.


def test_fraction_count_and_date_mean_the_same() -> None:
    expected = {"train": range(1828), "val": range(1828, 2056), "test": range(2056, 2284)}
    first_of = [str(CO2().times[expected[split].start]) for split in ("val", "test")]
    ways: list[tuple[Any, Any]] = [(0.1, 0.1), (228, 228), (first_of[0], first_of[1]), (228, first_of[1])]
    for val, test in ways:
        assert CO2(val=val, test=test).periods == expected


def test_date_between_two_points_begins_with_the_later() -> None:
    data = CO2(test="2001-01-01")
    assert str(data.times[data.periods["test"].start]) == "2001-01-06"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": 1.5}, r"test is 1.5, expected a fraction between 0 and 1, or a whole number"),
        ({"test": "soon"}, r"test is 'soon', expected a fraction, a number of points, or a date such as"),
        ({"val": "1990-01-01", "test": "1980-01-01"}, r"CO2 has 2284 points; val 1990-01-01 would begin at point"),
        ({"test": "2010-01-01"}, r"test begins at 2010-01-01, expected a date after 1958-03-29 and up to 2001-12-29"),
        ({"test": 0}, r"test 0 at 2284; expected points for training, validation and test, in this order"),
        ({"val": 1900, "test": 384}, r"val 1900 would begin at point 0 and test 384 at 1900; expected points for"),
    ],
)
def test_impossible_periods_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        CO2(**options)


def test_date_in_a_series_without_dates_is_refused() -> None:
    with pytest.raises(DataError, match="counting has no dates; say how many points it shall have"):
        counting(test="2001-01-01")


def test_inner_split_sees_nothing_of_the_notes_period() -> None:
    data = SyntheticSeries(inner=True)
    assert data.periods == {"train": range(800), "val": range(800, 1000), "test": NOTES}
    seen = torch.cat([data.splits["train"], data.splits["val"]])
    assert torch.equal(seen, data.values[:1000])
    assert len(joined(data.val_dataloader())[0]) == 200


def test_scaling_knows_nothing_of_what_is_evaluated() -> None:
    data, other = counting(), counting()
    other.values[160:] = 1e6
    assert (other.mean, other.std) == (data.mean, data.std)
    assert data.mean == [79.5]


def test_constant_series_has_a_scale_to_divide_by() -> None:
    data = counting()
    data.values[:] = 3
    assert (data.mean, data.std) == ([3.0], [1.0])


def test_fit_on_all_trains_to_the_last_point() -> None:
    data = counting(fit_on="all")
    assert joined(data.train_dataloader())[1].max() == 199
    assert data.mean == [99.5]
    assert data.periods == {"train": range(200)}


class Counter(LightningModule):
    """Counts the batches that a trainer gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = {"train": 0, "val": 0}

    def training_step(self, batch: Split, batch_idx: int) -> None:
        self.seen["train"] += 1

    def validation_step(self, batch: Split, batch_idx: int) -> None:
        self.seen["val"] += 1

    def configure_optimizers(self) -> None:
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("fit_on", "seen"), [("train", {"train": 5, "val": 2}), ("all", {"train": 7, "val": 0})])
def test_trainer_validates_only_if_there_is_something_to_tell(fit_on: Any, seen: dict[str, int]) -> None:
    quiet: dict[str, Any] = {
        "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
    }  # fmt: skip
    trainer = Trainer(max_epochs=1, accelerator="cpu", num_sanity_val_steps=0, **quiet)
    trainer.fit(model := Counter(), datamodule=counting(fit_on=fit_on, eval_batch_size=10, batch_size=30))
    assert model.seen == seen


def test_nothing_is_left_to_test_if_all_was_trained_on() -> None:
    with pytest.raises(DataError, match=r"none is left to test on; use --data\.fit_on train"):
        counting(fit_on="all").test_dataloader()


# Roll-forward partitioning.


@pytest.mark.parametrize("data", [counting(test=23), SyntheticSeries(), SyntheticSeries(mode="lanes")])
def test_folds_tile_the_test_period(data: Series) -> None:
    folds = data.folds(4)
    targets = [fold.splits["test"] for fold in folds]
    assert torch.equal(torch.cat(targets), data.splits["test"])
    assert max(map(len, targets)) - min(map(len, targets)) <= 1


def test_fold_trains_on_all_that_comes_before_what_it_is_judged_by() -> None:
    for fold in SyntheticSeries().folds(5):
        train, val, test = (fold.periods[split] for split in ("train", "val", "test"))
        assert (train.start, train.stop, val.stop) == (0, val.start, test.start)
        assert len(val) == len(test)
        assert joined(fold.train_dataloader())[1].shape[0] == train.stop - 30


def test_fold_that_goes_on_learns_what_the_one_before_did_not() -> None:
    data = SyntheticSeries()
    folds = data.folds(5, refit=False)
    learned = torch.cat([fold.splits["train"] for fold in folds])
    assert torch.equal(learned, data.values[: folds[-1].periods["train"].stop])
    assert len(joined(folds[1].train_dataloader())[1]) == len(folds[1].periods["train"])


def test_folds_share_the_values_and_leave_their_origin_alone() -> None:
    data = counting()
    before = dict(data.periods)
    assert all(fold.values.data_ptr() == data.values.data_ptr() for fold in data.folds(2))
    assert data.periods == before


@pytest.mark.parametrize("count", [0, 21])
def test_impossible_number_of_folds_is_refused(count: int) -> None:
    with pytest.raises(DataError, match=f"{count} folds of a test period of 20 points; expected 1 to 20"):
        counting().folds(count)


# Arguments.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window is 0, expected at least 1"),
        ({"mode": "lane"}, "mode is 'lane'; there are vector, sequence, lanes"),
        ({"mode": "sequence", "horizon": 2}, r"horizon is 2 in mode sequence, expected 1; --data.mode vector has"),
        ({"fit_on": "val"}, "fit_on is 'val'; there are train, all"),
        ({"window": 160}, "160 points for training of 200; a window of 160 and a horizon of 1 need 161; use a shorter"),
        ({"horizon": 21}, "20 points in val, expected at least the horizon of 21; use a larger --data.val"),
        ({"mode": "lanes", "lanes": 16}, "160 points for training; 16 lanes of at least one chunk of 10 need 161"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        counting(**options)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1.0, np.nan, 3.0] * 20), "has values in 'value' that are not finite"),
        (np.array([1.0, 1e39] * 20), "has values in 'value' that are not finite or beyond 1e\\+15; use a larger unit"),
        (1.7e9 + np.arange(60), r"'value' from 1700000000.0 to 1700000059.0, too close together for 32 bits; subtract"),
    ],
)
def test_values_that_single_precision_cannot_hold_are_refused(values: np.ndarray, message: str) -> None:
    recording = Recording("bad", values[:, None], ["value"], Timeline())
    with pytest.raises(DataError, match=message):
        Series(recording, divide(recording), window=5)


# Timelines.


@pytest.mark.parametrize(
    ("times", "step", "following"),
    [
        (["2024-01-01", "2024-01-02", "2024-01-03"], "1 day", "2024-01-04"),
        (["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"], "1 month", "2024-05-31"),
        (["2023-02-28", "2023-03-31", "2023-04-30"], "1 month", "2023-05-31"),
        (["2024-01-15", "2024-02-15", "2024-03-15", "2024-04-15"], "1 month", "2024-05-15"),
        (["2023-01-01", "2023-04-01", "2023-07-01", "2023-10-01"], "3 months", "2024-01-01"),
        (["2024-07-01", "2024-08-01", "2024-09-01"], "1 month", "2024-10-01"),
        (["2019-07-01", "2020-07-01", "2021-07-01"], "1 year", "2022-07-01"),
        (["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"], "1 business day", "2024-01-10"),
        (["2024-01-05", "2024-01-12", "2024-01-19"], "7 days", "2024-01-26"),
        (["2024-01-01T22:00", "2024-01-01T23:00", "2024-01-02"], "1 hour", "2024-01-02T01:00:00"),
        (["2024-01-01T00:30", "2024-01-01T01:00", "2024-01-01T01:30"], "30 minutes", "2024-01-01T02:00:00"),
    ],
)
def test_timeline_goes_on(times: Sequence[str], step: str, following: str) -> None:
    points = np.array(times, dtype="M8[us]")
    timeline = Timeline.find(points)
    assert timeline.step == step
    assert (timeline.at(np.arange(len(points))) == points).all()
    assert str(timeline.at(np.array([len(points)]))[0]) == following


# Files.

DAYS = [f"2024-{month:02d}-{day:02d}" for month in (1, 2, 3) for day in range(1, 29)]


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "sales.csv"
    path.write_bytes(text.encode(encoding))
    return path


def daily(*rows: str) -> str:
    """A file of the columns day and sold; every row is ``DAY,SOLD`` of January 2024."""
    return "\n".join(["day,sold", *(f"2024-01-{row}" for row in rows)]) + "\n"


def test_file_becomes_a_series_with_dates_continued(tmp_path: Path) -> None:
    rows = "\n".join(f"2024-{number // 28 + 1:02d}-01,{number}" for number in range(0, 280, 28))
    data = CsvSeries(str(write(tmp_path, f"month,sold\n{rows}\n")), time="month", window=3)
    assert (data.names, data.step, data.values[:, 0].tolist()) == (["sold"], "1 month", list(range(0, 280, 28)))
    assert [str(time) for time in data.future_times(3)] == ["2024-11-01", "2024-12-01", "2025-01-01"]
    assert data.source["name"] == "sold of sales.csv"
    assert data.period == 1, "no model shall take its own default for a season that nobody knows"
    assert data.private, "golden tensors of published weights shall hold no user's series"


def test_several_columns_become_channels_in_the_order_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "t,a,b,c\n" + "".join(f"{number},{number},x,{-number}\n" for number in range(50)))
    data = CsvSeries(str(path), ["c", "a"], "t", window=5, period=7)
    assert (data.names, data.num_series, data.period) == (["c", "a"], 2, 7)
    assert data.values[3].tolist() == [-3, 3]
    assert data.naive_mae == [7.0, 7.0], "the naive forecast repeats the season"


@pytest.mark.parametrize(("period", "told"), [(0, "period is 0"), (40, "expected more than a season of 40")])
def test_season_must_fit_into_the_file(tmp_path: Path, period: int, told: str) -> None:
    with pytest.raises(DataError, match=told):
        CsvSeries(str(write(tmp_path, "x\n" + "1\n2\n" * 25)), window=5, period=period)


def test_rows_without_times_are_numbered(tmp_path: Path) -> None:
    data = CsvSeries(str(write(tmp_path, "x\n" + "1\n2\n" * 30)), window=5)
    assert (data.step, data.times[-1], data.future_times(2).tolist()) == (None, 59, [60, 61])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("day,sold\n2024-01-01,1.5\n2024-01-02,2.5\n", "utf-8"),
        ("day,sold\r\n2024-01-01,1.5\r\n2024-01-02,2.5\r\n", "utf-8-sig"),
        ("day;sold\n2024-01-01;1,5\n2024-01-02;2,5\n", "utf-8"),
        ("day\tsold\n2024-01-01\t1.5\n2024-01-02\t2.5\n\n\n", "utf-8"),
        ('"day","sold"\n"2024-01-01","1.5"\n"2024-01-02"," 2.5 "', "utf-8"),
        ("day,sold\n20240101,1.5\n20240102,2.5\n", "utf-8"),
        ("day,sold\n2024-01-01T00:00+01:00,1.5\n2024-01-02T00:00+01:00,2.5\n", "utf-8"),
        ("day,sold\n2024-01-01T00:00Z,1.5\n2024-01-02T01:00+01:00,2.5\n", "utf-8"),
        ("day,sold,note\n2024-01-01,1.5,\"two\nlines\"\n2024-01-02,2.5,\n", "utf-8"),
    ],
    ids=["comma", "windows", "semicolon", "tab", "quoted", "compact", "offset", "summer", "lines"],
)  # fmt: skip
def test_dialects_of_csv_are_understood(tmp_path: Path, text: str, encoding: str) -> None:
    recording = read_csv(write(tmp_path, text, encoding), "sold", "day")
    assert recording.values[:, 0].tolist() == [1.5, 2.5]
    assert recording.timeline.step == "1 day"


@pytest.mark.parametrize(
    ("times", "step", "first"),
    [
        (["1700-01-01", "1701-01-01", "1702-01-01"], "1 year", "1700-01-01"),
        (["2024-01", "2024-02", "2024-03"], "1 month", "2024-01-01"),
        (["1700", "1701", "1702"], None, "1700"),
    ],
)
def test_times_may_be_old_or_coarse(tmp_path: Path, times: list[str], step: str | None, first: str) -> None:
    timeline = read_csv(write(tmp_path, "t,n\n" + "".join(f"{time},1\n" for time in times)), time="t").timeline
    assert (timeline.step, str(timeline.start)) == (step, first)


def test_empty_rows_below_the_last_are_no_rows(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, "n,note\n1,a\n2,\n,\n\n , \n"), "n").values[:, 0].tolist() == [1, 2]


def test_last_value_may_not_be_missing_unnoticed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 4: no number in column 'n'"):
        read_csv(write(tmp_path, "n,note\n1,a\n2,b\n,c\n"), "n")


def test_other_ways_of_writing_dates_can_be_described(tmp_path: Path) -> None:
    path = write(tmp_path, "day;sold\n03.02.2024;1\n04.02.2024;2\n")
    assert str(read_csv(path, time="day", time_format="%d.%m.%Y").timeline.start) == "2024-02-03"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a CSV file whose first line names the columns"),
        ("day,sold\n", "has no rows below its first line"),
        ("1.5,2\n3,4\n", "line 1: 1.5, 2; expected the names of the columns"),
        ("day,sold\n2024-01-01,1\n2024-01-02,2,3\n", "line 3: 3 cells, expected 2 as in line 1; decimal commas need ;"),
        ("day,sold,sold\n2024-01-01,1,2\n", "has 2 columns 'sold'"),
        ("day,price\n2024-01-01,1\n", "has no column 'sold'; there are day, price"),
        ("day,sould\n2024-01-01,1\n", "has no column 'sold'; did you mean 'sould'?"),
        (daily("01,1", "02,many", "03,3", "04,few"), "lines 3, 5: 'many' in column 'sold' is not a number; expected"),
        (daily("01,1", "02,inf"), "line 3: infinite in column 'sold'"),
        (daily("01,1", "02,", "03,n/a"), r"lines 3, 4: no number in column 'sold'; .* --data.repair\+=missing"),
        (daily("01,", "02,"), "has no number in column 'sold'"),
        (daily("01,1", "31st,2"), "line 3: '2024-01-31st' in column 'day'; expected a time such as 2024-01-31"),
        ("day,sold\n1,1\ntwo,2\n", "line 3: 'two' in column 'day'; expected a whole number as in the rows before"),
        (daily("01,1", "03,3", "02,2"), r"line 4: 2024-01-02 comes after 2024-01-03; .* --data.repair\+=order"),
        (daily("01,1", "02,2", "02,3"), r"lines 3, 4 are all of 2024-01-02, .*; .* --data.repair\+=duplicates"),
        (
            daily("01,1", "02,2", "05,5", "06,6"),
            r"line 4: 2024-01-05 follows 2024-01-02, expected a row every 1 day; 2 are absent .* --data.repair\+=gaps",
        ),
        (
            daily("01,1", "03,2", "05,3", "06,4"),
            "line 5: 2024-01-06 is no whole number of steps of 2 days after 2024-01-01; expected equal distances",
        ),
        ("day\tsold\n2024-01-01\t1,234\n", "line 2: '1,234' in column 'sold' is not a number"),
        ('day,sold\n2024-01-01,"1\n', "line 2: unexpected end of data"),
    ],
)
def test_fault_of_a_file_is_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"sales.csv,? {message}"):
        read_csv(write(tmp_path, text), "sold", "day")


def test_many_faults_are_counted(tmp_path: Path) -> None:
    text = "sold\n" + "1\nx\n" * 9
    with pytest.raises(DataError, match="lines 3, 5, 7, 9, 11 and 4 more: 'x'"):
        read_csv(write(tmp_path, text))


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: 'x'"):
        read_csv(write(tmp_path, 'note,sold\n"of\ntwo lines",x\n'), "sold")


def test_other_encoding_is_named_by_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sales\.csv line 3: byte 0xfc is not UTF-8; save the file in that encoding"):
        read_csv(write(tmp_path, "ort,n\nUlm,1\nMünchen,2\n", "latin-1"), "n")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none\.csv: No such file"):
        read_csv(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "has the columns day, sold, price; say which to forecast with --data.value, and which holds the times"),
        ({"value": "day", "time": "day"}, "column 'day' is named both as time and as value"),
        ({"value": ["sold", "sold"]}, "expected one column or several different ones"),
        ({"value": "sold", "repair": ["all"]}, "no repair 'all'; there are missing, order, duplicates, gaps"),
        ({"value": "sold", "time_format": "%Y"}, "no column of times is named; name it with --data.time"),
        ({"value": "sold", "time": "day", "time_format": "%d.%m.%Y"}, "expected a time written as %d.%m.%Y"),
    ],
)
def test_unclear_wishes_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path, "day,sold,price\n2024-01-01,1,2\n2024-01-02,1,2\n"), **options)


@pytest.mark.parametrize(
    ("rows", "repair", "values", "repaired"),
    [
        (["01,1", "02,", "03,nan", "04,4"], ["missing"], [1, 2, 3, 4], "missing cells (2)"),
        (["01,", "02,2", "03,3", "04,"], ["missing"], [2, 3], "missing cells (2)"),
        (["03,3", "01,1", "02,2"], ["order"], [1, 2, 3], "rows sorted"),
        (["01,1", "02,2", "02,4", "03,3"], ["duplicates"], [1, 3, 3], "duplicates (1)"),
        (["01,1", "02,2", "05,5", "06,6"], ["gaps"], [1, 2, 3, 4, 5, 6], "absent steps (2)"),
        (
            ["06,6", "01,1", "02,2", "02,2", "05,"],
            ["gaps", "missing", "duplicates", "order"],
            [1, 2, 3, 4, 5, 6],
            "missing cells (1), rows sorted, duplicates (1), absent steps (2)",
        ),
        (["01,1", "02,", "02,2", "03,3"], ["missing", "duplicates"], [1, 2, 3], "missing cells (1), duplicates (1)"),
    ],
    ids=["missing", "ends", "order", "duplicates", "gaps", "all", "missing duplicate"],
)
def test_file_is_repaired_as_asked(
    tmp_path: Path, rows: list[str], repair: list[Repair], values: list[float], repaired: str
) -> None:
    recording = read_csv(write(tmp_path, daily(*rows)), time="day", repair=repair)
    assert recording.values[:, 0].tolist() == values
    assert recording.repaired == repaired


def test_dates_move_on_when_missing_rows_are_dropped(tmp_path: Path) -> None:
    recording = read_csv(write(tmp_path, daily("01,", "02,2", "03,3")), time="day", repair=["missing"])
    assert str(recording.timeline.start) == "2024-01-02"


def test_months_are_interpolated_by_step_whatever_their_length(tmp_path: Path) -> None:
    text = "month,sold\n2024-01-31,1\n2024-02-29,2\n2024-04-30,4\n2024-05-31,5\n"
    assert read_csv(write(tmp_path, text), time="month", repair=["gaps"]).values[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_more_gaps_than_rows_are_not_filled(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="so many cannot be interpolated"):
        read_csv(write(tmp_path, daily("01,1", "02,2", "31,3")), time="day", repair=["gaps"])


def test_repair_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger=log.name)
    rows = [f"{day},{value}" for value, day in enumerate(DAYS) if value != 5]
    data = CsvSeries(str(write(tmp_path, "day,sold\n" + "\n".join(rows))), time="day", repair=["gaps"], window=4)
    assert "sales.csv was repaired: " in caplog.text
    assert data.source["repaired"] == data.recording.repaired


def test_file_that_is_too_short_says_what_it_needs(tmp_path: Path) -> None:
    path = write(tmp_path, "sold\n" + "1\n2\n" * 15)
    with pytest.raises(DataError, match=r"sales\.csv has 24 points for training of 30; a window of 30 .* need 31"):
        CsvSeries(str(path))
