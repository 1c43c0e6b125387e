"""Machines, what they work on, and what they have done."""

from datetime import datetime
from enum import Enum
from typing import ClassVar

from unified.records.base import Kind, Record
from unified.values import Position, Value


class EquipmentState(Enum):
    IDLE = "IDLE"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    ERROR = "ERROR"
    MAINTENANCE = "MAINTENANCE"
    OFFLINE = "OFFLINE"
    UNKNOWN = "UNKNOWN"


class EquipmentType(Enum):
    CNC_MILL = "CNC_MILL"
    CNC_LATHE = "CNC_LATHE"
    PRINTER_3D = "PRINTER_3D"
    LASER_CUTTER = "LASER_CUTTER"
    SENSOR = "SENSOR"
    PLC = "PLC"
    ROBOT_ARM = "ROBOT_ARM"
    CMM = "CMM"
    HAUL_TRUCK = "HAUL_TRUCK"
    LOADING_UNIT = "LOADING_UNIT"
    MOBILE_MACHINE = "MOBILE_MACHINE"
    OTHER = "OTHER"


class ReadingQuality(Enum):
    GOOD = "GOOD"
    UNCERTAIN = "UNCERTAIN"
    BAD = "BAD"


class SensorReading(Value, frozen=True, kw_only=True):
    """One value of one sensor. `value` is null where the sensor is absent or gives none."""

    sensor: str
    value: float | None = None
    target: float | None = None
    unit: str | None = None
    """UCUM code (`Cel`, `%`)."""
    recorded_at: datetime | None = None
    text: str | None = None
    """The value where it is no number (`ACTIVE`, `1.5 2.0 0.0`)."""
    quality: ReadingQuality | None = None
    """Null where the machine does not judge its values."""


class Job(Value, frozen=True, kw_only=True):
    """What a machine works on. `progress` is 0..1, null when there is none."""

    name: str
    progress: float | None = None
    elapsed_seconds: float | None = None
    remaining_seconds: float | None = None
    item_number: str | None = None
    """The item that the job makes, where its name tells (see the connector's settings)."""
    integration: str = ""


class FaultSeverity(Enum):
    CRITICAL = "CRITICAL"
    WARNING = "WARNING"
    INFO = "INFO"
    UNKNOWN = "UNKNOWN"


class EquipmentFault(Value, frozen=True, kw_only=True):
    """A fault or condition that a machine reports now."""

    code: str | None = None
    """The machine's own code, text."""
    description: str | None = None
    severity: FaultSeverity
    component: str | None = None
    """Which part or control unit reports it."""
    occurred_at: datetime | None = None


class Metered(Value, frozen=True, kw_only=True):
    """A reading of one meter and when that meter was read: a machine's meters are read at different times."""

    value: float
    recorded_at: datetime | None = None


class MachineMeters(Value, frozen=True, kw_only=True):
    """Meters of a mobile machine (ISO 15143-3). Counters only grow; a fall means that the box was replaced."""

    engine_hours: Metered | None = None
    idle_hours: Metered | None = None
    fuel_used_litres: Metered | None = None
    fuel_percent: Metered | None = None
    def_percent: Metered | None = None
    """Diesel exhaust fluid in its tank."""
    odometer_km: Metered | None = None
    load_count: Metered | None = None
    payload_total_kg: Metered | None = None


class EquipmentAsset(Value, frozen=True, kw_only=True):
    """A thing that a machine carries and reports on (a cutting tool, a fixture), by the machine's id of it."""

    asset_id: str
    asset_type: str
    """The vendor's word (`CuttingTool`)."""
    serial_number: str | None = None
    updated_at: datetime | None = None
    details: dict[str, str] = {}


class Equipment(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.EQUIPMENT

    name: str
    equipment_type: EquipmentType
    state: EquipmentState
    model: str | None = None
    software: str | None = None
    error_message: str | None = None
    manufacturer: str | None = None
    serial_number: str | None = None
    fleet_number: str | None = None
    """The operator's own number of a mobile machine."""
    operation: str | None = None
    """What it does just now, in its own words (program and line)."""
    position: Position | None = None
    """Where a mobile machine was; null for one that stands."""
    meters: MachineMeters | None = None
    faults: tuple[EquipmentFault, ...] = ()
    assets: tuple[EquipmentAsset, ...] = ()
    job: Job | None = None
    sensors: tuple[SensorReading, ...] = ()
