"""The Traccar connector against its stand-in, in process: what it reads, in how many calls, how it fails."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest
import yaml
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest

from connectors.kit.errors import (
    AuthFailed,
    BadPayload,
    BadRequest,
    MappingFailed,
    NotFound,
    PermissionDenied,
    SessionExpired,
    SignatureInvalid,
)
from connectors.kit.http import by_status
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.manifest import Payload
from connectors.kit.protocols import EventStream, IdentitySource, Poller, WebhookReceiver
from connectors.kit.services import Services
from connectors.traccar import Traccar, areas, mapping, urlform, wire
from connectors.traccar.live import Cutter
from connectors.traccar.settings import Naming, Settings
from sandbox import traccar
from sandbox.standin import Failure
from sandbox.world import World
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from unified import ids, queries, records
from unified.keys import Subject, canonical
from unified.queries import ListQuery
from unified.records import Connectivity, Kind, VehicleState
from unified.values import System

SAMPLES = Path(__file__).parents[1] / "samples" / "traccar"
SESSION = {"email": Secret(traccar.EMAIL), "password": Secret(traccar.PASSWORD)}
BASIC = {"username": Secret(traccar.EMAIL), "password": Secret(traccar.PASSWORD)}
TOKEN = {"token": Secret(traccar.TOKEN)}
ORIGIN = Origin(integration="traccar", system=System.TRACCAR, as_of=NOW)


def integration(**more: Any) -> Integration:
    facts: dict[str, Any] = {
        "key": "traccar",
        "system": System.TRACCAR,
        "base_url": "http://vendor",
        "credentials": SESSION,
    }
    return Integration(**facts | more)


def every(**more: Any) -> ListQuery[queries.VehicleFilter]:
    return ListQuery(filter=queries.VehicleFilter(**more))


class Recording(httpx.ASGITransport):
    """Keeps the requests and their answers."""

    def __init__(self, app: Any) -> None:
        super().__init__(app=app)
        self.seen: list[tuple[httpx.Request, httpx.Response]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        body = await response.aread()
        self.seen.append((request, httpx.Response(response.status_code, headers=response.headers, content=body)))
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(body))


class Setup:
    """A connector, its stand-in and what is between them."""

    def __init__(self, **more: Any) -> None:
        self.clock, self.log = FakeClock(), Lines()
        self.world = World(self.clock.now)
        self.vendor = traccar.create(self.world)
        self.wire = Recording(self.vendor.app)
        self.connector = Traccar(integration(**more), Services(transport=self.wire, clock=self.clock, log=self.log))

    @property
    def calls(self) -> dict[tuple[str, str], int]:
        return dict(self.vendor.faults.calls)


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    made = Setup(credentials=TOKEN)
    yield made
    await made.connector.aclose()


class TestTraccar(ConnectorContract):
    system = System.TRACCAR
    kinds = frozenset({Kind.VEHICLE, Kind.GEOFENCE})
    request_id_header = None  # the server names no calls

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        made = Setup()
        secrets = (traccar.PASSWORD, traccar.TOKEN)
        self.vendor = made.vendor
        yield Bench(made.connector, made.vendor.faults, made.clock, made.log, secrets)
        await made.connector.aclose()

    async def read_one(self, connector: Any) -> object:
        return await connector.list_vehicles(every(), None)

    def logins(self, bench: Bench) -> int:
        return self.vendor.logins

    def wrong_types(self) -> bytes:
        return b'[{"id": "seventeen", "deviceId": {}, "latitude": [], "longitude": 0}]'


# --- reading


async def test_a_list_costs_two_calls(setup: Setup) -> None:
    page = await setup.connector.list_vehicles(every(), None)
    assert len(page.records) == page.total == 48
    assert page.next is None
    assert setup.calls == {("GET", "/api/devices"): 1, ("GET", "/api/positions"): 1}


async def test_a_batch_costs_two_calls_however_large(setup: Setup) -> None:
    wanted = [str(each.traccar_id) for each in setup.world.vehicles]
    found = await setup.connector.read_vehicles([*wanted, "999999", "no-such-id", "007"])
    assert [each.source.external_id for each in found] == sorted(wanted, key=int)
    assert setup.calls == {("GET", "/api/devices"): 1, ("GET", "/api/positions"): 1}
    query = setup.vendor.faults.recent[0].query + setup.vendor.faults.recent[1].query
    assert query.count("id=") == 49


async def test_ids_of_the_wrong_form_cost_no_call(setup: Setup) -> None:
    assert await setup.connector.read_vehicles(["no-such-id", "1.5", "-3", "٣"]) == []
    assert await setup.connector.read_geofences(["x"]) == []
    assert setup.calls == {}


async def test_a_vehicle_has_the_units_of_the_graph(setup: Setup) -> None:
    vehicle = next(each for each in setup.world.trucks if each.state_at(setup.clock.now()).motion)
    (found,) = await setup.connector.read_vehicles([str(vehicle.traccar_id)])
    state = setup.vendor.fleet.latest(vehicle, setup.clock.now())
    assert found.position is not None
    assert found.position.speed_kmh == pytest.approx(state.speed_kmh, abs=0.01)
    assert found.position.recorded_at == state.at
    assert found.position.received_at == state.at + timedelta(milliseconds=204)
    assert (found.position.latitude, found.position.longitude) == (state.latitude, state.longitude)
    assert found.position.stale is False
    assert found.odometer_km == pytest.approx(state.odometer_m / 1000, abs=0.001)
    assert found.engine_hours == pytest.approx(state.engine_ms / 3_600_000, abs=0.0001)
    assert found.fuel_litres == state.fuel_l
    assert found.fuel_percent is None
    assert found.supply_volts == state.power_v
    assert found.device_identifier == vehicle.imei
    assert found.state is VehicleState.MOVING
    assert found.connectivity is Connectivity.ONLINE
    assert found.source.vendor_status == "online"


async def test_plates_join_with_other_systems_and_fleet_numbers_where_they_are_told(setup: Setup) -> None:
    page = await setup.connector.list_vehicles(every(), None)
    for record in page.records:
        vehicle = setup.world.vehicle_by_traccar_id[int(record.source.external_id)]
        assert record.plate == vehicle.uber_plate
        assert canonical(Subject.VEHICLE, record.plate) == canonical(Subject.VEHICLE, vehicle.sap_plate)
        if vehicle.traccar_fleet_number is not None:
            assert record.fleet_number == vehicle.key
        else:
            assert record.fleet_number == vehicle.traccar_name[: -len(vehicle.uber_plate) - 1]


async def test_the_ids_of_a_filter_are_pushed_down(setup: Setup) -> None:
    wanted = [ids.encode("Vehicle", "traccar", str(each.traccar_id)) for each in setup.world.trucks[:3]]
    others = [ids.encode("Vehicle", "other", "403"), ids.encode("Unit", "traccar", "403"), "nonsense"]
    page = await setup.connector.list_vehicles(every(ids=(*wanted, *others)), None)
    assert {each.id for each in page.records} == set(wanted)
    assert page.total is None
    assert setup.calls == {("GET", "/api/devices"): 1, ("GET", "/api/positions"): 1}
    setup.vendor.faults.calls.clear()
    assert (await setup.connector.list_vehicles(every(ids=tuple(others)), None)).records == []
    assert setup.calls == {}


async def test_a_cursor_that_is_none_of_ours_is_refused(setup: Setup) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        await setup.connector.list_vehicles(every(), "50")
    with pytest.raises(ValueError, match="not a cursor"):
        await setup.connector.list_geofences(ListQuery(filter=queries.GeofenceFilter()), "50")


async def test_geofences_are_longitude_first(setup: Setup) -> None:
    page = await setup.connector.list_geofences(ListQuery(filter=queries.GeofenceFilter()), None)
    assert len(page.records) == page.total == len(setup.world.geofences)
    for record in page.records:
        fence = setup.world.geofence_by_id[int(record.source.external_id)]
        if fence.kind == "circle":
            assert record.geometry["type"] == "Point"
            assert record.geometry["coordinates"] == pytest.approx([fence.centre[1], fence.centre[0]], abs=1e-6)
            assert record.radius_m == fence.radius_m
        else:
            (ring,) = record.geometry["coordinates"]
            assert record.geometry["type"] == "Polygon"
            assert ring[0] == ring[-1]
            assert len(ring) == len(fence.points) + 1
            assert ring[0] == pytest.approx([fence.points[0][1], fence.points[0][0]], abs=1e-6)
            assert record.radius_m is None
    (one,) = await setup.connector.read_geofences(["2"])
    assert one.name == setup.world.geofence_by_id[2].name
    assert setup.calls == {("GET", "/api/geofences"): 2}


async def test_a_geofence_of_unknown_shape_hides_no_other(setup: Setup) -> None:
    rows = [{"id": 1, "name": "a", "area": "string"}, {"id": 2, "name": "b", "area": "CIRCLE (1 2, 3)"}]
    setup.vendor.faults.fail_next.append(Failure(200, {"Content-Type": "application/json"}, json.dumps(rows).encode()))
    page = await setup.connector.list_geofences(ListQuery(filter=queries.GeofenceFilter()), None)
    assert [each.name for each in page.records] == ["b"]
    assert setup.log.lines == [
        (
            "vendor.bad_geofence",
            {
                "integration": "traccar",
                "count": 1,
                "error": "the area at `$[0].area` is no CIRCLE, POLYGON or LINESTRING",
            },
        )
    ]


async def test_identities_name_fleet_number_and_plate(setup: Setup) -> None:
    assert isinstance(setup.connector, IdentitySource)
    found = [each async for each in setup.connector.identities()]
    first = setup.world.vehicles[0]
    numbers = {each.number for each in found if each.external_id == str(first.traccar_id)}
    assert numbers == {first.key, first.uber_plate}
    assert len(found) == 96
    assert {each.subject for each in found} == {Subject.VEHICLE}
    assert {each.kind for each in found} == {Kind.VEHICLE}
    assert setup.calls == {("GET", "/api/devices"): 1}


async def test_one_refused_id_hides_no_other(setup: Setup) -> None:
    trace = "java.lang.SecurityException: Device access denied\n\tat org.traccar.X\n"
    setup.vendor.faults.fail_next.append(Failure(400, body=trace, path="/devices"))
    found = await setup.connector.read_vehicles(["403", "406"])
    assert [each.source.external_id for each in found] == ["403", "406"]
    assert setup.calls == {("GET", "/api/devices"): 2, ("GET", "/api/positions"): 1}
    setup.vendor.faults.fail_next.append(Failure(400, body=trace, path="/devices"))
    with pytest.raises(PermissionDenied):
        await setup.connector.read_vehicles(["403"])
    setup.vendor.faults.fail_next.append(Failure(400, body="java.lang.NullPointerException\n\tat x", path="/devices"))
    assert await setup.connector.read_vehicles(["403"]) == []


# --- signing in


@pytest.mark.parametrize("credentials", [SESSION, BASIC, TOKEN], ids=["session", "basic", "token"])
async def test_each_way_of_signing_in(credentials: dict[str, Secret]) -> None:
    made = Setup(credentials=credentials)
    assert await made.connector.check() == "Traccar 6.14.5"
    assert len((await made.connector.list_vehicles(every(), None)).records) == 48
    assert made.vendor.logins == (1 if credentials is SESSION else 0)
    assert all("origin" not in request.headers for request, _ in made.wire.seen)
    await made.connector.aclose()


async def test_the_address_may_end_in_api() -> None:
    made = Setup(credentials=TOKEN, base_url="http://vendor/api/")
    assert await made.connector.check() == "Traccar 6.14.5"


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ({"token": Secret("wrong-token")}, "auth failed"),
        ({"username": Secret(traccar.EMAIL), "password": Secret("wrong-pass")}, "auth failed"),
        ({"email": Secret(traccar.EMAIL), "password": Secret("wrong-pass")}, "auth failed"),
        ({"email": Secret(traccar.TOTP_EMAIL), "password": Secret(traccar.PASSWORD)}, "one-time code"),
    ],
)
async def test_wrong_credentials_are_told(credentials: dict[str, Secret], message: str) -> None:
    made = Setup(credentials=credentials)
    with pytest.raises(AuthFailed, match=message) as caught:
        await made.connector.list_vehicles(every(), None)
    assert not isinstance(caught.value, SessionExpired)
    assert "wrong-" not in str(caught.value)


@pytest.mark.parametrize("credentials", [{}, {**TOKEN, **SESSION}, {"email": Secret("a")}, {"password": Secret("b")}])
def test_credentials_are_one_of_three(credentials: dict[str, Secret]) -> None:
    with pytest.raises(ValueError, match="give one of the credentials"):
        Setup(credentials=credentials)


async def test_a_session_refused_again_after_a_fresh_log_in_is_told(setup: Setup) -> None:
    made = Setup()
    await made.connector.list_vehicles(every(), None)
    made.vendor.faults.fail_next.extend([Failure(401, path="/devices")] * 2)
    with pytest.raises(SessionExpired):
        await made.connector.read_vehicles(["403"])


# --- what answers mean


def _explained(status: int, body: str, *, url: str = "http://vendor/api/devices", **headers: str) -> Any:
    request = httpx.Request("GET", url)
    response = httpx.Response(status, text=body, headers=headers, request=request)
    return Traccar.manifest.explain(response) or by_status(response)  # type: ignore[misc]


def test_only_the_first_line_of_a_stack_trace_is_shown() -> None:
    outcome = _explained(400, (SAMPLES / "error.400.txt").read_text())
    assert outcome.kind.value == "bad request"
    assert outcome.code == "StorageException"
    assert outcome.message == "org.h2.jdbc.JdbcSQLSyntaxErrorException: x"


@pytest.mark.parametrize(
    ("url", "body", "kind", "code"),
    [
        ("/devices", "java.lang.SecurityException: Device access denied\n\tat x", "denied", "SecurityException"),
        ("/geofences/7", "java.lang.NullPointerException\n\tat x", "absent", "NullPointerException"),
        ("/devices?id=7&id=8", "java.lang.NullPointerException: y\n\tat x", "absent", "NullPointerException"),
        ("/reports/route?deviceId=7", "java.lang.NullPointerException\n\tat x", "bad request", "NullPointerException"),
        ("/positions", "something else", "bad request", None),
    ],
)
def test_what_a_400_means(url: str, body: str, kind: str, code: str | None) -> None:
    outcome = _explained(400, body, url="http://vendor/api" + url)
    assert (outcome.kind.value, outcome.code) == (kind, code)


def test_an_unknown_session_is_an_expired_one() -> None:
    assert _explained(404, "", url="http://vendor/api/session").kind.value == "auth expired"
    assert _explained(404, "", url="http://vendor/api/geofences/1").kind.value == "absent"


def test_a_page_or_a_spreadsheet_is_no_data() -> None:
    assert "base_url" in _explained(200, "<!DOCTYPE html><html>").message
    outcome = _explained(
        200, "PK", **{"content-type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
    )
    assert outcome.kind.value == "nonsense"


async def test_errors_name_what_was_tried_without_its_query(setup: Setup) -> None:
    setup.vendor.faults.fail_next.append(Failure(400, body="java.lang.IllegalStateException: odd\n\tat secret.Frame"))
    with pytest.raises(BadRequest) as caught:
        await setup.connector.list_geofences(ListQuery(filter=queries.GeofenceFilter()), None)
    assert str(caught.value) == (
        "traccar: GET http://vendor/api/geofences answered 400, bad request (IllegalStateException): odd"
    )


async def test_not_found_is_raised_by_single_objects_only(setup: Setup) -> None:
    with pytest.raises(NotFound):
        await setup.connector.api.get("/nothing", dict)


# --- the vendor's definition


def _definition() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((SAMPLES / "traccar-6.14.5.openapi3.1.yaml").read_text())
    return found


NULLS = {
    "address",
    "network",
    "geofenceIds",
    "map",
    "bingKey",
    "mapUrl",
    "poiLayer",
    "announcement",
    "coordinateFormat",
}
"""The server writes these as null, which its definition forgets to allow."""


def _fits(definition: dict[str, Any], path: str, method: str, body: Any) -> int:
    """How many objects of the answer were checked."""
    schema = definition["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    rows = body if isinstance(body, list) else [body]
    bare = [{name: value for name, value in row.items() if value is not None or name not in NULLS} for row in rows]
    validator = jsonschema.Draft202012Validator({**schema, "components": definition["components"]})
    validator.validate(bare if isinstance(body, list) else bare[0])
    return len(rows)


async def test_requests_and_answers_fit_the_vendors_definition() -> None:
    """Every call that the connector makes is in the definition, and the stand-in's answers have its shapes."""
    made = Setup()
    await made.connector.check()
    await made.connector.list_vehicles(every(), None)
    await made.connector.read_vehicles(["403", "406"])
    await made.connector.list_geofences(ListQuery(filter=queries.GeofenceFilter()), None)
    made.clock.passed += 120
    async for _ in made.connector._missed(NOW):
        pass
    definition = _definition()
    checker = OpenAPI.from_dict(definition)
    kinds, rows = set(), 0
    for request, response in made.wire.seen:
        path = request.url.path.removeprefix("/api")
        kinds.add((request.method, path))
        query: dict[str, Any] = {}
        for name, value in request.url.params.multi_items():
            query.setdefault(name, []).append(value)
        declared = {each["name"] for each in definition["paths"][path][request.method.lower()].get("parameters", [])}
        assert set(query) <= declared, path
        checker.validate_request(
            MockRequest(
                "http://localhost:8082",
                request.method.lower(),
                "/api" + path,
                args=query,  # type: ignore[arg-type]
                headers={"Authorization": "Bearer of-the-definition"},
                data=request.content or None,
                content_type=request.headers.get("content-type", ""),
            )
        )
        rows += _fits(definition, path, request.method.lower(), json.loads(response.content))
    assert kinds == {
        ("POST", "/session"), ("GET", "/server"), ("GET", "/devices"), ("GET", "/positions"), ("GET", "/geofences"),
        ("GET", "/reports/route"), ("GET", "/reports/events"),
    }  # fmt: skip
    assert rows > 200


