"""Models of tables in scikit-learn's manner, so that they fit into its pipelines and searches.

They are thin: each fits a model of the zoo with Lightning's trainer, keeps it as ``model_``, and asks it.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch.utils.data import DataLoader, TensorDataset

from zoo.base.module import ZooModule
from zoo.tabular import dense, kmeans, least_squares, logistic, pca

# Rows that networks see at a time.
_BATCH = 64


class _Estimator(BaseEstimator):
    """Base of the estimators.

    Attributes:
        model_: The model of the zoo, once fitted.
        n_iter_: For how many epochs it was trained.
    """

    model_: Any
    _whole: ClassVar[bool] = True
    _settles: ClassVar[str | None] = None

    def _train(self, model: ZooModule, parts: Sequence[np.ndarray], epochs: int, seed: int) -> None:
        """Fits a model by Lightning's trainer, which leaves nothing behind.

        Args:
            model: The model.
            parts: Rows ``(N, F)``, and whatever belongs to each of them.
            epochs: How many at most.
            seed: Of the order of the batches.
        """
        rows = TensorDataset(*(torch.from_numpy(np.require(part, requirements=["C", "W"])) for part in parts))
        generator = torch.Generator().manual_seed(seed)
        size = len(rows) if self._whole else min(_BATCH, len(rows))
        loader: Any = DataLoader(rows, size, shuffle=not self._whole, generator=generator)
        stop: list[Callback] = []
        if self._settles is not None:
            stop.append(EarlyStopping(self._settles, patience=2, check_on_train_epoch_end=True))
        with _unheard():
            trainer = Trainer(
                accelerator="cpu", devices=1, max_epochs=epochs, callbacks=stop, logger=False,
                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            )  # fmt: skip
            trainer.fit(model, loader)
        self.model_, self.n_iter_ = model.eval(), trainer.current_epoch

    def _rows(self, X: Any) -> torch.Tensor:  # noqa: N803, as scikit-learn has it
        """Rows as the fitted model takes them."""
        check_is_fitted(self)
        return torch.from_numpy(np.array(validate_data(self, X, reset=False, dtype=np.float64), order="C"))

    @contextmanager
    def _drawing(self, random_state: Any) -> Iterator[int]:
        """Inside, torch draws by a random state, which gives the seed; outside it is as it was."""
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield seed


@contextmanager
def _unheard() -> Iterator[None]:
    """Inside, Lightning does not speak of devices and workers."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        log.setLevel(level)


def _moments(rows: np.ndarray, weights: Sequence[np.ndarray] = ()) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of columns, 1 of what is constant; a weight counts as so many rows, ``(N,)``."""
    counts = weights[0] if weights else np.ones(len(rows))
    there = rows[counts > 0]
    mean = np.average(rows, axis=0, weights=counts)
    squares = (counts[:, None] * (rows - mean) ** 2).sum(0) / max(counts.sum() - 1, np.finfo(float).tiny)
    constant = (there == there[:1]).all(0) | ~(squares > 0)
    return mean.tolist(), np.where(constant, 1.0, np.sqrt(squares)).tolist()


def _scale(rows: np.ndarray, weights: Sequence[np.ndarray] = ()) -> dict[str, Any]:
    """What a model is told of the scale of rows ``(N, F)``."""
    mean, std = _moments(rows, weights)
    return {"in_features": rows.shape[1], "mean": mean, "std": std}


class _Regressor(RegressorMixin, _Estimator):
    """Base of the estimators that predict a number."""

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> tuple[list[np.ndarray], dict[str, Any]]:  # noqa: N803
        """Rows, targets and weights, and the facts of them that a model is told."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)  # noqa: N806
        y = y.astype(np.float64)
        weights = [] if sample_weight is None else [_check_sample_weight(sample_weight, X, dtype=np.float64)]
        (mean,), (std,) = _moments(y[:, None], weights)
        return [X, y[:, None], *weights], {**_scale(X, weights), "target_mean": mean, "target_std": std}

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The number of each row, ``(N,)``."""
        rows = self._rows(X)
        return self.model_.predict(rows).double().numpy()


class LinearRegression(_Regressor):
    """:class:`zoo.tabular.LeastSquares`.

    Args:
        penalty: Of squared coefficients of the standardised features, or ``"auto"``.
    """

    def __init__(self, penalty: float | Literal["auto"] = 0.0) -> None:
        self.penalty = penalty

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Solves for the coefficients of rows ``(N, F)`` and numbers ``(N,)``."""
        parts, facts = self._fit(X, y, sample_weight)
        self._train(least_squares.LeastSquares(penalty=self.penalty, **facts), parts, 1, 0)
        self.coef_ = self.model_.weight.numpy()
        self.intercept_ = float(self.model_.bias)
        return self


