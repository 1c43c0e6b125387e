"""What a connector can do is seen from the methods it has.

For every kind of record there are two methods, named by the plural of the kind:

- `read_<plural>(ids)`: by the vendor's ids; at most `manifest.batch_size` of them; unknown ids are absent from
  the result, whose order does not matter. It costs the fewest calls that the vendor's interface allows.
- `list_<plural>(query, cursor)`: one page; `cursor` is null for the first page, else a `SourcePage.next` of an
  earlier answer. A connector pushes down of the filter what the vendor can do and leaves the rest to the
  caller, who applies the whole filter again. When `query.order_by` is given and the vendor can sort by it, the
  page says `sorted=True`; otherwise the rows come in the vendor's order, which must be stable.

All raise `VendorError`s only.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec

from connectors.kit.calls import ONE, Calls
from connectors.kit.decode import unknown_codes
from connectors.kit.health import Health
from connectors.kit.integration import Integration, Origin
from connectors.kit.manifest import Manifest, Payload
from connectors.kit.services import Services
from unified import queries, records
from unified.events import Changed, Event, Happened, Removed
from unified.keys import Subject
from unified.queries import ListQuery, SourcePage
from unified.records import Record


class Identity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that an integration knows: what the crosswalk is made of.

    `number` is the integration's own spelling of the number that joins (part number, plate, fleet number,
    call sign); `external_id` the id that `read_<plural>` takes, or null where the integration only mentions
    the thing (a WMS mentions items of the PLM).
    """

    subject: Subject
    kind: records.Kind | None = None
    number: str
    external_id: str | None = None


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """Something that arrived and is kept in the inbox until its events are out.

    `delivery_id` is unique per integration; the same id again is the same delivery. `decoder` names the
    manifest's decoder that reads it.
    """

    delivery_id: str
    decoder: str
    payload: Payload


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """What one poll brought, and the cursor of the next."""

    raws: tuple[Raw, ...] = ()
    cursor: str | None = None


class Connector:
    """Base of all connectors. The constructor makes no connection; `aclose` ends everything."""

    manifest: ClassVar[Manifest]

    def __init__(self, integration: Integration, services: Services) -> None:
        self.integration = integration
        self.services = services
        services.metrics.unknown_codes(unknown_codes)

    async def check(self) -> str:
        """One cheap signed call: what answered, in words (`Traccar 6.14`). Raises `VendorError`."""
        return self.manifest.title

    def calls(self, method: str) -> Calls:
        """How many calls a method makes at most. Overridden where that hangs on the settings."""
        return self.manifest.calls.get(method, ONE)

    def health(self) -> Health:
        """How the vendor has been answering since the process started; costs no call."""
        return self.services.vitals.of(self.integration.key)

    async def aclose(self) -> None:
        """Closes connections and cancels what is in flight."""

    async def events(self, raw: Raw) -> Sequence[Event]:
        """The events in something that arrived. Thin notifications override this and fetch the resource."""
        decoder = next(each for each in self.manifest.decoders if each.name == raw.decoder)
        now = self.services.clock.now()
        origin = Origin(integration=self.integration.key, system=self.integration.system, as_of=now)
        found: list[Event] = []
        for each in decoder.read(raw.payload, origin):
            if isinstance(each, Changed | Removed | Happened):
                found.append(each)
            elif isinstance(each, Record):
                found.append(Changed(record=each, occurred_at=each.updated_at or now))
        return found


class OrderSource(Protocol):
    async def read_orders(self, ids: Sequence[str]) -> list[records.Order]: ...

    async def list_orders(
        self, query: ListQuery[queries.OrderFilter], cursor: str | None
    ) -> SourcePage[records.Order]: ...


class WarehouseOrderSource(Protocol):
    async def read_warehouse_orders(self, ids: Sequence[str]) -> list[records.WarehouseOrder]: ...

    async def list_warehouse_orders(
        self, query: ListQuery[queries.WarehouseOrderFilter], cursor: str | None
    ) -> SourcePage[records.WarehouseOrder]: ...


