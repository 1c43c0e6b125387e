"""What the server answers to each frame. Devices that miss an answer repeat their frame, log in anew, or reboot."""

from datetime import UTC, datetime
from typing import Final

from connectors.gt02 import gt02
from connectors.gt02.codes import Variant, variant_of
from connectors.gt02.frames import END, GT02_HEARTBEAT_ANSWER, Frame, answer

TIME: Final = 0x8A
ADDRESS: Final = 0x2A
PHOTO: Final = 0x35
PHOTO_DATA: Final = 0x36
_ADDRESS_ANSWER: Final = 0x97
_NO_ADDRESS: Final = b"NA&&NA&&0##"
_COMMANDS: Final = frozenset({0x80, 0x81, 0x82})
_SILENT: Final = _COMMANDS | {0x21, 0x34, 0x38, 0x94, 0xF3}
_EXTENDED_ANSWERS: Final = {0x32: True, 0x33: True, 0x41: True, 0x70: False, 0xF1: False, 0xF2: False}
"""Extended frames that are answered: by an extended frame or not."""
_WIFI: Final = frozenset({0x17, 0x69})
_PHOTO_PART: Final = 1_024


def answer_to(frame: Frame, now: datetime) -> bytes:
    """The acknowledgement; empty where none is sent. An empty frame is our own, echoed: to answer it never ends."""
    if frame.raw[0] == 0x68:
        return GT02_HEARTBEAT_ANSWER if frame.type == gt02.HEARTBEAT else b""
    type_ = frame.type
    if type_ == TIME:
        return answer(TIME, 0, _clock(now))
    if frame.empty:
        return b""
    if frame.extended:
        form = _EXTENDED_ANSWERS.get(type_)
        return b"" if form is None else answer(type_, frame.serial, extended=form)
    if type_ == ADDRESS:
        text = bytes((len(_NO_ADDRESS),)) + bytes(4) + _NO_ADDRESS
        return answer(_ADDRESS_ANSWER, 0, text, extended=True)
    if type_ == PHOTO:
        return b""  # the photo's parts are asked for one by one
    variant = variant_of(frame.raw)
    if type_ in _WIFI and variant is not Variant.RFID:
        return b"xx\x00" + bytes((type_,)) + frame.raw[4:10] + END
    if variant is Variant.SR411 or variant is Variant.MANY_CELLS:
        return b""
    if type_ in _SILENT and variant is not Variant.SL4X:
        return b""
    return answer(type_, frame.serial)


def _clock(now: datetime) -> bytes:
    at = now.astimezone(UTC)
    return bytes((at.year - 2000, at.month, at.day, at.hour, at.minute, at.second))


class Photo:
    """A photo that a device offers (type 35) and sends in parts (type 36). It is taken in full, as the device insists,
    and thrown away: there is nothing that shows it."""

    __slots__ = ("_id", "_left", "_offset")

    def __init__(self) -> None:
        self._id, self._offset, self._left = b"", 0, 0

    def offered(self, frame: Frame) -> bytes:
        """Asks for the first part. Empty for an offer that makes no sense."""
        content = frame.raw[frame.content : frame.end]
        if len(content) < 26:
            return b""
        self._left, self._id, self._offset = int.from_bytes(content[18:22], "big"), content[22:26], 0
        return self._request()

    def part(self, frame: Frame) -> bytes:
        """Asks for the next part; empty when it is whole, or was not asked for."""
        content = frame.raw[frame.content : frame.end]
        size = int.from_bytes(content[8:10], "big")
        if len(content) < 10 + size or not size or content[:4] != self._id or not self._left:
            return b""
        self._offset += size
        self._left = max(self._left - size, 0)
        return self._request() if self._left else b""

    def _request(self) -> bytes:
        size = min(self._left, _PHOTO_PART)
        return answer(PHOTO_DATA, 0, self._id + self._offset.to_bytes(4, "big") + size.to_bytes(2, "big"))
