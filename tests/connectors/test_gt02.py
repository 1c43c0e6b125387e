"""Trackers: the contract as far as it fits, lists, settings, and what frames make of what is known."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from connectors.gt02 import CONNECTOR, Trackers, deliveries
from connectors.gt02.frames import answer, frames
from connectors.gt02.known import Known
from connectors.gt02.session import Session
from connectors.kit.errors import BadPayload, BadRequest
from connectors.kit.integration import Integration, Secret
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Confirming, Connector, EventStream, IdentitySource, Poller, Raw, Remembering
from connectors.kit.services import NoMetrics, Services
from connectors.traccar import Traccar
from runtime.settings import IntegrationSettings, load
from sandbox import gt02 as standin
from sandbox import traccar
from sandbox.gt02 import frames as device
from sandbox.world import World
from server.wiring import ConfigurationFault
from server.wiring import integration as wired
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from unified import ids
from unified.events import Changed, Happened
from unified.keys import Subject, canonical
from unified.queries import ListQuery, OrderBy, VehicleFilter
from unified.records import Connectivity, Kind, Vehicle, VehicleEvent, VehicleState
from unified.values import BoundingBox, Position, System

IMEI, OTHER = "353419036066061", "358899058314017"
CALLS_US = "trackers call us: no answer of a vendor is waited for, so none can fail"


def integration(**settings: Any) -> Integration:
    facts = {"devices": [{"imei": IMEI, "plate": "kja 123 ab"}, {"imei": OTHER, "fleet_number": "trk 7"}]}
    return Integration(key="trackers", system=System.GT02, settings={**facts, **settings})


def registered(world: World) -> list[dict[str, str]]:
    """The device table of the sandbox's trackers."""
    return [
        {
            name: value
            for name, value in (
                ("imei", each.imei),
                ("name", each.name),
                ("fleet_number", each.fleet_number),
                ("plate", each.plate),
                ("category", "truck"),
            )
            if value is not None
        }
        for each in standin.build(world)
    ]


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


class Counting(NoMetrics):
    def __init__(self) -> None:
        self.unknown: list[tuple[str, str, str]] = []

    def unknown_value(self, integration: str, field: str, value: str) -> None:
        self.unknown.append((integration, field, value))


class Rig:
    """A connector that is told frames, without sockets; a second one reads the deliveries."""

    def __init__(self, **settings: Any) -> None:
        self.clock, self.log, self.metrics = FakeClock(), Lines(), Counting()
        self.services = Services(clock=self.clock, log=self.log, metrics=self.metrics)
        self.connector = Trackers(integration(**settings), self.services)
        self.elsewhere = Trackers(integration(**settings), self.services)
        self.sessions: dict[str, Session] = {}

    def session(self, imei: str = IMEI) -> Session:
        if imei not in self.sessions:
            self.sessions[imei] = Session(self.connector.devices, self.connector.settings.families)
            if imei == IMEI:
                self.hear(device.login(imei, 1), imei)
        return self.sessions[imei]

    def hear(self, data: bytes, imei: str = IMEI) -> list[Raw]:
        session = self.session(imei)
        session.feed(data)
        now = self.clock.now()
        made = [
            self.connector.desk.report(heard, session, now)
            for heard in session.heard(now)
            if heard.finding.value == "report"
        ]
        return [raw for raw in made if raw is not None]

    async def events(self, data: bytes, imei: str = IMEI) -> list[Any]:
        """By a connector that has heard nothing: a delivery needs nobody's memory."""
        (raw,) = self.hear(data, imei)
        return list(await self.elsewhere.events(raw))

    async def vehicle(self, imei: str = IMEI) -> Vehicle:
        (vehicle,) = await self.connector.read_vehicles([imei])
        return vehicle

    async def tell(self, data: bytes, imei: str = IMEI) -> Vehicle:
        """What the delivery says, which is what is listed, too."""
        changed = [each for each in await self.events(data, imei) if isinstance(each, Changed)]
        listed = await self.vehicle(imei)
        assert [each.record for each in changed] == [listed]
        return listed


def location(
    at: datetime = NOW, *, serial: int = 2, kmh: float = 50.0, ignition: bool = True, upload: bytes = b"\1\0\0"
) -> bytes:
    place = device.place_06(at, 6.4541, 3.3947, kmh, 91.0, satellites=9, ignition=ignition)
    return device.gt06(0x22, place + device.cell(4711) + upload, serial)


