"""Records: what every vendor's data becomes. Immutable, vendor-neutral, no graph field.

`Record.id` is the finished global id: it is made from the source when the record is made, so that a
connector cannot get it wrong. Times are aware UTC, ids and numbers of things are text, quantities `Decimal`.
Fields that end in `_number`, `_plate`, `_key` hold the vendor's own spelling of a thing that other systems
know too; `unified.keys` makes them equal.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import ClassVar

import msgspec
from msgspec.structs import force_setattr

from unified import ids
from unified.values import GeoJson, Money, Place, Position, Quantity, System, Value


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


# --- orders, warehouse -------------------------------------------------------------------------------


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
    picking: Progress | None = None
    goods_movement: Progress | None = None
    planned_at: datetime | None = None
    created_at: datetime | None = None
    lines: tuple[OrderLine, ...] = ()


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


# --- items and bills of material ---------------------------------------------------------------------


class ItemType(Enum):
    COMPONENT = "COMPONENT"
    ASSEMBLY = "ASSEMBLY"
    RAW_MATERIAL = "RAW_MATERIAL"
    TOOLING = "TOOLING"
    EQUIPMENT = "EQUIPMENT"


class Item(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.ITEM

    number: str
    """Part number as its own system spells it."""
    name: str
    description: str | None = None
    item_type: ItemType
    unit: str | None = None
    """Unit of measure as the system displays it ('each' where it has none)."""
    revision: str | None = None
    """The newest revision."""
    released: bool | None = None
    release_statuses: tuple[str, ...] = ()


class BomLine(Value, frozen=True, kw_only=True):
    """One occurrence in a structure. `position` is its index in `Bom.lines`, `parent` the position of its
    parent (null directly under the top), `level` 1 directly under the top."""

    position: int
    parent: int | None = None
    level: int
    external_id: str
    find_number: str | None = None
    item_number: str
    item_revision: str | None = None
    name: str | None = None
    quantity: Decimal
    """Per one of the parent. A vendor's empty quantity is 1."""
    total_quantity: Decimal
    """Per one of the top: the product of the quantities along the way up."""
    unit: str | None = None
    has_children: bool = False
    integration: str = ""


class Bom(Record, frozen=True, kw_only=True):
    """A structure, exploded under one view and one revision rule. Lines are depth first, by find number."""

    kind: ClassVar[Kind] = Kind.BOM

    item_number: str
    revision: str | None = None
    view: str | None = None
    revision_rule: str | None = None
    lines: tuple[BomLine, ...] = ()
    truncated: bool = False
    """True when `max_levels` cut the structure."""


class WhereUsed(Value, frozen=True, kw_only=True):
    """A parent that uses an item directly, at `level` steps up (1 = direct)."""

    item_number: str
    revision: str | None = None
    name: str | None = None
    level: int
    external_id: str
    integration: str = ""


# --- equipment ---------------------------------------------------------------------------------------


class EquipmentState(Enum):
    IDLE = "IDLE"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    ERROR = "ERROR"
    MAINTENANCE = "MAINTENANCE"
    OFFLINE = "OFFLINE"
    UNKNOWN = "UNKNOWN"


class EquipmentType(Enum):
    CNC_MILL = "CNC_MILL"
    CNC_LATHE = "CNC_LATHE"
    PRINTER_3D = "PRINTER_3D"
    LASER_CUTTER = "LASER_CUTTER"
    SENSOR = "SENSOR"
    PLC = "PLC"
    ROBOT_ARM = "ROBOT_ARM"
    CMM = "CMM"
    OTHER = "OTHER"


class SensorReading(Value, frozen=True, kw_only=True):
    """One value of one sensor. `value` is null where the sensor is absent or gives none."""

    sensor: str
    value: float | None = None
    target: float | None = None
    unit: str | None = None
    """UCUM code (`Cel`, `%`)."""
    recorded_at: datetime | None = None


class Job(Value, frozen=True, kw_only=True):
    """What a machine works on. `progress` is 0..1, null when there is none."""

    name: str
    progress: float | None = None
    elapsed_seconds: float | None = None
    remaining_seconds: float | None = None
    item_number: str | None = None
    """The item that the job makes, where its name tells (see the connector's settings)."""
    integration: str = ""


