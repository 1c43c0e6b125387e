"""The same thing in other systems: by which number an object is known there."""

from typing import Any

from resolvers.loaders import Same
from unified import records
from unified.keys import Subject
from unified.records import Record


def same_key(record: Any) -> Same | None:
    """What the loader of `sameAs` is asked by; null for a kind that does not join, and without a number."""
    named = _name(record)
    return None if named is None else Same(record.source.integration, named[1], named[0], record.id)


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
