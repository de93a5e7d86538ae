"""Forecasters: the errors and sizes of the notes, no look ahead, and forecasts that go on from their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from torch import Tensor

import zoo
from datamodules import SyntheticSeries
from zoo import weights
from zoo.errors import ZooError
from zoo.series.baselines import MovingAverage, Naive, SeasonalDifference, SeasonalNaive
from zoo.series.causal_conv import CausalConv, CausalConvNet
from zoo.series.conv_lstm import ConvLSTM
from zoo.series.forecaster import Forecaster
from zoo.series.linear import DenseForecaster, Linear
from zoo.series.recurrent import Carrying, Recurrent, RecurrentNet
from zoo.series.stateful import Stateful

from .small import SEQUENCES, every_model, make, noise


@pytest.fixture(scope="module")
def synthetic() -> Tensor:
    """The series of the notes, ``(1461, 1)``."""
    time = np.arange(4 * 365 + 1)
    phase = time % 365 / 365
    season = np.where(phase < 0.4, np.cos(2 * np.pi * phase), np.exp(-3 * phase))
    values = 10 + 0.05 * time + 40 * season + 5 * np.random.RandomState(42).randn(len(time))
    return torch.tensor(values)[:, None]


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (Naive(), 5.9379),
        (SeasonalNaive(), 18.3662),
        (MovingAverage(), 7.1424),
        (SeasonalDifference(past_average=1), 5.8393),
        (SeasonalDifference(centred=False), 5.0174),
        (SeasonalDifference(), 4.5669),
    ],
    ids=["naive", "seasonal naive", "average 30", "difference", "trailing average of last year", "centred"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_baselines_err_as_in_the_notes(synthetic: Tensor, model: Forecaster, error: float, dtype: torch.dtype) -> None:
    windows = synthetic.to(dtype).unfold(0, model.window, 1)[1000 - model.window : -1].transpose(1, 2)
    assert (model(windows)[:, 0] - synthetic[1000:]).abs().mean().item() == pytest.approx(error, abs=5e-5)


def test_seasonal_forecasts_take_the_latest_season_that_is_known() -> None:
    inputs = torch.arange(1.0, 11.0)[None, :, None]
    ahead = SeasonalNaive(window=10, horizon=5, period=3)(inputs)
    assert ahead.flatten().tolist() == [8, 9, 10, 8, 9]
    centred = MovingAverage(window=10, horizon=4, period=4, average=3, centred=True)(inputs)
    assert centred.flatten().tolist() == [7, 8, 9, 6]


@pytest.mark.parametrize("name", SEQUENCES)
def test_no_forecast_depends_on_the_future(name: str) -> None:
    model, steps, changed = make(name), 40, 25
    series = noise(steps, 2)
    disturbed = series.clone()
    disturbed[changed:] += 10
    with torch.no_grad():
        before, after = model(series[None])[0], model(disturbed[None])[0]
    assert torch.equal(before[:changed], after[:changed])
    assert not torch.allclose(before[changed:], after[changed:])


@every_model
def test_sequences_of_any_length(name: str) -> None:
    model = make(name)
    for length in (1, 5, 33):
        inputs = noise(3, length, 2)
        if length < model.shortest:
            with pytest.raises(ZooError, match=f"looks at {model.shortest} steps and got {length}"):
                model(inputs)
        else:
            assert model(inputs).shape == (3, length if model.output == "sequence" else 2, 2)


@pytest.mark.parametrize("name", ["linear", "dense", "seasonal difference", "causal conv"])
def test_of_long_windows_only_the_end_is_seen(name: str) -> None:
    model, inputs = make(name), noise(3, 40, 2)
    torch.testing.assert_close(model(inputs), model(inputs[:, -16:]))


def test_bidirectional_network_ends_where_each_direction_ends() -> None:
    network, inputs = make("bidirectional lstm").network, noise(3, 12, 2)
    assert isinstance(network, RecurrentNet)
    _, (hidden, _) = network.recurrent(inputs)
    expected = network.head(torch.cat([hidden[-2], hidden[-1]], 1)).unflatten(1, (2, 2))
    torch.testing.assert_close(network(inputs), expected)


@pytest.mark.parametrize("name", ["stateful rnn", "stateful lstm"])
def test_stateful_pass_over_chunks_equals_one_over_the_whole(name: str) -> None:
    model, series = make(name), noise(3, 50, 2)
    assert isinstance(model, Stateful)
    whole = model(series)
    chunks = [model.read(chunk) for chunk in series.split([20, 7, 23], dim=1)]
    torch.testing.assert_close(torch.cat(chunks, 1), whole)
    model.reset()
    torch.testing.assert_close(model.read(series), whole)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm sequence", "conv lstm sequence"])
def test_stateless_model_forgets(name: str) -> None:
    model, series = make(name), noise(1, 12, 2)
    first = model(series)
    model(100 * noise(1, 50, 2))
    assert torch.equal(model(series), first)


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (Linear(), 31),
        (DenseForecaster(), 431),
        (Recurrent(), 30_401),
        (Recurrent(output="sequence"), 30_401),
        (Stateful(cell="lstm"), 121_301),
        (ConvLSTM(), 16_865),
        (CausalConv(), 10_529),
    ],
    ids=lambda value: type(value).__name__,
)
def test_networks_of_the_notes_have_their_parameters(model: torch.nn.Module, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_recurrent_networks_begin_as_in_keras(cell: Any) -> None:
    network = Recurrent(cell=cell, hidden_size=8).network
    kernel = network.recurrent.weight_hh_l1
    torch.testing.assert_close(kernel.T @ kernel, torch.eye(8))
    biases = network.recurrent.bias_ih_l1.view(-1, 8)
    assert biases.sum(1).tolist() == {"rnn": [0], "lstm": [0, 8, 0, 0], "gru": [0, 0, 0]}[cell]


@every_model
def test_saved_and_loaded_model_is_the_same(name: str, tmp_path: Path) -> None:
    model, golden = make(name), {"input": noise(4, 12, 2)}
    weights.save(model, tmp_path / "model", {"recipe": "mine"}, golden)
    loaded = zoo.load(tmp_path / "model")
    assert torch.equal(loaded.answer(golden), weights.load_golden(tmp_path / "model")["answer"])
    assert torch.equal(loaded(model.example_input()), model(model.example_input()))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"receptive_field": 64}, 64),
        ({"receptive_field": 65}, 128),
        ({"receptive_field": 20, "kernel_size": 3}, 31),
        ({"receptive_field": 16, "gated": True}, 16),
        ({"receptive_field": 20, "stride": 2}, 32),
        ({"receptive_field": 20, "kernel_size": 3, "stride": 3}, 21),
    ],
)
def test_receptive_field_is_what_a_gradient_finds(arguments: dict[str, Any], expected: int) -> None:
    torch.manual_seed(0)
    network = CausalConvNet(channels=16, **arguments)
    inputs = noise(64, 150, 1).requires_grad_()
    network.features(inputs)[:, -1].sum().backward()
    assert inputs.grad is not None
    seen = inputs.grad.abs().sum((0, 2)).nonzero().flatten()
    assert network.receptive_field == expected
    assert seen.tolist() == list(range(150 - expected, 150))


@pytest.mark.parametrize("length", [1, 5, 8, 30, 100])
@pytest.mark.parametrize("arguments", [{}, {"kernel_size": 3}, {"gated": True}, {"stride": 2}, {"stride": 3}])
def test_last_step_alone_is_that_of_all_steps(arguments: dict[str, Any], length: int) -> None:
    torch.manual_seed(0)
    net = CausalConvNet(num_series=2, channels=6, receptive_field=30, **arguments)
    inputs = noise(3, length, 2)[:, -net.receptive_field :]
    torch.testing.assert_close(net.last_features(inputs), net.features(inputs)[:, -1])


def test_long_sequence_is_cut_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    model, series = make("wavenet sequence"), noise(1, 700, 2)
    whole = model(series)
    monkeypatch.setattr(CausalConv, "LONG", 100)
    with torch.inference_mode():
        torch.testing.assert_close(model(series), whole.detach())


@every_model
def test_forecast_of_one_window_is_the_output(name: str) -> None:
    model = make(name)
    history = noise(12, 2)
    ahead = model.forecast(history, model.horizon)
    torch.testing.assert_close(ahead, model(history[None])[0, -model.horizon :].detach())


@every_model
def test_forecast_goes_on_from_its_own_forecasts(name: str) -> None:
    model = make(name).train()
    history = noise(3, 12, 2)
    ahead = model.forecast(history, 7)
    assert model.training
    known = history
    model.eval()
    while known.shape[1] < 12 + 7:
        # What carries its state sees all that was, everything else a window.
        seen = known if isinstance(model, Carrying) and model.output == "sequence" else known[:, -12:]
        known = torch.cat([known, model(seen)[:, -model.horizon :].detach()], 1)
    torch.testing.assert_close(ahead, known[:, 12:19])


@every_model
def test_forecasts_from_many_points_are_those_from_each(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, series, origins = make(name), noise(40, 2), range(12, 41, 2)
    expected = torch.stack([model.forecast(series[:origin], 5) for origin in origins])
    for at_once in (24, 1 << 17):
        for module in ("rolling", "recurrent", "stateful"):
            monkeypatch.setattr(f"zoo.series.{module}.STEPS_AT_ONCE", at_once)
        torch.testing.assert_close(model.train().forecast_from(series, origins, 5), expected)
        assert model.training


def test_long_history_is_read_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    model, history = make("stateful lstm"), noise(2, 40, 2)
    whole = model.forecast(history, 3)
    monkeypatch.setattr("zoo.series.recurrent.STEPS_AT_ONCE", 14)
    torch.testing.assert_close(model.forecast(history, 3), whole)


def test_stateful_model_reads_a_series_once_however_many_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    model, read = make("stateful lstm"), []
    predict_on = Stateful.predict_on

    def noted(self: Stateful, inputs: Tensor, state: Any) -> Any:
        read.append(inputs.shape[:2].numel())
        return predict_on(self, inputs, state)

    monkeypatch.setattr(Stateful, "predict_on", noted)
    model.forecast_from(noise(200, 2), range(100, 201), 4)
    assert sum(read) == 200 + 101 * 3


def test_forecast_of_a_stateful_model_knows_the_whole_history() -> None:
    history = noise(40, 2)
    changed = history.clone()
    changed[20] += 10
    for name, differs in (("stateful rnn", True), ("rnn sequence", False)):
        model = make(name)
        assert torch.equal(model.forecast(history, 3), model.forecast(changed, 3)) != differs


@pytest.mark.parametrize(("residual", "expected"), [("last", [10.0, 10.0]), ("season", [8.0, 9.0])])
def test_network_that_says_nothing_forecasts_no_change(residual: Any, expected: list[float]) -> None:
    model = Linear(window=5, horizon=2, period=3, mean=[7.0], std=[3.0], residual=residual)
    torch.nn.init.zeros_(next(model.network.parameters()))
    torch.testing.assert_close(model(torch.arange(6.0, 11.0)[None, :, None]).flatten(), torch.tensor(expected))


@pytest.mark.parametrize(("name", "invariant"), [("rnn", True), ("relative wavenet", True), ("wavenet", False)])
def test_level_means_nothing_to_a_relative_network(name: str, invariant: bool) -> None:
    model, inputs = make(name), noise(3, 12, 2)
    expected = model(inputs) + 50
    assert torch.allclose(model(inputs + 50), expected, atol=1e-3) == invariant


def test_noise_disturbs_training_only() -> None:
    model = Linear(window=400, std=[10.0], input_noise=0.3, level_noise=2.0)
    torch.manual_seed(0)
    inputs, targets = model.disturb(torch.zeros(500, 400, 1), torch.zeros(500, 1, 1))
    assert abs(targets.std() - 2) < 0.2
    level = inputs.mean(1, keepdim=True)
    torch.testing.assert_close(level, targets, atol=0.1, rtol=0)
    assert abs((inputs - targets).std() - 0.3) < 0.01
    batch = noise(8, 400, 1), noise(8, 1, 1)
    first, second = (model.validation_step(batch, 0)["forecasts"] for _ in range(2))
    assert torch.equal(first, second)
    assert model.training_step(batch, 0) != model.training_step(batch, 0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SeasonalNaive(window=30), "looks 365 steps back, but window is 30; use --data.window 365"),
        (lambda: SeasonalDifference(window=400), "looks 415 steps back, but window is 400"),
        (lambda: SeasonalNaive(period=1), "needs a season, but period is 1"),
        (lambda: MovingAverage(centred=True, average=11), "needs a season"),
        (lambda: MovingAverage(centred=True, average=4, period=7), "average is 4, expected an odd number"),
        (lambda: Recurrent(cell="ltsm"), "no cell 'ltsm'; there are rnn, lstm, gru; did you mean 'lstm'"),  # type: ignore[arg-type]
        (lambda: Recurrent(bidirectional=True, output="sequence"), "would see the future it forecasts"),
        (lambda: Recurrent(cell="gru", activation="relu"), "activation 'relu' is for cell 'rnn'"),
        (lambda: Recurrent(output="sequence", horizon=3), "forecasts one step, not horizon 3"),
        (lambda: CausalConv(stride=2, output="sequence"), "stride 2 leaves out steps"),
        (lambda: ConvLSTM(stride=2), "stride 2 leaves out steps"),
        (lambda: Linear(residual="season", period=52), "a window that holds a season; found"),
        (lambda: Linear(relative=True), "relative needs residual 'last' or 'season'"),
        (lambda: Linear(input_noise=-1.0), "input_noise is -1.0, expected at least 0"),
        (lambda: Linear(mean=[1.0, 2.0]), "mean has 2 values for 1 series"),
        (lambda: Linear(std=[0.0]), "std is .*, expected more than 0"),
        (lambda: Linear(window=0), "window is 0, expected at least 1"),
        (lambda: Linear(optimizer="adan"), "there are adamw, adam, sgd, muon; did you mean 'adam'"),
        (lambda: Linear()(torch.zeros(1, 30, 2)), r"inputs have shape \(1, 30, 2\), expected \(N, T, 1\)"),
        (lambda: Linear().forecast(torch.zeros(29, 1), 1), "looks at 30 steps and got 29"),
        (lambda: Linear().forecast(torch.full((30, 1), torch.nan), 1), "NaN or infinite"),
        (lambda: Linear().forecast(torch.zeros(30, 1), 0), "horizon is 0"),
        (lambda: Linear().forecast_from(torch.zeros(50, 1), range(29, 40), 1), "from the window, 30, up to 50"),
        (lambda: Linear().forecast_from(torch.zeros(50, 1), range(30, 52), 1), "origins are range.30, 52."),
        (lambda: Linear().training_step((torch.zeros(4, 30, 1), torch.zeros(4, 30, 1)), 0), "must agree on output"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ZooError, match=message) as refusal:
        build()
    assert "\n" not in str(refusal.value)


def test_history_may_be_an_array_or_a_list() -> None:
    history = SyntheticSeries().values[-30:, 0]
    expected = Naive().forecast(history[:, None], 2)
    for given in (history, history.numpy(), history.tolist()):
        assert torch.equal(Naive().forecast(given, 2), expected[:, 0])


@every_model
def test_a_level_far_above_the_steps_changes_nothing(name: str) -> None:
    """What 32 bits would round to multiples of 64 is forecast as if the level were taken off."""
    level = 1e9 + 21
    near, history = make(name), noise(30, 2).double()
    torch.manual_seed(0)
    far = type(near)(**{**near.hparams, "mean": [mean + level for mean in near.hparams["mean"]]}).eval()
    expected = near.forecast(history, 5)
    for found in (far.forecast(history + level, 5), far.forecast_from(history + level, range(30, 31), 5)[0]):
        assert found.dtype == torch.float64
        assert torch.allclose((found - level).float(), expected, atol=1e-4)


MONTH_ENDS = np.arange("2020-02", "2022-08", dtype="M8[M]").astype("M8[D]") - 1


@pytest.mark.parametrize(
    ("index", "following"),
    [
        (pandas.date_range("2024-01-31", periods=30, freq="D"), ["2024-03-01", "2024-03-02"]),
        (pandas.DatetimeIndex(MONTH_ENDS), ["2022-07-31", "2022-08-31"]),
        (pandas.date_range("2024-03-29", periods=30, freq="h", tz="Europe/Berlin"), ["2024-03-30 06:00+01:00",
                                                                                     "2024-03-30 07:00+01:00"]),
        (pandas.period_range("2020Q1", periods=30, freq="Q"), ["2027Q3", "2027Q4"]),
        (pandas.RangeIndex(100, 160, 2), [160, 162]),
        (pandas.Index([f"row {number}" for number in range(30)]), [30, 31]),
    ],
    ids=["days", "months", "zone", "quarters", "numbers", "words"],
)  # fmt: skip
def test_frame_comes_back_for_a_frame(index: Any, following: list[Any]) -> None:
    history = SyntheticSeries().values[-30:, 0].numpy()
    expected = Naive().forecast(history, 2).numpy()
    ahead = Naive().forecast(pandas.Series(history, index=index, name="bread"), 2)
    assert (type(ahead), ahead.name) == (pandas.Series, "bread")
    assert ahead.to_numpy() == pytest.approx(expected)
    wanted = [
        type(index[0])(one) if isinstance(index, pandas.DatetimeIndex | pandas.PeriodIndex) else one
        for one in following
    ]
    assert list(ahead.index) == wanted
    frame = pandas.DataFrame({"bread": history, "cakes": history + 1}, index=index)
    both = Naive(num_series=2).forecast(frame, 2)
    assert list(both.columns) == ["bread", "cakes"]
    assert both["cakes"].to_numpy() == pytest.approx(expected + 1)
    assert list(both.index) == wanted
