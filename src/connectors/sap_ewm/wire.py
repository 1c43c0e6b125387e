"""The vendor's shapes in the vendor's words. All fields are optional but the keys; unknown ones are ignored.

V2 wraps in `d` and writes decimals as texts; V4 wraps in `value` and writes numbers. Both forms of each number
are read, since SAP's own mock server mixes them.
"""

from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from msgspec import field

from connectors.kit.odata import Expanded

H = TypeVar("H", bound=msgspec.Struct)


class WarehouseOrder(msgspec.Struct, rename="pascal", omit_defaults=True):
    warehouse: str
    warehouse_order: str
    warehouse_order_status: str | None = None
    warehouse_order_status_name: str | None = None
    creation_date_time: str | None = None
    warehouse_order_start_date_time: str | None = None
    whse_order_confirmed_date_time: str | None = None
    whse_order_latest_start_date_time: str | None = None
    last_change_date_time: str | None = None
    executing_resource: str | None = None


class WarehouseTask(msgspec.Struct, rename="pascal", omit_defaults=True):
    warehouse: str
    warehouse_task: str
    warehouse_task_item: str
    warehouse_order: str | None = None
    last_change_date_time: str | None = None
    confirmation: str | None = field(name="ConfirmationUTCDateTime", default=None)
    warehouse_task_status: str | None = None
    is_handling_unit_warehouse_task: bool | None = None
    product_name: str | None = None
    batch: str | None = None
    executing_resource: str | None = None
    delivery: str | None = None
    base_unit: str | None = None
    base_unit_iso: str | None = field(name="EWMBaseUnitISOCode", default=None)
    target_quantity_in_base_unit: Decimal | None = None
    actual_quantity_in_base_unit: Decimal | None = None
    source_storage_bin: str | None = None
    destination_storage_bin: str | None = None
    source_handling_unit: str | None = None
    destination_handling_unit: str | None = None


class StorageBin(msgspec.Struct, rename="pascal", omit_defaults=True):
    warehouse: str
    storage_bin: str
    storage_type: str | None = None
    storage_bin_is_empty: bool | None = None
    storage_bin_is_full: bool | None = None
    storage_bin_is_blocked_for_removal: bool | None = None
    storage_bin_is_blocked_for_putaway: bool | None = None
    storage_bin_free_defined_aisle_text: str | None = None
    storage_bin_free_defined_stack_text: str | None = None
    storage_bin_free_defined_level_text: str | None = None
    weight_unit: str | None = None
    load_capacity_of_storage_bin: Decimal | None = None
    last_change: str | None = field(name="EWMStorageBinLastChgDateTime", default=None)


class OutboundItem(msgspec.Struct, rename="pascal", omit_defaults=True):
    outbound_delivery_order: str
    outbound_delivery_order_item: str
    product: str | None = None
    product_batch: str | None = None
    product_quantity: Decimal | None = None
    quantity_unit: str | None = None
    goods_issue_status: str | None = None
    picking_status: str | None = None
    completion_status: str | None = None
    sales_order: str | None = None
    last_change_date_time: str | None = None


class OutboundHead(msgspec.Struct, rename="pascal", omit_defaults=True):
    """`vehicle` is no field of the released service: see the setting `vehicle_field`."""

    outbound_delivery_order: str
    warehouse: str | None = None
    ship_to_party: str | None = None
    carrier: str | None = None
    planned_delivery: str | None = field(name="PlannedDeliveryUTCDateTime", default=None)
    last_change_date_time: str | None = None
    items: Expanded[OutboundItem] | None = field(name="to_WhseOutboundDeliveryOrderItem", default=None)
    vehicle: str | None = field(name="MeansOfTransport", default=None)


class InboundItem(msgspec.Struct, rename="pascal", omit_defaults=True):
    inbound_delivery: str
    inbound_delivery_item: str
    product: str | None = None
    product_batch: str | None = None
    product_quantity: Decimal | None = None
    quantity_unit: str | None = None
    goods_receipt_status: str | None = None
    putaway_status: str | None = None
    completion_status: str | None = None
    purchasing_document: str | None = None
    last_change_date_time: str | None = None


