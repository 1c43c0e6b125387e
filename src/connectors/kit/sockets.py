"""A vendor's WebSocket that stays: watchdog, reconnect with growing pauses, told once when it goes and comes."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection

from connectors.kit import redaction
from connectors.kit.errors import AuthFailed, VendorDown
from connectors.kit.integration import Integration
from connectors.kit.services import Services


class Opened(msgspec.Struct, frozen=True):
    """The socket is open: `again` is true after a break, when the connector must fill the gap."""

    again: bool


class Target(msgspec.Struct, frozen=True):
    """Where to connect; asked for anew at every attempt, since tokens in it expire."""

    url: str
    headers: Mapping[str, str] = {}
    tls: ssl.SSLContext | None = None


Greet = Callable[[ClientConnection], Awaitable[None]]


async def listen(
    target: Callable[[], Awaitable[Target]],
    *,
    integration: Integration,
    services: Services,
    silence_seconds: float,
    greet: Greet | None = None,
    longest_pause: float = 60.0,
    max_size: int = 4 << 20,
) -> AsyncIterator[Opened | str | bytes]:
    """The socket's messages, for ever, with an `Opened` before those of each connection.

    `silence_seconds` without a message means that the connection is dead. A refused handshake with status 401
    or 403 asks `target` for fresh credentials; the third such refusal in a row raises `AuthFailed`.
    """
    again, failures, refusals = False, 0, 0
    while True:
        try:
            goal = await target()
            async with websockets.connect(
                goal.url,
                additional_headers=dict(goal.headers),
                ssl=goal.tls,
                open_timeout=integration.deadline_seconds,
                close_timeout=2,
                max_size=max_size,
                max_queue=64,
                compression=None,
                user_agent_header="crossdock",
                proxy=None,
            ) as socket:
                if greet is not None:
                    await greet(socket)
                if failures:
                    services.log.info("vendor.socket_open", integration=integration.key)
                failures = refusals = 0
                yield Opened(again)
                again = True
                while True:
                    async with asyncio.timeout(silence_seconds):
                        message = await socket.recv()
                    yield message
        except websockets.InvalidStatus as error:
            status = error.response.status_code
            refusals = refusals + 1 if status in (401, 403) else 0
            if refusals >= 3:
                raise AuthFailed(
                    f"{integration.key}: the vendor's socket refuses the credentials (HTTP {status})",
                    integration=integration.key,
                    status=status,
                ) from None
            reason = f"HTTP {status}"
        except TimeoutError:
            reason = f"silent for {silence_seconds:g} s"
        except (websockets.WebSocketException, OSError, VendorDown) as error:
            reason = redaction.text(f"{type(error).__name__}")
        failures += 1
        if failures == 1:
            services.log.warning("vendor.socket_lost", integration=integration.key, reason=reason)
        pause = min(longest_pause, 0.5 * 2 ** min(failures - 1, 10)) * (0.75 + random.random() / 2)
        await services.clock.sleep(pause)
