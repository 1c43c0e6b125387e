"""What the kit's tests share: a server of raw bytes on the loopback, a scripted transport, an `Api` over either."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from connectors.kit.http import Api
from connectors.kit.integration import Integration
from connectors.kit.services import Services
from tests.connectors.contract import FakeClock, Lines
from unified.values import System

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@dataclass(frozen=True)
class Reply:
    """What the peer does with one request: bytes in pieces, then silence, an end, or the next request."""

    pieces: tuple[bytes, ...] = ()
    then: str = "next"
    """`next`: keep the connection; `end`: close it; `silence`: say nothing more; `reset`: break it off."""
    pause: float = 0.0
    """Seconds between pieces."""


def reply(body: bytes = b"{}", *headers: str, status: str = "200 OK", length: int | None = None) -> Reply:
    """A whole answer. `length` lies about the body's."""
    size = len(body) if length is None else length
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {size}", "", ""])
    return Reply((head.encode("latin-1") + body,), then="next" if size <= len(body) else "end")


SILENCE = Reply(then="silence")


@dataclass
class Peer:
    """Answers requests one after the other with `replies`, the last of them for ever."""

    replies: list[Reply]
    requests: list[bytes] = field(default_factory=list)
    url: str = ""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the other side closed a connection while it was owed an answer."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0

    def _next(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                try:
                    request = await reader.readuntil(b"\r\n\r\n")
                    if length := _LENGTH.search(request):
                        request += await reader.readexactly(int(length[1]))
                except (asyncio.IncompleteReadError, ConnectionError):
                    return
                self.requests.append(request)
                self.arrived.set()
                given = self._next()
                for piece in given.pieces:
                    writer.write(piece)
                    await writer.drain()
                    if given.pause:
                        await asyncio.sleep(given.pause)
                match given.then:
                    case "silence":
                        with contextlib.suppress(ConnectionError):
                            await reader.read()
                        self.gone.set()
                        return
                    case "reset":
                        writer.transport.abort()
                        return
                    case "end":
                        return
        except ConnectionError:
            self.gone.set()
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def peer(*replies: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    made = Peer(list(replies) or [reply()])
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


Handler = Callable[[httpx.Request], Any]


class Scripted(httpx.AsyncBaseTransport):
    """Answers from a script: responses, exceptions, or functions of the request; the last of them for ever."""

    def __init__(self, *answers: httpx.Response | Exception | Handler) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        answer = given if isinstance(given, httpx.Response) else given(request)
        answer = await answer if asyncio.iscoroutine(answer) else answer
        # a response made with its content counts as read; the wire's is not
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))


@dataclass
class Made:
    """An `Api` and what stands around it."""

    api: Api
    clock: FakeClock
    log: Lines
    wire: Scripted | None = None
    metrics: "Counts" = field(default_factory=lambda: Counts())


class Counts:
    """Metrics that remember."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.states: list[str] = []

    def vendor_call(self, integration: str, outcome: str, seconds: float) -> None:
        self.calls.append((integration, outcome))

    def unknown_code(self, system: str, field: str, value: str) -> None: ...

    def unknown_codes(self, read: Any) -> None: ...

    def breaker(self, integration: str, state: str) -> None:
        self.states.append(state)


def integration(url: str = "https://vendor.example/api", **facts: Any) -> Integration:
    return Integration(**{"key": "depot", "system": System.TRACCAR, "base_url": url} | facts)


def scripted(
    *answers: httpx.Response | Exception | Handler, facts: dict[str, Any] | None = None, **options: Any
) -> Made:
    """An `Api` over a script; `facts` are the integration's, `options` the `Api`'s."""
    clock, log, counts, wire = FakeClock(), Lines(), Counts(), Scripted(*answers)
    services = Services(transport=wire, clock=clock, log=log, metrics=counts)
    return Made(Api(integration(**facts or {}), services, **options), clock, log, wire, counts)


@contextlib.asynccontextmanager
async def real(url: str, *, seconds: float = 5.0, **options: Any) -> AsyncIterator[Api]:
    """An `Api` over the real wire; it makes one attempt unless the test says otherwise."""
    api = Api(integration(url, deadline_seconds=seconds), Services(clock=FakeClock()), **options)
    try:
        yield api
    finally:
        await api.aclose()
