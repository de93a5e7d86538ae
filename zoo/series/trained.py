"""What those forecasters share that learn by gradients: what the network is shown, what is made of it, the loss."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.frames import is_frame
from datamodules.series.transform import difference
from zoo.base.optimization import Optimized, one_of
from zoo.base.rows import Rows, last_layer, rows_of
from zoo.errors import ZooError
from zoo.series.covariates import Beside, Effect
from zoo.series.forecaster import Forecaster, Output
from zoo.series.metrics import seasons_back
from zoo.series.quantiles import ascending_from, check_quantiles, pinball

Residual = Literal["none", "last", "season", "auto"]
Loss = Literal["huber", "mse", "mae"]


class TrainedForecaster(Forecaster, Optimized):
    """Base of the forecasters that learn by gradients. See :class:`Forecaster` for the arguments not listed.

    A series is taken to be the sum of what the covariates known ahead do to it at each step and of what the network
    forecasts (dynamic regression; Hyndman and Athanasopoulos, 2021, chapter 10): the network is shown the window less
    these effects, and those of the steps ahead are added to its forecast. Covariates of the past are more inputs of it.

    Args:
        output: ``vector`` forecasts the ``horizon`` steps after the window; ``sequence`` forecasts, at every step of
            the window, the next one.
        residual: What the network's output is added to: ``none``, the ``last`` value, or the value one ``season`` back;
            ``auto`` is the season, if there is one that the window holds, or the last value.
        relative: Show the network the window less what its output is added to first, so that levels it was never
            trained on change nothing (NLinear; Zeng et al., 2023). For a residual and output ``vector``.
        input_noise: Standard deviation of noise added to the inputs in training, in those of the series; it keeps small
            data from being learnt by heart (Bishop, 1995).
        level_noise: Likewise of an offset that all values of a window share, inputs and targets.
        loss: ``huber`` (Huber, 1964), ``mse`` or ``mae``, of normalised values.
        delta: Where the Huber loss turns from square to straight, in standard deviations.
        effect_hidden_size: Width of the hidden layer by which covariates known ahead act together on the series; 0
            makes their effect a weighted sum.
        quantiles: Of what may happen, such as ``[0.1, 0.5, 0.9]``, forecast beside each other by one network with
            output ``vector``. The pinball loss takes the place of ``loss``, and the median is the forecast, of which
            evaluations tell. See :meth:`forecast_quantiles`.

    Attributes:
        out_features: Numbers that the network puts out for a step.

    Raises:
        ZooError: The arguments contradict each other.
    """

    learnt = ("network.", "effect.")

    def __init__(
        self,
        output: Output = "vector",
        residual: Residual = "none",
        relative: bool = False,
        input_noise: float = 0.0,
        level_noise: float = 0.0,
        loss: Loss = "huber",
        delta: float = 1.0,
        effect_hidden_size: int = 16,
        quantiles: list[float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        for name, choice, known in (("output", output, Output), ("residual", residual, Residual), ("loss", loss, Loss)):
            one_of(name, choice, get_args(known))
        for name, noise in (("input_noise", input_noise), ("level_noise", level_noise)):
            if not noise >= 0:
                raise ZooError(f"{name} is {noise}, expected at least 0")
        if residual == "auto":
            fits = output == "vector" and 1 < self.period <= self.window - self.reach
            residual = "season" if fits else "last"
        if output == "sequence" and self.differences:
            raise ZooError("differences need output 'vector'; leave out --data.transform")
        if relative and (residual == "none" or output == "sequence"):
            raise ZooError(
                f"relative needs residual 'last' or 'season' and output 'vector'; "
                f"found residual {residual!r}, output {output!r}"
            )
        if output == "sequence" and self.horizon > 1:
            raise ZooError(f"output 'sequence' forecasts one step, not horizon {self.horizon}; use output 'vector'")
        self.output, self.residual, self.relative, self.loss, self.delta = output, residual, relative, loss, delta
        self.input_noise, self.level_noise = input_noise, level_noise
        if output == "sequence" and self.beside:
            raise ZooError("covariates need output 'vector'; leave out --data.known, --data.past, --data.calendar")
        self.in_features = self.num_series + self.beside.num_past
        self.quantiles = tuple(quantiles or ())
        self.out_features = self.num_series * max(len(self.quantiles), 1)
        if quantiles is not None:
            self._check_quantiles()
            self._shown = self._median = self.quantiles.index(0.5)
        if self.beside.num_known:
            self.effect = Effect(self.beside.num_known, self.num_series, effect_hidden_size)
        if residual == "season":
            if output == "sequence" or not 1 < self.period <= self.window - self.reach:
                raise ZooError(
                    f"residual 'season' needs output 'vector' and a window that holds a season; "
                    f"found output {output!r}, window {self.window}, period {self.period}"
                )
            self.shortest = self.period

    def _check_quantiles(self) -> None:
        check_quantiles(self.quantiles)
        if self.output == "sequence":
            raise ZooError("quantiles need output 'vector'; leave them out, or use another output")
        # Behind that values are sums of several changes, and quantiles of a sum are no sums of quantiles.
        if self.differences and self.horizon > (reach := min(self.differences)):
            raise ZooError(
                f"quantiles of differences of lag {reach} tell those of values {reach} steps ahead at most, and "
                f"horizon is {self.horizon}; use a shorter --data.horizon, or leave out the differences or quantiles"
            )

    def rows(self) -> dict[str, Rows]:
        """A row of the last layer for each step ahead of each series; that of the median stands for the forecast."""
        suffixes = ["" if one == 0.5 else f" at {one}" for one in self.quantiles or (0.5,)]
        names = [
            f"{step} of {series}{suffix}"
            for step in range(self.horizon)
            for series in range(self.num_series)
            for suffix in suffixes
        ]
        return rows_of(self, last_layer(self.network), Rows("steps", names))

    def predict(self, inputs: Tensor, beside: Beside | None = None) -> Tensor:
        """Normalised forecasts from normalised inputs."""
        found = self._predict_all(inputs, beside)
        return found[self._shown] if self.quantiles else found

    def _predict_all(self, inputs: Tensor, beside: Beside | None = None) -> Tensor:
        """Likewise, but all quantiles, if any were asked for, ``(Q, N, H, C)``."""
        self._check_steps(inputs, self.shortest)
        if beside is None:
            return self._go_on_from(inputs)
        steps = inputs.shape[1]
        past = beside.past[:, -steps:]
        if not self.beside.num_known:
            return self._go_on_from(inputs, past)
        effects = difference(self.effect(beside.known), self.differences)
        return self._go_on_from(inputs - effects[:, :steps], past) + effects[:, steps:]

    def _go_on_from(self, inputs: Tensor, past: Tensor | None = None) -> Tensor:
        """What the network makes of a window and the covariates of its past, on top of the anchor."""
        anchor = None if self.residual == "none" else self.anchor(inputs)
        shown = inputs - anchor[:, :1] if self.relative and anchor is not None else inputs
        found = self.network(shown if past is None else torch.cat([shown, past], 2))
        if self.quantiles:
            found = ascending_from(found.unflatten(2, (self.num_series, -1)), self._median)
        return found if anchor is None else anchor + found

    @contextmanager
    def at(self, quantile: float) -> Iterator[None]:
        """Inside, forecasts are those of another quantile than the median.

        Args:
            quantile: One of those that the network forecasts.

        Raises:
            ZooError: It is none of them.
        """
        if quantile not in self.quantiles:
            told = ", ".join(map(str, self.quantiles)) or "none"
            raise ZooError(f"quantile {quantile} is not forecast; there are {told}; train with --model.quantiles")
        self._shown, before = self.quantiles.index(quantile), self._shown
        try:
            yield
        finally:
            self._shown = before

    def forecast_quantiles(self, history: Any, horizon: int) -> Any:
        """How a series may go on: the value that it stays below with each of the probabilities ``quantiles``.

        They are as right as what the network has learnt; ``zoo forecast`` corrects them by what came true later
        (conformalised quantile regression; Romano et al., 2019).

        Args:
            history: As :meth:`forecast` takes it.
            horizon: Steps to forecast, as many as the network forecasts at once or fewer: further ones would take the
                medians before them for true.

        Returns:
            A tensor ``(horizon, C, Q)``, ``(N, horizon, C, Q)`` or ``(horizon, Q)``; of a frame one with the quantiles
            in its columns, each with the series beneath.

        Raises:
            ZooError: The model forecasts no quantiles, or not so far ahead, or the history is refused.
        """
        if not self.quantiles:
            raise ZooError("the model forecasts no quantiles; train one with --model.quantiles='[0.1, 0.5, 0.9]'")
        if horizon > self.horizon:
            raise ZooError(
                f"horizon is {horizon}, and quantiles are forecast {self.horizon} steps ahead; ask for {self.horizon} "
                "at most, or train with a longer --data.horizon"
            )
        found = []
        for quantile in self.quantiles:
            with self.at(quantile):
                found.append(self.forecast(history, horizon))
        if is_frame(history):
            import pandas as pd

            return pd.concat(found, axis=1, keys=self.quantiles)
        return torch.stack(found, -1)

    def anchor(self, inputs: Tensor) -> Tensor:
        """What the network's output is added to."""
        if self.residual == "season":
            return inputs[:, [-back for back in seasons_back(self.horizon, self.period)]]
        return inputs if self.output == "sequence" else inputs[:, -1:]

    def error(self, forecasts: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """The loss of normalised forecasts."""
        forecasts = forecasts.float()
        if self.quantiles:
            losses = pinball(forecasts[None], targets, [0.5])
            return losses.mean() if reduction == "mean" else losses
        if self.loss == "huber":
            return F.huber_loss(forecasts, targets, delta=self.delta, reduction=reduction)
        return (F.mse_loss if self.loss == "mse" else F.l1_loss)(forecasts, targets, reduction=reduction)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor | None:
        """Loss of a batch."""
        inputs, beside = self.apart(batch[0])
        inputs, targets = self.disturb(*self.normalise_pair(inputs, batch[1]))
        forecasts = self._predict_all(inputs, beside)
        if not self.quantiles:
            return self.error(self.agree(forecasts, targets), targets)
        self.agree(forecasts[self._median], targets)
        return pinball(forecasts.float(), targets, self.quantiles).mean()

    def disturb(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Adds the noise that training asks for to normalised values."""
        if self.level_noise:
            levels = self.levels(targets)
            inputs, targets = inputs + levels, targets + levels
        if self.input_noise:
            inputs = inputs + self.input_noise * torch.randn_like(inputs)
        return inputs, targets

    def levels(self, targets: Tensor) -> Tensor:
        """Random offsets of the windows of a batch, ``(N, 1, C)``."""
        return self.level_noise * torch.randn_like(targets[:, :1])
