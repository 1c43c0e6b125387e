"""How many calls EWM's services take: conditions that fit into one address, rows that come with one answer."""

from typing import Final

import msgspec

from connectors.kit.calls import Calls

ROWS: Final = 100
"""Rows of an answer that a system gives at least, whatever `$top` says; more come by `nextLink`."""

# A condition such as `WarehouseOrder eq '2000001' or ` has up to 70 encoded characters, an address 7,000
_KEYS = Calls(keys=100, rows=ROWS)
_THROUGH_ITEMS = Calls(once=2, each=2, rows=10)
"""A page of open items has the orders of its items, ten at least: keys first, then their heads."""

CALLS: Final = {
    "read_orders": Calls(each=2, keys=100, rows=ROWS),  # outbound and inbound are two services
    "list_orders": Calls(
        once=1,
        rows=ROWS,
        narrows=frozenset({"order_kinds", "warehouses", "partner", "numbers"}),
        by={
            "numbers": Calls(each=2, keys=30),  # each spelt in three ways
            "statuses": _THROUGH_ITEMS,
            "item_number": _THROUGH_ITEMS,
        },
    ),
    "read_warehouse_orders": _KEYS,
    "list_warehouse_orders": Calls(rows=ROWS, narrows=frozenset({"warehouses", "numbers", "resource"})),
    "read_warehouse_tasks": Calls(keys=50, rows=ROWS),  # two fields each
    "list_warehouse_tasks": Calls(
        rows=ROWS,
        narrows=frozenset(
            {"warehouses", "warehouse_order_numbers", "order_number", "order_numbers", "resource", "item_number"}
        ),
    ),
    "tasks_of_warehouse_orders": _KEYS,
    "read_locations": _KEYS,
    "list_locations": Calls(rows=ROWS, narrows=frozenset({"warehouses", "zones", "codes", "empty_bin"})),
    "read_inventory_balances": Calls(keys=10, rows=ROWS),  # all stock of the products is read
    "list_inventory_balances": Calls(rows=ROWS, narrows=frozenset({"warehouses", "locations", "batch"})),
    "inventory_of_items": Calls(keys=50, rows=ROWS),  # each spelt in two ways
}


def twice(calls: Calls) -> Calls:
    """As many answers again."""
    return msgspec.structs.replace(
        calls, each=2 * calls.each, by={name: twice(others) for name, others in calls.by.items()}
    )
