"""Muon for matrices, AdamW for everything else, as one optimizer (Jordan et al., 2024)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer


class MuonWithAdamW(Optimizer):
    """Moves matrices by orthogonalised momentum and all other parameters by AdamW.

    Muon's steps are scaled to the size that those of AdamW have (Liu et al., 2025, arXiv:2502.16982), so that one
    learning rate serves both.

    Args:
        matrices: Two-dimensional parameters of hidden layers.
        others: Embeddings, output layers, biases, gains.
        lr: Learning rate of all.
        weight_decay: Decoupled weight decay of the matrices.
        betas: Of AdamW.
    """

    def __init__(
        self,
        matrices: Iterable[Parameter],
        others: Iterable[Parameter],
        lr: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        self.parts: tuple[Optimizer, ...] = (
            Muon(matrices, lr, weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
            AdamW(others, lr, betas, weight_decay=0.0, fused=True),
        )
        # The groups are those of the parts, so whoever changes a learning rate here changes it there.
        super().__init__([group for part in self.parts for group in part.param_groups], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes a step with each part."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
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
