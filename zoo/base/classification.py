"""What classifiers of every kind of data share: class names, loss, metrics, the confusion matrix."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo.base.inputs import inputs_of
from zoo.base.module import ZooModule
from zoo.base.optimization import Optimized
from zoo.base.processor import in_float64
from zoo.base.rows import Rows, last_layer, rows_of
from zoo.drawing import draw_confusion_matrix, draw_reliability
from zoo.errors import ZooError


class Classifying(ZooModule):
    """Base of all that names classes, whatever it learns by.

    A subclass adds :meth:`forward`, which maps raw inputs to ``num_logits`` logits. Two classes get one logit and a
    sigmoid, more get a softmax.

    Args:
        num_classes: Number of classes.
        classes: Their names; numbers if left out.
    """

    metric = "accuracy"

    def __init__(
        self,
        num_classes: int = 10,
        classes: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.classes = list(classes) if classes else [str(number) for number in range(num_classes)]
        if num_classes < 2 or len(self.classes) != num_classes:
            raise ZooError(f"{num_classes} classes named {self.classes}; expected at least two and a name for each")
        self.num_classes = num_classes
        self.num_logits = 1 if num_classes == 2 else num_classes
        self.confusion = MulticlassConfusionMatrix(num_classes, validate_args=False)
        self.evaluation_loss = MeanMetric(nan_strategy="disable")

    def loss(
        self, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0, weights: Tensor | None = None
    ) -> Tensor:
        """Cross-entropy in nats; targets are labels ``(N,)`` or probabilities ``(N, classes)``, weights ``(N,)``."""
        each: Literal["mean", "none"] = "mean" if weights is None else "none"
        if self.num_logits == 1:
            positive = labels[:, 1] if labels.ndim == 2 else labels.float()
            targets = positive * (1 - label_smoothing) + label_smoothing / 2
            losses = F.binary_cross_entropy_with_logits(logits.squeeze(1).float(), targets, reduction=each)
        else:
            losses = F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing, reduction=each)
        return losses if weights is None else (losses * weights).mean()

    def labels(self, logits: Tensor) -> Tensor:
        """The most probable class of each row, ``(N,)``."""
        return (logits.squeeze(1) > 0).long() if self.num_logits == 1 else logits.argmax(1)

    @torch.inference_mode()
    def probabilities(self, inputs: Any) -> Tensor:
        """Class probabilities of raw inputs, ``(N, num_classes)``, rows summing to one, on the model's device."""
        return self._chances(self(inputs).float())

    def _chances(self, logits: Tensor) -> Tensor:
        """Class probabilities of logits."""
        if self.num_logits == 1:
            positive = logits.sigmoid()
            return torch.cat([1 - positive, positive], dim=1)
        return logits.softmax(1)

    def classify(self, inputs: Any) -> list[str]:
        """Names the most probable class of each raw input."""
        return [self.classes[index] for index in self.probabilities(inputs).argmax(1).tolist()]

    def predict_step(self, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """Class probabilities, ``(N, num_classes)``; see :meth:`ZooModule.predict_step`."""
        return self.probabilities(inputs_of(batch))

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Counts hits and misses."""
        inputs, labels = batch
        logits = self(inputs).float()
        self.confusion.update(self.labels(logits), labels)
        # torchmetrics 1.9 ignores weights when nan_strategy is "disable", hence one value a row.
        self.evaluation_loss.update(self.loss(logits, labels).expand(len(labels)))
        return {"logits": logits, "labels": labels}

    test_step = validation_step

    def scores(self, outputs: dict[str, Tensor]) -> Tensor:
        """Whether each row is named right."""
        return (self.labels(outputs["logits"]) == outputs["labels"]).float()

    def references(self, data: Any, split: str) -> dict[str, float]:
        """The majority class of the training split, given to every row."""
        labels = data.splits["train"][1]
        # A teacher gives each row probabilities of the classes.
        majority = labels.mode().values if labels.ndim == 1 else labels.sum(0).argmax()
        return {"majority class": (data.splits[split][1] == majority).float().mean().item()}

    def log_evaluation(self, split: str) -> None:
        """Logs ``accuracy``, ``balanced_accuracy`` and ``loss`` of a split."""
        confusion = in_float64(self.confusion.compute())
        hits, members = confusion.diagonal(), confusion.sum(1)
        recalls = (hits / members)[members > 0]
        self.log(f"{split}_accuracy", (hits.sum() / members.sum()).float(), prog_bar=True, sync_dist=True)
        self.log(f"{split}_balanced_accuracy", recalls.mean().float(), sync_dist=True)
        self.log(f"{split}_loss", self.evaluation_loss.compute(), sync_dist=True)
        self.confusion.reset()
        self.evaluation_loss.reset()

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the confusion matrix, and how sure the model is beside how often it is right."""
        logits, labels = outputs["logits"].float().cpu(), outputs["labels"].cpu()
        predicted = self.labels(logits)
        return {
            "confusion_matrix": draw_confusion_matrix(labels, predicted, self.classes),
            "calibration": draw_reliability(self._chances(logits).amax(1), predicted == labels),
        }

    def worst(self, outputs: dict[str, Tensor], count: int) -> tuple[Tensor, list[int]]:
        """The most confident mistakes of an evaluation: their rows and the classes they were taken for."""
        logits, labels = outputs["logits"].float().cpu(), outputs["labels"].cpu()
        predicted = self.labels(logits)
        wrong = (predicted != labels).nonzero().squeeze(1)
        confidence = logits.squeeze(1).abs() if self.num_logits == 1 else logits.softmax(1).amax(1)
        rows = wrong[confidence[wrong].argsort(descending=True)[:count]]
        return rows, predicted[rows].tolist()


class Classification(Classifying, Optimized):
    """Base of the classifiers that learn by gradients. See :class:`Classifying` for the arguments not listed.

    Args:
        label_smoothing: Share of the target spread over all classes (Szegedy et al., 2016).
    """

    def __init__(self, label_smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.label_smoothing = label_smoothing
        self._train_correct: list[Tensor] = []
        self._train_seen = 0

    @property
    def head(self) -> nn.Module:
        """The layer that gives the logits."""
        return last_layer(self)

    def rows(self) -> dict[str, Rows]:
        """A row of the head for each class; the one of two classes tells them apart."""
        names = [f"{self.classes[1]}, not {self.classes[0]}"] if self.num_logits == 1 else self.classes
        return rows_of(self, self.head, Rows("classes", names))

    def learn(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Loss of a training batch, whose hits are counted; targets and weights as in :meth:`loss`."""
        true = labels.argmax(1) if labels.ndim == 2 else labels
        self._train_correct.append((self.labels(logits.detach()) == true).sum())
        self._train_seen += len(labels)
        return self.loss(logits, labels, self.label_smoothing, weights)

    def on_train_epoch_start(self) -> None:
        """Starts a new mean."""
        self._train_correct, self._train_seen = [], 0

    def on_train_epoch_end(self) -> None:
        """Logs the accuracy of the epoch."""
        self.log("train_accuracy", torch.stack(self._train_correct).sum() / self._train_seen, sync_dist=True)
