"""Everything that the ERP sends, by its shape: `crossdock decode`, and the events of the poller and of IDocs."""

from collections.abc import Iterable
from typing import Any, Final

from connectors.kit import decode
from connectors.kit.errors import BadPayload, MappingFailed
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from connectors.kit.odata import Shape, decoders_of
from connectors.sap_erp import mapping, wire
from connectors.sap_erp.bapi import mapping as from_bapi
from connectors.sap_erp.bapi import wsdl
from connectors.sap_erp.bapi.functions import Values, name_of, normal
from connectors.sap_erp.idoc import mapping as from_idoc
from connectors.sap_erp.idoc import segments
from connectors.sap_erp.idoc.package import Package
from connectors.sap_erp.settings import Rules

IDOC: Final = "idoc"
BAPI: Final = "bapi-answer"

SHAPES: Final[tuple[Shape[Rules], ...]] = (
    Shape(
        "sales-orders",
        "sales orders of API_SALES_ORDER_SRV (V2) or its V4 successor, with what is expanded",
        frozenset({"SalesOrder", "SoldToParty"}),
        wire.SalesOrder,
        mapping.sales_order,
    ),
    Shape(
        "purchase-orders",
        "purchase orders of API_PURCHASEORDER_PROCESS_SRV (V2), with what is expanded",
        frozenset({"PurchaseOrder", "Supplier"}),
        wire.PurchaseOrder,
        mapping.purchase_order,
    ),
    Shape(
        "deliveries",
        "heads of API_OUTBOUND_DELIVERY_SRV (V2), with what is expanded",
        frozenset({"DeliveryDocument", "ShipToParty"}),
        wire.Delivery,
        mapping.delivery,
    ),
    Shape(
        "material-stock",
        "A_MatlStkInAcctMod of API_MATERIAL_STOCK_SRV (V2)",
        frozenset({"Material", "Plant", "InventoryStockType"}),
        wire.Stock,
        mapping.balance,
    ),
    Shape(
        "products",
        "A_Product of API_PRODUCT_SRV (V2), with descriptions where they are expanded",
        frozenset({"Product", "ProductType"}),
        wire.Product,
        mapping.product,
    ),
)


def decoders(rules: Rules) -> tuple[Decoder, ...]:
    """The decoders of a system with these rules; a manifest has those of a system without settings."""

    def idocs(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        package = Package()
        found = package.feed(payload.body) + package.close()
        return [from_idoc.change(segments.parsed(each.body), origin, rules) for each in found]

    def answers(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        return _records(_values(payload.body), origin, rules)

    return (
        *decoders_of(SHAPES, rules),
        Decoder(
            name=IDOC,
            description="IDocs as XML, one or a package: ORDERS05, DELVRY07 (DESADV), MATMAS05",
            read=idocs,
            recognises=lambda payload: b"<IDOC" in payload.body[:4096],
        ),
        Decoder(
            name=BAPI,
            description="answer of a BAPI that reads, over SOAP or as JSON: materials, sales and purchase orders, "
            "deliveries",
            read=answers,
            recognises=_recognised,
        ),
    )


_PARTS: Final = ("MATERIAL_GENERAL_DATA", "ORDER_HEADERS_OUT", "POHEADER", "ET_DELIVERY_HEADER")


def _recognised(payload: Payload) -> bool:
    return any(f"{mark}{part}".encode() in payload.body for part in _PARTS for mark in ("<", '"'))


def _values(body: bytes) -> Values:
    if body.lstrip().startswith(b"{"):
        named: Values = normal(decode.json(body, dict[str, Any]))
        return named
    answered = wsdl.body_of(body).tag.rpartition("}")[2]
    function = answered.removesuffix("Response").rstrip(".")
    return wsdl.load(None).values(function, body)


def _records(values: Values, origin: Origin, rules: Rules) -> list[Decoded]:
    if name_of("MATERIAL_GENERAL_DATA") in values:
        product = from_bapi.product(values)
        if product is None:
            raise MappingFailed(
                "the answer does not say which material it is about", path="$.MATERIAL_GENERAL_DATA.MATERIAL"
            )
        return [mapping.product(product, origin, rules)]
    if name_of("ORDER_HEADERS_OUT") in values:
        return [mapping.sales_order(row, origin, rules) for row in from_bapi.sales_orders(values)]
    if name_of("POHEADER") in values:
        order = from_bapi.purchase_order(values)
        return [] if order is None else [mapping.purchase_order(order, origin, rules)]
    if name_of("ET_DELIVERY_HEADER") in values:
        return [mapping.delivery(row, origin, rules) for row in from_bapi.deliveries(values)]
    raise BadPayload("the answer is of no function module that is read", path="$")
