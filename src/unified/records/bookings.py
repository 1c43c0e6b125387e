"""Bookings and price estimates."""

from datetime import datetime
from enum import Enum
from typing import ClassVar

from unified.records.base import Kind, Record
from unified.values import Money, Place, Value


class BookingStatus(Enum):
    """Words of the guide's trip contract. Terminal: COMPLETED, CANCELLED, FAILED."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    ASSIGNED = "ASSIGNED"
    EN_ROUTE_TO_PICKUP = "EN_ROUTE_TO_PICKUP"
    AT_PICKUP = "AT_PICKUP"
    IN_TRANSIT = "IN_TRANSIT"
    AT_DESTINATION = "AT_DESTINATION"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"

    @property
    def terminal(self) -> bool:
        """Whether no later status may follow."""
        return self in (BookingStatus.COMPLETED, BookingStatus.CANCELLED, BookingStatus.FAILED)


class CancelledBy(Enum):
    RIDER = "RIDER"
    DRIVER = "DRIVER"
    COORDINATOR = "COORDINATOR"
    SYSTEM = "SYSTEM"


class Driver(Value, frozen=True, kw_only=True):
    """Personal data: shown to permitted callers, never logged."""

    name: str | None = None
    phone: str | None = None
    rating: float | None = None


class Booking(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.BOOKING

    status: BookingStatus
    cancelled_by: CancelledBy | None = None
    product: str | None = None
    guest_name: str | None = None
    guest_phone: str | None = None
    driver: Driver | None = None
    vehicle_plate: str | None = None
    """Plate as the ride-hail system spells it; null before a driver is assigned."""
    vehicle_description: str | None = None
    pickup: Place | None = None
    dropoff: Place | None = None
    pickup_eta_seconds: int | None = None
    dropoff_eta_seconds: int | None = None
    fare: Money | None = None
    surge_multiplier: float | None = None
    requested_at: datetime | None = None
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class PriceEstimate(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.PRICE_ESTIMATE

    product: str
    amount: Money | None = None
    """Null when the vendor quotes a range or a meter only."""
    low: Money | None = None
    high: Money | None = None
    display: str | None = None
    surge_multiplier: float | None = None
    distance_km: float | None = None
    duration_seconds: int | None = None
    pickup_eta_seconds: int | None = None
    token: str | None = None
    """What a booking at this price must quote (`fare_id`)."""
    expires_at: datetime | None = None
