"""The joins. A loader groups its keys by integration, asks all integrations at once, splits by the vendor's batch
size, and puts an error only into the slots of the integration that failed."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from connectors.kit.paging import blocks
from connectors.kit.protocols import LISTINGS, BomRequest
from resolvers.errors import Truncated
from resolvers.loaders.by_id import ById
from resolvers.loaders.home import MOST, PAGE, AtHome, numbers_of
from resolvers.loaders.keys import Number, Same, Scan, Structure, Users
from resolvers.loaders.loader import (
    NAMED,
    Found,
    Loads,
    at_home,
    collect,
    first,
    many,
    settled,
)
from resolvers.sources import Asked, Handle, ask
from unified import ids, queries, records
from unified.ids import GlobalId
from unified.keys import Subject, order_key
from unified.queries import ListQuery
from unified.records import Kind, Record

K = TypeVar("K", bound=Any)
V = TypeVar("V")
_Placed = tuple[Any, GlobalId]
"""A key and where its item is."""

SCANNED = 1_000
"""Rows of one integration that a join reads through when the vendor cannot be asked by key."""
OPEN_ORDERS = Scan(
    Kind.ORDER, queries.OrderFilter(statuses=(records.OrderStatus.OPEN, records.OrderStatus.IN_PROGRESS))
)
OPEN_SHIPMENTS = Scan(
    Kind.SHIPMENT,
    queries.ShipmentFilter(
        statuses=(records.ShipmentStatus.OPEN, records.ShipmentStatus.IN_PROGRESS, records.ShipmentStatus.SHIPPED)
    ),
)
DELIVERIES = (records.OrderKind.OUTBOUND_DELIVERY, records.OrderKind.INBOUND_DELIVERY)
COMMERCIAL = (records.OrderKind.SALES, records.OrderKind.PURCHASE)


class Loaders(ById, AtHome):
    """The loaders of one operation; each is made on first use."""

    # --- items and their structures

    @Loads
    async def items(self, keys: list[Number]) -> Found[Number, records.Item]:
        """In the system that is master for items."""
        master = self.sources.master(Subject.ITEM, "items_by_number")
        if master is None:
            return Found()
        wanted = self._by_key(Subject.ITEM, keys)
        futures: dict[str, Any] = {}
        for key, numbers in wanted.items():
            external = self._external(Subject.ITEM, key, master)
            futures[key] = (
                self.records.load(GlobalId(Kind.ITEM.value, master.key, external))
                if external is not None
                else self.items_by_number.load(Number(master.key, self._spelling(Subject.ITEM, key, master, numbers)))
            )
        return _spread(dict(zip(futures, await settled(futures.values()), strict=True)), wanted)

    @Loads
    async def items_by_number(self, keys: list[Number]) -> Found[Number, records.Item]:
        """By the number at its own integration."""

        async def read(connector: Any, block: Sequence[Number]) -> list[tuple[Number, records.Item]]:
            items = await connector.items_by_number([key.number for key in block])
            for item in items:
                self.sources.crosswalk.meet(item)
            by_key = {self._key(Subject.ITEM, item.source.integration, item.number): item for item in items}
            told = {key: by_key.get(self._key(Subject.ITEM, *key)) for key in block}
            return [(key, item) for key, item in told.items() if item is not None]

        return await at_home(self.sources, keys, "items_by_number", read)

    @Loads
    async def structures(self, keys: list[Structure]) -> Found[Structure, records.Bom]:
        async def explode(connector: Any, block: Sequence[_Placed]) -> list[tuple[_Placed, records.Bom]]:
            boms = await connector.explode([_request(key, item) for key, item in block])
            return [(each, bom) for each, bom in zip(block, boms, strict=True) if bom is not None]

        # one rule at a time: a name that the vendor does not know must not spoil the others
        return await self._of_item(keys, "explode", explode, apart=lambda key: key.revision_rule)

    @many
    async def where_used(self, keys: list[Users]) -> Found[Users, tuple[records.WhereUsed, ...]]:
        async def read(connector: Any, block: Sequence[_Placed]) -> list[tuple[_Placed, tuple[records.WhereUsed, ...]]]:
            users = await connector.where_used([item.external_id for _, item in block], block[0][0].levels)
            return list(zip(block, users, strict=True))

        return await self._of_item(keys, "where_used", read, apart=lambda key: key.levels)

    async def _of_item(
        self,
        keys: list[K],
        method: str,
        call: Callable[[Any, Sequence[_Placed]], Awaitable[Iterable[tuple[_Placed, V]]]],
        *,
        apart: Callable[[Any], Hashable],
    ) -> Found[K, V]:
        """What the master of items that has `method` says of the keys' items, by their ids there."""
        found: Found[K, V] = Found()
        master = self.sources.master(Subject.ITEM, method)
        if master is None:
            return found
        placed: list[_Placed] = []
        futures: dict[K, Any] = {}
        for key in keys:
            number = Number(*key[:2])
            external = self._external(Subject.ITEM, self._key(Subject.ITEM, *number), master)
            if external is not None:
                placed.append((key, GlobalId(Kind.ITEM.value, master.key, external)))
            else:
                futures[key] = self.items.load(number)
        for key, item in zip(futures, await settled(futures.values()), strict=True):
            if isinstance(item, Exception):
                found[key] = item
            elif item is not None:
                placed.append((key, GlobalId(Kind.ITEM.value, item.source.integration, item.source.external_id)))
        told = await at_home(
            self.sources, placed, method, call, home=lambda each: each[1].integration, apart=lambda each: apart(each[0])
        )
        found.update({key: value for (key, _), value in told.items()})
        return found

    @many
    async def inventory(self, keys: list[Number]) -> Found[Number, list[records.InventoryBalance]]:
        """Stock of an item in every system that has some."""
        return await self._everywhere(keys, "inventory_of_items")

    @many
    async def work_orders_of_item(self, keys: list[Number]) -> Found[Number, list[records.WorkOrder]]:
        return await self._everywhere(keys, "work_orders_of_items")

    async def _everywhere(self, keys: list[Number], method: str) -> Found[Number, list[Any]]:
        """Rows about items, of all integrations with `method`, which takes numbers as they spell them."""
        wanted = self._by_key(Subject.ITEM, keys)
        asked = await asyncio.gather(
            *(
                ask(
                    handle,
                    lambda connector, block=block: getattr(connector, method)(block),  # type: ignore[misc]
                    method=method,
                    keys=block,
                )
                for handle in self.sources.having(method)
                for block in blocks(
                    [self._spelling(Subject.ITEM, key, handle, numbers) for key, numbers in wanted.items()],
                    handle.connector.manifest.batch_size,
                )
            )
        )
        rows: dict[str, list[Any]] = {key: [] for key in wanted}
        for each in asked:
            for row in each.value or ():
                key = self._key(Subject.ITEM, each.handle.key, row.item_number)
                if key in rows:
                    rows[key].append(row)
        found = _spread(rows, wanted)
        found.settle(asked, keys)
        return found

    # --- what is read through, for lack of a way to ask by key

    @Loads
    async def scans(self, keys: list[Scan]) -> Found[Scan, list[Asked[list[Any]]]]:
        """Rows of each integration that lists the kind, at most `SCANNED` of each."""

        async def search(scan: Scan, handle: Handle) -> Asked[list[Any]]:
            method, query = LISTINGS[scan.kind].list_method, ListQuery(filter=scan.filter, limit=PAGE)
            asked = await ask(
                handle, lambda connector: collect(getattr(connector, method), query, SCANNED), method=method
            )
            if asked.value is None:
                return Asked(handle, error=asked.error)
            rows, more = asked.value
            return Asked(handle, rows, Truncated(scan.kind, handle.key, SCANNED) if more else None)

        async def read(scan: Scan) -> list[Asked[list[Any]]]:
            able = self.sources.listing(scan.kind)
            return await asyncio.gather(
                *(search(scan, handle) for handle in able if scan.only is None or handle.key in scan.only)
            )

        found: Found[Scan, list[Asked[list[Any]]]] = Found()
        found.update(zip(keys, await asyncio.gather(*map(read, keys)), strict=True))
        return found

    async def _scan(self, scan: Scan) -> tuple[list[Any], list[Asked[list[Any]]]]:
        """Rows that match, and how each integration answered."""
        asked: list[Asked[list[Any]]] = await self.scans.load(scan)
        rows = [row for each in asked for row in each.value or () if scan.filter.matches(row)]
        for row in rows:
            self.sources.crosswalk.meet(row)
        return rows, asked

    @many
    async def equipment_of_item(self, keys: list[Number]) -> Found[Number, list[records.Equipment]]:
        machines = Scan(Kind.EQUIPMENT, queries.EquipmentFilter())
        return await self._naming(
            machines, Subject.ITEM, keys, lambda each: [each.job.item_number] if each.job is not None else []
        )

    @many
    async def orders_of_item(self, keys: list[Number]) -> Found[Number, list[records.Order]]:
        return await self._naming(
            OPEN_ORDERS, Subject.ITEM, keys, lambda order: [line.item_number for line in order.lines]
        )

    @many
    async def orders_of_vehicle(self, keys: list[Number]) -> Found[Number, list[records.Order]]:
        return await self._naming(OPEN_ORDERS, Subject.VEHICLE, keys, lambda order: [order.vehicle_plate])

    @many
    async def shipments_of_vehicle(self, keys: list[Number]) -> Found[Number, list[records.Shipment]]:
        return await self._naming(OPEN_SHIPMENTS, Subject.VEHICLE, keys, lambda shipment: [shipment.vehicle_plate])

    @many
    async def bookings_of_vehicle(self, keys: list[Number]) -> Found[Number, list[records.Booking]]:
        active = Scan(Kind.BOOKING, queries.BookingFilter(active=True))
        return await self._naming(active, Subject.VEHICLE, keys, lambda booking: [booking.vehicle_plate])

    async def _naming(
        self, scan: Scan, subject: Subject, keys: list[Number], numbers_of: Callable[[Any], Iterable[str | None]]
    ) -> Found[Number, list[Any]]:
        """Rows that name the same thing as a key does, each in its own spelling."""
        rows, asked = await self._scan(scan)
        by_key: dict[str, list[Any]] = defaultdict(list)
        for row in rows:
            for number in dict.fromkeys(numbers_of(row)):
                key = self._key(subject, row.source.integration, number)
                if key is not None:
                    by_key[key].append(row)
        found: Found[Number, list[Any]] = Found()
        for wanted in keys:
            mine = self._all_keys(subject, wanted) if by_key else ()
            named = {row.id: row for each in mine for row in by_key.get(each, ())}
            found[wanted] = list(named.values())
        found.settle(asked, keys)
        return found

    @many
    async def missions_of_unit(self, keys: list[Number]) -> Found[Number, list[records.Mission]]:
        """Key: the uid of the unit."""
        return await self._containing(Kind.MISSION, keys, lambda mission: mission.unit_uids)

    @many
    async def vehicles_of_geofence(self, keys: list[Number]) -> Found[Number, list[records.Vehicle]]:
        """Key: the external id of the geofence."""
        return await self._containing(Kind.VEHICLE, keys, lambda vehicle: vehicle.geofence_ids)

    async def _containing(
        self, kind: Kind, keys: list[Number], ids_of: Callable[[Any], Iterable[str]]
    ) -> Found[Number, list[Any]]:
        """Rows of the key's own integration that hold it among their ids."""
        found: Found[Number, list[Any]] = Found()
        for at in dict.fromkeys(key.integration for key in keys):
            rows, asked = await self._scan(Scan(kind, LISTINGS[kind].filter(), frozenset({at})))
            by_id: dict[str, list[Any]] = defaultdict(list)
            for row in rows:
                for each in ids_of(row):
                    by_id[each].append(row)
            mine = [key for key in keys if key.integration == at]
            found.update({key: by_id.get(key.number, []) for key in mine})
            found.settle(asked, mine)
        return found

    # --- the same number in other systems

    @many
    async def deliveries_of_shipment(self, keys: list[Number]) -> Found[Number, list[records.Order]]:
        return await self._orders_elsewhere(keys, DELIVERIES)

    @Loads
    async def commercial_orders(self, keys: list[Number]) -> Found[Number, records.Order]:
        return first(await self._orders_elsewhere(keys, COMMERCIAL))

    async def _orders_elsewhere(
        self, keys: list[Number], kinds: tuple[records.OrderKind, ...]
    ) -> Found[Number, list[records.Order]]:
        """Orders with the same numbers at the integrations that are not the keys' own."""

        async def read(handle: Handle, numbers: Sequence[str]) -> Asked[list[records.Order]]:
            wanted = queries.OrderFilter(order_kinds=kinds, numbers=tuple(numbers))
            query = ListQuery(filter=wanted, limit=PAGE)
            asked = await ask(
                handle,
                lambda connector: collect(connector.list_orders, query, MOST),
                method="list_orders",
                keys=numbers,
            )
            return Asked(handle, asked.value[0] if asked.value is not None else None, asked.error)

        homes = {key.integration for key in keys}
        asked = await asyncio.gather(
            *(
                read(handle, block)
                for handle in self.sources.listing(Kind.ORDER)
                if homes != {handle.key}
                for block in blocks(numbers_of(keys), NAMED)
            )
        )
        by_number: dict[str, list[records.Order]] = defaultdict(list)
        for order in (row for each in asked for row in each.value or () if row.order_kind in kinds):
            by_number[order_key(order.number)].append(order)
        found: Found[Number, list[records.Order]] = Found()
        for key in keys:
            alike = by_number.get(order_key(key.number), [])
            found[key] = [order for order in alike if order.source.integration != key.integration]
        found.settle(asked, keys)
        return found

    # --- through the crosswalk

    @Loads
    async def vehicles(self, keys: list[Number]) -> Found[Number, records.Vehicle]:
        """The master's vehicle under any of its numbers (plate, fleet number, call sign)."""
        master = self.sources.master(Subject.VEHICLE, "read_vehicles")
        places = self._places(Subject.VEHICLE, keys, Kind.VEHICLE) if master is not None else {}
        mine = {key: [each for each in places[key] if master and each.integration == master.key] for key in places}
        return first(await self._read(mine))

    @many
    async def units_of_vehicle(self, keys: list[Number]) -> Found[Number, list[records.Unit]]:
        return await self._read(self._places(Subject.VEHICLE, keys, Kind.UNIT))

    @Loads
    async def equipment_by_number(self, keys: list[Number]) -> Found[Number, records.Equipment]:
        """Machines by name, fleet or serial number; the number's own system comes first."""
        places = self._places(Subject.EQUIPMENT, keys, Kind.EQUIPMENT)
        for key, group in places.items():
            group.sort(key=lambda place, at=key.integration: place.integration != at)  # type: ignore[misc]
        return first(await self._read({key: group[:1] for key, group in places.items()}))

    @many
    async def same_as(self, keys: list[Same]) -> Found[Same, list[Record]]:
        """The same thing in the other systems, each place once."""
        return await self._read({key: self._elsewhere(key) for key in keys})

    def _elsewhere(self, key: Same) -> list[GlobalId]:
        places = (
            place
            for subject, number in key.numbers
            for place in self._known_at(subject, Number(key.integration, number))
            if ids.encode(*place) != key.id
        )
        return list(dict.fromkeys(places))

    def _places(self, subject: Subject, keys: Iterable[Number], kind: Kind) -> dict[Number, list[GlobalId]]:
        return {key: [each for each in self._known_at(subject, key) if each.kind == kind.value] for key in keys}

    def _known_at(self, subject: Subject, key: Number) -> list[GlobalId]:
        """Where the thing can be read, each place once, in the order in which the crosswalk learnt them."""
        known = self.sources.crosswalk.siblings(subject, self._key(subject, key.integration, key.number))
        places = (
            GlobalId(identity.kind.value, at, identity.external_id)
            for at, identity in known
            if identity.kind is not None and identity.external_id
        )
        return list(dict.fromkeys(places))

    async def _read(self, places: dict[K, list[GlobalId]]) -> Found[K, list[Any]]:
        """The records at the places. A key all of whose places fail has an error; else failures are told."""
        wanted = list({place: None for group in places.values() for place in group})
        rows = dict(zip(wanted, await self.records.load_each(wanted), strict=True))
        found: Found[K, list[Any]] = Found()
        for key, group in places.items():
            mine = [rows[place] for place in group]
            failed = [row for row in mine if isinstance(row, Exception)]
            if failed and len(failed) == len(mine):
                found[key] = failed[0]
            else:
                found[key] = [row for row in mine if row is not None and not isinstance(row, Exception)]
            found.failures += failed
        return found

    # --- numbers

    def _key(self, subject: Subject, integration: str, number: str | None) -> str | None:
        return self.sources.crosswalk.key(subject, integration, number)

    def _by_key(self, subject: Subject, numbers: Iterable[Number]) -> dict[str, list[Number]]:
        wanted: dict[str, list[Number]] = defaultdict(list)
        for number in numbers:
            key = self._key(subject, *number)
            if key is not None:
                wanted[key].append(number)
        return wanted

    def _all_keys(self, subject: Subject, number: Number) -> list[str]:
        """All keys under which others may name it."""
        key = self._key(subject, *number)
        if key is None:
            return []
        others = (
            self._key(subject, at, identity.number)
            for at, identity in self.sources.crosswalk.siblings(subject, key)
            if subject is Subject.VEHICLE
        )
        return list(dict.fromkeys([key, *filter(None, others)]))

    def _external(self, subject: Subject, key: str | None, master: Handle) -> str | None:
        """The master's own id of the thing, where the crosswalk knows it."""
        known = self.sources.crosswalk.identities(subject, key) if key is not None else {}
        return next((external for at, _, external in known if at == master.key and external), None)

    def _spelling(self, subject: Subject, key: str, handle: Handle, numbers: Sequence[Number]) -> str:
        """How the integration spells the key, as far as the crosswalk knows; else the bare key.

        A linked key is no spelling: then the number as it came.
        """
        known = self.sources.crosswalk.numbers(subject, key, handle.key)
        return known[0] if known else numbers[0].number if key.startswith("=") else key


def _request(key: Structure, item: GlobalId) -> BomRequest:
    return BomRequest(
        item=item.external_id,
        view=key.view,
        revision_rule=key.revision_rule,
        revision=key.revision,
        max_levels=key.max_levels,
    )


def _spread(values: Mapping[str, Any], wanted: Mapping[str, Iterable[Number]]) -> Found[Number, Any]:
    """From canonical keys back to the numbers that were asked for."""
    found: Found[Number, Any] = Found()
    for key, value in values.items():
        if value is not None:
            found.update(dict.fromkeys(wanted[key], value))
    return found
