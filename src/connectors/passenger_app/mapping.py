"""From Uber's shapes to records: statuses, minutes, miles, milliseconds, texts of money."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from connectors.kit import decode
from connectors.kit.decode import Codes
from connectors.kit.errors import MappingFailed
from connectors.kit.integration import Origin
from connectors.passenger_app import wire
from unified import records
from unified.records import BookingStatus, CancelledBy, Connectivity, VehicleState
from unified.values import Money, Place, Position

KM_PER_MILE = Decimal("1.609344")
UNITS = {
    "mile": KM_PER_MILE, "miles": KM_PER_MILE, "mi": KM_PER_MILE,
    "km": Decimal(1), "kilometer": Decimal(1), "kilometers": Decimal(1),
}  # fmt: skip
"""Kilometres per unit of distance. Uber says miles everywhere."""

STATUSES = Codes(
    BookingStatus,
    {
        "scheduled": BookingStatus.SCHEDULED,
        "processing": BookingStatus.PENDING,
        "accepted": BookingStatus.ASSIGNED,
        "arriving": BookingStatus.AT_PICKUP,
        "in_progress": BookingStatus.IN_TRANSIT,
        "completed": BookingStatus.COMPLETED,
        "driver_redispatched": BookingStatus.PENDING,
        "no_drivers_available": BookingStatus.FAILED,
        "rider_canceled": BookingStatus.CANCELLED,
        "coordinator_canceled": BookingStatus.CANCELLED,
        "driver_canceled": BookingStatus.CANCELLED,
        "offer_expired": BookingStatus.CANCELLED,
        "expired": BookingStatus.CANCELLED,
    },
)
CANCELLED_BY = {
    "rider_canceled": CancelledBy.RIDER,
    "coordinator_canceled": CancelledBy.COORDINATOR,
    "driver_canceled": CancelledBy.DRIVER,
    "offer_expired": CancelledBy.SYSTEM,
    "expired": CancelledBy.SYSTEM,
}
STATES = {"accepted": VehicleState.MOVING, "in_progress": VehicleState.MOVING}
"""A car on its way to the guest or with him drives; one that is `arriving` may stand already: unknown."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 100_000_000_000
"""Seconds up to the year 5138, milliseconds from 1973 on: no trip of today can be mistaken."""
_AMOUNT = re.compile(r"\d(?:[\d.,'\u00a0\u202f ]*\d)?")
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def instant(value: wire.Epoch, *, path: str = "$") -> datetime | None:
    """Seconds or milliseconds since 1970 as UTC; null and 0 are "no time". Raises `MappingFailed`."""
    if not value:
        return None
    try:
        if abs(value) >= _MILLISECONDS_FROM:
            return _EPOCH + timedelta(milliseconds=value)
        return _EPOCH + timedelta(seconds=value)
    except (OverflowError, ValueError):
        raise MappingFailed(f"`{path}` is no time", path=path) from None


def kilometres(distance: Decimal | None, unit: str | None) -> float | None:
    """Null for an unknown unit; without one it is miles."""
    factor = UNITS.get((unit or "miles").strip().lower())
    return None if distance is None or factor is None else float(distance * factor)


def seconds(minutes: float | None) -> int | None:
    return None if minutes is None else round(minutes * 60)


def money(amount: Decimal | None, currency: str | None) -> Money | None:
    code = decode.none(currency)
    return Money(amount=amount, currency=code) if amount is not None and code is not None else None


def amount_of(text: str | float | None, currency: str | None) -> Decimal | None:
    """The one number in a text of money (`$10.41`, `₦1,200.00`, `12,50 €`); null for ranges and "Metered"."""
    if text is None or isinstance(text, int | float):
        return decode.decimal(text)
    found = _AMOUNT.findall(text)
    if len(found) != 1:
        return None
    number = re.sub(r"[\s'\u00a0\u202f]", "", found[0])
    points = [place for place, letter in enumerate(number) if letter in ".,"]
    if points:
        decimals = len(number) - points[-1] - 1
        separators = {number[place] for place in points}
        grouped = decimals == 3 and len(separators) == 1 and (currency or "") not in _THREE_DECIMALS
        if grouped or (len(points) > 1 and len(separators) == 1):
            number = re.sub("[.,]", "", number)
        else:
            number = re.sub("[.,]", "", number[: points[-1]]) + "." + number[points[-1] + 1 :]
    sign = "-" if re.search(r"[-\u2212]\s*\D?\s*\d", text) else ""
    return Decimal(sign + number)


def place(stop: wire.Stop | None) -> Place | None:
    if stop is None:
        return None
    address = decode.none(stop.address) or ", ".join(filter(None, (stop.title, stop.subtitle))) or None
    if address is None and stop.latitude is None:
        return None
    return Place(address=address, latitude=stop.latitude, longitude=stop.longitude)


def status_of(trip: wire.Trip) -> BookingStatus:
    """`accepted` is on its way as soon as the car is seen."""
    status = STATUSES[decode.none(trip.status)]
    if status is BookingStatus.ASSIGNED and trip.location is not None:
        return BookingStatus.EN_ROUTE_TO_PICKUP
    return status


def cancelled_by(trip: wire.Trip) -> CancelledBy | None:
    """`status_detail` tells the coordinator from the rider where the status says `rider_canceled` for both."""
    if trip.status == "rider_canceled" and trip.status_detail in CANCELLED_BY:
        return CANCELLED_BY[trip.status_detail]
    return CANCELLED_BY.get(trip.status or "")


