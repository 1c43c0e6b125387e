"""The OData services' shapes in SAP's words. All fields are optional but the keys; unknown ones are ignored.

V2 wraps navigation in `results` and writes decimals as texts; V4 has plain lists under `_Item` and numbers. One struct
reads both, since the fields have the same names.
"""

from decimal import Decimal

import msgspec
from msgspec import field

from connectors.kit.odata import Expanded

Loose = str | int | float | None
"""A number that may also be an empty text."""
Flag = bool | str | None
"""JSON's true and false, or ABAP's `X` and empty."""


def flag(value: Flag) -> bool:
    return value is True or (isinstance(value, str) and value.strip().upper() in ("X", "TRUE"))


class Partner(msgspec.Struct, rename="pascal", omit_defaults=True):
    """The function is in the logon language: ship-to `WE` or `SH`, forwarding agent `SP` or `CR`."""

    partner_function: str | None = None
    customer: str | None = None
    supplier: str | None = None


class ScheduleLine(msgspec.Struct, rename="pascal", omit_defaults=True):
    requested_delivery_date: str | None = None
    confirmed_delivery_date: str | None = None
    schedule_line_order_quantity: Decimal | None = None
    confd_order_qty_by_matl_avail_check: Decimal | None = None


class SalesOrderItem(msgspec.Struct, rename="pascal", omit_defaults=True):
    sales_order_item: str
    sales_order: str | None = None
    higher_level_item: str | None = None
    sales_order_item_text: str | None = None
    material: str | None = None
    product: str | None = None
    """V4's name of the material."""
    requested_quantity: Decimal | None = None
    requested_quantity_unit: str | None = None
    sap_unit: str | None = field(name="RequestedQuantitySAPUnit", default=None)
    iso_unit: str | None = field(name="RequestedQuantityISOUnit", default=None)
    net_amount: Decimal | None = None
    transaction_currency: str | None = None
    batch: str | None = None
    production_plant: str | None = None
    plant: str | None = None
    """V4's name of the plant."""
    delivery_status: str | None = None
    rejection: str | None = field(name="SalesDocumentRjcnReason", default=None)
    schedule: Expanded[ScheduleLine] | None = field(name="to_ScheduleLine", default=None)
    schedule_v4: list[ScheduleLine] | None = field(name="_ScheduleLine", default=None)


class SalesOrder(msgspec.Struct, rename="pascal", omit_defaults=True):
    sales_order: str
    sold_to_party: str | None = None
    purchase_order_by_customer: str | None = None
    sales_order_date: str | None = None
    creation_date: str | None = None
    last_change_date: str | None = None
    last_change_date_time: str | None = None
    requested_delivery_date: str | None = None
    total_net_amount: Decimal | None = None
    transaction_currency: str | None = None
    process: str | None = field(name="OverallSDProcessStatus", default=None)
    delivery: str | None = field(name="OverallDeliveryStatus", default=None)
    total_delivery: str | None = field(name="OverallTotalDeliveryStatus", default=None)
    rejection: str | None = field(name="OverallSDDocumentRejectionSts", default=None)
    items: Expanded[SalesOrderItem] | None = field(name="to_Item", default=None)
    items_v4: list[SalesOrderItem] | None = field(name="_Item", default=None)
    partners: Expanded[Partner] | None = field(name="to_Partner", default=None)
    partners_v4: list[Partner] | None = field(name="_Partner", default=None)


class PurchaseScheduleLine(msgspec.Struct, rename="pascal", omit_defaults=True):
    schedule_line_delivery_date: str | None = None


class PurchaseOrderItem(msgspec.Struct, rename="pascal", omit_defaults=True):
    purchase_order_item: str
    purchase_order: str | None = None
    deletion: str | None = field(name="PurchasingDocumentDeletionCode", default=None)
    purchase_order_item_text: str | None = None
    material: str | None = None
    plant: str | None = None
    order_quantity: Decimal | None = None
    purchase_order_quantity_unit: str | None = None
    is_completely_delivered: Flag = None
    schedule: Expanded[PurchaseScheduleLine] | None = field(name="to_ScheduleLine", default=None)


