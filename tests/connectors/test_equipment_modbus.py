"""Equipment over Modbus TCP: register maps, requests, exceptions, the contract as far as it is not HTTP's."""

import asyncio
import contextlib
import itertools
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NoReturn

import msgspec
import pytest

from connectors.equipment import CONNECTOR, EquipmentConnector
from connectors.equipment.modbus.line import explain as line_explain
from connectors.equipment.modbus.payloads import ModbusAnswer, answer, crc16
from connectors.equipment.modbus.plan import plan
from connectors.equipment.modbus.settings import Modbus, Register, documented
from connectors.equipment.modbus.values import value
from connectors.equipment.opcua.server import explain as opcua_explain
from connectors.equipment.settings import Settings
from connectors.kit.errors import BadPayload, BadRequest, CircuitOpen, RateLimited, TimedOut, VendorDown
from connectors.kit.integration import Integration
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Connector, Raw
from connectors.kit.services import Services
from sandbox.modbus import Gateway, create
from sandbox.standin import Failure
from sandbox.world import World
from server.decoding import decode
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from tests.connectors.kit.peer import Counts
from tests.connectors.test_equipment_samples import ORIGIN, SAMPLES
from unified import records
from unified.events import Changed
from unified.keys import Subject, canonical
from unified.queries import EquipmentFilter, ListQuery
from unified.records import Equipment, EquipmentFault, EquipmentState, EquipmentType, FaultSeverity, Job, SensorReading
from unified.values import System

ALL = ListQuery(filter=EquipmentFilter())

PRESS: list[dict[str, Any]] = [
    {
        "name": "state", "number": 40001, "role": "state",
        "states": {"0": "IDLE", "1": "RUNNING", "2": "PAUSED", "3": "ERROR", "4": "MAINTENANCE"},
    },
    {"name": "alarm", "number": 40002, "role": "fault", "texts": {"17": "Light curtain cut"}, "component": "Guard"},
    {"name": "parts", "number": 40003, "type": "uint32", "word_order": "low-first", "role": "parts"},
    {"name": "wanted", "number": 40005, "type": "uint32", "word_order": "low-first", "role": "parts_target"},
    {"name": "force", "number": 40011, "type": "float32", "unit": "kN"},
    {"name": "temperature", "number": 40013, "type": "int16", "scale": 0.1, "unit": "Cel"},
    {"name": "material", "number": 40021, "type": "string", "length": 9, "role": "job"},
    {"name": "strokes", "number": 30001, "scale": 0.1, "unit": "/min"},
    {"name": "lubrication", "number": "00001"},
    {"name": "guard", "number": 10001},
    {"name": "oil", "number": 10002, "role": "fault", "severity": "WARNING"},
]  # fmt: skip


def integration(port: int, *, deadline: float = 4.0, **settings: Any) -> Integration:
    machines = [
        {"id": "press-1", "name": "Mahogany", "url": f"tcp://127.0.0.1:{port}", "unit": 1, "map": "press"},
        {"id": "press-2", "name": "Teak", "url": f"tcp://127.0.0.1:{port}", "unit": 2, "map": "press"},
    ]
    return Integration(
        key="presses",
        system=System.EQUIPMENT,
        deadline_seconds=deadline,
        settings={
            "protocol": "modbus",
            "machines": machines,
            "registers": {"press": PRESS},
            "item_pattern": r"^(?P<item>[A-Z0-9]{5,18})$",
            **settings,
        },
    )


class Clocks:
    """The one world under the clock of the test that runs."""

    now = FakeClock()


WORLD = World(lambda: Clocks.now.now())


@dataclass
class Hall:
    """The presses behind their gateway, and a connector."""

    connector: EquipmentConnector
    gateway: Gateway
    clock: FakeClock
    log: Lines

    async def press(self, machine: str = "press-1") -> Equipment:
        (found,) = await self.connector.read_equipment([machine])
        return found

    def requests(self) -> list[tuple[str, str]]:
        return [(each.method, each.path) for each in self.gateway.faults.recent]

    def until(self, mode: str, machine: str = "press-1") -> None:
        one = WORLD.machine_by_id[machine]
        for _ in range(5_000):
            if one.state_at(self.clock.now()).mode == mode:
                return
            self.clock.passed += 5
        raise AssertionError(mode)


