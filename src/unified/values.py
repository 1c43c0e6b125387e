"""Values that records are made of: quantities, money, places, times."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

GeoJson = dict[str, Any]
"""A GeoJSON geometry (RFC 7946): longitude first, WGS 84."""


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value without identity: equal when its fields are equal."""


class Quantity(Value, frozen=True, kw_only=True):
    """An amount with its unit, as UN/ECE Recommendation 20 codes where the vendor has them (`PCE`, `KGM`)."""

    value: Decimal
    unit: str


class Money(Value, frozen=True, kw_only=True):
    """An amount in major units (12.50) with its ISO 4217 currency."""

    amount: Decimal
    currency: str


class Place(Value, frozen=True, kw_only=True):
    """A place that people speak of: an address, a point, or both."""

    address: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Position(Value, frozen=True, kw_only=True):
    """A fix of something that moves. Degrees are WGS 84.

    `recorded_at` is the time of the fix at the device, `received_at` the time at the vendor's server.
    `stale` is true when the vendor says that the fix was copied from an earlier message or is invalid.
    """

    latitude: float
    longitude: float
    altitude_m: float | None = None
    accuracy_m: float | None = None
    speed_kmh: float | None = None
    heading_deg: float | None = None
    satellites: int | None = None
    recorded_at: datetime
    received_at: datetime | None = None
    stale: bool = False


class BoundingBox(Value, frozen=True, kw_only=True):
    """A box in degrees; `west` greater than `east` means that it crosses the antimeridian."""

    south: float
    west: float
    north: float
    east: float

    def contains(self, latitude: float, longitude: float) -> bool:
        """Whether the point lies in the box, its edges included."""
        if not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east


class System(Enum):
    """A kind of vendor system; each has one connector. The value is the connector's name in settings."""

    SAP_EWM = "sap-ewm"
    TEAMCENTER = "teamcenter"
    EQUIPMENT = "equipment"
    C4ISR = "c4isr"
    PASSENGER_APP = "passenger-app"
    TRACCAR = "traccar"
    SAP_ERP = "sap-erp"
    ORACLE_FUSION = "oracle-fusion"
    MINESTAR = "minestar"
    GT02 = "gt02"


def utc(moment: datetime) -> datetime:
    """The same moment in UTC. Raises `ValueError` for a naive time: guessing a zone is never right."""
    if moment.tzinfo is None:
        raise ValueError(f"the time {moment.isoformat()} has no zone")
    return moment.astimezone(UTC)
