"""Structures as trees: what is effective, in which order, how often in one of the top."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Final

import msgspec

from connectors.kit import decode
from connectors.kit.decode import none
from connectors.kit.errors import BadPayload, MappingFailed, Rejected
from connectors.kit.integration import Origin
from connectors.oracle_fusion import wire
from connectors.oracle_fusion.mapping import EXACT, moment, number, sequence
from unified.records import BomLine

LINES_MOST: Final = 50_000
"""Lines of one exploded structure: a few hundred assemblies that share their parts can have millions."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One component of a structure, whatever it was read from. `key` leads to the component's own structure."""

    key: str
    external_id: str
    find_number: str | None
    number: str
    name: str | None
    quantity: Decimal
    unit: str | None


def parts(components: Iterable[wire.Component], now: datetime, zone: tzinfo, *, path: str) -> list[Part]:
    """Those that are effective now, by their sequence. One that waits for a change order is none yet."""
    found: list[tuple[tuple[Decimal, int, str], Part]] = []
    for place, each in enumerate(components):
        at = f"{path}.Component[{place}]"
        begins = moment(each.start_date_time, zone, path=f"{at}.StartDateTime")
        ends = moment(each.end_date_time, zone, path=f"{at}.EndDateTime")
        waits = none(each.change_notice) is not None and each.implementation_date_time is None
        if waits or (begins is not None and begins > now) or (ends is not None and ends <= now):
            continue
        given = each.quantity if each.quantity is not None else each.component_quantity
        quantity = decode.decimal(given, path=f"{at}.Quantity")
        external = str(each.component_sequence_id)
        order = (number(each.item_sequence_number, path=f"{at}.ItemSequenceNumber"), len(external), external)
        part = Part(
            key=each.component_item_number,
            external_id=external,
            find_number=sequence(each.item_sequence_number),
            number=each.component_item_number,
            name=none(each.component_item_description),
            quantity=Decimal(1) if quantity is None else quantity,
            unit=none(each.primary_uom_value) or none(each.primary_uom_code),
        )
        found.append((order, part))
    return [part for _, part in sorted(found, key=lambda pair: pair[0])]


def lines(
    top: str,
    first: Sequence[Part],
    below: Callable[[str], Sequence[Part]],
    levels: int | None,
    origin: Origin,
    *,
    made: Callable[[str], bool],
    name: str,
) -> tuple[tuple[BomLine, ...], bool]:
    """All lines, depth first, and whether something was cut: by the levels, or because a part contains itself.

    `top` is the key of what the structure is of, `first` its parts; `below` gives the parts of a key, `made` whether it
    has any. `name` is for the error.
    """
    found: list[BomLine] = []
    truncated = False
    above = [top]
    """Keys on the way down to the line before."""
    todo: list[tuple[Part, int | None, int, Decimal]] = [(each, None, 1, Decimal(1)) for each in reversed(first)]
    while todo:
        part, parent, level, factor = todo.pop()
        if len(found) >= LINES_MOST:
            raise Rejected(
                f"{origin.integration}: the structure of {name} has more than {LINES_MOST:,} lines; cut it with "
                "`maxLevels`",
                integration=origin.integration,
            )
        del above[level:]
        has_children = made(part.key)
        line = BomLine(
            position=len(found),
            parent=parent,
            level=level,
            external_id=part.external_id,
            find_number=part.find_number,
            item_number=part.number,
            name=part.name,
            quantity=part.quantity,
            total_quantity=EXACT.multiply(factor, part.quantity),
            unit=part.unit,
            has_children=has_children,
            integration=origin.integration,
        )
        found.append(line)
        if not has_children:
            continue
        if part.key in above or (levels is not None and level >= levels):
            truncated = True
            continue
        above.append(part.key)
        todo += [(each, line.position, level + 1, line.total_quantity) for each in reversed(below(part.key))]
    return tuple(found), truncated


# --- the flat resource


class Flat(msgspec.Struct, frozen=True, kw_only=True):
    """A structure out of flat rows. Each occurrence has a key of its own."""

    number: str
    structure: str | None
    bill: str | None
    top: list[Part]
    below: Mapping[str, list[Part]]


def flat(rows: Sequence[wire.FlatRow]) -> Flat | None:
    """The tree of the rows, which come with their level; null when there is no more than the top.

    Raises `BadPayload` when the levels make no tree, or a row names another parent than the one it comes under.
    """
    at = "$.structureComponentsItemsDetails"
    placed = sorted(((_order(row, place), place, row) for place, row in enumerate(rows)), key=lambda each: each[:2])
    below: dict[str, list[Part]] = {}
    path: list[tuple[str, wire.FlatRow]] = []
    head: wire.FlatRow | None = None
    for _, place, row in placed:
        level = _level(row, f"{at}[{place}]")
        if (level == 0) != (head is None) or level > len(path):
            raise BadPayload(f"the levels at `{at}[{place}].DotLevel` make no tree", path=f"{at}[{place}].DotLevel")
        key = str(place)
        if level == 0:
            head, path = row, [(key, row)]
            continue
        del path[level:]
        above, parent = path[-1]
        named = none(row.parent_item_number)
        if named is not None and named != parent.item_number:
            where = f"{at}[{place}].ParentItemNumber"
            raise BadPayload(f"the row at `{where}` comes under another item than its parent", path=where)
        below.setdefault(above, []).append(_flat_part(key, row, f"{at}[{place}]"))
        path.append((key, row))
    if head is None or not below:
        return None
    return Flat(
        number=head.item_number,
        structure=none(head.structure_internal_name),
        bill=none(head.bill_sequence_id),
        top=below[path[0][0]],
        below=below,
    )


def _flat_part(key: str, row: wire.FlatRow, path: str) -> Part:
    quantity = decode.decimal(none(row.quantity), path=f"{path}.Quantity")
    if quantity is None:
        quantity = decode.decimal(none(row.component_quantity), path=f"{path}.ComponentQuantity")
    return Part(
        key=key,
        external_id=none(row.component_sequence_id) or key,
        find_number=none(row.item_sequence_number),
        number=row.item_number,
        name=_description(row),
        quantity=Decimal(1) if quantity is None else quantity,
        unit=none(row.primary_uom_value) or none(row.primary_uom_code),
    )


def _description(row: wire.FlatRow) -> str | None:
    """Of the version that has no end, in the first language that there is."""
    for each in row.item or ():
        if none(each.version_end_date) is None and each.description:
            if isinstance(each.description, str):
                return none(each.description)
            return none(str(next(iter(each.description.values()))))
    return None


def _level(row: wire.FlatRow, path: str) -> int:
    """`0`, `.1`, `..2`; the plain level beside it says the same."""
    text = (none(row.plan_level) or none(row.dot_level) or "").lstrip(".")
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise MappingFailed(f"`{path}.DotLevel` is no level", path=f"{path}.DotLevel")
    return int(text)


def _order(row: wire.FlatRow, place: int) -> tuple[int, str]:
    """By `SortOrder`, a number; a text with leading zeros is one of equal parts strung together, and sorts as text."""
    text = none(row.sort_order)
    if text is None:
        return place, ""
    return (int(text), "") if text.isascii() and text.isdigit() and len(text) <= 9 and text[0] != "0" else (0, text)
