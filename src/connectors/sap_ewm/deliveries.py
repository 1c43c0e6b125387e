"""Outbound delivery orders and inbound deliveries: two services, one kind of record."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec

from connectors.kit.integration import Origin
from connectors.kit.odata import (
    Asked,
    Column,
    Expanded,
    OData,
    Params,
    Part,
    Rows,
    all_of,
    any_of,
    blocks,
    either,
    item_spellings,
    literal,
    merged,
    order_by,
    parts,
)
from connectors.sap_ewm import asking, mapping, wire
from connectors.sap_ewm.settings import Rules, Settings
from unified import queries
from unified.queries import ListQuery, SourcePage
from unified.records import Order, OrderKind, OrderStatus


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two. `heads` and `items` are paths below the V2 base; names are SAP's."""

    prefix: str
    order_kind: OrderKind
    heads: str
    items: str
    key: str
    item_key: str
    attribute: str
    """`key` as the wire structs call it."""
    partner: str
    navigation: str
    head: type[Any]
    item: type[Any]
    record: Callable[[Any, Origin, Rules], Order]

    @property
    def columns(self) -> dict[str, Column]:
        return {
            "number": Column(self.key),
            "warehouse": Column("Warehouse"),
            "partner": Column(self.partner, may_be_empty=True),
            "carrier": Column("Carrier", may_be_empty=True),
            "planned_at": Column("PlannedDeliveryUTCDateTime", may_be_empty=True),
            "updated_at": Column("LastChangeDateTime"),
        }


def services(settings: Settings) -> tuple[Service, Service]:
    return (
        Service(
            prefix=mapping.OUTBOUND,
            order_kind=OrderKind.OUTBOUND_DELIVERY,
            heads="/API_WHSE_OUTB_DLV_ORDER/WhseOutboundDeliveryOrderHead",
            items="/API_WHSE_OUTB_DLV_ORDER/WhseOutboundDeliveryOrderItem",
            key="OutboundDeliveryOrder",
            item_key="OutboundDeliveryOrderItem",
            attribute="outbound_delivery_order",
            partner="ShipToParty",
            navigation="to_WhseOutboundDeliveryOrderItem",
            head=wire.outbound_head(settings.vehicle_field),
            item=wire.OutboundItem,
            record=mapping.outbound,
        ),
        Service(
            prefix=mapping.INBOUND,
            order_kind=OrderKind.INBOUND_DELIVERY,
            heads="/API_WHSE_INBOUND_DELIVERY/WhseInboundDeliveryHead",
            items="/API_WHSE_INBOUND_DELIVERY/WhseInboundDeliveryItem",
            key="InboundDelivery",
            item_key="InboundDeliveryItem",
            attribute="inbound_delivery",
            partner="ShipFromParty",
            navigation="to_WhseInboundDeliveryItem",
            head=wire.inbound_head(settings.vehicle_field),
            item=wire.InboundItem,
            record=mapping.inbound,
        ),
    )


