"""graphql-transport-ws: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md

A message that is no message closes the socket with 4400 and the reason; a fault of one operation is an `error` of
that operation and leaves the others alone.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
from graphql import GraphQLError
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from graph.engine.execution import Answer, GraphQLRequest, RequestRefused
from runtime.identity import Credentials, Principal, Unauthenticated
from server.expiry import expired_error, wait_until
from server.graphql.body import Refused, parse_request
from server.graphql.desk import Desk
from server.graphql.origins import Origins
from server.graphql.wishes import wished

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
LONGEST_ID = 200

UNAUTHORIZED, FORBIDDEN, TRY_AGAIN_LATER, GOING_AWAY = 4401, 4403, 1013, 1001


class Closing(Exception):
    """The socket is to be closed with this code; `reason` is at most 123 bytes (RFC 6455)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason.encode()[:123].decode(errors="ignore")


class SocketEndpoint:
    """The endpoint; an ASGI application for scopes of type `websocket`."""

    def __init__(
        self, desk: Desk, *, origins: Origins, max_message_bytes: int, init_seconds: float = INIT_SECONDS
    ) -> None:
        self.desk, self.origins = desk, origins
        self.max_message_bytes, self.init_seconds = max_message_bytes, init_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        try:
            self.origins.check(socket)
        except Refused as fault:
            await socket.accept(PROTOCOL if PROTOCOL in scope.get("subprotocols", ()) else None)
            await socket.close(4403, fault.message[:120])
            return
        if PROTOCOL not in scope.get("subprotocols", ()):
            await socket.accept()
            await socket.close(4406, "Subprotocol not acceptable")
            return
        await socket.accept(PROTOCOL)
        await _Session(self, socket).serve()


