"""From our filters to `$filter`: what EWM's services can, and nothing that loses a row."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from connectors.kit.decode import Codes
from connectors.kit.odata import Asked, item_spellings, spellings
from unified import queries
from unified.keys import Subject, canonical
from unified.records import StockStatus, TaskStatus

E = TypeVar("E", TaskStatus, StockStatus)


def _start(query_filter: queries.Filter, only: Sequence[str], wanted: tuple[str, ...] | None, field: str) -> Asked:
    asked = Asked(whole=query_filter.ids is None)
    if only and wanted:
        wanted = tuple(code for code in wanted if code in only)
    asked.one_of(field, wanted if wanted is not None else (only or None))
    return asked


def _codes(asked: Asked, name: str, wanted: Sequence[E] | None, table: Codes[E], doubtful: Mapping[str, E]) -> None:
    """Statuses as codes. UNKNOWN has none; a doubtful code is asked for too."""
    if wanted is None:
        return
    if table.unknown in wanted:
        asked.whole = False
        return
    codes: list[str] = [code for code, status in table.table.items() if status in wanted]
    more: list[str] = [code for code, status in doubtful.items() if code not in codes and status in wanted]
    asked.whole = asked.whole and not (doubtful.keys() & {*codes, *more})
    asked.one_of(name, codes + more)


def _numbers(name: str, number: str | None, asked: Asked, *widths: int) -> None:
    """A number of an order. Only what is all digits: other spellings cannot be told before they are seen."""
    if number is None:
        return
    bare = canonical(Subject.ORDER, number)
    if bare.isascii() and bare.isdigit():
        asked.one_of(name, [*spellings(bare, *widths), number.strip()])
    asked.whole = False


def _item(name: str, number: str | None, asked: Asked, plain: bool) -> None:
    if number is None:
        return
    asked.whole = False
    if plain:
        asked.one_of(name, item_spellings(number))


def order_spellings(numbers: Sequence[str] | None, *widths: int) -> list[str] | None:
    """How the numbers may be spelt; null unless they are all digits: other spellings cannot be told before they
    are seen."""
    bare = [canonical(Subject.ORDER, each) for each in numbers or ()]
    if not bare or not all(each.isascii() and each.isdigit() for each in bare):
        return None
    return list(dict.fromkeys(way for each in bare for way in spellings(each, *widths)))


def orders(query_filter: queries.OrderFilter, only: Sequence[str], *, partner: str, vehicle: str | None) -> Asked:
    """Heads of deliveries. Statuses and items are the lines', which a head cannot be asked for."""
    asked = _start(query_filter, only, query_filter.warehouses, "Warehouse")
    if query_filter.numbers is not None:
        asked.whole = False  # `order_spellings` has them: they may be too many for one call
    if query_filter.partner is not None:
        asked.one_of(partner, [query_filter.partner])
    asked.since("LastChangeDateTime", query_filter.updated_after)
    asked.since("PlannedDeliveryUTCDateTime", query_filter.planned_after)
    asked.until("PlannedDeliveryUTCDateTime", query_filter.planned_before)
    if query_filter.statuses is not None or query_filter.item_number is not None:
        asked.whole = False
    if query_filter.vehicle_plate is not None:
        asked.whole = False
        if vehicle is not None:  # plates are compared by their canonical form: only plain ones are sure
            asked.conditions.append(f"{vehicle} ne ''")
    return asked


def warehouse_orders(
    query_filter: queries.WarehouseOrderFilter, only: Sequence[str], statuses: Codes[TaskStatus]
) -> Asked:
    asked = _start(query_filter, only, query_filter.warehouses, "Warehouse")
    _codes(asked, "WarehouseOrderStatus", query_filter.statuses, statuses, {"A": TaskStatus.OPEN})
    if query_filter.numbers is not None:
        asked.whole = False
        asked.one_of("WarehouseOrder", order_spellings(query_filter.numbers, 10))
    if query_filter.resource is not None:
        asked.one_of("ExecutingResource", [query_filter.resource])
    asked.since("LastChangeDateTime", query_filter.updated_after)
    return asked


def warehouse_tasks(
    query_filter: queries.WarehouseTaskFilter, only: Sequence[str], statuses: Codes[TaskStatus], *, plain: bool
) -> Asked:
    asked = _start(query_filter, only, query_filter.warehouses, "Warehouse")
    _codes(asked, "WarehouseTaskStatus", query_filter.statuses, statuses, {})
    if query_filter.warehouse_order_numbers is not None:
        asked.whole = False
        asked.one_of("WarehouseOrder", order_spellings(query_filter.warehouse_order_numbers, 10))
    if query_filter.order_numbers is not None:
        asked.whole = False
        asked.one_of("Delivery", order_spellings(query_filter.order_numbers, 10, 35))
    _numbers("Delivery", query_filter.order_number, asked, 10, 35)
    _item("ProductName", query_filter.item_number, asked, plain)
    if query_filter.resource is not None:
        asked.one_of("ExecutingResource", [query_filter.resource])
    asked.since("LastChangeDateTime", query_filter.updated_after)
    return asked


def locations(query_filter: queries.LocationFilter, only: Sequence[str]) -> Asked:
    asked = _start(query_filter, only, query_filter.warehouses, "Warehouse")
    asked.one_of("StorageType", query_filter.zones)
    asked.one_of("StorageBin", query_filter.codes)
    if query_filter.empty_bin is not None:
        asked.conditions.append(f"StorageBinIsEmpty eq {str(query_filter.empty_bin).lower()}")
    if query_filter.location_kinds is not None:
        asked.whole = False
    asked.since("EWMStorageBinLastChgDateTime", query_filter.updated_after)
    return asked


def balances(
    query_filter: queries.InventoryBalanceFilter, only: Sequence[str], types: Codes[StockStatus], *, plain: bool
) -> Asked:
    """V4. Stock has no time of change: `updated_after` matches nothing, which the caller finds."""
    asked = _start(query_filter, only, query_filter.warehouses, "EWMWarehouse")
    _item("Product", query_filter.item_number, asked, plain)
    asked.one_of("EWMStorageBin", query_filter.locations)
    if query_filter.batch is not None:
        asked.one_of("Batch", [query_filter.batch])
    _codes(asked, "EWMStockType", query_filter.statuses, types, {})
    if query_filter.updated_after is not None:
        asked.whole = False
    return asked
