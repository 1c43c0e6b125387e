"""Webhooks and polls: what is believed, what is fetched, what becomes of it."""

import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from connectors.kit.errors import BadPayload, MappingFailed, RateLimited, SignatureInvalid, VendorDown
from connectors.kit.integration import Secret
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from connectors.kit.services import Services
from connectors.passenger_app import PassengerApp
from sandbox import uber
from sandbox.standin import Failure
from tests.connectors.contract import NOW, Lines
from tests.connectors.test_passenger_app import CREDENTIALS, TRIP, TRIPS, Rig, integration
from unified.events import Changed, Event
from unified.records import Booking, BookingStatus, Vehicle


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.connector.aclose()


def payload(told: Any, key: str = uber.SIGNING_KEY) -> Payload:
    body = json.dumps(told).encode()
    return Payload(body=body, headers={"x-uber-signature": hmac.new(key.encode(), body, "sha256").hexdigest()})


def notice(trip_id: str, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "event_id": "e-1",
        "event_time": int(NOW.timestamp()) - 5,
        "event_type": "guests.trips.status_changed",
        "meta": {"resource_id": trip_id, "status": "accepted"},
        "resource_href": f"https://api.uber.com/v1/guests/trips/{trip_id}",
    }
    return told | more


async def told(rig: Rig, given: dict[str, Any]) -> list[Changed[Any]]:
    raw = rig.connector.received(payload(given))
    assert raw is not None
    return changes(await rig.connector.events(raw))


def changes(events: Any) -> list[Changed[Any]]:
    found: list[Event] = list(events)
    assert all(isinstance(each, Changed) for each in found)
    return found  # type: ignore[return-value]


# --- webhooks


async def test_a_notice_becomes_the_trip_as_it_is_now(rig: Rig) -> None:
    """The notice says accepted, but the trip went on meanwhile."""
    trip_id = rig.booked("in_progress")[0]
    booking, vehicle = await told(rig, notice(trip_id))
    assert isinstance(booking.record, Booking)
    assert isinstance(vehicle.record, Vehicle)
    assert booking.record.status is BookingStatus.IN_TRANSIT
    assert booking.record.source.external_id == trip_id
    assert booking.occurred_at == NOW - timedelta(seconds=5) == booking.record.updated_at
    assert vehicle.record.plate == booking.record.vehicle_plate
    assert vehicle.record.position is not None
    assert vehicle.occurred_at == NOW
    assert rig.calls(TRIP) == 1


async def test_a_trip_without_a_car_is_one_change(rig: Rig) -> None:
    [booking] = await told(rig, notice(rig.booked("scheduled")[0]))
    assert booking.record.status is BookingStatus.SCHEDULED


async def test_an_old_notice_of_an_ended_trip_does_not_bring_it_back(rig: Rig) -> None:
    """Delivered late and out of order: the fetched trip has ended, and its own time is newer."""
    trip_id = rig.booked("completed")[0]
    booking = rig.world.bookings.get(trip_id)
    assert booking is not None
    late = notice(trip_id, event_time=int(booking.created_at.timestamp()))
    [found] = await told(rig, late)
    assert found.record.status is BookingStatus.COMPLETED
    assert found.occurred_at == booking.dropoff_at == found.record.ended_at


async def test_twice_delivered_has_one_id(rig: Rig) -> None:
    given = payload(notice(rig.booked("in_progress")[0]))
    first, second = rig.connector.received(given), rig.connector.received(given)
    assert first == second
    assert first is not None
    assert (first.delivery_id, first.decoder) == ("e-1", "uber-webhook")


@pytest.mark.parametrize("kind", ["health_check", "guests.trips.trip_message", "eats.orders.created"])
def test_what_concerns_no_trip_is_not_kept(rig: Rig, kind: str) -> None:
    assert rig.connector.received(payload({"event_id": "e-2", "event_time": 1, "event_type": kind})) is None


@pytest.mark.parametrize("kind", ["guests.trips.receipt_ready", "guests.trips.something_new"])
async def test_every_other_notice_of_a_trip_reads_it_again(rig: Rig, kind: str) -> None:
    trip_id = rig.booked("completed")[0]
    [booking] = await told(rig, notice(trip_id, event_type=kind))
    assert booking.record.fare is not None


HREFS = (
    "https://evil.example/v1/guests/trips/{id}",
    "http://169.254.169.254/v1/guests/trips/{id}",
    "https://api.uber.com/v1/guests/trips/{id}/receipt",
)


