"""What a training changes around it and a Python program wants back: a notebook goes on after it."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng

from zoo.training.plugins import LOGGERS

# Not those by which a launcher tells the processes of a run who they are: the next run in this program needs them.
_VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "PL_GLOBAL_SEED", "PL_SEED_WORKERS", "PYTORCH_NVML_BASED_CUDA_CHECK")


@contextmanager
def surroundings_kept() -> Iterator[None]:
    """Inside, a run may change what it likes of this process; afterwards all is as it was, however the run ended.

    That is: the random numbers of Python, NumPy and torch, filters of warnings, levels of loggers, environment
    variables, what is done on signals, and how torch multiplies matrices, chooses kernels and repeats itself.
    """
    with ExitStack() as kept:
        if not torch.cuda.is_initialized():
            kept.callback(_seed_cuda)
        # Unlike a context, a callback runs after an exception, too, which Lightning's context does not foresee.
        states = isolate_rng(include_cuda=torch.cuda.is_initialized())
        states.__enter__()
        kept.callback(states.__exit__, None, None, None)
        kept.enter_context(warnings.catch_warnings())
        for name in LOGGERS:
            logger = logging.getLogger(name)
            kept.callback(logger.setLevel, logger.level)
        for name in _VARIABLES:
            kept.callback(_set_variable, name, os.environ.get(name))
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # Of what was not set from Python nothing is known, and nothing is changed.
                if (handler := signal.getsignal(number)) is not None:
                    kept.callback(signal.signal, number, handler)
        for change, *values in _settings_of_torch():
            kept.callback(change, *values)
        yield


def _seed_cuda() -> None:
    """Seeds the GPUs that a run was the first to use as they would have been when somebody else had been."""
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(torch.initial_seed())


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _settings_of_torch() -> Iterator[tuple[Callable[..., Any], *tuple[Any, ...]]]:
    yield torch.set_float32_matmul_precision, torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn
    for name in ("allow_tf32", "benchmark", "deterministic"):
        yield setattr, cudnn, name, getattr(cudnn, name)
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    yield (
        lambda on: torch.use_deterministic_algorithms(on, warn_only=warns),
        torch.are_deterministic_algorithms_enabled(),
    )
