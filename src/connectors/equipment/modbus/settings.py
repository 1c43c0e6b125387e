"""Settings of Modbus integrations: the line, and the register maps of machines."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from connectors.equipment.points import Point

Kind = Literal["coil", "discrete", "holding", "input"]
Type = Literal["bit", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string"]

WORDS: Final = {
    "bit": 1, "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "int64": 4, "uint64": 4, "float32": 2, "float64": 4,
}  # fmt: skip
"""Registers of a value by its type."""
REGISTERS_MOST: Final = 125
"""Registers in one answer (Application Protocol V1.1b3, 6.3)."""
BITS_MOST: Final = 2_000
"""Coils or discrete inputs in one answer."""
_LEADING: Final[dict[str, Kind]] = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}


def documented(number: str) -> tuple[Kind, int]:
    """Kind and address of a documentation number: `40001` and `400001` are holding register 0, `30001` input
    register 0, `10001` discrete input 0, `00001` coil 0. Raises `ValueError`."""
    kind = _LEADING.get(number[:1])
    count = number[1:]
    if kind is None or len(number) not in (5, 6) or not (count.isascii() and count.isdigit()):
        raise ValueError(
            f"{number!r} is no documentation number: write 5 or 6 digits, the first of them 0 (coil), 1 (discrete "
            "input), 3 (input register) or 4 (holding register), as in 40001"
        )
    if not 1 <= int(count) <= 65_536:
        raise ValueError(f"documentation number {number} is out of range: they count from 1 to 65536")
    return kind, int(count) - 1


class Register(Point, frozen=True, kw_only=True):
    """One value in a register map. Says where it is either by `number` or by `kind` and `address`."""

    number: str | int | None = None
    """Documentation number: 40001 is holding register 0. Coils need the leading zero: "00001"."""
    kind: Kind | None = None
    address: Annotated[int, Meta(ge=0, le=65_535)] | None = None
    """Address on the wire, from 0."""
    type: Type | None = None
    """Default: `bit` for coils and discrete inputs, `uint16` for registers."""
    bit: Annotated[int, Meta(ge=0, le=15)] | None = None
    """Of type `bit` in a register: which bit, 0 the lowest."""
    length: Annotated[int, Meta(ge=1, le=REGISTERS_MOST)] | None = None
    """Of type `string`: registers, two characters each."""
    word_order: Literal["high-first", "low-first"] = "high-first"
    """Of values over several registers: which register holds the high word."""
    byte_order: Literal["high-first", "low-first"] = "high-first"
    """Within a register; the standard says high-first."""
    scale: float = 1.0
    offset: float = 0.0
    """value = raw * scale + offset"""
    none: tuple[float, ...] = ()
    """Raw values that mean "no value" (65535, -32768). NaN always does."""

    def __post_init__(self) -> None:
        Point.__post_init__(self)
        if (self.number is None) == (self.address is None):
            raise ValueError(f"register {self.name!r}: write either number = 40001 or kind and address")
        if self.address is not None and self.kind is None:
            raise ValueError(f"register {self.name!r}: address needs kind (coil, discrete, holding or input)")
        kind, address = self.place
        if self.number is not None and self.kind not in (None, kind):
            raise ValueError(f"register {self.name!r}: number {self.number} is of kind {kind}, not {self.kind}")
        bits = kind in ("coil", "discrete")
        if bits and self.of_type != "bit":
            raise ValueError(f"register {self.name!r}: a {kind} holds one bit, no {self.type}")
        if not bits and (self.of_type == "bit") != (self.bit is not None):
            raise ValueError(
                f"register {self.name!r}: type `bit` in a register needs bit = 0..15, other types have none"
            )
        if (self.of_type == "string") != (self.length is not None):
            raise ValueError(f"register {self.name!r}: type `string` needs length (registers), other types have none")
        if address + self.words > 65_536:
            raise ValueError(f"register {self.name!r} reaches beyond address 65535")
        if self.scale == 0:
            raise ValueError(f"register {self.name!r}: scale 0 makes every value the same")

    @property
    def place(self) -> tuple[Kind, int]:
        """Kind and address on the wire."""
        if self.number is not None:
            return documented(str(self.number))
        assert self.kind is not None
        assert self.address is not None
        return self.kind, self.address

    @property
    def of_type(self) -> Type:
        if self.type is not None:
            return self.type
        return "bit" if self.place[0] in ("coil", "discrete") or self.bit is not None else "uint16"

    @property
    def words(self) -> int:
        """How many registers, or bits of coils and discrete inputs."""
        return self.length if self.length is not None else WORDS[self.of_type]

    @property
    def where(self) -> str:
        """`'speed' (holding 100, documentation 40101)`, for messages."""
        kind, address = self.place
        digit = next(digit for digit, each in _LEADING.items() if each == kind)
        number = f"{digit}{address + 1:04d}" if address < 9_999 else f"{digit}{address + 1:05d}"
        return f"{self.name!r} ({kind} {address}, documentation {number})"


class Modbus(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[integrations.settings.modbus]`."""

    join_gap: Annotated[int, Meta(ge=0, le=REGISTERS_MOST)] = 10
    """Unused registers that are read along rather than asked around: a request costs about as much. 0 never reads
    what the map does not name. Coils and discrete inputs: 16 times as many."""
    registers_most: Annotated[int, Meta(ge=1, le=REGISTERS_MOST)] = REGISTERS_MOST
    """Registers per request; some devices take fewer than the standard's 125."""
    requests_per_second: Annotated[float, Meta(gt=0, le=1_000)] | None = None
    """Most requests on one line; null for no limit."""
    baudrate: Annotated[int, Meta(ge=300, le=4_000_000)] = 19_200
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1
    """Of serial lines; the standard's default is 19200 8E1."""