class _Session:
    """One socket."""

    def __init__(self, endpoint: SocketEndpoint, socket: WebSocket) -> None:
        self._endpoint, self._socket = endpoint, socket
        self._principal: Principal | None = None
        self._initialised = False
        self._admitted = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Until either side closes; whatever runs then is cancelled."""
        ends = [asyncio.ensure_future(each) for each in (self._read(), self._watch(), self._halt())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in ends:
                if task.done():
                    task.result()
        except Closing as fault:
            await self._close(fault.code, fault.reason)
        except WebSocketDisconnect:
            pass
        finally:
            left = [*ends, *self._running.values()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _close(self, code: int, reason: str) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            try:
                await self._socket.close(code, reason)
            except (RuntimeError, WebSocketDisconnect):
                return  # the client was faster

    async def _watch(self) -> None:
        """Ends a socket that does not say who asks, or whose credentials end."""
        late = asyncio.ensure_future(self._endpoint.desk.clock.sleep(self._endpoint.init_seconds))
        admitted = asyncio.ensure_future(self._admitted.wait())
        try:
            await asyncio.wait({late, admitted}, return_when=asyncio.FIRST_COMPLETED)
            if not self._initialised:
                raise Closing(4408, "Connection initialisation timeout")
            await admitted
        finally:
            late.cancel()
            admitted.cancel()
        assert self._principal is not None
        if self._principal.expires_at is None:
            await asyncio.Event().wait()
        else:
            await wait_until(self._principal.expires_at, self._endpoint.desk.clock)
        for key, task in list(self._running.items()):
            task.cancel()
            await self._send({"type": "error", "id": key, "payload": [expired_error().formatted]})
        raise Closing(FORBIDDEN, "Forbidden: your credentials have expired")

    async def _halt(self) -> None:
        await self._endpoint.desk.stopping.wait()
        raise Closing(GOING_AWAY, "the server is being stopped; connect again in a moment")

    async def _read(self) -> None:
        while True:
            received = await self._socket.receive()
            if received["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(received.get("code", 1000))
            text = received.get("text")
            if text is None:
                raise Closing(4400, "Invalid message: send text, not bytes")
            if len(text) > self._endpoint.max_message_bytes:
                raise Closing(4400, "Invalid message: too long")
            if self._principal is not None:
                await self._endpoint.desk.callers.turn(self._principal)
            await self._message(_parsed(text))

    async def _message(self, message: dict[str, Any]) -> None:
        payload = message.get("payload")
        match message.get("type"):
            case "connection_init":
                await self._init(payload)
            case "ping":
                _object(payload, "ping")
                await self._send({"type": "pong", **({"payload": payload} if payload is not None else {})})
            case "pong":
                _object(payload, "pong")
            case "subscribe":
                await self._subscribe(_id(message), payload)
            case "complete":
                task = self._running.pop(_id(message), None)
                if task is not None:
                    task.cancel()
            case str() as other:
                raise Closing(4400, f"Invalid message: there is no type {other[:40]!r}")
            case _:
                raise Closing(4400, "Invalid message: `type` is missing")

    async def _init(self, payload: Any) -> None:
        if self._initialised:
            raise Closing(4429, "Too many initialisation requests")
        self._initialised = True
        _object(payload, "connection_init")
        try:
            self._principal = await self._endpoint.desk.guard.admit(credentials_in(payload or {}), "read")
        except Unauthenticated as fault:
            raise _not_admitted(fault) from None
        self._admitted.set()
        await self._send({"type": "connection_ack"})

    async def _subscribe(self, key: str, payload: Any) -> None:
        if self._principal is None:
            raise Closing(4401, "Unauthorized")
        if key in self._running:
            raise Closing(4409, f"Subscriber for {key} already exists")
        if not isinstance(payload, dict):
            raise Closing(4400, "Invalid message: `payload` of subscribe is not an object")
        if not isinstance(payload.get("query"), str | None):
            raise Closing(4400, "Invalid message: `query` is not a string")
        try:
            request = wished(parse_request(payload, "the payload"))
        except Refused as fault:
            raise Closing(4400, f"Invalid message: {fault.message}") from None
        limit = self._endpoint.desk.engine.limits.subscriptions_per_socket
        if len(self._running) >= limit:
            error = GraphQLError(
                f"the socket runs {limit} operations already; end some, or open another socket",
                extensions={"code": "SUBSCRIPTION_LIMIT", "limit": limit, "found": len(self._running) + 1},
            )
            await self._send({"type": "error", "id": key, "payload": [error.formatted]})
            return
        task = asyncio.ensure_future(self._operate(key, request, self._principal))
        self._running[key] = task
        task.add_done_callback(lambda done: self._done(key, done))

    def _done(self, key: str, task: asyncio.Task[None]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # a socket that closed under it

    async def _operate(self, key: str, request: GraphQLRequest, principal: Principal) -> None:
        desk = self._endpoint.desk
        context = desk.context(principal)
        try:
            with desk.callers.operation(principal):
                prepared, operation = await desk.prepare(request, context)
            with desk.open(principal, operation):
                await self._answer(key, desk.stream(request, prepared, operation, context))
        except RequestRefused as fault:
            await self._refuse(key, fault.errors)
        except Refused as fault:
            await self._refuse(key, [GraphQLError(fault.message, extensions={"code": fault.code})])

    async def _refuse(self, key: str, errors: list[GraphQLError]) -> None:
        self._running.pop(key, None)
        await self._send({"type": "error", "id": key, "payload": [error.formatted for error in errors]})

    async def _answer(self, key: str, answers: AsyncGenerator[Answer, None]) -> None:
        async with aclosing(answers) as items:
            async for answer in items:
                errors = answer.errors or []
                if not answer.executed and not any(error.path for error in errors):
                    await self._refuse(key, errors)
                    return
                # The failure of a field is told as graphql-ws's own server tells it: gateways lose the code of others
                await self._send({"type": "next", "id": key, "payload": answer.formatted()})
        # Free before it is said: the client may use the id again at once
        self._running.pop(key, None)
        await self._send({"type": "complete", "id": key})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(msgspec.json.encode(message).decode())


def credentials_in(params: Mapping[str, Any]) -> Credentials:
    """What the payload of `connection_init` says: `{ "Authorization": "Bearer …" }` or `{ "X-API-Key": "…" }`."""
    named = {str(name).lower(): value for name, value in params.items() if isinstance(value, str)}
    return Credentials(authorization=named.get("authorization"), api_key=named.get("x-api-key"))


def _not_admitted(fault: Unauthenticated) -> Closing:
    """1013 while the issuer of tokens cannot be asked: clients then try again."""
    match fault.code:
        case "unauthenticated":
            return Closing(UNAUTHORIZED, f"Unauthorized: {fault.message}")
        case "unavailable":
            return Closing(TRY_AGAIN_LATER, f"Try again later: {fault.message}")
        case _:
            return Closing(FORBIDDEN, f"Forbidden: {fault.message}")


def _parsed(text: str) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Closing(4400, "Invalid message: not JSON") from None
    if not isinstance(message, dict):
        raise Closing(4400, "Invalid message: not an object")
    return message


def _id(message: dict[str, Any]) -> str:
    key = message.get("id")
    if not isinstance(key, str) or not key:
        raise Closing(4400, "Invalid message: `id` is not a string")
    if len(key) > LONGEST_ID:
        raise Closing(4400, "Invalid message: `id` is too long")
    return key


def _object(payload: Any, name: str) -> None:
    if payload is not None and not isinstance(payload, dict):
        raise Closing(4400, f"Invalid message: `payload` of {name} is not an object")
