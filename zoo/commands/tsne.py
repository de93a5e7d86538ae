"""What ``zoo embed --method tsne`` shows: near rows near each other in the plane (van der Maaten and Hinton, 2008)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn.decomposition
import torch
from sklearn.manifold import TSNE
from torch import Tensor

from zoo.base.classification import Classification
from zoo.errors import ZooError
from zoo.tabular.features import FlatInputs, RowInputs, ScaledInputs, rows
from zoo.vision.inputs import ImageInputs

# Beyond so many rows a picture is full and takes minutes; beyond so many features the first components say the same.
MOST_ROWS, _MOST_FEATURES = 3000, 50
# Fewer rows have no neighbourhoods to keep; as many neighbours as a row has by default.
_LEAST, _PERPLEXITY = 10, 30.0
_PORTION = 256


def has_words(model: Any) -> bool:
    """Whether a model has an embedding of words."""
    return hasattr(model, "embedding") and hasattr(model, "tokenizer")


def check_seen(name: str, model: Any) -> None:
    """Refuses a model that sees nothing that could be near or far from each other.

    Raises:
        ZooError: It neither takes rows of a table, nor classifies pictures, nor has an embedding of words.
    """
    if not (has_words(model) or isinstance(model, RowInputs) or _classifies_pictures(model)):
        raise ZooError(
            f"'{name}' has nothing for t-SNE to arrange: {type(model).__name__} has neither rows of a table nor "
            "features of pictures nor an embedding of words; use such as pca_iris, mobilenetv2_things or "
            "sentiment_average_reviews"
        )


def spread(count: int) -> Tensor:
    """Positions of as many rows as are drawn, spread evenly over all."""
    return torch.linspace(0, count - 1, min(count, MOST_ROWS)).long()


def words_of(model: Any) -> tuple[Tensor, list[str]]:
    """Vectors of the commonest tokens, which a vocabulary begins with, ``(N, F)``, and the tokens."""
    vectors = model.embedding.weight.detach().float().cpu()[:MOST_ROWS]
    return vectors, list(model.tokenizer.vocabulary)[: len(vectors)]


def seen_by(model: Any, inputs: Tensor) -> Tensor:
    """Rows as a model sees them, ``(N, F)``: standardised, or of pictures what the last layer is given.

    Args:
        model: One that :func:`check_seen` lets pass.
        inputs: Raw rows, or pictures.
    """
    if isinstance(model, ScaledInputs):
        return model.seen(inputs, torch.float64).cpu()
    if isinstance(model, FlatInputs):
        return rows(inputs, model.in_features, torch.float64)
    if isinstance(model, RowInputs):
        given = model.take(inputs).double()
        scaling: Any = getattr(model, "scaling", None)
        return (given if scaling is None else scaling(given)).cpu()
    return torch.cat([_given_to_head(model, part) for part in inputs.split(_PORTION)])


def arrange(points: Tensor, perplexity: float | None = None, seed: int = 0) -> Tensor:
    """Points in the plane, float64 ``(N, 2)``, so that those which are near each other stay so.

    Args:
        points: ``(N, F)``.
        perplexity: About how many neighbours of each point count; 30, or fewer of few points, if left out.
        seed: Of what is drawn.

    Raises:
        ZooError: There are too few points, or features, or the points are all the same; or the perplexity is none.
    """
    count, width = points.shape
    if count < _LEAST or width < 2:
        raise ZooError(f"t-SNE was given {count} rows of {width} features; expected {_LEAST} rows of 2 at least")
    if not (points != points[0]).any():
        raise ZooError(f"all {count} rows are the same, so that t-SNE has nothing to arrange")
    neighbours = min(_PERPLEXITY, (count - 1) / 3) if perplexity is None else perplexity
    if not 1 <= neighbours < count:
        raise ZooError(f"--perplexity is {neighbours:g}, expected 1 or more, and less than the {count} rows")
    plain = points.double().numpy()
    if width > _MOST_FEATURES:
        plain = sklearn.decomposition.PCA(min(_MOST_FEATURES, count), random_state=seed).fit_transform(plain)
    # Its steps are meant for coordinates of about this size.
    plain = plain / np.abs(plain).max()
    found = TSNE(perplexity=neighbours, init="pca", random_state=seed, n_jobs=1).fit_transform(plain)
    return torch.from_numpy(found).double()


def _classifies_pictures(model: Any) -> bool:
    return isinstance(model, ImageInputs) and isinstance(model, Classification)


def _given_to_head(model: Any, inputs: Tensor) -> Tensor:
    """What the layer of the logits is given, ``(N, F)``."""
    seen: list[Tensor] = []

    def keep(layer: Any, given: Sequence[Tensor]) -> None:
        seen.append(given[0].detach().flatten(1).cpu())

    handle = model.head.register_forward_pre_hook(keep)
    try:
        model(inputs)
    finally:
        handle.remove()
    return seen[0].double()
