"""Linear forecasts in closed form and the classics: what they forecast exactly, and what others find."""

from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.statespace.sarimax import SARIMAX
from torch.utils.data import DataLoader, TensorDataset

from datamodules.series.recording import Recording
from datamodules.series.series import Series
from datamodules.series.timeline import Timeline
from zoo.errors import ZooError
from zoo.series import SARIMA, DirectLinear, ExponentialSmoothing, Theta
from zoo.series.classics.classic import Classic
from zoo.series.classics.exponential_smoothing import States, _smooth, filtered
from zoo.series.classics.sarima import Orders, _continue, _expanded
from zoo.series.forecaster import Forecaster

TIME = np.arange(96)
SEASON = 10 * np.sin(2 * np.pi * TIME / 12) + 4 * np.cos(2 * np.pi * TIME / 6)
CLASSICS: list[type[Classic]] = [ExponentialSmoothing, Theta, SARIMA]


def series(values: np.ndarray, period: int, **options: Any) -> Series:
    class Own(Series):
        pass

    Own.period = Own.naive_lag = period
    columns = values[:, None] if values.ndim == 1 else values
    recording = Recording("own", columns, [str(number) for number in range(columns.shape[1])], Timeline())
    return Own(recording, {"train": range(len(columns))}, **{"window": "longest", "fit_on": "all", **options})


def made(kind: type[Forecaster], data: Series) -> Any:
    names = ("num_series", "window", "horizon", "mean", "std", "period", "power", "differences")
    return kind(**{name: getattr(data, name) for name in names})


def fitted(kind: type[Forecaster], data: Series) -> Any:
    model = made(kind, data)
    if isinstance(model, Classic):
        model.fit(data.values)
        return model
    model.on_train_epoch_start()
    for number, batch in enumerate(data.train_dataloader()):
        model.training_step(batch, number)
    model.find()
    return model


@pytest.mark.parametrize(
    ("kind", "known", "future", "period", "options"),
    [
        *((kind, 5 + SEASON + TIME, None, 12, {}) for kind in (ExponentialSmoothing, SARIMA)),
        *((kind, 5 + SEASON, None, 12, {}) for kind in CLASSICS),
        *(
            (kind, np.exp(0.02 * TIME + SEASON / 20), None, 12, {"transform": "log"})
            for kind in (ExponentialSmoothing, SARIMA)
        ),
        *((kind, 3.0 + 2 * TIME, None, 1, {}) for kind in CLASSICS),
        (DirectLinear, 5 + SEASON + TIME, None, 12, {"window": 16}),
        (DirectLinear, np.exp(0.02 * TIME), None, 1, {"window": 4, "transform": "log"}),
        (DirectLinear, 1.0 * TIME**2, None, 1, {"window": 6, "transform": ["difference"]}),
        (DirectLinear, 5 + SEASON + TIME, None, 12, {"window": 30, "transform": ["seasonal_difference"]}),
        *((kind, np.full(96, 7.0), None, 12, {}) for kind in CLASSICS),
    ],
)
def test_what_follows_a_rule_is_forecast_exactly(
    kind: type[Forecaster], known: np.ndarray, future: None, period: int, options: dict[str, Any]
) -> None:
    model = fitted(kind, series(known[:-12], period, horizon=12, **options))
    ahead = model.forecast(known[:-12], 12).numpy()
    scale = max(np.ptp(known), 1)
    assert np.abs(ahead - known[-12:]).max() < 0.01 * scale


def test_straight_line_of_differences_goes_on_beyond_the_horizon() -> None:
    squares = 1.0 * np.arange(100) ** 2
    model = fitted(DirectLinear, series(squares[:-28], 1, horizon=14, window=29, transform=["difference"]))
    ahead = model.forecast(squares[:-28], 28).numpy()
    np.testing.assert_allclose(ahead, squares[-28:], rtol=0.01)


def noisy(length: int = 240, columns: int = 1) -> np.ndarray:
    random = np.random.default_rng(3)
    time = np.arange(length)[:, None]
    level = random.normal(size=(length, columns)).cumsum(0)
    return 50 + level + 8 * np.sin(2 * np.pi * time / 12) + random.normal(size=(length, columns))


