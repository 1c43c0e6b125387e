"""Equipment over MTConnect: the contract on one mill, then what is special about agents."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
import pytest

from connectors.equipment import CONNECTOR, EquipmentConnector
from connectors.equipment.facts import Facts, ItemPattern
from connectors.equipment.mtconnect import wire
from connectors.equipment.mtconnect.mapping import equipment
from connectors.equipment.mtconnect.merge import Merged
from connectors.kit.errors import BadPayload, BadRequest, NotFound, VendorDown
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.protocols import Connector
from connectors.kit.services import Reading, Services, current_reading
from sandbox.mtconnect import Agent, create
from sandbox.standin import Failure
from sandbox.world import World
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from unified import records
from unified.events import Changed
from unified.keys import Subject, canonical
from unified.queries import EquipmentFilter, ListQuery
from unified.records import Equipment, EquipmentState, EquipmentType, FaultSeverity, Job, SensorReading
from unified.values import System

ALL = ListQuery(filter=EquipmentFilter())


def integration(
    url: str = "http://agent", credentials: dict[str, Secret] | None = None, **settings: Any
) -> Integration:
    machines = [
        {"id": "mill-1", "name": "Iroko", "url": url, "device": "VMC-Iroko"},
        {"id": "mill-2", "name": "Obeche", "url": url, "device": "DMGMORI.M580555"},
    ]
    return Integration(
        key="machining",
        system=System.EQUIPMENT,
        credentials=credentials or {},
        settings={"protocol": "mtconnect", "machines": machines, **settings},
    )


class TestMTConnect(ConnectorContract):
    system: ClassVar[System] = System.EQUIPMENT
    kinds: ClassVar[frozenset[records.Kind]] = frozenset({records.Kind.EQUIPMENT})
    expires: ClassVar[bool] = False
    request_id_header: ClassVar[str | None] = None

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        clock = FakeClock()
        agent = create(World(clock.now))
        services, _, log = self.services(httpx.ASGITransport(app=agent.app))
        services = Services(transport=services.transport, clock=clock, log=log)
        secret = "Bearer mtc-4711-secret"
        machines = [{"id": "mill-1", "url": "http://agent", "device": "VMC-Iroko", "api_key": "proxy"}]
        connector = CONNECTOR(integration(credentials={"proxy": Secret(secret)}, machines=machines), services)
        yield Bench(connector, agent.faults, clock, log, (secret.split()[1],))
        await connector.aclose()

    async def read_one(self, connector: Connector) -> object:
        """One machine: its failures are raised, as those of a list are not."""
        assert isinstance(connector, EquipmentConnector)
        return await connector.read_equipment(["mill-1"])

    def wrong_types(self) -> bytes:
        return b'<MTConnectStreams><Header instanceId="1" nextSequence="soon"/></MTConnectStreams>'


@dataclass
class Shop:
    """The agent of the world's mills behind one connector."""

    connector: EquipmentConnector
    agent: Agent
    clock: FakeClock
    log: Lines

    async def mill(self, machine: str = "mill-1") -> Equipment:
        (found,) = await self.connector.read_equipment([machine])
        return found

    def calls(self) -> dict[tuple[str, str], int]:
        return dict(self.agent.faults.calls)

    def until(self, mode: str, machine: str = "mill-1") -> None:
        """Lets time pass until the machine is in this mode."""
        one = self.agent.world.machine_by_id[machine]
        for _ in range(5_000):
            if one.state_at(self.clock.now()).mode == mode:
                return
            self.clock.passed += 5
        raise AssertionError(mode)


_CLOCKS = [FakeClock()]
WORLD = World(lambda: _CLOCKS[0].now())
"""Made once, under the clock of the test that runs: it takes a quarter of a second and never changes."""


def shop_of(**settings: Any) -> Shop:
    clock, log = FakeClock(), Lines()
    _CLOCKS[0] = clock
    agent = create(WORLD)
    services = Services(transport=httpx.ASGITransport(app=agent.app), clock=clock, log=log)
    return Shop(CONNECTOR(integration(**settings), services), agent, clock, log)


