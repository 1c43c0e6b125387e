"""Frames of both families, cut out of whatever bytes a tracker sends; their checksum; what is answered to them.

Pure: bytes in, frames out. Real devices send wrong length fields, no checksum, garbage between frames and half frames,
so a frame is believed by its length field, else by its checksum, else by its end mark.
"""

import re
import struct
import sys
from array import array
from binascii import crc_hqx
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

Family = Literal["gt02", "gt06"]

FRAME_MOST: Final = 8_192
"""Bytes of the longest frame that is waited for. A length field that claims more is wrong."""
END: Final = b"\r\n"
GT02_HEARTBEAT_ANSWER: Final = b"\x54\x68\x1a\r\n"

BOTH: Final[frozenset[Family]] = frozenset(("gt02", "gt06"))
_GT06_STARTS: Final = b"xy"
_MARKS: Final[dict[frozenset[Family], tuple[bytes, re.Pattern[bytes]]]] = {
    frozenset(("gt02",)): (b"h", re.compile(rb"hh")),
    frozenset(("gt06",)): (_GT06_STARTS, re.compile(rb"xx|yy")),
    BOTH: (b"xyh", re.compile(rb"xx|yy|hh")),
}
"""`68 68`, `78 78` and `79 79` are `hh`, `xx` and `yy`."""
_GT06_MARK: Final = re.compile(rb"(?=xx|yy)")
"""Overlapping: in `78 78 78 0d` either may be the true one."""
_INNER_MOST: Final = 300
"""Bytes before a CR LF in which a frame is looked for whose beginning was taken for content: a bound on the work."""
_SHORTEST: Final = 10
_GT02_SHORTEST: Final = 18
_MIRROR: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_SERIAL: Final = struct.Struct(">H")
_HEAD: Final = struct.Struct(">HBB").unpack_from
"""Start mark, length and type of a frame with one length byte."""
_TAIL: Final = struct.Struct(">HHH").unpack_from
"""Serial number, checksum and end mark."""


def _sums() -> "array[int]":
    """By checksum as it stands in a frame: what `crc_hqx` gives of the mirrored bytes. 128 KiB, made in half a
    millisecond; it spares every frame the mirroring of its checksum."""
    pairs = bytearray(2 << 16)
    pairs[0::2] = _MIRROR * 256
    pairs[1::2] = b"".join(bytes((byte,)) * 256 for byte in _MIRROR)
    found = array("H", bytes(byte ^ 0xFF for byte in pairs))
    if sys.byteorder == "little":
        found.byteswap()
    return found


