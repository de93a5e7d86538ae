"""N-gram language models (Shannon, 1948) of any order, counted by sorting, smoothed as KenLM does."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from datamodules.text.tokenizer import END, SENTENCES, START, Tokenizer
from zoo.base.gradient_free import GradientFree
from zoo.errors import ZooError, did_you_mean
from zoo.text.arpa import read_arpa, write_arpa
from zoo.text.backoff import BackOff
from zoo.text.generation import State
from zoo.text.language_model import LanguageModel
from zoo.text.ngram_counts import NGramCounts
from zoo.text.smoothing import Smoothing, check_pruning
from zoo.text.surprise import Surprise

_START, _END = SENTENCES.index(START), SENTENCES.index(END)
_SMOOTHINGS = ("kneser_ney", "add_k", "maximum_likelihood")


class NGramLM(GradientFree, LanguageModel):
    """An n-gram language model: a word depends on the ``order - 1`` words before it, within its sentence.

    Training counts, without gradients: one epoch over chunks of whole sentences (``--data.batches chunks``). At its end
    the counts of all processes are added up and become probabilities. The counts are what is kept in the weights.

    - ``kneser_ney``: interpolated modified Kneser-Ney (Chen and Goodman, 1999), discounts estimated, equal to KenLM;
    - ``add_k``: adds ``k`` to every count; after contexts never seen all words are alike;
    - ``maximum_likelihood``: relative frequencies; what was never seen is impossible, so that perplexities are mostly
      infinite.

    Args:
        order: Length of the longest n-grams.
        smoothing: ``kneser_ney``, ``add_k`` or ``maximum_likelihood``.
        k: Of ``add_k``.
        prune: For each order, n-grams that occur so often or less are dropped, like ``lmplz --prune``; the last value
            holds for all further orders. Begins with 0.

    Shape:
        - Input: int64 ``(N, T)``.
        - Output: log-probabilities of the next token, float64 ``(N, V)``.

    Raises:
        ZooError: The arguments mean nothing, or lines are no sentences for the tokenizer.
    """

    # Without smoothing a perplexity is infinite, and rightly so.
    watch_loss = False

    def __init__(
        self,
        order: int = 3,
        smoothing: Smoothing = "kneser_ney",
        k: float = 1.0,
        prune: Sequence[int] = (0,),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if smoothing not in _SMOOTHINGS:
            hint = did_you_mean(smoothing, _SMOOTHINGS)
            raise ZooError(f"no smoothing {smoothing!r}; there are {', '.join(_SMOOTHINGS)}{hint}")
        if order < 1 or not k > 0:
            raise ZooError(f"order is {order} and k is {k}; expected an order of at least 1 and k above 0")
        if self.stored_tokenizer.is_filled and (self.tokenizer.start_id, self.tokenizer.end_id) != (_START, _END):
            raise ZooError("n-grams are counted in sentences; use --data.lines true, so that lines are sentences")
        self.order = order
        self.prune = check_pruning(list(prune), order)
        self.table = BackOff(order, self.vocab_size, _START, _END, smoothing, k)
        self._counts: NGramCounts | None = None
        self._unpruned: BackOff | None = None
        self.unpruned_surprise = Surprise()

    def on_train_epoch_start(self) -> None:
        """Begins to count."""
        self._counts = NGramCounts(self.order, self.vocab_size, _START, _END)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Counts a chunk."""
        if batch[0].ndim != 1:
            raise ZooError("n-grams are counted in chunks of text, not in windows; use --data.batches chunks")
        assert self._counts is not None
        self._counts.add(batch[1])
        return self.no_loss()

    def on_validation_epoch_start(self) -> None:
        """Makes probabilities of what was counted so far."""
        if self._counts is not None:
            self._estimate()

    def on_train_epoch_end(self) -> None:
        """Makes probabilities of all that was counted."""
        self._estimate()
        self._counts = self._unpruned = None

    def _estimate(self) -> None:
        assert self._counts is not None
        counts = self._counts.gathered(self.device)
        if counts.is_empty:
            return
        levels = counts.levels()
        fallen = self.table.fill(levels, self.prune)
        if any(self.prune):
            table = self.table
            self._unpruned = BackOff(self.order, self.vocab_size, _START, _END, table.smoothing, table.k)
            self._unpruned.to(self.device).fill(levels, [])
        if fallen:
            orders = ", ".join(map(str, fallen))
            rank_zero_warn(f"too few n-grams to estimate the discounts of order {orders}; usual ones are taken")

    def score(self, tokens: Tensor, context: Tensor | None = None) -> Tensor:
        """The log-probability of every token of a text that begins with a sentence; the context does not matter."""
        return self.table.score(self.ids(tokens, 1))

    @property
    def is_fitted(self) -> bool:
        """Whether anything was counted."""
        return not self.table.is_empty

    def advance(self, tokens: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Log-probabilities of what follows, float64 ``(N, V)``; the state are the last tokens of each row."""
        tokens = tokens if state is None else torch.cat([state, tokens], 1)
        latest = tokens[:, max(tokens.shape[1] - self.order + 1, 0) :]
        # A sentence begins where one has ended, and knows nothing of it.
        ends = latest == _END
        still_to_come = ends.flip(1).cumsum(1).flip(1)
        contexts = torch.where(still_to_come == 0, latest, -1)
        contexts[ends & (still_to_come == 1)] = _START
        return self.table.next_log_probs(contexts), latest

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Adds up the surprise of a chunk; before anything was counted there is none."""
        if self.table.is_empty:
            return {}
        if self._unpruned is not None:
            _, tokens = batch
            self.unpruned_surprise.update(self._unpruned.score(tokens), self.is_unknown(tokens))
        return super().validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """In training, logs also what the model would reach if nothing were pruned: ``val_unpruned_perplexity``, ..."""
        super().on_validation_epoch_end()
        if self._unpruned is not None:
            for name, value in self.figures_of(self.unpruned_surprise).items():
                self.log(f"val_unpruned_{name}", value)

    def save_arpa(self, path: str | PathLike[str]) -> None:
        """Writes the model in the format that KenLM, SRILM and others read.

        Spaces within tokens, of characters, become U+2581.

        Args:
            path: File to write; what is there is replaced.
        """
        write_arpa(self.table, self.tokenizer.vocabulary, Path(path))

    @classmethod
    def from_arpa(cls, path: str | PathLike[str]) -> "NGramLM":
        """Reads a model that KenLM, SRILM or others have written; texts are split at spaces.

        Args:
            path: The file.

        Raises:
            ZooError: It is malformed; the line is named.
        """
        vocabulary, words, contexts, table = read_arpa(Path(path))
        tokenizer = Tokenizer.of_vocabulary(vocabulary)
        model = cls(vocab_size=len(vocabulary), tokenizer=tokenizer.json, order=len(table.log_probs))
        model.table.import_table(words, contexts, table)
        return model.eval()
