"""Teamcenter's model objects as records. The only place that knows both."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Context, Decimal
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from connectors.kit import decode
from connectors.kit.errors import BadPayload, MappingFailed
from connectors.kit.integration import Origin
from connectors.teamcenter import wire
from connectors.teamcenter.wire import ModelObject, Objects
from unified.records import Bom, BomLine, Item, ItemType, WhereUsed

ITEM_TYPES: Mapping[str, ItemType] = {
    "Item": ItemType.COMPONENT,
    "Design": ItemType.COMPONENT,
    "Part": ItemType.COMPONENT,
    "Assembly": ItemType.ASSEMBLY,
    "Product": ItemType.ASSEMBLY,
    "Material": ItemType.RAW_MATERIAL,
    "Tool": ItemType.TOOLING,
    "Equipment": ItemType.EQUIPMENT,
}
"""By `object_type`; sites add their own types in the settings, what is in neither is a component."""

EACH = "each"
_EXACT = Context(prec=2000)


# --- items


def is_item(found: ModelObject) -> bool:
    """Sites subclass Item, so that the class says little: an item has an id, and no revision id."""
    return "item_id" in found.props and "item_revision_id" not in found.props


def item(
    found: ModelObject,
    objects: Objects,
    origin: Origin,
    *,
    types: Mapping[str, ItemType] = ITEM_TYPES,
    at: str = "$.modelObjects",
    latest: str | None = None,
) -> Item:
    """`latest` is the uid of the newest revision where an answer says it apart from the item."""
    path = f"{at}.{found.uid}.props"
    number = wire.value(found, "item_id")
    if number is None:
        raise MappingFailed(f"the item at `{path}` has no `item_id`", path=f"{path}.item_id")
    revision = _latest(found, objects, at, latest)
    statuses = _statuses(revision, objects) if revision is not None else None
    changed = [
        _moment(each, "last_mod_date", f"{at}.{each.uid}.props") for each in (found, revision) if each is not None
    ]
    return Item(
        source=origin.source(found.uid, ", ".join(statuses) if statuses else None),
        updated_at=max((each for each in changed if each is not None), default=None),
        number=number,
        name=wire.value(found, "object_name") or number,
        description=wire.value(found, "object_desc"),
        item_type=types.get(wire.value(found, "object_type") or found.type, ItemType.COMPONENT),
        unit=_unit(found),
        revision=wire.value(revision, "item_revision_id") if revision is not None else None,
        released=bool(statuses) if statuses is not None else None,
        release_statuses=statuses or (),
    )


def items(
    objects: Objects,
    origin: Origin,
    *,
    types: Mapping[str, ItemType] = ITEM_TYPES,
    at: str = "$.modelObjects",
    latest: Mapping[str, str] | None = None,
) -> Iterator[Item]:
    """All items among the objects, in their order."""
    for found in objects.values():
        if is_item(found):
            yield item(found, objects, origin, types=types, at=at, latest=(latest or {}).get(found.uid))


def latest_of(output: Iterable[wire.ItemOutput]) -> dict[str, str]:
    """Uid of each item's newest revision, in an answer of `getItemFromId` that was asked for one revision."""
    return {each.item.uid: each.revisions[-1].revision.uid for each in output if each.revisions}


def _latest(found: ModelObject, objects: Objects, at: str, uid: str | None) -> ModelObject | None:
    known = [objects[each] for each in wire.references(found, "revision_list") if each in objects]
    known = [each for each in known if "item_revision_id" in each.props]
    if not known:
        return objects.get(uid) if uid is not None else None
    # The list is in order of creation; where the times are given they decide
    created = [_moment(each, "creation_date", f"{at}.{each.uid}.props") for each in known]
    if any(each is None for each in created):
        return known[-1]
    return max(zip(created, range(len(known)), known, strict=True), key=lambda row: (row[0], row[1]))[2]


