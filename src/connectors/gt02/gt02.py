"""GT02: what frames of `68 68` say. Pure: a frame in, a report out. Each frame names its device; times are UTC."""

import struct
from datetime import UTC
from typing import Final

from connectors.gt02.frames import Frame
from connectors.gt02.gt06_reading import COURSE_MOST, LATITUDE_MOST, LONGITUDE_MOST
from connectors.gt02.report import Fix, Report, moment, unreadable

LOCATION: Final = 0x10
HEARTBEAT: Final = 0x1A
RESPONSE: Final = 0x1C
_LOCATION: Final = struct.Struct(">6B2IBH3xI")
_LOCATED, _NORTH, _EAST = 1, 2, 4


def imei(frame: Frame) -> str | None:
    """15 digits; null where they are none."""
    found = frame.raw[5:13].hex()[1:]
    return found if found.isdecimal() else None


def read(frame: Frame) -> Report:
    """What the frame says. Raises `BadPayload` when it says nothing."""
    raw, size = frame.raw, frame.end - frame.content
    if frame.type == LOCATION:
        if size < _LOCATION.size:
            raise unreadable(frame.type, f"a location has 24 bytes, not {size}")
        return _location(frame)
    if frame.type == HEARTBEAT:
        satellites = raw[frame.content + 1] if size >= 2 else None
        return Report(type=frame.type, imei=imei(frame), voltage_level=raw[3], gsm=raw[4], satellites=satellites)
    if frame.type == RESPONSE:
        length = raw[frame.content] if size else 0
        if size < length + 1:
            raise unreadable(frame.type, f"a text of {length} bytes in {size}")
        text = raw[frame.content + 1 : frame.content + 1 + length].decode("ascii", "replace")
        return Report(type=frame.type, imei=imei(frame), result=text)
    raise unreadable(frame.type, "of no type that is read")


def _location(frame: Frame) -> Report:
    *time, latitude, longitude, speed, course, flags = _LOCATION.unpack_from(frame.raw, frame.content)
    at = moment(time[0], time[1], time[2], time[3], time[4], time[5], UTC)
    doubtful = None
    if at is None:
        doubtful = "time"
    elif latitude > LATITUDE_MOST:
        doubtful = "latitude"
    elif longitude > LONGITUDE_MOST:
        doubtful = "longitude"
    elif course > COURSE_MOST:
        doubtful = "course"
    if at is None or doubtful is not None or not (latitude or longitude):
        return Report(type=frame.type, imei=imei(frame), device_time=at, doubtful=doubtful)
    fix = Fix(
        at,
        (latitude if flags & _NORTH else -latitude) / 60 / 30000,
        (longitude if flags & _EAST else -longitude) / 60 / 30000,
        float(speed),
        float(course),
        flags & _LOCATED != 0,
    )
    return Report(type=frame.type, imei=imei(frame), fix=fix)
