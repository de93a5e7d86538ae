"""Transformations have exact inverses, are chosen where they help, and refused where they cannot be."""

from typing import Any

import numpy as np
import pytest
import torch

from datamodules.errors import DataError
from datamodules.series.periods import divide
from datamodules.series.recording import Recording
from datamodules.series.series import Series
from datamodules.series.timeline import Timeline
from datamodules.series.transform import chosen_lambda, difference, guerrero, integrate, power, unpower, words


class Monthly(Series):
    """A series with a season of twelve."""

    period = naive_lag = 12


def growing(length: int = 120) -> np.ndarray:
    time = np.arange(length)
    noise = np.random.default_rng(0).normal(size=length)
    return np.exp(4 + 0.02 * time + 0.3 * np.sin(2 * np.pi * time / 12) + 0.03 * noise)


def monthly(values: np.ndarray, **options: Any) -> Series:
    columns = values[:, None] if values.ndim == 1 else values
    recording = Recording("sales", columns, [f"v{number}" for number in range(columns.shape[1])], Timeline())
    return Monthly(recording, divide(recording, 12, 12), **{"window": 24, "horizon": 12, **options})


@pytest.mark.parametrize("exponent", [0.0, 0.1, 0.5, 1.0])
def test_power_has_an_inverse(exponent: float) -> None:
    values = torch.tensor([[1e-3, 5.0], [1.0, 1.0], [250.0, 3e4]], dtype=torch.float64)
    lambdas = torch.tensor([exponent, 1.0], dtype=torch.float64)
    raised = power(values, lambdas)
    assert torch.equal(raised[:, 1], values[:, 1])
    torch.testing.assert_close(unpower(raised, lambdas), values)


@pytest.mark.parametrize("lags", [[], [1], [12], [12, 1], [1, 1]])
@pytest.mark.parametrize("horizon", [1, 12, 30])
def test_differences_are_summed_up_again(lags: list[int], horizon: int) -> None:
    values = torch.randn(3, 40 + horizon, 2, dtype=torch.float64)
    changes = difference(values, lags)
    assert changes.shape[1] == values.shape[1] - sum(lags)
    torch.testing.assert_close(integrate(changes[:, -horizon:], values[:, :-horizon], lags), values[:, -horizon:])


def test_exponent_evens_out_the_spread() -> None:
    assert guerrero(growing(), 12) < 0.3
    assert guerrero(50 + np.random.default_rng(0).normal(size=120), 12) >= 0.0
    assert guerrero(np.full(120, 5.0), 12) == 1.0
    assert guerrero(np.arange(1.0, 12.0), 12) == 1.0


def test_power_is_chosen_where_it_helps() -> None:
    straight = 100 + np.arange(120) + 5 * np.sin(np.arange(120) * np.pi / 6)
    assert chosen_lambda(growing(), 12, 12) < 1
    assert chosen_lambda(straight, 12, 12) == 1
    assert chosen_lambda(straight - 150, 12, 12) == 1  # which has values below 0


@pytest.mark.parametrize(
    ("transform", "powers", "lags"),
    [
        ("none", [1.0, 1.0], []),
        ("log", [0.0, 0.0], []),
        (["log", "seasonal_difference", "difference"], [0.0, 0.0], [12, 1]),
        ("difference", [1.0, 1.0], [1]),
    ],
)
def test_facts_are_of_transformed_values(transform: Any, powers: list[float], lags: list[int]) -> None:
    values = np.stack([growing(), growing()[::-1] + 1], 1)
    data = monthly(values, transform=transform)
    assert (data.power, data.differences) == (powers, lags)
    train = torch.from_numpy(values[: data.periods["train"].stop].copy())
    seen = difference(power(train, torch.tensor(powers, dtype=torch.float64)), lags)
    assert data.mean == pytest.approx(seen.mean(0).tolist(), rel=1e-5, abs=1e-6)
    assert data.std == pytest.approx(seen.std(0).tolist(), rel=1e-5)
    assert torch.equal(data.values, torch.from_numpy(values.copy()).float())  # in their own unit all the same


@pytest.mark.parametrize(
    ("values", "transform", "told"),
    [
        (growing() - 60, "log", "in 'v0', and transform log needs values above 0; leave it out"),
        (growing() - 60, "box_cox", "transform box_cox needs values above 0"),
        (growing(), "square", "no transform 'square'; there are none, log, box_cox"),
        (growing(), ["log", "box_cox"], "expected none or auto alone, or one of log and box_cox and differences"),
        (growing(), ["auto", "difference"], "expected none or auto alone"),
    ],
)
def test_what_cannot_be_transformed_is_refused(values: np.ndarray, transform: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        monthly(values, transform=transform)


def test_seasonal_difference_needs_a_season() -> None:
    recording = Recording("sales", growing()[:, None], ["v"], Timeline())
    with pytest.raises(DataError, match=r"needs a season, but sales has none; name its length with --data\.period"):
        Series(recording, divide(recording), transform="seasonal_difference")


def test_words_may_stand_in_a_line() -> None:
    assert words("log, difference") == ["log", "difference"]
    assert words("none") == words(None) == []


@pytest.mark.parametrize(
    ("length", "horizon", "window"), [(50, 4, 18), (60, 12, 12), (120, 12, 24), (1000, 12, 24), (1000, 40, 80)]
)
def test_window_suits_season_horizon_and_length(length: int, horizon: int, window: int) -> None:
    values = np.random.default_rng(0).normal(size=(length, 1))
    recording = Recording("sales", values, ["v"], Timeline())
    data = Monthly(recording, divide(recording, least=horizon), window="auto", horizon=horizon)
    assert data.window == window
    inputs, targets = next(iter(data.train_dataloader()))
    assert (inputs.shape[1], targets.shape[1]) == (window, horizon)


def test_longest_window_reaches_back_to_the_start() -> None:
    data = monthly(growing(), window="longest")
    assert data.window == data.periods["train"].stop == 96
    inputs, _ = next(iter(data.train_dataloader()))
    assert inputs.shape[1] == 96 - 12
    inputs, targets = next(iter(data.val_dataloader()))
    assert torch.equal(inputs[0], data.values[:96])
    assert torch.equal(targets[0], data.values[96:108])
    assert monthly(np.random.default_rng(0).normal(size=5000), window="longest").window == 2048


def test_what_is_known_is_trained_on_and_not_validated_on() -> None:
    data = monthly(growing(), fit_on="known", window="longest")
    assert data.periods == {"train": range(108), "test": range(108, 120)}
    assert data.val_dataloader() == []
    assert len(next(iter(data.test_dataloader()))[0]) == 1
    folds = data.folds(2, of="before")
    assert [fold.periods["train"].stop for fold in folds] == [fold.periods["test"].start for fold in folds]
    assert [fold.window for fold in folds] == [fold.periods["train"].stop for fold in folds]


def test_fraction_holds_a_horizon() -> None:
    recording = Recording("sales", growing(60)[:, None], ["v"], Timeline())
    assert {name: len(period) for name, period in divide(recording, least=14).items()} == {
        "train": 32, "val": 14, "test": 14,
    }  # fmt: skip
    assert len(divide(recording, 3, 5, least=14)["test"]) == 5  # a number is what it says
