"""Every join: one loader each, over aiodataloader. They live for one operation, or one event of a subscription.

A loader groups its keys by integration, asks all integrations at once, splits by the vendor's batch size, and
puts an error only into the slots of the integration that failed. Joins over several integrations give the rows
of those that answered and note the failure of the others.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Generic, NamedTuple, TypeVar

from aiodataloader import DataLoader

from connectors.kit.errors import ConnectorError, NotFound
from connectors.kit.paging import blocks, pages
from connectors.kit.protocols import LISTINGS, BomRequest, can_read
from resolvers.context import Context
from resolvers.sources import Asked, Handle, ask
from unified import ids, queries, records
from unified.ids import GlobalId
from unified.keys import Subject, canonical
from unified.queries import ListQuery
from unified.records import Kind, Record

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

OPEN_ROWS = 1_000
"""Rows of one source that a join reads when the vendor cannot be asked by key (open orders, active bookings)."""


class Number(NamedTuple):
    """A number as one integration spells it."""

    integration: str
    number: str


class Structure(NamedTuple):
    """A structure to explode, by the item's number."""

    integration: str
    number: str
    view: str | None = None
    revision_rule: str | None = None
    revision: str | None = None
    max_levels: int | None = None


class Loader(DataLoader[Any, Any], Generic[K, V]):
    """A DataLoader over a function from keys to a mapping; a key that is not in it loads null."""

    def __init__(self, batch: Callable[[list[K]], Awaitable[dict[K, V | Exception]]], default: Any = None) -> None:
        super().__init__()
        self._batch, self._default = batch, default

    async def batch_load_fn(self, keys: list[K]) -> list[Any]:
        found = await self._batch(list(keys))
        return [found.get(key, self._default) for key in keys]


