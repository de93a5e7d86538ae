"""One small forecaster of every kind, with weights and numbers that are the same in every run."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.series.baselines import MovingAverage, Naive, SeasonalDifference, SeasonalNaive
from zoo.series.causal_conv import CausalConv
from zoo.series.conv_lstm import ConvLSTM
from zoo.series.forecaster import Forecaster
from zoo.series.linear import DenseForecaster, Linear
from zoo.series.recurrent import Recurrent
from zoo.series.stateful import Stateful

SMALL: dict[str, Any] = {"num_series": 2, "window": 12, "mean": [5.0, -5.0], "std": [2.0, 3.0]}
TWO_AHEAD = {**SMALL, "horizon": 2}

VECTORS: dict[str, Callable[[], Forecaster]] = {
    "naive": lambda: Naive(**TWO_AHEAD),
    "seasonal naive": lambda: SeasonalNaive(**TWO_AHEAD, period=7),
    "moving average": lambda: MovingAverage(**TWO_AHEAD, average=4),
    "centred average": lambda: MovingAverage(**TWO_AHEAD, period=7, average=3, centred=True),
    "seasonal difference": lambda: SeasonalDifference(**TWO_AHEAD, period=7, average=5, past_average=3),
    "linear": lambda: Linear(**TWO_AHEAD),
    "dense": lambda: DenseForecaster(**TWO_AHEAD, residual="season", period=7),
    "rnn": lambda: Recurrent(**TWO_AHEAD, hidden_size=6, residual="last", relative=True),
    "bidirectional lstm": lambda: Recurrent(**TWO_AHEAD, cell="lstm", hidden_size=6, bidirectional=True),
    "gru": lambda: Recurrent(**TWO_AHEAD, cell="gru", hidden_size=6, dropout=0.5),
    "causal conv": lambda: CausalConv(**TWO_AHEAD, channels=6, stride=2),
    "wavenet": lambda: CausalConv(**TWO_AHEAD, channels=6, gated=True, residual="last"),
    "relative wavenet": lambda: CausalConv(
        **TWO_AHEAD, channels=6, gated=True, residual="season", relative=True, period=7
    ),
    "conv lstm": lambda: ConvLSTM(**TWO_AHEAD, channels=6, hidden_size=6, stride=2, output="vector"),
}
SEQUENCES: dict[str, Callable[[], Forecaster]] = {
    "rnn sequence": lambda: Recurrent(**SMALL, hidden_size=6, output="sequence", residual="last"),
    "lstm sequence": lambda: Recurrent(**SMALL, cell="lstm", hidden_size=6, output="sequence"),
    "gru sequence": lambda: Recurrent(**SMALL, cell="gru", hidden_size=6, output="sequence"),
    "stateful rnn": lambda: Stateful(**SMALL, hidden_size=6),
    "stateful lstm": lambda: Stateful(**SMALL, cell="lstm", hidden_size=6, residual="last"),
    "causal conv sequence": lambda: CausalConv(**SMALL, channels=6, kernel_size=3, output="sequence"),
    "wavenet sequence": lambda: CausalConv(**SMALL, channels=6, gated=True, output="sequence"),
    "conv lstm sequence": lambda: ConvLSTM(**SMALL, channels=6, hidden_size=6),
}
ALL = {**VECTORS, **SEQUENCES}

every_model = pytest.mark.parametrize("name", ALL)


def make(name: str) -> Forecaster:
    """A model with weights that are the same in every run."""
    torch.manual_seed(0)
    return ALL[name]().eval()


def noise(*shape: int) -> Tensor:
    """Normal random numbers, the same in every run."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))
