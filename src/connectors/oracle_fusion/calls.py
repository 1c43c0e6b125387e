"""How many calls Oracle Fusion takes. What a page cuts short of its children is read by further calls."""

from typing import Final

from connectors.kit.calls import Calls

_LEVELS: Final = 10
"""Levels that structures have at most, as far as anybody has seen; a level costs one call per hundred items."""
_EXPLODE = Calls(once=1, each=2 * _LEVELS)

CALLS: Final = {
    "read_items": Calls(keys=100),
    "items_by_number": Calls(keys=50),
    "list_items": Calls(
        rows=200,
        by={"numbers": Calls(once=1, each=2, keys=20)},  # exact spellings, then any other
    ),
    "explode": _EXPLODE,
    "read_boms": _EXPLODE,
    "list_boms": Calls(by={"item_numbers": Calls(once=2, each=3 * _LEVELS, keys=10)}),
    "where_used": Calls(each=2 * _LEVELS, keys=100),
    "read_work_orders": Calls(each=2, keys=100),
    "list_work_orders": Calls(
        each=2,
        rows=100,
        narrows=frozenset({"organizations"}),
        by={"numbers": Calls(each=2, keys=20)},
    ),
    "work_orders_of_items": Calls(each=2, keys=50, rows=500),
}
