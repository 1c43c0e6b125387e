"""Shipments: goods on their way between partners."""

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import strawberry

from graph.fields import accepts, by_id, joined, joined_many, plain
from graph.types.base import Sourced
from graph.types.values import Quantity
from resolvers.loaders import Number
from unified import records
from unified.records import Kind

if TYPE_CHECKING:
    from graph.types.items import Item
    from graph.types.orders import Order
    from graph.types.vehicles import Vehicle


@strawberry.federation.type(description="One thing that is shipped, and how much of it.", shareable=True)
class ShipmentLine:
    line_number: str = plain("Number of the line within its shipment.")
    item_number: str = plain("Number of the item as the shipment's system spells it; `item` is the item itself.")
    description: str | None = plain("Text of the line.")
    quantity: Quantity = plain("Quantity that is shipped.")
    batch: str | None = plain("Batch that is shipped.")
    order_number: str | None = plain("Number of the order that the line fulfils, as this system spells it.")
    order_line: str | None = plain("Line of that order.")
    item: Annotated["Item", strawberry.lazy("graph.types.items")] | None = joined(
        "items",
        lambda line: Number(line.integration, line.item_number),
        "The item in the system that is master for items.",
    )
    order: Annotated["Order", strawberry.lazy("graph.types.orders")] | None = joined(
        "orders_by_number",
        lambda line: Number(line.integration, line.order_number) if line.order_number else None,
        "The order that the line fulfils, in the same system.",
    )

    is_type_of = accepts(records.ShipmentLine)


@strawberry.federation.type(keys=["id"], description="Goods on their way, as the commercial system sees them.")
class Shipment(Sourced):
    number: str = plain("The shipment's number as its system spells it, leading zeros included.")
    direction: records.ShipmentDirection = plain("Whether the goods leave or arrive.")
    status: records.ShipmentStatus = plain("How far it is as a whole.")
    partner: str | None = plain("Number of who receives (outbound) or supplies (inbound).")
    partner_name: str | None = plain("Name of that partner.")
    carrier: str | None = plain("Number of the carrier.")
    vehicle_plate: str | None = plain("Plate of the vehicle that carries it, as this system spells it.")
    warehouse: str | None = plain("Warehouse or shipping point that handles it.")
    picking: records.Progress | None = plain("How far picking is.")
    goods_movement: records.Progress | None = plain("How far goods issue or receipt is.")
    planned_on: date | None = plain("Day on which the goods should leave (outbound) or arrive (inbound).")
    delivery_on: date | None = plain("Day on which the goods should be with the receiver.")
    shipped_on: date | None = plain("Day on which the goods left or arrived; null before.")
    created_at: datetime | None = plain("When it was created.")
    gross_mass_kg: Decimal | None = plain("Mass with packaging, kilograms.")
    net_mass_kg: Decimal | None = plain("Mass of the goods, kilograms.")
    handling_units: list[str] = plain("Handling units (SSCC, 20 digits) that it is packed in.")
    lines: list[ShipmentLine] = plain("Its lines, by line number.", size=10)
    vehicle: Annotated["Vehicle", strawberry.lazy("graph.types.vehicles")] | None = joined(
        "vehicles",
        lambda shipment: (
            Number(shipment.source.integration, shipment.vehicle_plate) if shipment.vehicle_plate else None
        ),
        "The vehicle that carries it, with its live position.",
    )
    deliveries: list[Annotated["Order", strawberry.lazy("graph.types.orders")]] | None = joined_many(
        "deliveries_of_shipment",
        lambda shipment: Number(shipment.source.integration, shipment.number),
        "What the warehouse systems know under the same number: the deliveries that they work through.",
        size=2,
    )

    is_type_of = accepts(records.Shipment)
    resolve_reference = by_id(Kind.SHIPMENT)
