"""Linear and dense forecasters of the notes: a window in, the next steps out."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from zoo.series.initialisation import keras_initialise
from zoo.series.trained import TrainedForecaster


class MLP(nn.Sequential):
    """A multilayer perceptron over a flattened window; linear if it has no hidden layer.

    Args:
        num_series: Number of series, ``C``.
        window: Steps of a window, ``T``.
        horizon: Steps ahead, ``H``.
        hidden_sizes: Widths of the hidden layers, each with ReLU.
        in_features: Numbers a step; ``num_series`` if left out.

    Shape:
        - Input: ``(N, T, in_features)``; of more steps the last ``window`` are looked at.
        - Output: ``(N, H, C)``.
    """

    def __init__(
        self,
        num_series: int,
        window: int,
        horizon: int,
        hidden_sizes: Sequence[int] = (),
        in_features: int | None = None,
    ) -> None:
        layers: list[nn.Module] = []
        width = window * (num_series if in_features is None else in_features)
        for size in hidden_sizes:
            layers += [nn.Linear(width, size), nn.ReLU()]
            width = size
        super().__init__(
            nn.Flatten(), *layers, nn.Linear(width, horizon * num_series), nn.Unflatten(1, (horizon, num_series))
        )
        self.window = window
        keras_initialise(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Forecasts from the last ``window`` steps."""
        return super().forward(inputs[:, -self.window :])


class Linear(TrainedForecaster):
    """Forecasts a weighted sum of the window. See :class:`TrainedForecaster` for the arguments.

    Shape:
        - Input: ``(N, T, C)``, ``T`` at least ``window``.
        - Output: ``(N, H, C)``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(output="vector", **options)
        self.shortest = self.window - self.reach
        self.network = MLP(self.out_features, self.shortest, self.horizon, in_features=self.in_features)


class DenseForecaster(TrainedForecaster):
    """Forecasts with :class:`MLP`. See :class:`TrainedForecaster` for the arguments not listed.

    Args:
        hidden_sizes: Widths of the hidden layers, each with ReLU.

    Shape:
        - Input: ``(N, T, C)``, ``T`` at least ``window``.
        - Output: ``(N, H, C)``.
    """

    def __init__(self, hidden_sizes: Sequence[int] = (10, 10), **options: Any) -> None:
        super().__init__(output="vector", **options)
        self.shortest = self.window - self.reach
        self.network = MLP(self.out_features, self.shortest, self.horizon, hidden_sizes, self.in_features)
