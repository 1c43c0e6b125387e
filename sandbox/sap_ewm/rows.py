"""The world as entity sets: names, keys and types of SAP's services, spelt as each of them spells things.

Deliveries keep the zeros of their numbers and drop those of products; warehouse orders and tasks drop the zeros of
orders and deliveries and keep those of products; stock (V4) keeps the zeros of products.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sandbox.sap_ewm.query import Row
from sandbox.world import ISO_UNITS, SAP_UNITS, Delivery, DeliveryLine, World

VEHICLE_FIELD: Final = "YY1_TruckPlate_DLV"
"""The released services have no field for the truck: this one is a key user's extension of the sandbox."""

_STATUS_NAMES: Final = {"": "Open", "D": "In Process", "C": "Confirmed", "A": "Canceled"}
_PROGRESS: Final = {"not_started": "1", "partial": "2", "complete": "9"}


@dataclass(frozen=True)
class EntitySet:
    """`rows` are made anew for each request, since the world moves."""

    name: str
    entity_type: str
    keys: tuple[str, ...]
    columns: Mapping[str, type]
    rows: Callable[[], Iterable[Row]]
    expands: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Navigation property → (entity set, common key fields)."""


T: Final = str
ORDER: Final[Mapping[str, type]] = {
    "Warehouse": T, "WarehouseOrder": T, "WarehouseOrderStatus": T, "WarehouseOrderStatusName": T,
    "CreationDateTime": datetime, "WarehouseOrderStartDateTime": datetime, "WhseOrderConfirmedDateTime": datetime,
    "LastChangeDateTime": datetime, "WhseOrderLatestStartDateTime": datetime, "ExecutingResource": T,
}  # fmt: skip
TASK: Final[Mapping[str, type]] = {
    "Warehouse": T, "WarehouseTask": T, "WarehouseTaskItem": T, "WarehouseOrder": T, "CreationDateTime": datetime,
    "LastChangeDateTime": datetime, "ConfirmationUTCDateTime": datetime, "WarehouseTaskStatus": T,
    "WarehouseTaskStatusName": T, "IsHandlingUnitWarehouseTask": bool, "ProductName": T, "ProductDescription": T,
    "Batch": T, "StockType": T, "ExecutingResource": T, "Delivery": T, "DeliveryItem": T, "BaseUnit": T,
    "EWMBaseUnitISOCode": T, "TargetQuantityInBaseUnit": Decimal, "ActualQuantityInBaseUnit": Decimal,
    "DifferenceQuantityInBaseUnit": Decimal, "SourceStorageType": T, "SourceStorageBin": T,
    "DestinationStorageType": T, "DestinationStorageBin": T, "SourceHandlingUnit": T, "DestinationHandlingUnit": T,
    "WarehouseTaskExceptionCode": T,
}  # fmt: skip
BIN: Final[Mapping[str, type]] = {
    "Warehouse": T, "StorageBin": T, "StorageType": T, "StorageBinIsEmpty": bool, "StorageBinIsFull": bool,
    "StorageBinIsBlockedForRemoval": bool, "StorageBinIsBlockedForPutaway": bool,
    "StorageBinFreeDefinedAisleText": T, "StorageBinFreeDefinedStackText": T, "StorageBinFreeDefinedLevelText": T,
    "WeightUnit": T, "LoadCapacityOfStorageBin": Decimal, "VolumeUnit": T, "StorageBinMaxVolume": Decimal,
    "StorageBinRowPositionInWhse": Decimal, "StorageBinStackPositionInWhse": Decimal,
    "StorageBinLevelPositionInWhse": Decimal, "EWMStorageBinLastChgDateTime": datetime,
}  # fmt: skip
OUTBOUND_HEAD: Final[Mapping[str, type]] = {
    "OutboundDeliveryOrder": T, "Warehouse": T, "DeliveryCategory": T, "DeliveryType": T, "ShipToParty": T,
    "ShipToPartyName": T, "Carrier": T, "CarrierName": T, "PlannedDeliveryUTCDateTime": datetime,
    "LastChangeDateTime": datetime, VEHICLE_FIELD: T,
}  # fmt: skip
OUTBOUND_ITEM: Final[Mapping[str, type]] = {
    "OutboundDeliveryOrder": T, "OutboundDeliveryOrderItem": T, "Warehouse": T, "Product": T, "ProductBatch": T,
    "ProductQuantity": Decimal, "QuantityUnit": T, "GoodsIssueStatus": T, "PickingStatus": T,
    "CompletionStatus": T, "LastChangeDateTime": datetime, "PlndGoodsIssueStartUTCDateTime": datetime,
    "ActlGoodsIssueStartUTCDateTime": datetime, "SalesOrder": T, "SalesOrderItem": T,
}  # fmt: skip
INBOUND_HEAD: Final[Mapping[str, type]] = {
    "InboundDelivery": T, "Warehouse": T, "DeliveryCategory": T, "DeliveryType": T, "ShipFromParty": T,
    "ShipFromPartyName": T, "Carrier": T, "CarrierName": T, "PlannedDeliveryUTCDateTime": datetime,
    "LastChangeDateTime": datetime, VEHICLE_FIELD: T,
}  # fmt: skip
INBOUND_ITEM: Final[Mapping[str, type]] = {
    "InboundDelivery": T, "InboundDeliveryItem": T, "Warehouse": T, "Product": T, "ProductBatch": T,
    "ProductQuantity": Decimal, "QuantityUnit": T, "GoodsReceiptStatus": T, "PutawayStatus": T,
    "CompletionStatus": T, "LastChangeDateTime": datetime, "PurchasingDocument": T, "PurchasingDocumentItem": T,
}  # fmt: skip
STOCK_KEYS: Final = (
    "EWMWarehouse", "Product", "Batch", "EWMStockOwner", "EntitledToDisposeParty", "EWMStockType", "EWMStockUsage",
    "StockDocumentCategory", "EWMDocumentCategory", "WBSElementExternalID", "SpecialStockIdfgSalesOrder",
    "SpecialStockIdfgSalesOrderItem", "HandlingUnitExternalID", "EWMStorageBin", "EWMResource",
)  # fmt: skip
STOCK: Final[Mapping[str, type]] = {
    **dict.fromkeys(STOCK_KEYS, str), "WBSElementInternalID": T, "EWMStorageType": T, "AvailableEWMStockQty": Decimal,
    "EWMStockQuantityBaseUnit": T, "StockKeepingAlternativeUoM": T, "GoodsReceiptUTCDateTime": datetime,
    "ShelfLifeExpirationDate": date, "EWMStockIsBlockedForInventory": bool, "EWMBatchIsInRestrictedUseStock": bool,
}  # fmt: skip


def seconds(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(microsecond=0)


def _plain(number: str) -> str:
    return (number.lstrip("0") or number) if number.isdigit() else number


class House:
    """What one EWM system shows of the world."""

    def __init__(self, world: World, system: str) -> None:
        self._world = world
        self.warehouses = world.warehouses(system)
        self.assigned: dict[tuple[str, str], str] = {}
        """Resources that clients assigned to warehouse orders."""

    def services(self) -> dict[str, dict[str, EntitySet]]:
        """V2 service → its entity sets."""
        order_task = "cds_api_warehouse_order_task."
        outbound, inbound = "cds_api_whse_outb_delivery_order.", "cds_api_whse_inbound_delivery."
        sets = {
            "API_WAREHOUSE_ORDER_TASK": [
                EntitySet(
                    "WarehouseOrder", order_task + "WarehouseOrderType", ("Warehouse", "WarehouseOrder"), ORDER,
                    self.orders, {"to_WarehouseTask": ("WarehouseTask", ("Warehouse", "WarehouseOrder"))},
                ),
                EntitySet(
                    "WarehouseTask", order_task + "WarehouseTaskType",
                    ("Warehouse", "WarehouseTask", "WarehouseTaskItem"), TASK, self.tasks,
                ),
            ],
            "API_WAREHOUSE_STORAGE_BIN": [
                EntitySet(
                    "WarehouseStorageBin", "cds_api_warehouse_storage_bin.WarehouseStorageBinType",
                    ("Warehouse", "StorageBin"), BIN, self.bins,
                ),
            ],
            "API_WHSE_OUTB_DLV_ORDER": [
                EntitySet(
                    "WhseOutboundDeliveryOrderHead", outbound + "WhseOutboundDeliveryOrderHeadType",
                    ("OutboundDeliveryOrder",), OUTBOUND_HEAD, self.outbound_heads,
                    {"to_WhseOutboundDeliveryOrderItem": ("WhseOutboundDeliveryOrderItem", ("OutboundDeliveryOrder",))},
                ),
                EntitySet(
                    "WhseOutboundDeliveryOrderItem", outbound + "WhseOutboundDeliveryOrderItemType",
                    ("OutboundDeliveryOrder", "OutboundDeliveryOrderItem"), OUTBOUND_ITEM, self.outbound_items,
                ),
            ],
            "API_WHSE_INBOUND_DELIVERY": [
                EntitySet(
                    "WhseInboundDeliveryHead", inbound + "WhseInboundDeliveryHeadType", ("InboundDelivery",),
                    INBOUND_HEAD, self.inbound_heads,
                    {"to_WhseInboundDeliveryItem": ("WhseInboundDeliveryItem", ("InboundDelivery",))},
                ),
                EntitySet(
                    "WhseInboundDeliveryItem", inbound + "WhseInboundDeliveryItemType",
                    ("InboundDelivery", "InboundDeliveryItem"), INBOUND_ITEM, self.inbound_items,
                ),
            ],
        }  # fmt: skip
        return {service: {one.name: one for one in found} for service, found in sets.items()}

    def stock_service(self) -> dict[str, EntitySet]:
        kind = "com.sap.gateway.srvd_a2x.api_whse_availablestock.v0001.WarehouseAvailableStockType"
        return {"WarehouseAvailableStock": EntitySet("WarehouseAvailableStock", kind, STOCK_KEYS, STOCK, self.stock)}

    def orders(self) -> Iterable[Row]:
        now = self._world.now()
        for one in self._world.warehouse_orders:
            if one.warehouse not in self.warehouses:
                continue
            state = one.state_at(now)
            if state.created_at > now:
                continue
            number = _plain(one.number)
            working = one.resource if state.status else ""
            yield {
                "Warehouse": one.warehouse,
                "WarehouseOrder": number,
                "WarehouseOrderStatus": state.status,
                "WarehouseOrderStatusName": _STATUS_NAMES[state.status],
                "CreationDateTime": seconds(state.created_at),
                "WarehouseOrderStartDateTime": seconds(state.started_at),
                "WhseOrderConfirmedDateTime": seconds(state.confirmed_at),
                "LastChangeDateTime": seconds(state.changed_at),
                "WhseOrderLatestStartDateTime": seconds(state.created_at + timedelta(hours=10)),
                "ExecutingResource": self.assigned.get((one.warehouse, number), working),
            }

    def tasks(self) -> Iterable[Row]:
        now = self._world.now()
        for one in self._world.tasks:
            if one.warehouse not in self.warehouses:
                continue
            state, item = one.state_at(now), self._world.item_by_key[one.item_key]
            if state.created_at > now:
                continue
            yield {
                "Warehouse": one.warehouse,
                "WarehouseTask": one.number,
                "WarehouseTaskItem": "1",
                "WarehouseOrder": _plain(one.order),
                "CreationDateTime": seconds(state.created_at),
                "LastChangeDateTime": seconds(state.changed_at),
                "ConfirmationUTCDateTime": seconds(state.confirmed_at) if state.status == "C" else None,
                "WarehouseTaskStatus": state.status,
                "WarehouseTaskStatusName": _STATUS_NAMES[state.status],
                "IsHandlingUnitWarehouseTask": False,
                "ProductName": item.sap_number,
                "ProductDescription": item.name,
                "Batch": one.batch,
                "StockType": one.stock_type,
                "ExecutingResource": one.resource if state.status else "",
                "Delivery": _plain(one.delivery.number),
                "DeliveryItem": f"{one.line:06d}",
                "BaseUnit": SAP_UNITS[one.unit],
                "EWMBaseUnitISOCode": ISO_UNITS[one.unit],
                "TargetQuantityInBaseUnit": one.quantity,
                "ActualQuantityInBaseUnit": state.quantity,
                "DifferenceQuantityInBaseUnit": Decimal(0),
                "SourceStorageType": one.source_type,
                "SourceStorageBin": one.source_bin,
                "DestinationStorageType": one.destination_type,
                "DestinationStorageBin": one.destination_bin,
                "SourceHandlingUnit": "",
                "DestinationHandlingUnit": "",
                "WarehouseTaskExceptionCode": "",
            }

    def bins(self) -> Iterable[Row]:
        for one in self._world.bins:
            if one.warehouse in self.warehouses:
                yield {
                    "Warehouse": one.warehouse,
                    "StorageBin": one.id,
                    "StorageType": one.storage_type,
                    "StorageBinIsEmpty": one.empty,
                    "StorageBinIsFull": one.full,
                    "StorageBinIsBlockedForRemoval": one.blocked_removal,
                    "StorageBinIsBlockedForPutaway": one.blocked_putaway,
                    "StorageBinFreeDefinedAisleText": one.aisle and one.aisle.rjust(18),
                    "StorageBinFreeDefinedStackText": one.stack and one.stack.rjust(18),
                    "StorageBinFreeDefinedLevelText": one.level and one.level.rjust(18),
                    "WeightUnit": "KG",
                    "LoadCapacityOfStorageBin": one.max_weight_kg,
                    "VolumeUnit": "M3",
                    "StorageBinMaxVolume": one.max_volume_m3,
                    "StorageBinRowPositionInWhse": Decimal(one.x_mm),
                    "StorageBinStackPositionInWhse": Decimal(one.y_mm),
                    "StorageBinLevelPositionInWhse": Decimal(one.z_mm),
                    "EWMStorageBinLastChgDateTime": seconds(one.changed_at),
                }

    def stock(self) -> Iterable[Row]:
        types = {(one.warehouse, one.id): one.storage_type for one in self._world.bins}
        for one in self._world.stock:
            if one.warehouse in self.warehouses:
                item = self._world.item_by_key[one.item_key]
                yield {
                    **dict.fromkeys(STOCK_KEYS, ""),
                    "EWMWarehouse": one.warehouse,
                    "Product": item.sap_number,
                    "Batch": one.batch,
                    "EWMStockOwner": f"BP{one.warehouse}",
                    "EntitledToDisposeParty": f"BP{one.warehouse}",
                    "EWMStockType": one.stock_type,
                    "EWMStorageBin": one.bin_id,
                    "WBSElementInternalID": "00000000",
                    "EWMStorageType": types[one.warehouse, one.bin_id],
                    "AvailableEWMStockQty": one.quantity,
                    "EWMStockQuantityBaseUnit": SAP_UNITS[one.unit],
                    "StockKeepingAlternativeUoM": "",
                    "GoodsReceiptUTCDateTime": seconds(one.received_at),
                    "ShelfLifeExpirationDate": one.expires_at.date() if one.expires_at else None,
                    "EWMStockIsBlockedForInventory": False,
                    "EWMBatchIsInRestrictedUseStock": False,
                }

    def _deliveries(self, direction: str) -> Iterable[Delivery]:
        return (
            one for one in self._world.deliveries if one.direction == direction and one.warehouse in self.warehouses
        )

    def outbound_heads(self) -> Iterable[Row]:
        for one in self._deliveries("outbound"):
            yield {
                "OutboundDeliveryOrder": one.number,
                "DeliveryCategory": "PDO",
                "DeliveryType": "OUTB",
                "ShipToParty": one.partner,
                "ShipToPartyName": one.partner_name,
                **self._head(one),
            }

    def inbound_heads(self) -> Iterable[Row]:
        for one in self._deliveries("inbound"):
            yield {
                "InboundDelivery": one.number,
                "DeliveryCategory": "PDI",
                "DeliveryType": "INB",
                "ShipFromParty": one.partner,
                "ShipFromPartyName": one.partner_name,
                **self._head(one),
            }

    def _head(self, one: Delivery) -> dict[str, Any]:
        state = one.state_at(self._world.now())
        return {
            "Warehouse": one.warehouse,
            "Carrier": one.carrier,
            "CarrierName": one.carrier_name,
            "PlannedDeliveryUTCDateTime": seconds(state.planned_at),
            "LastChangeDateTime": seconds(state.changed_at),
            VEHICLE_FIELD: one.vehicle,
        }

    def outbound_items(self) -> Iterable[Row]:
        now = self._world.now()
        for one in self._deliveries("outbound"):
            state = one.state_at(now)
            for line in one.lines:
                yield {
                    "OutboundDeliveryOrder": one.number,
                    "OutboundDeliveryOrderItem": str(line.number),
                    **self._item(one, line),
                    "GoodsIssueStatus": _PROGRESS[state.goods_moved],
                    "PickingStatus": _PROGRESS[state.picking],
                    "CompletionStatus": _PROGRESS[state.completion],
                    "LastChangeDateTime": seconds(state.changed_at),
                    "PlndGoodsIssueStartUTCDateTime": seconds(state.planned_at),
                    "ActlGoodsIssueStartUTCDateTime": seconds(state.goods_moved_at),
                    "SalesOrder": one.sales_order,
                    "SalesOrderItem": f"{line.number:06d}",
                }

    def inbound_items(self) -> Iterable[Row]:
        now = self._world.now()
        for one in self._deliveries("inbound"):
            state = one.state_at(now)
            for line in one.lines:
                yield {
                    "InboundDelivery": one.number,
                    "InboundDeliveryItem": str(line.number),
                    **self._item(one, line),
                    "GoodsReceiptStatus": _PROGRESS[state.goods_moved],
                    "PutawayStatus": _PROGRESS[state.picking],
                    "CompletionStatus": _PROGRESS[state.completion],
                    "LastChangeDateTime": seconds(state.changed_at),
                    "PurchasingDocument": one.sales_order,
                    "PurchasingDocumentItem": f"{line.number:05d}",
                }

    def _item(self, one: Delivery, line: DeliveryLine) -> dict[str, Any]:
        return {
            "Warehouse": one.warehouse,
            "Product": _plain(self._world.item_by_key[line.item_key].sap_number),
            "ProductBatch": line.batch,
            "ProductQuantity": line.quantity,
            "QuantityUnit": SAP_UNITS[line.unit],
        }
