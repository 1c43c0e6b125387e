"""What is made and moved: work orders, haul cycles, production, maintenance alerts, delays."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import ClassVar

from unified.records.base import Kind, Record
from unified.records.equipment import FaultSeverity
from unified.values import Quantity, Value


class WorkOrderStatus(Enum):
    CREATED = "CREATED"
    PENDING = "PENDING"
    RELEASED = "RELEASED"
    ON_HOLD = "ON_HOLD"
    COMPLETED = "COMPLETED"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"


class WorkOrderOperation(Value, frozen=True, kw_only=True):
    """One step of a work order. Quantities are in the work order's unit; a vendor's null counts as 0.

    `ready` is what may be reported now: a report must never exceed it.
    """

    sequence: str
    name: str | None = None
    work_center: str | None = None
    ready: Decimal = Decimal(0)
    completed: Decimal = Decimal(0)
    scrapped: Decimal = Decimal(0)
    rejected: Decimal = Decimal(0)
    planned_start_at: datetime | None = None
    planned_completion_at: datetime | None = None


class WorkOrderMaterial(Value, frozen=True, kw_only=True):
    """An item that a work order consumes at an operation."""

    item_number: str
    description: str | None = None
    operation_sequence: str | None = None
    required: Quantity
    issued: Quantity | None = None
    supply_type: str | None = None
    """The vendor's word for how it gets to the line (`Push`, `Pull`)."""
    integration: str = ""


class WorkOrder(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.WORK_ORDER

    number: str
    status: WorkOrderStatus
    organization: str | None = None
    """Code of the plant."""
    item_number: str | None = None
    description: str | None = None
    planned: Quantity | None = None
    completed: Quantity | None = None
    scrapped: Quantity | None = None
    planned_start_at: datetime | None = None
    planned_completion_at: datetime | None = None
    released_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    operations: tuple[WorkOrderOperation, ...] = ()
    materials: tuple[WorkOrderMaterial, ...] = ()


class HaulCycle(Record, frozen=True, kw_only=True):
    """One load from a source to a destination, as the truck's cycle tells it. Durations are seconds."""

    kind: ClassVar[Kind] = Kind.HAUL_CYCLE

    truck: str
    """Name of the truck, as this system spells it."""
    loading_unit: str | None = None
    source_location: str | None = None
    destination_location: str | None = None
    material: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    payload_kg: Decimal | None = None
    queuing_seconds: float | None = None
    loading_seconds: float | None = None
    travelling_seconds: float | None = None
    dumping_seconds: float | None = None
    fuel_used_litres: float | None = None


class ProductionRecord(Record, frozen=True, kw_only=True):
    """What one machine did in a span of time: differences of its counters."""

    kind: ClassVar[Kind] = Kind.PRODUCTION_RECORD

    equipment_external_id: str
    started_at: datetime
    ended_at: datetime
    loads: int | None = None
    payload_kg: Decimal | None = None
    operating_hours: float | None = None
    idle_hours: float | None = None
    fuel_used_litres: float | None = None


class MaintenanceAlert(Record, frozen=True, kw_only=True):
    """Something that a machine reported which maintenance should look at."""

    kind: ClassVar[Kind] = Kind.MAINTENANCE_ALERT

    equipment_external_id: str
    code: str | None = None
    description: str | None = None
    severity: FaultSeverity
    component: str | None = None
    occurred_at: datetime


class EquipmentDelay(Record, frozen=True, kw_only=True):
    """A span of time in which a machine did not work, and why."""

    kind: ClassVar[Kind] = Kind.EQUIPMENT_DELAY

    equipment: str
    """Name of the machine, as this system spells it."""
    category: str | None = None
    reason: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    engine_stopped: bool | None = None