@contextlib.asynccontextmanager
async def hall_of(**settings: Any) -> AsyncIterator[Hall]:
    clock, log = FakeClock(), Lines()
    Clocks.now = clock
    gateway = create(WORLD, port=0)
    await gateway.start()
    connector = CONNECTOR(integration(gateway.port, **settings), Services(clock=clock, log=log))
    try:
        yield Hall(connector, gateway, clock, log)
    finally:
        await connector.aclose()
        await gateway.stop()


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    async with hall_of() as made:
        yield made


class TestModbus(ConnectorContract):
    system: ClassVar[System] = System.EQUIPMENT
    kinds: ClassVar[frozenset[records.Kind]] = frozenset({records.Kind.EQUIPMENT})
    expires: ClassVar[bool] = False
    request_id_header: ClassVar[str | None] = None

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        machine = [{"id": "press-1", "url": "tcp://127.0.0.1:0", "unit": 1, "map": "press"}]
        clock, log = FakeClock(), Lines()
        Clocks.now = clock
        gateway = create(WORLD, port=0)
        await gateway.start()
        machine[0]["url"] = f"tcp://127.0.0.1:{gateway.port}"
        connector = CONNECTOR(integration(gateway.port, machines=machine), Services(clock=clock, log=log))
        # Modbus has no secret; the contract wants one to look for
        yield Bench(connector, gateway.faults, clock, log, ("no-secret-on-this-wire",))
        await connector.aclose()
        await gateway.stop()

    async def read_one(self, connector: Connector) -> object:
        assert isinstance(connector, EquipmentConnector)
        return await connector.read_equipment(["press-1"])

    @staticmethod
    def _skip(reason: str) -> NoReturn:
        pytest.skip(reason)

    @pytest.mark.parametrize("status", [500, 503])
    async def test_an_outage_is_down_with_the_vendors_request_id(self, bench: Bench, status: int) -> None:
        """Exceptions 4 (device failure) and 6 (busy); Modbus numbers no calls for a person."""
        bench.faults.fail_next.extend([Failure(status=status)] * 10)
        with pytest.raises(VendorDown) as caught:
            await self.read_one(bench.connector)
        assert caught.value.integration == "presses"
        assert caught.value.vendor_code == {500: "4", 503: "6"}[status]

    async def test_429_waits_as_told(self, bench: Bench) -> None:
        self._skip("a busy slave says no time; that it is asked again is tested below")

    async def test_429_that_asks_too_long_is_rate_limited(self, bench: Bench) -> None:
        self._skip("a busy slave says no time")

    async def test_html_is_a_clear_error(self, bench: Bench) -> None:
        self._skip("no pages on this wire; what is no Modbus is tested below")

    async def test_wrong_types_are_an_error_with_a_path(self, bench: Bench) -> None:
        self._skip("registers have no types; answers of a wrong length are tested below")


# --- reads


async def test_a_press_that_works(hall: Hall) -> None:
    found = await hall.press("press-2")
    state = WORLD.machine_by_id["press-2"].state_at(NOW)
    assert state.batch is not None
    assert (found.name, found.equipment_type) == ("Teak", EquipmentType.PLC)
    assert (found.state, found.source.vendor_status) == (EquipmentState.RUNNING, "1")
    number = state.batch.sap_number.lstrip("0")
    assert found.job == Job(
        name=number,
        progress=state.parts_done / state.batch.parts,
        item_number=number,
        integration="presses",
    )
    assert found.sensors == (
        SensorReading(sensor="force", value=state.force_kn, unit="kN", recorded_at=NOW),
        SensorReading(sensor="temperature", value=state.temperature_c, unit="Cel", recorded_at=NOW),
        SensorReading(sensor="strokes", value=round(state.speed_rpm / 10) / 10, unit="/min", recorded_at=NOW),
        SensorReading(sensor="lubrication", value=1.0, text="true", recorded_at=NOW),
        SensorReading(sensor="guard", value=1.0, text="true", recorded_at=NOW),
    )
    assert (found.faults, found.error_message, found.updated_at) == ((), None, NOW)