class DenseRegressor(_Regressor):
    """:class:`zoo.tabular.DenseRegression`.

    Args:
        hidden_sizes: Widths of the hidden layers.
        dropout: Probability of dropping a hidden unit in training.
        lr: Learning rate.
        max_epochs: How many times to go through the rows.
        random_state: Of the first weights and the order of the rows.
    """

    _whole = False

    def __init__(
        self,
        hidden_sizes: Sequence[int] = (64, 64),
        dropout: float = 0.0,
        lr: float = 3e-3,
        max_epochs: int = 50,
        random_state: Any = None,
    ) -> None:
        self.hidden_sizes, self.dropout, self.lr = hidden_sizes, dropout, lr
        self.max_epochs, self.random_state = max_epochs, random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Trains on rows ``(N, F)`` and numbers ``(N,)``."""
        parts, facts = self._fit(X, y, sample_weight)
        with self._drawing(self.random_state) as seed:
            model = dense.DenseRegression(
                hidden_sizes=list(self.hidden_sizes), dropout=self.dropout, lr=self.lr, **facts
            )
            self._train(model, parts, self.max_epochs, seed)
        return self


class _Classifier(ClassifierMixin, _Estimator):
    """Base of the estimators that name classes.

    Attributes:
        classes_: The classes, in order.
    """

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> tuple[list[np.ndarray], dict[str, Any]]:  # noqa: N803
        """Rows, class numbers and weights, and the facts of them that a model is told."""
        X, y = validate_data(self, X, y, dtype=np.float64)  # noqa: N806
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs rows of 2 classes, and there is 1 class: {self.classes_[0]}")
        weights = [] if sample_weight is None else [_check_sample_weight(sample_weight, X, dtype=np.float64)]
        facts = {
            **_scale(X, weights),
            "num_classes": len(self.classes_),
            "classes": [str(one) for one in self.classes_],
        }
        return [X, numbers.astype(np.int64), *weights], facts

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Probabilities of the classes, ``(N, C)``."""
        rows = self._rows(X)
        return self.model_.probabilities(rows).double().numpy()

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The most probable class of each row, ``(N,)``."""
        chances = self.predict_proba(X)
        return self.classes_[chances.argmax(1)]


class LogisticRegression(_Classifier):
    """:class:`zoo.tabular.LogisticRegression`.

    Args:
        penalty: Of half the squared coefficients of the standardised features.
        max_iter: Newton's steps at most.
    """

    _settles = "train_loss"

    def __init__(self, penalty: float = 1.0, max_iter: int = 100) -> None:
        self.penalty, self.max_iter = penalty, max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Steps until nothing moves, on rows ``(N, F)`` and classes ``(N,)``."""
        parts, facts = self._fit(X, y, sample_weight)
        self._train(logistic.LogisticRegression(penalty=self.penalty, **facts), parts, self.max_iter, 0)
        self.coef_, self.intercept_ = self.model_.weight.numpy(), self.model_.bias.numpy()
        return self


