"""Traccar 6.14 with the world's vehicles: REST below `/api`, and the socket `/api/socket`.

Written from the server's source and its OpenAPI definition at 6.14.5. One account, which sees all vehicles: by
session or HTTP Basic with `EMAIL` and `PASSWORD`, by bearer with `TOKEN`. `TOTP_EMAIL` wants a one-time code.

Not offered: writes, commands, groups, drivers, maintenance, the reports but route and events, and forwarding.
"""

from typing import Any

from sandbox.traccar.rest import EMAIL, PASSWORD, TOKEN, TOTP_EMAIL, VERSION, Traccar
from sandbox.world import World

__all__ = ["EMAIL", "PASSWORD", "TOKEN", "TOTP_EMAIL", "VERSION", "Traccar", "create"]


def create(world: World, *, keepalive_s: float = 55.0, **_options: Any) -> Traccar:
    """`keepalive_s`: seconds of the world's clock between two `{}` on the socket."""
    return Traccar(world, keepalive_s=keepalive_s)
