"""The MineStar connector against Cat's stand-in, in process: what it reads, in how many calls, how it fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.kit.errors import BatchTooLarge, RateLimited, VendorDown
from connectors.kit.integration import Integration, Secret
from connectors.kit.protocols import IdentitySource, Poller
from connectors.kit.services import Reading, Services, current_reading
from connectors.minestar import MineStar
from sandbox.minestar import CLIENT_SECRET
from sandbox.standin import Failure
from sandbox.world import QuarryMachine
from tests.connectors.contract import NOW, Bench, ConnectorContract
from tests.connectors.minestar_rig import CLIENT, Setup
from unified import ids, queries
from unified.keys import Subject, canonical
from unified.queries import ListQuery
from unified.records import EquipmentState, EquipmentType, FaultSeverity, Kind, MaintenanceAlert, ProductionRecord
from unified.values import System

KINDS = frozenset(
    {Kind.EQUIPMENT, Kind.MAINTENANCE_ALERT, Kind.PRODUCTION_RECORD, Kind.HAUL_CYCLE, Kind.EQUIPMENT_DELAY}
)
FLEET = "/telematics/iso15143/fleet"
SERIES = "/catDigital/iso15143/v1/fleet/equipment/makeModelSerial"


class TestMineStar(ConnectorContract):
    system = System.MINESTAR
    kinds = KINDS
    request_id_header = None  # Cat names no calls

    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        made = Setup(export_folder=str(tmp_path))
        made.vendor.export(tmp_path, hours=24)
        self.vendor = made.vendor
        await made.sign_in()
        secrets = (CLIENT_SECRET, "sandbox-minestar-token-1")
        yield Bench(made.connector, made.vendor.faults, made.clock, made.log, secrets)
        await made.connector.aclose()

    async def read_one(self, connector: Any) -> object:
        return await connector.list_equipment(ListQuery(filter=queries.EquipmentFilter()), None)

    def logins(self, bench: Bench) -> int:
        return self.vendor.logins

    def wrong_types(self) -> bytes:
        return b'{"Equipment": [{"EquipmentHeader": {"SerialNumber": "X1"}, "FuelUsed": 7}]}'


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    made = Setup(vendor={"page_size": 4})
    yield made
    await made.connector.aclose()


def machines(**more: Any) -> ListQuery[queries.EquipmentFilter]:
    return ListQuery(filter=queries.EquipmentFilter(**more))


def alerts(**more: Any) -> ListQuery[queries.MaintenanceAlertFilter]:
    return ListQuery(filter=queries.MaintenanceAlertFilter(**more))


def production(**more: Any) -> ListQuery[queries.ProductionRecordFilter]:
    return ListQuery(filter=queries.ProductionRecordFilter(**more))


def key_of(machine: QuarryMachine) -> str:
    return f"{machine.make}/{machine.serial}"


async def every(list_method: Any, query: Any) -> list[Any]:
    rows: list[Any] = []
    cursor = None
    while True:
        page = await list_method(query, cursor)
        rows += page.records
        if page.next is None:
            return rows
        cursor = page.next


# --- machines


async def test_a_fleet_is_read_page_by_page_with_the_links(setup: Setup) -> None:
    found = await every(setup.connector.list_equipment, machines())
    assert [each.source.external_id for each in found] == [key_of(each) for each in setup.vendor.machines]
    assert setup.asked == [f"{FLEET}/1", f"{FLEET}/2", f"{FLEET}/3"]
    assert setup.wire.requests[1].headers["accept"] == ("application/iso15143-snapshot+json, application/json;q=0.9")


async def test_one_page_tells_the_total(setup: Setup) -> None:
    assert (await setup.connector.list_equipment(machines(), None)).total is None
    whole = Setup()
    page = await whole.connector.list_equipment(machines(), None)
    assert (page.total, page.next) == (10, None)
    assert (await whole.connector.list_equipment(machines(search="T101"), None)).total is None
    await whole.connector.aclose()


async def test_a_machine_has_the_fields_and_units_of_the_graph(setup: Setup) -> None:
    truck = setup.world.quarry_machine_by_key["QT-103"]
    (found,) = await setup.connector.read_equipment([key_of(truck)])
    report = truck.report_at(NOW)
    assert (found.name, found.fleet_number, found.serial_number) == ("T-103", "T-103", truck.serial)
    assert (found.manufacturer, found.model) == ("CAT", "777G")
    assert found.equipment_type is EquipmentType.HAUL_TRUCK
    assert found.state is (EquipmentState.RUNNING if report.running else EquipmentState.IDLE)
    assert found.source.vendor_status == str(report.running)
    assert found.position is not None
    assert (found.position.latitude, found.position.longitude) == (report.latitude, report.longitude)
    assert (found.position.altitude_m, found.position.recorded_at) == (report.altitude_m, report.located_at)
    assert not found.position.stale
    assert found.meters is not None
    for meter, value in (
        (found.meters.engine_hours, report.meters.engine_h),
        (found.meters.idle_hours, report.meters.idle_h),
        (found.meters.fuel_used_litres, report.meters.fuel_l),
        (found.meters.fuel_percent, report.fuel_pct),
        (found.meters.odometer_km, report.meters.odometer_km),
    ):
        assert meter is not None
        assert (meter.value, meter.recorded_at) == (value, report.at)
    assert found.meters.load_count is None, "Cat's service counts no loads"
    assert found.updated_at == report.at


async def test_the_model_tells_what_kind_of_machine_it_is(setup: Setup) -> None:
    found = await every(setup.connector.list_equipment, machines())
    assert Counter(each.equipment_type for each in found) == {
        EquipmentType.HAUL_TRUCK: 6,
        EquipmentType.LOADING_UNIT: 2,
        EquipmentType.MOBILE_MACHINE: 2,
    }
    other = Setup(haul_truck_models=["16M", "d10*"], loading_unit_models=[])
    found = await every(other.connector.list_equipment, machines())
    assert {each.model: each.equipment_type for each in found if each.model in ("16M", "D10T2", "777G")} == {
        "16M": EquipmentType.HAUL_TRUCK,
        "D10T2": EquipmentType.HAUL_TRUCK,
        "777G": EquipmentType.MOBILE_MACHINE,
    }
    await other.connector.aclose()


async def test_few_known_machines_are_read_one_by_one_and_many_by_pages(setup: Setup) -> None:
    keys = [key_of(each) for each in setup.vendor.machines]
    first = await setup.connector.read_equipment([*keys[8:], "CAT/none"])
    assert [each.source.external_id for each in first] == keys[8:]
    assert setup.asked == [f"{FLEET}/{page}" for page in (1, 2, 3)]
    setup.asked.clear()
    found = await setup.connector.read_equipment(keys[8:])
    assert [each.source.external_id for each in found] == keys[8:]
    serials = [each.serial for each in setup.vendor.machines[8:]]
    assert setup.asked == [
        f"{FLEET}/equipment/makeModelSerial/CAT/D10T2/{serials[0]}",
        f"{FLEET}/equipment/makeModelSerial/CAT/16M/{serials[1]}",
    ]
    setup.asked.clear()
    found = await setup.connector.read_equipment(keys[:4])
    assert [each.source.external_id for each in found] == keys[:4]
    assert setup.asked == [f"{FLEET}/1"]


async def test_a_machine_that_left_the_fleet_is_absent(setup: Setup) -> None:
    keys = [key_of(each) for each in setup.vendor.machines]
    await every(setup.connector.list_equipment, machines())
    assert await setup.connector.read_equipment(["CAT/none"]) == []
    setup.vendor.machines = setup.vendor.machines[1:]
    setup.asked.clear()
    assert await setup.connector.read_equipment(keys[:1]) == []
    assert len(setup.asked) == 1


async def test_the_ids_of_a_filter_are_read_as_ids(setup: Setup) -> None:
    keys = [key_of(each) for each in setup.vendor.machines]
    wanted = ids.encode("Equipment", "mine", keys[1])
    others = (ids.encode("Equipment", "other", keys[2]), "nonsense")
    page = await setup.connector.list_equipment(machines(ids=(wanted, *others)), None)
    assert [each.id for each in page.records] == [wanted]
    assert setup.asked == [f"{FLEET}/1"]
    setup.asked.clear()
    assert (await setup.connector.list_equipment(machines(ids=others), None)).records == []
    assert setup.asked == []


@pytest.mark.parametrize(
    "cursor",
    ["", "7", "/other/2", "/fleet/../../admin", "/fleet/%2e%2e/2", "/fleet/2#x", "/fleet//2", "/fleet/" + "1" * 500],
)
async def test_a_cursor_that_is_none_of_ours_is_refused(setup: Setup, cursor: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        await setup.connector.list_equipment(machines(), cursor)
    assert setup.asked == []


async def test_names_join_as_machines_and_fleet_numbers_as_vehicles_too(setup: Setup) -> None:
    assert isinstance(setup.connector, IdentitySource)
    found = [each async for each in setup.connector.identities()]
    assert setup.asked == [f"{FLEET}/{page}" for page in (1, 2, 3)]
    assert all(each.kind is Kind.EQUIPMENT for each in found)
    truck = setup.world.quarry_machine_by_key["QT-106"]
    assert [(each.subject, each.number) for each in found if each.external_id == key_of(truck)] == [
        (Subject.EQUIPMENT, "t106"),
        (Subject.EQUIPMENT, truck.serial),
        (Subject.VEHICLE, "t106"),
    ]
    by_key = {canonical(each.subject, each.number) for each in found if each.subject is Subject.EQUIPMENT}
    assert {
        canonical(Subject.EQUIPMENT, each.export_name) for each in setup.vendor.machines if each.export_name
    } <= by_key


async def test_no_fleet_number_where_the_settings_say_so() -> None:
    setup = Setup(fleet_number_pattern=None)
    found = [each async for each in setup.connector.identities()]
    assert {each.subject for each in found} == {Subject.EQUIPMENT}
    (page,) = [await setup.connector.list_equipment(machines(), None)]
    assert {each.fleet_number for each in page.records} == {None}
    await setup.connector.aclose()
    some = Setup(fleet_number_pattern=r"^T-?(?P<fleet>\d+)$")
    page = await some.connector.list_equipment(machines(), None)
    assert [each.fleet_number for each in page.records] == ["101", "102", "103", "104", "105"] + [None] * 5
    await some.connector.aclose()


async def test_check_says_what_answered(setup: Setup, tmp_path: Path) -> None:
    assert await setup.connector.check() == "ISO 15143-3, version 1: 4 machines on the first page"
    assert setup.asked == [f"{FLEET}/1"]
    both = Setup(export_folder=str(tmp_path))
    both.vendor.export(tmp_path, hours=24)
    cycles = sum(len(list(each.cycles(NOW - timedelta(days=1), NOW))) for each in both.vendor.machines)
    delays = sum(
        len(list(each.delays(NOW - timedelta(days=1), NOW))) for each in both.vendor.machines if each.export_name
    )
    assert await both.connector.check() == (
        "ISO 15143-3, version 1: 10 machines on the first page; "
        f"MineStar exports: 2 files, {cycles} cycles of trucks, {delays} delays"
    )
    await both.connector.aclose()


# --- alerts


async def test_faults_of_the_last_fourteen_days_are_alerts(setup: Setup) -> None:
    found: list[MaintenanceAlert] = await every(setup.connector.list_maintenance_alerts, alerts())
    wanted = {
        (key_of(machine), fault.at.replace(microsecond=0), fault.code): fault
        for machine in setup.vendor.machines
        for fault in machine.faults_between(NOW - timedelta(days=14), NOW)
    }
    assert {(each.equipment_external_id, each.occurred_at, each.code) for each in found} == wanted.keys()
    severities = {"High": FaultSeverity.CRITICAL, "Medium": FaultSeverity.WARNING, "Low": FaultSeverity.INFO}
    for each in found:
        fault = wanted[each.equipment_external_id, each.occurred_at, str(each.code)]
        assert (each.description, each.component) == (fault.description, fault.source)
        assert each.severity is severities[fault.severity]
        assert (each.source.vendor_status, each.updated_at) == (fault.severity, each.occurred_at)
    assert setup.asked[:3] == [f"{FLEET}/{page}" for page in (1, 2, 3)]
    window = "faults/2026-11-11T09:30:00Z/2026-11-25T09:30:01Z/1"
    assert sorted(setup.asked[3:]) == sorted(
        f"{SERIES}/CAT/{each.model}/{each.serial}/{window}" for each in setup.vendor.machines
    )


async def test_machines_and_times_of_alerts_are_narrowed_by(setup: Setup) -> None:
    truck = setup.world.quarry_machine_by_key["QT-105"]
    since = NOW - timedelta(days=2)
    page = await setup.connector.list_maintenance_alerts(
        alerts(equipment=(key_of(truck), "CAT/none"), occurred_after=since, occurred_before=NOW), None
    )
    faults = list(truck.faults_between(since, NOW))
    assert [each.occurred_at for each in page.records] == [each.at.replace(microsecond=0) for each in faults]
    assert [each for each in setup.asked if "faults" in each] == [
        f"{SERIES}/CAT/785D/{truck.serial}/faults/2026-11-11T09:30:00Z/2026-11-25T09:30:01Z/1"
    ]
    setup.asked.clear()
    old = NOW - timedelta(days=40)
    await setup.connector.list_maintenance_alerts(
        alerts(equipment=(key_of(truck),), occurred_after=old, occurred_before=old + timedelta(days=1)), None
    )
    assert setup.asked == [f"{SERIES}/CAT/785D/{truck.serial}/faults/2026-10-16T09:30:00Z/2026-10-17T09:30:01Z/1"]


async def test_alerts_are_read_by_their_ids_in_one_call_per_machine(setup: Setup) -> None:
    found = await every(setup.connector.list_maintenance_alerts, alerts())
    setup.asked.clear()
    wanted = [each.source.external_id for each in found][:6]
    again = await setup.connector.read_maintenance_alerts([*wanted, "CAT/x/20261101T000000.000Z//", "no-such-id"])
    assert {each.source.external_id for each in again} == set(wanted)
    trucks = {each.rpartition("/")[0] for each in (one.partition("/202")[0] for one in wanted)}
    assert len([each for each in setup.asked if "/faults/" in each]) == len(
        {one.partition("/202")[0] for one in wanted}
    )
    assert trucks


async def test_alerts_of_too_long_a_time_are_refused(setup: Setup) -> None:
    with pytest.raises(BatchTooLarge, match="mine: 100 days are asked for; at most 92 are read at once"):
        await setup.connector.list_maintenance_alerts(alerts(occurred_after=NOW - timedelta(days=100)), None)
    with pytest.raises(BatchTooLarge, match="101 days are asked for"):
        await setup.connector.list_production_records(production(started_after=NOW - timedelta(days=100)), None)
    assert setup.asked == []


async def test_alerts_come_ten_machines_at_a_time(setup: Setup) -> None:
    machine = setup.vendor.machines[0]
    setup.vendor.machines += tuple(
        type(machine)(**{**{name: getattr(machine, name) for name in machine.__slots__}, "serial": f"999{place:02d}"})
        for place in range(3)
    )
    page = await setup.connector.list_maintenance_alerts(alerts(), None)
    assert page.next == "CAT/99900", "the tenth key of thirteen, in order"
    assert len([each for each in setup.asked if "/faults/" in each]) == 10
    setup.asked.clear()
    rest = await setup.connector.list_maintenance_alerts(alerts(), page.next)
    assert rest.next is None
    assert len([each for each in setup.asked if "/faults/" in each]) == 3
    with pytest.raises(ValueError, match="not a cursor"):
        await setup.connector.list_maintenance_alerts(alerts(), "no cursor")


# --- production


def gained(machine: QuarryMachine, meter: str, day: date, zone_hours: int = 0) -> float:
    """What the counter gained in the day, from what the world's reports say."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=zone_hours)
    end = min(start + timedelta(days=1) - timedelta(seconds=1), NOW)
    before = list(machine.reports(start - timedelta(days=1), start - timedelta(seconds=1)))[-1]
    last = list(machine.reports(start, end))[-1]
    return float(getattr(last.meters, meter) - getattr(before.meters, meter))


