"""Which rows of a table are trained on, validated on and tested on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from datamodules.cells.numbers import name_lines
from datamodules.errors import DataError, listed
from datamodules.memory import stratified_split

Division = dict[str, np.ndarray]
# What a model learns from: the training rows, those of validation, too, or all.
FitOn = Literal["train", "known", "all"]

# What a column may call the splits.
_CALLED = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Every split wants one.
_LEAST_OF_A_CLASS = 3


def check_shares(val: float, test: float) -> None:
    """Refuses shares that leave nothing.

    Raises:
        DataError: They do.
    """
    if not (val > 0 and test > 0 and val + test < 1):
        raise DataError(f"val is {val} and test {test}, expected shares above 0 that leave some rows to train on")


def fitted_on(division: Division, fit_on: FitOn) -> Division:
    """Rows that are trained on and validated on, or all, put together for training; what is left is as it was."""
    if fit_on == "train":
        return division
    kept = {"test": division["test"]} if fit_on == "known" else {}
    others = [rows for split, rows in division.items() if split not in kept]
    return {"train": np.sort(np.concatenate(others)), **kept}


def by_share(count: int, val: float, test: float, seed: int, labels: np.ndarray | None = None) -> Division:
    """Draws rows.

    Args:
        count: Number of rows.
        val: Share for validation.
        test: Share for testing.
        seed: Determines the draw.
        labels: Class of each, ``(N,)``: every class keeps its share, and one too small to be shared is trained on.

    Raises:
        DataError: There are too few rows.
    """
    rows = np.arange(count)
    if labels is not None:
        shared = np.bincount(labels)[labels] >= _LEAST_OF_A_CLASS
        rows, labels = rows[shared], labels[shared]
    if not len(rows):
        raise DataError(f"no class has {_LEAST_OF_A_CLASS} rows, one for each split; expected more rows")
    kinds = np.zeros(len(rows), dtype=np.int64) if labels is None else labels
    parts = np.count_nonzero(np.bincount(kinds))
    if len(rows) < 3 * parts or round(min(val, test) * len(rows)) < parts:
        raise DataError(
            f"{len(rows)} row{'s' * (len(rows) != 1)} cannot be split with val {val} and test {test} into parts that "
            f"hold {'a row' if labels is None else 'every class'}; expected more rows, larger shares, or a column that "
            "tells the split: --data.split COLUMN"
        )
    rest, held = stratified_split(kinds, test, seed)
    _, valid = stratified_split(kinds[rest], val / (1 - test), seed)
    held_out = {"val": rows[rest[valid]], "test": rows[held]}
    is_train = np.ones(count, bool)
    is_train[np.concatenate(list(held_out.values()))] = False
    return {"train": np.flatnonzero(is_train), **held_out}


def by_column(origin: Path, name: str, cells: Sequence[str], lines: np.ndarray) -> Division:
    """Rows as a column says: train, val or test.

    Raises:
        DataError: It says something else, or nothing of one of them.
    """
    called = np.array([_CALLED.get(cell.lower(), "") for cell in cells])
    if (odd := called == "").any():
        raise DataError(
            f"{origin} {name_lines(lines[odd])}: {cells[int(np.flatnonzero(odd)[0])]!r} in column '{name}', expected "
            "train, val or test"
        )
    division = {split: np.flatnonzero(called == split) for split in ("train", "val", "test")}
    if lacking := [split for split, rows in division.items() if not len(rows)]:
        raise DataError(f"{origin} has no row of which column '{name}' says {lacking[0]}; expected some of each split")
    return division


def by_group(origin: Path, name: str, cells: Sequence[str], val: float, test: float, seed: int) -> Division:
    """Draws groups of rows, such as those of one person, until each split has about its share of the rows.

    Raises:
        DataError: There are too few groups.
    """
    names, numbers, counts = np.unique(np.array(cells), return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    # A group belongs to where its middle lies, so that a large one does not fill two splits.
    middles = (counts[order].cumsum() - counts[order] / 2) / len(cells)
    split = np.where(middles < test, "test", np.where(middles < test + val, "val", "train"))
    if len(set(split)) < 3:
        raise DataError(
            f"{origin} has {len(names)} groups in column '{name}' ({listed(names.tolist(), 4)}), too few for val {val} "
            f"and test {test}; expected more, or larger shares"
        )
    of_group = np.empty(len(names), dtype="U5")
    of_group[order] = split
    return {one: np.flatnonzero(of_group[numbers] == one) for one in ("train", "val", "test")}


def by_time(origin: Path, name: str, times: np.ndarray, val: float, test: float) -> Division:
    """The last rows are tested on, those before them validated on; rows of one time stay together.

    Args:
        origin: What messages call the table.
        name: The column.
        times: Numbers that ascend with time, ``(N,)``.
        val: Share for validation.
        test: Share for testing.

    Raises:
        DataError: There are too few different times.
    """
    ordered = np.sort(times)
    starts = [ordered[max(round(len(times) * share), 0)] for share in (1 - test - val, 1 - test)]
    is_test = times >= starts[1]
    is_val = (times >= starts[0]) & ~is_test
    division = {"train": ~is_test & ~is_val, "val": is_val, "test": is_test}
    if not all(rows.any() for rows in division.values()):
        raise DataError(
            f"{origin} has {len(np.unique(times))} different times in column '{name}', too few for val {val} and test "
            f"{test}; expected more, or other shares"
        )
    return {split: np.flatnonzero(rows) for split, rows in division.items()}
