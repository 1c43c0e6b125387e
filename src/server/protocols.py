"""HTTP and WebSocket on the wire: uvicorn's, with the bounds that it does not have.

A connection that is opened has to send a whole head in time, and the head may have so many bytes. What is left of a
body when its answer is sent is not waited for. Requests that follow each other without waiting for answers, parts of
one message and answers that nobody reads do not pile up. Nothing that a client sends becomes a line in the log.
"""

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

HEAD_SECONDS = 10.0
"""How long a connection may take for the head of a request, from its opening or the answer before."""
HEAD_BYTES = 65_536
"""Of the request line and all headers."""
HANDSHAKE_HEADERS, HANDSHAKE_BYTES = 100, 8_000
"""What the library that reads handshakes takes is a little more; beyond that it says nothing."""
PIPELINED = 100
"""Requests that may wait on one connection while one is answered."""
LINGER_SECONDS = 1.0
"""How long what a client still sends is thrown away before its connection is closed: closed at once, it might not get
the answer that tells it to stop."""
PARTS = 1_000
"""Parts of one WebSocket message."""
SLICE = 4_096
"""Bytes that are looked at before others have their turn: in one reading there can be 40,000 messages."""
SHARE = 0.2
"""Of the time, how much the messages of one address may take."""
BURST_SECONDS = 0.005
"""Rests that are shorter are not kept: a single message is read at once."""
VERSIONS = ("1.0", "1.1")

_POLICY_VIOLATION, _INVALID_TEXT = 1008, 1007


