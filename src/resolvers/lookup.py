"""Finding one object by a number that people know."""

from collections.abc import Sequence

from resolvers.context import Context
from resolvers.errors import BadInput
from resolvers.fanout import list_records
from resolvers.loaders import Number
from unified import queries
from unified.keys import Subject
from unified.records import Kind, Record

LOADERS = {Kind.ITEM: "items", Kind.VEHICLE: "vehicles", Kind.EQUIPMENT: "equipment_by_number"}
"""Kinds that the crosswalk finds, and the loaders that ask it."""

BY = {Kind.ORDER: "numbers", Kind.SHIPMENT: "numbers", Kind.WORK_ORDER: "numbers"}
"""Kinds whose lists are asked for a number; the others' are searched for it as a text."""


async def by_number(
    context: Context, kind: Kind, number: Number, path: Sequence[str | int] | None = None
) -> Record | None:
    """The object of a kind that is not in `LOADERS`, in the spelling of the number's integration or any that
    normalises alike. An empty integration stands for all."""
    match kind:
        case Kind.ORDER:
            wanted: queries.Filter = queries.OrderFilter(numbers=(number.number,))
        case Kind.SHIPMENT:
            wanted = queries.ShipmentFilter(numbers=(number.number,))
        case Kind.WORK_ORDER:
            wanted = queries.WorkOrderFilter(numbers=(number.number,))
        case Kind.MISSION:
            wanted = queries.MissionFilter(search=number.number)
        case Kind.UNIT:
            wanted = queries.UnitFilter(search=number.number)
        case _:
            raise BadInput(f"a {kind.value} has no number to be found by; use `id` or `by: {{ external: … }}`")
    sources = [number.integration] if number.integration else None
    page = await list_records(context, kind, wanted, first=50, sources=sources, path=path)
    name = {Kind.MISSION: "name", Kind.UNIT: "callsign"}.get(kind)
    return next((row for row in page.nodes if name is None or getattr(row, name) == number.number), None)


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