async def test_a_read_costs_as_few_requests_as_can_be(hall: Hall) -> None:
    """One per kind of value; the holding registers are read around the gaps that the device does not have."""
    await hall.press()
    first = hall.requests()
    assert first == [
        ("FC01", "/1/coil/0/1"),
        ("FC02", "/1/discrete/0/2"),
        ("FC03", "/1/holding/0/29"),
        ("FC03", "/1/holding/0/6"),
        ("FC03", "/1/holding/10/3"),
        ("FC03", "/1/holding/20/9"),
        ("FC04", "/1/input/0/1"),
    ]
    hall.gateway.faults.recent.clear()
    await hall.press()
    assert hall.requests() == [each for each in first if each != ("FC03", "/1/holding/0/29")], "the gaps are known now"


async def test_finding_out_which_addresses_there_are_is_no_failure(hall: Hall) -> None:
    """Right after the start nothing is wrong, and so nothing else than `ok` is counted."""
    metrics = Counts()
    hall.connector = EquipmentConnector(hall.connector.integration, replace(hall.connector.services, metrics=metrics))
    try:
        await asyncio.gather(hall.connector.poll(None), hall.connector.list_equipment(ALL, None))
        assert set(metrics.calls) == {("presses", "ok")}
        hall.gateway.faults.fail_next = [Failure(status=2)] * 4
        with pytest.raises(BadRequest):
            await hall.press()
        assert metrics.calls[-1] == ("presses", "bad_request"), "a register that is not there is one"
    finally:
        await hall.connector.aclose()


async def test_without_joining_no_address_is_read_that_the_map_does_not_name() -> None:
    async with hall_of(modbus={"join_gap": 0}) as hall:
        await hall.press()
        assert [path for _, path in hall.requests()] == [
            "/1/coil/0/1", "/1/discrete/0/2", "/1/holding/0/6", "/1/holding/10/3", "/1/holding/20/9", "/1/input/0/1",
        ]  # fmt: skip


async def test_both_presses_share_one_connection(hall: Hall) -> None:
    page = await hall.connector.list_equipment(ALL, None)
    assert [each.source.external_id for each in page.records] == ["press-1", "press-2"]
    assert hall.gateway.connections == 1


async def test_faults_by_code_and_by_bit(hall: Hall) -> None:
    hall.until("error")
    found = await hall.press()
    at = hall.clock.now()
    assert (found.state, found.error_message) == (EquipmentState.ERROR, "Light curtain cut")
    assert found.faults == (
        EquipmentFault(
            code="17",
            description="Light curtain cut",
            severity=FaultSeverity.CRITICAL,
            component="Guard",
            occurred_at=at,
        ),
    )
    hall.clock.passed += 120
    while not WORLD.machine_by_id["press-1"].state_at(hall.clock.now()).warning:
        hall.clock.passed += 1
    found = await hall.press()
    assert [(each.code, each.severity) for each in found.faults] == [("oil", FaultSeverity.WARNING)]
    assert found.state is EquipmentState.RUNNING, "a warning is no error"


async def test_items_are_found_under_the_plants_own_spelling(hall: Hall) -> None:
    found = [each async for each in hall.connector.identities()]
    batches = [WORLD.machine_by_id[each].state_at(NOW).batch for each in ("press-1", "press-2")]
    assert {canonical(Subject.ITEM, each.number) for each in found} == {each.item_key for each in batches if each}


async def test_check_says_what_a_read_costs(hall: Hall) -> None:
    assert await hall.connector.check() == "Modbus TCP, 11 values in 4 requests (press-1, press-2)"