async def test_production_of_a_day_is_the_difference_of_counters(setup: Setup) -> None:
    truck = setup.world.quarry_machine_by_key["QT-101"]
    page = await setup.connector.list_production_records(production(equipment=(key_of(truck),)), None)
    found: list[ProductionRecord] = page.records
    days = [date(2026, 11, 19) + timedelta(days=each) for each in range(7)]
    assert [each.started_at.date() for each in found] == days
    for day, each in zip(days, found, strict=True):
        assert each.source.external_id == f"{key_of(truck)}/{day}"
        assert each.ended_at - each.started_at == timedelta(days=1)
        assert each.equipment_external_id == key_of(truck)
        assert each.operating_hours == pytest.approx(gained(truck, "engine_h", day), abs=1e-6)
        assert each.idle_hours == pytest.approx(gained(truck, "idle_h", day), abs=1e-6)
        assert each.fuel_used_litres == pytest.approx(gained(truck, "fuel_l", day), abs=1e-6)
        assert (each.loads, each.payload_kg) == (None, None), "Cat's service counts no loads"
    assert found[-1].updated_at == truck.report_at(NOW).at
    series = Counter(each.split("/")[10] for each in setup.asked if each.startswith(SERIES))
    # eight days of a reading in half an hour are 356 readings, so four pages of each counter
    assert series == {"cumulativeOperatingHours": 4, "cumulativeIdleHours": 4, "cumulativeFuelUsed": 4}
    assert any("/2026-11-18T00:00:00Z/2026-11-25T09:30:00Z/1" in each for each in setup.asked)


