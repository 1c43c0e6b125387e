"""Work orders, and what mobile machines did: cycles, production, alerts, delays."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from graph.fields import accepts, by_id, joined, joined_many, plain
from graph.types.base import Sourced
from graph.types.values import Quantity
from resolvers.loaders import Number
from unified import records
from unified.ids import GlobalId
from unified.records import Kind

if TYPE_CHECKING:
    from graph.types.equipment import Equipment
    from graph.types.items import Item


def _machine(record: Any) -> GlobalId:
    return GlobalId(Kind.EQUIPMENT.value, record.source.integration, record.equipment_external_id)


@strawberry.federation.type(description="One step of a work order.", shareable=True)
class WorkOrderOperation:
    sequence: str = plain("Its number within the work order.")
    name: str | None = plain("What is done.")
    work_center: str | None = plain("Where it is done.")
    ready: Decimal = plain("What may be reported now, in the work order's unit.")
    completed: Decimal = plain("Good quantity so far, in the work order's unit.")
    scrapped: Decimal = plain("Scrapped so far, in the work order's unit.")
    rejected: Decimal = plain("Rejected so far, in the work order's unit.")
    planned_start_at: datetime | None = plain("When it should begin.")
    planned_completion_at: datetime | None = plain("When it should end.")


@strawberry.federation.type(description="An item that a work order consumes.", shareable=True)
class WorkOrderMaterial:
    item_number: str = plain("Number of the item as the work order's system spells it.")
    description: str | None = plain("Text of the item.")
    operation_sequence: str | None = plain("Operation that consumes it.")
    required: Quantity = plain("What the whole work order needs.")
    issued: Quantity | None = plain("What was issued so far; null where unknown.")
    supply_type: str | None = plain("How it gets to the line, in the vendor's words.")
    item: Annotated["Item", strawberry.lazy("graph.types.items")] | None = joined(
        "items",
        lambda material: Number(material.integration, material.item_number),
        "The item in the system that is master for items.",
    )

    is_type_of = accepts(records.WorkOrderMaterial)


@strawberry.federation.type(keys=["id"], description="An order to make something (ISA-95).")
class WorkOrder(Sourced):
    number: str = plain("The vendor's number, plant prefix included where there is one.")
    status: records.WorkOrderStatus = plain("How far it is.")
    organization: str | None = plain("Code of the plant.")
    item_number: str | None = plain("What it makes, as this system spells it.")
    description: str | None = plain("Text of the work order.")
    planned: Quantity | None = plain("What shall be made.")
    completed: Quantity | None = plain("What was made.")
    scrapped: Quantity | None = plain("What was lost.")
    planned_start_at: datetime | None = plain("When it should begin.")
    planned_completion_at: datetime | None = plain("When it should end.")
    released_at: datetime | None = plain("When it was released to the floor.")
    started_at: datetime | None = plain("When work began.")
    completed_at: datetime | None = plain("When it was completed.")
    operations: list[WorkOrderOperation] = plain("Its steps, by sequence.", size=10)
    materials: list[WorkOrderMaterial] = plain("What it consumes, by operation.", size=20)
    item: Annotated["Item", strawberry.lazy("graph.types.items")] | None = joined(
        "items",
        lambda order: Number(order.source.integration, order.item_number) if order.item_number else None,
        "What it makes, in the system that is master for items.",
    )
    made_on: list[Annotated["Equipment", strawberry.lazy("graph.types.equipment")]] | None = joined_many(
        "equipment_of_item",
        lambda order: Number(order.source.integration, order.item_number) if order.item_number else None,
        "Machines whose present job makes its item.",
        size=3,
        weight=3,
    )

    is_type_of = accepts(records.WorkOrder)
    resolve_reference = by_id(Kind.WORK_ORDER)


@strawberry.federation.type(keys=["id"], description="One load from a source to a destination.")
class HaulCycle(Sourced):
    truck: str = plain("Name of the truck as its system spells it.", name="truckName")
    loading_unit: str | None = plain("Name of the machine that loaded it.", name="loadingUnitName")
    source_location: str | None = plain("Where it was loaded.")
    destination_location: str | None = plain("Where it was dumped.")
    material: str | None = plain("What was hauled.")
    started_at: datetime = plain("When the cycle began.")
    ended_at: datetime | None = plain("When the cycle ended.")
    payload_kg: Decimal | None = plain("What was hauled, kilograms.")
    queuing_seconds: float | None = plain("Time in queues.")
    loading_seconds: float | None = plain("Time under the loading unit.")
    travelling_seconds: float | None = plain("Time on the way.")
    dumping_seconds: float | None = plain("Time at the dump.")
    fuel_used_litres: float | None = plain("Fuel burnt in the cycle, litres.")
    hauled_by: Annotated["Equipment", strawberry.lazy("graph.types.equipment")] | None = joined(
        "equipment_by_number",
        lambda cycle: Number(cycle.source.integration, cycle.truck),
        "The truck as a machine.",
    )
    loaded_by: Annotated["Equipment", strawberry.lazy("graph.types.equipment")] | None = joined(
        "equipment_by_number",
        lambda cycle: Number(cycle.source.integration, cycle.loading_unit) if cycle.loading_unit else None,
        "The loading unit as a machine.",
    )

    is_type_of = accepts(records.HaulCycle)
    resolve_reference = by_id(Kind.HAUL_CYCLE)


@strawberry.federation.type(keys=["id"], description="What one machine did in a span of time.")
class ProductionRecord(Sourced):
    started_at: datetime = plain("When the span began.")
    ended_at: datetime = plain("When the span ended.")
    loads: int | None = plain("How many loads it hauled; null where it does not count them.")
    payload_kg: Decimal | None = plain("Payload of all loads, kilograms.")
    operating_hours: float | None = plain("Hours with the engine on.")
    idle_hours: float | None = plain("Hours with the engine idling.")
    fuel_used_litres: float | None = plain("Fuel burnt, litres.")
    equipment: Annotated["Equipment", strawberry.lazy("graph.types.equipment")] | None = joined(
        "records", _machine, "The machine.", Kind.EQUIPMENT
    )

    is_type_of = accepts(records.ProductionRecord)
    resolve_reference = by_id(Kind.PRODUCTION_RECORD)


@strawberry.federation.type(keys=["id"], description="Something a machine reported that maintenance should look at.")
class MaintenanceAlert(Sourced):
    code: str | None = plain("The machine's own code.")
    description: str | None = plain("What is wrong, in the machine's words.")
    severity: records.FaultSeverity = plain("How bad it is.")
    component: str | None = plain("Which part or control unit reports it.")
    occurred_at: datetime = plain("When it was reported.")
    equipment: Annotated["Equipment", strawberry.lazy("graph.types.equipment")] | None = joined(
        "records", _machine, "The machine.", Kind.EQUIPMENT
    )

    is_type_of = accepts(records.MaintenanceAlert)
    resolve_reference = by_id(Kind.MAINTENANCE_ALERT)


@strawberry.federation.type(keys=["id"], description="A span of time in which a machine did not work, and why.")
class EquipmentDelay(Sourced):
    equipment: str = plain("Name of the machine as its system spells it.", name="equipmentName")
    category: str | None = plain("Category of the delay, in the vendor's words.")
    reason: str | None = plain("Why, in the vendor's words.")
    started_at: datetime = plain("When it began.")
    ended_at: datetime | None = plain("When it ended; null while it lasts.")
    engine_stopped: bool | None = plain("Whether the engine was off.")
    machine: Annotated["Equipment", strawberry.lazy("graph.types.equipment")] | None = joined(
        "equipment_by_number",
        lambda delay: Number(delay.source.integration, delay.equipment),
        "The machine.",
    )

    is_type_of = accepts(records.EquipmentDelay)
    resolve_reference = by_id(Kind.EQUIPMENT_DELAY)
