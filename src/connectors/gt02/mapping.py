"""From what is known of a tracker to the vehicle that it sits in, and to what happened to it."""

from datetime import datetime
from typing import Final

import msgspec

from connectors.gt02.deliveries import LinkState
from connectors.gt02.known import Known, is_ahead, time_of
from connectors.gt02.report import Report
from connectors.gt02.settings import Tracker
from connectors.kit.integration import Origin
from unified.records import Connectivity, Vehicle, VehicleEvent, VehicleState
from unified.values import Position

MOVING_KMH: Final = 2.0
"""From this speed on a vehicle moves; below it is GPS noise."""
DETAIL_LONGEST: Final = 500
_STATES: Final = frozenset({0x13, 0x36, 0xA3})
"""Frames that tell a state again and again; their alarms are news only when they begin."""
_DETAILS: Final = ("event", "eventData", "eventFiles", "geofence", "card")


def vehicle(device: Tracker, known: Known, origin: Origin) -> Vehicle:
    """The vehicle as it is now."""
    status = None if known.status is None else f"0x{known.status:02x}"
    return Vehicle(
        source=origin.source(device.imei, status),
        updated_at=known.heard_at,
        name=device.name or device.fleet_number or device.plate or device.imei,
        plate=device.plate,
        fleet_number=device.fleet_number,
        device_identifier=device.imei,
        category=device.category,
        model=device.model,
        connectivity=_connectivity(known),
        state=_state(known),
        position=_position(known),
        ignition_on=known.ignition,
        battery_percent=known.battery_percent,
        supply_volts=known.supply_volts,
        odometer_km=known.odometer_km,
        engine_hours=known.engine_hours,
        gsm_level=known.gsm,
        alarms=known.alarms,
    )


def _connectivity(known: Known) -> Connectivity:
    if known.heard_at is None:
        return Connectivity.UNKNOWN
    return Connectivity.ONLINE if known.online else Connectivity.OFFLINE


def _state(known: Known) -> VehicleState:
    """By speed, then by ignition; where the place is an old one only "off" can be believed."""
    if known.at is None or known.stale:
        return VehicleState.PARKED if known.ignition is False else VehicleState.UNKNOWN
    if known.speed_kmh is not None and known.speed_kmh >= MOVING_KMH:
        return VehicleState.MOVING
    return VehicleState.IDLING if known.ignition else VehicleState.PARKED


def _position(known: Known) -> Position | None:
    if known.at is None:
        return None
    return Position(
        latitude=known.latitude,
        longitude=known.longitude,
        altitude_m=known.altitude_m,
        accuracy_m=known.accuracy_m,
        speed_kmh=known.speed_kmh,
        heading_deg=known.course_deg,
        satellites=known.satellites,
        recorded_at=known.at,
        received_at=known.received_at,
        stale=known.stale,
    )


def linked(before: Known, state: LinkState, received_at: datetime) -> Known:
    """What is known after a tracker came or went."""
    return msgspec.structs.replace(
        before, online=state.online, heard_at=received_at if state.online else before.heard_at
    )


def happened(imei: str, before: Known, report: Report, received_at: datetime) -> list[VehicleEvent]:
    """Alarms, answers to commands, other drivers. The kind of an alarm is in the details."""
    at = time_of(report)
    if at is None or is_ahead(report, received_at):
        at = received_at
    found = [("alarm", {"alarm": name}) for name in _new_alarms(before, report)]
    if report.result is not None:
        found.append(("commandResult", {"result": report.result[:DETAIL_LONGEST]}))
    if report.driver is not None and report.driver != before.driver:
        found.append(("driverChanged", {"driverUniqueId": report.driver}))
    more: dict[str, str] = {
        name: str(report.extras[name])[:DETAIL_LONGEST] for name in _DETAILS if name in report.extras
    }
    if report.buffered:
        more["buffered"] = "true"
    return [
        VehicleEvent(vehicle_external_id=imei, event_type=name, at=at, details={**details, **more})
        for name, details in found
    ]


def _new_alarms(before: Known, report: Report) -> list[str]:
    names = list(dict.fromkeys(report.alarms))
    return [name for name in names if name not in before.alarms] if report.type in _STATES else names
