"""Covariates: known ahead, known up to now, told by the calendar."""

from typing import Any

import numpy as np
import pandas
import pytest
import torch
from lightning import Trainer, seed_everything
from torch import Tensor

from datamodules.errors import DataError
from datamodules.series.covariates import Covariates
from datamodules.series.divided import DividedSeries
from datamodules.series.recording import Recording
from datamodules.series.timeline import Timeline
from zoo.errors import ZooError
from zoo.series import (
    CausalConv,
    ConvLSTM,
    DenseForecaster,
    DirectLinear,
    ExponentialSmoothing,
    ForecastEnsemble,
    Linear,
    Naive,
    Recurrent,
    Stateful,
)
from zoo.series.conformal import rolled_errors
from zoo.series.forecaster import Forecaster

WINDOW, HORIZON = 14, 5
FACTS: dict[str, Any] = {
    "past": ["visitors"],
    "known": ["price"],
    "calendar": ["weekday"],
    "mean": [100.0, 2.0],
    "std": [10.0, 0.5],
}
DAYS = Timeline(np.datetime64("2024-01-01"), 1, "D")
NETWORKS: list[tuple[type[Forecaster], dict[str, Any]]] = [
    (Linear, {}),
    (DenseForecaster, {"residual": "last", "relative": True}),
    (Recurrent, {"cell": "lstm", "hidden_size": 8, "num_layers": 1, "residual": "last", "relative": True}),
    (CausalConv, {"channels": 8, "residual": "season", "period": 7}),
    (CausalConv, {"channels": 8, "gated": True}),
    (ConvLSTM, {"channels": 8, "hidden_size": 8, "num_layers": 1, "output": "vector"}),
]


def made(length: int = 400, count: int = 1, seed: int = 0) -> tuple[np.ndarray, Covariates]:
    """Series with a season of seven that visitors of three days ago and a price move, which changes by chance."""
    random = np.random.default_rng(seed)
    steps = np.arange(length)[:, None]
    price = random.choice([1.0, 2.0, 3.0], p=[0.2, 0.6, 0.2], size=(length, count))
    visitors = 100 + 10 * random.normal(size=(length, count))
    values = 50 + 5 * np.sin(2 * np.pi * steps / 7) - 8 * price + 0.4 * np.roll(visitors, 3, 0)
    values = (values + 0.5 * random.normal(size=values.shape)) * 10 ** np.linspace(0, 3, count)
    return values, Covariates(["visitors"], ["price"], np.stack([visitors, price], 1))


def series(count: int = 1, past: bool = True, known: bool = True, **options: Any) -> DividedSeries:
    values, beside = made(count=count)
    kept = [place for place, wanted in enumerate((past, known)) if wanted]
    covariates = Covariates(["visitors"][:past], ["price"][:known], beside.values[:, kept]) if kept else None
    names = [f"store {number}" for number in range(count)]
    recording = Recording("sales", values, names, DAYS, covariates=covariates)
    options = {"window": WINDOW, "horizon": HORIZON, "val": 50, "test": 60, "pool": count > 1} | options
    return DividedSeries(recording, **options)


def trained(data: DividedSeries, kind: type[Forecaster] = DirectLinear, epochs: int = 1, **options: Any) -> Forecaster:
    seed_everything(0, verbose=False)
    facts = {
        name: getattr(data, name)
        for name in (
            "num_series", "window", "horizon", "mean", "std", "period", "naive_mae", "power", "differences", "pooled",
            "covariates",
        )
    }  # fmt: skip
    model = kind(**facts | options)
    quiet(max_epochs=epochs, limit_val_batches=0).fit(model, data)
    return model.eval()


def quiet(**options: Any) -> Trainer:
    return Trainer(
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options
    )


def measured(model: Forecaster, data: DividedSeries) -> float:
    return float(quiet().test(model, data, verbose=False)[0]["test_mase"])


def score(data: DividedSeries, kind: type[Forecaster] = DirectLinear, epochs: int = 1, **options: Any) -> float:
    return measured(trained(data, kind, epochs, **options), data)


def untrained(kind: type[Forecaster], **options: Any) -> Forecaster:
    """A model whose effects are not zero."""
    torch.manual_seed(0)
    model = kind(window=WINDOW, horizon=HORIZON, covariates=FACTS, **options)
    for name, parameter in model.named_parameters():
        if name.startswith("effect"):
            torch.nn.init.normal_(parameter)
    return model.eval()


def windows(data: DividedSeries) -> Tensor:
    return next(iter(data.test_dataloader()))[0]


@pytest.mark.parametrize(("kind", "options"), NETWORKS)
def test_a_network_sees_what_is_known_and_nothing_else(kind: type[Forecaster], options: dict[str, Any]) -> None:
    model, inputs = untrained(kind, **options), windows(series(calendar="weekday"))
    forecasts = model(inputs)
    assert forecasts.shape == (len(inputs), HORIZON, 1)
    assert inputs[:, WINDOW:, :2].isnan().all()
    assert torch.equal(model(inputs.nan_to_num(1e6)), forecasts)
    for column, row, moves in ((1, WINDOW - 1, [0, 1, 2, 3, 4]), (2, WINDOW + 2, [2]), (3, WINDOW + 4, [4])):
        changed = inputs.clone()
        changed[:, row, column] += 20
        where = (model(changed) - forecasts).abs().amax((0, 2)) > 1e-4
        assert where.nonzero().flatten().tolist() == moves


