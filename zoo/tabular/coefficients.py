"""Coefficients of linear models with their standard errors, as a table."""

from math import isfinite
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from datamodules.tabular.schema import Schema
from zoo.errors import ZooError

# More coefficients than these are not read in a picture.
_SHOWN = 30


class Coefficients(NamedTuple):
    """Coefficients.

    Attributes:
        names: What each belongs to.
        values: They, ``(F,)``.
        errors: Their standard errors, ``(F,)``; infinite where nothing tells.
    """

    names: list[str]
    values: Tensor
    errors: Tensor

    def columns(self) -> dict[str, list[Any]]:
        """A table: each with its standard error, and how many of these it is away from zero."""
        ratios = torch.where(self.errors.isfinite(), self.values / self.errors, torch.inf)
        return {
            "feature": self.names,
            "coefficient": self.values.tolist(),
            "standard_error": [one if isfinite(one) else None for one in self.errors.tolist()],
            "z": [one if isfinite(one) else None for one in ratios.tolist()],
        }

    def largest(self) -> "Coefficients":
        """Those of the largest size, largest first."""
        order = self.values.abs().argsort(descending=True)[:_SHOWN]
        return Coefficients([self.names[place] for place in order.tolist()], self.values[order], self.errors[order])


def held_at_zero(schema: Schema | None) -> list[int]:
    """Places of the features that have no coefficient, as others tell them: of each category the first value."""
    return [] if schema is None else schema.references


def check_penalty(penalty: float | Literal["auto"]) -> float | Literal["auto"]:
    """Refuses a penalty that is none.

    Raises:
        ZooError: It is negative or infinite.
    """
    if penalty != "auto" and not (not isinstance(penalty, str) and 0 <= penalty < torch.inf):
        raise ZooError(f"penalty is {penalty!r}, expected 0 or more, or auto")
    return penalty