async def test_a_day_ends_at_the_sites_midnight() -> None:
    setup = Setup(site_zone="Australia/Perth")
    truck = setup.world.quarry_machine_by_key["QT-101"]
    page = await setup.connector.list_production_records(production(equipment=(key_of(truck),)), None)
    day = page.records[2]
    assert (day.started_at, day.ended_at) == (
        datetime(2026, 11, 20, 16, tzinfo=UTC),
        datetime(2026, 11, 21, 16, tzinfo=UTC),
    )
    assert day.source.external_id == f"{key_of(truck)}/2026-11-21"
    assert day.operating_hours == pytest.approx(gained(truck, "engine_h", date(2026, 11, 21), 8), abs=1e-6)
    await setup.connector.aclose()


async def test_the_times_of_production_are_narrowed_by(setup: Setup) -> None:
    truck = setup.world.quarry_machine_by_key["QT-102"]
    after, before = datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 3, 12, tzinfo=UTC)
    page = await setup.connector.list_production_records(
        production(equipment=(key_of(truck),), started_after=after, started_before=before), None
    )
    assert [each.source.external_id[-10:] for each in page.records] == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert all("/2026-10-31T00:00:00Z/2026-11-04T00:00:00Z/" in each for each in setup.asked if each.startswith(SERIES))


