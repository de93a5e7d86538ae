"""Linear probes: logistic regression to convergence on the features of a frozen backbone (Alain and Bengio, 2016)."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from zoo.base.processes import leave_unwrapped
from zoo.errors import ZooError
from zoo.vision.feature_cache import FeatureCache
from zoo.vision.transfer import Transfer

# From where features count for next to nothing to where rows are told apart exactly, a half of a power of ten a step.
PENALTIES = (1e5, 3e4, 1e4, 3e3, 1e3, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)


class LinearProbe(Transfer):
    """Classifies images by a linear function of the standardised features of a pretrained backbone that stays frozen.

    The features are computed once. Then each epoch fits the head to convergence, by L-BFGS (Liu and Nocedal, 1989), at
    the next of the penalties, beginning from the head of the last one; ModelCheckpoint keeps the one that validation
    favours, and EarlyStopping sees that less penalty is no better. After the last penalty nothing changes any more. See
    :class:`Transfer` for shapes and the arguments not listed; to train a backbone, too, take that.

    Args:
        penalties: Of half the squared coefficients, all features being standardised, beside the sum of the losses of
            all rows, as one through scikit-learn's ``C``; one an epoch.
        augmented_copies: Fit to the features of so many augmented copies of the training images, too.

    Raises:
        ZooError: A penalty is not above 0, or a class has no training image.
    """

    def __init__(
        self,
        weights: str | None = "efficientnet_lite0_imagenet",
        penalties: Sequence[float] = PENALTIES,
        **inherited: Any,
    ) -> None:
        # What trains by gradients has no meaning here, and nobody can give it.
        super().__init__(
            weights=weights, hidden_size=0, dropout=0.0, cache_features=True, unfreeze_blocks=0, unfreeze_epoch=0,
            backbone_lr=1e-4, schedule="constant", label_smoothing=0.0, optimizer="adamw", lr=1e-3, weight_decay=0.0,
            momentum=0.9, freeze=None, lr_of=None, **inherited,
        )  # fmt: skip
        # The head is measured on the images as they are; copies are for its fit alone.
        self._cache = FeatureCache()
        self.penalties = list(penalties)
        if not self.penalties or not all(0 < one < torch.inf for one in self.penalties):
            raise ZooError(f"penalties are {self.penalties}, expected numbers above 0")
        self._rows: _Rows | None = None
        # It learns by no gradient.
        self.network.requires_grad_(False)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """None: an epoch begins with a head that is fitted."""
        return None

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Nothing."""

    def setup(self, stage: str) -> None:
        """Keeps Lightning from wrapping the model for gradients."""
        super().setup(stage)
        if self._trainer is not None:
            leave_unwrapped(self._trainer.strategy)

    def on_fit_start(self) -> None:
        """Starts without features."""
        super().on_fit_start()
        self._rows = None

    def on_train_epoch_start(self) -> None:
        """Fits the head."""
        super().on_train_epoch_start()
        if self._rows is None:
            self._rows = self._training_rows()
        if self.current_epoch < len(self.penalties):
            self._fit(self._rows, self.penalties[self.current_epoch])

    def on_fit_end(self) -> None:
        """Forgets the features."""
        super().on_fit_end()
        self._rows = None

    def _training_rows(self) -> "_Rows":
        """Features of the training images and of their augmented copies."""
        found, labels = self._cache.all_copies(self.trainer, self)
        absent = set(range(self.num_classes)) - set(labels.tolist())
        if absent:
            raise ZooError(f"no training image is of class {self.classes[min(absent)]}; expected some of every class")
        features = found.double().numpy()
        mean, std = features.mean(0), features.std(0)
        std[std == 0] = 1
        return _Rows((features - mean) / std, labels.numpy(), mean, std)

    def _fit(self, rows: "_Rows", penalty: float) -> None:
        """Fits the head in the first process, and hands it to all."""
        last = self.network.head[-1]
        assert isinstance(last, nn.Linear)
        found: tuple[np.ndarray, ...] = ()
        if self.trainer.is_global_zero:
            regression = LogisticRegression(C=1 / penalty, tol=1e-5, max_iter=2000, warm_start=True)
            if self.current_epoch:
                # From the head itself, which a checkpoint keeps: a run that goes on finds what it would have found.
                weight, bias = (one.detach().double().cpu().numpy() for one in (last.weight, last.bias))
                regression.coef_, regression.intercept_ = weight * rows.std, bias + weight @ rows.mean
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ConvergenceWarning)
                regression.fit(rows.features, rows.labels)
            if caught:
                rank_zero_warn(f"the head has not converged at penalty {penalty:g}")
            weight = regression.coef_ / rows.std
            found = weight, regression.intercept_ - weight @ rows.mean
        weight, bias = self.trainer.strategy.broadcast(found)
        with torch.no_grad():
            last.weight.copy_(torch.from_numpy(weight))
            last.bias.copy_(torch.from_numpy(bias))


class _Rows(NamedTuple):
    """What a head is fitted to.

    Attributes:
        features: Standardised, ``(N, F)``.
        labels: Class numbers, ``(N,)``.
        mean: Of the features, ``(F,)``.
        std: Their standard deviation, 1 where it was 0.
    """

    features: np.ndarray
    labels: np.ndarray
    mean: np.ndarray
    std: np.ndarray
