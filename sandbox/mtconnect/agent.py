"""The agent: its buffer of observations and its requests."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox.mtconnect import model
from sandbox.mtconnect.writing import JSON, VERSION, Json, Row, Writer, Xml, stamp
from sandbox.standin import Faults, StandIn
from sandbox.world import World

_COUNT: Final = 100
_HEARTBEAT: Final = 10_000
_TICK: Final = 1.0
_BOUNDARY: Final = "9ab7bd2368bfe8103aef2a87cb43f859"
_ASSET_BUFFER: Final = 1024


class _Refusal(Exception):
    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


class Agent(StandIn):
    """`restart` makes a new instance whose sequence numbers begin at 1; `look` takes in what the world does now."""

    def __init__(
        self,
        world: World,
        *,
        buffer_size: int = 4_096,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.world, self.buffer_size, self._sleep = world, buffer_size, sleep
        self.devices = [model.device(one) for one in world.machines if one.kind == "mill"]
        self.instance = int(world.now().timestamp())
        self.model_changed = world.now()
        self.streams = 0
        """Streams that are open."""
        self.old_errors = False
        """While true errors come with status 200, as agents before 1.2 sent them."""
        self.forgiving = False
        """While true a `from` that left the buffer is answered from its beginning on, as some agents do."""
        self.silent = False
        """While true open streams say nothing, not even heartbeats."""
        self._rows: deque[Row] = deque(maxlen=buffer_size)
        self._latest: dict[str, Row] = {}
        self._next = 1
        self._news = asyncio.Event()
        self._end = asyncio.Event()
        self._ticker: asyncio.Task[None] | None = None
        self._removed: set[str] = set()
        faults = Faults(clock=world.now)
        faults.when_sessions_expire(self.restart)
        faults.when_sockets_close(self.end_streams)
        faults.when_reset(self._reset)
        routes = [
            Route("/", self._probe),
            Route("/probe", self._probe),
            Route("/current", self._current),
            Route("/sample", self._sample),
            Route("/assets", self._assets),
            Route("/{device}/probe", self._probe),
            Route("/{device}/current", self._current),
            Route("/{device}/sample", self._sample),
            Route("/{device}/assets", self._assets),
            Route("/{path:path}", self._unknown),
        ]
        app = Starlette(routes=routes, exception_handlers={_Refusal: self._refused})
        super().__init__("mtconnect", app, faults)
        self.look()

    # --- the buffer

    def look(self) -> int:
        """Observes all machines; gives how many observations were new."""
        before, now = self._next, self.world.now()
        for device in self.devices:
            tool = device.machine.tools[0] if device.machine.tools else None
            asset = f"{tool.id}.{tool.serial}" if tool else None
            for item_id, said in model.values(device, device.machine.state_at(now), asset=asset).items():
                known = self._latest.get(item_id)
                if known is not None and known.said == said:
                    continue
                component, item = device.by_id[item_id]
                row = Row(self._next, device, component, item, said, now)
                self._next += 1
                self._rows.append(row)
                self._latest[item_id] = row
        if self._next != before:
            self._tell()
        return self._next - before

    def _tell(self) -> None:
        """Wakes the streams; each waits for an event of its own time, so that none misses another's."""
        self._news.set()
        self._news = asyncio.Event()

    def restart(self) -> None:
        """Another instance: streams end, sequence numbers begin at 1, what was buffered is gone."""
        self.end_streams()
        self.instance += 1
        self._rows.clear()
        self._latest.clear()
        self._next = 1
        self.look()

    def end_streams(self) -> None:
        self._end.set()
        self._end = asyncio.Event()

    def remove_tool(self, tool: str) -> None:
        """Takes a tool out of its magazine: the agent tells it as ASSET_REMOVED."""
        self._removed.add(tool)
        for device in self.devices:
            if any(each.id == tool for each in device.machine.tools):
                component, item = device.by_id[f"{device.root.id}_asset_rem"]
                row = Row(self._next, device, component, item, model.Said(tool), self.world.now())
                self._next += 1
                self._rows.append(row)
                self._latest[f"{item.id}#"] = row  # beside what the world says, so that it is not taken back
        self._tell()

    def _reset(self) -> None:
        self.old_errors = self.silent = self.forgiving = False
        self._removed.clear()

    @property
    def first(self) -> int:
        return self._rows[0].sequence if self._rows else self._next

    async def start(self) -> None:
        self._ticker = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self.look()

    async def stop(self) -> None:
        self.end_streams()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)

    # --- requests

    def _header(self, **more: object) -> JSON:
        return {
            "creationTime": stamp(self.world.now()),
            "sender": "sandbox",
            "instanceId": self.instance,
            "version": VERSION,
            "deviceModelChangeTime": stamp(self.model_changed),
            "bufferSize": self.buffer_size,
            **more,
        }

    def _stream_header(self, next_sequence: int) -> JSON:
        return self._header(nextSequence=next_sequence, firstSequence=self.first, lastSequence=self._next - 1)

    @staticmethod
    def _writer(request: Request) -> Writer:
        return Json() if request.headers.get("accept", "").startswith("application/json") else Xml()

    def _answer(self, request: Request, body: bytes) -> Response:
        headers = {"Server": "MTConnectAgent", "Cache-Control": "private, max-age=0"}
        return Response(body, media_type=self._writer(request).media_type, headers=headers)

    def _chosen(self, request: Request) -> list[model.Device]:
        wanted = request.path_params.get("device")
        found = [one for one in self.devices if wanted in (None, one.name, one.uuid)]
        if not found:
            raise _Refusal(404, "NO_DEVICE", f"Could not find the device '{wanted}'")
        return found

    def _items(self, request: Request) -> set[str]:
        """Data items of the chosen devices, narrowed by `path`, an XPath over the device model."""
        chosen = self._chosen(request)
        ids = {item for one in chosen for item in one.by_id}
        path = request.query_params.get("path")
        if path is None:
            return ids
        text = "".join(Xml().component(one.root, one) for one in chosen)
        tree = etree.fromstring(f"<Devices>{text}</Devices>")
        try:
            hits = tree.xpath(path)
        except etree.XPathError:
            raise _Refusal(400, "INVALID_XPATH", f"The path could not be parsed. Invalid syntax: {path}") from None
        nodes = [hit for hit in hits if isinstance(hit, etree._Element)] if isinstance(hits, list) else []
        if not nodes:
            raise _Refusal(400, "INVALID_XPATH", f"The path could not be parsed. Invalid syntax: {path}")
        return {each.get("id") or "" for node in nodes for each in node.iter("DataItem")} & ids

    @staticmethod
    def _number(request: Request, name: str, otherwise: int | None) -> int | None:
        text = request.query_params.get(name)
        if text is None:
            return otherwise
        if not text.isdecimal():
            raise _Refusal(400, "QUERY_ERROR", f"'{name}' must be a positive integer.")
        return int(text)

    async def _probe(self, request: Request) -> Response:
        count = sum(len(one.machine.tools) for one in self.devices) - len(self._removed)
        header = self._header(assetBufferSize=_ASSET_BUFFER, assetCount=count)
        return self._answer(request, self._writer(request).devices(header, self._chosen(request)))

    async def _current(self, request: Request) -> Response:
        self.look()
        items = self._items(request)
        rows = [row for row in self._latest.values() if row.item.id in items]
        newest = {row.item.id: row for row in sorted(rows, key=lambda row: row.sequence)}
        body = self._writer(request).streams(self._stream_header(self._next), list(newest.values()))
        return self._answer(request, body)

    async def _sample(self, request: Request) -> Response:
        self.look()
        items = self._items(request)
        count = self._number(request, "count", _COUNT) or _COUNT
        if count > self.buffer_size:
            raise _Refusal(400, "OUT_OF_RANGE", f"'count' must be less than {self.buffer_size + 1}")
        begin = self._begin(self._number(request, "from", None))
        interval = self._number(request, "interval", None)
        if interval is not None:
            heartbeat = self._number(request, "heartbeat", _HEARTBEAT) or _HEARTBEAT
            stream = self._stream(self._writer(request), items, begin, count, interval / 1_000, heartbeat / 1_000)
            return StreamingResponse(stream, media_type=f"multipart/mixed;boundary={_BOUNDARY}")
        rows, following = self._page(items, begin, count)
        return self._answer(request, self._writer(request).streams(self._stream_header(following), rows))

    def _begin(self, begin: int | None) -> int:
        if begin is None:
            return self.first
        if begin > self._next:
            raise _Refusal(400, "OUT_OF_RANGE", f"'from' must be less than {self._next + 1}")
        if begin < self.first and self.forgiving:
            return self.first
        if begin < self.first:
            raise _Refusal(400, "OUT_OF_RANGE", f"'from' must be greater than {self.first - 1}")
        return begin

    def _page(self, items: set[str], begin: int, count: int) -> tuple[Sequence[Row], int]:
        """At most `count` observations from `begin` on, and where the next page begins."""
        found = [row for row in self._rows if row.sequence >= begin and row.item.id in items][:count]
        return found, found[-1].sequence + 1 if len(found) == count else self._next

    async def _stream(
        self, writer: Writer, items: set[str], begin: int, count: int, interval: float, heartbeat: float
    ) -> AsyncIterator[bytes]:
        ended = self._end
        self.streams += 1
        try:
            while not ended.is_set():
                news = self._news
                if begin < self.first:
                    text = "Client can't keep up with event stream"
                    yield _part(writer, writer.error(self._header(), "OUT_OF_RANGE", text))
                    return
                rows, begin = self._page(items, begin, count)
                if not self.silent:
                    yield _part(writer, writer.streams(self._stream_header(begin), rows))
                await _first_of(heartbeat, news, ended)
                if not ended.is_set():
                    await self._sleep(interval)
        finally:
            self.streams -= 1

    async def _assets(self, request: Request) -> Response:
        tools = [
            (one, tool, self.model_changed)
            for one in self._chosen(request)
            for tool in one.machine.tools
            if tool.id not in self._removed
        ]
        header = self._header(assetBufferSize=_ASSET_BUFFER, assetCount=len(tools))
        return self._answer(request, self._writer(request).assets(header, tools))

    async def _unknown(self, request: Request) -> Response:
        raise _Refusal(404, "NO_DEVICE", f"Could not find the device '{request.path_params['path'].split('/')[0]}'")

    async def _refused(self, request: Request, fault: Exception) -> Response:
        assert isinstance(fault, _Refusal)
        body = self._writer(request).error(self._header(), fault.code, fault.text)
        status = 200 if self.old_errors else fault.status
        return Response(body, status, media_type=self._writer(request).media_type)


async def _first_of(seconds: float, *events: asyncio.Event) -> None:
    """Until one of the events, or for so long."""
    waits = [asyncio.create_task(each.wait()) for each in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()


def _part(writer: Writer, body: bytes) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-type: {writer.media_type}\r\nContent-length: {len(body)}\r\n\r\n"
    return head.encode() + body + b"\r\n"
