"""The quarry, and its two providers of ISO 15143-3 as clients see them."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from lxml import etree

from sandbox import minestar
from sandbox.minestar import CAT, CLIENT_ID, CLIENT_SECRET, MIXED, PASSWORD, USER, Aemp, exports
from sandbox.world import World
from unified.keys import vehicle_key

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
ISO = "{http://standards.iso.org/iso/15143/-3}"


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> World:
    return World(clock.now)


@pytest.fixture
def cat(world: World) -> Aemp:
    return Aemp(world, CAT, page_size=4)


@pytest.fixture
def mixed(world: World) -> Aemp:
    return Aemp(world, MIXED, page_size=5)


def client(vendor: Aemp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=vendor.app), base_url="http://vendor")


@pytest.fixture
async def at_cat(cat: Aemp) -> AsyncIterator[httpx.AsyncClient]:
    async with client(cat) as made:
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        token = (await made.post("/as/token.oauth2", data=form)).json()
        assert (token["token_type"], token["expires_in"]) == ("Bearer", 3600)
        made.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield made


@pytest.fixture
async def at_mixed(mixed: Aemp) -> AsyncIterator[httpx.AsyncClient]:
    async with client(mixed) as made:
        form = {"grant_type": "password", "username": USER, "password": PASSWORD}
        token = (await made.post("/connect/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))).json()
        made.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield made


# --- the quarry


def test_the_quarry_is_always_the_same(world: World) -> None:
    again = World(lambda: NOON)
    assert [(one, one.report_at(NOON)) for one in again.quarry] == [(one, one.report_at(NOON)) for one in world.quarry]
    assert [(one.key, one.serial, one.equipment_id) for one in world.quarry][:3] == [
        ("QT-101", "77745772", "T101"), ("QT-102", "77799024", "T102"), ("QT-103", "77751051", "T-103"),
    ]  # fmt: skip
    assert len({(one.make, one.serial) for one in world.quarry}) == len(world.quarry) == 20


def test_counters_only_grow_but_for_a_box_that_is_replaced(world: World) -> None:
    for machine in world.quarry:
        reports = [each.meters for each in machine.reports(NOON - timedelta(days=11), NOON)]
        falls = sum(later.engine_h < before.engine_h for before, later in pairwise(reports))
        assert falls == (1 if machine.reset_s else 0), machine.key
        for before, later in pairwise(reports):
            if later.engine_h >= before.engine_h:
                assert later.loads >= before.loads
                assert later.payload_kg >= before.payload_kg
                assert later.fuel_l >= before.fuel_l
                assert later.engine_h - before.engine_h <= machine.report_s / 3600 + 0.02


def test_counters_agree_with_the_cycles(world: World) -> None:
    truck = world.quarry_machine_by_key["QT-104"]
    start, end = NOON - timedelta(days=4), NOON
    cycles = list(truck.cycles(start, end))
    assert len(cycles) > 100
    meters = [truck.report_at(each).meters for each in (start, end)]
    assert abs(meters[1].loads - meters[0].loads - len(cycles)) <= 1, "a load counts when it is dumped"
    hauled = sum(each.payload_kg for each in cycles)
    assert abs(meters[1].payload_kg - meters[0].payload_kg - hauled) <= 140_000
    for each in cycles:
        seconds = each.queue_s + each.load_s + each.full_s + each.dump_s + each.empty_s
        assert each.end - each.start == timedelta(seconds=seconds)
    assert all(later.start >= before.end for before, later in pairwise(cycles))


def test_delays_lie_between_cycles(world: World) -> None:
    truck = world.quarry_machine_by_key["QT-101"]
    cycles, delays = (list(each(NOON - timedelta(days=2), NOON)) for each in (truck.cycles, truck.delays))
    assert delays
    for delay in delays:
        assert not any(each.start < delay.end and delay.start < each.end for each in cycles)


def test_some_of_the_worlds_trucks_haul_from_here_under_another_spelling(world: World) -> None:
    road = [one for one in world.quarry if one.vehicle is not None]
    assert len(road) == 4
    for one in road:
        assert one.vehicle is not None
        assert one.equipment_id not in (one.vehicle.key, one.vehicle.traccar_fleet_number)
        assert vehicle_key(one.equipment_id) == vehicle_key(one.vehicle.key)
        state, report = one.vehicle.state_at(one.report_at(NOON).located_at), one.report_at(NOON)
        assert (report.latitude, report.longitude) == (round(state.latitude, 6), round(state.longitude, 6))


# --- Cat


async def test_cats_fleet(at_cat: httpx.AsyncClient, cat: Aemp) -> None:
    body = (await at_cat.get("/telematics/iso15143/fleet/3")).json()
    base = "http://vendor/telematics/iso15143/fleet"
    assert body["Links"] == [{"Rel": "Self", "Href": f"{base}/3"}, {"Rel": "Last", "Href": f"{base}/3"}]
    first = (await at_cat.get("/telematics/iso15143/fleet/1")).json()
    assert first["Links"][1] == {"Rel": "Next", "Href": f"{base}/2"}
    assert (first["Version"], first["SnapshotTime"]) == ("1", "2026-03-04T12:00:00Z")
    machine = first["Equipment"][0]
    assert list(machine) == [
        "EquipmentHeader", "Location", "CumulativeOperatingHours", "CumulativeIdleHours", "FuelUsed", "FuelRemaining",
        "EngineStatus", "Distance",
    ]  # fmt: skip
    assert list(machine["EquipmentHeader"]) == ["OEMName", "Model", "EquipmentID", "SerialNumber"]
    assert machine["EngineStatus"]["Running"] in ("True", "False")
    assert machine["FuelUsed"]["Datetime"] != machine["Location"]["Datetime"]
    alone = await at_cat.get(f"/telematics/iso15143/fleet/equipment/makeModelSerial/CAT/777G/{cat.machines[0].serial}")
    assert alone.json() == machine
    assert len(body["Equipment"]) == 2


async def test_cats_faults(at_cat: httpx.AsyncClient, cat: Aemp, clock: Clock) -> None:
    beyond = await at_cat.get("/telematics/iso15143/fleet/4")
    assert (beyond.status_code, beyond.json()) == (404, {"code": "404.001", "description": "Resource not found"})
    assert (await at_cat.get("/nowhere")).json()["code"] == "404.001"
    cat.daily_limit = cat.used
    over = await at_cat.get("/telematics/iso15143/fleet/1")
    assert (over.status_code, over.json()) == (
        429,
        {"code": "429.002", "description": "Quota rate limit exceeded."},
    )
    assert "retry-after" not in over.headers
    clock.at += timedelta(hours=12)
    cat.faults.expire_sessions()
    expired = await at_cat.get("/telematics/iso15143/fleet/1")
    assert (expired.status_code, expired.json()) == (
        401,
        {"code": "401.006", "description": "Missing Authorization header or token value"},
    )


async def test_cats_time_series(at_cat: httpx.AsyncClient, cat: Aemp) -> None:
    serial = cat.machines[0].serial
    base = f"/catDigital/iso15143/v1/fleet/equipment/makeModelSerial/CAT/777G/{serial}"
    span = "2026-02-28T00:00:00Z/2026-03-04T12:00:00Z"
    body = (await at_cat.get(f"{base}/cumulativeOperatingHours/{span}/1")).json()
    assert len(body["CumulativeOperatingHours"]) == 100
    assert body["Links"][1] == {"Rel": "Next", "Href": f"http://vendor{base}/cumulativeOperatingHours/{span}/2"}
    last = (await at_cat.get(f"{base}/cumulativeOperatingHours/{span}/2")).json()
    times = [each["Datetime"] for each in body["CumulativeOperatingHours"] + last["CumulativeOperatingHours"]]
    assert (times[0], times[-1], len(times)) == ("2026-02-28T00:00:00Z", "2026-03-04T12:00:00Z", 109)
    faults = (await at_cat.get(f"{base}/faults/2026-02-20T00:00:00Z/2026-03-04T12:00:00Z/1")).json()["FaultCode"]
    assert faults
    assert list(faults[0]) == ["CodeIdentifier", "CodeDescription", "CodeSeverity", "CodeSource", "Datetime"]
    assert (await at_cat.get(f"{base}/cumulativeLoadCount/{span}/1")).status_code == 404
    assert (await at_cat.get(f"{base}/faults/yesterday/today/1")).status_code == 400


# --- the maker that keeps to the standard


async def test_a_fleet_in_xml_and_in_json(at_mixed: httpx.AsyncClient, mixed: Aemp) -> None:
    answer = await at_mixed.get("/Fleet/1")
    assert answer.headers["content-type"].startswith("application/xml")
    root = etree.fromstring(answer.content)
    assert root.tag == f"{ISO}Fleet"
    assert [each.text for each in root.iter(f"{ISO}rel")] == ["self", "next", "last"]
    machine = root.findall(f"{ISO}Equipment")[0]
    assert [each.tag.removeprefix(ISO) for each in machine] == [
        "EquipmentHeader", "Location", "CumulativeIdleHours", "CumulativeLoadCount", "CumulativeOperatingHours",
        "CumulativePayloadTotals", "DEFRemaining", "Distance", "EngineStatus", "FuelUsed", "FuelRemaining",
    ]  # fmt: skip
    assert machine.findtext(f"{ISO}EquipmentHeader/{ISO}UnitInstallDateTime") == "0001-01-01T00:00:00Z"
    told = (await at_mixed.get("/Fleet/1", headers={"Accept": "application/json"})).json()
    hours = machine.findtext(f"{ISO}CumulativeOperatingHours/{ISO}Hour")
    assert str(told["Equipment"][0]["CumulativeOperatingHours"]["Hour"]) == hours
    assert (await at_mixed.get("/Fleet/9")).text.endswith("<Fleet/>")
    series = await at_mixed.get(
        f"/Fleet/Equipment/{mixed.machines[0].serial}/CumulativePayloadTotals/2026-03-04T00:00:00Z/2026-03-04T12:00:00Z/1"
    )
    assert etree.fromstring(series.content).tag == f"{ISO}CumulativePayloadTotalMessages"


async def test_a_plus_in_the_path_is_refused(at_mixed: httpx.AsyncClient, mixed: Aemp) -> None:
    path = f"/Fleet/Equipment/{mixed.machines[0].serial}/Faults/2026-03-04T00:00:00+00:00/2026-03-04T12:00:00Z/1"
    refused = await at_mixed.get(path)
    assert refused.status_code == 400
    assert list(refused.json()) == ["message", "requestId"]


async def test_one_call_per_address_in_so_many_seconds(mixed: Aemp, at_mixed: httpx.AsyncClient, clock: Clock) -> None:
    mixed.per_url_seconds = 900
    assert (await at_mixed.get("/Fleet/1")).status_code == 200
    clock.at += timedelta(seconds=100)
    again = await at_mixed.get("/Fleet/1")
    assert (again.status_code, again.headers["retry-after"]) == (429, "800")
    assert (await at_mixed.get("/Fleet/2")).status_code == 200
    clock.at += timedelta(seconds=800)
    assert (await at_mixed.get("/Fleet/1")).status_code == 200


@pytest.mark.parametrize(
    ("form", "auth", "status", "error"),
    [
        ({"grant_type": "password", "username": USER, "password": PASSWORD}, ("x", "y"), 401, "invalid_client"),
        ({"grant_type": "password", "username": "x"}, (CLIENT_ID, CLIENT_SECRET), 400, "invalid_grant"),
        ({"grant_type": "client_credentials"}, (CLIENT_ID, CLIENT_SECRET), 400, "unsupported_grant_type"),
    ],
)  # fmt: skip
async def test_who_may_not_sign_in(
    mixed: Aemp, form: dict[str, str], auth: tuple[str, str], status: int, error: str
) -> None:
    async with client(mixed) as made:
        answer = await made.post("/connect/token", data=form, auth=auth)
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert mixed.logins == 0


# --- exports


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_load_is_a_row_of_the_truck_and_one_of_the_loader(world: World) -> None:
    told = rows(exports.cycles_csv(world.quarry, NOON - timedelta(hours=6), NOON, NOON))
    trucks, loaders = ([row for row in told if row["Cycle Type"] == kind] for kind in ("TruckCycle", "LoaderCycle"))
    assert len(trucks) == len(loaders) > 30
    assert {row["Primary Machine Name"] for row in trucks} == {f"T10{each}" for each in range(1, 7)}
    assert {row["Primary Machine Name"] for row in loaders} == {"EX07", "WL03"}
    assert len({row["Cycle OID"] for row in told}) == len(told)
    cycle = next(iter(world.quarry[0].cycles(NOON - timedelta(hours=6), NOON)))
    row = next(row for row in trucks if row["Cycle OID"] == exports.cycle_oid(0, cycle))
    assert row["Cycle Start Timestamp (GMT1)"] == (cycle.start + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")


def test_payloads_that_are_not_known_yet_are_corrected(world: World) -> None:
    window = (NOON - timedelta(hours=3), NOON)
    fresh = {row["Cycle OID"]: row["Payload (kg)"] for row in rows(exports.cycles_csv(world.quarry, *window, NOON))}
    later = NOON + timedelta(hours=2)
    mended = {row["Cycle OID"]: row["Payload (kg)"] for row in rows(exports.cycles_csv(world.quarry, *window, later))}
    assert fresh.keys() == mended.keys()
    assert "0" in fresh.values()
    assert "0" not in mended.values()
    assert all(mended[oid] == payload for oid, payload in fresh.items() if payload != "0")


async def test_the_mine_exports_when_the_sandbox_starts(world: World, tmp_path: Path) -> None:
    cat, mixed = minestar.create(world, state_dir=tmp_path, page_size=3, unknown_option=1)
    assert (cat.name, mixed.name) == ("minestar", "aemp")
    assert cat.export_folder is not None
    assert mixed.export_folder is None
    await cat.start()
    await mixed.start()
    files = sorted(each.name for each in cat.export_folder.iterdir())
    assert files == ["cycles-20260304-13.csv", "delays-20260304-13.csv"]
    assert cat.addresses == (str(tmp_path / "minestar" / "exports"),)
    await cat.stop()
    await mixed.stop()
