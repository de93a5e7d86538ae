"""What every forecaster shares: normalisation, loss, metrics, optimizer, pictures, forecasts of any length."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import Dataset

from zoo.errors import ZooError, did_you_mean
from zoo.module import Schedule, ZooModule
from zoo.series.drawing import draw_forecasts, draw_residuals
from zoo.series.metrics import Errors

Output = Literal["vector", "sequence"]
Residual = Literal["none", "last", "season"]
Loss = Literal["huber", "mse", "mae"]
OptimizerName = Literal["adamw", "sgd"]

# Steps of windows that are looked at together, which bounds the memory of forecasts from many points.
STEPS_AT_ONCE = 1 << 17


class Forecaster(ZooModule):
    """Base of the forecasters; a subclass adds ``self.network``, which maps normalised windows to normalised forecasts.

    Inputs and forecasts are in the series' own unit. Several series are forecast together, each normalised by itself.
    An evaluation counts every value of its targets; of a sequence only the last step, since windows overlap.

    Args:
        num_series: Number of series, ``C``.
        window: Steps that a forecast is made from, ``T``.
        horizon: Steps that are forecast at once, ``H``.
        mean: Mean of each series in the training part; one value serves all.
        std: Standard deviation, likewise.
        period: Steps of a season; 1 if there is none.
        naive_mae: Mean absolute error that the naive forecast, or the seasonal one, makes on the training part of each
            series. It is the scale of MASE (Hyndman and Koehler, 2006).
        output: ``vector`` forecasts the ``horizon`` steps after the window; ``sequence`` forecasts, at every step of
            the window, the next one.
        residual: What the network's output is added to: ``none``, the ``last`` value, or the value one ``season`` back.
        relative: Show the network the window less what its output is added to first, so that levels it was never
            trained on change nothing (NLinear; Zeng et al., 2023). For a residual and output ``vector``.
        input_noise: Standard deviation of noise added to the inputs in training, in those of the series; it keeps small
            data from being learnt by heart (Bishop, 1995).
        level_noise: Likewise of an offset that all values of a window share, inputs and targets.
        loss: ``huber`` (Huber, 1964), ``mse`` or ``mae``, of normalised values.
        delta: Where the Huber loss turns from square to straight, in standard deviations.
        optimizer: ``adamw`` (Loshchilov and Hutter, 2019) or ``sgd``.
        lr: Highest learning rate.
        weight_decay: Applied to matrices and kernels, not to biases.
        momentum: Of ``sgd``.
        schedule: See :meth:`ZooModule.scheduled`.

    Shape:
        - Input: float ``(N, T, C)``.
        - Output: ``(N, H, C)`` for a vector, ``(N, T, C)`` for a sequence.

    Raises:
        ZooError: The arguments contradict each other.
    """

    metric = "mae"
    network: nn.Module
    mean: Tensor
    std: Tensor
    naive_mae: Tensor

    def __init__(
        self,
        num_series: int,
        window: int,
        horizon: int,
        mean: Sequence[float],
        std: Sequence[float],
        period: int,
        naive_mae: Sequence[float],
        output: Output = "vector",
        residual: Residual = "none",
        relative: bool = False,
        input_noise: float = 0.0,
        level_noise: float = 0.0,
        loss: Loss = "huber",
        delta: float = 1.0,
        optimizer: OptimizerName = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        schedule: Schedule = "constant",
    ) -> None:
        super().__init__()
        for name, count in (("num_series", num_series), ("window", window), ("horizon", horizon), ("period", period)):
            if count < 1:
                raise ZooError(f"{name} is {count}, expected at least 1")
        choices = (("output", output, Output), ("residual", residual, Residual), ("loss", loss, Loss))
        for name, choice, known in (*choices, ("optimizer", optimizer, OptimizerName)):
            one_of(name, choice, get_args(known))
        for name, noise in (("input_noise", input_noise), ("level_noise", level_noise)):
            if not noise >= 0:
                raise ZooError(f"{name} is {noise}, expected at least 0")
        if relative and (residual == "none" or output == "sequence"):
            raise ZooError(
                f"relative needs residual 'last' or 'season' and output 'vector'; "
                f"found residual {residual!r}, output {output!r}"
            )
        if output == "sequence" and horizon > 1:
            raise ZooError(f"output 'sequence' forecasts one step, not horizon {horizon}; use output 'vector'")
        self.num_series, self.window, self.horizon, self.period = num_series, window, horizon, period
        self.output, self.residual, self.relative, self.loss, self.delta = output, residual, relative, loss, delta
        self.input_noise, self.level_noise = input_noise, level_noise
        self.optimizer, self.lr, self.weight_decay, self.momentum = optimizer, lr, weight_decay, momentum
        self.schedule = schedule
        self.shortest = 1
        if residual == "season":
            if output == "sequence" or not 1 < period <= window:
                raise ZooError(
                    f"residual 'season' needs output 'vector' and a window that holds a season; "
                    f"found output {output!r}, window {window}, period {period}"
                )
            self.shortest = period
        for name, values, positive in (("mean", mean, False), ("std", std, True), ("naive_mae", naive_mae, True)):
            if len(values) not in (1, num_series):
                raise ZooError(f"{name} has {len(values)} values for {num_series} series; expected 1 or {num_series}")
            if positive and not min(values) > 0:
                raise ZooError(f"{name} is {list(values)}, expected more than 0; a constant series needs no model")
            self.register_buffer(name, torch.tensor(list(values), dtype=torch.float32))
        self.errors = Errors(horizon)

    def forward(self, inputs: Tensor) -> Tensor:
        """Forecasts in the series' own unit."""
        return self.denormalise(self.predict(self.normalise(inputs)))

    def normalise(self, values: Tensor) -> Tensor:
        """Brings each series to zero mean and unit variance in the model's own precision."""
        return ((values - self.mean) / self.std).to(self.mean.dtype)

    def denormalise(self, values: Tensor) -> Tensor:
        """Back to the series' own unit."""
        return values.float() * self.std + self.mean

    def predict(self, inputs: Tensor) -> Tensor:
        """Normalised forecasts from normalised inputs."""
        self.check(inputs)
        if self.residual == "none":
            return self.network(inputs)
        anchor = self.anchor(inputs)
        return anchor + self.network(inputs - anchor[:, :1] if self.relative else inputs)

    def anchor(self, inputs: Tensor) -> Tensor:
        """What the network's output is added to."""
        if self.residual == "season":
            return inputs[:, [-back for back in seasons_back(self.horizon, self.period)]]
        return inputs if self.output == "sequence" else inputs[:, -1:]

    def check(self, inputs: Tensor) -> None:
        """Refuses inputs of a wrong shape.

        Raises:
            ZooError: They are no ``(N, T, C)``, or too short.
        """
        if inputs.ndim != 3 or inputs.shape[2] != self.num_series:
            raise ZooError(f"inputs have shape {tuple(inputs.shape)}, expected (N, T, {self.num_series})")
        if inputs.shape[1] < self.shortest:
            raise ZooError(
                f"{type(self).__name__} looks at {self.shortest} steps and got {inputs.shape[1]}; give it more history"
            )

    def error(self, forecasts: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """The loss of normalised forecasts."""
        forecasts = forecasts.float()
        if self.loss == "huber":
            return F.huber_loss(forecasts, targets, delta=self.delta, reduction=reduction)
        return (F.mse_loss if self.loss == "mse" else F.l1_loss)(forecasts, targets, reduction=reduction)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor | None:
        """Loss of a batch."""
        inputs, targets = self.disturb(*map(self.normalise, batch))
        return self.error(self.agree(self.predict(inputs), targets), targets)

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

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Adds up the errors; gives back what counts, ``(N, H, C)``."""
        inputs, targets = batch
        forecasts = self.agree(self(inputs), targets)
        if self.output == "sequence":
            forecasts, targets = forecasts[:, -1:], targets[:, -1:]
        return self.measure(forecasts, targets)

    test_step = validation_step

    def measure(self, forecasts: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Adds up the errors of forecasts in the series' own unit."""
        loss = self.error(self.normalise(forecasts), self.normalise(targets), reduction="none")
        self.errors.update(forecasts - targets, loss, self.naive_mae)
        return {"forecasts": forecasts, "targets": targets}

    def log_evaluation(self, split: str) -> None:
        """Logs ``loss``, ``mae``, ``mse``, ``rmse``, ``mase`` of a split; see :class:`Errors` for the rest."""
        for name, value in self.errors.compute().items():
            self.log(f"{split}_{name}", value, prog_bar=name == self.metric, sync_dist=True)
        self.errors.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW in one fused kernel, or gradient descent with momentum."""
        decayed = [parameter for parameter in self.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in self.parameters() if parameter.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]
        if self.optimizer == "sgd":
            return self.scheduled(torch.optim.SGD(groups, self.lr, momentum=self.momentum), self.schedule)
        return self.scheduled(torch.optim.AdamW(groups, self.lr, fused=True), self.schedule)

    @torch.inference_mode()
    def forecast(self, history: Any, horizon: int) -> Tensor:
        """Continues a series by as many steps as wanted; forecasts become inputs of the next ones.

        Args:
            history: The series up to now in its own unit, a tensor, an array or a list: ``(T, C)``, or several of equal
                length, ``(N, T, C)``; of a single series ``(T,)``, too. Of fewer steps than ``window`` forecasts are
                made that training has never shown.
            horizon: Steps to forecast.

        Returns:
            float32 ``(horizon, C)``, ``(N, horizon, C)`` or ``(horizon,)``.

        Raises:
            ZooError: The history is too short, has gaps or another number of series.
        """
        values = torch.as_tensor(history)
        if values.ndim == 1 and self.num_series == 1:
            return self.forecast(values[:, None], horizon)[:, 0]
        known = self._known(values[None] if values.ndim == 2 else values, horizon)
        with self._evaluating():
            ahead = self.extend(known, horizon)
        return ahead[0] if values.ndim == 2 else ahead

    @torch.inference_mode()
    def forecast_from(self, series: Tensor, origins: range, horizon: int) -> Tensor:
        """Forecasts a series from many of its points, each time knowing only what lies before, as many at once as fit.

        Args:
            series: The series in its own unit, ``(T, C)``.
            origins: Numbers of steps that are known, each at least ``window``; ``origins[i]`` is the point that row
                ``i`` forecasts first.
            horizon: Steps to forecast.

        Returns:
            float32 ``(len(origins), horizon, C)``; row ``i`` is what :meth:`forecast` makes of
            ``series[:origins[i]]``.

        Raises:
            ZooError: An origin is not within the series or too early, or the series has gaps.
        """
        known = self._known(series[None], horizon)[0]
        if not origins or origins.step < 1 or not self.window <= origins[0] <= origins[-1] <= len(known):
            raise ZooError(
                f"origins are {origins}; expected them to ascend from the window, {self.window}, up to {len(known)}"
            )
        with self._evaluating():
            return self.roll(known, origins, horizon)

    def _known(self, history: Tensor, horizon: int) -> Tensor:
        """A history that has been checked, ``(N, T, C)``."""
        if horizon < 1:
            raise ZooError(f"horizon is {horizon}, expected at least 1")
        known = history.to(self.device, torch.float32)
        self.check(known)
        if not known.isfinite().all():
            raise ZooError("the history holds values that are NaN or infinite; fill or drop them first")
        return known

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        was_training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(was_training)

    def extend(self, known: Tensor, horizon: int) -> Tensor:
        """Continues checked series ``(N, T, C)``; the last ``window`` steps are looked at anew for every forecast."""
        latest, ahead = known[:, -self.window :], []
        for _ in range(0, horizon, self.horizon):
            ahead.append(self(latest)[:, -self.horizon :].to(known.dtype))
            latest = torch.cat([latest, ahead[-1]], 1)[:, -self.window :]
        return torch.cat(ahead, 1)[:, :horizon]

    def roll(self, known: Tensor, origins: range, horizon: int) -> Tensor:
        """Forecasts a checked series ``(T, C)`` from all origins; a forecast depends on its last ``window`` steps."""
        windows = known.unfold(0, self.window, 1).transpose(1, 2)
        at_once = max(1, STEPS_AT_ONCE // self.window)
        parts = [origins[start : start + at_once] for start in range(0, len(origins), at_once)]
        return torch.cat([self.extend(windows[[origin - self.window for origin in part]], horizon) for part in parts])

    def example_input(self) -> Tensor:
        """One window of average values."""
        return self.mean.cpu().expand(1, self.window, self.num_series).contiguous()

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the series with its forecasts, and what remained; rows may state ``times`` of targets and ``names``."""
        forecasts, targets = outputs["forecasts"].float().cpu(), outputs["targets"].float().cpu()
        times, names = getattr(rows, "times", None), getattr(rows, "names", None)
        return {
            "forecasts": draw_forecasts(targets, forecasts, times, names),
            "residuals": draw_residuals(targets[:, 0] - forecasts[:, 0], times, names),
        }


def one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Refuses a value that is not among the known ones."""
    if value not in known:
        raise ZooError(f"no {name} {value!r}; there are {', '.join(known)}{did_you_mean(value, known)}")


def seasons_back(horizon: int, period: int, beyond: int = 0) -> list[int]:
    """For each step ahead, how far before the window's end lies the latest value of the same phase.

    Args:
        horizon: Steps ahead.
        period: Steps of a season.
        beyond: So many steps after that value must be known, too.

    Returns:
        Numbers of steps; 1 is the last of the window.
    """
    return [period * -(-(step + 1 + beyond) // period) - step for step in range(horizon)]
