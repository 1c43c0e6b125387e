"""Ride-hail bookings: for every car one in each twelve minutes, from the time alone.

A car never has two at once. Pick-up and drop-off are where the car will be at those moments, so that a trip
starts and ends where its car is.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal
from uuid import UUID

from sandbox.world.chance import Chance, moment, seconds
from sandbox.world.geo import distance_m
from sandbox.world.vehicles import Vehicle, VehicleState

BookingStatus = Literal[
    "scheduled",
    "processing",
    "accepted",
    "arriving",
    "in_progress",
    "completed",
    "rider_canceled",
    "no_drivers_available",
    "driver_redispatched",
]
WITH_CAR: Final[frozenset[BookingStatus]] = frozenset({"accepted", "arriving", "in_progress"})
TERMINAL: Final[frozenset[BookingStatus]] = frozenset({"completed", "rider_canceled", "no_drivers_available"})

SLOT_S: Final = 720
PAST_S: Final = 36 * 60
"""How long a booking stays in the list after its slot began."""
AHEAD_S: Final = 18 * 60
"""How early a scheduled booking comes into it."""


@dataclass(frozen=True, slots=True)
class Place:
    address: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Step:
    status: BookingStatus
    at: datetime


@dataclass(frozen=True, slots=True)
class BookingState:
    status: BookingStatus
    changed_at: datetime
    car: VehicleState | None
    """Where the car is from accepted to in progress, else None."""
    pickup_eta_s: int | None
    """Seconds until the pick-up; None once it is past or no car has accepted."""
    dropoff_eta_s: int | None

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class Booking:
    id: str
    """A UUID in lower case."""
    guest_id: str
    guest_first_name: str
    guest_last_name: str
    guest_phone: str
    """E.164."""
    vehicle: Vehicle = field(repr=False)
    driver_name: str
    driver_phone: str
    driver_rating: Decimal
    product: str
    pickup: Place
    dropoff: Place
    created_at: datetime
    scheduled_for: datetime | None
    """Wanted pick-up time of one that was booked ahead."""
    steps: tuple[Step, ...]
    """Every status with the time it begins, oldest first, to the last."""
    pickup_at: datetime
    """As planned, also for those that come to nothing."""
    dropoff_at: datetime
    fare: Decimal
    currency: str
    distance_m: int

    @property
    def requested_at(self) -> datetime:
        """When a car begins to be looked for."""
        return next(step.at for step in self.steps if step.status == "processing")

    def state_at(self, at: datetime) -> BookingState:
        """Before `created_at` the first status."""
        step = next((one for one in reversed(self.steps) if one.at <= at), self.steps[0])
        if step.status not in WITH_CAR:
            return BookingState(step.status, step.at, None, None, None)
        return BookingState(
            status=step.status,
            changed_at=step.at,
            car=self.vehicle.state_at(at),
            pickup_eta_s=None if at >= self.pickup_at else int((self.pickup_at - at).total_seconds()),
            dropoff_eta_s=max(int((self.dropoff_at - at).total_seconds()), 0),
        )


_STREETS: Final = (
    "Broad Street", "Marina Road", "Awolowo Road", "Ring Road", "Airport Road", "Station Road", "Unity Close",
    "Market Square", "Palm Avenue", "Harbour Lane", "Independence Way", "Hospital Road",
)  # fmt: skip
_PRODUCTS: Final = ("UberX", "UberX", "UberX", "Comfort", "UberXL")
_LOW_62: Final = (1 << 62) - 1


def _mask(high: int) -> int:
    return int.from_bytes(hashlib.sha256(f"booking:{high:016x}".encode()).digest()[:8], "big") & _LOW_62


def booking_id(car: int, slot: int) -> str:
    """A version 4 UUID that hides car (0 to 63) and slot, so that any old booking can be found again."""
    digest = hashlib.sha256(f"{car}:{slot}".encode()).digest()
    high = int.from_bytes(digest[:8], "big") & ~0xF000 | 0x4000
    low = ((car << 48 | slot + (1 << 40)) ^ _mask(high)) & _LOW_62 | 0b10 << 62
    return str(UUID(int=high << 64 | low))


def _hidden(identifier: str) -> tuple[int, int] | None:
    try:
        number = UUID(identifier).int
    except ValueError:
        return None
    high, low = number >> 64, number & _LOW_62
    plain = low ^ _mask(high)
    car, slot = plain >> 48, (plain & (1 << 48) - 1) - (1 << 40)
    return (car, slot) if booking_id(car, slot) == identifier.lower() else None


def _steps(chance: Chance, begun: float) -> tuple[list[tuple[BookingStatus, float]], float, float]:
    """Statuses with the second they begin; planned pick-up and drop-off, seconds since the anchor."""
    accepted = begun + chance.between(15, 45)
    arriving = accepted + chance.between(40, 120)
    pickup = arriving + chance.between(20, 60)
    dropoff = pickup + chance.between(120, 300)
    steps: list[tuple[BookingStatus, float]] = [("processing", begun)]
    draw = chance.below(100)
    if draw < 5:
        return [*steps, ("no_drivers_available", accepted)], pickup, dropoff
    steps.append(("accepted", accepted))
    if draw < 13:
        return [*steps, ("rider_canceled", (accepted + arriving) // 2)], pickup, dropoff
    if draw < 18:
        # The driver gives it back and, a little later, takes it again.
        steps += [("driver_redispatched", accepted + 15), ("accepted", accepted + 35)]
    return [*steps, ("arriving", arriving), ("in_progress", pickup), ("completed", dropoff)], pickup, dropoff


def _place(chance: Chance, vehicle: Vehicle, at_s: float) -> Place:
    spot = vehicle.state_at(moment(at_s))
    address = f"{chance.between(1, 180)} {chance.pick(_STREETS)}, {vehicle.site.city}"
    return Place(address, spot.latitude, spot.longitude)


def _fare(chance: Chance, metres: float, ride_s: float) -> Decimal:
    """In naira, rounded up to tens."""
    tens = math.ceil((700 + metres * 0.22 + ride_s * 0.9) * chance.span(1.0, 1.3) / 10)
    return Decimal(tens * 10).quantize(Decimal("0.01"))


class Bookings:
    """All bookings there ever were and will be; made when asked for, a few thousand are kept."""

    def __init__(self, cars: Sequence[Vehicle]) -> None:
        self._cars = tuple(cars)
        self._kept = lru_cache(maxsize=4096)(self._make)

    def _make(self, car: int, slot: int) -> Booking:
        vehicle = self._cars[car]
        identifier = booking_id(car, slot)
        chance = Chance(f"booking:{identifier}")
        slot_s = slot * SLOT_S + car * (SLOT_S // len(self._cars))
        begun = float(slot_s + chance.between(0, 120))
        ahead = chance.happens(0.5)
        plan, pickup, dropoff = _steps(chance, begun)
        created = float(slot_s - AHEAD_S) if ahead else begun
        steps: list[tuple[BookingStatus, float]] = [("scheduled", created), *plan] if ahead else plan
        guest = (*chance.person(), chance.phone())
        return self._booking(identifier, vehicle, chance, steps, pickup=pickup, dropoff=dropoff, guest=guest)

    def _booking(
        self,
        identifier: str,
        vehicle: Vehicle,
        chance: Chance,
        steps: Sequence[tuple[BookingStatus, float]],
        *,
        pickup: float,
        dropoff: float,
        guest: tuple[str, str, str],
        places: tuple[Place, Place] | None = None,
    ) -> Booking:
        start, end = places or (_place(chance, vehicle, pickup), _place(chance, vehicle, dropoff))
        metres = distance_m((start.latitude, start.longitude), (end.latitude, end.longitude)) * 1.3
        rating = Decimal(chance.between(430, 500)) / 100
        return Booking(
            id=identifier,
            guest_id=str(UUID(bytes=hashlib.sha256(f"guest:{guest[2]}".encode()).digest()[:16], version=4)),
            guest_first_name=guest[0],
            guest_last_name=guest[1],
            guest_phone=guest[2],
            vehicle=vehicle,
            driver_name=vehicle.driver_name,
            driver_phone=vehicle.driver_phone,
            driver_rating=rating.quantize(Decimal("0.01")),
            product=chance.pick(_PRODUCTS),
            pickup=start,
            dropoff=end,
            created_at=moment(steps[0][1]),
            scheduled_for=moment(pickup) if steps[0][0] == "scheduled" else None,
            steps=tuple(Step(status, moment(at)) for status, at in steps),
            pickup_at=moment(pickup),
            dropoff_at=moment(dropoff),
            fare=_fare(chance, metres, dropoff - pickup),
            currency="NGN",
            distance_m=int(metres),
        )

    def get(self, identifier: str) -> Booking | None:
        """Any of this world's, however old; None for ids it never gave and for a car it does not have."""
        found = _hidden(identifier)
        if found is None or not 0 <= found[0] < len(self._cars):
            return None
        return self._kept(*found)

    def at(self, at: datetime) -> list[Booking]:
        """About 60: past, active and scheduled ones, oldest first."""
        second = seconds(at)
        found: list[Booking] = []
        for car in range(len(self._cars)):
            shift = car * (SLOT_S // len(self._cars))
            first = math.ceil((second - PAST_S - shift) / SLOT_S)
            last = math.floor((second + AHEAD_S - shift) / SLOT_S)
            found += [self._kept(car, slot) for slot in range(first, last + 1)]
        visible = [one for one in found if one.created_at <= at]
        return sorted(visible, key=lambda one: (one.created_at, one.id))

    def request(
        self,
        identifier: str,
        at: datetime,
        guest: tuple[str, str, str],
        pickup: Place,
        dropoff: Place,
        *,
        scheduled_for: datetime | None = None,
    ) -> Booking:
        """One that somebody asks for now: first name, last name, phone; same lifecycle, the nearest car.

        It is not kept: whoever asks keeps it. It always completes, unless the asker cancels it on his side.
        """
        chance = Chance(f"request:{identifier}")
        spot = pickup.latitude, pickup.longitude

        def away(one: Vehicle) -> float:
            state = one.state_at(at)
            return distance_m(spot, (state.latitude, state.longitude))

        vehicle = min(self._cars, key=away)
        begun = seconds(scheduled_for - timedelta(minutes=3) if scheduled_for else at)
        accepted = begun + chance.between(15, 30)
        arriving = accepted + chance.between(40, 80)
        picked = arriving + chance.between(20, 40)
        dropped = picked + chance.between(120, 300)
        steps: list[tuple[BookingStatus, float]] = [
            ("processing", begun),
            ("accepted", accepted),
            ("arriving", arriving),
            ("in_progress", picked),
            ("completed", dropped),
        ]
        if begun > seconds(at):
            steps.insert(0, ("scheduled", seconds(at)))
        return self._booking(
            identifier,
            vehicle,
            chance,
            steps,
            pickup=picked,
            dropoff=dropped,
            guest=guest,
            places=(pickup, dropoff),
        )

    def steps(self, start: datetime, end: datetime) -> list[tuple[Booking, Step]]:
        """Every change of status with start ≤ time < end, oldest first; what webhooks are made of."""
        first = int((seconds(start) - SLOT_S * 3) // SLOT_S)
        last = int((seconds(end) + AHEAD_S + SLOT_S) // SLOT_S)
        found = [
            (booking, step)
            for car in range(len(self._cars))
            for slot in range(first, last + 1)
            for booking in (self._kept(car, slot),)
            for step in booking.steps
            if start <= step.at < end
        ]
        return sorted(found, key=lambda pair: (pair[1].at, pair[0].id))
