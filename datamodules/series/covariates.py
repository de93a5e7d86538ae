"""What is known beside series: ahead, such as prices and what the calendar tells, or only up to now."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.memory import Split, rows_at
from datamodules.series.calendar import columns, features
from datamodules.series.timeline import Timeline
from datamodules.windows import Windows


class Covariates(NamedTuple):
    """Numbers recorded beside series.

    Args:
        past: Names of those known up to now.
        known: Names of those known ahead.
        values: In their own units, float64 ``(T + F, P + K, S)``, those of ``past`` first; ``S`` is 1 where all series
            share them. ``F`` rows more than the series have tell what is known ahead, and NaN of the rest.
    """

    past: Sequence[str]
    known: Sequence[str]
    values: np.ndarray


class Beside:
    """The covariates of a series, recorded and computed, as models are shown them.

    Args:
        name: What messages call the series.
        timeline: When it was measured.
        length: How many points it has, ``T``.
        recorded: What was recorded beside it; None if nothing was.
        calendar: What the times tell, see :mod:`~datamodules.series.calendar`.
        holidays: A country whose holidays count.
        spread: For how many series they are told one by one; 1 if a model sees all series at once.
        dtype: Of the series.

    Attributes:
        past: Names of what is known up to now.
        known: Names of what was recorded of what is known ahead.
    """

    def __init__(
        self,
        name: str,
        timeline: Timeline,
        length: int,
        recorded: Covariates | None,
        calendar: Sequence[str],
        holidays: str | None,
        spread: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        nothing = Covariates([], [], np.empty((length, 0, 1)))
        recorded = nothing if recorded is None else recorded
        self.past, self.known = list(recorded.past), list(recorded.known)
        self.calendar, self.holidays = list(calendar), holidays
        self.name, self.timeline, self.length = name, timeline, length
        rows, *others = recorded.values.shape
        count = len(self.past) + len(self.known)
        if rows < length or others not in ([count, 1], [count, spread]):
            raise DataError(
                f"{name} has {length} points, but covariates of shape {recorded.values.shape}; expected as many rows "
                f"or more, {count} columns, and 1 number in each, or {spread}"
            )
        self.recorded, self.spread = torch.as_tensor(recorded.values).to(dtype), spread
        self.computed = len(columns(self.calendar, holidays))

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def count(self) -> int:
        """Number of covariates, recorded and computed."""
        return self.recorded.shape[1] + self.computed

    def rows(self, start: int, stop: int) -> Tensor:
        """Those of some points, ``(stop - start, P + K, S)``: past, recorded and computed, NaN where nothing is known.

        Args:
            start: The first point.
            stop: The one after the last, which may lie ahead of the series.
        """
        recorded = self.recorded[start:stop]
        beyond = recorded.new_full((stop - start - len(recorded), *recorded.shape[1:]), torch.nan)
        clock = torch.from_numpy(features(self.timeline, start, stop, self.calendar, self.holidays))
        shared = clock.to(recorded.dtype)[..., None].expand(-1, -1, recorded.shape[2])
        return torch.cat([torch.cat([recorded, beyond]), shared], 1).expand(-1, -1, self.spread)

    def only(self, places: Sequence[int]) -> Self:
        """Those of some series, by their places."""
        some = copy.copy(self)
        if self.spread > 1:
            some.spread = len(places)
            some.recorded = self.recorded if self.recorded.shape[2] == 1 else self.recorded[..., places]
        return some

    def check(self, values: Tensor, series: Sequence[str]) -> None:
        """Refuses covariates that lack something where there is a series.

        Args:
            values: The series, ``(T, C)``.
            series: Their names.

        Raises:
            DataError: One does; column and time are named. Or what times tell cannot be computed.
        """
        features(self.timeline, 0, 1, self.calendar, self.holidays)  # which refuses what it cannot compute
        lacking = self.recorded[: self.length].isnan()
        if lacking.any():
            lacking = lacking & ~values.isnan()[:, None]
        for row, column, place in lacking.nonzero()[:1].tolist():
            raise DataError(
                f"{self.name} has no number in '{[*self.past, *self.known][column]}'{self._whose(series, place)} at "
                f"{self._told(row)}, and {int(lacking.sum())} are missing in all; fill them in"
            )

    def _whose(self, series: Sequence[str], place: int) -> str:
        return f" of '{series[place]}'" if self.recorded.shape[2] > 1 else ""

    def _told(self, point: int) -> str:
        return self.timeline.write(self.timeline.at(np.array([point])))[0]

    def check_ahead(self, horizon: int, series: Sequence[str], hint: str) -> None:
        """Refuses to look further ahead than is known.

        Args:
            horizon: Steps ahead.
            series: Names of the series.
            hint: What to do about it.

        Raises:
            DataError: A covariate lacks a step, which is named.
        """
        first = len(self.past)
        ahead = self.recorded[self.length : self.length + horizon, first:]
        beyond = ahead.new_full((horizon - len(ahead), *ahead.shape[1:]), torch.nan)
        ahead = torch.cat([ahead, beyond])
        lacking = ahead.isnan().nonzero().tolist()
        if lacking:
            step, column, place = min(lacking)
            raise DataError(
                f"{self.name} does not say what '{self.known[column]}'{self._whose(series, place)} will be at "
                f"{self._told(self.length + step)}, step {step + 1} of {horizon}; {hint}"
            )

    def facts(self, stop: int) -> dict[str, Any]:
        """What a model needs to know of them: names, and means and standard deviations of what was recorded.

        Args:
            stop: Where the training period ends.
        """
        if not self:
            return {}
        seen = self.recorded[:stop].double().movedim(1, 0).flatten(1)
        mean = seen.nanmean(1)
        std = (seen - mean[:, None]).square().nanmean(1).sqrt()
        return {
            "past": self.past,
            "known": self.known,
            "calendar": self.calendar,
            "holidays": self.holidays,
            "mean": mean.tolist(),
            "std": torch.where(std > 0, std, 1.0).tolist(),
        }


class WindowsBeside(Windows):
    """Windows of series and what lies beside them; of what is not known ahead there is NaN. See :class:`Windows`.

    Args:
        values: The series, ``(T, C)``.
        window: Number of steps that are seen.
        horizon: Number of steps that follow.
        sequence: Every step of the window has its successor as target, instead.
        beside: Covariates of the same points, ``(T, P + K, S)``, if there are any.
        past: Number of those that are known up to now.

    Shape:
        - Inputs: ``(N, window, C)``; with covariates ``(N, window + horizon, C + (P + K) * S)``, see :func:`joined`.
        - Targets: ``(N, horizon, C)``, or ``(N, window, C)`` for sequences.
    """

    def __init__(
        self,
        values: Tensor,
        window: int,
        horizon: int = 1,
        sequence: bool = False,
        beside: Tensor | None = None,
        past: int = 0,
    ) -> None:
        super().__init__(values, window, horizon, sequence)
        self.beside = None if beside is None else beside.unfold(0, window + horizon, 1).movedim(-1, 1)
        self.past = past

    def __getitem__(self, positions: Any) -> Split:
        inputs, targets = super().__getitem__(positions)
        if self.beside is None:
            return inputs, targets
        return joined(inputs, rows_at(self.beside, positions), self.past), targets


def joined(values: Tensor, beside: Tensor, past: int) -> Tensor:
    """Windows with their covariates in one tensor, as models take them.

    Args:
        values: ``(N, T, C)``.
        beside: ``(N, T + H, P + K, S)``; ``S`` is 1 where all series share them, else ``C``.
        past: How many of the covariates are known up to now, ``P``.

    Returns:
        ``(N, T + H, C + (P + K) * S)``: the series, then each covariate of all series. Of the ``H`` steps ahead it
        tells what is known ahead alone, and NaN of the rest.
    """
    ahead = beside.shape[-3] - values.shape[-2]
    padding = values.new_full((*values.shape[:-2], ahead, values.shape[-1]), torch.nan)
    beside = beside.clone()
    beside[..., values.shape[-2] :, :past, :] = torch.nan
    return torch.cat([torch.cat([values, padding], -2), beside.flatten(-2)], -1)