class Equipment(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.EQUIPMENT

    name: str
    equipment_type: EquipmentType
    state: EquipmentState
    model: str | None = None
    software: str | None = None
    error_message: str | None = None
    job: Job | None = None
    sensors: tuple[SensorReading, ...] = ()


# --- missions and units ------------------------------------------------------------------------------


class MissionState(Enum):
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"
    UNKNOWN = "UNKNOWN"


class MissionDocument(Value, frozen=True, kw_only=True):
    """A file that belongs to a mission; `hash` is its SHA-256 in hex."""

    name: str | None = None
    hash: str | None = None
    mime_type: str | None = None
    size_bytes: int | None = None
    submitted_at: datetime | None = None


class MissionChange(Value, frozen=True, kw_only=True):
    change_type: str
    at: datetime | None = None
    by: str | None = None
    unit_uid: str | None = None
    callsign: str | None = None


class Mission(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.MISSION

    name: str
    description: str | None = None
    state: MissionState
    tool: str | None = None
    classification: str | None = None
    keywords: tuple[str, ...] = ()
    created_at: datetime | None = None
    created_by: str | None = None
    expires_at: datetime | None = None
    password_protected: bool = False
    unit_uids: tuple[str, ...] = ()
    documents: tuple[MissionDocument, ...] = ()
    changes: tuple[MissionChange, ...] = ()


class Affiliation(Enum):
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    ASSUMED_FRIEND = "ASSUMED_FRIEND"
    FRIEND = "FRIEND"
    NEUTRAL = "NEUTRAL"
    SUSPECT = "SUSPECT"
    HOSTILE = "HOSTILE"
    JOKER = "JOKER"
    FAKER = "FAKER"
    NONE = "NONE"


class Dimension(Enum):
    SPACE = "SPACE"
    AIR = "AIR"
    GROUND = "GROUND"
    SEA_SURFACE = "SEA_SURFACE"
    SUBSURFACE = "SUBSURFACE"
    OTHER = "OTHER"


class Connectivity(Enum):
    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    UNKNOWN = "UNKNOWN"


class Unit(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.UNIT

    uid: str
    callsign: str | None = None
    cot_type: str | None = None
    affiliation: Affiliation = Affiliation.UNKNOWN
    dimension: Dimension = Dimension.OTHER
    symbol_code: str | None = None
    """MIL-STD-2525B/C, 15 characters."""
    team: str | None = None
    role: str | None = None
    connectivity: Connectivity
    position: Position | None = None
    battery_percent: float | None = None
    remarks: str | None = None
    stale_at: datetime | None = None
    """After this time the unit counts as offline."""


class UnitAlert(Value, frozen=True, kw_only=True):
    """An emergency that a unit raised or (`active` false) cancelled."""

    unit_uid: str
    callsign: str | None = None
    alert_type: str
    active: bool
    at: datetime | None = None
    position: Position | None = None


# --- bookings ----------------------------------------------------------------------------------------


class BookingStatus(Enum):
    """Words of the guide's trip contract. Terminal: COMPLETED, CANCELLED, FAILED."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    ASSIGNED = "ASSIGNED"
    EN_ROUTE_TO_PICKUP = "EN_ROUTE_TO_PICKUP"
    AT_PICKUP = "AT_PICKUP"
    IN_TRANSIT = "IN_TRANSIT"
    AT_DESTINATION = "AT_DESTINATION"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"

    @property
    def terminal(self) -> bool:
        """Whether no later status may follow."""
        return self in (BookingStatus.COMPLETED, BookingStatus.CANCELLED, BookingStatus.FAILED)


class CancelledBy(Enum):
    RIDER = "RIDER"
    DRIVER = "DRIVER"
    COORDINATOR = "COORDINATOR"
    SYSTEM = "SYSTEM"


class Driver(Value, frozen=True, kw_only=True):
    """Personal data: shown to permitted callers, never logged."""

    name: str | None = None
    phone: str | None = None
    rating: float | None = None


class Booking(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.BOOKING

    status: BookingStatus
    cancelled_by: CancelledBy | None = None
    product: str | None = None
    guest_name: str | None = None
    guest_phone: str | None = None
    driver: Driver | None = None
    vehicle_plate: str | None = None
    """Plate as the ride-hail system spells it; null before a driver is assigned."""
    vehicle_description: str | None = None
    pickup: Place | None = None
    dropoff: Place | None = None
    pickup_eta_seconds: int | None = None
    dropoff_eta_seconds: int | None = None
    fare: Money | None = None
    surge_multiplier: float | None = None
    requested_at: datetime | None = None
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class PriceEstimate(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.PRICE_ESTIMATE

    product: str
    amount: Money | None = None
    """Null when the vendor quotes a range or a meter only."""
    low: Money | None = None
    high: Money | None = None
    display: str | None = None
    surge_multiplier: float | None = None
    distance_km: float | None = None
    duration_seconds: int | None = None
    pickup_eta_seconds: int | None = None
    token: str | None = None
    """What a booking at this price must quote (`fare_id`)."""
    expires_at: datetime | None = None


# --- vehicles ----------------------------------------------------------------------------------------


class VehicleState(Enum):
    MOVING = "MOVING"
    IDLING = "IDLING"
    PARKED = "PARKED"
    UNKNOWN = "UNKNOWN"


class Vehicle(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.VEHICLE

    name: str
    plate: str | None = None
    fleet_number: str | None = None
    device_identifier: str | None = None
    """Identifier of the tracker (IMEI), text."""
    category: str | None = None
    model: str | None = None
    connectivity: Connectivity
    state: VehicleState
    position: Position | None = None
    ignition_on: bool | None = None
    fuel_litres: float | None = None
    fuel_percent: float | None = None
    battery_percent: float | None = None
    supply_volts: float | None = None
    odometer_km: float | None = None
    engine_hours: float | None = None
    alarms: tuple[str, ...] = ()
    geofence_ids: tuple[str, ...] = ()
    """The vendor's ids of the geofences that the vehicle is in."""


class Geofence(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.GEOFENCE

    name: str
    description: str | None = None
    geometry: GeoJson
    """A Point (circle, with `radius_m`), Polygon or LineString; longitude first."""
    radius_m: float | None = None
    corridor_m: float | None = None


class VehicleEvent(Value, frozen=True, kw_only=True):
    """Something that happened to a vehicle (overspeed, geofence crossed, alarm), by the vendor's name."""

    vehicle_external_id: str
    event_type: str
    at: datetime
    details: dict[str, str] = {}


RECORDS: tuple[type[Record], ...] = (
    Order, WarehouseOrder, WarehouseTask, InventoryBalance, Location, Item, Bom, Equipment, Mission, Unit,
    Booking, PriceEstimate, Vehicle, Geofence,
)  # fmt: skip
BY_KIND: dict[Kind, type[Record]] = {record.kind: record for record in RECORDS}
