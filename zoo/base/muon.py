"""Muon for matrices, AdamW for everything else, as one optimizer (Jordan et al., 2024)."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

from zoo.base.processor import gpu_has_bfloat16, has_bfloat16

MOMENTUM = 0.95
# A polynomial a x + b x^3 + c x^5 that takes singular values towards 1 in few steps (Jordan et al., 2024).
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5


class Muon(Optimizer):
    """Moves matrices by orthogonalised Nesterov momentum (Jordan et al., 2024).

    torch's computes in bfloat16 everywhere, which a processor without such units imitates many times slower; here
    :func:`orthogonalised` does so where it is quick.

    Args:
        params: Matrices, or kernels, which are taken for matrices of one row an output.
        lr: Learning rate, of steps as large as those of AdamW (Liu et al., 2025, arXiv:2502.16982).
        weight_decay: Decoupled weight decay.
    """

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes a step."""
        loss = _evaluate(closure)
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(param)
                momentum = state["momentum_buffer"].lerp_(param.grad, 1 - MOMENTUM)
                update = orthogonalised(param.grad.lerp(momentum, MOMENTUM).flatten(1))
                param.mul_(1 - group["lr"] * group["weight_decay"])
                param.add_(update.view_as(param), alpha=-0.2 * math.sqrt(max(update.shape)) * group["lr"])
        return loss


def orthogonalised(matrix: Tensor) -> Tensor:
    """The matrix with its singular values moved close to 1 (between 0.7 and 1.2), by Newton and Schulz' iteration.

    Args:
        matrix: Of any two sizes, ``(M, N)``.

    Returns:
        In bfloat16 on what computes in it, otherwise in the matrix' own precision, ``(M, N)``.
    """
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16() if (gpu_has_bfloat16() if matrix.is_cuda else has_bfloat16()) else matrix
    x = x.T if len(matrix) > len(matrix.T) else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if len(matrix) > len(matrix.T) else x


class MuonWithAdamW(Optimizer):
    """Moves matrices by orthogonalised momentum and all other parameters by AdamW.

    Muon's steps are scaled to the size that those of AdamW have (Liu et al., 2025, arXiv:2502.16982), so that one
    learning rate serves both.

    Args:
        matrices: Matrices and kernels of hidden layers, or groups of them.
        others: Embeddings, output layers, biases, gains, or groups of them.
        lr: Learning rate of all.
        weight_decay: Decoupled weight decay of the matrices.
        betas: Of AdamW.
    """

    def __init__(
        self,
        matrices: Iterable[Any],
        others: Iterable[Any],
        lr: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        matrices, others = list(matrices), list(others)
        # Of a model that is frozen but for one kind, that kind alone is left.
        self.parts: tuple[Optimizer, ...] = (
            *([Muon(matrices, lr, weight_decay)] if matrices else []),
            *([AdamW(others, lr, betas, weight_decay=0.0, fused=True)] if others else []),
        )
        # The groups are those of the parts, so whoever changes a learning rate here changes it there.
        super().__init__([group for part in self.parts for group in part.param_groups], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes a step with each part."""
        loss = _evaluate(closure)
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of the parts, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the states of the parts."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def _evaluate(closure: Callable[[], Any] | None) -> Any:
    """What the closure of an optimizer's step returns, if there is one."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()
