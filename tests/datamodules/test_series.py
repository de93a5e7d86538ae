"""Time series: those of the notes to the last bit, honest periods, folds that roll forward, facts at once."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from statsmodels.datasets import co2

from datamodules import CO2, Series, Sunspots, SyntheticSeries
from datamodules.errors import DataError
from datamodules.memory import Split
from datamodules.series.known import synthetic_series
from datamodules.series.periods import divide
from datamodules.series.recording import Recording
from datamodules.series.timeline import Timeline

from .counting import counting, joined

NOTES = range(1000, 1461)


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
        ({"mode": "sequence", "horizon": 2}, r"horizon is 2 in mode sequence, expected 1, since every step"),
        ({"fit_on": "val"}, "fit_on is 'val'; there are train, known, all"),
        (
            {"window": 160},
            "160 points for training of 200; a window of 160 and a horizon of 1 need 161; use --data.window 159",
        ),
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
    ],
)
def test_values_that_no_model_can_learn_from_are_refused(values: np.ndarray, message: str) -> None:
    recording = Recording("bad", values[:, None], ["value"], Timeline())
    with pytest.raises(DataError, match=message):
        Series(recording, divide(recording), window=5)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (1e9 + 40.0 * np.arange(100), torch.float64),
        (1.7e9 + np.arange(100) % 7, torch.float64),
        # A reset is no typical step.
        (np.where(np.arange(100) < 50, 0.0, 1e9) + 40.0 * np.arange(100), torch.float64),
        (1e6 + np.arange(100), torch.float32),
        (np.random.default_rng(0).normal(400, 10, 100).round(2), torch.float32),
        (np.full(100, 1e9 + 1), torch.float32),
        ((1e9 + 40.0 * np.arange(100)).astype(np.float32), torch.float32),
    ],
    ids=["counter", "seconds", "reset", "whole numbers", "hundredths", "constant", "single already"],
)
def test_values_take_as_many_bits_as_their_steps_need(values: np.ndarray, dtype: torch.dtype) -> None:
    recording = Recording("some", values[:, None], ["value"], Timeline())
    data = Series(recording, divide(recording), window=5)
    assert data.values.dtype == dtype
    inputs, targets = joined(data.val_dataloader())
    assert inputs.dtype == targets.dtype == dtype
    if dtype == torch.float64:
        assert np.array_equal(data.values[:, 0].numpy(), values)


def test_device_of_32_bits_is_refused_for_values_that_need_64() -> None:
    recording = Recording("counter", 1e9 + 40.0 * np.arange(100)[:, None], ["value"], Timeline())
    data = Series(recording, divide(recording), window=5)
    data.trainer = cast(Any, SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("mps"))))
    with pytest.raises(DataError, match=r"counter changes by less than 32 bits tell apart.*--trainer.accelerator cpu"):
        data.setup("fit")
