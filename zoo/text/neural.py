"""What neural language models share: the loss, evaluation in windows, the optimizer."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.base.optimization import Optimized
from zoo.base.rows import Rows, rows_of
from zoo.text.generation import State
from zoo.text.language_model import LanguageModel

# Numbers that an evaluation computes at once at most: tokens times vocabulary.
_AT_ONCE = 1 << 26


class TiedLinear(nn.Module):
    """A linear layer whose kernel is an embedding (Press and Wolf, 2017).

    Args:
        embedding: ``(V, F)``; it stays a part of whatever it is a part of.

    Shape:
        - Input: ``(N, T, F)``.
        - Output: ``(N, T, V)``.
    """

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        # Within a tuple, so that the weights are those of one module only and are saved once.
        self._shared = (embedding,)
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))

    def forward(self, features: Tensor) -> Tensor:
        """Returns logits."""
        return F.linear(features, self._shared[0].weight, self.bias)


class LanguageNet(nn.Module):
    """Base of the networks: an embedding, something causal, and a linear layer that gives logits.

    Args:
        embedding: Of the tokens.
        head: Gives logits.
    """

    def __init__(self, embedding: nn.Embedding, head: nn.Linear | TiedLinear) -> None:
        super().__init__()
        self.embedding = embedding
        self.head = head

    def features(self, tokens: Tensor, state: State = None) -> tuple[Tensor, State]:
        """What the head sees.

        Args:
            tokens: Ids, ``(N, T)``.
            state: What this method returned for what lies before; None at the start.

        Returns:
            ``(N, T, F)``, whose step ``t`` has seen tokens ``<= t`` only, and the state after the last one.
        """
        raise NotImplementedError(f"{type(self).__name__} has no features")

    def advance(self, tokens: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Logits of the successor of every token, ``(N, T, V)``, and the state."""
        features, state = self.features(tokens, state)
        return self.head(features), state

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the successor of every token, ``(N, T, V)``, nothing known before the first."""
        return self.advance(tokens)[0]


class NeuralLanguageModel(LanguageModel, Optimized):
    """Base of the neural language models; a subclass adds ``self.network``.

    A text is evaluated in pieces of ``stride`` tokens, many at once, each after the ``context`` tokens before it.

    Args:
        compile: Compile the network with ``torch.compile`` before training.

    Attributes:
        stride: Tokens of a piece.
        context: Tokens before it.
    """

    network: LanguageNet
    stride: int
    context: int
    betas = (0.9, 0.99)
    takes_tf32 = True

    def __init__(self, lr: float = 2e-3, compile: bool = False, **options: Any) -> None:
        super().__init__(lr=lr, **options)
        self.compile_network = compile

    @property
    def embedding(self) -> nn.Embedding:
        """The vectors of the tokens."""
        return self.network.embedding

    def rows(self) -> dict[str, Rows]:
        """A row of the embedding, and of the head, for each token."""
        tokens = self.stored_tokenizer.rows()
        return rows_of(self, self.network.embedding, tokens) | rows_of(self, self.network.head, tokens)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats of logits ``(N, T, V)`` and ids ``(N, T)``."""
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    def score(self, tokens: Tensor, context: Tensor | None = None) -> Tensor:
        """The log-probability of every token, each after at least ``context`` tokens where there are as many."""
        lead = self.context + 1
        tokens = self.ids(tokens, 1)
        before = tokens[:0] if context is None else self.ids(context, 1)[-lead:]
        # What is missing before a text, and after it, is filled up with ends of lines.
        filled = tokens.new_full((lead - len(before),), self.boundary)
        behind = tokens.new_full((-len(tokens) % self.stride,), self.boundary)
        stream = torch.cat([filled, before, tokens, behind])
        rows = stream.unfold(0, lead + self.stride, self.stride)
        at_once = max(1, _AT_ONCE // (self.vocab_size * self.stride))
        found = [self._score_rows(part) for part in rows.split(at_once)]
        return torch.cat(found).flatten()[: len(tokens)]

    def _score_rows(self, rows: Tensor) -> Tensor:
        features, _ = self.network.features(rows[:, :-1])
        targets = rows[:, self.context + 1 :]
        logits = self.network.head(features[:, self.context :]).float()
        return -F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)

    def advance(self, tokens: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Logits of what follows the last token, ``(N, V)``, and the state."""
        features, state = self.network.features(tokens, state)
        return self.network.head(features[:, -1]), state

    def setup(self, stage: str) -> None:
        """Compiles, in place, so that no key is renamed."""
        super().setup(stage)
        if self.compile_network and stage == "fit":
            self.network.compile()

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices between embedding and head."""
        ends = {id(one) for part in (self.network.embedding, self.network.head) for one in part.parameters()}
        return [one for one in self.parameters() if one.ndim == 2 and id(one) not in ends]
