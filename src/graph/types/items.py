"""Items, bills of material and where they are used."""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from graph.asks import Step, asking
from graph.fields import accepts, by_id, computed, joined, joined_many, load, plain
from graph.info import Info
from graph.types.base import Sourced
from resolvers.errors import BadInput
from resolvers.loaders import Number, Structure, Users
from unified import records
from unified.records import Kind

if TYPE_CHECKING:
    from graph.types.equipment import Equipment
    from graph.types.orders import InventoryBalance, Order
    from graph.types.production import WorkOrder

MAX_LEVELS = 30
_View = Annotated[
    str | None,
    strawberry.argument(description="BOM view (`engineering`, `manufacturing`); null = default."),
]
_Rule = Annotated[str | None, strawberry.argument(description="Name of the revision rule; null = default.")]
_Revision = Annotated[str | None, strawberry.argument(description="Revision to explode; null = what the rule gives.")]
_Levels = Annotated[int | None, strawberry.argument(description="Levels to explode, 1 to 30; null = to the bottom.")]


@strawberry.federation.type(keys=["id"], description="Something that is made, bought, stored or used.")
class Item(Sourced):
    number: str = plain("Part number as its own system spells it.")
    name: str = plain("What people call it.")
    description: str | None = plain("What it is.")
    item_type: records.ItemType = plain("What kind of item it is.", name="type")
    unit: str | None = plain("Unit of measure as its system shows it.")
    revision: str | None = plain("The newest revision.")
    released: bool | None = plain("Whether the newest revision is released; null where unknown.")
    release_statuses: list[str] = plain("Names of its release statuses, which are the site's own.")
    lifecycle: str | None = plain("Phase of its life, in the vendor's words.")
    net_mass_kg: Decimal | None = plain("Mass of one, kilograms.")
    gross_mass_kg: Decimal | None = plain("Mass of one with packaging, kilograms.")
    inventory: list[Annotated["InventoryBalance", strawberry.lazy("graph.types.orders")]] | None = joined_many(
        "inventory",
        lambda item: Number(item.source.integration, item.number),
        "Stock in every warehouse system; one that fails costs its own rows.",
        size=10,
    )
    orders: list[Annotated["Order", strawberry.lazy("graph.types.orders")]] | None = joined_many(
        "orders_of_item",
        lambda item: Number(item.source.integration, item.number),
        "Open orders with a line of it, at most 1,000 orders per source searched.",
        size=10,
        weight=3,
    )
    made_on: list[Annotated["Equipment", strawberry.lazy("graph.types.equipment")]] | None = joined_many(
        "equipment_of_item",
        lambda item: Number(item.source.integration, item.number),
        "Machines whose present job makes it.",
        size=3,
        weight=3,
    )
    work_orders: list[Annotated["WorkOrder", strawberry.lazy("graph.types.production")]] | None = joined_many(
        "work_orders_of_item",
        lambda item: Number(item.source.integration, item.number),
        "Work orders that make it and are not closed.",
        size=5,
    )

    @computed(
        "Its structure, exploded; null when it has none, or when its system fails: then `errors` says so.", weight=5
    )
    @asking(Step("structures"))
    async def bom(
        self,
        info: Info,
        view: _View = None,
        revision_rule: _Rule = None,
        revision: _Revision = None,
        max_levels: _Levels = None,
    ) -> Annotated["Bom", strawberry.lazy("graph.types.items")] | None:
        item: records.Item = self  # type: ignore[assignment]
        at, levels = item.source.integration, bounded_levels(max_levels)
        wanted = Structure(at, item.number, view, revision_rule, revision, levels)
        found: Any = await load(info, "structures", wanted)
        return found  # type: ignore[no-any-return]

    @computed(
        "Items that use it, nearest first. Null when the system that could tell fails; `errors` says why.",
        size=20,
        weight=5,
    )
    @asking(Step("where_used"))
    async def where_used(
        self,
        info: Info,
        levels: Annotated[int, strawberry.argument(description="How many levels up, 1 to 30.")] = 1,
    ) -> list[Annotated["WhereUsed", strawberry.lazy("graph.types.items")]] | None:
        item: records.Item = self  # type: ignore[assignment]
        wanted = Users(item.source.integration, item.number, bounded_levels(levels) or 1)
        found: Any = await load(info, "where_used", wanted)
        return found  # type: ignore[no-any-return]

    is_type_of = accepts(records.Item)
    resolve_reference = by_id(Kind.ITEM)


def bounded_levels(levels: int | None) -> int | None:
    """The levels that were asked for. Raises `BadInput` for fewer than 1 or more than `MAX_LEVELS`."""
    if levels is not None and not 1 <= levels <= MAX_LEVELS:
        raise BadInput(f"levels are {levels}; ask for 1 to {MAX_LEVELS}")
    return levels


@strawberry.federation.type(description="One occurrence of an item in a structure.", shareable=True)
class BomLine:
    position: int = plain("Its index in `lines`, from 0.")
    parent: int | None = plain("Position of the line above; null directly under the top.")
    level: int = plain("1 directly under the top.")
    external_id: str = plain("The vendor's id of the occurrence; may change between explosions.")
    find_number: str | None = plain("Find number within the parent.")
    item_number: str = plain("Part number as the structure's system spells it.")
    item_revision: str | None = plain("Revision that the rule chose.")
    name: str | None = plain("Name of the item.")
    quantity: Decimal = plain("Per one of the parent.")
    total_quantity: Decimal = plain("Per one of the top: the product of the quantities along the way.")
    unit: str | None = plain("Unit of the quantities.")
    has_children: bool = plain("Whether the item has a structure of its own.")
    item: Item | None = joined(
        "items",
        lambda line: Number(line.integration, line.item_number),
        "The item in the system that is master for items.",
    )

    is_type_of = accepts(records.BomLine)


@strawberry.federation.type(keys=["id"], description="A bill of material, exploded under one view and revision rule.")
class Bom(Sourced):
    item_number: str = plain("Part number of the top, as its system spells it.")
    revision: str | None = plain("Revision of the top.")
    view: str | None = plain("BOM view.")
    revision_rule: str | None = plain("Revision rule that chose the revisions.")
    lines: list[BomLine] = plain("All levels, depth first, by find number.", size=40)
    truncated: bool = plain("Whether `maxLevels` cut the structure.")
    item: Item | None = joined(
        "items", lambda bom: Number(bom.source.integration, bom.item_number), "The item whose structure it is."
    )

    is_type_of = accepts(records.Bom)
    resolve_reference = by_id(Kind.BOM)


@strawberry.federation.type(description="An item that uses another.", shareable=True)
class WhereUsed:
    item_number: str = plain("Part number of the user, as its system spells it.")
    revision: str | None = plain("Revision that uses it.")
    name: str | None = plain("Name of the user.")
    level: int = plain("How many levels up; 1 = directly.")
    external_id: str = plain("The vendor's id of the user.")
    item: Item | None = joined("items", lambda use: Number(use.integration, use.item_number), "The item that uses it.")

    is_type_of = accepts(records.WhereUsed)