async def test_production_is_read_by_its_ids(setup: Setup) -> None:
    truck, other = (key_of(setup.world.quarry_machine_by_key[each]) for each in ("QT-101", "QG-005"))
    wanted = [f"{truck}/2026-11-20", f"{truck}/2026-11-22", f"{other}/2026-11-24"]
    found = await setup.connector.read_production_records(
        [*wanted, "CAT/none/2026-11-20", "x/y", f"{truck}/2026-13-01"]
    )
    assert [each.source.external_id for each in found] == wanted


async def test_production_comes_four_machines_at_a_time(setup: Setup) -> None:
    page = await setup.connector.list_production_records(production(), None)
    keys = sorted(key_of(each) for each in setup.vendor.machines)
    assert {each.equipment_external_id for each in page.records} == set(keys[:4])
    assert page.next == keys[3]
    found = await every(setup.connector.list_production_records, production())
    assert len(found) == 70
    assert len({each.id for each in found}) == 70


async def test_time_series_serve_for_a_while_and_then_only_what_is_new_is_read() -> None:
    setup = Setup(series_seconds=900, fresh_seconds=60)
    truck = setup.world.quarry_machine_by_key["QT-101"]
    query = production(equipment=(key_of(truck),))
    first = (await setup.connector.list_production_records(query, None)).records
    setup.asked.clear()
    setup.clock.passed += 600
    again = (await setup.connector.list_production_records(query, None)).records
    assert again == first
    assert setup.asked == []
    setup.clock.passed += 3_600
    later = (await setup.connector.list_production_records(query, None)).records
    assert later[:6] == [_renewed(each, later[0]) for each in first[:6]]
    assert later[6].updated_at == truck.report_at(setup.clock.now()).at
    assert later[6].operating_hours == pytest.approx(
        truck.report_at(setup.clock.now()).meters.engine_h
        - truck.report_at(datetime(2026, 11, 24, 23, 59, tzinfo=UTC)).meters.engine_h,
        abs=1e-6,
    )
    # yesterday and the day before it, for its last value
    assert all("/2026-11-23T00:00:00Z/2026-11-25T10:40:00Z/" in each for each in setup.asked)
    assert len(setup.asked) == 6
    setup.asked.clear()
    setup.clock.passed += 6 * 3_600
    await setup.connector.list_production_records(query, None)
    assert all("/2026-11-18T00:00:00Z/" in each for each in setup.asked), "all days anew, for boxes may send late"
    await setup.connector.aclose()