@pytest.mark.parametrize(("kind", "epochs", "options"), [
    (DirectLinear, 1, {}),
    (Linear, 15, {"residual": "last", "relative": True, "lr": 1e-2}),
    pytest.param(Recurrent, 20, {"cell": "gru", "hidden_size": 16, "num_layers": 1, "residual": "last",
                                 "relative": True, "lr": 1e-2}, marks=pytest.mark.slow),
    pytest.param(CausalConv, 20, {"channels": 16, "residual": "last", "relative": True, "lr": 1e-2},
                 marks=pytest.mark.slow),
])  # fmt: skip
def test_a_price_that_is_known_ahead_pays(kind: type[Forecaster], epochs: int, options: dict[str, Any]) -> None:
    blind = score(series(past=False, known=False), kind, epochs, **options)
    seeing = score(series(past=False), kind, epochs, **options)
    assert seeing < 0.8 * blind
    assert score(series(), kind, epochs, **options) < 0.9 * seeing


def test_the_closed_form_finds_what_a_price_does() -> None:
    data = series(past=False)
    model = trained(data)
    per_unit = float(model.effect[0, 0]) * data.std[0] / data.covariates["std"][0]  # type: ignore[index]
    assert per_unit == pytest.approx(-8, abs=0.3)


@pytest.mark.parametrize("transform", ["log", "difference", ["log", "difference"]])
@pytest.mark.parametrize(("kind", "epochs", "options"), [
    (DirectLinear, 1, {}),
    (Linear, 15, {"residual": "last", "relative": True, "lr": 1e-2}),
])  # fmt: skip
def test_covariates_go_through_transformations(
    transform: Any, kind: type[Forecaster], epochs: int, options: dict[str, Any]
) -> None:
    blind = score(series(past=False, known=False, transform=transform), kind, epochs, **options)
    seeing = score(series(past=False, transform=transform), kind, epochs, **options)
    assert seeing < 0.8 * blind


@pytest.mark.parametrize("calendar", ["weekday", "auto"])
def test_what_the_calendar_tells_pays(calendar: Any) -> None:
    options: dict[str, Any] = {"window": 3, "horizon": 10, "past": False}
    blind = score(series(**options))
    assert score(series(**options, calendar=calendar)) < 0.8 * blind


@pytest.mark.parametrize(("kind", "epochs", "options"), [
    (DirectLinear, 1, {}),
    pytest.param(Recurrent, 15, {"cell": "gru", "hidden_size": 16, "num_layers": 1, "residual": "last", "lr": 1e-2},
                 marks=pytest.mark.slow),
])  # fmt: skip
def test_many_series_share_what_a_price_does(kind: type[Forecaster], epochs: int, options: dict[str, Any]) -> None:
    blind = score(series(12, past=False, known=False), kind, epochs, **options)
    data = series(12, calendar="weekday")
    model = trained(data, kind, epochs, **options)
    assert measured(model, data) < 0.75 * blind
    inputs = data.ahead(0)
    inputs = torch.cat([inputs[:-HORIZON], torch.where(inputs[-HORIZON:].isnan(), torch.nan, inputs[-HORIZON:])])
    inputs[-HORIZON:, :24] = torch.nan
    together = model.forecast(inputs, HORIZON)
    for place in (0, 7):
        alone = model.forecast(inputs[:, place::12], HORIZON)
        torch.testing.assert_close(alone, together[:, [place]], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [DirectLinear, Linear])
def test_series_that_are_seen_together_share_what_lies_beside_them(kind: type[Forecaster]) -> None:
    values, beside = made(count=3)
    covariates = Covariates([], ["price"], beside.values[:, 1:, :1])
    recording = Recording("sales", values, ["a", "b", "c"], DAYS, covariates=covariates)
    data = DividedSeries(recording, window=WINDOW, horizon=HORIZON, calendar="weekday")
    model = trained(data, kind)
    known = data.ahead(0)
    known[-HORIZON:, :3] = torch.nan
    ahead = model.forecast(known, HORIZON)
    assert ahead.shape == (HORIZON, 3)
    known[-1, 3] += 1
    moved = (model.forecast(known, HORIZON) - ahead).abs() > 1e-4
    assert moved[-1].all()
    assert not moved[:-1].any()


@pytest.mark.parametrize("kind", [Naive, ExponentialSmoothing])
def test_those_that_cannot_look_beside_forecast_all_the_same(kind: type[Forecaster]) -> None:
    plain, beside = series(past=False, known=False), series()
    assert measured(trained(beside, kind), beside) == measured(trained(plain, kind), plain)


def test_without_covariates_weights_are_what_they_were() -> None:
    torch.manual_seed(0)
    one = Recurrent(window=WINDOW, horizon=HORIZON)
    torch.manual_seed(0)
    other = Recurrent(window=WINDOW, horizon=HORIZON, covariates={})
    assert list(one.state_dict()) == list(other.state_dict())
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))


