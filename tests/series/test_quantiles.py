"""Quantiles that a network forecasts: in order, of the right share, on every way that a forecast takes."""

from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.series.causal_conv import CausalConv
from zoo.series.conv_lstm import ConvLSTM
from zoo.series.forecaster import Forecaster
from zoo.series.linear import DenseForecaster, Linear
from zoo.series.quantiles import ascending_from, pinball
from zoo.series.recurrent import Recurrent
from zoo.series.stateful import Stateful
from zoo.series.trained import TrainedForecaster

from .small import TWO_AHEAD, noise

THREE = [0.1, 0.5, 0.9]

MODELS: dict[str, dict[str, Any]] = {
    "plain": {},
    "relative season": {"residual": "season", "relative": True, "period": 7},
    "log": {"power": [0.0], "mean": [1.0], "std": [0.5]},
    "seasonal difference": {"differences": [7], "period": 7},
    "pooled": {"pooled": True, "num_series": 1, "mean": [0.0], "std": [1.0], "residual": "last", "relative": True},
    "covariates": {"covariates": {"past": ["rain"], "known": ["price"], "mean": [1.0, 2.0], "std": [1.0, 2.0]}},
}


def make(kind: type[TrainedForecaster] = Recurrent, **options: Any) -> TrainedForecaster:
    """A model with quantiles and weights that are the same in every run."""
    torch.manual_seed(0)
    width = {Recurrent: {"hidden_size": 6}, CausalConv: {"channels": 6}, ConvLSTM: {"channels": 6}}.get(kind, {})
    output = {"output": "vector"} if width else {}
    return kind(**{**TWO_AHEAD, "quantiles": THREE, **width, **output, **options}).eval()


def history_of(model: Forecaster) -> Tensor:
    """A series such as the model takes."""
    columns = 3 if model.pooled else model.num_series
    values = noise(20 + model.rows_ahead(model.horizon), columns + len(model.beside.names)).exp() + 1
    values[20:, : columns + model.beside.num_past] = torch.nan
    return values


def test_quantiles_cannot_cross() -> None:
    raw = 10 * noise(50, 4, 2, 5)
    found = ascending_from(raw, 1)
    assert found.shape == (5, 50, 4, 2)
    assert (found.diff(dim=0) >= 0).all()
    assert torch.equal(found[1], raw[..., 1])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_pinball_loss_is_least_at_the_quantile(share: float) -> None:
    targets = torch.arange(1.0, 101)[:, None, None]
    losses = [pinball(torch.full((1, 100, 1, 1), float(x)), targets, [share]).mean().item() for x in range(1, 101)]
    assert abs(min(range(100), key=losses.__getitem__) + 1 - 100 * share) <= 1


@pytest.mark.parametrize("kind", [Linear, DenseForecaster, Recurrent, CausalConv, ConvLSTM])
def test_every_network_forecasts_quantiles_about_the_median(kind: type[TrainedForecaster]) -> None:
    model, history = make(kind), noise(20, 2)
    found = model.forecast_quantiles(history, 2)
    assert found.shape == (2, 2, 3)
    assert (found.diff(dim=-1) > 0).all()
    assert torch.equal(found[..., 1], model.forecast(history, 2))


@pytest.mark.parametrize("name", MODELS)
def test_quantiles_follow_every_way_that_a_forecast_takes(name: str) -> None:
    model = make(**MODELS[name])
    history = history_of(model)
    found = model.forecast_quantiles(history, 2)
    assert (found.diff(dim=-1) > 0).all()
    assert torch.equal(found[..., 1], model.forecast(history, 2))


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_learns(name: str) -> None:
    model = make(**MODELS[name])
    steps, columns = model.window + model.rows_ahead(2), model.num_series + len(model.beside.names)
    inputs = noise(4, steps, columns).exp()
    loss = model.training_step((inputs, noise(4, 2, model.num_series).exp()), 0)
    assert loss is not None
    loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_quantiles_of_noise_hold_their_shares() -> None:
    torch.manual_seed(0)
    # Twice as far above as below, of a spread that grows with what was seen.
    seen = torch.rand(4000, 1, 1) + 0.5
    draws = torch.randn(4000, 1, 1).abs() * torch.where(torch.rand(4000, 1, 1) < 0.5, 2.0, -1.0)
    targets = 5 + seen * draws
    model = Linear(window=1, quantiles=THREE)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(400):
        loss = model.training_step((seen, targets), 0)
        assert loss is not None
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = []
    with torch.inference_mode():
        for quantile in THREE:
            with model.at(quantile):
                found.append((targets < model(seen)).float().mean().item())
    assert found == pytest.approx(THREE, abs=0.02)


def test_frame_gives_quantiles_as_columns() -> None:
    model = make(num_series=1, mean=[0.0], std=[1.0])
    index = pd.date_range("2024-01-01", periods=20)
    frame = pd.DataFrame({"bread": noise(20).numpy()}, index=index)
    found = model.forecast_quantiles(frame, 2)
    assert list(found.columns) == [(one, "bread") for one in THREE]
    assert found.index[0] == pd.Timestamp("2024-01-21")


def test_weights_of_a_run_without_quantiles_become_the_medians() -> None:
    names = make(Linear).rows()["network.1.weight"].names
    plain = Linear(**TWO_AHEAD).rows()["network.1.weight"].names
    assert [name for name in names if " at " not in name] == list(plain)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"quantiles": [0.1, 0.9]}, r"quantiles are \[0.1, 0.9\], expected them to ascend .* and to hold 0.5"),
        ({"quantiles": [0.9, 0.5, 0.1]}, "expected them to ascend"),
        ({"quantiles": [0.0, 0.5]}, "between 0 and 1"),
        ({"quantiles": []}, "hold 0.5"),
        ({"differences": [1]}, "quantiles of differences of lag 1 tell those of values 1 steps ahead at most"),
        ({"output": "sequence", "horizon": 1}, "quantiles need output 'vector'"),
    ],
)
def test_what_cannot_be_forecast_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ZooError, match=told):
        make(**options)


def test_lanes_have_no_quantiles() -> None:
    with pytest.raises(ZooError, match="quantiles need output 'vector'"):
        Stateful(quantiles=THREE)


def test_too_far_or_none_at_all_is_told() -> None:
    with pytest.raises(ZooError, match="horizon is 3, and quantiles are forecast 2 steps ahead; ask for 2 at most"):
        make().forecast_quantiles(noise(20, 2), 3)
    with pytest.raises(ZooError, match="the model forecasts no quantiles; train one"):
        Linear(**TWO_AHEAD).forecast_quantiles(noise(20, 2), 2)
    with pytest.raises(ZooError, match=r"quantile 0.2 is not forecast; there are 0.1, 0.5, 0.9"), make().at(0.2):
        pass
