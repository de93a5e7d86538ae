"""What every language model shares: its evaluation in perplexity and bits."""

import math
from typing import Any

import torch
from lightning import LightningDataModule
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.errors import ZooError
from zoo.text.drawing import draw_surprise
from zoo.text.generation import TextGenerator, as_text
from zoo.text.surprise import Surprise, measures

# Tokens of the text that a golden file holds, and of the passage that is drawn.
_GOLDEN, _PASSAGE = 256, 600


class LanguageModel(TextGenerator):
    """Base of the language models; a subclass adds :meth:`score` and :meth:`advance`.

    The figure that counts is bits a character of characters, else the perplexity, without what is out of vocabulary,
    since what that costs is a convention. See :class:`TextGenerator` for the arguments.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.surprise = Surprise()

    @property
    def _ddp_params_and_buffers_to_ignore(self) -> list[str]:
        """What need not be sent from process to process: no training step changes a buffer."""
        return [name for name, _ in self.named_buffers()]

    @property
    def metric(self) -> str:  # type: ignore[override]
        """``bits_per_char`` of characters, else ``perplexity_without_oov``."""
        return "bits_per_char" if self.tokenizer.is_characters else "perplexity_without_oov"

    def score(self, tokens: Tensor, context: Tensor | None = None) -> Tensor:
        """The log-probability of every token of a text, given those before it.

        Args:
            tokens: Ids, ``(T,)``.
            context: The ids before, ``(C,)``, as many as there are; nothing at the start of a text.

        Returns:
            In nats, ``(T,)``, on the model's device.

        Raises:
            ZooError: They are no ids of tokens.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what it thinks of a text")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Adds up the surprise of a chunk."""
        _, tokens = batch
        log_probs = self.predict_step(batch)
        self.surprise.update(log_probs, self.is_unknown(tokens))
        return {"log_probs": log_probs, "tokens": tokens}

    test_step = validation_step

    def predict_step(self, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """The log-probability of every token, ``(T,)`` in nats.

        Args:
            batch: Ids ``(T,)`` of a text, or with those before them: ``(context, ids)``, as data modules give them.
            batch_idx: Which batch it is.
            dataloader_idx: Of which loader.
        """
        context, tokens = batch if isinstance(batch, list | tuple) and len(batch) == 2 else (None, batch)
        # A chunk may be empty where sentences are longer than chunks.
        return self.score(tokens, context) if len(tokens) else torch.zeros(0, device=self.device)

    def log_evaluation(self, split: str) -> None:
        """Logs ``loss`` of a split in nats a token, ``perplexity`` and the like; of characters ``bits_per_char``."""
        if self.trainer.sanity_checking:
            self.surprise.reset()
            return
        for name, value in self.figures_of(self.surprise).items():
            # What a model thinks impossible makes this infinite, and that is what it is.
            self.log(f"{split}_{name}", value, prog_bar=name == self.metric)

    def scores(self, outputs: dict[str, Tensor]) -> Tensor:
        """Bits that each token takes, without those out of vocabulary."""
        return -outputs["log_probs"][~self.is_unknown(outputs["tokens"])] / math.log(2)

    def references(self, data: Any, split: str) -> dict[str, float]:
        """Unigrams: how often each token occurs in the training split, and once more."""
        ids = data.tokens.ids
        counts = torch.bincount(ids["train"].flatten().long(), minlength=self.vocab_size).double() + 1
        tokens = ids[split].long()
        bits = -(counts / counts.sum()).log2()[tokens[~self.is_unknown(tokens)]].mean().item()
        return {"unigrams": bits if self.tokenizer.is_characters else 2**bits}

    def is_unknown(self, tokens: Tensor) -> Tensor:
        """Which tokens are out of vocabulary."""
        unknown = self.tokenizer.unknown_id
        return torch.zeros_like(tokens, dtype=torch.bool) if unknown is None else tokens.eq(unknown)

    def figures_of(self, surprise: Surprise) -> dict[str, Tensor]:
        """What was added up: the loss, and perplexities, or of characters bits; begins anew."""
        found = surprise.compute()
        surprise.reset()
        if self.tokenizer.is_characters:
            return {"loss": found["loss"], "bits_per_char": found["loss"] / math.log(2)}
        return found

    @torch.inference_mode()
    def perplexity(self, text: str) -> dict[str, float]:
        """Measures the model on a text.

        Args:
            text: Of any length.

        Returns:
            ``tokens`` and ``oov`` (their numbers), ``characters``, ``perplexity``, ``perplexity_without_oov``,
            ``bits_per_char``: what it takes to tell the text to somebody who has the model, for each of its characters.

        Raises:
            ZooError: The text holds no token.
        """
        tokens = torch.tensor(self.tokenizer.encode_text(as_text(text, "the text")), device=self.device)
        if not len(tokens):
            raise ZooError("the text holds no token")
        return measures(self.score(tokens), self.is_unknown(tokens), len(text))

    def golden(self, data: LightningDataModule) -> dict[str, Tensor]:
        """The first tokens of the test split; of private data random ones."""
        if getattr(data, "private", False):
            return {"input": torch.randint(self.vocab_size, (_GOLDEN,), generator=torch.Generator().manual_seed(0))}
        batches = (tokens for _, tokens in data.test_dataloader())
        return {"input": next(tokens for tokens in batches if len(tokens))[:_GOLDEN].clone()}

    @torch.inference_mode()
    def answer(self, golden: dict[str, Tensor]) -> Tensor:
        """The log-probabilities of the tokens of a golden file."""
        return self.score(golden["input"])

    def example_input(self) -> Tensor:
        """A text of eight line ends."""
        return torch.full((1, 8), self.boundary)

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the beginning of the text, every token coloured by how much it surprised the model."""
        tokens, log_probs = (outputs[name][:_PASSAGE].cpu() for name in ("tokens", "log_probs"))
        stream = self.tokenizer.stream()
        pieces = [stream.step(token) for token in tokens.tolist()]
        return {"surprise": draw_surprise(pieces, -log_probs / math.log(2))}
