"""What clients give: filters, orders, keys. Each filter becomes the filter of the same name in `unified`."""

from datetime import datetime
from enum import Enum
from typing import Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from resolvers.errors import BadInput
from unified import queries, records
from unified.queries import OrderBy
from unified.values import BoundingBox, Place

_given = strawberry.field


def _f(description: str, name: str | None = None) -> Any:
    return strawberry.field(description=description, name=name, default=None)


@strawberry.input(description="A box in degrees; `west` greater than `east` crosses the antimeridian.")
class BoundingBoxInput:
    south: float = _given(description="Southern edge, degrees north.")
    west: float = _given(description="Western edge, degrees east.")
    north: float = _given(description="Northern edge, degrees north.")
    east: float = _given(description="Eastern edge, degrees east.")

    def value(self) -> BoundingBox:
        """Raises `BadInput` for a box that is none."""
        if not (-90 <= self.south <= self.north <= 90 and -180 <= self.west <= 180 and -180 <= self.east <= 180):
            raise BadInput("the box needs south ≤ north within ±90 and west, east within ±180 degrees")
        return BoundingBox(south=self.south, west=self.west, north=self.north, east=self.east)


@strawberry.input(description="A point on the earth.")
class PointInput:
    latitude: float = _given(description="Degrees north, WGS 84.")
    longitude: float = _given(description="Degrees east, WGS 84.")

    def value(self) -> Place:
        """Raises `BadInput` for a point off the earth."""
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            raise BadInput("a point has a latitude within ±90 and a longitude within ±180 degrees")
        return Place(latitude=self.latitude, longitude=self.longitude)


@strawberry.input(description="The vendor's own id of an object.")
class ExternalKey:
    integration: str = _given(description="Key of the integration.")
    external_id: str = _given(description="The vendor's id, as the vendor spells it.")


@strawberry.input(description="A number by which people know an object, in any system's spelling.")
class NumberKey:
    number: str = _given(description="Part number, plate, fleet number, call sign or order number.")
    integration: str | None = _f("Whose spelling it is; needed only for numbers that a configured link joins.")


@strawberry.input(one_of=True, description="How to find an object without its global id; give exactly one.")
class RecordKey:
    external: ExternalKey | None = strawberry.field(description="By the vendor's own id.", default=strawberry.UNSET)
    number: NumberKey | None = strawberry.field(
        description="By number: orders, shipments, work orders, items, vehicles, machines (fleet or serial number, "
        "name), missions (name) and units (call sign).",
        default=strawberry.UNSET,
    )


@strawberry.input(description="Which orders.")
class OrderFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    order_kinds: list[records.OrderKind] | None = _f("Any of these kinds.", "kinds")
    statuses: list[records.OrderStatus] | None = _f("Any of these statuses.")
    warehouses: list[str] | None = _f("Any of these warehouse codes.")
    numbers: list[str] | None = _f("Any of these numbers; leading zeros do not matter.")
    partner: str | None = _f("This customer or supplier.")
    item_number: str | None = _f("With a line of this item, in any spelling that normalises to it.")
    vehicle_plate: str | None = _f("Carried by this vehicle; blanks and dashes do not matter.")
    planned_after: datetime | None = _f("Planned after this moment.")
    planned_before: datetime | None = _f("Planned before this moment.")


@strawberry.input(description="Which warehouse orders.")
class WarehouseOrderFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    warehouses: list[str] | None = _f("Any of these warehouse codes.")
    statuses: list[records.TaskStatus] | None = _f("Any of these statuses.")
    numbers: list[str] | None = _f("Any of these numbers; leading zeros do not matter.")
    resource: str | None = _f("Worked on by this resource.")


@strawberry.input(description="Which warehouse tasks.")
class WarehouseTaskFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    warehouses: list[str] | None = _f("Any of these warehouse codes.")
    statuses: list[records.TaskStatus] | None = _f("Any of these statuses.")
    warehouse_order_numbers: list[str] | None = _f("Of these warehouse orders.")
    order_number: str | None = _f("Serving this delivery.")
    order_numbers: list[str] | None = _f("Serving any of these deliveries; leading zeros do not matter.")
    item_number: str | None = _f("Moving this item.")
    resource: str | None = _f("Worked on by this resource.")


@strawberry.input(description="Which stock.")
class InventoryBalanceFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    item_number: str | None = _f("Of this item, in any spelling that normalises to it.")
    warehouses: list[str] | None = _f("Any of these warehouse codes.")
    locations: list[str] | None = _f("Any of these bins.")
    batch: str | None = _f("Of this batch.")
    statuses: list[records.StockStatus] | None = _f("Any of these statuses.")


