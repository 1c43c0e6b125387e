"""What every stand-in is made on: its faults, the layer that applies them, and the shape the runner expects."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONNECTION: Final = "sandbox.connection"
"""ASGI extension of our server: `close` (after what was written is sent) and `abort` of the connection."""

RECENT: Final = 200
"""Requests remembered per stand-in."""
BODY_KEPT: Final = 4096
"""Bytes of each request's body remembered."""
COUNTERS: Final = 500
"""Kinds of calls counted apart; further ones are counted together."""
DELAY_MAX_MS: Final = 60_000
CUT_MAX: Final = 16 * 1024 * 1024
"""Longest answer that is collected to be cut in half, bytes."""

_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "x-api-key", "apikey", "missionauthorization"})


class Dropped(httpx.RemoteProtocolError):
    """The connection went away. Reached through `httpx.ASGITransport` it is what a real client would raise."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What happens to one request instead of, or to, the answer.

    With a `status` it is answered without asking the stand-in; without one the stand-in's own answer is
    delayed or cut. `body` may be bytes, text or anything that JSON can hold.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = b""
    delay_s: float = 0.0
    half_body: bool = False
    """Content-Length tells the whole body, but the connection closes after half of it."""
    drop: bool = False
    """The connection is closed without a word."""
    method: str | None = None
    """Only requests with this method, in upper case."""
    path: str | None = None
    """Only requests whose path (without the stand-in's prefix) contains this."""

    def fits(self, method: str, path: str) -> bool:
        return self.method in (None, method) and (self.path is None or self.path in path)

    def response(self) -> Response:
        assert self.status is not None
        body, media_type = self.body, None
        if isinstance(body, str):
            media_type = "text/plain"
        elif not isinstance(body, bytes):
            body, media_type = json.dumps(body), "application/json"
        return Response(body, self.status, dict(self.headers), media_type)


@dataclass(slots=True)
class Seen:
    """One request as it came; `status` is None until it is answered and stays so when it is dropped."""

    at: datetime
    method: str
    path: str
    """Without the stand-in's prefix."""
    query: str
    template: str
    headers: Mapping[str, str]
    """Lower-case names; what carries secrets is shown as `***`."""
    body: bytes = b""
    """Its beginning, as far as the stand-in read it."""
    status: int | None = None


class Faults:
    """What is wrong with one stand-in at the moment, and what it was asked so far.

    `fail_next` is worked off from the front, each entry by the first request it fits; a Starlette response is
    sent as it is. Everything is bounded but `fail_next`, which belongs to the test that fills it.
    """

    def __init__(
        self,
        *,
        request_id_header: str = "X-Request-Id",
        down_body: object = "Service Unavailable",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.request_id_header = request_id_header
        self.down_body = down_body
        self.sleep = sleep
        self.clock = clock
        self.fail_next: list[Failure | Response] = []
        self.delay_ms = 0
        self.half_body = 0
        """How many of the next answers are cut in half."""
        self.calls: Counter[tuple[str, str]] = Counter()
        """(method, path template) → requests, answered or not."""
        self.recent: deque[Seen] = deque(maxlen=RECENT)
        self._down = False
        self._requests = 0
        self._sockets: set[asyncio.Event] = set()
        self._when_sessions_expire: list[Callable[[], None]] = []
        self._when_sockets_close: list[Callable[[], None]] = []
        self._when_reset: list[Callable[[], None]] = []

    @property
    def down(self) -> bool:
        """While true every request is answered with 503; open sockets and streams end when it becomes true."""
        return self._down

    @down.setter
    def down(self, value: bool) -> None:
        if value and not self._down:
            self.close_sockets()
        self._down = value

    def when_sessions_expire(self, callback: Callable[[], None]) -> None:
        """For stand-ins that log clients in: forget all sessions and tokens."""
        self._when_sessions_expire.append(callback)

    def when_sockets_close(self, callback: Callable[[], None]) -> None:
        """For stand-ins with listeners of their own: end the open streams. WebSockets need nothing."""
        self._when_sockets_close.append(callback)

    def when_reset(self, callback: Callable[[], None]) -> None:
        """For stand-ins that keep what clients wrote: forget it."""
        self._when_reset.append(callback)

    def expire_sessions(self) -> None:
        for callback in self._when_sessions_expire:
            callback()

    def close_sockets(self) -> None:
        for ended in self._sockets:
            ended.set()
        for callback in self._when_sockets_close:
            callback()

    def reset(self) -> None:
        """Well again, nothing planned, nothing counted, nothing remembered."""
        self.down = False
        self.delay_ms = 0
        self.half_body = 0
        self.fail_next.clear()
        self.calls.clear()
        self.recent.clear()
        for callback in self._when_reset:
            callback()

    def total_calls(self) -> int:
        return self.calls.total()

    def note(self, seen: Seen) -> None:
        """Counts a request. Called by the layer; listeners of their own may call it too."""
        self._requests += 1
        self.recent.append(seen)
        key = (seen.method, seen.template)
        if key not in self.calls and len(self.calls) >= COUNTERS:
            key = ("*", "(others)")
        self.calls[key] += 1

    def take(self, method: str, path: str) -> Failure | Response | None:
        """The first planned failure that fits, which is then spent."""
        for index, planned in enumerate(self.fail_next):
            if isinstance(planned, Response) or planned.fits(method, path):
                return self.fail_next.pop(index)
        if self.half_body > 0:
            self.half_body -= 1
            return Failure(half_body=True)
        return None

    def down_failure(self) -> Failure:
        return Failure(503, {self.request_id_header: f"sandbox-{self._requests:06d}"}, self.down_body)


Template = Callable[[str, str], str | None]
"""Method and path (without prefix) → the template it is counted under, or None to look at the routes."""


class FaultLayer:
    """Pure ASGI: counts each request, then lets the faults have it before the stand-in does."""

    def __init__(self, app: ASGIApp, faults: Faults, template: Template | None = None) -> None:
        self._app = app
        self._faults = faults
        self._template = template
        self._routes: Sequence[BaseRoute] = getattr(app, "routes", ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = self._note(scope, scope["method"])
        faults = self._faults

        async def read() -> Message:
            message = await receive()
            if message["type"] == "http.request" and len(seen.body) < BODY_KEPT:
                seen.body += message.get("body", b"")[: BODY_KEPT - len(seen.body)]
            return message

        async def write(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
            await send(message)

        if faults.delay_ms:
            await faults.sleep(faults.delay_ms / 1000)
        planned = faults.down_failure() if faults.down else faults.take(seen.method, seen.path)
        if planned is None:
            await self._app(scope, read, write)
        elif isinstance(planned, Response):
            await planned(scope, read, write)
        else:
            await self._fail(planned, scope, read, write)

    async def _fail(self, failure: Failure, scope: Scope, receive: Receive, send: Send) -> None:
        if failure.delay_s:
            await self._faults.sleep(failure.delay_s)
        if failure.drop:
            await _hang_up(scope, receive, "abort")
            return
        app: ASGIApp = self._app if failure.status is None else failure.response()
        if failure.half_body:
            await _cut(app, scope, receive, send)
        else:
            await app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = self._note(scope, "WEBSOCKET")
        faults = self._faults
        if faults.delay_ms:
            await faults.sleep(faults.delay_ms / 1000)
        planned = faults.down_failure() if faults.down else faults.take(seen.method, seen.path)
        if planned is not None:
            answer = planned
            if isinstance(answer, Failure):
                answer = answer.response() if answer.status else Response(status_code=500)
            seen.status = answer.status_code
            await receive()
            await _refuse(answer, scope, send)
            return
        ended = asyncio.Event()
        faults._sockets.add(ended)
        answered = open_ = False

        async def write(message: Message) -> None:
            nonlocal answered, open_
            answered = True
            open_ = message["type"] in ("websocket.accept", "websocket.send")
            await send(message)

        talk = asyncio.ensure_future(self._app(scope, receive, write))
        end = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait({talk, end}, return_when=asyncio.FIRST_COMPLETED)
            if talk.done():
                talk.result()
        finally:
            faults._sockets.discard(ended)
            for task in (talk, end):
                task.cancel()
            await asyncio.gather(talk, end, return_exceptions=True)
        if ended.is_set() and open_:
            await send({"type": "websocket.close", "code": 1012, "reason": "service restart"})
        elif ended.is_set() and not answered:
            seen.status = 503
            await _refuse(faults.down_failure().response(), scope, send)

    def _note(self, scope: Scope, method: str) -> Seen:
        path = local_path(scope)
        template = self._template(method, path) if self._template else None
        headers = Headers(scope=scope)
        seen = Seen(
            at=self._faults.clock(),
            method=method,
            path=path,
            query=scope.get("query_string", b"").decode("latin-1"),
            template=template or _matched(self._routes, scope) or path,
            headers={name: "***" if name in _SECRET_HEADERS else value for name, value in headers.items()},
        )
        self._faults.note(seen)
        return seen


def local_path(scope: Scope) -> str:
    """The path without the prefix that the stand-in is mounted under."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] or "/" if root and path.startswith(root) else path


def _matched(routes: Iterable[BaseRoute], scope: Scope) -> str | None:
    """The path of the route that would answer, as written: `/devices/{id}`."""
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.NONE:
            continue
        path: str = getattr(route, "path", "")
        inner: Sequence[BaseRoute] = getattr(route, "routes", None) or ()
        return path + (_matched(inner, {**scope, **child}) or "") if inner else path
    return None


async def _hang_up(scope: Scope, receive: Receive, how: str) -> None:
    """Ends the connection; where there is none (in-process transports) raises what a client would."""
    connection: Mapping[str, Callable[[], None]] | None = scope.get("extensions", {}).get(CONNECTION)
    if connection is None:
        raise Dropped("Server disconnected without sending a complete response.")
    connection[how]()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    start: Message = {}
    body = bytearray()

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif len(body) < CUT_MAX:
            body.extend(message.get("body", b""))

    await app(scope, receive, collect)
    unwanted = (b"content-length", b"transfer-encoding")
    headers = [(name, value) for name, value in start["headers"] if name.lower() not in unwanted]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(body[: len(body) // 2]), "more_body": True})
    await _hang_up(scope, receive, "close")


async def _refuse(answer: Response, scope: Scope, send: Send) -> None:
    """Turns a WebSocket handshake down, with the status where the server is able to."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await send(
            {
                "type": "websocket.http.response.start",
                "status": answer.status_code,
                "headers": answer.raw_headers,
            }
        )
        await send({"type": "websocket.http.response.body", "body": bytes(answer.body)})
    else:
        await send({"type": "websocket.close", "code": 1013})


class StandIn:
    """One vendor system. Subclasses with listeners or tasks of their own override `start` and `stop`.

    `name` is also the prefix it is mounted under: `traccar` answers below `/traccar`. `app` has the faults
    around it already. `lifespan` events never reach the app: what it needs is made in `start`.
    """

    def __init__(
        self,
        name: str,
        app: ASGIApp,
        faults: Faults | None = None,
        *,
        template: Template | None = None,
        mounted: bool = True,
    ) -> None:
        self.name = name
        self.faults = faults or Faults()
        self.app: ASGIApp = FaultLayer(app, self.faults, template)
        self.mounted = mounted
        """False for one that is reached through its own listeners only."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where else than under its prefix it answers: `tls://127.0.0.1:8102`. Known after `start`."""
        return ()

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    def describe(self, *, recent: bool = False) -> dict[str, Any]:
        """Its state as JSON can hold it."""
        faults = self.faults
        told: dict[str, Any] = {
            "name": self.name,
            "prefix": f"/{self.name}" if self.mounted else None,
            "addresses": list(self.addresses),
            "down": faults.down,
            "delay_ms": faults.delay_ms,
            "fail_next": len(faults.fail_next),
            "half_body": faults.half_body,
            "calls": {f"{method} {template}": count for (method, template), count in sorted(faults.calls.items())},
        }
        if recent:
            told["recent"] = [
                {
                    "at": seen.at.isoformat(),
                    "method": seen.method,
                    "path": seen.path,
                    "query": seen.query,
                    "template": seen.template,
                    "headers": dict(seen.headers),
                    "body": seen.body.decode("utf-8", "replace"),
                    "status": seen.status,
                }
                for seen in faults.recent
            ]
        return told
