"""Permutation importance: what a model loses when a column's values are dealt anew among the rows (Breiman, 2001)."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.tabular.drawing import draw_importance
from zoo.tabular.features import RowInputs

# Of more rows, some from everywhere are asked; more columns than these take long and are not read in a picture.
_ROWS, _COLUMNS, _REPEATS = 1000, 100, 5


class Importance(NamedTuple):
    """What columns are worth to a model.

    Attributes:
        names: Of the columns.
        drops: How much the score falls without each, ``(columns, repeats)``.
    """

    names: list[str]
    drops: Tensor


def permutation_importance(
    score: Callable[[Tensor], float], rows: Tensor, columns: dict[str, list[int]], repeats: int = _REPEATS
) -> Importance:
    """How much a score falls when the values of one column are dealt anew among the rows, seeded.

    Two columns that say the same stand in for each other, so that neither seems to count.

    Args:
        score: Of rows ``(N, F)``; higher is better.
        rows: Features in their own units, ``(N, F)``.
        columns: Places of the features of each column, by its name.
        repeats: How many times each is dealt.
    """
    generator = torch.Generator().manual_seed(0)
    whole = score(rows)
    drops = torch.zeros(len(columns), repeats, dtype=torch.float64)
    for number, places in enumerate(columns.values()):
        for repeat in range(repeats):
            dealt = rows.clone()
            dealt[:, places] = rows[torch.randperm(len(rows), generator=generator)][:, places]
            drops[number, repeat] = whole - score(dealt)
    return Importance(list(columns), drops)


def importance_figures(
    model: RowInputs, rows: Dataset[Any], score: Callable[[Tensor, Tensor], float], named: str
) -> dict[str, Figure]:
    """The picture of what the columns of rows are worth to a model, where there is more than one.

    Args:
        model: What is asked.
        rows: Rows and targets of a split; pictures are drawn only of what is in memory.
        score: Of rows ``(N, F)`` and their targets; higher is better.
        named: What the score is called.
    """
    columns = _columns(model)
    if not hasattr(rows, "tensors") or not 2 <= len(columns) <= _COLUMNS:
        return {}
    count = len(rows)  # type: ignore[arg-type]  # what holds tensors has a length
    chosen = torch.linspace(0, count - 1, min(count, _ROWS), dtype=torch.float64).long()
    inputs, targets = rows[chosen][:2]
    inputs, targets = inputs.to(model.device), targets.to(model.device)
    found = permutation_importance(lambda dealt: score(dealt, targets), inputs, columns)
    return {"importance": draw_importance(found.names, found.drops, named)}


def _columns(model: RowInputs) -> dict[str, list[int]]:
    """Places of the features that belong to each column of the table, or to each feature of other rows."""
    schema = model.schema.found
    if schema is None:
        return {name: [place] for place, name in enumerate(model.feature_names())}
    ends = [0]
    for column in schema.columns:
        ends.append(ends[-1] + len(column.features))
    bounds = zip(schema.columns, pairwise(ends), strict=True)
    return {column.name: list(range(start, end)) for column, (start, end) in bounds if end > start}
