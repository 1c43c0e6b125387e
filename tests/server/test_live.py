"""Subscriptions from the vendor's wire to the client's: real servers, real sockets, clients that others wrote.

The vendors are stand-ins behind ports; time is moved by hand. `gql` speaks graphql-transport-ws.
"""

import asyncio
import contextlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport
from sqlalchemy import text

from connectors.kit.health import HealthState
from sandbox import octoprint, tak, traccar, uber
from sandbox.world import Vehicle, World
from tests.connectors.contract import NOW
from tests.server.configs import KEYS, SIGNING_KEY, STORE, TWO_ORGANISATIONS, fleet, rides
from tests.server.rig import NORTH, SOUTH, HandClock, Served, eventually, served, vendors

BASE = STORE + TWO_ORGANISATIONS + KEYS


class Heard:
    """What one subscription has brought so far."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    async def until(self, wanted: Callable[[Any], object]) -> Any:
        """The first event, of those that came and those that come, that is wanted."""
        await eventually(lambda: any(wanted(each) for each in self.events))
        return next(each for each in self.events if wanted(each))


@contextlib.asynccontextmanager
async def subscribed(server: Served, document: str, *, key: str = NORTH, **variables: Any) -> AsyncIterator[Heard]:
    """Listens with gql until it is left; `Heard` has the value of the one root field of each event."""
    transport = WebsocketsTransport(
        server.socket, init_payload={"X-API-Key": key}, subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
    )
    heard = Heard()

    async def listen() -> None:
        request = gql(document)
        request.variable_values = variables
        async with Client(transport=transport) as session:
            async for result in session.subscribe(request):
                heard.events.append(next(iter(result.values())))

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        [ended] = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


# --- Traccar's socket


class Road:
    """A fleet whose clock is ours."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.world = World(self.clock.now)
        self.vendor = traccar.create(self.world, keepalive_s=1e9)

    def moving(self) -> Vehicle:
        return next(each for each in self.world.vehicles if each.state_at(NOW).motion)

    def go_on(self, seconds: float) -> None:
        """Second by second, as the road does."""
        for _ in range(round(seconds)):
            self.clock.go_on(1)
            self.vendor.push.look()

    def fixes(self, vehicle: Vehicle, until: datetime) -> list["Fix"]:
        """All that a vehicle has reported since the world began to be looked at."""
        return [
            Fix(each["id"], datetime.fromisoformat(each["fixTime"]).strftime("%Y-%m-%dT%H:%M:%SZ"))
            for each in self.vendor.fleet.route(vehicle, NOW, until)
        ]


class Fix(NamedTuple):
    """A position as the vendor numbers it and as the graph spells its time."""

    id: int
    at: str


