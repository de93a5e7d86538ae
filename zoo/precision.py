"""What number formats the processor is quick in, and when to think again."""

import statistics
import time
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.utilities import rank_zero_warn


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16, so that it may be quicker than float32."""
    return any(bool(getattr(torch.cpu, f"_is_{unit}_supported")()) for unit in ("avx512_bf16", "amx_tile"))


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
