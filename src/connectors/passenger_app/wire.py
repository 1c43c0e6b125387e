"""Shapes of Uber Guest Rides v1, in Uber's words. What is optional here is missing in some status or some app."""

from decimal import Decimal

import msgspec

Epoch = int | float | None
"""Seconds or milliseconds since 1970, as the field pleases."""


class Guest(msgspec.Struct):
    guest_id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    phone_number: str | None = None


class Driver(msgspec.Struct):
    name: str | None = None
    phone_number: str | None = None
    rating: float | None = None


class Vehicle(msgspec.Struct):
    make: str | None = None
    model: str | None = None
    license_plate: str | None = None
    vehicle_color_name: str | None = None
    color: str | None = None


class Location(msgspec.Struct):
    latitude: float
    longitude: float
    bearing: float | None = None


class Stop(msgspec.Struct):
    """`eta` in minutes."""

    latitude: float | None = None
    longitude: float | None = None
    address: str | None = None
    title: str | None = None
    subtitle: str | None = None
    eta: float | None = None


class Product(msgspec.Struct):
    product_id: str | None = None
    display_name: str | None = None


class Fare(msgspec.Struct):
    value: Decimal | None = None
    fare_id: str | None = None
    currency_code: str | None = None
    display: str | None = None
    expires_at: Epoch = None


class Scheduling(msgspec.Struct):
    pickup_time: Epoch = None


class Trip(msgspec.Struct):
    """Also v1.2's `request`, which has neither guest nor times."""

    request_id: str
    status: str | None = None
    status_detail: str | None = None
    product: Product | None = None
    product_id: str | None = None
    guest: Guest | None = None
    driver: Driver | None = None
    vehicle: Vehicle | None = None
    location: Location | None = None
    pickup: Stop | None = None
    destination: Stop | None = None
    dropoff: Stop | None = None
    client_fare: str | float | None = None
    """Text with a sign of currency (`$10.41`); the currency itself is in `currency_code`."""
    fare: Fare | None = None
    currency_code: str | None = None
    surge_multiplier: float | None = None
    scheduling: Scheduling | None = None
    request_time: Epoch = None
    begin_trip_time: Epoch = None
    dropoff_time: Epoch = None


class TripPage(msgspec.Struct):
    trips: list[Trip]
    next_key: str | None = None


class Range(msgspec.Struct):
    low_estimate: Decimal | None = None
    high_estimate: Decimal | None = None
    currency_code: str | None = None
    display: str | None = None
    surge_multiplier: float | None = None


class Way(msgspec.Struct):
    distance_unit: str | None = None
    distance_estimate: Decimal | None = None
    duration_estimate: int | float | None = None


class EstimateInfo(msgspec.Struct):
    """`pickup_estimate` in minutes; null when no car is near."""

    fare: Fare | None = None
    estimate: Range | None = None
    trip: Way | None = None
    pickup_estimate: float | None = None


class ProductEstimate(msgspec.Struct):
    product: Product
    estimate_info: EstimateInfo


class Estimates(msgspec.Struct):
    product_estimates: list[ProductEstimate]


class Meta(msgspec.Struct):
    resource_id: str | None = None
    status: str | None = None
    org_uuid: str | None = None


class Notice(msgspec.Struct):
    """A webhook: thin, never trusted beyond the id of the trip. `event_time` in seconds."""

    event_id: str
    event_type: str
    event_time: Epoch = None
    meta: Meta | None = None
    resource_href: str | None = None
