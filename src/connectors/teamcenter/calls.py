"""How many SOA operations a method takes."""

from typing import Final

from connectors.kit.calls import Calls

_EXPLODE = Calls(once=1, each=5)
"""The revision rules (once an hour); views or revisions by name, windows opened, both ways of expanding, closed."""

CALLS: Final = {
    "list_items": Calls(
        once=2,  # the saved query is looked up and described, once per process
        rows=200,
        by={
            "numbers": Calls(once=4, per_key=1),  # those in another spelling: a query, and their items
            "updated_after": Calls(once=2, each=4, rows=200),  # items and revisions that changed, their owners
        },
    ),
    "explode": _EXPLODE,
    "read_boms": _EXPLODE,
    "list_boms": Calls(by={"item_numbers": Calls(once=3, each=9, keys=10)}),
    "where_used": Calls(once=1),
}
