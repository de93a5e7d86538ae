"""What public methods are given: tensors, arrays of NumPy, lists of numbers; anything else is told in one line."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.frames import is_frame, numbers
from zoo.errors import ZooError


def to_tensor(inputs: Any) -> Tensor | None:
    """Numbers as a tensor, wherever they lie, without a copy where that can be; None of what holds anything else.

    Args:
        inputs: A tensor, a list of tensors of one shape, a frame or a series of pandas, or whatever NumPy makes an
            array of numbers of.

    Raises:
        DataError: A column of a frame holds something else.
    """
    if isinstance(inputs, Tensor):
        return inputs
    if is_frame(inputs):
        inputs = numbers(inputs)
    if isinstance(inputs, list | tuple) and inputs and all(isinstance(one, Tensor) for one in inputs):
        return torch.stack(list(inputs)) if len({one.shape for one in inputs}) == 1 else None
    try:
        array = np.asarray(inputs)
        if array.dtype.kind not in "biuf":
            return None
        # torch wants the bytes in the machine's order, ascending in memory and not read-only.
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        return torch.from_numpy(np.require(native, requirements=["C", "W"]))
    except (TypeError, ValueError, OverflowError):  # ragged lists, numbers wider than torch's
        return None


def inputs_of(batch: Any) -> Any:
    """The inputs of a batch ``(inputs, targets, ...)``, as loaders give it; one that is nothing else is given back."""
    if isinstance(batch, list | tuple) and batch and isinstance(batch[0], Tensor | np.ndarray | list | tuple):
        return batch[0]
    return batch


def told(inputs: Any) -> str:
    """What was given, in words: type of numbers and shape, or its kind."""
    if isinstance(inputs, Tensor | np.ndarray):
        return f"{str(inputs.dtype).removeprefix('torch.')} {tuple(inputs.shape)}"
    if isinstance(inputs, list | tuple):
        kinds = sorted({type(one).__name__ for one in inputs})
        return f"a {type(inputs).__name__} of {len(inputs)} {' and '.join(kinds)}" if kinds else "nothing"
    if inputs is None:
        return "None"
    kind = type(inputs).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"


def check_finite(values: Tensor) -> None:
    """Refuses numbers that are NaN or infinite.

    Raises:
        ZooError: One is.
    """
    finite = values.isfinite() if values.is_floating_point() else None
    if finite is not None and not finite.all():
        place = tuple((~finite).nonzero()[0].tolist())
        row = f"row {place[0]}" + (f", column {place[1]}," if len(place) == 2 else "")
        raise ZooError(
            f"{row} is {float(values[place])}, expected finite numbers; fill in or leave out what is missing"
        )


def check_ids(ids: Tensor, count: int, kind: str) -> None:
    """Refuses ids beyond those that there are.

    Those that lie on an accelerator are not looked at, which would have to wait for it.

    Args:
        ids: Whole numbers.
        count: How many there are.
        kind: What messages call one.

    Raises:
        ZooError: One is negative or too large.
    """
    if ids.device.type != "cpu" or not ids.numel() or torch.compiler.is_compiling():
        return
    low, high = ids.long().aminmax()  # unsigned ones cannot be searched
    if low < 0 or high >= count:
        wrong = int(low) if low < 0 else int(high)
        raise ZooError(f"{kind} {wrong} is none of the {count:,} that there are, 0 to {count - 1:,}")
