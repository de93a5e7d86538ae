"""Linear and dense forecasters of the notes: a window in, the next steps out."""

from collections.abc import Sequence

from torch import Tensor, nn

from zoo.module import Schedule
from zoo.series.forecaster import Forecaster, Loss, OptimizerName, Residual
from zoo.series.initialisation import keras_initialise


class DenseNet(nn.Sequential):
    """A multilayer perceptron over a flattened window; linear if it has no hidden layer.

    Args:
        num_series: Number of series, ``C``.
        window: Steps of a window, ``T``.
        horizon: Steps ahead, ``H``.
        hidden_sizes: Widths of the hidden layers, each with ReLU.

    Shape:
        - Input: ``(N, T, C)``; of more steps the last ``window`` are looked at.
        - Output: ``(N, H, C)``.
    """

    def __init__(self, num_series: int, window: int, horizon: int, hidden_sizes: Sequence[int] = ()) -> None:
        layers: list[nn.Module] = []
        width = window * num_series
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


class Linear(Forecaster):
    """Forecasts a weighted sum of the window. See :class:`Forecaster` for the arguments.

    Shape:
        - Input: ``(N, T, C)``, ``T`` at least ``window``.
        - Output: ``(N, H, C)``.
    """

    def __init__(
        self,
        num_series: int = 1,
        window: int = 30,
        horizon: int = 1,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        period: int = 1,
        naive_mae: Sequence[float] = (1.0,),
        residual: Residual = "none",
        relative: bool = False,
        input_noise: float = 0.0,
        level_noise: float = 0.0,
        loss: Loss = "huber",
        delta: float = 1.0,
        optimizer: OptimizerName = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        schedule: Schedule = "constant",
    ) -> None:
        super().__init__(
            num_series, window, horizon, mean, std, period, naive_mae, "vector", residual, relative, input_noise,
            level_noise, loss, delta, optimizer, lr, weight_decay, momentum, schedule,
        )  # fmt: skip
        self.save_hyperparameters()
        self.shortest = window
        self.network = DenseNet(num_series, window, horizon)


class DenseForecaster(Forecaster):
    """Forecasts with :class:`DenseNet`. See :class:`Forecaster` for the arguments not listed.

    Args:
        hidden_sizes: Widths of the hidden layers, each with ReLU.

    Shape:
        - Input: ``(N, T, C)``, ``T`` at least ``window``.
        - Output: ``(N, H, C)``.
    """

    def __init__(
        self,
        num_series: int = 1,
        window: int = 30,
        horizon: int = 1,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        period: int = 1,
        naive_mae: Sequence[float] = (1.0,),
        hidden_sizes: Sequence[int] = (10, 10),
        residual: Residual = "none",
        relative: bool = False,
        input_noise: float = 0.0,
        level_noise: float = 0.0,
        loss: Loss = "huber",
        delta: float = 1.0,
        optimizer: OptimizerName = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        schedule: Schedule = "constant",
    ) -> None:
        super().__init__(
            num_series, window, horizon, mean, std, period, naive_mae, "vector", residual, relative, input_noise,
            level_noise, loss, delta, optimizer, lr, weight_decay, momentum, schedule,
        )  # fmt: skip
        self.save_hyperparameters()
        self.shortest = window
        self.network = DenseNet(num_series, window, horizon, hidden_sizes)
