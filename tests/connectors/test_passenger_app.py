"""The ride-hail connector against its stand-in, in process: what it reads, in how many calls, how it fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.kit.errors import AuthFailed, BadPayload, BadRequest, RateLimited, Rejected, VendorDown
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.protocols import EventStream, IdentitySource, Poller, WebhookReceiver
from connectors.kit.services import MemoryTokens, Services
from connectors.passenger_app import PassengerApp, answers, mapping, wire
from connectors.passenger_app.settings import SIGN_IN_URL, Settings, token_url
from sandbox import uber
from sandbox.standin import Failure
from sandbox.uber.trips import Trips
from sandbox.world import World
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from unified import queries, records
from unified.keys import Subject, canonical
from unified.queries import ListQuery
from unified.records import BookingStatus, CancelledBy, Connectivity, Kind, VehicleState
from unified.values import Money, Place, System

TRIPS, TRIP = ("GET", "/v1/guests/trips"), ("GET", "/v1/guests/trips/{request_id}")
ESTIMATES, TOKEN = ("POST", "/v1/guests/trips/estimates"), ("POST", "/oauth/v2/token")
CREDENTIALS = {
    "client_id": Secret(uber.CLIENT_ID),
    "client_secret": Secret(uber.CLIENT_SECRET),
    "signing_key": Secret(uber.SIGNING_KEY),
}


def integration(**more: Any) -> Integration:
    facts: dict[str, Any] = {
        "key": "uber",
        "system": System.PASSENGER_APP,
        "base_url": "http://vendor",
        "credentials": CREDENTIALS,
        "settings": {"requests_per_hour": 20_000},
    }
    return Integration(**facts | more)


def bookings_query(limit: int = 50, **more: Any) -> ListQuery[queries.BookingFilter]:
    return ListQuery(filter=queries.BookingFilter(**more), limit=limit)


def vehicles_query() -> ListQuery[queries.VehicleFilter]:
    return ListQuery(filter=queries.VehicleFilter())


def prices_query(**more: Any) -> ListQuery[queries.PriceEstimateFilter]:
    return ListQuery(filter=queries.PriceEstimateFilter(**more))


class TestPassengerApp(ConnectorContract):
    system = System.PASSENGER_APP
    kinds = frozenset({Kind.BOOKING, Kind.PRICE_ESTIMATE, Kind.VEHICLE})
    request_id_header = "x-uber-request-id"

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        clocks: list[FakeClock] = []
        self.standin = uber.create(World(lambda: clocks[0].now() if clocks else NOW))
        services, clock, log = self.services(httpx.ASGITransport(app=self.standin.app))
        clocks.append(clock)
        connector = PassengerApp(integration(), services)
        await connector.auth.current()  # the token is there: the faults of the tests are for the trips
        phones = {booking.guest_phone for booking in self.standin.trips.world.bookings.at(NOW)}
        yield Bench(
            connector=connector,
            faults=self.standin.faults,
            clock=clock,
            log=log,
            secrets=(uber.CLIENT_SECRET, uber.SIGNING_KEY, await connector.auth.current(), *phones),
        )
        await connector.aclose()

    async def read_one(self, connector: Any) -> object:
        return await connector.list_bookings(bookings_query(active=True), None)

    def logins(self, bench: Bench) -> int:
        return self.standin.logins

    def wrong_types(self) -> bytes:
        return b'{"next_key": "", "trips": [{"request_id": "a", "pickup": {"eta": "soon"}}]}'

    async def test_wrong_types_name_the_place(self, bench: Bench) -> None:
        bench.faults.fail_next.append(Failure(status=200, body=self.wrong_types()))
        with pytest.raises(BadPayload) as caught:
            await self.read_one(bench.connector)
        assert caught.value.path == "$.trips[0].pickup.eta"


class Rig:
    """A connector over a stand-in whose clock we hold."""

    def __init__(self, *, standin: dict[str, Any] | None = None, **more: Any) -> None:
        self.clock, self.log = FakeClock(), Lines()
        self.world = World(self.clock.now)
        self.standin = uber.create(self.world, **standin or {})
        self.faults = self.standin.faults
        self.tokens = MemoryTokens()
        self.services = Services(
            transport=httpx.ASGITransport(app=self.standin.app), clock=self.clock, log=self.log, tokens=self.tokens
        )
        self.connector = PassengerApp(integration(**more), self.services)

    @property
    def trips(self) -> Trips:
        return self.standin.trips

    def calls(self, endpoint: tuple[str, str]) -> int:
        return self.faults.calls[endpoint]

    def booked(self, *statuses: str) -> list[str]:
        """Ids of the world's bookings that are in one of these statuses now, oldest first."""
        return [each.id for each in self.world.bookings.at(NOW) if each.state_at(NOW).status in statuses]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.connector.aclose()


