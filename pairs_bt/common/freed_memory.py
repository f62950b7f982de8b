"""What becomes of the memory of freed arrays: kept while tasks come, given back before the report.

The one module that calls the C library: two of its functions take a number each, and neither reads data.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache

import numpy as np
import pyarrow as pa

# M_ARENA_MAX of malloc.h
_ARENAS = -8


@cache
def keep_freed_arrays() -> None:
    """Let this process keep the memory of freed arrays, which halves the time of a trade task, in one place for all.

    The C library of Linux hands freed arrays back to the system and fetches them again page by page, unless a larger
    one was freed before. This one is never touched, so never fetched. Where each thread kept its own, two threads
    would need half as much again.
    """
    np.empty(2_000_000)
    with suppress(AttributeError, OSError, TypeError):  # only the C library of Linux has it
        ctypes.CDLL(None).mallopt(_ARENAS, 1)


def give_back_freed_arrays() -> None:
    """Hand the memory of freed arrays back to the system, once no more tasks come: the report needs other sizes."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    pa.default_memory_pool().release_unused()
