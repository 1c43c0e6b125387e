"""A Modbus TCP gateway with the world's presses behind it: unit 1 is `press-1`, unit 2 is `press-2`.

Written from the specification (Application Protocol V1.1b3, Messaging on TCP/IP V1.0b). Functions 1 to 4 read; all
others answer exception 1. The map of a press is in `memory.py`; what it does not name answers exception 2.
"""

from typing import Any

from sandbox.modbus.gateway import Gateway
from sandbox.world import World

__all__ = ["Gateway", "create"]


def create(world: World, *, host: str = "127.0.0.1", port: int = 0, **_options: Any) -> Gateway:
    """`port` 0 takes a free one."""
    return Gateway(world, host, port)
