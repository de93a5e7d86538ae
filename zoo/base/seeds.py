"""Where random numbers come from that a user may want again."""

import torch

from zoo.errors import ZooError


def seeded(seed: int | None) -> torch.Generator:
    """A source of random numbers, another one every time if there is no seed.

    Raises:
        ZooError: The seed is too large.
    """
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    elif not -(2**63) <= seed < 2**63:
        raise ZooError(f"seed {seed} is too large, expected one of at most 18 digits")
    else:
        generator.manual_seed(seed)
    return generator