async def test_a_poll_is_read_back_with_the_register_map(hall: Hall) -> None:
    read = await hall.press()
    raw = (await hall.connector.poll(None)).raws[0]
    (event,) = await hall.connector.events(raw)
    assert isinstance(event, Changed)
    assert event.record == read
    lines, well = decode(CONNECTOR.manifest, raw.payload.body, as_kind=None, headers=[], status=200)
    assert well
    shown = json.loads(lines[0])
    assert {each["sensor"] for each in shown["sensors"]} == {each["name"] for each in PRESS}, "without it: all readings"


# --- exceptions


async def test_a_busy_slave_is_asked_again(hall: Hall) -> None:
    hall.gateway.faults.fail_next = [Failure(status=6), Failure(status=5)]
    assert (await hall.press()).state is EquipmentState.IDLE
    assert [each for each in hall.clock.slept if each >= 0.5] == [0.5, 0.5]


async def test_a_slave_that_stays_busy_is_no_outage(hall: Hall) -> None:
    hall.gateway.faults.fail_next = [Failure(status=6)] * 3
    with pytest.raises(
        RateLimited, match=r"unit 1: read of 1 coil values from 0 on: answered exception 6 \(device busy\)"
    ):
        await hall.press()
    assert hall.log.events == []


@pytest.mark.parametrize(("code", "name"), [(4, "device failure"), (8, "memory parity error"), (11, "gateway target")])
async def test_failures_of_device_and_gateway_are_outages(hall: Hall, code: int, name: str) -> None:
    hall.gateway.faults.fail_next = [Failure(status=code)] * 3
    with pytest.raises(VendorDown, match=name) as caught:
        await hall.press()
    assert caught.value.vendor_code == str(code)
    assert hall.log.events == ["vendor.unavailable"]


async def test_an_address_that_is_not_there_names_the_register() -> None:
    bad = [*PRESS, {"name": "voltage", "number": 40007, "type": "uint16"}]
    async with hall_of(registers={"press": bad}) as hall:
        with pytest.raises(BadRequest) as caught:
            await hall.press()
        assert str(caught.value) == (
            f"presses: tcp://127.0.0.1:{hall.gateway.port} unit 1: read of 1 holding values from 6 on: answered "
            "exception 2 (illegal data address): correct the register map, it has no 'voltage' (holding 6, "
            "documentation 40007)"
        )
        shown = (await hall.connector.list_equipment(ALL, None)).records[0]
        assert (shown.state, shown.source.stale) == (EquipmentState.UNKNOWN, False)
        assert "voltage" in (shown.error_message or "")
        assert hall.log.events == [], "a wrong map is no outage"


async def test_an_unknown_unit_is_the_gateways_answer() -> None:
    async with hall_of() as hall:
        hall.gateway.units.pop(2)
        with pytest.raises(VendorDown, match="gateway target gave no answer"):
            await hall.press("press-2")
        assert (await hall.press()).state is EquipmentState.IDLE


@pytest.mark.parametrize(("code", "message"), [(1, "it has no coil values"), (3, "lower registers_most")])
async def test_what_a_person_must_mend_is_said(hall: Hall, code: int, message: str) -> None:
    hall.gateway.faults.fail_next = [Failure(status=code)]
    with pytest.raises(BadRequest, match=message):
        await hall.press()


# --- answers to others


async def test_an_answer_to_another_request_is_refused() -> None:
    async with hall_of(deadline=0.8) as hall:
        hall.gateway.strange_transaction = 1
        with pytest.raises(BadPayload, match=r"an answer to another request came: transaction 8 of unit 1 instead of"):
            await hall.press()
        assert (await hall.press()).state is EquipmentState.IDLE
        assert hall.gateway.connections == 2, "the line was closed: no late answer can be taken for the next"


async def test_an_answer_of_another_unit_is_refused() -> None:
    async with hall_of(deadline=0.8) as hall:
        hall.gateway.strange_unit = 1
        with pytest.raises(BadPayload, match=r"transaction 1 of unit 2 instead of transaction 1 of unit 1"):
            await hall.press()


@contextlib.asynccontextmanager
async def slave(*frames: bytes) -> AsyncIterator[int]:
    """A slave that answers each request with the next of the frames; `TT` in a frame is the transaction's number."""
    waiting = list(frames)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while waiting:
                request = await reader.readexactly(12)
                writer.write(waiting.pop(0).replace(b"TT", request[:2]))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


