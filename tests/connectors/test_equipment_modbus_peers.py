"""The connector against pymodbus's own servers: over TCP, and as RTU over a pair of pseudo-terminals."""

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from connectors.equipment import CONNECTOR, EquipmentConnector
from connectors.kit.errors import BadRequest, VendorDown
from connectors.kit.integration import Integration
from connectors.kit.services import Services
from tests.connectors.contract import FakeClock, Lines
from unified.records import EquipmentState, SensorReading
from unified.values import System

pytestmark = pytest.mark.timeout(30)

MAP: list[dict[str, Any]] = [
    {"name": "plain", "number": 40004},
    {"name": "long", "number": 40021, "type": "uint32"},
    {"name": "real", "number": 40031, "type": "float32", "unit": "Cel"},
    {"name": "text", "number": 40041, "type": "string", "length": 5},
    {"name": "negative", "number": 40051, "type": "int16", "scale": 0.5},
    {"name": "double", "number": 40061, "type": "float64"},
    {"name": "state", "number": 40071, "role": "state", "states": "packml"},
]


def device(unit: int = 1) -> SimDevice:
    """The simulator, with the values of the recorded frames."""
    registers = [
        SimData(address=0, count=3, values=0, datatype=DataType.REGISTERS),
        SimData(address=3, values=17001, datatype=DataType.UINT16),
        SimData(address=4, count=16, values=0, datatype=DataType.REGISTERS),
        SimData(address=20, values=617001, datatype=DataType.UINT32),
        SimData(address=30, values=404.17, datatype=DataType.FLOAT32),
        SimData(address=40, values="Str_ABCDEF", datatype=DataType.STRING),
        SimData(address=50, values=-5, datatype=DataType.INT16),
        SimData(address=60, values=404.17, datatype=DataType.FLOAT64),
        SimData(address=70, values=11, datatype=DataType.UINT16),
        SimData(address=200, count=300, values=7, datatype=DataType.REGISTERS),
    ]
    return SimDevice(id=unit, simdata=registers)


def connector(
    url: str, *, registers: list[dict[str, Any]] | None = None, units: tuple[int, ...] = (1,), **more: Any
) -> EquipmentConnector:
    machines = [{"id": f"m{unit}", "url": url, "unit": unit, "map": "m"} for unit in units]
    settings = {"protocol": "modbus", "machines": machines, "registers": {"m": registers or MAP}, **more}
    key = Integration(key="hall", system=System.EQUIPMENT, deadline_seconds=2, settings=settings)
    return CONNECTOR(key, Services(clock=FakeClock(), log=Lines()))


@contextlib.asynccontextmanager
async def tcp() -> AsyncIterator[str]:
    server = ModbusTcpServer([device(1), device(2)], address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        await server.shutdown()


@contextlib.asynccontextmanager
async def rtu() -> AsyncIterator[str]:
    """Two pseudo-terminals, with a task that carries bytes from one to the other: a null modem."""
    pairs = [os.openpty() for _ in range(2)]
    for master, slave in pairs:
        tty.setraw(slave)
        os.set_blocking(master, False)
    (ours, our_slave), (theirs, their_slave) = pairs
    loop = asyncio.get_running_loop()

    def carry(source: int, target: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(target, os.read(source, 512))

    loop.add_reader(ours, carry, ours, theirs)
    loop.add_reader(theirs, carry, theirs, ours)
    server = ModbusSerialServer([device(1), device(2)], port=os.ttyname(their_slave), baudrate=115_200, parity="N")
    await server.serve_forever(background=True)
    try:
        yield f"rtu://{os.ttyname(our_slave)}"
    finally:
        await server.shutdown()
        loop.remove_reader(ours)
        loop.remove_reader(theirs)
        for each in (ours, our_slave, theirs, their_slave):
            os.close(each)


@pytest.fixture(params=["tcp", "rtu"])
async def line(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    async with tcp() if request.param == "tcp" else rtu() as url:
        yield url


SERIAL = {"modbus": {"baudrate": 115_200, "parity": "N"}}


async def test_all_types_are_read(line: str) -> None:
    one = connector(line, **SERIAL)
    (found,) = await one.read_equipment(["m1"])
    assert {each.sensor: each.value if each.text is None else each.text for each in found.sensors} == {
        "plain": 17001.0,
        "long": 617001.0,
        "real": 404.17,
        "text": "Str_ABCDEF",
        "negative": -2.5,
        "double": 404.17,
    }
    assert found.sensors[2] == SensorReading(
        sensor="real", value=404.17, unit="Cel", recorded_at=found.sensors[2].recorded_at
    )
    assert (found.state, found.source.vendor_status) == (EquipmentState.PAUSED, "11")
    await one.aclose()


async def test_many_registers_come_in_requests_of_125(line: str) -> None:
    many = [{"name": f"r{each}", "kind": "holding", "address": 200 + each} for each in range(300)]
    one = connector(line, registers=many, **SERIAL)
    assert (await one.check()).endswith("300 values in 3 requests (m1)")
    (found,) = await one.read_equipment(["m1"])
    assert [each.value for each in found.sensors] == [7.0] * 300
    await one.aclose()


async def test_several_units_share_the_line(line: str) -> None:
    one = connector(line, units=(1, 2), **SERIAL)
    found = await one.read_equipment(["m1", "m2"])
    assert [each.state for each in found] == [EquipmentState.PAUSED] * 2
    await one.aclose()


async def test_an_address_that_is_not_there(line: str) -> None:
    one = connector(line, registers=[*MAP, {"name": "ghost", "number": 40100}], **SERIAL)
    with pytest.raises(BadRequest, match=r"it has no 'ghost' \(holding 99, documentation 40100\)"):
        await one.read_equipment(["m1"])
    await one.aclose()


async def test_a_serial_port_that_is_not_there() -> None:
    one = connector("rtu:///dev/no-such-port")
    with pytest.raises(VendorDown, match="cannot open the serial port"):
        await one.read_equipment(["m1"])
    await one.aclose()
