"""The agent's stream of observations over real sockets, and the multipart reader under it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from connectors.equipment import CONNECTOR, EquipmentConnector
from connectors.equipment.mtconnect import wire
from connectors.equipment.mtconnect.payloads import document, explain
from connectors.kit.errors import BadPayload, Conflict, TimedOut, VendorDown
from connectors.kit.http import Api
from connectors.kit.integration import Integration
from connectors.kit.multipart import Part, parts
from connectors.kit.protocols import Raw
from connectors.kit.services import Services
from sandbox.mtconnect import Agent, create
from sandbox.mtconnect.writing import Json, Xml
from sandbox.registry import application
from sandbox.serving import Listener
from sandbox.world import World
from tests.connectors.contract import NOW, FakeClock, Lines
from tests.connectors.test_equipment_mtconnect import integration
from tests.connectors.test_equipment_samples import SAMPLES
from unified.events import Changed
from unified.records import Equipment, EquipmentState, FaultSeverity
from unified.values import System

pytestmark = pytest.mark.timeout(30)


async def _at_once(_seconds: float) -> None:
    """Instead of waiting for the interval."""
    await asyncio.sleep(0)


@dataclass
class Hands:
    """The world's clock, moved by hand."""

    now: datetime = NOW


HANDS = Hands()
WORLD = World(lambda: HANDS.now)
"""Made once: it takes a quarter of a second and never changes."""


@dataclass
class Floor:
    """The agent on a port, and the events of a connector's stream."""

    connector: EquipmentConnector
    agent: Agent
    hands: Hands
    log: Lines
    stream: AsyncIterator[Raw]
    raws: list[Raw] = field(default_factory=list)

    async def next(self) -> Equipment:
        async with asyncio.timeout(10):
            raw = await anext(self.stream)
        self.raws.append(raw)
        (event,) = await self.connector.events(raw)
        assert isinstance(event, Changed)
        assert isinstance(event.record, Equipment)
        return event.record

    async def until(self, wanted: Callable[[Equipment], bool]) -> Equipment:
        async with asyncio.timeout(10):
            while not wanted(found := await self.next()):
                pass
        return found

    def go_on(self, seconds: float) -> None:
        self.hands.now += timedelta(seconds=seconds)
        self.agent.look()

    def calls(self, path: str) -> int:
        return self.agent.faults.calls["GET", path]


@contextlib.asynccontextmanager
async def floor_of(*, buffer_size: int = 4_096, **settings: Any) -> AsyncIterator[Floor]:
    hands, log = HANDS, Lines()
    hands.now = NOW
    agent = create(WORLD, sleep=_at_once, buffer_size=buffer_size)
    listener = Listener(application([agent]), "127.0.0.1", 0)
    await listener.start()
    url = f"http://127.0.0.1:{listener.port}/mtconnect"
    machines = [{"id": "mill-1", "url": url, "device": "VMC-Iroko"}]
    connector = CONNECTOR(integration(machines=machines, **settings), Services(clock=FakeClock(), log=log))
    stream = connector.stream()
    try:
        async with contextlib.aclosing(stream):  # type: ignore[type-var]
            yield Floor(connector, agent, hands, log, stream)
    finally:
        await connector.aclose()
        agent.end_streams()
        await listener.stop()


@pytest.fixture(params=["xml", "json"])
async def floor(request: pytest.FixtureRequest) -> AsyncIterator[Floor]:
    async with floor_of(mtconnect={"format": request.param}) as made:
        yield made


