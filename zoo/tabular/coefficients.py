"""Coefficients of linear models with their standard errors, as a table."""

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
        errors: Their standard errors, ``(F,)``; NaN where none is known.
    """

    names: list[str]
    values: Tensor
    errors: Tensor

    def columns(self) -> dict[str, list[Any]]:
        """A table: each with its standard error, and how many of these it is away from zero."""
        ratios = self.values / self.errors
        return {
            "feature": self.names,
            "coefficient": self.values.tolist(),
            "standard_error": [_known(one) for one in self.errors.tolist()],
            "z": [_known(one) for one in ratios.tolist()],
        }

    def largest(self) -> "Coefficients":
        """Those of the largest size, largest first."""
        order = self.values.abs().argsort(descending=True)[:_SHOWN]
        return Coefficients([self.names[place] for place in order.tolist()], self.values[order], self.errors[order])


def _known(value: float) -> float | None:
    return value if torch.isfinite(torch.tensor(value)) else None


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