def _renewed(record: ProductionRecord, like: ProductionRecord) -> ProductionRecord:
    import msgspec

    source = msgspec.structs.replace(record.source, as_of=like.source.as_of)
    return msgspec.structs.replace(record, source=source)


async def test_what_is_known_of_a_series_serves_in_an_outage_with_its_age() -> None:
    setup = Setup()
    truck = setup.world.quarry_machine_by_key["QT-105"]
    good = (await setup.connector.list_maintenance_alerts(alerts(equipment=(key_of(truck),)), None)).records
    made = (await setup.connector.list_production_records(production(equipment=(key_of(truck),)), None)).records
    assert good
    assert made
    setup.clock.passed += 60
    setup.vendor.faults.down = True
    reading = Reading()
    token = current_reading.set(reading)
    old = (await setup.connector.list_maintenance_alerts(alerts(equipment=(key_of(truck),)), None)).records
    current_reading.reset(token)
    assert [each.id for each in old] == [each.id for each in good]
    assert {(each.source.stale, each.source.as_of) for each in old} == {(True, NOW)}
    assert reading.stale_as_of == NOW
    aged = (await setup.connector.list_production_records(production(equipment=(key_of(truck),)), None)).records
    assert {(each.source.stale, each.source.as_of) for each in aged} == {(True, NOW)}
    assert [each.operating_hours for each in aged] == [each.operating_hours for each in made]
    await setup.connector.aclose()


