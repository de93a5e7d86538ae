"""Coverage by step ahead: whichever model, intervals of what is exchangeable hold as often as they say."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.series.baselines import Naive
from zoo.series.coverage import coverages
from zoo.series.forecaster import Forecaster
from zoo.series.linear import DenseForecaster

FIVE = [0.025, 0.1, 0.5, 0.9, 0.975]


def dataset(values: Tensor) -> Any:
    """A series whose last two thirds are validated and tested on."""
    third = len(values) // 3
    periods = {"train": range(third), "val": range(third, 2 * third), "test": range(2 * third, len(values))}
    return SimpleNamespace(values=values, inputs=values, periods=periods, period=1)


def skewed(count: int) -> Tensor:
    """Independent draws, rarely large."""
    return torch.distributions.Exponential(1.0).sample((count, 1))


def quantile_model() -> Forecaster:
    torch.manual_seed(0)
    return DenseForecaster(window=5, horizon=3, mean=[1.0], quantiles=FIVE)


def test_intervals_of_what_is_exchangeable_hold_as_often_as_they_say() -> None:
    torch.manual_seed(1)
    # Nothing was learnt: what corrects the ends makes them right nevertheless.
    found = coverages(quantile_model(), dataset(skewed(9000)))
    assert [(one.level, one.kind) for one in found] == [
        (80, "conformal"), (80, "quantiles"), (95, "conformal"), (95, "quantiles"),
    ]  # fmt: skip
    for one in found:
        assert one.shares.shape == (3,)
        missed = 1 - one.shares
        # The wider of two intervals counts, since spreads may drift; so they miss less often than they may.
        assert missed.max() < 1.1 * (1 - one.level / 100)
        assert missed.min() > 0.5 * (1 - one.level / 100)


def test_width_is_that_of_the_intervals() -> None:
    torch.manual_seed(1)
    values = torch.zeros(120, 1)
    values[::2] = 1.0
    # Forecasts of a series that goes up and down by one are off by one, always.
    (first, *_) = coverages(Naive(), dataset(values))
    assert (first.kind, first.width, first.shares.tolist()) == ("conformal", 2.0, [1.0])


def test_kinds_without_their_quantiles_or_enough_to_calibrate_are_left_out() -> None:
    torch.manual_seed(1)
    (model, values) = (DenseForecaster(window=5, quantiles=[0.1, 0.5, 0.9]), skewed(90))
    assert [(one.level, one.kind) for one in coverages(model, dataset(values))] == [
        (80, "conformal"), (80, "quantiles"), (95, "conformal"),
    ]  # fmt: skip
    assert coverages(Naive(), dataset(skewed(9))) == []


def test_picture_is_drawn_after_a_test() -> None:
    torch.manual_seed(1)
    figures = quantile_model().tested_figures(dataset(skewed(300)))
    (axes,) = figures["coverage"].axes
    assert axes.get_title() == "Share of 100 test points inside intervals that the validation period calibrated"
    labels = [str(line.get_label()) for line in axes.lines if not str(line.get_label()).startswith("_")]
    assert len(labels) == 4
    assert labels[1].startswith("80 % by quantiles: 0.")


def test_forecasts_beyond_all_bounds_are_told(caplog: pytest.LogCaptureFixture) -> None:
    model = quantile_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1e38)
    with caplog.at_level(logging.WARNING, "datamodules"):
        assert model.tested_figures(dataset(skewed(300))) == {}
    assert "coverage of intervals is not drawn: the forecasts to calibrate with grow beyond all bounds" in caplog.text
