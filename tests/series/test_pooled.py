"""One model of many series: each by itself, in its own scale."""

from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer, seed_everything
from torch import Tensor

from datamodules.errors import DataError
from datamodules.series.divided import DividedSeries
from datamodules.series.pooled import PooledWindows
from datamodules.series.recording import Recording
from datamodules.series.timeline import Timeline
from zoo.errors import ZooError
from zoo.series import CausalConv, DirectLinear, ExponentialSmoothing, Linear, Naive, Recurrent, Stateful
from zoo.series.conformal import pooled_half_widths, rolled_errors, spreads
from zoo.series.coverage import coverages
from zoo.series.forecaster import Forecaster

WINDOW, HORIZON = 14, 5


def weekly(count: int = 12, length: int = 240, seed: int = 0) -> np.ndarray:
    """Series with a season of seven, of scales from 1 to 10,000; the third begins late, the fourth ends early."""
    random = np.random.default_rng(seed)
    phases = np.arange(length)[:, None] / 7 + random.uniform(size=count)
    values = 3 + np.sin(2 * np.pi * phases) + 0.1 * random.normal(size=(length, count))
    values *= 10 ** np.linspace(0, 4, count)
    values[:90, 2], values[180:, 3] = np.nan, np.nan
    return values


def pool(values: np.ndarray, **options: Any) -> DividedSeries:
    names = [f"store {number}" for number in range(values.shape[1])]
    recording = Recording("sales", values, names, Timeline())
    options = {"window": WINDOW, "horizon": HORIZON, "pool": True, "val": 30, "test": 40} | options
    return DividedSeries(recording, **options)


def untrained(kind: type[Forecaster] = Recurrent, **options: Any) -> Forecaster:
    return kind(window=WINDOW, horizon=HORIZON, pooled=True, **options).eval()


def trained(data: DividedSeries, kind: type[Forecaster] = DirectLinear, epochs: int = 1, **options: Any) -> Forecaster:
    seed_everything(0, verbose=False)
    model = untrained(kind, **options)
    Trainer(
        max_epochs=epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0,
    ).fit(model, data)  # fmt: skip
    return model


def measured(model: Forecaster, data: DividedSeries) -> dict[str, float]:
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    return dict(trainer.test(model, data, verbose=False)[0])


def test_windows_are_all_that_lie_within_a_series() -> None:
    values = torch.tensor(weekly(4, 60))[:, :3]
    values[:20, 1], values[30:, 2] = torch.nan, torch.nan
    windows = PooledWindows(values, range(25, 50), WINDOW, HORIZON)
    inputs, targets = windows[torch.arange(len(windows))]
    expected = [
        values[start : start + WINDOW + HORIZON, series]
        for series in range(3)
        for start in range(25 - WINDOW, 50 - WINDOW - HORIZON + 1)
        if not values[start : start + WINDOW + HORIZON, series].isnan().any()
    ]
    assert torch.equal(torch.cat([inputs, targets], 1)[..., 0], torch.stack(expected))


def test_an_epoch_draws_other_windows_each_time() -> None:
    data = pool(weekly(120))
    loader = data.train_dataloader()
    first, again = (torch.cat([batch[0] for batch in loader]) for _ in range(2))
    loader.sampler.set_epoch(1)  # type: ignore[attr-defined]
    second = torch.cat([batch[0] for batch in loader])
    assert torch.equal(first, again)
    assert len(first) == len(second) == 1 << 13
    assert not torch.equal(first, second)


@pytest.mark.parametrize("kind", [Recurrent, CausalConv, DirectLinear, Naive])
def test_a_series_is_forecast_alike_alone_and_beside_others_and_in_any_unit(kind: type[Forecaster]) -> None:
    model = untrained(kind) if kind is not DirectLinear else trained(pool(weekly()))
    history = torch.tensor(weekly()).nan_to_num(5.0)
    together = model.forecast(history, 12)
    assert together.shape == (12, 12)
    for place in (0, 5, 11):
        torch.testing.assert_close(model.forecast(history[:, [place]], 12), together[:, [place]], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.forecast(1000 * history, 12), 1000 * together, rtol=1e-3, atol=1e-3)


def test_a_series_that_began_late_is_forecast_from_what_there_is() -> None:
    model = untrained()
    values = torch.tensor(weekly())
    late = values[:100, [2]]
    known = values[90:100, [2]]
    torch.testing.assert_close(model.forecast(late, 3), model.forecast(known, 3))
    both = model.forecast(values[:100, [0, 2]], 3)
    torch.testing.assert_close(both[:, [1]], model.forecast(known, 3), rtol=1e-5, atol=1e-3)


