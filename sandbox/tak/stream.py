"""The CoT stream: a TLS port that wants a client certificate, tells of the world, and can switch to protobuf."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from sandbox.tak import cot
from sandbox.tak.certificates import Certificates, server_context
from sandbox.world import World

READ_MAX: Final = 1 << 16
_EVENT: Final = re.compile(rb"<event\b.*?</event>", re.DOTALL)
_ATTRIBUTE: Final = re.compile(rb"\b(uid|type)=[\"']([^\"']*)[\"']")


class Client:
    """One connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.binary = False

    def send(self, event: cot.Cot) -> None:
        if not self.writer.is_closing():
            body = event.frame() if self.binary else (cot.DECLARATION + event.xml()).encode()
            self.writer.write(body)


class CotServer:
    """`offer` says whether the TAK protocol is offered. `pings`, `requests` and `opened` count what clients did."""

    def __init__(self, world: World, *, tick_s: float = 2.0, offer: bool = True) -> None:
        self.world = world
        self.tick_s = tick_s
        self.offer = offer
        self.clients: set[Client] = set()
        self.pings = 0
        self.requests = 0
        self.opened = 0
        self.refuses: Callable[[], bool] = lambda: False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._told_until: datetime | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int, files: Certificates) -> None:
        context = server_context(files)
        self._server = await asyncio.start_server(self._talk, host, port, ssl=context)
        self._told_until = self.world.now()
        self._tasks.add(asyncio.create_task(self._tell()))

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self.drop_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._server = None

    def drop_all(self) -> None:
        """Ends every connection without a word."""
        for client in list(self.clients):
            client.writer.transport.abort()

    def broadcast(self, events: Iterable[cot.Cot]) -> None:
        for event in events:
            for client in self.clients:
                client.send(event)

    def due(self) -> list[cot.Cot]:
        """What happened since it was asked last: reports of the units that move, then changes of missions."""
        now = self.world.now()
        since, self._told_until = self._told_until or now, now
        reports = [cot.unit_event(unit, now) for unit in self.world.units if unit.state_at(now).online]
        changes = [
            cot.mission_event(mission, change, now)
            for mission in self.world.missions
            for change in mission.changes(since, now)
        ]
        return reports + changes

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(self.tick_s)
            if self.clients:
                self.broadcast(self.due())

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses():
            writer.transport.abort()
            return
        client = Client(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.clients.add(client)
        self.opened += 1
        try:
            if self.offer:
                support = '<TakControl><TakProtocolSupport version="1"/></TakControl>'
                client.send(cot.control("t-x-takp-v", "protouid-1", self.world.now(), support, seconds=60))
            buffer = b""
            while data := await reader.read(READ_MAX):
                buffer = self._hear(client, buffer + data)[-READ_MAX:]
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.clients.discard(client)
            self._tasks.discard(task)
            writer.transport.abort()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _hear(self, client: Client, buffer: bytes) -> bytes:
        """Answers what is whole in the buffer; the rest comes back."""
        while True:
            if client.binary:
                taken = _take_frame(buffer)
                if taken is None:
                    return buffer
                body, buffer = taken
                if b"t-x-c-t" in body:
                    self._pong(client)
                continue
            found = _EVENT.search(buffer)
            if found is None:
                return buffer
            buffer = buffer[found.end() :]
            facts: dict[bytes, bytes] = dict(_ATTRIBUTE.findall(found[0].partition(b">")[0]))
            if facts.get(b"type") == b"t-x-c-t":
                self._pong(client)
            elif facts.get(b"type") == b"t-x-takp-q":
                self.requests += 1
                accepted = "true" if self.offer else "false"
                answer = f'<TakControl><TakResponse status="{accepted}"/></TakControl>'
                client.send(cot.control("t-x-takp-r", facts.get(b"uid", b"").decode(), self.world.now(), answer))
                client.binary = self.offer

    def _pong(self, client: Client) -> None:
        self.pings += 1
        client.send(cot.control("t-x-c-t-r", "takPong", self.world.now()))


def _take_frame(buffer: bytes) -> tuple[bytes, bytes] | None:
    if len(buffer) < 2 or buffer[0] != 0xBF:
        return None
    size = shift = 0
    for place, byte in enumerate(buffer[1:11], 1):
        size += (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            end = place + 1 + size
            return (buffer[place + 1 : end], buffer[end:]) if len(buffer) >= end else None
    return None
