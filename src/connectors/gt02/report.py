"""What a frame says, in the tracker's own terms; and the cursor that reads it from bytes."""

from datetime import UTC, datetime, tzinfo

import msgspec

from connectors.kit.errors import BadPayload

Extra = str | int | float | bool


class Fix(msgspec.Struct, frozen=True, gc=False):
    """A place as the device told it. Degrees are signed; `valid` false: the device says that it has not located itself
    (many repeat their last place then)."""

    at: datetime
    latitude: float
    longitude: float
    speed_kmh: float
    course_deg: float
    valid: bool
    altitude_m: float | None = None
    accuracy_m: float | None = None


class Cell(msgspec.Struct, frozen=True, gc=False):
    """A cell of a mobile network. `rssi` in dBm."""

    mcc: int
    mnc: int
    lac: int
    cid: int
    rssi: int | None = None


class AccessPoint(msgspec.Struct, frozen=True, gc=False):
    """A Wi-Fi access point that the device hears. `rssi` in dBm."""

    mac: str
    rssi: int | None = None


class Login(msgspec.Struct, frozen=True, gc=False):
    """Who is at the other end. `offset_minutes` is how far the device's clock is ahead of UTC, where it tells that."""

    imei: str
    device_type: int | None = None
    offset_minutes: int | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything else that a frame may say; null is "not told".

    `gsm` is the device's own level (0 to 4 on most), no dBm. `buffered`: recorded while there was no network.
    `doubtful` names a field of the location that is out of range: then there is no fix. `cut`: the frame ended in the
    midst of its content; what came before is here. `extras` holds what only some models tell, by the names that the
    fleet's people know from Traccar.
    """

    type: int
    imei: str | None = None
    fix: Fix | None = None
    device_time: datetime | None = None
    """The time of a frame that brings no fix."""
    satellites: int | None = None
    status: int | None = None
    """The terminal information byte as it came."""
    alarms: tuple[str, ...] = ()
    unknown_alarm: int | None = None
    """An alarm code that no table has."""
    ignition: bool | None = None
    charging: bool | None = None
    blocked: bool | None = None
    """Fuel and electricity are cut off."""
    armed: bool | None = None
    battery_percent: int | None = None
    battery_volts: float | None = None
    voltage_level: int | None = None
    """GT02: 0 (empty) to 6."""
    supply_volts: float | None = None
    gsm: int | None = None
    buffered: bool | None = None
    odometer_m: float | None = None
    engine_seconds: int | None = None
    driver: str | None = None
    result: str | None = None
    """The device's answer to a command, and other text."""
    cells: tuple[Cell, ...] = ()
    access_points: tuple[AccessPoint, ...] = ()
    doubtful: str | None = None
    cut: bool = False
    extras: dict[str, Extra] = {}


class CutShort(Exception):
    """The content ends before the field."""


class Cursor:
    """Reads big-endian numbers from a frame's content, from front to back. Raises `CutShort` at its end.

    `left` is what remains up to the serial number; in a ragged frame content may reach over it, up to `limit`.
    """

    __slots__ = ("at", "end", "limit", "raw")

    def __init__(self, raw: bytes, at: int, end: int, limit: int) -> None:
        self.raw, self.at, self.end, self.limit = raw, at, end, limit

    @property
    def left(self) -> int:
        return self.end - self.at

    def take(self, count: int) -> bytes:
        begin = self.at
        self.at = begin + count
        if self.at > self.limit:
            raise CutShort
        return self.raw[begin : self.at]

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > self.limit:
            raise CutShort

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def signed(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big", signed=True)

    def byte(self) -> int:
        at = self.at
        if at >= self.limit:
            raise CutShort
        self.at = at + 1
        return self.raw[at]

    def peek(self, offset: int = 0) -> int:
        """A byte further on, without reading it. Raises `CutShort`."""
        if self.at + offset >= self.limit:
            raise CutShort
        return self.raw[self.at + offset]

    def hex(self, count: int) -> str:
        return self.take(count).hex()

    def text(self, count: int) -> str:
        """ASCII; what is none becomes a replacement character."""
        return self.take(count).decode("ascii", "replace")

    def moment(self, zone: tzinfo) -> datetime | None:
        """Six bytes: year, month, day, hour, minute, second. Null for what is no time."""
        year, month, day, hour, minute, second = self.take(6)
        return moment(year, month, day, hour, minute, second, zone)

    def unix(self) -> datetime:
        return datetime.fromtimestamp(self.number(4), UTC)


def moment(year: int, month: int, day: int, hour: int, minute: int, second: int, zone: tzinfo) -> datetime | None:
    """The device's clock as UTC. Null for what is no time."""
    try:
        if zone is UTC:
            return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def unreadable(type_: int, why: str) -> BadPayload:
    """The fault of a frame that says nothing that can be used."""
    return BadPayload(f"the frame of type {type_:02x}: {why}", path="$.content")
