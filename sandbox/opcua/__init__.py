"""An OPC UA server with the world's assembly stations, modelled after OPC 40001-1 (Machinery).

The server itself is asyncua's; the address space is built here from the specification: `Machines`, identification that
is reachable by two paths, state machines (one with `Number`, one with `Id` only), readings with engineering units, a
component that refers back to its machine. Every start registers the namespaces in another order, so that their
indices differ.

The endpoint speaks `None`, Basic256Sha256 (Sign, SignAndEncrypt) and the Aes policies (SignAndEncrypt), for anonymous
clients and for the user `sandbox` with the password `sandbox-opcua`. Certificates lie below the state directory.
"""

from pathlib import Path
from typing import Any

from sandbox.opcua.line import PASSWORD, USER, Line
from sandbox.world import World

__all__ = ["PASSWORD", "USER", "Line", "create"]


def create(
    world: World,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    state_dir: Path | None = None,
    **_options: Any,
) -> Line:
    """`port` 0 takes a free one. Without a `state_dir` there is no encryption."""
    return Line(world, host, port, state_dir)
