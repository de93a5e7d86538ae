"""Several models that answer together: the mean of what each says (Dietterich, 2000; Bates and Granger, 1969)."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from zoo import weights
from zoo.base.classification import Classification
from zoo.base.module import ZooModule, unfilled
from zoo.errors import ZooError


class Ensemble(ZooModule):
    """Base of the ensembles. They are made of trained models, see :meth:`of`, and learn nothing more.

    Args:
        members: What each is: ``model``, the public path of its class, and its ``arguments``.

    Attributes:
        members: The models.

    Raises:
        ZooError: There is none, or one is no model of the zoo.
    """

    learns = False

    def __init__(self, members: list[dict[str, Any]], **options: Any) -> None:
        super().__init__(**options)
        if not members or not all(isinstance(one, dict) and {"model", "arguments"} == set(one) for one in members):
            raise ZooError(
                "an ensemble needs members, each with 'model' and 'arguments'; zoo compare --ensemble makes one"
            )
        with unfilled():
            self.members = nn.ModuleList(weights.build(one["model"], one["arguments"]) for one in members)
        self.members.requires_grad_(False)
        self._is_made = False

    @classmethod
    def of(cls, models: Sequence[ZooModule], **facts: Any) -> Self:
        """Makes one of trained models, whose weights are copied.

        Args:
            models: The models.
            **facts: Of the data, as every model of the kind takes them.
        """
        ensemble = cls(members=described(models), **facts)
        ensemble.take_weights(models)
        return ensemble.eval()

    def take_weights(self, models: Sequence[ZooModule]) -> None:
        """Copies the weights of models that are alike the members, one by one."""
        for member, model in zip(self.members, models, strict=True):
            member.load_state_dict(model.state_dict())
        self._is_made = True

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What is loaded was made before."""
        super().on_load_checkpoint(checkpoint)
        self._is_made = True

    def setup(self, stage: str) -> None:
        """Refuses to pass members that nobody trained for trained ones.

        Raises:
            ZooError: They are.
        """
        if stage == "fit" and not self._is_made:
            raise ZooError(
                f"{type(self).__name__} is made of trained models and cannot be trained itself; "
                "zoo compare --ensemble 3 makes one"
            )

    def on_train_epoch_end(self) -> None:
        """There is nothing to log of a training that is none."""

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Nothing to learn."""

    def configure_optimizers(self) -> None:
        """Nothing to optimise."""


class ClassifierEnsemble(Ensemble, Classification):
    """Base of the ensembles of classifiers: the mean of their probabilities. See :class:`Classification`.

    Raises:
        ZooError: The members do not tell the same classes.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for member in self.members:
            if getattr(member, "classes", None) != self.classes:
                raise ZooError(f"a member tells {getattr(member, 'classes', None)}, the data has {self.classes}")

    def shown(self, member: Any, inputs: Tensor) -> Tensor:
        """What a member is shown of the inputs."""
        return inputs

    def forward(self, inputs: Any) -> Tensor:
        """Logits whose probabilities are the mean of those of the members, float32."""
        given = self.take(inputs)
        members: Iterable[Any] = self.members
        mean = torch.stack([member.probabilities(self.shown(member, given)) for member in members]).mean(0)
        logits = mean.clamp_min(torch.finfo(torch.float32).tiny).log()
        return logits[:, 1:] - logits[:, :1] if self.num_logits == 1 else logits


def described(models: Sequence[ZooModule]) -> list[dict[str, Any]]:
    """The argument ``members`` that models make."""
    found = map(weights.describe, models)
    return [{"model": one["class_path"], "arguments": one["init_args"]} for one in found]
