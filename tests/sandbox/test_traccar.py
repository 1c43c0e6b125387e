"""The Traccar stand-in: against the vendor's definition, and as pytraccar sees it, which is no work of ours."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import jsonschema
import pytest
import yaml
from pytraccar import ApiClient, SubscriptionStatus, TraccarAuthenticationException
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from sandbox import traccar
from sandbox.serving import Listener
from sandbox.traccar import EMAIL, PASSWORD, TOKEN, TOTP_EMAIL
from sandbox.world import World

SAMPLES = Path(__file__).parents[1] / "samples" / "traccar"
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
SPAN = {"from": "2026-11-25T09:00:00Z", "to": "2026-11-25T09:30:00.000+00:00"}
JSON = {"Accept": "application/json"}


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vendor(clock: Clock) -> traccar.Traccar:
    return traccar.create(World(clock.now), unknown_option=1)


@pytest.fixture
async def client(vendor: traccar.Traccar) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=vendor.app)
    headers = {"Authorization": f"Bearer {TOKEN}", **JSON}
    async with httpx.AsyncClient(transport=transport, base_url="http://vendor/api", headers=headers) as made:
        yield made


@pytest.fixture
async def anybody(vendor: traccar.Traccar) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=vendor.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://vendor/api") as made:
        yield made


# --- the definition and the samples

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


@pytest.mark.parametrize(
    ("path", "query", "rows"),
    [
        ("/devices", {}, 48),
        ("/devices", {"id": ["403", "406"], "uniqueId": "nobody"}, 2),
        ("/positions", {}, 48),
        ("/positions", {"deviceId": "403", "from": "2026-11-25T09:28:00Z", "to": "2026-11-25T09:30:00Z"}, None),
        ("/geofences", {}, 10),
        ("/server", {}, 1),
        ("/session", {}, 1),
        ("/reports/events", {"deviceId": ["403", "406"], "type": "allEvents", **SPAN}, None),
        ("/reports/route", {"deviceId": "403", **SPAN}, None),
    ],
)
async def test_answers_fit_the_definition(
    client: httpx.AsyncClient, path: str, query: dict[str, Any], rows: int | None
) -> None:
    definition = yaml.safe_load((SAMPLES / "traccar-6.14.5.openapi3.1.yaml").read_text())
    content = definition["paths"][path]["get"]["responses"]["200"]["content"]
    answer = await client.get(path, params=query)
    assert answer.headers["content-type"] == "application/json"
    body = answer.json() if isinstance(answer.json(), list) else [answer.json()]
    assert len(body) == rows if rows is not None else len(body) > 3
    bare = [{name: value for name, value in row.items() if value is not None or name not in NULLS} for row in body]
    schema = content["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator({**schema, "components": definition["components"]})
    validator.validate(bare if schema.get("type") == "array" else bare[0])


@pytest.mark.parametrize(
    ("name", "path"),
    [("ws.device.json", "/devices"), ("ws.position.json", "/positions"), ("geofences.json", "/geofences")],
)
async def test_objects_have_the_fields_of_the_real_ones(client: httpx.AsyncClient, name: str, path: str) -> None:
    real = json.loads((SAMPLES / name).read_text())
    row = (real if isinstance(real, list) else next(iter(real.values())))[0]
    for each in (await client.get(path)).json():
        assert set(each) == set(row)
    attributes = set(row["attributes"])
    ours = set((await client.get(path)).json()[0]["attributes"])
    assert path != "/positions" or ours <= attributes


async def test_times_have_milliseconds_and_an_offset(client: httpx.AsyncClient) -> None:
    for row in (await client.get("/positions")).json():
        assert row["serverTime"].endswith(".204+00:00")
        assert row["fixTime"].endswith(".000+00:00")


# --- signing in


async def test_who_may_ask(anybody: httpx.AsyncClient, vendor: traccar.Traccar) -> None:
    assert (await anybody.get("/server")).json()["version"] == "6.14.5"
    refused = await anybody.get("/devices")
    assert (refused.status_code, refused.content) == (401, b"")
    assert (await anybody.get("/devices", auth=(EMAIL, PASSWORD))).status_code == 200
    assert (await anybody.get("/devices", auth=(EMAIL, "wrong"))).status_code == 401
    assert (await anybody.get("/devices", headers={"Authorization": "Bearer wrong"})).status_code == 401
    for odd in ("Basic !!", "nonsense", "Basic " + base64.b64encode(b"no colon").decode()):
        broken = await anybody.get("/devices", headers={"Authorization": odd})
        assert (broken.status_code, broken.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert vendor.logins == 0


async def test_sessions(anybody: httpx.AsyncClient, vendor: traccar.Traccar) -> None:
    assert (await anybody.get("/session")).status_code == 404
    wrong = await anybody.post("/session", data={"email": EMAIL, "password": "wrong"})
    assert (wrong.status_code, wrong.content) == (401, b"")
    totp = await anybody.post("/session", data={"email": TOTP_EMAIL, "password": PASSWORD})
    assert (totp.status_code, totp.headers["www-authenticate"]) == (401, "TOTP")
    made = await anybody.post("/session", data={"email": EMAIL, "password": PASSWORD})
    assert made.json()["email"] == EMAIL
    assert made.headers["set-cookie"].startswith("JSESSIONID=node0")
    assert (await anybody.get("/session")).status_code == 200
    assert (await anybody.get("/devices")).status_code == 200
    assert (await anybody.get("/devices", headers={"Origin": "http://elsewhere"})).status_code == 401
    vendor.faults.expire_sessions()
    assert (await anybody.get("/devices")).status_code == 401
    assert (await anybody.get("/session")).status_code == 404
    assert (await anybody.get("/session", params={"token": TOKEN})).status_code == 200
    assert (await anybody.get("/devices")).status_code == 200
    assert (await anybody.delete("/session")).status_code == 204
    assert (await anybody.get("/devices")).status_code == 401
    assert vendor.logins == 2


async def test_tokens(anybody: httpx.AsyncClient) -> None:
    made = await anybody.post("/session/token", auth=(EMAIL, PASSWORD), data={"expiration": "2027-01-01T00:00:00Z"})
    header = {"Authorization": f"Bearer {made.text}"}
    assert (await anybody.get("/positions", headers=header)).status_code == 200
    revoked = await anybody.post("/session/token/revoke", auth=(EMAIL, PASSWORD), data={"token": made.text})
    assert revoked.status_code == 204
    assert (await anybody.get("/positions", headers=header)).status_code == 401


# --- what goes wrong


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("/devices/9", "java.lang.SecurityException: Device access denied"),
        ("/geofences/99", "java.lang.SecurityException: Geofence access denied"),
        ("/positions?deviceId=9", "java.lang.SecurityException: Device access denied"),
        (
            "/reports/route?deviceId=403&from=2026-11-25T09:00:00Z",
            'java.lang.NullPointerException: Cannot invoke "java.util.Date.getTime()" because "to" is null',
        ),
        (
            "/reports/events?deviceId=403&from=2026-11-20T09:00:00Z&to=2026-11-25T09:00:00Z",
            "java.lang.IllegalArgumentException: Time period exceeds the limit",
        ),
        (
            "/reports/events?deviceId=403&from=2026-11-25&to=2026-11-25T09:00:00Z",
            "java.time.format.DateTimeParseException: Text '2026-11-25' could not be parsed at index 10",
        ),
    ],
)
async def test_faults_are_stack_traces(client: httpx.AsyncClient, path: str, first: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert lines[0] == first
    assert all(line.startswith("\tat org.traccar.") for line in lines[1:])
    assert len(lines) > 1


async def test_an_id_that_is_no_number_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/devices?id=x")).status_code == 404


@pytest.mark.parametrize("path", ["/reports/events", "/reports/route"])
async def test_reports_are_spreadsheets_for_those_who_do_not_ask_for_json(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, params={"deviceId": "403", **SPAN}, headers={"Accept": "*/*"})
    assert "spreadsheetml" in answer.headers["content-type"]
    assert answer.content.startswith(b"PK")


async def test_lists_are_cut_and_searched_as_asked(client: httpx.AsyncClient) -> None:
    page = (await client.get("/devices", params={"limit": 2, "offset": 3, "excludeAttributes": "true"})).json()
    assert [each["id"] for each in page] == [412, 415]
    assert "attributes" not in page[0]
    cars = (await client.get("/devices", params={"keyword": "car 01"})).json()
    assert [each["name"] for each in cars] == [World().cars[0].traccar_name]
    assert len((await client.get("/geofences", params={"keyword": "gate"})).json()) == 3


# --- what it tells


async def test_positions_follow_the_world(client: httpx.AsyncClient, vendor: traccar.Traccar) -> None:
    rows = {each["deviceId"]: each for each in (await client.get("/positions")).json()}
    for vehicle in vendor.world.vehicles:
        row = rows[vehicle.traccar_id]
        at = datetime.fromisoformat(row["fixTime"])
        silent = not vehicle.state_at(NOW).online
        assert (NOW - timedelta(minutes=8) if silent else NOW - timedelta(seconds=31)) <= at < NOW
        state = vehicle.state_at(at)
        assert row["speed"] == pytest.approx(state.speed_kmh / 1.852, abs=1e-6)
        assert row["attributes"]["motion"] is state.motion
        assert row["attributes"]["hours"] == state.engine_ms
        assert row["id"] == next(
            each["positionId"] for each in (await client.get(f"/devices?id={vehicle.traccar_id}")).json()
        )


async def test_the_route_is_what_was_reported(client: httpx.AsyncClient, vendor: traccar.Traccar) -> None:
    vehicle = next(each for each in vendor.world.trucks if each.state_at(NOW).motion)
    rows = (await client.get("/reports/route", params={"deviceId": vehicle.traccar_id, **SPAN})).json()
    times = [datetime.fromisoformat(each["fixTime"]) for each in rows]
    assert times == sorted(set(times))
    assert [each["id"] for each in rows] == sorted({each["id"] for each in rows})
    steps = [(b - a).total_seconds() for a, b in itertools.pairwise(times)]
    assert min(steps) == 2
    assert max(steps) <= 30


async def test_events_differ_and_are_in_their_span(client: httpx.AsyncClient, vendor: traccar.Traccar) -> None:
    every = [("deviceId", each.traccar_id) for each in vendor.world.vehicles]
    span = list(SPAN.items())
    rows = (await client.get("/reports/events", params=[*every, ("type", "%"), *span])).json()
    assert len({each["id"] for each in rows}) == len(rows) > 100
    assert {each["type"] for each in rows} >= {
        "deviceMoving", "deviceStopped", "ignitionOn", "ignitionOff", "geofenceEnter", "geofenceExit",
        "deviceOverspeed",
    }  # fmt: skip
    for row in rows:
        assert NOW - timedelta(minutes=30) <= datetime.fromisoformat(row["eventTime"]) < NOW
        assert bool(row["geofenceId"]) is row["type"].startswith("geofence")
    some = (
        await client.get("/reports/events", params=[*every, ("type", "deviceOverspeed,geofenceExit"), *span])
    ).json()
    assert some == [each for each in rows if each["type"] in ("deviceOverspeed", "geofenceExit")]
    assert {each["deviceId"] for each in some if each["type"] == "deviceOverspeed"} == {
        vendor.world.vehicle_by_key["TRK-024"].traccar_id
    }


# --- the socket


def test_the_socket_wants_a_session_or_a_token(vendor: traccar.Traccar) -> None:
    client = TestClient(vendor.app)
    for query in ("", "?token=wrong"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/socket" + query):
            pass
    with client.websocket_connect(f"/api/socket?token={TOKEN}") as socket:
        assert len(socket.receive_json()["positions"]) == 48


def test_what_the_socket_tells(vendor: traccar.Traccar, clock: Clock) -> None:
    flickering = vendor.world.vehicle_by_key["TRK-011"]
    while not vendor.fleet.online(flickering, clock.at):
        clock.at += timedelta(seconds=10)
    while vendor.fleet.online(flickering, clock.at):
        clock.at += timedelta(seconds=10)
    clock.at -= timedelta(seconds=5)
    gone_at = clock.at + timedelta(seconds=5)
    with TestClient(vendor.app).websocket_connect(f"/api/socket?token={TOKEN}") as socket:
        assert list(socket.receive_json()) == ["positions"]
        clock.at += timedelta(seconds=9)
        seen: list[dict[str, Any]] = []
        while not any(each.get("events", [{}])[0].get("type") == "deviceOffline" for each in seen):
            seen.append(socket.receive_json())
        assert all(len(each) == 1 and len(next(iter(each.values()))) == 1 for each in seen)
        device, event = seen[-2]["devices"][0], seen[-1]["events"][0]
        assert (device["id"], device["status"]) == (flickering.traccar_id, "offline")
        assert datetime.fromisoformat(event["eventTime"]) == gone_at
        positions = [each["positions"][0] for each in seen if "positions" in each]
        assert {each["deviceId"] for each in positions} > {
            each.traccar_id
            for each in vendor.world.vehicles
            if all(each.state_at(clock.at - timedelta(seconds=n)).motion for n in range(10))
        } - {flickering.traccar_id}


def test_the_socket_is_kept_alive(clock: Clock) -> None:
    vendor = traccar.create(World(clock.now), keepalive_s=1)
    with TestClient(vendor.app).websocket_connect(f"/api/socket?token={TOKEN}") as socket:
        socket.receive_json()
        clock.at += timedelta(seconds=1)
        while socket.receive_json() != {}:
            pass


# --- an independent client

OLD_WORDS = pytest.mark.filterwarnings("ignore:.*(BasicAuth|verify_ssl|auth).*:DeprecationWarning")
"""pytraccar 2.1.1 uses what aiohttp is about to drop."""


@pytest.fixture
async def port(vendor: traccar.Traccar) -> AsyncIterator[int]:
    listener = Listener(vendor.app, "127.0.0.1", 0)
    await listener.start()
    yield listener.port
    await listener.stop()


@OLD_WORDS
async def test_pytraccar_reads_it(port: int, vendor: traccar.Traccar) -> None:
    async with aiohttp.ClientSession() as session:
        client = ApiClient("127.0.0.1", EMAIL, PASSWORD, session, port=port)
        assert (await client.get_server())["version"] == "6.14.5"
        devices, positions = await client.get_devices(), await client.get_positions()
        assert [each["uniqueId"] for each in devices] == [each.imei for each in vendor.world.vehicles]
        assert {each["deviceId"] for each in positions} == {each["id"] for each in devices}
        assert len(await client.get_geofences()) == len(vendor.world.geofences)
        events = await client.get_reports_events(
            devices=[each["id"] for each in devices],
            event_types=["deviceMoving", "deviceStopped"],
            start_time=NOW.replace(tzinfo=None),
            end_time=NOW.replace(tzinfo=None) - timedelta(minutes=30),
        )
        assert {each["type"] for each in events} == {"deviceMoving", "deviceStopped"}
        stranger = ApiClient("127.0.0.1", EMAIL, "wrong", session, port=port)
        with pytest.raises(TraccarAuthenticationException):
            await stranger.get_devices()


@OLD_WORDS
async def test_pytraccar_listens_to_it(port: int, vendor: traccar.Traccar, clock: Clock) -> None:
    heard: list[dict[str, Any]] = []
    enough = asyncio.Event()

    async def callback(data: Any) -> None:
        heard.append(data)
        if len(heard) == 1:
            clock.at += timedelta(seconds=3)
            vendor.push.look()
        if data["positions"] and len(heard) > 1:
            enough.set()

    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        client = ApiClient("127.0.0.1", EMAIL, PASSWORD, session, port=port)
        task = asyncio.create_task(client.subscribe(callback))
        async with asyncio.timeout(20):
            await enough.wait()
        assert client.subscription_status is SubscriptionStatus.CONNECTED
        task.cancel()
        await task
    assert len(heard[0]["positions"]) == 48
    assert heard[0]["devices"] is None
    assert vendor.logins == 1
