"""A neural network from scratch: forward pass, back-propagation and gradients by hand (Rumelhart et al., 1986)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchmetrics import MeanMetric

from zoo.base.optimization import Optimized, OptimizerName
from zoo.base.rows import Rows
from zoo.drawing import draw_confusion_matrix, draw_curve
from zoo.errors import ZooError
from zoo.tabular.features import RowInputs
from zoo.tabular.importance import importance_figures

Activation = Literal["sigmoid", "relu"]


class BackpropNet(nn.Module):
    """A fully connected network whose gradients are worked out by hand; autograd is never asked.

    With ``a_0 = x`` each layer computes ``z_l = a_{l-1} W_l^T + b_l`` and ``a_l = f(z_l)``; the loss is the squared
    error ``L = sum (a_L - y)^2 / N`` over a batch of ``N``. By the chain rule, with ``delta_l = dL/dz_l``,

        ``delta_L = 2 (a_L - y) / N * f'(z_L)``,  ``delta_l = (delta_{l+1} W_{l+1}) * f'(z_l)``,
        ``dL/dW_l = delta_l^T a_{l-1}``,  ``dL/db_l = sum of delta_l over the batch``.

    Args:
        architecture: Sizes of the layers, input first, at least one hidden layer between input and output.
        activation: ``f``; the last layer is a sigmoid for ``sigmoid`` and linear for ``relu``.

    Shape:
        - Input: ``(N, architecture[0])``.
        - Output: ``(N, architecture[-1])``.

    Raises:
        ZooError: There is no hidden layer, or a layer is empty.
    """

    def __init__(self, architecture: Sequence[int], activation: Activation = "sigmoid") -> None:
        super().__init__()
        if len(architecture) < 3 or min(architecture) < 1:
            raise ZooError(
                f"architecture {list(architecture)} has no hidden layer or an empty one; "
                "expected sizes like [4, 5, 3]: input, at least one hidden layer, output"
            )
        if activation not in ("sigmoid", "relu"):
            raise ZooError(f"no activation {activation!r}; there are sigmoid and relu")
        self.activation = activation
        pairs = list(pairwise(architecture))
        self.weights = nn.ParameterList(torch.rand(outputs, inputs) * 2 - 1 for inputs, outputs in pairs)
        self.biases = nn.ParameterList(torch.rand(outputs) * 2 - 1 for _, outputs in pairs)

    def forward(self, inputs: Tensor) -> Tensor:
        """The output of the last layer."""
        return self.activations(inputs)[-1]

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """The outputs of all layers, the inputs first."""
        outputs = [inputs]
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            weighted = torch.addmm(bias, outputs[-1], weight.T)
            if self.activation == "sigmoid":
                outputs.append(torch.sigmoid(weighted))
            else:
                outputs.append(weighted if index == len(self.weights) - 1 else weighted.clamp(min=0))
        return outputs

    @torch.no_grad()
    def gradients(self, activations: list[Tensor], targets: Tensor, scale: Tensor | float = 1.0) -> list[Tensor]:
        """Back-propagates the squared error.

        Args:
            activations: What :meth:`activations` returned.
            targets: Wanted outputs, ``(N, architecture[-1])``.
            scale: All gradients are multiplied by it, from the output on, so that in half precision none is too small.

        Returns:
            The gradients of all weights, then of all biases, first layer first, as :meth:`parameters` has them.
        """
        outputs = activations[-1]
        error = 2 * (outputs - targets) / len(outputs) * scale
        delta = error * outputs * (1 - outputs) if self.activation == "sigmoid" else error
        by_weight, by_bias = [], []
        for layer in reversed(range(len(self.weights))):
            below = activations[layer]
            by_weight.append(delta.T @ below)
            by_bias.append(delta.sum(0))
            if layer:
                slope = below * (1 - below) if self.activation == "sigmoid" else (below > 0).to(below.dtype)
                delta = (delta @ self.weights[layer]) * slope
        return by_weight[::-1] + by_bias[::-1]


class Backprop(RowInputs, Optimized):
    """Trains :class:`BackpropNet` by gradient descent; classifies when it has classes, else fits numbers.

    Args:
        architecture: Sizes of the layers, such as ``[4, 5, 3]``; 0 at an end for as many as the data has features, or
            classes (one, if it has none).
        activation: ``sigmoid`` or ``relu``.
        classes: Names of the classes, one for each output; none for regression.
        mean: Mean of each input feature.
        std: Standard deviation of each input feature.
        in_features: How many features the data has.

    Shape:
        - Input: ``(N, architecture[0])``, raw features.
        - Output: ``(N, architecture[-1])``.

    Raises:
        ZooError: The architecture does not fit the classes or has no hidden layer.
    """

    mean: Tensor
    std: Tensor
    nesterov = True
    decays = False

    def __init__(
        self,
        architecture: Sequence[int] = (4, 5, 3),
        activation: Activation = "sigmoid",
        classes: Sequence[str] | None = None,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        optimizer: OptimizerName = "sgd",
        lr: float = 0.1,
        momentum: float = 0.0,
        in_features: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, lr=lr, weight_decay=0.0, momentum=momentum, **options)
        architecture = list(architecture)
        if architecture[:1] == [0]:
            architecture[0] = in_features or len(mean)
        if architecture[-1:] == [0]:
            architecture[-1] = len(classes or [""])
        if in_features not in (None, *architecture[:1]):
            raise ZooError(
                f"architecture {architecture} takes {architecture[0]} features, and the data has {in_features}; the "
                f"first size must be {in_features}, or 0"
            )
        if classes is not None and len(classes) != architecture[-1]:
            raise ZooError(
                f"architecture {list(architecture)} has {architecture[-1]} outputs for {len(classes)} classes "
                f"({', '.join(classes)}); the last size must be {len(classes)}, or 0"
            )
        self.metric = "mae" if classes is None else "accuracy"
        self.classes = list(classes) if classes else None
        self.in_features = architecture[0]
        self.register_buffer("mean", torch.tensor(list(mean), dtype=torch.float32))
        self.register_buffer("std", torch.tensor(list(std), dtype=torch.float32))
        self.network = BackpropNet(architecture, activation)
        self.evaluation_loss = MeanMetric(nan_strategy="disable")
        self.evaluation_metric = MeanMetric(nan_strategy="disable")
        self._gradients: list[Tensor] = []

    def setup(self, stage: str) -> None:
        """Refuses rows that count more or less than one.

        Raises:
            ZooError: Some do.
        """
        super().setup(stage)
        if getattr(getattr(self.trainer, "datamodule", None), "weights", None) is not None:
            raise ZooError("Backprop takes every row for one; leave out --data.weights, or use the recipe dense_table")

    def rows(self) -> dict[str, Rows]:
        """A row of the last layer for each class."""
        last = len(self.network.weights) - 1
        rows = Rows("classes", self.classes or [])
        return {f"network.{kind}.{last}": rows for kind in ("weights", "biases")} if self.classes else {}

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs for raw features."""
        return self.network(self.normalise(self.take(inputs)))

    def normalise(self, inputs: Tensor) -> Tensor:
        """Brings raw features to zero mean and unit variance in the model's own precision."""
        return (inputs.to(self.mean.dtype) - self.mean) / self.std

    def targets(self, labels: Tensor) -> Tensor:
        """Wanted outputs: one-hot for class numbers ``(N,)``, else the numbers themselves ``(N, outputs)``."""
        return labels if self.classes is None else F.one_hot(labels, len(self.classes)).to(self.mean.dtype)

    def classify(self, features: Any) -> list[str]:
        """Names the class of each row of raw features.

        Raises:
            ZooError: The model has no classes.
        """
        if self.classes is None:
            raise ZooError("this model fits numbers and has no classes; call it instead")
        with torch.inference_mode():
            return [self.classes[index] for index in self(features).argmax(1).tolist()]

    def answers(self, inputs: Any, level: int | None = None) -> dict[str, list[Any]]:
        """The class of each row under the target's name, and the output for every class; else the outputs."""
        with torch.inference_mode():
            outputs = self(inputs)
        schema = self.schema.found
        target = (schema.target if schema is not None else None) or ("prediction" if self.classes is None else "class")
        if self.classes is None:
            several = outputs.shape[1] > 1
            return {f"{target}_{number}" if several else target: one.tolist() for number, one in enumerate(outputs.T)}
        each = {f"output for {name}": one.tolist() for name, one in zip(self.classes, outputs.T, strict=True)}
        return {target: [self.classes[number] for number in outputs.argmax(1).tolist()], **each}

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The squared error of a batch; works the gradients out on the way."""
        with torch.no_grad():
            targets = self.targets(batch[1])
            activations = self.network.activations(self.normalise(batch[0]))
            loss = (activations[-1] - targets).square().sum(1).mean()
            self._gradients = self.network.gradients(activations, targets, self._scale(loss))
            return loss

    def _scale(self, loss: Tensor) -> Tensor | float:
        """What the optimizer will divide gradients by: under 16-mixed the factor of the gradient scaler."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None) if self._trainer is not None else None
        return 1.0 if scaler is None else scaler.scale(torch.ones_like(loss))

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Hands the hand-made gradients to the optimizer, averaged over the processes and over accumulated batches."""
        batches = self.trainer.accumulate_grad_batches
        for parameter, gradient in zip(self.network.parameters(), self._gradients, strict=True):
            if not parameter.requires_grad:
                continue
            if dist.is_initialized() and self.trainer.world_size > 1:
                dist.all_reduce(gradient)
                gradient /= self.trainer.world_size
            gradient = gradient.to(parameter.dtype) / batches
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Measures loss and accuracy, or loss and mean absolute error."""
        inputs, labels = batch
        outputs, targets = self(inputs), self.targets(labels)
        self.evaluation_loss.update((outputs - targets).square().sum(1))
        measured = {"outputs": outputs, "labels": labels}
        self.evaluation_metric.update(self.scores(measured))
        return measured

    test_step = validation_step

    def scores(self, outputs: dict[str, Tensor]) -> Tensor:
        """Whether each row is named right, or its absolute error."""
        found, labels = outputs["outputs"], outputs["labels"]
        if self.classes is None:
            return (found - self.targets(labels)).abs().mean(1).float()
        return (found.argmax(1) == labels).float()

    def references(self, data: Any, split: str) -> dict[str, float]:
        """The majority class, or the mean of the training targets."""
        (_, learnt), (_, labels) = data.splits["train"], data.splits[split]
        if self.classes is not None:
            return {"majority class": (labels == learnt.mode().values).float().mean().item()}
        return {"mean": (labels - learnt.double().mean(0)).abs().mean().item()}

    def log_evaluation(self, split: str) -> None:
        """Logs ``loss`` of a split and ``accuracy`` or ``mae``."""
        self.log(f"{split}_loss", self.evaluation_loss.compute(), sync_dist=True)
        self.log(f"{split}_{self.metric}", self.evaluation_metric.compute(), prog_bar=True, sync_dist=True)
        self.evaluation_loss.reset()
        self.evaluation_metric.reset()

    def example_input(self) -> Tensor:
        """One row of zeros."""
        return torch.zeros(1, self.in_features)

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the confusion matrix and what the columns are worth, or the fitted curve of one variable."""
        if self.classes is not None:
            predicted = outputs["outputs"].argmax(1).cpu()
            matrix = draw_confusion_matrix(outputs["labels"].cpu(), predicted, self.classes)
            worth = importance_figures(self, rows, self._closeness, "minus the squared error")
            return {"confusion_matrix": matrix, **worth}
        if self.in_features == 1:
            inputs = rows[torch.arange(len(outputs["labels"]))][0]
            return {"curve": draw_curve(inputs, outputs["labels"].cpu(), outputs["outputs"].cpu())}
        return {}

    def _closeness(self, inputs: Tensor, labels: Tensor) -> float:
        """Minus the squared error of rows."""
        return -float((self(inputs) - self.targets(labels)).square().sum(1).mean())
