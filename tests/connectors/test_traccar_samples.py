"""Every sample decodes to exactly what its index says, through the same code as the live path."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.kit.errors import BadPayload, MappingFailed
from connectors.kit.integration import Origin
from connectors.kit.manifest import Payload
from connectors.traccar import Traccar, areas
from connectors.traccar.decoders import TraccarServer, TraccarSession, TraccarTrip
from unified.records import Connectivity, Vehicle, VehicleEvent, VehicleState
from unified.values import Position, System

SAMPLES = Path(__file__).parents[1] / "samples" / "traccar"
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
ORIGIN = Origin(integration="traccar", system=System.TRACCAR, as_of=NOW)


def decoded(name: str) -> tuple[str, list[Any]]:
    """The decoder that recognises the sample, and what it reads."""
    payload = Payload(body=(SAMPLES / name).read_bytes())
    decoder = next(each for each in Traccar.manifest.decoders if each.recognises(payload))
    return decoder.name, list(decoder.read(payload, ORIGIN))


def test_devices() -> None:
    name, (vehicle,) = decoded("devices.json")
    assert name == "traccar-devices"
    assert vehicle == Vehicle(
        source=ORIGIN.source("0", "online"),
        updated_at=datetime(1970, 1, 1, tzinfo=UTC),
        name="X-Wing",
        device_identifier="abc123",
        category="starfighter",
        model="1337",
        connectivity=Connectivity.ONLINE,
        state=VehicleState.UNKNOWN,
    )


def test_positions() -> None:
    name, (vehicle,) = decoded("positions.json")
    assert name == "traccar-positions"
    assert vehicle.source.external_id == "0"
    assert vehicle.position == Position(
        latitude=52.0,
        longitude=25.0,
        altitude_m=546841384638.0,
        accuracy_m=3.5,
        speed_kmh=8461408.34,
        heading_deg=0.0,
        recorded_at=datetime(1970, 1, 1, tzinfo=UTC),
        received_at=datetime(1970, 1, 1, tzinfo=UTC),
        stale=True,
    )
    assert vehicle.geofence_ids == ("0",)
    assert vehicle.state is VehicleState.UNKNOWN


def test_events_report() -> None:
    name, found = decoded("reports_events.json")
    assert name == "traccar-events"
    assert found == [
        VehicleEvent(
            vehicle_external_id="0", event_type="deviceMoving", at=datetime(2019, 8, 24, 14, 15, 22, tzinfo=UTC)
        )
    ]


def test_session_and_server() -> None:
    assert decoded("session.json") == (
        "traccar-session",
        [TraccarSession(user_id="0", administrator=True, readonly=True)],
    )
    assert decoded("server.json") == ("traccar-server", [TraccarServer(version="string")])


def test_geofences_with_a_placeholder_for_the_area() -> None:
    with pytest.raises(MappingFailed) as caught:
        decoded("geofences.json")
    assert caught.value.path == "$[0].area"


def test_latitude_first() -> None:
    (case,) = json.loads((SAMPLES / "geofence.wkt.json").read_text())
    assert areas.area(case["wkt"]) == areas.Area({"type": "Point", "coordinates": [37.6204, 55.75414]}, 100.0)


def _is_truck_17(vehicle: Vehicle) -> None:
    assert vehicle.source.external_id == "17"
    assert vehicle.position == Position(
        latitude=6.5244,
        longitude=3.3792,
        altitude_m=38.0,
        speed_kmh=40.0,
        heading_deg=271.0,
        recorded_at=datetime(2026, 5, 12, 8, 15, 29, tzinfo=UTC),
        received_at=datetime(2026, 5, 12, 8, 15, 31, 204_000, tzinfo=UTC),
    )
    assert vehicle.state is VehicleState.MOVING
    assert vehicle.ignition_on is True
    assert vehicle.fuel_litres == 41.5
    assert vehicle.fuel_percent is None
    assert vehicle.battery_percent == 84
    assert vehicle.supply_volts == 13.9
    assert vehicle.engine_hours == 2.0008
    assert vehicle.odometer_km == 182345.0
    assert vehicle.geofence_ids == ()
    assert vehicle.alarms == ()


def test_position_frame() -> None:
    name, (vehicle,) = decoded("ws.position.json")
    assert name == "traccar-frame"
    _is_truck_17(vehicle)
    assert vehicle.name == "17"


def test_forwarded_position() -> None:
    name, (vehicle,) = decoded("forward.position.json")
    assert name == "traccar-forwarded"
    _is_truck_17(vehicle)
    assert (vehicle.name, vehicle.device_identifier) == ("Truck 17", "352093081452251")
    assert vehicle.connectivity is Connectivity.ONLINE


def test_device_frame() -> None:
    name, (vehicle,) = decoded("ws.device.json")
    assert name == "traccar-frame"
    assert vehicle.source == ORIGIN.source("17", "offline")
    assert vehicle.connectivity is Connectivity.OFFLINE
    assert vehicle.updated_at == datetime(2026, 5, 12, 8, 20, 31, tzinfo=UTC)
    assert (vehicle.name, vehicle.category) == ("Truck 17", "truck")


def test_keep_alive() -> None:
    assert decoded("ws.keepalive.json") == ("traccar-frame", [])


def test_alarm() -> None:
    name, found = decoded("ws.event.alarm.json")
    assert name == "traccar-frame"
    assert found == [
        VehicleEvent(
            vehicle_external_id="17",
            event_type="alarm",
            at=datetime(2026, 5, 12, 8, 15, 31, 204_000, tzinfo=UTC),
            details={"alarm": "sos", "eventId": "5501", "positionId": "91234"},
        )
    ]


def test_forwarded_as_address() -> None:
    name, found = decoded("forward.url.txt")
    assert name == "traccar-forwarded-url"
    assert found == [
        Position(
            latitude=20.0,
            longitude=30.0,
            speed_kmh=0.0,
            heading_deg=0.0,
            recorded_at=datetime(2016, 1, 1, 1, 2, 3, tzinfo=UTC),
        )
    ]


def test_trips() -> None:
    name, found = decoded("trips.json")
    assert name == "traccar-trips"
    assert found == [
        TraccarTrip(
            vehicle_external_id="17",
            vehicle_name="Truck 17",
            started_at=datetime(2026, 5, 12, 7, 20, tzinfo=UTC),
            ended_at=datetime(2026, 5, 12, 8, 15, tzinfo=UTC),
            duration_seconds=3300.0,
            distance_km=15.2304,
            average_speed_kmh=40.0,
            max_speed_kmh=90.0,
            spent_fuel_litres=3.2,
            start_odometer_km=1828.6901,
            end_odometer_km=1843.9205,
        )
    ]


def test_stack_trace() -> None:
    assert Traccar.manifest.explain is not None
    outcome = Traccar.manifest.explain(httpx.Response(400, content=(SAMPLES / "error.400.txt").read_bytes()))
    assert outcome is not None
    assert (outcome.kind.value, outcome.code) == ("bad request", "StorageException")
    assert outcome.message == "org.h2.jdbc.JdbcSQLSyntaxErrorException: x"


def test_all_samples_are_read_here() -> None:
    here = Path(__file__).read_text()
    names = {each.name for each in SAMPLES.iterdir()} - {"INDEX.md", "traccar-6.14.5.openapi3.1.yaml"}
    assert [name for name in sorted(names) if f'"{name}"' not in here] == []


@pytest.mark.parametrize(
    ("name", "body", "path"),
    [
        (
            "traccar-frame",
            b'{"positions": [{"deviceId": 1, "latitude": "north", "longitude": 2}]}',
            "$.positions[0].latitude",
        ),
        ("traccar-frame", b'{"positions": [{"deviceId": 1, "latitude": 1, "longitude": 2}]}', "$.positions[0].fixTime"),
        ("traccar-events", b'[{"deviceId": 1, "type": "x", "eventTime": "soon"}]', "$[0].eventTime"),
        ("traccar-devices", b'[{"id": 1, "lastUpdate": "2026-01-01T00:00:00"}]', "$[0].lastUpdate"),
        ("traccar-server", b"[", "$"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(name: str, body: bytes, path: str) -> None:
    decoder = next(each for each in Traccar.manifest.decoders if each.name == name)
    with pytest.raises(BadPayload) as caught:
        list(decoder.read(Payload(body=body), ORIGIN))
    assert caught.value.path == path