class Deliveries:
    """Reads of both services."""

    def __init__(self, odata: OData, settings: Settings, rules: Rules) -> None:
        self._odata, self._settings, self._rules = odata, settings, rules
        self.services = services(settings)

    async def read(self, ids: Sequence[str]) -> list[Order]:
        """One call per service that is named (two where lines come by `filter`)."""
        wanted: dict[str, list[str]] = {}
        for each in ids:
            found = parts(each, 2)
            if found:
                wanted.setdefault(found[0], []).append(found[1])
        calls = [
            self._read(service, block)
            for service in self.services
            for block in blocks([any_of(service.key, [number]) for number in wanted.get(service.prefix, ())])
        ]
        return [order for orders in await asyncio.gather(*calls) for order in orders]

    async def _read(self, service: Service, conditions: list[str]) -> list[Order]:
        found: list[Order] = []
        cursor: str | None = None
        while True:
            page = await self.page(service, [("$filter", " or ".join(conditions)), ("$orderby", service.key)], cursor)
            found += self._orders(service, page)
            cursor = page.next
            if cursor is None:
                return found

    async def listed(self, query: ListQuery[queries.OrderFilter], cursor: str | None) -> SourcePage[Order]:
        """One service after the other; side by side where the order asked for goes across both."""
        kinds = query.filter.order_kinds
        chosen = [each for each in self.services if kinds is None or each.order_kind in kinds]
        if not chosen:
            return SourcePage(records=[], total=0)
        numbers = asking.order_spellings(query.filter.numbers, 10, 35)
        if numbers is not None:
            return SourcePage(records=await self._numbered(chosen, query, numbers))
        if len(chosen) > 1 and query.order_by:
            asked = [self._asked(service, query) for service in chosen]
            if all(sorted_ for _, _, sorted_ in asked):
                slices = [Part(each.prefix, partial(self._slice, each, query)) for each in chosen]
                return await merged(slices, query.order_by, cursor)
        prefix, _, inner = (cursor or "").partition("?")
        index = next((place for place, each in enumerate(chosen) if each.prefix == prefix), 0)
        service = chosen[index]
        conditions, order, sorted_ = self._asked(service, query)
        if conditions.nothing:
            return SourcePage(records=[], total=0)
        by_items = self._by_items(query)
        if by_items:
            found, after = await self._through_items(service, query, conditions, by_items, inner)
            following = f"{service.prefix}?{after}" if after else None
            if following is None and index + 1 < len(chosen):
                following = f"{chosen[index + 1].prefix}?"
            return SourcePage(records=found, next=following)
        counted = conditions.whole and not inner and len(chosen) == 1
        params = self._params(conditions, order, query)
        page = await self.page(service, params + [("$inlinecount", "allpages")] * counted, inner or None)
        following = f"{service.prefix}?{page.next}" if page.next else None
        if following is None and index + 1 < len(chosen):
            following = f"{chosen[index + 1].prefix}?"
        return SourcePage(
            records=self._orders(service, page),
            next=following,
            total=page.count if counted else None,
            sorted=sorted_ and len(chosen) == 1,
        )

    async def _numbered(
        self, chosen: Sequence[Service], query: ListQuery[queries.OrderFilter], numbers: Sequence[str]
    ) -> list[Order]:
        """All of the numbers at once, in as many calls as their conditions need URLs."""
        asked = {each.prefix: self._asked(each, query)[0] for each in chosen}
        calls = [
            self._read(service, [all_of([*asked[service.prefix].conditions, either(block)])])
            for service in chosen
            if not asked[service.prefix].nothing
            for block in blocks([any_of(service.key, [number]) for number in numbers])
        ]
        return [order for orders in await asyncio.gather(*calls) for order in orders]

    def _by_items(self, query: ListQuery[queries.OrderFilter]) -> list[str]:
        """What the filter says of items: a head cannot be asked for it, but its items can."""
        conditions = []
        statuses = query.filter.statuses
        if statuses is not None and set(statuses) <= {OrderStatus.OPEN, OrderStatus.IN_PROGRESS}:
            conditions.append("CompletionStatus ne '9'")
        if query.filter.item_number is not None and self._settings.plain_numbers:
            conditions.append(any_of("Product", item_spellings(query.filter.item_number)))
        return conditions

    async def _through_items(
        self,
        service: Service,
        query: ListQuery[queries.OrderFilter],
        asked: Asked,
        by_items: list[str],
        cursor: str,
    ) -> tuple[list[Order], str | None]:
        """Keys of the next items first, then their heads: without it all deliveries ever made would be read.

        The cursor is the last key, so that a page costs the same wherever it is.
        """
        codes = query.filter.warehouses or self._settings.warehouses
        conditions = [any_of("Warehouse", codes), *by_items] if codes else by_items
        last = parse_qs(cursor, strict_parsing=True)["after"][0] if cursor else None
        if last is not None:
            conditions = [f"{service.key} gt {literal(last)}", *conditions]
        rows = self._settings.page_rows
        items: Rows[Any] = await self._odata.v2(
            self._settings.v2_path + service.items,
            service.item,
            [
                ("$select", f"{service.key},{service.item_key}"),
                ("$filter", all_of(conditions)),
                ("$orderby", f"{service.key},{service.item_key}"),
                ("$top", str(rows)),
            ],
        )
        keys = list(dict.fromkeys(getattr(item, service.attribute) for item in items.rows))
        blocks_of = blocks([any_of(service.key, [key]) for key in keys])
        heads = await asyncio.gather(
            *(self._read(service, [all_of([*asked.conditions, f"({' or '.join(block)})"])]) for block in blocks_of)
        )
        after = urlencode({"after": keys[-1]}) if keys and items.next else None
        return [order for found in heads for order in found], after

    async def _slice(
        self, service: Service, query: ListQuery[queries.OrderFilter], skip: int
    ) -> tuple[list[Order], bool]:
        conditions, order, _ = self._asked(service, query)
        if conditions.nothing:
            return [], False
        params = self._params(conditions, order, query) + ([("$skip", str(skip))] if skip else [])
        page = await self.page(service, params)
        return self._orders(service, page), page.next is not None

    def _asked(self, service: Service, query: ListQuery[queries.OrderFilter]) -> tuple[Asked, str, bool]:
        asked = asking.orders(
            query.filter,
            self._settings.warehouses,
            partner=service.partner,
            vehicle=self._settings.vehicle_field,
        )
        bounded = query.filter.planned_after is not None or query.filter.planned_before is not None
        order, sorted_ = order_by(
            query.order_by,
            service.columns,
            [service.key],
            never_empty=frozenset({"planned_at"}) if bounded else frozenset(),
        )
        return asked, order, sorted_

    def _params(self, asked: Asked, order: str, query: ListQuery[Any]) -> Params:
        # what the caller filters or sorts by himself is better read in large pages
        rows = query.limit if asked.whole else max(query.limit, self._settings.page_rows)
        return [*asked.params(), ("$orderby", order), ("$top", str(rows))]

    async def page(self, service: Service, params: Params, cursor: str | None = None) -> Rows[Any]:
        """One page of heads with their items."""
        path = self._settings.v2_path + service.heads
        if self._settings.items_by == "expand":
            return await self._odata.v2(path, service.head, [*params, ("$expand", service.navigation)], cursor)
        page: Rows[Any] = await self._odata.v2(path, service.head, params, cursor)
        numbers = [getattr(row, service.attribute) for row in page.rows]
        items: dict[str, list[Any]] = {number: [] for number in numbers}
        for block in blocks([any_of(service.key, [number]) for number in items]):
            for item, _ in await self._odata.v2_all(
                self._settings.v2_path + service.items,
                service.item,
                [("$filter", " or ".join(block)), ("$orderby", f"{service.key},{service.item_key}")],
            ):
                items.setdefault(getattr(item, service.attribute), []).append(item)
        for row in page.rows:
            row.items = Expanded(results=items[getattr(row, service.attribute)])
        return page

    def _orders(self, service: Service, page: Rows[Any]) -> list[Order]:
        return [service.record(row, page.origin, self._rules) for row in page.rows]
