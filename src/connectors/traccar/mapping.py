"""From Traccar's objects to records: knots to km/h, metres to km, milliseconds to hours."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from connectors.kit import decode
from connectors.kit.decode import Codes
from connectors.kit.errors import MappingFailed
from connectors.kit.integration import Origin
from connectors.traccar import areas, wire
from connectors.traccar.settings import Naming, Settings
from unified.records import Connectivity, Geofence, Vehicle, VehicleEvent, VehicleState
from unified.values import Position

KMH_PER_KNOT: Final = 1.852
MOVING_KMH: Final = 2.0
"""From this speed on a vehicle moves, where the device does not tell; below it is GPS noise."""
DETAILS_MOST: Final = 40
DETAIL_LONGEST: Final = 500

CONNECTIVITIES: Final = Codes(
    Connectivity,
    {"online": Connectivity.ONLINE, "offline": Connectivity.OFFLINE, "unknown": Connectivity.UNKNOWN},
)
DEFAULT_NAMING: Final = Naming(Settings())

_KNOTS: Final = frozenset({"speed", "speedLimit"})


def vehicle(
    device: wire.Device,
    last: wire.Position | None,
    origin: Origin,
    naming: Naming = DEFAULT_NAMING,
    *,
    path: str = "$",
) -> Vehicle:
    """The device with its last position (null: it never sent one). Raises `MappingFailed`."""
    attributes = device.attributes or {}
    told: Mapping[str, Any] = (last.attributes or {}) if last is not None else {}
    name = decode.none(device.name)
    plate, fleet_number = naming.plate(name, attributes), naming.fleet_number(name, attributes)
    last_update = decode.moment(device.last_update, path=f"{path}.lastUpdate")
    server_time = decode.moment(last.server_time, path=f"{path}.serverTime") if last is not None else None
    return Vehicle(
        source=origin.source(str(device.id), device.status),
        updated_at=max((each for each in (last_update, server_time) if each is not None), default=None),
        name=name or fleet_number or plate or decode.none(device.unique_id) or str(device.id),
        plate=plate,
        fleet_number=fleet_number,
        device_identifier=decode.none(device.unique_id),
        category=decode.none(device.category),
        model=decode.none(device.model),
        connectivity=CONNECTIVITIES[device.status],
        state=VehicleState.UNKNOWN if last is None else state(last),
        position=None if last is None else position(last, path=path),
        ignition_on=_flag(told, "ignition"),
        fuel_litres=number(told, "fuel"),
        fuel_percent=number(told, "fuelLevel"),
        battery_percent=number(told, "batteryLevel"),
        supply_volts=number(told, "power"),
        odometer_km=_scaled(told, 1000, 3, "odometer", "totalDistance"),
        engine_hours=_scaled(told, 3_600_000, 4, "hours"),
        alarms=alarms(told),
        geofence_ids=tuple(str(each) for each in (last.geofence_ids or ())) if last is not None else (),
    )


def recorded_at(last: wire.Position, *, path: str = "$") -> datetime:
    """The time of the fix; of the message, where the fix was copied from an earlier one. Raises `MappingFailed`."""
    fix = decode.moment(last.fix_time, path=f"{path}.fixTime")
    device = decode.moment(last.device_time, path=f"{path}.deviceTime")
    found = (device or fix) if last.outdated else (fix or device)
    found = found or decode.moment(last.server_time, path=f"{path}.serverTime")
    if found is None:
        raise MappingFailed(f"the position at `{path}` has no time", path=f"{path}.fixTime")
    return found


def position(last: wire.Position, *, path: str = "$") -> Position | None:
    """Null for a place beyond the earth, and for 0, 0 without a fix. Raises `MappingFailed`."""
    at = recorded_at(last, path=path)
    if not (abs(last.latitude) <= 90 and abs(last.longitude) <= 180):
        return None
    if not last.valid and last.latitude == 0 and last.longitude == 0:
        return None
    return Position(
        latitude=last.latitude,
        longitude=last.longitude,
        altitude_m=last.altitude,
        accuracy_m=last.accuracy or None,  # 0 is the server's default where the device tells none
        speed_kmh=None if last.speed is None else kmh(last.speed),
        heading_deg=None if last.course is None else last.course % 360,
        recorded_at=at,
        received_at=decode.moment(last.server_time, path=f"{path}.serverTime"),
        stale=last.outdated or not last.valid,
    )


def state(last: wire.Position) -> VehicleState:
    """What the last message says: `motion` first, else the speed. Those of a copied or invalid fix do not count."""
    told = last.attributes or {}
    ignition, motion = _flag(told, "ignition"), _flag(told, "motion")
    if last.outdated or not last.valid:
        return VehicleState.PARKED if ignition is False else VehicleState.UNKNOWN
    if motion is None and last.speed is not None:
        motion = kmh(last.speed) >= MOVING_KMH
    if motion:
        return VehicleState.MOVING
    if ignition:
        return VehicleState.IDLING
    return VehicleState.UNKNOWN if motion is None and ignition is None else VehicleState.PARKED


def happened(event: wire.Event, *, path: str = "$") -> VehicleEvent:
    """An event by the vendor's name; the kind of an `alarm` is in the details. Raises `MappingFailed`."""
    at = known_moment(event.event_time, path=f"{path}.eventTime")
    details: dict[str, str] = {}
    for name, value in list((event.attributes or {}).items())[:DETAILS_MOST]:
        if name in _KNOTS and isinstance(value, int | float) and not isinstance(value, bool):
            details[f"{name}Kmh"] = f"{kmh(value):g}"
        elif isinstance(value, bool):
            details[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            details[name] = str(value)[:DETAIL_LONGEST]
    for name, reference in (
        ("eventId", event.id),
        ("positionId", event.position_id),
        ("geofenceId", event.geofence_id),
        ("maintenanceId", event.maintenance_id),
    ):
        if reference:
            details[name] = str(reference)
    return VehicleEvent(vehicle_external_id=str(event.device_id), event_type=event.type, at=at, details=details)


def geofence(fence: wire.Geofence, origin: Origin, *, path: str = "$") -> Geofence:
    """Raises `MappingFailed` for an area that is no circle, polygon or line."""
    found = areas.area(fence.area, path=f"{path}.area")
    corridor = number(fence.attributes or {}, "polylineDistance")
    return Geofence(
        source=origin.source(str(fence.id)),
        name=decode.none(fence.name) or str(fence.id),
        description=decode.none(fence.description),
        geometry=found.geometry,
        radius_m=found.radius_m,
        corridor_m=corridor if found.geometry["type"] == "LineString" else None,
    )


def alarms(told: Mapping[str, Any]) -> tuple[str, ...]:
    """Several alarms of one message are joined by a comma."""
    value = told.get("alarm")
    if not isinstance(value, str):
        return ()
    return tuple(dict.fromkeys(each.strip() for each in value.split(",") if each.strip()))


def kmh(knots: float) -> float:
    return round(knots * KMH_PER_KNOT, 2)


def number(told: Mapping[str, Any], name: str) -> float | None:
    """An attribute as a number; attributes hold any JSON scalar, and numbers come as text too."""
    value = told.get(name)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        return None
    return float(value)


def _scaled(told: Mapping[str, Any], divisor: float, digits: int, *names: str) -> float | None:
    for name in names:
        value = number(told, name)
        if value is not None:
            return round(value / divisor, digits)
    return None


def _flag(told: Mapping[str, Any], name: str) -> bool | None:
    value = told.get(name)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value if isinstance(value, bool) else None


def known_moment(text: str, *, path: str) -> datetime:
    """A time that must be there. Raises `MappingFailed`."""
    found = decode.moment(text, path=path)
    if found is None:
        raise MappingFailed(f"`{path}` holds no time", path=path)
    return found


def milliseconds(text: str, *, path: str) -> str:
    """Unix milliseconds, as the URL form of forwarding has them, as ISO 8601. Raises `MappingFailed`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 14):
        raise MappingFailed(f"`{path}` is no time in milliseconds", path=path)
    return datetime.fromtimestamp(int(text) / 1000, UTC).isoformat(timespec="milliseconds")