def one_register(port: int, *, deadline: float = 0.8) -> EquipmentConnector:
    machines = [{"id": "m", "url": f"tcp://127.0.0.1:{port}", "map": "m"}]
    registers = {"m": [{"name": "a", "kind": "holding", "address": 5}]}
    return CONNECTOR(
        integration(port, machines=machines, registers=registers, deadline=deadline), Services(clock=FakeClock())
    )


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b"\0\0\0\0\0\5\1\3\2\0\7", "transaction 0 instead of 1"),
        (b"TT\0\0\0\5\1\4\2\0\7", "function 4 of unit 1 instead of function 3 of unit 1"),
        (b"TT\0\0\0\7\1\3\4\0\7\0\7", "an answer of another length came"),
        (b"TT\0\0\0\3\1\3\0", "an answer of another length came"),
    ],
)
async def test_what_does_not_answer_our_request_is_nonsense(frame: bytes, message: str) -> None:
    """pymodbus takes a transaction 0 for any, another function, another length."""
    async with slave(frame) as port:
        connector = one_register(port)
        with pytest.raises(BadPayload, match=message):
            await connector.read_equipment(["m"])
        await connector.aclose()


@pytest.mark.parametrize("frame", [b"TT\0\1\0\5\1\3\2\0\7", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_what_is_no_modbus_is_said(frame: bytes) -> None:
    async with slave(frame) as port:
        connector = one_register(port)
        with pytest.raises(BadPayload, match="what came is no answer of Modbus TCP; does something else listen there"):
            await connector.read_equipment(["m"])
        await connector.aclose()


async def test_half_a_frame_is_no_answer() -> None:
    async with slave(*[b"TT\0\0\0\5\1\3\2"] * 3) as port:
        connector = one_register(port)
        with pytest.raises(VendorDown):
            await connector.read_equipment(["m"])
        await connector.aclose()


# --- outages


async def test_an_outage_and_the_way_back(hall: Hall) -> None:
    before = await hall.press()
    hall.gateway.faults.down = True
    hall.clock.passed += 60
    after = await hall.press()
    assert (after.state, after.source.stale, after.source.as_of) == (EquipmentState.OFFLINE, True, NOW)
    assert (after.sensors, after.job) == (before.sensors, before.job)
    assert hall.log.events == ["vendor.unavailable"]
    hall.gateway.faults.down = False
    hall.clock.passed += 60
    assert not (await hall.press()).source.stale
    assert hall.log.events == ["vendor.unavailable", "vendor.available"]


async def test_nothing_listens() -> None:
    connector = one_register(9)
    with pytest.raises(
        VendorDown, match=r"presses: tcp://127\.0\.0\.1:9 unit 1: read of 1 holding values from 5 on: cannot connect"
    ):
        await connector.read_equipment(["m"])
    await connector.aclose()


async def test_a_slave_that_says_nothing_is_timed_out_and_then_left_alone() -> None:
    async with hall_of(deadline=0.2) as hall:
        hall.gateway.faults.delay_ms = 60_000
        errors: list[VendorDown] = []
        while not errors or not isinstance(errors[-1], CircuitOpen):
            with pytest.raises(VendorDown) as caught:
                await hall.press()
            errors.append(caught.value)
        assert len(errors) <= 6
        assert all(isinstance(each, TimedOut) and "in time" in each.message for each in errors[:-1])
        hall.gateway.faults.delay_ms = 0
        assert (await hall.press("press-2")).state is EquipmentState.RUNNING, "each slave has a breaker of its own"


def test_what_uvloop_says_of_a_connection_that_went_is_an_outage() -> None:
    """Its transports raise a RuntimeError at a write; other RuntimeErrors are bugs."""
    gone = RuntimeError(
        "unable to perform operation on <TCPTransport closed=True reading=False>; the handler is closed"
    )
    for explain in (line_explain, opcua_explain):
        assert isinstance(explain(gone), VendorDown)
        assert isinstance(explain(ConnectionResetError()), VendorDown)
        assert explain(RuntimeError("no running event loop")) is None


# --- live


async def test_the_stream_tells_what_changed(hall: Hall) -> None:
    stream = hall.connector.stream()
    seen: list[Raw] = []
    async with contextlib.aclosing(stream), asyncio.timeout(10):  # type: ignore[type-var]
        async for raw in stream:
            seen.append(raw)
            if len(seen) == 6:
                break
    assert {each.payload.headers["x-crossdock-machine"] for each in seen} == {"press-1", "press-2"}
    assert len({each.delivery_id for each in seen}) == 6
    bodies = [each.payload.body for each in seen if each.payload.headers["x-crossdock-machine"] == "press-2"]
    values = [{name: each["value"] for name, each in json.loads(body)["values"].items()} for body in bodies]
    assert all(earlier != later for earlier, later in itertools.pairwise(values))


async def test_the_stream_tells_an_outage_once(hall: Hall) -> None:
    stream = hall.connector.stream()

    async def until(state: EquipmentState) -> Equipment:
        async with asyncio.timeout(10):
            async for raw in stream:
                (event,) = await hall.connector.events(raw)
                assert isinstance(event, Changed)
                assert isinstance(event.record, Equipment)
                if event.record.source.external_id == "press-2" and event.record.state is state:
                    return event.record
        raise AssertionError

    async with contextlib.aclosing(stream):  # type: ignore[type-var]
        await until(EquipmentState.RUNNING)
        hall.gateway.faults.down = True
        gone = await until(EquipmentState.OFFLINE)
        assert gone.source.stale
        hall.gateway.faults.down = False
        back = await until(EquipmentState.RUNNING)
        assert not back.source.stale
    told = [str(values.get("address") or values.get("error")) for _, values in hall.log.lines]
    assert [each for each in told if "unit 2" in each] == [
        f"presses: {hall.gateway.addresses[0]} unit 2: read of 1 coil values from 0 on: the connection broke off",
        f"{hall.gateway.addresses[0]} unit 2",
    ]


# --- planning and values


def register(name: str, address: int, **more: Any) -> Register:
    return msgspec.convert({"name": name, "kind": "holding", "address": address, **more}, Register)


@pytest.mark.parametrize(
    ("addresses", "gap", "blocks"),
    [
        ([0, 1, 2], 0, [(0, 3)]),
        ([0, 2], 0, [(0, 1), (2, 1)]),
        ([0, 2], 1, [(0, 3)]),
        ([0, 11], 10, [(0, 12)]),
        ([0, 12], 10, [(0, 1), (12, 1)]),
        ([124, 0], 125, [(0, 125)]),
        ([125, 0], 125, [(0, 1), (125, 1)]),
        (list(range(250)), 0, [(0, 125), (125, 125)]),
        (list(range(251)), 0, [(0, 125), (125, 125), (250, 1)]),
        ([5, 5, 5], 0, [(5, 1)]),
    ],
)
def test_blocks(addresses: list[int], gap: int, blocks: list[tuple[int, int]]) -> None:
    registers = [register(f"r{place}", address) for place, address in enumerate(addresses)]
    found = plan(registers, Modbus(join_gap=gap))
    assert [(each.start, each.count) for each in found] == blocks
    assert sorted(each.name for block in found for each in block.registers) == sorted(each.name for each in registers)


def test_a_value_over_several_registers_is_never_torn_apart() -> None:
    registers = [register("a", 0), register("b", 122, type="float64"), register("c", 126, type="int32")]
    found = plan(registers, Modbus(join_gap=125))
    assert [(each.start, each.count) for each in found] == [(0, 1), (122, 6)]


def test_a_device_that_takes_fewer_gets_fewer() -> None:
    found = plan([register(f"r{each}", each) for each in range(50)], Modbus(registers_most=20))
    assert [(each.start, each.count) for each in found] == [(0, 20), (20, 20), (40, 10)]


def test_bits_are_joined_over_wider_gaps_and_kinds_never() -> None:
    coils = [msgspec.convert({"name": f"c{each}", "kind": "coil", "address": each}, Register) for each in (0, 150, 400)]
    found = plan([*coils, register("h", 1)], Modbus())
    assert [(each.kind, each.start, each.count) for each in found] == [
        ("coil", 0, 151), ("coil", 400, 1), ("holding", 1, 1),
    ]  # fmt: skip


def words(text: str) -> list[int]:
    content = bytes.fromhex(text)
    return list(struct.unpack(f">{len(content) // 2}H", content))


@pytest.mark.parametrize(
    ("settings", "given", "expected"),
    [
        ({"type": "int16"}, "ffff", -1.0),
        ({"type": "uint16"}, "ffff", 65535.0),
        ({"type": "int32"}, "fffffffe", -2.0),
        ({"type": "uint32"}, "00096a29", 617001.0),
        ({"type": "uint32", "word_order": "low-first"}, "6a290009", 617001.0),
        ({"type": "int64"}, "ffffffffffffffff", -1.0),
        ({"type": "uint64", "word_order": "low-first"}, "0002000100000000", 65538.0),
        ({"type": "float32"}, "43ca15c3", 404.17),
        ({"type": "float32", "word_order": "low-first"}, "15c343ca", 404.17),
        ({"type": "float32", "byte_order": "low-first"}, "ca43c315", 404.17),
        ({"type": "float32", "word_order": "low-first", "byte_order": "low-first"}, "c315ca43", 404.17),
        ({"type": "float64"}, "407942b851eb851f", 404.17),
        ({"type": "float32"}, "7fc00000", None),
        ({"type": "float32"}, "7f800000", None),
        ({"type": "uint16", "none": [65535]}, "ffff", None),
        ({"type": "int16", "scale": 0.1}, "04d2", 123.4),
        ({"type": "int16", "scale": 0.1, "offset": -40}, "04d2", 83.4),
        ({"type": "bit", "bit": 0}, "0001", True),
        ({"type": "bit", "bit": 15}, "7fff", False),
        ({"type": "string", "length": 5}, "5374725f414243444546", "Str_ABCDEF"),
        (
            {"type": "string", "length": 5, "byte_order": "low-first"},
            "74535f7242414443 4645".replace(" ", ""),
            "Str_ABCDEF",
        ),
        ({"type": "string", "length": 3}, "414200430000", "AB"),
        ({"type": "string", "length": 2}, "20200000", None),
    ],
)
def test_values(settings: dict[str, Any], given: str, expected: object) -> None:
    found = value(register("r", 0, **settings), words(given))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("number", "place"),
    [
        ("40001", ("holding", 0)), ("49999", ("holding", 9998)), ("400001", ("holding", 0)),
        ("465536", ("holding", 65535)), ("30001", ("input", 0)), ("10001", ("discrete", 0)), ("00001", ("coil", 0)),
        ("000017", ("coil", 16)),
    ],
)  # fmt: skip
def test_documentation_numbers(number: str, place: tuple[str, int]) -> None:
    assert documented(number) == place


@pytest.mark.parametrize("number", ["40000", "4001", "50001", "465537", "4000a", "", "-40001", "4０001"])
def test_what_is_no_documentation_number(number: str) -> None:
    with pytest.raises(ValueError, match="documentation number"):
        documented(number)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"number": 40001, "address": 0}, "write either number = 40001 or kind and address"),
        ({}, "write either number"),
        ({"address": 0}, "address needs kind"),
        ({"number": 40001, "kind": "input"}, "number 40001 is of kind holding, not input"),
        ({"number": "00001", "type": "int16"}, "a coil holds one bit, no int16"),
        ({"number": 40001, "type": "bit"}, "needs bit = 0..15"),
        ({"number": 40001, "type": "string"}, "needs length"),
        ({"kind": "holding", "address": 65535, "type": "int32"}, "reaches beyond address 65535"),
        ({"number": 40001, "scale": 0}, "scale 0 makes every value the same"),
        ({"number": 40001, "role": "state"}, "role `state` needs `states`"),
        ({"number": 40001, "texts": {"1": "x"}}, "`texts` belong to role `fault`"),
        ({"number": 1}, "no documentation number"),
    ],
)
def test_a_register_that_cannot_be_meant(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({"name": "r", **settings}, Register)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"machines": [{"id": "m", "url": "http://x", "map": "press"}]}, "must begin with tcp:// or rtu://"),
        ({"machines": [{"id": "m", "url": "tcp://x"}]}, "map is missing"),
        ({"machines": [{"id": "m", "url": "tcp://x", "map": "q"}]}, "there is no map 'q'; there are: press"),
        ({"machines": [{"id": "m", "url": "tcp://x:99999", "map": "press"}]}, "no port number"),
        ({"machines": [{"id": "m", "url": "rtu://", "map": "press"}]}, "must begin with"),
        (
            {"machines": [{"id": "m", "url": "tcp://x", "map": "press", "api_key": "k"}]},
            "`api_key` belongs to octoprint",
        ),
        ({"registers": {"press": []}}, "the map 'press' is empty"),
        ({"registers": {"press": [PRESS[0], PRESS[0]]}}, "two points are called 'state'"),
        ({"nodes": {"x": [{"name": "a", "node": "i=1"}]}}, '`nodes` belongs to protocol = "opc-ua", not "modbus"'),
        ({"opcua": {}}, '`opcua` belongs to protocol = "opc-ua"'),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({**integration(502).settings, **settings}, Settings)