def unlocated(at: datetime = NOW, *, serial: int = 2) -> bytes:
    place = device.place_06(at, 6.4541, 3.3947, 0.0, 91.0, satellites=2, ignition=True)
    flags = int.from_bytes(place[-2:], "big") & ~0x1000
    return device.gt06(0x22, place[:-2] + flags.to_bytes(2, "big") + device.cell(4711) + b"\1\0\0", serial)


def heartbeat(*, serial: int = 3, ignition: bool = True, alarm: int = 0, code: int = 0) -> bytes:
    status = device.status(ignition=ignition, charging=True, alarm=alarm, voltage=4, gsm=3)
    return device.gt06(0x13, status + bytes((code, 2)), serial)


def alarm(code: int, *, at: datetime = NOW, serial: int = 4) -> bytes:
    place = device.place_06(at, 6.4541, 3.3947, 50.0, 91.0, satellites=9, ignition=True)
    status = device.status(ignition=True, charging=True, alarm=0, voltage=4, gsm=3)
    return device.gt06(0x16, place + b"\x09" + device.cell(4711) + status + bytes((code, 2)), serial)


# --- what is known, frame by frame


async def test_a_registered_tracker_that_never_called() -> None:
    rig = Rig()
    assert await rig.vehicle() == Vehicle(
        source=rig.connector._origin().source(IMEI),
        name="kja 123 ab",
        plate="kja 123 ab",
        device_identifier=IMEI,
        connectivity=Connectivity.UNKNOWN,
        state=VehicleState.UNKNOWN,
    )
    assert await rig.connector.read_vehicles(["353419036066062", "nonsense", IMEI, IMEI]) == [await rig.vehicle()]


async def test_a_location() -> None:
    rig = Rig()
    (raw,) = rig.hear(location())
    (changed,) = await rig.elsewhere.events(raw)
    assert isinstance(changed, Changed)
    assert (changed.occurred_at, changed.sequence) == (NOW, 1)
    vehicle = changed.record
    assert vehicle.position == Position(
        latitude=11_617_380 / 60 / 30000,
        longitude=6_110_460 / 60 / 30000,
        speed_kmh=50.0,
        heading_deg=91.0,
        satellites=9,
        recorded_at=NOW,
        received_at=NOW,
    )
    assert (vehicle.state, vehicle.ignition_on, vehicle.connectivity, vehicle.updated_at) == (
        VehicleState.MOVING, True, Connectivity.ONLINE, NOW,
    )  # fmt: skip


async def test_a_heartbeat_keeps_the_place() -> None:
    rig = Rig()
    first = await rig.tell(location())
    rig.clock.passed += 60
    then = await rig.tell(heartbeat(ignition=False))
    assert then.position == first.position
    assert (then.ignition_on, then.battery_percent, then.gsm_level, then.source.vendor_status) == (
        False,
        66.0,
        3,
        "0x44",
    )
    assert then.updated_at == NOW + timedelta(seconds=60)
    assert then.state is VehicleState.MOVING, "the last place said so"


@pytest.mark.parametrize(
    ("kmh", "ignition", "state"),
    [(1.0, True, VehicleState.IDLING), (2.0, False, VehicleState.MOVING), (0.0, False, VehicleState.PARKED)],
)
async def test_states(kmh: float, ignition: bool, state: VehicleState) -> None:
    acc = bytes((ignition, 0, 0))
    assert (await Rig().tell(location(kmh=kmh, ignition=ignition, upload=acc))).state is state


async def test_a_device_that_cannot_locate_itself_keeps_its_last_place_as_an_old_one() -> None:
    rig = Rig()
    assert (await rig.tell(unlocated())).position is None
    place = (await rig.tell(location(serial=3))).position
    assert place is not None
    lost = await rig.tell(unlocated(NOW + timedelta(seconds=30), serial=4))
    assert lost.position == msgspec.structs.replace(place, stale=True)
    assert lost.state is VehicleState.UNKNOWN
    again = await rig.tell(location(NOW + timedelta(seconds=60), serial=5))
    assert again.position is not None
    assert not again.position.stale


