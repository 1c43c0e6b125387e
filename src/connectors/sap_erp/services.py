"""The OData services: where each kind of row is, its key, what comes with it, what it is sorted by."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from connectors.kit.integration import Origin
from connectors.kit.odata import Asked, Column
from connectors.sap_erp import asking, keys, mapping, wire
from connectors.sap_erp.settings import Rules, Settings
from unified import queries
from unified.records import OrderKind

PRODUCTS = "/API_PRODUCT_SRV/A_Product"
STOCK = "/API_MATERIAL_STOCK_SRV/A_MatlStkInAcctMod"

PRODUCT_COLUMNS = {
    "number": Column("Product"),
    "updated_at": Column("LastChangeDateTime"),
    "lifecycle": Column("CrossPlantStatus", may_be_empty=True),
}
STOCK_COLUMNS = {
    "item_number": Column("Material"),
    "warehouse": Column("Plant"),
    "location": Column("StorageLocation", may_be_empty=True),
    "batch": Column("Batch", may_be_empty=True),
}


class Documents(msgspec.Struct, frozen=True, kw_only=True):
    """A service of documents with items. `heads` and `items` are full paths; `expand` is the value of `$expand`."""

    name: str
    """In the inbox, and of the decoder."""
    prefix: str
    """First part of the external ids of orders; empty for deliveries."""
    heads: str
    items: str | None
    key: str
    item_key: str
    attribute: str
    """`key` as the wire structs call it."""
    row: type[Any]
    item: type[Any]
    expand: str
    v4: bool = False
    columns: dict[str, Column]
    record: Callable[[Any, Origin, Rules], Any]


class Orders(Documents, frozen=True, kw_only=True):
    order_kind: OrderKind
    asked: Callable[[queries.OrderFilter], Asked]


def orders(settings: Settings) -> list[Orders]:
    """The services of orders that this system is read through."""
    full = settings.details == "full"
    found: list[Orders] = []
    if settings.sales_orders != "none":
        v4 = settings.sales_orders == "v4"
        base = settings.v4_path + settings.sales_order_v4 if v4 else settings.v2_path + "/API_SALES_ORDER_SRV"
        expand_v4 = "_Item($expand=_ScheduleLine),_Partner" if full else "_Item"
        expand_v2 = "to_Item/to_ScheduleLine,to_Partner" if full else "to_Item"
        found.append(
            Orders(
                name="sales-orders",
                prefix=keys.SALES,
                order_kind=OrderKind.SALES,
                heads=base + ("/SalesOrder" if v4 else "/A_SalesOrder"),
                items=None if v4 else base + "/A_SalesOrderItem",
                key="SalesOrder",
                item_key="SalesOrderItem",
                attribute="sales_order",
                row=wire.SalesOrder,
                item=wire.SalesOrderItem,
                expand=expand_v4 if v4 else expand_v2,
                v4=v4,
                columns={
                    "number": Column("SalesOrder"),
                    "partner": Column("SoldToParty"),
                    "customer_reference": Column("PurchaseOrderByCustomer", may_be_empty=True),
                    "requested_on": Column("RequestedDeliveryDate", may_be_empty=True),
                    "ordered_on": Column("SalesOrderDate", may_be_empty=True),
                    "created_on": Column("CreationDate", may_be_empty=True),
                    "updated_at": Column("LastChangeDateTime"),
                },
                record=mapping.sales_order,
                asked=partial(asking.sales_orders, v4=v4),
            )
        )
    if settings.purchase_orders:
        base = settings.v2_path + "/API_PURCHASEORDER_PROCESS_SRV"
        found.append(
            Orders(
                name="purchase-orders",
                prefix=keys.PURCHASE,
                order_kind=OrderKind.PURCHASE,
                heads=base + "/A_PurchaseOrder",
                items=base + "/A_PurchaseOrderItem",
                key="PurchaseOrder",
                item_key="PurchaseOrderItem",
                attribute="purchase_order",
                row=wire.PurchaseOrder,
                item=wire.PurchaseOrderItem,
                expand="to_PurchaseOrderItem/to_ScheduleLine" if full else "to_PurchaseOrderItem",
                columns={
                    "number": Column("PurchaseOrder"),
                    "partner": Column("Supplier", may_be_empty=True),
                    "ordered_on": Column("PurchaseOrderDate", may_be_empty=True),
                    "created_on": Column("CreationDate", may_be_empty=True),
                    "updated_at": Column("LastChangeDateTime"),
                },
                record=mapping.purchase_order,
                asked=asking.purchase_orders,
            )
        )
    return found


def deliveries(settings: Settings) -> Documents:
    base = f"{settings.v2_path}/{settings.delivery_service}"
    full = settings.details == "full"
    return Documents(
        name="deliveries",
        prefix="",
        heads=base + "/A_OutbDeliveryHeader",
        items=base + "/A_OutbDeliveryItem",
        key="DeliveryDocument",
        item_key="DeliveryDocumentItem",
        attribute="delivery_document",
        row=wire.Delivery,
        item=wire.DeliveryItem,
        expand="to_DeliveryDocumentItem,to_DeliveryDocumentPartner" if full else "to_DeliveryDocumentItem",
        columns={
            "number": Column("DeliveryDocument"),
            "partner": Column("ShipToParty", may_be_empty=True),
            "warehouse": Column("ShippingPoint", may_be_empty=True),
            "planned_on": Column("PlannedGoodsIssueDate", may_be_empty=True),
            "delivery_on": Column("DeliveryDate", may_be_empty=True),
            "shipped_on": Column("ActualGoodsMovementDate", may_be_empty=True),
        },
        record=mapping.delivery,
    )
