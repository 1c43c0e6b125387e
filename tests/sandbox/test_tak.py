"""The TAK stand-in against TAK Server's own OpenAPI, the CoT base schema and an independent protobuf codec."""

import asyncio
import contextlib
import json
import re
import ssl
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import trustme
from cryptography import x509
from lxml import etree
from takproto import parse_stream

from sandbox import tak
from sandbox.tak import certificates, cot
from sandbox.tak.rest import PROTECTED
from sandbox.world import World

SAMPLES = Path(__file__).parents[1] / "samples" / "c4isr"
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
API = json.loads((SAMPLES / "takserver-openapi.json").read_text())
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
FORMATS = jsonschema.FormatChecker()
FORMATS.checks("date-time")(lambda text: not isinstance(text, str) or DATE_TIME.fullmatch(text) is not None)


def client(**options: Any) -> httpx.AsyncClient:
    standin = tak.create(World(lambda: NOW), **options)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=standin.app), base_url="http://tak")


def fits(path: str, body: Any) -> None:
    """Raises when the body is not what the vendor's document says for the call."""
    answer = API["paths"][path]["get"]["responses"]["200"]["content"]["*/*"]["schema"]
    schema = {**answer, "components": API["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=FORMATS).validate(body)


MISSION = World(lambda: NOW).missions[0]
UNIT = World(lambda: NOW).units[0]
SPAN = {"start": "2026-11-25T00:00:00.000Z", "end": "2026-11-25T23:00:00.000Z"}


@pytest.mark.parametrize(
    ("template", "path", "params"),
    [
        ("/Marti/api/missions", "/Marti/api/missions", {"passwordProtected": "true"}),
        ("/Marti/api/pagedmissions", "/Marti/api/pagedmissions", {"page": "0", "pagesize": "4"}),
        ("/Marti/api/missioncount", "/Marti/api/missioncount", {}),
        ("/Marti/api/missions/{name}", f"/Marti/api/missions/{MISSION.name}", {"changes": "true"}),
        ("/Marti/api/missions/guid/{guid}", f"/Marti/api/missions/guid/{MISSION.guid}", {"changes": "true"}),
        ("/Marti/api/missions/{name}/changes", f"/Marti/api/missions/{MISSION.name}/changes", {"secago": "7200"}),
        ("/Marti/api/contacts/all", "/Marti/api/contacts/all", {}),
        ("/Marti/api/clientEndPoints", "/Marti/api/clientEndPoints", {}),
        ("/Marti/api/version/config", "/Marti/api/version/config", {}),
    ],
)
async def test_answers_fit_the_vendors_document(template: str, path: str, params: dict[str, str]) -> None:
    async with client(quirks=False) as http:
        answer = await http.get(path, params=params)
    assert answer.status_code == 200
    fits(template, answer.json())


async def test_the_validator_sees_what_does_not_fit() -> None:
    async with client(quirks=True) as http:
        answer = await http.get(f"/Marti/api/missions/guid/{MISSION.guid}", params={"changes": "true"})
    with pytest.raises(jsonschema.ValidationError):
        fits("/Marti/api/missions/guid/{guid}", answer.json())


async def test_quirks_are_those_that_were_seen() -> None:
    """`version` as text and number, `data` as list and object, three forms of time in one server."""
    async with client() as http:
        listed = (await http.get("/Marti/api/missions")).json()
        single = (await http.get(f"/Marti/api/missions/{MISSION.name}")).json()
        changes = (await http.get(f"/Marti/api/missions/{MISSION.name}/changes", params={"secago": "86400"})).json()
        situation = (await http.get("/Marti/api/cot/sa", params=SPAN)).text
    assert (listed["version"], single["version"]) == ("3", 3)
    assert (type(listed["data"]), type(single["data"])) == (list, dict)
    listed_mission = next(each for each in listed["data"] if each["name"] == MISSION.name)
    assert re.fullmatch(r"202\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{4}Z", listed_mission["createTime"])
    assert re.fullmatch(r"\w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT", single["data"]["createTime"])
    assert re.search(r'time="2026-11-25T\d\d:\d\d:\d\d\.\d{3}Z"', situation)
    joined = next(each for each in changes["data"] if "details" in each)
    assert joined["contentUid"] is None
    assert joined["missionGuid"] == MISSION.spare_uid


async def test_pages_count_from_zero() -> None:
    async with client() as http:
        rows = [
            (await http.get("/Marti/api/pagedmissions", params={"page": page, "pagesize": 4})).json()["data"]
            for page in (0, 1, 2)
        ]
        found = (await http.get("/Marti/api/pagedmissions", params={"nameFilter": "convoy"})).json()["data"]
        ordered = (await http.get("/Marti/api/pagedmissions", params={"sort": "name", "ascending": "false"})).json()
        count = (await http.get("/Marti/api/missioncount")).json()["data"]
    assert [len(each) for each in rows] == [4, 2, 0]
    assert count == 6
    assert [each["name"] for each in found] == ["Relief convoy Apapa"]
    names = [each["name"] for each in ordered["data"]]
    assert names == sorted(names, reverse=True)


async def test_errors_of_both_kinds() -> None:
    async with client() as http, client(quirks=False) as book:
        open_server = await http.get("/Marti/api/missions/Nothing")
        by_the_book = await book.get("/Marti/api/missions/Nothing")
        denied = await http.get(f"/Marti/api/missions/{PROTECTED}")
        let_in = await http.get(f"/Marti/api/missions/{PROTECTED}", params={"password": tak.MISSION_PASSWORD})
        hidden = (await http.get("/Marti/api/missions")).json()["data"]
        nowhere = await http.get("/Marti/api/nowhere")
        wrong = await http.post("/Marti/api/tls/signClient/v2?clientUid=x&version=3")
        broken = await http.delete(f"/Marti/api/missions/{MISSION.name}")
    assert (open_server.status_code, open_server.json()) == (
        404,
        {"error": "Mission Nothing not found", "success": False},
    )
    assert (by_the_book.status_code, by_the_book.json()["status"]) == (404, "NOT_FOUND")
    assert (denied.status_code, let_in.status_code, len(hidden)) == (403, 200, 5)
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, 404)
    assert (wrong.status_code, wrong.content) == (401, b"")
    assert (broken.status_code, broken.headers["content-type"]) == (500, "text/html; charset=utf-8")


async def test_the_situation_spans_a_day_at_most_and_is_absent_when_empty() -> None:
    async with client() as http:
        path = "/Marti/api/cot/sa"
        day = await http.get(path, params={"start": "2026-11-24T10:00:00.000Z", "end": "2026-11-25T10:00:00.000Z"})
        longer = await http.get(path, params={"start": "2026-11-24T09:00:00.000Z", "end": "2026-11-25T10:00:00.000Z"})
        reversed_ = await http.get(path, params={"start": SPAN["end"], "end": SPAN["start"]})
        missing = await http.get(path)
        none = await http.get(path, params={"start": "2025-01-01T00:00:00.000Z", "end": "2025-01-01T01:00:00.000Z"})
        box = await http.get(path, params={**SPAN, "left": 3.3, "bottom": 6.4, "right": 3.4, "top": 6.5})
    assert (day.status_code, longer.status_code, reversed_.status_code, missing.status_code) == (200, 400, 400, 400)
    assert (none.status_code, none.content) == (404, b"")
    points = [each.find("point") for each in etree.fromstring(box.content)]
    assert points
    for each in points:
        assert each is not None
        assert 3.3 <= float(each.get("lon", "")) <= 3.4
        assert 6.4 <= float(each.get("lat", "")) <= 6.5


async def test_events_are_asked_for_in_the_body_of_a_get() -> None:
    async with client() as http:
        two = await http.request("GET", "/Marti/api/cot", json=[UNIT.uid, "marker-suspect-1", "nobody"])
        none = await http.request("GET", "/Marti/api/cot", json=["nobody"])
        empty = await http.get("/Marti/api/cot")
        one = await http.get(f"/Marti/api/cot/xml/{UNIT.uid}")
        missing = await http.get("/Marti/api/cot/xml/nobody")
    assert [each.get("uid") for each in etree.fromstring(two.content)] == [UNIT.uid, "marker-suspect-1"]
    assert list(etree.fromstring(none.content)) == []
    assert etree.fromstring(one.content).get("uid") == UNIT.uid
    assert (empty.status_code, missing.status_code, missing.content) == (400, 404, b"")


def everything() -> list[cot.Cot]:
    world = World(lambda: NOW)
    mission = world.missions[0]
    return [
        *(cot.unit_event(each, NOW) for each in world.units),
        cot.marker(NOW),
        cot.drawing(NOW),
        cot.emergency(world.units[0], NOW, cancel=False),
        cot.emergency(world.units[0], NOW, cancel=True),
        *(cot.mission_event(mission, each, NOW) for each in mission.changes(NOW - timedelta(days=1), NOW)),
        cot.control("t-x-c-t-r", "takPong", NOW),
    ]


def test_events_fit_the_base_schema() -> None:
    schema = etree.XMLSchema(etree.parse(str(SAMPLES / "cot-base-event.xsd")))
    for each in everything():
        schema.assertValid(etree.fromstring(each.xml().encode()))


def test_frames_are_read_by_an_independent_codec() -> None:
    for each in everything():
        read = parse_stream(bytearray(each.frame())).cotEvent
        assert (read.uid, read.type, read.how) == (each.uid, each.type, each.how)
        assert (read.lat, read.lon, read.hae, read.ce) == (each.lat, each.lon, each.hae, each.ce)
        assert read.sendTime == int(each.time.timestamp() * 1000)
        assert read.staleTime == int(each.stale.timestamp() * 1000)
        assert read.detail.xmlDetail == each.other
        assert read.detail.contact.callsign == each.typed.get("contact", {}).get("callsign", "")
        assert read.detail.group.name == each.typed.get("__group", {}).get("name", "")
        assert read.detail.status.battery == int(each.typed.get("status", {}).get("battery", "0"))
        assert read.detail.track.speed == float(each.typed.get("track", {}).get("speed", "0"))


# --- certificates


def test_certificates_are_made_once(tmp_path: Path) -> None:
    files = certificates.ensure(tmp_path, "127.0.0.1")
    assert sorted(each.name for each in files.folder.iterdir()) == [
        "ca.pem",
        "client.key",
        "client.pem",
        "server.key",
        "server.pem",
    ]
    for key in (files.server_key, files.client_key):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = {each: each.read_bytes() for each in files.folder.iterdir()}
    certificates.ensure(tmp_path, "127.0.0.1")
    assert {each: each.read_bytes() for each in files.folder.iterdir()} == before
    found = x509.load_pem_x509_certificate(files.client.read_bytes())
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca.read_bytes()))


