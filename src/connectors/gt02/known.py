"""What is known of a tracker's vehicle: each frame adds to it."""

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from connectors.gt02.report import Report
from unified.records import Connectivity, Vehicle

AHEAD_MOST: Final = timedelta(minutes=10)
"""How far a tracker's clock may be ahead of ours."""
_GT02_FULL: Final = 6


class Known(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one vehicle, by all frames so far; null is "never told". It travels with each delivery, so that a delivery can
    be read by whoever, whenever."""

    heard_at: datetime | None = None
    online: bool = False
    at: datetime | None = None
    """Of the place, by the device's clock."""
    received_at: datetime | None = None
    latitude: float = 0.0
    longitude: float = 0.0
    """The place; means nothing without `at`."""
    altitude_m: float | None = None
    accuracy_m: float | None = None
    speed_kmh: float | None = None
    course_deg: float | None = None
    satellites: int | None = None
    stale: bool = False
    """The device has said since that it cannot locate itself."""
    status: int | None = None
    alarms: tuple[str, ...] = ()
    ignition: bool | None = None
    battery_percent: float | None = None
    supply_volts: float | None = None
    gsm: int | None = None
    odometer_km: float | None = None
    engine_hours: float | None = None
    driver: str | None = None


def remembered(vehicle: Vehicle) -> Known:
    """What an earlier process made known."""
    place = vehicle.position
    status = vehicle.source.vendor_status
    known = Known(
        heard_at=vehicle.updated_at,
        online=vehicle.connectivity is Connectivity.ONLINE,
        status=int(status, 16) if status else None,
        alarms=vehicle.alarms,
        ignition=vehicle.ignition_on,
        battery_percent=vehicle.battery_percent,
        supply_volts=vehicle.supply_volts,
        gsm=vehicle.gsm_level,
        odometer_km=vehicle.odometer_km,
        engine_hours=vehicle.engine_hours,
    )
    if place is None:
        return known
    return msgspec.structs.replace(
        known,
        at=place.recorded_at,
        received_at=place.received_at,
        latitude=place.latitude,
        longitude=place.longitude,
        altitude_m=place.altitude_m,
        accuracy_m=place.accuracy_m,
        speed_kmh=place.speed_kmh,
        course_deg=place.heading_deg,
        satellites=place.satellites,
        stale=place.stale,
    )


def time_of(report: Report) -> datetime | None:
    """Of what the frame tells, by the device's clock."""
    return report.fix.at if report.fix is not None else report.device_time


def is_ahead(report: Report, received_at: datetime) -> bool:
    """Whether the frame's time cannot be: nothing is measured before it is received."""
    at = time_of(report)
    return at is not None and at > received_at + AHEAD_MOST


def after(before: Known, report: Report, received_at: datetime, *, good_crc: bool = True) -> Known:
    """What is known after the frame."""
    changes: dict[str, Any] = {"heard_at": received_at, "online": True}
    if not report.buffered:  # what was recorded while there was no network is older than what is known
        _told(changes, report)
    _located(changes, before, report, received_at, good_crc=good_crc)
    return msgspec.structs.replace(before, **changes)


def _told(changes: dict[str, Any], report: Report) -> None:
    for name in ("status", "ignition", "supply_volts", "gsm", "driver"):
        value = getattr(report, name)
        if value is not None:
            changes[name] = value
    if report.battery_percent is not None:
        changes["battery_percent"] = float(report.battery_percent)
    elif report.voltage_level is not None:
        changes["battery_percent"] = float(min(report.voltage_level, _GT02_FULL) * 100 // _GT02_FULL)
    if report.odometer_m is not None:
        changes["odometer_km"] = round(report.odometer_m / 1000, 3)
    if report.engine_seconds is not None:
        changes["engine_hours"] = round(report.engine_seconds / 3600, 4)
    if report.alarms or report.status is not None:
        changes["alarms"] = tuple(dict.fromkeys(report.alarms))


def _located(changes: dict[str, Any], before: Known, report: Report, received_at: datetime, *, good_crc: bool) -> None:
    """A place only ever gives way to a later one. For a time that cannot be (mostly of a clock in a zone that nobody
    told us) that of the receipt is taken; a frame with a wrong checksum, too, or from a buffer then says nothing."""
    fix = report.fix
    if fix is None or not fix.valid:
        lost = fix is not None or (report.satellites is not None and report.device_time is not None)
        if lost and before.at is not None and not report.buffered:
            changes["stale"] = True
        return
    at = fix.at
    if is_ahead(report, received_at):
        if not good_crc or report.buffered:
            return
        at = received_at
    if before.at is not None and at < before.at:
        return
    changes.update(
        at=at,
        received_at=received_at,
        latitude=fix.latitude,
        longitude=fix.longitude,
        altitude_m=fix.altitude_m,
        accuracy_m=fix.accuracy_m,
        speed_kmh=fix.speed_kmh,
        course_deg=fix.course_deg % 360,
        satellites=report.satellites,
        stale=False,
    )
