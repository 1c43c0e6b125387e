"""ISO 15143-3 as other makers speak it: their addresses, pages, ways of signing in, and counters of loads."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import msgspec
import pytest

from connectors.kit.errors import AuthFailed, BadPayload, PermissionDenied, RateLimited, SessionExpired, VendorDown
from connectors.kit.integration import Secret
from connectors.minestar.settings import Settings
from tests.connectors.contract import NOW
from tests.connectors.minestar_rig import ACCOUNT, CLIENT, Setup, over
from tests.connectors.test_minestar import alerts, every, gained, key_of, machines, production
from unified.keys import Subject, canonical
from unified.records import EquipmentState, EquipmentType, FaultSeverity

SAMPLES = Path(__file__).parents[1] / "samples" / "minestar"
EMPTY = b'<Fleet xmlns="http://standards.iso.org/iso/15143/-3"/>'


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    made = Setup(iso=True, vendor={"page_size": 5})
    yield made
    await made.connector.aclose()


# --- a maker that keeps to the standard


async def test_a_mixed_fleet_is_read_in_xml(setup: Setup) -> None:
    found = await every(setup.connector.list_equipment, machines())
    assert [each.source.external_id for each in found] == [key_of(each) for each in setup.vendor.machines]
    assert setup.asked == ["/Fleet/1", "/Fleet/2"]
    assert setup.wire.requests[1].headers["accept"] == "application/xml"
    truck = setup.world.quarry_machine_by_key["QA-201"]
    record = next(each for each in found if each.source.external_id == key_of(truck))
    report = truck.report_at(NOW)
    assert record.equipment_type is EquipmentType.HAUL_TRUCK
    assert (record.name, record.serial_number, record.model) == ("ADT 201", truck.serial, "B50E")
    meters = record.meters
    assert meters is not None
    assert meters.load_count is not None
    assert meters.payload_total_kg is not None
    assert meters.def_percent is not None
    assert (meters.load_count.value, meters.payload_total_kg.value) == (report.meters.loads, report.meters.payload_kg)
    assert (meters.def_percent.value, meters.load_count.recorded_at) == (report.def_pct, report.at)


async def test_a_machine_that_is_silent_for_days_is_offline(setup: Setup) -> None:
    (found,) = await setup.connector.read_equipment([key_of(setup.world.quarry_machine_by_key["QM-012"])])
    assert found.state is EquipmentState.OFFLINE
    assert found.error_message == "no report since 2026-11-19 00:00 UTC"
    assert found.model is None, "the box says `missing`"
    patient = Setup(iso=True, offline_hours=160)
    (found,) = await patient.connector.read_equipment([found.source.external_id])
    assert found.state in (EquipmentState.RUNNING, EquipmentState.IDLE)
    assert found.error_message is None
    await patient.connector.aclose()


async def test_one_machine_alone_in_xml(setup: Setup) -> None:
    every_one = await every(setup.connector.list_equipment, machines())
    await setup.connector.read_equipment(["X/none"])
    setup.asked.clear()
    (found,) = await setup.connector.read_equipment([every_one[7].source.external_id])
    assert setup.asked == [f"/Fleet/Equipment/{setup.vendor.machines[7].serial}"]
    assert _undated(found) == _undated(every_one[7])


async def test_machines_that_are_not_known_are_looked_for_once(setup: Setup) -> None:
    strangers = tuple(f"X/{number}" for number in range(5))
    page = await setup.connector.list_maintenance_alerts(alerts(equipment=strangers), None)
    assert page.records == []
    assert setup.asked == ["/Fleet/1", "/Fleet/2"]


async def test_a_truck_that_a_tracker_reports_too_joins_by_its_fleet_number(setup: Setup) -> None:
    found = [each async for each in setup.connector.identities()]
    road = [each for each in setup.vendor.machines if each.vehicle is not None]
    assert len(road) == 4
    for machine in road:
        assert machine.vehicle is not None
        (joined,) = [each for each in found if each.subject is Subject.VEHICLE and each.external_id == key_of(machine)]
        assert joined.number != machine.vehicle.key
        assert canonical(Subject.VEHICLE, joined.number) == canonical(Subject.VEHICLE, machine.vehicle.key)


async def test_loads_and_payload_of_a_day(setup: Setup) -> None:
    truck = setup.world.quarry_machine_by_key["QA-202"]
    page = await setup.connector.list_production_records(production(equipment=(key_of(truck),)), None)
    assert len(page.records) == 7
    for each in page.records:
        day = each.started_at.date()
        assert each.loads == gained(truck, "loads", day)
        assert each.payload_kg == Decimal(int(gained(truck, "payload_kg", day)))
    assert setup.asked[-1].startswith(f"/Fleet/Equipment/{truck.serial}/Cumulative")
    assert not any("%3A" in each or "+" in each for each in setup.asked), "times end in Z"


async def test_a_counter_that_falls_is_a_box_that_was_replaced(setup: Setup) -> None:
    truck = setup.world.quarry_machine_by_key["QA-204"]
    day = date(2026, 11, 17)
    reports = list(truck.reports(datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 17, 23, 59, tzinfo=UTC)))
    hours = [each.meters.engine_h for each in reports]
    assert min(hours) == 0.0, "the box is replaced at midnight of the 17th"
    after = datetime(2026, 11, 16, tzinfo=UTC)
    page = await setup.connector.list_production_records(
        production(equipment=(key_of(truck),), started_after=after, started_before=after + timedelta(days=1, hours=9)),
        None,
    )
    new = [each for each in page.records if each.started_at.date() == day]
    assert [each.operating_hours for each in new] == [hours[-1]]
    assert 0 < hours[-1] < 24


async def test_machines_without_loads_have_none(setup: Setup) -> None:
    loader = setup.world.quarry_machine_by_key["QL-008"]
    page = await setup.connector.list_production_records(production(equipment=(key_of(loader),)), None)
    assert {(each.loads, each.payload_kg) for each in page.records} == {(None, None)}
    assert all(each.operating_hours for each in page.records)


async def test_caution_codes_are_alerts() -> None:
    setup = Setup(iso=True, series={"faults": "CautionCodes"})
    truck = setup.world.quarry_machine_by_key["QA-201"]
    page = await setup.connector.list_maintenance_alerts(alerts(equipment=(key_of(truck),)), None)
    faults = list(truck.faults_between(NOW - timedelta(days=14), NOW))
    assert [each.code for each in page.records] == [each.code for each in faults]
    assert setup.asked[-1].startswith(f"/Fleet/Equipment/{truck.serial}/CautionCodes/")
    await setup.connector.aclose()


async def test_a_series_that_the_provider_has_not_is_not_asked_for() -> None:
    setup = Setup(iso=True, series={"faults": "", "idle": "", "loads": "", "payload": ""})
    truck = setup.world.quarry_machine_by_key["QA-201"]
    assert (await setup.connector.list_maintenance_alerts(alerts(), None)).records == []
    await setup.connector.list_production_records(production(equipment=(key_of(truck),)), None)
    assert {each.split("/")[4] for each in setup.asked if "/Equipment/" in each} == {
        "CumulativeOperatingHours", "CumulativeFuelUsed",
    }  # fmt: skip
    await setup.connector.aclose()


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("by", ["make-model-serial", "id", "serial", "pin"])
async def test_either_form_and_every_way_to_address_a_machine_say_the_same(form: str, by: str) -> None:
    setup = Setup(iso=True, format=form, machine_by=by)
    usual = Setup(iso=True)
    keys = (key_of(usual.world.quarry_machine_by_key["QA-203"]),)
    mine = (await setup.connector.list_production_records(production(equipment=keys), None)).records
    theirs = (await usual.connector.list_production_records(production(equipment=keys), None)).records
    assert [_undated(each) for each in mine] == [_undated(each) for each in theirs]
    assert len(mine) == 7
    fleets = [await every(each.connector.list_equipment, machines()) for each in (setup, usual)]
    assert [_undated(each) for each in fleets[0]] == [_undated(each) for each in fleets[1]]
    for each in (setup, usual):
        await each.connector.aclose()


def _undated(record: Any) -> Any:
    return msgspec.structs.replace(record, source=msgspec.structs.replace(record.source, as_of=NOW))


async def test_relative_links_and_a_next_page_that_is_the_page_itself() -> None:
    setup = Setup(iso=True, vendor={"page_size": 5, "relative_links": True, "next_is_self": True})
    assert len(await every(setup.connector.list_equipment, machines())) == 10
    assert setup.asked == ["/Fleet/1", "/Fleet/2"]
    await setup.connector.aclose()


# --- pages by links of all forms


def fleet(serial: str, *links: tuple[str, str]) -> httpx.Response:
    rows = "".join(f"<Links><rel>{rel}</rel><href>{href}</href></Links>" for rel, href in links)
    machine = f"<Equipment><EquipmentHeader><OEMName>X</OEMName><SerialNumber>{serial}</SerialNumber></EquipmentHeader>"
    return httpx.Response(200, text=f"<Fleet>{rows}{machine}</Equipment></Fleet>")


@pytest.mark.parametrize(
    ("href", "settings", "asked"),
    [
        ("http://vendor/aemp/Fleet/2", {}, ["/aemp/Fleet/1", "/aemp/Fleet/2"]),
        ("https://inner.example:9443/other/Fleet/2", {}, ["/aemp/Fleet/1", "/aemp/Fleet/2"]),
        ("/pvz1481:fleet__bc4/Fleet/2", {}, ["/aemp/Fleet/1", "/aemp/Fleet/2"]),
        ("/FLEET/2", {}, ["/aemp/Fleet/1", "/aemp/Fleet/2"]),
        ("Fleet/2", {}, ["/aemp/Fleet/1", "/aemp/Fleet/2"]),
        ("2", {}, ["/aemp/Fleet/1", "/aemp/Fleet/2"]),
        (
            "http://vendor/Fleet?page=2&amp;limit=30",
            {"page_form": "query", "page_size": 30},
            ["/aemp/Fleet?page=1&limit=30", "/aemp/Fleet?page=2&limit=30"],
        ),
        (
            "?page=2&amp;limit=9",
            {"page_form": "query", "page_size": 9},
            ["/aemp/Fleet?page=1&limit=9", "/aemp/Fleet?page=2&limit=9"],
        ),
        ("http://vendor/Fleet/2", {"page_form": "none"}, ["/aemp/Fleet", "/aemp/Fleet/2"]),
        ("http://vendor/Fleet/1", {"first_page": 0}, ["/aemp/Fleet/0", "/aemp/Fleet/1"]),
        ("/Fleet/minutes/2", {"fleet_path": "/Fleet/minutes"}, ["/aemp/Fleet/minutes/1", "/aemp/Fleet/minutes/2"]),
        ("/v2/aemp/2", {"fleet_path": "/group/aemp"}, ["/aemp/group/aemp/1", "/aemp/group/aemp/2"]),
    ],
)  # fmt: skip
async def test_of_a_link_only_what_follows_the_fleet_counts(
    href: str, settings: dict[str, Any], asked: list[str]
) -> None:
    answers = iter([fleet("1", ("Next", href)), fleet("2", ("current", href), ("next", href))])
    connector, wire, _, _ = over(lambda _: next(answers), base_url="http://vendor/aemp/Fleet/", **settings)
    found = await every(connector.list_equipment, machines())
    assert [each.serial_number for each in found] == ["1", "2"]
    assert [str(each.url).removeprefix("http://vendor") for each in wire.requests] == asked
    await connector.aclose()


@pytest.mark.parametrize(
    "href",
    [
        "http://evil.example/steal",
        "/Fleet/../../admin",
        "/Fleet/%2e%2e/2",
        "/Fleet/a%2fb",
        "/Fleet/2 HTTP/1.1",
        "http://[bad",
        "/Fleet/" + "9" * 600,
        "javascript:alert(1)",
    ],
)
async def test_a_link_that_leads_nowhere_is_a_clear_error(href: str) -> None:
    connector, wire, _, _ = over(lambda _: fleet("1", ("next", href)))
    with pytest.raises(BadPayload, match="the link to the next page leads nowhere that is known"):
        await every(connector.list_equipment, machines())
    assert len(wire.requests) == 1
    await connector.aclose()


async def test_pages_that_go_in_a_circle_are_an_error() -> None:
    pages = {"/Fleet/1": "/Fleet/2", "/Fleet/2": "/Fleet/3", "/Fleet/3": "/Fleet/1"}
    connector, wire, _, _ = over(lambda request: fleet("1", ("next", pages[request.url.path])))
    with pytest.raises(BadPayload, match="the fleet's pages go in a circle"):
        await connector.read_equipment(["X/none"])
    assert len(wire.requests) == 3
    await connector.aclose()


async def test_an_empty_page_is_the_end_whatever_it_links_to() -> None:
    body = b'{"Equipment": [], "links": [{"rel": "next", "href": "/Fleet/2"}]}'
    connector, wire, _, _ = over(lambda _: httpx.Response(200, content=body))
    assert await every(connector.list_equipment, machines()) == []
    assert len(wire.requests) == 1
    await connector.aclose()


@pytest.mark.parametrize("body", [b"", b"  \n", b"[]", b"<Fleet/>", EMPTY, b'{"Fleet": {"Equipment": []}}'])
async def test_an_empty_answer_is_an_empty_fleet(body: bytes) -> None:
    connector, _, _, _ = over(lambda _: httpx.Response(200, content=body))
    page = await connector.list_equipment(machines(), None)
    assert (page.records, page.total, page.next) == ([], 0, None)
    await connector.aclose()


async def test_nonsense_is_an_error_that_names_the_provider_and_is_not_kept() -> None:
    answers = iter([httpx.Response(200, text="not xml at all <<<"), *([httpx.Response(503)] * 3), fleet("1")])
    connector, _, clock, _ = over(lambda _: next(answers))
    with pytest.raises(BadPayload, match=r"^quarry: /Fleet/1: the answer is neither XML nor JSON$"):
        await connector.list_equipment(machines(), None)
    clock.passed += 60
    with pytest.raises(VendorDown):
        await connector.list_equipment(machines(), None)
    clock.passed += 60
    assert (await connector.list_equipment(machines(), None)).records
    await connector.aclose()


async def test_a_series_in_the_place_of_a_fleet_is_an_error() -> None:
    body = (SAMPLES / "aemp-timeseries-loadcount.xml").read_bytes()
    connector, _, _, _ = over(lambda _: httpx.Response(200, content=body))
    with pytest.raises(BadPayload, match="a time series came instead of a fleet"):
        await connector.list_equipment(machines(), None)
    await connector.aclose()


async def test_times_in_the_future_series_forms_and_pages() -> None:
    """Bodas: the machine right after `Equipment`, times without zone, pages by relative links."""
    page = json.loads((SAMPLES / "aemp-json-bodas-page1.json").read_text())
    first = (SAMPLES / "aemp-json-bodas-timeseries.json").read_bytes()
    second = json.loads(first)
    second[0]["CumulativeOperatingHours"] = [{"Hour": 33, "datetime": "2022-09-23T17:15:42"}]
    second[0]["links"][1]["href"] = second[0]["links"][3]["href"]

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/r/pvz1481/bodas/fleet__1/Fleet/1":
            return httpx.Response(200, json=page)
        if "CumulativeOperatingHours" in path:
            return httpx.Response(200, content=first if path.endswith("/1") else json.dumps(second).encode())
        return httpx.Response(404)

    connector, wire, clock, _ = over(
        answer,
        base_url="http://vendor/r/pvz1481/bodas/fleet__1",
        machine_by="pin",
        format="json",
    )
    clock.start = datetime(2022, 9, 24, 12, tzinfo=UTC)
    page_of = await connector.list_production_records(production(), None)
    (record,) = page_of.records
    assert record.operating_hours == 30.0
    assert record.source.external_id == "Rexroth/SNP50123123456789/2022-09-23"
    series = [str(each.url.path) for each in wire.requests if "OperatingHours" in each.url.path]
    base = "/r/pvz1481/bodas/fleet__1/Fleet/Equipment/SNP50123123456789/CumulativeOperatingHours"
    assert series == [
        f"{base}/2022-09-17T00:00:00Z/2022-09-24T12:00:00Z/1",
        f"{base}/2022-09-23T00:00:00/2022-09-23T23:00:00/2",
    ]
    await connector.aclose()


# --- signing in


def token(request: httpx.Request) -> bool:
    return request.url.path.endswith("token")


async def test_http_basic() -> None:
    connector, wire, _, _ = over(lambda _: fleet("1"), credentials=ACCOUNT)
    await connector.list_equipment(machines(), None)
    pair = base64.b64encode(b"quarry@sandbox.example:sandbox-aemp-password").decode()
    assert wire.requests[0].headers["authorization"] == f"Basic {pair}"
    await connector.aclose()


async def test_a_fixed_token() -> None:
    connector, wire, _, _ = over(lambda _: fleet("1"), credentials={"token": Secret("samsara-token")})
    await connector.list_equipment(machines(), None)
    assert wire.requests[0].headers["authorization"] == "Bearer samsara-token"
    await connector.aclose()


@pytest.mark.parametrize(
    ("credentials", "settings", "form"),
    [
        (CLIENT, {"scope": "manage:all"}, {"grant_type": ["client_credentials"], "scope": ["manage:all"]}),
        (
            CLIENT | ACCOUNT,
            {"scope": "ISO_Exports"},
            {
                "grant_type": ["password"],
                "username": ["quarry@sandbox.example"],
                "password": ["sandbox-aemp-password"],
                "scope": ["ISO_Exports"],
            },
        ),
        (
            CLIENT | {"refresh_token": Secret("long-lived")},
            {},
            {"grant_type": ["refresh_token"], "refresh_token": ["long-lived"]},
        ),
        (
            CLIENT,
            {"client_in_body": True},
            {
                "grant_type": ["client_credentials"],
                "client_id": ["crossdock-quarry"],
                "client_secret": ["sandbox-aemp-client-secret"],
            },
        ),
    ],
)
async def test_oauth_with_the_grant_that_the_credentials_tell(
    credentials: dict[str, Secret], settings: dict[str, Any], form: dict[str, list[str]]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if token(request):
            return httpx.Response(200, json={"access_token": "t1", "token_type": "Bearer", "expires_in": 3600})
        return fleet("1")

    connector, wire, _, _ = over(
        answer, credentials=credentials, token_url="https://sso.example/connect/token", **settings
    )
    await connector.list_equipment(machines(), None)
    asked, read = wire.requests
    assert str(asked.url) == "https://sso.example/connect/token"
    assert parse_qs(asked.content.decode()) == form
    assert ("authorization" in asked.headers) == (not settings.get("client_in_body", False))
    assert read.headers["authorization"] == "Bearer t1"
    await connector.aclose()


async def test_develons_token_comes_as_plain_text_and_is_renewed() -> None:
    given = iter(["tok-1\n", "tok-2"])
    refused = iter([False, True, False])

    def answer(request: httpx.Request) -> httpx.Response:
        if token(request):
            return httpx.Response(200, text=next(given))
        return httpx.Response(401) if next(refused) else fleet("1")

    connector, wire, _, _ = over(
        answer, credentials=ACCOUNT, base_url="http://vendor/api/rest/aemp/2.0", token_url="/token"
    )
    await connector.list_equipment(machines(), None)
    await connector.list_equipment(machines(), None)
    assert [(each.method, each.url.path) for each in wire.requests] == [
        ("POST", "/api/rest/aemp/2.0/token"),
        ("GET", "/api/rest/aemp/2.0/Fleet/1"),
        ("GET", "/api/rest/aemp/2.0/Fleet/1"),
        ("POST", "/api/rest/aemp/2.0/token"),
        ("GET", "/api/rest/aemp/2.0/Fleet/1"),
    ]
    assert wire.requests[0].headers["authorization"].startswith("Basic ")
    assert wire.requests[-1].headers["authorization"] == "Bearer tok-2"
    await connector.aclose()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(403, text="no"), AuthFailed),
        (httpx.Response(200, text=""), AuthFailed),
        (httpx.Response(200, text="<html>log in</html> now"), AuthFailed),
        (httpx.Response(500), VendorDown),
        (httpx.Response(429, headers={"Retry-After": "60"}), RateLimited),
    ],
)
async def test_develon_without_a_token(answer: httpx.Response, error: type[Exception]) -> None:
    connector, _, _, log = over(lambda _: answer, credentials=ACCOUNT, token_url="/token")
    with pytest.raises(error) as caught:
        await connector.list_equipment(machines(), None)
    shown = f"{caught.value} {caught.value.__dict__} {log.lines}"
    assert "sandbox-aemp-password" not in shown
    await connector.aclose()


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (401, b'{"code":"401.006","description":"Missing Authorization header or token value"}', AuthFailed, "401.006"),
        (403, b'{"message": "Forbidden.", "requestId": "8916e1c1"}', PermissionDenied, "Forbidden."),
        (429, b'{"message": "Exceeded rate limit.", "requestId": "1"}', RateLimited, "Exceeded rate limit."),
        (200, b'{"code":"429.002","description":"Quota rate limit exceeded."}', RateLimited, "429.002"),
        (200, b'{"code":"503.001","description":"Service unavailable"}', VendorDown, "Service unavailable"),
        (200, b"<html><body>Sign in</body></html>", BadPayload, "a page in HTML"),
    ],
)  # fmt: skip
async def test_faults_in_the_providers_own_words(status: int, body: bytes, error: type[Exception], said: str) -> None:
    connector, _, _, _ = over(lambda _: httpx.Response(status, content=body), credentials=ACCOUNT)
    with pytest.raises(error) as caught:
        await connector.list_equipment(machines(), None)
    assert said in str(caught.value)
    assert not isinstance(caught.value, SessionExpired), "HTTP Basic does not expire"
    await connector.aclose()


async def test_a_bad_answer_of_one_provider_leaves_the_others_alone(setup: Setup) -> None:
    bad, _, _, _ = over(lambda _: httpx.Response(200, text="not xml at all <<<"))
    with pytest.raises(BadPayload):
        await bad.list_equipment(machines(), None)
    assert (await setup.connector.list_equipment(machines(), None)).records
    await bad.aclose()


async def test_the_makers_own_words_for_severity() -> None:
    body = (
        b"<Fleet><Equipment><EquipmentHeader><OEMName>X</OEMName><PIN>P1</PIN></EquipmentHeader>"
        b'<FaultCode datetime="2026-11-25T09:00:00Z"><CodeIdentifier>E1</CodeIdentifier><CodeSeverity>RED'
        b'</CodeSeverity></FaultCode><FaultCode datetime="2026-11-25T09:00:00Z"><CodeIdentifier>E2</CodeIdentifier>'
        b"<CodeSeverity>High</CodeSeverity></FaultCode><FaultCode><CodeIdentifier>E3</CodeIdentifier>"
        b"<CodeSeverity>Purple</CodeSeverity></FaultCode></Equipment></Fleet>"
    )
    connector, _, _, _ = over(lambda _: httpx.Response(200, content=body), severities={"Red": "WARNING"})
    (found,) = (await connector.list_equipment(machines(), None)).records
    assert [(each.code, each.severity) for each in found.faults] == [
        ("E1", FaultSeverity.WARNING),
        ("E2", FaultSeverity.CRITICAL),
        ("E3", FaultSeverity.UNKNOWN),
    ]
    assert connector.rules.severities.seen == {"purple": 1}
    await connector.aclose()


def test_the_root_of_a_fleet_is_what_machines_are_below() -> None:
    assert Settings(dialect="cat").root == "/fleet"
    assert Settings(dialect="iso", fleet_path="/Fleet/minutes").root == "/Fleet"
    assert Settings(dialect="iso", fleet_path="/x/FLEET").root == "/x/FLEET"
    assert Settings(dialect="iso", fleet_path="/vehiclegroup/aemp").root == "/vehiclegroup/aemp"
