"""What the rows of a parameter stand for: tokens, classes, steps. Where for nothing, only their places count."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn


class Rows(NamedTuple):
    """The names of the rows of a parameter, or of its columns.

    Attributes:
        of: What they stand for, in the plural, such as ``tokens`` or ``classes``.
        names: The name of each, in order.
        axis: Which dimension of the parameter they are.
        after: So many come before the first of them and stand for nothing but their places.
    """

    of: str
    names: Sequence[str]
    axis: int = 0
    after: int = 0


def last_layer(network: nn.Module) -> nn.Module:
    """The last layer that has parameters: in the zoo's networks the one that gives the output."""
    return [layer for layer in network.modules() if any(True for _ in layer.parameters(recurse=False))][-1]


def rows_of(whole: nn.Module, layer: nn.Module, rows: Rows) -> dict[str, Rows]:
    """The same rows for all parameters of a layer, kernel and bias, by their names in the whole."""
    members = {id(one) for one in layer.parameters()}
    return {name: rows for name, one in whole.named_parameters() if id(one) in members}
