"""Joins to rows of the key's own system, which is asked by many keys at once."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Any

from connectors.kit.errors import BatchTooLarge
from connectors.kit.protocols import LISTINGS
from resolvers.loaders.keys import InWarehouse, Number
from resolvers.loaders.loader import NAMED, Found, Home, Loads, at_home, collect, first, many
from resolvers.sources import Sources
from unified import queries, records
from unified.keys import equipment_key, order_key
from unified.queries import Filter, ListQuery
from unified.records import Kind

PAGE = 200
"""Rows that are asked for at once."""
MOST = 5_000
"""Rows that the keys of one call, or one key of a history, may have."""
NEWEST = 100
"""Rows of a history that a join shows."""
NOT_CANCELLED = (records.TaskStatus.OPEN, records.TaskStatus.IN_PROGRESS, records.TaskStatus.DONE)


def _belonging(
    method: str,
    call: Callable[[Any, Sequence[Any]], Awaitable[list[Any]]],
    *,
    of_key: Callable[[Any], Hashable],
    of_row: Callable[[Any], Iterable[Hashable]],
    apart: Callable[[Any], Hashable] | None = None,
    newest: Callable[[Any], Any] | None = None,
    size: int | None = None,
    given: Iterable[str] = (),
) -> Callable[[Any, list[Any]], Awaitable[Found[Any, list[Any]]]]:
    """A batch over rows of the key's own integration; `of_row` gives what its keys are told by.

    With `newest`: the last 100 by it. `given`: the fields of the filter that name the keys.
    """

    async def batch(self: "AtHome", keys: list[Any]) -> Found[Any, list[Any]]:
        async def read(connector: Any, block: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
            rows: dict[Hashable, list[Any]] = defaultdict(list)
            for row in await call(connector, block):
                for named in set(of_row(row)):
                    rows[named].append(row)
            if newest is not None:
                for mine in rows.values():
                    mine.sort(key=newest, reverse=True)
                    del mine[NEWEST:]
            return [(key, rows.get(of_key(key), [])) for key in block]

        return await at_home(self.sources, keys, method, read, apart=apart or (lambda key: None), size=size)

    batch.home = Home(method, frozenset(given), size, apart is not None)  # type: ignore[attr-defined]
    return batch


def _listed(kind: Kind, where: Callable[[Sequence[Any]], Filter], **told: Any) -> Any:
    """`_belonging` over a list whose filter names many keys at once."""
    method = LISTINGS[kind].list_method

    async def call(connector: Any, keys: Sequence[Any]) -> list[Any]:
        rows, more = await collect(getattr(connector, method), ListQuery(filter=where(keys), limit=PAGE), MOST)
        if more:
            key = connector.integration.key
            raise BatchTooLarge(f"{key}: {len(keys)} keys of {kind.value} have more than {MOST} rows", integration=key)
        return rows

    sample = where(())
    given = [name for name in sample.__struct_fields__ if getattr(sample, name) is not None]
    return _belonging(method, call, size=NAMED, given=given, **told)


def _history(
    kind: Kind, where: Callable[[str], Filter], *, row_key: Callable[[Any], str], by: str = "started_at"
) -> Any:
    """A batch over what machines did, of each the last 100 by the time in `by`.

    Every machine is asked for alone: a page of them may have more rows than fit into one answer, and one that did
    much must not cost the others theirs. A source that does not sort is read through up to `MOST` rows of the machine.
    """
    method, order = LISTINGS[kind].list_method, (queries.OrderBy(by, descending=True),)

    async def last(connector: Any, name: str) -> list[Any]:
        listed, wanted = getattr(connector, method), where(name)
        page = await listed(ListQuery(filter=wanted, order_by=order, limit=NEWEST), None)
        if page.next is None or (page.sorted and len(page.records) >= NEWEST):
            return list(page.records)
        rows, more = await collect(listed, ListQuery(filter=wanted, order_by=order, limit=PAGE), MOST)
        if more and not page.sorted:
            key = connector.integration.key
            raise BatchTooLarge(f"{key}: {name} has more than {MOST} rows of {kind.value}", integration=key)
        return rows

    async def call(connector: Any, keys: Sequence[Number]) -> list[Any]:
        return [row for key in keys for row in await last(connector, key.number)]

    sample = where("")
    return _belonging(
        method,
        call,
        size=1,
        given=[name for name in sample.__struct_fields__ if getattr(sample, name) is not None],
        of_key=lambda key: equipment_key(key.number),
        of_row=lambda row: [equipment_key(row_key(row))],
        newest=lambda row: getattr(row, by),
    )


def _single(batch: Callable[[Any, list[Any]], Awaitable[Found[Any, list[Any]]]]) -> Loads[Any, Any]:
    """A loader of the first row of each list."""

    async def one(self: Any, keys: list[Any]) -> Found[Any, Any]:
        return first(await batch(self, keys))

    one.home = batch.home  # type: ignore[attr-defined]
    return Loads(one)


def numbers_of(keys: Iterable[Any]) -> tuple[str, ...]:
    """Each number of the keys once."""
    return tuple(dict.fromkeys(key.number for key in keys))


def _houses(keys: Iterable[InWarehouse]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key.warehouse for key in keys))


def _by_order_number(key: Any) -> str:
    return order_key(key.number)


def _in_house(key: InWarehouse) -> tuple[str, str]:
    return key.warehouse, order_key(key.number)


class AtHome:
    """Loaders whose keys belong to one integration each."""

    sources: Sources

    orders_by_number: Loads[Number, records.Order] = _single(
        _listed(
            Kind.ORDER,
            lambda keys: queries.OrderFilter(numbers=numbers_of(keys)),
            of_key=_by_order_number,
            of_row=lambda order: [order_key(order.number)],
        )
    )
    tasks_of_order: Loads[Number, list[records.WarehouseTask]] = many(
        _listed(
            Kind.WAREHOUSE_TASK,
            lambda keys: queries.WarehouseTaskFilter(order_numbers=numbers_of(keys), statuses=NOT_CANCELLED),
            of_key=_by_order_number,
            of_row=lambda task: [order_key(task.order_number or "")],
        )
    )
    tasks_of_warehouse_order: Loads[InWarehouse, list[records.WarehouseTask]] = many(
        _belonging(
            "tasks_of_warehouse_orders",
            lambda connector, keys: connector.tasks_of_warehouse_orders([key.external_id for key in keys]),
            of_key=_in_house,
            of_row=lambda task: [(task.warehouse, order_key(task.warehouse_order_number or ""))],
        )
    )
    warehouse_orders_by_number: Loads[InWarehouse, records.WarehouseOrder] = _single(
        _listed(
            Kind.WAREHOUSE_ORDER,
            lambda keys: queries.WarehouseOrderFilter(warehouses=_houses(keys), numbers=numbers_of(keys)),
            of_key=_in_house,
            of_row=lambda order: [(order.warehouse, order_key(order.number))],
        )
    )
    locations: Loads[InWarehouse, records.Location] = _single(
        _listed(
            Kind.LOCATION,
            lambda keys: queries.LocationFilter(warehouses=_houses(keys), codes=numbers_of(keys)),
            of_key=lambda key: (key.warehouse, key.number),
            of_row=lambda place: [(place.warehouse, place.code)],
        )
    )
    balances_of_location: Loads[InWarehouse, list[records.InventoryBalance]] = many(
        _listed(
            Kind.INVENTORY_BALANCE,
            lambda keys: queries.InventoryBalanceFilter(warehouses=_houses(keys), locations=numbers_of(keys)),
            of_key=lambda key: (key.warehouse, key.number),
            of_row=lambda balance: [(balance.warehouse, balance.location)],
            apart=lambda key: key.warehouse,
        )
    )
    shipments_of_order: Loads[Number, list[records.Shipment]] = many(
        _belonging(
            "shipments_of_orders",
            lambda connector, keys: connector.shipments_of_orders(numbers_of(keys)),
            of_key=_by_order_number,
            of_row=lambda shipment: [order_key(line.order_number) for line in shipment.lines if line.order_number],
        )
    )
    alerts_of_equipment: Loads[Number, list[records.MaintenanceAlert]] = many(
        _listed(
            Kind.MAINTENANCE_ALERT,
            lambda keys: queries.MaintenanceAlertFilter(equipment=numbers_of(keys)),
            of_key=lambda key: key.number,
            of_row=lambda alert: [alert.equipment_external_id],
            newest=lambda alert: alert.occurred_at,
        )
    )
    production_of_equipment: Loads[Number, list[records.ProductionRecord]] = many(
        _listed(
            Kind.PRODUCTION_RECORD,
            lambda keys: queries.ProductionRecordFilter(equipment=numbers_of(keys)),
            of_key=lambda key: key.number,
            of_row=lambda record: [record.equipment_external_id],
            newest=lambda record: record.started_at,
        )
    )
    cycles_of_equipment: Loads[Number, list[records.HaulCycle]] = many(
        _history(
            Kind.HAUL_CYCLE,
            lambda name: queries.HaulCycleFilter(trucks=(name,)),
            row_key=lambda cycle: cycle.truck,
        )
    )
    delays_of_equipment: Loads[Number, list[records.EquipmentDelay]] = many(
        _history(
            Kind.EQUIPMENT_DELAY,
            lambda name: queries.EquipmentDelayFilter(equipment=(name,)),
            row_key=lambda delay: delay.equipment,
        )
    )
