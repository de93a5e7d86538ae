"""A decoder-only transformer (Vaswani et al., 2017; Radford et al., 2018) with what has proved itself since."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.base.optimization import OptimizerName
from zoo.errors import ZooError
from zoo.text.neural import LanguageNet, NeuralLanguageModel


class Cache(NamedTuple):
    """Keys and values of what has been read.

    Attributes:
        keys: Of each layer, ``(N, heads, S, head_size)``, rotated to their places.
        values: Likewise, as they are.
        length: Number of tokens read, which may be more than are kept.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    length: int


class Block(nn.Module):
    """Attention and a gated dense network, each behind a norm and beside a residual connection.

    Queries and keys are normalised, then rotated by their places (Su et al., 2021, arXiv:2104.09864), so that only the
    distance of two tokens counts; the dense network is SwiGLU (Shazeer, 2020, arXiv:2002.05202).

    Args:
        width: Numbers a token.
        num_heads: Number of heads.
        dropout: Probability of dropping a unit that is added to the residual.
    """

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        # Two thirds of four times the width, in whole vectors of the processor: as many weights as without the gate.
        inner = max(32, width * 8 // 3 // 32 * 32)
        self.num_heads = num_heads
        self.attention_norm = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.dense_norm = nn.RMSNorm(width)
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, places: tuple[Tensor, Tensor], past: tuple[Tensor, Tensor] | None, keep: int
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Reads tokens.

        Args:
            x: ``(N, T, width)``.
            places: Cosines and sines of their places, ``(T, head_size / 2)``.
            past: Keys and values of the tokens before.
            keep: How many keys and values to give back.

        Returns:
            The same shape, and keys and values, those of ``x`` included.
        """
        n, t, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(n, t, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys, values = qkv.unbind()
        queries, keys = (rotate(F.rms_norm(part, part.shape[-1:]), *places) for part in (queries, keys))
        mask = None
        if past is not None:
            known = past[0].shape[2]
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
            if t > 1:
                mask = torch.ones(t, known + t, dtype=torch.bool, device=x.device).tril(known)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=past is None)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(n, t, width)))
        gate, up = self.gate_up(self.dense_norm(x)).chunk(2, dim=-1)
        x = x + self.dropout(self.down(F.silu(gate) * up))
        return x, (keys[:, :, -keep:], values[:, :, -keep:])


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turns each pair of numbers of ``x``, ``(N, heads, T, head_size)``, by the angle of its place and frequency."""
    first, second = x.chunk(2, dim=-1)
    cosines, sines = cosines.to(x.dtype), sines.to(x.dtype)
    return torch.cat([first * cosines - second * sines, first * sines + second * cosines], dim=-1)


class TransformerLanguageNet(LanguageNet):
    """Embedding, transformer blocks, linear layer.

    Args:
        vocab_size: Number of token ids, ``V``.
        width: Numbers a token.
        num_layers: Number of blocks.
        num_heads: Number of heads.
        window: Tokens that attention looks back over when a state is carried on.
        dropout: Probability of dropping an embedded token's unit, or one that is added to the residual.

    Shape:
        - Input: int64 ``(N, T)``, any ``T``.
        - Output: ``(N, T, V)``, whose step ``t`` has seen inputs ``<= t`` only.

    Raises:
        ZooError: The width cannot be shared by the heads in pairs of numbers.
    """

    frequencies: Tensor

    def __init__(
        self,
        vocab_size: int,
        width: int = 192,
        num_layers: int = 6,
        num_heads: int = 3,
        window: int = 256,
        dropout: float = 0.0,
    ) -> None:
        if width % (2 * num_heads):
            raise ZooError(f"width {width} for {num_heads} heads; expected a multiple of {2 * num_heads}")
        super().__init__(nn.Embedding(vocab_size, width), nn.Linear(width, vocab_size, bias=False))
        self.blocks = nn.ModuleList(Block(width, num_heads, dropout) for _ in range(num_layers))
        self.norm = nn.RMSNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.window = window
        pairs = width // num_heads // 2
        self.register_buffer("frequencies", 10_000.0 ** (-torch.arange(pairs) / pairs), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        nn.init.normal_(self.embedding.weight, std=0.02)
        for block in self.blocks:
            assert isinstance(block, Block)
            # Every block begins as nearly nothing, so that depth does not make the start harder.
            for layer in (block.out, block.down):
                nn.init.normal_(layer.weight, std=0.1 * layer.in_features**-0.5)

    def features(self, tokens: Tensor, state: Cache | None = None) -> tuple[Tensor, Cache]:
        """See :meth:`LanguageNet.features`; the state holds the last ``window - 1`` tokens."""
        start = 0 if state is None else state.length
        angles = torch.arange(start, start + tokens.shape[1], device=tokens.device)[:, None] * self.frequencies
        places = angles.cos(), angles.sin()
        x = self.dropout(self.embedding(tokens))
        kept = []
        for layer, block in enumerate(self.blocks):
            past = None if state is None else (state.keys[layer], state.values[layer])
            x, pair = block(x, places, past, self.window - 1)
            kept.append(pair)
        keys, values = zip(*kept, strict=True)
        return self.norm(x), Cache(keys, values, start + tokens.shape[1])


class TransformerLM(NeuralLanguageModel):
    """A transformer language model, :class:`TransformerLanguageNet`.

    Batches are windows. In generation keys and values of the last ``window`` tokens are kept, so that no token is read
    twice. See :class:`NeuralLanguageModel` for the arguments not listed.

    Args:
        width: Numbers a token.
        num_layers: Number of blocks.
        num_heads: Number of heads.
        window: Tokens that attention looks back over, as the data says; half of them lie before a piece that is
            evaluated.
        dropout: Probability of dropping a unit, see :class:`TransformerLanguageNet`.

    Shape:
        - Input: int64 ``(N, T)``.
        - Output: logits of the next token, ``(N, V)``.
    """

    def __init__(
        self,
        window: int = 256,
        width: int = 192,
        num_layers: int = 6,
        num_heads: int = 3,
        dropout: float = 0.0,
        optimizer: OptimizerName = "muon",
        **options: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, **options)
        if window < 2:
            raise ZooError(f"window is {window}, expected at least 2")
        self.context = window // 2
        self.stride = window - self.context
        self.network = TransformerLanguageNet(self.vocab_size, width, num_layers, num_heads, window, dropout)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of windows."""
        inputs, targets = batch
        return self.loss(self.network(inputs), targets)