async def _soon(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_first_comes_everything_then_what_changes(floor: Floor) -> None:
    first = await floor.next()
    assert (first.state, first.updated_at) == (EquipmentState.RUNNING, NOW)
    assert first.source.as_of == NOW
    await floor.next()  # the stream is open: the first part is told even when it brings nothing
    floor.go_on(30)
    found = await floor.next()
    state = floor.agent.world.machine_by_id["mill-1"].state_at(floor.hands.now)
    assert {each.sensor: each.value for each in found.sensors}["feed"] == state.feed_mm_s
    assert {each.sensor for each in found.sensors} == {each.sensor for each in first.sensors}, "a part is merged"
    assert found.assets == first.assets
    assert (floor.calls("/{device}/current"), floor.calls("/{device}/sample")) == (1, 1)


async def test_every_payload_is_whole(floor: Floor) -> None:
    await floor.next()
    floor.go_on(5)
    found = await floor.until(lambda each: each.updated_at == floor.hands.now)
    (again,) = await floor.connector.events(floor.raws[-1])
    assert isinstance(again, Changed)
    assert again.record == found
    assert len({raw.delivery_id for raw in floor.raws}) == len(floor.raws)


async def test_what_says_nothing_new_is_not_told(floor: Floor) -> None:
    await floor.next()
    await floor.next()
    assert floor.agent.look() == 0
    floor.go_on(5)
    assert (await floor.next()).updated_at == floor.hands.now


async def test_after_a_break_it_goes_on_without_a_gap(floor: Floor) -> None:
    await floor.next()
    await floor.next()
    floor.agent.end_streams()
    lost = await floor.next()
    assert lost.state is EquipmentState.OFFLINE
    assert "ended the stream" in (lost.error_message or "")
    floor.go_on(20)
    found = await floor.until(lambda each: each.error_message is None)
    assert (found.state, found.faults) == (EquipmentState.RUNNING, ())
    assert floor.calls("/{device}/current") == 1, "the cursor holds: nothing was lost"
    assert floor.log.events == ["equipment.stream_reopened"], "no gap, and no outage"


async def test_a_restart_of_the_agent_is_a_gap_that_is_told(floor: Floor) -> None:
    """The numbers of the new instance are plausible: without its id nobody would notice."""
    await floor.next()
    await floor.next()
    floor.hands.now += timedelta(seconds=30)
    floor.agent.restart()
    found = await floor.until(lambda each: any(fault.code == "GAP_RESTART" for fault in each.faults))
    (gap,) = [each for each in found.faults if each.code == "GAP_RESTART"]
    assert gap.severity is FaultSeverity.INFO
    assert gap.description == (
        "the agent restarted; what happened while it was away, and what was not read before, is lost"
    )
    assert found.updated_at == floor.hands.now, "everything was read anew"
    (told,) = [values for event, values in floor.log.lines if event == "equipment.gap"]
    assert (told["reason"], told["machine"], told["instance"]) == ("restart", "mill-1", str(floor.agent.instance))
    floor.go_on(10)
    later = await floor.until(lambda each: each.updated_at == floor.hands.now)
    assert any(fault.code == "GAP_RESTART" for fault in later.faults), "the note stays for an hour"


@pytest.mark.parametrize("forgiving", [False, True])
async def test_a_buffer_that_is_overrun_is_a_gap_with_its_numbers(forgiving: bool) -> None:
    """Whether the agent says so, or goes on with what it still has."""
    async with floor_of(buffer_size=60) as floor:
        floor.agent.forgiving = forgiving
        await floor.next()
        await floor.next()
        floor.agent.faults.down = True
        await floor.until(lambda each: each.state is EquipmentState.OFFLINE)
        begin = floor.agent._next
        for _ in range(8):
            floor.go_on(10)
        floor.agent.faults.down = False
        found = await floor.until(lambda each: any(fault.code == "GAP_OVERRUN" for fault in each.faults))
        (told,) = [values for event, values in floor.log.lines if event == "equipment.gap"]
        assert (told["reason"], told["first"], told["last"]) == ("overrun", begin, floor.agent.first - 1)
        (gap,) = [each for each in found.faults if each.code == "GAP_OVERRUN"]
        lost = floor.agent.first - begin
        assert gap.description == (
            f"the agent's buffer was overrun: {lost} observations ({begin} to {floor.agent.first - 1}) were lost; "
            "enlarge its BufferSize"
        )
        assert found.state is EquipmentState.RUNNING


async def test_an_outage_is_told_once_with_the_last_values(floor: Floor) -> None:
    before = await floor.next()
    await floor.next()
    floor.agent.faults.down = True
    gone = await floor.next()
    assert (gone.state, gone.source.stale, gone.sensors) == (EquipmentState.OFFLINE, True, before.sensors)
    await _soon(lambda: floor.calls("/{device}/sample") >= 4)
    floor.agent.faults.down = False
    back = await floor.next()
    assert (back.state, back.source.stale, back.error_message) == (EquipmentState.RUNNING, False, None)
    assert floor.log.events == ["vendor.unavailable"], "the stream is part of the outage"


async def test_another_device_model_is_read_anew(floor: Floor) -> None:
    await floor.next()
    await floor.next()
    floor.agent.model_changed = NOW + timedelta(hours=1)
    floor.go_on(5)
    await floor.until(lambda each: each.updated_at == floor.hands.now)
    await _soon(lambda: floor.calls("/probe") == 2)


async def test_nonsense_in_the_stream_is_told_and_tried_again(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    await floor.next()
    await floor.next()
    with monkeypatch.context() as patch:
        for writer in (Xml, Json):
            patch.setattr(writer, "streams", lambda *_: b"<nonsense/>")
        floor.go_on(5)
        told = await floor.until(lambda each: "root element is nonsense" in (each.error_message or ""))
    assert told.state is EquipmentState.RUNNING, "nonsense is no outage: the last state stands"
    assert (await floor.until(lambda each: each.error_message is None)).state is EquipmentState.RUNNING


async def test_ending_the_stream_closes_the_connection(floor: Floor) -> None:
    await floor.next()
    await floor.next()
    assert floor.agent.streams == 1
    await floor.stream.aclose()  # type: ignore[attr-defined]
    await _soon(lambda: floor.agent.streams == 0)


# --- the multipart reader


@contextlib.asynccontextmanager
async def serving(answer: Callable[[Request], Any]) -> AsyncIterator[Api]:
    async def route(request: Request) -> Response:
        found: Response = answer(request)
        return found

    listener = Listener(Starlette(routes=[Route("/sample", route)]), "127.0.0.1", 0)
    await listener.start()
    key = Integration(key="machining", system=System.EQUIPMENT, deadline_seconds=5)
    api = Api(key, Services(clock=FakeClock()), base_url=f"http://127.0.0.1:{listener.port}", explain=explain)
    try:
        yield api
    finally:
        await api.aclose()
        await listener.stop()


async def told(api: Api, *, silence: float = 5, largest: int = 10_000) -> list[Part]:
    return [each async for each in parts(api, "/sample", silence_seconds=silence, largest=largest)]


def multipart(*pieces: bytes, boundary: str = "xyz", hold: asyncio.Event | None = None) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(0)
        if hold is not None:
            await hold.wait()

    return StreamingResponse(body(), headers={"content-type": f'multipart/mixed; boundary="{boundary}"'})


def _whole_sample() -> tuple[str, bytes]:
    """The recording. Its host name was made neutral after the lengths were counted, and is three letters longer."""
    content = (SAMPLES / "mtconnect-stream.txt").read_bytes().replace(b"\r\n", b"\n")
    content = content.replace(b'sender="agent"', b'sender="ag"')
    head, _, body = content.partition(b"\n\n")
    return head.decode().partition("boundary=")[2].splitlines()[0], body


@pytest.mark.parametrize("size", [7, 1_000, 100_000])
async def test_the_recorded_stream_in_pieces_of_any_size(size: int) -> None:
    boundary, body = _whole_sample()
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    async with serving(lambda _: multipart(*pieces, boundary=boundary)) as api:
        found = [document(each.body) for each in await told(api)]
    streams = [each for each in found if isinstance(each, wire.Streams)]
    assert len(streams) == len(found) == body.count(b"--" + boundary.encode())
    sequences = [sorted(each.sequence for each in one.observations) for one in streams]
    header = streams[0].header
    assert (header.first_sequence, header.last_sequence, header.next_sequence) == (79, 142, 143)
    assert sequences[0] == [*range(81, 135, 3), 135, 142], "one axis was asked for"
    assert [each for one in sequences[1:] for each in one] == [143, 144, 146, 147, 148]


async def test_parts_without_a_length_end_at_the_next_boundary() -> None:
    body = b"--xyz\r\nContent-type: text/xml\r\n\r\n<a/>\r\n--xyz\r\n\r\n<b/>\r\n--xyz--\r\nrest"
    async with serving(lambda _: multipart(body)) as api:
        assert [each.body for each in await told(api)] == [b"<a/>", b"<b/>"]


async def test_one_document_is_a_part_that_is_whole() -> None:
    async with serving(lambda _: Response(b"<a/>", media_type="text/xml")) as api:
        (part,) = await told(api)
    assert (part.body, part.whole) == (b"<a/>", True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"--xyz\r\nContent-length: 10001\r\n\r\n", "a part of 10001 bytes is longer than 10000"),
        (b"--xyz\r\n\r\n" + b"x" * 10_100, "a part is longer than 10000 bytes"),
        (b"--xyz\r\nA: " + b"x" * 20_000, "the head of a part is longer than"),
        (b"y" * 20_000, "has no boundary where one belongs"),
    ],
)
async def test_what_is_too_long_is_refused(body: bytes, message: str) -> None:
    async with serving(lambda _: multipart(body)) as api:
        with pytest.raises(BadPayload, match=message):
            await told(api)


