"""Which requests read a register map: as few as the protocol allows."""

from collections.abc import Iterable, Sequence

import msgspec

from connectors.equipment.modbus.settings import BITS_MOST, REGISTERS_MOST, Kind, Modbus, Register


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One request: `count` registers (bits of coils and discrete inputs) from `start`, and what it is read for."""

    kind: Kind
    start: int
    count: int
    registers: tuple[Register, ...]


def plan(registers: Iterable[Register], options: Modbus, apart: frozenset[str] = frozenset()) -> list[Block]:
    """The requests, by kind and address. Values that lie near each other share one: a gap of up to `join_gap`
    unused registers is read along. A value over several registers is never torn apart, or its halves would be of
    different times.

    `apart` names registers whose neighbourhood cannot be read along (the device refused it): no gap is joined to
    them. From left to right, each block as long as it may be: with fixed limits no other way needs fewer.
    """
    kinds: dict[Kind, list[Register]] = {}
    for each in registers:
        kinds.setdefault(each.place[0], []).append(each)
    found: list[Block] = []
    for kind in sorted(kinds):
        bits = kind in ("coil", "discrete")
        most = BITS_MOST if bits else min(options.registers_most, REGISTERS_MOST)
        gap = options.join_gap * (16 if bits else 1)
        found += _blocks(kind, kinds[kind], most, gap, apart)
    return found


def _blocks(kind: Kind, registers: Sequence[Register], most: int, gap: int, apart: frozenset[str]) -> list[Block]:
    found: list[Block] = []
    group: list[Register] = []
    start = end = 0
    for each in sorted(registers, key=lambda one: (one.place[1], one.words)):
        address, after = each.place[1], each.place[1] + each.words
        room = 0 if each.name in apart or any(one.name in apart for one in group) else gap
        if group and address - end <= room and max(end, after) - start <= most:
            group.append(each)
            end = max(end, after)
            continue
        if group:
            found.append(Block(kind=kind, start=start, count=end - start, registers=tuple(group)))
        group, start, end = [each], address, after
    if group:
        found.append(Block(kind=kind, start=start, count=end - start, registers=tuple(group)))
    return found
