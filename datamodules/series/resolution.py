"""How many bits the values of a series need, so that what changes from point to point is not rounded away."""

import torch
from torch import Tensor

# Of a typical step, rounding may change so much.
_LOSS = 0.01


def in_few_bits(values: Tensor) -> Tensor:
    """The values as float32, or as float64 where float32 would round what changes from point to point.

    A counter near a thousand million that grows by forty a step has its steps rounded to multiples of 64 in float32.

    Args:
        values: ``(..., T, C)``; single precision, or half, tells no more than it holds.
    """
    single = values.float()
    if values.dtype != torch.float64 or torch.equal(single.double(), values):
        return single
    steps = values.diff(dim=-2).abs()
    typical = torch.where(steps > 0, steps, torch.nan).nanmedian(-2).values
    rounded = (single - values).abs().nan_to_num(0.0).amax(-2)
    return values if (rounded > _LOSS * typical).any() else single
