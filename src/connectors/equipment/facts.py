"""What the settings know of a machine and its protocol does not tell; how a job's name names the item it makes."""

from typing import Final

import msgspec

from connectors.kit.patterns import NamePattern
from unified.records import EquipmentType

DEFAULT_ITEM_PATTERN: Final = r"(?:^|_)(?P<item>(?=[A-Za-z-]*\d)[A-Za-z0-9]+-[A-Za-z0-9-]+)(?=[_.])"
"""A part between underscores that holds a dash and a digit: `PRT-10042` in `bracket_PRT-10042_r2.gcode`."""


class ItemPattern:
    """Finds the item number in a job's name. Raises `ValueError` with what is wrong with the pattern."""

    __slots__ = ("_pattern",)

    def __init__(self, text: str = DEFAULT_ITEM_PATTERN) -> None:
        self._pattern = NamePattern(text, setting="item_pattern", groups=("item",))
        if self._pattern.find("", "item") is not None:
            raise ValueError("item_pattern finds an item number in an empty name; it must need some characters")

    def find(self, name: str) -> str | None:
        """The item number as the name spells it; null when the name tells none."""
        return self._pattern.find(name, "item") or None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings know of a machine and its protocol does not tell."""

    id: str
    name: str
    equipment_type: EquipmentType = EquipmentType.PRINTER_3D
    model: str | None = None
    items: ItemPattern
