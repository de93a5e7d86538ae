"""The figures that models are judged by: what they mean in words, and which way is better. Imports nothing."""

from typing import NamedTuple


class Measure(NamedTuple):
    """A figure.

    Attributes:
        words: What it says of a model, behind the number.
        higher_is_better: Whether more of it is better.
        is_share: Whether it is a part of a whole, from 0 to 1.
    """

    words: str
    higher_is_better: bool = False
    is_share: bool = False


# By name, as cards, ``results.json`` and ``metrics.csv`` have it.
MEASURES = {
    "accuracy": Measure("of the test split named right", True, True),
    "balanced_accuracy": Measure("of each class named right, on average", True, True),
    "bits_per_char": Measure("bits a character of the test text"),
    "cnn_fid": Measure("distance of generated images to test images; smaller is better"),
    "explained_variance": Measure("of the variance kept by the components", True, True),
    "inertia": Measure("sum of squared distances to the nearest centre"),
    "mae": Measure("mean absolute error, in the unit of the data"),
    "mase": Measure("mean absolute error, in those of the naive forecast in training"),
    "mse": Measure("mean squared error"),
    "perplexity_without_oov": Measure("perplexity on the test text, without unknown words"),
    "probe_accuracy": Measure(
        "of validation pictures named right by a logistic regression on the features", True, True
    ),
}


def measure(name: str) -> Measure:
    """What a figure is; one that is not known is taken for an error, of which less is better.

    Args:
        name: Such as ``accuracy``.
    """
    return MEASURES.get(name, Measure(name.replace("_", " ")))