async def accepted(server: Served) -> dict[str, str]:
    """All deliveries that were ever kept, with what became of them."""
    async with server.parts.database.reading() as connection:
        rows = (await connection.execute(text("SELECT delivery_id, status FROM inbox"))).all()
    found = {row[0]: row[1] for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture
async def road(tmp_path: Path) -> AsyncIterator[tuple[Road, Served]]:
    made = Road()
    async with vendors(made.vendor) as url:
        config = BASE + fleet(f"{url}/traccar")
        async with served(config, tmp_path, clock=made.clock) as server:
            await eventually(lambda: made.vendor.push.connections)
            await eventually(lambda: server.number("crossdock_events_ingested_total", integration="fleet") >= 48)
            yield made, server


FOLLOW = """
subscription ($filter: VehicleFilter) {
  vehicleChanged(filter: $filter) { id name source { integration externalId } position { recordedAt } }
}
"""


def of(vehicle: Vehicle) -> Callable[[Any], bool]:
    return lambda event: event["source"]["externalId"] == str(vehicle.traccar_id)


async def test_what_is_comes_at_once_and_then_every_change(road: tuple[Road, Served]) -> None:
    made, server = road
    async with subscribed(server, FOLLOW) as heard:
        await eventually(lambda: len({each["id"] for each in heard.events}) == 48)
        vehicle = made.moving()
        before = len(heard.events)
        made.go_on(3)
        await eventually(lambda: any(of(vehicle)(each) for each in heard.events[before:]))
        assert {each["source"]["integration"] for each in heard.events} == {"fleet"}


async def test_only_what_the_filter_asks_for_comes(road: tuple[Road, Served]) -> None:
    made, server = road
    first, second = [each for each in made.world.vehicles if each.state_at(NOW).motion][:2]
    listing = await server.data("{ vehicles { nodes { id source { externalId } } } }", **{"X-API-Key": NORTH})
    ids = {each["source"]["externalId"]: each["id"] for each in listing["vehicles"]["nodes"]}
    state = first.state_at(NOW)
    box = {
        "west": state.longitude - 0.05, "east": state.longitude + 0.05,
        "south": state.latitude - 0.05, "north": state.latitude + 0.05,
    }  # fmt: skip
    by_id = {"ids": [ids[str(second.traccar_id)]]}
    async with (
        subscribed(server, FOLLOW, filter=by_id) as one,
        subscribed(server, FOLLOW, filter={"within": box}) as near,
        subscribed(server, FOLLOW, filter={"search": first.traccar_name}) as named,
    ):
        for heard, vehicle in ((one, second), (near, first), (named, first)):
            await heard.until(of(vehicle))
        made.go_on(4)
        for heard, vehicle in ((one, second), (near, first), (named, first)):
            await eventually(lambda heard=heard, vehicle=vehicle: len([*filter(of(vehicle), heard.events)]) > 1)
        assert {each["source"]["externalId"] for each in one.events} == {str(second.traccar_id)}
        assert {each["source"]["externalId"] for each in named.events} == {str(first.traccar_id)}


async def test_a_vendor_that_goes_down_and_comes_back_loses_nothing_and_repeats_nothing(
    road: tuple[Road, Served],
) -> None:
    made, server = road
    vehicle = made.moving()
    async with subscribed(server, FOLLOW, filter={"search": vehicle.traccar_name}) as heard:
        await heard.until(of(vehicle))
        before = len(heard.events)
        made.go_on(6)
        await eventually(lambda: len(heard.events) > before)
        made.vendor.faults.down = True
        await eventually(lambda: not made.vendor.push.connections)
        made.go_on(20)  # nobody hears what it reports meanwhile; the way to it is given up
        connector = server.parts.organisations["north"].handles["fleet"].connector
        asking = [
            asyncio.create_task(server.ask("{ vehicles { nodes { id } } }", **{"X-API-Key": NORTH})) for _ in range(3)
        ]
        while connector.health().state is not HealthState.LEFT_ALONE or not all(each.done() for each in asking):
            made.go_on(1)
            await asyncio.sleep(0.01)
        made.vendor.faults.down = False
        while not made.vendor.push.connections:
            made.go_on(1)
            await asyncio.sleep(0.01)
        made.go_on(6)
        fixes = made.fixes(vehicle, made.clock.now() - timedelta(seconds=1))
        await heard.until(lambda event: event["position"]["recordedAt"] == fixes[-1].at)
        times = [each["position"]["recordedAt"] for each in heard.events]
        assert times == sorted(set(times)), "in order, and nothing twice"
    # what lay in the gap came in, once; of what comes in at once, subscribers see the newest
    while "pending" in (deliveries := await accepted(server)).values():  # what came just before the outage waits for it
        made.clock.go_on(1)
        await asyncio.sleep(0.01)
    assert [deliveries[f"position:{each.id}"] for each in fixes] == ["done"] * len(fixes)
    assert len(fixes) > 10
    assert [each for each in server.log.events if each.startswith("vendor.")] == [
        "vendor.unavailable",
        "vendor.available",
    ], "the socket is part of the outage"
    assert "vendor.gap_not_filled" not in server.log.events


async def test_two_organisations_hear_nothing_of_each_other(tmp_path: Path) -> None:
    made = Road()
    async with vendors(made.vendor) as url:
        config = BASE + fleet(f"{url}/traccar") + fleet(f"{url}/traccar", key="cars", organisation="south")
        async with (
            served(config, tmp_path, clock=made.clock) as server,
            subscribed(server, FOLLOW) as north,
            subscribed(server, FOLLOW, key=SOUTH) as south,
        ):
            for heard in (north, south):
                await eventually(lambda heard=heard: len({each["id"] for each in heard.events}) == 48)
            made.go_on(3)
            vehicle = made.moving()
            for heard in (north, south):
                await eventually(lambda heard=heard: len([*filter(of(vehicle), heard.events)]) > 1)
            assert {each["source"]["integration"] for each in north.events} == {"fleet"}
            assert {each["source"]["integration"] for each in south.events} == {"cars"}
            assert not {each["id"] for each in north.events} & {each["id"] for each in south.events}


async def test_a_forwarded_position_is_told_by_its_address(road: tuple[Road, Served]) -> None:
    """Traccar's `forward.type = url`: a GET whose query is the position."""
    made, server = road
    vehicle = made.moving()
    fix = round((NOW + timedelta(minutes=5)).timestamp() * 1000)
    query = f"deviceId={vehicle.traccar_id}&fixTime={fix}&latitude=6.5&longitude=3.4&speed=10&valid=true"
    async with subscribed(server, FOLLOW, filter={"search": vehicle.traccar_name}) as heard:
        await heard.until(of(vehicle))
        refused = await server.http.get(f"/webhooks/fleet?{query}")
        assert refused.status_code == 401
        assert refused.json()["errors"][0]["extensions"] == {"code": "ERR_WEBHOOK_SIGNATURE"}
        answer = await server.http.get(f"/webhooks/fleet?{query}", headers={"X-Crossdock-Secret": "forwarded"})
        assert (answer.status_code, answer.content) == (200, b"")
        await heard.until(lambda event: event["position"]["recordedAt"] == "2026-11-25T09:35:00Z")


# --- Uber's webhooks

BOOKINGS = "subscription { bookingChanged { id status source { integration externalId } } }"


def notice(trip_id: str, event_id: str, key: str = SIGNING_KEY, **more: Any) -> dict[str, Any]:
    """Body and headers of a signed webhook."""
    told = {
        "event_id": event_id,
        "event_time": int(NOW.timestamp()),
        "event_type": "guests.trips.status_changed",
        "meta": {"resource_id": trip_id, "status": "accepted"},
        "resource_href": f"https://api.uber.com/v1/guests/trips/{trip_id}",
        **more,
    }
    body = json.dumps(told).encode()
    signature = hmac.new(key.encode(), body, "sha256").hexdigest()
    return {"content": body, "headers": {"X-Uber-Signature": signature, "Content-Type": "application/json"}}


def trip_in(world: World, status: str) -> str:
    return next(each.id for each in world.bookings.at(NOW) if each.state_at(NOW).status == status)


async def test_a_signed_webhook_fetches_the_booking_and_changes_it(tmp_path: Path) -> None:
    clock = HandClock()
    world = World(clock.now)
    vendor = uber.create(world)
    async with (
        vendors(vendor) as url,
        served(BASE + rides(f"{url}/uber"), tmp_path, clock=clock, live=False) as server,
        subscribed(server, BOOKINGS) as heard,
        subscribed(server, BOOKINGS, key=SOUTH) as stranger,
    ):
        trip = trip_in(world, "in_progress")
        await heard.until(lambda event: event["source"]["externalId"] == trip)
        await eventually(lambda: server.number("crossdock_subscriptions_open") == 2)
        clock.go_on(3_600)  # the ride is over; nobody has said so yet
        snapshot = len(heard.events)
        for _ in range(3):  # vendors deliver at least once
            answer = await server.http.post("/webhooks/rides", **notice(trip, "e-1"))
            assert answer.status_code == 200
        changed = await heard.until(
            lambda event: event["source"]["externalId"] == trip and event["status"] == "COMPLETED"
        )
        assert changed["source"]["integration"] == "rides"
        forged = await server.http.post("/webhooks/rides", **notice(trip, "e-2", key="guessed"))
        assert forged.status_code == 401
        await server.http.post("/webhooks/rides", **notice(trip_in(world, "completed"), "e-3"))
        await eventually(lambda: len(heard.events) > snapshot + 1)
        assert [each["source"]["externalId"] for each in heard.events[snapshot:]].count(trip) == 1
        assert stranger.events == []
        assert [values["integration"] for values in server.log.of("webhook.refused")] == ["rides"]


# --- OctoPrint's push socket


async def test_a_printers_push_is_a_change_of_equipment(tmp_path: Path) -> None:
    clock = HandClock()
    printer = next(each for each in octoprint.create(World(clock.now)) if each.printer.id == "printer-1")
    async with vendors(printer) as url:
        config = f"""{BASE}
[[integrations]]
key = "workshop"
system = "equipment"
organisation = "north"
[integrations.credentials]
printer_1 = "65BC6FC1441356905DD85B9668AF8B03"
[integrations.settings]
machines = [
  {{ id = "printer-1", name = "Amber", model = "Prusa", url = "{url}/{printer.name}", api_key = "printer_1" }},
]
"""
        document = "subscription { equipmentChanged { name state job { progress } } }"
        async with served(config, tmp_path, clock=clock) as server, subscribed(server, document) as heard:
            first = await heard.until(lambda event: event["name"] == "Amber")
            assert first["state"] == "RUNNING"
            await eventually(lambda: printer.push.connections)
            progress = first["job"]["progress"]
            for _ in range(120):
                clock.go_on(1)
                printer.push.look()
                await asyncio.sleep(0.002)
            await heard.until(lambda event: event["job"] and event["job"]["progress"] > progress)


# --- the TAK stream


async def test_a_notice_on_the_tak_stream_is_a_change_of_its_mission(tmp_path: Path) -> None:
    clock = HandClock()
    world = World(clock.now)
    vendor = tak.create(world, rest_port=0, stream_port=0, state_dir=tmp_path / "tak", tick_s=0.02)
    async with vendors(vendor):
        files = vendor.files
        assert files is not None
        rest, stream = vendor.addresses
        config = f"""{BASE}
[[integrations]]
key = "tak"
system = "c4isr"
organisation = "north"
base_url = "{rest}"
[integrations.credentials]
mission_password = "sandbox-mission"
[integrations.settings]
client_certificate_file = "{files.client}"
client_key_file = "{files.client_key}"
ca_file = "{files.ca}"
stream_url = "{stream}"
"""
        document = "subscription { missionChanged { name changes { changeType at } } }"
        async with served(config, tmp_path, clock=clock) as server, subscribed(server, document) as heard:
            await eventually(lambda: len({each["name"] for each in heard.events}) == len(world.missions))
            await eventually(lambda: vendor.stream.clients)
            before = len(heard.events)
            while len(heard.events) == before:  # until something happens in some mission
                clock.go_on(30)
                await asyncio.sleep(0.03)
            assert heard.events[-1]["name"] in {each.name for each in world.missions}


# --- fresh loads


async def test_each_operation_and_each_event_of_one_socket_sees_the_world_as_it_is_then(
    road: tuple[Road, Served],
) -> None:
    """One context per socket would answer all of them from the first load."""
    made, server = road
    vehicle = made.moving()
    calls = made.vendor.faults.calls
    transport = WebsocketsTransport(
        server.socket, init_payload={"X-API-Key": NORTH}, subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
    )
    async with Client(transport=transport) as session:
        listing = await session.execute(gql("{ vehicles { nodes { id source { externalId } } } }"))
        id_ = next(each["id"] for each in listing["vehicles"]["nodes"] if of(vehicle)(each))
        times = []
        for _ in range(3):
            made.clock.go_on(10)
            found = await session.execute(gql(f'{{ vehicle(id: "{id_}") {{ position {{ recordedAt }} }} }}'))
            times.append(found["vehicle"]["position"]["recordedAt"])
        assert len(set(times)) == 3
        assert calls[("GET", "/api/positions")] >= 4