def test_certificates_are_made_anew_when_they_no_longer_do(tmp_path: Path) -> None:
    files = certificates.ensure(tmp_path, "127.0.0.1")
    first = files.ca.read_bytes()
    certificates.ensure(tmp_path, "192.0.2.7")
    second = files.ca.read_bytes()
    assert first != second, "another host"
    files.client.unlink()
    certificates.ensure(tmp_path, "192.0.2.7")
    third = files.ca.read_bytes()
    assert third != second, "a missing file"
    files.server.write_text("nonsense")
    certificates.ensure(tmp_path, "tak.example")
    assert files.ca.read_bytes() != third
    assert certificates.ensure(tmp_path, "tak.example").ca.read_bytes() == files.ca.read_bytes()


# --- over the wire, with a client that shares nothing with the connector


@pytest.fixture
async def standin(tmp_path: Path) -> AsyncIterator[tak.TakStandIn]:
    made = tak.create(World(), rest_port=0, stream_port=0, state_dir=tmp_path, tick_s=0.02)
    await made.start()
    yield made
    await made.stop()


def context(standin: tak.TakStandIn, *, certificate: bool = True) -> ssl.SSLContext:
    assert standin.files is not None
    made = ssl.create_default_context(cafile=standin.files.ca)
    if certificate:
        made.load_cert_chain(standin.files.client, standin.files.client_key)
    return made