async def test_what_was_recorded_without_a_network_hides_nothing_newer() -> None:
    rig = Rig()
    now = (await rig.tell(location(kmh=10.0))).position
    old = location(NOW - timedelta(minutes=20), serial=9, kmh=77.0, ignition=False, upload=b"\0\0\1")
    assert await rig.events(old) == [], "it is older than what is known, and nothing happened"
    vehicle = await rig.vehicle()
    assert (vehicle.position, vehicle.ignition_on) == (now, True)


async def test_a_buffered_place_alone_counts_by_its_own_time() -> None:
    at = NOW - timedelta(minutes=20)
    (changed,) = await Rig().events(location(at, upload=b"\0\0\1"))
    assert changed.occurred_at == at, "a newer place of an earlier process stays"
    assert changed.record.position.recorded_at == at


async def test_a_clock_that_is_ahead_is_corrected_and_told() -> None:
    rig = Rig()
    vehicle = await rig.tell(location(NOW + timedelta(hours=8)))
    assert vehicle.position is not None
    assert vehicle.position.recorded_at == NOW
    assert [event for event in rig.log.events if event == "vendor.clock_ahead"] == ["vendor.clock_ahead"]
    await rig.tell(location(NOW + timedelta(hours=8, minutes=1), serial=3))
    assert rig.log.events.count("vendor.clock_ahead") == 1
    ten = NOW + timedelta(minutes=10)
    assert (await Rig().tell(location(ten))).position.recorded_at == ten  # type: ignore[union-attr]


async def test_a_wrong_checksum_and_an_impossible_time_is_no_place() -> None:
    rig = Rig()
    spoilt = bytearray(location(NOW + timedelta(days=400)))
    spoilt[-3] ^= 0xFF
    vehicle = await rig.tell(bytes(spoilt))
    assert vehicle.position is None
    assert vehicle.connectivity is Connectivity.ONLINE
    assert rig.log.events.count("vendor.bad_checksum") == 1
    good = bytearray(location(serial=5))
    good[-3] ^= 0xFF
    assert (await rig.tell(bytes(good))).position is not None, "its values are possible, and trackers miscount"


async def test_strict_checksums() -> None:
    rig = Rig(crc="strict")
    session = Session(rig.connector.devices, rig.connector.settings.families, strict=True)
    session.feed(device.login(IMEI, 1) + location()[:-3] + b"\0\r\n")
    login, spoilt = session.heard(NOW)
    assert (login.finding.value, spoilt.finding.value, spoilt.reply, spoilt.reason) == (
        "login", "passed over", b"", "its checksum is wrong",
    )  # fmt: skip


async def test_local_times() -> None:
    """By the login's zone; by the configured one, which counts more."""
    rig = Rig(devices=[{"imei": IMEI}, {"imei": OTHER, "zone": "America/New_York"}])
    for imei, wanted in ((IMEI, NOW - timedelta(hours=1)), (OTHER, NOW + timedelta(hours=5))):
        rig.sessions[imei] = Session(rig.connector.devices, rig.connector.settings.families)
        rig.hear(device.login(imei, 1, kind=1, offset_minutes=60), imei)
        rig.clock.passed = 5 * 3600
        (raw,) = rig.hear(location(), imei)
        assert raw.payload.headers["offset-minutes"] == "60"
        (changed,) = await rig.elsewhere.events(raw)
        assert changed.record.position.recorded_at == wanted


async def test_gt02_levels_and_places() -> None:
    rig = Rig()
    beat = device.gt02(0x1A, OTHER, bytes((1, 10, *range(10))), 7, voltage=5, gsm=4)
    vehicle = await rig.tell(beat, OTHER)
    assert (vehicle.battery_percent, vehicle.gsm_level, vehicle.position, vehicle.name) == (83.0, 4, None, "trk 7")
    place = device.gt02(0x10, OTHER, device.place_02(NOW, -6.5, 3.25, 12.0, 359.6), 8)
    vehicle = await rig.tell(place, OTHER)
    assert vehicle.position == Position(
        latitude=-6.5, longitude=3.25, speed_kmh=12.0, heading_deg=0.0, recorded_at=NOW, received_at=NOW
    )
    assert (vehicle.battery_percent, vehicle.ignition_on) == (83.0, None)


# --- what happened


def happenings(events: list[Any]) -> list[VehicleEvent]:
    return [each.what for each in events if isinstance(each, Happened)]


