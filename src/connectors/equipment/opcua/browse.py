"""Finds a machine in a server's address space: identification, state machines, sensors with units.

The address space is a graph: `Identification` hangs below the machine and below its building blocks, components may
refer back. A node is visited once, breadth first, so that the shortest way to it is the one that counts.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from connectors.equipment.opcua import values
from connectors.equipment.opcua.server import Link
from connectors.equipment.opcua.settings import NodeName
from connectors.equipment.points import Identity
from connectors.kit import decode
from connectors.kit.errors import BadPayload, NotFound

MACHINERY: Final = "http://opcfoundation.org/UA/Machinery/"
MACHINES: Final = NodeName(MACHINERY, "i=1001")
_DEEPEST: Final = 8
_NODES_MOST: Final = 4_000
_REFERENCES: Final = 500
_SENSORS_MOST: Final = 100
_BLOCKS: Final = "MachineryBuildingBlocks"
_ELSEWHERE: Final = frozenset({"Identification", "Components", "EngineeringUnits"})
"""What lies below these is not the machine's own reading."""
_PACKML: Final = ("ExecuteState", "MachineState", "BaseStateMachine")
"""PackML's nested state machines, the innermost first."""


class Found(NamedTuple):
    """A node and the shortest way to it, by browse names."""

    path: tuple[str, ...]
    node: ua.NodeId
    variable: bool


class Layout(NamedTuple):
    """Where a machine's things are. All node ids are of one connection."""

    identity: Identity
    states: dict[str, list[ua.NodeId]]
    """State machine → its `CurrentState/Number` or PackTag variables, the first that has a value counts."""
    state_ids: dict[str, ua.NodeId]
    """State machine → its `CurrentState/Id`."""
    texts: dict[str, ua.NodeId]
    """State machine → its `CurrentState`."""
    sensors: dict[str, ua.NodeId]
    units: dict[str, str | None]
    paths: dict[tuple[str, ...], ua.NodeId]
    """Variables by the browse names that lead to them."""


async def machine_nodes(link: Link) -> list[Found]:
    """The machines that the server shows below `Machines`; none where it does not know the companion model."""
    if MACHINES.uri not in link.namespaces:
        return []
    found = await children(link, [Found((), link.resolve(MACHINES), False)])
    return [each for each in found if not each.variable]


async def the_only_machine(link: Link, asked_for: str) -> ua.NodeId:
    """Raises `NotFound` that names the machines when there are several, or says that there is none."""
    found = await machine_nodes(link)
    if len(found) == 1:
        return found[0].node
    names = "; ".join(f"{each.path[-1]} is {link.spell(each.node)}" for each in found[:20])
    raise NotFound(
        f"the server shows {len(found) or 'no'} machines below Machines; set `node` of machine {asked_for!r}"
        + (f" to one of them: {names}" if names else ", or its `map`")
    )


async def children(link: Link, parents: Sequence[Found], *, certain: bool = False) -> list[Found]:
    """What hangs below the nodes, in one call and as many more as the server makes of it. A node that we may not look
    into has nothing below it; when they must exist for `certain`, the server's refusal is raised."""
    browse = ua.BrowseParameters()
    browse.View = ua.ViewDescription()
    browse.RequestedMaxReferencesPerNode = _REFERENCES
    browse.NodesToBrowse = [_description(each.node) for each in parents]
    results = await link.client.uaclient.browse(browse)
    found: list[Found] = []
    waiting = list(zip(parents, results, strict=False))
    while waiting:
        left: list[tuple[Found, bytes]] = []
        for parent, result in waiting:
            if certain:
                result.StatusCode.check()
            for each in result.References or ():
                if each.NodeClass in (ua.NodeClass.Object, ua.NodeClass.Variable):
                    path = (*parent.path, each.BrowseName.Name or "")
                    found.append(Found(path, _local(each.NodeId), each.NodeClass == ua.NodeClass.Variable))
            if result.ContinuationPoint:
                left.append((parent, result.ContinuationPoint))
        if len(found) > _NODES_MOST:
            raise BadPayload(f"the server shows more than {_NODES_MOST} nodes below one machine", path="$.Results")
        if not left:
            break
        onward = ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=[each for _, each in left])
        waiting = [
            (parent, result)
            for (parent, _), result in zip(left, await link.client.uaclient.browse_next(onward), strict=False)
        ]
    return found


async def below(link: Link, start: ua.NodeId) -> list[Found]:
    """All nodes below `start`, each once, by the shortest way."""
    seen = {start}
    level = [Found((), start, False)]
    found: list[Found] = []
    for depth in range(_DEEPEST):
        following: list[Found] = []
        for each in await children(link, level, certain=depth == 0):
            if each.node not in seen:
                seen.add(each.node)
                following.append(each)
        found += following
        if len(found) > _NODES_MOST:
            raise BadPayload(f"the server shows more than {_NODES_MOST} nodes below one machine", path="$.Results")
        level = following
        if not level:
            break
    return found


