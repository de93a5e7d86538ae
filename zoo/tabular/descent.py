"""The path of gradient descent over the loss surface of a line: weight, bias and time of every step."""

import time
from typing import NamedTuple

import torch
from torch import Tensor


class DescentPath:
    """Points ``(weight, bias, seconds)``, the starting point and one a step.

    Seconds are those of training epochs, from their start to the end of the step; validation is not counted.

    Args:
        points: A path to go on with, as :meth:`state` returned it.
    """

    def __init__(self, points: Tensor | None = None) -> None:
        self._finished = torch.zeros(0, 3, dtype=torch.float64) if points is None else points.cpu()
        self._recent: list[Tensor] = []
        self._times: list[float] = []
        self._seconds = float(self._finished[-1, 2]) if len(self._finished) else 0.0
        self._clock = time.perf_counter()

    def __len__(self) -> int:
        return len(self._finished) + len(self._recent)

    def start_clock(self) -> None:
        """Counts time from now on, for the steps of an epoch."""
        self._finished, self._recent, self._times = self.state(), [], []
        self._clock = time.perf_counter()

    def add(self, weight: Tensor, bias: Tensor) -> None:
        """Adds a point, which stays on its device until the epoch has ended."""
        now = time.perf_counter()
        if len(self):
            self._seconds, self._clock = self._seconds + now - self._clock, now
        self._recent.append(torch.stack([weight.reshape(()), bias]))
        self._times.append(self._seconds)

    def state(self) -> Tensor:
        """All points, float64 ``(steps + 1, 3)``."""
        if not self._recent:
            return self._finished
        seconds = torch.tensor(self._times, dtype=torch.float64).unsqueeze(1)
        return torch.cat([self._finished, torch.cat([torch.stack(self._recent).cpu(), seconds], 1)])


class Surface(NamedTuple):
    """The mean squared error of a line over its weight and bias: a paraboloid, known by five means.

    Attributes:
        x: Mean of the inputs.
        y: Mean of the targets.
        xx: Mean of the squared inputs.
        xy: Mean of inputs times targets.
        yy: Mean of the squared targets.
    """

    x: float
    y: float
    xx: float
    xy: float
    yy: float

    @classmethod
    def of(cls, inputs: Tensor, targets: Tensor) -> "Surface":
        """The surface of a data set, both ``(N, 1)``."""
        x, y = inputs.double().flatten(), targets.double().flatten()
        return cls(*(float(product.mean()) for product in (x, y, x * x, x * y, y * y)))

    def loss(self, weight: Tensor, bias: Tensor) -> Tensor:
        """The mean squared error at weights and biases of any shape."""
        # About the minimum, so that nothing cancels near it.
        best_weight, best_bias = self.minimum
        across, up = weight - best_weight, bias - best_bias
        return self.least + self.xx * across**2 + 2 * self.x * across * up + up**2

    @property
    def minimum(self) -> tuple[float, float]:
        """Weight and bias of the least-squares fit."""
        weight = (self.xy - self.x * self.y) / (self.xx - self.x**2)
        return weight, self.y - weight * self.x

    @property
    def least(self) -> float:
        """The mean squared error of the least-squares fit."""
        weight, _ = self.minimum
        return max(self.yy - self.y**2 - weight * (self.xy - self.x * self.y), 0.0)

    @property
    def highest_rate(self) -> float:
        """The learning rate beyond which gradient descent diverges: two through the largest curvature."""
        curvature = torch.tensor([[self.xx, self.x], [self.x, 1.0]], dtype=torch.float64) * 2
        return 2 / float(torch.linalg.eigvalsh(curvature)[-1])
