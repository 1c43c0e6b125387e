"""OPC UA's values as readings, and the snapshot of a machine. Needs no OPC UA library."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from connectors.equipment import points
from connectors.equipment.driver import Trouble, origin_with, with_trouble
from connectors.equipment.facts import Facts
from connectors.equipment.opcua.settings import NodePoint
from connectors.equipment.points import Point, Taken
from connectors.kit.integration import Origin
from unified.records import Equipment, EquipmentState, ReadingQuality

ITEM_STATE: Final = "MachineryItemState"
OPERATION_MODE: Final = "MachineryOperationMode"
PACKML: Final = "PackML"

STATE_POINTS: Final[Sequence[Point]] = (
    Point(name=ITEM_STATE, role="state", states="machinery"),
    # OPC 40001-1: 0 None, 1 Maintenance, 2 Setup, 3 Processing; only the first says more than the item state does
    Point(name=OPERATION_MODE, role="state", states={"1": EquipmentState.MAINTENANCE}),
    Point(name=PACKML, role="state", states="packml"),
)
"""The standard state machines, by StateNumber."""

UNECE: Final[Mapping[str, str]] = {
    "2N": "dB",
    "2X": "m/min",
    "4K": "mA",
    "A97": "hPa",
    "AMP": "A",
    "BAR": "bar",
    "C26": "ms",
    "C45": "nm",
    "CEL": "Cel",
    "CMT": "cm",
    "D41": "t/m3",
    "DD": "deg",
    "E34": "GB",
    "FAH": "[degF]",
    "GRM": "g",
    "HTZ": "Hz",
    "HUR": "h",
    "JOU": "J",
    "KEL": "K",
    "KGM": "kg",
    "KPA": "kPa",
    "KVA": "kV.A",
    "KWH": "kW.h",
    "KWT": "kW",
    "L2": "L/min",
    "LTR": "L",
    "MBR": "mbar",
    "MHZ": "MHz",
    "MIN": "min",
    "MMK": "mm2",
    "MMQ": "mm3",
    "MMT": "mm",
    "MPA": "MPa",
    "MQH": "m3/h",
    "MTK": "m2",
    "MTQ": "m3",
    "MTR": "m",
    "MTS": "m/s",
    "NEW": "N",
    "NU": "N.m",
    "OHM": "Ohm",
    "P1": "%",
    "PAL": "Pa",
    "RPM": "{rev}/min",
    "SEC": "s",
    "TNE": "t",
    "VLT": "V",
    "WHR": "W.h",
    "WTT": "W",
    "C16": "mm/s",
    "C62": "1",
    "KMH": "km/h",
}
"""Codes of UN/ECE Recommendation 20, which EUInformation.UnitId holds, as UCUM codes."""


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="opcua-snapshot"):
    """The values of one machine: those of its node map by their names, those that were found by browsing (`units`
    has their names), the standard state machines. `map` is the node map's name in the settings."""

    map: str = ""
    identity: points.Identity | None = None
    status: str | None = None
    """The state machines' own texts."""
    units: dict[str, str | None] = {}
    values: dict[str, Taken] = {}
    trouble: Trouble | None = None


def unece(unit_id: int) -> str | None:
    """The common code in EUInformation.UnitId: its characters as bytes of the number (OPC 10000-8, 5.6.3)."""
    if not 0 < unit_id < 1 << 32:
        return None
    text = unit_id.to_bytes(4, "big").lstrip(b"\0").decode("latin-1")
    return text if text.isalnum() else None


def quality(status: int) -> ReadingQuality:
    """The top two bits of a StatusCode."""
    return (ReadingQuality.GOOD, ReadingQuality.UNCERTAIN, ReadingQuality.BAD, ReadingQuality.BAD)[status >> 30 & 3]


def record(snapshot: Snapshot, nodes: Sequence[NodePoint], facts: Facts, origin: Origin) -> Equipment:
    """The record of a snapshot, whatever its trouble."""
    named = {each.name for each in nodes}
    standard = [each for each in STATE_POINTS if each.name in snapshot.values and each.name not in named]
    reserved = named | {each.name for each in standard}
    found = [Point(name=name, unit=unit) for name, unit in snapshot.units.items() if name not in reserved]
    known = reserved | set(snapshot.units)
    others = [Point(name=name) for name in snapshot.values if name not in known]  # a node map we do not know
    made = points.equipment(
        [*nodes, *standard, *found, *others], snapshot.values, facts, origin, identity=snapshot.identity
    )
    if snapshot.status is None:
        return made
    return msgspec.structs.replace(made, source=msgspec.structs.replace(made.source, vendor_status=snapshot.status))


def equipment(snapshot: Snapshot, nodes: Sequence[NodePoint], facts: Facts, origin: Origin) -> Equipment:
    """The record of a snapshot, under its trouble."""
    return with_trouble(record(snapshot, nodes, facts, origin_with(snapshot.trouble, origin)), snapshot.trouble)
