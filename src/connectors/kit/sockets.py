"""A vendor's WebSocket that stays: watchdog, reconnect with growing pauses."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection

from connectors.kit.errors import AuthFailed, VendorDown
from connectors.kit.integration import Integration
from connectors.kit.reconnect import LONGEST_PAUSE, Reconnect
from connectors.kit.resilience import Breaker
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


class _Connect(websockets.connect):
    """Follows no redirect: credentials would go along."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def listen(
    target: Callable[[], Awaitable[Target]],
    *,
    integration: Integration,
    services: Services,
    silence_seconds: float,
    greet: Greet | None = None,
    way: Breaker | None = None,
    ask: Callable[[], Awaitable[object]] | None = None,
    facts: Mapping[str, object] | None = None,
    longest_pause: float = LONGEST_PAUSE,
    max_size: int = 4 << 20,
) -> AsyncIterator[Opened | str | bytes]:
    """The socket's messages, for ever, with an `Opened` before those of each connection.

    `silence_seconds` without a message means that the connection is dead. A refused handshake with status 401
    or 403 asks `target` for fresh credentials; the third such refusal in a row raises `AuthFailed`. For `way`, `ask`
    and `facts` see `Reconnect`.
    """
    key = integration.key
    again, refusals = False, 0
    reconnect = Reconnect(
        integration=integration, services=services, way=way, ask=ask, facts=facts, longest_pause=longest_pause
    )
    while True:
        opened = refused = False
        try:
            goal = await target()
            async with _Connect(
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
                    async with asyncio.timeout(integration.deadline_seconds):
                        await greet(socket)
                reconnect.opened()
                opened, refusals = True, 0
                yield Opened(again)
                again = True
                while True:
                    async with asyncio.timeout(silence_seconds):
                        message = await socket.recv()
                    yield message
        except websockets.InvalidStatus as error:
            status = error.response.status_code
            refused = status in (401, 403)
            refusals = refusals + 1 if refused else 0
            if refusals >= 3:
                raise AuthFailed(
                    f"{key}: the vendor's socket refuses the credentials (HTTP {status})",
                    integration=key,
                    status=status,
                ) from None
            reason = f"HTTP {status}"
        except websockets.ConnectionClosed as error:
            reason = f"closed with code {error.rcvd.code}" if error.rcvd else "the connection broke off"
        except TimeoutError:
            reason = (
                f"silent for {silence_seconds:g} s" if opened else f"not open within {integration.deadline_seconds:g} s"
            )
        except (websockets.WebSocketException, OSError, VendorDown) as error:
            reason = type(error).__name__  # its text may hold the address, and a token in it
        await reconnect.broke(reason, refused=refused)