@pytest.mark.parametrize("kind", [*CLASSICS, DirectLinear])
def test_each_series_is_forecast_by_itself_and_from_any_point(kind: type[Forecaster]) -> None:
    both = noisy(columns=2)
    window = 36 if kind is DirectLinear else "longest"
    together, *alone = (
        fitted(kind, series(part, 12, horizon=6, window=window)) for part in (both, both[:, :1], both[:, 1:])
    )
    expected = [model.forecast(both[:, [number]], 9) for number, model in enumerate(alone)]
    torch.testing.assert_close(together.forecast(both, 9), torch.cat(expected, 1), rtol=1e-4, atol=1e-3)
    model = made(kind, series(both[:, :1], 12, horizon=6, window=36))
    if kind is not DirectLinear:
        model.found, model.has, model.counted = alone[0].found, alone[0].has, alone[0].counted
    else:
        model.load_state_dict(alone[0].state_dict())
    rolled = model.forecast_from(both[:, :1], range(200, 206), 6)
    for row, origin in enumerate(range(200, 206)):
        torch.testing.assert_close(rolled[row], model.forecast(both[:origin, :1], 6), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", [*CLASSICS, DirectLinear])
@pytest.mark.parametrize("length", [5, 8, 20, 50])
def test_short_series_are_forecast(kind: type[Forecaster], length: int) -> None:
    values = noisy(length)
    window = "longest" if kind is not DirectLinear else "auto"
    model = fitted(kind, series(values, {5: 1, 8: 4}.get(length, 12), horizon=2, window=window))
    ahead = model.forecast(values, 5)
    assert ahead.isfinite().all()
    assert (ahead - 50).abs().max() < 60


@pytest.mark.parametrize("kind", [*CLASSICS, DirectLinear])
def test_what_has_learnt_nothing_says_so(kind: type[Forecaster]) -> None:
    model = made(kind, series(noisy(), 12, horizon=6, window=36))
    with pytest.raises(ZooError, match=f"this {kind.__name__} has learnt nothing yet; train it first"):
        model(torch.zeros(1, 36, 1))


def test_errors_are_those_of_statsmodels() -> None:
    values = noisy()[:, 0]
    model = ETSModel(
        values, trend="add", damped_trend=True, seasonal="add", seasonal_periods=12, initialization_method="heuristic"
    )
    found = model.fit(disp=False)
    named = dict(zip(model.param_names, found.params, strict=False))
    parameters = {
        "level": named["smoothing_level"], "trend": named["smoothing_trend"], "season": named["smoothing_seasonal"],
        "damping": named["damping_trend"],
    }  # fmt: skip
    start = [torch.tensor([float(value)], dtype=torch.float64) for value in found.initial_state]
    states = States(start[0], start[1], start[2:])
    errors, end = _smooth(torch.from_numpy(values)[None], states, parameters)
    assert errors[0].numpy() == pytest.approx(found.resid, abs=1e-6)
    assert end.ahead(8, parameters["damping"])[0].numpy() == pytest.approx(found.forecast(8), abs=1e-6)


def test_start_makes_errors_least() -> None:
    values = torch.from_numpy(noisy().T.copy())
    parameters = {"level": 0.4, "trend": 0.05, "season": 0.2}
    _, least = filtered(values, parameters, 12)
    states = States(values[:, 0], torch.zeros(1, dtype=torch.float64), list(torch.zeros(12, 1, dtype=torch.float64)))
    errors, _ = _smooth(values, states, parameters)
    assert float(least) < float(errors.square().sum())


@pytest.mark.parametrize("orders", [Orders(2, 0, 0, 0), Orders(0, 2, 0, 1), Orders(1, 1, 1, 1)])
def test_stationary_series_go_on_as_those_of_statsmodels(orders: Orders) -> None:
    coefficients = np.array([0.5, -0.2, 0.3, -0.4])[: sum(orders)]
    values = np.random.default_rng(0).normal(size=300)
    model = SARIMAX(
        values, order=(orders.ar, 0, orders.ma), seasonal_order=(orders.seasonal_ar, 0, orders.seasonal_ma, 12)
    )
    expected = model.filter(np.r_[coefficients, 1.0]).forecast(15)
    of_values, of_errors = _expanded(coefficients, orders, 12)
    found = _continue(
        torch.from_numpy(values)[None], 15,
        {lag: -one for lag, one in enumerate(of_values) if lag and one},
        {lag: one for lag, one in enumerate(of_errors) if lag and one},
    )  # fmt: skip
    assert found[0].numpy() == pytest.approx(expected, abs=1e-3)


def test_orders_are_found() -> None:
    random = np.random.default_rng(0).normal(size=600)
    values = np.zeros(600)
    for step in range(2, 600):
        values[step] = 1.2 * values[step - 1] - 0.5 * values[step - 2] + random[step]
    model = fitted(SARIMA, series(values, 1, horizon=3))
    found = model.parameters_found()
    assert (found["difference"], found["ar_1"], found["ar_2"]) == (
        0,
        pytest.approx(1.2, abs=0.1),
        pytest.approx(-0.5, abs=0.1),
    )


def test_linear_forecast_is_a_ridge_regression() -> None:
    data = series(noisy(), 12, horizon=3, window=15)
    model = fitted(DirectLinear, data)
    values = (data.values[:, 0].double() - model.mean) / model.std
    rows = values.unfold(0, 18, 1)
    inputs, targets = rows[:, :15] - rows[:, 14:15], rows[:, 15:] - rows[:, 14:15]
    inputs, targets = inputs - inputs.mean(0), targets - targets.mean(0)
    gram = inputs.T @ inputs
    penalty = model.penalty[0] * torch.linalg.eigvalsh(gram).clamp_min(0).mean()
    naive = torch.zeros(15, 3, dtype=torch.float64)
    seasonal = naive.clone()
    seasonal[[3, 4, 5], [0, 1, 2]] = 1
    ridge = torch.linalg.inv(gram + penalty * torch.eye(15, dtype=torch.float64))
    pulled = [goal + ridge @ inputs.T @ (targets - inputs @ goal) for goal in (naive, seasonal)]
    assert min((model.weight[0].double() - one).abs().max() for one in pulled) < 1e-3


@pytest.mark.parametrize("kind", [ExponentialSmoothing, Theta])
def test_classic_needs_a_whole_series(kind: type[Classic]) -> None:
    model = made(kind, series(noisy(), 12, horizon=2, window=20))
    rows = DataLoader(TensorDataset(torch.zeros(4, 20, 1), torch.zeros(4, 2, 1)), batch_size=2)
    trainer = Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    with pytest.raises(ZooError, match="estimates its parameters from a whole series"):
        trainer.fit(model, rows)
