"""The root fields that read."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import strawberry

from graph import inputs
from graph.asks import asking
from graph.fields import computed, each_loaded, load, parse_id, priced
from graph.info import Info
from graph.types.base import Connection, Node
from graph.types.equipment import Equipment
from graph.types.items import Bom, Item, bounded_levels
from graph.types.missions import Mission, Unit
from graph.types.orders import InventoryBalance, Location, Order, WarehouseOrder, WarehouseTask
from graph.types.production import EquipmentDelay, HaulCycle, MaintenanceAlert, ProductionRecord, WorkOrder
from graph.types.shipments import Shipment
from graph.types.systems import VendorSystem, systems
from graph.types.vehicles import Booking, Geofence, PriceEstimate, Vehicle
from resolvers import lookup
from resolvers.errors import BadInput
from resolvers.fanout import Page, list_records
from resolvers.loaders import Number
from unified import queries
from unified.ids import GlobalId
from unified.records import Kind, Record

F = TypeVar("F", bound=Callable[..., Any])

MOST_NODES = 100
_First = Annotated[int, strawberry.argument(description="Rows wanted, 0 to 200.")]
_After = Annotated[
    str | None, strawberry.argument(description="Cursor to go on behind, of the same list, filter and order.")
]
_Sources = Annotated[
    list[str] | None, strawberry.argument(description="Only these integrations; null = all that apply.")
]
_Id = Annotated[strawberry.ID | None, strawberry.argument(description="Global id. Give this or `by`.")]
_By = Annotated[inputs.RecordKey | None, strawberry.argument(description="Another way to find it. Give this or `id`.")]


def _listing(kind: Kind, given: Any, into: type[queries.Filter]) -> Callable[..., Awaitable[Page]]:
    """The resolver of a list of one kind."""

    @asking(listed=kind)
    async def resolve(
        info: Info,
        filter: Any = None,
        order_by: Any = None,
        first: int = 50,
        after: str | None = None,
        sources: list[str] | None = None,
    ) -> Page:
        return await list_records(
            info.context,
            kind,
            inputs.to_filter(filter, into),
            first=first,
            after=after,
            order_by=inputs.to_order(order_by),
            sources=sources,
            path=info.path.as_list(),
        )

    order = inputs.ORDERS[kind.value]
    resolve.__annotations__ = {
        "info": Info,
        "filter": Annotated[given | None, strawberry.argument(description="Which ones; all conditions must hold.")],
        "order_by": Annotated[
            list[order] | None,  # type: ignore[valid-type]
            strawberry.argument(description="Sort keys, the most important first; null = by integration."),
        ],
        "first": _First,
        "after": _After,
        "sources": _Sources,
    }
    return resolve


def _single(kind: Kind) -> Callable[..., Awaitable[Record | None]]:
    """The resolver of one object of one kind."""

    @asking(found=kind)
    async def resolve(info: Info, id: strawberry.ID | None = None, by: Any = None) -> Record | None:
        if (id is None) == (by is None):
            raise BadInput("give exactly one of `id` and `by`")
        found: Record | None
        if id is not None:
            found = await load(info, "records", parse_id(str(id), kind))
        elif by.external:
            info.context.sources.known([by.external.integration])
            place = GlobalId(kind.value, by.external.integration, by.external.external_id)
            found = await load(info, "records", place)
        else:
            number = Number(by.number.integration or "", by.number.number)
            if number.integration:
                info.context.sources.known([number.integration])
            if kind in lookup.LOADERS:
                found = await load(info, lookup.LOADERS[kind], number)
            else:
                found = await lookup.by_number(info.context, kind, number, info.path.as_list())
        return found

    resolve.__annotations__ = {"info": Info, "id": _Id, "by": _By}
    return resolve


def _list(kind: Kind, given: Any, into: type[queries.Filter], description: str) -> Any:
    """A list; nullable, so that a refused argument of one root field does not cost the others."""
    return strawberry.field(
        resolver=_listing(kind, given, into), description=description, directives=priced(paged=True)
    )


def _one(kind: Kind, description: str) -> Any:
    return strawberry.field(resolver=_single(kind), description=description + " Null when there is none.")


def _paged(description: str, weight: int) -> Callable[[F], F]:
    """A list with arguments of its own; dear, since each use asks the vendors to work something out."""
    field: Any = strawberry.field(description=description, directives=priced(paged=True, weight=weight))
    return field  # type: ignore[no-any-return]


@strawberry.type(description="What can be read.")
class Query:
    orders: Connection[Order] | None = _list(
        Kind.ORDER, inputs.OrderFilter, queries.OrderFilter, "Commercial orders and deliveries."
    )
    order: Order | None = _one(Kind.ORDER, "One order.")
    warehouse_orders: Connection[WarehouseOrder] | None = _list(
        Kind.WAREHOUSE_ORDER,
        inputs.WarehouseOrderFilter,
        queries.WarehouseOrderFilter,
        "Packages of work in the warehouses.",
    )
    warehouse_order: WarehouseOrder | None = _one(Kind.WAREHOUSE_ORDER, "One warehouse order.")
    warehouse_tasks: Connection[WarehouseTask] | None = _list(
        Kind.WAREHOUSE_TASK,
        inputs.WarehouseTaskFilter,
        queries.WarehouseTaskFilter,
        "Movements of goods within warehouses.",
    )
    warehouse_task: WarehouseTask | None = _one(Kind.WAREHOUSE_TASK, "One warehouse task.")
    inventory_balances: Connection[InventoryBalance] | None = _list(
        Kind.INVENTORY_BALANCE,
        inputs.InventoryBalanceFilter,
        queries.InventoryBalanceFilter,
        "Stock, one row per item, place, batch and status.",
    )
    inventory_balance: InventoryBalance | None = _one(Kind.INVENTORY_BALANCE, "One row of stock.")
    locations: Connection[Location] | None = _list(
        Kind.LOCATION, inputs.LocationFilter, queries.LocationFilter, "Bins and other places in warehouses."
    )
    location: Location | None = _one(Kind.LOCATION, "One location.")
    items: Connection[Item] | None = _list(
        Kind.ITEM, inputs.ItemFilter, queries.ItemFilter, "What is made, bought, stored or used."
    )
    item: Item | None = _one(Kind.ITEM, "One item.")
    bom: Bom | None = _one(Kind.BOM, "One structure.")
    equipment: Connection[Equipment] | None = _list(
        Kind.EQUIPMENT, inputs.EquipmentFilter, queries.EquipmentFilter, "Machines."
    )
    equipment_unit: Equipment | None = _one(Kind.EQUIPMENT, "One machine.")
    missions: Connection[Mission] | None = _list(
        Kind.MISSION, inputs.MissionFilter, queries.MissionFilter, "Who and what works together on something."
    )
    mission: Mission | None = _one(Kind.MISSION, "One mission.")
    units: Connection[Unit] | None = _list(Kind.UNIT, inputs.UnitFilter, queries.UnitFilter, "Units on the map.")
    unit: Unit | None = _one(Kind.UNIT, "One unit.")
    bookings: Connection[Booking] | None = _list(
        Kind.BOOKING, inputs.BookingFilter, queries.BookingFilter, "Rides that were booked."
    )
    booking: Booking | None = _one(Kind.BOOKING, "One booking.")
    vehicles: Connection[Vehicle] | None = _list(
        Kind.VEHICLE, inputs.VehicleFilter, queries.VehicleFilter, "Vehicles, as each system reports them."
    )
    vehicle: Vehicle | None = _one(Kind.VEHICLE, "One vehicle, with its live position.")
    geofences: Connection[Geofence] | None = _list(
        Kind.GEOFENCE, inputs.GeofenceFilter, queries.GeofenceFilter, "Areas that vehicles enter and leave."
    )
    geofence: Geofence | None = _one(Kind.GEOFENCE, "One geofence.")

    shipments: Connection[Shipment] | None = _list(
        Kind.SHIPMENT, inputs.ShipmentFilter, queries.ShipmentFilter, "Goods on their way between partners."
    )
    shipment: Shipment | None = _one(Kind.SHIPMENT, "One shipment.")
    work_orders: Connection[WorkOrder] | None = _list(
        Kind.WORK_ORDER, inputs.WorkOrderFilter, queries.WorkOrderFilter, "Orders to make something."
    )
    work_order: WorkOrder | None = _one(Kind.WORK_ORDER, "One work order.")
    haul_cycles: Connection[HaulCycle] | None = _list(
        Kind.HAUL_CYCLE, inputs.HaulCycleFilter, queries.HaulCycleFilter, "Loads that trucks hauled."
    )
    haul_cycle: HaulCycle | None = _one(Kind.HAUL_CYCLE, "One haul cycle.")
    production_records: Connection[ProductionRecord] | None = _list(
        Kind.PRODUCTION_RECORD,
        inputs.ProductionRecordFilter,
        queries.ProductionRecordFilter,
        "What mobile machines did, per machine and day.",
    )
    production_record: ProductionRecord | None = _one(Kind.PRODUCTION_RECORD, "One production record.")
    maintenance_alerts: Connection[MaintenanceAlert] | None = _list(
        Kind.MAINTENANCE_ALERT,
        inputs.MaintenanceAlertFilter,
        queries.MaintenanceAlertFilter,
        "What machines reported for maintenance.",
    )
    maintenance_alert: MaintenanceAlert | None = _one(Kind.MAINTENANCE_ALERT, "One maintenance alert.")
    equipment_delays: Connection[EquipmentDelay] | None = _list(
        Kind.EQUIPMENT_DELAY, inputs.EquipmentDelayFilter, queries.EquipmentDelayFilter, "Spans without work, and why."
    )
    equipment_delay: EquipmentDelay | None = _one(Kind.EQUIPMENT_DELAY, "One delay.")

    systems: list[VendorSystem] = strawberry.field(
        resolver=systems,
        description="The vendor systems that Crossdock can talk to, and what it can do with each.",
        directives=priced(size=20),
    )

    @_paged("Structures of several items, exploded.", weight=10)
    @asking(listed=Kind.BOM)
    async def boms(
        self,
        info: Info,
        filter: Annotated[inputs.BomFilter, strawberry.argument(description="Which ones, and how to explode them.")],
        first: _First = 50,
        after: _After = None,
        sources: _Sources = None,
    ) -> Connection[Bom] | None:
        if not 1 <= len(filter.item_numbers) <= 50:
            raise BadInput("`itemNumbers` takes 1 to 50 part numbers")
        spelt = lookup.spelt_by_master(info.context, filter.item_numbers)
        found: Any = await list_records(
            info.context,
            Kind.BOM,
            queries.BomFilter(
                item_numbers=tuple(spelt),
                view=filter.view,
                revision_rule=filter.revision_rule,
                revision=filter.revision,
                max_levels=bounded_levels(filter.max_levels),
            ),
            first=first,
            after=after,
            sources=sources,
            path=info.path.as_list(),
        )
        return found  # type: ignore[no-any-return]

    @_paged("What a ride would cost, per product of each ride-hail system.", weight=50)
    @asking(listed=Kind.PRICE_ESTIMATE)
    async def price_estimates(
        self,
        info: Info,
        pickup: Annotated[inputs.PointInput, strawberry.argument(description="Where the ride begins.")],
        dropoff: Annotated[inputs.PointInput, strawberry.argument(description="Where the ride ends.")],
        first: _First = 50,
        after: _After = None,
        sources: _Sources = None,
    ) -> Connection[PriceEstimate] | None:
        found: Any = await list_records(
            info.context,
            Kind.PRICE_ESTIMATE,
            queries.PriceEstimateFilter(pickup=pickup.value(), dropoff=dropoff.value()),
            first=first,
            after=after,
            sources=sources,
            path=info.path.as_list(),
        )
        return found  # type: ignore[no-any-return]

    @computed("Any object by its global id (Relay). Null when there is none.")
    @asking(refers="id")
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Global id.")]
    ) -> Node | None:
        found: Any = await load(info, "records", parse_id(str(id)))
        return found  # type: ignore[no-any-return]

    @computed(
        "Several objects by their global ids, in their order; null for those that are none. An id that cannot be "
        "read, and a system that fails, cost only their own objects.",
        size=MOST_NODES,
    )
    @asking(refers="ids")
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Global ids, at most 100.")],
    ) -> list[Node | None]:
        if len(ids) > MOST_NODES:
            raise BadInput(f"`nodes` takes at most {MOST_NODES} ids; {len(ids)} were given")
        found: Any = await each_loaded(info, [_place(id) for id in ids])
        return found  # type: ignore[no-any-return]


def _place(id: strawberry.ID) -> GlobalId | BadInput:
    try:
        return parse_id(str(id))
    except BadInput as fault:
        return fault
