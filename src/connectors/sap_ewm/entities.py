"""Where each kind of row is, its key, and what the service sorts it by."""

import msgspec

from connectors.kit.odata import Column
from connectors.sap_ewm import wire

ORDER_TASK = "/API_WAREHOUSE_ORDER_TASK"
WAREHOUSE_ORDERS = ORDER_TASK + "/WarehouseOrder"
WAREHOUSE_TASKS = ORDER_TASK + "/WarehouseTask"
STORAGE_BINS = "/API_WAREHOUSE_STORAGE_BIN/WarehouseStorageBin"
STOCK = "/api_whse_availablestock/srvd_a2x/sap/warehouseavailablestock/0001/WarehouseAvailableStock"

ORDER_COLUMNS = {
    "number": Column("WarehouseOrder"),
    "warehouse": Column("Warehouse"),
    "updated_at": Column("LastChangeDateTime"),
    "created_at": Column("CreationDateTime"),
    "started_at": Column("WarehouseOrderStartDateTime", may_be_empty=True),
    "confirmed_at": Column("WhseOrderConfirmedDateTime", may_be_empty=True),
    "latest_start_at": Column("WhseOrderLatestStartDateTime", may_be_empty=True),
    "resource": Column("ExecutingResource", may_be_empty=True),
}
TASK_COLUMNS = {
    "number": Column("WarehouseTask"),
    "item_position": Column("WarehouseTaskItem"),
    "warehouse": Column("Warehouse"),
    "updated_at": Column("LastChangeDateTime"),
    "warehouse_order_number": Column("WarehouseOrder", may_be_empty=True),
    "item_number": Column("ProductName", may_be_empty=True),
    "batch": Column("Batch", may_be_empty=True),
    "from_location": Column("SourceStorageBin", may_be_empty=True),
    "to_location": Column("DestinationStorageBin", may_be_empty=True),
    "resource": Column("ExecutingResource", may_be_empty=True),
    "order_number": Column("Delivery", may_be_empty=True),
    "confirmed_at": Column("ConfirmationUTCDateTime", may_be_empty=True),
}
BIN_COLUMNS = {
    "code": Column("StorageBin"),
    "warehouse": Column("Warehouse"),
    "zone": Column("StorageType", may_be_empty=True),
    "updated_at": Column("EWMStorageBinLastChgDateTime", may_be_empty=True),
}
STOCK_COLUMNS = {
    "item_number": Column("Product"),
    "warehouse": Column("EWMWarehouse"),
    "location": Column("EWMStorageBin", may_be_empty=True),
    "batch": Column("Batch", may_be_empty=True),
    "handling_unit": Column("HandlingUnitExternalID", may_be_empty=True),
    "received_at": Column("GoodsReceiptUTCDateTime", may_be_empty=True),
    "expires_on": Column("ShelfLifeExpirationDate", may_be_empty=True),
}
STOCK_KEY = tuple(field.encode_name for field in msgspec.structs.fields(wire.AvailableStock))[: len(wire.STOCK_KEY)]
ORDER_KEY = "Warehouse,WarehouseOrder"
TASK_KEY = "Warehouse,WarehouseTask,WarehouseTaskItem"
BIN_KEY = "Warehouse,StorageBin"
"""The services' keys as `$orderby` takes them."""
