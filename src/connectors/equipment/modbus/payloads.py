"""What Modbus devices send, for `crossdock decode`: frames of TCP and RTU, and the snapshots that a poll keeps."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from connectors.equipment.driver import MACHINE_HEADER, Describe, received_at
from connectors.equipment.modbus import values
from connectors.equipment.modbus.settings import Register
from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from unified.values import Value

SNAPSHOT: Final = "modbus-snapshot"
Registers = Callable[[str], Sequence[Register]]
"""The register map with this name; empty when it is not known."""
_FRAME_MOST: Final = 260


class ModbusAnswer(Value, frozen=True, kw_only=True):
    """An answer: registers, bits or an exception. `transaction` is null on serial lines."""

    transaction: int | None
    unit: int
    function: int
    registers: tuple[int, ...] | None = None
    bits: tuple[bool, ...] | None = None
    """Padded to whole bytes: the answer does not say how many were asked for."""
    exception: int | None = None
    exception_name: str | None = None


def crc16(content: bytes) -> int:
    """CRC-16/MODBUS: reflected 0xA001, initial 0xFFFF; goes over the wire low byte first."""
    crc = 0xFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def is_tcp(body: bytes) -> bool:
    """Whether the bytes are one whole frame of Modbus TCP: protocol 0, and the length fits."""
    return 9 <= len(body) <= _FRAME_MOST and body[2:4] == b"\0\0" and int.from_bytes(body[4:6], "big") == len(body) - 6


def is_rtu(body: bytes) -> bool:
    """Whether the bytes are one whole frame of Modbus RTU: the CRC fits."""
    return 5 <= len(body) <= 256 and crc16(body[:-2]) == int.from_bytes(body[-2:], "little")


def answer(body: bytes, *, serial: bool) -> ModbusAnswer:
    """One answer, through pymodbus's framer as on the live path. Raises `BadPayload`."""
    from pymodbus.exceptions import ModbusException
    from pymodbus.framer import FRAMER_NAME_TO_CLASS, FramerType
    from pymodbus.pdu import DecodePDU, ExceptionResponse

    from connectors.equipment.modbus.line import exception_name

    if not (is_rtu(body) if serial else is_tcp(body)):
        raise BadPayload(
            "the CRC does not fit, so it is no whole frame of Modbus RTU"
            if serial
            else "it is no whole frame of Modbus TCP: the protocol is not 0, or the length does not fit",
            path="$",
        )
    framer = FRAMER_NAME_TO_CLASS[FramerType.RTU if serial else FramerType.SOCKET](DecodePDU(False))
    try:
        _, pdu = framer.handleFrame(body, 0, 0)
    except (ModbusException, IndexError, ValueError) as fault:
        raise BadPayload(f"the frame holds no answer of Modbus: {type(fault).__name__}", path="$") from None
    if pdu is None:
        raise BadPayload("the frame holds no answer of Modbus", path="$")
    code = pdu.exception_code if isinstance(pdu, ExceptionResponse) else None
    reads = pdu.function_code in (1, 2, 3, 4)
    return ModbusAnswer(
        transaction=None if serial else pdu.transaction_id,
        unit=pdu.dev_id,
        function=pdu.function_code & 0x7F,
        registers=tuple(pdu.registers) if reads and pdu.function_code > 2 else None,
        bits=tuple(pdu.bits) if reads and pdu.function_code <= 2 else None,
        exception=code,
        exception_name=exception_name(code) if code is not None else None,
    )


def decoders(describe: Describe, registers: Registers) -> tuple[Decoder, ...]:
    """All decoders, over the machines and register maps that are known."""

    def snapshot(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        at = msgspec.structs.replace(origin, as_of=received_at(payload, origin.as_of))
        told = decode.json(payload.body, values.Snapshot)
        yield values.equipment(told, registers(told.map), describe(payload.headers.get(MACHINE_HEADER)), at)

    return (
        Decoder(
            name=SNAPSHOT,
            description="Modbus: the values of a machine by the names in its register map (what a poll keeps)",
            read=snapshot,
            recognises=lambda payload: b'"type":"modbus-snapshot"' in payload.body[:200],
        ),
        Decoder(
            name="modbus-tcp",
            description="Modbus TCP: one answer, the bytes as they came",
            read=lambda payload, _: [answer(payload.body, serial=False)],
            recognises=lambda payload: is_tcp(payload.body),
        ),
        Decoder(
            name="modbus-rtu",
            description="Modbus RTU: one answer with its CRC, the bytes as they came",
            read=lambda payload, _: [answer(payload.body, serial=True)],
            recognises=lambda payload: is_rtu(payload.body),
        ),
    )