def _statuses(revision: ModelObject, objects: Objects) -> tuple[str, ...] | None:
    """Names of the release statuses; null where the answer says nothing of them."""
    if "release_status_list" not in revision.props:
        return None
    shown = wire.display(revision, "release_status_list")
    names: list[str] = []
    for place, uid in enumerate(wire.references(revision, "release_status_list")):
        status = objects.get(uid)
        name = wire.value(status, "name") if status is not None else None
        names.append(name or (shown[place] if place < len(shown) else None) or uid)
    return tuple(names)


def _unit(found: ModelObject) -> str | None:
    if "uom_tag" not in found.props:
        return None
    return (wire.shown(found, "uom_tag") or EACH) if wire.references(found, "uom_tag") else EACH


def _moment(found: ModelObject, name: str, path: str) -> datetime | None:
    return decode.moment(wire.value(found, name), path=f"{path}.{name}.dbValues[0]")


# --- structures


class BomKey(msgspec.Struct, frozen=True):
    """What one explosion is: its text is the external id, `QwErTyUiOpAsDf?view=engineering&rule=Latest%20Working`."""

    item: str
    rule: str
    view: str = ""
    revision: str = ""
    levels: int | None = None

    @property
    def text(self) -> str:
        parts = {
            "view": self.view,
            "rule": self.rule,
            "revision": self.revision,
            "levels": "" if self.levels is None else str(self.levels),
        }
        given = {name: value for name, value in parts.items() if value}
        return f"{self.item}?{urlencode(given, quote_via=quote, safe='')}"

    @classmethod
    def read(cls, text: str) -> "BomKey | None":
        """Null for a text that is not the external id of a structure."""
        item, _, rest = text.partition("?")
        parts = dict(parse_qsl(rest))
        levels = parts.get("levels", "")
        key = cls(
            item=item,
            rule=parts.get("rule", ""),
            view=parts.get("view", ""),
            revision=parts.get("revision", ""),
            levels=int(levels) if levels.isascii() and levels.isdigit() and len(levels) < 6 else None,
        )
        return key if key.item and key.rule and key.text == text else None


class Tree(msgspec.Struct, frozen=True):
    """An expansion as a tree: joined by the lines' uids, as its rows are in no order."""

    objects: Objects
    at: str
    children: dict[str, list[str]]

    @classmethod
    def of(cls, *answers: wire.Expansion) -> "Tree":
        children: dict[str, list[str]] = {}
        objects: dict[str, ModelObject] = {}
        for answer in answers:
            objects |= answer.data.objects
            for row in answer.output:
                children.setdefault(row.parent.line.uid, []).extend(each.line.uid for each in row.children)
        return cls(objects, answers[0].at if answers else "$.ServiceData.modelObjects", children)

    def tops(self) -> list[str]:
        """Lines that are below no other."""
        below = {child for children in self.children.values() for child in children}
        return [line for line in self.children if line not in below]


def bom(top: str, tree: Tree, origin: Origin, key: BomKey | None = None) -> Bom | None:
    """The structure below the line `top`, cut at the key's levels; null when there is nothing below it.

    Without a key (an answer decoded by itself) it is named by what its top line says.
    """
    if not tree.children.get(top):
        return None
    head = _line(top, tree)
    number = wire.value(head, "bl_item_item_id")
    if number is None:
        path = f"{tree.at}.{top}.props.bl_item_item_id"
        raise MappingFailed(f"the top line has no item id at `{path}`", path=path)
    levels = key.levels if key is not None else None
    lines: list[BomLine] = []
    truncated = False
    seen = {top}
    # Each entry: line, position of its parent, level, total quantity of its parent
    stack = [(child, None, 1, Decimal(1)) for child in reversed(_ordered(top, tree))]
    todo: list[tuple[str, int | None, int, Decimal]] = [*stack]
    while todo:
        uid, parent, level, above = todo.pop()
        if uid in seen:
            raise BadPayload(f"the line `{uid}` occurs twice in the expansion", path="$.output")
        seen.add(uid)
        line = _occurrence(uid, tree, origin, (len(lines), parent, level, above))
        lines.append(line)
        if not line.has_children:
            continue
        if levels is not None and level >= levels:
            truncated = True
        else:
            todo += [(child, line.position, level + 1, line.total_quantity) for child in reversed(_ordered(uid, tree))]
    return Bom(
        source=origin.source(key.text if key is not None else wire.value(head, "bl_item") or number),
        item_number=number,
        revision=wire.value(head, "bl_rev_item_revision_id"),
        view=(key.view or None) if key is not None else None,
        revision_rule=key.rule if key is not None else None,
        lines=tuple(lines),
        truncated=truncated,
    )


