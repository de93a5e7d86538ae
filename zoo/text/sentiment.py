"""Classifiers of short texts: an embedding and five ways to make one vector of many."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from lightning import LightningDataModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import Dataset

from datamodules.frames import is_frame
from datamodules.frames import texts as texts_of
from datamodules.text.tokenizer import Tokenizer
from zoo.base.classification import Classification
from zoo.base.inputs import check_ids
from zoo.base.rows import Rows, rows_of
from zoo.errors import ZooError, did_you_mean
from zoo.text.drawing import draw_mistakes
from zoo.text.tokenizer import StoredTokenizer

Reader = Literal["flatten", "average", "conv", "lstm", "gru"]
Pooling = Literal["last", "average", "maximum"]

# The id that fills up rows.
PAD = 0
_MISTAKES = 20


def average(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens that there are, ``(N, F)``, of ``x`` ``(N, T, F)`` and ``mask`` ``(N, T)``."""
    weights = mask.to(x.dtype).unsqueeze(2)
    return (x * weights).sum(1) / weights.sum(1).clamp(min=1)


def maximum(x: Tensor, mask: Tensor) -> Tensor:
    """Maximum over the tokens that there are, ``(N, F)``; zero if there are none."""
    found = x.masked_fill(~mask.unsqueeze(2), -torch.inf).amax(1)
    return torch.where(mask.any(1, keepdim=True), found, 0.0)


