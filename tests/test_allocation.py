"""A command keeps the memory that it frees: large tensors, made again and again, do not come from the system anew."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from zoo.allocation import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def make():
    for _ in range(20):
        torch.ones(25_000_000)
make()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
make()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept: str, **variables: str) -> int:
    """How often the system had to give a page while 20 tensors of 100 MB were made."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")} | variables
    command = [sys.executable, "-c", FAULTS, kept]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="what the GNU C library does")
def test_freed_memory_is_kept() -> None:
    anew = faults("as ever")
    assert faults("kept") < anew / 10
    # What somebody has chosen is left alone.
    assert faults("kept", MALLOC_TOP_PAD_="0") > anew / 2
