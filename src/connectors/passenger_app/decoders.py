"""The kinds of payload that Uber sends, each with its reader; the live path uses the same."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from connectors.kit import decode
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from connectors.kit.reading import having, reading, top_names
from connectors.passenger_app import gtfs, mapping, older, push, webhook, wire
from unified.values import Value

TRIPS, TRIP, WEBHOOK = "uber-trips", "uber-trip", "uber-webhook"
"""Names of the decoders that the live path uses."""


class TripNotice(Value, frozen=True, kw_only=True):
    """What a webhook says. The live path reads the trip itself before it believes anything."""

    event_id: str
    event_type: str
    event_time: datetime | None = None
    trip_id: str | None = None
    vendor_status: str | None = None


def read_trips(payload: Payload) -> list[wire.Trip]:
    """The trips of either answer. Raises `BadPayload`."""
    if "trips" in top_names(payload.body):
        return decode.json(payload.body, wire.TripPage).trips
    return [decode.json(payload.body, wire.Trip)]


def records_of(trips: list[wire.Trip], origin: Origin) -> Iterable[Decoded]:
    """Bookings, then the cars that can be seen."""
    yield from (mapping.booking(trip, origin) for trip in trips)
    yield from (car for car in mapping.vehicles(trips, origin).values() if car.position is not None)


def _page(answer: wire.TripPage, origin: Origin) -> Iterable[Decoded]:
    return records_of(answer.trips, origin)


def _trip(answer: wire.Trip, origin: Origin) -> Iterable[Decoded]:
    return records_of([answer], origin)


def _estimates(answer: wire.Estimates, origin: Origin) -> Iterable[Decoded]:
    return [mapping.price_estimate(each, origin) for each in answer.product_estimates]


def _notice(payload: Payload, _origin: Origin) -> Iterable[Decoded]:
    given = webhook.notice(payload)
    yield TripNotice(
        event_id=given.event_id,
        event_type=given.event_type,
        event_time=mapping.instant(given.event_time, path="$.event_time"),
        trip_id=webhook.trip_id(given) if webhook.concerns(given) else None,
        vendor_status=given.meta.status if given.meta else None,
    )


def _feed(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    return gtfs.read(payload.body, origin)


DECODERS: Sequence[Decoder] = (
    Decoder(
        name="gtfs-realtime",
        description="GTFS-Realtime feed of vehicle positions (protobuf)",
        read=_feed,
        recognises=lambda payload: gtfs.looks_like(payload.body),
    ),
    Decoder(
        name=WEBHOOK,
        description="Webhook of Guest Rides: a trip's status changed, its receipt is ready",
        read=_notice,
        recognises=having("event_id", "event_type"),
    ),
    Decoder(
        name=TRIPS,
        description="Answer of /v1/guests/trips: a page of trips",
        read=reading(wire.TripPage, _page),
        recognises=having("trips"),
    ),
    Decoder(
        name="uber-receipt",
        description="Answer of .../receipt",
        read=older.receipt,
        recognises=having("request_id", "total_fare"),
    ),
    Decoder(
        name=TRIP,
        description="Answer of /v1/guests/trips/{request_id}, or a request of v1.2",
        read=reading(wire.Trip, _trip),
        recognises=having("request_id", "status"),
    ),
    Decoder(
        name="uber-estimates",
        description="Answer of /v1/guests/trips/estimates",
        read=reading(wire.Estimates, _estimates),
        recognises=having("product_estimates"),
    ),
    Decoder(
        name="uber-products",
        description="Products of v1.2",
        read=older.products,
        recognises=having("products"),
    ),
    Decoder(
        name="uber-price-estimates",
        description="Price estimates of v1.2",
        read=older.prices,
        recognises=having("prices"),
    ),
    Decoder(
        name="uber-time-estimates",
        description="Pick-up times of v1.2",
        read=older.times,
        recognises=having("times"),
    ),
    Decoder(
        name="uber-fare-quote",
        description="Quote of v1.2: answer of /v1.2/requests/estimate",
        read=older.quote,
        recognises=having("fare", "pickup_estimate"),
    ),
    Decoder(
        name="uber-payment-methods",
        description="Payment methods of v1.2",
        read=older.methods,
        recognises=having("payment_methods"),
    ),
    Decoder(
        name="uber-token",
        description="Answer of the token endpoint; the token itself is left out",
        read=older.token,
        recognises=having("access_token", "token_type"),
    ),
    Decoder(
        name="fcm-error",
        description="Refusal of a push notification by FCM",
        read=push.refused,
        recognises=lambda payload: top_names(payload.body) == {"error"} and b'"details"' in payload.body,
    ),
    Decoder(
        name="fcm-message",
        description="Push notification as FCM takes it; the device's token is left out",
        read=push.message,
        recognises=lambda payload: top_names(payload.body) == {"message"} and b'"token"' in payload.body,
    ),
    Decoder(
        name="uber-error",
        description="Error answer of Guest Rides or v1.2, surge among them",
        read=older.refusal,
        recognises=lambda payload: (
            bool(top_names(payload.body) & {"errors", "code"}) and bool(top_names(payload.body) & {"message", "errors"})
        ),
    ),
)
