"""Trackers: the contract as far as it fits, lists, joins, settings, sessions."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from connectors.gt02 import CONNECTOR, Trackers
from connectors.gt02.frames import answer, frames
from connectors.gt02.session import Session
from connectors.kit.errors import BadRequest
from connectors.kit.integration import Integration, Secret
from connectors.kit.protocols import Confirming, Connector, EventStream, IdentitySource, Poller, Remembering
from connectors.kit.services import Services
from connectors.traccar import Traccar
from runtime.settings import IntegrationSettings, load
from sandbox import gt02 as standin
from sandbox import traccar
from sandbox.gt02 import frames as device
from sandbox.world import World
from server.wiring import ConfigurationFault
from server.wiring import integration as wired
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock
from tests.connectors.gt02_rig import IMEI, Rig, integration, registered
from unified import ids
from unified.keys import Subject, canonical
from unified.queries import ListQuery, OrderBy, VehicleFilter
from unified.records import Kind, VehicleState
from unified.values import BoundingBox, System

CALLS_US = "trackers call us: no answer of a vendor is waited for, so none can fail"


class TestTrackers(ConnectorContract):
    system = System.GT02
    kinds = frozenset({Kind.VEHICLE})
    expires = False
    request_id_header = None

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        services, clock, log = self.services(None)
        world = World(clock.now)
        connector = Trackers(integration(devices=registered(world)), services)
        yield Bench(connector, standin.create(world).faults, clock, log, ())
        await connector.aclose()

    async def read_one(self, connector: Any) -> object:
        return await connector.list_vehicles(ListQuery(filter=VehicleFilter()), None)

    @pytest.mark.skip(reason=CALLS_US)
    async def test_an_outage_is_down_with_the_vendors_request_id(self, bench: Bench, status: int) -> None: ...

    @pytest.mark.skip(reason=CALLS_US)
    async def test_after_one_hiccup_the_read_succeeds(self, bench: Bench) -> None: ...

    @pytest.mark.skip(reason=CALLS_US)
    async def test_429_waits_as_told(self, bench: Bench) -> None: ...

    @pytest.mark.skip(reason=CALLS_US)
    async def test_429_that_asks_too_long_is_rate_limited(self, bench: Bench) -> None: ...

    @pytest.mark.skip(reason="what is listed is what was told last, with the time of the telling")
    async def test_the_last_good_answer_is_served_with_its_age(self, bench: Bench) -> None: ...

    @pytest.mark.skip(reason=CALLS_US)
    async def test_html_is_a_clear_error(self, bench: Bench) -> None: ...

    @pytest.mark.skip(reason=CALLS_US)
    async def test_half_a_body_is_down(self, bench: Bench) -> None: ...

    @pytest.mark.skip(reason=CALLS_US)
    async def test_wrong_types_are_an_error_with_a_path(self, bench: Bench) -> None: ...

    @pytest.mark.skip(reason=CALLS_US)
    async def test_cancelling_ends_the_call(self, bench: Bench) -> None: ...

    @pytest.mark.skip(reason="there is no secret: a tracker's only identity is its IMEI")
    async def test_no_secret_shows_in_logs_and_errors(self, bench: Bench) -> None: ...

    @pytest.mark.skip(reason=CALLS_US)
    async def test_every_failure_is_one_of_ours(self, bench: Bench) -> None: ...


def test_what_it_can_do_live() -> None:
    assert issubclass(CONNECTOR, Connector)
    connector = Trackers(integration(), Services())
    for protocol in (EventStream, Confirming, IdentitySource, Remembering):
        assert isinstance(connector, protocol)
    assert not isinstance(connector, Poller)


# --- lists


async def test_lists_filter_sort_and_page() -> None:
    world = World(lambda: NOW)
    rig = Rig(devices=registered(world))
    connector = rig.connector
    some = [each.imei for each in standin.build(world)]
    for place, imei in enumerate(some[:3]):
        rig.hear(device.gt02(0x10, imei, device.place_02(NOW, 6.0 + place, 3.0, 10.0 * place, 5.0), 8), imei)

    async def ids_of(*, limit: int = 50, order: tuple[OrderBy, ...] = (), **filters: Any) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = await connector.list_vehicles(
                ListQuery(filter=VehicleFilter(**filters), order_by=order, limit=limit), cursor
            )
            assert page.sorted is bool(order)
            assert len(page.records) <= limit
            found += [each.source.external_id for each in page.records]
            assert page.total is not None
            if page.next is None:
                assert page.total == len(found)
                return found
            cursor = page.next

    assert await ids_of() == some
    assert await ids_of(limit=7) == some
    assert await ids_of(states=(VehicleState.MOVING,)) == some[1:3]
    assert await ids_of(within=BoundingBox(south=5.5, west=2, north=7.5, east=4)) == some[:2]
    assert await ids_of(plate="BWR-135-CH") == [some[1]]
    assert await ids_of(ids=(ids.encode("Vehicle", "trackers", some[5]),)) == [some[5]]
    assert await ids_of(search="tipper 2", limit=3) == [some[1], *some[19:24]]
    assert await ids_of(order=(OrderBy("name", descending=True),), limit=5) == sorted(
        some, key=lambda imei: connector.devices[imei].name or "", reverse=True
    )
    assert (await ids_of(order=(OrderBy("plate"),)))[-1] == some[22], "nulls last, then the order of the settings"
    with pytest.raises(ValueError, match="not a cursor"):
        await connector.list_vehicles(ListQuery(filter=VehicleFilter()), "-1")
    with pytest.raises(ValueError, match="not a cursor"):
        await connector.list_vehicles(ListQuery(filter=VehicleFilter()), "9" * 30)


async def test_the_trackers_meet_the_same_trucks_in_traccar() -> None:
    """Other devices, other spellings: every tracker's number is one of the truck that it sits in."""
    world = World(lambda: NOW)
    connector = Trackers(integration(devices=registered(world)), Services(clock=FakeClock()))
    fleet = Traccar(
        Integration(
            key="fleet", system=System.TRACCAR, base_url="http://vendor", credentials={"token": Secret(traccar.TOKEN)}
        ),
        Services(transport=httpx.ASGITransport(app=traccar.create(world).app), clock=FakeClock()),
    )
    theirs = {canonical(Subject.VEHICLE, each.number): each.external_id async for each in fleet.identities()}
    await fleet.aclose()
    ours = [each async for each in connector.identities()]
    assert len(ours) == 24
    assert not {each.number for each in ours} & {truck.key for truck in world.trucks}
    assert not {each.external_id for each in ours} & {truck.imei for truck in world.trucks}
    assert [theirs[canonical(Subject.VEHICLE, each.number)] for each in ours] == [
        str(truck.traccar_id) for truck in world.trucks
    ]


