"""Fully connected networks for tables, after standardisation: one that names classes, one that predicts a number."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.base.classification import Classification
from zoo.base.optimization import Optimized
from zoo.errors import ZooError
from zoo.tabular.classes import RowClassifier
from zoo.tabular.features import RowInputs
from zoo.tabular.regression import Regression


class DenseNet(nn.Sequential):
    """Linear layers with ReLU between them; dropout in front of every layer but the first.

    Args:
        in_features: Length of a row.
        outputs: Number of outputs.
        hidden_sizes: Widths of the layers before the last; without any, the network is linear.
        dropout: Probability of dropping a hidden unit in training.

    Shape:
        - Input: ``(N, in_features)``.
        - Output: ``(N, outputs)``.
    """

    def __init__(
        self, in_features: int, outputs: int, hidden_sizes: Sequence[int] = (64,), dropout: float = 0.0
    ) -> None:
        if min([in_features, outputs, *hidden_sizes]) < 1:
            raise ZooError(f"layers of {[in_features, *hidden_sizes, outputs]} units; expected at least 1 in each")
        layers: list[nn.Module] = []
        for before, after in pairwise([in_features, *hidden_sizes]):
            layers += [nn.Linear(before, after), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
        super().__init__(*layers, nn.Linear([in_features, *hidden_sizes][-1], outputs))

    @property
    def dtype(self) -> torch.dtype:
        """The type that it computes in."""
        return next(self.parameters()).dtype


class _Network(RowInputs, Optimized):
    """Base of the networks that take standardised rows."""

    def setup(self, stage: str) -> None:
        """Refuses a device that cannot standardise in float64.

        Raises:
            ZooError: It has none.
        """
        super().setup(stage)
        self.need_float64(self.trainer.strategy.root_device)


class DenseClassifier(RowClassifier, _Network, Classification):
    """Classifies rows with :class:`DenseNet`. See :class:`RowClassifier` for shapes and the arguments not listed.

    Args:
        hidden_sizes: Widths of the hidden layers.
        dropout: Probability of dropping a hidden unit in training.
    """

    def __init__(self, hidden_sizes: Sequence[int] = (64,), dropout: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.network = DenseNet(self.in_features, self.num_logits, hidden_sizes, dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits for raw features."""
        return self.network(self.scaling(self.take(inputs)).to(self.network.dtype))

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """The loss of a batch, of which rows may have weights."""
        inputs, labels, *weights = batch
        return self.learn(self(inputs), labels, *weights)


class DenseRegression(Regression, _Network):
    """Predicts a number of each row with :class:`DenseNet`. See :class:`Regression` for the arguments not listed.

    Args:
        hidden_sizes: Widths of the hidden layers.
        dropout: Probability of dropping a hidden unit in training.
    """

    def __init__(self, hidden_sizes: Sequence[int] = (64,), dropout: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.network = DenseNet(self.in_features, 1, hidden_sizes, dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Predictions for raw features, in the unit of the targets, float64."""
        return self.target_scaling.inverse(self._standardised(self.take(inputs)))

    def _standardised(self, inputs: Tensor) -> Tensor:
        """Predictions of zero mean and unit variance."""
        return self.network(self.scaling(inputs).to(self.network.dtype))

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """The mean squared error of a batch, of standardised targets, of which rows may have weights."""
        inputs, targets, *weights = batch
        found = self._standardised(inputs)
        errors = F.mse_loss(found, self.target_scaling(targets).to(found.dtype), reduction="none").squeeze(1)
        return (errors * weights[0]).mean() if weights else errors.mean()
