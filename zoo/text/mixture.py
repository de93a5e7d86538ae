"""Linear interpolation of language models (Jelinek and Mercer, 1980)."""

from collections.abc import Sequence

import torch
from torch import Tensor


def mix(log_probs: Tensor, weights: Tensor) -> Tensor:
    """What several models together think of a text: the mean of their probabilities.

    Args:
        log_probs: Of each model and token, ``(M, T)``.
        weights: Of the models, ``(M,)``, summing to one.

    Returns:
        ``(T,)``.
    """
    return (log_probs.double() + weights.double().log()[:, None]).logsumexp(0)


def fit_weights(log_probs: Tensor, steps: int = 200) -> Tensor:
    """The weights with which a mixture gives a text the highest probability, by expectation maximisation.

    Args:
        log_probs: Of each model and token, ``(M, T)``.
        steps: Number of iterations.

    Returns:
        float64 ``(M,)``, summing to one.
    """
    log_probs = log_probs.double()
    # What all models think impossible tells nothing about their weights.
    log_probs = log_probs[:, log_probs.isfinite().any(0)]
    weights = torch.full((len(log_probs),), 1 / len(log_probs), dtype=torch.float64, device=log_probs.device)
    for _ in range(steps):
        weights = (log_probs + weights.log()[:, None]).softmax(0).mean(1)
    return weights


def same_vocabulary(vocabularies: Sequence[Sequence[str]]) -> bool:
    """Whether all models speak of the same tokens by the same ids."""
    return all(list(vocabulary) == list(vocabularies[0]) for vocabulary in vocabularies)