class InboundHead(msgspec.Struct, rename="pascal", omit_defaults=True):
    inbound_delivery: str
    warehouse: str | None = None
    ship_from_party: str | None = None
    carrier: str | None = None
    planned_delivery: str | None = field(name="PlannedDeliveryUTCDateTime", default=None)
    last_change_date_time: str | None = None
    items: Expanded[InboundItem] | None = field(name="to_WhseInboundDeliveryItem", default=None)
    vehicle: str | None = field(name="MeansOfTransport", default=None)


def _with_vehicle(head: type[H], vehicle_field: str) -> type[H]:
    made: Any = msgspec.defstruct(
        head.__name__,
        [("vehicle", str | None, field(name=vehicle_field, default=None))],
        bases=(head,),
        omit_defaults=True,
    )
    return made  # type: ignore[no-any-return]


def outbound_head(vehicle_field: str | None) -> type[OutboundHead]:
    """The head as this system sends it: with the plate in a field of its own."""
    return OutboundHead if vehicle_field is None else _with_vehicle(OutboundHead, vehicle_field)


def inbound_head(vehicle_field: str | None) -> type[InboundHead]:
    return InboundHead if vehicle_field is None else _with_vehicle(InboundHead, vehicle_field)


class AvailableStock(msgspec.Struct, omit_defaults=True):
    """V4. The first fifteen fields are the key; most are empty most of the time."""

    warehouse: str = field(name="EWMWarehouse")
    product: str = field(name="Product")
    batch: str = field(name="Batch", default="")
    owner: str = field(name="EWMStockOwner", default="")
    entitled: str = field(name="EntitledToDisposeParty", default="")
    stock_type: str = field(name="EWMStockType", default="")
    usage: str = field(name="EWMStockUsage", default="")
    stock_document_category: str = field(name="StockDocumentCategory", default="")
    document_category: str = field(name="EWMDocumentCategory", default="")
    wbs_element: str = field(name="WBSElementExternalID", default="")
    sales_order: str = field(name="SpecialStockIdfgSalesOrder", default="")
    sales_order_item: str = field(name="SpecialStockIdfgSalesOrderItem", default="")
    handling_unit: str = field(name="HandlingUnitExternalID", default="")
    storage_bin: str = field(name="EWMStorageBin", default="")
    resource: str = field(name="EWMResource", default="")
    quantity: Decimal | None = field(name="AvailableEWMStockQty", default=None)
    unit: str | None = field(name="EWMStockQuantityBaseUnit", default=None)
    received: str | None = field(name="GoodsReceiptUTCDateTime", default=None)
    expires: str | None = field(name="ShelfLifeExpirationDate", default=None)


STOCK_KEY = (
    "warehouse", "product", "batch", "owner", "entitled", "stock_type", "usage", "stock_document_category",
    "document_category", "wbs_element", "sales_order", "sales_order_item", "handling_unit", "storage_bin", "resource",
)  # fmt: skip
"""The key fields in the service's order."""


class RobotOrder(msgspec.Struct, rename="pascal"):
    """`WarehouseOrderSet` of SAP's robot service. `lsd` is YYYYMMDDhhmmss in the warehouse's time."""

    lgnum: str
    who: str
    status: str | None = None
    queue: str | None = None
    rsrc: str | None = None
    lsd: str | int | None = None


class RobotBin(msgspec.Struct, rename="pascal"):
    lgnum: str
    lgpla: str
    lgtyp: str | None = None
    lgber: str | None = None
    lptyp: str | None = None
    aisle: str | None = None
    stack: str | None = None
    lvl_v: str | None = None


class RobotTask(msgspec.Struct, rename="pascal"):
    lgnum: str
    tanum: str
    tostat: str | None = None
    vlpla: str | None = None
    vlenr: str | None = None
    nlpla: str | None = None
    nlenr: str | None = None
    who: str | None = None
