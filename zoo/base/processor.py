"""What the processor is quick in."""

import torch


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16, so that it may be quicker than float32."""
    return any(bool(getattr(torch.cpu, f"_is_{unit}_supported")()) for unit in ("avx512_bf16", "amx_tile"))
