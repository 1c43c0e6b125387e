"""What frames make of what is known of a vehicle, what happens, and what is kept of them."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from connectors.gt02 import Trackers, deliveries
from connectors.gt02.known import Known
from connectors.gt02.session import Session
from connectors.kit.errors import BadPayload
from connectors.kit.manifest import Payload
from connectors.kit.services import Services
from sandbox.gt02 import frames as device
from tests.connectors.contract import NOW, FakeClock
from tests.connectors.gt02_rig import IMEI, OTHER, Rig, alarm, heartbeat, integration, location, unlocated
from unified.events import Changed, Happened
from unified.records import Connectivity, Vehicle, VehicleEvent, VehicleState
from unified.values import Position

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
    assert rig.metrics.unknown == [("gt02", "alarm", "0x77")]


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
