"""`/graphql`: one ASGI application over all transports."""

import asyncio

from starlette.types import Receive, Scope, Send

from server.graphql.desk import Desk
from server.graphql.http import HttpEndpoint
from server.graphql.origins import Origins
from server.graphql.socket import SocketEndpoint


class GraphQLEndpoint:
    """The endpoint: HTTP requests and WebSockets."""

    def __init__(self, desk: Desk, *, origins: Origins, max_body_bytes: int, connection_init_seconds: float) -> None:
        self.desk = desk
        self._http = HttpEndpoint(desk, origins=origins, max_body_bytes=max_body_bytes)
        self._sockets = SocketEndpoint(
            desk, origins=origins, max_message_bytes=max_body_bytes, init_seconds=connection_init_seconds
        )
        self._ends_at: float | None = None
        self._running: set[asyncio.Timeout] = set()

    def stop(self, grace: float) -> None:
        """The server is to end: streams and sockets end now, other requests after `grace` seconds."""
        self.desk.stopping.set()
        self._ends_at = asyncio.get_running_loop().time() + grace
        for patience in self._running:
            patience.reschedule(self._ends_at)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        patience = asyncio.timeout_at(self._ends_at)
        try:
            async with patience:
                self._running.add(patience)
                try:
                    await self._http(scope, receive, send)
                finally:
                    self._running.discard(patience)
        except TimeoutError:
            if not patience.expired():
                raise
            await self._http.stopped(scope, receive, send)
