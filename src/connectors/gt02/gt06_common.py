"""The frames that trackers send all day, each read in one go: this is nine tenths of the traffic of a fleet.

They say what the general reader would say of them, which the tests hold; whatever is odd about one is left to it.
"""

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final

from connectors.gt02 import codes
from connectors.gt02.gt06_reading import COURSE_MOST, LATITUDE_MOST, LONGITUDE_MOST
from connectors.gt02.report import Cell, Fix, Report

Common = Callable[[bytes, tzinfo], Report | None]

_LOCATION_CELL: Final = struct.Struct(">7B2IBHHBHBH").unpack_from
_UPLOAD: Final = struct.Struct(">7B2IBHHBHBH3B").unpack_from
_ALARM: Final = struct.Struct(">7B2IBHBHBHBH4B").unpack_from
_FLOATS: Final = tuple(float(number) for number in range(0x400))
_FLAGS: Final = tuple(
    (
        60.0 if bits & 1 else -60.0,
        -60.0 if bits & 2 else 60.0,
        bits & 4 != 0,
        bits & 32 != 0 if bits & 16 else None,
    )
    for bits in range(64)
)
"""By the upper six bits of course and status: minutes per degree of latitude (negative in the south) and longitude
(negative in the west), whether the device has located itself, and its ignition where it tells that."""
_ALARM_NAMES: Final[tuple[str | None, ...]] = tuple(codes.ALARMS.get(code) for code in range(256))
_STATUS_ALARM: Final[tuple[str | None, ...]] = tuple(codes.STATUS_ALARMS.get(status >> 3 & 7) for status in range(256))
_BATTERY: Final[tuple[int | None, ...]] = tuple(
    level * 100 // 6 if level <= 6 else level if level <= 100 else None for level in range(256)
)


def _location_12(raw: bytes, zone: tzinfo) -> Report | None:
    year, month, day, hour, minute, second, gps, latitude, longitude, speed, flags, mcc, mnc, lac, high, low = (
        _LOCATION_CELL(raw, 4)
    )
    course = flags & 0x3FF
    north, east, valid, ignition = _FLAGS[flags >> 10]
    if latitude > LATITUDE_MOST or longitude > LONGITUDE_MOST or course > COURSE_MOST or mcc >= 0x8000 or latitude == 0:
        return None
    try:
        at = datetime(2000 + year, month, day, hour, minute, second, 0, zone)
    except ValueError:
        return None
    return Report(
        type=0x12,
        fix=Fix(
            at if zone is UTC else at.astimezone(UTC),
            latitude / north / 30000,
            longitude / east / 30000,
            _FLOATS[speed],
            _FLOATS[course],
            valid,
        ),
        satellites=gps & 15,
        ignition=ignition,
        cells=(Cell(mcc, mnc, lac, high << 16 | low),),
    )


def _location_22(raw: bytes, zone: tzinfo) -> Report | None:
    (
        year, month, day, hour, minute, second, gps, latitude, longitude, speed, flags, mcc, mnc, lac, high, low,
        acc, reason, again,
    ) = _UPLOAD(raw, 4)  # fmt: skip
    course = flags & 0x3FF
    north, east, valid, _ = _FLAGS[flags >> 10]
    if latitude > LATITUDE_MOST or longitude > LONGITUDE_MOST or course > COURSE_MOST or mcc >= 0x8000 or latitude == 0:
        return None
    try:
        at = datetime(2000 + year, month, day, hour, minute, second, 0, zone)
    except ValueError:
        return None
    return Report(
        type=0x22,
        fix=Fix(
            at if zone is UTC else at.astimezone(UTC),
            latitude / north / 30000,
            longitude / east / 30000,
            _FLOATS[speed],
            _FLOATS[course],
            valid,
        ),
        satellites=gps & 15,
        ignition=acc > 0,
        buffered=again > 0,
        cells=(Cell(mcc, mnc, lac, high << 16 | low),),
        extras={"event": reason},
    )


def _status_13(raw: bytes, _zone: tzinfo) -> Report | None:
    status, level, gsm, code = raw[4], raw[5], raw[6], raw[7]
    if code:
        return None
    alarm = _STATUS_ALARM[status]
    return Report(
        type=0x13,
        status=status,
        ignition=status & 2 != 0,
        charging=status & 4 != 0,
        blocked=status >= 128,
        battery_percent=_BATTERY[level],
        gsm=gsm,
        alarms=(alarm,) if alarm is not None else (),
    )


def _alarm_16(raw: bytes, zone: tzinfo) -> Report | None:
    (
        year, month, day, hour, minute, second, gps, latitude, longitude, speed, flags, count, mcc, mnc, lac, high, low,
        status, level, gsm, code,
    ) = _ALARM(raw, 4)  # fmt: skip
    course = flags & 0x3FF
    north, east, valid, _ = _FLAGS[flags >> 10]
    if latitude > LATITUDE_MOST or longitude > LONGITUDE_MOST or course > COURSE_MOST or mcc >= 0x8000 or latitude == 0:
        return None
    first, second_ = _STATUS_ALARM[status], _ALARM_NAMES[code]
    if count != 9 or (code and second_ is None):
        return None
    try:
        at = datetime(2000 + year, month, day, hour, minute, second, 0, zone)
    except ValueError:
        return None
    return Report(
        type=raw[3],
        fix=Fix(
            at if zone is UTC else at.astimezone(UTC),
            latitude / north / 30000,
            longitude / east / 30000,
            _FLOATS[speed],
            _FLOATS[course],
            valid,
        ),
        satellites=gps & 15,
        status=status,
        alarms=tuple(each for each in (first, second_) if each is not None),
        ignition=status & 2 != 0,
        charging=status & 4 != 0,
        blocked=status >= 128,
        battery_percent=_BATTERY[level],
        gsm=gsm,
        cells=(Cell(mcc, mnc, lac, high << 16 | low),),
    )


COMMON: Final[Mapping[bytes, Common]] = {
    b"xx\x1f\x12": _location_12,
    b"xx\x22\x22": _location_22,
    b"xx\x0a\x13": _status_13,
    b"xx\x25\x16": _alarm_16,
    b"xx\x25\x26": _alarm_16,
}
"""By start mark, length and type, for frames whose length field fits and for models that are not special."""