class Bidirectional(nn.Module):
    """Recurrent layers that read a text from both sides and see no padding, wherever it is.

    The tokens that there are are moved to the front, for one direction in reverse, so that what fills up comes after
    all that counts (Schuster and Paliwal, 1997).

    Args:
        in_features: Numbers a token.
        hidden_size: Width of each direction.
        num_layers: Number of layers.
        cell: ``lstm`` or ``gru``.

    Shape:
        - Input: ``(N, T, in_features)`` and bool ``(N, T)``.
        - Output: ``(N, T, 2 * hidden_size)``, aligned to the front; its mask; and the last state of both directions,
          ``(N, 2 * hidden_size)``.
    """

    def __init__(self, in_features: int, hidden_size: int, num_layers: int = 1, cell: str = "lstm") -> None:
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        sizes = [in_features, *[2 * hidden_size] * (num_layers - 1)]
        self.forwards = nn.ModuleList(kind(size, hidden_size, batch_first=True) for size in sizes)
        self.backwards = nn.ModuleList(kind(size, hidden_size, batch_first=True) for size in sizes)
        for name, parameter in self.named_parameters():
            if "weight_hh" in name:
                for gate in parameter.split(hidden_size):
                    nn.init.orthogonal_(gate)
            elif "weight_ih" in name:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)
                if cell == "lstm" and "bias_ih" in name:
                    # Forget gates begin open.
                    nn.init.ones_(parameter[hidden_size : 2 * hidden_size])

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reads texts."""
        steps = x.shape[1]
        places = torch.arange(steps, device=x.device).expand_as(mask)
        # What counts first, each in its order.
        order = torch.where(mask, places, places + steps).topk(steps, dim=1, largest=False).indices
        lengths = mask.sum(1, keepdim=True)
        x, mask = _take(x, order), places < lengths
        reverse = torch.where(mask, lengths - 1 - places, places)
        ends = (lengths - 1).clamp(min=0)
        last = []
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            left, right = ahead(x)[0], back(_take(x, reverse))[0]
            last = [_take(one, ends).squeeze(1) * (lengths > 0) for one in (left, right)]
            x = torch.cat([left, _take(right, reverse)], 2)
        return x, mask, torch.cat(last, 1)


def _take(x: Tensor, places: Tensor) -> Tensor:
    """Picks steps of ``x``, ``(N, T, F)``, by their places ``(N, S)``."""
    return x.gather(1, places.unsqueeze(2).expand(-1, -1, x.shape[2]))


class SentimentNet(nn.Module):
    """An embedding, a reader that makes one vector of a text, perhaps a dense layer, logits.

    Args:
        vocab_size: Number of token ids; id 0 fills up.
        num_logits: Number of outputs.
        length: Tokens in a row; only ``flatten`` is bound to it.
        reader: ``flatten``; ``average``; ``conv``, a convolution and the maximum over time (Kim, 2014); ``lstm`` or
            ``gru``, both bidirectional.
        embedding_size: Width of the embedding.
        hidden_size: Channels of the convolution, or width of each direction.
        num_layers: Recurrent layers.
        kernel_size: Tokens that the convolution sees.
        pooling: What is taken of recurrent layers: the ``last`` states, the ``average`` or the ``maximum`` over time.
        dense_size: Width of a dense layer with ReLU before the last; 0 for none.
        masked: Leave padding out of averages and maxima; the notes do not.
        word_dropout: Probability of taking a token out of a text (Iyyer et al., 2015).
        embedding_dropout: Probability of dropping a unit of an embedded token.
        dropout: Probability of dropping a unit before the last layers.

    Shape:
        - Input: int64 ``(N, T)``.
        - Output: ``(N, num_logits)``.

    Raises:
        ZooError: There is no such reader or pooling.
    """

    def __init__(
        self,
        vocab_size: int,
        num_logits: int = 1,
        length: int = 50,
        reader: Reader = "average",
        embedding_size: int = 16,
        hidden_size: int = 16,
        num_layers: int = 1,
        kernel_size: int = 5,
        pooling: Pooling = "last",
        dense_size: int = 0,
        masked: bool = True,
        word_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value, known in (
            ("reader", reader, get_args(Reader)),
            ("pooling", pooling, get_args(Pooling)),
        ):
            if value not in known:
                raise ZooError(f"no {name} {value!r}; there are {', '.join(known)}{did_you_mean(value, known)}")
        self.reader, self.pooling, self.masked, self.length = reader, pooling, masked, length
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        width = {"flatten": length * embedding_size, "average": embedding_size, "conv": hidden_size}
        self.conv = nn.Conv1d(embedding_size, hidden_size, kernel_size) if reader == "conv" else None
        self.recurrent = None
        if reader in ("lstm", "gru"):
            self.recurrent = Bidirectional(embedding_size, hidden_size, num_layers, reader)
        features = width.get(reader, 2 * hidden_size)
        self.dense = nn.Linear(features, dense_size) if dense_size else None
        self.head = nn.Linear(dense_size or features, num_logits)
        for layer in (self.conv, self.dense, self.head):
            if layer is not None:
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        self.word_dropout = word_dropout
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor) -> Tensor:
        """Returns logits."""
        mask = ids != PAD
        if self.training and self.word_dropout:
            kept = torch.rand(ids.shape, device=ids.device) >= self.word_dropout
            ids, mask = torch.where(kept, ids, PAD), mask & kept
        if not self.masked:
            mask = torch.ones_like(mask)
        x = self.dropout(self.read(self.embedding_dropout(self.embedding(ids)), mask))
        if self.dense is not None:
            x = self.dropout(F.relu(self.dense(x)))
        return self.head(x)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Makes one vector of each text."""
        if self.reader == "flatten":
            if x.shape[1] != self.length:
                raise ZooError(f"rows of {x.shape[1]} tokens, expected {self.length}, to which the network is bound")
            return (x * mask.unsqueeze(2)).flatten(1)
        if self.conv is not None:
            return self._convolve(x, mask)
        if self.recurrent is not None:
            x, mask, last = self.recurrent(x, mask)
            if self.pooling == "last":
                return last
        return maximum(x, mask) if self.pooling == "maximum" else average(x, mask)

    def _convolve(self, x: Tensor, mask: Tensor) -> Tensor:
        assert self.conv is not None
        x = x * mask.unsqueeze(2)
        if not self.masked:
            return F.relu(self.conv(x.transpose(1, 2))).amax(2)
        # With zeros around it the convolution sees every token at each of its places, and nothing else counts.
        reach = self.conv.kernel_size[0] - 1
        seen = F.relu(self.conv(F.pad(x.transpose(1, 2), (reach, reach)))).transpose(1, 2)
        touched = F.max_pool1d(F.pad(mask.to(x.dtype).unsqueeze(1), (reach, reach)), reach + 1, stride=1).squeeze(1) > 0
        return maximum(seen, touched)


