"""Where a series is divided into training, validation and test period."""

from itertools import pairwise

import numpy as np

from datamodules.errors import DataError
from datamodules.series.recording import Recording


def divide(
    recording: Recording, val: int | float | str = 0.1, test: int | float | str = 0.1, least: int = 1
) -> dict[str, range]:
    """Fixed partitioning: the test period at the end, the validation period before it, the training period before both.

    Args:
        recording: The series.
        val: Length of the validation period: a fraction of the series (float), a number of points (int), or the date of
            its first point (str).
        test: Likewise of the test period.
        least: Points that a fraction makes at least: a horizon.

    Returns:
        The points of ``train``, ``val`` and ``test``.

    Raises:
        DataError: A period has no points, or the date cannot be understood.
    """
    length = len(recording.values)
    test_start = _start(recording, "test", test, length, least)
    val_start = _start(recording, "val", val, test_start, least)
    if least > 1 and val_start < 1 and 3 * least >= length:
        raise DataError(
            f"{recording.name} has {length} points, too few to train on, validate and test with a horizon of {least}; "
            f"use --data.horizon {max((length - 1) // 3, 1)} at most"
        )
    if not 0 < val_start < test_start < length:
        raise DataError(
            f"{recording.name} has {length} points; val {val} would begin at point {val_start} and test {test} at "
            f"{test_start}; expected points for training, validation and test, in this order"
        )
    return {"train": range(val_start), "val": range(val_start, test_start), "test": range(test_start, length)}


def _start(recording: Recording, split: str, share: int | float | str, stop: int, least: int) -> int:
    """The first point of a period that ends before ``stop``."""
    if isinstance(share, int):
        return stop - share
    if isinstance(share, float):
        if not 0 < share < 1:
            raise DataError(f"{split} is {share}, expected a fraction between 0 and 1, or a whole number of points")
        return stop - max(least, round(share * len(recording.values)))
    times = recording.timeline.at(np.arange(len(recording.values)))
    try:
        date = np.datetime64(share)
    except ValueError as error:
        raise DataError(
            f"{split} is '{share}', expected a fraction, a number of points, or a date such as 2001-01-31"
        ) from error
    if times.dtype.kind != "M":
        raise DataError(f"{split} is '{share}', but {recording.name} has no dates; say how many points it shall have")
    if not times[0] < date <= times[-1]:
        raise DataError(f"{split} begins at {share}, expected a date after {times[0]} and up to {times[-1]}")
    return int((times < date).sum())


def roll_forward(whole: range, count: int, refit: bool = True, horizon: int | None = None) -> list[dict[str, range]]:
    """Roll-forward partitioning: a period is forecast piece by piece, each with all that was known before.

    The pieces tile the period and differ in length by one at most. The points before a piece, as many as it has, are
    its validation period; training ends where that begins. Where a horizon is named, that is enough for the validation
    period if it would be more than a quarter of what is known.

    Args:
        whole: The period.
        count: Number of pieces.
        refit: Every piece trains on everything from the start of the series, for a model that begins anew. Otherwise it
            trains on what the piece before did not, for a model that goes on learning.
        horizon: Steps that are forecast from each point.

    Returns:
        The points of ``train``, ``val`` and ``test``, for each piece.

    Raises:
        DataError: The period has fewer points than pieces.
    """
    if not 1 <= count <= len(whole):
        raise DataError(f"{count} folds of a test period of {len(whole)} points; expected 1 to {len(whole)}")
    borders = [whole.start + len(whole) * number // count for number in range(count + 1)]
    folds: list[dict[str, range]] = []
    trained = 0
    for start, stop in pairwise(borders):
        length = stop - start if horizon is None else min(stop - start, max(horizon, start // 4))
        val = range(max(start - length, 0), start)
        folds.append({"train": range(trained, val.start), "val": val, "test": range(start, stop)})
        trained = 0 if refit else val.start
    return folds


def before(test: range, count: int, horizon: int = 1) -> range:
    """What lies before a test period and can be forecast in pieces without looking at it.

    Args:
        test: The test period.
        count: Number of pieces.
        horizon: Steps that are forecast from each point.

    Returns:
        The last points before it: pieces as long as itself, or as one and a half horizons, so that there is more than
        one forecast in each; half of all that is known, if that is less.
    """
    length = min(max(len(test), horizon + horizon // 2), test.start // (2 * count))
    return range(test.start - length * count, test.start)


def piece(fold: str) -> tuple[int, int]:
    """Number and count of a fold such as ``2/5``."""
    number, _, count = fold.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise DataError(f"fold is '{fold}', expected a piece of the test period such as 2/5, the second of five")
    return int(number), int(count)
