"""Orders, warehouse orders and tasks, stock and locations."""

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import strawberry

from graph.fields import accepts, by_id, joined, joined_many, plain
from graph.types.base import Sourced
from graph.types.values import Money, Quantity
from resolvers.loaders import InWarehouse, Number
from unified import records
from unified.records import Kind

if TYPE_CHECKING:
    from graph.types.items import Item
    from graph.types.shipments import Shipment
    from graph.types.vehicles import Vehicle


@strawberry.federation.type(description="One thing that an order asks for, and how much of it.", shareable=True)
class OrderLine:
    line_number: str = plain("Number of the line within its order.")
    item_number: str = plain("Number of the item as the order's system spells it; `item` is the item itself.")
    description: str | None = plain("Text of the line.")
    quantity: Quantity = plain("Ordered quantity.")
    picking: records.Progress | None = plain("How far picking is; null where it does not apply.")
    goods_movement: records.Progress | None = plain("How far goods issue or receipt is.")
    batch: str | None = plain("Batch that was determined for the line.")
    confirmed: Quantity | None = plain("What the vendor promised of it; null where nothing was promised.")
    requested_on: date | None = plain("Day that was asked for.")
    promised_on: date | None = plain("Day that was promised.")
    net_amount: Money | None = plain("Net value of the line.")
    parent_line: str | None = plain("Line that it hangs on: free goods, parts of a bundle.")
    item: Annotated["Item", strawberry.lazy("graph.types.items")] | None = joined(
        "items",
        lambda line: Number(line.integration, line.item_number),
        "The item in the system that is master for items.",
    )

    is_type_of = accepts(records.OrderLine)


@strawberry.federation.type(keys=["id"], description="A commercial order or a delivery.")
class Order(Sourced):
    order_kind: records.OrderKind = plain("What the order is for.", name="kind")
    number: str = plain("The order's number as its system spells it, leading zeros included.")
    status: records.OrderStatus = plain("How far the order is as a whole.")
    warehouse: str | None = plain("Code of the warehouse that handles it.")
    partner: str | None = plain("Number of the customer (outbound, sales) or supplier (inbound, purchase).")
    carrier: str | None = plain("Number of the carrier.")
    vehicle_plate: str | None = plain("Plate of the vehicle that carries it, as this system spells it.")
    reference_number: str | None = plain("The sales or purchase order behind a delivery.")
    customer_reference: str | None = plain("The customer's own number of the order.")
    ship_to: str | None = plain("Number of who receives the goods, where it is not `partner`.")
    total: Money | None = plain("Net value of the whole order.")
    requested_on: date | None = plain("Day that the customer asked for.")
    ordered_on: date | None = plain("Day of the document: when the order was given.", name="placedOn")
    created_on: date | None = plain(
        "Day on which it was made in its system, where that keeps no time; see `createdAt`."
    )
    picking: records.Progress | None = plain("How far picking is.")
    goods_movement: records.Progress | None = plain("How far goods issue or receipt is.")
    planned_at: datetime | None = plain("When it should leave or arrive.")
    created_at: datetime | None = plain("When it was created.")
    lines: list[OrderLine] = plain("Its lines, by line number.", size=10)
    vehicle: Annotated["Vehicle", strawberry.lazy("graph.types.vehicles")] | None = joined(
        "vehicles",
        lambda order: Number(order.source.integration, order.vehicle_plate) if order.vehicle_plate else None,
        "The vehicle that carries it, with its live position.",
    )
    tasks: list[Annotated["WarehouseTask", strawberry.lazy("graph.types.orders")]] | None = joined_many(
        "tasks_of_order",
        lambda order: Number(order.source.integration, order.number),
        "Warehouse tasks that serve it.",
        size=20,
    )
    shipments: list[Annotated["Shipment", strawberry.lazy("graph.types.shipments")]] | None = joined_many(
        "shipments_of_order",
        lambda order: Number(order.source.integration, order.number),
        "Shipments of the same system that fulfil it.",
        size=3,
    )
    fulfils: Annotated["Order", strawberry.lazy("graph.types.orders")] | None = joined(
        "commercial_orders",
        lambda order: Number(order.source.integration, order.reference_number) if order.reference_number else None,
        "The sales or purchase order behind a delivery, in the commercial system that has it.",
    )

    is_type_of = accepts(records.Order)
    resolve_reference = by_id(Kind.ORDER)


@strawberry.federation.type(keys=["id"], description="A package of warehouse tasks that one resource works through.")
class WarehouseOrder(Sourced):
    number: str = plain("The vendor's number.")
    warehouse: str = plain("Code of the warehouse.")
    status: records.TaskStatus = plain("How far it is.")
    queue: str | None = plain("Queue that it waits in.")
    resource: str | None = plain("Person, forklift or robot that works on it.")
    latest_start_at: datetime | None = plain("When it must be begun; null where the vendor gives no zone.")
    latest_start_local: str | None = plain("When it must be begun, in the warehouse's own time, without zone.")
    created_at: datetime | None = plain("When it was created.")
    started_at: datetime | None = plain("When work began.")
    confirmed_at: datetime | None = plain("When it was confirmed.")
    tasks: list[Annotated["WarehouseTask", strawberry.lazy("graph.types.orders")]] | None = joined_many(
        "tasks_of_warehouse_order",
        lambda order: InWarehouse(order.source.integration, order.warehouse, order.number, order.source.external_id),
        "Its tasks.",
        size=20,
    )

    is_type_of = accepts(records.WarehouseOrder)
    resolve_reference = by_id(Kind.WAREHOUSE_ORDER)


