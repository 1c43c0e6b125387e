"""The one little world that all stand-ins show parts of.

Always the same, on every Python version. What moves (vehicles, printers, bookings, tasks) is a pure function
of time: `thing.state_at(world.now())`. Nothing here changes; what a stand-in is told to change is its own.
The same thing is numbered and spelt differently in every vendor; each spelling is a field of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar

from sandbox.world.bookings import (
    TERMINAL,
    WITH_CAR,
    Booking,
    Bookings,
    BookingState,
    BookingStatus,
    Place,
    Step,
)
from sandbox.world.chance import ANCHOR, Chance, vendor_uid
from sandbox.world.geo import Loop, Point, course_deg, distance_m, offset
from sandbox.world.goods import (
    ISO_UNITS,
    SAP_UNITS,
    SITES,
    BomLine,
    Item,
    ObjectType,
    Revision,
    Site,
    Unit,
    View,
    build_goods,
)
from sandbox.world.machines import Batch, Machine, MachineMode, MachineState, MachineTool, build_machines
from sandbox.world.missions import (
    Geofence,
    Mission,
    MissionChange,
    MissionContent,
    TakUnit,
    UnitState,
    build_geofences,
    build_missions,
    build_units,
)
from sandbox.world.printers import Printer, PrinterMode, PrinterState, PrintFile, build_printers
from sandbox.world.quarry import QuarryCycle, QuarryDelay, QuarryFault, QuarryMachine, QuarryReport, build_quarry
from sandbox.world.vehicles import Vehicle, VehicleChange, VehicleState, build_vehicles
from sandbox.world.warehouse import (
    Bin,
    Delivery,
    DeliveryLine,
    DeliveryState,
    OrderState,
    Resource,
    Stock,
    StockType,
    Task,
    TaskState,
    WarehouseOrder,
    WorkStatus,
    build_warehouses,
)

__all__ = [
    "ANCHOR", "ISO_UNITS", "SAP_UNITS", "SITES", "TERMINAL", "WITH_CAR", "Batch", "Bin", "BomLine", "Booking",
    "BookingState", "BookingStatus", "Chance", "Delivery", "DeliveryLine", "DeliveryState", "Geofence",
    "Item", "Loop", "Machine", "MachineMode", "MachineState", "MachineTool", "Mission", "MissionChange",
    "MissionContent", "ObjectType", "OrderState", "Place",
    "Point", "PrintFile", "Printer", "PrinterMode", "PrinterState", "QuarryCycle", "QuarryDelay", "QuarryFault",
    "QuarryMachine", "QuarryReport", "Resource", "Revision", "Site",
    "Step", "Stock", "StockType", "TakUnit", "Task", "TaskState", "Unit", "UnitState", "Vehicle",
    "VehicleChange", "VehicleState", "View", "WarehouseOrder", "WorkStatus", "World", "course_deg",
    "distance_m", "offset", "vendor_uid",
]  # fmt: skip

_Thing = TypeVar("_Thing")
_Key = TypeVar("_Key")


def _real_time() -> datetime:
    return datetime.now(UTC)


def _by(things: Iterable[_Thing], key: Callable[[_Thing], _Key]) -> Mapping[_Key, _Thing]:
    return {key(one): one for one in things}


class World:
    """Everything there is; `clock` gives aware UTC times and may be pinned or advanced by tests.

    The mappings are the look-ups: `world.item_by_sap.get(number)` is None for what does not exist.
    """

    def __init__(self, clock: Callable[[], datetime] = _real_time) -> None:
        self.clock: Final = clock
        goods = build_goods()
        self.sites: Final = SITES
        self.site_by_key: Final = _by(SITES, lambda one: one.key)
        self.site_by_warehouse: Final = _by(SITES, lambda one: one.warehouse)

        self.items: Final = goods.items
        self.products: Final = goods.products
        self.item_links: Final = goods.links
        self.item_by_key: Final = _by(goods.items, lambda one: one.key)
        self.item_by_sap: Final = _by(goods.items, lambda one: one.sap_number)
        self.item_by_teamcenter: Final = _by(goods.items, lambda one: one.teamcenter_number)
        self.item_by_uid: Final = _by(goods.items, lambda one: one.uid)
        self.revision_by_uid: Final = {one.uid: one for item in goods.items for one in item.revisions}
        self._boms: Final = {"engineering": goods.engineering, "manufacturing": goods.manufacturing}
        self._used: Final = {view: self._where_used(boms) for view, boms in self._boms.items()}
        self.line_by_uid: Final = {one.uid: one for lines in goods.manufacturing.values() for one in lines}

        self.vehicles: Final = build_vehicles()
        self.trucks: Final = tuple(one for one in self.vehicles if one.kind == "truck")
        self.cars: Final = tuple(one for one in self.vehicles if one.kind == "ride_hail")
        self.heavies: Final = tuple(one for one in self.vehicles if one.kind == "heavy")
        self.vehicle_by_key: Final = _by(self.vehicles, lambda one: one.key)
        self.vehicle_by_plate: Final = _by(self.vehicles, lambda one: one.sap_plate)
        self.vehicle_by_traccar_id: Final = _by(self.vehicles, lambda one: one.traccar_id)
        self.vehicle_by_imei: Final = _by(self.vehicles, lambda one: one.imei)
        self.vehicle_by_callsign: Final = _by(self.vehicles, lambda one: one.tak_callsign)

        houses = build_warehouses(goods, self.vehicles)
        self.bins: Final = houses.bins
        self.stock: Final = houses.stock
        self.deliveries: Final = houses.deliveries
        self.warehouse_orders: Final = houses.orders
        self.tasks: Final = houses.tasks
        self.resources: Final = houses.resources
        self.bin_by_id: Final = _by(self.bins, lambda one: (one.warehouse, one.id))
        self.delivery_by_number: Final = _by(self.deliveries, lambda one: one.number)
        self.order_by_number: Final = _by(self.warehouse_orders, lambda one: (one.warehouse, one.number))
        self.task_by_number: Final = _by(self.tasks, lambda one: (one.warehouse, one.number))
        self.stock_by_item: Final = _grouped(self.stock, lambda one: one.item_key)
        self.stock_by_warehouse: Final = _grouped(self.stock, lambda one: one.warehouse)

        self.printers: Final = build_printers(self.items)
        self.printer_by_id: Final = _by(self.printers, lambda one: one.id)
        self.machines: Final = build_machines(self.items)
        self.machine_by_id: Final = _by(self.machines, lambda one: one.id)

        self.quarry: Final = build_quarry(self.vehicles)
        self.quarry_machine_by_key: Final = _by(self.quarry, lambda one: one.key)

        self.bookings: Final = Bookings(self.cars)

        self.units: Final = build_units(self.vehicles)
        self.unit_by_uid: Final = _by(self.units, lambda one: one.uid)
        self.unit_by_callsign: Final = _by(self.units, lambda one: one.callsign)
        self.missions: Final = build_missions(self.units)
        self.mission_by_guid: Final = _by(self.missions, lambda one: one.guid)
        self.mission_by_name: Final = _by(self.missions, lambda one: one.name)
        self.geofences: Final = build_geofences()
        self.geofence_by_id: Final = _by(self.geofences, lambda one: one.id)

    def now(self) -> datetime:
        return self.clock()

    def bom(self, item_key: str, view: View = "engineering") -> tuple[BomLine, ...]:
        """Lines directly below, by find number; empty for what is bought."""
        return self._boms[view].get(item_key, ())

    def where_used(self, item_key: str, view: View = "engineering") -> tuple[BomLine, ...]:
        """Lines that directly use it, by parent."""
        return self._used[view].get(item_key, ())

    def depth(self, item_key: str, view: View = "engineering") -> int:
        """Levels below the item: 0 for what is bought."""
        return max((1 + self.depth(line.item_key, view) for line in self.bom(item_key, view)), default=0)

    def warehouses(self, ewm_system: str) -> tuple[str, ...]:
        """Numbers of the warehouses in the EWM system `west` or `north`."""
        return tuple(one.warehouse for one in SITES if one.ewm_system == ewm_system)

    @staticmethod
    def _where_used(boms: Mapping[str, tuple[BomLine, ...]]) -> Mapping[str, tuple[BomLine, ...]]:
        return _grouped((line for lines in boms.values() for line in lines), lambda one: one.item_key)


def _grouped(things: Iterable[_Thing], key: Callable[[_Thing], str]) -> Mapping[str, tuple[_Thing, ...]]:
    found: defaultdict[str, list[_Thing]] = defaultdict(list)
    for one in things:
        found[key(one)].append(one)
    return {name: tuple(rows) for name, rows in found.items()}
