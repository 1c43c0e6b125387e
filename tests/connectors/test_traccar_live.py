"""The Traccar socket over a real connection on this machine: first frame, news, gaps, log-ins."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from connectors.kit.errors import AuthFailed
from connectors.kit.integration import Integration, Secret
from connectors.kit.protocols import Raw
from connectors.kit.services import Services
from connectors.traccar import Traccar
from connectors.traccar.live import Cutter
from sandbox import traccar
from sandbox.serving import Listener
from sandbox.standin import Failure
from sandbox.world import Vehicle, World
from tests.connectors.contract import NOW, FakeClock, Lines
from unified.events import Changed, Happened
from unified.queries import ListQuery, VehicleFilter
from unified.records import Connectivity
from unified.values import System

SESSION = {"email": Secret(traccar.EMAIL), "password": Secret(traccar.PASSWORD)}
BASIC = {"username": Secret(traccar.EMAIL), "password": Secret(traccar.PASSWORD)}
TOKEN = {"token": Secret(traccar.TOKEN)}


class Live:
    """A connector, its stand-in behind a port, and the stream between them."""

    def __init__(self) -> None:
        self.clock, self.log = FakeClock(), Lines()
        self.world = World(self.clock.now)
        self.vendor = traccar.create(self.world, keepalive_s=1e9)
        self.listener = Listener(self.vendor.app, "127.0.0.1", 0)
        self.opened: list[contextlib.AsyncExitStack] = []

    def connector(self, **more: Any) -> Traccar:
        facts: dict[str, Any] = {
            "key": "traccar",
            "system": System.TRACCAR,
            "base_url": f"http://127.0.0.1:{self.listener.port}",
            "credentials": SESSION,
        }
        services = Services(clock=self.clock, log=self.log)
        return Traccar(Integration(**facts | more), services)

    def vehicle(self, *, moving: bool = True) -> Vehicle:
        """One that reports in two seconds."""
        return next(each for each in self.world.vehicles if each.state_at(NOW).motion is moving)

    def pass_seconds(self, seconds: float) -> None:
        self.clock.passed += seconds
        self.vendor.push.look()


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    made = Live()
    await made.listener.start()
    yield made
    await made.listener.stop()


@contextlib.asynccontextmanager
async def listening(connector: Traccar) -> AsyncIterator[AsyncIterator[Raw]]:
    stream = connector.stream()
    try:
        async with asyncio.timeout(20):
            yield stream
    finally:
        await stream.aclose()  # type: ignore[attr-defined]
        await connector.aclose()


async def take(stream: AsyncIterator[Raw], count: int) -> list[Raw]:
    return [await anext(stream) for _ in range(count)]


@pytest.mark.parametrize(("credentials", "logins"), [(SESSION, 1), (BASIC, 1), (TOKEN, 0)])
async def test_the_first_frame_is_every_last_position(live: Live, credentials: dict[str, Secret], logins: int) -> None:
    connector = live.connector(credentials=credentials)
    async with listening(connector) as stream:
        raws = await take(stream, 48)
        expected = {
            f"position:{live.vendor.fleet.position_id(each, live.vendor.fleet.latest(each, NOW).at)}"
            for each in live.world.vehicles
        }
        assert {each.delivery_id for each in raws} == expected
        (event,) = await connector.events(raws[0])
        assert isinstance(event, Changed)
        assert event.record.plate == live.world.vehicles[0].uber_plate  # type: ignore[attr-defined]
        for raw in raws[1:]:
            assert len(await connector.events(raw)) == 1
        assert live.vendor.logins == logins
        assert live.vendor.faults.calls[("GET", "/api/devices")] == 1
        assert live.vendor.faults.calls[("GET", "/api/positions")] == 0


async def test_a_position_is_placed_by_its_fix_and_its_id(live: Live) -> None:
    connector = live.connector()
    async with listening(connector) as stream:
        await take(stream, 48)
        live.pass_seconds(3)
        vehicle = live.vehicle()
        while True:
            raw = await anext(stream)
            found = await connector.events(raw)
            if raw.delivery_id.startswith("position:") and found[0].record.source.external_id == str(  # type: ignore[union-attr]
                vehicle.traccar_id
            ):
                break
        (event,) = found
        assert isinstance(event, Changed)
        at = event.record.position.recorded_at  # type: ignore[attr-defined]
        assert event.occurred_at == at
        assert at >= NOW
        assert event.sequence == live.vendor.fleet.position_id(vehicle, at)


async def test_keep_alive_says_nothing_and_polls_rest_while_the_socket_is_open(live: Live) -> None:
    connector = live.connector(credentials=TOKEN)
    async with listening(connector) as stream:
        await take(stream, 48)
        live.vendor.faults.calls.clear()
        await live.vendor.push.send({})
        event = {"id": 5, "type": "alarm", "deviceId": 403, "eventTime": "2026-11-25T09:30:00.000+00:00"}
        await live.vendor.push.send({"events": [{**event, "attributes": {"alarm": "sos"}}]})
        raw = await anext(stream)
        assert raw.delivery_id == "event:5"
        (happened,) = await connector.events(raw)
        assert isinstance(happened, Happened)
        assert happened.occurred_at == NOW
        assert happened.what.details == {"alarm": "sos", "eventId": "5"}  # type: ignore[union-attr]
        assert (await connector.poll("before")).cursor == "before"
        assert live.vendor.faults.total_calls() == 0
    other = live.connector(credentials=TOKEN)
    assert len((await other.poll(None)).raws) == 96
    await other.aclose()


async def test_devices_that_say_nothing_new_are_left_out(live: Live) -> None:
    connector = live.connector(credentials=TOKEN)
    vehicle = live.world.trucks[0]
    async with listening(connector) as stream:
        for raw in await take(stream, 48):
            await connector.events(raw)
        device = live.vendor.fleet.device(vehicle, NOW)
        for status, update in (("online", "09:30:01"), ("online", "09:30:02"), ("offline", "09:30:02")):
            told = {**device, "status": status, "lastUpdate": f"2026-11-25T{update}Z"}
            await live.vendor.push.send({"devices": [told]})
        await live.vendor.push.send({"positions": [live.vendor.fleet.position(vehicle, vehicle.state_at(NOW))]})
        raws = await take(stream, 3)
        assert [each.delivery_id.split(":")[0] for each in raws] == ["device", "device", "position"]
        (online,) = await connector.events(raws[0])
        (offline,) = await connector.events(raws[1])
        assert isinstance(online, Changed)
        assert isinstance(offline, Changed)
        assert online.record.connectivity is Connectivity.ONLINE  # type: ignore[attr-defined]
        assert offline.record.connectivity is Connectivity.OFFLINE  # type: ignore[attr-defined]
        latest = live.vendor.fleet.latest(vehicle, NOW)
        assert offline.record.position.recorded_at == latest.at  # type: ignore[attr-defined]
        # after the position that it keeps, before the next fix, however late the server's clock
        known = live.vendor.fleet.position_id(vehicle, latest.at)
        assert (latest.at, known) < (offline.occurred_at, offline.sequence)
        assert offline.occurred_at == latest.at
        (after,) = await connector.events(raws[2])
        assert isinstance(after, Changed)
        assert after.record.connectivity is Connectivity.OFFLINE  # type: ignore[attr-defined]
        assert live.vendor.faults.calls[("GET", "/api/devices")] == 1


async def test_a_device_first_heard_of_brings_its_last_position(live: Live) -> None:
    """As another process does, which works on the inbox but has no socket."""
    connector = live.connector(credentials=TOKEN)
    vehicle = live.world.trucks[0]
    frame = json.dumps({"devices": [{**live.vendor.fleet.device(vehicle, NOW), "status": "unknown"}]}).encode()
    (raw,) = Cutter(NOW).cut(frame, NOW)
    (event,) = await connector.events(raw)
    assert isinstance(event, Changed)
    assert event.record.connectivity is Connectivity.UNKNOWN  # type: ignore[attr-defined]
    assert event.record.position is not None  # type: ignore[attr-defined]
    await connector.events(raw)
    assert live.vendor.faults.calls == {("GET", "/api/devices"): 1, ("GET", "/api/positions"): 1}
    await connector.aclose()


async def test_a_gap_is_filled_before_the_news(live: Live) -> None:
    connector = live.connector(credentials=TOKEN)
    async with listening(connector) as stream:
        await take(stream, 48)
        vehicle, fleet = live.vehicle(), live.vendor.fleet
        live.clock.passed += 30
        missed = [f"position:{each['id']}" for each in fleet.route(vehicle, NOW, live.clock.now())]
        assert len(missed) >= 10
        events = {
            f"event:{each['id']}" for one in live.world.vehicles for each in fleet.events(one, NOW, live.clock.now())
        }
        live.vendor.faults.close_sockets()
        found: list[str] = []
        while not (set(missed) | events) <= set(found):
            found.append((await anext(stream)).delivery_id)
        assert [each for each in found if each in missed] == missed
        assert live.vendor.faults.calls[("GET", "/api/reports/route")] == 1
        assert live.vendor.faults.calls[("GET", "/api/reports/events")] == 1
        assert live.vendor.faults.calls[("GET", "/api/devices")] == 1
        query = next(each.query for each in live.vendor.faults.recent if each.path == "/api/reports/events")
        assert query.count("deviceId=") == 48
        told = parse_qs(query)
        assert told["type"] == ["allEvents"]
        assert told["from"] == ["2026-11-25T09:29:00.000Z"]  # a minute before the last seen time
        assert told["to"][0].startswith("2026-11-25T09:31:3")  # a minute after now, which the pause has moved
        assert live.log.events == ["vendor.socket_reopened"]
        await take(stream, 48)  # the first frame of the new connection


async def test_a_gap_is_bounded_and_its_failure_ends_nothing(live: Live) -> None:
    connector = live.connector(credentials=TOKEN, settings={"gap_minutes": 1})
    async with listening(connector) as stream:
        await take(stream, 48)
        live.clock.passed += 7200
        trace = "java.lang.IllegalArgumentException: Time period exceeds the limit\n\tat x"
        live.vendor.faults.fail_next.append(Failure(400, body=trace, path="/reports/route"))
        live.vendor.faults.close_sockets()
        ids = [(await anext(stream)).delivery_id for _ in range(48)]
        assert any(each.startswith("position:") for each in ids)
        query = next(each.query for each in live.vendor.faults.recent if each.path == "/api/reports/events")
        start = query.rpartition("from=")[2].partition("&")[0]
        assert start.startswith("2026-11-25T11%3A29%3A")
        (fault,) = [values for event, values in live.log.lines if event == "vendor.gap_not_filled"]
        assert str(fault["error"]).endswith("(IllegalArgumentException): Time period exceeds the limit")


async def test_nonsense_on_the_socket_is_told_and_passed_over(live: Live) -> None:
    connector = live.connector(credentials=TOKEN)
    async with listening(connector) as stream:
        await take(stream, 48)
        await live.vendor.push.send({"events": {"id": 7}})
        await live.vendor.push.send(
            {"events": [{"id": 8, "type": "x", "deviceId": 1, "eventTime": "2026-01-01T00:00:00Z"}]}
        )
        assert (await anext(stream)).delivery_id == "event:8"
        assert live.log.events.count("vendor.bad_frame") == 1


async def test_an_expired_session_is_renewed_for_the_socket(live: Live) -> None:
    connector = live.connector()
    async with listening(connector) as stream:
        await take(stream, 48)
        live.vendor.faults.expire_sessions()
        live.vendor.faults.close_sockets()
        await take(stream, 48)
        assert live.vendor.logins == 2


async def test_an_old_server_that_takes_no_token_gets_a_session_made_from_it(live: Live) -> None:
    live.vendor.faults.fail_next.append(Failure(503, path="/api/socket"))
    connector = live.connector(credentials=TOKEN)
    async with listening(connector) as stream:
        await take(stream, 48)
        assert live.vendor.logins == 1
        sockets = [each for each in live.vendor.faults.recent if each.path == "/api/socket"]
        assert ["token=" in each.query for each in sockets] == [True, False]
        assert all(traccar.TOKEN not in str(values) for _, values in live.log.lines)


@pytest.mark.parametrize(
    "credentials", [{"token": Secret("wrong")}, {"email": Secret(traccar.EMAIL), "password": Secret("wrong")}]
)
async def test_refused_credentials_end_the_stream(live: Live, credentials: dict[str, Secret]) -> None:
    connector = live.connector(credentials=credentials)
    async with listening(connector) as stream:
        with pytest.raises(AuthFailed):
            await anext(stream)


async def test_a_list_over_a_real_connection(live: Live) -> None:
    connector = live.connector()
    page = await connector.list_vehicles(ListQuery(filter=VehicleFilter()), None)
    assert len(page.records) == 48
    await connector.aclose()