# --- samples


def decoded(frame: str, name: str) -> ModbusAnswer:
    payload = Payload(body=bytes.fromhex(frame))
    decoder = next(each for each in CONNECTOR.manifest.decoders if each.recognises(payload))
    assert decoder.name == name
    (found,) = decoder.read(payload, ORIGIN)
    assert isinstance(found, ModbusAnswer)
    return found


def test_the_recorded_frames_of_tcp() -> None:
    checked = 0
    for each in json.loads((SAMPLES / "modbus-tcp.json").read_text()):
        found, expected = decoded(each["response"], "modbus-tcp"), each["expected"]
        assert found.transaction == int(each["request"][:4], 16)
        assert found.unit == 1
        given = list(found.registers or ())
        match expected:
            case {"registers": registers, **rest}:
                assert given == registers
                if "uint32" in rest:
                    assert value(register("r", 0, type="uint32"), given) == rest["uint32"]
            case {"float32": number}:
                assert value(register("r", 0, type="float32"), given) == number
            case {"string": text}:
                assert value(register("r", 0, type="string", length=5), given) == text
            case {"exception": code, "name": _}:
                assert (found.exception, found.exception_name) == (code, "illegal data address")
                assert found.function == 3
            case {"echo": True}:
                assert (found.function, found.registers) == (6, None)
        checked += 1
    assert checked == 6


