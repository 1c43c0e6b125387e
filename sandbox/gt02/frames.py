"""Frames as the trackers' manuals have them, from the device's side: written by the device, read from the server."""

from datetime import datetime
from typing import Final

_GT02_ANSWER: Final = b"\x54\x68\x1a\x0d\x0a"
UNITS: Final = 1_800_000
"""Of a degree: minutes times 30,000."""


def checksum(data: bytes) -> int:
    """CRC-ITU, bit by bit: polynomial 0x8408 (reflected), from 0xFFFF, inverted at the end."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ 0x8408 if register & 1 else register >> 1
    return register ^ 0xFFFF


def gt06(number: int, content: bytes, serial: int) -> bytes:
    """`78 78`, length, protocol number, content, serial, checksum, `0d 0a`."""
    body = bytes((len(content) + 5, number)) + content + (serial & 0xFFFF).to_bytes(2, "big")
    return b"\x78\x78" + body + checksum(body).to_bytes(2, "big") + b"\x0d\x0a"


def gt02(kind: int, imei: str, content: bytes, serial: int, *, voltage: int = 0, gsm: int = 0) -> bytes:
    """`68 68`, length, voltage, GSM, IMEI, serial, kind, content, `0d 0a`. There is no checksum."""
    body = bytes((voltage, gsm)) + packed(imei) + (serial & 0xFFFF).to_bytes(2, "big") + bytes((kind,)) + content
    return b"\x68\x68" + bytes((len(body),)) + body + b"\x0d\x0a"


def packed(imei: str) -> bytes:
    """Two digits a byte, a zero in front."""
    return bytes.fromhex("0" + imei)


def clock(at: datetime) -> bytes:
    return bytes((at.year % 100, at.month, at.day, at.hour, at.minute, at.second))


def login(imei: str, serial: int, *, kind: int | None = None, offset_minutes: int | None = None) -> bytes:
    """With the device's type and the offset of its clock from UTC where it tells them."""
    content = packed(imei)
    if kind is not None and offset_minutes is not None:
        hours, minutes = divmod(abs(offset_minutes), 60)
        west = 8 if offset_minutes < 0 else 0
        content += kind.to_bytes(2, "big") + ((hours * 100 + minutes) << 4 | west | 2).to_bytes(2, "big")
    return gt06(0x01, content, serial)


def place_06(
    at: datetime, latitude: float, longitude: float, speed_kmh: float, course: float, *, satellites: int, ignition: bool
) -> bytes:
    """Time, satellites, place, speed, course and flags: located, differential off, ACC told."""
    flags = round(course) % 360 | 1 << 12 | 1 << 14 | ignition << 15
    flags |= (latitude >= 0) << 10 | (longitude < 0) << 11
    return (
        clock(at)
        + bytes((0xC0 | satellites,))
        + round(abs(latitude) * UNITS).to_bytes(4, "big")
        + round(abs(longitude) * UNITS).to_bytes(4, "big")
        + bytes((min(round(speed_kmh), 255),))
        + flags.to_bytes(2, "big")
    )


def place_02(at: datetime, latitude: float, longitude: float, speed_kmh: float, course: float) -> bytes:
    status = 1 | (latitude >= 0) << 1 | (longitude >= 0) << 2
    return (
        clock(at)
        + round(abs(latitude) * UNITS).to_bytes(4, "big")
        + round(abs(longitude) * UNITS).to_bytes(4, "big")
        + bytes((min(round(speed_kmh), 255),))
        + (round(course) % 360).to_bytes(2, "big")
        + bytes(3)
        + status.to_bytes(4, "big")
    )


def cell(tower: int) -> bytes:
    """MCC and MNC of a Nigerian network, an area, a tower."""
    return (621).to_bytes(2, "big") + bytes((30,)) + (1201).to_bytes(2, "big") + tower.to_bytes(3, "big")


def status(*, ignition: bool, charging: bool, alarm: int, voltage: int, gsm: int) -> bytes:
    """Terminal information (GPS on), voltage level, GSM level."""
    return bytes((0x40 | alarm << 3 | charging << 2 | ignition << 1, voltage, gsm))


class Wrong(ValueError):
    """The server's answer is none that the manual knows."""


def answer(data: bytes) -> tuple[int, int, int] | None:
    """The protocol number and serial of the server's first answer, and its size; null until it is whole. GT02's answer
    to a heartbeat is `1a` with serial -1.

    Raises `Wrong`.
    """
    if data.startswith(_GT02_ANSWER):
        return 0x1A, -1, len(_GT02_ANSWER)
    if _GT02_ANSWER.startswith(data) or (data[:2] == b"\x78\x78"[: len(data)] and len(data) < 3):
        return None
    if data[:2] != b"\x78\x78":
        raise Wrong(f"an answer that begins with {data[:4].hex()}")
    size = data[2] + 5
    if len(data) < size:
        return None
    body, tail = data[2 : size - 4], data[size - 4 : size]
    if size < 10 or tail != checksum(body).to_bytes(2, "big") + b"\x0d\x0a":
        raise Wrong(f"an answer of type {data[3]:02x} with a wrong checksum or end")
    return data[3], int.from_bytes(body[-2:], "big"), size
