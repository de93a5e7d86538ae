"""Means: of a generator over its training, of gradients and running statistics over processes."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.base.processes import add_up, in_company, number_of_processes


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves the moving average of a network's weights towards them."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)


def normalisations(network: nn.Module) -> list[_BatchNorm]:
    """The layers that keep running statistics."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


@torch.no_grad()
def settle(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor | None]]) -> None:
    """Computes the normalisation statistics of a network anew: the mean over batches; leaves it in evaluation mode."""
    norms = normalisations(network)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    network.train()
    for batch in batches:
        network(*batch)
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def share_statistics(*networks: nn.Module) -> None:
    """Gives all processes the same running statistics: their mean."""
    if number_of_processes() > 1:
        for network in networks:
            for buffer in network.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(add_up(buffer) / number_of_processes())


def share_gradients(gradients: Sequence[Tensor]) -> None:
    """Gives all processes the mean of their gradients, in one message."""
    if not in_company():
        return
    joined = add_up(torch.cat([gradient.flatten() for gradient in gradients])) / number_of_processes()
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, mean in zip(gradients, joined.split(sizes), strict=True):
        gradient.copy_(mean.view_as(gradient))
