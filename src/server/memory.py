"""Memory that a peak has taken is given back once the peak is over.

What ends in a flood (sockets, operations, their loaders) hangs together in circles, which only the collector frees, and
the collector comes by when enough new has been made: long after a flood, when nobody asks for anything. The C library
keeps what is freed, unless it is asked.
"""

import asyncio
import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path

LOOK_SECONDS = 30.0
"""Not more often: after a flood it holds up everybody for a moment."""
GROWN = 1.05
"""Over what was resident after the last time, from which on it is collected."""
_STATM = Path("/proc/self/statm")
_PAGE = 4_096


def resident() -> int | None:
    """Bytes of the process in memory; null where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None


def give_back() -> None:
    """Frees what hangs together in circles, and returns what is free to the system. After a flood
    it takes some hundred milliseconds, else some ten."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)


async def tidy(look: Callable[[], int | None] = resident, tidy_up: Callable[[], None] = give_back) -> None:
    """Gives back whenever the process has grown since the last time; ends where its size cannot be told."""
    kept = look()
    while kept is not None:
        await asyncio.sleep(LOOK_SECONDS)
        now = look()
        if now is None:
            return
        if now > kept * GROWN:
            tidy_up()
            kept = look()
        else:
            kept = min(kept, now)