def test_forecasts_from_many_points_are_those_from_each() -> None:
    model, values = untrained(), torch.tensor(weekly())
    origins = range(100, 170, 23)
    for row, origin in zip(model.forecast_from(values, origins, 7), origins, strict=True):
        torch.testing.assert_close(row, model.forecast(values[:origin], 7))
    assert model.forecast_from(values, range(200, 230), 2)[:, :, 3].isnan().all()


@pytest.mark.parametrize(("kind", "epochs", "options"), [
    (DirectLinear, 1, {}),
    (Recurrent, 4, {"cell": "lstm", "hidden_size": 16, "num_layers": 1, "residual": "last", "lr": 1e-2}),
    (CausalConv, 4, {"channels": 16, "residual": "last", "lr": 1e-2}),
])  # fmt: skip
def test_what_many_series_share_is_learnt_and_serves_new_ones(
    kind: type[Forecaster], epochs: int, options: dict[str, Any]
) -> None:
    data = pool(weekly(40))
    model = trained(data, kind, epochs, **options)
    figures, beside = measured(model, data), model.references(data, "test")
    assert figures["test_mase"] < 0.3 * beside["naive"]
    assert len(model.breakdown(data)) == 40
    new = pool(1e6 * weekly(5, seed=1))
    assert measured(model, new)["test_mase"] < 0.3 * model.references(new, "test")["naive"]


def test_errors_count_what_there_is_and_nothing_else() -> None:
    data = pool(weekly())
    model = untrained(Naive)
    figures = measured(model, data)
    truth, test = data.values, data.periods["test"]
    errors = [
        (truth[origin - 1, series] - truth[origin + step, series]).abs() / data.scales[series]
        for series in range(12)
        for origin in range(test.start, test.stop - HORIZON + 1)
        for step in range(HORIZON)
    ]
    known = torch.stack(errors)
    assert figures["test_mase"] == pytest.approx(float(known[~known.isnan()].mean()), rel=1e-5)
    assert figures["test_mase"] == pytest.approx(model.references(data, "test")["naive"], rel=1e-5)


def test_intervals_of_pooled_errors_hold_the_truth_as_often_as_they_say() -> None:
    values = torch.tensor(weekly(60, 400))[:, 4:]
    model = trained(pool(values.numpy()))
    period, span = range(250, 300), 30
    errors = rolled_errors(model, values, period, HORIZON)
    held = []
    for origin in range(310, 390, 10):
        known = values[:origin]
        half = pooled_half_widths(errors, spreads(values, period, span), spreads(known, [origin], span)[0], 80)
        truth: Tensor = values[origin : origin + HORIZON]
        held.append(((model.forecast(known, HORIZON) - truth).abs() <= half).double().mean())
    assert 0.75 < float(torch.stack(held).mean()) < 0.87


def test_coverage_is_told_by_some_of_many_series(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pool(weekly(60)[:, 4:])
    model = trained(data)
    looked_at: list[int] = []
    forecast = Forecaster.forecast_from

    def noted(self: Forecaster, series: Tensor, *rest: Any) -> Tensor:
        looked_at.append(series.shape[1])
        return forecast(self, series, *rest)

    monkeypatch.setattr(Forecaster, "forecast_from", noted)
    monkeypatch.setattr("zoo.series.coverage._SERIES", 20)
    found = {one.level: float(one.shares.mean()) for one in coverages(model, data)}
    assert set(looked_at) == {19}
    assert 0.72 < found[80] < 0.88
    assert 0.9 < found[95] < 0.99


@pytest.mark.parametrize(("make", "words"), [
    (lambda: pool(weekly(), mode="lanes", horizon=1), "use --data.pool false"),
    (lambda: pool(weekly(), transform="box_cox"), "pooled series share one; use log"),
    (lambda: pool(weekly(), window=300), "a window of 300"),
    (lambda: pool(np.where(np.arange(240)[:, None] < 15, weekly(), np.nan)[:, 4:]), "no series of 19 points"),
    (lambda: pool(np.where(np.arange(240)[:, None] % 17, weekly(), np.nan)), "'store 0' lacks 14 values between"),
    (lambda: pool(np.full((240, 2), np.nan)), "'store 0' has no value"),
    (lambda: untrained(ExponentialSmoothing), "use --data.pool false"),
    (lambda: Stateful(pooled=True), "use --data.pool false"),
    (lambda: Recurrent(num_series=2, pooled=True), "series one by one; num_series is 2"),
    (lambda: untrained().forecast(weekly(), 3), "series 3 is over before the others"),
    (lambda: untrained(Linear).forecast(weekly()[:100, :3], 3), "series 2 has 10 steps"),
    (lambda: untrained().forecast(np.where(np.arange(240) == 9, np.nan, 1.0)[:, None], 3), "NaN or infinite"),
])  # fmt: skip
def test_what_cannot_be_is_told(make: Any, words: str) -> None:
    with pytest.raises((ZooError, DataError), match=words):
        make()
