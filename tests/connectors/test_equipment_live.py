"""The push sockets of many printers, over real sockets on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from connectors.equipment import CONNECTOR, EquipmentConnector
from connectors.equipment.driver import MACHINE_HEADER
from connectors.kit.errors import AuthFailed
from connectors.kit.protocols import Raw
from connectors.kit.services import Services
from sandbox.octoprint import OctoPrint, create
from sandbox.registry import application
from sandbox.serving import Listener
from sandbox.world import World
from tests.connectors.contract import NOW, FakeClock, Lines
from tests.connectors.test_equipment import integration
from unified.events import Changed
from unified.records import Equipment, EquipmentState

pytestmark = pytest.mark.timeout(30)


@dataclass
class Hands:
    """The world's clock, moved by hand."""

    now: datetime = NOW


@dataclass
class Floor:
    """Some printers on one port, and the events of a connector's stream."""

    connector: EquipmentConnector
    printers: dict[str, OctoPrint]
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
        assert event.record.source.external_id == raw.payload.headers[MACHINE_HEADER]
        return event.record

    async def until(self, wanted: Callable[[Equipment], bool]) -> Equipment:
        async with asyncio.timeout(10):
            while not wanted(found := await self.next()):
                pass
        return found

    def go_on(self, seconds: float) -> None:
        self.hands.now += timedelta(seconds=seconds)
        for printer in self.printers.values():
            printer.push.look()


@pytest.fixture
async def floor(request: pytest.FixtureRequest) -> AsyncIterator[Floor]:
    wanted: tuple[str, ...] = getattr(request, "param", ("printer-1",))
    hands, log = Hands(), Lines()
    printers = [each for each in create(World(lambda: hands.now)) if each.printer.id in wanted]
    listener = Listener(application(printers), "127.0.0.1", 0)
    await listener.start()
    connector = CONNECTOR(
        integration(printers, lambda each: f"http://127.0.0.1:{listener.port}/{each.name}"),
        Services(clock=FakeClock(), log=log),
    )
    stream = connector.stream()
    try:
        async with contextlib.aclosing(stream):  # type: ignore[type-var]
            yield Floor(connector, {each.printer.id: each for each in printers}, hands, log, stream)
    finally:
        await connector.aclose()
        for printer in printers:
            printer.faults.close_sockets()
        await listener.stop()


