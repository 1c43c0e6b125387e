"""Fusion's rows as records. The only place that knows both.

An item is named by its organization and its id (`M1:100000000000001`): Fusion's own address of it is an opaque hash,
which is not to be made by a client, and cannot be asked for many at a time.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Context, Decimal
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from connectors.kit import decode
from connectors.kit.decode import none
from connectors.kit.errors import MappingFailed
from connectors.kit.integration import Origin
from connectors.oracle_fusion import wire
from connectors.oracle_fusion.settings import Rules
from unified.records import Item, ItemType, WorkOrder, WorkOrderMaterial, WorkOrderOperation, WorkOrderStatus
from unified.values import Quantity

EXACT: Final = Context(prec=2000)
_YES: Final = frozenset({"Y", "YES", "TRUE", "1"})
_NO: Final = frozenset({"N", "NO", "FALSE", "0"})


# --- values


def flag(value: bool | str | None) -> bool | None:
    """`true` and `false`, or `Y` and `N` of older resources; null for anything else."""
    if value is None or isinstance(value, bool):
        return value
    text = value.strip().upper()
    return True if text in _YES else False if text in _NO else None


def moment(value: str | None, zone: tzinfo, *, path: str) -> datetime | None:
    """A time with or without zone (then the plant's), to the minute or finer, or a day. Raises `MappingFailed`."""
    text = none(value)
    if text is None or text[:10] in decode.NULL_DATES:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise MappingFailed(f"`{path}` is no ISO 8601 time", path=path) from None
    return (found.replace(tzinfo=zone) if found.tzinfo is None else found).astimezone(UTC)


def sequence(value: Decimal | None) -> str | None:
    """10 and 10.0 are `10`."""
    if value is None or not value.is_finite():
        return None
    return f"{value.normalize():f}" if abs(value.adjusted()) < 20 else str(value)


def number(value: Decimal | None, *, path: str) -> Decimal:
    """Null counts as 0."""
    return decode.decimal(value, path=path) or Decimal(0)


# --- items


class ItemKey(msgspec.Struct, frozen=True):
    """Which item of which organization; its text is the external id."""

    organization: str
    id: str

    @property
    def text(self) -> str:
        return f"{self.organization}:{self.id}"

    @classmethod
    def read(cls, text: str) -> "ItemKey | None":
        """Null for a text that is not the external id of an item."""
        organization, colon, item = text.rpartition(":")
        return cls(organization, item) if colon and organization and is_number(item) else None


def is_number(text: str) -> bool:
    """Whether it is a key that may stand in a `q` as it is."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def item(
    row: wire.Item, origin: Origin, rules: Rules, *, path: str, revisions: Iterable[wire.ItemRevision] = ()
) -> Item:
    """`revisions` are all of the item's, where they were read."""
    return Item(
        source=origin.source(ItemKey(row.organization_code, str(row.item_id)).text, none(row.item_status_value)),
        updated_at=decode.moment(row.last_update_date_time, path=f"{path}.LastUpdateDateTime"),
        number=row.item_number,
        name=none(row.item_description) or row.item_number,
        description=none(row.long_description),
        item_type=_type(row, rules),
        unit=none(row.primary_uom_value) or none(row.primary_uom_code),
        revision=_newest(revisions, origin.as_of, rules.zone, path),
        lifecycle=none(row.lifecycle_phase_value),
    )


def _type(row: wire.Item, rules: Rules) -> ItemType:
    known = rules.item_classes.get(none(row.item_class) or "")
    if known is not None:
        return known
    return ItemType.ASSEMBLY if flag(row.build_in_wip_flag) else ItemType.COMPONENT


def _newest(revisions: Iterable[wire.ItemRevision], now: datetime, zone: tzinfo, path: str) -> str | None:
    """The one that became effective last; a revision of the future is none yet."""
    since: dict[str, datetime] = {}
    for place, each in enumerate(revisions):
        at = moment(each.effectivity_date, zone, path=f"{path}.ItemRevision[{place}].EffectivityDate")
        if at is None or at <= now:
            since[each.revision_code] = at or datetime.min.replace(tzinfo=UTC)
    return max(since, key=lambda code: (since[code], code), default=None)


# --- work orders


def status(row: wire.WorkOrder, rules: Rules) -> WorkOrderStatus:
    """What the tenant says of its own status, else the system status that it stands for."""
    own = none(row.work_order_status_code)
    if own is not None and own in rules.own_statuses:
        return rules.own_statuses[own]
    code = none(row.work_order_system_status_code) or own
    return rules.statuses[code.removeprefix("ORA_") if code is not None else None]


def work_order(
    row: wire.WorkOrder,
    origin: Origin,
    rules: Rules,
    *,
    path: str,
    operations: Iterable[wire.WorkOrderOperation] = (),
    materials: Iterable[wire.WorkOrderMaterial] = (),
) -> WorkOrder:
    unit = none(row.uom_code) or ""

    def at(name: str, value: str | None) -> datetime | None:
        return moment(value, rules.zone, path=f"{path}.{name}")

    def quantity(name: str, value: Decimal | None) -> Quantity:
        return Quantity(value=number(value, path=f"{path}.{name}"), unit=unit)

    return WorkOrder(
        source=origin.source(str(row.work_order_id), none(row.work_order_status_code)),
        updated_at=decode.moment(row.last_update_date, path=f"{path}.LastUpdateDate"),
        number=row.work_order_number,
        status=status(row, rules),
        organization=none(row.organization_code),
        item_number=none(row.item_number),
        description=none(row.work_order_description) or none(row.description),
        planned=quantity("PlannedStartQuantity", row.planned_start_quantity),
        completed=quantity("CompletedQuantity", row.completed_quantity),
        scrapped=quantity("ScrappedQuantity", row.scrapped_quantity),
        planned_start_at=at("PlannedStartDate", row.planned_start_date),
        planned_completion_at=at("PlannedCompletionDate", row.planned_completion_date),
        released_at=at("ReleasedDate", row.released_date),
        started_at=at("ActualStartDate", row.actual_start_date),
        completed_at=at("ActualCompletionDate", row.actual_completion_date),
        operations=tuple(
            _operation(each, rules, path=f"{path}.WorkOrderOperation[{place}]")
            for place, each in sorted(enumerate(operations), key=lambda pair: pair[1].operation_sequence_number)
        ),
        materials=tuple(
            _material(each, origin, unit, path=f"{path}.WorkOrderMaterial[{place}]")
            for place, each in sorted(enumerate(materials), key=lambda pair: _place(pair[1]))
        ),
    )


def _operation(row: wire.WorkOrderOperation, rules: Rules, *, path: str) -> WorkOrderOperation:
    return WorkOrderOperation(
        sequence=sequence(row.operation_sequence_number) or "",
        name=none(row.operation_name),
        work_center=none(row.work_center_name) or none(row.work_center_code),
        ready=number(row.ready_quantity, path=f"{path}.ReadyQuantity"),
        completed=number(row.completed_quantity, path=f"{path}.CompletedQuantity"),
        scrapped=number(row.scrapped_quantity, path=f"{path}.ScrappedQuantity"),
        rejected=number(row.rejected_quantity, path=f"{path}.RejectedQuantity"),
        planned_start_at=moment(row.planned_start_date, rules.zone, path=f"{path}.PlannedStartDate"),
        planned_completion_at=moment(row.planned_completion_date, rules.zone, path=f"{path}.PlannedCompletionDate"),
    )


def _place(row: wire.WorkOrderMaterial) -> tuple[Decimal, Decimal, str]:
    return row.operation_sequence_number or Decimal(0), row.material_sequence_number or Decimal(0), row.item_number


def _material(row: wire.WorkOrderMaterial, origin: Origin, unit: str, *, path: str) -> WorkOrderMaterial:
    measured = none(row.uom_code) or unit
    issued = decode.decimal(row.issued_quantity, path=f"{path}.IssuedQuantity")
    return WorkOrderMaterial(
        item_number=row.item_number,
        description=none(row.item_description),
        operation_sequence=sequence(row.operation_sequence_number),
        required=Quantity(value=number(row.quantity, path=f"{path}.Quantity"), unit=measured),
        issued=Quantity(value=issued, unit=measured) if issued is not None else None,
        supply_type=none(str(row.supply_type)) if row.supply_type is not None else None,
        integration=origin.integration,
    )


# --- structures


class BomKey(msgspec.Struct, frozen=True):
    """What one explosion is: its text is the external id, `M1:100000000000001?structure=Primary&levels=2`."""

    item: ItemKey
    structure: str
    levels: int | None = None

    @property
    def text(self) -> str:
        parts: Mapping[str, str] = {"structure": self.structure}
        if self.levels is not None:
            parts = {**parts, "levels": str(self.levels)}
        return f"{self.item.text}?{urlencode(parts, quote_via=quote, safe='')}"

    @classmethod
    def read(cls, text: str) -> "BomKey | None":
        """Null for a text that is not the external id of a structure."""
        head, _, rest = text.partition("?")
        found, parts = ItemKey.read(head), dict(parse_qsl(rest))
        levels = parts.get("levels", "")
        if found is None or not parts.get("structure"):
            return None
        number_of = int(levels) if levels.isascii() and levels.isdigit() and len(levels) < 6 else None
        key = cls(found, parts["structure"], number_of)
        return key if key.text == text else None
