"""From our filters to `$filter`: what the ERP's services can, and nothing that loses a row."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from connectors.kit.odata import Asked, any_of, day_v2, either, item_spellings, spellings
from connectors.sap_erp import keys
from connectors.sap_erp.settings import Rules
from unified import queries
from unified.keys import Subject, canonical
from unified.records import ItemType, OrderStatus, ShipmentDirection, ShipmentStatus, StockStatus

_PROCESS = {OrderStatus.OPEN: "A", OrderStatus.IN_PROGRESS: "B", OrderStatus.COMPLETED: "C"}
_REJECTED = "OverallSDDocumentRejectionSts"


def document_numbers(wanted: Sequence[str] | None) -> list[list[str]] | None:
    """For each number how SAP may spell it. Null when not all are digits: other spellings cannot be told before
    they are seen."""
    if wanted is None:
        return None
    bare = list(dict.fromkeys(canonical(Subject.ORDER, each) for each in wanted))
    if not all(each.isascii() and each.isdigit() for each in bare):
        return None
    return [spellings(each, keys.DOCUMENT_DIGITS) for each in bare]


def partner(asked: Asked, name: str, wanted: str | None) -> None:
    """Partners are compared as they are spelt, so that no other spelling is asked for."""
    if wanted is not None:
        asked.one_of(name, [wanted])


def orders(query_filter: queries.OrderFilter, *, partner_field: str, v4: bool = False) -> Asked:
    """What is the same for both kinds of order. Neither has a vehicle, nor a planned time of day. Numbers are the
    caller's: there may be too many for one call."""
    asked = Asked(whole=query_filter.ids is None, v4=v4)
    if (
        query_filter.vehicle_plate is not None
        or query_filter.planned_after is not None
        or query_filter.planned_before is not None
    ):
        asked.never()
    partner(asked, partner_field, query_filter.partner)
    asked.since("LastChangeDateTime", query_filter.updated_after)
    beside = (query_filter.numbers, query_filter.warehouses, query_filter.item_number)
    if any(each is not None for each in beside):
        asked.whole = False
    return asked


def sales_orders(query_filter: queries.OrderFilter, *, v4: bool = False) -> Asked:
    asked = orders(query_filter, partner_field="SoldToParty", v4=v4)
    wanted = query_filter.statuses
    if wanted is None:
        return asked
    if OrderStatus.UNKNOWN in wanted:
        asked.whole = False
        return asked
    terms = [
        f"(OverallSDProcessStatus eq '{_PROCESS[status]}' and {_REJECTED} ne 'C')"
        for status in dict.fromkeys(wanted)
        if status in _PROCESS
    ]
    if OrderStatus.CANCELLED in wanted:
        terms.append(f"{_REJECTED} eq 'C'")
    if terms:
        asked.conditions.append(either(terms))
    else:
        asked.never()
    return asked


def purchase_orders(query_filter: queries.OrderFilter) -> Asked:
    """Its status is that of the items."""
    asked = orders(query_filter, partner_field="Supplier")
    if query_filter.statuses is not None:
        asked.whole = False
    return asked


def deliveries(query_filter: queries.ShipmentFilter, clock_margin: timedelta = timedelta(days=1)) -> Asked:
    """The service keeps only days of change, in the system's zone: a day more is asked for."""
    asked = Asked(whole=query_filter.ids is None)
    directions = query_filter.directions
    if directions is not None and ShipmentDirection.OUTBOUND not in directions:
        asked.never()
    partner(asked, "ShipToParty", query_filter.partner)
    asked.one_of("ShippingPoint", query_filter.warehouses)
    if query_filter.updated_after is not None:
        asked.conditions.append(changed_since(query_filter.updated_after - clock_margin))
        asked.whole = False
    if query_filter.order_number is not None or query_filter.numbers is not None:
        asked.whole = False
    if query_filter.vehicle_plate is not None:  # plates are compared by their canonical form
        asked.conditions.append("MeansOfTransport ne ''")
        asked.whole = False
    if query_filter.statuses is not None:
        asked.whole = False
        if set(query_filter.statuses) <= {ShipmentStatus.SHIPPED, ShipmentStatus.DELIVERED}:
            asked.conditions.append(
                either(["OverallGoodsMovementStatus eq 'C'", "OverallProofOfDeliveryStatus eq 'C'"])
            )
        elif set(query_filter.statuses) <= {ShipmentStatus.OPEN, ShipmentStatus.IN_PROGRESS}:
            asked.conditions.append("OverallGoodsMovementStatus ne 'C'")
    return asked


def changed_since(moment: datetime) -> str:
    """A delivery that was never changed has no day of change."""
    day = day_v2(moment.date())
    return f"(LastChangeDate ge {day} or CreationDate ge {day})"


def material(asked: Asked, name: str, number: str | None, *, plain: bool, digits: int) -> None:
    if number is None:
        return
    asked.whole = False
    if plain:
        asked.one_of(name, item_spellings(number, digits))


def balances(
    query_filter: queries.InventoryBalanceFilter, plants: Sequence[str], rules: Rules, *, plain: bool, digits: int
) -> Asked:
    """Stock has no time of change: `updated_after` matches nothing."""
    asked = Asked(whole=query_filter.ids is None)
    if query_filter.updated_after is not None:
        asked.never()
    wanted = query_filter.warehouses
    if plants:
        wanted = tuple(plants) if wanted is None else tuple(each for each in wanted if each in plants)
    asked.one_of("Plant", wanted)
    material(asked, "Material", query_filter.item_number, plain=plain, digits=digits)
    asked.one_of("StorageLocation", query_filter.locations)
    if query_filter.batch is not None:
        asked.one_of("Batch", [query_filter.batch])
    statuses = query_filter.statuses
    if statuses is not None:
        if StockStatus.UNKNOWN in statuses:
            asked.whole = False
        else:
            codes = [code for code, status in rules.stock_types.table.items() if status in statuses]
            asked.one_of("InventoryStockType", codes)
    return asked


def products(query_filter: queries.ItemFilter, rules: Rules) -> Asked:
    """A material has no "released": the filter by it matches nothing."""
    asked = Asked(whole=query_filter.ids is None)
    if query_filter.released is not None:
        asked.never()
    if query_filter.numbers is not None:  # the caller's, as with documents
        asked.whole = False
    if query_filter.search is not None:
        asked.whole = False
    types = query_filter.item_types
    if types is not None:
        if ItemType.COMPONENT in types:  # every material type that we do not know is one
            asked.whole = False
        else:
            asked.one_of("ProductType", [code for code, kind in rules.item_types.items() if kind in types])
    asked.since("LastChangeDateTime", query_filter.updated_after)
    return asked


def of_items(query_filter: queries.OrderFilter, *, plain: bool, digits: int) -> str | None:
    """The condition on the items of a sales or purchase order; null when the filter says nothing of them."""
    if query_filter.item_number is None or not plain:
        return None
    return any_of("Material", item_spellings(query_filter.item_number, digits))
