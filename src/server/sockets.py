"""graphql-transport-ws: how a socket begins, what it may say, and how it ends.

Close codes are the protocol's (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md): 4400 for a message
that makes no sense, 4401 without credentials, 4403 for wrong or ended ones (so do the clients' recipes for tokens
expect it), 4408 for who does not say who they are in time; 1013, after which clients try again, while the issuer of
tokens cannot be asked.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import ConnectionInitMessage, Message

from resolvers.context import Context
from runtime.identity import Credentials, Principal, Unauthenticated
from server.expiry import expired_error, wait_until

if TYPE_CHECKING:
    from server.view import View

UNAUTHORIZED, FORBIDDEN, INIT_TIMEOUT, TRY_AGAIN_LATER = 4401, 4403, 4408, 1013
_REASON_BYTES = 123
"""What a close frame has room for (RFC 6455, 5.5)."""


class SocketRefused(Exception):
    """`connection_init` does not let the caller in."""

    def __init__(self, fault: Unauthenticated) -> None:
        super().__init__(fault.message)
        match fault.code:
            case "unauthenticated":
                self.code, word = UNAUTHORIZED, "Unauthorized"
            case "unavailable":
                self.code, word = TRY_AGAIN_LATER, "Try again later"
            case _:
                self.code, word = FORBIDDEN, "Forbidden"
        self.reason = f"{word}: {fault.message}"


def credentials_in(params: Mapping[str, Any]) -> Credentials:
    """What the payload of `connection_init` says: `{ "Authorization": "Bearer …" }` or `{ "X-API-Key": "…" }`."""
    named = {str(name).lower(): value for name, value in params.items() if isinstance(value, str)}
    return Credentials(authorization=named.get("authorization"), api_key=named.get("x-api-key"))


class SocketContext(Context):
    """The context of a socket before `connection_init` has said who asks."""

    def __init__(self) -> None:
        self.connection_params: dict[str, Any] | None = None


class Socket(ASGIWebSocketAdapter):
    """Closes once; who sends afterwards is told that nobody is there."""

    closed = False

    async def send_json(self, message: Mapping[str, object]) -> None:
        if self.closed:
            raise WebSocketDisconnected
        await super().send_json(message)

    async def close(self, code: int, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        fitting = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the client was quicker
            await super().close(code, fitting)


def malformed(message: object) -> str | None:
    """Why a message makes no sense; null for one that does."""
    if not isinstance(message, dict):
        return "a message must be a JSON object"
    kind, id_, payload = message.get("type"), message.get("id"), message.get("payload")
    if not isinstance(kind, str):
        return "a message needs a `type`"
    if kind in ("subscribe", "complete") and not (isinstance(id_, str) and id_):
        return f"`{kind}` needs an `id`, a text that is not empty"
    if kind == "subscribe":
        if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
            return "`subscribe` needs a `payload` with a `query`"
        for name, type_ in (("variables", dict), ("operationName", str), ("extensions", dict)):
            if not isinstance(payload.get(name), type_ | None):
                return f"`{name}` of `subscribe` is of the wrong type"
    elif kind != "complete" and not isinstance(payload, dict | None):
        return f"the `payload` of `{kind}` must be an object"
    return None


class Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """One socket, as long as it is open."""

    _expiry: asyncio.Task[None] | None = None

    @property
    def _view(self) -> "View":
        return cast("View", self.view)

    async def handle_message(self, message: Message) -> None:
        wrong = malformed(message)
        if wrong is not None:
            await self.handle_invalid_message(wrong)
            return
        if message.get("payload", {}) is None:
            message = cast(Message, {name: value for name, value in message.items() if name != "payload"})
        await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        try:
            await super().handle_connection_init(message)
        except SocketRefused as refused:
            await self.websocket.close(refused.code, refused.reason)
            return
        expires_at = cast(Principal, self.context.principal).expires_at if self.connection_acknowledged else None
        if expires_at is not None and self._expiry is None:
            self._expiry = asyncio.create_task(self._end_at(expires_at))
            self._expiry.add_done_callback(self._task_done)

    async def handle_connection_init_timeout(self) -> None:
        await self._view.clock.sleep(self.connection_init_wait_timeout.total_seconds())
        self.connection_timed_out = True
        await self.websocket.close(INIT_TIMEOUT, "Connection initialisation timeout")

    async def _end_at(self, moment: datetime) -> None:
        """The credentials end: so do the operations, each with an error, and the socket."""
        await wait_until(moment, self._view.clock)
        for operation in list(self.operations.values()):
            if operation.task is not None:
                operation.task.cancel()
            with contextlib.suppress(WebSocketDisconnected):
                await operation.send_initial_errors([expired_error()])
        await self.websocket.close(FORBIDDEN, "Forbidden: your credentials have expired")

    async def shutdown(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            await asyncio.gather(self._expiry, return_exceptions=True)
        await super().shutdown()

    async def handle_task_exception(self, error: Exception) -> None:
        """A client that vanished is nothing to tell of."""
        if not isinstance(error, WebSocketDisconnected):
            self._view.log.error("socket.crashed", exc_info=error)

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        """Null: a document that cannot be read fails its own operation, not all others of the socket."""
        del error
        return None
