"""Protocols that carry bare values (OPC UA, Modbus): what each value is for, as settings, and the record they make."""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from connectors.equipment.facts import Facts
from connectors.kit import decode
from connectors.kit.integration import Origin
from unified.records import (
    Equipment,
    EquipmentFault,
    EquipmentState,
    FaultSeverity,
    Job,
    ReadingQuality,
    SensorReading,
)

S = EquipmentState

Role = Literal["sensor", "state", "fault", "operation", "job", "progress", "parts", "parts_target"]

MACHINERY: Final = decode.Codes(EquipmentState, {"0": S.OFFLINE, "1": S.MAINTENANCE, "2": S.IDLE, "3": S.RUNNING})
"""`MachineryItemState` of OPC 40001-1, by StateNumber: NotAvailable, OutOfService, NotExecuting, Executing."""

PACKML: Final = decode.Codes(
    EquipmentState,
    {
        "1": S.IDLE,  # Clearing
        "2": S.IDLE,  # Stopped
        "3": S.RUNNING,  # Starting
        "4": S.IDLE,  # Idle
        "5": S.PAUSED,  # Suspended
        "6": S.RUNNING,  # Execute
        "7": S.RUNNING,  # Stopping
        "8": S.ERROR,  # Aborting
        "9": S.ERROR,  # Aborted
        "10": S.PAUSED,  # Holding
        "11": S.PAUSED,  # Held
        "12": S.RUNNING,  # Unholding
        "13": S.PAUSED,  # Suspending
        "14": S.RUNNING,  # Unsuspending
        "15": S.IDLE,  # Resetting
        "16": S.RUNNING,  # Completing
        "17": S.IDLE,  # Complete
    },
)
"""PackML's StateCurrent (ISA-TR88.00.02)."""

TABLES: Final[Mapping[str, decode.Codes[EquipmentState]]] = {"machinery": MACHINERY, "packml": PACKML}

_ORDER: Final = (S.OFFLINE, S.ERROR, S.MAINTENANCE, S.PAUSED, S.RUNNING, S.IDLE)
"""Of several states that a machine tells, the first of these counts."""
_TEXT_MOST: Final = 500


