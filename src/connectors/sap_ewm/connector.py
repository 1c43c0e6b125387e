"""SAP EWM as a connector: deliveries, warehouse orders, tasks, available stock, storage bins; changes by polling."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

import msgspec

from connectors.kit.auth import HeaderAuth
from connectors.kit.calls import Calls
from connectors.kit.errors import AuthFailed
from connectors.kit.http import Api
from connectors.kit.integration import Integration, Origin
from connectors.kit.manifest import Credential, Manifest, Payload
from connectors.kit.odata import (
    Asked,
    BasicSession,
    BearerSession,
    Column,
    Csrf,
    OData,
    Params,
    Rows,
    V2Entity,
    all_of,
    any_of,
    at_v2,
    blocks,
    either,
    item_spellings,
    joined,
    order_by,
    parts,
)
from connectors.kit.protocols import Connector, Identity, Polled, Raw
from connectors.kit.services import Services
from connectors.sap_ewm import asking, entities, mapping, wire
from connectors.sap_ewm.calls import CALLS, twice
from connectors.sap_ewm.decoders import decoders
from connectors.sap_ewm.deliveries import Deliveries
from connectors.sap_ewm.explain import explain
from connectors.sap_ewm.settings import Settings, rules_of
from unified import queries, records
from unified.events import Changed, Event
from unified.keys import Subject
from unified.queries import ListQuery, SourcePage
from unified.records import Record
from unified.values import System

R = TypeVar("R", bound=Record)
PRODUCTS_MOST = 100_000
"""Products whose spelling in stock is remembered."""


class SapEwm(Connector):
    """One EWM system. Signs in by user and password, by OAuth2 or by API key: whichever credentials there are."""

    manifest: ClassVar[Manifest] = Manifest(
        system=System.SAP_EWM,
        title="SAP Extended Warehouse Management",
        summary="Delivery orders, warehouse orders and tasks, available stock and storage bins of SAP EWM.",
        documentation="https://api.sap.com/products/SAPS4HANACloud/apis/ODATA",
        credentials=(
            Credential(name="user", description="communication user (Basic)", required=False),
            Credential(name="password", description="its password", required=False),
            Credential(name="client_id", description="OAuth2 client; needs the setting token_url", required=False),
            Credential(name="client_secret", description="its secret", required=False),
            Credential(name="api_key", description="key of SAP's API sandbox (read-only)", required=False),
        ),
        settings=Settings,
        batch_size=500,
        calls=CALLS,
        decoders=decoders(rules_of(Settings())),
        explain=explain,
        ground_truth=(
            "Entities and navigation names are from the clients that SAP publishes, tested with SAP's own mock server "
            "and pyodata; no EWM system was at hand, so that codes beyond the documented ones are inferred."
        ),
    )

    def __init__(self, integration: Integration, services: Services) -> None:
        super().__init__(integration, services)
        self.settings = msgspec.convert(integration.settings, Settings)
        self.rules = rules_of(self.settings)
        self.api = Api(
            integration,
            services,
            explain=explain,
            headers={"Accept-Language": self.settings.language},
            cookies=True,
            auth=self._auth(),
        )
        self.csrf = Csrf(self.api, self.settings.v2_path + entities.ORDER_TASK + "/")
        client = self.settings.sap_client
        self._odata = OData(self.api, [("sap-client", client)] if client else [])
        self._deliveries = Deliveries(self._odata, self.settings, self.rules)
        self._in_stock: set[str] = set()
        outbound, inbound = self._deliveries.services
        self._decoders = {each.name: each for each in decoders(self.rules, outbound.head, inbound.head)}

    def _auth(self) -> BearerSession | BasicSession | HeaderAuth:
        secrets = self.integration.credentials
        if "client_id" in secrets and "client_secret" in secrets and self.settings.token_url:
            url = self.settings.token_url
            return BearerSession(
                url if "://" in url else self.integration.base_url.rstrip("/") + url,
                client_id=secrets["client_id"].reveal(),
                client_secret=secrets["client_secret"],
                scope=self.settings.scope,
                tokens=self.services.tokens,
                store_key=f"{self.integration.key}:oauth2",
                clock=self.services.clock,
                reset=self._reset,
            )
        if "user" in secrets and "password" in secrets:
            return BasicSession(
                secrets["user"].reveal(),
                secrets["password"],
                build=lambda *call, **more: self.api.build(*call, **more),
                root=self.settings.v2_path + entities.ORDER_TASK + "/",
                reset=self._reset,
                integration=self.integration.key,
            )
        if "api_key" in secrets:
            return HeaderAuth("APIKey", secrets["api_key"])
        raise AuthFailed(
            f"{self.integration.key}: give user and password, or client_id and client_secret with the setting "
            "token_url, or api_key",
            integration=self.integration.key,
        )

    def _reset(self) -> None:
        """A new session: the old one's cookies and token are worth nothing."""
        if self.api.cookies is not None:
            self.api.cookies.clear()
        self.csrf.forget()

    def calls(self, method: str) -> Calls:
        told = super().calls(method)
        if self.settings.items_by == "filter" and method in ("read_orders", "list_orders"):
            return twice(told)  # lines of deliveries take calls of their own
        return told

    async def check(self) -> str:
        page = await self._odata.v2(
            self.settings.v2_path + entities.WAREHOUSE_ORDERS,
            wire.WarehouseOrder,
            [("$select", "Warehouse,WarehouseOrder"), ("$top", "1")],
        )
        return f"SAP EWM: API_WAREHOUSE_ORDER_TASK answers{'' if page.rows else ', with no warehouse order'}"

    async def aclose(self) -> None:
        await self.api.aclose()

    # --- deliveries

    async def read_orders(self, ids: Sequence[str]) -> list[records.Order]:
        return await self._deliveries.read(ids)

    async def list_orders(self, query: ListQuery[queries.OrderFilter], cursor: str | None) -> SourcePage[records.Order]:
        return await self._deliveries.listed(query, cursor)

    # --- warehouse orders and tasks

    async def read_warehouse_orders(self, ids: Sequence[str]) -> list[records.WarehouseOrder]:
        rows = await self._v2_by_keys(
            entities.WAREHOUSE_ORDERS, wire.WarehouseOrder, ids, ("WarehouseOrder",), order=entities.ORDER_KEY
        )
        return [mapping.warehouse_order(row, origin, self.rules) for row, origin in rows]

    async def list_warehouse_orders(
        self, query: ListQuery[queries.WarehouseOrderFilter], cursor: str | None
    ) -> SourcePage[records.WarehouseOrder]:
        asked = asking.warehouse_orders(query.filter, self.settings.warehouses, self.rules.warehouse_order_statuses)
        return await self._v2_list(
            entities.WAREHOUSE_ORDERS,
            wire.WarehouseOrder,
            asked,
            query,
            cursor,
            columns=entities.ORDER_COLUMNS,
            keys=entities.ORDER_KEY.split(","),
            record=lambda row, origin: mapping.warehouse_order(row, origin, self.rules),
        )

    async def read_warehouse_tasks(self, ids: Sequence[str]) -> list[records.WarehouseTask]:
        rows = await self._v2_by_keys(
            entities.WAREHOUSE_TASKS,
            wire.WarehouseTask,
            ids,
            ("WarehouseTask", "WarehouseTaskItem"),
            order=entities.TASK_KEY,
        )
        return [mapping.warehouse_task(row, origin, self.rules) for row, origin in rows]

    async def list_warehouse_tasks(
        self, query: ListQuery[queries.WarehouseTaskFilter], cursor: str | None
    ) -> SourcePage[records.WarehouseTask]:
        asked = asking.warehouse_tasks(
            query.filter, self.settings.warehouses, self.rules.task_statuses, plain=self.settings.plain_numbers
        )
        return await self._v2_list(
            entities.WAREHOUSE_TASKS,
            wire.WarehouseTask,
            asked,
            query,
            cursor,
            columns=entities.TASK_COLUMNS,
            keys=entities.TASK_KEY.split(","),
            record=lambda row, origin: mapping.warehouse_task(row, origin, self.rules),
        )

    async def tasks_of_warehouse_orders(self, ids: Sequence[str]) -> list[records.WarehouseTask]:
        """One call for all of them."""
        rows = await self._v2_by_keys(
            entities.WAREHOUSE_TASKS, wire.WarehouseTask, ids, ("WarehouseOrder",), order=entities.TASK_KEY
        )
        return [mapping.warehouse_task(row, origin, self.rules) for row, origin in rows]

    # --- storage bins

    async def read_locations(self, ids: Sequence[str]) -> list[records.Location]:
        rows = await self._v2_by_keys(
            entities.STORAGE_BINS, wire.StorageBin, ids, ("StorageBin",), order=entities.BIN_KEY
        )
        return [mapping.location(row, origin) for row, origin in rows]

    async def list_locations(
        self, query: ListQuery[queries.LocationFilter], cursor: str | None
    ) -> SourcePage[records.Location]:
        return await self._v2_list(
            entities.STORAGE_BINS,
            wire.StorageBin,
            asking.locations(query.filter, self.settings.warehouses),
            query,
            cursor,
            columns=entities.BIN_COLUMNS,
            keys=entities.BIN_KEY.split(","),
            record=mapping.location,
        )

    # --- stock

    async def read_inventory_balances(self, ids: Sequence[str]) -> list[records.InventoryBalance]:
        """Asks for all stock of the products in their warehouses: fifteen key fields each would not fit a URL."""
        keys = [key for key in (parts(each, len(wire.STOCK_KEY)) for each in ids) if key]
        wanted = {joined(*key) for key in keys}
        by_warehouse: dict[str, list[str]] = {}
        for key in keys:
            by_warehouse.setdefault(key[0], []).append(key[1])
        conditions = [
            all_of([any_of("EWMWarehouse", [warehouse]), either(block)])
            for warehouse, products in by_warehouse.items()
            for block in blocks([any_of("Product", [product]) for product in dict.fromkeys(products)])
        ]
        found = await self._stock(conditions)
        return [balance for balance in found if balance.source.external_id in wanted]

    async def list_inventory_balances(
        self, query: ListQuery[queries.InventoryBalanceFilter], cursor: str | None
    ) -> SourcePage[records.InventoryBalance]:
        asked = asking.balances(
            query.filter, self.settings.warehouses, self.rules.stock_types, plain=self.settings.plain_numbers
        )
        if asked.nothing:
            return SourcePage(records=[], total=0)
        params, sorted_, counted = self._list_params(asked, query, cursor, entities.STOCK_COLUMNS, entities.STOCK_KEY)
        page = await self._odata.v4(
            self.settings.v4_path + entities.STOCK,
            wire.AvailableStock,
            params + [("$count", "true")] * counted,
            cursor,
        )
        return self._page(page, sorted_, counted, lambda row, origin: mapping.balance(row, origin, self.rules))

    async def inventory_of_items(self, numbers: Sequence[str]) -> list[records.InventoryBalance]:
        """One call per block of products. One that was seen in stock is asked for as it is spelt there; other
        numeric ones with 18 digits, and bare."""
        spelt = dict.fromkeys(
            way for number in numbers for way in ([number] if number in self._in_stock else item_spellings(number))
        )
        warehouses = [any_of("EWMWarehouse", self.settings.warehouses)] if self.settings.warehouses else []
        conditions = [
            all_of([*warehouses, either(block)] if warehouses else [" or ".join(block)])
            for block in blocks([any_of("Product", [way]) for way in spelt])
        ]
        return await self._stock(conditions)

    async def _stock(self, conditions: Sequence[str]) -> list[records.InventoryBalance]:
        path, order = self.settings.v4_path + entities.STOCK, ("$orderby", ",".join(entities.STOCK_KEY))
        answers = await asyncio.gather(
            *(self._odata.v4_all(path, wire.AvailableStock, [("$filter", each), order]) for each in conditions)
        )
        self._remember(row.product for rows in answers for row, _ in rows)
        return [mapping.balance(row, origin, self.rules) for rows in answers for row, origin in rows]

    def _remember(self, products: Iterable[str | None]) -> None:
        """How stock spells a product: a product has one spelling there."""
        for product in products:
            if product and len(self._in_stock) < PRODUCTS_MOST:
                self._in_stock.add(product)

    # --- what it knows, what changed

    async def identities(self) -> AsyncIterator[Identity]:
        """Products in stock and on tasks (the services spell them differently), plates on deliveries."""
        seen: set[str] = set()
        top = ("$top", str(self.settings.page_rows))
        only = self.settings.warehouses
        stock: Params = [("$select", "EWMWarehouse,Product"), ("$orderby", "Product"), top]
        if only:
            stock.append(("$filter", any_of("EWMWarehouse", only)))
        for row, _ in await self._odata.v4_all(self.settings.v4_path + entities.STOCK, wire.AvailableStock, stock):
            if row.product and row.product not in seen:
                seen.add(row.product)
                self._remember([row.product])
                yield Identity(subject=Subject.ITEM, number=row.product)
        tasks: Params = [
            ("$select", "Warehouse,WarehouseTask,WarehouseTaskItem,ProductName"),
            ("$orderby", entities.TASK_KEY),
            top,
        ]
        if only:
            tasks.append(("$filter", any_of("Warehouse", only)))
        for task, _ in await self._odata.v2_all(
            self.settings.v2_path + entities.WAREHOUSE_TASKS, wire.WarehouseTask, tasks
        ):
            if task.product_name and task.product_name not in seen:
                seen.add(task.product_name)
                yield Identity(subject=Subject.ITEM, number=task.product_name)
        field, plates = self.settings.vehicle_field, set[str]()
        if field is None:
            return
        for service in self._deliveries.services:
            params: Params = [("$select", f"{service.key},{field}"), ("$orderby", service.key), top]
            if only:
                params.append(("$filter", any_of("Warehouse", only)))
            for head, _ in await self._odata.v2_all(self.settings.v2_path + service.heads, service.head, params):
                if head.vehicle and head.vehicle not in plates:
                    plates.add(head.vehicle)
                    yield Identity(subject=Subject.VEHICLE, number=head.vehicle)

    async def poll(self, cursor: str | None) -> Polled:
        """What changed, one delivery to the inbox per thing and time of change: overlap repeats ids, not work."""
        now = self.services.clock.now()
        if cursor is None:
            since = now - timedelta(hours=self.settings.poll_first_hours)
        else:
            since = datetime.fromisoformat(cursor) - timedelta(seconds=self.settings.poll_overlap_seconds)
        found = await asyncio.gather(
            self._changed(
                entities.WAREHOUSE_ORDERS, wire.WarehouseOrder, since, "warehouse-orders", entities.ORDER_KEY
            ),
            self._changed(
                entities.WAREHOUSE_TASKS,
                wire.WarehouseTask,
                since,
                "warehouse-tasks",
                entities.TASK_KEY,
            ),
            *(self._changed_deliveries(service, since) for service in self._deliveries.services),
        )
        return Polled(raws=tuple(raw for raws in found for raw in raws), cursor=now.isoformat())

    async def events(self, raw: Raw) -> Sequence[Event]:
        """As the kit does it, with this system's own codes and fields."""
        now = self.services.clock.now()
        origin = Origin(integration=self.integration.key, system=self.integration.system, as_of=now)
        return [
            Changed(record=each, occurred_at=each.updated_at or now)
            for each in self._decoders[raw.decoder].read(raw.payload, origin)
            if isinstance(each, Record)
        ]

    async def _changed(self, path: str, row: type[Any], since: datetime, decoder: str, keys: str) -> list[Raw]:
        rows = await self._odata.v2_all(self.settings.v2_path + path, row, self._since(since, keys))
        return [_raw(each, decoder) for each, _ in rows]

    async def _changed_deliveries(self, service: Any, since: datetime) -> list[Raw]:
        decoder = "outbound-delivery-orders" if service.prefix == mapping.OUTBOUND else "inbound-deliveries"
        found: list[Raw] = []
        cursor: str | None = None
        while True:
            page = await self._deliveries.page(service, self._since(since, service.key), cursor)
            found += [_raw(row, decoder) for row in page.rows]
            cursor = page.next
            if cursor is None:
                return found

    def _since(self, since: datetime, keys: str) -> Params:
        conditions = [f"LastChangeDateTime ge {at_v2(since)}"]
        if self.settings.warehouses:
            conditions.insert(0, any_of("Warehouse", self.settings.warehouses))
        return [
            ("$filter", all_of(conditions)),
            ("$orderby", f"LastChangeDateTime,{keys}"),
            ("$top", str(self.settings.page_rows)),
        ]

    # --- inside

    async def _v2_by_keys(
        self, path: str, row: type[Any], ids: Sequence[str], fields: tuple[str, ...], *, order: str
    ) -> list[tuple[Any, Origin]]:
        """All rows whose warehouse and key fields are those of the ids: one call per block, grouped by warehouse."""
        by_warehouse: dict[str, list[str]] = {}
        for each in dict.fromkeys(ids):
            key = parts(each, 1 + len(fields))
            if key:
                terms = [any_of(name, [value]) for name, value in zip(fields, key[1:], strict=True)]
                by_warehouse.setdefault(key[0], []).append(terms[0] if len(terms) == 1 else f"({all_of(terms)})")
        conditions = [
            f"({all_of([any_of('Warehouse', [warehouse]), either(block)])})"
            for warehouse, terms in by_warehouse.items()
            for block in blocks(terms)
        ]
        answers = await asyncio.gather(
            *(
                self._odata.v2_all(
                    self.settings.v2_path + path, row, [("$filter", " or ".join(block)), ("$orderby", order)]
                )
                for block in blocks(conditions)
            )
        )
        return [each for rows in answers for each in rows]

    async def _v2_list(
        self,
        path: str,
        row: type[Any],
        asked: Asked,
        query: ListQuery[Any],
        cursor: str | None,
        *,
        columns: dict[str, Column],
        keys: Sequence[str],
        record: Callable[[Any, Origin], R],
    ) -> SourcePage[R]:
        if asked.nothing:
            return SourcePage(records=[], total=0)
        params, sorted_, counted = self._list_params(asked, query, cursor, columns, keys)
        page = await self._odata.v2(
            self.settings.v2_path + path, row, params + [("$inlinecount", "allpages")] * counted, cursor
        )
        return self._page(page, sorted_, counted, record)

    def _list_params(
        self,
        asked: Asked,
        query: ListQuery[Any],
        cursor: str | None,
        columns: dict[str, Column],
        keys: Sequence[str],
    ) -> tuple[Params, bool, bool]:
        order, sorted_ = order_by(query.order_by, columns, keys)
        alone = asked.whole and (sorted_ or not query.order_by)
        # what the caller filters or sorts by himself is better read in large pages
        rows = query.limit if alone else max(query.limit, self.settings.page_rows)
        return [*asked.params(), ("$orderby", order), ("$top", str(rows))], sorted_, asked.whole and cursor is None

    @staticmethod
    def _page(page: Rows[Any], sorted_: bool, counted: bool, record: Callable[[Any, Origin], R]) -> SourcePage[R]:
        return SourcePage(
            records=[record(row, page.origin) for row in page.rows],
            next=page.next,
            total=page.count if counted else None,
            sorted=sorted_,
        )


def _raw(row: Any, decoder: str) -> Raw:
    """One changed thing as the vendor sent it, as far as we know its fields."""
    keys = {
        wire.WarehouseOrder: ("warehouse", "warehouse_order"),
        wire.WarehouseTask: ("warehouse", "warehouse_task", "warehouse_task_item"),
        wire.OutboundHead: ("outbound_delivery_order",),
        wire.InboundHead: ("inbound_delivery",),
    }
    names = next(names for kind, names in keys.items() if isinstance(row, kind))
    key = joined(*(getattr(row, name) for name in names))
    return Raw(
        delivery_id=f"{decoder}/{key}@{row.last_change_date_time}",
        decoder=decoder,
        payload=Payload(body=msgspec.json.encode(V2Entity(d=row)), headers={"content-type": "application/json"}),
    )
