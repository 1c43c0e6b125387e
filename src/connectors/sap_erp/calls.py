"""How many calls the ERP takes, by its OData services and by its BAPIs."""

from collections.abc import Mapping
from typing import Final

from connectors.kit.calls import Calls

ROWS: Final = 100
"""Rows of an answer that a system gives at least, whatever `$top` says; more come by `__next`."""
_THROUGH_ITEMS = Calls(once=2, each=2, rows=10)
"""A page of items has the documents of its items, ten at least: keys first, then their heads."""

# A condition such as `SalesOrder eq '0000004711' or ` has up to 70 encoded characters, an address 7,000
ODATA: Final[Mapping[str, Calls]] = {
    "read_orders": Calls(each=2, keys=40, rows=ROWS),  # sales and purchase orders are two services
    "list_orders": Calls(
        once=1,
        rows=ROWS,
        narrows=frozenset({"order_kinds", "partner", "numbers"}),
        by={"numbers": Calls(each=2, keys=40), "item_number": _THROUGH_ITEMS},
    ),
    "read_shipments": Calls(keys=40, rows=ROWS),
    "list_shipments": Calls(
        rows=ROWS,
        narrows=frozenset({"directions", "partner", "warehouses", "numbers"}),
        by={"numbers": Calls(keys=40), "order_number": _THROUGH_ITEMS},
    ),
    "shipments_of_orders": Calls(once=1, each=2, keys=30, rows=10),
    "read_inventory_balances": Calls(keys=10, rows=ROWS),  # all stock of the materials is read
    "list_inventory_balances": Calls(rows=ROWS, narrows=frozenset({"locations", "batch"})),
    "inventory_of_items": Calls(keys=40, rows=ROWS),
    "read_items": Calls(keys=40, rows=ROWS),
    "items_by_number": Calls(keys=40, rows=ROWS),
    "list_items": Calls(rows=ROWS, by={"numbers": Calls(keys=40)}),
}

BAPI: Final[Mapping[str, Calls]] = {
    "read_orders": Calls(keys=50, per_key=1),  # purchase orders are read singly
    "list_orders": Calls(once=2, each=2, rows=50, per_row=1, narrows=frozenset({"order_kinds", "partner", "numbers"})),
    "read_shipments": Calls(keys=50),
    "list_shipments": Calls(once=1, each=2, rows=50, narrows=frozenset({"directions", "partner", "numbers"})),
    "shipments_of_orders": Calls(once=1, each=2, keys=50, rows=50),
    "read_inventory_balances": Calls(each=2, keys=25, rows=50),  # the table of stock, and that of the units
    "list_inventory_balances": Calls(each=2, rows=50, narrows=frozenset({"locations"})),
    "inventory_of_items": Calls(each=2, keys=25, rows=50),
    "read_items": Calls(each=0, per_key=1),  # BAPIs read one material at a time
    "items_by_number": Calls(each=0, per_key=1),
    "list_items": Calls(rows=1, by={"numbers": Calls(each=0, per_key=1)}),
}
"""A call of a table or of a BAPI takes 50 keys."""