@pytest.fixture(params=["xml", "json"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    """Over both forms: what is read must not depend on it."""
    made = shop_of(mtconnect={"format": request.param})
    yield made
    await made.connector.aclose()


# --- reads


async def test_a_mill_that_works(shop: Shop) -> None:
    found = await shop.mill()
    state = shop.agent.world.machine_by_id["mill-1"].state_at(NOW)
    assert (found.name, found.equipment_type) == ("Iroko", EquipmentType.CNC_MILL)
    assert (found.manufacturer, found.model, found.serial_number) == ("Haas", "VF-2", "M470685")
    assert found.software == "MTConnect agent 1.7.0.7"
    assert (found.state, found.source.vendor_status) == (EquipmentState.RUNNING, "ACTIVE")
    assert found.operation == f"RESISTOR_PRT-14160_R2.NC, line {state.line}"
    assert found.job == Job(
        name="RESISTOR_PRT-14160_R2.NC", progress=9 / 17, item_number="PRT-14160", integration="machining"
    )
    assert found.updated_at == NOW
    sensors = {each.sensor: each for each in found.sensors}
    assert sensors["feed"] == SensorReading(sensor="feed", value=state.feed_mm_s, unit="mm/s", recorded_at=NOW)
    assert sensors["Sspeed"].unit == "{rev}/min"
    assert sensors["Sspeed"].value == state.speed_rpm
    assert sensors["coolant_temperature"].unit == "Cel"
    assert [float(each) for each in (sensors["position"].text or "").split()] == list(state.position)
    assert (sensors["position"].value, sensors["position"].unit) == (None, "mm")
    assert (sensors["mode"].text, sensors["parts"].value) == ("AUTOMATIC", 9.0)
    assert found.error_message is None
    assert {each.asset_id for each in found.assets} == {
        f"{each.id}.{each.serial}" for each in shop.agent.world.machine_by_id["mill-1"].tools
    }
    tool = found.assets[0]
    assert (tool.asset_type, tool.updated_at) == ("CuttingTool", NOW)
    assert tool.details["toolId"] == "T01"
    assert tool.details["ToolLife"] == str(shop.agent.world.machine_by_id["mill-1"].tools[0].used_minutes)


async def test_the_first_read_costs_three_calls_and_the_next_one(shop: Shop) -> None:
    await shop.mill()
    first = {("GET", "/probe"): 1, ("GET", "/{device}/current"): 1, ("GET", "/assets"): 1}
    assert shop.calls() == first
    await shop.mill()
    assert shop.calls() == {**first, ("GET", "/{device}/current"): 2}


async def test_devices_are_found_by_name_or_uuid_and_read_side_by_side(shop: Shop) -> None:
    page = await shop.connector.list_equipment(ALL, None)
    assert [(each.source.external_id, each.serial_number) for each in page.records] == [
        ("mill-1", "M470685"), ("mill-2", "M580555"),
    ]  # fmt: skip
    assert {each.asset_id for each in page.records[0].assets}.isdisjoint(
        each.asset_id for each in page.records[1].assets
    )


async def test_a_fault_is_an_error_with_its_text(shop: Shop) -> None:
    shop.until("error")
    found = await shop.mill()
    assert (found.state, found.error_message) == (EquipmentState.ERROR, "Servo overload X axis")
    (fault,) = found.faults
    assert (fault.code, fault.severity, fault.component) == ("304", FaultSeverity.CRITICAL, "Linear X")
    assert fault.occurred_at == shop.clock.now()


async def test_feed_hold_is_paused_and_ready_is_idle(shop: Shop) -> None:
    shop.until("paused", "mill-2")
    assert (await shop.mill("mill-2")).state is EquipmentState.PAUSED
    shop.until("idle", "mill-2")
    found = await shop.mill("mill-2")
    assert (found.state, found.source.vendor_status) == (EquipmentState.IDLE, "READY")
    assert found.job is not None
    assert found.job.progress == 1.0


async def test_assets_are_read_again_only_when_the_agent_says_so(shop: Shop) -> None:
    assert len((await shop.mill()).assets) == 4
    await shop.mill()
    assert shop.calls()["GET", "/assets"] == 1
    shop.agent.remove_tool("T02")
    found = await shop.mill()
    assert [each.details["toolId"] for each in found.assets] == ["T01", "T03", "T04"]
    assert shop.calls()["GET", "/assets"] == 2


async def test_assets_that_cannot_be_read_fail_no_read(shop: Shop) -> None:
    shop.agent.faults.fail_next = [Failure(status=500, path="/assets")] * 3
    found = await shop.mill()
    assert (found.state, found.assets) == (EquipmentState.RUNNING, ())
    assert "equipment.assets_unreadable" in shop.log.events
    assert len((await shop.mill()).assets) == 4


async def test_without_assets_none_are_asked_for() -> None:
    shop = shop_of(mtconnect={"assets": False})
    assert (await shop.mill()).assets == ()
    assert ("GET", "/assets") not in shop.calls()


# --- settings against agents


async def test_an_agent_with_several_devices_needs_the_device_named() -> None:
    shop = shop_of(machines=[{"id": "mill-1", "url": "http://agent"}])
    with pytest.raises(NotFound, match="several devices or none; set `device` to one of: VMC-Iroko, VMC-Obeche"):
        await shop.mill()


async def test_a_device_that_is_not_there_is_named_with_those_that_are() -> None:
    shop = shop_of(machines=[{"id": "mill-1", "url": "http://agent", "device": "VMC-9"}])
    with pytest.raises(NotFound, match="has no device 'VMC-9'; it has: VMC-Iroko, VMC-Obeche"):
        await shop.mill()


async def test_check_says_who_answers(shop: Shop) -> None:
    assert await shop.connector.check() == (
        "MTConnect agent 1.7.0.7, device VMC-Iroko (mill-1); MTConnect agent 1.7.0.7, device VMC-Obeche (mill-2)"
    )


async def test_the_credential_is_the_header_of_the_proxy() -> None:
    machines = [{"id": "mill-1", "url": "http://agent", "device": "VMC-Iroko", "api_key": "proxy"}]
    shop = shop_of(credentials={"proxy": Secret("Basic dTpw")}, machines=machines)
    await shop.mill()
    seen = [each.headers.get("authorization") for each in shop.agent.faults.recent]
    assert seen == ["***"] * 3, "the stand-in masks what it was sent"


# --- trouble


async def test_a_dead_agent_leaves_the_last_values(shop: Shop) -> None:
    before = await shop.mill()
    shop.clock.passed += 60
    shop.agent.faults.down = True
    page = await shop.connector.list_equipment(ALL, None)
    after = page.records[0]
    assert (after.state, after.source.stale, after.source.as_of) == (EquipmentState.OFFLINE, True, NOW)
    assert (after.sensors, after.job) == (before.sensors, before.job)
    never = page.records[1]
    assert (never.state, never.source.stale, never.sensors) == (EquipmentState.OFFLINE, False, ())
    assert "failed 5 times in a row and is left alone" in (never.error_message or ""), "one way leads to both"
    assert shop.log.events == ["vendor.unavailable"]


async def test_an_agent_that_restarted_is_read_as_it_is_now(shop: Shop) -> None:
    await shop.mill()
    shop.until("error")
    shop.agent.restart()
    found = await shop.mill()
    assert found.state is EquipmentState.ERROR, "sequence numbers that begin anew are no reason to keep the old values"
    assert shop.calls()["GET", "/probe"] == 2, "its devices may be others"


@pytest.mark.parametrize("old", [False, True])
async def test_an_error_of_the_agent_is_told_whatever_its_status(shop: Shop, old: bool) -> None:
    await shop.mill()
    shop.agent.old_errors = old
    shop.agent.devices = shop.agent.devices[1:]
    with pytest.raises(NotFound, match=r"\(NO_DEVICE\): Could not find the device 'VMC-Iroko'") as caught:
        await shop.mill()
    assert caught.value.vendor_code == "NO_DEVICE"


async def test_a_document_of_another_kind_is_nonsense(shop: Shop) -> None:
    await shop.mill()
    body = '<MTConnectAssets><Header instanceId="1"/><Assets/></MTConnectAssets>'
    shop.agent.faults.fail_next = [Failure(status=200, body=body)]
    with pytest.raises(
        BadPayload, match=r"machining: /VMC-Iroko/current: a document of Assets came instead of Streams"
    ):
        await shop.mill()


async def test_a_poll_tells_what_a_read_reads(shop: Shop) -> None:
    read = await shop.mill()
    raw = (await shop.connector.poll(None)).raws[0]
    assert raw.decoder == "mtconnect-snapshot"
    (event,) = await shop.connector.events(raw)
    assert isinstance(event, Changed)
    assert event.record == read
    assert event.occurred_at == NOW


async def test_items_are_those_of_the_jobs(shop: Shop) -> None:
    found = [each async for each in shop.connector.identities()]
    items = {shop.agent.world.machine_by_id[each].state_at(NOW).batch for each in ("mill-1", "mill-2")}
    assert {canonical(each.subject, each.number) for each in found} == {each.item_key for each in items if each}
    assert {each.subject for each in found} == {Subject.ITEM}


async def test_a_stale_read_of_one_is_noted(shop: Shop) -> None:
    await shop.mill()
    shop.agent.faults.down = True
    reading = Reading()
    token = current_reading.set(reading)
    try:
        assert (await shop.mill()).source.stale
    finally:
        current_reading.reset(token)
    assert reading.stale_as_of == NOW


async def test_a_bad_cursor_is_refused(shop: Shop) -> None:
    with pytest.raises(BadRequest):
        await shop.connector.list_equipment(ALL, "x")


async def test_a_dead_agent_that_never_answered_raises_alone(shop: Shop) -> None:
    shop.agent.faults.down = True
    with pytest.raises(VendorDown):
        await shop.mill()


# --- conditions and states, without an agent

ORIGIN = Origin(integration="machining", system=System.EQUIPMENT, as_of=NOW)
FACTS = Facts(id="m", name="m", equipment_type=EquipmentType.CNC_MILL, items=ItemPattern())
AT = "2026-11-25T09:29:00Z"


def observed(kind: str, value: str | None = None, item: str | None = None, **more: Any) -> wire.Observation:
    category: wire.Category = "Condition" if kind in ("Fault", "Warning", "Normal", "Unavailable") else "Events"
    sequence = more.pop("sequence", 1)
    return wire.Observation(item or kind.lower(), category, kind, sequence, AT, value, **more)


def record(*observations: wire.Observation, gap: wire.Gap | None = None) -> Equipment:
    merged = Merged()
    merged.apply(observations)
    return equipment(merged.all(), FACTS, ORIGIN, gap=gap)


def active(*observations: wire.Observation) -> list[tuple[str | None, str | None]]:
    return [(each.code, each.description) for each in record(*observations).faults]


def test_several_faults_of_one_data_item_are_told_apart_by_their_code() -> None:
    first = observed("Fault", "overload", "x", native_code="304", sequence=1)
    second = observed("Warning", "hot", "x", native_code="207", sequence=2)
    assert active(first, second) == [("304", "overload"), ("207", "hot")]
    cleared = observed("Normal", None, "x", native_code="304", sequence=3)
    assert active(first, second, cleared) == [("207", "hot")], "Normal with a code clears that one"
    assert active(first, second, observed("Normal", None, "x", sequence=3)) == [], "Normal without clears all"
    assert active(first, second, observed("Unavailable", None, "x", sequence=3)) == []
    again = observed("Fault", "hot at last", "x", native_code="207", sequence=3)
    assert active(first, second, again) == [("304", "overload"), ("207", "hot at last")]


def test_the_condition_id_counts_before_the_native_code() -> None:
    one = observed("Fault", "a", "x", native_code="1", condition_id="p", sequence=1)
    two = observed("Fault", "b", "x", native_code="1", condition_id="q", sequence=2)
    assert active(one, two) == [("1", "a"), ("1", "b")]


def test_conditions_are_applied_in_order_of_sequence() -> None:
    """A document groups them by component, not by time."""
    fault = observed("Fault", "overload", "x", native_code="304", sequence=5)
    normal = observed("Normal", None, "x", sequence=6)
    assert active(normal, fault) == []
    merged = Merged()
    merged.apply([normal])
    assert not merged.apply([fault]), "what is older than what is known changes nothing"


@pytest.mark.parametrize(
    ("observations", "state", "message"),
    [
        ([("Availability", "UNAVAILABLE"), ("EmergencyStop", "TRIGGERED")], EquipmentState.OFFLINE, None),
        ([("ConnectionStatus", "CLOSED"), ("Fault", "x")], EquipmentState.OFFLINE, None),
        ([("Availability", "AVAILABLE"), ("Fault", "x"), ("Execution", "ACTIVE")], EquipmentState.ERROR, "x"),
        (
            [("EmergencyStop", "TRIGGERED"), ("FunctionalMode", "MAINTENANCE")],
            EquipmentState.ERROR,
            "the emergency stop is triggered",
        ),
        ([("FunctionalMode", "MAINTENANCE"), ("Execution", "ACTIVE")], EquipmentState.MAINTENANCE, None),
        ([("Warning", "x"), ("Execution", "ACTIVE")], EquipmentState.RUNNING, None),
        *[
            ([("Execution", each)], EquipmentState.PAUSED, None)
            for each in ("INTERRUPTED", "FEED_HOLD", "WAIT", "OPTIONAL_STOP", "PROGRAM_OPTIONAL_STOP")
        ],
        *[
            ([("Execution", each)], EquipmentState.IDLE, None)
            for each in ("READY", "STOPPED", "PROGRAM_STOPPED", "PROGRAM_COMPLETED")
        ],
        ([("Execution", "UNAVAILABLE")], EquipmentState.UNKNOWN, None),
        ([("Execution", "DANCING")], EquipmentState.UNKNOWN, None),
        ([], EquipmentState.UNKNOWN, None),
    ],
)
def test_the_order_of_the_states(
    observations: list[tuple[str, str]], state: EquipmentState, message: str | None
) -> None:
    found = record(*(observed(kind, value, f"d{place}") for place, (kind, value) in enumerate(observations)))
    assert (found.state, found.error_message) == (state, message)


def test_of_several_paths_one_that_works_counts() -> None:
    found = record(observed("Execution", "READY", "a"), observed("Execution", "ACTIVE", "b"))
    assert (found.state, found.source.vendor_status) == (EquipmentState.RUNNING, "READY; ACTIVE")


@pytest.mark.parametrize(
    ("counts", "progress"),
    [
        ({"ALL": "5", "TARGET": "20"}, 0.25),
        ({None: "5", "TARGET": "20"}, 0.25),
        ({"GOOD": "30", "TARGET": "20"}, 1.0),
        ({"ALL": "5"}, None),
        ({"TARGET": "20"}, None),
        ({"ALL": "5", "TARGET": "0"}, None),
        ({"ALL": "UNAVAILABLE", "TARGET": "20"}, None),
    ],
)
def test_progress_is_parts_made_of_parts_wanted(counts: dict[str | None, str], progress: float | None) -> None:
    parts = [observed("PartCount", value, f"c{kind}", sub_type=kind) for kind, value in counts.items()]
    job = record(observed("Program", "BRACKET_PRT-10042_R2.NC"), *parts).job
    assert job is not None
    assert job.progress == progress


def test_the_part_that_the_controller_tells_counts_before_the_programs_name() -> None:
    job = record(observed("Program", "O1234_PRT-1_X"), observed("PartNumber", "prt 10042")).job
    assert job is not None
    assert job.item_number == "prt 10042"
    assert record(observed("Program", "UNAVAILABLE")).job is None


def test_program_with_line_or_block() -> None:
    assert record(observed("Program", "P"), observed("Block", "G90")).operation == "P, G90"
    assert (
        record(observed("Program", "P"), observed("Block", "G90"), observed("LineNumber", "7")).operation == "P, line 7"
    )
    assert record(observed("Block", "G90")).operation == "G90"
    assert record(observed("Program", "UNAVAILABLE")).operation is None


def test_names_that_stand_for_several_give_way_to_ids() -> None:
    found = record(observed("Load", "1", "a1", name="load"), observed("Load", "2", "a2", name="load"))
    assert [each.sensor for each in found.sensors] == ["a1", "a2"]


def test_a_gap_is_shown_for_an_hour_as_a_fault_that_alarms_nobody() -> None:
    gap = wire.Gap(reason="overrun", at=(NOW - timedelta(minutes=59)).isoformat(), first=10, last=19)
    found = record(observed("Execution", "ACTIVE"), gap=gap)
    (fault,) = found.faults
    assert (fault.code, fault.severity, fault.component) == ("GAP_OVERRUN", FaultSeverity.INFO, "MTConnect agent")
    assert fault.description == (
        "the agent's buffer was overrun: 10 observations (10 to 19) were lost; enlarge its BufferSize"
    )
    assert found.state is EquipmentState.RUNNING
    old = wire.Gap(reason="restart", at=(NOW - timedelta(minutes=61)).isoformat())
    assert record(observed("Execution", "ACTIVE"), gap=old).faults == ()


def test_times_have_any_number_of_digits() -> None:
    found = record(observed("Execution", "ACTIVE"))
    assert found.updated_at == datetime(2026, 11, 25, 9, 29, tzinfo=UTC)