async def test_a_series_with_too_many_pages_is_a_clear_error() -> None:
    setup = Setup(series_pages=3)
    with pytest.raises(BatchTooLarge) as caught:
        await setup.connector.list_production_records(production(), None)
    assert "has more than 3 pages; ask for a shorter time, or raise `series_pages`" in str(caught.value)
    await setup.connector.aclose()


# --- limits


async def test_a_page_serves_for_a_while_with_its_age() -> None:
    setup = Setup(fresh_seconds=900, vendor={"per_url_seconds": 900})
    first = await setup.connector.list_equipment(machines(), None)
    setup.clock.passed += 899
    again = await setup.connector.list_equipment(machines(), None)
    assert again == first
    assert again.records[0].source.as_of == NOW
    assert not again.records[0].source.stale
    assert setup.asked == [f"{FLEET}/1"]
    setup.clock.passed += 1
    renewed = await setup.connector.list_equipment(machines(), None)
    assert renewed.records[0].source.as_of == NOW + timedelta(seconds=900)
    await setup.connector.aclose()


async def test_who_asks_too_often_gets_the_last_good_answer() -> None:
    setup = Setup(vendor={"per_url_seconds": 900})
    await setup.connector.list_equipment(machines(), None)
    setup.clock.passed += 60
    page = await setup.connector.list_equipment(machines(), None)
    assert page.records[0].source.stale
    assert page.records[0].source.as_of == NOW
    await setup.connector.aclose()


