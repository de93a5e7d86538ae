"""What every model of the zoo is: an object that its arguments and weights rebuild, with figures, pictures, answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import signature
from itertools import chain
from typing import Any, Self

import torch
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.arguments import KeepsArguments
from zoo import names
from zoo.base.inputs import check_finite, inputs_of, to_tensor, told
from zoo.base.loss_watch import LossWatch
from zoo.base.processor import find_device, has_float64
from zoo.base.rows import Rows
from zoo.errors import ZooError

_unfilled = ContextVar("unfilled", default=False)


@contextmanager
def unfilled() -> Iterator[None]:
    """Inside, models are built without reading pretrained weights, since others will be put into them."""
    token = _unfilled.set(True)
    try:
        yield
    finally:
        _unfilled.reset(token)


def is_unfilled() -> bool:
    """Whether a model being built will get its weights later; see :func:`unfilled`."""
    return _unfilled.get()


class ZooModule(KeepsArguments, LightningModule):
    """Base of every model.

    A subclass defines ``network``, :meth:`forward` and the steps. The arguments of its constructor are primitives and
    become its hyperparameters by themselves: they and the class path are all it takes to rebuild the model. See
    :mod:`datamodules.arguments` for how those of bases are handed on. ``training_step`` returns the loss or a dict with
    the key ``loss``, which :class:`LossWatch` looks after.

    What public methods are given may lie anywhere: :meth:`take` brings it to the device of the model, where their
    results lie, too, but for names, texts and plain numbers.

    Attributes:
        metric: Name of the figure that the model is judged by, as in the model's card.
        watch_loss: Stop training with an error when the loss is NaN or infinite.
        rounding_tolerance: By which share the figure may move if published weights are stored in half precision.
        learns: Whether training makes a difference to it.
        chooses: Whether validation chooses anything of it, such as when to stop.
        takes_tf32: Whether training bears float32 products of 10 bits, as networks do that are large enough to gain.
        learnt: Beginnings of the keys of what training makes; the others hold facts of the data.
        calibrated: Keys of what an evaluation leaves in the state, such as how far the model was off.
    """

    metric: str
    watch_loss = True
    rounding_tolerance = 1e-4
    learns = True
    chooses = True
    takes_tf32 = False
    learnt: tuple[str, ...] = ("network.",)
    calibrated: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Keeps the signature of a training step, which Lightning would have Python work out at every step."""
        super().__init_subclass__(**options)
        if "training_step" in vars(cls):
            step: Any = cls.training_step
            step.__signature__ = signature(step)

    def __init__(self) -> None:
        super().__init__()
        self.keep_arguments()

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute.

        Lightning notes the running hook some thirty times a step. That it is neither a parameter nor a module need not
        be found out each time, which counts where a step takes a millisecond.
        """
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves or converts the model as torch does; ``auto`` is the first accelerator, or the CPU.

        Raises:
            ZooError: There is no such device, or the model computes in float64 and it does not.
        """
        if "device" in kwargs:
            args = (kwargs.pop("device"), *args)
        if args and isinstance(args[0], str | torch.device) and str(args[0]) != "meta":
            device = find_device(args[0])
            if any(one.dtype == torch.float64 for one in chain(self.parameters(), self.buffers())):
                self.need_float64(device)
            args = (device, *args[1:])
        return super().to(*args, **kwargs)

    def need_float64(self, device: torch.device) -> None:
        """Refuses to compute in float64 on a device that has none.

        Raises:
            ZooError: It has none.
        """
        if not has_float64(device):
            raise ZooError(
                f"{type(self).__name__} computes in float64, which {device.type} does not have; use the CPU: "
                "--trainer.accelerator cpu, or --device cpu"
            )

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        """Notes where the weights went, whoever moved them: Lightning misses what a module around the model does."""
        super()._apply(*args, **kwargs)
        for tensor in chain(self.parameters(), self.buffers()):
            self._device = tensor.device
            break
        return self

    @property
    def takes(self) -> str:
        """What public methods take, in words."""
        return "numbers"

    def take(self, inputs: Any) -> Tensor:
        """What a public method is given, on the device of the model: the one door that inputs come in by.

        Args:
            inputs: A tensor on any device, an array, a frame of pandas or a list of numbers, or what else
                :meth:`as_tensor` understands.

        Raises:
            ZooError: It is something else, of a wrong shape or type, or, unless it is a tensor, holds NaN.
        """
        given = self.as_tensor(inputs)
        if given is None:
            raise self.refusal(inputs)
        self.check(given)
        if not isinstance(inputs, Tensor):
            self.check_known(given)
        return given.to(self.device)

    def as_tensor(self, inputs: Any) -> Tensor | None:
        """What was given as a tensor, wherever it lies; None of what the model does not understand."""
        return to_tensor(inputs)

    def check(self, inputs: Tensor) -> None:
        """Refuses inputs of a wrong shape or type.

        Raises:
            ZooError: They are.
        """

    def check_known(self, inputs: Tensor) -> None:
        """Refuses holes in what a user gives.

        Raises:
            ZooError: There are some.
        """
        check_finite(inputs)

    def refusal(self, inputs: Any) -> ZooError:
        """The error that says what the model takes and what it was given."""
        return ZooError(f"{type(self).__name__} takes {self.takes}, not {told(inputs)}")

    def configure_callbacks(self) -> list[Callback]:
        """The watch over the loss, for any trainer."""
        return [LossWatch()]

    def advice(self) -> str:
        """What to do about a loss that diverges."""
        return "try a smaller learning rate"

    def example_input(self) -> Tensor:
        """A batch of one valid input, to trace the model with."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its input looks like")

    def figures(self, outputs: dict[str, Tensor], rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws an evaluation.

        Args:
            outputs: What the evaluation steps returned, concatenated over the batches.
            rows: The evaluated data set; row ``i`` belongs to output ``i``.

        Returns:
            Name and picture; nothing where there is nothing to see.
        """
        return {}

    def log_evaluation(self, split: str) -> None:
        """Logs what an evaluation found, each figure as ``{split}_{name}``.

        Args:
            split: ``val`` or ``test``.
        """

    def on_validation_epoch_end(self) -> None:
        """See :meth:`log_evaluation`."""
        self.log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        """See :meth:`log_evaluation`."""
        self.log_evaluation("test")

    def predict_step(self, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0) -> Any:
        """What ``Trainer.predict`` collects of a batch: what :meth:`forward` makes of its inputs, a row each.

        Args:
            batch: Raw inputs; targets beside them are left alone.
            batch_idx: Which batch it is.
            dataloader_idx: Of which loader.
        """
        return self(inputs_of(batch))

    def trial_step(self, batch: Any) -> None:
        """A step of training without its optimizer, to be timed."""
        loss = self.training_step(batch, 0)
        if isinstance(loss, Tensor) and loss.requires_grad:
            loss.backward()

    def progress(self) -> Tensor | None:
        """Rows of images to show after each epoch, uint8 ``(R, K, C, H, W)``; nothing by default."""
        return None

    def scores(self, outputs: dict[str, Tensor]) -> Tensor | None:
        """How each row of an evaluation went, so that two models can be compared row by row.

        Args:
            outputs: What an evaluation step returned.

        Returns:
            ``(N,)``, of which the figure that the model is judged by is the mean, or grows and falls with it; nothing
            of a model that does not answer row by row.
        """
        return None

    def references(self, data: LightningDataModule, split: str) -> dict[str, float]:
        """What costs nothing reaches by the figure that the model is judged by: the majority class, a naive forecast.

        Args:
            data: What the model learns from.
            split: ``val`` or ``test``.

        Returns:
            By name; nothing where nothing so simple can be said.
        """
        return {}

    def breakdown(self, data: LightningDataModule) -> dict[str, dict[str, float]]:
        """What the last evaluation found of each part of the data, such as of each of several series.

        Args:
            data: What was evaluated, which knows the names of its parts.

        Returns:
            Figures by name of the part; nothing where there are no parts.
        """
        return {}

    def calibration(self, data: LightningDataModule) -> dict[str, dict[str, float]]:
        """What simple means reach by the model's figures, by name, where only a comparison gives them a meaning."""
        return {}

    def training_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws what there is to see of the training data before training starts.

        Args:
            rows: The training data set.

        Returns:
            Name and picture.
        """
        return {}

    def trained_figures(self, rows: Dataset[Any]) -> dict[str, Figure]:
        """Draws how the model got where it is, after training has ended.

        Args:
            rows: The training data set.

        Returns:
            Name and picture.
        """
        return {}

    def tested_figures(self, data: LightningDataModule) -> dict[str, Figure]:
        """Draws after a test what its outputs alone do not show.

        Args:
            data: What the model learns from.

        Returns:
            Name and picture.
        """
        return {}

    def tables(self) -> dict[str, dict[str, list[Any]]]:
        """What training has found, for people to read: tables by name, a list for each column."""
        return {}

    def golden(self, data: LightningDataModule) -> dict[str, Tensor]:
        """A few inputs of the test split, for the golden file; see :func:`zoo.weights.save`.

        Of data that is private, such as somebody's photos, noise of the same shape.
        """
        inputs = next(iter(data.test_dataloader()))[0][:8].contiguous()
        if getattr(data, "private", False):
            inputs = torch.randint(0, 256, inputs.shape, generator=torch.Generator().manual_seed(0)).to(inputs.dtype)
        return {"input": inputs}

    def rows(self) -> dict[str, Rows]:
        """Which parameters have a row for each token, class or step, by name; see :mod:`zoo.start`."""
        return {}

    def borrowed(self) -> dict[str, str]:
        """Parts of the state that may equal other published weights, so that these need not be stored again.

        Returns:
            Beginning of the keys here -> name of published weights, whose keys go on after ``network.``.
        """
        return {}

    @torch.inference_mode()
    def answer(self, golden: dict[str, Tensor]) -> Tensor:
        """The output that belongs to the inputs of a golden file."""
        return self(golden["input"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Writes the class path, so that the file alone suffices to load the model (see :mod:`zoo.weights`)."""
        checkpoint["class_path"] = names.path_of(type(self))
