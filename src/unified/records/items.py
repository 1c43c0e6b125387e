"""Items and bills of material."""

from decimal import Decimal
from enum import Enum
from typing import ClassVar

from unified.records.base import Kind, Record
from unified.values import Value


class ItemType(Enum):
    COMPONENT = "COMPONENT"
    ASSEMBLY = "ASSEMBLY"
    RAW_MATERIAL = "RAW_MATERIAL"
    TOOLING = "TOOLING"
    EQUIPMENT = "EQUIPMENT"
    MODEL = "MODEL"


class Item(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.ITEM

    number: str
    """Part number as its own system spells it."""
    name: str
    description: str | None = None
    item_type: ItemType
    unit: str | None = None
    """Unit of measure as the system displays it ('each' where it has none)."""
    revision: str | None = None
    """The newest revision."""
    released: bool | None = None
    lifecycle: str | None = None
    """Phase of life, in the vendor's words (`Production`)."""
    net_mass_kg: Decimal | None = None
    gross_mass_kg: Decimal | None = None
    release_statuses: tuple[str, ...] = ()


class BomLine(Value, frozen=True, kw_only=True):
    """One occurrence in a structure. `position` is its index in `Bom.lines`, `parent` the position of its
    parent (null directly under the top), `level` 1 directly under the top."""

    position: int
    parent: int | None = None
    level: int
    external_id: str
    find_number: str | None = None
    item_number: str
    item_revision: str | None = None
    name: str | None = None
    quantity: Decimal
    """Per one of the parent. A vendor's empty quantity is 1."""
    total_quantity: Decimal
    """Per one of the top: the product of the quantities along the way up."""
    unit: str | None = None
    has_children: bool = False
    integration: str = ""


class Bom(Record, frozen=True, kw_only=True):
    """A structure, exploded under one view and one revision rule. Lines are depth first, by find number."""

    kind: ClassVar[Kind] = Kind.BOM

    item_number: str
    revision: str | None = None
    view: str | None = None
    revision_rule: str | None = None
    lines: tuple[BomLine, ...] = ()
    truncated: bool = False
    """True when `max_levels` cut the structure."""


class WhereUsed(Value, frozen=True, kw_only=True):
    """A parent that uses an item directly, at `level` steps up (1 = direct)."""

    item_number: str
    revision: str | None = None
    name: str | None = None
    level: int
    external_id: str
    integration: str = ""
