"""A causal convolution in front of LSTMs, as in the notes: short patterns first, then their course."""

from typing import Any

from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.series.causal_conv import CausalConv1d
from zoo.series.forecaster import Output
from zoo.series.initialisation import keras_initialise
from zoo.series.recurrent import RecurrentNet
from zoo.series.trained import TrainedForecaster


class ConvLSTMNet(nn.Module):
    """A causal convolution with ReLU, stacked LSTMs, a dense layer.

    Args:
        num_series: Number of series, ``C``.
        horizon: Steps ahead, ``H``; 1 for a sequence.
        channels: Kernels of the convolution.
        kernel_size: Their size.
        stride: Of the convolution: the LSTMs read every ``stride``-th place only. With output ``vector``.
        hidden_size: Width of every LSTM.
        num_layers: Number of LSTMs.
        output: ``vector`` or ``sequence``.
        dropout: Probability of dropping a unit between two LSTMs in training.
        in_features: Numbers a step; ``num_series`` if left out.

    Shape:
        - Input: ``(N, T, in_features)``, any ``T``.
        - Output: ``(N, H, C)`` for a vector; ``(N, T, C)`` for a sequence, whose step ``t`` has seen inputs ``<= t``.

    Raises:
        ZooError: A sequence is to have a stride.
    """

    def __init__(
        self,
        num_series: int = 1,
        horizon: int = 1,
        channels: int = 32,
        kernel_size: int = 5,
        stride: int = 1,
        hidden_size: int = 32,
        num_layers: int = 2,
        output: Output = "vector",
        dropout: float = 0.0,
        in_features: int | None = None,
    ) -> None:
        super().__init__()
        if stride > 1 and output == "sequence":
            raise ZooError(f"stride {stride} leaves out steps, which output 'sequence' cannot; use output 'vector'")
        self.convolution = CausalConv1d(
            num_series if in_features is None else in_features, channels, kernel_size, stride=stride
        )
        keras_initialise(self.convolution)
        self.recurrent = RecurrentNet(
            channels, num_series, horizon, hidden_size, num_layers, "lstm", output=output, dropout=dropout
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """The forecasts."""
        return self.recurrent(self.convolution(inputs.transpose(1, 2)).relu().transpose(1, 2))


class ConvLSTM(TrainedForecaster):
    """Forecasts with :class:`ConvLSTMNet`. See :class:`TrainedForecaster` for the arguments not listed.

    Args:
        channels: Kernels of the convolution.
        kernel_size: Their size.
        stride: Of the convolution, for output ``vector``.
        hidden_size: Width of every LSTM.
        num_layers: Number of LSTMs.
        dropout: Probability of dropping a unit between two LSTMs in training.

    Shape:
        - Input: ``(N, T, C)``, any ``T``.
        - Output: ``(N, H, C)`` for a vector, ``(N, T, C)`` for a sequence.
    """

    def __init__(
        self,
        channels: int = 32,
        kernel_size: int = 5,
        stride: int = 1,
        hidden_size: int = 32,
        num_layers: int = 2,
        dropout: float = 0.0,
        output: Output = "sequence",
        **options: Any,
    ) -> None:
        super().__init__(output=output, **options)
        self.network = ConvLSTMNet(
            self.out_features, self.horizon, channels, kernel_size, stride, hidden_size, num_layers, output, dropout,
            self.in_features,
        )  # fmt: skip
