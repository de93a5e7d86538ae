"""Tables of numbers: float32 features ``(N, F)`` with integer labels ``(N,)`` or float32 targets ``(N, 1)``."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from sklearn.datasets import load_iris
from torch import Tensor

from datamodules.errors import DataError
from datamodules.memory import InMemory, Split, stratified_split


class Iris(InMemory):
    """The 150 irises of Fisher (1936): four lengths in centimetres, three species; bundled with scikit-learn.

    Splits are stratified: 30 % test, 14 % validation, 56 % train. Batches are ``(features (N, 4), species (N,))``.

    Args:
        batch_size: Flowers in a training batch of one process.
        eval_batch_size: Flowers in a validation or test batch of one process.
        seed: Determines the splits and the order of the training batches.
        whole: All flowers in every split, for what learns without labels and is asked about these flowers.
    """

    classes = ["setosa", "versicolor", "virginica"]
    num_classes = 3
    in_features = 4
    source = {
        "name": "Iris, as bundled with scikit-learn",
        "url": "https://archive.ics.uci.edu/dataset/53/iris",
        "licence": "CC BY 4.0",
    }

    def __init__(self, batch_size: int = 16, eval_batch_size: int = 64, seed: int = 0, whole: bool = False) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        self.save_hyperparameters()
        self.whole = whole

    def load(self) -> dict[str, Split]:
        """Reads and splits the flowers."""
        bunch = load_iris()
        features, species = bunch.data.astype(np.float32), bunch.target.astype(np.int64)
        if self.whole:
            everything = (torch.from_numpy(features), torch.from_numpy(species))
            return dict.fromkeys(("train", "val", "test"), everything)
        rest, test = stratified_split(species, 0.3, self.seed)
        train, val = stratified_split(species[rest], 0.2, self.seed)
        positions = {"train": rest[train], "val": rest[val], "test": test}
        return {
            name: (torch.from_numpy(features[rows]), torch.from_numpy(species[rows]))
            for name, rows in positions.items()
        }

    @property
    def mean(self) -> list[float]:
        """Mean of each feature over the training flowers, in centimetres."""
        return self.splits["train"][0].mean(0).tolist()

    @property
    def std(self) -> list[float]:
        """Standard deviation of each feature over the training flowers, in centimetres."""
        return self.splits["train"][0].std(0).tolist()


_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "square": torch.square,
    "abs": torch.abs,
}


class Function1D(InMemory):
    """Points ``y = scale * function(x) + offset`` on an interval, for fitting curves.

    Training points are equidistant; validation points lie half-way between them; test points are a grid ten times as
    dense. Batches are ``(x (N, 1), y (N, 1))`` in float32.

    Args:
        function: Name of the function.
        scale: Factor of the function.
        offset: Constant added.
        low: Start of the interval.
        high: End of the interval.
        points: Number of training points.
        batch_size: Points in a training batch of one process.
        eval_batch_size: Points in a validation or test batch of one process.
        seed: Determines the order of the training batches.

    Raises:
        DataError: The interval is empty or there are fewer than two points.
    """

    in_features = 1

    def __init__(
        self,
        function: Literal["sin", "cos", "tanh", "square", "abs"] = "sin",
        scale: float = 0.4,
        offset: float = 0.5,
        low: float = 0.0,
        high: float = 7.0,
        points: int = 1000,
        batch_size: int = 32,
        eval_batch_size: int = 4096,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        self.save_hyperparameters()
        if function not in _FUNCTIONS:
            raise DataError(f"no function {function!r}; there are {', '.join(_FUNCTIONS)}")
        if not low < high or points < 2:
            raise DataError(f"{points} points from {low} to {high}; expected at least two points and low < high")
        self.function, self.scale, self.offset = function, scale, offset
        self.low, self.high, self.points = low, high, points

    @property
    def source(self) -> dict[str, str]:
        """The formula."""
        formula = f"{self.scale} * {self.function}(x) + {self.offset}, x in {self.low}..{self.high}"
        return {"name": f"generated: {formula}", "licence": "CC0-1.0"}

    def load(self) -> dict[str, Split]:
        """Generates the points."""
        train = torch.linspace(self.low, self.high, self.points, dtype=torch.float64)
        inputs = {
            "train": train,
            "val": (train[1:] + train[:-1]) / 2,
            "test": torch.linspace(self.low, self.high, 10 * self.points, dtype=torch.float64),
        }
        return {name: (x.float()[:, None], self._target(x).float()[:, None]) for name, x in inputs.items()}

    def _target(self, x: Tensor) -> Tensor:
        return self.scale * _FUNCTIONS[self.function](x) + self.offset

    @property
    def mean(self) -> list[float]:
        """Mean of the training inputs."""
        return [(self.low + self.high) / 2]

    @property
    def std(self) -> list[float]:
        """Standard deviation of the training inputs."""
        return self.splits["train"][0].std(0).tolist()