async def test_a_used_up_quota_ends_all_calls_until_midnight() -> None:
    setup = Setup(vendor={"daily_limit": 2})
    await setup.connector.list_equipment(machines(), None)
    await setup.connector.list_equipment(machines(), None)
    page = await setup.connector.list_equipment(machines(), None)
    assert page.records[0].source.stale, "the last good answer must do"
    assert len(setup.asked) == 3
    setup.clock.passed += 3_600
    assert (await setup.connector.list_equipment(machines(), None)).records[0].source.stale
    assert len(setup.asked) == 3, "nobody is asked any more today"
    with pytest.raises(RateLimited) as caught:
        await setup.connector.list_maintenance_alerts(alerts(), None)
    assert caught.value.retry_after == pytest.approx(13.5 * 3_600)
    assert "the day's calls are used up" in str(caught.value)
    assert len(setup.asked) == 3
    setup.clock.passed += 13.5 * 3_600 + 1
    assert not (await setup.connector.list_equipment(machines(), None)).records[0].source.stale
    await setup.connector.aclose()


async def test_the_first_refusal_names_the_quota_and_when_it_is_renewed() -> None:
    setup = Setup(vendor={"daily_limit": 0})
    with pytest.raises(RateLimited) as caught:
        await setup.connector.list_equipment(machines(), None)
    assert caught.value.vendor_code == "429.002"
    assert "Quota rate limit exceeded." in str(caught.value)
    assert caught.value.retry_after == pytest.approx(14.5 * 3_600)
    await setup.connector.aclose()


async def test_the_days_calls_are_counted_before_the_provider_has_to() -> None:
    setup = Setup(requests_per_day=3)
    for _ in range(3):
        await setup.connector.list_equipment(machines(), None)
    assert (await setup.connector.list_equipment(machines(), None)).records[0].source.stale
    assert len(setup.asked) == 3
    await setup.connector.aclose()


async def test_faults_may_be_asked_for_faster_than_counters() -> None:
    setup = Setup()
    provider = setup.connector.provider
    assert provider is not None
    for _ in range(200):
        await provider.fault_api.rate.wait()
    fast = sum(setup.clock.slept)
    setup.clock.slept.clear()
    for _ in range(200):
        await provider.series_api.rate.wait()
    assert (round(fast, 1), round(sum(setup.clock.slept), 1)) == (2.4, 23.8)
    assert provider.fleet_api.rate is provider.fault_api.rate
    await setup.connector.aclose()


# --- failures


async def test_an_expired_token_is_renewed_once(setup: Setup) -> None:
    await setup.connector.list_equipment(machines(), None)
    setup.vendor.faults.expire_sessions()
    await asyncio.gather(*(setup.connector.list_equipment(machines(), f"/fleet/{page}") for page in (1, 2, 3)))
    assert setup.vendor.logins == 2
    setup.clock.passed += 3_600
    await setup.connector.list_equipment(machines(), None)
    assert setup.vendor.logins == 3


async def test_one_page_that_fails_fails_the_list_and_nothing_else(setup: Setup) -> None:
    page = await setup.connector.list_equipment(machines(), None)
    setup.vendor.faults.fail_next.extend([Failure(status=500, path="/fleet/2")] * 3)
    with pytest.raises(VendorDown):
        await setup.connector.list_equipment(machines(), page.next)
    assert (await setup.connector.list_equipment(machines(), page.next)).records


async def test_a_machine_without_a_series_has_no_production(setup: Setup) -> None:
    truck = setup.world.quarry_machine_by_key["QT-101"]
    failure = Failure(status=404, body={"code": "404.001", "description": "Resource not found"}, path="cumulativeIdle")
    setup.vendor.faults.fail_next.append(failure)
    page = await setup.connector.list_production_records(production(equipment=(key_of(truck),)), None)
    assert {each.idle_hours for each in page.records} == {None}
    assert all(each.operating_hours for each in page.records)


