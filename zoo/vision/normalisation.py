"""Brings raw inputs into the range that a network was trained on."""

import torch
from torch import Tensor


def normalise(inputs: Tensor, mean: Tensor, std: Tensor, channels_last: bool = False) -> Tensor:
    """Brings raw inputs to zero mean and unit variance in the precision of ``mean`` and ``std``.

    Args:
        inputs: uint8 images ``(N, C, H, W)``, scaled to 0..1 first, or float features ``(N, F)``, taken as they are.
        mean: Mean of each channel or feature, or one for all.
        std: Standard deviation, likewise.
        channels_last: Also change the memory format of images.
    """
    shape = (-1,) + (1,) * (inputs.ndim - 2)
    unit = 255 if inputs.dtype == torch.uint8 else 1
    values, shift, scale = inputs.to(std.dtype), (-mean / std).view(shape), (1.0 / (unit * std)).view(shape)
    if values.device.type == "cpu" and values.is_contiguous():
        # There the kernel takes half as long where no more than one operand has to be spread over the others.
        normalised = torch.empty_like(values).copy_(shift).addcmul_(values, scale)
    else:
        normalised = torch.addcmul(shift, values, scale)
    return normalised.to(memory_format=torch.channels_last) if channels_last else normalised
