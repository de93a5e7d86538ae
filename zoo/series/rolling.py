"""Forecasts of any length, from one point or from many, each forecast becoming input of the next."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, overload

import numpy as np
import torch
import torch.nn.functional as F
from lightning import LightningModule
from torch import Tensor

from datamodules.frames import continued, is_frame, times
from datamodules.series.resolution import in_few_bits
from datamodules.series.timeline import Timeline
from zoo.base.inputs import to_tensor, told
from zoo.errors import ZooError
from zoo.series.covariates import Covariates
from zoo.series.pooling import as_columns, as_rows, of_what_is_known

# Steps of windows that are looked at together, which bounds the memory of forecasts from many points.
STEPS_AT_ONCE = 1 << 17


class Rolling(LightningModule):
    """What a forecaster does with :meth:`forward`, which forecasts ``horizon`` steps after a window.

    Attributes:
        num_series: Number of series, ``C``.
        window: Steps that a forecast is made from.
        horizon: Steps that are forecast at once.
        shortest: Steps without which nothing can be forecast.
        pooled: Whether any number of series is forecast, each by itself.
        beside: The covariates that are looked at.
    """

    num_series: int
    window: int
    horizon: int
    shortest: int
    pooled: bool
    beside: Covariates

    @property
    def reach(self) -> int:
        """Steps of a window that its differences use up."""
        raise NotImplementedError(f"{type(self).__name__} does not say whether it takes differences")

    def check(self, inputs: Tensor) -> None:
        """Refuses inputs of a wrong shape."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it takes")

    @overload
    def forecast(self, history: Tensor | np.ndarray | Sequence[Any], horizon: int) -> Tensor: ...
    @overload
    def forecast(self, history: Any, horizon: int) -> Any: ...
    @torch.inference_mode()
    def forecast(self, history: Any, horizon: int) -> Any:
        """Continues a series by as many steps as wanted; forecasts become inputs of the next ones.

        Args:
            history: The series up to now in its own unit, a tensor, an array or a list: ``(T, C)``, or several of equal
                length, ``(N, T, C)``; of a single series ``(T,)``, too; or a ``DataFrame`` or ``Series`` of pandas,
                whose times, if its index has any, ascend at equal distances. Of fewer steps than ``window`` forecasts
                are made that training has never shown. Pooled series may begin later than others: NaN before that.
                With covariates it is ``(T + horizon, C + P + K)``, as the class says; in a frame they are columns of
                their names, and rows behind the last value tell what is known ahead, but for what times tell.
            horizon: Steps to forecast.

        Returns:
            A tensor ``(horizon, C)``, ``(N, horizon, C)`` or ``(horizon,)``, on the model's device, float32, or float64
            if float32 would round what changes in the history from step to step; of a frame one like it, whose index
            goes on.

        Raises:
            ZooError: The history is too short, has gaps or another number of series, or holds no numbers.
        """
        if is_frame(history) and self.beside:
            values, history = self.beside.join(history, horizon, self.pooled)
        else:
            values = _numbers(history)
        if is_frame(history):
            following = self.forecast(values, horizon).cpu().numpy()
            following = following[:, 0] if following.ndim > history.ndim else following
            moments = times(history)
            future = None
            if moments is not None:
                future = Timeline.of(moments).at(np.arange(len(moments), len(moments) + horizon))
            return continued(history, following, future)
        if values.ndim == 1 and self.num_series == 1 and not self.beside:
            return self.forecast(values[:, None], horizon)[:, 0]
        known = self._known(values[None] if values.ndim == 2 else values, horizon)
        self._check_ends(self.series_of(known, horizon))
        self._check_ahead(known, horizon)
        with self._evaluating():
            ahead = self.go_ahead(known, horizon)
        return ahead[0] if values.ndim == 2 else ahead

    @torch.inference_mode()
    def forecast_from(self, series: Any, origins: range, horizon: int) -> Tensor:
        """Forecasts a series from many of its points, each time knowing only what lies before, as many at once as fit.

        Args:
            series: The series in its own unit, ``(T, C)``, as :meth:`forecast` takes it; with covariates it may go on.
            origins: Numbers of steps that are known, each at least ``window``; ``origins[i]`` is the point that row
                ``i`` forecasts first.
            horizon: Steps to forecast.

        Returns:
            ``(len(origins), horizon, C)`` on the model's device; row ``i`` is what :meth:`forecast` makes of
            ``series[:origins[i]]``; NaN where covariates are not known so far ahead.

        Raises:
            ZooError: An origin is not within the series or too early, or the series has gaps.
        """
        known = self._known(_numbers(series)[None], horizon)[0]
        length = len(known) - self.rows_ahead(horizon)
        if not origins or origins.step < 1 or not self.window <= origins[0] <= origins[-1] <= length:
            raise ZooError(
                f"origins are {origins}; expected them to ascend from the window, {self.window}, up to {length}"
            )
        with self._evaluating():
            return self.roll(known, origins, horizon)

    def _known(self, history: Tensor, horizon: int) -> Tensor:
        """A history that has been checked, ``(N, T, C)``; with covariates ``(N, T + rows_ahead, C + P + K)``."""
        if not isinstance(horizon, Integral) or horizon < 1:
            raise ZooError(f"horizon is {horizon!r}, expected a whole number of at least 1")
        beyond = self.rows_ahead(horizon) - self.rows_ahead(1)
        if self.beside:
            history = self._with_rows_ahead(history, horizon)
        self.check(history[:, : len(history[0]) - beyond] if beyond and history.ndim == 3 else history)
        known = in_few_bits(history)
        if known.dtype == torch.float64 and self.device.type == "mps":
            raise ZooError("the history changes by less than 32 bits tell apart, and mps knows no more; use device cpu")
        known = known.to(self.device)
        told, _ = self.apart_by_time(known, self.rows_ahead(horizon))
        if not (self._without_ends(told) if self.pooled else told).isfinite().all():
            raise ZooError("the history holds values that are NaN or infinite; fill or drop them first")
        return known

    def rows_ahead(self, horizon: int) -> int:
        """Steps of covariates ahead that so many steps take, forecast ``self.horizon`` at once; none without any."""
        return -(-horizon // self.horizon) * self.horizon if self.beside else 0

    def series_columns(self, inputs: Tensor) -> int:
        """How many of the columns of inputs are series."""
        return inputs.shape[-1] // (1 + len(self.beside.names)) if self.pooled else self.num_series

    def series_of(self, known: Tensor, horizon: int) -> Tensor:
        """The series in what is known, up to now."""
        return known[..., : known.shape[-2] - self.rows_ahead(horizon), : self.series_columns(known)]

    def apart_by_time(self, known: Tensor, ahead: int) -> tuple[Tensor, Tensor]:
        """What is told up to now, and what is of the steps ahead: the covariates that are known so early alone."""
        series, length = self.series_columns(known), known.shape[-2] - ahead
        ours = series + self.beside.num_past * (series if self.pooled else 1)
        return known[..., :length, :], known[..., length:, ours:]

    def _with_rows_ahead(self, history: Tensor, horizon: int) -> Tensor:
        """A history with covariates that ends as many rows behind its last value as a forecast takes."""
        if history.ndim != 3:
            return history
        lacking = history[..., : self.series_columns(history)].isnan().all(-1).all(0)
        length = len(lacking) - int(lacking.flip(0).long().cumprod(0).sum())
        stop = length + self.rows_ahead(horizon)
        known = history[:, :stop] if history.is_floating_point() else history[:, :stop].double()
        return F.pad(known, (0, 0, 0, max(stop - history.shape[1], 0)), value=torch.nan)

    def _check_ahead(self, known: Tensor, horizon: int) -> None:
        """Refuses covariates that are not known as far ahead as a forecast goes."""
        if self.beside.num_past and horizon > self.horizon:
            raise ZooError(
                f"horizon is {horizon}, but nobody knows {', '.join(self.beside.past)} of the steps ahead, and the "
                f"model forecasts {self.horizon} of them at once; use {self.horizon} at most, or train with a longer "
                "--data.horizon"
            )
        rows = self.rows_ahead(horizon)
        _, ahead = self.apart_by_time(known, rows)
        lacking = (~ahead[:, :horizon].isfinite()).nonzero()
        if len(lacking):
            _, step, column = lacking[lacking[:, 1].argmin()].tolist()
            name = self.beside.names[self.beside.num_past :][
                column // (self.series_columns(known) if self.pooled else 1)
            ]
            raise ZooError(
                f"'{name}' is not known at step {step + 1} of {horizon} ahead; name it in a row behind the last value "
                "of the series"
            )

    @staticmethod
    def _without_ends(known: Tensor) -> Tensor:
        """Series with zeros where they have not begun, or are over."""
        there = (~known.isnan()).long()
        is_inside = (there.cumsum(1) > 0) & (there.flip(1).cumsum(1).flip(1) > 0)
        return torch.where(is_inside, known, 0)

    def _check_ends(self, known: Tensor) -> None:
        """Refuses series that are over, or too short, of which there can be some if they are pooled."""
        if not self.pooled:
            return
        lengths = (~known.isnan()).sum(1)
        least = self.shortest + self.reach
        if (over := known[:, -1].isnan()).any():
            place = int(over.any(0).nonzero()[0])
            raise ZooError(f"series {place} is over before the others; leave it out, or end the history there")
        if (short := lengths < least).any():
            place = int(short.any(0).nonzero()[0])
            raise ZooError(
                f"series {place} has {int(lengths[:, place].min())} steps, and {type(self).__name__} looks at {least}; "
                "leave it out"
            )

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        was_training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(was_training)

    def go_ahead(self, known: Tensor, horizon: int) -> Tensor:
        """Continues checked series ``(N, T, C)``; pooled ones each by itself, as many at once as fit."""
        if not self.pooled:
            return self.extend(known, horizon)
        beyond, features = self.rows_ahead(horizon), 1 + len(self.beside.names)
        latest = known[:, -self.window - beyond :]
        parts = as_rows(latest, features).split(max(1, STEPS_AT_ONCE // (latest.shape[1] * features)))
        least = self.shortest + self.reach

        def extend(rows: Tensor) -> Tensor:
            return self.extend(rows, horizon)

        ahead = [of_what_is_known(extend, part, least, horizon, beyond) for part in parts]
        return as_columns(torch.cat(ahead), self.series_columns(known))

    def extend(self, known: Tensor, horizon: int) -> Tensor:
        """Continues checked series ``(N, T, C)``; the last ``window`` steps are looked at anew for every forecast."""
        if self.beside:
            return self._extend_beside(known.clone(), horizon)
        latest, ahead = known[:, -self.window :], []
        for _ in range(0, horizon, self.horizon):
            ahead.append(self(latest)[:, -self.horizon :].to(known.dtype))
            latest = torch.cat([latest, ahead[-1]], 1)[:, -self.window :]
        return torch.cat(ahead, 1)[:, :horizon]

    def _extend_beside(self, known: Tensor, horizon: int) -> Tensor:
        """Continues series with what lies beside them, ``(N, T + rows_ahead, C + P + K)``; writes into it."""
        first, series = known.shape[1] - self.rows_ahead(horizon), self.series_columns(known)
        for start in range(first, known.shape[1], self.horizon):
            stop = start + self.horizon
            known[:, start:stop, :series] = self(known[:, max(start - self.window, 0) : stop]).to(known.dtype)
        return known[:, first : first + horizon, :series]

    def roll(self, known: Tensor, origins: range, horizon: int) -> Tensor:
        """Forecasts a checked series ``(T, C)`` from all origins; a forecast depends on its last ``window`` steps."""
        span = self.window + self.rows_ahead(horizon)
        windows = known.unfold(0, span, 1).transpose(1, 2)
        at_once = max(1, STEPS_AT_ONCE // (span * known.shape[1]))
        parts = [origins[start : start + at_once] for start in range(0, len(origins), at_once)]
        starts = [[origin - self.window for origin in part] for part in parts]
        return torch.cat([self.go_ahead(windows[part], horizon) for part in starts])


def _numbers(series: Any) -> Tensor:
    """The values of a series.

    Raises:
        ZooError: It holds no numbers.
        DataError: Its times do not ascend at equal distances, or a column holds no numbers.
    """
    if is_frame(series) and (moments := times(series)) is not None:
        Timeline.of(moments)
    values = to_tensor(series)
    if values is None:
        raise ZooError(f"the series is {told(series)}, expected numbers (T, C), or (T,) of a single one")
    return values
