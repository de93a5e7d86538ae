"""What the classics share: parameters from a whole series at once, and a filter over whatever history is given."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.series.closed_form import ClosedForm

# Points that parameters are estimated from at most, as many as the longest of windows has.
_LATEST = 2048


class Classic(ClosedForm):
    """Base of the classics; a subclass estimates parameters of one series, and continues many by them.

    Training estimates the parameters of each series by itself, from the training period of a :class:`Series`, of which
    the latest 2,048 points count; batches are not looked at. A forecast filters the window anew, in float64, so that
    weights are parameters alone. See :class:`Forecaster` for the arguments; windows should be as long as can be:
    ``--data.window longest``.

    Attributes:
        found: What was estimated for each series, ``(C, P)``.
        has: Which parameters the model of each series has, ``(C, P)``.

    Raises:
        ZooError: It is trained on something else than a series of the zoo.
    """

    # Of the parameters, in the order of the columns.
    columns: tuple[str, ...] = ()
    can_pool = False  # every series has parameters of its own
    looks_beside = False
    found: Tensor
    has: Tensor
    counted: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.shortest = 1
        shape = (self.num_series, len(self.columns))
        self.register_buffer("found", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("has", torch.zeros(shape, dtype=torch.bool))
        self.register_buffer("counted", torch.zeros((), dtype=torch.long))

    @property
    def is_fitted(self) -> bool:
        """Whether parameters have been estimated."""
        return bool(self.counted > 0)

    def parameters_found(self, series: int = 0) -> dict[str, float]:
        """What was estimated for a series, by name.

        Args:
            series: Its number.
        """
        rows = zip(self.columns, self.found[series].tolist(), self.has[series].tolist(), strict=True)
        return {name: value for name, value, there in rows if there}

    def estimate(self, values: np.ndarray) -> dict[str, float]:
        """Estimates the parameters of one normalised series, float64 ``(T,)``."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its parameters are estimated")

    def go_on(self, values: Tensor, horizon: int, parameters: dict[str, float]) -> Tensor:
        """Continues normalised histories of one series, float64 ``(N, T)``, by ``(N, horizon)``."""
        raise NotImplementedError(f"{type(self).__name__} does not say how a series goes on")

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Nothing: see :meth:`find`."""
        return self.no_loss()

    def find(self) -> None:
        """Estimates the parameters."""
        splits = getattr(self.trainer.datamodule, "splits", None)  # type: ignore[attr-defined]
        if not isinstance(splits, dict) or not isinstance(splits.get("train"), Tensor):
            raise ZooError(
                f"{type(self).__name__} estimates its parameters from a whole series; train it on a data module of "
                "datamodules.series"
            )
        self.fit(splits["train"])

    @torch.no_grad()
    def fit(self, values: Tensor) -> None:
        """Estimates the parameters of each series.

        Args:
            values: The series in their own unit, ``(T, C)``.

        Raises:
            ZooError: They are too short.
        """
        if len(values) <= self.reach + 3:
            raise ZooError(f"{type(self).__name__} needs more than {self.reach + 3} points, found {len(values)}")
        history = self.normalise(values[-_LATEST:].to(self.device).double()).double().cpu().numpy()
        for number, column in enumerate(history.T):
            estimated = self.estimate(np.ascontiguousarray(column))
            row = [estimated.get(name, 0.0) for name in self.columns]
            self.found[number] = torch.tensor(row, dtype=self.found.dtype)
            self.has[number] = torch.tensor([name in estimated for name in self.columns])
        self.counted.fill_(len(history))

    def forward(self, inputs: Tensor) -> Tensor:
        """Forecasts in the series' own unit."""
        return self.extend(self.take(inputs), self.horizon)

    @torch.no_grad()
    def extend(self, known: Tensor, horizon: int) -> Tensor:
        """Continues checked series ``(N, T, C)`` by as many steps as wanted, at once."""
        self.check_fitted()
        latest = self.series_of(known, horizon)[:, -self.window :]
        history = self.normalise(latest).double()
        ahead = [
            self.go_on(history[..., number], horizon, self.parameters_found(number))
            for number in range(self.num_series)
        ]
        return self.denormalise(torch.stack(ahead, -1), latest)
