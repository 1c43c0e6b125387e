"""Vehicles and geofences."""

from datetime import datetime
from enum import Enum
from typing import ClassVar

from unified.records.base import Connectivity, Kind, Record
from unified.values import GeoJson, Position, Value


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
    gsm_level: int | None = None
    """The tracker's own scale of its mobile network's strength (mostly 0 to 4), no dBm."""
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
