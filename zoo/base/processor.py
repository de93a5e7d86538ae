"""Where models compute: which devices there are, and what each is quick in or lacks."""

import torch
from torch import Tensor

from zoo.errors import ZooError

Device = str | torch.device

# Types of devices that do not compute in double precision: Apple's.
WITHOUT_FLOAT64 = {"mps"}


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16, so that it may be quicker than float32."""
    return any(bool(getattr(torch.cpu, f"_is_{unit}_supported")()) for unit in ("avx512_bf16", "amx_tile"))


def devices() -> list[str]:
    """The devices of this machine by name: ``cpu``, then each of its accelerators, such as ``cuda:0``."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return ["cpu"]
    if accelerator.type == "mps":  # which cannot be told apart, being one
        return ["cpu", "mps"]
    return ["cpu", *(f"{accelerator.type}:{index}" for index in range(torch.accelerator.device_count()))]


def find_device(name: Device) -> torch.device:
    """The device that is meant.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or any other that torch knows; ``auto`` for the first accelerator,
            and the CPU where there is none, as Lightning's trainer takes them.

    Raises:
        ZooError: It is not there.
    """
    there = devices()
    if name == "auto":
        return torch.device(there[1] if len(there) > 1 else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _absent(name, there) from error
    places = map(torch.device, there)
    if not any(device.type == place.type and device.index in (None, place.index or 0) for place in places):
        raise _absent(name, there)
    return device


def _absent(name: Device, there: list[str]) -> ZooError:
    return ZooError(f"no device {str(name)!r}; this machine has {', '.join(there)}")


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in double precision."""
    return device.type not in WITHOUT_FLOAT64


def in_float64(tensor: Tensor) -> Tensor:
    """A tensor in double precision, on the CPU where its own device has none."""
    return (tensor if has_float64(tensor.device) else tensor.cpu()).double()