async def _soon(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_first_comes_the_whole_state(floor: Floor) -> None:
    found = await floor.next()
    assert (found.state, found.source.vendor_status) == (EquipmentState.RUNNING, "Printing")
    assert found.software == "OctoPrint 1.11.8"
    assert found.job is not None
    assert (found.job.progress, found.job.item_number) == (0.9195, "PRT-14420")
    assert [each.sensor for each in found.sensors] == ["tool0", "bed"]
    assert all(each.recorded_at == NOW for each in found.sensors)
    assert found.updated_at == NOW
    assert floor.printers["printer-1"].logins == 1


async def test_progress_and_the_end_of_a_job_are_told(floor: Floor) -> None:
    await floor.next()
    floor.go_on(10)
    found = await floor.next()
    assert found.job is not None
    assert (found.job.elapsed_seconds, found.job.remaining_seconds) == (764, 56)
    floor.go_on(60)
    ended = await floor.next()
    assert (ended.state, ended.source.vendor_status) == (EquipmentState.IDLE, "Operational")
    assert ended.job is not None
    assert ended.job.elapsed_seconds == 764, "the event says the state only; the rest is what was known"
    assert ended.sensors == found.sensors
    after = await floor.next()
    assert after.job is not None
    assert (after.state, after.job.progress, after.job.remaining_seconds) == (EquipmentState.IDLE, 1.0, 0)


async def test_every_raw_has_an_id_of_its_own_and_is_whole(floor: Floor) -> None:
    await floor.next()
    for _ in range(3):
        floor.go_on(2)
        await floor.next()
    assert len({raw.delivery_id for raw in floor.raws}) == 4
    assert {raw.decoder for raw in floor.raws} == {"octoprint-push"}
    (again,) = await floor.connector.events(floor.raws[0])
    assert isinstance(again, Changed)
    assert isinstance(again.record, Equipment)
    assert again.record.job is not None
    assert again.record.job.progress == 0.9195


async def test_without_temperatures_the_last_ones_are_kept(floor: Floor) -> None:
    first = await floor.next()
    floor.go_on(1)  # the printer reports temperatures every two seconds
    second = await floor.next()
    assert second.job != first.job
    assert second.sensors == first.sensors


async def test_reauthentication_is_answered_on_the_same_socket(floor: Floor) -> None:
    printer = floor.printers["printer-1"]
    await floor.next()
    printer.faults.expire_sessions()
    await _soon(lambda: printer.logins == 2)
    floor.go_on(10)
    found = await floor.next()
    assert found.job is not None
    assert found.job.elapsed_seconds == 764
    assert printer.logins == 2
    assert printer.faults.calls[("WEBSOCKET", "/sockjs/websocket")] == 1


async def test_sessions_that_never_hold_end_the_socket(floor: Floor) -> None:
    """Three log-ins in a row that bring nothing: the socket is closed and made anew."""
    printer = floor.printers["printer-1"]
    await floor.next()
    real, refusals = printer.new_session, 5

    def useless(user: str) -> str:
        nonlocal refusals
        session = real(user)
        if refusals:
            refusals -= 1
            printer.sessions.pop(session)
        return session

    printer.new_session = useless  # type: ignore[method-assign]
    printer.faults.expire_sessions()
    floor.go_on(10)
    found = await floor.until(lambda each: each.job is not None and each.job.elapsed_seconds == 764)
    assert found.state is EquipmentState.RUNNING
    assert printer.faults.calls[("WEBSOCKET", "/sockjs/websocket")] == 2


async def test_a_key_that_is_revoked_is_told_and_raised(floor: Floor) -> None:
    printer = floor.printers["printer-1"]
    await floor.next()
    printer.revoked = True
    printer.faults.expire_sessions()
    told = await floor.next()
    assert told.source.stale
    assert told.error_message is not None
    assert "auth failed" in told.error_message
    with pytest.raises(AuthFailed, match="auth failed"):
        await floor.next()
    assert printer.printer.api_key not in repr(floor.log.lines)


@pytest.mark.parametrize("floor", [("printer-1", "printer-2")], indirect=True)
async def test_one_refused_key_does_not_end_the_others(floor: Floor) -> None:
    first, second = await floor.next(), await floor.next()
    assert {first.source.external_id, second.source.external_id} == {"printer-1", "printer-2"}
    floor.printers["printer-1"].revoked = True
    floor.printers["printer-1"].faults.expire_sessions()
    await floor.until(lambda each: each.source.external_id == "printer-1" and each.error_message is not None)
    floor.go_on(5)
    found = await floor.until(lambda each: each.source.external_id == "printer-2")
    assert found.state is EquipmentState.RUNNING
    assert "equipment.push_refused" in floor.log.events


async def test_after_a_break_the_gap_is_filled(floor: Floor) -> None:
    printer = floor.printers["printer-1"]
    await floor.next()
    floor.hands.now += timedelta(seconds=70)
    printer.faults.close_sockets()
    found = await floor.next()
    assert found.state is EquipmentState.IDLE
    assert printer.logins == 2
    assert floor.log.lines == [
        (
            "vendor.socket_reopened",
            {"integration": "workshop", "machine": "printer-1", "reason": "closed with code 1012"},
        )
    ]


async def test_an_outage_is_told_once_and_its_end(floor: Floor) -> None:
    printer = floor.printers["printer-1"]
    before = await floor.next()
    printer.faults.down = True
    gone = await floor.next()
    assert gone.state is EquipmentState.OFFLINE
    assert gone.error_message is not None
    assert "answered 503, down" in gone.error_message
    assert (gone.job, gone.sensors) == (before.job, before.sensors)
    assert gone.source.stale
    printer.faults.down = False
    back = await floor.next()
    assert (back.state, back.error_message, back.source.stale) == (EquipmentState.RUNNING, None, False)
    assert floor.log.events == ["vendor.unavailable", "vendor.available"], "the socket is part of it"


@pytest.mark.parametrize("floor", [("printer-8",)], indirect=True)
async def test_a_printer_that_is_off_is_told_once(floor: Floor) -> None:
    found = await floor.next()
    assert (found.state, found.job, found.sensors) == (EquipmentState.OFFLINE, None, ())
    floor.go_on(60)
    assert floor.log.events == []
    floor.printers["printer-8"].faults.close_sockets()
    assert (await floor.next()).updated_at == floor.hands.now
    assert floor.log.events == ["vendor.socket_reopened"], "what came is the next connection's history"


async def test_ending_the_stream_closes_the_socket(floor: Floor) -> None:
    await floor.next()
    assert floor.printers["printer-1"].push.connections == 1
    await floor.stream.aclose()  # type: ignore[attr-defined]
    await _soon(lambda: floor.printers["printer-1"].push.connections == 0)