@strawberry.federation.type(keys=["id"], description="One movement of goods within a warehouse.")
class WarehouseTask(Sourced):
    number: str = plain("The vendor's number, leading zeros included.")
    item_position: str = plain("Position within the task.")
    warehouse: str = plain("Code of the warehouse.")
    warehouse_order_number: str | None = plain("Number of the warehouse order that it belongs to.")
    status: records.TaskStatus = plain("How far it is.")
    item_number: str | None = plain("Item as this system spells it; null when a whole handling unit is moved.")
    batch: str | None = plain("Batch that is moved.")
    from_location: str | None = plain("Bin that it takes from; null once the goods are on the resource.")
    to_location: str | None = plain("Bin that it brings to.")
    handling_unit: str | None = plain("Handling unit (SSCC, 20 digits) that is moved.")
    target: Quantity | None = plain("What shall be moved.")
    actual: Quantity | None = plain("What was moved.")
    resource: str | None = plain("Who or what works on it.")
    order_number: str | None = plain("Delivery that it serves.")
    confirmed_at: datetime | None = plain("When it was confirmed.")
    item: Annotated["Item", strawberry.lazy("graph.types.items")] | None = joined(
        "items",
        lambda task: Number(task.source.integration, task.item_number) if task.item_number else None,
        "The item in the system that is master for items.",
    )
    order: Order | None = joined(
        "orders_by_number",
        lambda task: Number(task.source.integration, task.order_number) if task.order_number else None,
        "The delivery that it serves.",
    )
    warehouse_order: WarehouseOrder | None = joined(
        "warehouse_orders_by_number",
        lambda task: (
            InWarehouse(task.source.integration, task.warehouse, task.warehouse_order_number)
            if task.warehouse_order_number
            else None
        ),
        "The warehouse order that it belongs to.",
    )

    is_type_of = accepts(records.WarehouseTask)
    resolve_reference = by_id(Kind.WAREHOUSE_TASK)


@strawberry.federation.type(keys=["id"], description="A place in a warehouse.")
class Location(Sourced):
    code: str = plain("Code of the place.")
    location_kind: records.LocationKind = plain("What the place is.", name="kind")
    warehouse: str | None = plain("Code of the warehouse.")
    zone: str | None = plain("Zone (storage type) that it lies in.")
    section: str | None = plain("Section within the zone.")
    aisle: str | None = plain("Aisle that it lies on, as the warehouse names it.")
    stack: str | None = plain("Column of bins within the aisle.")
    level: str | None = plain("Height: which bin of the column, from the floor.")
    empty: bool | None = plain("Whether nothing lies there.")
    full: bool | None = plain("Whether nothing more fits.")
    blocked_for_removal: bool | None = plain("Whether nothing may be taken.")
    blocked_for_putaway: bool | None = plain("Whether nothing may be put.")
    max_mass_kg: Decimal | None = plain("Greatest mass that it bears, in kilograms.")
    inventory: list[Annotated["InventoryBalance", strawberry.lazy("graph.types.orders")]] | None = joined_many(
        "balances_of_location",
        lambda place: InWarehouse(place.source.integration, place.warehouse, place.code) if place.warehouse else None,
        "What lies there.",
        size=10,
    )

    is_type_of = accepts(records.Location)
    resolve_reference = by_id(Kind.LOCATION)


@strawberry.federation.type(keys=["id"], description="Stock of one item in one place, batch and status.")
class InventoryBalance(Sourced):
    item_number: str = plain("Item as this system spells it.")
    warehouse: str = plain("Code of the warehouse.")
    location: str | None = plain("Code of the bin; null while the stock is on a resource.")
    batch: str | None = plain("Batch that the stock belongs to; null for goods that are not kept in batches.")
    handling_unit: str | None = plain("Handling unit that it is packed in.")
    status: records.StockStatus = plain("What it may be used for. Never add up different statuses.")
    available: Quantity = plain("What is there and not reserved.")
    received_at: datetime | None = plain("When it was received.")
    expires_on: date | None = plain("Shelf-life expiration day.")
    item: Annotated["Item", strawberry.lazy("graph.types.items")] | None = joined(
        "items",
        lambda balance: Number(balance.source.integration, balance.item_number),
        "The item in the system that is master for items.",
    )
    bin: Location | None = joined(
        "locations",
        lambda balance: (
            InWarehouse(balance.source.integration, balance.warehouse, balance.location) if balance.location else None
        ),
        "The place where it lies.",
    )

    is_type_of = accepts(records.InventoryBalance)
    resolve_reference = by_id(Kind.INVENTORY_BALANCE)
