"""Orders, warehouse orders and tasks, stock, locations, shipments."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import ClassVar

from unified.records.base import Kind, Record
from unified.values import Money, Quantity, Value


class OrderKind(Enum):
    SALES = "SALES"
    PURCHASE = "PURCHASE"
    OUTBOUND_DELIVERY = "OUTBOUND_DELIVERY"
    INBOUND_DELIVERY = "INBOUND_DELIVERY"


class OrderStatus(Enum):
    OPEN = "OPEN"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"


class Progress(Enum):
    """How far one step (picking, goods issue, putaway) of an order or a line has got."""

    NOT_STARTED = "NOT_STARTED"
    PARTIAL = "PARTIAL"
    COMPLETE = "COMPLETE"
    NOT_RELEVANT = "NOT_RELEVANT"
    UNKNOWN = "UNKNOWN"


class OrderLine(Value, frozen=True, kw_only=True):
    """A line of an order. `item_number` is the number of the item as this order's system spells it."""

    line_number: str
    item_number: str
    description: str | None = None
    quantity: Quantity
    picking: Progress | None = None
    goods_movement: Progress | None = None
    batch: str | None = None
    confirmed: Quantity | None = None
    """What the vendor promised of it; null where nothing was promised."""
    requested_on: date | None = None
    promised_on: date | None = None
    net_amount: Money | None = None
    parent_line: str | None = None
    """Line number of the line that it hangs on (free goods, parts of a bundle)."""
    integration: str = ""
    """Key of the integration that the line's numbers belong to: a line must know whose spelling it uses."""


class Order(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.ORDER

    order_kind: OrderKind
    number: str
    status: OrderStatus
    warehouse: str | None = None
    partner: str | None = None
    """Who receives (outbound, sales) or supplies (inbound, purchase): the vendor's partner number."""
    carrier: str | None = None
    vehicle_plate: str | None = None
    """The vehicle that carries it, as this system spells its plate or fleet number."""
    reference_number: str | None = None
    """The sales or purchase order behind a delivery."""
    customer_reference: str | None = None
    """The customer's own number of the order (the purchase order behind a sales order)."""
    ship_to: str | None = None
    """Partner number of who receives the goods, where it is not `partner`."""
    total: Money | None = None
    """Net value of the whole order."""
    ordered_on: date | None = None
    """Day of the document: when the order was given."""
    created_on: date | None = None
    """Day on which it was made in its system, where that keeps no time (see `created_at`)."""
    requested_on: date | None = None
    picking: Progress | None = None
    goods_movement: Progress | None = None
    planned_at: datetime | None = None
    created_at: datetime | None = None
    lines: tuple[OrderLine, ...] = ()


class ShipmentDirection(Enum):
    OUTBOUND = "OUTBOUND"
    INBOUND = "INBOUND"


class ShipmentStatus(Enum):
    OPEN = "OPEN"
    IN_PROGRESS = "IN_PROGRESS"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"


class ShipmentLine(Value, frozen=True, kw_only=True):
    """A line of a shipment; `order_number` and `order_line` name what it fulfils, in the same system's spelling."""

    line_number: str
    item_number: str
    description: str | None = None
    quantity: Quantity
    batch: str | None = None
    order_number: str | None = None
    order_line: str | None = None
    integration: str = ""


class Shipment(Record, frozen=True, kw_only=True):
    """Goods on their way, as the commercial system sees them: a delivery document and what it fulfils.

    The warehouse that handles it may know it as an `Order` (delivery) with the same number.
    """

    kind: ClassVar[Kind] = Kind.SHIPMENT

    number: str
    direction: ShipmentDirection
    status: ShipmentStatus
    partner: str | None = None
    """Who receives (outbound) or supplies (inbound): the vendor's partner number."""
    partner_name: str | None = None
    carrier: str | None = None
    vehicle_plate: str | None = None
    warehouse: str | None = None
    """Warehouse or shipping point that handles it."""
    picking: Progress | None = None
    goods_movement: Progress | None = None
    planned_on: date | None = None
    """Day on which the goods should leave (outbound) or arrive (inbound)."""
    delivery_on: date | None = None
    """Day on which the goods should be with the receiver."""
    shipped_on: date | None = None
    """Day on which the goods left or arrived; null before."""
    created_at: datetime | None = None
    gross_mass_kg: Decimal | None = None
    net_mass_kg: Decimal | None = None
    handling_units: tuple[str, ...] = ()
    lines: tuple[ShipmentLine, ...] = ()


class TaskStatus(Enum):
    """Status of warehouse orders and warehouse tasks."""

    OPEN = "OPEN"
    IN_PROGRESS = "IN_PROGRESS"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"


class WarehouseOrder(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.WAREHOUSE_ORDER

    number: str
    warehouse: str
    status: TaskStatus
    queue: str | None = None
    resource: str | None = None
    latest_start_at: datetime | None = None
    """Null where the vendor gives a warehouse-local time without a zone; see `latest_start_local`."""
    latest_start_local: str | None = None
    """ISO 8601 without zone, warehouse time."""
    created_at: datetime | None = None
    started_at: datetime | None = None
    confirmed_at: datetime | None = None


class WarehouseTask(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.WAREHOUSE_TASK

    number: str
    item_position: str
    """Position within the task ('1' when it has only one)."""
    warehouse: str
    warehouse_order_number: str | None = None
    status: TaskStatus
    item_number: str | None = None
    """Null for a task that moves a handling unit as a whole."""
    batch: str | None = None
    from_location: str | None = None
    to_location: str | None = None
    handling_unit: str | None = None
    target: Quantity | None = None
    actual: Quantity | None = None
    resource: str | None = None
    order_number: str | None = None
    """The delivery that the task serves."""
    confirmed_at: datetime | None = None


class StockStatus(Enum):
    UNRESTRICTED = "UNRESTRICTED"
    QUALITY_INSPECTION = "QUALITY_INSPECTION"
    BLOCKED = "BLOCKED"
    UNKNOWN = "UNKNOWN"


class InventoryBalance(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.INVENTORY_BALANCE

    item_number: str
    warehouse: str
    location: str | None = None
    """Storage bin; null while the stock is on a resource."""
    batch: str | None = None
    handling_unit: str | None = None
    status: StockStatus
    available: Quantity
    received_at: datetime | None = None
    expires_on: date | None = None


class LocationKind(Enum):
    STORAGE_BIN = "STORAGE_BIN"
    ZONE = "ZONE"
    WAREHOUSE = "WAREHOUSE"
    UNKNOWN = "UNKNOWN"


class Location(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.LOCATION

    code: str
    location_kind: LocationKind
    warehouse: str | None = None
    zone: str | None = None
    """Storage type."""
    section: str | None = None
    aisle: str | None = None
    stack: str | None = None
    level: str | None = None
    empty: bool | None = None
    full: bool | None = None
    blocked_for_removal: bool | None = None
    blocked_for_putaway: bool | None = None
    max_mass_kg: Decimal | None = None