async def test_an_alarm_happens_each_time_it_is_sent() -> None:
    rig = Rig()
    first = await rig.events(alarm(0x01))
    assert happenings(first) == [
        VehicleEvent(vehicle_external_id=IMEI, event_type="alarm", at=NOW, details={"alarm": "sos"})
    ]
    assert first[0].record.alarms == ("sos",)
    assert first[1].occurred_at == NOW
    again = await rig.events(alarm(0x01, at=NOW + timedelta(seconds=5), serial=5))
    assert [each.at for each in happenings(again)] == [NOW + timedelta(seconds=5)]


async def test_a_lasting_alarm_of_heartbeats_happens_once() -> None:
    rig = Rig()
    assert [each.details for each in happenings(await rig.events(heartbeat(alarm=2)))] == [{"alarm": "powerCut"}]
    assert happenings(await rig.events(heartbeat(alarm=2, serial=4))) == []
    assert (await rig.vehicle()).alarms == ("powerCut",)
    await rig.events(location(serial=5))
    assert (await rig.vehicle()).alarms == ("powerCut",), "a location does not know of alarms"
    assert happenings(await rig.events(heartbeat(serial=6))) == []
    assert (await rig.vehicle()).alarms == ()
    assert [each.details for each in happenings(await rig.events(heartbeat(alarm=2, serial=7)))] == [
        {"alarm": "powerCut"}
    ]


async def test_an_unknown_alarm_is_counted_and_fails_nothing() -> None:
    rig = Rig()
    assert happenings(await rig.events(alarm(0x77))) == []
    assert (await rig.vehicle()).alarms == ()
    assert rig.metrics.unknown == [("trackers", "alarm", "0x77")]


async def test_the_answer_to_a_command_and_another_driver() -> None:
    rig = Rig()
    text = b"Cut off the fuel supply: Success!"
    (what,) = happenings(await rig.events(device.gt06(0x15, bytes((len(text) + 4, 0, 0, 0, 0)) + text, 3)))
    assert (what.event_type, what.details) == ("commandResult", {"result": text.decode()})
    (what,) = happenings(await rig.events(bytes.fromhex("7979000e941b02084277efef350303eadaed0d0a")))
    assert (what.event_type, what.details) == ("driverChanged", {"driverUniqueId": "4277efef"})
    body = bytes.fromhex("000e941b02084277efef350303eb")
    assert happenings(await rig.events(b"yy" + body + device.checksum(body).to_bytes(2, "big") + b"\r\n")) == []


async def test_what_happened_without_a_network_says_so() -> None:
    """The card reader's frame: cell with four bytes of id, ACC, mode, re-uploaded, metres, volts, minutes, card."""
    rig = Rig()
    place = await rig.tell(location())
    at = NOW - timedelta(hours=1)
    content = device.place_06(at, 6.4, 3.3, 5.0, 1.0, satellites=9, ignition=True) + bytes.fromhex(
        "026d1e04b10000126701000100000064051428000006c3000001453f9201"
    )
    assert happenings(await rig.events(device.gt06(0x36, content, 9))) == [
        VehicleEvent(
            vehicle_external_id=IMEI,
            event_type="driverChanged",
            at=at,
            details={"driverUniqueId": "c3000001453f9201", "buffered": "true"},
        )
    ]
    assert (await rig.vehicle()).position == place.position


# --- deliveries


async def test_the_same_frame_is_the_same_delivery_where_it_holds_a_time() -> None:
    rig = Rig()
    (first,), _ = rig.hear(location()), rig.hear(heartbeat())
    rig.clock.passed += 90
    (again,) = rig.hear(location())
    assert again.delivery_id == first.delivery_id
    beats = [raw.delivery_id for raw in (*rig.hear(heartbeat(serial=8)), *rig.hear(location(serial=9)))]
    rig.clock.passed += 90
    assert rig.hear(heartbeat(serial=8))[0].delivery_id != beats[0], "after 65,535 frames serials begin anew"


async def test_frames_of_one_segment_keep_their_order() -> None:
    rig = Rig()
    raws = rig.hear(location(kmh=10.0) + location(NOW + timedelta(seconds=1), kmh=20.0, serial=3) + heartbeat(serial=4))
    (a,), (b,), (c,) = [await rig.elsewhere.events(raw) for raw in reversed(raws)]
    assert [each.sequence for each in (c, b, a)] == [1, 2, 3]
    assert [each.record.position.speed_kmh for each in (c, b, a)] == [10.0, 20.0, 20.0]


