"""Vehicles, geofences, bookings and price estimates."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from graph.asks import Step, asking
from graph.fields import PERSONAL, accepts, by_id, computed, joined, joined_many, load, load_all, personal, plain
from graph.info import Info
from graph.scalars import GeoJSON
from graph.types.base import Sourced
from graph.types.missions import Mission, Unit
from graph.types.orders import Order
from graph.types.values import Money, Place, Position
from resolvers.loaders import Number
from unified import records
from unified.ids import GlobalId
from unified.records import Kind

if TYPE_CHECKING:
    from graph.types.shipments import Shipment

UNITS, GEOFENCES = 2, 5
"""How many units a vehicle is assumed to be, and in how many geofences."""


def _number(vehicle: records.Vehicle) -> Number | None:
    number = vehicle.plate or vehicle.fleet_number
    return Number(vehicle.source.integration, number) if number else None


@strawberry.federation.type(keys=["id"], description="An area that vehicles enter and leave.")
class Geofence(Sourced):
    name: str = plain("What the dispatchers call the area.")
    description: str | None = plain("What it is.")
    geometry: GeoJSON = plain("Point (a circle, with `radiusM`), Polygon or LineString (with `corridorM`).")
    radius_m: float | None = plain("Radius of a circle in metres.")
    corridor_m: float | None = plain("How far from a line still counts as inside, in metres.")
    vehicles: list[Annotated["Vehicle", strawberry.lazy("graph.types.vehicles")]] | None = joined_many(
        "vehicles_of_geofence",
        lambda fence: Number(fence.source.integration, fence.source.external_id),
        "Vehicles of the same system that are in it now, as that system judges.",
        size=20,
        weight=3,
    )

    is_type_of = accepts(records.Geofence)
    resolve_reference = by_id(Kind.GEOFENCE)


@strawberry.federation.type(keys=["id"], description="A vehicle that some system reports on.")
class Vehicle(Sourced):
    name: str = plain("What the dispatchers call it; often holds its plate.")
    plate: str | None = plain("Licence plate as this system spells it.")
    fleet_number: str | None = plain("The fleet's own number.")
    device_identifier: str | None = plain("Identifier of its tracker (IMEI), text.")
    category: str | None = plain("The vendor's word for what kind of vehicle it is.")
    model: str | None = plain("Make and model.")
    connectivity: records.Connectivity = plain("Whether its tracker is heard of.")
    state: records.VehicleState = plain("What it does now.")
    position: Position | None = plain("Its last position; null when it never had one.")
    ignition_on: bool | None = plain("Whether the ignition is on.")
    fuel_litres: float | None = plain("Fuel in the tank, litres.")
    fuel_percent: float | None = plain("Fuel in the tank, percent.")
    battery_percent: float | None = plain("Battery of the tracker or the vehicle, percent.")
    gsm_level: int | None = plain("Strength of its tracker's mobile network, in the vendor's steps.")
    supply_volts: float | None = plain("Supply voltage, volts.")
    odometer_km: float | None = plain("Distance driven in its life, kilometres.")
    engine_hours: float | None = plain("Running time of its engine, hours.")
    alarms: list[str] = plain("Alarms that its last report carried, in the vendor's words.")
    orders: list[Order] | None = joined_many(
        "orders_of_vehicle", _number, "Open orders that it carries.", size=5, weight=3
    )
    shipments: list[Annotated["Shipment", strawberry.lazy("graph.types.shipments")]] | None = joined_many(
        "shipments_of_vehicle",
        _number,
        "Shipments that it carries and that are not delivered, at most 1,000 shipments per source searched.",
        size=5,
        weight=3,
    )
    bookings: list[Annotated["Booking", strawberry.lazy("graph.types.vehicles")]] | None = joined_many(
        "bookings_of_vehicle", _number, "Active bookings that it serves.", size=3, weight=3
    )
    units: list[Unit] | None = joined_many(
        "units_of_vehicle", _number, "Units that it is on the command system's map.", size=UNITS
    )

    @computed("Missions that it serves as a unit; null when the systems that may know fail.", size=5, weight=3)
    @asking(Step("units_of_vehicle", keys=UNITS), Step("missions_of_unit", keys=UNITS))
    async def missions(self, info: Info) -> list[Mission] | None:
        number = _number(self)  # type: ignore[arg-type]
        units = await load(info, "units_of_vehicle", number) if number is not None else []
        if not units:
            return units
        found = await load_all(info, "missions_of_unit", [Number(each.source.integration, each.uid) for each in units])
        return None if found is None else list({each.id: each for group in found for each in group}.values())

    @computed("Geofences that it is in, as its system judges; null when that fails.", size=GEOFENCES)
    @asking(Step("records", keys=GEOFENCES, kind=Kind.GEOFENCE))
    async def geofences(self, info: Info) -> list[Geofence] | None:
        vehicle: records.Vehicle = self  # type: ignore[assignment]
        at = vehicle.source.integration
        places = [GlobalId(Kind.GEOFENCE.value, at, external) for external in vehicle.geofence_ids]
        return await load_all(info, "records", places)

    is_type_of = accepts(records.Vehicle)
    resolve_reference = by_id(Kind.VEHICLE)


@strawberry.federation.type(description="Who drives. Personal data.", shareable=True, tags=[PERSONAL])
class Driver:
    name: str | None = plain("First name, or what the vendor shows of it.")
    phone: str | None = plain("Phone number, E.164.")
    rating: float | None = plain("Rating, 1 to 5.")


@strawberry.federation.type(keys=["id"], description="A ride that somebody booked.")
class Booking(Sourced):
    status: records.BookingStatus = plain("Where it stands.")
    cancelled_by: records.CancelledBy | None = plain("Who cancelled it; null unless it is cancelled.")
    product: str | None = plain("The vendor's product.")
    guest_name: str | None = personal("Who rides.")
    guest_phone: str | None = personal("Phone number of who rides, E.164.")
    driver: Driver | None = personal("Who drives; null before somebody is assigned.")
    vehicle_plate: str | None = plain("Plate as the ride-hail system spells it.")
    vehicle_description: str | None = plain("Make, model and colour.")
    pickup: Place | None = plain("Where the ride begins.")
    dropoff: Place | None = plain("Where the ride ends.")
    pickup_eta_seconds: int | None = plain("Seconds until the vehicle is at the pickup.")
    dropoff_eta_seconds: int | None = plain("Seconds until the vehicle is at the destination.")
    fare: Money | None = plain("What the ride costs.")
    surge_multiplier: float | None = plain("Factor on the price when demand is high.")
    requested_at: datetime | None = plain("When it was booked.")
    scheduled_at: datetime | None = plain("When it shall begin; null for at once.")
    started_at: datetime | None = plain("When it began.")
    ended_at: datetime | None = plain("When it ended.")
    vehicle: Vehicle | None = joined(
        "vehicles",
        lambda booking: Number(booking.source.integration, booking.vehicle_plate) if booking.vehicle_plate else None,
        "The vehicle in the system that is master for vehicles, with its live position.",
    )

    is_type_of = accepts(records.Booking)
    resolve_reference = by_id(Kind.BOOKING)


@strawberry.federation.type(keys=["id"], description="What a ride would cost with one product. Not stored anywhere.")
class PriceEstimate(Sourced):
    product: str = plain("The vendor's product.")
    amount: Money | None = plain("Fixed price; null when the vendor gives a range or a meter only.")
    low: Money | None = plain("Lower end of the range.")
    high: Money | None = plain("Upper end of the range.")
    display: str | None = plain("As the vendor shows it to people.")
    surge_multiplier: float | None = plain("Factor on the price when demand is high.")
    distance_km: float | None = plain("Length of the ride in kilometres.")
    duration_seconds: int | None = plain("Length of the ride in seconds.")
    pickup_eta_seconds: int | None = plain("Seconds until a vehicle would be at the pickup.")
    token: str | None = plain("What a booking at this price must quote.")
    expires_at: datetime | None = plain("Until when the price holds.")

    is_type_of = accepts(records.PriceEstimate)
    resolve_reference = by_id(Kind.PRICE_ESTIMATE)
