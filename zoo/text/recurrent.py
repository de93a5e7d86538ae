"""Recurrent language models (Mikolov et al., 2010): Elman's network, LSTM, GRU, with their state carried on."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from zoo.errors import ZooError, did_you_mean
from zoo.text.neural import LanguageNet, NeuralLanguageModel, TiedLinear

Cell = Literal["rnn", "lstm", "gru"]
RecurrentState = tuple[Tensor, ...]


class RecurrentLanguageNet(LanguageNet):
    """Embedding, stacked recurrent layers, linear layer.

    Recurrent kernels begin orthogonal, gate by gate, and the forget gates of an LSTM open (Jozefowicz et al., 2015).

    Args:
        vocab_size: Number of token ids, ``V``.
        embedding_size: Width of the embedding.
        hidden_size: Width of every recurrent layer.
        num_layers: Number of recurrent layers.
        cell: ``rnn``, ``lstm`` or ``gru``.
        dropout: Probability of dropping a unit between two layers.
        embedding_dropout: Likewise of an embedded token; as ``dropout`` if left out.
        tied: The embedding is also the kernel of the last layer (Press and Wolf, 2017).

    Shape:
        - Input: int64 ``(N, T)``, any ``T``.
        - Output: ``(N, T, V)``, whose step ``t`` has seen inputs ``<= t`` only.

    Raises:
        ZooError: There is no such cell.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int = 128,
        hidden_size: int = 256,
        num_layers: int = 2,
        cell: Cell = "lstm",
        dropout: float = 0.0,
        embedding_dropout: float | None = None,
        tied: bool = False,
    ) -> None:
        if cell not in get_args(Cell):
            raise ZooError(
                f"no cell {cell!r}; there are {', '.join(get_args(Cell))}{did_you_mean(cell, get_args(Cell))}"
            )
        width = embedding_size if tied else hidden_size
        embedding = nn.Embedding(vocab_size, embedding_size)
        super().__init__(embedding, TiedLinear(embedding) if tied else nn.Linear(width, vocab_size))
        kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        between = dropout if num_layers > 1 else 0.0
        self.recurrent = kind(embedding_size, hidden_size, num_layers, batch_first=True, dropout=between)
        self.embedding_dropout = nn.Dropout(dropout if embedding_dropout is None else embedding_dropout)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(hidden_size, width) if width != hidden_size else nn.Identity()
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.zeros_(self.head.bias)
        size = self.recurrent.hidden_size
        for name, parameter in self.recurrent.named_parameters():
            if name.startswith("weight_hh"):
                for gate in parameter.split(size):
                    nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih"):
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)
            if name.startswith("bias_ih") and isinstance(self.recurrent, nn.LSTM):
                parameter[size : 2 * size] = 1.0

    def features(self, tokens: Tensor, state: RecurrentState | None = None) -> tuple[Tensor, RecurrentState]:
        """See :meth:`LanguageNet.features`; the state are tensors ``(layers, N, hidden_size)``, two of an LSTM."""
        start = state if state is None or isinstance(self.recurrent, nn.LSTM) else state[0]
        # oneDNN arranges all weights anew in every call, which costs more than reading a single token.
        alone = tokens.shape[1] == 1 and not torch.is_grad_enabled()
        with _without_onednn() if alone else nullcontext():
            hidden, end = self.recurrent(self.embedding_dropout(self.embedding(tokens)), start)
        return self.project(self.dropout(hidden)), end if isinstance(end, tuple) else (end,)


@contextmanager
def _without_onednn() -> Iterator[None]:
    backend = torch.backends.mkldnn
    before = backend.enabled
    # Not by its own context manager, which warns of graphics processors that are not there.
    backend.enabled = False  # type: ignore[assignment]
    try:
        yield
    finally:
        backend.enabled = before


class RNNLM(NeuralLanguageModel):
    """A recurrent language model, :class:`RecurrentLanguageNet`, trained with truncated back-propagation through time.

    Batches are lanes: row ``n`` goes on where row ``n`` of the batch before ended, and so does the state, which is
    empty where an epoch begins. See :class:`NeuralLanguageModel` for the arguments not listed.

    Args:
        cell: ``rnn``, ``lstm`` or ``gru``.
        embedding_size: Width of the embedding.
        hidden_size: Width of every recurrent layer.
        num_layers: Number of recurrent layers.
        dropout: Probability of dropping a unit between two layers.
        embedding_dropout: Likewise of an embedded token; as ``dropout`` if left out.
        tied: The embedding is also the kernel of the last layer.

    Shape:
        - Input: int64 ``(N, T)``.
        - Output: logits of the next token, ``(N, V)``.
    """

    stride = 512
    context = 256

    def __init__(
        self,
        cell: Cell = "lstm",
        embedding_size: int = 128,
        hidden_size: int = 256,
        num_layers: int = 2,
        dropout: float = 0.0,
        embedding_dropout: float | None = None,
        tied: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.network = RecurrentLanguageNet(
            self.vocab_size, embedding_size, hidden_size, num_layers, cell, dropout, embedding_dropout, tied
        )
        self.state: RecurrentState | None = None

    def on_train_epoch_start(self) -> None:
        """Empties the state."""
        self.state = None

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of the next stretch of all lanes; gradients end where it begins."""
        inputs, targets = batch
        if self.state is not None and self.state[0].shape[1] != len(inputs):
            raise ZooError(
                f"{len(inputs)} lanes follow {self.state[0].shape[1]}; a state goes on along the same lanes, "
                "use --data.batches lanes"
            )
        logits, state = self.network.advance(inputs, self.state)
        # In the precision of the weights, since the next step may be one in another precision than this.
        self.state = tuple(part.detach().to(self.network.embedding.weight.dtype) for part in state)
        return self.loss(logits, targets)
