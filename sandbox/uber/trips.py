"""Trips as Uber shows them: the world's bookings, and those that clients asked for, with what they changed."""

import base64
import binascii
import json
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from sandbox.world import TERMINAL, Booking, Place, Step, World

PRODUCTS: Final = {
    name: str(uuid5(NAMESPACE_URL, f"https://sandbox.invalid/products/{name}"))
    for name in ("UberX", "Comfort", "UberXL")
}
ENDED: Final = TERMINAL | {"coordinator_canceled", "driver_canceled", "offer_expired"}
WITH_DRIVER: Final = frozenset({"accepted", "arriving", "in_progress", "completed"})
KEPT: Final = 500
"""Trips of clients that are remembered; older ones are forgotten."""
METRES_PER_MILE: Final = 1609.344
DRIVER_STATES: Final = {
    "ACCEPT": "accepted", "ARRIVED": "arriving", "BEGIN_TRIP": "in_progress", "DROPOFF": "completed",
    "CANCEL": "driver_canceled",
}  # fmt: skip
_ORDER: Final = ("processing", "accepted", "arriving", "in_progress", "completed")


class BadKey(ValueError):
    """A `start_key` that we did not give."""


@dataclass(slots=True)
class Asked:
    """A trip that a client asked for. `told` replaces the world's course of things where it is not empty."""

    booking: Booking
    product: str
    pickup_day: date | None = None
    """Flexible rides only: they wait for their dispatch and expire with their day."""
    dispatched: bool = False
    run_id: str | None = None
    told: list[tuple[str, datetime]] = field(default_factory=list)

    def status_at(self, at: datetime) -> tuple[str, datetime]:
        """Status and when it began."""
        past = [one for one in self.told if one[1] <= at]
        if self.pickup_day is not None and not self.dispatched:
            end = datetime.combine(self.pickup_day + timedelta(days=1), datetime.min.time(), tzinfo=at.tzinfo)
            if past:
                return past[-1]
            return ("expired", end) if at >= end else ("scheduled", self.booking.created_at)
        if past:
            return past[-1]
        if self.run_id is not None:  # somebody plays the driver
            return "processing", self.booking.created_at
        state = self.booking.state_at(at)
        return state.status, state.changed_at