@strawberry.input(description="Which locations.")
class LocationFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    warehouses: list[str] | None = _f("Any of these warehouse codes.")
    zones: list[str] | None = _f("Any of these zones.")
    codes: list[str] | None = _f("Any of these codes.")
    location_kinds: list[records.LocationKind] | None = _f("Any of these kinds.", "kinds")
    empty_bin: bool | None = _f("Whether nothing lies there.", "empty")


@strawberry.input(description="Which items.")
class ItemFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    numbers: list[str] | None = _f("Any of these part numbers, in any spelling that normalises to them.")
    item_types: list[records.ItemType] | None = _f("Any of these types.", "types")
    search: str | None = _f("Text in number, name or description.")
    released: bool | None = _f("Whether the newest revision is released.")


@strawberry.input(description="Which structures.")
class BomFilter:
    item_numbers: list[str] = _given(description="Part numbers of the tops, at most 50.")
    view: str | None = _f("BOM view (`engineering`, `manufacturing`); null = default.")
    revision_rule: str | None = _f("Revision rule; null = default.")
    revision: str | None = _f("Revision of the tops; null = what the rule gives.")
    max_levels: int | None = _f("Levels to explode, 1 to 30; null = to the bottom.")


@strawberry.input(description="Which machines.")
class EquipmentFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    equipment_types: list[records.EquipmentType] | None = _f("Any of these types.", "types")
    states: list[records.EquipmentState] | None = _f("Any of these states.")
    within: BoundingBoxInput | None = _f("Mobile machines now within this box.")
    search: str | None = _f("Text in name or model.")


@strawberry.input(description="Which missions.")
class MissionFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    states: list[records.MissionState] | None = _f("Any of these states.")
    search: str | None = _f("Text in name or description.")
    unit_uid: str | None = _f("In which this unit takes part.")


@strawberry.input(description="Which units.")
class UnitFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    affiliations: list[records.Affiliation] | None = _f("Any of these affiliations.")
    dimensions: list[records.Dimension] | None = _f("Any of these dimensions.")
    teams: list[str] | None = _f("Any of these teams.")
    connectivities: list[records.Connectivity] | None = _f("Any of these.")
    within: BoundingBoxInput | None = _f("Now within this box.")
    search: str | None = _f("Text in call sign or uid.")


@strawberry.input(description="Which bookings.")
class BookingFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    statuses: list[records.BookingStatus] | None = _f("Any of these statuses.")
    active: bool | None = _f("True: not final yet; false: final.")
    vehicle_plate: str | None = _f("Served by this vehicle; blanks and dashes do not matter.")


@strawberry.input(description="Which vehicles.")
class VehicleFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    states: list[records.VehicleState] | None = _f("Any of these states.")
    connectivities: list[records.Connectivity] | None = _f("Any of these.")
    categories: list[str] | None = _f("Any of the vendor's categories.")
    plate: str | None = _f("With this plate; blanks and dashes do not matter.")
    within: BoundingBoxInput | None = _f("Now within this box.")
    search: str | None = _f("Text in name, plate or fleet number.")


@strawberry.input(description="Which geofences.")
class GeofenceFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    search: str | None = _f("Text in name or description.")


@strawberry.input(description="Which shipments.")
class ShipmentFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    directions: list[records.ShipmentDirection] | None = _f("Any of these directions.")
    statuses: list[records.ShipmentStatus] | None = _f("Any of these statuses.")
    numbers: list[str] | None = _f("Any of these numbers; leading zeros do not matter.")
    warehouses: list[str] | None = _f("Any of these warehouses or shipping points.")
    partner: str | None = _f("To or from this partner.")
    order_number: str | None = _f("With a line that fulfils this order; leading zeros do not matter.")
    vehicle_plate: str | None = _f("Carried by this vehicle; blanks and dashes do not matter.")


@strawberry.input(description="Which work orders.")
class WorkOrderFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    statuses: list[records.WorkOrderStatus] | None = _f("Any of these statuses.")
    organizations: list[str] | None = _f("In any of these plants.")
    numbers: list[str] | None = _f("Any of these numbers.")
    item_number: str | None = _f("Making this item, in any spelling that normalises to it.")


@strawberry.input(description="Which haul cycles.")
class HaulCycleFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    trucks: list[str] | None = _f("Of any of these trucks, by name.")
    started_after: datetime | None = _f("Begun after this moment.")
    started_before: datetime | None = _f("Begun before this moment.")


@strawberry.input(description="Which production records.")
class ProductionRecordFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    equipment: list[str] | None = _f("Of any of these machines, by the vendor's ids.")
    started_after: datetime | None = _f("Of a span that began after this moment.")
    started_before: datetime | None = _f("Of a span that began before this moment.")