def frame(rows: int = 60, ahead: int = 12) -> pandas.DataFrame:
    values, beside = made(rows + ahead)
    columns = {"price": beside.values[:, 1, 0], "sales": values[:, 0], "visitors": beside.values[:, 0, 0]}
    table = pandas.DataFrame(columns, index=pandas.date_range("2024-01-01", periods=rows + ahead))
    table.iloc[rows:, 1:] = np.nan
    return table


def test_a_frame_tells_covariates_by_name_and_what_is_known_ahead_behind_its_last_value() -> None:
    model, table = untrained(Recurrent, hidden_size=6), frame()
    following = model.forecast(table, HORIZON)
    assert list(following.columns) == ["sales"]
    assert following.index[0] == pandas.Timestamp("2024-03-01")
    data = series(calendar="weekday")
    clock = data.beside.rows(0, len(table))[:, 2:, 0].numpy()
    rows = torch.tensor(np.concatenate([table[["sales", "visitors", "price"]].to_numpy(), clock], 1))
    torch.testing.assert_close(torch.tensor(following.to_numpy()), model.forecast(rows, HORIZON))
    shuffled = table[["visitors", "sales", "price"]]
    pandas.testing.assert_frame_equal(model.forecast(shuffled, HORIZON), following)


def test_times_alone_need_no_rows_ahead() -> None:
    facts = {"calendar": ["weekday", "month"]}
    model = Recurrent(window=WINDOW, horizon=HORIZON, hidden_size=6, covariates=facts).eval()
    torch.nn.init.normal_(model.effect.linear.weight)
    sales = frame(60, 0)["sales"]
    following = model.forecast(sales, 12)
    assert following.name == "sales"
    assert len(following) == 12
    longer = model.forecast(pandas.concat([sales, following[:HORIZON]]), 7)
    np.testing.assert_allclose(longer, following[HORIZON:], rtol=1e-4)


def test_forecasts_from_many_points_are_those_from_each() -> None:
    data = series(past=False, calendar="weekday")
    model = trained(data)
    inputs = data.inputs
    for origin, row in zip(range(100, 110, 4), model.forecast_from(inputs, range(100, 110, 4), 12), strict=True):
        known = inputs[: origin + 12].clone()
        known[origin:, 0] = torch.nan
        torch.testing.assert_close(row, model.forecast(known, 12))
    beyond = model.forecast_from(inputs, range(398, 401), 4)
    assert beyond[:, 0].isfinite().tolist() == [[True], [True], [False]]
    errors = rolled_errors(model, inputs, range(340, 400), 4)
    assert errors.isnan().sum() == 6


def test_an_ensemble_shows_its_members_what_lies_beside() -> None:
    data = series(past=False)
    models = [trained(data), trained(data, Linear, 2)]
    facts = {"window": WINDOW, "horizon": HORIZON, "mean": data.mean, "std": data.std}
    ensemble = ForecastEnsemble.of(models, covariates=data.covariates, **facts)
    inputs = windows(data)
    torch.testing.assert_close(ensemble(inputs), (models[0](inputs) + models[1](inputs)) / 2)
    with pytest.raises(ZooError, match="a member looks at price, expected none"):
        ForecastEnsemble.of(models, **facts)


def holed(column: int, rows: slice) -> Covariates:
    _, beside = made()
    beside.values[rows, column] = np.nan
    return beside


def lacking(beside: Covariates) -> DividedSeries:
    return DividedSeries(Recording("sales", made()[0], ["store"], DAYS, covariates=beside), window=5)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: series().ahead(3), "'price' will be at 2025-02-04, step 1 of 3"),
    (lambda: lacking(holed(1, slice(7, 9))), "no number in 'price' at 2024-01-08, and 2 are missing in all"),
    (lambda: series(calendar="hours"), "did you mean 'hour'"),
    (lambda: series(calendar="weekday", mode="sequence", horizon=1), "knows no covariates"),
    (lambda: Stateful(covariates=FACTS), "covariates need output 'vector'"),
    (lambda: Recurrent(covariates={"known": ["price"]}), "expected one each for price"),
    (lambda: untrained(Linear)(torch.zeros(2, 19, 3)), r"expected \(N, T \+ 5, 9\), the series and visitors, price"),
    (lambda: untrained(Linear).forecast(frame().drop(columns="price"), 3), "no column 'price'"),
    (lambda: untrained(Linear).forecast(frame().reset_index(drop=True), 3), "the frame has no times"),
    (lambda: untrained(Linear).forecast(frame(60, 2), 5), "'price' is not known at step 3 of 5"),
    (lambda: untrained(Linear).forecast(frame(), 12), "nobody knows visitors of the steps ahead"),
    (lambda: untrained(Linear).forecast(frame(10), 5), "give it more history"),
])  # fmt: skip
def test_what_cannot_be_is_told(make: Any, words: str) -> None:
    with pytest.raises((ZooError, DataError), match=words):
        make()
