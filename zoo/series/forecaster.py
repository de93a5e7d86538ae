"""What every forecaster shares: normalisation, metrics, pictures."""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import Dataset

from datamodules.series.transform import difference, integrate, power, unpower
from zoo.base.inputs import inputs_of
from zoo.base.module import ZooModule
from zoo.errors import ZooError
from zoo.series.covariates import Beside, Covariates
from zoo.series.drawing import draw_coverage, draw_forecasts, draw_residuals
from zoo.series.metrics import Errors, naive_errors
from zoo.series.pooling import as_columns, as_rows, moments
from zoo.series.rolling import Rolling

# That of what data modules say of data, which is said once.
log = logging.getLogger("datamodules")

Output = Literal["vector", "sequence"]


class Forecaster(Rolling, ZooModule):
    """Base of the forecasters; a subclass adds ``self.network``, which maps normalised windows to normalised forecasts.

    Inputs and forecasts are in the series' own unit. Several series are forecast together, each normalised by itself:
    raised to a power, differenced, brought to zero mean and unit variance, and back the same way.
    An evaluation counts every value of its targets; of a sequence only the last step, since windows overlap.

    Args:
        num_series: Number of series, ``C``.
        window: Steps that a forecast is made from, ``T``.
        horizon: Steps that are forecast at once, ``H``.
        mean: Mean of each series in the training part, transformed; one value serves all.
        std: Standard deviation, likewise.
        period: Steps of a season; 1 if there is none.
        naive_mae: Mean absolute error that the naive forecast, or the seasonal one, makes on the training part of each
            series. It is the scale of MASE (Hyndman and Koehler, 2006).
        power: Exponent of Box and Cox's transformation (1964) of each series, 0 for the logarithm; 1 leaves it as it
            is, others need values above 0.
        differences: Lags of the differences that are taken after that, such as ``[1]``, or ``[12, 1]`` for those of the
            changes since last year.
        pooled: Forecast any number of series, each by itself as if there were no other, so ``num_series`` is 1. Each
            window is brought to zero mean and unit variance by its own moments instead of ``mean`` and ``std`` (RevIN;
            Kim et al., 2022), whence a series of any scale can be forecast that training has never shown.
        covariates: What lies beside the series: the arguments of :class:`~zoo.series.covariates.Covariates`. Nothing if
            left out.

    Shape:
        - Input: float ``(N, T, C)``; if pooled, of any ``C``, and NaN where a series has not begun. With ``P``
          covariates of the past and ``K`` that are known ahead ``(N, T + H, C + P + K)``, NaN where nothing is known
          ahead; if pooled, ``C`` columns of each covariate.
        - Output: ``(N, H, C)`` for a vector, ``(N, T, C)`` for a sequence; NaN where an input is.

    Attributes:
        output: ``vector`` or ``sequence``; see :class:`~zoo.series.trained.TrainedForecaster`.
        looks_beside: Whether covariates make a difference to it.
        metric: ``mae``; of several series ``mase``, or one in thousands would drown one in tenths.
        quantiles: Those that are forecast beside each other, if any; see
            :class:`~zoo.series.trained.TrainedForecaster`.
        can_pool: Whether it learns anything that several series could share.

    Raises:
        ZooError: The arguments contradict each other.
    """

    metric = "mae"
    output: Output = "vector"
    quantiles: tuple[float, ...] = ()
    can_pool = True
    looks_beside = True
    network: nn.Module
    mean: Tensor
    mean_rest: Tensor
    std: Tensor
    naive_mae: Tensor
    power: Tensor
    beside_mean: Tensor
    beside_std: Tensor

    def __init__(
        self,
        num_series: int = 1,
        window: int = 30,
        horizon: int = 1,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        period: int = 1,
        naive_mae: Sequence[float] = (1.0,),
        power: Sequence[float] = (1.0,),
        differences: Sequence[int] = (),
        pooled: bool = False,
        covariates: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if pooled and not self.can_pool:
            kind = type(self).__name__
            raise ZooError(f"{kind} has something of each series, so none can share it; use --data.pool false")
        if pooled and num_series > 1:
            raise ZooError(f"pooled forecasts any number of series one by one; num_series is {num_series}, expected 1")
        for name, count in (("num_series", num_series), ("window", window), ("horizon", horizon), ("period", period)):
            if count < 1:
                raise ZooError(f"{name} is {count}, expected at least 1")
        self.num_series, self.window, self.horizon, self.period = num_series, window, horizon, period
        self.shortest, self.pooled = 1, pooled
        for name, values, positive in (("mean", mean, False), ("std", std, True), ("naive_mae", naive_mae, True)):
            if len(values) not in (1, num_series):
                raise ZooError(f"{name} has {len(values)} values for {num_series} series; expected 1 or {num_series}")
            if positive and not min(values) > 0:
                raise ZooError(f"{name} is {list(values)}, expected more than 0; a constant series needs no model")
            self.register_buffer(name, torch.tensor(list(values), dtype=torch.float32))
        # What float32 leaves of the mean: steps of a series that needs 64 bits may be smaller. In 32 it adds nothing.
        rest = torch.tensor(list(mean), dtype=torch.float64) - self.mean
        self.register_buffer("mean_rest", rest.float(), persistent=False)
        self._keep_transformation(power, differences)
        self.beside = Covariates(**covariates or {})
        if self.beside:
            self.register_buffer("beside_mean", self.beside.mean, persistent=False)
            self.register_buffer("beside_std", self.beside.std, persistent=False)
        self.errors = Errors(horizon, num_series)
        self._of_each: Tensor | None = None
        if num_series > 1 or pooled:
            self.metric = "mase"

    def _keep_transformation(self, power: Sequence[float], differences: Sequence[int]) -> None:
        if len(power) not in (1, self.num_series) or not all(0 <= one <= 1 for one in power):
            raise ZooError(f"power is {list(power)}, expected 1 or {self.num_series} exponents from 0 to 1")
        if not all(isinstance(lag, int) and lag >= 1 for lag in differences) or sum(differences) >= self.window:
            raise ZooError(
                f"differences are {list(differences)}, expected steps of at least 1 that a window of {self.window} "
                "holds together; use a longer --data.window"
            )
        # The arguments determine them, so they have no place in a checkpoint.
        self.register_buffer("power", torch.tensor(list(power), dtype=torch.float32), persistent=False)
        self.is_raised, self.differences = any(one != 1 for one in power), list(differences)

    def forward(self, inputs: Tensor) -> Tensor:
        """Forecasts in the series' own unit."""
        given, beside = self.apart(self.take(inputs))
        windows = self.normalise(given)
        if not self.pooled:
            return self.denormalise(self.predict(windows, beside), given)
        return self.denormalise(as_columns(self.predict(as_rows(windows), beside), given.shape[2]), given)

    @property
    def takes(self) -> str:
        """Windows."""
        if self.beside:
            count = len(self.beside.names)
            series = f"C * {1 + count}" if self.pooled else f"{self.num_series + count}"
            return f"numbers (N, T + {self.horizon}, {series}), the series and {self.beside.told},"
        return "numbers (N, T, C)" if self.pooled else f"numbers (N, T, {self.num_series})"

    def apart(self, inputs: Tensor) -> tuple[Tensor, Beside | None]:
        """Series up to now, ``(N, T, C)``, and what lies beside them; pooled series are told one a row there."""
        if not self.beside:
            return inputs, None
        series = self.series_columns(inputs)
        rows = inputs[..., series:]
        rows = as_rows(rows, len(self.beside.names)) if self.pooled else rows
        rows = ((rows - self.beside_mean) / self.beside_std).to(self.mean.dtype)
        split = self.beside.num_past
        return inputs[:, : -self.horizon, :series], Beside(rows[:, : -self.horizon, :split], rows[..., split:])

    @property
    def reach(self) -> int:
        """Steps of a window that its differences use up."""
        return sum(self.differences)

    def normalise(self, values: Tensor) -> Tensor:
        """Transforms, and brings each series to zero mean and unit variance in the model's own precision.

        Args:
            values: ``(..., T, C)`` in the series' own unit.

        Returns:
            ``(..., T - reach, C)``.
        """
        values = difference(self._raised(values), self.differences)
        return self._scaled(values, values)

    def _scaled(self, values: Tensor, seen: Tensor) -> Tensor:
        mean, std = self._moments(seen)
        return ((values - mean) / std).to(self.mean.dtype)

    def _moments(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """What transformed values are brought to zero mean and unit variance by; those of what was seen, if pooled."""
        return moments(seen) if self.pooled else (self._mean(seen.dtype), self.std)

    def denormalise(self, values: Tensor, history: Tensor | None = None) -> Tensor:
        """Back to the series' own unit.

        Args:
            values: Normalised, ``(..., T, C)``.
            history: What came before in its own unit, of at least ``reach`` steps; needed if differences are taken or
                series are pooled, and then the very steps that were normalised.

        Returns:
            float32 ``(..., T, C)``, or float64 if the history is.
        """
        dtype = torch.float32 if history is None else torch.promote_types(history.dtype, torch.float32)
        if not self.differences and not self.pooled:
            values = values.to(dtype) * self.std + self._mean(dtype)
        elif history is None:
            raise ZooError("differences, and pooled series, cannot be brought back without what came before")
        else:
            before = self._raised(history).to(dtype)
            mean, std = self._moments(difference(before, self.differences))
            values = integrate(values.to(dtype) * std + mean, before, self.differences)
        return unpower(values, self.power) if self.is_raised else values

    def _mean(self, dtype: torch.dtype) -> Tensor:
        return self.mean.to(torch.promote_types(dtype, self.mean.dtype)) + self.mean_rest

    def _raised(self, values: Tensor) -> Tensor:
        return power(values, self.power.to(values.dtype)) if self.is_raised else values

    def normalise_pair(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Normalises windows and what follows them, whose first differences reach back into the windows."""
        if not self.differences and not self.pooled:
            return self.normalise(inputs), self.normalise(targets)
        together = difference(self._raised(torch.cat([inputs, targets], -2)), self.differences)
        seen, ahead = together[..., : -targets.shape[-2], :], together[..., -targets.shape[-2] :, :]
        return self._scaled(seen, seen), self._scaled(ahead, seen)

    def predict(self, inputs: Tensor, beside: Beside | None = None) -> Tensor:
        """Normalised forecasts from normalised inputs."""
        self._check_steps(inputs, self.shortest)
        return self.network(inputs)

    def check(self, inputs: Tensor) -> None:
        """Refuses inputs of a wrong shape.

        Raises:
            ZooError: They are no ``(N, T, C)``, or too short.
        """
        width = 1 + len(self.beside.names) if self.pooled else self.num_series + len(self.beside.names)
        if inputs.ndim != 3 or (inputs.shape[2] % width if self.pooled else inputs.shape[2] != width):
            raise ZooError(f"inputs have shape {tuple(inputs.shape)}, expected {self.takes.removeprefix('numbers ')}")
        self._check_steps(inputs[:, : inputs.shape[1] - self.rows_ahead(1)], self.shortest + self.reach)

    def check_known(self, inputs: Tensor) -> None:
        """Refuses holes in what a user gives, but where nothing can be known yet."""
        told, ahead = self.apart_by_time(inputs, self.horizon if self.beside else 0)
        super().check_known(told)
        super().check_known(ahead)

    def _check_steps(self, inputs: Tensor, least: int) -> None:
        if inputs.shape[1] < least:
            raise ZooError(
                f"{type(self).__name__} looks at {least} steps and got {inputs.shape[1]}; give it more history"
            )

    def on_fit_start(self) -> None:
        """Says what makes no difference to it, once where many are compared."""
        if self.beside and not self.looks_beside and self.trainer.is_global_zero:
            log.warning("%s does not look at %s", type(self).__name__, self.beside.told)

    def error(self, forecasts: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """The loss of normalised forecasts: Huber's (1964)."""
        return F.huber_loss(forecasts.float(), targets, reduction=reduction)

    def agree(self, forecasts: Tensor, targets: Tensor) -> Tensor:
        """Returns the forecasts if they and the targets are of one shape, since others would be broadcast silently.

        Raises:
            ZooError: They are not.
        """
        if forecasts.shape != targets.shape:
            raise ZooError(
                f"targets have shape {tuple(targets.shape)}, but forecasts of output {self.output!r} and horizon "
                f"{self.horizon} have {tuple(forecasts.shape)}; model and data must agree on output and horizon"
            )
        return forecasts

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Adds up the errors; gives back what counts, ``(N, H, C)``. Batches of pooled series name their scales."""
        inputs, targets, *scales = batch
        forecasts = self.agree(self(inputs), targets)
        if self.output == "sequence":
            forecasts, targets = forecasts[:, -1:], targets[:, -1:]
        return self.measure(forecasts, targets, self.apart(inputs)[0], *scales)

    test_step = validation_step

    def predict_step(self, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """Forecasts in the series' own unit, ``(N, H, C)``; see :meth:`ZooModule.predict_step`."""
        forecasts = self(inputs_of(batch))
        return forecasts[:, -1:] if self.output == "sequence" else forecasts

    def measure(
        self, forecasts: Tensor, targets: Tensor, inputs: Tensor | None = None, scales: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Adds up the errors of forecasts in the series' own unit.

        Args:
            forecasts: ``(N, H, C)``.
            targets: Likewise.
            inputs: What they were made from, ``(N, T, C)``; needed if differences are taken or series are pooled.
            scales: Of MASE, ``(C,)``; those of the training part if left out.
        """
        before = targets[:, :0] if inputs is None else inputs
        ours, theirs = (self.normalise_pair(before, values)[1] for values in (forecasts, targets))
        loss = self.error(ours, theirs, reduction="none")
        found = {"forecasts": forecasts, "targets": targets}
        if scales is None:
            self.errors.update(forecasts - targets, loss, self.naive_mae)
            return found
        self.errors.widen(len(scales))
        # Where a series has not begun, or is over, there is nothing to be wrong about.
        counted = ~targets.isnan() & ~before.isnan().any(1, keepdim=True)
        errors, loss = torch.where(counted, forecasts - targets, 0), torch.where(counted, loss, 0)
        self.errors.update(errors, loss, scales, counted)
        return {**found, "scales": scales.expand_as(targets)}

    def scores(self, outputs: dict[str, Tensor]) -> Tensor:
        """Mean absolute error of each window, scaled if the model is judged so."""
        errors = (outputs["forecasts"] - outputs["targets"]).abs()
        if self.metric == "mase":
            errors = errors / outputs.get("scales", self.naive_mae)
        return errors.flatten(1).nanmean(1) if self.pooled else errors.flatten(1).mean(1)

    def references(self, data: Any, split: str) -> dict[str, float]:
        """The last value, that of a season ago, and the mean of the training period."""
        points, values = data.periods[split], data.values
        if self.metric == "mase":
            # By the scale of the data: each fold has its own, as the model has that is trained on it.
            values = values / torch.tensor(data.scales)
        rows = len(points) - self.horizon + 1
        found = naive_errors(values, points, (rows, self.horizon, values.shape[1]), self.period)
        mean = values[: data.periods["train"].stop].double().nanmean(0)
        found["mean_mae"] = (values[points.start : points.stop] - mean).abs().nanmean().item()
        return {
            name.removesuffix("_mae").replace("_", " "): value for name, value in found.items() if value is not None
        }

    def log_evaluation(self, split: str) -> None:
        """Logs ``loss``, ``mae``, ``mse``, ``rmse``, ``mase`` of a split; see :class:`Errors` for the rest."""
        figures, self._of_each = self.errors.compute()
        for name, value in figures.items():
            self.log(f"{split}_{name}", value, prog_bar=name == self.metric, sync_dist=True)
        self.errors.reset()

    def breakdown(self, data: Any) -> dict[str, dict[str, float]]:
        """MAE and MASE of each of several series."""
        if self._of_each is None or self._of_each.shape[1] == 1:
            return {}
        rows = self._of_each.T.tolist()
        names = getattr(data, "names", None) or [f"series {number}" for number in range(len(rows))]
        return {name: {"mae": mae, "mase": mase} for name, (mae, mase) in zip(names, rows, strict=True)}

    def example_input(self) -> Tensor:
        """One window of average values."""
        window = self.mean.cpu().expand(1, self.window, self.num_series)
        beside = self.beside.mean.expand(1, self.window + self.rows_ahead(1), -1)
        return torch.cat([F.pad(window, (0, 0, 0, self.rows_ahead(1))), beside], 2)

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the series with its forecasts, and what remained; rows may state ``times`` of targets and ``names``."""
        forecasts, targets = (outputs[name].cpu().double() for name in ("forecasts", "targets"))
        times, names = getattr(rows, "times", None), getattr(rows, "names", None)
        return {
            "forecasts": draw_forecasts(targets, forecasts, times, names),
            "residuals": draw_residuals(targets[:, 0] - forecasts[:, 0], times, names),
        }

    def tested_figures(self, data: Any) -> dict[str, Figure]:
        """Draws how often intervals that the validation period calibrates hold the test points."""
        # Calibration forecasts, so it knows forecasters.
        from zoo.series.coverage import coverages

        if not {"val", "test"} <= {*getattr(data, "periods", ())}:
            return {}
        try:
            found = coverages(self, data)
        except ZooError as error:
            log.warning("coverage of intervals is not drawn: %s", error)
            return {}
        shown = [(one.level, one.kind, one.shares.numpy(), one.width) for one in found]
        return {"coverage": draw_coverage(shown, len(data.periods["test"]))} if shown else {}
