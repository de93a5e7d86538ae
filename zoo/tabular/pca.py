"""Principal component analysis, in one epoch over any data (Pearson, 1901; Hotelling, 1933)."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.base.gradient_free import GradientFree
from zoo.base.inputs import inputs_of, to_tensor, told
from zoo.base.processes import add_up, shared_seed
from zoo.errors import ZooError
from zoo.tabular.drawing import draw_embedding, draw_loadings, draw_spectrum
from zoo.tabular.features import ScaledInputs, check_extent, check_whole, portions

Solver = Literal["covariance", "randomized"]

# What numbers are divided by that are too large to be squared.
_FAR = 1e150
# More directions than asked for make a random subspace hold those that are (Halko et al., 2011).
_OVERSAMPLING = 10


class Moments:
    """Sums over rows, in float64, from which mean and covariance follow.

    Rows are taken relative to the mean of the first ones, so that nothing cancels where values are large and alike.

    Args:
        like: A float64 tensor ``(F,)``, for its length and place.
        basis: None to keep the whole scatter matrix ``(F, F)``; else an orthonormal basis ``(F, S)``, of which only the
            product with the scatter matrix is kept.
    """

    def __init__(self, like: Tensor, basis: Tensor | None = None) -> None:
        self.basis = basis
        self.count = 0
        self.offset = torch.zeros_like(like)
        width = len(like) if basis is None else basis.shape[1]
        self.sum = torch.zeros_like(like)
        self.squares = torch.zeros_like(like)
        self.product = like.new_zeros(len(like), width)
        self.step = max(-(-len(like) // 4), 64)

    def add(self, rows: Tensor) -> None:
        """Adds float64 rows, ``(N, F)``.

        Raises:
            ZooError: The first ones are so large, or differ by so little, that nothing can be told of their squares.
        """
        if not len(rows):
            return
        if not self.count:
            check_extent(rows, rows.dtype)
            self.offset = rows.mean(0)
        rows = rows - self.offset
        self.count += len(rows)
        self.sum += rows.sum(0)
        if self.basis is not None:
            self.squares += rows.square().sum(0)
            self.product.addmm_(rows.T, rows @ self.basis)
            return
        # The matrix is symmetric: a few oblongs of it, which leave out most of its right upper half, will do.
        for start in range(0, rows.shape[1], self.step):
            stop = start + self.step
            self.product[start:stop, :stop].addmm_(rows[:, start:stop].T, rows[:, :stop])

    def gathered(self) -> tuple[int, Tensor, Tensor, Tensor]:
        """Joins what all processes have seen (Chan et al., 1979).

        Returns:
            Number of rows, their mean ``(F,)``, the scatter matrix about the mean, or its product with the basis, and
            its trace.
        """
        shift = self.sum / max(self.count, 1)  # a process without a batch takes part, too
        product, squares = self.product, self.squares
        if self.basis is None:
            product = product.tril() + product.tril(-1).T
            squares = product.diagonal()
        product = product - self.count * torch.outer(shift, self._seen(shift))
        trace = squares.sum() - self.count * shift.square().sum()
        count = int(add_up(torch.tensor(self.count, device=shift.device)))
        mean = add_up((self.offset + shift) * self.count) / max(count, 1)
        apart = self.offset + shift - mean
        product = add_up(product + self.count * torch.outer(apart, self._seen(apart)))
        return count, mean, product, add_up(trace + self.count * apart.square().sum())

    def _seen(self, vector: Tensor) -> Tensor:
        return vector if self.basis is None else vector @ self.basis


class PCA(ScaledInputs, GradientFree):
    """Finds the directions in which rows vary most.

    Args:
        in_features: Length of a row; images are flattened and scaled to 0..1.
        num_components: How many directions; a share below 1 asks for as many as explain that share of the variance.
        whiten: Scale transformed rows to unit variance in every direction.
        solver: ``covariance``: exact, from the scatter matrix ``(F, F)`` in float64, in one epoch; ``randomized``
            (Halko et al., 2011) for many features: keeps ``F`` times ``num_components + 10`` numbers, every further
            epoch is a power iteration, three or four are plenty.
        classes: Names of the classes, for the picture.

    See :class:`~zoo.tabular.features.ScaledInputs` for the arguments not listed.

    Attributes:
        mean: Mean of the rows, as the model sees them, ``(F,)``.
        components: Directions, unit vectors, ``(K, F)``; the largest entry of each is positive.
        explained_variance: Variance along each, with ``N - 1`` in the denominator, ``(K,)``.
        explained_variance_ratio: Share of the whole variance, ``(K,)``.

    Shape:
        - Input: ``(N, F)`` or images ``(N, C, H, W)`` of ``F`` values.
        - Output: ``(N, K)``.

    Raises:
        ZooError: There are more components than features or rows, or nothing varies.
    """

    metric = "explained_variance"
    mean: Tensor
    components: Tensor
    explained_variance: Tensor
    explained_variance_ratio: Tensor

    def __init__(
        self,
        in_features: int = 4,
        num_components: int | float = 2,
        whiten: bool = False,
        solver: Solver = "covariance",
        classes: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_whole("in_features", in_features)
        is_number = isinstance(num_components, Real) and not isinstance(num_components, bool) and num_components > 0
        whole = is_number and num_components >= 1
        if not is_number or (whole and num_components != int(num_components)):
            raise ZooError(f"num_components is {num_components!r}; expected a number from 1 on, or a share below 1")
        if num_components > in_features:
            raise ZooError(
                f"{int(num_components)} components of {in_features} features; expected at most {in_features}"
            )
        if solver not in ("covariance", "randomized"):
            raise ZooError(f"no solver {solver!r}; there are covariance and randomized")
        if solver == "randomized" and not whole:
            raise ZooError("solver randomized needs a number of components, not a share; use --model.num_components 50")
        self.in_features, self.num_components = in_features, num_components
        self.whiten, self.solver = whiten, solver
        self.classes = list(classes) if classes else None
        count = int(num_components) if whole else 0
        self.register_buffer("mean", torch.zeros(in_features, dtype=torch.float64))
        self.register_buffer("components", torch.zeros(count, in_features, dtype=torch.float64))
        self.register_buffer("explained_variance", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("explained_variance_ratio", torch.zeros(count, dtype=torch.float64))
        self._moments: Moments | None = None
        self._subspace: Tensor | None = None
        # What the components keep, and the whole, of the squared distances to the mean.
        self._sums = torch.zeros(2, dtype=torch.float64)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # How many components explain a share is known only after training.
        for name in ("components", "explained_variance", "explained_variance_ratio"):
            if self.num_components < 1 and prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=self.mean.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @property
    def is_fitted(self) -> bool:
        """Whether any direction was found."""
        return bool(self.components.any())

    def forward(self, inputs: Tensor) -> Tensor:
        """The same as :meth:`transform`."""
        return self.transform(inputs)

    def transform(self, inputs: Any) -> Tensor:
        """Coordinates of raw rows along the components, float64 ``(N, K)``.

        Raises:
            ZooError: The model has learnt nothing yet, or they are no rows of ``F`` finite numbers.
        """
        found = (self.seen(self.take(inputs), torch.float64) - self.mean) @ self.components.T
        return found / self._deviations() if self.whiten else found

    def inverse_transform(self, coordinates: Any) -> Tensor:
        """The rows that coordinates ``(N, K)`` stand for, float64 ``(N, F)``.

        Raises:
            ZooError: The model has learnt nothing yet, or they are no coordinates.
        """
        self.check_fitted()
        given, count = to_tensor(coordinates), len(self.components)
        if given is None or given.ndim != 2 or given.shape[1] != count:
            raise ZooError(f"coordinates are {told(coordinates)}, expected numbers (N, {count})")
        given = given.to(self.device, torch.float64)
        return self.unscaled(self._reconstruct(given))

    def _reconstruct(self, coordinates: Tensor) -> Tensor:
        """The rows that coordinates stand for, as the model sees them."""
        return (coordinates * self._deviations() if self.whiten else coordinates) @ self.components + self.mean

    def _deviations(self) -> Tensor:
        """Standard deviation along each component, above zero, so that nothing along a constant one stays nothing."""
        return self.explained_variance.sqrt().clamp(min=torch.finfo(torch.float64).eps)

    def on_train_epoch_start(self) -> None:
        """Begins to add up."""
        self._moments = Moments(self.mean, self._basis() if self.solver == "randomized" else None)

    def _basis(self) -> Tensor:
        """The subspace that the last epoch found, or a random one, orthonormal, ``(F, S)``."""
        if self._subspace is not None:
            return self._subspace.to(self.device)
        width = min(int(self.num_components) + _OVERSAMPLING, self.in_features)
        generator = torch.Generator().manual_seed(shared_seed(self.device))
        random = torch.randn(self.in_features, width, generator=generator, dtype=torch.float64)
        return torch.linalg.qr(random).Q.to(self.device)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Adds a batch to the sums."""
        assert self._moments is not None
        for rows in map(self.scaled, portions(inputs_of(batch), self.in_features, torch.float64)):
            self._moments.add(rows)
        return self.no_loss()

    def on_validation_epoch_start(self) -> None:
        """Finds the components of what was added up so far."""
        self._solve()
        self._sums = torch.zeros_like(self._sums, device=self.device)

    def on_test_epoch_start(self) -> None:
        """Starts new sums."""
        self._sums = torch.zeros_like(self._sums, device=self.device)

    def on_train_epoch_end(self) -> None:
        """Finds the components of all that was added up."""
        self._solve()
        self._moments = None

    def _solve(self) -> None:
        moments = self._moments
        if moments is None:
            return
        count, mean, product, trace = moments.gathered()
        if not trace.isfinite():
            raise ZooError(f"features are so large that float64 does not hold their squares; divide all by {_FAR:.0e}")
        if count < 2 or not float(trace) > 0:
            raise ZooError(f"all features are constant over {count} rows; there is nothing to find")
        if self.num_components > count:
            raise ZooError(f"{int(self.num_components)} components of {count} rows; expected at most {count}")
        if moments.basis is None:
            variances, vectors = torch.linalg.eigh(product)
            variances, vectors = variances.flip(0).clamp(min=0), vectors.flip(1)
        else:
            variances, vectors = _nystrom(product, moments.basis)
            if len(variances) < self.num_components:
                raise ZooError(
                    f"rows vary in {len(variances)} directions only; use num_components {len(variances)}, not "
                    f"{int(self.num_components)}"
                )
            self._subspace = vectors
        ratio = variances / trace
        kept = int(self.num_components)
        if self.num_components < 1:
            kept = min(int((ratio.cumsum(0) < self.num_components).sum()) + 1, len(ratio))
        components = vectors[:, :kept].T
        largest = components.gather(1, components.abs().argmax(1, keepdim=True))
        self.mean = mean
        self.components = (components * largest.sign()).contiguous()
        self.explained_variance = variances[:kept] / (count - 1)
        self.explained_variance_ratio = ratio[:kept].contiguous()

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Adds up how much of the variance about the mean the components keep."""
        if not self.is_fitted:
            return {}
        coordinates = self.transform(batch[0])
        centred = self.seen(batch[0], torch.float64) - self.mean
        lost = centred - (self._reconstruct(coordinates) - self.mean)
        whole = centred.square().sum()
        self._sums = self._sums + torch.stack([whole - lost.square().sum(), whole])
        labels = batch[1] if len(batch) > 1 and batch[1].ndim == 1 else batch[0].new_zeros(len(coordinates))
        return {"coordinates": coordinates, "labels": labels}

    test_step = validation_step

    def log_evaluation(self, split: str) -> None:
        """Logs ``explained_variance`` of a split, the share that the components keep."""
        kept, whole = add_up(self._sums)
        self.log(f"{split}_explained_variance", kept / whole, prog_bar=True)

    def answers(self, inputs: Any, level: int | None = None) -> dict[str, list[Any]]:
        """The coordinates of each row."""
        found = self.transform(inputs)
        return {f"component_{place + 1}": column.tolist() for place, column in enumerate(found.T)}

    def tables(self) -> dict[str, dict[str, list[Any]]]:
        """How much of each feature is in each component."""
        parts = {f"component_{place + 1}": one.tolist() for place, one in enumerate(self.components)}
        return {"loadings": {"feature": self.feature_names(), **parts}} if self.schema.found is not None else {}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the subspace of the randomized solver, too."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["subspace"] = self._subspace

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up the subspace."""
        self._subspace = checkpoint["subspace"]

    def example_input(self) -> Tensor:
        """One row of zeros."""
        return torch.zeros(1, self.in_features)

    def trained_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws how much of each column of a table is in each component."""
        if self.schema.found is None:
            return {}
        return {"loadings": draw_loadings(self.feature_names(), self.components.cpu())}

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the first two components and how much each explains."""
        drawn = {"spectrum": draw_spectrum(self.explained_variance_ratio.cpu())}
        if outputs["coordinates"].shape[1] > 1:
            shares = self.explained_variance_ratio[:2].tolist()
            drawn["embedding"] = draw_embedding(outputs["coordinates"][:, :2], outputs["labels"], self.classes, shares)
        return drawn


def _nystrom(product: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, descending, and eigenvectors of a symmetric matrix ``A`` from ``A Q`` (Halko et al., 2011, 5.5)."""
    core = basis.T @ product
    core = (core + core.T) / 2
    values, vectors = torch.linalg.eigh(core)
    # Directions in which there is nothing would be divided by zero.
    kept = values > values.max() * math.sqrt(torch.finfo(values.dtype).eps)
    root = product @ (vectors[:, kept] / values[kept].sqrt())
    left, singular, _ = torch.linalg.svd(root, full_matrices=False)
    return singular.square(), left
