"""From MTConnect's observations to `Equipment`. The only place that knows both."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from connectors.equipment.driver import origin_with, with_trouble
from connectors.equipment.facts import Facts
from connectors.equipment.mtconnect import wire
from connectors.equipment.mtconnect.merge import Merged
from connectors.equipment.points import part_of
from connectors.kit import decode
from connectors.kit.integration import Origin
from unified.records import (
    Equipment,
    EquipmentAsset,
    EquipmentFault,
    EquipmentState,
    FaultSeverity,
    Job,
    SensorReading,
)
from unified.values import Value

S = EquipmentState

EXECUTION: Final = decode.Codes(
    EquipmentState,
    {
        "ACTIVE": S.RUNNING,
        "INTERRUPTED": S.PAUSED,
        "FEED_HOLD": S.PAUSED,
        "WAIT": S.PAUSED,
        "OPTIONAL_STOP": S.PAUSED,
        "PROGRAM_OPTIONAL_STOP": S.PAUSED,
        "READY": S.IDLE,
        "STOPPED": S.IDLE,
        "PROGRAM_STOPPED": S.IDLE,
        "PROGRAM_COMPLETED": S.IDLE,
    },
)
"""Execution of a controller or path."""

UNITS: Final[Mapping[str, str]] = {
    "AMPERE": "A",
    "AMPERE_HOUR": "A.h",
    "BAR": "bar",
    "CELSIUS": "Cel",
    "COUNT": "{count}",
    "COUNT/SECOND": "{count}/s",
    "CUBIC_METER": "m3",
    "CUBIC_MILLIMETER": "mm3",
    "CUBIC_MILLIMETER/SECOND": "mm3/s",
    "DECIBEL": "dB",
    "DEGREE": "deg",
    "DEGREE/SECOND": "deg/s",
    "DEGREE/SECOND^2": "deg/s2",
    "DEGREE_3D": "deg",
    "GRAM": "g",
    "GRAM/CUBIC_METER": "g/m3",
    "HERTZ": "Hz",
    "HOUR": "h",
    "JOULE": "J",
    "KILOGRAM": "kg",
    "KILOWATT": "kW",
    "KILOWATT_HOUR": "kW.h",
    "LITER": "L",
    "LITER/SECOND": "L/s",
    "METER": "m",
    "METER/SECOND": "m/s",
    "METER/SECOND^2": "m/s2",
    "MICRO_RADIAN": "urad",
    "MICROMETER": "um",
    "MILLIGRAM": "mg",
    "MILLIMETER": "mm",
    "MILLIMETER/REVOLUTION": "mm/{rev}",
    "MILLIMETER/SECOND": "mm/s",
    "MILLIMETER/SECOND^2": "mm/s2",
    "MILLIMETER_3D": "mm",
    "MINUTE": "min",
    "NEWTON": "N",
    "NEWTON_METER": "N.m",
    "OHM": "Ohm",
    "PASCAL": "Pa",
    "PASCAL/SECOND": "Pa/s",
    "PASCAL_SECOND": "Pa.s",
    "PERCENT": "%",
    "PH": "[pH]",
    "REVOLUTION/MINUTE": "{rev}/min",
    "REVOLUTION/SECOND": "{rev}/s",
    "REVOLUTION/SECOND^2": "{rev}/s2",
    "SECOND": "s",
    "SIEMENS/METER": "S/m",
    "SQUARE_MILLIMETER": "mm2",
    "TESLA": "T",
    "UNIT_VECTOR_3D": "1",
    "VOLT": "V",
    "VOLT_AMPERE": "V.A",
    "VOLT_AMPERE_REACTIVE": "V.A",
    "WATT": "W",
    "WATT_SECOND": "W.s",
}
"""MTConnect's units as UCUM codes. A unit that is not here is given in MTConnect's own word."""

_SENSORS_MOST: Final = 300
_GAP_SHOWN: Final = timedelta(hours=1)
_BOOKKEEPING: Final = frozenset({"ConnectionStatus", "AssetChanged", "AssetRemoved", "AssetCountDataSet", "AssetCount"})
"""Events that are no readings."""
_NUMERIC: Final = frozenset({"PartCount", "PathFeedrateOverride", "AxisFeedrateOverride", "RotaryVelocityOverride"})
"""Events that are numbers."""
_COUNTED: Final = ("ALL", None, "", "GOOD", "COMPLETE")
"""Sub-types of PartCount that count parts made, the best first."""


class Cursor(Value, frozen=True, kw_only=True):
    """Where the next /sample begins, and what the agent still has."""

    instance_id: str
    first_sequence: int
    last_sequence: int
    next_sequence: int


def cursor(header: wire.Header) -> Cursor:
    return Cursor(
        instance_id=header.instance_id,
        first_sequence=header.first_sequence,
        last_sequence=header.last_sequence,
        next_sequence=header.next_sequence,
    )


def moment(text: str) -> datetime | None:
    """A timestamp, in UTC. Agents of version 1.0 leave the zone out: they mean UTC. Raises `MappingFailed`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is not None and at.utcoffset() == timedelta(0):
        return at
    return decode.moment(text if at is None or at.tzinfo is not None else text + "Z", path="$.timestamp")