async def everything(rig: Rig, limit: int = 50, **more: Any) -> list[records.Booking]:
    found: list[records.Booking] = []
    cursor: str | None = None
    while True:
        page = await rig.connector.list_bookings(bookings_query(limit, **more), cursor)
        found += page.records
        cursor = page.next
        if cursor is None:
            return found


def test_what_it_can_do(rig: Rig) -> None:
    assert isinstance(rig.connector, WebhookReceiver)
    assert isinstance(rig.connector, Poller)
    assert isinstance(rig.connector, IdentitySource)
    assert not isinstance(rig.connector, EventStream)


# --- bookings


async def test_all_bookings_come_once_active_ones_first(rig: Rig) -> None:
    found = await everything(rig, limit=7)
    ids = [each.source.external_id for each in found]
    assert len(ids) == len(set(ids)) == len(rig.world.bookings.at(NOW)) == 57
    ended = [each.status.terminal for each in found]
    assert ended == sorted(ended)
    assert rig.calls(TRIPS) == -(-ended.count(False) // 7) + -(-ended.count(True) // 7) + 1


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        ({"active": True}, ["ACTIVE"]),
        ({"active": False}, ["PAST", "EXPIRED"]),
        ({"statuses": (BookingStatus.IN_TRANSIT, BookingStatus.SCHEDULED)}, ["ACTIVE"]),
        ({"statuses": (BookingStatus.CANCELLED,)}, ["PAST", "EXPIRED"]),
        ({"statuses": (BookingStatus.CANCELLED,), "active": True}, []),
        ({"statuses": (BookingStatus.UNKNOWN,)}, ["ACTIVE", "PAST", "EXPIRED"]),
        ({}, ["ACTIVE", "PAST", "EXPIRED"]),
    ],
)
async def test_only_the_lists_that_may_match_are_asked_for(rig: Rig, wanted: dict[str, Any], asked: list[str]) -> None:
    found = await everything(rig, **wanted)
    seen = [httpx.QueryParams(each.query)["trip_status"] for each in rig.faults.recent if each.path == TRIPS[1]]
    assert seen == asked
    expected = [each for each in await everything(Rig()) if queries.BookingFilter(**wanted).matches(each)]
    assert [each.id for each in found if queries.BookingFilter(**wanted).matches(each)] == [one.id for one in expected]