# --- mapping


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


# --- forwarded messages

HOOK = {**TOKEN, "webhook_secret": Secret("hook-secret")}


def _forwarded(name: str = "forward.position.json", **headers: str) -> Payload:
    return Payload(body=(SAMPLES / name).read_bytes(), headers={"content-type": "application/json", **headers})


def test_without_a_secret_nothing_is_believed(setup: Setup) -> None:
    assert isinstance(setup.connector, WebhookReceiver)
    for given in ({}, {"x-crossdock-secret": ""}):
        with pytest.raises(SignatureInvalid, match="no `webhook_secret` is configured"):
            setup.connector.verify(_forwarded(**given))
    empty = Setup(credentials={**TOKEN, "webhook_secret": Secret("")})
    with pytest.raises(SignatureInvalid):
        empty.connector.verify(_forwarded(**{"x-crossdock-secret": ""}))


def test_the_header_must_hold_the_secret() -> None:
    made = Setup(credentials=HOOK)
    made.connector.verify(_forwarded(**{"x-crossdock-secret": "hook-secret"}))
    for given in (
        {},
        {"x-crossdock-secret": "hook-secre"},
        {"authorization": "hook-secret"},
        {"x-crossdock-secret": "é"},
    ):
        with pytest.raises(SignatureInvalid) as caught:
            made.connector.verify(_forwarded(**given))
        assert "hook-secret" not in str(caught.value)
    other = Setup(credentials=HOOK, settings={"webhook_header": "Authorization"})
    other.connector.verify(_forwarded(authorization="hook-secret"))