def _occurrence(uid: str, tree: Tree, origin: Origin, place: tuple[int, int | None, int, Decimal]) -> BomLine:
    position, parent, level, above = place
    found = _line(uid, tree)
    number = wire.value(found, "bl_item_item_id")
    path = f"{tree.at}.{uid}.props"
    if number is None:
        raise MappingFailed(f"the line has no item id at `{path}`", path=f"{path}.bl_item_item_id")
    quantity = decode.decimal(wire.value(found, "bl_quantity"), path=f"{path}.bl_quantity.dbValues[0]")
    quantity = Decimal(1) if quantity is None else quantity
    return BomLine(
        position=position,
        parent=parent,
        level=level,
        external_id=uid,
        find_number=wire.value(found, "bl_sequence_no"),
        item_number=number,
        item_revision=wire.value(found, "bl_rev_item_revision_id"),
        name=wire.value(found, "bl_rev_object_name"),
        quantity=quantity,
        total_quantity=_EXACT.multiply(above, quantity),
        unit=wire.shown(found, "bl_uom") or wire.value(found, "bl_uom"),
        has_children=bool(tree.children.get(uid)) or wire.value(found, "bl_has_children") in ("1", "Y", "true"),
        integration=origin.integration,
    )


def _line(uid: str, tree: Tree) -> ModelObject:
    found = tree.objects.get(uid)
    if found is None:
        raise BadPayload(f"the line `{uid}` is not among the model objects", path=f"{tree.at}.{uid}")
    return found


def _ordered(parent: str, tree: Tree) -> list[str]:
    """The lines directly below, by find number: numbers by value, before texts; equal ones by item and uid."""

    def order(uid: str) -> tuple[bool, int, str, str, str]:
        found = _line(uid, tree)
        number = wire.value(found, "bl_sequence_no") or ""
        numeric = number.isascii() and number.isdigit() and len(number) < 20
        return (
            not numeric,
            int(number) if numeric else 0,
            number,
            wire.value(found, "bl_item_item_id") or "",
            uid,
        )

    return sorted(tree.children.get(parent, ()), key=order)


# --- where used


def where_used(output: wire.UsedOutput, objects: Objects, origin: Origin, *, at: str) -> tuple[WhereUsed, ...]:
    """Nearest first; one entry per user and level, however often it uses the item."""
    found: dict[tuple[str, int], WhereUsed] = {}
    for user in output.users:
        revision = objects.get(user.parent, ModelObject(uid=user.parent))
        owner = next((uid for uid in wire.references(revision, "items_tag") if uid in objects), None)
        item = objects[owner] if owner is not None else revision
        number = wire.value(item, "item_id")
        if number is None:
            path = f"{at}.{item.uid}.props.item_id"
            raise MappingFailed(f"a user has no item id at `{path}`", path=path)
        found[item.uid, user.level] = WhereUsed(
            item_number=number,
            revision=wire.value(revision, "item_revision_id"),
            name=wire.value(revision, "object_name") or wire.value(item, "object_name"),
            level=user.level,
            external_id=item.uid,
            integration=origin.integration,
        )
    return tuple(sorted(found.values(), key=lambda each: (each.level, each.item_number, each.external_id)))
