"""A linear forecast in closed form: ridge regression of all steps ahead on the window, in one epoch over any data."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, cast

import torch
from torch import Tensor

from datamodules.series.transform import difference
from zoo.base.processes import add_up
from zoo.errors import ZooError
from zoo.series.closed_form import ClosedForm
from zoo.series.covariates import Beside
from zoo.series.metrics import seasons_back

# Penalties that are tried, as multiples of the mean variance of a step.
_PENALTIES = torch.logspace(-6, 4, 21, dtype=torch.float64)
# Of as many windows, effective parameters may use up so much.
_MOST = 0.9
# How often effects of covariates are found, in turn with the weights of windows.
_TURNS = 2
_NO_WINDOW = "no window to learn from; use a shorter --data.window"
# The variance of a normalised step by rounding alone, which the least penalty shall outweigh.
_ROUNDING = torch.finfo(torch.float32).eps ** 2


class DirectLinear(ClosedForm):
    """Forecasts every step ahead by its own weighted sum of the window, each series by itself.

    The window is taken relative to its last value, to which the sum is added (NLinear; Zeng et al., 2023). A ridge
    penalty (Hoerl and Kennard, 1970) pulls towards the naive forecast, or towards the seasonal one if the window holds
    a season. Which of them, and how strongly, is chosen by generalised cross-validation (Golub et al., 1979). See
    :class:`Forecaster` for the arguments.

    What covariates that are known ahead do to a series at each step is a weighted sum of them, which is taken off
    before and added afterwards. These weights and those of the window are found in turn, each by ridge regression of
    what the others leave (Cochrane and Orcutt, 1949). Covariates of the past have weights for every step of a window.

    Attributes:
        weight: Of the steps of a window for the steps ahead, ``(C, T, H)``; ``(C, T + T * P, H)`` with the past.
        bias: What is added, ``(C, H)``.
        effect: Of covariates known ahead, in standard deviations of both, ``(K, C)``; there only if there are any.
        penalty: That was chosen for each series, as a multiple of the mean variance of a step, ``(C,)``.

    Shape:
        - Input: ``(N, T, C)``, ``T`` at least ``window``.
        - Output: ``(N, H, C)``.
    """

    weight: Tensor
    bias: Tensor
    penalty: Tensor
    effect: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.shortest = self.window - self.reach
        shape = (self.num_series, self.shortest * (1 + self.beside.num_past), self.horizon)
        for name, start in (("weight", torch.zeros(shape)), ("bias", torch.zeros(self.num_series, self.horizon))):
            self.register_buffer(name, start)
        self.register_buffer("penalty", torch.zeros(self.num_series, dtype=torch.float64))
        if self.beside.num_known:
            self.register_buffer("effect", torch.zeros(self.beside.num_known, self.num_series))
        self._sums: _Sums | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether weights have been found; a penalty is never zero."""
        return bool((self.penalty > 0).all())

    def predict(self, inputs: Tensor, beside: Beside | None = None) -> Tensor:
        """Normalised forecasts from normalised inputs."""
        self._check_steps(inputs, self.shortest)
        seen = inputs[:, -self.shortest :]
        if beside is None:
            return self._weighted(seen)
        before, ahead = self._effects(beside)
        return self._weighted(seen - before, beside.past) + ahead

    def _weighted(self, seen: Tensor, past: Tensor | None = None) -> Tensor:
        """The weighted sums of windows, and of covariates of their past."""
        weight = self.weight[:, : self.shortest]
        found = seen[:, -1:] + torch.einsum("ntc,cth->nhc", seen - seen[:, -1:], weight) + self.bias.T
        if past is None or not self.beside.num_past:
            return found
        return found + torch.einsum("nq,cqh->nhc", self._flat(past), self.weight[:, self.shortest :])

    def _flat(self, past: Tensor) -> Tensor:
        """Covariates of the past of windows, ``(N, T * P)``."""
        return past[:, -self.shortest :].flatten(1)

    def _effects(self, beside: Beside) -> tuple[Tensor, Tensor]:
        """What covariates do to the window, ``(N, T, C)``, and ahead of it, ``(N, H, C)``; 0 without any."""
        if not self.beside.num_known:
            nothing = beside.known.new_zeros(())
            return nothing, nothing
        effects = self._of_window(beside.known @ self.effect.to(beside.known.dtype))
        return effects[:, : self.shortest], effects[:, self.shortest :]

    def _of_window(self, known: Tensor) -> Tensor:
        """What is known ahead, as far as the window reaches back, with the differences that the series has."""
        return difference(known, self.differences)[:, -self.shortest - self.horizon :]

    def _goals(self) -> list[Tensor]:
        """The weights that a penalty may pull to, ``(T, H)``: those of the naive forecast, and of the seasonal one."""
        naive = torch.zeros(self.weight.shape[1:], dtype=torch.float64, device=self.device)
        if not 1 < self.period <= self.shortest:
            return [naive]
        seasonal = naive.clone()
        for step, back in enumerate(seasons_back(self.horizon, self.period)):
            seasonal[self.shortest - back, step] = 1
        return [naive, seasonal]

    def on_train_epoch_start(self) -> None:
        """Begins to add up, with what covariates do to the series, if there are any that are known ahead."""
        super().on_train_epoch_start()
        if self.beside.num_known:
            self._find_effect()
        self._sums = None

    def _find_effect(self) -> None:
        """Finds the weights of what is known ahead, in turn with those of the window, from the seasonal forecast on."""
        self.effect.zero_()
        self.bias.zero_()
        self.weight.copy_(self._goals()[-1])
        for number in range(_TURNS):
            if number:
                self._sums = None
                for batch in self._batches():
                    self.training_step(batch, 0)
                self.find()
            found: _Sums | None = None
            for batch in self._batches():
                left = self._left(*batch)
                found = found or _Sums(*left)
                found.add(*left)
            if found is None:
                raise ZooError(_NO_WINDOW)
            weight, _, _ = found.solve([left[0].new_zeros(self.beside.num_known, 1)])
            self.effect.copy_(weight[..., 0].T)

    def _left(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What the weights of the window leave of covariates ``(C, N * H, K)`` and of targets ``(C, N * H, 1)``."""
        values, beside = self.apart(inputs)
        assert beside is not None
        seen, targets = (part.double() for part in self.normalise_pair(values, targets))
        weight = self.weight[:, : self.shortest].double()
        known = self._of_window(beside.known).double()
        before, ahead = known[:, : self.shortest], known[:, self.shortest :]
        rows = ahead - before[:, -1:] - torch.einsum("ntk,cth->cnhk", before - before[:, -1:], weight)
        left = targets - self._weighted(seen[:, -self.shortest :].to(self.weight.dtype), beside.past)
        return rows.flatten(1, 2), left.permute(2, 0, 1).flatten(1)[..., None]

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch."""
        loader = cast(Iterable[Any], self.trainer.train_dataloader)
        for batch in islice(loader, int(self.trainer.num_training_batches)):
            yield self.trainer.strategy.batch_to_device(batch, self.device)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Adds up products of the windows of a batch."""
        values, beside = self.apart(batch[0])
        inputs, targets = (part.double() for part in self.normalise_pair(values, batch[1]))
        self._check_steps(inputs, self.shortest)
        seen = inputs[:, -self.shortest :]
        if beside is not None:
            before, ahead = self._effects(beside)
            seen, targets = seen - before, targets - ahead
        rows = (seen - seen[:, -1:]).permute(2, 0, 1)
        rest = (targets - seen[:, -1:]).permute(2, 0, 1)
        if beside is not None and self.beside.num_past:
            rows = torch.cat([rows, self._flat(beside.past).expand(len(rows), -1, -1)], 2)
        if self._sums is None:
            self._sums = _Sums(rows, rest)
        self._sums.add(rows, rest)
        return self.no_loss()

    def find(self) -> None:
        """Solves for the weights."""
        if self._sums is None:
            raise ZooError(_NO_WINDOW)
        weight, bias, penalty = self._sums.solve(self._goals())
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.penalty.copy_(penalty)


class _Sums:
    """What ridge regressions of several series need to know of their rows, in float64.

    Args:
        rows: The first inputs ``(C, N, T)``, for their shape; they are not added yet.
        targets: Likewise, ``(C, N, H)``.
    """

    def __init__(self, rows: Tensor, targets: Tensor) -> None:
        (series, _, steps), ahead = rows.shape, targets.shape[2]
        self.count = rows.new_zeros(())
        self.rows, self.targets = rows.new_zeros(series, steps), rows.new_zeros(series, ahead)
        self.gram, self.products = rows.new_zeros(series, steps, steps), rows.new_zeros(series, steps, ahead)
        self.squares = rows.new_zeros(series)

    def add(self, rows: Tensor, targets: Tensor) -> None:
        """Adds inputs ``(C, N, T)`` and targets ``(C, N, H)``."""
        self.count += rows.shape[1]
        self.rows += rows.sum(1)
        self.targets += targets.sum(1)
        self.gram += rows.mT @ rows
        self.products += rows.mT @ targets
        self.squares += targets.square().sum((1, 2))

    def solve(self, goals: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Joins what all processes have seen.

        Args:
            goals: Weights ``(T, H)`` that the penalty may pull to; those that leave the least criterion are taken.

        Returns:
            Weights ``(C, T, H)``, what is added ``(C, H)``, and penalties ``(C,)``.
        """
        count, rows, targets, gram, products, squares = map(
            add_up, (self.count, self.rows, self.targets, self.gram, self.products, self.squares)
        )
        rows, targets = rows / count, targets / count
        gram = gram - count * rows[:, :, None] * rows[:, None]
        products = products - count * rows[:, :, None] * targets[:, None]
        squares = squares - count * targets.square().sum(1)
        found = [_ridge(count, gram, products - gram @ goal, _left(squares, products, gram, goal)) for goal in goals]
        best = torch.stack([criterion for _, _, criterion in found]).argmin(0)
        series = torch.arange(len(best), device=best.device)
        weight = torch.stack([weights + goal for goal, (weights, _, _) in zip(goals, found, strict=True)])[best, series]
        penalty = torch.stack([penalties for _, penalties, _ in found])[best, series]
        return weight, targets - torch.einsum("ct,cth->ch", rows, weight), penalty


def _left(squares: Tensor, products: Tensor, gram: Tensor, goal: Tensor) -> Tensor:
    """The sum of squares that weights ``goal`` leave of centred targets, ``(C,)``."""
    return squares - 2 * (goal * products).sum((1, 2)) + (goal * (gram @ goal)).sum((1, 2))


def _ridge(count: Tensor, gram: Tensor, products: Tensor, squares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights ``(C, T, H)`` of the best penalty, the penalties, and the criterion of each series, ``(C,)``."""
    variances, directions = torch.linalg.eigh(gram)
    variances = variances.clamp_min(0)
    penalties = _PENALTIES.to(gram.device)
    # A constant series, or a straight line, has no other.
    scale = variances.mean(1).clamp_min(float(count * _ROUNDING / penalties[0]))
    turned = directions.mT @ products
    shrunk = 1 / (variances + penalties[:, None, None] * scale[:, None])
    used = (variances * shrunk).sum(2) + 1
    explained = (turned.square() * (2 * shrunk - variances * shrunk.square())[..., None]).sum((2, 3))
    criterion = (squares - explained).clamp_min(0) / (1 - used / count).square()
    criterion = torch.where(used < _MOST * count, criterion, torch.inf)
    # Where windows are too few for any, the strongest is left.
    best = torch.where(criterion.isfinite().any(0), criterion.argmin(0), len(penalties) - 1)
    series = torch.arange(len(best), device=best.device)
    return directions @ (shrunk[best, series][..., None] * turned), penalties[best], criterion[best, series]
