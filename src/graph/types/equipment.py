"""Machines, their jobs and sensors."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from graph.fields import accepts, by_id, joined, plain
from graph.types.base import Sourced
from resolvers.loaders import Number
from unified import records
from unified.records import Kind

if TYPE_CHECKING:
    from graph.types.items import Item


@strawberry.federation.type(description="One value of one sensor.", shareable=True)
class SensorReading:
    sensor: str = plain("Name of the sensor (`tool0`, `bed`).")
    value: float | None = plain("Its value; null where the sensor is absent or gives none.")
    target: float | None = plain("The value that it is driven to; null where there is none.")
    unit: str | None = plain("UCUM code (`Cel` for degrees Celsius).")
    recorded_at: datetime | None = plain("When it was measured; null where the machine does not say.")

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


@strawberry.federation.type(keys=["id"], description="A machine.")
class Equipment(Sourced):
    name: str = plain("Name.")
    equipment_type: records.EquipmentType = plain("What kind of machine it is.")
    state: records.EquipmentState = plain("What it does now.")
    model: str | None = plain("Make and model.")
    software: str | None = plain("What controls it, with version.")
    error_message: str | None = plain("Why it is in error or offline; null otherwise.")
    job: Job | None = plain("What it works on; null when it has none.")
    sensors: list[SensorReading] = plain("Its sensors and their last values.")

    is_type_of = accepts(records.Equipment)
    resolve_reference = by_id(Kind.EQUIPMENT)
