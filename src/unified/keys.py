"""Canonical keys: the same thing under different spellings becomes the same text.

Rules are per subject, because what is noise in one is meaning in another. The vendor's own rules (leading
zeros) come first: `spelling` says what a system does.
"""

import re
from collections.abc import Callable
from enum import Enum

_NOISE = re.compile(r"[\s\-_./]+")
_FLEET = re.compile(r"^([A-Z]+)0*(\d+)$")


class Subject(Enum):
    """What a key names. Several kinds of record may share one (a vehicle's plate names vehicle and unit)."""

    ITEM = "ITEM"
    VEHICLE = "VEHICLE"
    ORDER = "ORDER"
    EQUIPMENT = "EQUIPMENT"


def item_key(number: str) -> str:
    """Part numbers: case, blanks, dashes, dots, slashes and leading zeros carry no meaning."""
    bare = _NOISE.sub("", number).upper()
    return bare.lstrip("0") or bare


def vehicle_key(number: str) -> str:
    """Plates and fleet numbers: case, blanks and dashes carry no meaning; `TRK 07`, `TRK-007` are equal."""
    bare = _NOISE.sub("", number).upper()
    fleet = _FLEET.match(bare)
    return f"{fleet[1]}{fleet[2]}" if fleet else bare


def order_key(number: str) -> str:
    """Order numbers: blanks and leading zeros carry no meaning."""
    bare = _NOISE.sub("", number).upper()
    return bare.lstrip("0") or bare


def equipment_key(number: str) -> str:
    """Names, fleet and serial numbers of machines: as with vehicles."""
    return vehicle_key(number)


NORMALISERS: dict[Subject, Callable[[str], str]] = {
    Subject.ITEM: item_key,
    Subject.VEHICLE: vehicle_key,
    Subject.ORDER: order_key,
    Subject.EQUIPMENT: equipment_key,
}


def canonical(subject: Subject, number: str) -> str:
    """The key under which all systems' spellings of `number` meet. Empty for an empty number."""
    return NORMALISERS[subject](number)
