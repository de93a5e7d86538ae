"""What processes that train together tell each other; with a single one nothing happens."""

from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor


def in_company() -> bool:
    """Whether there are several processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def number_of_processes() -> int:
    """How many processes there are."""
    return dist.get_world_size() if in_company() else 1


def place_among_processes() -> int:
    """Which of them this is, counted from zero."""
    return dist.get_rank() if in_company() else 0


def leave_unwrapped(strategy: Any) -> None:
    """Keeps Lightning from wrapping a model for the gradients of several processes: it sees to them itself.

    Call it in the model's ``setup``.
    """
    if isinstance(strategy, DDPStrategy):
        strategy.configure_ddp = lambda: None  # type: ignore[method-assign]


def let_steps_differ(trainer: Any) -> None:
    """Lets processes have different numbers of batches, or none, if the model joins what they found in the end.

    Lightning has the first process tell the others before every step that it received no signal, for which one that has
    no further step is waited for. Call it in the model's ``setup``.
    """
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None


def add_up(tensor: Tensor) -> Tensor:
    """The sum of the tensors that all processes have."""
    if in_company():
        tensor = tensor.clone()
        dist.all_reduce(tensor)
    return tensor


def shared_mean(values: Tensor) -> Tensor:
    """The mean of values ``(N,)`` of which every process has its own ``N``, for the gradient to come out right.

    Of several processes each gets a part such that the average of the parts, which is what becomes of their gradients,
    is the mean over the values of all; where all have equally many it is the mean of its own.
    """
    if not in_company():
        return values.mean()
    count = add_up(torch.tensor(float(len(values)), device=values.device))
    return values.sum() * (number_of_processes() / count)


def gather(tensor: Tensor) -> Tensor:
    """The tensors of all processes, which are of one shape, one after the other along the first dimension."""
    if not in_company():
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def gather_rows(tensor: Tensor) -> Tensor:
    """As :func:`gather`, where the processes have different numbers of rows."""
    if not in_company():
        return tensor
    counts = gather(torch.tensor([len(tensor)], device=tensor.device)).tolist()
    padded = tensor.new_zeros(max(counts), *tensor.shape[1:])
    padded[: len(tensor)] = tensor
    parts = gather(padded).split(max(counts))
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def broadcast(tensor: Tensor) -> None:
    """Puts the values that the first process has into the tensors of all."""
    if in_company():
        dist.broadcast(tensor, 0)


def shared_seed(device: torch.device) -> int:
    """A seed drawn from torch's random numbers, that of the first process for all.

    Args:
        device: Where processes talk to each other: the model's.
    """
    seed = torch.randint(2**31 - 1, (1,)).to(device)
    broadcast(seed)
    return int(seed)