def test_a_forwarded_position_has_the_delivery_of_its_frame(setup: Setup) -> None:
    raw = setup.connector.received(_forwarded(**{"x-crossdock-secret": "hook-secret"}))
    assert raw is not None
    assert (raw.delivery_id, raw.decoder) == ("position:91234", "traccar-forwarded")
    assert raw.payload.headers == {"content-type": "application/json"}


def test_a_position_forwarded_before_it_is_stored_is_named_by_its_content(setup: Setup) -> None:
    body = json.loads((SAMPLES / "forward.position.json").read_text())
    body["position"]["id"] = 0
    one = setup.connector.received(Payload(body=json.dumps(body).encode()))
    body["position"]["speed"] = 3
    two = setup.connector.received(Payload(body=json.dumps(body).encode()))
    assert one is not None
    assert two is not None
    assert one.delivery_id.startswith("position:of:17:")
    assert one.delivery_id != two.delivery_id


def test_a_forwarded_event_is_named_by_its_id(setup: Setup) -> None:
    event = json.loads((SAMPLES / "ws.event.alarm.json").read_text())["events"][0]
    raw = setup.connector.received(Payload(body=json.dumps({"event": event, "device": None}).encode()))
    assert raw is not None
    assert raw.delivery_id == "event:5501"


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"position": null}', b"not json", b'{"position": {"id": 1}}'])
def test_a_forwarded_message_that_is_not_understood(setup: Setup, body: bytes) -> None:
    with pytest.raises(BadPayload):
        setup.connector.received(Payload(body=body))


