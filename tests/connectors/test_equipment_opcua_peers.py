"""The connector against an asyncua server with the official NodeSets: DI, IA, Machinery and its example machines."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Node, Server, ua

from connectors.equipment import CONNECTOR, EquipmentConnector
from connectors.kit.errors import NotFound
from connectors.kit.integration import Integration
from connectors.kit.services import Services
from tests.connectors.contract import FakeClock
from tests.connectors.test_equipment_samples import ORIGIN, SAMPLES, payload
from unified.records import EquipmentState, ReadingQuality, SensorReading
from unified.values import System

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

EXAMPLE = "http://opcfoundation.org/UA/Machinery_Example/"
MACHINERY = "http://opcfoundation.org/UA/Machinery/"
FILES = ("Opc.Ua.Di", "Opc.Ua.IA", "Opc.Ua.Machinery", "Opc.Ua.Machinery.Examples")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for name in FILES:
        path = SAMPLES / "nodesets" / f"{name}.NodeSet2.xml"
        await server.import_xml(str(path), strict_mode=False)
    await server.start()
    yield server
    await server.stop()


def connector(server: Server, **machine: Any) -> EquipmentConnector:
    assert server.bserver is not None
    assert server.bserver._server is not None
    port = server.bserver._server.sockets[0].getsockname()[1]
    settings = {"protocol": "opc-ua", "machines": [{"id": "m", "url": f"opc.tcp://127.0.0.1:{port}", **machine}]}
    key = Integration(key="hall", system=System.EQUIPMENT, deadline_seconds=8, settings=settings)
    return CONNECTOR(key, Services(clock=FakeClock()))


async def _node(server: Server, uri: str, identifier: int) -> Node:
    return server.get_node(ua.NodeId(identifier, await server.get_namespace_index(uri)))


async def test_the_example_machine_identifies_itself(server: Server) -> None:
    one = connector(server, node=f"nsu={EXAMPLE};i=5003")
    (found,) = await one.read_equipment(["m"])
    assert (found.manufacturer, found.model, found.serial_number) == ("ENGEL AUSTRIA GMBH", "Viper 6", "235223")
    assert found.software == "70.0.1"
    assert (found.state, found.source.vendor_status) == (EquipmentState.UNKNOWN, None), "its state is Null"
    await one.aclose()


async def test_the_machine_that_is_alone_needs_no_node(server: Server) -> None:
    one = connector(server)
    (found,) = await one.read_equipment(["m"])
    assert found.serial_number == "235223"
    await one.aclose()


@pytest.mark.parametrize(
    ("identifier", "state"),
    [
        (0, EquipmentState.OFFLINE),
        (1, EquipmentState.MAINTENANCE),
        (2, EquipmentState.IDLE),
        (3, EquipmentState.RUNNING),
    ],
)
async def test_its_state_is_the_number_of_the_state_that_its_id_names(
    server: Server, identifier: int, state: EquipmentState
) -> None:
    """The states of `MachineryItemState_StateMachineType`, as the NodeSet numbers them."""
    machine_type = await _node(server, MACHINERY, 1002)
    numbers: dict[int, ua.NodeId] = {}
    for each in await machine_type.get_children():
        for below in await each.get_children():
            if (await below.read_browse_name()).Name == "StateNumber":
                numbers[await below.read_value()] = each.nodeid
    assert sorted(numbers) == [0, 1, 2, 3]
    current, id_ = await _node(server, EXAMPLE, 6037), await _node(server, EXAMPLE, 6041)
    await current.write_value(ua.Variant(ua.LocalizedText("in seiner Sprache", "de"), ua.VariantType.LocalizedText))
    await id_.write_value(ua.Variant(numbers[identifier], ua.VariantType.NodeId))
    one = connector(server, node=f"nsu={EXAMPLE};i=5003")
    (found,) = await one.read_equipment(["m"])
    assert (found.state, found.source.vendor_status) == (state, "in seiner Sprache")
    await one.aclose()


async def test_the_recorded_values_of_the_example_machine() -> None:
    sample = payload("opcua-machinery-example.json")
    decoder = next(each for each in CONNECTOR.manifest.decoders if each.recognises(sample))
    assert decoder.name == "opcua-values"
    found = list(decoder.read(sample, ORIGIN))
    told = json.loads(sample.body)
    assert len(found) == len(told) == 17
    shown = {}
    for each in found:
        assert isinstance(each, SensorReading)
        shown.setdefault(each.sensor, each)
        assert each.quality is ReadingQuality.GOOD
    for unknown in ("AssetId", "ComponentName", "Location", "CurrentState"):
        assert (shown[unknown].value, shown[unknown].text) == (None, None), "a Null is unknown, not an empty text"
    assert shown["Manufacturer"].text == "ENGEL AUSTRIA GMBH"
    assert shown["Model"].text == "Viper 6"
    assert (shown["YearOfConstruction"].value, shown["MonthOfConstruction"].value) == (2020.0, 3.0)
    assert shown["DeviceClass"].text == "Injection Moulding Machine"
    assert shown["ProductCode"].text == "2377636", "a String stays one"
    assert shown["Manufacturer"].recorded_at is not None
    assert shown["Manufacturer"].recorded_at.isoformat() == "2026-11-21T23:00:06.694598+00:00"


async def _state_machine(parent: Node, name: str, number: int | None) -> Node:
    machine = await parent.add_object(ua.NodeId(0, parent.nodeid.NamespaceIndex), ua.QualifiedName(name, 1))
    current = await machine.add_variable(
        ua.NodeId(0, parent.nodeid.NamespaceIndex),
        ua.QualifiedName("CurrentState", 0),
        ua.Variant(ua.LocalizedText("whatever"), ua.VariantType.LocalizedText),
    )
    value = ua.Variant(number, ua.VariantType.UInt32) if number is not None else ua.Variant()
    await current.add_property(ua.NodeId(0, parent.nodeid.NamespaceIndex), ua.QualifiedName("Number", 0), value)
    return machine


@pytest.mark.parametrize(
    ("numbers", "state"),
    [
        ((None, None, 6), EquipmentState.RUNNING),
        ((None, None, 11), EquipmentState.PAUSED),
        ((None, 2, None), EquipmentState.IDLE),
        ((9, None, None), EquipmentState.ERROR),
        ((3, 2, 11), EquipmentState.PAUSED),
    ],
)
async def test_packml_the_innermost_state_counts(
    server: Server, numbers: tuple[int | None, ...], state: EquipmentState
) -> None:
    """Base, machine and execute state, one within the other; a state machine that is not active has none."""
    index = await server.register_namespace("urn:packml:filler")
    root = await server.nodes.objects.add_object(ua.NodeId(0, index), ua.QualifiedName(f"Filler{numbers}", index))
    parent = root
    for name, number in zip(("BaseStateMachine", "MachineState", "ExecuteState"), numbers, strict=True):
        parent = await _state_machine(parent, name, number)
    identifier = root.nodeid.to_string().rpartition(";")[2]
    one = connector(server, node=f"nsu=urn:packml:filler;{identifier}")
    (found,) = await one.read_equipment(["m"])
    assert found.state is state
    await one.aclose()
    await root.delete(recursive=True)


async def test_the_packtag_of_a_plc(server: Server) -> None:
    index = await server.register_namespace("urn:packml:filler")
    root = await server.nodes.objects.add_object(ua.NodeId(0, index), ua.QualifiedName("Capper", index))
    status = await root.add_object(ua.NodeId(0, index), ua.QualifiedName("Status", index))
    value = ua.Variant(5, ua.VariantType.Int32)
    await status.add_variable(ua.NodeId(0, index), ua.QualifiedName("StateCurrent", index), value)
    identifier = root.nodeid.to_string().rpartition(";")[2]
    one = connector(server, node=f"nsu=urn:packml:filler;{identifier}")
    (found,) = await one.read_equipment(["m"])
    assert (found.state, found.source.vendor_status) == (EquipmentState.PAUSED, "5")
    await one.aclose()
    await root.delete(recursive=True)


async def test_a_machine_without_anything_to_read_says_so(server: Server) -> None:
    index = await server.register_namespace("urn:packml:filler")
    root = await server.nodes.objects.add_object(ua.NodeId(0, index), ua.QualifiedName("Nothing", index))
    identifier = root.nodeid.to_string().rpartition(";")[2]
    one = connector(server, node=f"nsu=urn:packml:filler;{identifier}")
    with pytest.raises(NotFound, match="has neither state nor sensors with units in the server"):
        await one.read_equipment(["m"])
    await one.aclose()
    await root.delete(recursive=True)
