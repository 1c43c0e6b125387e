"""Registers and bits as values: types, order of words and bytes, scale; and the record that they make."""

import math
import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from connectors.equipment import points
from connectors.equipment.driver import Trouble, origin_with, with_trouble
from connectors.equipment.facts import Facts
from connectors.equipment.modbus.plan import Block
from connectors.equipment.modbus.settings import Register
from connectors.equipment.points import Taken, shortest
from connectors.kit.errors import BadPayload
from connectors.kit.integration import Origin
from unified.records import Equipment

_FORMATS: Final = {
    "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "uint64": ">Q",
    "float32": ">f", "float64": ">d",
}  # fmt: skip
_DIGITS: Final = 12
"""Significant digits of a scaled value."""


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="modbus-snapshot"):
    """The values of one machine by the names in its register map. `map` is the map's name in the settings."""

    map: str = ""
    values: dict[str, Taken] = {}
    trouble: Trouble | None = None


def value(register: Register, words: Sequence[int]) -> float | bool | str | None:
    """One value from its registers (16 bits each). Null for NaN, infinity and what `none` names."""
    kind = register.of_type
    if kind == "bit":
        return bool(words[0] >> (register.bit or 0) & 1)
    ordered = words if register.word_order == "high-first" else list(reversed(words))
    order = "big" if register.byte_order == "high-first" else "little"
    if kind == "string":
        # the first character comes first, whatever the order of words in numbers
        content = b"".join(word.to_bytes(2, order) for word in words)  # type: ignore[arg-type]
        return content.split(b"\0", 1)[0].decode("latin-1").strip() or None
    content = b"".join(word.to_bytes(2, order) for word in ordered)  # type: ignore[arg-type]
    (raw,) = struct.unpack(_FORMATS[kind], content)
    if not math.isfinite(raw) or raw in register.none:
        return None
    if kind == "float32":
        raw = shortest(raw)
    if register.scale == 1.0 and register.offset == 0.0:
        return float(raw)
    return float(f"{raw * register.scale + register.offset:.{_DIGITS}g}")  # 1234 * 0.1 is 123.4


def take(block: Block, words: Sequence[int] | Sequence[bool], at: datetime) -> dict[str, Taken]:
    """The values of a block. Modbus has no times: `at` is ours, of arrival. Raises `BadPayload` for an answer that
    is too short."""
    if len(words) < block.count:
        raise BadPayload(
            f"the device answered {len(words)} of {block.count} values from {block.kind} {block.start} on", path="$"
        )
    moment = at.isoformat()
    found: dict[str, Taken] = {}
    for each in block.registers:
        first = each.place[1] - block.start
        part = [int(word) for word in words[first : first + each.words]]
        found[each.name] = Taken(value=value(each, part), at=moment)
    return found


def record(snapshot: Snapshot, registers: Sequence[Register], facts: Facts, origin: Origin) -> Equipment:
    """The record of a snapshot, whatever its trouble. Without a map (`crossdock decode` knows no settings) every
    value is a sensor."""
    use: Sequence[points.Point] = registers or [points.Point(name=name) for name in snapshot.values]
    return points.equipment(use, snapshot.values, facts, origin)


def equipment(snapshot: Snapshot, registers: Sequence[Register], facts: Facts, origin: Origin) -> Equipment:
    """The record of a snapshot, under its trouble."""
    return with_trouble(record(snapshot, registers, facts, origin_with(snapshot.trouble, origin)), snapshot.trouble)
