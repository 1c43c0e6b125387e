"""The parts that GT06 frames are made of: location, cell, terminal information, modules."""

import struct
from datetime import datetime, tzinfo
from typing import Any, Final

import msgspec

from connectors.gt02 import codes
from connectors.gt02.codes import Model, Variant
from connectors.gt02.frames import Frame
from connectors.gt02.report import Cell, Cursor, CutShort, Extra, Fix, Report, moment

LATITUDE_MOST: Final = 162_000_000
LONGITUDE_MOST: Final = 324_000_000
COURSE_MOST: Final = 360
_LOCATION: Final = struct.Struct(">7B2IBH")
_FOUR_BYTE_CELLS: Final = frozenset({0x11, 0x25, 0x61})
_EIGHT_BYTE_CELLS: Final = frozenset({0xA0, 0xA2, 0xA5})
_COUNT_EXCLUDES_ITSELF: Final = frozenset({Variant.SL4X, Variant.SEEWORLD, Variant.TRX16})
_NO_CELL_BYTES: Final = 45
"""What some models send as zeros in the place of a cell and its neighbours, when they say that there is none."""


class Reading(Cursor):
    """A frame while it is read: where we are, and what it has said so far."""

    __slots__ = ("alarms", "extras", "length", "model", "said", "type", "variant", "zone")

    def __init__(self, frame: Frame, zone: tzinfo, model: Model, variant: Variant) -> None:
        raw = frame.raw
        super().__init__(raw, frame.content, frame.end, len(raw) - 2 if frame.ragged else frame.end)
        self.type = frame.type
        self.zone, self.model, self.variant = zone, model, variant
        self.length = raw[2]
        self.said: dict[str, Any] = {}
        self.alarms: list[str] = []
        self.extras: dict[str, Extra] = {}

    @property
    def nothing(self) -> bool:
        """Whether nothing has been read yet that means anything."""
        return not (self.said or self.extras or self.alarms)

    def report(self) -> Report:
        said = self.said
        if self.alarms:
            said["alarms"] = tuple(self.alarms)
        if self.extras:
            said["extras"] = self.extras
        return Report(type=self.type, **said)

    # --- where and when

    def location(self) -> None:
        """Time, satellites, latitude, longitude, speed, course and flags."""
        at = self.at
        if at + 18 > self.limit:
            raise CutShort
        self.at = at + 18
        year, month, day, hour, minute, second, gps, latitude, longitude, speed, flags = _LOCATION.unpack_from(
            self.raw, at
        )
        time = moment(year, month, day, hour, minute, second, self.zone)
        self.place(time, latitude, longitude, flags, speed=speed, satellites=gps & 15)

    def place(
        self,
        at: datetime | None,
        latitude: int,
        longitude: int,
        flags: int,
        *,
        speed: int = 0,
        satellites: int | None = None,
        altitude: int | None = None,
    ) -> None:
        """Notes a fix; none for a field out of range and for 0, 0. The flags' ACC counts where it says so."""
        said = self.said
        course = flags & 0x3FF
        if satellites is not None:
            said["satellites"] = satellites
        if flags & 0x4000:
            said["ignition"] = flags >= 0x8000
        if at is None:
            said["doubtful"] = "time"
        elif latitude > LATITUDE_MOST:
            said["doubtful"] = "latitude"
        elif longitude > LONGITUDE_MOST:
            said["doubtful"] = "longitude"
        elif course > COURSE_MOST:
            said["doubtful"] = "course"
        elif latitude or longitude:
            said["fix"] = Fix(
                at,
                (latitude if flags & 0x400 else -latitude) / 60 / 30000,
                (-longitude if flags & 0x800 else longitude) / 60 / 30000,
                float(speed),
                float(course),
                flags & 0x1000 != 0,
                None if altitude is None else float(altitude),
            )
            return
        said["device_time"] = at

    def amend(self, **more: float) -> None:
        """Adds to the fix, if there is one."""
        fix = self.said.get("fix")
        if fix is not None:
            self.said["fix"] = msgspec.structs.replace(fix, **more)

    def device_time(self) -> None:
        """The time of a frame without a location."""
        self.said["device_time"] = self.moment(self.zone)

    # --- the network

    def cell(self, *, counted: bool) -> None:
        """The cell in use. `counted`: a byte before it says how long it is; most models count that byte, too."""
        size = self.byte() if counted else None
        if size == 0:
            if self.left > _NO_CELL_BYTES and not any(self.raw[self.at + 9 : self.at + _NO_CELL_BYTES]):
                self.skip(_NO_CELL_BYTES)
            return
        kind = self.byte() if self.type in (0x38, 0x39) else 0
        mcc = self.number(2)
        two_byte_network = bool(mcc & 0x8000) or self.type == 0x11 or self.variant is Variant.SL4X
        mnc = self.number(2) if two_byte_network else self.byte()
        lac_size, cid_size, rest = self._cell_sizes(size, kind, 4 if two_byte_network else 3)
        lac, cid = self.number(lac_size), self.number(cid_size)
        self.skip(rest)
        if kind:
            self.skip(2 if kind >= 3 else 1)  # signal
        self.said["cells"] = (Cell(mcc & 0x7FFF, mnc, lac, cid),)

    def _cell_sizes(self, size: int | None, kind: int, read: int) -> tuple[int, int, int]:
        """Bytes of LAC, of cell id, and of what follows them, when `read` bytes of the cell have been read."""
        bare = self.variant in _COUNT_EXCLUDES_ITSELF
        if size is not None:
            left = size - read - (0 if bare else 1)
            known = {12: (4, 8), 10: (2, 8), 6: (2, 4)}.get(left)
            if self.model is Model.NT:  # their counts fit nothing; beyond nine there is something more
                return 2, 4 if self.type in _FOUR_BYTE_CELLS else 3, max(size - 9, 0)
            return (*known, 0) if known is not None else (2, 3, max(left - 5, 0))
        if kind >= 3 or self.type in _EIGHT_BYTE_CELLS:
            return 4, 8, 0
        return 2, 4 if bare or self.type in _FOUR_BYTE_CELLS else 3, 0

    # --- the device

    def terminal(self) -> None:
        """The terminal information byte."""
        status = self.byte()
        said = self.said
        said["status"] = status
        said["ignition"] = status & 2 != 0
        said["charging"] = status & 4 != 0
        said["blocked"] = status >= 128
        code = status >> 3 & 7
        if code:
            if code == 7 and self.variant is Variant.VXT01:
                self.alarms.append("overspeed")
            elif (name := codes.STATUS_ALARMS.get(code)) is not None:
                self.alarms.append(name)

    def alarm(self, code: int) -> None:
        """The alarm byte; 0 is normal. What is unknown is kept as a number."""
        if code:
            name = codes.alarm(code, self.model, self.variant)
            if name is not None:
                self.alarms.append(name)
            else:
                self.said["unknown_alarm"] = code

    def battery(self, level: int) -> None:
        """0 to 6, or percent on newer models."""
        if level <= 6:
            self.said["battery_percent"] = level * 100 // 6
        elif level <= 100:
            self.said["battery_percent"] = level

    def driver(self, size: int) -> None:
        """A card's number; all zeros mean that none is there."""
        number = self.hex(size)
        if number.strip("0"):
            self.said["driver"] = number

    def modules(self) -> None:
        """The 4G models' list of modules: number, length, value. What is unknown is passed over."""
        said = self.said
        while self.left >= 3:
            module, size = self.number(2), self.byte()
            if self.left < size:
                raise CutShort
            end = self.at + size
            if module == 0x0018 and size >= 2:
                said["battery_volts"] = self.number(2) / 100
            elif module == 0x0027 and size >= 2:
                said["supply_volts"] = self.number(2) / 100
            elif module == 0x002E and size >= 4:
                said["odometer_m"] = float(self.number(4))
            elif module == 0x0032 and size >= 1:
                self.extras["startupStatus"] = self.byte()
            elif module == 0x003B and size >= 2:
                self.amend(accuracy_m=self.number(2) / 100)
            elif module == 0x006A and size >= 1:
                said["battery_percent"] = self.byte()
            self.at = end
