"""In which precision to train: the quickest that was timed, and when to think again."""

import contextlib
import copy
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.utilities import rank_zero_warn

from zoo.base.module import ZooModule
from zoo.base.processor import gpu_has_bfloat16, gpu_has_tf32, has_bfloat16
from zoo.errors import ZooError


def time_settings(model: ZooModule, batch: Any, steps: int = 8) -> dict[tuple[str, bool], float]:
    """Times a forward and backward pass in each precision and memory format that the processor supports.

    Returns:
        Seconds a step, the quickest of ``steps``, by ``(precision, channels last)``.
    """
    formats = (False, True) if hasattr(model, "channels_last") and batch[0].ndim == 4 else (False,)
    precisions = {"32-true": False}
    if has_bfloat16():
        precisions["bf16-mixed"] = True
    seconds = {}
    for precision, autocast in precisions.items():
        for channels_last in formats:
            trial: Any = copy.deepcopy(model).train()
            trial.channels_last = channels_last
            trial.setup("validate")
            times = []
            for _ in range(steps):
                start = time.perf_counter()
                with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                    trial.trial_step(batch)
                times.append(time.perf_counter() - start)
            seconds[precision, channels_last] = min(times[2:])
    return seconds


def on_one_cpu(settings: Any) -> bool:
    """Whether a trainer of these settings has a single process, on a CPU."""
    placing = {name: settings[name] for name in ("accelerator", "devices", "num_nodes", "strategy")}
    trainer = Trainer(**placing, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    return trainer.world_size == 1 and trainer.strategy.root_device.type == "cpu"


def check_precision(trainer: Trainer) -> None:
    """Refuses bfloat16 where a graphics processor would only imitate it.

    Raises:
        ZooError: It would.
    """
    device = trainer.strategy.root_device
    if device.type == "cuda" and str(trainer.precision).startswith("bf16") and not gpu_has_bfloat16():
        raise ZooError(
            f"{torch.cuda.get_device_name(device)} does not compute in bfloat16; use --trainer.precision 32-true, or "
            "16-mixed"
        )


def settle_tf32(asked: bool | None, model: ZooModule, device: torch.device, trains: bool) -> bool:
    """Whether to multiply float32 numbers in TF32.

    Args:
        asked: What somebody said; if nobody did, networks that bear it are trained so.
        model: What computes.
        device: Where.
        trains: Whether the model is trained, not measured.

    Raises:
        ZooError: It was asked for, and there is none.
    """
    has_it = device.type == "cuda" and gpu_has_tf32(device)
    if asked and not has_it:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"a device of type {device.type}"
        raise ZooError(f"{name} has no TF32; leave --tf32 true out")
    return has_it and (trains and model.takes_tf32 if asked is None else asked)


@contextlib.contextmanager
def float32_products(tf32: bool) -> Iterator[None]:
    """Inside, a GPU multiplies float32 matrices and kernels in TF32, or rounds nothing."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


class ReconsiderPrecision(Callback):
    """Tries float32 when steps in bfloat16 take far longer than was timed before training, and keeps what is quicker.

    Some bfloat16 kernels wait for each other in a loop: while other programs use the cores, a step may take a hundred
    times as long, where one in float32 takes twice as long. The weights are float32 either way.

    Args:
        seconds: What a step in bfloat16 took in the timing.
        factor: How many times as long counts as far longer.
        steps: Steps whose median is compared.
    """

    def __init__(self, seconds: float, factor: float = 4.0, steps: int = 5) -> None:
        self.limit, self.factor, self.steps = factor * seconds, factor, steps
        self._times: list[float] = []
        self._start = 0.0
        self._slow: float | None = None
        self._bfloat16: Precision | None = None
        self._in_float32 = False

    def state_dict(self) -> dict[str, Any]:
        """What was found, so that a resumed run goes on in the same way."""
        return {"limit": self.limit, "in_float32": self._in_float32}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes it up."""
        self.limit, self._in_float32 = state_dict["limit"], state_dict["in_float32"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Goes on in float32 where the interrupted run did."""
        if self._in_float32:
            trainer.strategy.precision_plugin = Precision()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Starts the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops it, and decides when enough steps are timed."""
        self._times.append(time.perf_counter() - self._start)
        if len(self._times) < self.steps:
            return
        median, self._times = statistics.median(self._times), []
        strategy = trainer.strategy
        if self._slow is not None and self._bfloat16 is not None:
            if median < self._slow:
                rank_zero_warn(f"going on in float32: {median:.2g} s a step, in bfloat16 it was {self._slow:.2g}")
                self.limit, self._in_float32 = float("inf"), True
            else:
                strategy.precision_plugin = self._bfloat16
                self.limit *= self.factor
            self._slow = None
        elif median > self.limit:
            self._slow, self._bfloat16 = median, strategy.precision_plugin
            strategy.precision_plugin = Precision()
