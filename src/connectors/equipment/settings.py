"""The settings of an equipment integration: its protocol, its machines, and how a job's name names its item."""

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from connectors.equipment.facts import DEFAULT_ITEM_PATTERN, Facts, ItemPattern
from connectors.equipment.modbus.settings import Modbus, Register
from connectors.equipment.mtconnect.settings import MTConnect
from connectors.equipment.opcua.settings import NodePoint, OpcUa, node_name
from connectors.equipment.points import check_names
from unified.records import EquipmentType

Protocol = Literal["octoprint", "mtconnect", "opc-ua", "modbus"]

_SCHEMES: Final[dict[Protocol, tuple[str, ...]]] = {
    "octoprint": ("http", "https"),
    "mtconnect": ("http", "https"),
    "opc-ua": ("opc.tcp",),
    "modbus": ("tcp", "rtu"),
}
_TYPES: Final[dict[Protocol, EquipmentType]] = {
    "octoprint": EquipmentType.PRINTER_3D,
    "mtconnect": EquipmentType.CNC_MILL,
    "opc-ua": EquipmentType.OTHER,
    "modbus": EquipmentType.PLC,
}
_OWN_FIELDS: Final[dict[str, tuple[Protocol, ...]]] = {
    "api_key": ("octoprint", "mtconnect"),
    "device": ("mtconnect",),
    "node": ("opc-ua",),
    "unit": ("modbus",),
    "map": ("opc-ua", "modbus"),
}
_OWN_SECTIONS: Final[dict[str, Protocol]] = {
    "mtconnect": "mtconnect",
    "opcua": "opc-ua",
    "nodes": "opc-ua",
    "modbus": "modbus",
    "registers": "modbus",
}


class Machine(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One machine of the integration."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Immutable: the global id is made of it. Letters, digits, `.`, `_`, `-`; at most 64."""
    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """What people call it; the id when it is missing."""
    url: Annotated[str, Meta(max_length=500)]
    """Where it answers. OctoPrint: without `/api` (`http://printer-1.local:5000`). MTConnect: the agent. OPC UA:
    `opc.tcp://host:4840`. Modbus: `tcp://host:502`, or `rtu:///dev/ttyUSB0` for a serial line."""
    api_key: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    """NAME of the credential under `[integrations.credentials]`. OctoPrint: it holds the machine's API key.
    MTConnect: it holds the `Authorization` header for a proxy before the agent (`Bearer …`); usually none."""
    equipment_type: EquipmentType | None = None
    """Default by protocol: `PRINTER_3D`, `CNC_MILL`, `OTHER`, `PLC`."""
    model: Annotated[str, Meta(max_length=200)] | None = None
    """Make and model, where the protocol does not tell it or tells it badly."""
    device: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """MTConnect: name or uuid of the device; needed when the agent has several."""
    node: Annotated[str, Meta(min_length=3, max_length=1_500)] | None = None
    """OPC UA: the machine's node (`nsu=…;i=…`); needed when the server shows several below `Machines`."""
    unit: Annotated[int, Meta(ge=0, le=255)] | None = None
    """Modbus: unit id; 1 when it is missing."""
    map: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    """OPC UA: name of a list under `nodes`. Modbus: name of a list under `registers`."""

    @property
    def display_name(self) -> str:
        """The name, or the id when there is none."""
        return self.name or self.id

    def check(self, protocol: Protocol) -> None:
        """Raises `ValueError` for what does not fit the protocol."""
        parts = urlsplit(self.url)
        schemes = _SCHEMES[protocol]
        serial = parts.scheme == "rtu" and protocol == "modbus"
        if parts.scheme not in schemes or not (parts.path if serial else parts.hostname):
            wanted = " or ".join(f"{each}://" for each in schemes)
            raise ValueError(f"url of machine {self.id!r} must begin with {wanted} and name a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(f"url of machine {self.id!r} must hold neither credentials nor a query")
        try:
            parts.port  # noqa: B018
        except ValueError:
            raise ValueError(f"url of machine {self.id!r} has no port number from 0 to 65535") from None
        for field, protocols in _OWN_FIELDS.items():
            if getattr(self, field) is not None and protocol not in protocols:
                raise ValueError(f"machine {self.id!r}: `{field}` belongs to {' and '.join(protocols)}, not {protocol}")
        if protocol == "octoprint" and self.api_key is None:
            raise ValueError(f"machine {self.id!r}: api_key is missing, the name of a credential")
        if protocol == "modbus" and self.map is None:
            raise ValueError(f"machine {self.id!r}: map is missing, the name of a list under `registers`")
        if self.node is not None:
            node_name(self.node)


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`[integrations.settings]` of system `equipment`."""

    protocol: Annotated[Protocol, Meta(description="What all machines of the integration speak")] = "octoprint"
    machines: Annotated[
        tuple[Machine, ...], Meta(min_length=1, max_length=500, description="The machines, each under an id of its own")
    ]
    item_pattern: Annotated[
        str,
        Meta(description="Regular expression with a group `item`: the item number in a job's file name or program"),
    ] = DEFAULT_ITEM_PATTERN
    push_seconds: Annotated[
        float,
        Meta(
            ge=0.5,
            le=60,
            description="Shortest time between two live messages of one machine; Modbus: between two reads",
        ),
    ] = 1.0
    mtconnect: Annotated[MTConnect | None, Meta(description="MTConnect only: heartbeat, XML or JSON, assets")] = None
    opcua: Annotated[OpcUa | None, Meta(description="OPC UA only: security, who signs in, discovery")] = None
    modbus: Annotated[Modbus | None, Meta(description="Modbus only: joining of registers, serial line")] = None
    nodes: Annotated[
        dict[str, Annotated[tuple[NodePoint, ...], Meta(max_length=500)]],
        Meta(max_length=200, description="OPC UA only: named lists of nodes, which machines refer to by `map`"),
    ] = {}
    registers: Annotated[
        dict[str, Annotated[tuple[Register, ...], Meta(max_length=2_000)]],
        Meta(max_length=200, description="Modbus only: named register maps, which machines refer to by `map`"),
    ] = {}

    def __post_init__(self) -> None:
        ItemPattern(self.item_pattern)
        ids = [machine.id for machine in self.machines]
        twice = sorted({each for each in ids if ids.count(each) > 1})
        if twice:
            raise ValueError(f"two machines have the same id: {', '.join(twice)}")
        for section, protocol in _OWN_SECTIONS.items():
            if getattr(self, section) and protocol != self.protocol:
                raise ValueError(f'`{section}` belongs to protocol = "{protocol}", not "{self.protocol}"')
        for lists in (self.nodes, self.registers):
            for name, points in lists.items():
                if not points:
                    raise ValueError(f"the map {name!r} is empty")
                check_names(points, f"the map {name!r}")
        known = self.nodes if self.protocol == "opc-ua" else self.registers
        for machine in self.machines:
            machine.check(self.protocol)
            if machine.map is not None and machine.map not in known:
                raise ValueError(
                    f"machine {machine.id!r}: there is no map {machine.map!r}; there are: "
                    f"{', '.join(sorted(known)) or 'none'}"
                )

    def facts(self, machine: Machine) -> Facts:
        """What the settings know of the machine."""
        return Facts(
            id=machine.id,
            name=machine.display_name,
            equipment_type=machine.equipment_type or _TYPES[self.protocol],
            model=machine.model,
            items=ItemPattern(self.item_pattern),
        )
