"""Forecasters that answer together."""

from typing import Any, cast

import torch
from torch import Tensor

from zoo.ensemble import Ensemble
from zoo.errors import ZooError
from zoo.series.forecaster import Forecaster


class ForecastEnsemble(Ensemble, Forecaster):
    """The mean of several forecasters (Bates and Granger, 1969), each of which looks at a window as long as its own.

    See :class:`Ensemble` and :class:`Forecaster` for the arguments.

    Shape:
        - Input: float ``(N, T, C)``.
        - Output: ``(N, H, C)``.

    Raises:
        ZooError: A member forecasts another horizon, other series, or a sequence.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for member in self._forecasters:
            found = (member.horizon, member.num_series, member.output)
            takes_all = member.pooled and not self.pooled
            expected = (self.horizon, 1 if takes_all else self.num_series, "vector")
            if member.beside.names != self.beside.names:
                raise ZooError(
                    f"a member looks at {member.beside.told or 'no covariates'}, expected "
                    f"{self.beside.told or 'none'}, as the data has"
                )
            if found != expected or self.pooled > member.pooled:
                raise ZooError(
                    f"a member forecasts {found[0]} steps of {found[1]} series as a {found[2]}, expected "
                    f"{self.horizon} of {self.num_series} as a vector"
                )
        self.shortest = max(member.shortest for member in self._forecasters)

    @property
    def _forecasters(self) -> list[Forecaster]:
        return cast(list[Forecaster], list(self.members))

    def forward(self, inputs: Any) -> Tensor:
        """Mean of the forecasts, in the series' own unit."""
        given = self.take(inputs)
        beyond = self.rows_ahead(1)
        return torch.stack([member(given[:, -member.window - beyond :]) for member in self._forecasters]).mean(0)