def description(vehicle: wire.Vehicle | None) -> str | None:
    if vehicle is None:
        return None
    colour = vehicle.vehicle_color_name or vehicle.color
    return " ".join(filter(None, (colour, vehicle.make, vehicle.model))) or None


def booking(trip: wire.Trip, origin: Origin, *, noticed_at: datetime | None = None) -> records.Booking:
    """`noticed_at` is the time of the webhook that made us read the trip: Uber gives most statuses no time."""
    guest, driver = trip.guest, trip.driver
    requested, started, ended = (
        instant(getattr(trip, name), path=f"$.{name}") for name in ("request_time", "begin_trip_time", "dropoff_time")
    )
    times = [each for each in (requested, started, ended, noticed_at) if each is not None]
    names = (guest.first_name, guest.last_name) if guest else ()
    currency = (trip.fare.currency_code if trip.fare else None) or trip.currency_code
    value = trip.fare.value if trip.fare else None
    stop = trip.destination or trip.dropoff
    product = trip.product or wire.Product()
    return records.Booking(
        source=origin.source(trip.request_id, decode.none(trip.status)),
        updated_at=max(times, default=None),
        status=status_of(trip),
        cancelled_by=cancelled_by(trip),
        product=decode.none(product.display_name) or decode.none(product.product_id) or decode.none(trip.product_id),
        guest_name=" ".join(filter(None, names)) or None,
        guest_phone=decode.none(guest.phone_number) if guest else None,
        driver=records.Driver(
            name=decode.none(driver.name), phone=decode.none(driver.phone_number), rating=driver.rating
        )
        if driver
        else None,
        vehicle_plate=decode.none(trip.vehicle.license_plate) if trip.vehicle else None,
        vehicle_description=description(trip.vehicle),
        pickup=place(trip.pickup),
        dropoff=place(stop),
        pickup_eta_seconds=seconds(trip.pickup.eta) if trip.pickup else None,
        dropoff_eta_seconds=seconds(stop.eta) if stop else None,
        fare=money(value if value is not None else amount_of(trip.client_fare, currency), currency),
        surge_multiplier=trip.surge_multiplier,
        requested_at=requested,
        scheduled_at=instant(trip.scheduling.pickup_time, path="$.scheduling.pickup_time") if trip.scheduling else None,
        started_at=started,
        ended_at=ended,
    )


def vehicle(trip: wire.Trip, origin: Origin) -> records.Vehicle | None:
    """The driver's car; null without a plate. Uber gives a position no time: it is that of the reading."""
    plate = decode.none(trip.vehicle.license_plate) if trip.vehicle else None
    if trip.vehicle is None or plate is None:
        return None
    spot, status = trip.location, decode.none(trip.status)
    seen = spot is not None and -90 <= spot.latitude <= 90 and -180 <= spot.longitude <= 180
    return records.Vehicle(
        source=origin.source(plate, status),
        updated_at=origin.as_of if seen else None,
        name=plate,
        plate=plate,
        model=" ".join(filter(None, (trip.vehicle.make, trip.vehicle.model))) or None,
        connectivity=Connectivity.ONLINE if seen else Connectivity.UNKNOWN,
        state=STATES.get(status or "", VehicleState.UNKNOWN) if seen else VehicleState.UNKNOWN,
        position=Position(
            latitude=spot.latitude,
            longitude=spot.longitude,
            heading_deg=None if spot.bearing is None else spot.bearing % 360,
            recorded_at=origin.as_of,
        )
        if spot is not None and seen
        else None,
    )


def vehicles(trips: list[wire.Trip], origin: Origin) -> dict[str, records.Vehicle]:
    """Cars by plate. One with two trips (the next is accepted before the first ends) shows as on the first."""
    found: dict[str, records.Vehicle] = {}
    for trip in trips:
        car = vehicle(trip, origin)
        if car is None:
            continue
        known = found.get(car.source.external_id)
        if known is None or _rank(car) > _rank(known):
            found[car.source.external_id] = car
    return found


def _rank(car: records.Vehicle) -> tuple[bool, bool]:
    return car.position is not None, car.source.vendor_status == "in_progress"


def price_estimate(given: wire.ProductEstimate, origin: Origin) -> records.PriceEstimate:
    """Identified by its fare, where it has one: that is what a booking must quote."""
    info, product = given.estimate_info, given.product
    fare, span, way = info.fare or wire.Fare(), info.estimate or wire.Range(), info.trip or wire.Way()
    token = decode.none(fare.fare_id)
    name = decode.none(product.display_name) or decode.none(product.product_id) or "unknown"
    return records.PriceEstimate(
        source=origin.source(token or decode.none(product.product_id) or name),
        product=name,
        amount=money(fare.value, fare.currency_code),
        low=money(span.low_estimate, span.currency_code),
        high=money(span.high_estimate, span.currency_code),
        display=decode.none(fare.display) or decode.none(span.display),
        surge_multiplier=span.surge_multiplier,
        distance_km=kilometres(way.distance_estimate, way.distance_unit),
        duration_seconds=None if way.duration_estimate is None else round(way.duration_estimate),
        pickup_eta_seconds=seconds(info.pickup_estimate),
        token=token,
        expires_at=instant(fare.expires_at, path="$.estimate_info.fare.expires_at"),
    )
