"""What a text costs a model: perplexity, with and without what is out of vocabulary, and bits a character."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.base.processor import has_float64, in_float64


class Surprise(Metric):
    """Sums of what a language model thinks of a text, over batches and processes.

    Attributes:
        sums: Negative log-likelihood in nats and number, of all tokens and of those out of vocabulary.
    """

    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Perplexities are told to four decimals, which single precision does not hold.
        self.add_state("sums", torch.zeros(4, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, log_probs: Tensor, unknown: Tensor) -> None:
        """Adds tokens: their log-probabilities, and which of them are out of vocabulary, both ``(T,)``."""
        nats, unknown = -in_float64(log_probs), unknown.to(self.sums.device)
        theirs = torch.where(unknown, nats, 0.0)
        count = torch.tensor(len(nats), device=nats.device)
        self.sums += torch.stack([nats.sum(), count.double(), theirs.sum(), unknown.sum().double()])

    def _apply(self, fn: Callable[[Tensor], Tensor], *rest: Any) -> Any:
        """Leaves the sums on the CPU where the device that they would go to has no float64."""
        stays = not has_float64(fn(torch.empty(0)).device)
        return super()._apply((lambda tensor: tensor) if stays else fn, *rest)

    def compute(self) -> dict[str, Tensor]:
        """``loss`` in nats a token, ``perplexity``, and ``perplexity_without_oov``, of known tokens alone."""
        nats, count, theirs, unknown = self.sums
        loss = nats / count
        without = (nats - theirs) / (count - unknown)
        return {"loss": loss, "perplexity": loss.exp(), "perplexity_without_oov": without.exp()}


def measures(log_probs: Tensor, unknown: Tensor, characters: int) -> dict[str, float]:
    """Figures of a text; see :meth:`LanguageModel.perplexity`.

    Args:
        log_probs: Of its tokens, ``(T,)``.
        unknown: Which of them are out of vocabulary, ``(T,)``.
        characters: Its length.
    """
    surprise = Surprise().to(log_probs.device)
    surprise.update(log_probs, unknown)
    found = {name: float(value) for name, value in surprise.compute().items()}
    return {
        "tokens": len(log_probs),
        "oov": int(unknown.sum()),
        "characters": characters,
        "perplexity": found["perplexity"],
        "perplexity_without_oov": found["perplexity_without_oov"],
        "bits_per_char": float(surprise.sums[0]) / math.log(2) / characters,
    }