@pytest.mark.parametrize("href", HREFS)
async def test_a_link_gives_its_id_only_never_its_host(rig: Rig, href: str) -> None:
    trip_id = rig.booked("in_progress")[0]
    hosts: list[str] = []
    inner = httpx.ASGITransport(app=rig.standin.app)

    class Watched(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            hosts.append(request.url.host)
            return await inner.handle_async_request(request)

    connector = PassengerApp(integration(), Services(transport=Watched(), clock=rig.clock))
    raw = connector.received(payload(notice(trip_id, meta=None, resource_href=href.format(id=trip_id))))
    assert raw is not None
    [booking, _] = changes(await connector.events(raw))
    assert booking.record.source.external_id == trip_id
    assert set(hosts) == {"vendor"}


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"meta": {"resource_id": "../../secrets"}}, "$.meta.resource_id"),
        ({"meta": {"resource_id": "a?b=c"}}, "$.meta.resource_id"),
        ({"meta": None, "resource_href": "https://evil.example/steal"}, "$.resource_href"),
        ({"meta": None, "resource_href": "https://x/v1/guests/trips/a/../../b"}, "$.resource_href"),
        ({"meta": None, "resource_href": "https://[::1/v1/guests/trips/a"}, "$.resource_href"),
        ({"meta": {}, "resource_href": None}, "$.resource_href"),
    ],
)
def test_a_notice_without_a_usable_id_is_an_error(rig: Rig, more: dict[str, Any], path: str) -> None:
    with pytest.raises(MappingFailed) as caught:
        rig.connector.received(payload(notice("x") | more))
    assert caught.value.path == path
    assert rig.faults.total_calls() == 0


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"[]", "$"),
        (b"{", "$"),
        (b'{"event_type": "guests.trips.status_changed"}', "$"),
        (b'{"event_id": " ", "event_type": "guests.trips.status_changed"}', "$.event_id"),
        (b'{"event_id": "e", "event_type": 7}', "$.event_type"),
    ],
)
def test_a_body_that_is_not_understood_names_the_place(rig: Rig, body: bytes, path: str) -> None:
    with pytest.raises(BadPayload) as caught:
        rig.connector.received(Payload(body=body))
    assert caught.value.path == path


def test_a_signature_under_either_key_holds(rig: Rig) -> None:
    secrets = CREDENTIALS | {"signing_key": Secret("old-key"), "signing_key_next": Secret("new-key")}
    connector = PassengerApp(integration(credentials=secrets), rig.services)
    for key in ("old-key", "new-key"):
        connector.verify(payload(notice("a"), key))
    with pytest.raises(SignatureInvalid):
        connector.verify(payload(notice("a")))
    with pytest.raises(SignatureInvalid):
        connector.verify(Payload(body=b"{}"))


async def test_a_notice_of_an_unknown_trip_says_nothing(rig: Rig) -> None:
    assert await told(rig, notice("5152dcc5-b88d-4754-8b33-975f4067c943")) == []


async def test_an_outage_keeps_the_notice_for_later_instead_of_an_old_state(rig: Rig) -> None:
    trip_id = rig.booked("in_progress")[0]
    await rig.connector.read_bookings([trip_id])  # there is a last good answer
    rig.faults.down = True
    raw = rig.connector.received(payload(notice(trip_id)))
    assert raw is not None
    with pytest.raises(VendorDown):
        await rig.connector.events(raw)
    rig.faults.down = False
    rig.clock.passed += 120
    assert len(await rig.connector.events(raw)) >= 1


# --- polls


async def test_a_poll_brings_all_active_trips_and_their_cars(rig: Rig) -> None:
    polled = await rig.connector.poll(None)
    assert [each.decoder for each in polled.raws] == ["uber-trips"]
    found = changes(await rig.connector.events(polled.raws[0]))
    bookings = {each.record.source.external_id: each for each in found if isinstance(each.record, Booking)}
    active = [each.id for each in rig.world.bookings.at(NOW) if not each.state_at(NOW).terminal]
    assert sorted(bookings) == sorted(active)
    assert {each.occurred_at for each in bookings.values()} == {NOW}
    cars = [each.record for each in found if isinstance(each.record, Vehicle)]
    assert len(cars) == len(rig.booked("accepted", "arriving", "in_progress"))
    assert all(each.position is not None and each.position.recorded_at == NOW for each in cars)
    assert rig.calls(TRIPS) == 1