class Trips:
    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: OrderedDict[str, Asked] = OrderedDict()
        self.cancelled: OrderedDict[str, datetime] = OrderedDict()
        """Bookings of the world that a client cancelled."""

    def forget(self) -> None:
        self.asked.clear()
        self.cancelled.clear()

    def keep(self, trip: Asked) -> None:
        self.asked[trip.booking.id] = trip
        while len(self.asked) > KEPT:
            self.asked.popitem(last=False)

    def find(self, trip_id: str) -> tuple[Booking, Asked | None] | None:
        """Case matters not, as with all UUIDs; a booking of the future is not there yet."""
        try:
            trip_id = str(UUID(trip_id))
        except ValueError:
            return None
        asked = self.asked.get(trip_id)
        if asked is not None:
            return asked.booking, asked
        booking = self.world.bookings.get(trip_id)
        return (booking, None) if booking is not None and booking.created_at <= self.world.now() else None

    def status(self, booking: Booking, asked: Asked | None, at: datetime) -> tuple[str, datetime]:
        if asked is not None:
            return asked.status_at(at)
        gone = self.cancelled.get(booking.id)
        if gone is not None and gone <= at:
            return "rider_canceled", gone
        state = booking.state_at(at)
        return state.status, state.changed_at

    def cancel(self, booking: Booking, asked: Asked | None) -> None:
        now = self.world.now()
        if asked is not None:
            asked.told.append(("rider_canceled", now))
            return
        self.cancelled[booking.id] = now
        while len(self.cancelled) > KEPT:
            self.cancelled.popitem(last=False)

    def drive(self, run_id: str, state: str) -> int:
        """The driver of a sandbox run does something; how many trips it concerned."""
        status, moved = DRIVER_STATES[state], 0
        for trip in self.asked.values():
            current = trip.status_at(self.world.now())[0]
            if trip.run_id != run_id or current in ENDED:
                continue
            follows = status == "driver_canceled" or (
                current in _ORDER and status in _ORDER and _ORDER.index(status) == _ORDER.index(current) + 1
            )
            if follows:
                trip.told.append((status, self.world.now()))
                moved += 1
        return moved

    def page(self, wanted: str, start_key: str | None, limit: int) -> tuple[list[dict[str, Any]], str]:
        """Oldest first. Raises `BadKey`."""
        now = self.world.now()
        after = _read_key(start_key, wanted) if start_key else ("", "")
        rows: list[tuple[str, str, Booking, Asked | None]] = [
            (one.created_at.isoformat(), one.id, one, None) for one in self.world.bookings.at(now)
        ]
        rows += [(one.booking.created_at.isoformat(), key, one.booking, one) for key, one in self.asked.items()]
        found = sorted(
            (row for row in rows if self._list_of(row[2], row[3], now) == wanted and row[:2] > after),
            key=lambda row: row[:2],
        )
        shown = found[:limit]
        key = _write_key(wanted, *shown[-1][:2]) if len(found) > limit else ""
        return [self.show(one, asked) for _, _, one, asked in shown], key

    def _list_of(self, booking: Booking, asked: Asked | None, at: datetime) -> str:
        status, _ = self.status(booking, asked, at)
        if status in ("expired", "offer_expired"):
            return "EXPIRED"
        return "PAST" if status in ENDED else "ACTIVE"

    def steps(self, start: datetime, end: datetime) -> list[tuple[Booking, str, datetime]]:
        """Every change of status with start ≤ time < end, oldest first."""
        found: list[tuple[Booking, str, datetime]] = [
            (one, step.status, step.at)
            for one, step in self.world.bookings.steps(start, end)
            if step.at < self.cancelled.get(one.id, end)
        ]
        for trip_id, at in self.cancelled.items():
            booking = self.world.bookings.get(trip_id)
            if booking is not None and start <= at < end:
                found.append((booking, "rider_canceled", at))
        for trip in self.asked.values():
            told: list[tuple[str, datetime]] = list(trip.told)
            if trip.run_id is None and (trip.pickup_day is None or trip.dispatched):
                first = trip.told[0][1] if trip.told else end
                told += [(step.status, step.at) for step in trip.booking.steps if step.at < first]
            found += [(trip.booking, status, at) for status, at in told if start <= at < end]
        return sorted(found, key=lambda one: (one[2], one[0].id))

    # --- as JSON

    def show(self, booking: Booking, asked: Asked | None) -> dict[str, Any]:
        now = self.world.now()
        status, changed = self.status(booking, asked, now)
        state = booking.state_at(now)
        product = asked.product if asked else booking.product
        driven = status in WITH_DRIVER
        scheduled = booking.scheduled_for
        told: dict[str, Any] = {
            "request_id": booking.id,
            "status": status,
            "product": {"product_id": PRODUCTS[product], "display_name": product},
            "guest": {
                "guest_id": booking.guest_id,
                "first_name": booking.guest_first_name,
                "last_name": booking.guest_last_name,
                "phone_number": booking.guest_phone,
                "locale": "en",
            },
            "pickup": _stop(booking.pickup),
            "destination": _stop(booking.dropoff),
            "client_fare": f"₦{booking.fare:,.2f}",
            "currency_code": booking.currency,
            "surge_multiplier": 1.0,
            "trip_distance_miles": round(booking.distance_m / METRES_PER_MILE, 2),
            "request_time": milliseconds(booking.created_at),
            "can_tip": status == "completed",
            "driver": None,
            "vehicle": None,
            "location": None,
        }
        if status == "rider_canceled":
            by_hand = asked is not None or booking.id in self.cancelled
            told["status_detail"] = "coordinator_canceled" if by_hand else "rider_canceled"
        if scheduled is not None:
            told["scheduling"] = {"pickup_time": milliseconds(scheduled)}
        if asked is not None and asked.pickup_day is not None:
            told["deferred_ride_options"] = {"pickup_day": asked.pickup_day.isoformat()}
        if driven:
            told["driver"] = {
                "id": str(uuid5(NAMESPACE_URL, booking.driver_phone)),
                "name": booking.driver_name,
                "phone_number": booking.driver_phone,
                "rating": float(booking.driver_rating),
            }
            told["vehicle"] = {
                "make": booking.vehicle.make,
                "model": booking.vehicle.model,
                "license_plate": booking.vehicle.uber_plate,
                "vehicle_color_name": booking.vehicle.colour,
            }
        if driven and status != "completed":
            car = booking.vehicle.state_at(now)
            told["location"] = {
                "latitude": car.latitude,
                "longitude": car.longitude,
                "bearing": round(car.course_deg) % 360,
            }
            if status != "in_progress" and state.pickup_eta_s is not None:
                told["pickup"]["eta"] = -(-state.pickup_eta_s // 60)
            if state.dropoff_eta_s is not None:
                told["destination"]["eta"] = -(-state.dropoff_eta_s // 60)
        if status in ("in_progress", "completed"):
            told["begin_trip_time"] = milliseconds(_began(booking, asked, "in_progress") or changed)
        if status == "completed":
            told["dropoff_time"] = milliseconds(changed)
        return told


def _began(booking: Booking, asked: Asked | None, status: str) -> datetime | None:
    steps: list[tuple[str, datetime]] = [(step.status, step.at) for step in booking.steps]
    if asked is not None and asked.told:
        steps = asked.told
    return next((at for name, at in steps if name == status), None)


def _stop(place: Place) -> dict[str, Any]:
    title, _, subtitle = place.address.partition(", ")
    return {
        "address": place.address,
        "title": title,
        "subtitle": subtitle,
        "latitude": place.latitude,
        "longitude": place.longitude,
    }


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def begun(booking: Booking, at: datetime) -> Booking:
    """The same booking, its first step at `at`: for flexible rides that are dispatched later than asked for."""
    shift = at - booking.steps[0].at
    return replace(
        booking,
        steps=tuple(Step(step.status, step.at + shift) for step in booking.steps),
        pickup_at=booking.pickup_at + shift,
        dropoff_at=booking.dropoff_at + shift,
    )


def _write_key(wanted: str, created: str, trip_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([wanted, created, trip_id]).encode()).decode()


def _read_key(key: str, wanted: str) -> tuple[str, str]:
    try:
        status, created, trip_id = json.loads(base64.urlsafe_b64decode(key.encode()))
    except (binascii.Error, ValueError, TypeError) as exc:
        raise BadKey from exc
    if status != wanted or not isinstance(created, str) or not isinstance(trip_id, str):
        raise BadKey
    return created, trip_id
