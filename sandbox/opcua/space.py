"""The address space: what the server shows of each station, and the values that the world gives it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from asyncua import Node, Server, ua

from sandbox.world import Machine, MachineState

DI: Final = "http://opcfoundation.org/UA/DI/"
MACHINERY: Final = "http://opcfoundation.org/UA/Machinery/"
OWN: Final = "http://sandbox.example/UA/Assembly/"

ITEM_STATES: Final = ("NotAvailable", "OutOfService", "NotExecuting", "Executing")
MODES: Final = ("None", "Maintenance", "Setup", "Processing")
_STATE: Final = {"off": 0, "maintenance": 1, "idle": 2, "error": 2, "paused": 2, "running": 3}

_UNITS: Final = {
    "Torque": ("NU", "N·m"),
    "Temperature": ("CEL", "°C"),
    "Speed": ("RPM", "r/min"),
    "Mood": ("", "smileys"),
}


@dataclass
class Station:
    """The variables of one station that change."""

    machine: Machine
    item_state: Node
    item_number: Node | None
    """`Number`; null for the station that has `Id` only."""
    item_id: Node
    mode: Node
    mode_id: Node
    readings: dict[str, Node]
    states: dict[str, Sequence[ua.NodeId]]
    """Nodes of the states, by state machine."""

    async def show(self, state: MachineState) -> None:
        """Writes what the world says."""
        item = _STATE[state.mode]
        mode = 1 if state.mode == "maintenance" else 3
        await self._state(self.item_state, self.item_id, "MachineryItemState", ITEM_STATES, item)
        await self._state(self.mode, self.mode_id, "MachineryOperationMode", MODES, mode)
        if self.item_number is not None:
            await _write(self.item_number, ua.Variant(item, ua.VariantType.UInt32))
        batch = state.batch
        values: dict[str, tuple[Any, ua.VariantType]] = {
            "Torque": (round(state.force_kn / 20, 2), ua.VariantType.Float),
            "Temperature": (state.temperature_c, ua.VariantType.Float),
            "Speed": (state.speed_rpm, ua.VariantType.Float),
            "Mood": (1.0, ua.VariantType.Float),
            "Job": (f"{batch.word} {batch.teamcenter_number.lower()}" if batch else None, ua.VariantType.String),
            "PartsDone": (state.parts_done, ua.VariantType.UInt32),
            "PartsWanted": (batch.parts if batch else 0, ua.VariantType.UInt32),
            "Alarm": (state.alarm, ua.VariantType.UInt16),
            "AlarmText": (state.alarm_text, ua.VariantType.String),
        }
        for name, (value, kind) in values.items():
            await _write(self.readings[name], ua.Variant(value, kind) if value is not None else ua.Variant())

    async def _state(self, node: Node, id_node: Node, machine: str, names: Sequence[str], number: int) -> None:
        await _write(node, ua.Variant(ua.LocalizedText(names[number], "de"), ua.VariantType.LocalizedText))
        await _write(id_node, ua.Variant(self.states[machine][number], ua.VariantType.NodeId))


async def _write(node: Node, value: ua.Variant) -> None:
    """Only what changed: a write of the same value would be a new time."""
    if (await node.read_data_value(raise_on_bad_status=False)).Value != value:
        await node.write_value(value)


async def build(server: Server, machines: Sequence[Machine], order: Sequence[str]) -> list[Station]:
    """Registers the namespaces in that order and builds a station for each machine."""
    for uri in order:
        await server.register_namespace(uri)
    di, machinery, own = [await server.get_namespace_index(uri) for uri in (DI, MACHINERY, OWN)]
    folder = await server.nodes.objects.add_folder(ua.NodeId(1001, machinery), ua.QualifiedName("Machines", machinery))
    states = await _states(server, machinery)
    return [
        await _station(folder, machine, place, states, di, machinery, own) for place, machine in enumerate(machines)
    ]


async def _states(server: Server, machinery: int) -> dict[str, Sequence[ua.NodeId]]:
    """The states of the state machines' types, each with its StateNumber."""
    types = await server.nodes.base_object_type.add_object_type(
        ua.NodeId(1002, machinery), ua.QualifiedName("MachineryStates", machinery)
    )
    found: dict[str, Sequence[ua.NodeId]] = {}
    for base, (name, texts) in enumerate((("MachineryItemState", ITEM_STATES), ("MachineryOperationMode", MODES))):
        nodes = []
        for number, text in enumerate(texts):
            node = await types.add_object(
                ua.NodeId(5004 + 10 * base + number, machinery), ua.QualifiedName(f"{name}{text}", machinery)
            )
            await node.add_property(0, "StateNumber", ua.Variant(number, ua.VariantType.UInt32))
            nodes.append(node.nodeid)
        found[name] = nodes
    return found


