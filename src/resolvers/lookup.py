"""Finding one object by a number that people know."""

from collections.abc import Sequence
from typing import Any

from resolvers.context import Context
from resolvers.errors import BadInput
from resolvers.fanout import list_records
from resolvers.loaders import Number
from unified import queries
from unified.keys import Subject
from unified.records import Kind, Record


async def by_number(context: Context, kind: Kind, number: str, integration: str | None) -> Record | None:
    """The object of the kind under the number, in the spelling of `integration` or any that normalises alike."""
    if integration is not None and integration not in context.sources.handles:
        raise BadInput(f"there is no integration {integration!r}")
    spelt = Number(integration or "", number)
    match kind:
        case Kind.ITEM:
            return await _loaded(context.loaders.items, spelt)
        case Kind.VEHICLE:
            return await _loaded(context.loaders.vehicles, spelt)
        case Kind.ORDER:
            wanted: queries.Filter = queries.OrderFilter(numbers=(number,))
        case Kind.MISSION:
            wanted = queries.MissionFilter(search=number)
        case Kind.UNIT:
            wanted = queries.UnitFilter(search=number)
        case _:
            raise BadInput(f"a {kind.value} has no number to be found by; use `id` or `by: {{ external: … }}`")
    page = await list_records(context, kind, wanted, first=50, sources=None if integration is None else [integration])
    name = {Kind.MISSION: "name", Kind.UNIT: "callsign"}.get(kind)
    return next((row for row in page.nodes if name is None or getattr(row, name) == number), None)


async def _loaded(loader: Any, number: Number) -> Record | None:
    found: Record | None = await loader.load(number)
    return found


def spelt_by_master(context: Context, numbers: Sequence[str]) -> list[str]:
    """Part numbers in any spelling, as the master for items spells them where the crosswalk knows it."""
    master = context.sources.master(Subject.ITEM, "explode")
    if master is None:
        return list(numbers)
    found: list[str] = []
    for number in numbers:
        spellings: list[str] = []
        for at in context.sources.handles:
            key = context.sources.crosswalk.key(Subject.ITEM, at, number)
            spellings = context.sources.crosswalk.numbers(Subject.ITEM, key, master.key) if key else []
            if spellings:
                break
        found.append((spellings or [number])[0])
    return found