@pytest.mark.parametrize("cursor", ["PAST", "GONE:", "7", ""])
async def test_a_foreign_cursor_is_refused(rig: Rig, cursor: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        await rig.connector.list_bookings(bookings_query(), cursor)


async def test_reads_go_side_by_side_one_call_each(rig: Rig) -> None:
    ids = [each.id for each in rig.world.bookings.at(NOW)][:20]
    running = most = 0
    plain = rig.connector.reads.exchange

    async def counted(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        try:
            return await plain(request)
        finally:
            running -= 1

    rig.connector.reads.exchange = counted  # type: ignore[method-assign]
    found = await rig.connector.read_bookings([*ids, ids[0], "unknown", "../trips", "a b"])
    assert [each.source.external_id for each in found] == ids
    assert rig.calls(TRIP) == 21  # 20 and the unknown one; what is no id is not asked for
    assert most == 8


async def test_a_booking_on_its_way(rig: Rig) -> None:
    booking = rig.world.bookings.get(rig.booked("in_progress")[0])
    assert booking is not None
    [found] = await rig.connector.read_bookings([booking.id])
    assert (found.status, found.source.vendor_status) == (BookingStatus.IN_TRANSIT, "in_progress")
    assert found.product == booking.product
    assert found.guest_name == f"{booking.guest_first_name} {booking.guest_last_name}"
    assert found.guest_phone == booking.guest_phone
    assert found.driver == records.Driver(
        name=booking.driver_name, phone=booking.driver_phone, rating=float(booking.driver_rating)
    )
    assert found.vehicle_plate == booking.vehicle.uber_plate
    assert canonical(Subject.VEHICLE, found.vehicle_plate) == booking.vehicle.sap_plate
    assert found.vehicle_description == f"{booking.vehicle.colour} {booking.vehicle.make} {booking.vehicle.model}"
    assert found.pickup == Place(
        address=booking.pickup.address, latitude=booking.pickup.latitude, longitude=booking.pickup.longitude
    )
    assert found.fare == Money(amount=booking.fare, currency="NGN")
    assert isinstance(found.fare.amount, Decimal)
    assert found.requested_at == booking.created_at
    assert found.started_at == booking.pickup_at
    assert found.ended_at is None
    assert found.updated_at == booking.pickup_at
    assert found.pickup_eta_seconds is None
    assert found.dropoff_eta_seconds == -(-(booking.dropoff_at - NOW).total_seconds() // 60) * 60
    assert found.surge_multiplier == 1.0


STATUSES = {
    "scheduled": BookingStatus.SCHEDULED,
    "processing": BookingStatus.PENDING,
    "accepted": BookingStatus.EN_ROUTE_TO_PICKUP,
    "arriving": BookingStatus.AT_PICKUP,
    "in_progress": BookingStatus.IN_TRANSIT,
    "completed": BookingStatus.COMPLETED,
    "rider_canceled": BookingStatus.CANCELLED,
    "no_drivers_available": BookingStatus.FAILED,
    "driver_redispatched": BookingStatus.PENDING,
}


async def test_every_status_of_the_world_is_mapped(rig: Rig) -> None:
    found = {each.source.external_id: each for each in await everything(rig)}
    for booking in rig.world.bookings.at(NOW):
        status = booking.state_at(NOW).status
        assert found[booking.id].status is STATUSES[status]
        assert found[booking.id].source.vendor_status == status
        assert found[booking.id].cancelled_by is (CancelledBy.RIDER if status == "rider_canceled" else None)


ORIGIN = Origin(integration="uber", system=System.PASSENGER_APP, as_of=NOW)


@pytest.mark.parametrize(
    ("status", "detail", "meant", "by"),
    [
        ("accepted", None, BookingStatus.ASSIGNED, None),
        ("rider_canceled", None, BookingStatus.CANCELLED, CancelledBy.RIDER),
        ("rider_canceled", "coordinator_canceled", BookingStatus.CANCELLED, CancelledBy.COORDINATOR),
        ("coordinator_canceled", None, BookingStatus.CANCELLED, CancelledBy.COORDINATOR),
        ("driver_canceled", None, BookingStatus.CANCELLED, CancelledBy.DRIVER),
        ("offer_expired", None, BookingStatus.CANCELLED, CancelledBy.SYSTEM),
        ("expired", None, BookingStatus.CANCELLED, CancelledBy.SYSTEM),
        ("teleporting", None, BookingStatus.UNKNOWN, None),
        (None, None, BookingStatus.UNKNOWN, None),
    ],
)
def test_statuses_that_the_world_does_not_have(
    status: str | None, detail: str | None, meant: BookingStatus, by: CancelledBy | None
) -> None:
    trip = wire.Trip(request_id="a", status=status, status_detail=detail)
    found = mapping.booking(trip, ORIGIN)
    assert (found.status, found.cancelled_by, found.source.vendor_status) == (meant, by, status)


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("$10.41", "USD", "10.41"),
        ("₦1,200.00", "NGN", "1200.00"),
        ("12,50 €", "EUR", "12.50"),
        ("1.234,50 €", "EUR", "1234.50"),
        ("¥1,234", "JPY", "1234"),
        ("1.234.567 đ", "VND", "1234567"),
        ("KWD 1.250", "KWD", "1.250"),
        ("CHF 1'250.00", "CHF", "1250.00"),
        ("10 000,50 zł", "PLN", "10000.50"),
        ("-$2.00", "USD", "-2.00"),
        (10.41, "USD", "10.41"),
        ("$7-9", "USD", None),
        ("Metered", None, None),
        (None, "USD", None),
    ],
)
def test_money_is_read_from_text(text: str | float | None, currency: str | None, amount: str | None) -> None:
    assert mapping.amount_of(text, currency) == (None if amount is None else Decimal(amount))


@pytest.mark.parametrize("value", [1_790_000_000, 1_790_000_000_000, 1_790_000_000.0])
def test_seconds_and_milliseconds_are_told_apart(value: float) -> None:
    assert mapping.instant(value) == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, 0])
