"""Sites, items and their structures: what is made, of what, and how each vendor writes its number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from sandbox.world.chance import Chance, vendor_uid
from sandbox.world.geo import Point

ObjectType = Literal["Design", "Part", "Assembly", "Product", "Material", "Tool"]
Unit = Literal["EA", "KG", "M", "L"]
View = Literal["engineering", "manufacturing"]

SAP_UNITS: Final[Mapping[str, str]] = {"EA": "ST", "KG": "KG", "M": "M", "L": "L"}
ISO_UNITS: Final[Mapping[str, str]] = {"EA": "PCE", "KG": "KGM", "M": "MTR", "L": "LTR"}


@dataclass(frozen=True, slots=True)
class Site:
    key: str
    name: str
    city: str
    warehouse: str
    """EWM warehouse number."""
    ewm_system: Literal["west", "north"]
    latitude: float
    longitude: float
    altitude_m: float
    plate_prefix: str

    @property
    def point(self) -> Point:
        return self.latitude, self.longitude


SITES: Final = (
    Site("lagos", "Lagos Apapa distribution centre", "Lagos", "1710", "west", 6.4500, 3.3640, 12.0, "KJA"),
    Site("ibadan", "Ibadan assembly plant", "Ibadan", "1720", "west", 7.3775, 3.9470, 210.0, "IBA"),
    Site("abuja", "Abuja field depot", "Abuja", "1730", "north", 9.0765, 7.3986, 480.0, "BWR"),
)


@dataclass(frozen=True, slots=True)
class Revision:
    id: str
    """A letter: A, B, C."""
    uid: str
    item_key: str
    name: str
    released_at: datetime | None
    created_at: datetime
    modified_at: datetime

    @property
    def released(self) -> bool:
        return self.released_at is not None


@dataclass(frozen=True, slots=True)
class Item:
    key: str
    """Canonical part number: upper case, no dashes, no leading zeros."""
    sap_number: str
    teamcenter_number: str
    uid: str
    name: str
    description: str
    object_type: ObjectType
    unit: Unit
    mass_kg: Decimal
    """Of one unit."""
    revisions: tuple[Revision, ...]
    """Oldest first; only the newest may be unreleased."""
    created_at: datetime
    modified_at: datetime
    made: bool
    """Made here (has a structure) rather than bought."""
    consumable: bool

    @property
    def sap_unit(self) -> str:
        """SAP's internal unit: ST, KG, M, L."""
        return SAP_UNITS[self.unit]

    @property
    def iso_unit(self) -> str:
        """UN/ECE code: PCE, KGM, MTR, LTR."""
        return ISO_UNITS[self.unit]

    @property
    def latest(self) -> Revision:
        return self.revisions[-1]

    @property
    def latest_released(self) -> Revision | None:
        return next((one for one in reversed(self.revisions) if one.released), None)


@dataclass(frozen=True, slots=True)
class BomLine:
    uid: str
    """Of the occurrence, 14 characters; the same in both views."""
    parent_key: str
    item_key: str
    find_number: int
    """10, 20, ... in order."""
    quantity: Decimal | None
    """Per parent, in `unit`; None stands for an empty field, which means 1."""
    unit: Unit
    reference: str
    """Reference designators such as `R1-R4`; may be empty."""

    @property
    def amount(self) -> Decimal:
        return Decimal(1) if self.quantity is None else self.quantity


_PRODUCTS: Final = (
    "Field pump", "Mobile generator", "Cold chain box", "Water purifier", "Light tower", "Cargo trailer",
    "Radio mast", "Solar cart", "Drill rig head", "Fuel bowser", "Conveyor drive", "Tracker gateway",
)  # fmt: skip
_ASSEMBLIES: Final = (
    ("Drive unit", "Frame", "Control cabinet", "Cooling pack", "Power pack", "Hydraulic unit"),
    ("Gearbox", "Valve block", "Fan set", "Battery tray", "Manifold", "Lift arm"),
    ("Motor", "Bearing housing", "Filter set", "Relay board", "Coupling", "Actuator"),
    ("Rotor", "Bearing set", "Sensor pod", "Terminal block", "Seal carrier", "Bracket set"),
)
_PARTS: Final = (
    "Bracket", "Hex bolt", "Washer", "Bearing", "Seal ring", "Shaft", "Housing", "Gasket", "Connector",
    "Resistor", "Spring", "Pin", "Bushing", "Gear", "Cover", "Clamp", "Nozzle", "Fuse", "Relay", "Sensor",
)  # fmt: skip
_MATERIALS: Final[tuple[tuple[str, Unit, bool], ...]] = (
    ("Steel sheet", "KG", False), ("Copper wire", "M", False), ("Hydraulic oil", "L", False),
    ("Rubber hose", "M", False), ("Aluminium bar", "KG", False), ("PLA filament", "KG", False),
    ("Threadlocker", "L", True), ("Bearing grease", "KG", True), ("Sealing tape", "M", True),
    ("Degreaser", "L", True),
)  # fmt: skip
_TOOLS: Final = ("Torque wrench", "Bearing press", "Crimping tool", "Alignment jig")

