"""Training a small classifier on the judgement of a better one (Hinton, Vinyals and Dean, 2015, arXiv:1503.02531)."""

from typing import Any

import torch
import torch.nn.functional as F
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from zoo import weights
from zoo.errors import ZooError
from zoo.vision.classifier import Classifier


class Distillation(Callback):
    """Replaces the training labels by a mixture of what a teacher thinks and what is true.

    The teacher looks at each training image once, before training, at temperature 1; so distillation costs one pass,
    and the student's loss stays a cross-entropy, now with probabilities ``(N, classes)`` as targets.

    Args:
        teacher: A published model, a run folder or a checkpoint file with the same classes.
        share: Weight of the teacher's probabilities; the rest is the true label's.

    Raises:
        ZooError: The teacher has other classes, or the data module does not hold its data in memory.
    """

    def __init__(self, teacher: str, share: float = 0.9) -> None:
        self.teacher = teacher
        self.share = share

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Asks the teacher, before the training batches are made."""
        data: Any = getattr(trainer, "datamodule", None)
        if stage != "fit":
            return
        if not hasattr(data, "splits"):
            raise ZooError(f"distillation needs data held in memory; {type(data).__name__} is not")
        # The model itself is moved there only afterwards.
        teacher = weights.load(self.teacher, trainer.strategy.root_device)
        if not isinstance(teacher, Classifier) or teacher.classes != getattr(pl_module, "classes", None):
            raise ZooError(f"the teacher {self.teacher!r} does not tell the classes of {type(data).__name__}")
        inputs, labels = data.splits["train"]
        if labels.ndim == 2:  # the teacher was asked before, by the same data module
            return
        judged = torch.cat([teacher.probabilities(chunk).cpu() for chunk in inputs.split(1000)])
        truth = F.one_hot(labels, teacher.num_classes)
        data.splits["train"] = (inputs, self.share * judged + (1 - self.share) * truth)
