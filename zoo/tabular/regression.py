"""What models share that predict a number of each row: errors in its unit, and intervals around what they predict."""

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from zoo.base.conformal import ascending, half_width
from zoo.base.processes import add_up, gather_rows
from zoo.errors import ZooError
from zoo.tabular.drawing import draw_predictions
from zoo.tabular.features import RowInputs
from zoo.tabular.importance import importance_figures
from zoo.tabular.scaling import Standardisation


class Regression(RowInputs):
    """Base of the models that predict a number; a subclass adds :meth:`forward`, in the unit of the targets.

    How far the last validation was off, or the test where there was none, goes with the weights, and tells how wide
    :meth:`intervals` must be.

    Args:
        in_features: Length of a row.
        mean: Mean of each feature.
        std: Standard deviation of each feature.
        target_mean: Mean of the targets.
        target_std: Standard deviation of the targets.

    Attributes:
        residuals: Absolute errors on rows that were not learnt from, ascending, float32 ``(V,)``.

    Shape:
        - Input: ``(N, in_features)``, raw features.
        - Output: ``(N, 1)``, in the unit of the targets.
    """

    metric = "mse"
    calibrated = ("residuals",)
    residuals: Tensor

    def __init__(
        self,
        in_features: int = 1,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        target_mean: float = 0.0,
        target_std: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if in_features < 1:
            raise ZooError(f"in_features is {in_features}, expected at least 1")
        self.in_features = in_features
        self.scaling = Standardisation(mean, std)
        self.target_scaling = Standardisation([target_mean], [target_std])
        self.register_buffer("residuals", torch.zeros(0))
        self._errors: list[Tensor] = []
        self._start_sums()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # How many rows were validated on is known only after training.
        if prefix + "residuals" in state_dict:
            self.residuals = torch.empty_like(state_dict[prefix + "residuals"], device=self.residuals.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def predict(self, inputs: Any) -> Tensor:
        """The number of each row, ``(N,)``, without gradients."""
        with torch.inference_mode():
            return self(inputs).squeeze(1)

    def intervals(self, inputs: Any, level: int = 95) -> tuple[Tensor, Tensor, Tensor]:
        """What is predicted of each row, and within which bounds, each ``(N,)``.

        Args:
            inputs: Rows, or a table.
            level: Wanted probability of holding the truth, in whole per cent: split conformal prediction from the
                errors on rows that were not learnt from.

        Raises:
            ZooError: There were too few of these.
        """
        predicted, half = self.predict(inputs), half_width(self.residuals, level)
        return predicted, predicted - half, predicted + half

    def answers(self, inputs: Any, level: int | None = None) -> dict[str, list[Any]]:
        """The number of each row under the target's name, and the bounds of an interval."""
        schema = self.schema.found
        name = (schema.target if schema is not None else None) or "prediction"
        if level is None:
            return {name: self.predict(inputs).tolist()}
        predicted, low, high = self.intervals(inputs, level)
        return {name: predicted.tolist(), f"lower_{level}": low.tolist(), f"upper_{level}": high.tolist()}

    def on_validation_epoch_start(self) -> None:
        """Starts new sums."""
        self._start_sums()

    def on_test_epoch_start(self) -> None:
        """Starts new sums."""
        self._start_sums()

    def _start_sums(self) -> None:
        self._errors = []
        # Of errors: squares, absolute values; of targets about the mean: sum, squares; number of rows.
        self._sums = torch.zeros(5, dtype=torch.float64)

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Adds up errors, in the unit of the targets."""
        inputs, targets = batch[:2]
        outputs = self(inputs)
        errors = (outputs - targets).double().flatten()
        about = (targets - self.target_scaling.mean).double().flatten()
        found = (errors.square(), errors.abs(), about, about.square(), torch.ones_like(errors))
        self._sums = self._sums.to(errors.device) + torch.stack([one.sum() for one in found])
        self._errors.append(errors)
        return {"outputs": outputs, "targets": targets}

    test_step = validation_step

    def log_evaluation(self, split: str) -> None:
        """Logs ``mse``, ``mae`` and ``r2`` of a split; keeps how far off rows were that nothing was learnt from."""
        squares, absolute, about, spread, count = add_up(self._sums)
        self.log(f"{split}_mse", squares / count, prog_bar=True)
        self.log(f"{split}_mae", absolute / count)
        whole = spread - about.square() / count
        if whole > 0:
            self.log(f"{split}_r2", 1 - squares / whole)
        fit_on = getattr(getattr(self.trainer, "datamodule", None), "fit_on", "train")
        if split == ("test" if fit_on == "known" else "val") and not self.trainer.sanity_checking:
            # Processes that share a model write into its buffers, which they may not into what inference made.
            with torch.inference_mode(False):
                self.residuals = ascending(gather_rows(torch.cat(self._errors)))

    def scores(self, outputs: dict[str, Tensor]) -> Tensor:
        """Squared error of each row."""
        return (outputs["outputs"] - outputs["targets"]).square().flatten(1).mean(1)

    def references(self, data: Any, split: str) -> dict[str, float]:
        """The mean of the training targets."""
        mean = data.splits["train"][1].double().mean(0)
        return {"mean": (data.splits[split][1] - mean).square().mean().item()}

    def example_input(self) -> Tensor:
        """One row of zeros."""
        return torch.zeros(1, self.in_features)

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws what was predicted against the truth, what is left, and what the columns are worth."""
        predicted, truth = (outputs[name].double().flatten().cpu() for name in ("outputs", "targets"))
        worth = importance_figures(self, rows, self._determination, "R²")
        return {"predictions": draw_predictions(truth, predicted), **worth}

    def _determination(self, inputs: Tensor, targets: Tensor) -> float:
        """Share of the variance of targets ``(N, 1)`` that is explained, if they vary."""
        errors, about = (one.double() for one in (self(inputs) - targets, targets - targets.mean()))
        return 1 - float(errors.square().sum() / about.square().sum().clamp(min=torch.finfo(torch.float64).tiny))
