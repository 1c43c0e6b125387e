"""The `/graphql` endpoint: who asks, how much, and in which context."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http.streaming import HTTPStreamTransport
from strawberry.types import SubscriptionExecutionResult

from graph.schema import Schema
from resolvers.context import Context, Live
from resolvers.loaders import Loaders
from resolvers.sources import Sources
from runtime.clock import Clock
from runtime.identity import Principal, Unauthenticated
from runtime.telemetry import Log
from server.answers import refusal, unauthenticated
from server.expiry import while_valid
from server.guard import Guard, credentials_of
from server.sockets import Handler, Socket, SocketContext, SocketRefused, credentials_in
from server.streams import LineFeedSse

_PRINCIPAL, _STREAMS = "crossdock.principal", "crossdock.streams"


class BodyTooLarge(Exception):
    """The body is longer than the server takes."""


class View(GraphQL[Context, None]):
    """Strawberry's view with our principal, contexts and limits."""

    stream_transport_classes_by_protocol: Mapping[str, type[HTTPStreamTransport]] = {"graphql-sse": LineFeedSse}
    websocket_adapter_class = Socket
    graphql_transport_ws_handler_class = Handler

    def __init__(
        self,
        schema: Schema,
        *,
        guard: Guard,
        organisations: dict[str, Sources],
        live: dict[str, Live],
        cursor_key: bytes,
        max_body_bytes: int,
        connection_init_seconds: float,
        clock: Clock,
        log: Log,
    ) -> None:
        super().__init__(schema, graphql_ide=None, keep_alive=True, keep_alive_interval=20,
                         connection_init_wait_timeout=timedelta(seconds=connection_init_seconds),
                         subscription_protocols=("graphql-transport-ws", "graphql-sse"))  # fmt: skip
        self.clock, self.log = clock, log
        self._guard, self._organisations, self._live = guard, organisations, live
        self._cursor_key, self._max_body_bytes = cursor_key, max_body_bytes
        self._running: dict[asyncio.Timeout, bool] = {}
        """The requests that are being answered; true for streams."""
        self._ends_at: float | None = None

    def stop(self, grace: float) -> None:
        """The server is to end: streams end now, other requests after `grace` seconds."""
        now = asyncio.get_running_loop().time()
        self._ends_at = now + grace
        for patience, streaming in self._running.items():
            patience.reschedule(now if streaming else self._ends_at)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        begun = streaming = False

        async def tell(message: Message) -> None:
            nonlocal begun, streaming
            if message["type"] == "http.response.start":
                begun = True
                streaming = (b"content-type", b"text/event-stream") in message["headers"]
                self._running[patience] = streaming
                if streaming and self._ends_at is not None:
                    patience.reschedule(asyncio.get_running_loop().time())
            await send(message)

        patience = asyncio.timeout_at(self._ends_at)
        try:
            async with patience:
                self._running[patience] = False
                try:
                    await self._answer(scope, receive, tell)
                finally:
                    del self._running[patience]
        except TimeoutError:
            if not patience.expired():
                raise
            if streaming:  # no `complete`: the client is to come back
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif not begun:
                text = "the server is being stopped; ask again in a moment"
                await refusal(503, "SERVER_STOPPING", text, {"Retry-After": "2"})(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        streams: list[AsyncGenerator[Any, None]] = []
        scope[_STREAMS] = streams
        try:
            scope[_PRINCIPAL] = await self._guard.admit(credentials_of(request), "read")
            await super().__call__(scope, self._bounded(scope, receive), send)
        except Unauthenticated as fault:
            await unauthenticated(fault)(scope, receive, send)
        except BodyTooLarge:
            text = f"the body is longer than {self._max_body_bytes} bytes; send a smaller document or variables"
            await refusal(413, "PAYLOAD_TOO_LARGE", text)(scope, receive, send)
        finally:
            # a client that went away leaves them half read: what they hold would be let go by the garbage collector
            for stream in reversed(streams):
                await stream.aclose()

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            raise BodyTooLarge
        size = 0

        async def read() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max_body_bytes:
                raise BodyTooLarge
            return message

        return read

    async def execute_operation(self, request: Request, *args: Any, **more: Any) -> Any:
        """A stream lasts no longer than the credentials of who asked for it."""
        result = await super().execute_operation(request, *args, **more)
        if isinstance(result, SubscriptionExecutionResult):
            stream = cast("AsyncGenerator[Any, None]", result)
            expires_at = cast(Principal, request.scope[_PRINCIPAL]).expires_at
            if expires_at is not None:
                stream = while_valid(stream, expires_at, self.clock)
            request.scope[_STREAMS].append(stream)
            return stream
        return result

    async def create_streaming_response(
        self,
        request: Request | WebSocket,
        stream: Callable[[], AsyncIterator[str]],
        sub_response: Response,
        headers: Mapping[str, str],
    ) -> Response:
        body = cast("AsyncGenerator[str, None]", stream())
        request.scope[_STREAMS].append(body)
        return await super().create_streaming_response(request, lambda: body, sub_response, headers)

    def _context(self, principal: Principal) -> Context:
        return Context(
            principal=principal,
            sources=self._organisations[principal.organisation],
            live=self._live[principal.organisation],
            cursor_key=self._cursor_key,
            make_loaders=Loaders,
        )

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        del response  # headers of our answers are not the resolvers' business
        if isinstance(request, WebSocket):
            return SocketContext()
        return self._context(request.scope[_PRINCIPAL])

    async def on_ws_connect(self, context: Context) -> Any:
        """Raises `SocketRefused`."""
        given = getattr(context, "connection_params", None) or {}
        try:
            principal = await self._guard.admit(credentials_in(given), "read")
        except Unauthenticated as fault:
            raise SocketRefused(fault) from None
        context.__dict__.update(self._context(principal).__dict__)
        return await super().on_ws_connect(context)

    def decode_json(self, data: str | bytes) -> object:
        """What Python's parser fails on in its own ways (depth, digits, bytes that are no UTF-8) is no JSON either."""
        try:
            return json.loads(data)
        except json.JSONDecodeError:
            raise
        except (RecursionError, ValueError):
            raise json.JSONDecodeError("not JSON that can be read", "", 0) from None

    def encode_json(self, data: object) -> str:
        return msgspec.json.encode(data).decode()  # text: graphql-transport-ws takes no binary messages
