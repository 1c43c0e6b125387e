"""The one schema."""

import logging
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from graph.operations import Report, operations
from graph.query import Query
from graph.scalars import SCALARS
from graph.subscription import Subscription
from graph.types.equipment import Equipment
from graph.types.items import Bom, Item
from graph.types.missions import Mission, Unit
from graph.types.orders import InventoryBalance, Location, Order, WarehouseOrder, WarehouseTask
from graph.types.production import EquipmentDelay, HaulCycle, MaintenanceAlert, ProductionRecord, WorkOrder
from graph.types.shipments import Shipment
from graph.types.vehicles import Booking, Geofence, PriceEstimate, Vehicle

NODES: tuple[Any, ...] = (
    Order, WarehouseOrder, WarehouseTask, InventoryBalance, Location, Item, Bom, Equipment, Mission, Unit,
    Booking, PriceEstimate, Vehicle, Geofence, Shipment, WorkOrder, HaulCycle, ProductionRecord, MaintenanceAlert,
    EquipmentDelay,
)  # fmt: skip


class Schema(strawberry.federation.Schema):
    """Logs errors through `report` only: Strawberry's own logger prints whole exceptions."""

    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Nothing here: `Operations` answers and reports each error once."""


def make_schema(report: Report) -> Schema:
    """The schema; `report` is told of unexpected failures under the id that the client sees."""
    logging.getLogger("strawberry.execution").setLevel(logging.CRITICAL)
    return Schema(
        query=Query,
        subscription=Subscription,
        types=list(NODES),
        extensions=[operations(report)],
        config=StrawberryConfig(scalar_map=SCALARS),
        federation_version="2.9",
    )