def value_of(observation: wire.Observation | None) -> str | None:
    """The text; null where the agent has no value."""
    text = observation.value if observation is not None else None
    return None if text == wire.UNAVAILABLE else text


def equipment(
    observations: Sequence[wire.Observation],
    facts: Facts,
    origin: Origin,
    *,
    device: wire.Device | None = None,
    agent: str | None = None,
    assets: Iterable[wire.Asset] = (),
    gap: wire.Gap | None = None,
) -> Equipment:
    """The record of one device. `observations` hold the newest of each data item and the active conditions;
    `agent` is the agent's version."""
    by_type: dict[str, list[wire.Observation]] = {}
    for each in observations:
        by_type.setdefault(each.type, []).append(each)
    faults = [*(_fault(each) for kind in ("Fault", "Warning") for each in by_type.get(kind, ()) if _active(each))]
    state, status, message = _state(by_type, faults)
    if gap is not None:
        faults += _gap(gap, origin)
    newest = max(observations, key=attrgetter("sequence"), default=None)
    return Equipment(
        source=origin.source(facts.id, status),
        updated_at=moment(newest.timestamp) if newest is not None else None,
        name=facts.name,
        equipment_type=facts.equipment_type,
        state=state,
        model=facts.model or (device.model if device is not None else None),
        manufacturer=device.manufacturer if device is not None else None,
        serial_number=device.serial_number if device is not None else None,
        software=f"MTConnect agent {agent}" if agent else None,
        error_message=message,
        operation=_operation(by_type),
        faults=tuple(faults),
        assets=tuple(asset(each) for each in assets if not each.removed),
        job=_job(by_type, facts, origin),
        sensors=_sensors(observations, device),
    )


def _active(observation: wire.Observation) -> bool:
    return observation.category == "Condition"


def _state(
    by_type: Mapping[str, list[wire.Observation]], faults: Sequence[EquipmentFault]
) -> tuple[EquipmentState, str | None, str | None]:
    """State, the vendor's own word for it, and the error's text. The order of the rules is their priority."""

    def said(kind: str) -> list[str]:
        return [each.value for each in by_type.get(kind, ()) if each.value is not None]

    execution = [each for each in said("Execution") if each != wire.UNAVAILABLE]
    status = "; ".join(dict.fromkeys(execution)) or None
    if wire.UNAVAILABLE in said("Availability"):
        return S.OFFLINE, wire.UNAVAILABLE, None
    if "CLOSED" in said("ConnectionStatus"):
        return S.OFFLINE, "CLOSED", None
    fault = next((each for each in faults if each.severity is FaultSeverity.CRITICAL), None)
    if fault is not None:
        return S.ERROR, status, fault.description or fault.code
    if "TRIGGERED" in said("EmergencyStop"):
        return S.ERROR, status, "the emergency stop is triggered"
    if "MAINTENANCE" in said("FunctionalMode"):
        return S.MAINTENANCE, status, None
    told = {EXECUTION[each] for each in execution}
    return next((each for each in (S.RUNNING, S.PAUSED, S.IDLE) if each in told), S.UNKNOWN), status, None


def _fault(observation: wire.Observation) -> EquipmentFault:
    return EquipmentFault(
        code=observation.native_code or observation.condition_id,
        description=observation.value,
        severity=FaultSeverity.CRITICAL if observation.type == "Fault" else FaultSeverity.WARNING,
        component=" ".join(filter(None, (observation.place.component, observation.place.component_name))) or None,
        occurred_at=moment(observation.timestamp),
    )


def _gap(gap: wire.Gap, origin: Origin) -> list[EquipmentFault]:
    """The gap as a fault of severity INFO, for an hour: nobody should take what is shown for everything."""
    at = decode.moment(gap.at, path="$.gap.at")
    if at is None or origin.as_of - at > _GAP_SHOWN:
        return []
    return [
        EquipmentFault(
            code=f"GAP_{gap.reason.upper()}",
            description=gap.text,
            severity=FaultSeverity.INFO,
            component="MTConnect agent",
            occurred_at=at,
        )
    ]


