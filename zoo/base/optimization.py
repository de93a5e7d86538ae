"""Optimizers by name, which parameters they move and which decay, and learning-rate schedules: alike in every wing."""

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from math import cos, inf, nan, pi
from typing import Any, Literal, SupportsFloat, get_args

from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from zoo.base.module import ZooModule
from zoo.base.muon import MuonWithAdamW
from zoo.errors import ZooError, did_you_mean, listed

OptimizerName = Literal["adamw", "adam", "sgd", "muon"]
Schedule = Literal["constant", "cosine", "warmup_cosine", "one_cycle", "plateau"]

# Parameters that are trained together, and their highest learning rate.
Part = tuple[Sequence[Parameter], float]


def one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Refuses a value that is not among the known ones.

    Raises:
        ZooError: It is not.
    """
    if value not in known:
        raise ZooError(f"no {name} {value!r}; there are {', '.join(known)}{did_you_mean(value, known)}")


def make_optimizer(
    name: OptimizerName,
    parts: Sequence[Part],
    weight_decay: float | None = 0.0,
    momentum: float = 0.9,
    nesterov: bool = False,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
    hidden: Collection[Parameter] = (),
) -> Optimizer:
    """Makes an optimizer, in fused kernels where there are any.

    Args:
        name: ``adamw`` (Loshchilov and Hutter, 2019), ``adam`` (Kingma and Ba, 2015), ``sgd``, or ``muon`` (Jordan et
            al., 2024) for hidden matrices and AdamW for everything else.
        parts: Parameters, each with their learning rate.
        weight_decay: Applied to matrices and kernels, not to biases and gains; of ``muon`` to hidden matrices. None: to
            nothing, so that all of a part is one group.
        momentum: Of ``sgd``.
        nesterov: Look ahead (Nesterov, 1983), of ``sgd``.
        betas: Decay rates of Adam's moments.
        epsilon: Added to Adam's denominator.
        hidden: The matrices that ``muon`` moves.

    Raises:
        ZooError: There is no such optimizer, or nothing for it to move.
    """
    one_of("optimizer", name, get_args(OptimizerName))
    if name == "muon":
        if not hidden:
            raise ZooError("muon moves matrices of hidden layers, and this model has none; use optimizer adamw")
        moved = {id(matrix) for matrix in hidden}
        rates = {id(one): lr for parameters, lr in parts for one in parameters}
        matrices = _by_rate((one for one in hidden if id(one) in rates), rates)
        others = _by_rate((one for parameters, _ in parts for one in parameters if id(one) not in moved), rates)
        return MuonWithAdamW(matrices, others, parts[0][1], weight_decay or 0.0, betas)
    groups: list[dict[str, Any]] = []
    for parameters, lr in parts:
        if weight_decay is None:
            groups.append({"params": list(parameters), "lr": lr, "weight_decay": 0.0})
        elif parameters:
            groups += [
                {"params": [one for one in parameters if one.ndim > 1], "lr": lr, "weight_decay": weight_decay},
                {"params": [one for one in parameters if one.ndim <= 1], "lr": lr, "weight_decay": 0.0},
            ]
    rate = parts[0][1]
    if name == "sgd":
        return SGD(groups, rate, momentum=momentum, nesterov=nesterov and momentum > 0)
    return (AdamW if name == "adamw" else Adam)(groups, rate, betas, epsilon, fused=True)


def patterns(given: str | Sequence[str] | None) -> list[str]:
    """Patterns as they are given: one, several in a text with commas between, or a list.

    Raises:
        ZooError: They are something else.
    """
    found: Any = given.split(",") if isinstance(given, str) else given or []
    if not isinstance(found, list | tuple) or not all(isinstance(one, str) for one in found):
        raise ZooError(f"expected a pattern on names of parameters, or a list of such, not {given!r}")
    return [one.strip() for one in found if one.strip()]


def _rate(given: str) -> tuple[str, float]:
    """A pattern and the factor that stands behind it.

    Raises:
        ZooError: There is no factor, or one that is no positive number.
    """
    pattern, _, text = given.rpartition("=")
    try:
        factor = float(text)
    except ValueError:
        factor = nan
    if not pattern or not 0 < factor < inf:
        raise ZooError(f"lr_of is {given!r}, expected a pattern and a factor above 0, such as 'network.head.*=10'")
    return pattern.strip(), factor


def _by_rate(parameters: Iterable[Parameter], rates: dict[int, float]) -> list[dict[str, Any]]:
    """Groups of parameters with the same learning rate."""
    groups: dict[float, list[Parameter]] = {}
    for one in parameters:
        groups.setdefault(rates[id(one)], []).append(one)
    return [{"params": members, "lr": lr} for lr, members in groups.items()]


def hidden_matrices(network: nn.Module) -> list[Parameter]:
    """Matrices and kernels between what reads the input and what gives the output: no embedding, not the last layer."""
    layers = [layer for layer in network.modules() if any(one.ndim > 1 for one in layer.parameters(recurse=False))]
    ends = {id(one) for layer in layers if isinstance(layer, nn.Embedding) for one in layer.parameters()}
    ends |= {id(one) for layer in layers[-1:] for one in layer.parameters(recurse=False)}
    return [one for one in network.parameters() if one.ndim > 1 and id(one) not in ends]


class WarmupCosineLR(LRScheduler):
    """Rises linearly, then falls to zero along half a cosine.

    Args:
        optimizer: Its learning rates are the highest.
        T_max: Number of steps.
        share: Share of the steps that it rises.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, share: float = 0.02) -> None:  # noqa: N803, as torch has it
        self.T_max, self.rise = T_max, max(1, round(T_max * share))
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The learning rate of each group at this step."""
        if self.last_epoch < self.rise:
            factor = (self.last_epoch + 1) / (self.rise + 1)
        else:
            done = min(self.last_epoch, self.T_max) - self.rise
            factor = (1 + cos(pi * done / max(self.T_max - self.rise, 1))) / 2
        return [rate * factor for rate in self.base_lrs]


class Plateau(ReduceLROnPlateau):
    """Multiplies rates by 0.3 once a figure has not improved for five epochs, but for those of what is frozen.

    A group of parameters that is frozen keeps the rate that was asked for until it is trained; then patience begins
    anew, so that what was waited for before counts against no group.

    Args:
        optimizer: Its learning rates are the highest.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer, factor=0.3, patience=5)
        self.trained: list[bool] = []

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Takes note of the figure of an epoch."""
        groups = self.optimizer.param_groups
        trained = [any(one.requires_grad for one in group["params"]) for group in groups]
        if trained != self.trained:
            self.trained, self.num_bad_epochs = trained, 0
        # No rate falls below its own lowest one.
        self.min_lrs = [0.0 if moves else group["lr"] for moves, group in zip(trained, groups, strict=True)]
        super().step(metrics, epoch)


class Scheduled(ZooModule):
    """Base of the models that learn by gradients, whose optimizers move along a schedule.

    Args:
        freeze: Parameters that training leaves as they are, such as ``network.0.*``: a pattern or a list of such, where
            ``network.0`` stands for all that is below, too.
        lr_of: Learning rates of some parameters, as multiples of what they would be, such as ``network.11.*=10``;
            likewise. The last pattern that fits counts.
    """

    _resumed_steps: int | None = None
    _resumed_processes: int | None = None

    def __init__(
        self, freeze: str | list[str] | None = None, lr_of: str | list[str] | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.frozen_by, self.rates = patterns(freeze), dict(map(_rate, patterns(lr_of)))

    def frozen_names(self) -> set[str]:
        """The parameters that training leaves as they are, by name.

        Raises:
            ZooError: A pattern fits none.
        """
        return {name for pattern in self.frozen_by for name in self.fitting(pattern, "freeze")}

    def factors(self) -> dict[str, float]:
        """By what the learning rates of some parameters are multiplied, by name.

        Raises:
            ZooError: A pattern fits none.
        """
        return {name: rate for pattern, rate in self.rates.items() for name in self.fitting(pattern, "lr_of")}

    def check_patterns(self) -> None:
        """Refuses patterns that fit no parameter.

        Raises:
            ZooError: There is such a one.
        """
        self.frozen_names()
        self.factors()

    def fitting(self, pattern: str, asked: str) -> list[str]:
        """The names of the parameters that a pattern fits.

        Args:
            pattern: A shell pattern; without wildcards also the name of a module.
            asked: The argument that holds it, for the error.

        Raises:
            ZooError: It fits none.
        """
        known = [name for name, _ in self.named_parameters()]
        found = [name for name in known if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")]
        if not found:
            layers = list(dict.fromkeys(f"{name.rpartition('.')[0]}.*" for name in known))
            raise ZooError(
                f"{asked} {pattern!r} fits no parameter of {type(self).__name__}; there are {listed(layers)}"
            )
        return found

    def setup(self, stage: str) -> None:
        """Freezes, before a trainer looks which parameters its processes have to agree on."""
        frozen = self.frozen_names()
        for name, parameter in self.named_parameters():
            if name in frozen:
                parameter.requires_grad_(False)

    def moved(self, parts: Sequence[Part]) -> list[Part]:
        """What optimizers move of some parts, each parameter at its rate.

        Raises:
            ZooError: Nothing is left to train, or a pattern fits no parameter.
        """
        if not self.frozen_by and not self.rates:
            return list(parts)
        frozen, factors = self.frozen_names(), self.factors()
        names = {id(one): name for name, one in self.named_parameters()}
        found: list[Part] = []
        for members, lr in parts:
            # What keeps its rate comes first: the rate of the first group is the one that is shown.
            by_factor: dict[float, list[Parameter]] = {1.0: []}
            for one in members:
                if names[id(one)] not in frozen:
                    by_factor.setdefault(factors.get(names[id(one)], 1.0), []).append(one)
            found += [(some, lr * factor) for factor, some in by_factor.items() if some]
        if not found:
            raise ZooError(f"freeze {', '.join(self.frozen_by)} leaves {type(self).__name__} nothing to train")
        return found

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps how many processes trained, which says how many steps an epoch has."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["processes"] = self.trainer.world_size

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Notes how long the schedule of the checkpoint was, and how many processes moved along it."""
        self._resumed_processes = checkpoint.get("processes")
        for state in checkpoint.get("lr_schedulers", []):
            self._resumed_steps = state["total_steps"] - 1 if "total_steps" in state else state.get("T_max")

    def schedule_length(self) -> float:
        """How often a schedule moves until training ends; infinity or -1 where no end is set."""
        return self.trainer.estimated_stepping_batches

    def scheduled(self, optimizer: Optimizer, schedule: Schedule) -> Any:
        """Joins an optimizer and a learning-rate schedule that moves with every step.

        Args:
            optimizer: Its learning rate is the highest of the schedule.
            schedule: ``constant``; ``cosine`` (Loshchilov and Hutter, 2017) falls to zero; ``warmup_cosine`` rises for
                the first fiftieth of the steps before; ``one_cycle`` (Smith and Topin, 2018) rises for the first fifth
                of the steps, then falls to nearly zero, while the first beta of Adam moves the other way; ``plateau``
                multiplies the rate by 0.3 when ``val_loss`` has not improved for 5 epochs; see :class:`Plateau`.

        Raises:
            ZooError: The schedule needs to know when training ends and no end is set.
        """
        if schedule == "constant":
            return optimizer
        if schedule == "plateau":
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": Plateau(optimizer), "monitor": "val_loss"}}
        steps = self.schedule_length()
        if steps in (float("inf"), -1):
            raise ZooError(f"schedule {schedule!r} needs an end; set --trainer.max_epochs or --trainer.max_steps")
        steps = int(steps)
        if self._resumed_steps not in (None, steps):
            now, then = self.trainer.world_size, self._resumed_processes
            if then not in (None, now):
                raise ZooError(
                    f"the checkpoint was trained by {then} process{'es' * (then != 1)} on a {schedule} schedule of "
                    f"{self._resumed_steps} steps, this run of {now} has {steps}; a schedule cannot be stretched: use "
                    f"as many processes as before (--trainer.devices {then}), or start a new run"
                )
            raise ZooError(
                f"the checkpoint was trained on a {schedule} schedule of {self._resumed_steps} steps, "
                f"this run has {steps}; a schedule cannot be stretched: keep max_epochs and batch_size as they were, "
                "or start a new run"
            )
        scheduler: LRScheduler
        if schedule == "cosine":
            scheduler = CosineAnnealingLR(optimizer, T_max=steps)
        elif schedule == "warmup_cosine":
            scheduler = WarmupCosineLR(optimizer, T_max=steps)
        else:
            highest = [group["lr"] for group in optimizer.param_groups]
            # Only Adam's first beta can move the other way; one momentum for all groups of two kinds cannot.
            adam = all("betas" in group for group in optimizer.param_groups)
            # The rise takes one step at least; torch divides by its length.
            rise = max(0.2, 2 / (steps + 1))
            scheduler = OneCycleLR(optimizer, highest, total_steps=steps + 1, pct_start=rise, cycle_momentum=adam)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Optimized(Scheduled):
    """Base of the models that one optimizer trains.

    Args:
        optimizer: ``adamw`` (Loshchilov and Hutter, 2019), ``adam`` (Kingma and Ba, 2015), ``sgd``, or ``muon`` (Jordan
            et al., 2024) for hidden matrices and AdamW for everything else.
        lr: Highest learning rate.
        weight_decay: Applied to matrices and kernels, not to biases; of ``muon`` to hidden matrices alone.
        momentum: Of ``sgd``.
        schedule: ``constant``; ``cosine`` falls to zero; ``warmup_cosine`` rises before; ``one_cycle`` rises, then
            falls to nearly zero; ``plateau`` falls when the validation loss stays; see :meth:`Scheduled.scheduled`.

    Attributes:
        betas: Decay rates of Adam's moments.
        epsilon: Added to Adam's denominator.
        nesterov: Whether ``sgd`` looks ahead.
        decays: Whether parameters are grouped by whether they decay.

    Raises:
        ZooError: There is no such optimizer or schedule.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    epsilon = 1e-8
    nesterov = False
    decays = True

    def __init__(
        self,
        optimizer: OptimizerName = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        schedule: Schedule = "constant",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        one_of("optimizer", optimizer, get_args(OptimizerName))
        one_of("schedule", schedule, get_args(Schedule))
        self.optimizer, self.lr, self.weight_decay = optimizer, lr, weight_decay
        self.momentum, self.schedule = momentum, schedule

    def trained_parts(self) -> list[Part]:
        """The parameters to train, each part at its learning rate: all at one."""
        return [(list(self.parameters()), self.lr)]

    def hidden_matrices(self) -> list[Parameter]:
        """What ``muon`` moves."""
        return hidden_matrices(self)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer and its schedule."""
        optimizer = make_optimizer(
            self.optimizer,
            self.moved(self.trained_parts()),
            self.weight_decay if self.decays else None,
            self.momentum,
            self.nesterov,
            self.betas,
            self.epsilon,
            self.hidden_matrices() if self.optimizer == "muon" else (),
        )
        return self.scheduled(optimizer, self.schedule)
