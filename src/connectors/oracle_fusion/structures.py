"""Structures: exploded level by level for all of them at once, or out of the flat resource; and who uses an item.

A level costs one call for about a hundred different items, however many structures they are in. The batch endpoint is
no help: it works its parts off one after the other, and one that fails fails all.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from connectors.kit.errors import MappingFailed, NotFound
from connectors.kit.integration import Origin
from connectors.oracle_fusion import asking, trees, wire
from connectors.oracle_fusion.mapping import BomKey, ItemKey
from connectors.oracle_fusion.resources import Resources, oldest
from connectors.oracle_fusion.settings import Rules, Settings
from connectors.oracle_fusion.trees import Part
from unified.records import Bom, WhereUsed

AT: Final = "$.items"
HEADS: Final = "BillSequenceId,OrganizationCode,ItemNumber"
NUMBERS: Final = "ItemId,OrganizationCode,ItemNumber"


class Structures:
    """Reads nothing twice within a call; keeps nothing between calls."""

    def __init__(self, resources: Resources, settings: Settings, rules: Rules, now: Callable[[], datetime]) -> None:
        self._resources, self._settings, self._rules, self._now = resources, settings, rules, now

    async def explode(self, keys: Sequence[BomKey]) -> list[Bom | None]:
        """One structure per key, in order; null where there is none."""
        alike: dict[Any, list[BomKey]] = defaultdict(list)
        for key in dict.fromkeys(keys):
            alike[key.item.organization, key.structure, key.levels].append(key)
        read = self._flat if self._settings.explosion == "flat" else self._levels
        found: dict[BomKey, Bom] = {}
        for some in await self._resources.together(read(group) for group in alike.values()):
            found |= some
        return [found.get(key) for key in keys]

    # --- level by level

    async def _levels(self, keys: Sequence[BomKey]) -> dict[BomKey, Bom]:
        """Keys of one organization, structure name and depth."""
        organization, name, levels = keys[0].item.organization, keys[0].structure, keys[0].levels
        origins: list[Origin] = []
        wanted = [asking.one_of("ItemId", some) for some in asking.short([int(key.item.id) for key in keys])]
        tops = await self._read(organization, name, wanted, origins)
        by_id = {str(row.item_id): row for row, _ in reversed(tops)}
        known: dict[str, list[Part]] = {row.item_number: parts for row, parts in tops}
        seen = set(known)
        headed: set[str] = set()
        depth, frontier = 1, _numbers(known.values())
        while new := [number for number in frontier if number not in seen]:
            seen.update(new)
            wanted = [asking.one_of("ItemNumber", some) for some in asking.short(new)]
            if levels is not None and depth >= levels:  # what is below them is cut off, but whether there is is told
                headed.update(await self._heads(organization, name, wanted, origins))
                break
            below = {row.item_number: parts for row, parts in await self._read(organization, name, wanted, origins)}
            known |= below
            depth, frontier = depth + 1, _numbers(below.values())
        if not origins:
            return {}
        origin = oldest(origins)
        found: dict[BomKey, Bom] = {}
        for key in keys:
            row = by_id.get(key.item.id)
            if row is None or not known[row.item_number]:
                continue
            lines, truncated = trees.lines(
                row.item_number,
                known[row.item_number],
                lambda number: known.get(number, ()),
                levels,
                origin,
                made=lambda number: bool(known.get(number)) or number in headed,
                name=row.item_number,
            )
            found[key] = Bom(
                source=origin.source(key.text),
                item_number=row.item_number,
                view=name,
                lines=lines,
                truncated=truncated,
            )
        return found

    async def _read(
        self, organization: str, name: str, terms: Sequence[str], origins: list[Origin]
    ) -> list[tuple[wire.Structure, list[Part]]]:
        """Structures that fulfil one of the terms, each with its effective parts."""
        found: list[tuple[wire.Structure, list[Part]]] = []
        for some in await self._resources.together(self._whole(organization, name, term, origins) for term in terms):
            for place, (row, components) in enumerate(some):
                now = trees.parts(components, self._now(), self._rules.zone, path=f"{AT}[{place}]")
                found.append((row, now))
        return found

    async def _whole(
        self, organization: str, name: str, term: str, origins: list[Origin]
    ) -> list[tuple[wire.Structure, list[wire.Component]]]:
        """With all their components, also of those that Fusion cuts short."""
        rows: list[wire.Structure] = []
        q = _q(organization, name, term)
        async for answer in self._resources.everything("itemStructures", wire.Structure, q=q, expand="Component"):
            rows += answer.value.items
            origins.append(answer.origin)
        found = await self._resources.children(
            "itemStructures",
            "Component",
            wire.Component,
            [(row, str(row.bill_sequence_id), row.component) for row in rows],
        )
        origins += [origin for _, origin in found if origin is not None]
        return [(row, components) for row, (components, _) in zip(rows, found, strict=True)]

    async def _heads(self, organization: str, name: str, terms: Sequence[str], origins: list[Origin]) -> list[str]:
        """Numbers of the items that have a structure."""

        async def read(term: str) -> list[str]:
            numbers: list[str] = []
            q = _q(organization, name, term)
            async for answer in self._resources.everything("itemStructures", wire.Structure, q=q, fields=HEADS):
                numbers += [row.item_number for row in answer.value.items]
                origins.append(answer.origin)
            return numbers

        return [number for some in await self._resources.together(map(read, terms)) for number in some]

    # --- the flat resource

    async def _flat(self, keys: Sequence[BomKey]) -> dict[BomKey, Bom]:
        """One call per structure, and one for the numbers of all. A number with a `;` cannot be asked for."""
        numbers = await self._numbers([key.item for key in keys])
        told = [key for key in keys if key.item in numbers and ";" not in numbers[key.item]]
        rest = [key for key in keys if key.item in numbers and ";" in numbers[key.item]]
        made = await self._resources.together(self._flat_one(key, numbers[key.item]) for key in told)
        found = {key: bom for key, bom in zip(told, made, strict=True) if bom is not None}
        return {**found, **(await self._levels(rest) if rest else {})}

    async def _flat_one(self, key: BomKey, number: str) -> Bom | None:
        asked = {
            "ItemNumber": number,
            "OrganizationCode": key.item.organization,
            "StructureViewName": self._settings.structure_view,
            "StructureName": key.structure,
            "MaxLevels": None if key.levels is None else str(key.levels + 1),  # one more tells what has children
        }
        q = ";".join(f"{name}={value}" for name, value in asked.items() if value is not None)
        request = self._resources.api.build("POST", f"{self._settings.flat_resource}?q={quote(q, safe='')}")
        try:
            async with self._resources.turn:
                answer = await self._resources.api.read(request, wire.FlatRows)
        except NotFound:
            return None
        tree = trees.flat(answer.value.rows)
        if tree is None:
            return None
        lines, truncated = trees.lines(
            "",
            tree.top,
            lambda place: tree.below.get(place, ()),
            key.levels,
            answer.origin,
            made=lambda place: place in tree.below,
            name=tree.number,
        )
        return Bom(
            source=answer.origin.source(key.text),
            item_number=tree.number,
            view=key.structure,
            lines=lines,
            truncated=truncated,
        )

    async def _numbers(self, items: Iterable[ItemKey]) -> dict[ItemKey, str]:
        by_organization: dict[str, list[int]] = defaultdict(list)
        for each in dict.fromkeys(items):
            by_organization[each.organization].append(int(each.id))

        async def read(organization: str, ids: Sequence[int]) -> dict[ItemKey, str]:
            q = f"{asking.one_of('OrganizationCode', [organization])} and {asking.one_of('ItemId', ids)}"
            answer = await self._resources.page("itemsV2", wire.Item, q=q, fields=NUMBERS)
            return {ItemKey(row.organization_code, str(row.item_id)): row.item_number for row in answer.value.items}

        calls = [read(code, some) for code, ids in by_organization.items() for some in asking.short(ids)]
        found: dict[ItemKey, str] = {}
        for some in await self._resources.together(calls):
            found |= some
        return found

    # --- where used

    async def where_used(self, items: Sequence[ItemKey], max_levels: int) -> dict[ItemKey, tuple[WhereUsed, ...]]:
        """Who uses the items, nearest first; one entry per user and level. A level costs one call per hundred items."""
        users: dict[ItemKey, dict[ItemKey, wire.Structure]] = {}
        frontier = list(dict.fromkeys(items))
        origins: list[Origin] = []
        for _ in range(max_levels):
            new = [each for each in frontier if each not in users]
            if not new:
                break
            users |= {each: {} for each in new}
            for user, row, used in await self._users(new, origins):
                users[used][user] = row
            frontier = list(dict.fromkeys(user for each in new for user in users[each]))
        integration = self._resources.api.integration.key
        return {each: _upwards(each, users, max_levels, integration) for each in items}

    async def _users(
        self, items: Sequence[ItemKey], origins: list[Origin]
    ) -> list[tuple[ItemKey, wire.Structure, ItemKey]]:
        """User, its structure, and what it uses."""
        by_organization: dict[str, list[int]] = defaultdict(list)
        for each in items:
            by_organization[each.organization].append(int(each.id))
        wanted = set(items)
        calls = [
            self._whole(code, self._settings.structure, asking.one_of("Component.ComponentItemId", some), origins)
            for code, ids in by_organization.items()
            for some in asking.short(ids)
        ]
        found: list[tuple[ItemKey, wire.Structure, ItemKey]] = []
        for rows in await self._resources.together(calls):
            for place, (row, components) in enumerate(rows):
                path = f"{AT}[{place}]"
                if row.item_id is None:
                    raise MappingFailed(f"the structure at `{path}` names no item", path=f"{path}.ItemId")
                user = ItemKey(row.organization_code, str(row.item_id))
                parts = trees.parts(components, self._now(), self._rules.zone, path=path)
                effective = {part.external_id for part in parts}
                for component in components:
                    used = ItemKey(row.organization_code, str(component.component_item_id))
                    if used in wanted and str(component.component_sequence_id) in effective:
                        found.append((user, row, used))
        return found


def _upwards(
    item: ItemKey, users: dict[ItemKey, dict[ItemKey, wire.Structure]], max_levels: int, integration: str
) -> tuple[WhereUsed, ...]:
    found: list[WhereUsed] = []
    at = {item}
    for level in range(1, max_levels + 1):
        above = {user: row for each in at for user, row in users.get(each, {}).items()}
        found += [
            WhereUsed(item_number=row.item_number, level=level, external_id=user.text, integration=integration)
            for user, row in sorted(above.items(), key=lambda pair: (pair[1].item_number, pair[0].text))
        ]
        at = set(above)
        if not at:
            break
    return tuple(found)


def _numbers(known: Iterable[Sequence[Part]]) -> list[str]:
    return list(dict.fromkeys(part.number for parts in known for part in parts))


def _q(organization: str, name: str, term: str) -> str:
    return " and ".join(
        (asking.one_of("OrganizationCode", [organization]), asking.one_of("StructureName", [name]), term)
    )
