"""Memory of freed tensors, kept for the next ones."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of <malloc.h>


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed, instead of giving it back to the system.

    A step of training frees tensors of many megabytes and then asks for the like again. By default each of these gets
    fresh pages from the system, which are cleared one by one when they are first written to. On other C libraries this
    does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