def test_the_recorded_frames_of_rtu() -> None:
    request, reply, refused = json.loads((SAMPLES / "modbus-rtu.json").read_text())
    assert crc16(bytes.fromhex(request["frame"])[:-2]).to_bytes(2, "little").hex() == "e409"
    found = decoded(reply["frame"], "modbus-rtu")
    assert (found.transaction, found.unit, list(found.registers or ())) == (None, 1, reply["expected"]["registers"])
    assert decoded(refused["frame"], "modbus-rtu").exception == refused["expected"]["exception"]


def test_coils_in_a_frame() -> None:
    found = decoded("000100000004010101cd", "modbus-tcp")
    assert found.bits == (True, False, True, True, False, False, True, True)


@pytest.mark.parametrize(
    ("body", "serial"),
    [(b"\0\1\0\0\0\5\1\3\2\0", False), (b"\0\1\0\1\0\5\1\3\2\0\7", False), (b"\1\3\2\0\7\0\0", True), (b"", True)],
)
def test_what_is_no_frame(body: bytes, serial: bool) -> None:
    with pytest.raises(BadPayload, match="it is no whole frame"):
        answer(body, serial=serial)


def test_a_frame_with_nonsense_in_it() -> None:
    with pytest.raises(BadPayload, match="holds no answer of Modbus"):
        answer(bytes.fromhex("0001000000030163ff"), serial=False)