# --- settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"devices": [{"imei": "35341903606606"}]}, "Expected `str` matching regex '^[0-9]{15}$'"),
        ({"devices": [{"imei": IMEI}, {"imei": IMEI}]}, f"the IMEI {IMEI} is there twice; leave one of them out"),
        (
            {"devices": [{"imei": IMEI, "zone": "Lagos"}]},
            "there is no time zone 'Lagos'; write one such as Africa/Lagos",
        ),
        ({"devices": [{"imei": IMEI, "colour": "red"}]}, "Object contains unknown field `colour`"),
        ({"host": "trackers.example"}, "'trackers.example' is no IP address; write the address to listen on"),
        ({"port": 70_000}, "Expected `int` <= 65535"),
        ({"protocols": []}, "Expected `array` of length"),
        ({"crc": "none"}, "Invalid enum value 'none'"),
    ],
)
def test_wrong_settings_say_what_to_write(settings: dict[str, Any], message: str) -> None:
    given = IntegrationSettings(key="trackers", system=System.GT02, organisation="default", settings=settings)
    with pytest.raises(ConfigurationFault) as caught:
        wired(given, load(None, {}))
    assert "integration 'trackers': " in str(caught.value)
    assert message in str(caught.value)


async def test_check_says_whether_it_can_listen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        connector = Trackers(integration(port=port), Services(clock=FakeClock()))
        assert await connector.check() == (
            f"GT02/GT06 trackers: 127.0.0.1 port {port}, 2 registered; something listens there, "
            "as the running server does"
        )
    assert await connector.check() == f"GT02/GT06 trackers: can listen on 127.0.0.1 port {port}, 2 registered"
    elsewhere = Trackers(integration(host="192.0.2.1"), Services(clock=FakeClock()))
    with pytest.raises(BadRequest) as caught:
        await elsewhere.check()
    assert caught.value.message.startswith("trackers: cannot listen on 192.0.2.1 port 5023 (")
    assert "write another `host` or `port`" in caught.value.message


def test_empty_frames_are_never_answered() -> None:
    """Devices echo our answers; to answer an echo would go on for ever."""
    session = Session(Rig().connector.devices, frozenset(("gt06",)))
    session.feed(device.login(IMEI, 1) + answer(0x12, 0x99) + answer(0x13, 7) + answer(0x8A, 6))
    login, echo, beat, clock = session.heard(datetime(2026, 11, 21, 22, 4, 52, tzinfo=UTC))
    assert [login.finding.value, echo.finding.value, beat.finding.value, clock.finding.value] == [
        "login", "passed over", "passed over", "passed over",
    ]  # fmt: skip
    assert (echo.reply, beat.reply) == (b"", b"")
    assert clock.reply == answer(0x8A, 0, bytes((26, 11, 21, 22, 4, 52)))
    assert [frame.serial for frame in frames(login.reply)] == [1]


def test_a_photo_is_taken_in_full() -> None:
    session = Session(Rig().connector.devices, frozenset(("gt06",)))
    offer = bytes(18) + (2_500).to_bytes(4, "big") + b"\x20\xe3\xac\xd3"
    session.feed(device.login(IMEI, 1) + device.gt06(0x35, offer, 2))
    _, offered = session.heard(NOW)
    assert offered.reply == answer(0x36, 0, b"\x20\xe3\xac\xd3" + bytes(4) + b"\x04\x00")
    asked = []
    for part, size in enumerate((1_024, 1_024, 452)):
        content = b"\x20\xe3\xac\xd3" + (part * 1_024).to_bytes(4, "big") + size.to_bytes(2, "big") + bytes(size)
        body = (len(content) + 5).to_bytes(2, "big") + b"\x36" + content + bytes((0, part))
        session.feed(b"yy" + body + device.checksum(body).to_bytes(2, "big") + b"\r\n")
        (heard,) = session.heard(NOW)
        asked.append(heard.reply)
    assert asked == [
        answer(0x36, 0, b"\x20\xe3\xac\xd3" + (1_024).to_bytes(4, "big") + b"\x04\x00"),
        answer(0x36, 0, b"\x20\xe3\xac\xd3" + (2_048).to_bytes(4, "big") + (452).to_bytes(2, "big")),
        b"",
    ]


async def test_many_devices_do_not_stop_the_others() -> None:
    """A filtered list of many trackers lets other work go on."""
    many = [{"imei": f"35341903{number:07d}"} for number in range(2_500)]
    connector = Trackers(integration(devices=many), Services(clock=FakeClock()))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    page = await connector.list_vehicles(ListQuery(filter=VehicleFilter(search="35341903000249"), limit=5), None)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [each.device_identifier for each in page.records] == [f"35341903000249{number}" for number in range(5)]
    assert page.total == 10
    assert turns >= 2
