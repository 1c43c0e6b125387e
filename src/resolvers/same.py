"""The same thing in other systems."""

from typing import Any

from resolvers.context import Context
from unified import records
from unified.keys import Subject
from unified.records import Record


async def same_as(context: Context, record: Any) -> list[Record]:
    """What the crosswalk knows to be the same as `record`, from the other sources."""
    named = _name(record)
    if named is None:
        return []
    subject, number = named
    found: list[Record] = await context.loaders.same_as.load(
        (record.id, record.kind, subject, record.source.integration, number)
    )
    return found


def _name(record: Record) -> tuple[Subject, str] | None:
    """By which number the record is known elsewhere."""
    match record:
        case records.Item():
            return Subject.ITEM, record.number
        case records.Vehicle():
            number = record.plate or record.fleet_number
        case records.Unit():
            number = record.callsign
        case records.Equipment():
            name = record.fleet_number or record.serial_number
            return (Subject.EQUIPMENT, name) if name else None
        case _:
            return None
    return (Subject.VEHICLE, number) if number else None
