"""What all records share."""

from datetime import datetime
from enum import Enum
from typing import ClassVar

import msgspec
from msgspec.structs import force_setattr

from unified import ids
from unified.values import System, Value


class Kind(Enum):
    """What a record is; the first part of its id. The value is the name of the GraphQL type."""

    ORDER = "Order"
    WAREHOUSE_ORDER = "WarehouseOrder"
    WAREHOUSE_TASK = "WarehouseTask"
    INVENTORY_BALANCE = "InventoryBalance"
    LOCATION = "Location"
    ITEM = "Item"
    BOM = "Bom"
    EQUIPMENT = "Equipment"
    MISSION = "Mission"
    UNIT = "Unit"
    BOOKING = "Booking"
    PRICE_ESTIMATE = "PriceEstimate"
    VEHICLE = "Vehicle"
    GEOFENCE = "Geofence"
    SHIPMENT = "Shipment"
    WORK_ORDER = "WorkOrder"
    HAUL_CYCLE = "HaulCycle"
    PRODUCTION_RECORD = "ProductionRecord"
    MAINTENANCE_ALERT = "MaintenanceAlert"
    EQUIPMENT_DELAY = "EquipmentDelay"


class Source(Value, frozen=True, kw_only=True):
    """Where a record comes from. `as_of`: when Crossdock read it; `stale`: it is the last good answer
    of a source that fails now. `vendor_status`: the vendor's raw status, untouched."""

    integration: str
    system: System
    external_id: str
    vendor_status: str | None = None
    as_of: datetime
    stale: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What all records share. `updated_at`: when the thing last changed, by the vendor's clock."""

    kind: ClassVar[Kind]

    source: Source
    updated_at: datetime | None = None
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            force_setattr(self, "id", ids.encode(self.kind.value, self.source.integration, self.source.external_id))


class Connectivity(Enum):
    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    UNKNOWN = "UNKNOWN"