def test_an_empty_call_is_nothing_to_do(setup: Setup) -> None:
    assert setup.connector.received(Payload(body=b"")) is None


async def test_a_forwarded_position_becomes_a_full_vehicle(setup: Setup) -> None:
    vehicle = setup.world.trucks[0]
    body = json.loads((SAMPLES / "forward.position.json").read_text())
    body["position"]["deviceId"] = body["device"]["id"] = vehicle.traccar_id
    body["device"]["status"] = "unknown"
    raw = setup.connector.received(Payload(body=json.dumps(body).encode()))
    assert raw is not None
    (event,) = await setup.connector.events(raw)
    assert event.record.plate == vehicle.uber_plate  # type: ignore[union-attr]
    assert event.record.connectivity is Connectivity.UNKNOWN  # type: ignore[union-attr]
    assert event.occurred_at == datetime(2026, 5, 12, 8, 15, 29, tzinfo=UTC)
    assert event.sequence == 91234  # type: ignore[union-attr]
    assert setup.calls == {("GET", "/api/devices"): 1}


async def test_the_url_form_finds_its_device_by_id_identifier_or_name(setup: Setup) -> None:
    vehicle = setup.world.trucks[0]
    place = "fixTime=1451610123000&latitude=6.5&longitude=3.4&speed=21.598&valid=true"
    name = vehicle.traccar_name.replace(" ", "+")
    for who in (f"deviceId={vehicle.traccar_id}", f"uniqueId={vehicle.imei}", f"name={name}"):
        raw = setup.connector.received(Payload(body=f"/hook?{who}&{place}".encode()))
        assert raw is not None
        assert raw.decoder == "traccar-forwarded-url"
        (event,) = await setup.connector.events(raw)
        assert event.record.source.external_id == str(vehicle.traccar_id)  # type: ignore[union-attr]
        assert event.record.position.speed_kmh == 40.0  # type: ignore[union-attr]
        assert event.occurred_at == datetime(2016, 1, 1, 1, 2, 3, tzinfo=UTC)
    raw = setup.connector.received(Payload(body=f"/hook?uniqueId=nobody&name={name}&{place}".encode()))
    assert raw is not None
    assert await setup.connector.events(raw) == []
    assert setup.log.events == ["vendor.unknown_devices"]


