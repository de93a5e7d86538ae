"""Covariates of forecasters: how they come in beside a series, and what those known ahead do to it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from datamodules.errors import listed
from datamodules.frames import numbers, times
from datamodules.series.calendar import columns, features
from datamodules.series.timeline import Timeline
from zoo.errors import ZooError


class Beside(NamedTuple):
    """Standardised covariates of windows.

    Attributes:
        past: Those known up to now, ``(N, T, P)``.
        known: Those known ahead, ``(N, T + H, K)``.
    """

    past: Tensor
    known: Tensor


class Covariates:
    """Which covariates a forecaster is shown. The argument ``covariates`` of :class:`Forecaster` holds the arguments.

    Args:
        past: Names of those known up to now.
        known: Names of those recorded that are known ahead.
        calendar: What the times tell; see :mod:`datamodules.series.calendar`.
        holidays: A country whose holidays count.
        mean: Mean of each that was recorded, ``past`` first.
        std: Standard deviation, likewise.

    Raises:
        ZooError: There is not a mean and a standard deviation for each.
    """

    def __init__(
        self,
        past: Sequence[str] = (),
        known: Sequence[str] = (),
        calendar: Sequence[str] = (),
        holidays: str | None = None,
        mean: Sequence[float] = (),
        std: Sequence[float] = (),
    ) -> None:
        self.past, self.known, self.calendar, self.holidays = list(past), list(known), list(calendar), holidays
        recorded, computed = len(past) + len(known), columns(calendar, holidays)
        if not len(mean) == len(std) == recorded or not all(one > 0 for one in std):
            raise ZooError(
                f"covariates have mean {list(mean)} and std {list(std)}, expected one each for "
                f"{', '.join([*past, *known]) or 'none'}, and std above 0"
            )
        # What is computed has a scale already.
        self.mean = torch.tensor([*mean, *[0.0] * len(computed)])
        self.std = torch.tensor([*std, *[1.0] * len(computed)])
        self.names = [*past, *known, *computed]
        self.num_past, self.num_known = len(past), len(known) + len(computed)

    def __bool__(self) -> bool:
        return bool(self.names)

    @property
    def told(self) -> str:
        """Their names."""
        recorded = [*self.past, *self.known, *self.calendar]
        return ", ".join(recorded + ([f"holidays {self.holidays}"] if self.holidays else []))

    def join(self, frame: Any, horizon: int, pooled: bool) -> tuple[Tensor, Any]:
        """What a frame of pandas holds as models take it.

        Args:
            frame: Series and recorded covariates by name, those of one of several series as ``"A price"``; behind the
                last value of the series rows may follow that tell what is known ahead.
            horizon: Steps ahead, of which times tell what is computed.
            pooled: Whether series are forecast one by one.

        Returns:
            Float64 ``(T + F, C + (P + K) * S)``, and the part of the frame that holds the known values of the series.

        Raises:
            ZooError: A column is not there, nothing is in those of the series, or there are no times to compute from.
        """
        table = frame if hasattr(frame, "columns") else frame.to_frame()
        series, found = self._places(list(map(str, table.columns)), pooled)
        values = numbers(table).astype(np.float64)
        there = np.flatnonzero(~np.isnan(values[:, series]).all(1))
        if not len(there):
            raise ZooError("the frame holds no value of a series; expected some, beside the covariates")
        length = int(there[-1]) + 1
        spread = len(series) if pooled else 1
        recorded = values[:, found].reshape(len(values), -1, spread)
        total = max(len(values), length + horizon) if not self.known else len(values)
        values, recorded = (
            np.concatenate([one, np.full((total - len(one), *one.shape[1:]), np.nan)])
            for one in (values[:, series], recorded)
        )
        clock = np.repeat(self._clock(frame, total)[..., None], spread, 2)
        beside = np.concatenate([recorded, clock], 1).reshape(total, -1)
        known = frame.iloc[:length, series] if table is frame else frame.iloc[:length]
        return torch.from_numpy(np.concatenate([values, beside], 1)), known

    def _places(self, there: list[str], pooled: bool) -> tuple[list[int], list[int]]:
        """Places of the columns of the series, and of those of the covariates, all series of one after the other."""
        recorded = [*self.past, *self.known]
        shared = [name for name in recorded if name in there]
        lacking = [name for name in recorded if name not in there]
        owners = [name for name in there if name not in shared and not any(name.endswith(f" {one}") for one in lacking)]
        wanted = [[name if name in shared else f"{owner} {name}" for owner in owners] for name in recorded]
        if not pooled:
            wanted, owners = [[name] for name in recorded], [name for name in there if name not in shared]
        for name in (name for names in wanted for name in names):
            if name not in there:
                raise ZooError(f"the frame has no column '{name}', which the model looks at; it has {listed(there)}")
        return [there.index(name) for name in owners], [there.index(name) for names in wanted for name in names]

    def _clock(self, frame: Any, count: int) -> np.ndarray:
        moments = times(frame)
        if not (self.calendar or self.holidays):
            return np.empty((count, 0))
        if moments is None:
            raise ZooError(f"the model looks at {self.told}, but the frame has no times; give it an index of them")
        return features(Timeline.of(moments), 0, count, self.calendar, self.holidays)


class Effect(nn.Module):
    """What covariates that are known ahead do to a series (dynamic regression; Hyndman and Athanasopoulos, 2021).

    A weighted sum, and a hidden layer by which they may act together. It begins with no effect.

    Args:
        num_known: Number of covariates, ``K``.
        num_series: Number of series, ``C``.
        hidden_size: Width of the hidden layer; 0 leaves it out.

    Shape:
        - Input: ``(N, T, K)``, standardised.
        - Output: ``(N, T, C)``, in standard deviations of the series.
    """

    def __init__(self, num_known: int, num_series: int, hidden_size: int) -> None:
        super().__init__()
        # No bias: a level is the network's business.
        self.linear = nn.Linear(num_known, num_series, bias=False)
        nn.init.zeros_(self.linear.weight)
        self.hidden = None
        if hidden_size:
            last = nn.Linear(hidden_size, num_series, bias=False)
            nn.init.zeros_(last.weight)
            self.hidden = nn.Sequential(nn.Linear(num_known, hidden_size), nn.Tanh(), last)

    def forward(self, known: Tensor) -> Tensor:
        """The effects at every step."""
        effects = self.linear(known)
        return effects if self.hidden is None else effects + self.hidden(known)
