"""How the C library hands out memory, on which the speed of networks on CPUs depends. Imports next to nothing."""

import ctypes
import os
import sys

# Parameters of mallopt, from malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
# Of the memory that is free at the end of the heap so many bytes stay; the largest number that is taken.
_KEPT = 2**31 - 1


def keep_freed_memory() -> None:
    """Lets this process keep memory that it frees for what it will need next, up to two gigabytes.

    Otherwise the GNU C library asks the system for every large tensor anew, and the system clears it page by page,
    which can take longer than what is computed. Other systems' libraries, and who has set one of the library's own
    variables (``MALLOC_...``, ``GLIBC_TUNABLES``), are left alone.
    """
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _KEPT)
