"""From Traccar's objects to records: units, states, times, names, areas."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from connectors.kit.errors import MappingFailed
from connectors.kit.integration import Origin
from connectors.traccar import areas, mapping, wire
from connectors.traccar.settings import Naming, Settings
from tests.connectors.contract import NOW
from tests.connectors.test_traccar import Setup
from unified import records
from unified.records import Connectivity, VehicleState
from unified.values import System

ORIGIN = Origin(integration="traccar", system=System.TRACCAR, as_of=NOW)


def _position(**more: Any) -> wire.Position:
    facts: dict[str, Any] = {
        "id": 5,
        "device_id": 1,
        "fix_time": "2026-05-12T08:15:29.000+00:00",
        "device_time": "2026-05-12T08:16:00Z",
        "server_time": "2026-05-12T08:16:01.5Z",
        "latitude": 6.5,
        "longitude": 3.4,
    }
    return wire.Position(**facts | more)


def _vehicle(last: wire.Position | None, **more: Any) -> records.Vehicle:
    return mapping.vehicle(wire.Device(**{"id": 1, "name": "One", "status": "online", **more}), last, ORIGIN)


@pytest.mark.parametrize(
    ("told", "speed", "expected"),
    [
        ({"motion": True, "ignition": True}, 0.0, VehicleState.MOVING),
        ({"motion": True, "ignition": False}, 5.0, VehicleState.MOVING),
        ({"motion": False, "ignition": True}, 9.0, VehicleState.IDLING),
        ({"motion": False, "ignition": False}, 0.0, VehicleState.PARKED),
        ({"motion": False}, 0.0, VehicleState.PARKED),
        ({"ignition": True}, 10.0, VehicleState.MOVING),
        ({"ignition": True}, 0.5, VehicleState.IDLING),
        ({}, 10.0, VehicleState.MOVING),
        ({}, 0.0, VehicleState.PARKED),
        ({}, None, VehicleState.UNKNOWN),
        ({"motion": "true"}, None, VehicleState.MOVING),
    ],
)
def test_states(told: dict[str, Any], speed: float | None, expected: VehicleState) -> None:
    assert _vehicle(_position(attributes=told, speed=speed)).state is expected


@pytest.mark.parametrize("more", [{"outdated": True}, {"valid": False}])
def test_a_copied_or_invalid_fix_tells_no_motion(more: dict[str, Any]) -> None:
    moving = _vehicle(_position(attributes={"motion": True, "ignition": True}, speed=30.0, **more))
    assert moving.state is VehicleState.UNKNOWN
    assert moving.position is not None
    assert moving.position.stale is True
    assert moving.ignition_on is True
    assert _vehicle(_position(attributes={"ignition": False}, **more)).state is VehicleState.PARKED


def test_the_time_is_that_of_the_message_when_the_fix_is_copied() -> None:
    fresh, copied = _vehicle(_position()).position, _vehicle(_position(outdated=True)).position
    assert fresh is not None
    assert copied is not None
    assert fresh.recorded_at == datetime(2026, 5, 12, 8, 15, 29, tzinfo=UTC)
    assert copied.recorded_at == datetime(2026, 5, 12, 8, 16, tzinfo=UTC)
    assert fresh.received_at == copied.received_at == datetime(2026, 5, 12, 8, 16, 1, 500_000, tzinfo=UTC)


def test_no_fix_at_0_0_is_no_place() -> None:
    assert _vehicle(_position(latitude=0, longitude=0, valid=False)).position is None
    assert _vehicle(_position(latitude=0, longitude=0)).position is not None
    assert _vehicle(_position(latitude=91)).position is None


def test_attributes_may_be_any_scalar() -> None:
    told = {"fuelLevel": "55.5", "batteryLevel": True, "power": None, "odometer": [1], "totalDistance": 1500}
    found = _vehicle(_position(attributes={**told, "alarm": "sos, lowBattery,sos", "hours": 1_800_000, "fuel": "x"}))
    assert (found.fuel_percent, found.fuel_litres) == (55.5, None)
    assert (found.battery_percent, found.supply_volts) == (None, None)
    assert found.odometer_km == 1.5
    assert found.engine_hours == 0.5
    assert found.alarms == ("sos", "lowBattery")


def test_a_device_without_position_is_a_vehicle() -> None:
    found = _vehicle(None, id=0, name=None, unique_id="abc", status="tired")
    assert found.source.external_id == "0"
    assert found.name == "abc"
    assert (found.state, found.connectivity, found.position) == (VehicleState.UNKNOWN, Connectivity.UNKNOWN, None)


def test_details_of_events_are_text_and_speeds_kmh() -> None:
    event = wire.Event(
        id=7,
        type="deviceOverspeed",
        event_time="2026-05-12T08:15:29Z",
        device_id=0,
        position_id=0,
        geofence_id=3,
        attributes={"speed": 48.596, "speedLimit": 43.196544, "note": "x" * 600, "deep": {}, "flag": True},
    )
    found = mapping.happened(event)
    assert (found.vehicle_external_id, found.event_type) == ("0", "deviceOverspeed")
    assert found.details == {
        "speedKmh": "90", "speedLimitKmh": "80", "note": "x" * 500, "flag": "true", "eventId": "7", "geofenceId": "3",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "attributes", "fleet", "plate"),
    [
        ("Truck 07 KJA 123 AB", {}, "Truck 07", "KJA 123 AB"),
        ("Truck 07 KJA 123 AB", {"fleetNumber": "TRK-007", "plate": "KJA-123-AB"}, "TRK-007", "KJA-123-AB"),
        ("Car 12 ABJ-456-CD", {"fleetNumber": 12}, "12", "ABJ-456-CD"),
        ("Truck 17", {"plate": " "}, None, None),
        ("X-Wing", {"plate": True}, None, None),
        ("", {}, None, None),
    ],
)
def test_where_plates_and_fleet_numbers_are(
    name: str, attributes: dict[str, Any], fleet: str | None, plate: str | None
) -> None:
    naming = Naming(Settings())
    assert naming.fleet_number(name, attributes) == fleet
    assert naming.plate(name, attributes) == plate


def test_settings_say_where_plates_are() -> None:
    settings = {"plate_attribute": "kennzeichen", "fleet_number_attribute": None, "name_pattern": r"^(?P<fleet>\d+)"}
    naming = Naming(msgspec.convert(settings, Settings))
    assert naming.plate("12 x", {"kennzeichen": "B-AB 12", "plate": "no"}) == "B-AB 12"
    assert naming.fleet_number("12 x", {"fleetNumber": "no"}) == "12"
    assert Naming(msgspec.convert({"name_pattern": None}, Settings)).plate("Truck 07 KJA 123 AB", {}) is None


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "no regular expression"),
        (r"\d+", "neither a group"),
        (r"(?P<plate>(a+)+)$", "repeats a group"),
        (r"(?P<plate>.*.*.*.*.*)", "unbounded repeats"),
        ("x" * 201, "201 characters"),
    ],
)
def test_a_bad_pattern_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Setup(settings={"name_pattern": pattern})


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="plates"):
        Setup(settings={"plates": "x"})


# --- areas


def test_areas_become_geojson() -> None:
    assert areas.area("CIRCLE (55.75414 37.6204, 100)") == areas.Area(
        {"type": "Point", "coordinates": [37.6204, 55.75414]}, 100
    )
    ring = [[3.0, 6.0], [4.0, 6.0], [4.0, 7.0], [3.0, 6.0]]
    for text in ("POLYGON ((6 3, 6 4, 7 4))", "POLYGON((6 3, 6 4, 7 4, 6 3))", "polygon ((6 3, 7 4, 6 4))"):
        assert areas.area(text).geometry == {"type": "Polygon", "coordinates": [ring]}
    assert areas.area("LINESTRING (6 3, -7.5 -4.25)").geometry == {
        "type": "LineString",
        "coordinates": [[3.0, 6.0], [-4.25, -7.5]],
    }


def test_a_line_has_a_width() -> None:
    fence = wire.Geofence(id=1, area="LINESTRING (6 3, 7 4)", attributes={"polylineDistance": 25})
    found = mapping.geofence(fence, ORIGIN)
    assert (found.name, found.corridor_m, found.radius_m) == ("1", 25, None)


@pytest.mark.parametrize(
    "text",
    [
        "string", "", "CIRCLE", "CIRCLE (1 2)", "CIRCLE (1 2, -3)", "CIRCLE (1 2, nan)", "CIRCLE (91 2, 3)",
        "CIRCLE (1 2, 3", "POLYGON (1 2, 3 4, 5 6)", "POLYGON ((1 2, 3 4))", "POLYGON ((1 2, 3 4, x 6))",
        "LINESTRING (1 2)", "LINESTRING (1 2 3, 4 5 6)", "MULTIPOLYGON (((1 2, 3 4, 5 6)))",
        "LINESTRING (" + "1 2," * 10_001 + "1 2)",
    ],
)  # fmt: skip
def test_other_areas_are_refused_with_their_place(text: str) -> None:
    with pytest.raises(MappingFailed) as caught:
        areas.area(text, path="$[3].area")
    assert caught.value.path == "$[3].area"
