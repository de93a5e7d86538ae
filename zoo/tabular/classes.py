"""What models share that name the class of each row of a table."""

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.base.classification import Classifying
from zoo.errors import ZooError
from zoo.tabular.features import RowInputs
from zoo.tabular.importance import importance_figures
from zoo.tabular.scaling import Standardisation


class RowClassifier(RowInputs, Classifying):
    """Base of the models that classify rows, standardised. See :class:`Classifying` for the arguments not listed.

    Args:
        in_features: Length of a row.
        mean: Mean of each feature.
        std: Standard deviation of each feature.

    Shape:
        - Input: ``(N, in_features)``, raw features; or a table with the columns of that which it was trained on.
        - Output: logits ``(N, num_logits)``.
    """

    def __init__(
        self,
        in_features: int = 4,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if in_features < 1:
            raise ZooError(f"in_features is {in_features}, expected at least 1")
        self.in_features = in_features
        self.scaling = Standardisation(mean, std)

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Counts hits and misses, of every row one, whatever it weighs."""
        return super().validation_step((batch[0], batch[1]), batch_idx)

    def test_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Likewise."""
        return self.validation_step(batch, batch_idx)

    def answers(self, inputs: Any, level: int | None = None) -> dict[str, list[Any]]:
        """The most probable class of each row under the target's name, and the probability of every class."""
        schema = self.schema.found
        chances = self.probabilities(inputs)
        named = [self.classes[number] for number in chances.argmax(1).tolist()]
        each = {f"probability of {name}": one.tolist() for name, one in zip(self.classes, chances.T, strict=True)}
        return {(schema.target if schema is not None else None) or "class": named, **each}

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws what other classifiers do, and what the columns are worth."""
        worth = importance_figures(self, rows, self._likelihood, "the mean log-likelihood")
        return {**super().figures(outputs, rows), **worth}

    def _likelihood(self, inputs: Tensor, labels: Tensor) -> float:
        """Mean log-likelihood of the labels, which moves with every row, as a count of hits does not."""
        return -float(self.loss(self(inputs), labels))

    def example_input(self) -> Tensor:
        """One row of zeros."""
        return torch.zeros(1, self.in_features)