class Connections:
    """Counts the connections that are open, and the time that each address has taken."""

    def __init__(self, total: int, per_address: int) -> None:
        self._total, self._per_address = total, per_address
        self._open: Counter[str] = Counter()
        self._free_at: dict[str, float] = {}

    def take(self, address: str) -> bool:
        """Whether one more may be opened; if so, it is counted."""
        if self._open.total() >= self._total or self._open[address] >= self._per_address:
            return False
        self._open[address] += 1
        return True

    def give_back(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]
            self._free_at.pop(address, None)

    def took(self, address: str, seconds: float) -> None:
        """The messages of an address took so long."""
        self._free_at[address] = max(self._free_at.get(address, 0.0), time.monotonic()) + seconds / SHARE

    def rest(self, address: str) -> float:
        """Seconds that the next messages of an address have to wait."""
        return max(0.0, self._free_at.get(address, 0.0) - time.monotonic())


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    connections_of: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._counted = self._ends = self._in_head = self._in_body = False
        self._fed = self._head_size = 0
        self._timer: asyncio.TimerHandle | None = None
        if self.connections_of.take(self._address):
            self._counted = True
            self._await_head()
        else:
            self._refuse(503, "TOO_MANY_CONNECTIONS", "too many connections are open; close some, and come back later")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._counted:
            self._counted = False
            self.connections_of.give_back(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ends:
            return
        self._unset_keepalive_if_required()
        try:
            assert self.parser is not None
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._stop_timer()
            if self._should_upgrade():
                self._upgrade()
            return
        except httptools.HttpParserError:
            if not self._ends:
                self._refuse(400, "BAD_REQUEST", "this is no HTTP request")
            return
        if self._in_head:
            self._fed += len(data)
            self._bounded(self._fed)

    def _upgrade(self) -> None:
        """To a WebSocket, which is counted as this connection was."""
        rows = [len(self.url), *(len(name) + len(value) for name, value in self.headers)]
        if len(rows) > HANDSHAKE_HEADERS or max(rows) > HANDSHAKE_BYTES:
            text = f"a handshake has at most {HANDSHAKE_HEADERS} headers of at most {HANDSHAKE_BYTES} bytes"
            self._refuse(431, "HEAD_TOO_LARGE", text)
            return
        if self._counted:
            self._counted = False
            self.connections_of.give_back(self._address)
        self.handle_websocket_upgrade()

    # --- heads

    def _await_head(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(408, "HEAD_TIMEOUT", f"the head of the request did not come within {HEAD_SECONDS:g} s")
        else:
            self.transport.close()

    def _bounded(self, size: int) -> None:
        if size > HEAD_BYTES and not self._ends:
            self._refuse(431, "HEAD_TOO_LARGE", f"the head of the request is longer than {HEAD_BYTES} bytes")

    def _grow(self, count: int) -> None:
        self._head_size += count
        self._bounded(self._head_size)
        if self._ends:
            raise _Ends

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._in_body, self._fed, self._head_size = True, False, 0, 0
        if len(self.pipeline) >= PIPELINED:
            self._refuse(400, "BAD_REQUEST", "too many requests came before the answer to the first")
        if self._ends:
            raise _Ends

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._grow(len(name) + len(value) + 4)
        if self._in_head:  # what comes behind the body is nobody's business
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        assert self.parser is not None
        if self.parser.get_http_version() not in VERSIONS:
            raise _Ends  # HTTP/0.9, or a version that there is not
        self._in_head, self._in_body, self._head_size = False, True, 0
        self._stop_timer()
        super().on_headers_complete()
        if self.cycle is not None and self.cycle.scope is self.scope:
            self.cycle.send = functools.partial(self._send, self.cycle, self.cycle.send)  # type: ignore[method-assign]
            self.cycle.transport = _Lingering(self)  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    # --- answers

    @staticmethod
    async def _send(cycle: Any, send: Callable[[Any], Any], message: Any) -> None:
        """An answer before the body has come is the last one of its connection."""
        if message["type"] == "http.response.start" and cycle.more_body:
            cycle.keep_alive = False
        await send(message)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline and not self.transport.is_closing():
            self.flow.pause_reading()
        if not self._ends and not self.transport.is_closing() and not self.pipeline:
            self._await_head()

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = msgspec.json.encode({"errors": [{"message": message, "extensions": {"code": code}}]})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # whoever works on the answer is told that nobody waits for it
            cycle.message_event.set()
        if (cycle is None or cycle.response_complete or not cycle.response_started) and not self.transport.is_closing():
            self.transport.write(STATUS_LINE[status] + head + body)
        self._linger()

    def _linger(self) -> None:
        """Nothing more is read or answered; the connection is closed once the client can have read what it was told."""
        if self._ends:
            return
        self._ends = True
        self._stop_timer()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def write(self, data: bytes) -> None:
        if not self._ends:
            self.transport.write(data)

    def end(self) -> None:
        """After an answer that was the last."""
        if self._in_body:
            self._linger()
        else:
            self.transport.close()


class _Ends(Exception):
    """Leaves the parser."""


class _Lingering:
    """The transport of an answer; closing it waits for a client that is still sending."""

    def __init__(self, protocol: HttpProtocol) -> None:
        self._protocol = protocol
        self.is_closing = protocol.transport.is_closing

    def write(self, data: bytes) -> None:
        self._protocol.write(data)

    def close(self) -> None:
        self._protocol.end()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket."""

    connections_of: Connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._counted = self.connections_of.take(self._address)
        self._rest = b""
        self._later: asyncio.TimerHandle | None = None
        self._unread = self._ends = False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._later is not None:
            self._later.cancel()
        self._rest = b""
        if self._counted:
            self._counted = False
            self.connections_of.give_back(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ends:
            return
        self._rest = self._rest + data if self._rest else data
        if self._later is None:
            self._go_on()

    def _go_on(self) -> None:
        """Looks at what has come, a slice at a time, as far as the address has time and the application reads."""
        self._later = None
        while self._rest and not self.read_paused and not self._unread and not self.disconnected:
            rest = self.connections_of.rest(self._address)
            if rest > BURST_SECONDS:
                self.transport.pause_reading()
                self._later = self.loop.call_later(rest, self._resume)
                return
            piece, self._rest = self._rest[:SLICE], self._rest[SLICE:]
            began = time.monotonic()
            super().data_received(piece)
            self.connections_of.took(self._address, time.monotonic() - began)

    def _resume(self) -> None:
        self._later = None
        self._go_on()
        if self._later is None and not self.read_paused and not self._unread and not self.transport.is_closing():
            self.transport.resume_reading()

    async def receive(self) -> Any:
        paused = self.read_paused
        message = await super().receive()
        if paused and not self.read_paused and self._rest and self._later is None:
            # not at once: the message that was just taken is looked at first
            self.transport.pause_reading()
            self._later = self.loop.call_later(0, self._resume)
        return message

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = True  # what is answered without the application, pings, must not pile up
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = False
        if not self.read_paused and self._later is None:
            self._resume()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= PARTS:
            self._fail(_POLICY_VIOLATION)
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self._fail(_INVALID_TEXT)
                return
        super().send_receive_event_to_app()

    def _fail(self, code: int) -> None:
        self.frames = []
        if not self.close_sent:
            self.conn.send_close(code)
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """Says why, and goes on reading for a moment, as an HTTP connection does."""
        if self._ends or self.conn.close_sent is None:
            self.transport.close()
            return
        self._ends, self._rest, self.frames = True, b"", []
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def protocols(connections: Connections) -> tuple[type[HttpProtocol], type[WebSocketProtocol]]:
    """The two classes, which share the count."""
    http = type("Http", (HttpProtocol,), {"connections_of": connections})
    socket = type("WebSocket", (WebSocketProtocol,), {"connections_of": connections})
    return http, socket
