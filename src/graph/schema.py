"""The one schema."""

from typing import Any

import strawberry
from strawberry.federation.schema import FederationAny
from strawberry.schema.config import StrawberryConfig

from graph.engine.limits import LimitExceeded
from graph.entities import Entities
from graph.info import Info
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
    """A subgraph. Resolves entities in one batch, where a representation that cannot be read spoils itself alone.
    Strawberry's own way fails the whole list, and hands what the caller wrote to functions as their arguments.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._entities = Entities(self)

    async def entities_resolver(  # type: ignore[override]
        self, info: Info, representations: list[FederationAny]
    ) -> list[FederationAny]:
        """Raises `LimitExceeded` for more representations than the operation may bring."""
        allowed = info.context.representations
        if len(representations) > allowed:
            raise LimitExceeded(
                "REPRESENTATION_LIMIT",
                "a number of representations",
                allowed,
                len(representations),
                "Ask in several operations.",
            )
        return await self._entities.load(info, representations)


def make_schema() -> Schema:
    """The schema. It is executed by `graph.engine`, which also answers its errors."""
    return Schema(
        query=Query,
        subscription=Subscription,
        types=list(NODES),
        config=StrawberryConfig(scalar_map=SCALARS),
        federation_version="2.9",
    )
