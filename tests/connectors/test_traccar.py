"""The Traccar connector against its stand-in, in process: what it reads, in how many calls, how it fails."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest

from connectors.kit.errors import (
    AuthFailed,
    BadRequest,
    NotFound,
    PermissionDenied,
    SessionExpired,
)
from connectors.kit.http import by_status
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.protocols import IdentitySource
from connectors.kit.services import Services
from connectors.traccar import Traccar
from sandbox import traccar
from sandbox.standin import Failure
from sandbox.world import World
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from unified import ids, queries
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
