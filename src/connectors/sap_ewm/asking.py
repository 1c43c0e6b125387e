"""From our filters and orders to `$filter` and `$orderby`: what the services can, and nothing that loses a row."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from connectors.kit.decode import Codes
from connectors.sap_ewm.odata import Params, all_of, any_of, at_v2, spellings
from unified import queries
from unified.keys import Subject, canonical
from unified.queries import OrderBy
from unified.records import StockStatus, TaskStatus

E = TypeVar("E", TaskStatus, StockStatus)


class Column(msgspec.Struct, frozen=True):
    """A field that the service sorts by. Where it may be empty, ascending order would put the empty ones first."""

    name: str
    may_be_empty: bool = False


class Asked(msgspec.Struct, kw_only=True):
    """The conditions of one list; `whole`: they say all that the filter says, so that the count is ours."""

    conditions: list[str] = []
    whole: bool = True

    def one_of(self, name: str, values: Iterable[str] | None) -> None:
        if values is not None:
            self.conditions.append(any_of(name, values))

    def since(self, name: str, moment: datetime | None) -> None:
        """A superset: the service keeps seconds, we compare exactly."""
        if moment is not None:
            self.conditions.append(f"{name} ge {at_v2(moment)}")
            self.whole = False

    def until(self, name: str, moment: datetime | None) -> None:
        if moment is not None:
            self.conditions.append(f"{name} le {at_v2(moment)}")
            self.whole = False

    def params(self) -> Params:
        return [("$filter", all_of(self.conditions))] if self.conditions else []

    @property
    def nothing(self) -> bool:
        """Whether a condition allows no value at all: nothing to ask."""
        return "()" in self.conditions


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


def item_spellings(number: str) -> list[str]:
    """How a system that spells products plainly may spell this one: numeric ones with or without their zeros."""
    bare = canonical(Subject.ITEM, number)
    return list(dict.fromkeys([number.strip(), *spellings(bare, 18)]))


def _item(name: str, number: str | None, asked: Asked, plain: bool) -> None:
    if number is None:
        return
    asked.whole = False
    if plain:
        asked.one_of(name, item_spellings(number))


def orders(
    query_filter: queries.OrderFilter, only: Sequence[str], *, number: str, partner: str, vehicle: str | None
) -> Asked:
    """Heads of deliveries. Statuses and items are the lines', which a head cannot be asked for."""
    asked = _start(query_filter, only, query_filter.warehouses, "Warehouse")
    if query_filter.numbers is not None:
        bare = [canonical(Subject.ORDER, each) for each in query_filter.numbers]
        asked.whole = False
        if all(each.isascii() and each.isdigit() for each in bare):
            asked.one_of(number, [way for each in bare for way in spellings(each, 10, 35)])
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
        bare = [canonical(Subject.ORDER, each) for each in query_filter.warehouse_order_numbers]
        asked.whole = False
        if all(each.isascii() and each.isdigit() for each in bare):
            asked.one_of("WarehouseOrder", [way for each in bare for way in spellings(each, 10)])
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


def order_by(
    wanted: Sequence[OrderBy], columns: Mapping[str, Column], keys: Sequence[str], *, never_empty: frozenset[str]
) -> tuple[str, bool]:
    """`$orderby`, always down to the key so that pages are stable; and whether it is the order that was asked for.

    `never_empty`: fields of which the filter leaves no empty ones.
    """
    terms: list[str] = []
    for each in wanted:
        column = columns.get(each.field)
        if column is None or (column.may_be_empty and not each.descending and each.field not in never_empty):
            return ",".join(keys), False
        terms.append(f"{column.name} desc" if each.descending else column.name)
    named = {term.split(" ")[0] for term in terms}
    return ",".join([*terms, *(key for key in keys if key not in named)]), bool(wanted)
