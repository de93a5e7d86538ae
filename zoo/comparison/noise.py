"""Whether two models differ by more than chance: their scores on the same rows, and their spread over seeds."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit
from torch import Tensor

# Rows that follow each other, such as windows of a series or tokens of a text, are alike: they are taken together.
_BLOCKS = 100


class Difference(NamedTuple):
    """By how much one model's mean score is above another's.

    Attributes:
        mean: The difference.
        low: Lower end of the interval that holds the true one in 95 of 100 cases.
        high: Upper end.
    """

    mean: float
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        """Whether there may be none."""
        return self.low <= 0 <= self.high


def difference(
    ours: Tensor, theirs: Tensor, figures: Sequence[float] = (), their_figures: Sequence[float] = ()
) -> Difference | None:
    """Compares two models on the same rows (a paired t-interval over blocks of rows; Student, 1908).

    Args:
        ours: Scores of one model, ``(N,)``; of several seeds their mean.
        theirs: Scores of the other, row by row.
        figures: What the first one reached with each seed; what seeds do to it widens the interval.
        their_figures: The same of the other one.

    Returns:
        The difference; None where rows are not the same, or too few to say anything.
    """
    if len(ours) != len(theirs) or len(ours) < 2:
        return None
    gaps = (ours - theirs).double().numpy()
    blocks = np.array([part.mean() for part in np.array_split(gaps, min(len(gaps), _BLOCKS))])
    variance = float(blocks.var(ddof=1)) / len(blocks)
    variance += sum(statistics.variance(one) / len(one) for one in (figures, their_figures) if len(one) > 1)
    half = float(stdtrit(len(blocks) - 1, 0.975)) * math.sqrt(variance)
    mean = float(gaps.mean())
    return Difference(mean, mean - half, mean + half)