async def test_a_value_that_cannot_be_read_costs_that_value_and_is_told_once(setup: Setup) -> None:
    body = (
        b'{"Equipment": [{"EquipmentHeader": {"OEMName": "CAT", "SerialNumber": "X1"}, '
        b'"FuelUsed": {"FuelConsumed": "many", "Datetime": "2026-11-25T09:00:00Z"}, '
        b'"CumulativeOperatingHours": {"Hour": 12.5, "Datetime": "2026-11-25T09:00:00Z"}}]}'
    )
    for _ in range(2):
        setup.vendor.faults.fail_next.append(Failure(status=200, body=body, path="/fleet/1"))
        page = await setup.connector.list_equipment(machines(), None)
        (found,) = page.records
        assert found.meters is not None
        assert found.meters.fuel_used_litres is None
        assert found.meters.engine_hours is not None
        assert found.meters.engine_hours.value == 12.5
    told = [facts["error"] for event, facts in setup.log.lines if event == "vendor.bad_value"]
    assert told == ["`$.Equipment[0].fuelconsumed` is no number (in $.Equipment[0].FuelUsed)"]


def test_an_integration_needs_an_address_or_a_folder() -> None:
    with pytest.raises(ValueError, match="give base_url, the provider's address, or the setting `export_folder`"):
        MineStar(Integration(key="mine", system=System.MINESTAR), Services())


@pytest.mark.parametrize(
    ("credentials", "settings", "message"),
    [
        (CLIENT, {}, "`client_id` needs the setting `token_url`"),
        ({"client_id": Secret("x")}, {"token_url": "/t"}, "give `client_id` with `client_secret`"),
        ({"username": Secret("x")}, {}, "and `username` with `password`"),
        ({"token": Secret("x"), **CLIENT}, {}, "give the credential `token` alone"),
        ({"refresh_token": Secret("x"), "username": Secret("u"), "password": Secret("p")}, {}, "`refresh_token` needs"),
        ({"token": Secret("a\nb")}, {}, "holds a line break"),
        ({}, {"site_zone": "Mars/Olympus"}, "site_zone: there is no time zone"),
        ({}, {"fleet_number_pattern": "(?P<other>x)"}, "fleet_number_pattern has no group `fleet`"),
        ({}, {"series": {"faults": "../x"}}, "is no name of a time series"),
        ({}, {"haul_truck_models": ["a*b*c*d*e"]}, "haul_truck_models"),
    ],
)
def test_settings_and_credentials_that_do_not_fit_are_a_clear_error(
    credentials: dict[str, Secret], settings: dict[str, Any], message: str
) -> None:
    integration = Integration(
        key="mine", system=System.MINESTAR, base_url="http://vendor", credentials=credentials, settings=settings
    )
    with pytest.raises(ValueError) as caught:
        MineStar(integration, Services())
    assert message in str(caught.value)


async def test_without_an_address_only_exports_are_read(tmp_path: Path) -> None:
    setup = Setup()
    setup.vendor.export(tmp_path, hours=24)
    integration = Integration(
        key="mine", system=System.MINESTAR, settings={"export_folder": str(tmp_path), "site_zone": "Africa/Lagos"}
    )
    connector = MineStar(integration, setup.services)
    assert isinstance(connector, Poller)
    assert (await connector.list_equipment(machines(), None)).records == []
    assert (await connector.list_maintenance_alerts(alerts(), None)).records == []
    assert (await connector.list_production_records(production(), None)).records == []
    assert await connector.read_equipment(["CAT/x"]) == []
    assert [each async for each in connector.identities()] == []
    assert (await connector.poll(None)).raws == ()
    assert (await connector.list_haul_cycles(ListQuery(filter=queries.HaulCycleFilter()), None)).total == 274
    assert setup.asked == []
    await connector.aclose()


async def test_payload_is_a_decimal() -> None:
    setup = Setup(iso=True)
    found = await every(setup.connector.list_production_records, production())
    assert {type(each.payload_kg) for each in found if each.payload_kg is not None} == {Decimal}
    await setup.connector.aclose()
