"""The same thing in other systems: by which numbers an object is known there."""

from typing import Any

from resolvers.loaders import Same
from unified import records
from unified.keys import Subject
from unified.records import Record


def same_key(record: Any) -> Same | None:
    """What the loader of `sameAs` is asked by; null for a kind that does not join, and without a number."""
    numbers = tuple((subject, number) for subject, number in _numbers(record) if number)
    return Same(record.source.integration, numbers, record.id) if numbers else None


def _numbers(record: Record) -> tuple[tuple[Subject, str | None], ...]:
    """By which number the record is known elsewhere, as a thing of each subject.

    A mobile machine is known under its fleet number both to its maker and, as a vehicle, to who tracks it.
    """
    match record:
        case records.Item():
            return ((Subject.ITEM, record.number),)
        case records.Vehicle():
            return ((Subject.VEHICLE, record.plate or record.fleet_number),)
        case records.Unit():
            return ((Subject.VEHICLE, record.callsign),)
        case records.Equipment():
            return (
                (Subject.EQUIPMENT, record.fleet_number or record.serial_number),
                (Subject.VEHICLE, record.fleet_number),
            )
        case _:
            return ()