class SentimentClassifier(Classification):
    """Classifies short texts with :class:`SentimentNet`. See :class:`Classification` for the arguments not listed.

    The tokenizer is a part of the state, so that one file of weights is all it takes.

    Args:
        vocab_size: Number of token ids; id 0 fills up.
        tokenizer: JSON of the tokenizer; left out for a model that will be filled with weights.
        length: Tokens in a row.
        reader: What makes one vector of a text: ``flatten``; ``average``; ``conv``, a convolution and the maximum over
            time (Kim, 2014); ``lstm`` or ``gru``, both bidirectional.
        embedding_size: Width of the embedding.
        hidden_size: Channels of the convolution, or width of each direction.
        num_layers: Recurrent layers.
        kernel_size: Tokens that the convolution sees.
        pooling: What is taken of recurrent layers: the ``last`` states, the ``average`` or the ``maximum`` over time.
        dense_size: Width of a dense layer with ReLU before the last; 0 for none.
        masked: Leave padding out of averages and maxima; the notes do not.
        word_dropout: Probability of taking a token out of a text (Iyyer et al., 2015).
        embedding_dropout: Probability of dropping a unit of an embedded token.
        dropout: Probability of dropping a unit before the last layers.

    Shape:
        - Input: int64 ``(N, length)``; or texts.
        - Output: logits ``(N, num_classes)``, or ``(N, 1)`` for two classes.
    """

    not_kept = ("tokenizer",)

    def __init__(
        self,
        vocab_size: int,
        tokenizer: str | None = None,
        num_classes: int = 2,
        length: int = 50,
        reader: Reader = "average",
        embedding_size: int = 16,
        hidden_size: int = 16,
        num_layers: int = 1,
        kernel_size: int = 5,
        pooling: Pooling = "last",
        dense_size: int = 0,
        masked: bool = True,
        word_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(num_classes=num_classes, **options)
        self.stored_tokenizer = StoredTokenizer(tokenizer)
        if tokenizer is not None and self.tokenizer.vocab_size != vocab_size:
            raise ZooError(f"vocab_size is {vocab_size}, but the tokenizer has {self.tokenizer.vocab_size} tokens")
        self.vocab_size, self.length = vocab_size, length
        self.network = SentimentNet(
            vocab_size, self.num_logits, length, reader, embedding_size, hidden_size, num_layers, kernel_size,
            pooling, dense_size, masked, word_dropout, embedding_dropout, dropout,
        )  # fmt: skip
        # Equal on all processes from the start.
        self._ddp_params_and_buffers_to_ignore = ["stored_tokenizer.json"]

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to rows of token ids."""
        return self.stored_tokenizer.tokenizer

    @property
    def embedding(self) -> nn.Embedding:
        """The vectors of the tokens."""
        return self.network.embedding

    def rows(self) -> dict[str, Rows]:
        """A row of the embedding for each token, of the head for each class."""
        return super().rows() | rows_of(self, self.embedding, self.stored_tokenizer.rows())

    def forward(self, ids: Tensor) -> Tensor:
        """Returns the logits of rows of ids, or of texts."""
        return self.network(self.take(ids).long())

    @property
    def takes(self) -> str:
        """Texts, or rows of ids."""
        return f"texts, or rows of ids (N, {self.length}), whole numbers below {self.vocab_size:,}"

    def as_tensor(self, inputs: Any) -> Tensor | None:
        """Rows of ids, also of a text or of several, in a list, an array or a series of pandas.

        Raises:
            DataError: A series of pandas holds something else, too.
        """
        texts = [inputs] if isinstance(inputs, str) else inputs
        if is_frame(texts):
            texts = texts_of(texts)
        if isinstance(texts, Iterable) and not isinstance(texts, Tensor | Mapping | Set):
            texts = list(texts)
            if all(isinstance(one, str) for one in texts):
                return torch.from_numpy(self.tokenizer.rows(texts))
        return super().as_tensor(inputs)

    def check(self, inputs: Tensor) -> None:
        """Refuses what are no rows of ids.

        Raises:
            ZooError: They are not.
        """
        if inputs.ndim != 2 or inputs.is_floating_point() or inputs.dtype == torch.bool or not inputs.shape[1]:
            raise self.refusal(inputs)
        check_ids(inputs, self.vocab_size, "token")

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of a batch."""
        ids, labels = batch
        return self.learn(self(ids), labels)

    def golden(self, data: LightningDataModule) -> dict[str, Tensor]:
        """A few rows of the test split; of private data random tokens."""
        if getattr(data, "private", False):
            generator = torch.Generator().manual_seed(0)
            return {"input": torch.randint(self.vocab_size, (8, self.length), generator=generator)}
        return super().golden(data)

    def example_input(self) -> Tensor:
        """A row of one token over and over."""
        return torch.ones(1, self.length, dtype=torch.int64)

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the confusion matrix and lists the most confident mistakes."""
        drawn = super().figures(outputs, rows)
        worst, guesses = self.worst(outputs, _MISTAKES)
        if len(worst):
            ids, truths = rows[worst]
            texts = [self.tokenizer.decode([one for one in row if one != PAD]) for row in ids.tolist()]
            names = [[self.classes[place] for place in places] for places in (guesses, truths.tolist())]
            drawn["mistakes"] = draw_mistakes(texts, names[0], names[1])
        return drawn