def _first(by_type: Mapping[str, list[wire.Observation]], *kinds: str) -> str | None:
    for kind in kinds:
        for each in by_type.get(kind, ()):
            text = value_of(each)
            if text is not None:
                return text
    return None


def _operation(by_type: Mapping[str, list[wire.Observation]]) -> str | None:
    """Program with the line, or the block where the line is not told."""
    program = _first(by_type, "Program")
    line = _first(by_type, "LineNumber", "Line", "LineLabel")
    block = _first(by_type, "Block")
    where = f"line {line}" if line is not None else block
    return ", ".join(each for each in (program, where) if each) or None


def _job(by_type: Mapping[str, list[wire.Observation]], facts: Facts, origin: Origin) -> Job | None:
    """The program as a job. The item: as the controller tells its part, else by the program's name."""
    program = _first(by_type, "Program")
    if program is None:
        return None
    counts = {each.sub_type: number(value_of(each)) for each in by_type.get("PartCount", ())}
    made = next((counts[each] for each in _COUNTED if counts.get(each) is not None), None)
    part = _first(by_type, "PartNumber", "PartId")
    return Job(
        name=program,
        progress=part_of(made, counts.get("TARGET")),
        item_number=part or facts.items.find(program),
        integration=origin.integration,
    )


def number(text: str | None) -> float | None:
    """The text as a finite number, else null."""
    try:
        found = float(text) if text is not None else None
    except ValueError:
        return None
    return found if found is not None and math.isfinite(found) else None


def _sensors(observations: Iterable[wire.Observation], device: wire.Device | None) -> tuple[SensorReading, ...]:
    """Samples and events, by the data items' names; by their ids where a name stands for several."""
    items: Mapping[str, wire.DataItem] = device.items if device is not None else {}
    shown = [each for each in observations if each.category != "Condition" and each.type not in _BOOKKEEPING]
    names: dict[str, int] = {}
    for each in shown:
        if each.name is not None:
            names[each.name] = names.get(each.name, 0) + 1
    found: list[SensorReading] = []
    for each in shown[-_SENSORS_MOST:]:
        text = None if each.value == wire.UNAVAILABLE else each.value
        item = items.get(each.data_item)
        units = item.units if item is not None else None
        counts = each.category == "Samples" or units is not None or each.type in _NUMERIC
        value = number(text) if counts else None
        found.append(
            SensorReading(
                sensor=each.name if each.name is not None and names[each.name] == 1 else each.data_item,
                value=value,
                unit=UNITS.get(units, units) if units is not None else None,
                text=text if value is None else None,
                recorded_at=moment(each.timestamp),
            )
        )
    found.sort(key=attrgetter("sensor"))
    return tuple(found)


def asset(told: wire.Asset) -> EquipmentAsset:
    return EquipmentAsset(
        asset_id=told.asset_id,
        asset_type=told.type,
        serial_number=told.serial_number,
        updated_at=moment(told.timestamp) if told.timestamp is not None else None,
        details=told.details,
    )


def by_device(observations: Iterable[wire.Observation]) -> dict[str, list[wire.Observation]]:
    """Observations by the name (or uuid) of their device, in order of appearance."""
    found: dict[str, list[wire.Observation]] = {}
    for each in observations:
        found.setdefault(each.place.device or each.place.device_uuid or "", []).append(each)
    return found


def is_agent(observations: Iterable[wire.Observation]) -> bool:
    """Whether the observations are the agent's own. It lists itself as a device since version 1.7."""
    return any(each.place.component == "Agent" for each in observations)


def settled(observations: Sequence[wire.Observation]) -> list[wire.Observation]:
    """The newest of each data item and the conditions that stand, of one document."""
    merged = Merged()
    merged.apply(observations)
    return merged.all()


def from_snapshot(snapshot: wire.Snapshot, facts: Facts, origin: Origin) -> Equipment:
    """What is known of a machine, under its trouble if there is one."""
    found = equipment(
        snapshot.observations,
        facts,
        origin_with(snapshot.trouble, origin),
        device=snapshot.device,
        agent=snapshot.header.version if snapshot.header is not None else None,
        assets=snapshot.assets,
        gap=snapshot.gap,
    )
    return with_trouble(found, snapshot.trouble)
