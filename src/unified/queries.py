"""What a list may be asked: filters, orders, pages.

A connector may narrow by a filter at the vendor, but need not: the filter is applied to the records again,
so that pushing it down is only ever an optimisation. `SourcePage.total` is the vendor's count of what the
whole query matches; null when the vendor has none, or when the connector did not push the whole filter down.
"""

from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from unified import records
from unified.keys import Subject, canonical
from unified.records import Record
from unified.values import BoundingBox, Place, Position

R = TypeVar("R", bound=Record)
F = TypeVar("F", bound="Filter")


class Filter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All conditions that are given must hold. A condition on a value that a record lacks does not hold."""

    updated_after: datetime | None = None
    ids: tuple[str, ...] | None = None

    def matches(self, record: Any) -> bool:
        """Whether the record satisfies every condition. Subclasses extend it for their kind."""
        if self.ids is not None and record.id not in self.ids:
            return False
        return self.updated_after is None or _after(record.updated_at, self.updated_after)

    @property
    def empty(self) -> bool:
        """Whether no condition is given at all."""
        return all(getattr(self, name) is None for name in self.__struct_fields__)


def _after(value: datetime | None, bound: datetime) -> bool:
    return value is not None and value > bound


def _between(value: datetime, after: datetime | None, before: datetime | None) -> bool:
    return (after is None or value > after) and (before is None or value < before)


def _in(value: object, allowed: tuple[Any, ...] | None) -> bool:
    return allowed is None or value in allowed


def _same(subject: Subject, value: str | None, wanted: str | None) -> bool:
    return wanted is None or (value is not None and canonical(subject, value) == canonical(subject, wanted))


def _contains(needle: str | None, *haystack: str | None) -> bool:
    return needle is None or any(needle.casefold() in text.casefold() for text in haystack if text)


def _inside(box: BoundingBox | None, position: Position | None) -> bool:
    return box is None or (position is not None and box.contains(position.latitude, position.longitude))


class OrderFilter(Filter, frozen=True, kw_only=True):
    order_kinds: tuple[records.OrderKind, ...] | None = None
    statuses: tuple[records.OrderStatus, ...] | None = None
    warehouses: tuple[str, ...] | None = None
    numbers: tuple[str, ...] | None = None
    partner: str | None = None
    item_number: str | None = None
    vehicle_plate: str | None = None
    planned_after: datetime | None = None
    planned_before: datetime | None = None

    def matches(self, record: records.Order) -> bool:
        numbers = self.numbers
        return (
            super().matches(record)
            and _in(record.order_kind, self.order_kinds)
            and _in(record.status, self.statuses)
            and _in(record.warehouse, self.warehouses)
            and (numbers is None or any(_same(Subject.ORDER, record.number, number) for number in numbers))
            and (self.partner is None or record.partner == self.partner)
            and (
                self.item_number is None
                or any(_same(Subject.ITEM, line.item_number, self.item_number) for line in record.lines)
            )
            and _same(Subject.VEHICLE, record.vehicle_plate, self.vehicle_plate)
            and (self.planned_after is None or _after(record.planned_at, self.planned_after))
            and (
                self.planned_before is None
                or (record.planned_at is not None and record.planned_at < self.planned_before)
            )
        )


class WarehouseOrderFilter(Filter, frozen=True, kw_only=True):
    warehouses: tuple[str, ...] | None = None
    statuses: tuple[records.TaskStatus, ...] | None = None
    numbers: tuple[str, ...] | None = None
    resource: str | None = None

    def matches(self, record: records.WarehouseOrder) -> bool:
        numbers = self.numbers
        return (
            super().matches(record)
            and (numbers is None or any(_same(Subject.ORDER, record.number, number) for number in numbers))
            and _in(record.warehouse, self.warehouses)
            and _in(record.status, self.statuses)
            and (self.resource is None or record.resource == self.resource)
        )


class WarehouseTaskFilter(Filter, frozen=True, kw_only=True):
    warehouses: tuple[str, ...] | None = None
    statuses: tuple[records.TaskStatus, ...] | None = None
    warehouse_order_numbers: tuple[str, ...] | None = None
    order_number: str | None = None
    order_numbers: tuple[str, ...] | None = None
    item_number: str | None = None
    resource: str | None = None

    def matches(self, record: records.WarehouseTask) -> bool:
        numbers, served = self.warehouse_order_numbers, self.order_numbers
        return (
            super().matches(record)
            and _in(record.warehouse, self.warehouses)
            and _in(record.status, self.statuses)
            and (
                numbers is None
                or any(_same(Subject.ORDER, record.warehouse_order_number, number) for number in numbers)
            )
            and _same(Subject.ORDER, record.order_number, self.order_number)
            and (served is None or any(_same(Subject.ORDER, record.order_number, number) for number in served))
            and _same(Subject.ITEM, record.item_number, self.item_number)
            and (self.resource is None or record.resource == self.resource)
        )


class InventoryBalanceFilter(Filter, frozen=True, kw_only=True):
    item_number: str | None = None
    warehouses: tuple[str, ...] | None = None
    locations: tuple[str, ...] | None = None
    batch: str | None = None
    statuses: tuple[records.StockStatus, ...] | None = None

    def matches(self, record: records.InventoryBalance) -> bool:
        return (
            super().matches(record)
            and _same(Subject.ITEM, record.item_number, self.item_number)
            and _in(record.warehouse, self.warehouses)
            and _in(record.location, self.locations)
            and (self.batch is None or record.batch == self.batch)
            and _in(record.status, self.statuses)
        )


class LocationFilter(Filter, frozen=True, kw_only=True):
    warehouses: tuple[str, ...] | None = None
    zones: tuple[str, ...] | None = None
    codes: tuple[str, ...] | None = None
    location_kinds: tuple[records.LocationKind, ...] | None = None
    empty_bin: bool | None = None

    def matches(self, record: records.Location) -> bool:
        return (
            super().matches(record)
            and _in(record.warehouse, self.warehouses)
            and _in(record.zone, self.zones)
            and _in(record.code, self.codes)
            and _in(record.location_kind, self.location_kinds)
            and (self.empty_bin is None or record.empty == self.empty_bin)
        )


class ItemFilter(Filter, frozen=True, kw_only=True):
    numbers: tuple[str, ...] | None = None
    item_types: tuple[records.ItemType, ...] | None = None
    search: str | None = None
    released: bool | None = None

    def matches(self, record: records.Item) -> bool:
        return (
            super().matches(record)
            and (self.numbers is None or any(_same(Subject.ITEM, record.number, number) for number in self.numbers))
            and _in(record.item_type, self.item_types)
            and _contains(self.search, record.number, record.name, record.description)
            and (self.released is None or record.released == self.released)
        )


class BomFilter(Filter, frozen=True, kw_only=True):
    item_numbers: tuple[str, ...] | None = None
    view: str | None = None
    revision_rule: str | None = None
    revision: str | None = None
    max_levels: int | None = None

    def matches(self, record: records.Bom) -> bool:
        numbers = self.item_numbers
        return super().matches(record) and (
            numbers is None or any(_same(Subject.ITEM, record.item_number, number) for number in numbers)
        )


class EquipmentFilter(Filter, frozen=True, kw_only=True):
    equipment_types: tuple[records.EquipmentType, ...] | None = None
    states: tuple[records.EquipmentState, ...] | None = None
    within: BoundingBox | None = None
    search: str | None = None

    def matches(self, record: records.Equipment) -> bool:
        return (
            super().matches(record)
            and _inside(self.within, record.position)
            and _in(record.equipment_type, self.equipment_types)
            and _in(record.state, self.states)
            and _contains(self.search, record.name, record.model, record.serial_number, record.fleet_number)
        )


class MissionFilter(Filter, frozen=True, kw_only=True):
    states: tuple[records.MissionState, ...] | None = None
    search: str | None = None
    unit_uid: str | None = None

    def matches(self, record: records.Mission) -> bool:
        return (
            super().matches(record)
            and _in(record.state, self.states)
            and _contains(self.search, record.name, record.description)
            and (self.unit_uid is None or self.unit_uid in record.unit_uids)
        )


class UnitFilter(Filter, frozen=True, kw_only=True):
    affiliations: tuple[records.Affiliation, ...] | None = None
    dimensions: tuple[records.Dimension, ...] | None = None
    teams: tuple[str, ...] | None = None
    connectivities: tuple[records.Connectivity, ...] | None = None
    within: BoundingBox | None = None
    search: str | None = None

    def matches(self, record: records.Unit) -> bool:
        return (
            super().matches(record)
            and _in(record.affiliation, self.affiliations)
            and _in(record.dimension, self.dimensions)
            and _in(record.team, self.teams)
            and _in(record.connectivity, self.connectivities)
            and _inside(self.within, record.position)
            and _contains(self.search, record.callsign, record.uid)
        )


class BookingFilter(Filter, frozen=True, kw_only=True):
    statuses: tuple[records.BookingStatus, ...] | None = None
    active: bool | None = None
    vehicle_plate: str | None = None

    def matches(self, record: records.Booking) -> bool:
        return (
            super().matches(record)
            and _in(record.status, self.statuses)
            and (self.active is None or record.status.terminal != self.active)
            and _same(Subject.VEHICLE, record.vehicle_plate, self.vehicle_plate)
        )


class PriceEstimateFilter(Filter, frozen=True, kw_only=True):
    """Price estimates are asked for a way: both ends are needed."""

    pickup: Place | None = None
    dropoff: Place | None = None
    pickup_at: datetime | None = None


class VehicleFilter(Filter, frozen=True, kw_only=True):
    states: tuple[records.VehicleState, ...] | None = None
    connectivities: tuple[records.Connectivity, ...] | None = None
    categories: tuple[str, ...] | None = None
    plate: str | None = None
    within: BoundingBox | None = None
    search: str | None = None

    def matches(self, record: records.Vehicle) -> bool:
        return (
            super().matches(record)
            and _in(record.state, self.states)
            and _in(record.connectivity, self.connectivities)
            and _in(record.category, self.categories)
            and _same(Subject.VEHICLE, record.plate, self.plate)
            and _inside(self.within, record.position)
            and _contains(self.search, record.name, record.plate, record.fleet_number)
        )


class GeofenceFilter(Filter, frozen=True, kw_only=True):
    search: str | None = None

    def matches(self, record: records.Geofence) -> bool:
        return super().matches(record) and _contains(self.search, record.name, record.description)


class ShipmentFilter(Filter, frozen=True, kw_only=True):
    directions: tuple[records.ShipmentDirection, ...] | None = None
    statuses: tuple[records.ShipmentStatus, ...] | None = None
    numbers: tuple[str, ...] | None = None
    warehouses: tuple[str, ...] | None = None
    partner: str | None = None
    order_number: str | None = None
    vehicle_plate: str | None = None

    def matches(self, record: records.Shipment) -> bool:
        numbers = self.numbers
        return (
            super().matches(record)
            and _in(record.direction, self.directions)
            and _in(record.status, self.statuses)
            and (numbers is None or any(_same(Subject.ORDER, record.number, number) for number in numbers))
            and _in(record.warehouse, self.warehouses)
            and (self.partner is None or record.partner == self.partner)
            and (
                self.order_number is None
                or any(_same(Subject.ORDER, line.order_number, self.order_number) for line in record.lines)
            )
            and _same(Subject.VEHICLE, record.vehicle_plate, self.vehicle_plate)
        )


class WorkOrderFilter(Filter, frozen=True, kw_only=True):
    statuses: tuple[records.WorkOrderStatus, ...] | None = None
    organizations: tuple[str, ...] | None = None
    numbers: tuple[str, ...] | None = None
    item_number: str | None = None

    def matches(self, record: records.WorkOrder) -> bool:
        numbers = self.numbers
        return (
            super().matches(record)
            and _in(record.status, self.statuses)
            and _in(record.organization, self.organizations)
            and (numbers is None or any(_same(Subject.ORDER, record.number, number) for number in numbers))
            and _same(Subject.ITEM, record.item_number, self.item_number)
        )


class HaulCycleFilter(Filter, frozen=True, kw_only=True):
    trucks: tuple[str, ...] | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None

    def matches(self, record: records.HaulCycle) -> bool:
        return (
            super().matches(record)
            and (self.trucks is None or any(_same(Subject.EQUIPMENT, record.truck, truck) for truck in self.trucks))
            and _between(record.started_at, self.started_after, self.started_before)
        )


class ProductionRecordFilter(Filter, frozen=True, kw_only=True):
    """`equipment` are external ids of machines."""

    equipment: tuple[str, ...] | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None

    def matches(self, record: records.ProductionRecord) -> bool:
        return (
            super().matches(record)
            and _in(record.equipment_external_id, self.equipment)
            and _between(record.started_at, self.started_after, self.started_before)
        )


class MaintenanceAlertFilter(Filter, frozen=True, kw_only=True):
    """`equipment` are external ids of machines."""

    equipment: tuple[str, ...] | None = None
    severities: tuple[records.FaultSeverity, ...] | None = None
    occurred_after: datetime | None = None
    occurred_before: datetime | None = None

    def matches(self, record: records.MaintenanceAlert) -> bool:
        return (
            super().matches(record)
            and _in(record.equipment_external_id, self.equipment)
            and _in(record.severity, self.severities)
            and _between(record.occurred_at, self.occurred_after, self.occurred_before)
        )


class EquipmentDelayFilter(Filter, frozen=True, kw_only=True):
    equipment: tuple[str, ...] | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None

    def matches(self, record: records.EquipmentDelay) -> bool:
        return (
            super().matches(record)
            and (
                self.equipment is None
                or any(_same(Subject.EQUIPMENT, record.equipment, name) for name in self.equipment)
            )
            and _between(record.started_at, self.started_after, self.started_before)
        )


class OrderBy(msgspec.Struct, frozen=True, gc=False):
    """One sort key. `field` is an attribute of the record; nulls come last in both directions."""

    field: str
    descending: bool = False


class ListQuery(msgspec.Struct, Generic[F], frozen=True, kw_only=True):
    """`limit` is the number of rows wanted from this source; the vendor's page may be smaller or larger."""

    filter: F
    order_by: tuple[OrderBy, ...] = ()
    limit: int = 50


class SourcePage(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """One page of one source. `next` is the vendor's cursor of the page after it, null at the end.
    `sorted`: the rows come in the order that was asked for."""

    records: list[R]
    next: str | None = None
    total: int | None = None
    sorted: bool = False


def sort_value(record: Record, order_by: OrderBy) -> tuple[int, Any]:
    """A comparable for one sort key, ascending; a null sorts after every value."""
    value = getattr(record, order_by.field)
    return (1, 0) if value is None else (0, getattr(value, "value", value))