async def test_silence_is_a_dead_stream() -> None:
    hold = asyncio.Event()
    async with serving(lambda _: multipart(b"--xyz\r\n\r\n<a/>\r\n--xyz\r\n", hold=hold)) as api:
        with pytest.raises(TimedOut, match=r"silent for 0\.1 s"):
            await told(api, silence=0.1)
        hold.set()


async def test_a_part_that_breaks_off_is_an_outage() -> None:
    async with serving(lambda _: multipart(b"--xyz\r\nContent-length: 100\r\n\r\n<a")) as api:
        with pytest.raises(VendorDown, match="broke off within a part"):
            await told(api)


async def test_errors_are_explained() -> None:
    error = (SAMPLES / "mtconnect-error-from-too-large.txt").read_bytes().replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]
    async with serving(lambda _: Response(error, 400, media_type="text/xml")) as api:
        with pytest.raises(Conflict, match="must be less than 144") as caught:
            await told(api)
    assert caught.value.vendor_code == "OUT_OF_RANGE"
    async with serving(lambda _: Response(b"", 503)) as api:
        with pytest.raises(VendorDown, match="answered 503"):
            await told(api)


async def test_no_connection_is_an_outage() -> None:
    key = Integration(key="machining", system=System.EQUIPMENT, deadline_seconds=5)
    api = Api(key, Services(clock=FakeClock()), base_url="http://127.0.0.1:9")
    with pytest.raises(VendorDown, match="cannot connect"):
        await told(api)
    await api.aclose()


async def test_over_a_transport_of_the_tests_too() -> None:
    app = Starlette(routes=[Route("/sample", lambda _: multipart(b"--xyz\r\n\r\n<a/>\r\n--xyz--"))])
    key = Integration(key="machining", system=System.EQUIPMENT)
    api = Api(key, Services(transport=httpx.ASGITransport(app=app), clock=FakeClock()), base_url="http://agent")
    assert [each.body for each in await told(api)] == [b"<a/>"]
    await api.aclose()