async def test_polls_are_as_rare_as_the_limit_wants(rig: Rig) -> None:
    cursor = (await rig.connector.poll(None)).cursor
    for _ in range(19):
        rig.clock.passed += 15
        polled = await rig.connector.poll(cursor)
        assert (polled.raws, polled.cursor) == ((), cursor)
    assert rig.calls(TRIPS) == 1
    rig.clock.passed += 15
    assert (await rig.connector.poll(cursor)).raws
    assert rig.calls(TRIPS) == 2


async def test_a_trip_that_ended_between_two_polls_is_read_once(rig: Rig) -> None:
    first = await rig.connector.poll(None)
    before = set(json.loads(first.cursor or "")["ids"])
    rig.clock.passed += 300
    now = rig.clock.now()
    ended = [each for each in rig.world.bookings.at(now) if each.id in before and each.state_at(now).terminal]
    assert len(ended) == 8
    second = await rig.connector.poll(first.cursor)
    assert [each.decoder for each in second.raws].count("uber-trip") == rig.calls(TRIP) == 8
    found: list[Booking] = []
    for raw in second.raws:
        if raw.decoder == "uber-trip":
            found += [each.record for each in changes(await rig.connector.events(raw))]
    assert sorted(each.source.external_id for each in found) == sorted(each.id for each in ended)
    assert all(each.status.terminal for each in found)
    rig.clock.passed += 300
    third = await rig.connector.poll(second.cursor)
    assert not {each.id for each in ended} & set(json.loads(third.cursor or "")["ids"])


async def test_ended_trips_that_could_not_be_read_wait_for_the_next_poll() -> None:
    rig = Rig(settings={"requests_per_hour": 3})
    first = await rig.connector.poll(None)
    rig.clock.passed += 300
    second = await rig.connector.poll(first.cursor)
    assert [each.decoder for each in second.raws].count("uber-trip") == 3
    waiting = set(json.loads(second.cursor or "")["ids"])
    assert len(waiting & set(json.loads(first.cursor or "")["ids"])) >= 5


async def test_a_cursor_of_another_version_begins_anew(rig: Rig) -> None:
    assert (await rig.connector.poll("not ours")).raws


async def test_a_poll_that_is_refused_says_so(rig: Rig) -> None:
    await rig.connector.check()
    rig.faults.fail_next.extend([Failure(status=429, headers={"Retry-After": "600"})])
    with pytest.raises(RateLimited):
        await rig.connector.poll(None)


async def test_the_vendors_clock_orders_polls_and_notices(rig: Rig) -> None:
    """Ours may be wrong: the time of a polled state is that of the answer."""
    body = json.dumps({"trips": [{"request_id": "a", "status": "in_progress"}]}).encode()
    raw = Raw(
        delivery_id="p",
        decoder="uber-trips",
        payload=Payload(body=body, headers={"date": "Wed, 25 Nov 2026 09:29:00 GMT"}),
    )
    [found] = changes(await rig.connector.events(raw))
    assert found.occurred_at == NOW - timedelta(minutes=1)
    assert found.sequence == 0


# --- personal data


async def test_no_phone_number_shows_in_logs_and_errors(rig: Rig) -> None:
    lines, texts = Lines(), list[str]()
    services = Services(transport=rig.services.transport, clock=rig.clock, log=lines, tokens=rig.tokens)
    connector = PassengerApp(integration(), services)
    active = [each for each in rig.world.bookings.at(NOW) if not each.state_at(NOW).terminal]
    phones = {phone for each in active for phone in (each.guest_phone, each.driver_phone)}
    echo = {"message": " and ".join(sorted(phones)[:5]), "code": "validation_failed"}
    for status in (400, 403, 409, 422, 429, 500):
        rig.faults.fail_next.extend([Failure(status=status, body=echo, path="/v1/")] * 4)
        try:
            await connector.read_bookings([active[0].id])
        except Exception as error:  # noqa: BLE001
            texts.append(f"{error} {error!r} {error.__dict__}")
        rig.faults.fail_next.clear()
        rig.clock.passed += 120
    raws = (await connector.poll(None)).raws
    damaged = Payload(body=raws[0].payload.body.replace(b'"latitude":', b'"latitude":"x', 1))
    with pytest.raises(BadPayload) as caught:
        await connector.events(Raw(delivery_id="d", decoder="uber-trips", payload=damaged))
    texts.append(f"{caught.value} {caught.value.__dict__}")
    assert len(texts) == 7
    shown = repr(lines.lines) + " ".join(texts)
    for phone in phones:
        assert phone not in shown
        assert phone[4:] not in shown
