"""The mills as MTConnect devices: their components and data items, and the values that the world gives them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from sandbox.world import Machine, MachineState

UNAVAILABLE: Final = "UNAVAILABLE"


@dataclass(frozen=True)
class DataItem:
    id: str
    category: str
    """SAMPLE, EVENT or CONDITION."""
    type: str
    name: str | None = None
    sub_type: str | None = None
    units: str | None = None

    @property
    def element(self) -> str:
        """`PATH_FEEDRATE` is observed as `PathFeedrate`."""
        return "".join(word.capitalize() for word in self.type.split("_"))

    @property
    def group(self) -> str:
        return {"SAMPLE": "Samples", "EVENT": "Events", "CONDITION": "Condition"}[self.category]


@dataclass(frozen=True)
class Component:
    kind: str
    id: str
    name: str | None
    items: tuple[DataItem, ...] = ()
    components: "tuple[Component, ...]" = ()

    def walk(self) -> "Iterator[Component]":
        yield self
        for each in self.components:
            yield from each.walk()


@dataclass(frozen=True)
class Said:
    """A value of a data item; of a condition its level, code and text."""

    value: str
    code: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Device:
    machine: Machine
    root: Component
    by_id: dict[str, tuple[Component, DataItem]] = field(repr=False)

    @property
    def name(self) -> str:
        return f"VMC-{self.machine.name}"

    @property
    def uuid(self) -> str:
        return f"{self.machine.manufacturer.replace(' ', '')}.{self.machine.serial}"


def device(machine: Machine) -> Device:
    """The device model. Ids are unique within the agent, names within the device."""
    own = machine.id.replace("-", "")

    def linear(axis: str) -> Component:
        return Component(
            "Linear",
            f"{own}_{axis.lower()}",
            axis,
            (
                DataItem(f"{own}_{axis.lower()}pos", "SAMPLE", "POSITION", f"{axis}act", "ACTUAL", "MILLIMETER"),
                DataItem(f"{own}_{axis.lower()}load", "CONDITION", "LOAD"),
            ),
        )

    path = Component(
        "Path",
        f"{own}_path",
        "path",
        (
            DataItem(f"{own}_exec", "EVENT", "EXECUTION", "execution"),
            DataItem(f"{own}_mode", "EVENT", "CONTROLLER_MODE", "mode"),
            DataItem(f"{own}_prog", "EVENT", "PROGRAM", "program"),
            DataItem(f"{own}_line", "EVENT", "LINE", "line"),
            DataItem(f"{own}_func", "EVENT", "FUNCTIONAL_MODE", "functional_mode"),
            DataItem(f"{own}_count", "EVENT", "PART_COUNT", "parts", "ALL"),
            DataItem(f"{own}_target", "EVENT", "PART_COUNT", "parts_wanted", "TARGET"),
            DataItem(f"{own}_feed", "SAMPLE", "PATH_FEEDRATE", "feed", "ACTUAL", "MILLIMETER/SECOND"),
            DataItem(f"{own}_pos", "SAMPLE", "PATH_POSITION", "position", "ACTUAL", "MILLIMETER_3D"),
        ),
    )
    controller = Component(
        "Controller",
        f"{own}_ctl",
        "controller",
        (
            DataItem(f"{own}_estop", "EVENT", "EMERGENCY_STOP", "estop"),
            DataItem(f"{own}_system", "CONDITION", "SYSTEM"),
        ),
        (path,),
    )
    spindle = Component(
        "Rotary",
        f"{own}_c",
        "C",
        (
            DataItem(f"{own}_speed", "SAMPLE", "ROTARY_VELOCITY", "Sspeed", "ACTUAL", "REVOLUTION/MINUTE"),
            DataItem(f"{own}_load", "SAMPLE", "LOAD", "Sload", None, "PERCENT"),
        ),
    )
    coolant = Component(
        "Coolant",
        f"{own}_cool",
        "coolant",
        (
            DataItem(f"{own}_cooltemp", "SAMPLE", "TEMPERATURE", "coolant_temperature", None, "CELSIUS"),
            DataItem(f"{own}_coollevel", "CONDITION", "LEVEL"),
        ),
    )
    root = Component(
        "Device",
        own,
        f"VMC-{machine.name}",
        (
            DataItem(f"{own}_avail", "EVENT", "AVAILABILITY"),
            DataItem(f"{own}_asset_chg", "EVENT", "ASSET_CHANGED"),
            DataItem(f"{own}_asset_rem", "EVENT", "ASSET_REMOVED"),
        ),
        (
            Component("Axes", f"{own}_axes", "axes", (), (spindle, linear("X"), linear("Y"), linear("Z"))),
            controller,
            Component("Systems", f"{own}_sys", "systems", (), (coolant,)),
        ),
    )
    by_id = {item.id: (component, item) for component in root.walk() for item in component.items}
    return Device(machine, root, by_id)


_EXECUTION: Final = {
    "running": "ACTIVE",
    "paused": "FEED_HOLD",
    "idle": "READY",
    "error": "STOPPED",
    "maintenance": "READY",
}


def values(one: Device, state: MachineState, *, asset: str | None) -> dict[str, Said]:
    """What each data item of the device says. Texts of events are in upper case, as the reference agent has them."""
    own = one.machine.id.replace("-", "")
    if state.mode == "off":
        return {item: Said(UNAVAILABLE) for item in one.by_id}
    batch = state.batch
    x, y, z = state.position
    fault = Said("Fault", str(state.alarm), state.alarm_text) if state.alarm else Said("Normal")
    told = {
        "avail": Said("AVAILABLE"),
        "asset_chg": Said(asset or UNAVAILABLE),
        "asset_rem": Said(UNAVAILABLE),
        "estop": Said("ARMED"),
        "system": Said("Normal"),
        "exec": Said(_EXECUTION[state.mode]),
        "mode": Said("AUTOMATIC"),
        "prog": Said(batch.program if batch else UNAVAILABLE),
        "line": Said(str(state.line)),
        "func": Said("MAINTENANCE" if state.mode == "maintenance" else "PRODUCTION"),
        "count": Said(str(state.parts_done)),
        "target": Said(str(batch.parts) if batch else UNAVAILABLE),
        "feed": Said(f"{state.feed_mm_s:g}"),
        "pos": Said(f"{x:g} {y:g} {z:g}"),
        "speed": Said(f"{state.speed_rpm:g}"),
        "load": Said(f"{state.load_pct:g}"),
        "cooltemp": Said(f"{state.temperature_c:g}"),
        "coollevel": Said("Warning", "207", state.warning) if state.warning else Said("Normal"),
        "xpos": Said(f"{x:g}"),
        "ypos": Said(f"{y:g}"),
        "zpos": Said(f"{z:g}"),
        "xload": fault,
        "yload": Said("Normal"),
        "zload": Said("Normal"),
    }
    return {f"{own}_{name}": said for name, said in told.items()}