_SUMS: Final = _sums()


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame as it came. `content` and `end` are where its content begins and ends in `raw`.

    `ragged`: the length field does not fit, so that the frame was cut at its CR LF; what is behind its content may
    be a serial number and a checksum, or content (Wi-Fi frames have neither). `good_crc` is true for GT02, which has
    no checksum.
    """

    raw: bytes
    type: int
    serial: int
    content: int
    end: int
    good_crc: bool = True
    ragged: bool = False

    @property
    def family(self) -> Family:
        return "gt02" if self.raw[0] == 0x68 else "gt06"

    @property
    def extended(self) -> bool:
        """GT06 with a length field of two bytes."""
        return self.content == 5

    @property
    def empty(self) -> bool:
        """Without content: an acknowledgement (devices echo ours), or a request."""
        return self.end <= self.content


def crc_itu(data: bytes) -> int:
    """CRC-16/X.25 as the vendor has it, over the bytes from the length field to the serial number."""
    # The standard library has the same polynomial, not reflected: mirrored bytes in, a mirrored sum out
    mirrored = crc_hqx(data.translate(_MIRROR), 0xFFFF) ^ 0xFFFF
    return _MIRROR[mirrored >> 8] | _MIRROR[mirrored & 0xFF] << 8


def _crc_fits(raw: bytes) -> bool:
    """Whether a GT06 frame holds its checksum before its CR LF."""
    mirrored = raw.translate(_MIRROR)
    return crc_hqx(mirrored[2:-4], 0xFFFF) ^ 0xFFFF == mirrored[-3] << 8 | mirrored[-4]


def answer(type_: int, serial: int, content: bytes = b"", *, extended: bool = False) -> bytes:
    """A GT06 frame to a device: an acknowledgement repeats the type and the serial number of what it answers."""
    length = len(content) + 5
    head = length.to_bytes(2 if extended else 1, "big") + bytes((type_,))
    body = head + content + _SERIAL.pack(serial)
    return (b"yy" if extended else b"xx") + body + _SERIAL.pack(crc_itu(body)) + END


def whole(raw: bytes) -> Frame:
    """The frame that these bytes are, as a `Cutter` gave them. Raises `ValueError` when they are none."""
    if raw[:2] == b"hh" and len(raw) >= _GT02_SHORTEST:
        return Frame(raw, raw[15], raw[13] << 8 | raw[14], 16, len(raw) - 2)
    if raw[:2] in (b"xx", b"yy") and len(raw) >= _SHORTEST:
        length = raw[2] + 5 if raw[0] == 0x78 else int.from_bytes(raw[2:4], "big") + 6
        return _gt06_frame(raw, ragged=length != len(raw))
    raise ValueError("neither GT02 nor GT06")


def _gt06_frame(raw: bytes, *, ragged: bool = False) -> Frame:
    end = len(raw) - 6
    serial = raw[end] << 8 | raw[end + 1]
    if raw[0] == 0x78:
        return Frame(raw, raw[3], serial, 4, end, _crc_fits(raw), ragged)
    return Frame(raw, raw[4], serial, 5, end, _crc_fits(raw), ragged)


class Cutter:
    """Of one connection: takes its bytes in pieces, gives whole frames. Which family it speaks is seen from the first
    frame; from then on the other family's marks mean nothing."""

    __slots__ = ("_at", "_buffer", "_looked", "_marks", "_starts", "dropped")

    def __init__(self, families: frozenset[Family] = BOTH) -> None:
        self.dropped = 0
        """Bytes so far that belonged to no frame; whoever looks may set it back."""
        self._starts, self._marks = _MARKS[families]
        self._buffer = b""
        self._at = 0
        self._looked = 0
        """Up to where the frame that begins at `_at` has been searched for CR LF."""

    @property
    def waiting(self) -> int:
        """Bytes that are held because their frame is not complete."""
        return len(self._buffer) - self._at

    def ends_with(self, end: bytes) -> bool:
        """Whether the bytes that wait end so."""
        return self._buffer.endswith(end, self._at)

    def feed(self, data: bytes) -> None:
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._looked = max(0, self._looked - self._at)
        self._at = 0

    def frames(self, *, final: bool = False) -> Iterator[Frame]:
        """All frames that are there; may be left at any and begun again. `final`: nothing more comes, what ends with
        CR LF is a frame, and the rest is dropped."""
        buffer, at = self._buffer, self._at
        last, common = len(buffer) - _SHORTEST, self._starts == _GT06_STARTS
        while True:
            # what nearly all frames are, without much ado: whole, of one length byte, which fits
            if common and at <= last:
                mark, length, type_ = _HEAD(buffer, at)
                tail = at + length - 1
                if mark == 0x7878 and length >= 5 and tail <= last + 4:
                    serial, told, end = _TAIL(buffer, tail)
                    if end == 0x0D0A:
                        good = crc_hqx(buffer[at + 2 : tail + 2].translate(_MIRROR), 0xFFFF) == _SUMS[told]
                        raw = buffer[at : tail + 6]
                        self._at = self._looked = at = tail + 6
                        yield Frame(raw, type_, serial, 4, length - 1, good)
                        continue
            frame = self._next(final=final)
            if frame is None:
                return
            yield frame
            at, common = self._at, self._starts == _GT06_STARTS

    def _next(self, *, final: bool) -> Frame | None:
        while True:
            buffer, at = self._buffer, self._at
            have = len(buffer) - at
            if have < 4:
                break
            first = buffer[at]
            if first != buffer[at + 1] or first not in self._starts:
                self._skip()
                continue
            length = (buffer[at + 2] << 8 | buffer[at + 3]) + 6 if first == 0x79 else buffer[at + 2] + 5
            if have >= length and buffer[at + length - 2 : at + length] == END:
                if first == 0x68 and length >= _GT02_SHORTEST:
                    raw = self._take(at, at + length)
                    return Frame(raw, raw[15], raw[13] << 8 | raw[14], 16, length - 2)
                if first != 0x68 and length >= _SHORTEST:
                    return _gt06_frame(self._take(at, at + length))
            if first != 0x68:
                found = self._searched(at, length, final=final)
                if found is not None:
                    return found
                if self._at == at:
                    return None
            elif have < length:
                break
            else:
                self._forget(1)
        if final:
            self._forget(self.waiting)
        return None

    def _searched(self, at: int, length: int, *, final: bool) -> Frame | None:
        """The frame that begins at `at` and has a wrong length field, or whose end has not come; or one in its midst.

        Null with `_at` unmoved: wait. Null with `_at` moved: it was none, go on.
        """
        buffer = self._buffer
        complete = final or length > FRAME_MOST or len(buffer) - at >= length
        start = at + 4 if complete else max(at + 4, self._looked)  # an end that was passed over may be the one now
        while (stop := buffer.find(END, start)) >= 0:
            stop += 2
            exact = self._inner(at, stop)
            if exact is not None:
                self._forget(exact - at)
                return _gt06_frame(self._take(exact, stop))
            long_enough = stop - at >= _SHORTEST
            if long_enough and (complete or buffer[stop : stop + 2] in (b"xx", b"yy") or _crc_fits(buffer[at:stop])):
                return _gt06_frame(self._take(at, stop), ragged=True)
            if complete:
                self._forget(stop - at)
                return None
            start = stop
        if final:
            self._forget(len(buffer) - at)
        elif len(buffer) - at > FRAME_MOST:
            self._forget(1)
        else:
            self._looked = max(at + 4, len(buffer) - 1)
        return None

    def _inner(self, at: int, stop: int) -> int | None:
        """Where a frame begins behind `at` that ends at `stop` by its own length field and its checksum."""
        buffer = self._buffer
        for mark in _GT06_MARK.finditer(buffer, max(at + 1, stop - _INNER_MOST), stop - _SHORTEST + 2):
            begin = mark.start()
            size = buffer[begin + 2] + 5
            if buffer[begin] == 0x79:
                size = (buffer[begin + 2] << 8 | buffer[begin + 3]) + 6
            if begin + size == stop and _crc_fits(buffer[begin:stop]):
                return begin
        return None

    def _skip(self) -> None:
        """To the next mark, or to the last byte, which may be half of one."""
        found = self._marks.search(self._buffer, self._at + 1)
        self._forget((found.start() if found else len(self._buffer) - 1) - self._at)

    def _forget(self, count: int) -> None:
        self.dropped += count
        self._at += count
        self._looked = self._at

    def _take(self, begin: int, stop: int) -> bytes:
        self._at = self._looked = stop
        raw = self._buffer[begin:stop]
        if len(self._starts) > 2:
            family: Family = "gt02" if raw[0] == 0x68 else "gt06"
            self._starts, self._marks = _MARKS[frozenset((family,))]
        return raw


def frames(data: bytes) -> list[Frame]:
    """All frames of a datagram or a file."""
    cutter = Cutter()
    cutter.feed(data)
    return list(cutter.frames(final=True))
