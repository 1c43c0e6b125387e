"""Descriptions of the enumerations, which live in `unified` and are shown as they are."""

from enum import Enum
from typing import Any

import strawberry

from connectors.kit.catalogue import Channel
from resolvers.sources import SourceState
from unified import records
from unified.values import System

_UNKNOWN = "A value that Crossdock does not know; `source.vendorStatus` has the vendor's own."


def _described(enum: type[Enum], description: str, values: dict[str, str]) -> None:
    shown: Any = strawberry.enum(enum, description=description)
    for value in shown.__strawberry_definition__.values:
        value.description = values.get(value.name) or _UNKNOWN


_TEXTS: list[tuple[type[Enum], str, dict[str, str]]] = [
    (System, "A kind of vendor system that Crossdock can talk to.", {
        "SAP_EWM": "SAP Extended Warehouse Management, by OData V2 and V4.",
        "TEAMCENTER": "Siemens Teamcenter, by SOA over JSON.",
        "EQUIPMENT": "Machines by their own protocols: OctoPrint, MTConnect, OPC UA, Modbus.",
        "C4ISR": "A TAK server: missions by REST, units by Cursor on Target.",
        "PASSENGER_APP": "Ride-hail bookings in the dialect of Uber Guest Rides.",
        "TRACCAR": "A Traccar GPS server.",
        "SAP_ERP": "SAP ERP or S/4HANA, by OData, BAPIs and IDocs.",
        "ORACLE_FUSION": "Oracle Fusion Cloud SCM, by REST.",
        "MINESTAR": "Mobile machines by ISO 15143-3 (AEMP 2.0), and exports of Cat MineStar Fleet.",
        "GT02": "GPS trackers of the GT02 and GT06 families, which connect to Crossdock.",
    }),
    (Channel, "How Crossdock learns of changes at a vendor system.", {
        "WEBHOOK": "The vendor calls Crossdock.",
        "STREAM": "A socket or a listener that stays open.",
        "POLL": "Crossdock asks again and again.",
    }),
    (SourceState, "How one integration answered.", {
        "LIVE": "It answered now.",
        "STALE": "It fails now; its rows are its last good answer, as old as `asOf` says.",
        "FAILED": "It failed and no earlier answer is there; its rows are missing.",
        "UNSORTABLE": "It cannot sort by what was asked and is too large to be sorted here; its rows are left out.",
        "TRUNCATED": "The search for matching rows stopped at the limit; go on with `after`.",
    }),
    (records.OrderKind, "What an order is for.", {
        "SALES": "A sales order.",
        "PURCHASE": "A purchase order.",
        "OUTBOUND_DELIVERY": "Goods that leave a warehouse.",
        "INBOUND_DELIVERY": "Goods that arrive at a warehouse.",
    }),
    (records.OrderStatus, "How far an order is.", {
        "OPEN": "Nothing was done yet.",
        "IN_PROGRESS": "Something was done, not all.",
        "COMPLETED": "All was done.",
        "CANCELLED": "It will not be done.",
    }),
    (records.Progress, "How far one step of an order is.", {
        "NOT_STARTED": "Nothing of it was done.",
        "PARTIAL": "A part of it was done.",
        "COMPLETE": "All of it was done.",
        "NOT_RELEVANT": "The step does not apply.",
    }),
    (records.TaskStatus, "Status of a warehouse order or task.", {
        "OPEN": "Waiting.",
        "IN_PROGRESS": "Somebody or something works on it.",
        "DONE": "Confirmed.",
        "CANCELLED": "Given up; nothing more will be moved.",
    }),
    (records.StockStatus, "What stock may be used for. Quantities of different statuses are never added up.", {
        "UNRESTRICTED": "Free to use.",
        "QUALITY_INSPECTION": "Waits for inspection.",
        "BLOCKED": "Must not be used.",
    }),
    (records.LocationKind, "What a location is.", {
        "STORAGE_BIN": "A place that holds goods.",
        "ZONE": "A group of bins.",
        "WAREHOUSE": "A whole warehouse.",
    }),
    (records.ItemType, "What an item is.", {
        "COMPONENT": "A part.",
        "ASSEMBLY": "It is made of other items.",
        "RAW_MATERIAL": "It is consumed by mass, length or volume.",
        "TOOLING": "A tool.",
        "EQUIPMENT": "A machine as an item.",
        "MODEL": "A product with options, from which configurations are made.",
    }),
    (records.EquipmentState, "What a machine does.", {
        "IDLE": "Ready, without a job.",
        "RUNNING": "Works on a job.",
        "PAUSED": "Its job is interrupted.",
        "ERROR": "It needs a person; see `errorMessage`.",
        "MAINTENANCE": "Taken out of use for maintenance.",
        "OFFLINE": "Not connected.",
    }),
    (records.EquipmentType, "What kind of machine it is.", {
        "CNC_MILL": "A milling machine: the tool turns.",
        "CNC_LATHE": "A lathe: the work turns.",
        "PRINTER_3D": "It builds up layer by layer.",
        "LASER_CUTTER": "It cuts sheets with light.",
        "SENSOR": "A sensor of its own.",
        "PLC": "Programmable logic controller.",
        "ROBOT_ARM": "A jointed arm that grips, welds or paints.",
        "CMM": "Coordinate measuring machine.",
        "HAUL_TRUCK": "Truck that hauls in a mine or on a site.",
        "LOADING_UNIT": "Shovel, excavator or loader that loads trucks.",
        "MOBILE_MACHINE": "Another machine that moves.",
        "OTHER": "Anything else.",
    }),
    (records.ReadingQuality, "How good a sensor's value is, as the machine judges.", {
        "GOOD": "It can be used.",
        "UNCERTAIN": "It may be wrong.",
        "BAD": "It must not be used.",
    }),
    (records.FaultSeverity, "How bad a fault is.", {
        "CRITICAL": "The machine must be stopped or looked at now.",
        "WARNING": "It should be looked at soon.",
        "INFO": "To be known.",
    }),
    (records.ShipmentDirection, "Whether goods leave or arrive.", {
        "OUTBOUND": "They leave.",
        "INBOUND": "They arrive.",
    }),
    (records.ShipmentStatus, "How far a shipment is.", {
        "OPEN": "Nothing was done yet.",
        "IN_PROGRESS": "It is being picked, packed or loaded.",
        "SHIPPED": "The goods have left (outbound) or are announced as sent (inbound).",
        "DELIVERED": "The goods are with the receiver.",
        "CANCELLED": "It will not be done.",
    }),
    (records.WorkOrderStatus, "How far a work order is.", {
        "CREATED": "It exists, nothing may be reported on it yet.",
        "PENDING": "It waits for its release.",
        "RELEASED": "It may be worked on.",
        "ON_HOLD": "It is stopped for now.",
        "COMPLETED": "All was made.",
        "CLOSED": "Nothing more may be reported on it.",
        "CANCELLED": "It will not be done.",
    }),
    (records.MissionState, "Whether a mission is on.", {
        "ACTIVE": "It is on.",
        "EXPIRED": "Its time is over.",
        "DELETED": "It was deleted at the server.",
    }),
    (records.Affiliation, "Whose side a unit is on (MIL-STD-2525).", {
        "PENDING": "Not judged yet.",
        "UNKNOWN": "Judged, and unknown.",
        "ASSUMED_FRIEND": "Assumed to be a friend.",
        "FRIEND": "On our side, for certain.",
        "NEUTRAL": "On nobody's side.",
        "SUSPECT": "Perhaps hostile.",
        "HOSTILE": "Against us, for certain.",
        "JOKER": "A friend that plays a suspect in an exercise.",
        "FAKER": "A friend that plays a hostile in an exercise.",
        "NONE": "No affiliation was specified.",
    }),
    (records.Dimension, "Where a unit moves (MIL-STD-2525).", {
        "SPACE": "In space.",
        "AIR": "In the air.",
        "GROUND": "On the ground.",
        "SEA_SURFACE": "On the water.",
        "SUBSURFACE": "Under water.",
        "OTHER": "Anything else.",
    }),
    (records.Connectivity, "Whether the thing is heard of.", {
        "ONLINE": "It reports.",
        "OFFLINE": "It has stopped reporting.",
    }),
    (records.BookingStatus, "Where a ride stands. COMPLETED, CANCELLED and FAILED are final.", {
        "SCHEDULED": "Booked for later.",
        "PENDING": "A driver is being looked for.",
        "ASSIGNED": "A driver has taken it.",
        "EN_ROUTE_TO_PICKUP": "The driver is on the way to the pickup.",
        "AT_PICKUP": "The driver is at the pickup, or within 0.2 miles of it.",
        "IN_TRANSIT": "The guest is on board.",
        "AT_DESTINATION": "Arrived, not finished yet.",
        "COMPLETED": "Finished.",
        "CANCELLED": "Cancelled; `cancelledBy` says by whom.",
        "FAILED": "No driver could be found.",
    }),
    (records.CancelledBy, "Who cancelled a ride.", {
        "RIDER": "The guest.",
        "DRIVER": "Who had accepted the ride.",
        "COORDINATOR": "Who booked it.",
        "SYSTEM": "The ride-hail system, for lack of an answer in time.",
    }),
    (records.VehicleState, "What a vehicle does.", {
        "MOVING": "It moves.",
        "IDLING": "It stands with the engine on.",
        "PARKED": "It stands with the engine off.",
    }),
]  # fmt: skip

# Declared here, before any type refers to an enumeration: Strawberry keeps the first declaration it meets.
for _enum, _description, _values in _TEXTS:
    _described(_enum, _description, _values)