class Point(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One value of a machine and what it is for."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    """Name of the sensor; of a fault, its code."""
    role: Role = "sensor"
    """`sensor`: a reading. `state`: what the machine does, by `states`. `fault`: active while it is not zero, false
    or empty. `operation`, `job`: texts. `progress`: 0 to 1 (see `scale`). `parts`, `parts_target`: a count and how
    many are wanted; they give the progress where nothing else does."""
    unit: Annotated[str, Meta(max_length=40)] | None = None
    """UCUM code (`Cel`, `mm/s`, `%`)."""
    states: dict[str, EquipmentState] | Literal["machinery", "packml"] | None = None
    """Of role `state`: raw value → state, or the name of a standard table."""
    texts: Annotated[dict[str, str], Meta(max_length=1_000)] = {}
    """Of role `fault`: raw value → description."""
    severity: FaultSeverity = FaultSeverity.CRITICAL
    """Of role `fault`. A critical one puts the machine in ERROR."""
    component: Annotated[str, Meta(max_length=100)] | None = None
    """Of role `fault`: the part that reports it."""

    def __post_init__(self) -> None:
        if (self.role == "state") != (self.states is not None):
            raise ValueError(
                f"point {self.name!r}: role `state` needs `states` (raw value → IDLE, RUNNING, …), others take none"
            )
        if self.texts and self.role != "fault":
            raise ValueError(f"point {self.name!r}: `texts` belong to role `fault`")


class Taken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A value as a machine gave it. `at`: the machine's own time, ISO 8601."""

    value: float | bool | str | None = None
    quality: ReadingQuality | None = None
    at: str | None = None


def check_names(points: Sequence[Point], of: str) -> None:
    """Raises `ValueError` when two points have the same name."""
    seen: set[str] = set()
    for each in points:
        if each.name in seen:
            raise ValueError(f"{of}: two points are called {each.name!r}")
        seen.add(each.name)


def key_of(value: float | bool | str | None) -> str | None:
    """The value as tables of states and texts spell it: `3`, `true`, `Held`."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
    return str(value)


def state_of(point: Point, taken: Taken) -> EquipmentState | None:
    """The state that a value tells; UNKNOWN for a value that its table does not have, null for no value."""
    key = key_of(taken.value)
    if key is None or taken.quality is ReadingQuality.BAD:
        return None
    if isinstance(point.states, str):
        return TABLES[point.states][key]
    table = point.states or {}
    also = {"true": "1", "false": "0"}.get(key, key)
    return table.get(key) or table.get(also) or S.UNKNOWN


def first_of(states: Iterable[EquipmentState | None]) -> EquipmentState:
    """Of several states the one that counts; UNKNOWN when there is none."""
    told = set(states)
    return next((each for each in _ORDER if each in told), S.UNKNOWN)


def number_of(value: float | bool | str | None) -> float | None:
    """The value as a finite number, else null."""
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def shortest(raw: float) -> float:
    """The shortest decimal that is the same 32-bit float: 404.17, not 404.1700134277344."""
    for digits in range(6, 10):
        found = float(f"{raw:.{digits}g}")
        if struct.pack(">f", found) == struct.pack(">f", raw):
            return found
    return raw


def reading(name: str, unit: str | None, taken: Taken, path: str = "$") -> SensorReading:
    """One value as a sensor reading: a number, or a text. A bad value is null."""
    bad = taken.quality is ReadingQuality.BAD
    number = None if bad else number_of(taken.value)
    text = None
    if not bad and isinstance(taken.value, bool):
        text = key_of(taken.value)
    elif not bad and isinstance(taken.value, str):
        text = decode.none(taken.value[:_TEXT_MOST])
    return SensorReading(
        sensor=name,
        value=number,
        unit=unit,
        text=text,
        quality=taken.quality,
        recorded_at=decode.moment(taken.at, path=path),
    )


def fault_of(point: Point, taken: Taken) -> EquipmentFault | None:
    """The fault that a value tells; null while there is none."""
    key = key_of(taken.value)
    if taken.quality is ReadingQuality.BAD or not taken.value or key is None:
        return None
    told = point.texts.get(key)
    return EquipmentFault(
        code=point.name if isinstance(taken.value, bool) else key,
        description=told or (taken.value if isinstance(taken.value, str) else point.name),
        severity=point.severity,
        component=point.component,
        occurred_at=decode.moment(taken.at),
    )


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a machine says of itself."""

    manufacturer: str | None = None
    model: str | None = None
    serial_number: str | None = None
    software: str | None = None


def equipment(
    points: Sequence[Point],
    values: Mapping[str, Taken],
    facts: Facts,
    origin: Origin,
    *,
    identity: Identity | None = None,
) -> Equipment:
    """The record of a machine from its values by the points' names. Points without a value are absent sensors."""
    identity = identity or Identity()
    states: list[EquipmentState | None] = []
    statuses: list[str] = []
    faults: list[EquipmentFault] = []
    sensors: list[SensorReading] = []
    texts: dict[str, str] = {}
    numbers: dict[str, float] = {}
    newest: datetime | None = None
    for point in points:
        taken = values.get(point.name)
        if taken is None:
            continue
        at = decode.moment(taken.at)
        newest = at if newest is None or (at is not None and at > newest) else newest
        match point.role:
            case "sensor":
                sensors.append(reading(point.name, point.unit, taken))
            case "state":
                states.append(state_of(point, taken))
                key = key_of(taken.value)
                if key is not None:
                    statuses.append(key)
            case "fault":
                fault = fault_of(point, taken)
                if fault is not None:
                    faults.append(fault)
            case "operation" | "job":
                text = decode.none(key_of(taken.value))
                if text is not None:
                    texts[point.role] = text[:_TEXT_MOST]
            case "progress" | "parts" | "parts_target":
                number = number_of(taken.value)
                if number is not None:
                    numbers[point.role] = number
    worst = [each for each in faults if each.severity is FaultSeverity.CRITICAL]
    if worst:
        states.append(S.ERROR)
    return Equipment(
        source=origin.source(facts.id, "; ".join(statuses) or None),
        updated_at=newest,
        name=facts.name,
        equipment_type=facts.equipment_type,
        state=first_of(states),
        model=facts.model or identity.model,
        manufacturer=identity.manufacturer,
        serial_number=identity.serial_number,
        software=identity.software,
        error_message=worst[0].description if worst else None,
        operation=texts.get("operation"),
        faults=tuple(faults),
        job=_job(texts.get("job"), numbers, facts, origin),
        sensors=tuple(sensors),
    )


def _job(name: str | None, numbers: Mapping[str, float], facts: Facts, origin: Origin) -> Job | None:
    if name is None:
        return None
    progress = numbers.get("progress")
    if progress is None:
        progress = part_of(numbers.get("parts"), numbers.get("parts_target"))
    return Job(
        name=name,
        progress=None if progress is None else min(1.0, max(0.0, progress)),
        item_number=facts.items.find(name),
        integration=origin.integration,
    )


def part_of(done: float | None, wanted: float | None) -> float | None:
    """How far a count is, 0 to 1; null where nothing is wanted or counted."""
    if done is None or wanted is None or wanted <= 0:
        return None
    return min(1.0, max(0.0, done / wanted))