async def _station(
    folder: Node,
    machine: Machine,
    place: int,
    states: dict[str, Sequence[ua.NodeId]],
    di: int,
    machinery: int,
    own: int,
) -> Station:
    def named(text: str, index: int) -> ua.QualifiedName:
        return ua.QualifiedName(text, index)

    root = await folder.add_object(ua.NodeId(machine.id, own), named(machine.name, own))
    about = await root.add_object(ua.NodeId(f"{machine.id}.id", own), named("Identification", di))
    for name, value in {
        "Manufacturer": ua.Variant(ua.LocalizedText(machine.manufacturer, "en"), ua.VariantType.LocalizedText),
        "Model": ua.Variant(ua.LocalizedText(machine.model, "en"), ua.VariantType.LocalizedText),
        "SerialNumber": ua.Variant(machine.serial, ua.VariantType.String),
        "SoftwareRevision": ua.Variant("3.1.4", ua.VariantType.String),
        "AssetId": ua.Variant(),
    }.items():
        await about.add_property(ua.NodeId(f"{machine.id}.id.{name}", own), named(name, di), value)
    blocks = await root.add_object(ua.NodeId(f"{machine.id}.blocks", own), named("MachineryBuildingBlocks", machinery))
    await blocks.add_reference(about, ua.ObjectIds.HasAddIn)
    made: dict[str, tuple[Node, Node, Node | None]] = {}
    for name in states:
        block = await blocks.add_object(ua.NodeId(f"{machine.id}.{name}", own), named(name, machinery))
        current = await block.add_variable(
            ua.NodeId(f"{machine.id}.{name}.CurrentState", own), named("CurrentState", 0),
            ua.Variant(ua.LocalizedText(), ua.VariantType.LocalizedText),
        )  # fmt: skip
        id_ = await current.add_property(
            ua.NodeId(f"{machine.id}.{name}.Id", own), named("Id", 0), ua.Variant(ua.NodeId(), ua.VariantType.NodeId)
        )
        number = None
        if place == 0:
            number = await current.add_property(
                ua.NodeId(f"{machine.id}.{name}.Number", own), named("Number", 0),
                ua.Variant(0, ua.VariantType.UInt32),
            )  # fmt: skip
        made[name] = (current, id_, number)
    readings: dict[str, Node] = {}
    monitoring = await root.add_object(ua.NodeId(f"{machine.id}.mon", own), named("Monitoring", machinery))
    for name, (code, shown) in _UNITS.items():
        node = await monitoring.add_variable(
            ua.NodeId(f"{machine.id}.{name}", own), named(name, own), ua.Variant(0.0, ua.VariantType.Float)
        )
        unit = ua.EUInformation(
            NamespaceUri="http://www.opcfoundation.org/UA/units/un/cefact",
            UnitId=ua.Int32(int.from_bytes(code.encode(), "big") if code else -1),
            DisplayName=ua.LocalizedText(shown),
            Description=ua.LocalizedText(shown),
        )
        await node.add_property(
            ua.NodeId(f"{machine.id}.{name}.eu", own), named("EngineeringUnits", 0),
            ua.Variant(unit, ua.VariantType.ExtensionObject),
        )  # fmt: skip
        readings[name] = node
    production = await root.add_object(ua.NodeId(f"{machine.id}.prod", own), named("Production", own))
    kinds = {
        "Job": ua.Variant("", ua.VariantType.String),
        "PartsDone": ua.Variant(0, ua.VariantType.UInt32),
        "PartsWanted": ua.Variant(0, ua.VariantType.UInt32),
        "Alarm": ua.Variant(0, ua.VariantType.UInt16),
        "AlarmText": ua.Variant("", ua.VariantType.String),
    }
    for name, value in kinds.items():
        readings[name] = await production.add_variable(ua.NodeId(f"{machine.id}.{name}", own), named(name, own), value)
    parts = await root.add_object(ua.NodeId(f"{machine.id}.parts", own), named("Components", machinery))
    gripper = await parts.add_object(ua.NodeId(f"{machine.id}.gripper", own), named("Gripper", own))
    await gripper.add_reference(root, ua.ObjectIds.Organizes)  # the way back: a browser without memory goes round
    item, mode = made["MachineryItemState"], made["MachineryOperationMode"]
    return Station(machine, item[0], item[2], item[1], mode[0], mode[1], readings, states)
