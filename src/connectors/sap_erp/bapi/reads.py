"""Reads through BAPIs, for systems without the OData services. Keys come from RFC_READ_TABLE, contents from BAPIs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from connectors.kit.errors import NotFound
from connectors.kit.integration import Origin
from connectors.kit.odata import item_spellings, parts, spellings
from connectors.kit.paging import OffsetCursor, blocks
from connectors.kit.protocols import Identity, Raw
from connectors.sap_erp import keys, mapping, wire
from connectors.sap_erp.bapi import mapping as from_bapi
from connectors.sap_erp.bapi import tables
from connectors.sap_erp.bapi.functions import Functions, table, text
from connectors.sap_erp.settings import Rules, Settings
from unified import queries, records
from unified.keys import Subject, canonical
from unified.queries import ListQuery, SourcePage
from unified.records import Kind, OrderKind, ShipmentDirection

AT_ONCE: Final = 50
"""Documents in one call."""
VIEW: Final = {
    "HEADER": "X",
    "ITEM": "X",
    "SDSCHEDULE": "X",
    "BUSINESS": "X",
    "PARTNER": "X",
    "STATUS_H": "X",
    "STATUS_I": "X",
}
WANTED_OF_ORDERS: Final = (
    "ORDER_HEADERS_OUT", "ORDER_ITEMS_OUT", "ORDER_SCHEDULES_OUT", "ORDER_PARTNERS_OUT", "ORDER_BUSINESS_OUT",
    "ORDER_STATUSHEADERS_OUT", "ORDER_STATUSITEMS_OUT",
)  # fmt: skip
WANTED_OF_DELIVERIES: Final = (
    "ET_DELIVERY_HEADER", "ET_DELIVERY_HEADER_STS", "ET_DELIVERY_ITEM", "ET_DELIVERY_PARTNER",
)  # fmt: skip
_SALES, _PURCHASE = OrderKind.SALES, OrderKind.PURCHASE


class BapiReads:
    """Everything that is read with `interface = "soap"` or `"rfc"`. Changes come as IDocs: nothing is polled."""

    def __init__(self, functions: Functions, settings: Settings, rules: Rules) -> None:
        self._functions, self._settings, self._rules = functions, settings, rules

    async def check(self) -> str:
        await self._functions.call("RFC_PING", {})
        return f"SAP ERP: RFC_PING answers over {self._settings.interface.upper()}"

    # --- orders

    async def read_orders(self, ids: Sequence[str]) -> list[records.Order]:
        """One call for fifty sales orders; one call for each purchase order, which BAPIs read singly."""
        sales = keys.orders_of(list(ids), keys.SALES)
        purchase = keys.orders_of(list(ids), keys.PURCHASE)
        found = await asyncio.gather(self._sales_orders(sales), self._purchase_orders(purchase))
        return [order for orders in found for order in orders]

    async def list_orders(self, query: ListQuery[queries.OrderFilter], cursor: str | None) -> SourcePage[records.Order]:
        """Sales orders, then purchase orders, each in the order of the table."""
        kinds = query.filter.order_kinds
        here = {_SALES: self._settings.sales_orders != "none", _PURCHASE: self._settings.purchase_orders}
        chosen = [kind for kind, read in here.items() if read and (kinds is None or kind in kinds)]
        unknowable = (query.filter.vehicle_plate, query.filter.planned_after, query.filter.planned_before)
        if not chosen or any(each is not None for each in unknowable):
            return SourcePage(records=[], total=0)
        name, _, inner = (cursor or "").partition("?")
        kind = next((each for each in chosen if each.name == name), chosen[0])
        skip = OffsetCursor.read(inner or None)
        is_sales = kind is _SALES
        conditions = ["VBTYP = 'C'"] if is_sales else ["BSTYP = 'F'"]
        conditions += self._numbers("VBELN" if is_sales else "EBELN", query.filter.numbers)
        if query.filter.partner is not None:
            spelt = spellings(query.filter.partner, keys.DOCUMENT_DIGITS)
            conditions.append(tables.any_of("KUNNR" if is_sales else "LIFNR", spelt))
        if query.filter.updated_after is not None:
            conditions.append(_changed("AEDAT", "ERDAT" if is_sales else "AEDAT", query.filter.updated_after))
        numbers, following = await self._page_of_keys(
            "VBAK" if is_sales else "EKKO", "VBELN" if is_sales else "EBELN", conditions, skip, query.limit
        )
        orders = await (self._sales_orders(numbers) if is_sales else self._purchase_orders(numbers))
        place = chosen.index(kind)
        after = f"{kind.name}?{following}" if following else None
        if after is None and place + 1 < len(chosen):
            after = f"{chosen[place + 1].name}?"
        return SourcePage(records=orders, next=after)

    async def _sales_orders(self, numbers: Sequence[str]) -> list[records.Order]:
        async def read(block: Sequence[str]) -> list[records.Order]:
            answered = await self._functions.call(
                "BAPISDORDER_GETDETAILEDLIST",
                {
                    "I_BAPI_VIEW": VIEW,
                    "SALES_DOCUMENTS": [{"VBELN": keys.padded(number)} for number in block],
                    **{name: [] for name in WANTED_OF_ORDERS},
                },
            )
            rows = from_bapi.sales_orders(answered.values)
            return [mapping.sales_order(row, answered.origin, self._rules) for row in rows]

        return await _all(read, numbers)

    async def _purchase_orders(self, numbers: Sequence[str]) -> list[records.Order]:
        async def read(number: str) -> records.Order | None:
            try:
                answered = await self._functions.call(
                    "BAPI_PO_GETDETAIL1",
                    {"PURCHASEORDER": keys.padded(number), "POITEM": [], "POSCHEDULE": [], "RETURN": []},
                )
            except NotFound:
                return None
            row = from_bapi.purchase_order(answered.values)
            return None if row is None else mapping.purchase_order(row, answered.origin, self._rules)

        return [order for order in await asyncio.gather(*map(read, numbers)) if order is not None]

    # --- deliveries

    async def read_shipments(self, ids: Sequence[str]) -> list[records.Shipment]:
        async def read(block: Sequence[str]) -> list[records.Shipment]:
            wanted = [{"SIGN": "I", "OPTION": "EQ", "DELIV_NUMB_LOW": keys.padded(number)} for number in block]
            try:
                answered = await self._functions.call(
                    "BAPI_DELIVERY_GETLIST",
                    {
                        "IS_DLV_DATA_CONTROL": {"ITEM": "X", "HEAD_STATUS": "X", "HEAD_PARTNER": "X"},
                        "IT_VBELN": wanted,
                        **{name: [] for name in WANTED_OF_DELIVERIES},
                        "RETURN": [],
                    },
                )
            except NotFound:
                return []
            rows = from_bapi.deliveries(answered.values)
            return [mapping.delivery(row, answered.origin, self._rules) for row in rows]

        return await _all(read, list(dict.fromkeys(ids)))

    async def list_shipments(
        self, query: ListQuery[queries.ShipmentFilter], cursor: str | None
    ) -> SourcePage[records.Shipment]:
        directions = query.filter.directions
        if directions is not None and ShipmentDirection.OUTBOUND not in directions:
            return SourcePage(records=[], total=0)
        if query.filter.order_number is not None:
            return SourcePage(records=await self.shipments_of_orders([query.filter.order_number]))
        conditions = ["VBTYP = 'J'", *self._numbers("VBELN", query.filter.numbers)]
        if query.filter.partner is not None:
            conditions.append(tables.any_of("KUNNR", spellings(query.filter.partner, keys.DOCUMENT_DIGITS)))
        if query.filter.warehouses is not None:
            if not query.filter.warehouses:
                return SourcePage(records=[], total=0)
            conditions.append(tables.any_of("VSTEL", query.filter.warehouses))
        if query.filter.updated_after is not None:
            conditions.append(_changed("AEDAT", "ERDAT", query.filter.updated_after))
        skip = OffsetCursor.read(cursor)
        numbers, following = await self._page_of_keys("LIKP", "VBELN", conditions, skip, query.limit)
        return SourcePage(records=await self.read_shipments(numbers), next=following)

    async def shipments_of_orders(self, numbers: Sequence[str]) -> list[records.Shipment]:
        """Two calls: the items that refer to the orders, then the deliveries."""
        found: list[str] = []
        for block in blocks(list(dict.fromkeys(keys.padded(number) for number in numbers)), AT_ONCE):
            rows, _ = await tables.read(self._functions, "LIPS", ["VBELN"], [tables.any_of("VGBEL", block)])
            found += [row["VBELN"] for row in rows]
        return await self.read_shipments(found)

    # --- stock

    async def read_inventory_balances(self, ids: Sequence[str]) -> list[records.InventoryBalance]:
        wanted = [key for key in (parts(each, len(wire.STOCK_KEY)) for each in ids) if key]
        found = await self._stock_of([key[0] for key in wanted])
        return [balance for balance in found if balance.source.external_id in set(ids)]

    async def list_inventory_balances(
        self, query: ListQuery[queries.InventoryBalanceFilter], cursor: str | None
    ) -> SourcePage[records.InventoryBalance]:
        wanted = query.filter
        if wanted.updated_after is not None or wanted.batch is not None:
            return SourcePage(records=[], total=0)  # MARD has neither a time of change nor batches
        plants: Iterable[str] | None = wanted.warehouses
        if self._settings.plants:
            plants = self._settings.plants if plants is None else [p for p in plants if p in self._settings.plants]
        conditions = []
        for name, allowed in (("WERKS", plants), ("LGORT", wanted.locations)):
            if allowed is not None:
                values = list(allowed)
                if not values:
                    return SourcePage(records=[], total=0)
                conditions.append(tables.any_of(name, values))
        if wanted.item_number is not None and self._settings.plain_numbers:
            conditions.append(tables.any_of("MATNR", self._materials(wanted.item_number)))
        skip, limit = OffsetCursor.read(cursor), max(query.limit, 1)
        rows, origin = await tables.read(
            self._functions, "MARD", ["MATNR", "WERKS", "LGORT", *from_bapi.STOCK_FIELDS], conditions,
            skip=skip, count=limit,
        )  # fmt: skip
        following = str(skip + len(rows)) if len(rows) >= limit else None
        return SourcePage(records=await self._balances(rows, origin), next=following)

    async def inventory_of_items(self, numbers: Sequence[str]) -> list[records.InventoryBalance]:
        return await self._stock_of(numbers)

    async def _stock_of(self, numbers: Sequence[str]) -> list[records.InventoryBalance]:
        spelt = list(dict.fromkeys(way for number in numbers for way in self._materials(number)))
        only = [tables.any_of("WERKS", self._settings.plants)] if self._settings.plants else []
        found: list[records.InventoryBalance] = []
        for block in blocks(spelt, AT_ONCE):
            rows, origin = await tables.read(
                self._functions,
                "MARD",
                ["MATNR", "WERKS", "LGORT", *from_bapi.STOCK_FIELDS],
                [*only, tables.any_of("MATNR", block)],
            )
            found += await self._balances(rows, origin)
        return found

    async def _balances(self, rows: Sequence[dict[str, str]], origin: Origin) -> list[records.InventoryBalance]:
        """The table has no unit: it is the material's."""
        units: dict[str, str] = {}
        for block in blocks(list(dict.fromkeys(row["MATNR"] for row in rows)), AT_ONCE):
            named, _ = await tables.read(self._functions, "MARA", ["MATNR", "MEINS"], [tables.any_of("MATNR", block)])
            units |= {row["MATNR"]: row["MEINS"] for row in named}
        return [
            mapping.balance(each, origin, self._rules)
            for row in rows
            for each in from_bapi.stock(row, units.get(row["MATNR"]))
        ]

    # --- materials

    async def read_items(self, ids: Sequence[str]) -> list[records.Item]:
        """One call for each: BAPIs read one material at a time."""
        found = await asyncio.gather(*(self._item(number) for number in dict.fromkeys(ids)))
        return [item for item in found if item is not None]

    async def items_by_number(self, numbers: Sequence[str]) -> list[records.Item]:
        return await self.read_items([keys.bare(number) for number in numbers])

    async def list_items(self, query: ListQuery[queries.ItemFilter], cursor: str | None) -> SourcePage[records.Item]:
        """A page of numbers, then each of them."""
        wanted = query.filter
        if wanted.released is not None:
            return SourcePage(records=[], total=0)
        if wanted.numbers is not None and self._settings.plain_numbers:
            return SourcePage(records=await self.items_by_number(wanted.numbers))
        numbers = await self._materials_after(cursor, query.limit)
        following = numbers[-1] if len(numbers) >= query.limit else None
        return SourcePage(records=await self.read_items(numbers), next=following)

    async def _materials_after(self, last: str | None, count: int) -> list[str]:
        """The next numbers: the BAPI lists in their order, which is the material master's key."""
        chosen = {"SIGN": "I", "OPTION": "CP", "MATNR_LOW": "*"}
        if last is not None:
            chosen = {"SIGN": "I", "OPTION": "GT", "MATNR_LOW": last}
        try:
            answered = await self._functions.call(
                "BAPI_MATERIAL_GETLIST",
                {"MAXROWS": count, "MATNRSELECTION": [chosen], "MATNRLIST": [], "RETURN": []},
            )
        except NotFound:
            return []
        rows = table(answered.values, "MATNRLIST")
        found = [text(row, "MATERIAL_LONG") or text(row, "MATERIAL") for row in rows]
        return sorted(each for each in found if each)

    async def _item(self, number: str) -> records.Item | None:
        padded = keys.padded(number, self._settings.material_digits)
        try:
            answered = await self._functions.call(
                "BAPI_MATERIAL_GET_DETAIL",
                {"MATERIAL_LONG": padded} if len(padded) > 18 else {"MATERIAL": padded},
            )
        except NotFound:
            return None
        row = from_bapi.product(answered.values, padded)
        return None if row is None else mapping.product(row, answered.origin, self._rules)

    # --- what it knows, what changed

    async def identities(self) -> AsyncIterator[Identity]:
        last: str | None = None
        while True:
            numbers = await self._materials_after(last, self._settings.page_rows)
            for number in numbers:
                yield Identity(subject=Subject.ITEM, kind=Kind.ITEM, number=number, external_id=keys.bare(number))
            if len(numbers) < self._settings.page_rows or numbers[-1] == last:
                return
            last = numbers[-1]

    async def changes(self, since: datetime, now: datetime) -> list[Raw]:  # noqa: ARG002 - as the OData services'
        return []

    # --- inside

    async def _page_of_keys(
        self, name: str, field: str, conditions: Sequence[str], skip: int, limit: int
    ) -> tuple[list[str], str | None]:
        rows, _ = await tables.read(self._functions, name, [field], conditions, skip=skip, count=limit)
        return [row[field] for row in rows], str(skip + len(rows)) if len(rows) >= limit else None

    def _numbers(self, field: str, wanted: Sequence[str] | None) -> list[str]:
        if wanted is None:
            return []
        bare = [canonical(Subject.ORDER, each) for each in wanted]
        if not bare or not all(each.isascii() and each.isdigit() for each in bare):
            return []
        return [tables.any_of(field, [keys.padded(each) for each in bare])]

    def _materials(self, number: str) -> list[str]:
        """As the tables have it: numeric ones with their zeros."""
        digits = self._settings.material_digits
        return list(dict.fromkeys(keys.padded(way, digits) for way in item_spellings(number, digits)))


def _changed(changed: str, created: str, since: datetime) -> str:
    """A day more than asked for: the days are those of the system's zone. What was never changed has none."""
    day: date = (since - timedelta(days=1)).date()
    if changed == created:
        return f"{changed} >= '{day:%Y%m%d}'"
    return f"( {changed} >= '{day:%Y%m%d}' OR {created} >= '{day:%Y%m%d}' )"


async def _all(read: Callable[[Sequence[str]], Any], numbers: Sequence[str]) -> list[Any]:
    found = await asyncio.gather(*(read(block) for block in blocks(numbers, AT_ONCE)))
    return [record for several in found for record in several]
