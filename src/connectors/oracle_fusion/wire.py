"""What Fusion's resources send, in Oracle's own words.

Only what is read is declared. An expanded child is a collection from framework version 3 on and an array before; both
are read. Keys are numbers of fifteen digits, or texts.
"""

from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType, field

T = TypeVar("T")
Key = int | str
CHILD_ROWS: Final = 25
"""Rows of an expanded child, unless the server is set otherwise."""


class LinkProperties(msgspec.Struct, frozen=True, rename="camel"):
    change_indicator: str | None = None


class Link(msgspec.Struct, frozen=True):
    rel: str = ""
    href: str = ""
    name: str = ""
    kind: str = ""
    properties: LinkProperties | None = None


class Collection(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """One page of a resource, or of an expanded child."""

    items: list[T]
    count: int | None = None
    has_more: bool = False
    limit: int | None = None
    offset: int | None = None
    total_results: int | None = None
    links: list[Link] = []


Expanded = list[T] | Collection[T] | None


def rows(child: "list[T] | Collection[T] | None") -> list[T]:
    """What of a child came along."""
    if child is None:
        return []
    return child if isinstance(child, list) else child.items


def is_whole(child: "list[T] | Collection[T] | None") -> bool:
    """Whether all of it came along. An array does not say so: a full page of it may go on."""
    if isinstance(child, Collection):
        return not child.has_more
    return not child or len(child) % CHILD_ROWS != 0


class Row(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    links: list[Link] = field(name="links", default=[])


def link(row: Row, rel: str, name: str | None = None) -> Link | None:
    """The row's link of that kind; `onlyData` leaves all out."""
    return next((each for each in row.links if each.rel == rel and name in (None, each.name)), None)


class Head(Row, frozen=True, kw_only=True):
    """A row of which only key and links are wanted."""

    key: Key


class StructureHead(Head, frozen=True, kw_only=True):
    key: Key = field(name="BillSequenceId")


class WorkOrderHead(Head, frozen=True, kw_only=True):
    key: Key = field(name="WorkOrderId")


# --- items


class ItemRevision(Row, frozen=True, kw_only=True):
    revision_code: str
    effectivity_date: str | None = None


class Item(Row, frozen=True, kw_only=True):
    item_id: Key
    organization_code: str
    item_number: str
    item_description: str | None = None
    long_description: str | None = None
    item_class: str | None = None
    primary_uom_value: str | None = field(name="PrimaryUOMValue", default=None)
    primary_uom_code: str | None = field(name="PrimaryUOMCode", default=None)
    item_status_value: str | None = None
    lifecycle_phase_value: str | None = None
    build_in_wip_flag: bool | str | None = field(name="BuildInWIPFlag", default=None)
    last_update_date_time: str | None = None
    item_revision: list[ItemRevision] | Collection[ItemRevision] | None = None


# --- structures


class Component(Row, frozen=True, kw_only=True):
    """`implementation_date_time` is null for a component that waits for its change order."""

    component_sequence_id: Key
    component_item_number: str
    component_item_id: Key | None = None
    component_item_description: str | None = None
    item_sequence_number: Decimal | None = None
    quantity: Decimal | None = None
    component_quantity: Decimal | None = None
    primary_uom_value: str | None = field(name="PrimaryUOMValue", default=None)
    primary_uom_code: str | None = field(name="PrimaryUOMCode", default=None)
    start_date_time: str | None = None
    end_date_time: str | None = None
    change_notice: str | None = None
    implementation_date_time: str | UnsetType | None = UNSET


class Structure(Row, frozen=True, kw_only=True):
    bill_sequence_id: Key
    organization_code: str
    item_number: str
    item_id: Key | None = None
    structure_name: str | None = None
    component: list[Component] | Collection[Component] | None = None


class FlatRow(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Of `structureComponentsItemsDetails`: all numbers are texts, and no value is the text `null`. What else is there
    depends on the structure view."""

    item_number: str
    sort_order: str | None = None
    plan_level: str | None = None
    dot_level: str | None = None
    parent_item_number: str | None = None
    bill_sequence_id: str | None = None
    component_sequence_id: str | None = None
    structure_internal_name: str | None = None
    item_sequence_number: str | None = None
    quantity: str | None = None
    component_quantity: str | None = None
    primary_uom_value: str | None = field(name="PrimaryUOMValue", default=None)
    primary_uom_code: str | None = field(name="PrimaryUOMCode", default=None)
    item: list["FlatItem"] | None = None


class FlatItem(msgspec.Struct, frozen=True, rename="pascal"):
    """One version of the item; the current one has no end. `description` is by language."""

    description: dict[str, Any] | str | None = None
    version_end_date: str | None = None


class FlatRows(msgspec.Struct, frozen=True):
    rows: list[FlatRow] = field(name="structureComponentsItemsDetails")


# --- work orders


class WorkOrderOperation(Row, frozen=True, kw_only=True):
    operation_sequence_number: Decimal
    operation_name: str | None = None
    work_center_name: str | None = None
    work_center_code: str | None = None
    ready_quantity: Decimal | None = None
    completed_quantity: Decimal | None = None
    scrapped_quantity: Decimal | None = None
    rejected_quantity: Decimal | None = None
    planned_start_date: str | None = None
    planned_completion_date: str | None = None


class WorkOrderMaterial(Row, frozen=True, kw_only=True):
    item_number: str
    item_description: str | None = None
    operation_sequence_number: Decimal | None = None
    material_sequence_number: Decimal | None = None
    quantity: Decimal | None = None
    issued_quantity: Decimal | None = None
    uom_code: str | None = field(name="UOMCode", default=None)
    supply_type: str | int | None = None


class WorkOrder(Row, frozen=True, kw_only=True):
    work_order_id: Key
    work_order_number: str
    organization_code: str | None = None
    item_number: str | None = None
    work_order_description: str | None = None
    description: str | None = None
    work_order_status_code: str | None = None
    work_order_system_status_code: str | None = None
    uom_code: str | None = field(name="UOMCode", default=None)
    planned_start_quantity: Decimal | None = None
    completed_quantity: Decimal | None = None
    scrapped_quantity: Decimal | None = None
    planned_start_date: str | None = None
    planned_completion_date: str | None = None
    released_date: str | None = None
    actual_start_date: str | None = None
    actual_completion_date: str | None = None
    last_update_date: str | None = None
    work_order_operation: list[WorkOrderOperation] | Collection[WorkOrderOperation] | None = None
    work_order_material: list[WorkOrderMaterial] | Collection[WorkOrderMaterial] | None = None


# --- what others send to Fusion


class WorkOrderRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Body of `POST workOrders`."""

    work_order_number: str
    organization_code: str
    item_number: str
    planned_start_quantity: Decimal
    planned_start_date: str | None = None
    work_order_status_code: str | None = None


class Serial(msgspec.Struct, frozen=True, rename="pascal"):
    serial_number: str


class OperationTransaction(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    organization_code: str
    work_order_number: str
    wo_operation_sequence_number: Decimal
    transaction_quantity: Decimal
    transaction_unit_of_measure: str
    from_dispatch_state: str
    to_dispatch_state: str
    transaction_date: str | None = None
    transaction_serial: list[Serial] | None = None


class OperationTransactions(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Body of `POST operationTransactions`, and of its answer."""

    source_system_code: str
    operation_transaction_detail: list[OperationTransaction]


# --- what is no resource


class Notice(msgspec.Struct, frozen=True, rename="camel"):
    """A business event as Oracle Integration forwards it."""

    event_type: str
    event_id: str | None = None
    timestamp: str | None = None
    payload: "NoticePayload | None" = None


class NoticePayload(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    item_number: str | None = None
    assembly_item_number: str | None = None
    work_order_number: str | None = None
    organization_code: str | None = None


class Token(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str
    expires_in: float | None = None
    refresh_token: str | None = None


class FaultDetail(msgspec.Struct, frozen=True):
    detail: str | None = None
    code: str | None = field(name="o:errorCode", default=None)
    path: str | None = field(name="o:errorPath", default=None)


class Fault(msgspec.Struct, frozen=True):
    """`status` is text, whatever the standard says."""

    title: str | None = None
    status: str | int | None = None
    detail: str | None = None
    code: str | None = field(name="o:errorCode", default=None)
    details: list[FaultDetail] | None = field(name="o:errorDetails", default=None)


class Slices(msgspec.Struct, frozen=True, rename="camel"):
    """A page with its rows as bytes, to be handed on one by one."""

    items: list[msgspec.Raw]
    count: int | None = None
    has_more: bool = False
    offset: int | None = None


class ItemStamp(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a poll needs of an item before it is read."""

    item_id: Key
    organization_code: str
    last_update_date_time: str | None = None


class WorkOrderStamp(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    work_order_id: Key
    last_update_date: str | None = None
