"""HTTP and WebSocket by hand: what no well-behaved client would send, and every byte that comes back."""

import asyncio
import base64
import contextlib
import json
import os
import struct
from dataclasses import dataclass, field
from typing import Any, Self

FROM = "127.0.0.1"
PATIENCE = 20.0
"""Seconds that anything may take to be answered."""
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
SEEN: list[bytes] = []
"""Every answer that came back, for the search for secrets."""
_MOST_SEEN = 200_000


def keep(raw: bytes) -> None:
    """Keeps the beginning and the end of an answer."""
    SEEN.append(raw if len(raw) <= 2 * _MOST_SEEN else raw[:_MOST_SEEN] + raw[-_MOST_SEEN:])


@dataclass
class Answer:
    """One HTTP answer. `status` 0: the connection was closed without one."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """`extensions.code` of its errors; empty when it has none or is no JSON."""
        with contextlib.suppress(ValueError):
            given = self.json()
            errors = given.get("errors", []) if isinstance(given, dict) else []
            return [each.get("extensions", {}).get("code") for each in errors]
        return []

    @property
    def code(self) -> str | None:
        return self.codes[0] if self.codes else None

    def __str__(self) -> str:
        return f"{self.status} {self.code or ''} {self.body[:300]!r}"


class Line:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, source: str = FROM) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0), limit=1 << 26)
        return cls(reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.transport.abort()

    async def send(self, raw: bytes) -> bool:
        """False when the other side does not take it any more."""
        try:
            self.writer.write(raw)
            async with asyncio.timeout(PATIENCE):
                await self.writer.drain()
        except (OSError, TimeoutError):
            return False
        return True

    async def answer(self, patience: float = PATIENCE) -> Answer:
        """The next answer; status 0 when the connection ends first. Raises `TimeoutError`."""
        async with asyncio.timeout(patience):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"HTTP/1.1 100"):
                    head = await self.reader.readuntil(b"\r\n\r\n")
                rows = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows[1:-2])}
                status = int(rows[0].split()[1])
                body = b""
                if headers.get("transfer-encoding") == "chunked":
                    body = b"".join([part async for part in self.chunks()])
                elif status not in (101, 204, 304):
                    body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            except (asyncio.IncompleteReadError, OSError):
                return Answer()
        keep(head + body)
        return Answer(status, headers, body)

    async def head(self) -> Answer:
        """Status and headers of an answer whose body goes on."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
        keep(head)
        rows = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows[1:-2])}
        return Answer(int(rows[0].split()[1]), headers)

    async def chunks(self) -> Any:
        """The chunks of a body, until it ends."""
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).strip() or b"0", 16)
            part = await self.reader.readexactly(size + 2)
            if size == 0:
                return
            keep(part)
            yield part[:-2]

    async def closed(self, patience: float = PATIENCE) -> bool:
        """Whether the other side ends the connection in time; what it still says is read."""
        try:
            async with asyncio.timeout(patience):
                while data := await self.reader.read(65_536):
                    keep(data)
        except OSError:
            return True
        except TimeoutError:
            return False
        return True


def request(
    method: str = "POST",
    path: str = "/graphql",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    length: str | None = None,
) -> bytes:
    """An HTTP request. Headers that are given replace those that it has by itself; `length` is told as it is."""
    rows = {"Host": "127.0.0.1", "Accept": "application/graphql-response+json"}
    if method == "POST":
        rows |= {"Content-Type": "application/json", "Content-Length": length or str(len(body))}
    rows |= headers or {}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in rows.items() if value)
    return head.encode("latin-1") + b"\r\n" + body


class Socket:
    """A WebSocket client without manners."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.code: int | None = None
        self.reason = ""

    @classmethod
    async def open(
        cls, port: int, headers: dict[str, str] | None = None, *, source: str = FROM, path: str = "/graphql"
    ) -> Self:
        """Raises `AssertionError` unless the handshake succeeds."""
        line = await Line.open(port, source)
        await line.send(handshake(headers, path))
        answer = await line.answer()
        if answer.status != 101:
            line.close()
            raise AssertionError(f"the handshake was answered {answer}")
        return cls(line)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.line.close()

    async def frame(self, payload: bytes, opcode: int = TEXT, *, fin: bool = True, masked: bool = True) -> bool:
        return await self.line.send(frame(payload, opcode, fin=fin, masked=masked))

    async def say(self, message: Any) -> bool:
        return await self.frame(message.encode() if isinstance(message, str) else json.dumps(message).encode())

    async def receive(self, patience: float = PATIENCE) -> dict[str, Any] | None:
        """The next message; null when the socket is closed (then `code` says how; 1006 for without a word)."""
        async with asyncio.timeout(patience):
            while self.code is None:
                try:
                    first, second = await self.line.reader.readexactly(2)
                    size = second & 127
                    if size == 126:
                        size = struct.unpack("!H", await self.line.reader.readexactly(2))[0]
                    elif size == 127:
                        size = struct.unpack("!Q", await self.line.reader.readexactly(8))[0]
                    payload = await self.line.reader.readexactly(size)
                except (asyncio.IncompleteReadError, OSError):
                    self.code = 1006
                    return None
                keep(payload)
                match first & 15:
                    case 8:
                        self.code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
                        self.reason = payload[2:].decode()
                        await self.frame(payload[:2], CLOSE)
                    case 9:
                        await self.frame(payload, PONG)
                    case 1:
                        found: dict[str, Any] = json.loads(payload)
                        return found
        return None

    async def until_closed(self, patience: float = PATIENCE) -> int:
        """The code that the socket is closed with; messages before it are read."""
        while self.code is None:
            await self.receive(patience)
        return self.code


def handshake(headers: dict[str, str] | None = None, path: str = "/graphql") -> bytes:
    rows = {
        "Host": "127.0.0.1",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Protocol": "graphql-transport-ws",
    } | (headers or {})
    head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in rows.items() if value)
    return head.encode("latin-1") + b"\r\n"


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True, masked: bool = True) -> bytes:
    """One frame; masked by a key of zeros, which costs nothing."""
    first = (128 if fin else 0) | opcode
    mask = 128 if masked else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, mask | len(payload))
    elif len(payload) < 65_536:
        head = struct.pack("!BBH", first, mask | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, mask | 127, len(payload))
    return head + (b"\0\0\0\0" if masked else b"") + payload