class WarehouseTaskSource(Protocol):
    async def read_warehouse_tasks(self, ids: Sequence[str]) -> list[records.WarehouseTask]: ...

    async def list_warehouse_tasks(
        self, query: ListQuery[queries.WarehouseTaskFilter], cursor: str | None
    ) -> SourcePage[records.WarehouseTask]: ...

    async def tasks_of_warehouse_orders(self, ids: Sequence[str]) -> list[records.WarehouseTask]:
        """All tasks of the warehouse orders with these external ids."""
        ...


class InventorySource(Protocol):
    async def read_inventory_balances(self, ids: Sequence[str]) -> list[records.InventoryBalance]: ...

    async def list_inventory_balances(
        self, query: ListQuery[queries.InventoryBalanceFilter], cursor: str | None
    ) -> SourcePage[records.InventoryBalance]: ...

    async def inventory_of_items(self, numbers: Sequence[str]) -> list[records.InventoryBalance]:
        """All balances of the items. `numbers` are this integration's own spellings where the crosswalk
        knows them, else canonical keys, which the connector spells by its own rules."""
        ...


class LocationSource(Protocol):
    async def read_locations(self, ids: Sequence[str]) -> list[records.Location]: ...

    async def list_locations(
        self, query: ListQuery[queries.LocationFilter], cursor: str | None
    ) -> SourcePage[records.Location]: ...


class ItemSource(Protocol):
    async def read_items(self, ids: Sequence[str]) -> list[records.Item]: ...

    async def list_items(
        self, query: ListQuery[queries.ItemFilter], cursor: str | None
    ) -> SourcePage[records.Item]: ...

    async def items_by_number(self, numbers: Sequence[str]) -> list[records.Item]:
        """Items by their numbers, as this integration spells them; unknown ones are absent."""
        ...


class BomRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One structure to explode. `item` is the external id of the item at this integration.

    Null view, rule or revision take the integration's defaults; `max_levels` null explodes to the bottom.
    """

    item: str
    view: str | None = None
    revision_rule: str | None = None
    revision: str | None = None
    max_levels: int | None = None


class BomSource(Protocol):
    async def explode(self, requests: Sequence[BomRequest]) -> list[records.Bom | None]:
        """One structure per request, in order; null where the item does not exist or has no structure."""
        ...

    async def where_used(self, items: Sequence[str], max_levels: int = 1) -> list[tuple[records.WhereUsed, ...]]:
        """Who uses the items (external ids), in order."""
        ...

    async def read_boms(self, ids: Sequence[str]) -> list[records.Bom]: ...


class EquipmentSource(Protocol):
    async def read_equipment(self, ids: Sequence[str]) -> list[records.Equipment]: ...

    async def list_equipment(
        self, query: ListQuery[queries.EquipmentFilter], cursor: str | None
    ) -> SourcePage[records.Equipment]: ...


class MissionSource(Protocol):
    async def read_missions(self, ids: Sequence[str]) -> list[records.Mission]: ...

    async def list_missions(
        self, query: ListQuery[queries.MissionFilter], cursor: str | None
    ) -> SourcePage[records.Mission]: ...


class UnitSource(Protocol):
    async def read_units(self, ids: Sequence[str]) -> list[records.Unit]: ...

    async def list_units(
        self, query: ListQuery[queries.UnitFilter], cursor: str | None
    ) -> SourcePage[records.Unit]: ...


class BookingSource(Protocol):
    async def read_bookings(self, ids: Sequence[str]) -> list[records.Booking]: ...

    async def list_bookings(
        self, query: ListQuery[queries.BookingFilter], cursor: str | None
    ) -> SourcePage[records.Booking]: ...


class PriceEstimateSource(Protocol):
    async def list_price_estimates(
        self, query: ListQuery[queries.PriceEstimateFilter], cursor: str | None
    ) -> SourcePage[records.PriceEstimate]: ...


class VehicleSource(Protocol):
    async def read_vehicles(self, ids: Sequence[str]) -> list[records.Vehicle]: ...

    async def list_vehicles(
        self, query: ListQuery[queries.VehicleFilter], cursor: str | None
    ) -> SourcePage[records.Vehicle]: ...


class GeofenceSource(Protocol):
    async def read_geofences(self, ids: Sequence[str]) -> list[records.Geofence]: ...

    async def list_geofences(
        self, query: ListQuery[queries.GeofenceFilter], cursor: str | None
    ) -> SourcePage[records.Geofence]: ...


class ShipmentSource(Protocol):
    async def read_shipments(self, ids: Sequence[str]) -> list[records.Shipment]: ...

    async def list_shipments(
        self, query: ListQuery[queries.ShipmentFilter], cursor: str | None
    ) -> SourcePage[records.Shipment]: ...

    async def shipments_of_orders(self, numbers: Sequence[str]) -> list[records.Shipment]:
        """All shipments with a line that fulfils one of the orders, by the orders' numbers as this system
        spells them."""
        ...


class WorkOrderSource(Protocol):
    async def read_work_orders(self, ids: Sequence[str]) -> list[records.WorkOrder]: ...

    async def list_work_orders(
        self, query: ListQuery[queries.WorkOrderFilter], cursor: str | None
    ) -> SourcePage[records.WorkOrder]: ...

    async def work_orders_of_items(self, numbers: Sequence[str]) -> list[records.WorkOrder]:
        """Work orders that are not closed and make one of the items (as this system spells them)."""
        ...


class HaulCycleSource(Protocol):
    async def read_haul_cycles(self, ids: Sequence[str]) -> list[records.HaulCycle]: ...

    async def list_haul_cycles(
        self, query: ListQuery[queries.HaulCycleFilter], cursor: str | None
    ) -> SourcePage[records.HaulCycle]: ...


class ProductionRecordSource(Protocol):
    async def read_production_records(self, ids: Sequence[str]) -> list[records.ProductionRecord]: ...

    async def list_production_records(
        self, query: ListQuery[queries.ProductionRecordFilter], cursor: str | None
    ) -> SourcePage[records.ProductionRecord]: ...


class MaintenanceAlertSource(Protocol):
    async def read_maintenance_alerts(self, ids: Sequence[str]) -> list[records.MaintenanceAlert]: ...

    async def list_maintenance_alerts(
        self, query: ListQuery[queries.MaintenanceAlertFilter], cursor: str | None
    ) -> SourcePage[records.MaintenanceAlert]: ...


class EquipmentDelaySource(Protocol):
    async def read_equipment_delays(self, ids: Sequence[str]) -> list[records.EquipmentDelay]: ...

    async def list_equipment_delays(
        self, query: ListQuery[queries.EquipmentDelayFilter], cursor: str | None
    ) -> SourcePage[records.EquipmentDelay]: ...


@runtime_checkable
class IdentitySource(Protocol):
    def identities(self) -> AsyncIterator[Identity]:
        """All things that join which this integration knows, for the crosswalk; in as few calls as possible."""
        ...


@runtime_checkable
class WebhookReceiver(Protocol):
    def verify(self, payload: Payload) -> None:
        """Raises `SignatureInvalid` unless the raw body is signed by the vendor. Must cost no I/O."""
        ...

    def received(self, payload: Payload) -> Raw | None:
        """The delivery, with its id; null when there is nothing to do (a health check).

        Raises `BadPayload` for a body that is signed but not understood."""
        ...


class Package(Protocol):
    """One request that holds many documents, read as it arrives."""

    def feed(self, chunk: bytes) -> Sequence[Raw]:
        """The deliveries that this part of the body completes. Raises `BadPayload`."""
        ...

    def close(self) -> Sequence[Raw]:
        """Those that its end completes. Raises `BadPayload` for a body that breaks off."""
        ...

    def answer(self) -> Payload:
        """What to answer once all of them are kept."""
        ...


@runtime_checkable
class PackageReceiver(WebhookReceiver, Protocol):
    """A receiver whose requests may be long: `verify` looks at headers only, and the body is never in memory whole.

    What came before a fault may have been kept: the sender's repetition is told by the deliveries' ids.
    """

    def package(self, payload: Payload) -> Package:
        """For a request with these headers; its body is empty here."""
        ...


@runtime_checkable
class EventStream(Protocol):
    def stream(self) -> AsyncIterator[Raw]:
        """What the vendor's socket brings, for ever: reconnects by itself with growing pauses, fills the gap
        after a reconnect where the vendor has a way, and raises only what a person must mend (`AuthFailed`)."""
        ...


@runtime_checkable
class Confirming(EventStream, Protocol):
    """A stream of senders that forget what they sent once it is acknowledged: devices that connect to us."""

    def kept(self, raws: Sequence[Raw]) -> None:
        """These are safe and may be acknowledged. Whoever calls it once, before the stream begins and with nothing,
        goes on calling it for all that the stream brings; where nobody does, they are acknowledged as they come."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """Knows its records from what came over its stream only, and must be told what it knew before a restart."""

    remembers: ClassVar[records.Kind]

    def remember(self, known: Iterable[Record]) -> None:
        """Records of the kind and of this integration as the store has them. Called once, before the stream begins."""
        ...


@runtime_checkable
class Poller(Protocol):
    async def poll(self, cursor: str | None) -> Polled:
        """What changed since `cursor` (null: everything that is live now)."""
        ...


class Listing(msgspec.Struct, frozen=True):
    """How one kind is read: its two methods, its filter."""

    kind: records.Kind
    plural: str
    filter: type[queries.Filter]

    @property
    def read_method(self) -> str:
        return f"read_{self.plural}"

    @property
    def list_method(self) -> str:
        return f"list_{self.plural}"


LISTINGS: dict[records.Kind, Listing] = {
    each.kind: each
    for each in (
        Listing(records.Kind.ORDER, "orders", queries.OrderFilter),
        Listing(records.Kind.WAREHOUSE_ORDER, "warehouse_orders", queries.WarehouseOrderFilter),
        Listing(records.Kind.WAREHOUSE_TASK, "warehouse_tasks", queries.WarehouseTaskFilter),
        Listing(records.Kind.INVENTORY_BALANCE, "inventory_balances", queries.InventoryBalanceFilter),
        Listing(records.Kind.LOCATION, "locations", queries.LocationFilter),
        Listing(records.Kind.ITEM, "items", queries.ItemFilter),
        Listing(records.Kind.BOM, "boms", queries.BomFilter),
        Listing(records.Kind.EQUIPMENT, "equipment", queries.EquipmentFilter),
        Listing(records.Kind.MISSION, "missions", queries.MissionFilter),
        Listing(records.Kind.UNIT, "units", queries.UnitFilter),
        Listing(records.Kind.BOOKING, "bookings", queries.BookingFilter),
        Listing(records.Kind.PRICE_ESTIMATE, "price_estimates", queries.PriceEstimateFilter),
        Listing(records.Kind.VEHICLE, "vehicles", queries.VehicleFilter),
        Listing(records.Kind.GEOFENCE, "geofences", queries.GeofenceFilter),
        Listing(records.Kind.SHIPMENT, "shipments", queries.ShipmentFilter),
        Listing(records.Kind.WORK_ORDER, "work_orders", queries.WorkOrderFilter),
        Listing(records.Kind.HAUL_CYCLE, "haul_cycles", queries.HaulCycleFilter),
        Listing(records.Kind.PRODUCTION_RECORD, "production_records", queries.ProductionRecordFilter),
        Listing(records.Kind.MAINTENANCE_ALERT, "maintenance_alerts", queries.MaintenanceAlertFilter),
        Listing(records.Kind.EQUIPMENT_DELAY, "equipment_delays", queries.EquipmentDelayFilter),
    )
}


def can_list(connector: Any, kind: records.Kind) -> bool:
    """Whether the connector lists this kind."""
    return hasattr(connector, LISTINGS[kind].list_method)


def can_read(connector: Any, kind: records.Kind) -> bool:
    """Whether the connector reads this kind by id."""
    return hasattr(connector, LISTINGS[kind].read_method)
