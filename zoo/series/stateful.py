"""Recurrent forecasters whose state lives on from batch to batch, so that they remember more than a window."""

from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.base.inputs import inputs_of
from zoo.errors import ZooError
from zoo.series.recurrent import Carrying, Cell, RecurrentNet, State
from zoo.series.rolling import STEPS_AT_ONCE


class Stateful(Carrying):
    """Forecasts with :class:`RecurrentNet`, whose state is carried from batch to batch.

    See :class:`TrainedForecaster` for the arguments not listed.

    Batches are lanes: row ``n`` of a batch goes on where row ``n`` of the batch before ended. Gradients end where a
    batch begins. Every epoch of training starts with an empty state.

    An evaluation during training starts with a copy of the state of the last training lane, which ends where the
    evaluated steps begin; of several processes that is the last lane of the last one. Any other evaluation, and every
    one if noise or dropout disturbs the training, first reads what the data module gives as ``history(split)``, all
    that lies before. Every step counts. The offset of ``level_noise`` is one for each lane and epoch.

    The state is no part of checkpoints, nor need it be: a resumed run starts with a new epoch.

    Args:
        cell: ``rnn``, ``lstm`` or ``gru``.
        hidden_size: Width of every layer.
        num_layers: Number of recurrent layers.
        dropout: Probability of dropping a unit between two layers in training.

    Shape:
        - Input: ``(N, T, C)``, any ``T``.
        - Output: ``(N, T, C)``; :meth:`forward` starts with an empty state and leaves :attr:`state` alone.

    Attributes:
        state: What training, or whoever calls :meth:`read`, has seen so far.

    Raises:
        ZooError: The horizon is not 1, or the number of lanes changes within an epoch.
    """

    can_pool = False  # lanes are of one series

    def __init__(
        self,
        cell: Cell = "rnn",
        hidden_size: int = 100,
        num_layers: int = 2,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(output="sequence", relative=False, **options)
        self.network = RecurrentNet(
            self.num_series, self.num_series, 1, hidden_size, num_layers, cell, output="sequence", dropout=dropout
        )
        self.disturbed = bool(self.input_noise or self.level_noise or dropout)
        self.state: State | None = None
        self._evaluation_state: State | None = None
        self._levels: Tensor | None = None

    def reset(self) -> None:
        """Forgets everything read so far."""
        self.state = None
        self._levels = None

    def read(self, inputs: Tensor) -> Tensor:
        """Forecasts the step after each input, going on from :attr:`state`, ``(N, T, C)``."""
        given = self.take(inputs)
        return self.denormalise(self._read(self.normalise(given)), given)

    def _read(self, inputs: Tensor) -> Tensor:
        self._check_lanes(self.state, inputs)
        forecasts, state = self.predict_on(inputs, self.state)
        self.state = tuple(part.detach().to(self.mean.dtype) for part in state)
        return forecasts

    def on_train_epoch_start(self) -> None:
        """Empties the state."""
        self.reset()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of the next stretch of all lanes."""
        inputs, targets = self.disturb(*map(self.normalise, batch))
        return self.error(self.agree(self._read(inputs), targets), targets)

    def levels(self, targets: Tensor) -> Tensor:
        """Offsets that last for an epoch, since a lane that changed its level half-way would be another series."""
        if self._levels is None:
            self._levels = super().levels(targets)
        return self._levels

    def on_validation_epoch_start(self) -> None:
        """Starts with a copy of the training's state, or with what precedes the validation."""
        if self.trainer.state.fn != "fit" or self.disturbed:
            self._evaluation_state = self._read_history("val")
        elif self.trainer.sanity_checking or self.state is None:
            self._evaluation_state = None
        else:
            last = tuple(part[:, -1:].cpu() for part in self.state)
            if self.trainer.world_size > 1:
                last = self.trainer.strategy.broadcast(last, src=self.trainer.world_size - 1)
            self._evaluation_state = tuple(part.to(self.device) for part in last)

    def on_test_epoch_start(self) -> None:
        """Starts with what precedes the test."""
        self._evaluation_state = self._read_history("test")

    def on_predict_epoch_start(self) -> None:
        """Starts with what precedes the test, which a data module gives to be predicted; else with nothing."""
        self._evaluation_state = self._read_history("test")

    def _read_history(self, split: str) -> State | None:
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        history = data.history(split).to(self.device) if hasattr(data, "history") else None
        if history is None or not history.shape[1]:
            return None
        return self.follow(self.normalise(history))[1]

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Adds up the errors of every step; gives back one row a step, ``(T, N, C)``."""
        inputs, targets = batch
        measured = self.measure(self.agree(self._go_on(inputs, batch_idx), targets), targets)
        return {name: tensor.transpose(0, 1) for name, tensor in measured.items()}

    test_step = validation_step

    def predict_step(self, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """Forecasts of the step after each, one row a step, ``(T, N, C)``, going on from batch to batch."""
        return self._go_on(self.take(inputs_of(batch)), batch_idx).transpose(0, 1)

    def _go_on(self, inputs: Tensor, batch_idx: int) -> Tensor:
        """Forecasts of the next chunk of an evaluation, ``(N, T, C)``."""
        state = self._evaluation_state
        if batch_idx == 0 and state is not None:
            state = tuple(part.expand(-1, len(inputs), -1).contiguous() for part in state)
        self._check_lanes(state, inputs)
        forecasts, self._evaluation_state = self.predict_on(self.normalise(inputs), state)
        return self.denormalise(forecasts, inputs)

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the lanes one after the other."""
        lanes = {name: steps.transpose(0, 1).flatten(0, 1)[:, None] for name, steps in outputs.items()}
        return super().figures(lanes, rows)

    def extend(self, known: Tensor, horizon: int) -> Tensor:
        """Reads the whole history and carries the state on."""
        return self.carry_on(known, horizon)

    def roll(self, known: Tensor, origins: range, horizon: int) -> Tensor:
        """Reads the series once, keeps the state at every origin, and goes on from many of them together."""
        series, read = self.normalise(known)[None], 0
        state: State | None = None
        at_once = max(1, STEPS_AT_ONCE // self.window)
        parts = []
        for start in range(0, len(origins), at_once):
            forecasts: list[Tensor] = []
            states: list[State] = []
            for origin in origins[start : start + at_once]:
                latest, state = self.follow(series[:, read:origin], state)
                forecasts.append(latest)
                states.append(state)
                read = origin
            together = tuple(torch.cat(part, 1) for part in zip(*states, strict=True))
            parts.append(self.go_on(torch.cat(forecasts), together, known, horizon))
        return torch.cat(parts)

    def _check_lanes(self, state: State | None, inputs: Tensor) -> None:
        if state is not None and state[0].shape[1] != len(inputs):
            raise ZooError(
                f"{len(inputs)} lanes follow {state[0].shape[1]}; a stateful model needs the same lanes in every "
                "batch, or reset() between"
            )