class PurchaseOrder(msgspec.Struct, rename="pascal", omit_defaults=True):
    purchase_order: str
    supplier: str | None = None
    deletion: str | None = field(name="PurchasingDocumentDeletionCode", default=None)
    processing: str | None = field(name="PurchasingProcessingStatus", default=None)
    purchase_order_date: str | None = None
    creation_date: str | None = None
    last_change_date_time: str | None = None
    items: Expanded[PurchaseOrderItem] | None = field(name="to_PurchaseOrderItem", default=None)


class DeliveryItem(msgspec.Struct, rename="pascal", omit_defaults=True):
    delivery_document_item: str
    delivery_document: str | None = None
    delivery_document_item_text: str | None = None
    material: str | None = None
    batch: str | None = None
    actual_delivery_quantity: Decimal | None = None
    delivery_quantity_unit: str | None = None
    reference: str | None = field(name="ReferenceSDDocument", default=None)
    reference_item: str | None = field(name="ReferenceSDDocumentItem", default=None)


class Delivery(msgspec.Struct, rename="pascal", omit_defaults=True):
    """`items` and `partners` may also be a bare link, as some clients write what is not expanded."""

    delivery_document: str
    delivery_document_type: str | None = None
    zone: str | None = field(name="Shippinglocationtimezone", default=None)
    actual_goods_movement_date: str | None = None
    planned_goods_issue_date: str | None = None
    delivery_date: str | None = None
    proof_of_delivery_date: str | None = None
    creation_date: str | None = None
    creation_time: str | None = None
    last_change_date: str | None = None
    header_gross_weight: Loose = None
    header_net_weight: Loose = None
    header_weight_unit: str | None = None
    means_of_transport: str | None = None
    shipping_point: str | None = None
    ship_to_party: str | None = None
    goods_movement: str | None = field(name="OverallGoodsMovementStatus", default=None)
    picking: str | None = field(name="OverallPickingStatus", default=None)
    proof: str | None = field(name="OverallProofOfDeliveryStatus", default=None)
    items: Expanded[DeliveryItem] | str | None = field(name="to_DeliveryDocumentItem", default=None)
    partners: Expanded[Partner] | str | None = field(name="to_DeliveryDocumentPartner", default=None)


class Stock(msgspec.Struct, rename="pascal", omit_defaults=True):
    """The first eleven fields are the key; most are empty, or zeros, most of the time."""

    material: str
    plant: str
    storage_location: str = ""
    batch: str = ""
    supplier: str = ""
    customer: str = ""
    wbs_element: str = field(name="WBSElementInternalID", default="")
    sd_document: str = field(name="SDDocument", default="")
    sd_document_item: str = field(name="SDDocumentItem", default="")
    inventory_special_stock_type: str = ""
    inventory_stock_type: str = ""
    material_base_unit: str | None = None
    quantity: Decimal | None = field(name="MatlWrhsStkQtyInMatlBaseUnit", default=None)


STOCK_KEY = tuple(each.encode_name for each in msgspec.structs.fields(Stock))[:11]
"""The key fields in the service's order."""


class ProductDescription(msgspec.Struct, rename="pascal", omit_defaults=True):
    language: str | None = None
    product_description: str | None = None


class Product(msgspec.Struct, rename="pascal", omit_defaults=True):
    product: str
    product_type: str | None = None
    cross_plant_status: str | None = None
    is_marked_for_deletion: Flag = None
    base_unit: str | None = None
    gross_weight: Loose = None
    net_weight: Loose = None
    weight_unit: str | None = None
    last_change_date: str | None = None
    last_change_date_time: str | None = None
    descriptions: Expanded[ProductDescription] | None = field(name="to_Description", default=None)
