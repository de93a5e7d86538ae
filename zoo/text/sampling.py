"""How the next token is drawn from what a language model says of it."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.base.processor import in_float64
from zoo.errors import ZooError


class Sampling(NamedTuple):
    """Changes to a distribution over tokens, in the order of their description, and how to draw from it.

    Args:
        repetition_penalty: The log-probability of every token that has occurred is multiplied by it (Keskar et al.,
            2019, arXiv:1909.05858); 1 changes nothing, more makes repetitions rarer.
        temperature: Log-probabilities are divided by it; 1 changes nothing, less prefers what is likely, 0 takes the
            likeliest token.
        top_k: Keep only so many of the likeliest tokens (Fan et al., 2018).
        top_p: Keep only the likeliest tokens that together have at least this probability (Holtzman et al., 2020).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0

    def check(self) -> "Sampling":
        """Refuses values that mean nothing.

        Raises:
            ZooError: One is out of range.
        """
        if not 0 <= self.temperature < math.inf:
            raise ZooError(f"temperature is {self.temperature}, expected 0 (the likeliest token) or more")
        if self.top_k is not None and self.top_k < 1:
            raise ZooError(f"top_k is {self.top_k}, expected at least 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ZooError(f"top_p is {self.top_p}, expected more than 0 and at most 1")
        if not 0 < self.repetition_penalty < math.inf:
            raise ZooError(f"repetition_penalty is {self.repetition_penalty}, expected more than 0; 1 is none")
        return self

    def distribution(self, log_probs: Tensor, occurred: Tensor | None = None) -> Tensor:
        """The probabilities to draw from.

        Args:
            log_probs: What the model says, ``(N, V)``; up to a constant in each row.
            occurred: Which tokens have occurred, bool ``(N, V)``; needed if repetitions are penalised.

        Returns:
            ``(N, V)``, rows summing to one.
        """
        if self.repetition_penalty != 1:
            if occurred is None:
                raise ValueError("a repetition penalty needs to know what has occurred")
            log_probs = log_probs.log_softmax(1)
            log_probs = torch.where(occurred, log_probs * self.repetition_penalty, log_probs)
        if self.temperature == 0:
            return torch.zeros_like(log_probs).scatter_(1, log_probs.argmax(1, keepdim=True), 1.0)
        if self.temperature != 1:
            log_probs = log_probs / self.temperature
        if self.top_k is not None and self.top_k < log_probs.shape[1]:
            best = log_probs.topk(self.top_k, dim=1)
            log_probs = torch.full_like(log_probs, -torch.inf).scatter_(1, best.indices, best.values)
        probs = log_probs.softmax(1)
        if self.top_p is not None and self.top_p < 1:
            ordered = probs.sort(dim=1, descending=True, stable=True)
            before = ordered.values.cumsum(1) - ordered.values
            kept = torch.where(before < self.top_p, ordered.values, 0.0)
            probs = torch.zeros_like(probs).scatter_(1, ordered.indices, kept)
            probs = probs / probs.sum(1, keepdim=True)
        return probs

    def draw(self, log_probs: Tensor, uniform: Tensor, occurred: Tensor | None = None) -> Tensor:
        """Draws a token for each row.

        Args:
            log_probs: What the model says, ``(N, V)``.
            uniform: Random numbers in ``[0, 1)``, ``(N, 1)``: equal numbers give equal tokens.
            occurred: See :meth:`distribution`.

        Returns:
            int64 ``(N,)``.
        """
        if self.temperature == 0 and self.repetition_penalty == 1:
            return log_probs.argmax(1)
        sums = in_float64(self.distribution(log_probs, occurred)).cumsum(1)
        # What rounding leaves above the last sum belongs to the last token that has any probability.
        place = torch.searchsorted(sums, in_float64(uniform) * sums[:, -1:], right=True).squeeze(1)
        return torch.minimum(place, (sums < sums[:, -1:]).sum(1)).to(log_probs.device)
