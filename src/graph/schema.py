"""The one schema."""

from typing import Any

import strawberry
from strawberry.federation.schema import FederationAny
from strawberry.schema.config import StrawberryConfig

from graph.engine.limits import LimitExceeded
from graph.fields import each_loaded, parse_id
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
from resolvers.errors import BadInput
from unified.ids import GlobalId
from unified.records import Kind

NODES: tuple[Any, ...] = (
    Order, WarehouseOrder, WarehouseTask, InventoryBalance, Location, Item, Bom, Equipment, Mission, Unit,
    Booking, PriceEstimate, Vehicle, Geofence, Shipment, WorkOrder, HaulCycle, ProductionRecord, MaintenanceAlert,
    EquipmentDelay,
)  # fmt: skip


class Schema(strawberry.federation.Schema):
    """Resolves entities in one batch, where a representation that cannot be read spoils itself alone. Strawberry's
    own way fails the whole list, and hands what the caller wrote to functions as their arguments.
    """

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
        return await each_loaded(info, [_place(each) for each in representations])


def make_schema() -> Schema:
    """The schema. It is executed by `graph.engine`, which also answers its errors."""
    return Schema(
        query=Query,
        subscription=Subscription,
        types=list(NODES),
        config=StrawberryConfig(scalar_map=SCALARS),
        federation_version="2.9",
    )


_REFERABLE: dict[str, Kind] = {
    node.__name__: node.resolve_reference.kind for node in NODES if hasattr(node, "resolve_reference")
}


def _place(representation: Any) -> GlobalId | BadInput:
    """Where an entity is. Keys beyond `__typename` and `id` are a gateway's own business and not looked at."""
    if not isinstance(representation, dict):
        return BadInput('a representation is an object such as { __typename: "Item", id: "…" }')
    name, key = representation.get("__typename"), representation.get("id")
    kind = _REFERABLE.get(name) if isinstance(name, str) else None
    if kind is None:
        shown = repr(name[:60]) if isinstance(name, str) else "missing"
        return BadInput(f"the `__typename` of a representation is {shown}; the entities are: {', '.join(_REFERABLE)}")
    if not isinstance(key, str):
        return BadInput(f"a representation of {name} needs its `id`, as text")
    try:
        return parse_id(key, kind)
    except BadInput as fault:
        return fault
