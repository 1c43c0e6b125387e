"""Records: what every vendor's data becomes. Immutable, vendor-neutral, no graph field.

`Record.id` is the finished global id: it is made from the source when the record is made, so that a
connector cannot get it wrong. Times are aware UTC, ids and numbers of things are text, quantities `Decimal`.
Fields that end in `_number`, `_plate`, `_key` hold the vendor's own spelling of a thing that other systems
know too; `unified.keys` makes them equal.
"""

from unified.records.base import Connectivity, Kind, Record, Source
from unified.records.bookings import Booking, BookingStatus, CancelledBy, Driver, PriceEstimate
from unified.records.equipment import (
    Equipment,
    EquipmentAsset,
    EquipmentFault,
    EquipmentState,
    EquipmentType,
    FaultSeverity,
    Job,
    MachineMeters,
    Metered,
    ReadingQuality,
    SensorReading,
)
from unified.records.items import Bom, BomLine, Item, ItemType, WhereUsed
from unified.records.missions import (
    Affiliation,
    Dimension,
    Mission,
    MissionChange,
    MissionDocument,
    MissionState,
    Unit,
    UnitAlert,
)
from unified.records.orders import (
    InventoryBalance,
    Location,
    LocationKind,
    Order,
    OrderKind,
    OrderLine,
    OrderStatus,
    Progress,
    Shipment,
    ShipmentDirection,
    ShipmentLine,
    ShipmentStatus,
    StockStatus,
    TaskStatus,
    WarehouseOrder,
    WarehouseTask,
)
from unified.records.production import (
    EquipmentDelay,
    HaulCycle,
    MaintenanceAlert,
    ProductionRecord,
    WorkOrder,
    WorkOrderMaterial,
    WorkOrderOperation,
    WorkOrderStatus,
)
from unified.records.vehicles import Geofence, Vehicle, VehicleEvent, VehicleState

__all__ = [
    "BY_KIND",
    "RECORDS",
    "Affiliation",
    "Bom",
    "BomLine",
    "Booking",
    "BookingStatus",
    "CancelledBy",
    "Connectivity",
    "Dimension",
    "Driver",
    "Equipment",
    "EquipmentAsset",
    "EquipmentDelay",
    "EquipmentFault",
    "EquipmentState",
    "EquipmentType",
    "FaultSeverity",
    "Geofence",
    "HaulCycle",
    "InventoryBalance",
    "Item",
    "ItemType",
    "Job",
    "Kind",
    "Location",
    "LocationKind",
    "MachineMeters",
    "MaintenanceAlert",
    "Metered",
    "Mission",
    "MissionChange",
    "MissionDocument",
    "MissionState",
    "Order",
    "OrderKind",
    "OrderLine",
    "OrderStatus",
    "PriceEstimate",
    "ProductionRecord",
    "Progress",
    "ReadingQuality",
    "Record",
    "SensorReading",
    "Shipment",
    "ShipmentDirection",
    "ShipmentLine",
    "ShipmentStatus",
    "Source",
    "StockStatus",
    "TaskStatus",
    "Unit",
    "UnitAlert",
    "Vehicle",
    "VehicleEvent",
    "VehicleState",
    "WarehouseOrder",
    "WarehouseTask",
    "WhereUsed",
    "WorkOrder",
    "WorkOrderMaterial",
    "WorkOrderOperation",
    "WorkOrderStatus",
]

RECORDS: tuple[type[Record], ...] = (
    Order, WarehouseOrder, WarehouseTask, InventoryBalance, Location, Item, Bom, Equipment, Mission, Unit,
    Booking, PriceEstimate, Vehicle, Geofence, Shipment, WorkOrder, HaulCycle, ProductionRecord, MaintenanceAlert,
    EquipmentDelay,
)  # fmt: skip
BY_KIND: dict[Kind, type[Record]] = {record.kind: record for record in RECORDS}
