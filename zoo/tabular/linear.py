"""Linear regression by gradient descent: a single unit, or several layers of them without activations."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchmetrics import MeanMetric

from zoo.base.optimization import Optimized, OptimizerName
from zoo.base.processes import shared_mean
from zoo.base.processor import in_float64
from zoo.errors import ZooError
from zoo.tabular.descent import DescentPath, Surface
from zoo.tabular.drawing import draw_descent, draw_line
from zoo.tabular.features import RowInputs


class Affine(NamedTuple):
    """The function ``weight @ x + bias`` that a stack of linear layers is.

    Attributes:
        weight: ``(F,)``.
        bias: ``()``.
    """

    weight: Tensor
    bias: Tensor


class LinearNet(nn.Sequential):
    """Linear layers without activations between them: together no more than one, however many there are.

    Kernels begin in Glorot's uniform distribution (Glorot and Bengio, 2010), biases at zero, as in Keras.

    Args:
        in_features: Length of a row.
        hidden_sizes: Widths of the layers before the last, which has one unit.

    Shape:
        - Input: ``(N, in_features)``.
        - Output: ``(N, 1)``.
    """

    def __init__(self, in_features: int = 1, hidden_sizes: Sequence[int] = ()) -> None:
        if min([in_features, *hidden_sizes]) < 1:
            raise ZooError(f"layers of {[in_features, *hidden_sizes]} units; expected at least 1 in each")
        super().__init__(*(nn.Linear(*sizes) for sizes in pairwise([in_features, *hidden_sizes, 1])))
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    @property
    def layers(self) -> list[nn.Linear]:
        """The layers, first one first."""
        return [layer for layer in self if isinstance(layer, nn.Linear)]

    @torch.no_grad()
    def collapsed(self) -> Affine:
        """The one layer that all are together, in float64."""
        first, *others = self.layers
        weight, bias = in_float64(first.weight), in_float64(first.bias)
        for layer in others:
            weight = in_float64(layer.weight) @ weight
            bias = in_float64(layer.weight) @ bias + in_float64(layer.bias)
        return Affine(weight[0], bias[0])


class LinearRegression(RowInputs, Optimized):
    """Fits a line, or a plane, by gradient descent on the squared error.

    Of one feature, where there are two numbers to learn, the path that they take is recorded: a row an epoch in
    ``metrics.csv``, a point a step in the checkpoints and in the picture ``descent.png``.

    Args:
        in_features: Length of a row.
        hidden_sizes: Widths of further linear layers before the last; they add parameters and nothing that the model
            could express.
        mean: Mean of each feature.
        std: Standard deviation of each feature.
        target_mean: Mean of the targets.
        target_std: Standard deviation of the targets.
        normalise: Learn between inputs and targets of zero mean and unit variance; else between the raw ones.

    Shape:
        - Input: ``(N, in_features)``, raw features.
        - Output: ``(N, 1)``, in the unit of the targets.

    Raises:
        ZooError: A layer is empty, or a feature or the target is constant.
    """

    metric = "mse"
    mean: Tensor
    std: Tensor
    target_mean: Tensor
    target_std: Tensor
    epsilon = 1e-7  # Keras' own, ten times that of torch
    decays = False

    def __init__(
        self,
        in_features: int = 1,
        hidden_sizes: Sequence[int] = (),
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        target_mean: float = 0.0,
        target_std: float = 1.0,
        normalise: bool = True,
        optimizer: OptimizerName = "adam",
        lr: float = 0.1,
        momentum: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, lr=lr, weight_decay=0.0, momentum=momentum, **options)
        if normalise and not min(*std, target_std) > 0:
            raise ZooError(f"features vary by {list(std)}, the target by {target_std}; what is constant has no slope")
        self.in_features = in_features
        scales = {"mean": mean, "std": std, "target_mean": target_mean, "target_std": target_std}
        for name, value in scales.items():
            neutral = torch.ones if name.endswith("std") else torch.zeros
            told = torch.tensor(value, dtype=torch.float32)
            self.register_buffer(name, told if normalise else neutral(told.shape))
        self.network = LinearNet(in_features, hidden_sizes)
        self.squared_error = MeanMetric(nan_strategy="disable")
        self.absolute_error = MeanMetric(nan_strategy="disable")
        self.path = DescentPath()

    def forward(self, inputs: Tensor) -> Tensor:
        """Predictions for raw features, in the unit of the targets."""
        return self.network(self.normalised(self.take(inputs))) * self.target_std + self.target_mean

    def normalised(self, inputs: Tensor) -> Tensor:
        """Brings raw features to zero mean and unit variance in the model's own precision."""
        return (inputs.to(self.mean.dtype) - self.mean) / self.std

    @property
    def weight(self) -> Tensor:
        """What a prediction rises by with each raw feature, float64 ``(F,)``; of several layers that of all."""
        return self.network.collapsed().weight * in_float64(self.target_std) / in_float64(self.std)

    @property
    def bias(self) -> Tensor:
        """The prediction where all raw features are zero, float64 ``()``."""
        bias = self.network.collapsed().bias * in_float64(self.target_std) + in_float64(self.target_mean)
        return bias - self.weight @ in_float64(self.mean).expand(self.in_features)

    @property
    def is_line(self) -> bool:
        """Whether weight and bias are two numbers, whose path can be drawn."""
        return self.in_features == 1

    def on_train_start(self) -> None:
        """Notes where the path begins, unless it goes on."""
        if self.is_line and not len(self.path):
            self.path.add(self.weight, self.bias)

    def on_train_epoch_start(self) -> None:
        """Starts the clock of the epoch."""
        self.path.start_clock()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The mean squared error of a batch, of normalised targets."""
        inputs, targets = batch
        errors = self.network(self.normalised(inputs)) - (targets - self.target_mean) / self.target_std
        return shared_mean(errors.square().flatten())

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Notes where the step led."""
        if self.is_line:
            self.path.add(self.weight, self.bias)

    def on_train_epoch_end(self) -> None:
        """Logs weight and bias, if they are two numbers."""
        if self.is_line:
            self.log("weight", self.weight[0].float())
            self.log("bias", self.bias.float())

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Measures squared and absolute errors, in the unit of the targets."""
        inputs, targets = batch
        outputs = self(inputs)
        errors = (outputs - targets).flatten()
        self.squared_error.update(errors.square())
        self.absolute_error.update(errors.abs())
        return {"inputs": inputs, "outputs": outputs, "targets": targets}

    test_step = validation_step

    def scores(self, outputs: dict[str, Tensor]) -> Tensor:
        """Squared error of each row."""
        return (outputs["outputs"] - outputs["targets"]).square().flatten(1).mean(1)

    def references(self, data: Any, split: str) -> dict[str, float]:
        """The mean of the training targets."""
        mean = data.splits["train"][1].double().mean(0)
        return {"mean": (data.splits[split][1] - mean).square().mean().item()}

    def log_evaluation(self, split: str) -> None:
        """Logs ``mse`` and ``mae`` of a split."""
        self.log(f"{split}_mse", self.squared_error.compute(), prog_bar=True, sync_dist=True)
        self.log(f"{split}_mae", self.absolute_error.compute(), sync_dist=True)
        self.squared_error.reset()
        self.absolute_error.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the path."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["descent"] = self.path.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up the path."""
        super().on_load_checkpoint(checkpoint)
        self.path = DescentPath(checkpoint["descent"])

    def advice(self) -> str:
        """Names the largest rate that converges, where there is one."""
        advice = super().advice()
        if self.optimizer == "sgd" and not self.momentum and self.is_line and len(self.network) == 1:
            inputs, targets = self.trainer.train_dataloader.dataset[:]  # type: ignore[union-attr]
            highest = Surface.of(self.normalised(inputs.to(self.device)).cpu(), targets).highest_rate
            advice += f": of this data, in full batches, one below {highest:.3g} converges"
        return advice

    def example_input(self) -> Tensor:
        """One row of zeros."""
        return torch.zeros(1, self.in_features)

    def trained_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the path over the surface of the training loss."""
        if not self.is_line:
            return {}
        inputs, targets = rows[:]
        return {"descent": draw_descent(Surface.of(inputs, targets), self.path.state())}

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws points and line."""
        if not self.is_line:
            return {}
        inputs, targets = (outputs[name].cpu().squeeze(1) for name in ("inputs", "targets"))
        return {"line": draw_line(inputs, targets, float(self.weight[0]), float(self.bias))}