async def test_rest_over_tls(standin: tak.TakStandIn) -> None:
    async with httpx.AsyncClient(verify=context(standin), base_url=standin.addresses[0]) as http:
        answer = await http.get("/Marti/api/version/config")
    assert answer.json()["data"]["hostname"] == "takserver"
    assert standin.faults.calls["GET", "/Marti/api/version/config"] == 1
    assert standin.logins == 0
    assert standin.describe()["addresses"] == list(standin.addresses)
    assert standin.describe()["prefix"] is None


@pytest.mark.parametrize("shown", ["none", "a stranger's"])
async def test_without_a_certificate_of_ours_nobody_is_let_in(standin: tak.TakStandIn, shown: str) -> None:
    """The client is told by an alert, after a handshake that it took for good."""
    made = context(standin, certificate=False)
    alert = "certificate required"
    if shown != "none":
        trustme.CA().issue_cert("stranger").configure_cert(made)
        alert = "unknown ca"
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    for port in (standin.rest_port, standin.stream.port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=made)
        with pytest.raises(ssl.SSLError, match=alert):
            await reader.read(100)
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    assert standin.stream.opened == 0


async def test_the_stream_tells_of_the_world_and_answers(standin: tak.TakStandIn) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", standin.stream.port, ssl=context(standin))
    try:
        async with asyncio.timeout(10):
            offer = await reader.readuntil(b"</event>")
            assert b"t-x-takp-v" in offer
            assert b'<TakProtocolSupport version="1"/>' in offer
            unit = await reader.readuntil(b"</event>")
            assert unit.startswith(b"<?xml")
            assert b'type="a-f-G' in unit
            writer.write(b'<?xml version="1.0"?>\n<event uid="me-ping" type="t-x-c-t"><detail/></event>')
            while b"t-x-c-t-r" not in await reader.readuntil(b"</event>"):
                pass
            writer.write(b'<event uid="protouid-1" type="t-x-takp-q"><detail/></event>')
            while b"t-x-takp-r" not in (answer := await reader.readuntil(b"</event>")):
                pass
            assert b'<TakResponse status="true"/>' in answer
            assert b'uid="protouid-1"' in answer
            head = await reader.readexactly(3)
            assert head[0] == 0xBF
            size = (head[1] & 0x7F) + (head[2] << 7)
            body = await reader.readexactly(size)
            assert parse_stream(bytearray(head + body)).cotEvent.type.startswith("a-f-G")
        assert (standin.stream.pings, standin.stream.requests) == (1, 1)
        standin.faults.close_sockets()
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_while_down_the_stream_refuses(standin: tak.TakStandIn) -> None:
    standin.faults.down = True
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", standin.stream.port, ssl=context(standin))
        assert await reader.read(100) == b""
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    assert standin.stream.opened == 0


def test_changes_are_told_once() -> None:
    clock = [NOW]
    world = World(lambda: clock[0])
    standin = tak.create(world)
    assert [each for each in standin.stream.due() if each.type == "t-x-m-c"] == []
    clock[0] = NOW + timedelta(hours=1)
    told = [each.uid for each in standin.stream.due() if each.type == "t-x-m-c"]
    expected = [
        f"{mission.guid}-{change.number}" for mission in world.missions for change in mission.changes(NOW, clock[0])
    ]
    assert told == expected
    assert len(told) == len(set(told)) > 0
    assert [each for each in standin.stream.due() if each.type == "t-x-m-c"] == []


async def test_without_ports_nothing_is_opened(tmp_path: Path) -> None:
    made = tak.create(World(), state_dir=tmp_path, base_url="http://unused")
    await made.start()
    assert made.addresses == ()
    assert made.files is None
    await made.stop()
