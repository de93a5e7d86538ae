"""What processes that train together tell each other; with a single one nothing happens."""

import torch
import torch.distributed as dist
from torch import Tensor


def in_company() -> bool:
    """Whether there are several processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def add_up(tensor: Tensor) -> Tensor:
    """The sum of the tensors that all processes have."""
    if in_company():
        tensor = tensor.clone()
        dist.all_reduce(tensor)
    return tensor


def gather(tensor: Tensor) -> Tensor:
    """The tensors of all processes, which are of one shape, one after the other along the first dimension."""
    if not in_company():
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def shared_seed(device: torch.device) -> int:
    """A seed drawn from torch's random numbers, that of the first process for all.

    Args:
        device: Where processes talk to each other: the model's.
    """
    seed = torch.randint(2**31 - 1, (1,)).to(device)
    if in_company():
        dist.broadcast(seed, 0)
    return int(seed)