@strawberry.input(description="Which maintenance alerts.")
class MaintenanceAlertFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    equipment: list[str] | None = _f("Of any of these machines, by the vendor's ids.")
    severities: list[records.FaultSeverity] | None = _f("Any of these severities.")
    occurred_after: datetime | None = _f("Reported after this moment.")
    occurred_before: datetime | None = _f("Reported before this moment.")


@strawberry.input(description="Which delays.")
class EquipmentDelayFilter:
    ids: list[strawberry.ID] | None = _f("Only these.")
    updated_after: datetime | None = _f("Changed after this moment.")
    equipment: list[str] | None = _f("Of any of these machines, by name.")
    started_after: datetime | None = _f("Begun after this moment.")
    started_before: datetime | None = _f("Begun before this moment.")


LONGEST_LIST = 200


def to_filter(given: Any, into: type[queries.Filter]) -> Any:
    """The filter of `unified` with what the client gave. Raises `BadInput` for lists and texts without bound."""
    if given is None:
        return into()
    values: dict[str, Any] = {}
    for name in into.__struct_fields__:
        value = getattr(given, name, None)
        if value is None:
            continue
        if isinstance(value, list):
            if len(value) > LONGEST_LIST:
                raise BadInput(f"a filter takes at most {LONGEST_LIST} values in a list; {len(value)} were given")
            value = tuple(str(each) if name == "ids" else each for each in value)
        elif isinstance(value, BoundingBoxInput):
            value = value.value()
        elif isinstance(value, str) and len(value) > 200:
            raise BadInput("a text in a filter has at most 200 characters")
        values[name] = value
    return into(**values)


@strawberry.enum(description="Direction of a sort.")
class Direction(Enum):
    ASC = strawberry.enum_value("ASC", description="Smallest first; nulls last.")
    DESC = strawberry.enum_value("DESC", description="Greatest first; nulls last.")


_SORTABLE: dict[str, tuple[str, ...]] = {
    "Order": ("number", "status", "warehouse", "planned_at", "created_at", "updated_at"),
    "WarehouseOrder": ("number", "warehouse", "status", "created_at", "updated_at"),
    "WarehouseTask": ("number", "warehouse", "status", "confirmed_at", "updated_at"),
    "InventoryBalance": ("item_number", "warehouse", "location", "received_at"),
    "Location": ("code", "warehouse", "zone"),
    "Item": ("number", "name", "item_type", "updated_at"),
    "Equipment": ("name", "state", "updated_at"),
    "Mission": ("name", "created_at", "updated_at"),
    "Unit": ("callsign", "team", "updated_at"),
    "Booking": ("status", "requested_at", "scheduled_at", "updated_at"),
    "Vehicle": ("name", "plate", "state", "updated_at"),
    "Geofence": ("name",),
    "Shipment": ("number", "status", "planned_on", "created_at", "updated_at"),
    "WorkOrder": ("number", "status", "planned_start_at", "planned_completion_at", "updated_at"),
    "HaulCycle": ("started_at", "truck"),
    "ProductionRecord": ("started_at",),
    "MaintenanceAlert": ("occurred_at", "severity"),
    "EquipmentDelay": ("started_at",),
}


def _order_by(kind: str, names: tuple[str, ...]) -> Any:
    """An input `{ field, direction }` whose fields are those that the kind sorts by."""
    members: Any = Enum(f"{kind}OrderField", {name.upper(): name for name in names})  # type: ignore[misc]
    field_enum: Any = strawberry.enum(members, description=f"What {kind} lists sort by.")
    for value in field_enum.__strawberry_definition__.values:
        value.description = f"By `{to_camel_case(str(value.value))}`."
    namespace = {
        "__annotations__": {"field": field_enum, "direction": Direction},
        "field": strawberry.field(description="What to sort by."),
        "direction": strawberry.field(description="Which way.", default=Direction.ASC),
    }
    return strawberry.input(type(f"{kind}OrderBy", (), namespace), description=f"One sort key of a {kind} list.")


ORDERS: dict[str, Any] = {kind: _order_by(kind, names) for kind, names in _SORTABLE.items()}


def to_order(given: list[Any] | None) -> tuple[OrderBy, ...]:
    """The sort keys. Raises `BadInput` for more than three."""
    if given is None:
        return ()
    if len(given) > 3:
        raise BadInput(f"`orderBy` takes at most 3 keys; {len(given)} were given")
    return tuple(OrderBy(each.field.value, each.direction is Direction.DESC) for each in given)
