"""Reads through the released OData services: orders, deliveries, stock, products, and what changed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlencode

import msgspec

from connectors.kit.integration import Origin
from connectors.kit.manifest import Payload
from connectors.kit.odata import (
    Asked,
    Column,
    OData,
    Params,
    Part,
    Rows,
    V2Entity,
    all_of,
    any_of,
    at_v2,
    at_v4,
    blocks,
    either,
    item_spellings,
    literal,
    merged,
    order_by,
    parts,
    spellings,
)
from connectors.kit.protocols import Identity, Raw
from connectors.sap_erp import asking, keys, mapping, services, wire
from connectors.sap_erp.services import Documents, Orders
from connectors.sap_erp.settings import Rules, Settings
from unified import queries, records
from unified.keys import Subject
from unified.queries import ListQuery, SourcePage
from unified.records import Kind, Record

R = TypeVar("R", bound=Record)

READ_AT: Final = "x-crossdock-read-at"
"""Header of what a poll brought: when it was read, for documents of which SAP keeps only the day of change."""


class ODataReads:
    """Everything that is read with `interface = "odata"`."""

    def __init__(self, odata: OData, settings: Settings, rules: Rules) -> None:
        self._odata, self._settings, self._rules = odata, settings, rules
        self._orders = services.orders(settings)
        self._deliveries = services.deliveries(settings)

    async def check(self) -> str:
        path = self._settings.v2_path + services.PRODUCTS
        await self._odata.v2(path, wire.Product, [("$select", "Product"), ("$top", "1")])
        return "SAP ERP: API_PRODUCT_SRV answers"

    # --- orders

    async def read_orders(self, ids: Sequence[str]) -> list[records.Order]:
        """One call per kind of order that is named."""
        calls = []
        for service in self._orders:
            numbers = keys.orders_of(list(ids), service.prefix)
            calls += [self._heads(service, [either(block)]) for block in self._key_blocks(service, numbers)]
        return [order for found in await asyncio.gather(*calls) for order in found]

    async def list_orders(self, query: ListQuery[queries.OrderFilter], cursor: str | None) -> SourcePage[records.Order]:
        """One service after the other; side by side where the order asked for goes across both."""
        kinds = query.filter.order_kinds
        chosen = [each for each in self._orders if kinds is None or each.order_kind in kinds]
        numbers = asking.document_numbers(query.filter.numbers)
        if numbers is not None:
            pages = [await self._numbered(each, each.asked(query.filter), numbers) for each in chosen]
            return SourcePage(records=[order for found in pages for order in found])
        if len(chosen) > 1 and query.order_by and all(self._order(each, query)[1] for each in chosen):
            return await merged(
                [Part(each.prefix, partial(self._slice, each, query)) for each in chosen], query.order_by, cursor
            )
        prefix, _, inner = (cursor or "").partition("?")
        index = next((place for place, each in enumerate(chosen) if each.prefix == prefix), 0)
        if index >= len(chosen):
            return SourcePage(records=[], total=0)
        service, alone = chosen[index], len(chosen) == 1
        page = await self._documents(service, service.asked(query.filter), query, inner or None)
        following = f"{service.prefix}?{page.next}" if page.next else None
        if following is None and index + 1 < len(chosen):
            following = f"{chosen[index + 1].prefix}?"
        return SourcePage(
            records=page.records,
            next=following,
            total=page.total if alone else None,
            sorted=page.sorted and alone,
        )

    async def _slice(
        self, service: Orders, query: ListQuery[queries.OrderFilter], skip: int
    ) -> tuple[list[records.Order], bool]:
        asked = service.asked(query.filter)
        if asked.nothing:
            return [], False
        page = await self._page(
            service,
            [*asked.params(), *self._paged(service, asked, query), *([("$skip", str(skip))] if skip else [])],
        )
        return self._mapped(service, page), page.next is not None

    # --- deliveries

    async def read_shipments(self, ids: Sequence[str]) -> list[records.Shipment]:
        calls = [
            self._heads(self._deliveries, [either(block)])
            for block in self._key_blocks(self._deliveries, list(dict.fromkeys(ids)))
        ]
        return [shipment for found in await asyncio.gather(*calls) for shipment in found]

    async def list_shipments(
        self, query: ListQuery[queries.ShipmentFilter], cursor: str | None
    ) -> SourcePage[records.Shipment]:
        asked = asking.deliveries(query.filter)
        numbers = asking.document_numbers(query.filter.numbers)
        if numbers is not None:
            return SourcePage(records=await self._numbered(self._deliveries, asked, numbers))
        page: SourcePage[records.Shipment] = await self._documents(self._deliveries, asked, query, cursor)
        return page

    async def shipments_of_orders(self, numbers: Sequence[str]) -> list[records.Shipment]:
        """Two calls: the items that refer to the orders, then their heads."""
        service = self._deliveries
        assert service.items is not None
        spelt = dict.fromkeys(way for number in numbers for way in spellings(number, keys.DOCUMENT_DIGITS))
        terms = [any_of("ReferenceSDDocument", [way]) for way in spelt]
        found = await asyncio.gather(
            *(
                self._odata.v2_all(
                    service.items,
                    service.item,
                    [
                        ("$select", f"{service.key},{service.item_key}"),
                        ("$filter", either(block)),
                        ("$orderby", f"{service.key},{service.item_key}"),
                    ],
                )
                for block in blocks(terms)
            )
        )
        wanted = dict.fromkeys(item.delivery_document for rows in found for item, _ in rows if item.delivery_document)
        return await self.read_shipments(list(wanted))

    # --- stock

    async def read_inventory_balances(self, ids: Sequence[str]) -> list[records.InventoryBalance]:
        """Asks for all stock of the materials in their plants: eleven key fields each would not fit a URL."""
        found = [key for key in (parts(each, len(wire.STOCK_KEY)) for each in ids) if key]
        by_plant: dict[str, list[str]] = {}
        for key in found:
            by_plant.setdefault(key[1], []).append(key[0])
        conditions = [
            f"({all_of([any_of('Plant', [plant]), either(block)])})"
            for plant, numbers in by_plant.items()
            for block in blocks([self._material("Material", number) for number in dict.fromkeys(numbers)])
        ]
        wanted = set(ids)
        read = await self._stock([either(block) for block in blocks(conditions)])
        return [balance for balance in read if balance.source.external_id in wanted]

    async def list_inventory_balances(
        self, query: ListQuery[queries.InventoryBalanceFilter], cursor: str | None
    ) -> SourcePage[records.InventoryBalance]:
        settings = self._settings
        return await self._rows(
            settings.v2_path + services.STOCK,
            wire.Stock,
            asking.balances(
                query.filter,
                settings.plants,
                self._rules,
                plain=settings.plain_numbers,
                digits=settings.material_digits,
            ),
            query,
            cursor,
            columns=services.STOCK_COLUMNS,
            keys_=wire.STOCK_KEY,
            record=mapping.balance,
        )

    async def inventory_of_items(self, numbers: Sequence[str]) -> list[records.InventoryBalance]:
        """One call per block of materials."""
        only = [any_of("Plant", self._settings.plants)] if self._settings.plants else []
        terms = [self._material("Material", number) for number in dict.fromkeys(numbers)]
        return await self._stock([all_of([*only, either(block)]) for block in blocks(terms)])

    async def _stock(self, conditions: Sequence[str]) -> list[records.InventoryBalance]:
        path, order = self._settings.v2_path + services.STOCK, ("$orderby", ",".join(wire.STOCK_KEY))
        answers = await asyncio.gather(
            *(self._odata.v2_all(path, wire.Stock, [("$filter", each), order]) for each in conditions)
        )
        return [mapping.balance(row, origin, self._rules) for rows in answers for row, origin in rows]

    # --- products

    async def read_items(self, ids: Sequence[str]) -> list[records.Item]:
        found = await self.items_by_number(ids)
        wanted = {keys.bare(each) for each in ids}
        return [item for item in found if item.source.external_id in wanted]

    async def items_by_number(self, numbers: Sequence[str]) -> list[records.Item]:
        return await self._items(numbers, [])

    async def _items(self, numbers: Sequence[str], conditions: Sequence[str]) -> list[records.Item]:
        terms = [self._material("Product", number) for number in dict.fromkeys(numbers)]
        answers = await asyncio.gather(
            *(
                self._odata.v2_all(
                    self._settings.v2_path + services.PRODUCTS,
                    wire.Product,
                    [
                        ("$filter", all_of([*conditions, either(block)])),
                        ("$orderby", "Product"),
                        ("$expand", "to_Description"),
                    ],
                )
                for block in blocks(terms)
            )
        )
        return [mapping.product(row, origin, self._rules) for rows in answers for row, origin in rows]

    async def list_items(self, query: ListQuery[queries.ItemFilter], cursor: str | None) -> SourcePage[records.Item]:
        asked = asking.products(query.filter, self._rules)
        if query.filter.numbers is not None and self._settings.plain_numbers and not asked.nothing:
            return SourcePage(records=await self._items(query.filter.numbers, asked.conditions))
        return await self._rows(
            self._settings.v2_path + services.PRODUCTS,
            wire.Product,
            asked,
            query,
            cursor,
            columns=services.PRODUCT_COLUMNS,
            keys_=("Product",),
            record=mapping.product,
            extra=[("$expand", "to_Description")],
        )

    # --- what it knows, what changed

    async def identities(self) -> AsyncIterator[Identity]:
        """All products; plates on deliveries."""
        top = ("$top", str(self._settings.page_rows))
        path = self._settings.v2_path + services.PRODUCTS
        asked: Params = [("$select", "Product"), ("$orderby", "Product"), top]
        for row, _ in await self._odata.v2_all(path, wire.Product, asked):
            yield Identity(subject=Subject.ITEM, kind=Kind.ITEM, number=row.product, external_id=keys.bare(row.product))
        service, seen = self._deliveries, set[str]()
        carried: Params = [
            ("$select", f"{service.key},MeansOfTransport"),
            ("$filter", "MeansOfTransport ne ''"),
            ("$orderby", service.key),
            top,
        ]
        for head, _ in await self._odata.v2_all(service.heads, wire.Delivery, carried):
            plate = (head.means_of_transport or "").strip()
            if plate and plate not in seen:
                seen.add(plate)
                yield Identity(subject=Subject.VEHICLE, number=plate)

    async def changes(self, since: datetime, now: datetime) -> list[Raw]:
        """What changed, one delivery to the inbox per thing and state of it: overlap repeats ids, not work."""
        found = await asyncio.gather(
            *(self._changed(each, since, now) for each in self._orders if each.name in self._settings.polled),
            *([self._changed_deliveries(since, now)] if "deliveries" in self._settings.polled else []),
            *([self._changed_products(since, now)] if "products" in self._settings.polled else []),
        )
        return [raw for raws in found for raw in raws]

    async def _changed(self, service: Orders, since: datetime, now: datetime) -> list[Raw]:
        at = at_v4(since) if service.v4 else at_v2(since)
        rows = await self._every(
            service,
            [("$filter", f"LastChangeDateTime ge {at}"), ("$orderby", f"LastChangeDateTime,{service.key}")],
        )
        return [self._raw(service.name, getattr(row, service.attribute), row, now) for row in rows]

    async def _changed_deliveries(self, since: datetime, now: datetime) -> list[Raw]:
        """A day more than asked for: the days are those of the system's zone."""
        service = self._deliveries
        rows = await self._every(
            service, [("$filter", asking.changed_since(since - timedelta(days=1))), ("$orderby", service.key)]
        )
        return [self._raw(service.name, row.delivery_document, row, now) for row in rows]

    async def _changed_products(self, since: datetime, now: datetime) -> list[Raw]:
        rows = await self._odata.v2_all(
            self._settings.v2_path + services.PRODUCTS,
            wire.Product,
            [
                ("$filter", f"LastChangeDateTime ge {at_v2(since)}"),
                ("$orderby", "LastChangeDateTime,Product"),
                ("$expand", "to_Description"),
                ("$top", str(self._settings.page_rows)),
            ],
        )
        return [self._raw("products", row.product, row, now) for row, _ in rows]

    def _raw(self, decoder: str, key: str, row: Any, now: datetime) -> Raw:
        """The same state of a thing has the same id, however often it is seen."""
        body = msgspec.json.encode(V2Entity(d=row))
        digest = blake2b(body, digest_size=8).hexdigest()
        headers = {"content-type": "application/json", READ_AT: now.isoformat()}
        return Raw(
            delivery_id=f"{decoder}/{keys.bare(key)}@{digest}",
            decoder=decoder,
            payload=Payload(body=body, headers=headers),
        )

    # --- documents

    async def _documents(self, service: Documents, asked: Asked, query: ListQuery[Any], cursor: str | None) -> Any:
        if asked.nothing:
            return SourcePage(records=[], total=0)
        by_items = self._by_items(service, query)
        if by_items is not None:
            return await self._through_items(service, asked, by_items, cursor)
        counted = asked.whole and cursor is None
        count: Params = [("$count", "true") if service.v4 else ("$inlinecount", "allpages")] if counted else []
        page = await self._page(service, [*asked.params(), *self._paged(service, asked, query), *count], cursor)
        return SourcePage(
            records=self._mapped(service, page),
            next=page.next,
            total=page.count if counted else None,
            sorted=self._order(service, query)[1],
        )

    def _by_items(self, service: Documents, query: ListQuery[Any]) -> str | None:
        """What the filter says of items: a head cannot be asked for it, but the items can."""
        if service.items is None:
            return None
        if isinstance(query.filter, queries.OrderFilter):
            return asking.of_items(
                query.filter, plain=self._settings.plain_numbers, digits=self._settings.material_digits
            )
        number = query.filter.order_number
        return None if number is None else any_of("ReferenceSDDocument", spellings(number, keys.DOCUMENT_DIGITS))

    async def _through_items(
        self, service: Documents, asked: Asked, by_items: str, cursor: str | None
    ) -> SourcePage[Any]:
        """Keys of the next items first, then their heads: without it all documents ever made would be read.

        The cursor is the last key, so that a page costs the same wherever it is.
        """
        assert service.items is not None
        last = parse_qs(cursor, strict_parsing=True)["after"][0] if cursor else None
        conditions = [by_items] if last is None else [f"{service.key} gt {literal(last)}", by_items]
        items: Rows[Any] = await self._odata.v2(
            service.items,
            service.item,
            [
                ("$select", f"{service.key},{service.item_key}"),
                ("$filter", all_of(conditions)),
                ("$orderby", f"{service.key},{service.item_key}"),
                ("$top", str(self._settings.page_rows)),
            ],
        )
        numbers = list(dict.fromkeys(getattr(item, service.attribute) for item in items.rows))
        heads = await asyncio.gather(
            *(
                self._heads(service, [*asked.conditions, either(block)])
                for block in blocks([any_of(service.key, [number]) for number in numbers])
            )
        )
        after = urlencode({"after": numbers[-1]}) if numbers and items.next else None
        return SourcePage(records=[record for found in heads for record in found], next=after)

    async def _numbered(self, service: Documents, asked: Asked, numbers: Sequence[Sequence[str]]) -> list[Any]:
        """All of the numbers at once, in as many calls as their conditions need URLs."""
        if asked.nothing:
            return []
        found = await asyncio.gather(
            *(
                self._heads(service, [*asked.conditions, either(block)])
                for block in blocks([any_of(service.key, ways) for ways in numbers])
            )
        )
        return [record for records_ in found for record in records_]

    def _key_blocks(self, service: Documents, numbers: Sequence[str]) -> list[list[str]]:
        return list(blocks([any_of(service.key, spellings(number, keys.DOCUMENT_DIGITS)) for number in numbers]))

    async def _heads(self, service: Documents, conditions: Sequence[str]) -> list[Any]:
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page = await self._page(service, [("$filter", all_of(conditions)), ("$orderby", service.key)], cursor)
            found += self._mapped(service, page)
            cursor = page.next
            if cursor is None:
                return found

    async def _every(self, service: Documents, params: Params) -> list[Any]:
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page = await self._page(service, [*params, ("$top", str(self._settings.page_rows))], cursor)
            found += page.rows
            cursor = page.next
            if cursor is None:
                return found

    async def _page(self, service: Documents, params: Params, cursor: str | None = None) -> Rows[Any]:
        """One page of heads with all that comes with them."""
        read = self._odata.v4 if service.v4 else self._odata.v2
        page: Rows[Any] = await read(service.heads, service.row, [*params, ("$expand", service.expand)], cursor)
        return page

    def _mapped(self, service: Documents, page: Rows[Any]) -> list[Any]:
        return [service.record(row, page.origin, self._rules) for row in page.rows]

    def _order(self, service: Documents, query: ListQuery[Any]) -> tuple[str, bool]:
        return order_by(query.order_by, service.columns, [service.key])

    def _paged(self, service: Documents, asked: Asked, query: ListQuery[Any]) -> Params:
        order, sorted_ = self._order(service, query)
        return [("$orderby", order), ("$top", str(self._size(asked, query, sorted_)))]

    # --- other rows

    async def _rows(
        self,
        path: str,
        row: type[Any],
        asked: Asked,
        query: ListQuery[Any],
        cursor: str | None,
        *,
        columns: dict[str, Column],
        keys_: Sequence[str],
        record: Callable[[Any, Origin, Rules], R],
        extra: Params | None = None,
    ) -> SourcePage[R]:
        if asked.nothing:
            return SourcePage(records=[], total=0)
        order, sorted_ = order_by(query.order_by, columns, keys_)
        counted = asked.whole and cursor is None
        page = await self._odata.v2(
            path,
            row,
            [
                *asked.params(),
                ("$orderby", order),
                ("$top", str(self._size(asked, query, sorted_))),
                *(extra or []),
                *([("$inlinecount", "allpages")] if counted else []),
            ],
            cursor,
        )
        return SourcePage(
            records=[record(each, page.origin, self._rules) for each in page.rows],
            next=page.next,
            total=page.count if counted else None,
            sorted=sorted_,
        )

    def _size(self, asked: Asked, query: ListQuery[Any], sorted_: bool) -> int:
        """What the caller filters or sorts by himself is better read in large pages."""
        alone = asked.whole and (sorted_ or not query.order_by)
        return query.limit if alone else max(query.limit, self._settings.page_rows)

    def _material(self, name: str, number: str) -> str:
        return any_of(name, item_spellings(number, self._settings.material_digits))