async def test_a_delivery_of_a_tracker_that_was_taken_out_is_dropped() -> None:
    rig = Rig()
    (raw,) = rig.hear(location())
    other = Trackers(integration(devices=[{"imei": OTHER}]), rig.services)
    assert await other.events(raw) == []
    gone = deliveries.of_link(IMEI, online=False, received=NOW, sequence=1, before=Known())
    assert await other.events(gone) == []


async def test_coming_and_going() -> None:
    rig = Rig()
    place = (await rig.tell(location())).position
    rig.clock.passed += 700
    raw = rig.connector.desk.offline(IMEI, rig.clock.now())
    assert raw is not None
    (changed,) = await rig.elsewhere.events(raw)
    assert (changed.record.connectivity, changed.record.position, changed.record.updated_at) == (
        Connectivity.OFFLINE, place, NOW,
    )  # fmt: skip
    assert changed.occurred_at == NOW + timedelta(seconds=700)
    assert changed.record == await rig.vehicle()
    assert rig.connector.desk.offline(IMEI, rig.clock.now()) is None, "it was offline already"
    raw = rig.connector.desk.online_again(rig.connector.devices[IMEI], rig.clock.now())
    assert raw is not None
    (changed,) = await rig.elsewhere.events(raw)
    assert changed.record.connectivity is Connectivity.ONLINE
    assert changed.record == await rig.vehicle()


async def test_what_was_known_before_a_restart_is_given_back() -> None:
    rig = Rig()
    await rig.tell(location())
    before = await rig.tell(heartbeat(alarm=4))
    fresh = Rig()
    fresh.clock.passed = 3_600
    fresh.connector.remember([before, await rig.vehicle(OTHER)])
    after = await fresh.vehicle()
    assert msgspec.structs.replace(after, source=before.source) == before
    assert fresh.connector.desk.online == [IMEI]
    fresh.connector.remember([msgspec.structs.replace(before, alarms=())])
    assert (await fresh.vehicle()).alarms == ("sos",), "what is known is not taken back"


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (Payload(body=b"nonsense"), "$"),
        (Payload(body=location(), headers={"imei": IMEI, "received": "yesterday"}), "$.headers.received"),
        (Payload(body=location(), headers={"imei": IMEI, "received": "2026-01-01T00:00:00"}), "$.headers.received"),
        (Payload(body=location(), headers={"imei": IMEI, "offset-minutes": "one"}), "$.headers.offset-minutes"),
        (Payload(body=location(), headers={"imei": IMEI, "before": "{"}), "$.headers.before"),
        (Payload(body=location(), headers={"imei": "12"}), "$.headers.imei"),
    ],
)
def test_a_payload_that_makes_no_sense_says_where(payload: Payload, path: str) -> None:
    decoder = next(each for each in Trackers.manifest.decoders if each.name == "gt06-frame")
    with pytest.raises(BadPayload) as caught:
        list(decoder.read(payload, Trackers(integration(), Services(clock=FakeClock()))._origin()))
    assert caught.value.path == path


def test_a_link_state_that_makes_no_sense() -> None:
    with pytest.raises(BadPayload):
        deliveries.link_of(Payload(body=b'{"imei": 7}'))


async def test_frames_that_cannot_be_read_are_told_once_and_kept_by_nobody() -> None:
    rig = Rig()
    nonsense = device.gt06(0x16, b"\1\2\3", 9)
    assert rig.hear(nonsense) == []
    assert rig.hear(device.gt06(0x16, b"\1\2\3", 10)) == []
    assert [line for line in rig.log.lines if line[0] == "vendor.bad_frame"] == [
        (
            "vendor.bad_frame",
            {
                "integration": "trackers",
                "device": IMEI,
                "error": "the frame of type 16: ends before its content",
                "path": "$.content",
            },
        )
    ]


async def test_a_doubtful_place_is_none_and_told() -> None:
    rig = Rig()
    wrong = device.gt06(0x10, bytes((26, 13, 1, 1, 1, 1, 0xC5)) + bytes(4) + bytes(4) + b"\0\x14\0", 3)
    vehicle = await rig.tell(wrong)
    assert (vehicle.position, vehicle.connectivity) == (None, Connectivity.ONLINE)
    assert ("vendor.doubtful_frame", {"integration": "trackers", "device": IMEI, "field": "time", "type": "10"}) in (
        rig.log.lines
    )


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
    assert str(caught.value).startswith("integration 'trackers': settings: ")
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
