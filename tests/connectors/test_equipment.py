"""Equipment over OctoPrint: the contract on one printer, then what is special about many of them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx
import msgspec
import pytest

from connectors.equipment import CONNECTOR, EquipmentConnector
from connectors.equipment.driver import MACHINE_HEADER
from connectors.kit.errors import AuthFailed, BadRequest, VendorDown
from connectors.kit.integration import Integration, Secret
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Connector, EventStream, IdentitySource, Poller, Raw
from connectors.kit.services import Reading, Services, current_reading
from sandbox.octoprint import OctoPrint, create
from sandbox.registry import application
from sandbox.standin import Failure
from sandbox.world import World
from tests.connectors.contract import Bench, ConnectorContract, FakeClock, Lines
from unified import ids, records
from unified.events import Changed
from unified.keys import Subject
from unified.queries import EquipmentFilter, ListQuery
from unified.records import Equipment, EquipmentState, EquipmentType, Job, SensorReading
from unified.values import System

ALL = ListQuery(filter=EquipmentFilter())


def integration(printers: list[OctoPrint], url: Callable[[OctoPrint], str], **settings: Any) -> Integration:
    machines = [
        {
            "id": each.printer.id,
            "name": each.printer.name,
            "url": url(each),
            "api_key": f"key_{each.printer.id}",
            "model": each.printer.model,
        }
        for each in printers
    ]
    return Integration(
        key="workshop",
        system=System.EQUIPMENT,
        credentials={f"key_{each.printer.id}": Secret(each.printer.api_key) for each in printers},
        settings={"machines": machines, **settings},
    )


class TestEquipment(ConnectorContract):
    system: ClassVar[System] = System.EQUIPMENT
    kinds: ClassVar[frozenset[records.Kind]] = frozenset({records.Kind.EQUIPMENT})
    expires: ClassVar[bool] = False
    request_id_header: ClassVar[str | None] = None

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        clock = FakeClock()
        stand_in = create(World(clock.now))[0]
        services, _, log = self.services(httpx.ASGITransport(app=stand_in.app))
        services = Services(transport=services.transport, clock=clock, log=log)
        connector = CONNECTOR(integration([stand_in], lambda _: "http://vendor"), services)
        yield Bench(connector, stand_in.faults, clock, log, (stand_in.printer.api_key,))
        await connector.aclose()

    async def read_one(self, connector: Connector) -> object:
        """One machine: its failures are raised, as those of a list are not."""
        assert isinstance(connector, EquipmentConnector)
        return await connector.read_equipment(["printer-1"])

    def wrong_types(self) -> bytes:
        return b'{"state": {"text": "Printing", "flags": {"printing": "perhaps"}}, "temperature": {"bed": 7}}'


@dataclass
class Shop:
    """All printers of the world behind one connector."""

    connector: EquipmentConnector
    printers: dict[str, OctoPrint]
    clock: FakeClock
    log: Lines

    def calls(self, machine: str) -> dict[tuple[str, str], int]:
        return dict(self.printers[machine].faults.calls)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    clock, log = FakeClock(), Lines()
    printers = create(World(clock.now))
    transport = httpx.ASGITransport(app=application(printers))
    connector = CONNECTOR(
        integration(printers, lambda each: f"http://sandbox/{each.name}"),
        Services(transport=transport, clock=clock, log=log),
    )
    yield Shop(connector, {each.printer.id: each for each in printers}, clock, log)
    await connector.aclose()


def by_id(found: list[Equipment]) -> dict[str, Equipment]:
    return {each.source.external_id: each for each in found}


# --- lists and reads


async def test_it_has_the_live_methods() -> None:
    assert issubclass(CONNECTOR, EventStream)
    assert issubclass(CONNECTOR, Poller)
    assert issubclass(CONNECTOR, IdentitySource)


async def test_all_printers_of_the_shop(shop: Shop) -> None:
    page = await shop.connector.list_equipment(ALL, None)
    assert (page.next, page.total, page.sorted) == (None, 8, False)
    assert [(each.source.external_id, each.name, each.state, each.source.vendor_status) for each in page.records] == [
        ("printer-1", "Amber", EquipmentState.RUNNING, "Printing"),
        ("printer-2", "Basalt", EquipmentState.RUNNING, "Printing"),
        ("printer-3", "Cobalt", EquipmentState.RUNNING, "Printing"),
        ("printer-4", "Dune", EquipmentState.IDLE, "Operational"),
        ("printer-5", "Ember", EquipmentState.RUNNING, "Printing"),
        ("printer-6", "Flint", EquipmentState.IDLE, "Operational"),
        ("printer-7", "Granite", EquipmentState.RUNNING, "Printing"),
        ("printer-8", "Hazel", EquipmentState.OFFLINE, "Offline"),
    ]
    amber, hazel = page.records[0], page.records[7]
    assert amber.equipment_type is EquipmentType.PRINTER_3D
    assert (amber.model, amber.software, amber.error_message) == ("Prusa MK3S+", "OctoPrint 1.11.8", None)
    assert amber.job == Job(
        name="resistor_PRT-14420_r1.gcode",
        progress=0.9195,
        elapsed_seconds=754,
        remaining_seconds=66,
        item_number="PRT-14420",
        integration="workshop",
    )
    state = shop.printers["printer-1"].state()
    assert amber.sensors == (
        SensorReading(sensor="tool0", value=state.tool_c, target=215.0, unit="Cel", recorded_at=shop.clock.now()),
        SensorReading(sensor="bed", value=state.bed_c, target=60.0, unit="Cel", recorded_at=shop.clock.now()),
    )
    assert amber.updated_at == shop.clock.now()
    assert (hazel.job, hazel.sensors, hazel.error_message) == (None, (), None)
    assert [each.job and each.job.item_number for each in page.records] == [
        "PRT-14420", "103-485", "106-137", "PRT-12964", "PRT-12912", "PRT-14082", "103-247", None,
    ]  # fmt: skip


async def test_a_read_costs_two_calls_and_the_first_asks_the_version_too(shop: Shop) -> None:
    await shop.connector.read_equipment(["printer-1"])
    once = {("GET", "/api/printer"): 1, ("GET", "/api/job"): 1, ("GET", "/api/version"): 1}
    assert shop.calls("printer-1") == once
    await shop.connector.read_equipment(["printer-1"])
    assert shop.calls("printer-1") == {**once, ("GET", "/api/printer"): 2, ("GET", "/api/job"): 2}
    assert shop.calls("printer-2") == {}


async def test_a_printer_that_is_off_is_offline_and_no_outage(shop: Shop) -> None:
    (found,) = await shop.connector.read_equipment(["printer-8"])
    assert (found.state, found.source.stale) == (EquipmentState.OFFLINE, False)
    assert shop.log.events == []


async def test_a_printer_in_error_says_what_happened(shop: Shop) -> None:
    ember = shop.printers["printer-5"]
    while ember.state().mode != "error":
        shop.clock.passed += 5
    (found,) = await shop.connector.read_equipment(["printer-5"])
    assert found.state is EquipmentState.ERROR
    assert found.error_message == "Heating failed: E1, system stopped"
    assert found.source.vendor_status == "Error"
    assert found.sensors == ()


async def test_a_paused_printer(shop: Shop) -> None:
    while shop.printers["printer-3"].state().mode != "paused":
        shop.clock.passed += 5
    (found,) = await shop.connector.read_equipment(["printer-3"])
    assert found.state is EquipmentState.PAUSED


async def test_unknown_ids_are_absent_and_cost_no_call(shop: Shop) -> None:
    found = await shop.connector.read_equipment(["printer-2", "no-such", "printer-2"])
    assert [each.source.external_id for each in found] == ["printer-2"]
    assert await shop.connector.read_equipment([]) == []
    assert sum(each.faults.total_calls() for each in shop.printers.values()) == 3


async def test_pages(shop: Shop) -> None:
    query = ListQuery(filter=EquipmentFilter(), limit=3)
    seen, cursor, cursors = [], None, []
    while True:
        page = await shop.connector.list_equipment(query, cursor)
        seen.append([each.source.external_id[-1] for each in page.records])
        cursor = page.next
        cursors.append(cursor)
        if cursor is None:
            break
    assert seen == [["1", "2", "3"], ["4", "5", "6"], ["7", "8"]]
    assert cursors == ["3", "6", None]
    with pytest.raises(BadRequest, match="not a cursor of this list"):
        await shop.connector.list_equipment(query, "x")


@pytest.mark.parametrize(
    ("wanted", "machines", "total"),
    [
        (EquipmentFilter(search="mk4"), ["printer-4", "printer-8"], 2),
        (EquipmentFilter(search="AMB"), ["printer-1"], 1),
        (EquipmentFilter(equipment_types=(EquipmentType.CNC_MILL,)), [], 0),
        (EquipmentFilter(ids=(ids.encode("Equipment", "workshop", "printer-6"),)), ["printer-6"], 1),
        (EquipmentFilter(search="mk4", states=(EquipmentState.IDLE,)), ["printer-4", "printer-8"], None),
    ],
)
async def test_what_the_settings_tell_is_filtered_before_any_call(
    shop: Shop, wanted: EquipmentFilter, machines: list[str], total: int | None
) -> None:
    page = await shop.connector.list_equipment(ListQuery(filter=wanted), None)
    assert [each.source.external_id for each in page.records] == machines
    assert page.total == total
    assert [each for each, printer in shop.printers.items() if printer.faults.total_calls()] == machines


# --- one dead printer


async def test_a_dead_printer_does_not_spoil_the_list(shop: Shop) -> None:
    shop.printers["printer-2"].faults.down = True
    page = await shop.connector.list_equipment(ALL, None)
    assert len(page.records) == 8
    dead = page.records[1]
    assert (dead.state, dead.job, dead.sensors, dead.source.stale) == (EquipmentState.OFFLINE, None, (), False)
    assert dead.error_message == "workshop: GET http://sandbox/octoprint/printer-2/api/printer answered 503, down"
    assert [each.error_message for each in page.records].count(None) == 7
    with pytest.raises(VendorDown):
        await shop.connector.read_equipment(["printer-2"])


async def test_a_printer_that_died_keeps_its_last_values(shop: Shop) -> None:
    before = by_id((await shop.connector.list_equipment(ALL, None)).records)["printer-2"]
    shop.clock.passed += 60
    shop.printers["printer-2"].faults.down = True
    reading = Reading()
    token = current_reading.set(reading)
    try:
        after = by_id((await shop.connector.list_equipment(ALL, None)).records)["printer-2"]
        assert reading.stale_as_of is None, "one dead printer makes no stale list"
        assert after.state is EquipmentState.OFFLINE
        assert after.error_message == (
            "workshop: GET http://sandbox/octoprint/printer-2/api/printer answered 503, down"
        )
        assert (after.job, after.sensors, after.software) == (before.job, before.sensors, before.software)
        assert (after.source.stale, after.source.as_of) == (True, before.source.as_of)
        (alone,) = await shop.connector.read_equipment(["printer-2"])
        assert (alone.state, alone.job, alone.source) == (after.state, after.job, after.source)
        assert reading.stale_as_of == before.source.as_of
    finally:
        current_reading.reset(token)
    assert shop.log.events.count("vendor.unavailable") == 1


async def test_the_newest_values_are_kept_not_the_last_that_was_operational(shop: Shop) -> None:
    """Printing, then disconnected (409), then dead: what is known is that it was not connected."""
    await shop.connector.read_equipment(["printer-1"])
    transport = httpx.ASGITransport(app=shop.printers["printer-1"].app)
    async with httpx.AsyncClient(transport=transport, base_url="http://printer") as client:
        key = {"X-Api-Key": shop.printers["printer-1"].printer.api_key}
        assert (await client.post("/api/connection", json={"command": "disconnect"}, headers=key)).status_code == 204
    (off,) = await shop.connector.read_equipment(["printer-1"])
    assert (off.state, off.sensors) == (EquipmentState.OFFLINE, ())
    shop.printers["printer-1"].faults.down = True
    (dead,) = await shop.connector.read_equipment(["printer-1"])
    assert (dead.source.stale, dead.source.vendor_status, dead.sensors) == (True, "Offline", ())


async def test_a_refused_key_is_unknown_in_a_list_and_raised_alone(shop: Shop) -> None:
    shop.printers["printer-4"].revoked = True
    found = by_id((await shop.connector.list_equipment(ALL, None)).records)["printer-4"]
    assert found.state is EquipmentState.UNKNOWN
    assert found.error_message is not None
    assert "auth failed: You don't have the permission" in found.error_message
    with pytest.raises(AuthFailed) as caught:
        await shop.connector.read_equipment(["printer-4"])
    assert caught.value.status == 403


async def test_each_machine_has_a_breaker_of_its_own(shop: Shop) -> None:
    shop.printers["printer-2"].faults.down = True
    for _ in range(3):
        await shop.connector.read_equipment(["printer-2", "printer-1"])
    assert shop.calls("printer-2")[("GET", "/api/printer")] == 5, "then it was left alone"
    assert shop.calls("printer-1")[("GET", "/api/printer")] == 3


# --- check, identities, poll


async def test_check_names_what_answers_where(shop: Shop) -> None:
    shop.printers["printer-2"].revoked = True
    told = await shop.connector.check()
    assert told.startswith("OctoPrint 1.11.8 (printer-1, printer-3, printer-4, printer-5, printer-6, printer-7, ")
    assert "auth failed" in told
    assert told.endswith("(printer-2)")
    for printer in shop.printers.values():
        printer.revoked = True
    with pytest.raises(AuthFailed):
        await shop.connector.check()


async def test_identities_are_the_items_that_files_name(shop: Shop) -> None:
    found = [each async for each in shop.connector.identities()]
    world = next(iter(shop.printers.values())).world
    wanted = {world.item_by_key[file.item_key].teamcenter_number for each in world.printers for file in each.files}
    assert {each.number for each in found} == wanted
    assert len(found) == len(wanted)
    assert {(each.subject, each.kind, each.external_id) for each in found} == {(Subject.ITEM, None, None)}
    assert all(shop.calls(each) == {("GET", "/api/files"): 1} for each in shop.printers)


async def test_a_poll_tells_every_machine(shop: Shop) -> None:
    await shop.connector.list_equipment(ALL, None)
    shop.printers["printer-2"].faults.down = True
    at = shop.clock.now()
    polled = await shop.connector.poll(None)
    assert polled.cursor is None
    assert [raw.payload.headers[MACHINE_HEADER] for raw in polled.raws] == list(shop.printers)
    assert len({raw.delivery_id for raw in polled.raws}) == 8
    events = [event for raw in polled.raws for event in await shop.connector.events(raw)]
    assert all(isinstance(event, Changed) and event.occurred_at >= at for event in events)
    found = by_id([event.record for event in events if isinstance(event, Changed)])  # type: ignore[misc]
    listed = by_id((await shop.connector.list_equipment(ALL, None)).records)
    assert found["printer-2"].state is EquipmentState.OFFLINE
    assert found["printer-2"].source.stale
    for machine in set(found) - {"printer-2"}:
        assert _timeless(found[machine]) == _timeless(listed[machine])


def _timeless(record: Equipment) -> Equipment:
    """Without its times: retries of the dead printer made the clock go on."""
    source = msgspec.structs.replace(record.source, as_of=datetime(2026, 1, 1, tzinfo=UTC))
    sensors = tuple(msgspec.structs.replace(each, recorded_at=None, value=None) for each in record.sensors)
    job = record.job and msgspec.structs.replace(
        record.job, progress=None, elapsed_seconds=None, remaining_seconds=None
    )
    return msgspec.structs.replace(record, source=source, sensors=sensors, updated_at=None, job=job)


async def test_events_of_a_machine_that_was_removed_are_none(shop: Shop) -> None:
    raw = Raw(delivery_id="1", decoder="octoprint-push", payload=Payload(body=b"{}", headers={MACHINE_HEADER: "gone"}))
    assert await shop.connector.events(raw) == []


async def test_an_event_is_ordered_by_its_arrival(shop: Shop) -> None:
    """The printer's clock is wrong by years; ours orders."""
    (raw,) = (await CONNECTOR.poll(shop.connector, None)).raws[:1]
    arrived = shop.clock.now()
    shop.clock.passed += 3600
    (event,) = await shop.connector.events(raw)
    assert isinstance(event, Changed)
    assert event.occurred_at == event.record.source.as_of == arrived


async def test_a_failure_of_the_version_does_not_fail_the_read(shop: Shop) -> None:
    shop.printers["printer-1"].faults.fail_next = [Failure(status=404, path="/api/version")]
    (found,) = await shop.connector.read_equipment(["printer-1"])
    assert (found.software, found.state) == (None, EquipmentState.RUNNING)
    (found,) = await shop.connector.read_equipment(["printer-1"])
    assert found.software == "OctoPrint 1.11.8"
