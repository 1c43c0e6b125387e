"""The connector: items, structures and work orders of one account; changes by polling and by business events."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, Final

from connectors.kit import decode
from connectors.kit.errors import Rejected
from connectors.kit.http import Api
from connectors.kit.integration import Integration, Origin
from connectors.kit.manifest import Manifest, Payload
from connectors.kit.paging import OffsetCursor
from connectors.kit.protocols import BomRequest, Connector, Identity, Polled, Raw
from connectors.kit.services import Services
from connectors.oracle_fusion import asking, decoders, mapping, polling, webhook, wire
from connectors.oracle_fusion.answers import auth_of, explain
from connectors.oracle_fusion.calls import CALLS
from connectors.oracle_fusion.mapping import BomKey, ItemKey
from connectors.oracle_fusion.resources import Resources, oldest
from connectors.oracle_fusion.settings import CREDENTIALS, EVENTS, Settings, Subject, rules_of, settings_of
from connectors.oracle_fusion.structures import Structures
from unified import ids as global_ids
from unified import keys, records
from unified.events import Changed, Event, Removed
from unified.queries import BomFilter, ItemFilter, ListQuery, OrderBy, SourcePage, WorkOrderFilter
from unified.records import Bom, Item, Kind, WhereUsed, WorkOrder
from unified.values import System

ITEM_FIELDS: Final = (
    "ItemId",
    "OrganizationCode",
    "ItemNumber",
    "ItemDescription",
    "ItemClass",
    "PrimaryUOMValue",
    "ItemStatusValue",
    "LifecyclePhaseValue",
    "LastUpdateDateTime",
)
"""Of several hundred: a page of whole items would have 10 MB."""
CHILDREN: Final = "WorkOrderOperation,WorkOrderMaterial"
ORDERS_PAGE: Final = 100
"""Most work orders of a page: each brings its operations and materials along."""
ITEMS_PAGE: Final = 200
BOMS: Final = 50
"""Most structures in one page of a list: parts that they share are read once per page."""


class OracleFusion(Connector):
    """Reads only."""

    manifest: ClassVar[Manifest] = Manifest(
        system=System.ORACLE_FUSION,
        title="Oracle Fusion Cloud SCM",
        summary="Items, item structures, and work orders with operations and materials, over REST; business events.",
        documentation="https://docs.oracle.com/en/cloud/saas/supply-chain-and-manufacturing/26b/fasrp/",
        credentials=CREDENTIALS,
        settings=Settings,
        batch_size=100,
        calls=CALLS,
        rate_per_second=25.0,
        decoders=decoders.DECODERS,
        explain=explain,
        ground_truth="Oracle's public REST pages and readiness notes, attribute names from public integrations with "
        "real pods, and partly constructed samples; never run against a pod.",
    )

    def __init__(self, integration: Integration, services: Services) -> None:
        super().__init__(integration, services)
        self.settings = settings_of(integration)
        self.rules = rules_of(self.settings)
        self.api = Api(
            integration,
            services,
            auth=auth_of(integration, services, self.settings),
            explain=explain,
            headers={
                "REST-Framework-Version": str(self.settings.framework_version),
                "Accept": "application/json, application/vnd.oracle.adf.error+json",
            },
            rate=self.manifest.rate_per_second,
            burst=50,
        )
        self.resources = Resources(self.api, self.settings)
        self.structures = Structures(self.resources, self.settings, self.rules, services.clock.now)
        self._decoders = {each.name: each for each in decoders.decoders(self.rules)}
        self._events: dict[str, Subject] = {**EVENTS, **self.settings.events}
        fields = ",".join(dict.fromkeys((*ITEM_FIELDS, *self.settings.item_fields)))
        # without links nobody could ask for the revisions that are cut short: an item's key is a hash
        self._items: dict[str, Any] = (
            {"fields": f"{fields};ItemRevision:RevisionCode,EffectivityDate", "links": True}
            if self.settings.revisions
            else {"fields": fields}
        )

    async def check(self) -> str:
        q = " and ".join(asking.in_organizations(self.settings.organizations)) or None
        await self.resources.page("itemsV2", wire.ItemStamp, q=q, limit=1, fields="ItemId,OrganizationCode")
        return f"Oracle Fusion, REST framework version {self.settings.framework_version}"

    async def aclose(self) -> None:
        await self.api.aclose()

    # --- items

    async def read_items(self, ids: Sequence[str]) -> list[Item]:
        """One call per hundred items, whatever organizations they are of."""
        wanted = [key for each in dict.fromkeys(ids) if (key := ItemKey.read(each)) is not None]
        calls = [self._items_where(_of_keys(some)) for some in asking.short(wanted, lambda key: key.id)]
        return [item for some in await self.resources.together(calls) for item in some]

    async def items_by_number(self, numbers: Sequence[str]) -> list[Item]:
        """Exactly as they are spelt; of several organizations' items the first organization's."""
        terms = [asking.one_of("ItemNumber", some) for some in asking.short(list(dict.fromkeys(numbers)))]
        found = [item for some in await self.resources.together(map(self._in_plants, terms)) for item in some]
        return list({item.number: item for item in sorted(found, key=self._rank, reverse=True)}.values())

    async def list_items(self, query: ListQuery[ItemFilter], cursor: str | None) -> SourcePage[Item]:
        wanted, offset = query.filter, OffsetCursor.read(cursor)
        if wanted.numbers is not None:
            return SourcePage(records=await self._items_alike(wanted.numbers))
        asked = asking.items(wanted, self.settings, self.rules)
        if asked.never:
            return SourcePage(records=[], total=0 if asked.whole else None)
        # what the caller filters himself is better read in large pages
        limit = max(1, min(query.limit, ITEMS_PAGE)) if asked.whole else ITEMS_PAGE
        order = _order(query.order_by, "LastUpdateDateTime", "ItemId:asc,OrganizationCode:asc")
        answer = await self.resources.page(
            "itemsV2", wire.Item, q=asked.q, limit=limit, offset=offset, order=order, total=asked.whole, **self._items
        )
        return SourcePage(
            records=await self._made(answer.value.items, answer.origin),
            next=_next(answer.value, offset),
            total=answer.value.total_results if asked.whole else None,
            sorted=order is not None,
        )

    async def identities(self) -> AsyncIterator[Identity]:
        """One call per 500 items, organization by organization in the order of the settings."""
        for code in self.settings.organizations or (None,):
            q = asking.one_of("OrganizationCode", [code]) if code is not None else None
            async for answer in self.resources.everything(
                "itemsV2", wire.Item, q=q, fields="ItemId,OrganizationCode,ItemNumber"
            ):
                for row in answer.value.items:
                    key = ItemKey(row.organization_code, str(row.item_id))
                    yield Identity(
                        subject=keys.Subject.ITEM, kind=Kind.ITEM, number=row.item_number, external_id=key.text
                    )

    async def _in_plants(self, term: str) -> list[Item]:
        return await self._items_where(" and ".join([*asking.in_organizations(self.settings.organizations), term]))

    async def _items_where(self, q: str) -> list[Item]:
        found: list[Item] = []
        async for answer in self.resources.everything("itemsV2", wire.Item, q=q, **self._items):
            found += await self._made(answer.value.items, answer.origin)
        return found

    async def _items_alike(self, numbers: Sequence[str]) -> list[Item]:
        """Exact spellings in one call; what is not found by them is looked for in any other spelling."""
        wanted = list(dict.fromkeys(numbers))
        terms = [asking.one_of("ItemNumber", some) for some in asking.short(wanted)]
        found = [item for some in await self.resources.together(map(self._in_plants, terms)) for item in some]
        known = {keys.item_key(item.number) for item in found}
        foreign = {key: number for number in wanted if (key := keys.item_key(number)) and key not in known}
        patterns = [asking.alike("ItemNumber", keys.Subject.ITEM, number) for number in foreign.values()]
        terms = [asking.any_of(some) for some in asking.short(patterns)]
        for some in await self.resources.together(map(self._in_plants, terms)):
            found += [item for item in some if keys.item_key(item.number) in foreign]
        return sorted(found, key=self._rank)

    def _rank(self, item: Item) -> int:
        """Where the item's organization stands in the settings."""
        code, order = item.source.external_id.rpartition(":")[0], self.settings.organizations
        return order.index(code) if code in order else len(order)

    async def _made(self, rows: Sequence[wire.Item], origin: Origin) -> list[Item]:
        told = await self.resources.children(
            "itemsV2", "ItemRevision", wire.ItemRevision, [(row, str(row.item_id), row.item_revision) for row in rows]
        )
        return [
            mapping.item(
                row,
                oldest([origin, other]) if other is not None else origin,
                self.rules,
                path=f"$.items[{place}]",
                revisions=revisions,
            )
            for place, (row, (revisions, other)) in enumerate(zip(rows, told, strict=True))
        ]

    # --- structures

    async def explode(self, requests: Sequence[BomRequest]) -> list[Bom | None]:
        """Raises `Rejected` for a revision or a revision rule: Fusion chooses components by their dates."""
        if any(each.revision or each.revision_rule for each in requests):
            raise Rejected(
                f"{self.integration.key}: item structures of Oracle Fusion know no revisions and no revision rules; "
                "leave `revision` and `revisionRule` out",
                integration=self.integration.key,
            )
        wanted = [self._bom_key(ItemKey.read(each.item), each.view, each.max_levels) for each in requests]
        return await self._exploded(wanted)

    async def read_boms(self, ids: Sequence[str]) -> list[Bom]:
        found = await self._exploded([BomKey.read(each) for each in dict.fromkeys(ids)])
        return [each for each in found if each is not None]

    async def list_boms(self, query: ListQuery[BomFilter], cursor: str | None) -> SourcePage[Bom]:
        """The structures of the items that are named, each of the first organization that has it; nothing without
        names, or where a revision is asked for."""
        wanted, start = query.filter, OffsetCursor.read(cursor)
        numbers = list(dict.fromkeys(wanted.item_numbers or ()))
        end = start + max(1, min(query.limit, BOMS))
        block = numbers[start:end]
        if not block or wanted.revision or wanted.revision_rule:
            return SourcePage(records=[])
        items: dict[str, Item] = {}
        for item in await self._items_alike(block):
            items.setdefault(keys.item_key(item.number), item)
        found = await self._exploded(
            [
                self._bom_key(ItemKey.read(item.source.external_id), wanted.view, wanted.max_levels)
                for item in items.values()
            ]
        )
        return SourcePage(
            records=[each for each in found if each is not None], next=str(end) if end < len(numbers) else None
        )

    async def where_used(self, items: Sequence[str], max_levels: int = 1) -> list[tuple[WhereUsed, ...]]:
        wanted = [ItemKey.read(each) for each in items]
        found = await self.structures.where_used([each for each in wanted if each is not None], max_levels)
        return [found[each] if each is not None else () for each in wanted]

    def _bom_key(self, item: ItemKey | None, view: str | None, levels: int | None) -> BomKey | None:
        return BomKey(item, view or self.settings.structure, levels) if item is not None else None

    async def _exploded(self, wanted: Sequence[BomKey | None]) -> list[Bom | None]:
        known = list(dict.fromkeys(each for each in wanted if each is not None))
        found = dict(zip(known, await self.structures.explode(known), strict=True))
        return [found[each] if each is not None else None for each in wanted]

    # --- work orders

    async def read_work_orders(self, ids: Sequence[str]) -> list[WorkOrder]:
        wanted = [int(each) for each in dict.fromkeys(ids) if mapping.is_number(each)]
        terms = [asking.one_of("WorkOrderId", some) for some in asking.short(wanted)]
        return await self._orders_where(terms)

    async def list_work_orders(self, query: ListQuery[WorkOrderFilter], cursor: str | None) -> SourcePage[WorkOrder]:
        wanted, offset = query.filter, OffsetCursor.read(cursor)
        asked = asking.work_orders(wanted, self.settings)
        if asked.never or wanted.numbers == ():
            return SourcePage(records=[], total=0 if asked.whole else None)
        if wanted.numbers is not None:
            spelt = [
                asking.spelt("WorkOrderNumber", keys.Subject.ORDER, each) for each in dict.fromkeys(wanted.numbers)
            ]
            terms = [" and ".join([*asked.terms, asking.any_of(some)]) for some in asking.short(spelt)]
            orders = await self._orders_where(terms)
            return SourcePage(records=list({order.id: order for order in orders}.values()))
        order = _order(query.order_by, "LastUpdateDate", "WorkOrderId:asc")
        answer = await self.resources.page(
            "workOrders",
            wire.WorkOrder,
            q=asked.q,
            limit=max(1, min(query.limit, ORDERS_PAGE)) if asked.whole else ORDERS_PAGE,
            offset=offset,
            order=order,
            expand=CHILDREN,
            total=asked.whole,
        )
        return SourcePage(
            records=await self._orders(answer.value.items, answer.origin),
            next=_next(answer.value, offset),
            total=answer.value.total_results if asked.whole else None,
            sorted=order is not None,
        )

    async def work_orders_of_items(self, numbers: Sequence[str]) -> list[WorkOrder]:
        beside = [*asking.in_organizations(self.settings.organizations), *asking.not_closed()]
        terms = [
            " and ".join([*beside, asking.one_of("ItemNumber", some)])
            for some in asking.short(list(dict.fromkeys(numbers)))
        ]
        return [order for order in await self._orders_where(terms) if asking.is_open(order.status)]

    async def _orders_where(self, terms: Sequence[str]) -> list[WorkOrder]:
        async def read(q: str) -> list[WorkOrder]:
            found: list[WorkOrder] = []
            async for answer in self.resources.everything("workOrders", wire.WorkOrder, q=q, expand=CHILDREN):
                found += await self._orders(answer.value.items, answer.origin)
            return found

        return [order for some in await self.resources.together(map(read, terms)) for order in some]

    async def _orders(self, rows: Sequence[wire.WorkOrder], origin: Origin) -> list[WorkOrder]:
        operations, materials = await asyncio.gather(
            self.resources.children(
                "workOrders",
                "WorkOrderOperation",
                wire.WorkOrderOperation,
                [(row, str(row.work_order_id), row.work_order_operation) for row in rows],
            ),
            self.resources.children(
                "workOrders",
                "WorkOrderMaterial",
                wire.WorkOrderMaterial,
                [(row, str(row.work_order_id), row.work_order_material) for row in rows],
            ),
        )
        return [
            mapping.work_order(
                row,
                oldest([each for each in (origin, operations[place][1], materials[place][1]) if each is not None]),
                self.rules,
                path=f"$.items[{place}]",
                operations=operations[place][0],
                materials=materials[place][0],
            )
            for place, row in enumerate(rows)
        ]

    # --- changes

    async def poll(self, cursor: str | None) -> Polled:
        """Items and work orders that changed since; what an item's change does to its structure has no time of its
        own, and is told by business events only."""
        asked = {polling.ITEMS: self._items, polling.WORK_ORDERS: {"expand": CHILDREN}}
        return await polling.poll(self.resources, self.settings, self.services.clock.now(), cursor, asked)

    async def events(self, raw: Raw) -> Sequence[Event]:
        """With this tenant's own codes. A business event is never believed beyond the number that it names."""
        if raw.decoder == decoders.EVENT:
            return await self._noticed(webhook.notice(raw.payload))
        found: list[records.Record] = []
        if raw.decoder == polling.ITEMS:
            items = self.api.decoded(raw.payload.body, wire.Collection[wire.Item], at="poll")
            found += await self._made(items.items, self.api.origin())
        elif raw.decoder == polling.WORK_ORDERS:
            orders = self.api.decoded(raw.payload.body, wire.Collection[wire.WorkOrder], at="poll")
            found += await self._orders(orders.items, self.api.origin())
        now = self.services.clock.now()
        return [Changed(record=each, occurred_at=each.updated_at or now) for each in found]

    def verify(self, payload: Payload) -> None:
        webhook.verify(self.integration, payload)

    def received(self, payload: Payload) -> Raw | None:
        """An unknown event is counted; one of an organization that is not read is nobody's business."""
        given = webhook.notice(payload)
        subject = self._events.get(given.event_type)
        if subject is None:
            self.services.metrics.unknown_code(self.integration.system.value, "eventType", given.event_type[:80])
            return None
        webhook.number(given, subject)
        told, read = webhook.organization(given), self.settings.organizations
        if told is not None and read and told not in read:
            return None
        return Raw(delivery_id=webhook.delivery_id(given, payload), decoder=decoders.EVENT, payload=payload)

    async def _noticed(self, given: wire.Notice) -> list[Event]:
        subject = self._events.get(given.event_type)
        if subject is None:  # it was known when it arrived
            return []
        now = self.services.clock.now()
        told = decode.moment(given.timestamp, path="$.timestamp") or now
        number, organization = webhook.number(given, subject), webhook.organization(given)
        found = await self._now(subject, number, organization)
        if not found:
            self.services.log.info(
                "oracle_fusion.event_of_nothing", integration=self.integration.key, type=given.event_type
            )
        events: list[Event] = [Changed(record=each, occurred_at=each.updated_at or now) for each in found]
        if subject == "structure":
            wanted = [self._bom_key(ItemKey.read(each.source.external_id), None, None) for each in found]
            for key, bom in zip(wanted, await self._exploded(wanted), strict=True):
                if bom is not None:
                    events.append(Changed(record=bom, occurred_at=told))
                elif key is not None:
                    gone = global_ids.encode(Kind.BOM.value, self.integration.key, key.text)
                    events.append(Removed(kind=Kind.BOM, id=gone, occurred_at=told))
        return events

    async def _now(self, subject: Subject, number: str, organization: str | None) -> list[Item] | list[WorkOrder]:
        """What the number means now: an old answer must not become a change, so that an outage is raised."""
        codes = [organization] if organization is not None else list(self.settings.organizations)
        name = "WorkOrderNumber" if subject == "work-order" else "ItemNumber"
        q = " and ".join([*asking.in_organizations(codes), asking.one_of(name, [number])])
        if subject == "work-order":
            orders = await self.resources.fresh(
                "workOrders", wire.Collection[wire.WorkOrder], q=q, order="WorkOrderId:asc", offset=0, expand=CHILDREN
            )
            return await self._orders(orders.items, self.api.origin())
        order = "ItemId:asc,OrganizationCode:asc"
        items = await self.resources.fresh(
            "itemsV2", wire.Collection[wire.Item], q=q, order=order, offset=0, **self._items
        )
        return await self._made(items.items, self.api.origin())


def _of_keys(wanted: Sequence[ItemKey]) -> str:
    """Any of the items; those of one organization together."""
    by_organization: dict[str, list[int]] = {}
    for key in wanted:
        by_organization.setdefault(key.organization, []).append(int(key.id))
    terms = [
        f"{asking.one_of('OrganizationCode', [code])} and {asking.one_of('ItemId', some)}"
        for code, some in by_organization.items()
    ]
    return terms[0] if len(terms) == 1 else " or ".join(f"({each})" for each in terms)


def _order(order_by: Sequence[OrderBy], time: str, rest: str) -> str | None:
    """Only times: how Fusion sorts texts depends on a language. Its time of update is never null."""
    if len(order_by) != 1 or order_by[0].field != "updated_at":
        return None
    return f"{time}:{'desc' if order_by[0].descending else 'asc'},{rest}"


def _next(page: wire.Collection[Any], offset: int) -> str | None:
    return str(offset + len(page.items)) if page.has_more else None