def test_no_time_is_none(value: int | None) -> None:
    assert mapping.instant(value) is None


async def test_a_trip_cancelled_by_us_says_so(rig: Rig) -> None:
    trip_id = rig.booked("processing", "scheduled")[0]
    token = await rig.connector.auth.current()
    async with httpx.AsyncClient(transport=rig.services.transport, base_url="http://vendor") as client:
        answer = await client.delete(f"/v1/guests/trips/{trip_id}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 204
    [found] = await rig.connector.read_bookings([trip_id])
    assert (found.status, found.cancelled_by) == (BookingStatus.CANCELLED, CancelledBy.COORDINATOR)


# --- prices

APAPA, IKEJA = Place(latitude=6.4474, longitude=3.3903), Place(latitude=6.6018, longitude=3.3515)


async def test_prices_of_a_way(rig: Rig) -> None:
    page = await rig.connector.list_price_estimates(prices_query(pickup=APAPA, dropoff=IKEJA), None)
    assert [each.product for each in page.records] == ["UberX", "Comfort", "UberXL"]
    assert page.next is None
    first = page.records[0]
    assert first.token == first.source.external_id
    assert first.expires_at == NOW + timedelta(minutes=5)
    assert first.amount is not None
    assert first.amount.currency == "NGN"
    assert first.display == f"₦{first.amount.amount:,.2f}"
    told = await shown_by_the_stand_in(rig)
    way = told["estimate_info"]["trip"]
    assert first.distance_km == float(Decimal(str(way["distance_estimate"])) * Decimal("1.609344"))
    assert first.duration_seconds == way["duration_estimate"]
    assert first.pickup_eta_seconds == told["estimate_info"]["pickup_estimate"] * 60


async def shown_by_the_stand_in(rig: Rig) -> Any:
    body = json.loads(rig.faults.recent[-1].body)
    async with httpx.AsyncClient(transport=rig.services.transport, base_url="http://vendor") as client:
        headers = {"Authorization": f"Bearer {await rig.connector.auth.current()}"}
        answer = await client.post(ESTIMATES[1], json=body, headers=headers)
    return answer.json()["product_estimates"][0]


async def test_a_wanted_time_is_sent_in_milliseconds(rig: Rig) -> None:
    at = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    await rig.connector.list_price_estimates(prices_query(pickup=APAPA, dropoff=IKEJA, pickup_at=at), None)
    assert json.loads(rig.faults.recent[-1].body)["scheduling"] == {"pickup_time": 1_795_608_000_000}


async def test_where_nobody_drives_there_are_no_prices(rig: Rig) -> None:
    nowhere = Place(latitude=0.0, longitude=0.0)
    page = await rig.connector.list_price_estimates(prices_query(pickup=nowhere, dropoff=IKEJA), None)
    assert page.records == []


@pytest.mark.parametrize(
    ("pickup", "dropoff", "said"),
    [
        (None, IKEJA, "pickup has none"),
        (APAPA, None, "dropoff has none"),
        (APAPA, Place(address="1 Marina Road, Lagos"), "dropoff has none"),
        (Place(latitude=91.0, longitude=0.0), IKEJA, "pickup is not on the earth"),
    ],
)
async def test_prices_need_both_ends(rig: Rig, pickup: Place | None, dropoff: Place | None, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        await rig.connector.list_price_estimates(prices_query(pickup=pickup, dropoff=dropoff), None)
    assert rig.faults.total_calls() == 0


async def test_expired_prices_are_not_served_in_an_outage(rig: Rig) -> None:
    query = prices_query(pickup=APAPA, dropoff=IKEJA)
    await rig.connector.list_price_estimates(query, None)
    rig.faults.down = True
    rig.clock.passed += 60
    page = await rig.connector.list_price_estimates(query, None)
    assert [each.source.stale for each in page.records] == [True] * 3
    rig.clock.passed += 300
    assert (await rig.connector.list_price_estimates(query, None)).records == []


# --- cars


async def test_cars_are_those_of_active_trips(rig: Rig) -> None:
    page = await rig.connector.list_vehicles(vehicles_query(), None)
    driving = {}
    for booking in rig.world.bookings.at(NOW):
        state = booking.state_at(NOW)
        if state.car is not None:
            driving[booking.vehicle.uber_plate] = (booking, state)
    assert [each.source.external_id for each in page.records] == sorted(driving)
    assert rig.calls(TRIPS) == 1
    for car in page.records:
        booking, state = driving[car.source.external_id]
        assert (car.plate, car.name) == (booking.vehicle.uber_plate, booking.vehicle.uber_plate)
        assert car.model == f"{booking.vehicle.make} {booking.vehicle.model}"
        assert car.connectivity is Connectivity.ONLINE
        assert car.state is (VehicleState.UNKNOWN if state.status == "arriving" else VehicleState.MOVING)
        assert car.position is not None
        assert state.car is not None
        assert (car.position.latitude, car.position.longitude) == (state.car.latitude, state.car.longitude)
        assert car.position.heading_deg == round(state.car.course_deg) % 360
        assert (car.position.speed_kmh, car.position.recorded_at) == (None, NOW)


async def test_cars_by_plate_cost_one_call(rig: Rig) -> None:
    plates = [each.source.external_id for each in (await rig.connector.list_vehicles(vehicles_query(), None)).records]
    before = rig.calls(TRIPS)
    found = await rig.connector.read_vehicles([plates[1], "XX 000 XX", plates[0], plates[1]])
    assert [each.source.external_id for each in found] == [plates[1], plates[0]]
    assert rig.calls(TRIPS) == before + 1


async def test_identities_are_the_plates(rig: Rig) -> None:
    found = [each async for each in rig.connector.identities()]
    cars = (await rig.connector.list_vehicles(vehicles_query(), None)).records
    assert sorted(each.number for each in found) == [each.plate for each in cars]
    assert {(each.subject, each.kind) for each in found} == {(Subject.VEHICLE, Kind.VEHICLE)}
    assert all(each.number == each.external_id for each in found)


async def test_cars_are_walked_page_by_page_and_never_in_a_circle(rig: Rig) -> None:
    def page(plate: str, key: str) -> Failure:
        trip = {"request_id": plate, "status": "arriving", "vehicle": {"license_plate": plate}}
        return Failure(status=200, body={"trips": [trip], "next_key": key}, path=TRIPS[1])

    rig.faults.fail_next += [page("B 2", "k1"), page("A 1", "k2"), page("B 2", "k1"), page("C 3", "")]
    found = await rig.connector.list_vehicles(vehicles_query(), None)
    assert [each.plate for each in found.records] == ["A 1", "B 2"]
    assert {(each.position, each.connectivity, each.state) for each in found.records} == {
        (None, Connectivity.UNKNOWN, VehicleState.UNKNOWN)
    }
    seen = [httpx.QueryParams(each.query).get("start_key") for each in rig.faults.recent if each.path == TRIPS[1]]
    assert seen == [None, "k1", "k2"]


def test_a_car_with_two_trips_shows_as_on_the_first() -> None:
    car, spot = wire.Vehicle(license_plate="A 1"), wire.Location(latitude=1.0, longitude=2.0, bearing=-90.0)
    trips = [
        wire.Trip(request_id="next", status="accepted", vehicle=car, location=spot),
        wire.Trip(request_id="now", status="in_progress", vehicle=car, location=spot),
        wire.Trip(request_id="ended", status="completed", vehicle=car),
    ]
    found = mapping.vehicles(trips, ORIGIN)
    assert list(found) == ["A 1"]
    assert found["A 1"].source.vendor_status == "in_progress"
    assert found["A 1"].position is not None
    assert found["A 1"].position.heading_deg == 270.0


# --- limits and tokens


async def test_beyond_the_hours_calls_the_last_good_answer_is_served(rig: Rig) -> None:
    rig = Rig(settings={"requests_per_hour": 3})
    for _ in range(3):
        assert not (await rig.connector.list_bookings(bookings_query(active=True), None)).records[0].source.stale
    again = await rig.connector.list_bookings(bookings_query(active=True), None)
    assert again.records[0].source.stale
    with pytest.raises(RateLimited) as caught:
        await rig.connector.list_bookings(bookings_query(active=False), None)
    assert caught.value.retry_after == 3600
    assert caught.value.integration == "uber"
    assert rig.calls(TRIPS) == 3
    assert rig.clock.slept == []
    # Each endpoint has its own calls
    assert len(await rig.connector.read_bookings(rig.booked("in_progress")[:1])) == 1
    rig.clock.passed += 3600
    assert not (await rig.connector.list_bookings(bookings_query(active=True), None)).records[0].source.stale


async def test_the_vendors_own_limit_is_rate_limited(rig: Rig) -> None:
    rig = Rig(standin={"requests_per_hour": 1})
    await rig.connector.list_bookings(bookings_query(active=True), None)
    with pytest.raises(RateLimited) as caught:
        await rig.connector.list_bookings(bookings_query(active=False), None)
    assert (caught.value.status, caught.value.vendor_code) == (429, "rate_limit_exceeded")


async def test_a_token_is_shared_and_renewed_only_when_it_ends() -> None:
    rig = Rig(standin={"token_seconds": 600})
    others = [PassengerApp(integration(key=f"uber-{n}"), rig.services) for n in range(3)]
    for connector in (rig.connector, *others):
        await connector.check()
    assert rig.standin.logins == 1
    rig.clock.passed += 530
    await rig.connector.check()
    assert rig.standin.logins == 1
    rig.clock.passed += 20
    for connector in (rig.connector, *others):
        await connector.check()
    assert rig.standin.logins == 2
    [form] = {each.body for each in rig.faults.recent if each.path == TOKEN[1]}
    assert httpx.QueryParams(form.decode()) == httpx.QueryParams(
        grant_type="client_credentials",
        scope="guests.trips",
        client_id=uber.CLIENT_ID,
        client_secret=uber.CLIENT_SECRET,
    )


async def test_a_token_that_another_process_renewed_is_taken_over(rig: Rig) -> None:
    other = PassengerApp(integration(), rig.services)
    await rig.connector.check()
    await other.check()
    rig.faults.expire_sessions()
    await rig.connector.check()
    await other.check()
    assert rig.standin.logins == 2


async def test_a_wrong_secret_is_told_without_it(rig: Rig) -> None:
    secrets = CREDENTIALS | {"client_secret": Secret("wrong-4711")}
    with pytest.raises(AuthFailed) as caught:
        await PassengerApp(integration(credentials=secrets), rig.services).check()
    assert caught.value.message == "the token endpoint refused the client credentials (invalid_client)"
    assert caught.value.status == 401
    assert caught.value.integration == "uber"


@pytest.mark.parametrize(("status", "kind"), [(503, VendorDown), (429, RateLimited)])
async def test_an_outage_of_the_token_endpoint_is_no_refusal(rig: Rig, status: int, kind: type[VendorDown]) -> None:
    headers = {"x-uber-request-id": "req-1", "Retry-After": "90"}
    rig.faults.fail_next.append(Failure(status=status, headers=headers, path="/oauth/"))
    with pytest.raises(kind) as caught:
        await rig.connector.check()
    assert (caught.value.status, caught.value.request_id, caught.value.retry_after) == (status, "req-1", 90.0)
    rig.clock.passed += 90
    assert await rig.connector.check() == "Uber Guest Rides v1"


async def test_third_party_apps_name_their_organisation(rig: Rig) -> None:
    settings = {"organization_uuid": "0f8fad5b-d9cb-469f-a165-70867728950e"}
    await PassengerApp(integration(settings=settings), rig.services).check()
    assert rig.faults.recent[-1].headers["x-uber-organizationuuid"] == "0f8fad5b-d9cb-469f-a165-70867728950e"
    await rig.connector.check()
    assert "x-uber-organizationuuid" not in rig.faults.recent[-1].headers


@pytest.mark.parametrize(
    ("base_url", "given", "expected"),
    [
        ("https://api.uber.com", None, SIGN_IN_URL),
        ("https://sandbox-api.uber.com/", None, SIGN_IN_URL),
        ("http://127.0.0.1:8100/uber", None, "http://127.0.0.1:8100/uber/oauth/v2/token"),
        ("https://notuber.com", None, "https://notuber.com/oauth/v2/token"),
        ("https://api.uber.com", "https://login.uber.com/oauth/v2/token", "https://login.uber.com/oauth/v2/token"),
    ],
)
def test_where_tokens_come_from(base_url: str, given: str | None, expected: str) -> None:
    assert token_url(integration(base_url=base_url), Settings(token_url=given)) == expected


# --- errors


@pytest.mark.parametrize(
    "body",
    [
        {"message": "guest.phone_number +2347005551234 is not in E.164 format", "code": "validation_failed"},
        {"message": "call (415) 555-0000 or jane@example.com", "code": "validation_failed"},
        {"errors": [{"status": 400, "code": "validation_failed", "title": "phone 07005551234 unknown"}]},
    ],
)
def test_no_phone_number_gets_into_an_error(body: Any) -> None:
    told = answers.explain(httpx.Response(400, json=body))
    assert told is not None
    assert told.code == "validation_failed"
    assert told.message is not None
    for personal in ("5551234", "555-0000", "jane"):
        assert personal not in told.message
    assert "***" in told.message


async def test_a_business_refusal_is_rejected(rig: Rig) -> None:
    rig.faults.fail_next.append(
        Failure(status=422, body={"message": "The fare has expired.", "code": "fare_expired"}, path="/estimates")
    )
    with pytest.raises(Rejected) as caught:
        await rig.connector.list_price_estimates(prices_query(pickup=APAPA, dropoff=IKEJA), None)
    assert caught.value.vendor_code == "fare_expired"
