"""Machines, their jobs and sensors."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from graph.fields import accepts, by_id, joined, joined_many, plain, priced
from graph.types.base import Sourced
from graph.types.values import NamedText, Position, named_texts
from resolvers.loaders import Number
from unified import records
from unified.records import Kind

if TYPE_CHECKING:
    from graph.types.items import Item
    from graph.types.production import EquipmentDelay, HaulCycle, MaintenanceAlert, ProductionRecord


def _place(machine: records.Equipment) -> Number:
    return Number(machine.source.integration, machine.source.external_id)


def _name(machine: records.Equipment) -> Number:
    return Number(machine.source.integration, machine.fleet_number or machine.name)


@strawberry.federation.type(description="One value of one sensor.", shareable=True)
class SensorReading:
    sensor: str = plain("Name of the sensor (`tool0`, `bed`).")
    value: float | None = plain("Its value; null where the sensor is absent or gives none.")
    target: float | None = plain("The value that it is driven to; null where there is none.")
    unit: str | None = plain("UCUM code (`Cel` for degrees Celsius).")
    recorded_at: datetime | None = plain("When it was measured; null where the machine does not say.")
    text: str | None = plain("Its value where that is no number.")
    quality: records.ReadingQuality | None = plain("How good the value is; null where the machine does not judge.")

    is_type_of = accepts(records.SensorReading)


@strawberry.federation.type(description="What a machine works on.", shareable=True)
class Job:
    name: str = plain("Name of the job, mostly that of its file.")
    progress: float | None = plain("0 to 1; null when unknown.")
    elapsed_seconds: float | None = plain("Since it was begun.")
    remaining_seconds: float | None = plain("The machine's own estimate.")
    item_number: str | None = plain("The item that it makes, where the job's name tells.")
    item: Annotated["Item", strawberry.lazy("graph.types.items")] | None = joined(
        "items",
        lambda job: Number(job.integration, job.item_number) if job.item_number else None,
        "The item that it makes, in the system that is master for items.",
    )

    is_type_of = accepts(records.Job)


@strawberry.federation.type(description="A fault or condition that a machine reports now.", shareable=True)
class EquipmentFault:
    code: str | None = plain("The machine's own code.")
    description: str | None = plain("What is wrong, in the machine's words.")
    severity: records.FaultSeverity = plain("How bad it is.")
    component: str | None = plain("Which part or control unit reports it.")
    occurred_at: datetime | None = plain("Since when; null where the machine does not say.")


@strawberry.federation.type(description="A reading of one meter and when that meter was read.", shareable=True)
class Metered:
    value: float = plain("The reading; the field's name has the unit.")
    recorded_at: datetime | None = plain("When this meter was read; a machine's meters are read at different times.")


@strawberry.federation.type(description="Meters of a mobile machine (ISO 15143-3).", shareable=True)
class MachineMeters:
    engine_hours: Metered | None = plain("Hours with the engine on, in its life.")
    idle_hours: Metered | None = plain("Hours with the engine idling, in its life.")
    fuel_used_litres: Metered | None = plain("Fuel burnt in its life, litres.")
    fuel_percent: Metered | None = plain("Fuel in the tank, percent.")
    def_percent: Metered | None = plain("Diesel exhaust fluid in its tank, percent.")
    odometer_km: Metered | None = plain("Distance driven in its life, kilometres.")
    load_count: Metered | None = plain("Loads in its life.")
    payload_total_kg: Metered | None = plain("Payload of all loads in its life, kilograms.")


@strawberry.federation.type(description="A thing that a machine carries and reports on.", shareable=True)
class EquipmentAsset:
    asset_id: str = plain("The machine's id of it.")
    asset_type: str = plain("What it is, in the vendor's words (`CuttingTool`).")
    serial_number: str | None = plain("What its maker stamped on it.")
    updated_at: datetime | None = plain("When the machine last reported on it.")
    details: list[NamedText] = strawberry.field(
        resolver=named_texts("details"), description="What else the machine tells of it.", directives=priced(size=10)
    )


@strawberry.federation.type(keys=["id"], description="A machine.")
class Equipment(Sourced):
    name: str = plain("What people in the shop call it.")
    equipment_type: records.EquipmentType = plain("What kind of machine it is.", name="type")
    state: records.EquipmentState = plain("What it does now.")
    model: str | None = plain("Make and model.")
    software: str | None = plain("What controls it, with version.")
    error_message: str | None = plain("Why it is in error or offline; null otherwise.")
    manufacturer: str | None = plain("Who made it.")
    serial_number: str | None = plain("Its serial number, or the PIN of a mobile machine.")
    fleet_number: str | None = plain("The operator's own number of a mobile machine.")
    operation: str | None = plain("What it does just now, in its own words (program and line).")
    position: Position | None = plain("Where a mobile machine was; null for one that stands.")
    meters: MachineMeters | None = plain("Meters of a mobile machine.")
    faults: list[EquipmentFault] = plain("Faults and conditions that are active now.", size=5)
    assets: list[EquipmentAsset] = plain("Tools and other things that it reports on.", size=10)
    job: Job | None = plain("What it works on; null when it has none.")
    sensors: list[SensorReading] = plain("Its sensors and their last values.", size=20)
    maintenance_alerts: list[Annotated["MaintenanceAlert", strawberry.lazy("graph.types.production")]] | None = (
        joined_many(
            "alerts_of_equipment",
            _place,
            "What it reported for maintenance in the last 14 days, newest first.",
            size=20,
        )
    )
    production: list[Annotated["ProductionRecord", strawberry.lazy("graph.types.production")]] | None = joined_many(
        "production_of_equipment",
        _place,
        "What it did in each of the last days, newest first; how many days is a setting of the integration.",
        size=7,
    )
    haul_cycles: list[Annotated["HaulCycle", strawberry.lazy("graph.types.production")]] | None = joined_many(
        "cycles_of_equipment", _name, "Its last haul cycles as a truck, newest first, at most 100.", size=100
    )
    delays: list[Annotated["EquipmentDelay", strawberry.lazy("graph.types.production")]] | None = joined_many(
        "delays_of_equipment", _name, "Its last delays, newest first, at most 100.", size=100
    )

    is_type_of = accepts(records.Equipment)
    resolve_reference = by_id(Kind.EQUIPMENT)