@pytest.mark.parametrize(
    "query",
    [
        "gprmc=$GPRMC,010203.000,A,2000.0000,N,03000.0000,E,0.00,0.00,010116,,*06",
        "gprmc=nonsense",
        "fixTime=yesterday&latitude=1&longitude=2",
        "fixTime=1&latitude=north&longitude=2",
        "fixTime=1451610123000&deviceId=x&latitude=1&longitude=2",
        "fixTime=1451610123000",
    ],
)
def test_an_address_that_is_wrong_is_refused(query: str) -> None:
    with pytest.raises(BadPayload):
        urlform.read(f"http://x/?{query}".encode())


# --- polling


async def test_the_poll_brings_what_is_new() -> None:
    made = Setup(credentials=TOKEN, settings={"socket": False})
    assert isinstance(made.connector, Poller)
    assert isinstance(made.connector, EventStream)
    assert [each async for each in made.connector.stream()] == []
    first = await made.connector.poll(None)
    assert len([each for each in first.raws if each.delivery_id.startswith("position:")]) == 48
    assert len([each for each in first.raws if each.delivery_id.startswith("device:")]) == 48
    again = await made.connector.poll(first.cursor)
    assert [each for each in again.raws if not each.delivery_id.startswith("event:")] == []
    made.vendor.faults.calls.clear()
    made.clock.passed += 30
    later = await made.connector.poll(again.cursor)
    fleet, now = made.vendor.fleet, made.clock.now()
    latest = [(each, fleet.latest(each, now).at) for each in made.world.vehicles]
    fresh = {f"position:{fleet.position_id(each, at)}" for each, at in latest if at >= NOW}
    assert len(fresh) > 20
    assert {each.delivery_id for each in later.raws if each.delivery_id.startswith("position:")} == fresh
    assert made.calls == {
        ("GET", "/api/devices"): 1,
        ("GET", "/api/positions"): 1,
        ("GET", "/api/reports/events"): 1,
    }
    for raw in later.raws:
        assert await made.connector.events(raw)


async def test_a_server_that_is_down_has_nothing_new() -> None:
    made = Setup(credentials=TOKEN)
    first = await made.connector.poll(None)
    made.vendor.faults.down = True
    assert await made.connector.poll(first.cursor) == msgspec.structs.replace(first, raws=())


async def test_a_cursor_of_nobody_tells_everything_again(setup: Setup) -> None:
    assert len((await setup.connector.poll("not ours")).raws) == 96


async def test_a_device_that_the_account_may_not_see_is_asked_for_once(setup: Setup) -> None:
    place = {"id": 9, "deviceId": 5, "fixTime": "2026-05-12T08:15:29Z", "latitude": 1, "longitude": 2}
    frame, now = json.dumps({"positions": [place]}).encode(), setup.clock.now()
    for _ in range(3):
        (raw,) = Cutter(now).cut(frame, now)
        assert await setup.connector.events(raw) == []
    assert setup.log.lines == [("vendor.unknown_devices", {"integration": "traccar", "count": 1})]
    assert setup.calls == {("GET", "/api/devices"): 2}  # all of them, then the unknown one
    setup.clock.passed += 301
    assert await setup.connector.events(raw) == []
    assert setup.calls == {("GET", "/api/devices"): 3}
