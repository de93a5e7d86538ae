"""Split conformal prediction (Vovk et al., 2005; Lei et al., 2018): how far what was wrong before may be off again.

Of ``n`` absolute errors on rows that a model has not learnt from, the ``ceil((n + 1) * level / 100)``-th smallest is
how far an interval reaches to either side, for it to hold the truth with that probability or more, whatever the model
and the distribution, if the rows are exchangeable. Rows that also chose when to stop make it a little too small.
"""

import torch
from torch import Tensor

from zoo.errors import ZooError


def check_level(level: int) -> None:
    """Refuses a level that no interval has.

    Raises:
        ZooError: It is none.
    """
    if not 0 < level < 100:
        raise ZooError(f"level is {level}, expected whole per cent from 1 to 99")


def rank(count: int | Tensor, level: int, ends: int = 1) -> int | Tensor:
    """Which of so many errors, the smallest being 1, an interval reaches to: in whole numbers, as 0.95 is not exact.

    Args:
        count: Of errors.
        level: Wanted probability of holding the truth, in whole per cent.
        ends: 2 if the errors are those of one end alone, and each end may miss half of what both may.
    """
    return -((count + 1) * -(100 * (ends - 1) + level) // (100 * ends))


def fewest_errors(level: int, ends: int = 1) -> int:
    """How many errors a level takes: with fewer, no finite interval covers as much; see :func:`rank`."""
    return -(-(100 * (ends - 1) + level) // (100 - level))


def half_width(errors: Tensor, level: int) -> float:
    """How far an interval reaches to either side of a prediction.

    Args:
        errors: Absolute errors, ascending, ``(N,)``.
        level: Wanted probability of holding the truth, in whole per cent.

    Raises:
        ZooError: There are too few errors for the level.
    """
    check_level(level)
    if len(errors) < fewest_errors(level):
        raise ZooError(
            f"{level} % intervals need {fewest_errors(level)} rows that were held out, and there were {len(errors)}; "
            "train with a larger --data.val, or ask for a lower level"
        )
    return float(errors[int(rank(len(errors), level)) - 1])


def ascending(errors: Tensor) -> Tensor:
    """Errors in ascending order, as :func:`half_width` takes them, float32."""
    return errors.abs().float().flatten().sort().values if errors.numel() else torch.zeros(0)
