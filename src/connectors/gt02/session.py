"""One tracker's side of a connection: who it is, what it says, what it is answered. Pure: bytes in, findings out."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import Enum
from functools import cache
from typing import Final

import msgspec

from connectors.gt02 import answers, gt02, gt06, settings
from connectors.gt02.frames import END, Cutter, Family, Frame
from connectors.gt02.settings import Tracker
from connectors.kit.errors import BadPayload

STRANGE_FRAMES_MOST: Final = 5
"""Frames before a login that are passed over."""
GARBAGE_MOST: Final = 65_536
GARBAGE_OF_STRANGERS: Final = 4_096
"""Bytes in a row that belong to no frame, after which we hang up."""
LOGINS_IN_A_ROW: Final = 10
"""A tracker that logs in so often without saying anything else does not like our answers."""


class Finding(Enum):
    """What a frame is to us."""

    LOGIN = "login"
    REPORT = "report"
    REPEATED = "repeated"
    """The same frame again, which is answered again."""
    PASSED = "passed over"
    REFUSED = "refused"
    """We hang up."""


class Heard(msgspec.Struct, frozen=True, gc=False):
    """One frame and what becomes of it. `reply` goes to the device; `reason` says why it was passed over or refused."""

    finding: Finding
    frame: Frame
    device: Tracker | None = None
    reply: bytes = b""
    reason: str = ""


class Session:
    """Of one connection, or of one datagram's sender. `device` is who logged in last."""

    __slots__ = (
        "_cutter", "_last", "_photo", "_registry", "_strange", "_strict", "device", "logins", "offset_minutes",
    )  # fmt: skip

    def __init__(self, registry: Mapping[str, Tracker], families: frozenset[Family], *, strict: bool = False) -> None:
        self._registry, self._strict = registry, strict
        self._cutter = Cutter(families)
        self._last = b""
        self._photo: answers.Photo | None = None
        self._strange = 0
        self.device: Tracker | None = None
        self.offset_minutes: int | None = None
        """Of the device's clock from UTC, as its login told."""
        self.logins = 0
        """In a row."""

    @property
    def waiting(self) -> int:
        """Bytes of a frame that is not complete."""
        return self._cutter.waiting

    @property
    def ends_whole(self) -> bool:
        """Whether what waits ends as a frame does, so that its length field may be wrong."""
        return self._cutter.ends_with(END)

    @property
    def unbearable(self) -> str:
        """Why to hang up: too much that is no frame. Empty while there is no reason."""
        most = GARBAGE_OF_STRANGERS if self.device is None else GARBAGE_MOST
        if self._cutter.dropped > most or (self.device is None and self.waiting > most):
            return "it speaks neither GT02 nor GT06"
        return ""

    def feed(self, data: bytes) -> None:
        self._cutter.feed(data)

    def heard(self, now: datetime, *, final: bool = False) -> Iterator[Heard]:
        """All frames that are there; may be left at any and begun again."""
        for frame in self._cutter.frames(final=final):
            self._cutter.dropped = 0
            yield self._judge(frame, now)

    def _judge(self, frame: Frame, now: datetime) -> Heard:
        if self._strict and not frame.good_crc:
            return Heard(Finding.PASSED, frame, self.device, reason="its checksum is wrong")
        if frame.raw[0] == 0x68:
            return self._gt02(frame, now)
        if frame.type == gt06.LOGIN and not frame.extended and not frame.empty:
            return self._login(frame, now)
        if self.device is None:
            return self._stranger(frame)
        self.logins = 0
        reply = answers.answer_to(frame, now)
        if frame.empty:
            return Heard(Finding.PASSED, frame, self.device, reply, "a request" if reply else "an echo of our answer")
        if frame.raw == self._last:
            return Heard(Finding.REPEATED, frame, self.device, reply)
        self._last = frame.raw
        if frame.type in (answers.PHOTO, answers.PHOTO_DATA) and (photo := self._photographed(frame)) is not None:
            return photo
        if gt06.speaks(frame):
            return Heard(Finding.REPORT, frame, self.device, reply)
        return Heard(Finding.PASSED, frame, self.device, reply, "of no type that is read")

    def _gt02(self, frame: Frame, now: datetime) -> Heard:
        imei = gt02.imei(frame)
        device = self._registry.get(imei) if imei is not None else None
        if device is None:
            return Heard(Finding.REFUSED, frame, reason=f"the tracker {imei or '(no IMEI)'} is not registered")
        self.device = device
        reply = answers.answer_to(frame, now)
        if frame.raw == self._last:
            return Heard(Finding.REPEATED, frame, device, reply)
        self._last = frame.raw
        if frame.type in (gt02.LOCATION, gt02.HEARTBEAT, gt02.RESPONSE):
            return Heard(Finding.REPORT, frame, device, reply)
        return Heard(Finding.PASSED, frame, device, reply, "of no type that is read")

    def _login(self, frame: Frame, now: datetime) -> Heard:
        try:
            told = gt06.login(frame)
        except BadPayload as fault:
            return Heard(Finding.REFUSED, frame, reason=fault.message)
        device = self._registry.get(told.imei)
        if device is None:
            return Heard(Finding.REFUSED, frame, reason=f"the tracker {told.imei} is not registered")
        self.device, self.offset_minutes = device, told.offset_minutes
        self.logins += 1
        self._last = b""
        return Heard(Finding.LOGIN, frame, device, answers.answer_to(frame, now))

    def _stranger(self, frame: Frame) -> Heard:
        self._strange += 1
        if self._strange > STRANGE_FRAMES_MOST:
            return Heard(Finding.REFUSED, frame, reason="it sends data and never logs in")
        return Heard(Finding.PASSED, frame, reason="nobody has logged in")

    def _photographed(self, frame: Frame) -> Heard | None:
        if frame.type == answers.PHOTO and not frame.extended:
            self._photo = answers.Photo()
            reply = self._photo.offered(frame)
        elif frame.type == answers.PHOTO_DATA and frame.extended:
            reply = self._photo.part(frame) if self._photo is not None else b""
        else:
            return None
        return Heard(Finding.PASSED, frame, self.device, reply, "a photo")


def zone_of(device: Tracker | None, offset_minutes: int | None) -> tzinfo:
    """The zone of a device's clock: as configured, else as its login told, else UTC."""
    if device is not None and device.zone is not None:
        return settings.zone(device.zone)
    return _offset(offset_minutes) if offset_minutes else UTC


@cache
def _offset(minutes: int) -> tzinfo:
    return timezone(timedelta(minutes=minutes)) if abs(minutes) < 24 * 60 else UTC