_LAYERS: Final = (24, 48, 48, 40, 30)
"""Products and four layers of assemblies; parts come fifth below the product."""
_PART_COUNT: Final = 190
_MATERIAL_COUNT: Final = 28
_TOOL_COUNT: Final = 12
_LINKED: Final = 12
_STATIC: Final = datetime(2025, 1, 6, 8, 0, tzinfo=UTC)
_DECIMALS: Final = tuple(map(Decimal, ("0.250", "0.500", "1.500", "0.125", "2.750", "12.000")))


@dataclass(frozen=True, slots=True)
class Goods:
    items: tuple[Item, ...]
    products: tuple[Item, ...]
    engineering: Mapping[str, tuple[BomLine, ...]]
    manufacturing: Mapping[str, tuple[BomLine, ...]]
    links: tuple[tuple[str, str], ...]
    """Pairs of SAP and Teamcenter numbers that no normalising makes equal."""


class _Numbers:
    """Hands out part numbers: every second one is all digits, every 35th is different in Teamcenter."""

    def __init__(self) -> None:
        self._given = 0
        self.links: list[tuple[str, str]] = []

    def next(self, prefix: str) -> tuple[str, str, str]:
        """Canonical key, SAP number, Teamcenter number."""
        self._given += 1
        count = self._given
        if count % 35 == 7 and len(self.links) < _LINKED:
            key = str(900_000 + len(self.links) + 1)
            link = key.zfill(18), f"{prefix}-{77_113 + len(self.links) * 7}"
            self.links.append(link)
            return key, *link
        if count % 2:
            digits = str(100_000 + count * 17)
            return digits, digits.zfill(18), f"{digits[:3]}-{digits[3:]}"
        number = 10_000 + count * 13
        return f"{prefix}{number}", f"{prefix}{number}", f"{prefix}-{number}"


def _item(
    numbers: _Numbers,
    prefix: str,
    name: str,
    kind: ObjectType,
    unit: Unit = "EA",
    *,
    made: bool = False,
    consumable: bool = False,
) -> Item:
    key, sap_number, teamcenter_number = numbers.next(prefix)
    chance = Chance(f"item:{key}")
    created = _STATIC + timedelta(minutes=chance.below(150 * 24 * 60))
    revisions: list[Revision] = []
    count = chance.between(1, 3)
    begun = created
    for letter in "ABC"[:count]:
        modified = begun + timedelta(minutes=chance.between(60, 20 * 24 * 60))
        released = letter != "ABC"[count - 1] or chance.happens(0.8)
        revisions.append(
            Revision(
                id=letter,
                uid=vendor_uid(f"revision:{key}:{letter}"),
                item_key=key,
                name=name,
                released_at=modified if released else None,
                created_at=begun,
                modified_at=modified,
            )
        )
        begun = modified + timedelta(minutes=chance.between(60, 60 * 24 * 60))
    mass = {"KG": Decimal("1.000"), "L": Decimal("0.920")}.get(unit)
    scale = {"Product": 90, "Assembly": 8}.get(kind, 1)
    return Item(
        key=key,
        sap_number=sap_number,
        teamcenter_number=teamcenter_number,
        uid=vendor_uid(f"item:{key}"),
        name=name,
        description=f"{name}, {kind.lower()}, {'made' if made else 'bought'}",
        object_type=kind,
        unit=unit,
        mass_kg=mass or (Decimal(chance.between(20, 3000)) * scale / 1000).quantize(Decimal("0.001")),
        revisions=tuple(revisions),
        created_at=created,
        modified_at=revisions[-1].modified_at,
        made=made,
        consumable=consumable,
    )


