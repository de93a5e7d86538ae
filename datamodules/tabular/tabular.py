"""Tables of numbers: float32 features ``(N, F)`` with integer labels ``(N,)`` or float32 targets ``(N, 1)``."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from sklearn.datasets import load_iris
from torch import Tensor

from datamodules.errors import DataError
from datamodules.memory import InMemory, Split, stratified_split


class Features(InMemory):
    """Base of the rows of numbers: states their scale. A subclass implements :meth:`load`."""

    @property
    def mean(self) -> list[float]:
        """Mean of each feature over the training rows."""
        return self.splits["train"][0].mean(0).tolist()

    @property
    def std(self) -> list[float]:
        """Standard deviation of each feature over the training rows."""
        return self.splits["train"][0].std(0).tolist()


class Regression(Features):
    """Base of the rows with a number to predict: states the scale of both."""

    @property
    def target_mean(self) -> float:
        """Mean of the training targets."""
        return self.splits["train"][1].mean().item()

    @property
    def target_std(self) -> float:
        """Standard deviation of the training targets."""
        return self.splits["train"][1].std().item()


class Iris(Features):
    """The 150 irises of Fisher (1936): four lengths in centimetres, three species; bundled with scikit-learn.

    Splits are stratified: 30 % test, 14 % validation, 56 % train. Batches are ``(features (N, 4), species (N,))``.

    Args:
        batch_size: Flowers in a training batch of one process.
        eval_batch_size: Flowers in a validation or test batch of one process.
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

    def __init__(self, batch_size: int = 16, eval_batch_size: int = 64, whole: bool = False, **options: Any) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, **options)
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


_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "square": torch.square,
    "abs": torch.abs,
}


class Function1D(Features):
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
        eval_batch_size: Points in a validation or test batch of one process.

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
        eval_batch_size: int = 4096,
        **options: Any,
    ) -> None:
        super().__init__(eval_batch_size=eval_batch_size, **options)
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


class Celsius(Regression):
    """Seven temperatures in degrees Celsius with their Fahrenheit values, rounded to whole degrees as in the notes.

    Being rounded, they lie on no line: the one nearest to them is 1.797949 x + 31.952526, not 1.8 x + 32. Every split
    is the whole. Batches are ``(Celsius (N, 1), Fahrenheit (N, 1))`` in float32.

    Args:
        batch_size: Pairs in a training batch of one process.
        eval_batch_size: Pairs in a validation or test batch of one process.
    """

    in_features = 1
    source = {"name": "seven pairs of degrees Celsius and Fahrenheit, typed in", "licence": "CC0-1.0"}
    miniature = Regression.miniature | {"batch_size": 2}  # of seven pairs, more than one batch

    def __init__(self, batch_size: int = 7, eval_batch_size: int = 7, **options: Any) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, **options)

    def load(self) -> dict[str, Split]:
        """The pairs, three times."""
        celsius = torch.tensor([-40.0, -10.0, 0.0, 8.0, 15.0, 22.0, 38.0])
        fahrenheit = torch.tensor([-40.0, 14.0, 32.0, 46.0, 59.0, 72.0, 100.0])
        return dict.fromkeys(("train", "val", "test"), (celsius[:, None], fahrenheit[:, None]))


class NoisyLine(Regression):
    """Points ``y = slope * x + intercept + noise`` at random ``x``, a problem with two parameters.

    Every split has ``points`` points of its own, drawn from the same distribution: ``x`` uniform on an interval, noise
    normal. Batches are ``(x (N, 1), y (N, 1))`` in float32.

    Args:
        slope: Of the line.
        intercept: Of the line.
        noise: Standard deviation of the noise.
        low: Start of the interval.
        high: End of the interval.
        points: Number of points of each split.
        batch_size: Points in a training batch of one process.
        eval_batch_size: Points in a validation or test batch of one process.

    Raises:
        DataError: The interval is empty, there are fewer than two points, or the noise is negative.
    """

    in_features = 1

    def __init__(
        self,
        slope: float = 2.0,
        intercept: float = -1.0,
        noise: float = 0.5,
        low: float = 0.0,
        high: float = 2.0,
        points: int = 200,
        batch_size: int = 20,
        eval_batch_size: int = 4096,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, **options)
        if not low < high or points < 2:
            raise DataError(f"{points} points from {low} to {high}; expected at least two points and low < high")
        if not noise >= 0:
            raise DataError(f"noise is {noise}, expected a standard deviation: 0 or more")
        self.slope, self.intercept, self.noise = slope, intercept, noise
        self.low, self.high, self.points = low, high, points

    @property
    def source(self) -> dict[str, str]:
        """The formula."""
        line = f"{self.slope:g} x {'-' if self.intercept < 0 else '+'} {abs(self.intercept):g}"
        formula = f"{line} + {self.noise:g} e, x uniform in {self.low:g}..{self.high:g}, e standard normal"
        return {"name": f"generated: {formula}", "licence": "CC0-1.0"}

    def load(self) -> dict[str, Split]:
        """Draws the points."""
        generator = torch.Generator().manual_seed(self.seed)
        return {name: self._draw(generator) for name in ("train", "val", "test")}

    def _draw(self, generator: torch.Generator) -> Split:
        x = self.low + (self.high - self.low) * torch.rand(self.points, 1, generator=generator)
        return x, self.slope * x + self.intercept + self.noise * torch.randn(self.points, 1, generator=generator)