async def layout(link: Link, machine: ua.NodeId, *, discover: bool) -> Layout:
    """Where the machine's identification, states and sensors are."""
    nodes = await below(link, machine)
    states: dict[str, list[ua.NodeId]] = {}
    ids: dict[str, ua.NodeId] = {}
    texts: dict[str, ua.NodeId] = {}
    own = [each for each in nodes if "Components" not in each.path]
    for name in (values.ITEM_STATE, values.OPERATION_MODE):
        for each in own:
            if name not in each.path[-3:] or not each.variable:
                continue
            match each.path[each.path.index(name) + 1 :]:
                case ("CurrentState",):
                    texts.setdefault(name, each.node)
                case ("CurrentState", "Number"):
                    states.setdefault(name, []).append(each.node)
                case ("CurrentState", "Id"):
                    ids.setdefault(name, each.node)
    packml = [
        (_PACKML.index(each.path[-3]), each.node)
        for each in own
        if len(each.path) > 2 and each.path[-2:] == ("CurrentState", "Number") and each.path[-3] in _PACKML
    ]
    packml += [(len(_PACKML), each.node) for each in own if each.path[-1] == "StateCurrent" and each.variable]
    if packml:
        states[values.PACKML] = [node for _, node in sorted(packml, key=lambda pair: pair[0])]
    sensors = await _sensors(link, own) if discover else {}
    return Layout(
        identity=await _identity(link, nodes),
        states=states,
        state_ids=ids,
        texts=texts,
        sensors={name: node for name, (node, _) in sensors.items()},
        units={name: unit for name, (_, unit) in sensors.items()},
        paths={each.path: each.node for each in nodes if each.variable},
    )


async def _identity(link: Link, nodes: Iterable[Found]) -> Identity:
    own = {
        each.path[-1]: each.node
        for each in nodes
        if each.variable and each.path[:-1] in (("Identification",), (_BLOCKS, "Identification"))
    }
    wanted = [name for name in ("Manufacturer", "Model", "SerialNumber", "SoftwareRevision") if name in own]
    answers = await link.read([own[name] for name in wanted])
    said = {name: text_of(each) for name, each in zip(wanted, answers, strict=True)}
    return Identity(
        manufacturer=said.get("Manufacturer"),
        model=said.get("Model"),
        serial_number=said.get("SerialNumber"),
        software=said.get("SoftwareRevision"),
    )


async def _sensors(link: Link, nodes: Sequence[Found]) -> dict[str, tuple[ua.NodeId, str | None]]:
    """Variables with engineering units, by the end of their path; by the whole path where the end is not unique."""
    by_path = {each.path: each for each in nodes if each.variable}
    measured = [
        (by_path[each.path[:-1]], each.node)
        for each in nodes
        if each.path[-1] == "EngineeringUnits"
        and each.path[:-1] in by_path
        and not _ELSEWHERE.intersection(each.path[:-2])
    ][:_SENSORS_MOST]
    ends = [sensor.path[-1] for sensor, _ in measured]
    units = await link.read([unit for _, unit in measured])
    found: dict[str, tuple[ua.NodeId, str | None]] = {}
    for (sensor, _), told in zip(measured, units, strict=True):
        name = sensor.path[-1] if ends.count(sensor.path[-1]) == 1 else ".".join(sensor.path)
        found[name] = sensor.node, _unit(told)
    return found


def _unit(told: ua.DataValue) -> str | None:
    """A unit as UCUM code, where it is one of UN/ECE's; else as the server shows it."""
    information = told.Value.Value if told.Value is not None else None
    if not isinstance(information, ua.EUInformation):
        return None
    code = values.unece(information.UnitId)
    return values.UNECE.get(code or "") or decode.none(information.DisplayName.Text)


def text_of(told: ua.DataValue) -> str | None:
    """A value as text; null for a Null, an empty text, and a bad status."""
    value = told.Value.Value if told.Value is not None else None
    if value is None or (told.StatusCode is not None and told.StatusCode.is_bad()):
        return None
    if isinstance(value, ua.LocalizedText):
        value = value.Text
    return decode.none(str(value)) if value is not None else None


def _description(node: ua.NodeId) -> ua.BrowseDescription:
    found = ua.BrowseDescription()
    found.NodeId = node
    found.BrowseDirection = ua.BrowseDirection.Forward
    found.ReferenceTypeId = ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences))
    found.IncludeSubtypes = True
    found.NodeClassMask = ua.NodeClass.Object | ua.NodeClass.Variable
    found.ResultMask = ua.BrowseResultMask.All
    return found


def _local(node: ua.NodeId) -> ua.NodeId:
    """An id that can be asked for: references name their targets by expanded ids."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex)