class Loaders:
    """The loaders of one operation; made on first use."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sources = context.sources
        self._shared: dict[str, asyncio.Task[Any]] = {}
        self.records: Loader[GlobalId, Record] = Loader(self._records)
        self.items: Loader[Number, records.Item] = Loader(self._items)
        self.inventory: Loader[Number, list[records.InventoryBalance]] = Loader(self._inventory, default=())
        self.vehicles: Loader[Number, records.Vehicle] = Loader(self._vehicles)
        self.units_of_vehicle: Loader[Number, list[records.Unit]] = Loader(self._units_of_vehicle, default=())
        self.units: Loader[Number, records.Unit] = Loader(self._units)
        self.missions_of_unit: Loader[Number, list[records.Mission]] = Loader(self._missions_of_unit, default=())
        self.bookings_of_vehicle: Loader[Number, list[records.Booking]] = Loader(self._bookings_of_vehicle, default=())
        self.orders_of_vehicle: Loader[Number, list[records.Order]] = Loader(self._orders_of_vehicle, default=())
        self.orders_of_item: Loader[Number, list[records.Order]] = Loader(self._orders_of_item, default=())
        self.orders_by_number: Loader[Number, records.Order] = Loader(self._orders_by_number)
        self.equipment_of_item: Loader[Number, list[records.Equipment]] = Loader(self._equipment_of_item, default=())
        self.tasks_of_warehouse_order: Loader[Number, list[records.WarehouseTask]] = Loader(
            self._tasks_of_warehouse_order, default=()
        )
        self.tasks_of_order: Loader[Number, list[records.WarehouseTask]] = Loader(self._tasks_of_order, default=())
        self.warehouse_orders_by_number: Loader[tuple[str, str, str], records.WarehouseOrder] = Loader(
            self._warehouse_orders_by_number
        )
        self.locations: Loader[tuple[str, str, str], records.Location] = Loader(self._locations)
        self.balances_of_location: Loader[tuple[str, str, str], list[records.InventoryBalance]] = Loader(
            self._balances_of_location, default=()
        )
        self.structures: Loader[Structure, records.Bom] = Loader(self._structures)
        self.where_used: Loader[tuple[str, str, int], tuple[records.WhereUsed, ...]] = Loader(
            self._where_used, default=()
        )
        self.shipments_of_order: Loader[Number, list[records.Shipment]] = Loader(self._shipments_of_order, default=())
        self.deliveries_of_shipment: Loader[Number, list[records.Order]] = Loader(
            self._deliveries_of_shipment, default=()
        )
        self.commercial_orders: Loader[Number, records.Order] = Loader(self._commercial_orders)
        self.work_orders_of_item: Loader[Number, list[records.WorkOrder]] = Loader(
            self._work_orders_of_item, default=()
        )
        self.equipment_by_number: Loader[Number, records.Equipment] = Loader(self._equipment_by_number)
        self.alerts_of_equipment: Loader[Number, list[records.MaintenanceAlert]] = Loader(
            self._alerts_of_equipment, default=()
        )
        self.cycles_of_equipment: Loader[Number, list[records.HaulCycle]] = Loader(
            self._cycles_of_equipment, default=()
        )
        self.delays_of_equipment: Loader[Number, list[records.EquipmentDelay]] = Loader(
            self._delays_of_equipment, default=()
        )
        self.same_as: Loader[tuple[str, Kind, Subject, str, str], list[Record]] = Loader(self._same_as, default=())

    # --- by id

    async def _records(self, keys: list[GlobalId]) -> dict[GlobalId, Record | Exception]:
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for key in keys:
            groups[key.kind, key.integration].append(key.external_id)
        found: dict[GlobalId, Record | Exception] = {}

        async def read(kind_name: str, integration: str, externals: Sequence[str]) -> None:
            handle = self._sources.handles.get(integration)
            kind = _kind(kind_name)
            if handle is None or kind is None or not can_read(handle.connector, kind):
                return
            method = LISTINGS[kind].read_method
            asked = await ask(handle, lambda connector: getattr(connector, method)(externals))
            for external in externals:
                if asked.error is not None and not isinstance(asked.error, NotFound):
                    found[GlobalId(kind_name, integration, external)] = asked.error
            for record in asked.value or ():
                found[GlobalId(kind_name, integration, record.source.external_id)] = record

        await asyncio.gather(
            *(
                read(kind, integration, block)
                for (kind, integration), externals in groups.items()
                for block in blocks(externals, self._batch_size(integration))
            )
        )
        return found

    def _batch_size(self, integration: str) -> int:
        handle = self._sources.handles.get(integration)
        return handle.connector.manifest.batch_size if handle else 50

    # --- items and their structures

    async def _items(self, keys: list[Number]) -> dict[Number, records.Item | Exception]:
        master = self._sources.master(Subject.ITEM, "items_by_number")
        if master is None:
            return {}
        wanted = self._by_key(Subject.ITEM, keys)
        by_id: dict[str, str] = {}
        by_number: dict[str, str] = {}
        for key, numbers in wanted.items():
            known = self._sources.crosswalk.identities(Subject.ITEM, key)
            mine = [each for (at, _, _), each in known.items() if at == master.key and each.external_id]
            if mine:
                by_id[str(mine[0].external_id)] = key
            else:
                for spelling in self._spellings(Subject.ITEM, key, master, numbers):
                    by_number[spelling] = key
        items, failures = await self._blocks(
            master,
            [
                (lambda connector, block=block: connector.read_items(block), block)
                for block in blocks(list(by_id), master.connector.manifest.batch_size)
            ]
            + [
                (lambda connector, block=block: connector.items_by_number(block), block)
                for block in blocks(list(by_number), master.connector.manifest.batch_size)
            ],
        )
        found: dict[str, records.Item | Exception] = {}
        for failed, error in failures.items():
            found[by_id.get(failed) or by_number[failed]] = error
        for item in items:
            place = by_id.get(item.source.external_id) or self._key(Subject.ITEM, master.key, item.number)
            if place:
                found[place] = item
        return {number: found[key] for key, numbers in wanted.items() for number in numbers if key in found}

    async def _structures(self, keys: list[Structure]) -> dict[Structure, records.Bom | Exception]:
        items = await self._item_ids([Number(key.integration, key.number) for key in keys], "explode")
        grouped: dict[str, list[tuple[Structure, BomRequest]]] = defaultdict(list)
        found: dict[Structure, records.Bom | Exception] = {}
        for key in keys:
            place = items.get(Number(key.integration, key.number))
            if isinstance(place, Exception):
                found[key] = place
            elif place is not None:
                request = BomRequest(
                    item=place[1],
                    view=key.view,
                    revision_rule=key.revision_rule,
                    revision=key.revision,
                    max_levels=key.max_levels,
                )
                grouped[place[0]].append((key, request))

        async def explode(integration: str, block: Sequence[tuple[Structure, BomRequest]]) -> None:
            handle = self._sources.handles[integration]
            asked = await ask(handle, lambda connector: connector.explode([request for _, request in block]))
            if asked.error is not None:
                found.update({key: asked.error for key, _ in block})
            for (key, _), bom in zip(block, asked.value or (), strict=False):
                if bom is not None:
                    found[key] = bom

        await asyncio.gather(
            *(
                explode(integration, block)
                for integration, pairs in grouped.items()
                for block in blocks(pairs, self._batch_size(integration))
            )
        )
        return found

    async def _where_used(
        self, keys: list[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], tuple[records.WhereUsed, ...] | Exception]:
        items = await self._item_ids([Number(key[0], key[1]) for key in keys], "where_used")
        found: dict[tuple[str, str, int], tuple[records.WhereUsed, ...] | Exception] = {}
        grouped: dict[tuple[str, int], list[tuple[tuple[str, str, int], str]]] = defaultdict(list)
        for key in keys:
            place = items.get(Number(key[0], key[1]))
            if isinstance(place, Exception):
                found[key] = place
            elif place is not None:
                grouped[place[0], key[2]].append((key, place[1]))

        async def read(integration: str, levels: int, pairs: Sequence[tuple[tuple[str, str, int], str]]) -> None:
            handle = self._sources.handles[integration]
            asked = await ask(handle, lambda connector: connector.where_used([item for _, item in pairs], levels))
            if asked.error is not None:
                found.update({key: asked.error for key, _ in pairs})
            for (key, _), uses in zip(pairs, asked.value or (), strict=False):
                found[key] = uses

        await asyncio.gather(*(read(at, levels, pairs) for (at, levels), pairs in grouped.items()))
        return found

    async def _item_ids(self, numbers: list[Number], method: str) -> dict[Number, tuple[str, str] | Exception]:
        """(integration, external id) of the items at the integration that has the structures."""
        handle = self._sources.master(Subject.ITEM, method)
        if handle is None:
            return {}
        found: dict[Number, tuple[str, str] | Exception] = {}
        missing: list[Number] = []
        for number in numbers:
            key = self._key(Subject.ITEM, number.integration, number.number)
            known = self._sources.crosswalk.identities(Subject.ITEM, key) if key else {}
            external = next(
                (each.external_id for (at, _, _), each in known.items() if at == handle.key and each.external_id), None
            )
            if external:
                found[number] = (handle.key, external)
            else:
                missing.append(number)
        if missing:
            loaded = await asyncio.gather(*(self.items.load(number) for number in missing), return_exceptions=True)
            for number, item in zip(missing, loaded, strict=True):
                if isinstance(item, Exception):
                    found[number] = item
                elif isinstance(item, records.Item):
                    found[number] = (item.source.integration, item.source.external_id)
        return found

    async def _inventory(self, keys: list[Number]) -> dict[Number, list[records.InventoryBalance] | Exception]:
        wanted = self._by_key(Subject.ITEM, keys)
        handles = self._sources.having("inventory_of_items")

        async def read(handle: Handle) -> list[Asked[list[records.InventoryBalance]]]:
            spelt = [
                (self._sources.crosswalk.numbers(Subject.ITEM, key, handle.key) or [_bare(key, numbers)])[0]
                for key, numbers in wanted.items()
            ]
            return await asyncio.gather(
                *(
                    ask(handle, lambda connector, block=block: connector.inventory_of_items(block))  # type: ignore[misc]
                    for block in blocks(spelt, handle.connector.manifest.batch_size)
                )
            )

        found: dict[str, list[records.InventoryBalance]] = {key: [] for key in wanted}
        for asked in await asyncio.gather(*(read(handle) for handle in handles)):
            for each in asked:
                self._context.note(each)
                for balance in each.value or ():
                    key = self._key(Subject.ITEM, each.handle.key, balance.item_number)
                    if key in found:
                        found[key].append(balance)
        return {number: found[key] for key, numbers in wanted.items() for number in numbers}

    async def _equipment_of_item(self, keys: list[Number]) -> dict[Number, list[records.Equipment] | Exception]:
        machines = await self._all(Kind.EQUIPMENT, queries.EquipmentFilter())
        return self._group(Subject.ITEM, keys, machines, lambda each: [each.job.item_number] if each.job else [])

    # --- orders and warehouse

    async def _open_orders(self) -> list[records.Order]:
        statuses = (records.OrderStatus.OPEN, records.OrderStatus.IN_PROGRESS)
        return await self._all(Kind.ORDER, queries.OrderFilter(statuses=statuses))

    async def _orders_of_vehicle(self, keys: list[Number]) -> dict[Number, list[records.Order] | Exception]:
        return self._group(Subject.VEHICLE, keys, await self._open_orders(), lambda each: [each.vehicle_plate])

    async def _orders_of_item(self, keys: list[Number]) -> dict[Number, list[records.Order] | Exception]:
        return self._group(
            Subject.ITEM, keys, await self._open_orders(), lambda each: [line.item_number for line in each.lines]
        )

    async def _orders_by_number(self, keys: list[Number]) -> dict[Number, records.Order | Exception]:
        """Orders by their number at the integration that names them."""
        found: dict[Number, records.Order | Exception] = {}

        async def read(integration: str, numbers: Sequence[str]) -> None:
            handle = self._sources.handles.get(integration)
            if handle is None or not hasattr(handle.connector, "list_orders"):
                return
            query = ListQuery(filter=queries.OrderFilter(numbers=tuple(numbers)), limit=len(numbers))
            asked = await ask(handle, lambda connector: _collect(connector.list_orders, query))
            if asked.error is not None:
                found.update({Number(integration, number): asked.error for number in numbers})
            by_key = {canonical(Subject.ORDER, order.number): order for order in asked.value or ()}
            for number in numbers:
                order = by_key.get(canonical(Subject.ORDER, number))
                if order is not None:
                    found[Number(integration, number)] = order

        await asyncio.gather(
            *(
                read(integration, block)
                for integration, numbers in _grouped(keys).items()
                for block in blocks(numbers, self._batch_size(integration))
            )
        )
        return found

    async def _tasks_of_warehouse_order(
        self, keys: list[Number]
    ) -> dict[Number, list[records.WarehouseTask] | Exception]:
        """Key: integration and external id of the warehouse order."""
        found: dict[Number, list[records.WarehouseTask] | Exception] = {}

        async def read(integration: str, externals: Sequence[str]) -> None:
            handle = self._sources.handles.get(integration)
            if handle is None or not hasattr(handle.connector, "tasks_of_warehouse_orders"):
                return
            asked = await ask(handle, lambda connector: connector.tasks_of_warehouse_orders(externals))
            if asked.error is not None:
                found.update({Number(integration, external): asked.error for external in externals})
                return
            by_number: dict[tuple[str, str], Number] = {}
            for external in externals:
                number = Number(integration, external)
                found[number] = []
                warehouse, _, order = external.rpartition("/")
                by_number[warehouse, canonical(Subject.ORDER, order)] = number
            for task in asked.value or ():
                place = by_number.get((task.warehouse, canonical(Subject.ORDER, task.warehouse_order_number or "")))
                if place is not None:
                    found[place].append(task)  # type: ignore[union-attr]

        await asyncio.gather(
            *(
                read(integration, block)
                for integration, externals in _grouped(keys).items()
                for block in blocks(externals, self._batch_size(integration))
            )
        )
        return found

    async def _tasks_of_order(self, keys: list[Number]) -> dict[Number, list[records.WarehouseTask] | Exception]:
        """Tasks that serve deliveries; key: the delivery's number at its integration."""
        statuses = (records.TaskStatus.OPEN, records.TaskStatus.IN_PROGRESS, records.TaskStatus.DONE)
        tasks = await self._all(
            Kind.WAREHOUSE_TASK,
            queries.WarehouseTaskFilter(statuses=statuses),
            only={key.integration for key in keys},
        )
        by_order: dict[tuple[str, str], list[records.WarehouseTask]] = defaultdict(list)
        for task in tasks:
            if task.order_number:
                by_order[task.source.integration, canonical(Subject.ORDER, task.order_number)].append(task)
        return {key: by_order.get((key.integration, canonical(Subject.ORDER, key.number)), []) for key in keys}

    async def _warehouse_orders_by_number(
        self, keys: list[tuple[str, str, str]]
    ) -> dict[tuple[str, str, str], records.WarehouseOrder | Exception]:
        """Key: integration, warehouse, number of the warehouse order."""
        loaded = await asyncio.gather(
            *(
                self.records.load(GlobalId(Kind.WAREHOUSE_ORDER.value, at, f"{house}/{number}"))
                for at, house, number in keys
            ),
            return_exceptions=True,
        )
        return {key: value for key, value in zip(keys, loaded, strict=True) if value is not None}  # type: ignore[misc]

    async def _locations(
        self, keys: list[tuple[str, str, str]]
    ) -> dict[tuple[str, str, str], records.Location | Exception]:
        """Key: integration, warehouse, code of the location."""
        found: dict[tuple[str, str, str], records.Location | Exception] = {}
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for integration, warehouse, code in keys:
            groups[integration, warehouse].append(code)

        async def read(integration: str, warehouse: str, codes: Sequence[str]) -> None:
            handle = self._sources.handles.get(integration)
            if handle is None or not hasattr(handle.connector, "list_locations"):
                return
            query = ListQuery(
                filter=queries.LocationFilter(warehouses=(warehouse,), codes=tuple(codes)), limit=len(codes)
            )
            asked = await ask(handle, lambda connector: _collect(connector.list_locations, query))
            if asked.error is not None:
                found.update({(integration, warehouse, code): asked.error for code in codes})
            for location in asked.value or ():
                found[integration, warehouse, location.code] = location

        await asyncio.gather(
            *(
                read(integration, warehouse, block)
                for (integration, warehouse), codes in groups.items()
                for block in blocks(codes, self._batch_size(integration))
            )
        )
        return found

    async def _balances_of_location(
        self, keys: list[tuple[str, str, str]]
    ) -> dict[tuple[str, str, str], list[records.InventoryBalance] | Exception]:
        found: dict[tuple[str, str, str], list[records.InventoryBalance] | Exception] = {}
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for integration, warehouse, code in keys:
            groups[integration, warehouse].append(code)

        async def read(integration: str, warehouse: str, codes: Sequence[str]) -> None:
            handle = self._sources.handles.get(integration)
            if handle is None or not hasattr(handle.connector, "list_inventory_balances"):
                return
            query = ListQuery(
                filter=queries.InventoryBalanceFilter(warehouses=(warehouse,), locations=tuple(codes)), limit=OPEN_ROWS
            )
            asked = await ask(handle, lambda connector: _collect(connector.list_inventory_balances, query))
            if asked.error is not None:
                found.update({(integration, warehouse, code): asked.error for code in codes})
                return
            rows: dict[str, list[records.InventoryBalance]] = defaultdict(list)
            for balance in asked.value or ():
                rows[balance.location or ""].append(balance)
            found.update({(integration, warehouse, code): rows.get(code, []) for code in codes})

        await asyncio.gather(
            *(
                read(integration, warehouse, block)
                for (integration, warehouse), codes in groups.items()
                for block in blocks(codes, self._batch_size(integration))
            )
        )
        return found

    # --- shipments, work orders, what mobile machines did

    async def _shipments_of_order(self, keys: list[Number]) -> dict[Number, list[records.Shipment] | Exception]:
        return await self._at_home(
            keys,
            Subject.ORDER,
            "shipments_of_orders",
            lambda connector, numbers: connector.shipments_of_orders(numbers),
            lambda shipment: [line.order_number for line in shipment.lines],
        )

    async def _deliveries_of_shipment(self, keys: list[Number]) -> dict[Number, list[records.Order] | Exception]:
        """What other systems work through under the same number."""
        kinds = (records.OrderKind.OUTBOUND_DELIVERY, records.OrderKind.INBOUND_DELIVERY)
        return await self._orders_elsewhere(keys, kinds)

    async def _commercial_orders(self, keys: list[Number]) -> dict[Number, records.Order | Exception]:
        found = await self._orders_elsewhere(keys, (records.OrderKind.SALES, records.OrderKind.PURCHASE))
        return {key: rows[0] for key, rows in found.items() if rows}

    async def _orders_elsewhere(self, keys: list[Number], kinds: tuple[records.OrderKind, ...]) -> dict[Number, Any]:
        """Orders with the same numbers at the integrations that are not their own."""
        homes = {key.integration for key in keys}
        numbers = list(dict.fromkeys(key.number for key in keys))
        asked = await asyncio.gather(
            *(
                self._ask_orders(handle, kinds, block)
                for handle in self._sources.listing(Kind.ORDER)
                if homes != {handle.key}
                for block in blocks(numbers, handle.connector.manifest.batch_size)
            )
        )
        by_key: dict[str, list[records.Order]] = defaultdict(list)
        for each in asked:
            self._context.note(each)
            for order in each.value or ():
                if order.order_kind in kinds:
                    by_key[canonical(Subject.ORDER, order.number)].append(order)
        return {
            key: [
                order
                for order in by_key.get(canonical(Subject.ORDER, key.number), [])
                if order.source.integration != key.integration
            ]
            for key in keys
        }

    async def _ask_orders(
        self, handle: Handle, kinds: tuple[records.OrderKind, ...], numbers: Sequence[str]
    ) -> Asked[list[records.Order]]:
        query = ListQuery(filter=queries.OrderFilter(order_kinds=kinds, numbers=tuple(numbers)), limit=len(numbers))
        return await ask(handle, lambda connector: _collect(connector.list_orders, query))

    async def _work_orders_of_item(self, keys: list[Number]) -> dict[Number, list[records.WorkOrder] | Exception]:
        wanted = self._by_key(Subject.ITEM, keys)
        found: dict[str, list[records.WorkOrder]] = {key: [] for key in wanted}
        calls = [
            ask(handle, lambda connector, block=block: connector.work_orders_of_items(block))  # type: ignore[misc]
            for handle in self._sources.having("work_orders_of_items")
            for block in blocks(
                [
                    spelling
                    for key, numbers in wanted.items()
                    for spelling in self._spellings(Subject.ITEM, key, handle, numbers)[:1]
                ],
                handle.connector.manifest.batch_size,
            )
        ]
        for asked in await asyncio.gather(*calls):
            self._context.note(asked)
            for order in asked.value or ():
                key = self._key(Subject.ITEM, asked.handle.key, order.item_number)
                if key in found:
                    found[key].append(order)
        return {number: found[key] for key, numbers in wanted.items() for number in numbers}

    async def _equipment_by_number(self, keys: list[Number]) -> dict[Number, records.Equipment | Exception]:
        """Machines by name, fleet or serial number, as the crosswalk knows them."""
        places: dict[Number, GlobalId] = {}
        for number in keys:
            key = self._key(Subject.EQUIPMENT, number.integration, number.number)
            for (at, _, _), identity in self._sources.crosswalk.identities(Subject.EQUIPMENT, key or "").items():
                if identity.kind is Kind.EQUIPMENT and identity.external_id:
                    places.setdefault(number, GlobalId(Kind.EQUIPMENT.value, at, identity.external_id))
                    if at == number.integration:
                        places[number] = GlobalId(Kind.EQUIPMENT.value, at, identity.external_id)
        return await self._load_places(places)

    async def _alerts_of_equipment(
        self, keys: list[Number]
    ) -> dict[Number, list[records.MaintenanceAlert] | Exception]:
        return await self._at_home(
            keys,
            None,
            "list_maintenance_alerts",
            lambda connector, externals: _collect(
                connector.list_maintenance_alerts,
                ListQuery(filter=queries.MaintenanceAlertFilter(equipment=tuple(externals)), limit=OPEN_ROWS),
            ),
            lambda alert: [alert.equipment_external_id],
            newest=lambda alert: alert.occurred_at,
        )

    async def _cycles_of_equipment(self, keys: list[Number]) -> dict[Number, list[records.HaulCycle] | Exception]:
        return await self._at_home(
            keys,
            Subject.EQUIPMENT,
            "list_haul_cycles",
            lambda connector, names: _collect(
                connector.list_haul_cycles,
                ListQuery(filter=queries.HaulCycleFilter(trucks=tuple(names)), limit=OPEN_ROWS),
            ),
            lambda cycle: [cycle.truck],
            newest=lambda cycle: cycle.started_at,
        )

    async def _delays_of_equipment(self, keys: list[Number]) -> dict[Number, list[records.EquipmentDelay] | Exception]:
        return await self._at_home(
            keys,
            Subject.EQUIPMENT,
            "list_equipment_delays",
            lambda connector, names: _collect(
                connector.list_equipment_delays,
                ListQuery(filter=queries.EquipmentDelayFilter(equipment=tuple(names)), limit=OPEN_ROWS),
            ),
            lambda delay: [delay.equipment],
            newest=lambda delay: delay.started_at,
        )

    async def _at_home(
        self,
        keys: list[Number],
        subject: Subject | None,
        method: str,
        call: Callable[[Any, Sequence[str]], Awaitable[list[Any]]],
        numbers_of: Callable[[Any], Iterable[str | None]],
        newest: Callable[[Any], Any] | None = None,
    ) -> dict[Number, Any]:
        """Rows that name a number, asked of the number's own integration. With `newest`: the last 100 by it."""
        found: dict[Number, Any] = {}

        def spelt(number: str) -> str:
            return number if subject is None else canonical(subject, number)

        async def read(integration: str, numbers: Sequence[str]) -> None:
            handle = self._sources.handles.get(integration)
            if handle is None or not hasattr(handle.connector, method):
                return
            asked = await ask(handle, lambda connector: call(connector, numbers))
            if asked.error is not None:
                found.update({Number(integration, number): asked.error for number in numbers})
                return
            rows: dict[str, list[Any]] = defaultdict(list)
            for row in asked.value or ():
                for named in {spelt(each) for each in numbers_of(row) if each}:
                    rows[named].append(row)
            for number in numbers:
                mine = rows.get(spelt(number), [])
                found[Number(integration, number)] = (
                    sorted(mine, key=newest, reverse=True)[:100] if newest is not None else mine
                )

        await asyncio.gather(
            *(
                read(integration, block)
                for integration, numbers in _grouped(keys).items()
                for block in blocks(numbers, self._batch_size(integration))
            )
        )
        return found

    # --- vehicles, bookings, units, missions

    async def _vehicles(self, keys: list[Number]) -> dict[Number, records.Vehicle | Exception]:
        """The master's vehicle under any of its numbers (plate, fleet number, call sign)."""
        master = self._sources.master(Subject.VEHICLE, "read_vehicles")
        if master is None:
            return {}
        places: dict[Number, GlobalId] = {}
        for number in keys:
            key = self._key(Subject.VEHICLE, number.integration, number.number)
            for at, identity in self._siblings(key):
                if at == master.key and identity.kind is Kind.VEHICLE and identity.external_id:
                    places[number] = GlobalId(Kind.VEHICLE.value, at, identity.external_id)
                    break
        return await self._load_places(places)

    def _siblings(self, key: str | None) -> list[tuple[str, Any]]:
        """All identities of a vehicle: those under the key, and those under its other numbers.

        A vehicle has several numbers; one system knows the plate, another the call sign, and the master both.
        """
        if key is None:
            return []
        crosswalk, seen, todo = self._sources.crosswalk, {key}, [key]
        found: list[tuple[str, Any]] = []
        while todo:
            for (at, _, external), identity in crosswalk.identities(Subject.VEHICLE, todo.pop()).items():
                found.append((at, identity))
                if external is None or identity.kind is None:
                    continue
                for other in crosswalk.keys_of(Subject.VEHICLE, at, external):
                    if other not in seen:
                        seen.add(other)
                        todo.append(other)
        return found

    async def _units_of_vehicle(self, keys: list[Number]) -> dict[Number, list[records.Unit] | Exception]:
        return await self._of_vehicle(keys, Kind.UNIT)

    async def _of_vehicle(self, keys: list[Number], kind: Kind) -> dict[Number, Any]:
        places: dict[Number, list[GlobalId]] = {}
        for number in keys:
            key = self._key(Subject.VEHICLE, number.integration, number.number)
            places[number] = list(
                dict.fromkeys(
                    GlobalId(kind.value, at, identity.external_id)
                    for at, identity in self._siblings(key)
                    if identity.kind is kind and identity.external_id
                )
            )
        loaded = await self._load_many({place for group in places.values() for place in group})
        found: dict[Number, Any] = {}
        for number, group in places.items():
            rows = [loaded[place] for place in group if loaded.get(place) is not None]
            failures = [row for row in rows if isinstance(row, Exception)]
            found[number] = (
                failures[0]
                if failures and len(failures) == len(rows)
                else [row for row in rows if not isinstance(row, Exception)]
            )
        return found

    async def _units(self, keys: list[Number]) -> dict[Number, records.Unit | Exception]:
        return await self._load_places({key: GlobalId(Kind.UNIT.value, key.integration, key.number) for key in keys})

    async def _missions_of_unit(self, keys: list[Number]) -> dict[Number, list[records.Mission] | Exception]:
        """Key: integration and uid of the unit."""
        missions = await self._all(Kind.MISSION, queries.MissionFilter())
        return {
            key: [
                mission
                for mission in missions
                if mission.source.integration == key.integration and key.number in mission.unit_uids
            ]
            for key in keys
        }

    async def _bookings_of_vehicle(self, keys: list[Number]) -> dict[Number, list[records.Booking] | Exception]:
        bookings = await self._all(Kind.BOOKING, queries.BookingFilter(active=True))
        return self._group(Subject.VEHICLE, keys, bookings, lambda each: [each.vehicle_plate])

    async def _same_as(
        self, keys: list[tuple[str, Kind, Subject, str, str]]
    ) -> dict[tuple[str, Kind, Subject, str, str], list[Record] | Exception]:
        """Key: own id, kind, subject, integration, number. The same thing in the other systems."""
        places: dict[tuple[str, Kind, Subject, str, str], list[GlobalId]] = {}
        for each in keys:
            own, _, subject, integration, number = each
            key = self._key(subject, integration, number)
            if subject is Subject.VEHICLE:
                known = self._siblings(key)
            else:
                identities = self._sources.crosswalk.identities(subject, key or "")
                known = [(at, identity) for (at, _, _), identity in identities.items()]
            places[each] = [
                place
                for place in dict.fromkeys(
                    GlobalId(identity.kind.value, at, identity.external_id)
                    for at, identity in known
                    if identity.kind is not None and identity.external_id
                )
                if ids.encode(*place) != own
            ]
        loaded = await self._load_many({place for group in places.values() for place in group})
        found: dict[tuple[str, Kind, Subject, str, str], list[Record] | Exception] = {}
        for each, group in places.items():
            rows = [loaded.get(place) for place in group]
            found[each] = [row for row in rows if isinstance(row, Record)]
        return found

    # --- shared

    def _key(self, subject: Subject, integration: str, number: str | None) -> str | None:
        return self._sources.crosswalk.key(subject, integration, number)

    def _by_key(self, subject: Subject, numbers: Iterable[Number]) -> dict[str, list[Number]]:
        wanted: dict[str, list[Number]] = defaultdict(list)
        for number in numbers:
            key = self._key(subject, number.integration, number.number)
            if key is not None:
                wanted[key].append(number)
        return dict(wanted)

    def _spellings(self, subject: Subject, key: str, handle: Handle, numbers: Sequence[Number]) -> list[str]:
        """How the integration may spell the key: as it does elsewhere, or bare."""
        known = self._sources.crosswalk.numbers(subject, key, handle.key)
        return known or list(dict.fromkeys([_bare(key, numbers)]))

    def _group(
        self, subject: Subject, keys: list[Number], rows: Iterable[Any], numbers: Callable[[Any], Iterable[str | None]]
    ) -> dict[Number, Any]:
        by_key: dict[str, list[Any]] = defaultdict(list)
        for row in rows:
            for number in dict.fromkeys(numbers(row)):
                key = self._key(subject, row.source.integration, number)
                if key is not None:
                    by_key[key].append(row)
        found: dict[Number, Any] = {}
        for wanted in keys:
            key = self._key(subject, wanted.integration, wanted.number)
            mine = {key} if key else set()
            if subject is Subject.VEHICLE:
                mine |= {
                    other
                    for at, identity in self._siblings(key)
                    for other in [self._key(subject, at, identity.number)]
                    if other
                }
            found[wanted] = [row for each in sorted(mine) for row in by_key.get(each, [])]
        return found

    async def _all(self, kind: Kind, query_filter: queries.Filter, only: set[str] | None = None) -> list[Any]:
        """All live rows of a kind (bounded), once per operation; failures are noted."""
        name = f"{kind.value}:{query_filter!r}:{sorted(only) if only else ''}"
        if name not in self._shared:
            self._shared[name] = asyncio.ensure_future(self._read_all(kind, query_filter, only))
        rows: list[Any] = await asyncio.shield(self._shared[name])
        return rows

    async def _read_all(self, kind: Kind, query_filter: queries.Filter, only: set[str] | None) -> list[Any]:
        method = LISTINGS[kind].list_method
        query = ListQuery(filter=query_filter, limit=200)
        asked = await asyncio.gather(
            *(
                ask(handle, lambda connector: _collect(getattr(connector, method), query))
                for handle in self._sources.listing(kind)
                if only is None or handle.key in only
            )
        )
        for each in asked:
            self._context.note(each)
        return [row for each in asked for row in each.value or () if query_filter.matches(row)]

    async def _blocks(
        self, handle: Handle, calls: Sequence[tuple[Callable[[Any], Awaitable[list[Any]]], Sequence[str]]]
    ) -> tuple[list[Any], dict[str, ConnectorError]]:
        asked = await asyncio.gather(*(ask(handle, call) for call, _ in calls))
        rows: list[Any] = []
        failures: dict[str, ConnectorError] = {}
        for each, (_, block) in zip(asked, calls, strict=True):
            rows += each.value or ()
            if each.error is not None and not isinstance(each.error, NotFound):
                failures |= dict.fromkeys(block, each.error)
        return rows, failures

    async def _load_places(self, places: dict[Number, GlobalId]) -> dict[Number, Any]:
        loaded = await self._load_many(set(places.values()))
        return {number: loaded[place] for number, place in places.items() if loaded.get(place) is not None}

    async def _load_many(self, places: Iterable[GlobalId]) -> dict[GlobalId, Any]:
        wanted = list(places)
        loaded = await asyncio.gather(*(self.records.load(place) for place in wanted), return_exceptions=True)
        for place, value in zip(wanted, loaded, strict=True):
            if isinstance(value, BaseException) and not isinstance(value, ConnectorError):
                raise value
            handle = self._sources.handles.get(place.integration)
            if isinstance(value, ConnectorError) and handle is not None:
                self._context.note(Asked(handle, error=value))
        return dict(zip(wanted, loaded, strict=True))


def _kind(name: str) -> Kind | None:
    try:
        return Kind(name)
    except ValueError:
        return None


def _grouped(keys: Iterable[Number]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        groups[key.integration].append(key.number)
    return groups


def _bare(key: str, numbers: Sequence[Number]) -> str:
    """A linked key is no spelling: take the number as it came."""
    return numbers[0].number if key.startswith("=") else key


async def _collect(method: Any, query: ListQuery[Any]) -> list[Any]:
    """The pages of a list up to `OPEN_ROWS` rows."""
    rows: list[Any] = []
    async with aclosing(pages(lambda cursor: method(query, cursor))) as walk:
        async for page in walk:
            rows += page.records
            if len(rows) >= OPEN_ROWS:
                break
    return rows