def _quantity(chance: Chance, item: Item) -> Decimal | None:
    if item.unit != "EA":
        return chance.pick(_DECIMALS)
    if chance.happens(0.12):
        return None
    return Decimal(1) if item.made else Decimal(chance.pick((1, 2, 2, 4, 4, 6, 8)))


def _line(parent: Item, child: Item, place: int) -> BomLine:
    chance = Chance(f"line:{parent.key}:{child.key}")
    quantity = _quantity(chance, child)
    count = int(quantity or 1)
    reference = ""
    if child.unit == "EA" and not child.made and chance.happens(0.3):
        reference = f"{child.name[0]}1" if count == 1 else f"{child.name[0]}1-{child.name[0]}{count}"
    return BomLine(
        uid=vendor_uid(f"line:{parent.key}:{child.key}"),
        parent_key=parent.key,
        item_key=child.key,
        find_number=place * 10,
        quantity=quantity,
        unit=child.unit,
        reference=reference,
    )


def _children(layers: Sequence[Sequence[Item]], bought: Sequence[Item]) -> dict[str, list[Item]]:
    """Two to six children each: one to three assemblies of the next layer (none in the last), then parts."""
    children: dict[str, list[Item]] = {}
    for depth, layer in enumerate(layers):
        below: Sequence[Item] = layers[depth + 1] if depth + 1 < len(layers) else ()
        chosen: list[list[Item]] = [[] for _ in layer]
        # Everyone in the next layer is used somewhere and everyone in this one has a child.
        for index in range(max(len(layer), len(below)) if below else 0):
            chosen[index % len(layer)].append(below[index % len(below)])
        for parent, kids in zip(layer, chosen, strict=True):
            chance = Chance(f"children:{parent.key}")
            if below and len(kids) < 3 and chance.happens(0.25):
                kids.append(chance.pick([one for one in below if one not in kids]))
            room = 6 - len(kids)
            kids.extend(chance.picks(bought, chance.between(max(1, 2 - len(kids)), min(room, 4))))
            children[parent.key] = kids
    return children


def build_goods() -> Goods:
    """Always the same."""
    numbers = _Numbers()
    layers: list[list[Item]] = [
        [
            _item(numbers, "PRD", f"{_PRODUCTS[n % 12]} mark {'II' if n >= 12 else 'I'}", "Product", made=True)
            for n in range(_LAYERS[0])
        ]
    ]
    for depth, count in enumerate(_LAYERS[1:]):
        names = _ASSEMBLIES[depth]
        layer: list[Item] = []
        for n in range(count):
            kind: ObjectType = "Design" if n % 5 == 4 else "Assembly"
            layer.append(_item(numbers, "ASM", f"{names[n % len(names)]} {depth + 1}{n + 1:02d}", kind, made=True))
        layers.append(layer)
    parts = [
        _item(numbers, "PRT", f"{_PARTS[n % len(_PARTS)]} {n // len(_PARTS) + 1:02d}", "Part")
        for n in range(_PART_COUNT)
    ]
    materials: list[Item] = []
    for n in range(_MATERIAL_COUNT):
        name, unit, consumable = _MATERIALS[n % len(_MATERIALS)]
        full = f"{name} grade {n // len(_MATERIALS) + 1}"
        materials.append(_item(numbers, "MAT", full, "Material", unit, consumable=consumable))
    tools = [
        _item(numbers, "TOL", f"{_TOOLS[n % len(_TOOLS)]} {n // len(_TOOLS) + 1}", "Tool") for n in range(_TOOL_COUNT)
    ]
    consumables = [one for one in materials if one.consumable]
    raw = [one for one in materials if not one.consumable]
    everything = [*(one for layer in layers for one in layer), *parts, *materials, *tools]
    by_key = {one.key: one for one in everything}
    engineering: dict[str, tuple[BomLine, ...]] = {}
    manufacturing: dict[str, tuple[BomLine, ...]] = {}
    for key, kids in _children(layers, [*parts, *raw, *raw]).items():
        parent = by_key[key]
        distinct = list({one.key: one for one in kids}.values())
        lines = tuple(_line(parent, child, place) for place, child in enumerate(distinct, start=1))
        engineering[key] = lines
        extra = Chance(f"consumable:{key}").pick(consumables)
        manufacturing[key] = (*lines, _line(parent, extra, len(lines) + 1))
    return Goods(tuple(everything), tuple(layers[0]), engineering, manufacturing, tuple(numbers.links))
