"""The world as the ERP sees it: sales and purchase orders, outbound deliveries, material stock, materials.

A delivery of the warehouse is a document here with the same number; the order behind it is of here only. Numbers
that are all digits are shown without their zeros, plates with a dash.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from sandbox.sap_ewm.query import Row
from sandbox.sap_ewm.rows import EntitySet
from sandbox.world import ISO_UNITS, SAP_UNITS, Chance, Delivery, DeliveryLine, Item, World

T: Final = str
SALES_ORDER: Final[Mapping[str, type]] = {
    "SalesOrder": T, "SalesOrderType": T, "SalesOrganization": T, "DistributionChannel": T, "OrganizationDivision": T,
    "SoldToParty": T, "CreationDate": datetime, "CreatedByUser": T, "LastChangeDate": datetime,
    "LastChangeDateTime": datetime, "PurchaseOrderByCustomer": T, "SalesOrderDate": datetime, "TotalNetAmount": T,
    "TransactionCurrency": T, "RequestedDeliveryDate": datetime, "OverallSDProcessStatus": T,
    "OverallTotalDeliveryStatus": T, "OverallSDDocumentRejectionSts": T,
}  # fmt: skip
SALES_ITEM: Final[Mapping[str, type]] = {
    "SalesOrder": T, "SalesOrderItem": T, "HigherLevelItem": T, "SalesOrderItemText": T, "Material": T,
    "RequestedQuantity": Decimal, "RequestedQuantityUnit": T, "RequestedQuantitySAPUnit": T,
    "RequestedQuantityISOUnit": T, "NetAmount": T, "TransactionCurrency": T, "Batch": T, "ProductionPlant": T,
    "DeliveryStatus": T, "SDProcessStatus": T,
}  # fmt: skip
SCHEDULE: Final[Mapping[str, type]] = {
    "SalesOrder": T, "SalesOrderItem": T, "ScheduleLine": T, "RequestedDeliveryDate": datetime,
    "ConfirmedDeliveryDate": datetime, "OrderQuantityISOUnit": T, "ScheduleLineOrderQuantity": Decimal,
    "ConfdOrderQtyByMatlAvailCheck": Decimal,
}  # fmt: skip
SALES_PARTNER: Final[Mapping[str, type]] = {"SalesOrder": T, "PartnerFunction": T, "Customer": T, "Supplier": T}
PURCHASE_ORDER: Final[Mapping[str, type]] = {
    "PurchaseOrder": T, "CompanyCode": T, "PurchaseOrderType": T, "PurchasingDocumentDeletionCode": T,
    "PurchasingProcessingStatus": T, "CreationDate": datetime, "LastChangeDateTime": datetime, "Supplier": T,
    "PurchasingOrganization": T, "PurchaseOrderDate": datetime, "DocumentCurrency": T,
}  # fmt: skip
PURCHASE_ITEM: Final[Mapping[str, type]] = {
    "PurchaseOrder": T, "PurchaseOrderItem": T, "PurchasingDocumentDeletionCode": T, "PurchaseOrderItemText": T,
    "Material": T, "Plant": T, "StorageLocation": T, "OrderQuantity": Decimal, "PurchaseOrderQuantityUnit": T,
    "NetPriceAmount": T, "IsCompletelyDelivered": bool,
}  # fmt: skip
PURCHASE_SCHEDULE: Final[Mapping[str, type]] = {
    "PurchasingDocument": T, "PurchasingDocumentItem": T, "ScheduleLine": T, "PurchaseOrder": T,
    "PurchaseOrderItem": T, "ScheduleLineDeliveryDate": datetime, "ScheduleLineOrderQuantity": Decimal,
}  # fmt: skip
DELIVERY: Final[Mapping[str, type]] = {
    "DeliveryDocument": T, "DeliveryDocumentType": T, "SDDocumentCategory": T, "Shippinglocationtimezone": T,
    "ActualGoodsMovementDate": datetime, "CreationDate": datetime, "CreationTime": T, "DeliveryDate": datetime,
    "HeaderGrossWeight": Decimal, "HeaderNetWeight": Decimal, "HeaderWeightUnit": T, "LastChangeDate": datetime,
    "MeansOfTransport": T, "MeansOfTransportType": T, "OverallGoodsMovementStatus": T, "OverallPickingStatus": T,
    "OverallProofOfDeliveryStatus": T, "OverallSDProcessStatus": T, "PlannedGoodsIssueDate": datetime,
    "ShippingPoint": T, "ShipToParty": T, "SoldToParty": T,
}  # fmt: skip
DELIVERY_ITEM: Final[Mapping[str, type]] = {
    "DeliveryDocument": T, "DeliveryDocumentItem": T, "DeliveryDocumentItemText": T, "Material": T, "Batch": T,
    "Plant": T, "StorageLocation": T, "ActualDeliveryQuantity": Decimal, "DeliveryQuantityUnit": T,
    "ReferenceSDDocument": T, "ReferenceSDDocumentItem": T, "ReferenceSDDocumentCategory": T,
}  # fmt: skip
DELIVERY_PARTNER: Final[Mapping[str, type]] = {
    "SDDocument": T, "DeliveryDocument": T, "PartnerFunction": T, "Customer": T, "Supplier": T,
}  # fmt: skip
STOCK_KEY: Final = (
    "Material", "Plant", "StorageLocation", "Batch", "Supplier", "Customer", "WBSElementInternalID", "SDDocument",
    "SDDocumentItem", "InventorySpecialStockType", "InventoryStockType",
)  # fmt: skip
STOCK: Final[Mapping[str, type]] = {
    **dict.fromkeys(STOCK_KEY, str), "WBSElementExternalID": T, "MaterialBaseUnit": T,
    "MatlWrhsStkQtyInMatlBaseUnit": Decimal,
}  # fmt: skip
PRODUCT: Final[Mapping[str, type]] = {
    "Product": T, "ProductType": T, "CrossPlantStatus": T, "CreationDate": datetime, "LastChangeDate": datetime,
    "LastChangeDateTime": datetime, "IsMarkedForDeletion": bool, "GrossWeight": Decimal, "NetWeight": Decimal,
    "WeightUnit": T, "ProductGroup": T, "BaseUnit": T,
}  # fmt: skip
DESCRIPTION: Final[Mapping[str, type]] = {"Product": T, "Language": T, "ProductDescription": T}

PRODUCT_TYPES: Final = {
    "Product": "FERT", "Assembly": "HALB", "Design": "HALB", "Part": "HAWA", "Material": "ROH", "Tool": "FHMI",
}  # fmt: skip
STOCK_TYPES: Final = {"F2": "01", "Q4": "02", "B6": "07"}
LETTERS: Final = {"not_started": "A", "partial": "B", "complete": "C"}
CURRENCY: Final = "NGN"
ZONE: Final = "UTC+1"
STORAGE_LOCATION: Final = "171A"


def shown(number: str) -> str:
    """As OData shows it: without leading zeros."""
    return (number.lstrip("0") or number) if number.isdigit() else number


def plate(vehicle: str) -> str:
    """`KJA152CA` of the warehouse is `KJA-152CA` here."""
    return f"{vehicle[:3]}-{vehicle[3:]}"


def midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), time(), tzinfo=moment.tzinfo)


def price(item: Item) -> Decimal:
    """Of one unit."""
    return Decimal(Chance(f"price:{item.key}").between(500, 250_000)) / 100


@dataclass(frozen=True)
class SoldLine:
    number: str
    """Six digits."""
    parent: str
    item: Item
    quantity: Decimal
    amount: Decimal
    batch: str


@dataclass(frozen=True)
class StockRow:
    warehouse: str
    item: Item
    batch: str
    kind: str
    quantity: Decimal


class Books:
    """What this system shows of the world; `hidden` materials are those that clients asked to hide."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.outbound = [one for one in world.deliveries if one.direction == "outbound"]
        self.inbound = [one for one in world.deliveries if one.direction == "inbound"]

    # --- what all interfaces are made of

    def sold(self, one: Delivery) -> list[SoldLine]:
        """The lines of the sales order behind a delivery; every ninth order has free goods under its first line."""
        lines = [self._sold(line) for line in one.lines]
        if int(one.sales_order) % 9 == 0:
            first = lines[0]
            number = f"{int(lines[-1].number) + 10:06d}"
            lines.append(SoldLine(number, first.number, first.item, Decimal(1), Decimal(0), ""))
        return lines

    def _sold(self, line: DeliveryLine) -> SoldLine:
        item = self.world.item_by_key[line.item_key]
        amount = (price(item) * line.quantity).quantize(Decimal("0.01"))
        return SoldLine(f"{line.number:06d}", "", item, line.quantity, amount, line.batch)

    def masses(self, one: Delivery) -> tuple[Decimal, Decimal]:
        """Gross and net, kilograms."""
        net = sum((self.world.item_by_key[line.item_key].mass_kg * line.quantity for line in one.lines), Decimal(0))
        net = net.quantize(Decimal("0.001"))
        return (net * Decimal("1.05")).quantize(Decimal("0.001")), net

    def stocked(self) -> list[StockRow]:
        """The warehouse's bins added up per plant, batch and kind."""
        sums: defaultdict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
        for one in self.world.stock:
            sums[one.warehouse, one.item_key, one.batch, STOCK_TYPES[one.stock_type]] += one.quantity
        return [
            StockRow(warehouse, self.world.item_by_key[key], batch, kind, quantity)
            for (warehouse, key, batch, kind), quantity in sums.items()
        ]

    # --- OData

    def services(self) -> dict[str, dict[str, EntitySet]]:
        order = ("SalesOrder",)
        purchase = ("PurchaseOrder",)
        sales, buying, shipping = "API_SALES_ORDER_SRV.", "API_PURCHASEORDER_PROCESS_SRV.", "API_OUTBOUND_DELIVERY_SRV."
        sets = {
            "API_SALES_ORDER_SRV": [
                EntitySet(
                    "A_SalesOrder", sales + "A_SalesOrderType", order, SALES_ORDER, self.sales_orders,
                    {"to_Item": ("A_SalesOrderItem", order), "to_Partner": ("A_SalesOrderHeaderPartner", order)},
                ),
                EntitySet(
                    "A_SalesOrderItem", sales + "A_SalesOrderItemType", ("SalesOrder", "SalesOrderItem"), SALES_ITEM,
                    self.sales_items,
                    {"to_ScheduleLine": ("A_SalesOrderScheduleLine", ("SalesOrder", "SalesOrderItem"))},
                ),
                EntitySet(
                    "A_SalesOrderScheduleLine", sales + "A_SalesOrderScheduleLineType",
                    ("SalesOrder", "SalesOrderItem", "ScheduleLine"), SCHEDULE, self.schedule_lines,
                ),
                EntitySet(
                    "A_SalesOrderHeaderPartner", sales + "A_SalesOrderHeaderPartnerType",
                    ("SalesOrder", "PartnerFunction"), SALES_PARTNER, self.sales_partners,
                ),
            ],
            "API_PURCHASEORDER_PROCESS_SRV": [
                EntitySet(
                    "A_PurchaseOrder", buying + "A_PurchaseOrderType", purchase, PURCHASE_ORDER, self.purchase_orders,
                    {"to_PurchaseOrderItem": ("A_PurchaseOrderItem", purchase)},
                ),
                EntitySet(
                    "A_PurchaseOrderItem", buying + "A_PurchaseOrderItemType", ("PurchaseOrder", "PurchaseOrderItem"),
                    PURCHASE_ITEM, self.purchase_items,
                    {"to_ScheduleLine": ("A_PurchaseOrderScheduleLine", ("PurchaseOrder", "PurchaseOrderItem"))},
                ),
                EntitySet(
                    "A_PurchaseOrderScheduleLine", buying + "A_PurchaseOrderScheduleLineType",
                    ("PurchasingDocument", "PurchasingDocumentItem", "ScheduleLine"), PURCHASE_SCHEDULE,
                    self.purchase_schedules,
                ),
            ],
            "API_OUTBOUND_DELIVERY_SRV;v=0002": [
                EntitySet(
                    "A_OutbDeliveryHeader", shipping + "A_OutbDeliveryHeaderType", ("DeliveryDocument",), DELIVERY,
                    self.deliveries,
                    {
                        "to_DeliveryDocumentItem": ("A_OutbDeliveryItem", ("DeliveryDocument",)),
                        "to_DeliveryDocumentPartner": ("A_OutbDeliveryPartner", ("DeliveryDocument",)),
                    },
                ),
                EntitySet(
                    "A_OutbDeliveryItem", shipping + "A_OutbDeliveryItemType",
                    ("DeliveryDocument", "DeliveryDocumentItem"), DELIVERY_ITEM, self.delivery_items,
                ),
                EntitySet(
                    "A_OutbDeliveryPartner", shipping + "A_OutbDeliveryPartnerType", ("PartnerFunction", "SDDocument"),
                    DELIVERY_PARTNER, self.delivery_partners,
                ),
            ],
            "API_MATERIAL_STOCK_SRV": [
                EntitySet(
                    "A_MatlStkInAcctMod", "API_MATERIAL_STOCK_SRV.A_MatlStkInAcctModType", STOCK_KEY, STOCK, self.stock
                ),
            ],
            "API_PRODUCT_SRV": [
                EntitySet(
                    "A_Product", "API_PRODUCT_SRV.A_ProductType", ("Product",), PRODUCT, self.products,
                    {"to_Description": ("A_ProductDescription", ("Product",))},
                ),
                EntitySet(
                    "A_ProductDescription", "API_PRODUCT_SRV.A_ProductDescriptionType", ("Product", "Language"),
                    DESCRIPTION, self.descriptions,
                ),
            ],
        }  # fmt: skip
        return {service: {one.name: one for one in found} for service, found in sets.items()}

    def services_v4(self) -> dict[str, EntitySet]:
        """The V4 successor of the sales orders: the same rows under the newer names."""
        kind = "com.sap.gateway.srvd_a2x.api_salesorder.v0001."
        item = {("Product" if name == "Material" else name): type_ for name, type_ in SALES_ITEM.items()}
        order, line = ("SalesOrder",), ("SalesOrder", "SalesOrderItem")
        sets = [
            EntitySet(
                "SalesOrder", kind + "SalesOrderType", order, SALES_ORDER, self.sales_orders,
                {"_Item": ("SalesOrderItem", order), "_Partner": ("SalesOrderPartner", order)},
            ),
            EntitySet(
                "SalesOrderItem", kind + "SalesOrderItemType", line, item,
                lambda: ({**row, "Product": row["Material"]} for row in self.sales_items()),
                {"_ScheduleLine": ("SalesOrderScheduleLine", line)},
            ),
            EntitySet(
                "SalesOrderScheduleLine", kind + "SalesOrderScheduleLineType", (*line, "ScheduleLine"), SCHEDULE,
                self.schedule_lines,
            ),
            EntitySet(
                "SalesOrderPartner", kind + "SalesOrderPartnerType", ("SalesOrder", "PartnerFunction"), SALES_PARTNER,
                self.sales_partners,
            ),
        ]  # fmt: skip
        return {one.name: one for one in sets}

    def sales_orders(self) -> Iterable[Row]:
        now = self.world.now()
        for one in self.outbound:
            state = one.state_at(now)
            created = midnight(state.created_at)
            yield {
                "SalesOrder": shown(one.sales_order),
                "SalesOrderType": "OR",
                "SalesOrganization": "1710",
                "DistributionChannel": "10",
                "OrganizationDivision": "00",
                "SoldToParty": shown(one.partner),
                "CreationDate": created,
                "CreatedByUser": "CB9980000001",
                "LastChangeDate": midnight(state.changed_at),
                "LastChangeDateTime": state.changed_at.replace(microsecond=0),
                "PurchaseOrderByCustomer": customer_reference(one),
                "SalesOrderDate": created,
                "TotalNetAmount": str(sum((line.amount for line in self.sold(one)), Decimal(0))),
                "TransactionCurrency": CURRENCY,
                "RequestedDeliveryDate": midnight(state.planned_at),
                "OverallSDProcessStatus": LETTERS[state.completion],
                "OverallTotalDeliveryStatus": LETTERS[state.goods_moved],
                "OverallSDDocumentRejectionSts": "C" if rejected(one) else "A",
            }

    def sales_items(self) -> Iterable[Row]:
        now = self.world.now()
        for one in self.outbound:
            state = one.state_at(now)
            for line in self.sold(one):
                yield {
                    "SalesOrder": shown(one.sales_order),
                    "SalesOrderItem": shown(line.number),
                    "HigherLevelItem": shown(line.parent) or "0",
                    "SalesOrderItemText": line.item.name,
                    "Material": shown(line.item.sap_number),
                    "RequestedQuantity": line.quantity,
                    "RequestedQuantityUnit": "PC" if line.item.unit == "EA" else SAP_UNITS[line.item.unit],
                    "RequestedQuantitySAPUnit": SAP_UNITS[line.item.unit],
                    "RequestedQuantityISOUnit": ISO_UNITS[line.item.unit],
                    "NetAmount": str(line.amount),
                    "TransactionCurrency": CURRENCY,
                    "Batch": line.batch,
                    "ProductionPlant": one.warehouse,
                    "DeliveryStatus": LETTERS[state.goods_moved],
                    "SDProcessStatus": LETTERS[state.completion],
                }

    def schedule_lines(self) -> Iterable[Row]:
        """What was asked for, and in a row of its own what was promised: a day later, all of it."""
        now = self.world.now()
        for one in self.outbound:
            state = one.state_at(now)
            for line in self.sold(one):
                asked, nothing = midnight(state.planned_at), Decimal(0)
                for number, day, promised, wanted, confirmed in (
                    ("1", asked, None, line.quantity, nothing),
                    ("2", asked + timedelta(days=1), asked + timedelta(days=1), nothing, line.quantity),
                ):
                    yield {
                        "SalesOrder": shown(one.sales_order),
                        "SalesOrderItem": shown(line.number),
                        "ScheduleLine": number,
                        "RequestedDeliveryDate": day,
                        "ConfirmedDeliveryDate": promised,
                        "OrderQuantityISOUnit": ISO_UNITS[line.item.unit],
                        "ScheduleLineOrderQuantity": wanted,
                        "ConfdOrderQtyByMatlAvailCheck": confirmed,
                    }

    def sales_partners(self) -> Iterable[Row]:
        for one in self.outbound:
            for function, customer in (("SP", one.partner), ("SH", ship_to(one))):
                yield {
                    "SalesOrder": shown(one.sales_order),
                    "PartnerFunction": function,
                    "Customer": shown(customer),
                    "Supplier": "",
                }

    def purchase_orders(self) -> Iterable[Row]:
        now = self.world.now()
        for one in self.inbound:
            state = one.state_at(now)
            created = midnight(state.created_at)
            yield {
                "PurchaseOrder": shown(one.sales_order),
                "CompanyCode": "1710",
                "PurchaseOrderType": "NB",
                "PurchasingDocumentDeletionCode": "",
                "PurchasingProcessingStatus": "05",
                "CreationDate": created,
                "LastChangeDateTime": state.changed_at.replace(microsecond=0),
                "Supplier": shown(one.partner),
                "PurchasingOrganization": "1710",
                "PurchaseOrderDate": created,
                "DocumentCurrency": CURRENCY,
            }

    def purchase_items(self) -> Iterable[Row]:
        now = self.world.now()
        for one in self.inbound:
            received = one.state_at(now).goods_moved == "complete"
            for line in one.lines:
                item = self.world.item_by_key[line.item_key]
                yield {
                    "PurchaseOrder": shown(one.sales_order),
                    "PurchaseOrderItem": str(line.number),
                    "PurchasingDocumentDeletionCode": "",
                    "PurchaseOrderItemText": item.name,
                    "Material": shown(item.sap_number),
                    "Plant": one.warehouse,
                    "StorageLocation": STORAGE_LOCATION,
                    "OrderQuantity": line.quantity,
                    "PurchaseOrderQuantityUnit": SAP_UNITS[line.unit],
                    "NetPriceAmount": str(price(item)),
                    "IsCompletelyDelivered": received,
                }

    def purchase_schedules(self) -> Iterable[Row]:
        now = self.world.now()
        for one in self.inbound:
            planned = midnight(one.state_at(now).planned_at)
            for line in one.lines:
                yield {
                    "PurchasingDocument": shown(one.sales_order),
                    "PurchasingDocumentItem": str(line.number),
                    "ScheduleLine": "1",
                    "PurchaseOrder": shown(one.sales_order),
                    "PurchaseOrderItem": str(line.number),
                    "ScheduleLineDeliveryDate": planned,
                    "ScheduleLineOrderQuantity": line.quantity,
                }

    def deliveries(self) -> Iterable[Row]:
        now = self.world.now()
        for one in self.outbound:
            state = one.state_at(now)
            local = state.created_at + timedelta(hours=1)
            gross, net = self.masses(one)
            yield {
                "DeliveryDocument": shown(one.number),
                "DeliveryDocumentType": "LF",
                "SDDocumentCategory": "J",
                "Shippinglocationtimezone": ZONE,
                "ActualGoodsMovementDate": midnight(state.goods_moved_at) if state.goods_moved_at else None,
                "CreationDate": midnight(local),
                "CreationTime": f"PT{local:%H}H{local:%M}M{local:%S}S",
                "DeliveryDate": midnight(state.planned_at + timedelta(days=1)),
                "HeaderGrossWeight": gross,
                "HeaderNetWeight": net,
                "HeaderWeightUnit": "KG",
                "LastChangeDate": midnight(state.changed_at) if state.changed_at > state.created_at else None,
                "MeansOfTransport": plate(one.vehicle),
                "MeansOfTransportType": "0003",
                "OverallGoodsMovementStatus": LETTERS[state.goods_moved],
                "OverallPickingStatus": LETTERS[state.picking],
                "OverallProofOfDeliveryStatus": "",
                "OverallSDProcessStatus": LETTERS[state.completion],
                "PlannedGoodsIssueDate": midnight(state.planned_at),
                "ShippingPoint": one.warehouse,
                "ShipToParty": shown(ship_to(one)),
                "SoldToParty": shown(one.partner),
            }

    def delivery_items(self) -> Iterable[Row]:
        for one in self.outbound:
            for line in one.lines:
                item = self.world.item_by_key[line.item_key]
                yield {
                    "DeliveryDocument": shown(one.number),
                    "DeliveryDocumentItem": str(line.number),
                    "DeliveryDocumentItemText": item.name,
                    "Material": shown(item.sap_number),
                    "Batch": line.batch,
                    "Plant": one.warehouse,
                    "StorageLocation": STORAGE_LOCATION,
                    "ActualDeliveryQuantity": line.quantity,
                    "DeliveryQuantityUnit": SAP_UNITS[line.unit],
                    "ReferenceSDDocument": shown(one.sales_order),
                    "ReferenceSDDocumentItem": f"{line.number:06d}",
                    "ReferenceSDDocumentCategory": "C",
                }

    def delivery_partners(self) -> Iterable[Row]:
        for one in self.outbound:
            for function, customer, supplier in (
                ("SP", one.partner, ""),
                ("SH", ship_to(one), ""),
                ("CR", "", one.carrier),
            ):
                yield {
                    "SDDocument": shown(one.number),
                    "DeliveryDocument": shown(one.number),
                    "PartnerFunction": function,
                    "Customer": shown(customer),
                    "Supplier": shown(supplier),
                }

    def stock(self) -> Iterable[Row]:
        for one in self.stocked():
            yield {
                "Material": shown(one.item.sap_number),
                "Plant": one.warehouse,
                "StorageLocation": STORAGE_LOCATION,
                "Batch": one.batch,
                "Supplier": "",
                "Customer": "",
                "WBSElementInternalID": "00000000",
                "SDDocument": "",
                "SDDocumentItem": "0",
                "InventorySpecialStockType": "",
                "InventoryStockType": one.kind,
                "WBSElementExternalID": "",
                "MaterialBaseUnit": SAP_UNITS[one.item.unit],
                "MatlWrhsStkQtyInMatlBaseUnit": one.quantity,
            }

    def products(self) -> Iterable[Row]:
        for item in self.world.items:
            yield {
                "Product": shown(item.sap_number),
                "ProductType": PRODUCT_TYPES[item.object_type],
                "CrossPlantStatus": "",
                "CreationDate": midnight(item.created_at),
                "LastChangeDate": midnight(item.modified_at),
                "LastChangeDateTime": item.modified_at.replace(microsecond=0),
                "IsMarkedForDeletion": False,
                "GrossWeight": item.mass_kg,
                "NetWeight": item.mass_kg,
                "WeightUnit": "KG",
                "ProductGroup": "L001",
                "BaseUnit": SAP_UNITS[item.unit],
            }

    def descriptions(self) -> Iterable[Row]:
        for item in self.world.items:
            yield {"Product": shown(item.sap_number), "Language": "DE", "ProductDescription": f"{item.name} (DE)"}
            yield {"Product": shown(item.sap_number), "Language": "EN", "ProductDescription": item.name}


def customer_reference(one: Delivery) -> str:
    """Every tenth order came without one."""
    number = int(one.sales_order)
    return "" if number % 10 == 0 else f"PO-{50_000 + number}"


def rejected(one: Delivery) -> bool:
    return int(one.sales_order) % 40 == 3


def ship_to(one: Delivery) -> str:
    """Some have the goods sent to a site of theirs: the next partner number."""
    number = int(one.partner)
    return f"{number + 100:010d}" if int(one.sales_order) % 4 == 1 else one.partner


def as_text(value: Any) -> str:
    """A value as the SOAP gateway and IDocs write it: dates YYYY-MM-DD, quantities with three decimals."""
    if isinstance(value, Decimal):
        return f"{value:.3f}"
    if isinstance(value, datetime):
        return value.date().isoformat()
    return "X" if value is True else "" if value in (None, False) else str(value)
