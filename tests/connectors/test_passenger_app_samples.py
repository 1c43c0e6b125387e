"""Every sample of the interface, read to its exact values by the decoders that the live path uses."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.transit import gtfs_realtime_pb2

from connectors.kit.errors import BadPayload, MappingFailed, SignatureInvalid
from connectors.kit.http import OutcomeKind
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.manifest import Decoded, Payload
from connectors.kit.services import Services
from connectors.passenger_app import PassengerApp, answers, gtfs
from connectors.passenger_app.decoders import TripNotice
from connectors.passenger_app.older import (
    Charge,
    PaymentMethod,
    PickupTime,
    Receipt,
    Refusal,
    RideProduct,
    Surge,
    TokenGrant,
)
from connectors.passenger_app.push import PushMessage, PushRefused
from unified.records import Booking, BookingStatus, Connectivity, PriceEstimate, Vehicle, VehicleState
from unified.values import Money, Place, Position, System

SAMPLES = Path(__file__).parents[1] / "samples" / "passenger-app"
ORIGIN = Origin(integration="uber", system=System.PASSENGER_APP, as_of=datetime(2026, 11, 25, 9, 30, tzinfo=UTC))


def usd(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="USD")


def decoded_of(payload: Payload) -> list[Decoded]:
    """By the first decoder that recognises it, as `crossdock decode` does."""
    decoder = next(each for each in PassengerApp.manifest.decoders if each.recognises(payload))
    return list(decoder.read(payload, ORIGIN))


def decoded(name: str) -> list[Any]:
    return decoded_of(Payload(body=(SAMPLES / name).read_bytes()))


def only(name: str) -> Any:
    found = decoded(name)
    assert len(found) == 1
    return found[0]


def test_every_sample_is_read_by_one_decoder_and_no_other() -> None:
    for path in sorted(SAMPLES.glob("*")):
        if path.suffix not in (".json", ".pb"):
            continue
        payload = Payload(body=path.read_bytes())
        takers = [each.name for each in PassengerApp.manifest.decoders if each.recognises(payload)]
        assert len(takers) == 1, (path.name, takers)


# --- v1.2


def test_products() -> None:
    found = decoded("uber.products.json")
    assert len(found) == 9
    assert found[0] == RideProduct(
        product_id="26546650-e557-4a7b-86e7-6a3942445247",
        name="POOL",
        capacity=2,
        group="Rideshare",
        shared=True,
        upfront_fare=True,
        cash=False,
    )
    assert [each.capacity for each in found] == [2, 4, 6, 4, 4, 6, 4, 4, 4]
    assert [each.upfront_fare for each in found].count(False) == 1


def test_price_estimates() -> None:
    found: list[PriceEstimate] = decoded("uber.price_estimates.json")
    assert len(found) == 9
    first, taxi = found[0], found[-1]
    assert (first.product, first.low, first.high, first.display) == ("POOL", usd("7.0"), usd("9.0"), "$7-8")
    assert (first.distance_km, first.duration_seconds) == (3.15431424, 540)
    assert first.source.external_id == "26546650-e557-4a7b-86e7-6a3942445247"
    assert (first.amount, first.token, first.pickup_eta_seconds) == (None, None, None)
    assert (taxi.product, taxi.low, taxi.high, taxi.display) == ("TAXI", None, None, "Metered")


def test_time_estimates() -> None:
    found: list[PickupTime] = decoded("uber.time_estimates.json")
    assert len(found) == 8
    assert found[0] == PickupTime(
        product_id="26546650-e557-4a7b-86e7-6a3942445247", product="POOL", pickup_eta_seconds=240
    )
    assert [each.pickup_eta_seconds for each in found] == [240, 240, 240, 300, 180, 180, 420, 300]


def test_a_quote_has_a_fare_that_expires() -> None:
    found: PriceEstimate = only("uber.fare_quote.json")
    fare = "254f6a83aaa08f12f505f5f75a4ade69f1fe62cd5092dfbc48f5388134681249"
    assert (found.source.external_id, found.token) == (fare, fare)
    assert (found.amount, found.display) == (usd("11.41"), "$11.41")
    assert found.expires_at == datetime(2016, 10, 20, 8, 38, 23, tzinfo=UTC)
    assert (found.distance_km, found.duration_seconds, found.pickup_eta_seconds) == (3.15431424, 540, 240)


@pytest.mark.parametrize(("name", "eta"), [("created", None), ("current", 60)])
def test_a_request_that_looks_for_a_driver(name: str, eta: int | None) -> None:
    found: Booking = only(f"uber.request.{name}.json")
    assert found.source.external_id == "610d868b-e21c-483a-9932-97e61b852fd2"
    assert (found.source.vendor_status, found.status) == ("processing", BookingStatus.PENDING)
    assert (found.driver, found.vehicle_plate, found.vehicle_description) == (None, None, None)
    assert found.pickup == Place(latitude=37.7899886, longitude=-122.4021253)
    assert found.dropoff == Place(latitude=37.775232, longitude=-122.4197513)
    assert found.product == "821415d8-3bd5-4e27-9604-194e4359a449"
    assert (found.pickup_eta_seconds, found.dropoff_eta_seconds) == (eta, None)
    assert (found.fare, found.requested_at, found.cancelled_by) == (None, None, None)


def test_payment_methods_come_without_the_card() -> None:
    found: PaymentMethod = only("uber.payment_methods.json")
    assert found == PaymentMethod(
        method_id="517a6c29-3a2b-45cb-94a3-35d679909a71", method_type="american_express", last_used=True
    )


def test_a_receipt() -> None:
    assert only("uber.receipt.json") == Receipt(
        request_id="0aec0061-1e20-4239-a0b7-78328e9afec8",
        subtotal=usd("9.00"),
        total_fare=usd("9.00"),
        total_charged=usd("9.00"),
        total_owed=None,
        adjustments=(Charge(name="Booking Fee", amount=usd("2.25")),),
        distance_km=3.00947328,
        duration_seconds=692,
    )


def test_a_token_is_shown_without_itself() -> None:
    found = only("uber.oauth.token.json")
    assert found == TokenGrant(token_type="Bearer", scope="partner.referrals", expires_in_seconds=2592000.0)
    assert "REDACTED" not in repr(found)


# --- errors


def outcome(name: str, status: int) -> Any:
    return answers.explain(httpx.Response(status, content=(SAMPLES / name).read_bytes()))


def test_surge_is_a_refusal_that_can_be_confirmed() -> None:
    assert only("uber.request.surge_409.json") == Refusal(
        status=409,
        code="surge",
        message="Surge pricing is currently in effect for this product.",
        surge=Surge(
            confirmation_id="2674678f-c07e-4161-b4c8-17b13a985036",
            multiplier=2.0,
            expires_at=datetime(2016, 10, 20, 8, 53, 26, tzinfo=UTC),
        ),
    )
    told = outcome("uber.request.surge_409.json", 409)
    assert (told.kind, told.code) == (OutcomeKind.REJECTED, "surge")
    assert told.message == "Surge pricing is currently in effect for this product."


@pytest.mark.parametrize("status", [404, 200])
def test_an_error_of_guest_rides(status: int) -> None:
    """Also where the status was lost: the body repeats it as text."""
    told = outcome("uber.error.dispatch_404.json", status)
    assert (told.kind, told.code) == (OutcomeKind.ABSENT, "entity_not_found")
    assert told.message == "This ride can no longer be dispatched."
    assert only("uber.error.dispatch_404.json") == Refusal(
        status=404, code="entity_not_found", message="This ride can no longer be dispatched."
    )


def test_fcm_blames_our_message_and_keeps_the_token() -> None:
    assert only("fcm.error.bad_value.json") == PushRefused(
        status=400,
        code="INVALID_ARGUMENT",
        message="Invalid value at 'message.data[0].value' (TYPE_STRING), 12",
        fields=("message.data[0].value",),
        forget_token=False,
    )


def test_fcm_data_are_texts_all() -> None:
    found = only("fcm.request.json")
    assert found == PushMessage(
        title="Driver on the way",
        body="Car 0, LAG-100, 4 min",
        data={"booking_id": "ride-0", "status": "ACCEPTED", "eta_s": "240"},
    )
    with pytest.raises(BadPayload):
        decoded_of(Payload(body=b'{"message": {"token": "t", "data": {"eta_s": 240}}}'))


# --- webhook


def webhook_sample() -> Payload:
    lines = (SAMPLES / "uber.webhook.status_changed.headers.txt").read_text().splitlines()
    pairs = (line.split(": ", 1) for line in lines if line)
    return Payload(
        body=(SAMPLES / "uber.webhook.status_changed.body.json").read_bytes(),
        headers={name.lower(): value for name, value in pairs},
    )


def receiver(**keys: str) -> PassengerApp:
    secrets = {name: Secret(text) for name, text in keys.items()}
    return PassengerApp(
        Integration(key="uber", system=System.PASSENGER_APP, base_url="http://vendor", credentials=secrets), Services()
    )


def test_a_webhook() -> None:
    assert only("uber.webhook.status_changed.body.json") == TripNotice(
        event_id="3a3f3da4-14ac-4056-bbf2-d0b9cdcb0777",
        event_type="guests.trips.status_changed",
        event_time=datetime(2015, 3, 26, 4, 26, 30, tzinfo=UTC),
        trip_id="5152dcc5-b88d-4754-8b33-975f4067c943",
        vendor_status="accepted",
    )


@pytest.mark.parametrize(
    "keys",
    [
        {"signing_key": "uber_signing_key_1"},
        {"signing_key": "older", "signing_key_next": "uber_signing_key_1"},
        {"signing_key": "uber_signing_key_1", "signing_key_next": "newer"},
    ],
)
def test_its_signature_holds_under_either_key(keys: dict[str, str]) -> None:
    receiver(**keys).verify(webhook_sample())


@pytest.mark.parametrize("keys", [{}, {"signing_key": ""}, {"signing_key": "uber_signing_key_2"}])
def test_its_signature_holds_under_no_other(keys: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid):
        receiver(**keys).verify(webhook_sample())


def test_its_signature_is_that_of_the_raw_body() -> None:
    sample = webhook_sample()
    with pytest.raises(SignatureInvalid):
        receiver(signing_key="uber_signing_key_1").verify(
            Payload(body=sample.body.replace(b":", b": ", 1), headers=sample.headers)
        )


# --- GTFS-Realtime


def test_a_feed_of_positions() -> None:
    header, vehicle, doing = decoded("gtfs-rt.vehicle_position.pb")
    assert header == gtfs.FeedHeader(version="1.0", differential=False, made_at=None)
    assert isinstance(vehicle, Vehicle)
    assert (vehicle.source.external_id, vehicle.source.vendor_status) == ("1", "IN_TRANSIT_TO")
    assert (vehicle.name, vehicle.plate, vehicle.odometer_km) == ("1", None, None)
    assert (vehicle.connectivity, vehicle.state) == (Connectivity.ONLINE, VehicleState.UNKNOWN)
    assert vehicle.position == Position(latitude=47.0, longitude=-122.0, recorded_at=ORIGIN.as_of)
    assert vehicle.updated_at is None
    assert doing == gtfs.OnTrip(vehicle_external_id="1", trip_id="t0", current_status="IN_TRANSIT_TO")


def test_the_reference_library_reads_the_sample_the_same() -> None:
    feed = gtfs_realtime_pb2.FeedMessage.FromString((SAMPLES / "gtfs-rt.vehicle_position.pb").read_bytes())
    entity = feed.entity[0]
    assert (feed.header.gtfs_realtime_version, entity.id, entity.vehicle.vehicle.id) == ("1.0", "1", "1")
    assert (entity.vehicle.position.latitude, entity.vehicle.position.longitude) == (47.0, -122.0)
    assert not entity.vehicle.position.HasField("speed")


def made_feed() -> Any:
    feed = gtfs_realtime_pb2.FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    feed.header.incrementality = gtfs_realtime_pb2.FeedHeader.DIFFERENTIAL
    feed.header.timestamp = 1_790_000_000
    full = feed.entity.add(id="e1").vehicle
    full.vehicle.id, full.vehicle.label, full.vehicle.license_plate = "car-7", "Car 07", "IBA 220 GF"
    full.trip.trip_id, full.trip.route_id = "ride-1", "any"
    full.position.latitude, full.position.longitude = 6.449612, 3.362408
    full.position.bearing, full.position.speed, full.position.odometer = 450.0, 10.0, 12_345_678.0
    full.timestamp = 1_790_000_005
    full.current_status = gtfs_realtime_pb2.VehiclePosition.STOPPED_AT
    full.occupancy_status = gtfs_realtime_pb2.VehiclePosition.FULL
    zero = feed.entity.add(id="e2").vehicle
    zero.position.latitude = zero.position.longitude = 0.0
    zero.position.speed = zero.position.bearing = 0.0
    feed.entity.add(id="e3").vehicle.vehicle.id = "silent"
    feed.entity.add(id="e4", is_deleted=True).vehicle.vehicle.id = "gone"
    feed.entity.add(id="e5").alert.header_text.translation.add(text="no vehicle")
    return feed


def test_a_feed_made_by_the_reference_library() -> None:
    """Zero is zero, absent is absent; what is deleted or no vehicle is left out."""
    found = decoded_of(Payload(body=made_feed().SerializeToString()))
    header, full, full_doing, zero, _, silent, _ = found
    assert header == gtfs.FeedHeader(
        version="2.0", differential=True, made_at=datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
    )
    assert isinstance(full, Vehicle)
    assert isinstance(zero, Vehicle)
    assert isinstance(silent, Vehicle)
    assert (full.source.external_id, full.name, full.plate) == ("car-7", "Car 07", "IBA 220 GF")
    assert (full.state, full.odometer_km) == (VehicleState.MOVING, 12_345.678)
    assert full.position == Position(
        latitude=6.449612,
        longitude=3.362408,
        speed_kmh=36.0,
        heading_deg=90.0,
        recorded_at=datetime(2026, 9, 21, 14, 13, 25, tzinfo=UTC),
    )
    assert full_doing == gtfs.OnTrip(
        vehicle_external_id="car-7", trip_id="ride-1", current_status="STOPPED_AT", occupancy_status="FULL"
    )
    assert zero.source.external_id == "e2"
    assert zero.position == Position(
        latitude=0.0,
        longitude=0.0,
        speed_kmh=0.0,
        heading_deg=0.0,
        recorded_at=datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC),
    )
    assert (silent.position, silent.connectivity) == (None, Connectivity.UNKNOWN)


@pytest.mark.parametrize("cut", [3, 8, 20, 36])
def test_half_a_feed_is_an_error_with_a_path(cut: int) -> None:
    body = (SAMPLES / "gtfs-rt.vehicle_position.pb").read_bytes()[:cut]
    with pytest.raises(BadPayload) as caught:
        list(gtfs.read(body, ORIGIN))
    assert caught.value.path == "$"


def test_an_entity_without_any_id_names_its_place() -> None:
    feed = made_feed()
    feed.entity[1].id = ""
    with pytest.raises(MappingFailed) as caught:
        decoded_of(Payload(body=feed.SerializePartialToString()))
    assert caught.value.path == "$.entity[1].id"