class DenseClassifier(_Classifier):
    """:class:`zoo.tabular.DenseClassifier`.

    Args:
        hidden_sizes: Widths of the hidden layers.
        dropout: Probability of dropping a hidden unit in training.
        lr: Learning rate.
        max_epochs: How many times to go through the rows.
        random_state: Of the first weights and the order of the rows.
    """

    _whole = False

    def __init__(
        self,
        hidden_sizes: Sequence[int] = (64, 64),
        dropout: float = 0.0,
        lr: float = 3e-3,
        max_epochs: int = 50,
        random_state: Any = None,
    ) -> None:
        self.hidden_sizes, self.dropout, self.lr = hidden_sizes, dropout, lr
        self.max_epochs, self.random_state = max_epochs, random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Trains on rows ``(N, F)`` and classes ``(N,)``."""
        parts, facts = self._fit(X, y, sample_weight)
        with self._drawing(self.random_state) as seed:
            model = dense.DenseClassifier(
                hidden_sizes=list(self.hidden_sizes), dropout=self.dropout, lr=self.lr, **facts
            )
            self._train(model, parts, self.max_epochs, seed)
        return self


class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Estimator):
    """:class:`zoo.tabular.PCA`.

    Args:
        n_components: How many directions, or, below 1, the share of the variance that they explain.
        standardise: Bring every feature to unit variance first.
        whiten: Scale the coordinates to unit variance.
    """

    def __init__(self, n_components: float = 2, standardise: bool = False, whiten: bool = False) -> None:
        self.n_components, self.standardise, self.whiten = n_components, standardise, whiten

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Finds the directions of rows ``(N, F)``."""
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2, ensure_min_features=1)  # noqa: N806
        count = min(self.n_components, *X.shape)
        model = pca.PCA(num_components=count, standardise=self.standardise, whiten=self.whiten, **_scale(X))
        self._train(model, [X], 1, 0)
        self.components_ = self.model_.components.numpy()
        self.explained_variance_ratio_ = self.model_.explained_variance_ratio.numpy()
        return self

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Coordinates of rows along the directions, ``(N, K)``."""
        rows = self._rows(X)
        return self.model_.transform(rows).numpy()

    def inverse_transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """The rows that coordinates ``(N, K)`` stand for."""
        check_is_fitted(self)
        return self.model_.inverse_transform(np.asarray(X, dtype=np.float64)).numpy()

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)


class KMeans(ClusterMixin, TransformerMixin, ClassNamePrefixFeaturesOutMixin, _Estimator):
    """:class:`zoo.tabular.KMeans`.

    Args:
        n_clusters: How many clusters.
        n_init: How often to begin.
        max_iter: Lloyd's iterations at most.
        standardise: Bring every feature to zero mean and unit variance first.
        random_state: Of where to begin.
    """

    _settles = "train_inertia_of_restarts"

    def __init__(
        self,
        n_clusters: int = 8,
        n_init: int = 10,
        max_iter: int = 300,
        standardise: bool = False,
        random_state: Any = None,
    ) -> None:
        self.n_clusters, self.n_init, self.max_iter = n_clusters, n_init, max_iter
        self.standardise, self.random_state = standardise, random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Groups rows ``(N, F)``."""
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=max(self.n_clusters, 2))  # noqa: N806
        with self._drawing(self.random_state) as seed:
            model = kmeans.KMeans(
                num_clusters=self.n_clusters, restarts=self.n_init, standardise=self.standardise, **_scale(X)
            )
            self._train(model, [X], self.max_iter, seed)
        self.cluster_centers_ = self.model_.unscaled(self.model_.centroids.double()).numpy()
        self.labels_ = self.predict(X)
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The cluster of each row, ``(N,)``."""
        rows = self._rows(X)
        return self.model_.cluster(rows).numpy()

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Distances of rows to the centroids, ``(N, K)``."""
        rows = self._rows(X)
        return self.model_(rows).sqrt().double().numpy()

    @property
    def _n_features_out(self) -> int:
        return self.n_clusters
