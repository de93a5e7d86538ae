"""What every classifier shares: normalisation, augmentation, loss, metrics, optimizer, pictures, class names."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo.drawing import draw_confusion_matrix, draw_images
from zoo.errors import ZooError
from zoo.module import Schedule, ZooModule
from zoo.vision.augmentation import Augmentation
from zoo.vision.normalisation import normalise


class Classifier(ZooModule):
    """Base of the classifiers; a subclass adds ``self.network``, which maps normalised inputs to ``self.num_logits``.

    Inputs are raw: uint8 images ``(N, C, H, W)`` are scaled to 0..1, float features ``(N, F)`` are taken as they are;
    then both are normalised with ``mean`` and ``std``. Two classes get one logit and a sigmoid, more get a softmax.

    Args:
        num_classes: Number of classes.
        classes: Their names; numbers if left out.
        mean: Mean of each channel or feature (of images: in 0..1); one value serves all.
        std: Standard deviation, likewise.
        lr: Highest learning rate of AdamW (Loshchilov and Hutter, 2019).
        weight_decay: Decoupled weight decay, applied to matrices and kernels, not to biases.
        schedule: See :meth:`ZooModule.scheduled`.
        label_smoothing: Share of the target spread over all classes (Szegedy et al., 2016).
        augmentation: How training images are changed; not at all if left out.
        channels_last: Keep images and kernels in channels-last memory format, often faster.
        compile: Compile the network with ``torch.compile`` before training.

    Shape:
        - Input: uint8 ``(N, C, H, W)`` or float ``(N, F)``.
        - Output: logits ``(N, num_classes)``, or ``(N, 1)`` for two classes.
    """

    metric = "accuracy"
    network: nn.Module
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        num_classes: int,
        classes: Sequence[str] | None,
        mean: Sequence[float],
        std: Sequence[float],
        lr: float,
        weight_decay: float,
        schedule: Schedule,
        label_smoothing: float = 0.0,
        augmentation: Augmentation | None = None,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.classes = list(classes) if classes else [str(number) for number in range(num_classes)]
        if num_classes < 2 or len(self.classes) != num_classes:
            raise ZooError(f"{num_classes} classes named {self.classes}; expected at least two and a name for each")
        self.num_classes = num_classes
        self.num_logits = 1 if num_classes == 2 else num_classes
        self.lr, self.weight_decay, self.schedule = lr, weight_decay, schedule
        self.label_smoothing, self.augmentation = label_smoothing, augmentation
        self.channels_last, self.compile_network = channels_last, compile
        self.register_buffer("mean", torch.tensor(list(mean), dtype=torch.float32))
        self.register_buffer("std", torch.tensor(list(std), dtype=torch.float32))
        self.confusion = MulticlassConfusionMatrix(num_classes, validate_args=False)
        self.evaluation_loss = MeanMetric(nan_strategy="disable")
        self._train_correct: list[Tensor] = []
        self._train_seen = 0

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the logits of raw inputs."""
        return self.network(self.normalise(inputs))

    def normalise(self, inputs: Tensor) -> Tensor:
        """Brings raw inputs to zero mean and unit variance in the model's own precision."""
        return normalise(inputs, self.mean, self.std, self.channels_last)

    def loss(self, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Cross-entropy in nats; targets are labels ``(N,)`` or probabilities ``(N, classes)``."""
        if self.num_logits == 1:
            positive = labels[:, 1] if labels.ndim == 2 else labels.float()
            targets = positive * (1 - label_smoothing) + label_smoothing / 2
            return F.binary_cross_entropy_with_logits(logits.squeeze(1).float(), targets)
        return F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)

    def labels(self, logits: Tensor) -> Tensor:
        """The most probable class of each row, ``(N,)``."""
        return (logits.squeeze(1) > 0).long() if self.num_logits == 1 else logits.argmax(1)

    @torch.inference_mode()
    def probabilities(self, inputs: Tensor) -> Tensor:
        """Class probabilities of raw inputs, ``(N, num_classes)``, rows summing to one."""
        logits = self(inputs.to(self.device)).float()
        if self.num_logits == 1:
            positive = logits.sigmoid()
            return torch.cat([1 - positive, positive], dim=1)
        return logits.softmax(1)

    def classify(self, inputs: Tensor) -> list[str]:
        """Names the most probable class of each raw input."""
        return [self.classes[index] for index in self.probabilities(inputs).argmax(1).tolist()]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of an augmented batch."""
        inputs, labels = batch
        if self.augmentation and inputs.dtype == torch.uint8:
            inputs = self.augmentation(inputs)
        logits = self(inputs)
        true = labels.argmax(1) if labels.ndim == 2 else labels
        self._train_correct.append((self.labels(logits.detach()) == true).sum())
        self._train_seen += len(labels)
        return self.loss(logits, labels, self.label_smoothing)

    def on_train_epoch_start(self) -> None:
        """Starts new means."""
        super().on_train_epoch_start()
        self._train_correct, self._train_seen = [], 0

    def on_train_epoch_end(self) -> None:
        """Logs loss and accuracy of the epoch."""
        super().on_train_epoch_end()
        self.log("train_accuracy", torch.stack(self._train_correct).sum() / self._train_seen, sync_dist=True)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Counts hits and misses."""
        inputs, labels = batch
        logits = self(inputs).float()
        self.confusion.update(self.labels(logits), labels)
        # torchmetrics 1.9 ignores weights when nan_strategy is "disable", hence one value a row.
        self.evaluation_loss.update(self.loss(logits, labels).expand(len(labels)))
        return {"logits": logits, "labels": labels}

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Logs ``val_accuracy``, ``val_balanced_accuracy`` and ``val_loss``."""
        self._log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        """Logs ``test_accuracy``, ``test_balanced_accuracy`` and ``test_loss``."""
        self._log_evaluation("test")

    def _log_evaluation(self, split: str) -> None:
        confusion = self.confusion.compute().double()
        hits, members = confusion.diagonal(), confusion.sum(1)
        recalls = (hits / members)[members > 0]
        self.log(f"{split}_accuracy", (hits.sum() / members.sum()).float(), prog_bar=True, sync_dist=True)
        self.log(f"{split}_balanced_accuracy", recalls.mean().float(), sync_dist=True)
        self.log(f"{split}_loss", self.evaluation_loss.compute(), sync_dist=True)
        self.confusion.reset()
        self.evaluation_loss.reset()

    @property
    def compiled_parts(self) -> list[nn.Module]:
        """What is compiled if the model is."""
        return [self.network]

    def setup(self, stage: str) -> None:
        """Brings the kernels into the wanted memory format and compiles, in place, so that no key is renamed."""
        if self.channels_last:
            self.network.to(memory_format=torch.channels_last)
        if self.compile_network and stage == "fit":
            for part in self.compiled_parts:
                part.compile()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW in one fused kernel."""
        decayed = [parameter for parameter in self.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in self.parameters() if parameter.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return self.scheduled(torch.optim.AdamW(groups, lr=self.lr, fused=True), self.schedule)

    def training_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws some training images as they are and as the network will see them."""
        images = rows[torch.arange(0, len(rows), max(1, len(rows) // 5))[:5]][0]  # type: ignore[arg-type]
        if not self.augmentation or images.dtype != torch.uint8:
            return {}
        columns = [images, *(self.augmentation(images) for _ in range(5))]
        shown = torch.stack(columns, 1).flatten(0, 1)
        return {"augmented": draw_images(shown, ["as it is", *[""] * 5] * len(images), "What the network sees")}

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws the confusion matrix and, of images, the most confident mistakes."""
        logits, labels = outputs["logits"].float().cpu(), outputs["labels"].cpu()
        predicted = self.labels(logits)
        drawn = {"confusion_matrix": draw_confusion_matrix(labels, predicted, self.classes)}
        wrong = (predicted != labels).nonzero().squeeze(1)
        inputs = rows[wrong[:1]][0] if len(wrong) else None
        if inputs is not None and inputs.ndim == 4:
            confidence = logits.squeeze(1).abs() if self.num_logits == 1 else logits.softmax(1).amax(1)
            worst = wrong[confidence[wrong].argsort(descending=True)[:30]]
            titles = [
                f"{self.classes[guess]}\n(is {self.classes[truth]})"
                for guess, truth in zip(predicted[worst].tolist(), labels[worst].tolist(), strict=True)
            ]
            drawn["mistakes"] = draw_images(rows[worst][0], titles, "The most confident mistakes")
        return drawn
