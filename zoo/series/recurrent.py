"""Recurrent forecasters: Elman's network (1990), LSTM (Hochreiter and Schmidhuber, 1997), GRU (Cho et al., 2014)."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from zoo.base.optimization import one_of
from zoo.errors import ZooError
from zoo.series.forecaster import Output
from zoo.series.initialisation import keras_initialise
from zoo.series.rolling import STEPS_AT_ONCE
from zoo.series.trained import TrainedForecaster

Cell = Literal["rnn", "lstm", "gru"]
Activation = Literal["tanh", "relu"]
State = tuple[Tensor, ...]


class RecurrentNet(nn.Module):
    """Stacked recurrent layers and a dense layer.

    Cells of ``rnn`` and ``lstm`` have one bias vector, as in the papers, where torch adds two. Those of ``gru`` need
    the second inside their reset gate.

    Args:
        in_features: Numbers a step.
        num_series: Number of series to forecast, ``C``.
        horizon: Steps ahead, ``H``; 1 for a sequence.
        hidden_size: Width of every layer.
        num_layers: Number of recurrent layers.
        cell: ``rnn``, ``lstm`` or ``gru``.
        bidirectional: Read the window from both sides; a sequence would see its future, so a vector only.
        output: ``vector`` or ``sequence``.
        activation: Of ``rnn``: ``tanh``, or ``relu``, which may grow without bound.
        dropout: Probability of dropping a unit between two layers in training.

    Shape:
        - Input: ``(N, T, in_features)``, any ``T``.
        - Output: ``(N, H, C)`` for a vector; ``(N, T, C)`` for a sequence, whose step ``t`` has seen inputs ``<= t``.

    Raises:
        ZooError: The arguments contradict each other.
    """

    def __init__(
        self,
        in_features: int = 1,
        num_series: int = 1,
        horizon: int = 1,
        hidden_size: int = 100,
        num_layers: int = 2,
        cell: Cell = "rnn",
        bidirectional: bool = False,
        output: Output = "vector",
        activation: Activation = "tanh",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        one_of("cell", cell, get_args(Cell))
        one_of("activation", activation, get_args(Activation))
        if activation != "tanh" and cell != "rnn":
            raise ZooError(f"activation {activation!r} is for cell 'rnn'; the gates of {cell!r} need 'tanh'")
        if bidirectional and output == "sequence":
            raise ZooError("a bidirectional sequence would see the future it forecasts; use output 'vector'")
        if dropout and num_layers == 1:
            raise ZooError(f"dropout {dropout} acts between layers, but num_layers is 1; use 2 or more, or no dropout")
        kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        options = {"nonlinearity": activation} if cell == "rnn" else {}
        self.recurrent = kind(
            in_features,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout,
            bidirectional=bidirectional,
            **options,
        )
        self.head = nn.Linear(hidden_size * (1 + bidirectional), horizon * num_series)
        self.hidden_size, self.horizon, self.output = hidden_size, horizon, output
        keras_initialise(self)
        if cell != "gru":
            self._drop_second_biases()

    def _drop_second_biases(self) -> None:
        """Replaces them by zeros that are neither trained nor saved; the kernels of torch want to be given some."""
        names = [name for name, _ in self.recurrent.named_parameters() if name.startswith("bias_hh")]
        for name in names:
            zeros = torch.zeros_like(getattr(self.recurrent, name).data)
            delattr(self.recurrent, name)
            self.recurrent.register_buffer(name, zeros, persistent=False)
        self.recurrent._flat_weights = [getattr(self.recurrent, name) for name in self.recurrent._flat_weights_names]

    def forward(self, inputs: Tensor) -> Tensor:
        """Forecasts from an empty state."""
        return self.advance(inputs)[0]

    def advance(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Goes on from a state.

        Args:
            inputs: ``(N, T, in_features)``.
            state: What this method returned for the steps before; None at the start.

        Returns:
            The forecasts and the state after the last step: tensors ``(layers, N, hidden_size)``, two of an LSTM.
        """
        start = state if state is None or isinstance(self.recurrent, nn.LSTM) else state[0]
        features, end = self.recurrent(inputs, start)
        if self.output == "vector":
            last = features[:, -1]
            if self.recurrent.bidirectional:
                last = torch.cat([last[:, : self.hidden_size], features[:, 0, self.hidden_size :]], 1)
            forecasts = self.head(last).unflatten(1, (self.horizon, -1))
        else:
            forecasts = self.head(features)
        return forecasts, end if isinstance(end, tuple) else (end,)


class Carrying(TrainedForecaster):
    """Base of the forecasters whose network has a state that can be carried on."""

    network: RecurrentNet

    def predict_on(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Like :meth:`predict`, but goes on from a state; see :meth:`RecurrentNet.advance`."""
        self._check_steps(inputs, self.shortest)
        forecasts, end = self.network.advance(inputs, state)
        return forecasts if self.residual == "none" else forecasts + self.anchor(inputs), end

    def follow(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Reads normalised series ``(N, T, C)``, however long; gives back the latest forecasts and the state."""
        *before, last = inputs.split(max(1, STEPS_AT_ONCE // len(inputs)), dim=1)
        for piece in before:
            _, state = self.predict_on(piece, state)
        forecasts, end = self.predict_on(last, state)
        return forecasts[:, -self.horizon :], end

    def go_on(self, latest: Tensor, state: State, known: Tensor, horizon: int) -> Tensor:
        """Goes on from what :meth:`follow` gave back of what is known, to ``horizon`` steps in all."""
        ahead = [latest]
        for _ in range(self.horizon, horizon, self.horizon):
            latest, state = self.follow(latest, state)
            ahead.append(latest)
        return self.denormalise(torch.cat(ahead, 1)[:, :horizon], known)

    def carry_on(self, known: Tensor, horizon: int) -> Tensor:
        """Continues series ``(N, T, C)`` by ``horizon`` steps and looks at every step once."""
        return self.go_on(*self.follow(self.normalise(known)), known, horizon)


class Recurrent(Carrying):
    """Forecasts with :class:`RecurrentNet`, which forgets everything between two windows.

    See :class:`TrainedForecaster` for the arguments not listed.

    Args:
        cell: ``rnn``, ``lstm`` or ``gru``.
        hidden_size: Width of every layer.
        num_layers: Number of recurrent layers.
        bidirectional: Read the window from both sides; with output ``vector`` only.
        activation: Of ``rnn``: ``tanh``, or ``relu``, which may grow without bound.
        dropout: Probability of dropping a unit between two layers in training.

    Shape:
        - Input: ``(N, T, C)``, any ``T``.
        - Output: ``(N, H, C)`` for a vector, ``(N, T, C)`` for a sequence.
    """

    def __init__(
        self,
        cell: Cell = "rnn",
        hidden_size: int = 100,
        num_layers: int = 2,
        bidirectional: bool = False,
        activation: Activation = "tanh",
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.network = RecurrentNet(
            self.in_features, self.out_features, self.horizon, hidden_size, num_layers, cell, bidirectional,
            self.output, activation, dropout,
        )  # fmt: skip

    def extend(self, known: Tensor, horizon: int) -> Tensor:
        """Reads the last ``window`` steps and carries the state on.

        With output ``vector`` they are read anew for every forecast, since training has shown none but after a window.
        """
        if self.output == "vector":
            return super().extend(known, horizon)
        return self.carry_on(known[:, -self.window :], horizon)
