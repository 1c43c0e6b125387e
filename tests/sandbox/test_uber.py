"""The stand-in against Uber's pages: an independent client asks, every answer is what the page says."""

import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import uber
from sandbox.standin import Failure
from sandbox.uber.trips import PRODUCTS
from sandbox.uber.webhooks import ATTEMPTS, QUEUE_MAX
from sandbox.world import World
from tests.connectors.contract import NOW, FakeClock

FORM = {
    "grant_type": "client_credentials",
    "client_id": uber.CLIENT_ID,
    "client_secret": uber.CLIENT_SECRET,
    "scope": uber.SCOPE,
}
GUEST = {"first_name": "Ada", "last_name": "Obi", "phone_number": "+2347005559999"}
APAPA, IKEJA = {"latitude": 6.4474, "longitude": 3.3903}, {"latitude": 6.6018, "longitude": 3.3515}


class Desk:
    """A client that does not know the connector, and the clock."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.standin = uber.create(World(self.clock.now), **options)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.standin.app), base_url="http://uber")

    async def sign_in(self) -> str:
        answer = await self.http.post("/oauth/v2/token", data=FORM)
        assert answer.status_code == 200
        text: str = answer.json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {text}"
        return text

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        answer = await self.http.request(method, f"/v1/guests{path}", **more)
        return answer.status_code, answer.json() if answer.content else None

    async def book(self, **more: Any) -> str:
        _, told = await self.call("POST", "/trips/estimates", json={"pickup": APAPA, "dropoff": IKEJA})
        product = told["product_estimates"][0]["product"]["product_id"]
        body = {"guest": GUEST, "pickup": APAPA, "dropoff": IKEJA, "product_id": product}
        status, trip = await self.call("POST", "/trips", json=body | more.pop("body", {}), **more)
        assert status == 200, trip
        text: str = trip["request_id"]
        return text

    async def status(self, trip_id: str) -> str:
        text: str = (await self.call("GET", f"/trips/{trip_id}"))[1]["status"]
        return text


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    await made.sign_in()
    yield made
    await made.http.aclose()


# --- tokens


async def test_a_token_is_given_for_the_form() -> None:
    desk = Desk()
    told = (await desk.http.post("/oauth/v2/token", data=FORM)).json()
    assert (told["token_type"], told["expires_in"], told["scope"]) == ("Bearer", 2_592_000, "guests.trips")
    assert desk.standin.logins == 1


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "profile"}, 400, "invalid_scope"),
    ],
)
async def test_a_wrong_form_is_refused(change: dict[str, str], status: int, error: str) -> None:
    desk = Desk()
    answer = await desk.http.post("/oauth/v2/token", data=FORM | change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert desk.standin.logins == 0


async def test_a_token_in_json_is_refused() -> None:
    answer = await Desk().http.post("/oauth/v2/token", json=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_the_101st_token_of_an_hour_ends_the_first(desk: Desk) -> None:
    first = desk.http.headers["Authorization"]
    for _ in range(99):
        await desk.sign_in()
    desk.http.headers["Authorization"] = first
    assert (await desk.call("GET", "/trips"))[0] == 200
    await desk.sign_in()
    assert (await desk.call("GET", "/trips"))[0] == 200
    desk.http.headers["Authorization"] = first
    assert (await desk.call("GET", "/trips"))[0] == 401


async def test_tokens_that_are_spread_over_time_live_on(desk: Desk) -> None:
    first = desk.http.headers["Authorization"]
    for _ in range(101):
        desk.clock.passed += 60
        await desk.sign_in()
    desk.http.headers["Authorization"] = first
    assert (await desk.call("GET", "/trips"))[0] == 200


async def test_a_token_ends_with_its_time() -> None:
    desk = Desk(token_seconds=60)
    await desk.sign_in()
    assert (await desk.call("GET", "/trips"))[0] == 200
    desk.clock.passed += 60
    assert await desk.call("GET", "/trips") == (
        401,
        {"message": "Authorization failed. The client lacks valid auth credentials.", "code": "unauthorized"},
    )


# --- trips


async def test_lists_page_to_their_end(desk: Desk) -> None:
    seen: list[str] = []
    key = ""
    while True:
        _, told = await desk.call("GET", "/trips", params={"trip_status": "PAST", "limit": 4, "start_key": key})
        assert len(told["trips"]) <= 4
        seen += [each["request_id"] for each in told["trips"]]
        key = told["next_key"]
        if not key:
            break
    assert seen == [each.id for each in desk.standin.trips.world.bookings.at(NOW) if each.state_at(NOW).terminal]


async def test_the_list_is_of_active_trips_unless_asked_otherwise(desk: Desk) -> None:
    assert await desk.call("GET", "/trips") == await desk.call("GET", "/trips", params={"trip_status": "ACTIVE"})
    assert (await desk.call("GET", "/trips", params={"trip_status": "EXPIRED"}))[1] == {"next_key": "", "trips": []}


@pytest.mark.parametrize(
    "params", [{"trip_status": "SOON"}, {"limit": "0"}, {"limit": "51"}, {"limit": "x"}, {"start_key": "bm8="}]
)
async def test_wrong_parameters_are_refused(desk: Desk, params: dict[str, str]) -> None:
    status, told = await desk.call("GET", "/trips", params=params)
    assert (status, told["code"]) == (400, "validation_failed")


async def test_a_key_of_one_list_is_not_taken_for_another(desk: Desk) -> None:
    key = (await desk.call("GET", "/trips", params={"limit": 1}))[1]["next_key"]
    assert key
    status, _ = await desk.call("GET", "/trips", params={"trip_status": "PAST", "start_key": key})
    assert status == 400


async def test_times_are_milliseconds_and_etas_minutes(desk: Desk) -> None:
    for each in (await desk.call("GET", "/trips"))[1]["trips"]:
        assert each["request_time"] > 1_700_000_000_000
        if each["status"] == "accepted":
            assert 1 <= each["pickup"]["eta"] <= 4
            assert set(each["vehicle"]) == {"make", "model", "license_plate", "vehicle_color_name"}
            assert each["location"]["bearing"] in range(360)
        if each["status"] in ("scheduled", "processing"):
            assert (each["driver"], each["vehicle"], each["location"]) == (None, None, None)


async def test_an_unknown_trip_is_not_found_in_ubers_form(desk: Desk) -> None:
    status, told = await desk.call("GET", "/trips/5152dcc5-b88d-4754-8b33-975f4067c943")
    assert (status, told["code"], told["metadata"]) == (404, "entity_not_found", {"statusCode": "404"})


# --- booking


async def test_a_fare_holds_for_five_minutes(desk: Desk) -> None:
    _, told = await desk.call("POST", "/trips/estimates", json={"pickup": APAPA, "dropoff": IKEJA})
    estimate = told["product_estimates"][0]
    fare = estimate["estimate_info"]["fare"]
    assert fare["expires_at"] == NOW.timestamp() + 300
    body = {"guest": GUEST, "pickup": APAPA, "dropoff": IKEJA, "product_id": estimate["product"]["product_id"]}
    status, trip = await desk.call("POST", "/trips", json=body | {"fare_id": fare["fare_id"]})
    assert (status, trip["status"], trip["guest"]["phone_number"]) == (200, "processing", "+2347005559999")
    desk.clock.passed += 300
    status, told = await desk.call("POST", "/trips", json=body | {"fare_id": fare["fare_id"]})
    assert (status, told["code"]) == (422, "fare_expired")


async def test_a_trip_that_is_asked_for_takes_its_course(desk: Desk) -> None:
    trip_id = await desk.book()
    assert await desk.status(trip_id) == "processing"
    desk.clock.passed += 30
    assert await desk.status(trip_id) == "accepted"
    desk.clock.passed += 600
    assert await desk.status(trip_id) == "completed"
    _, receipt = await desk.call("GET", f"/trips/{trip_id}/receipt")
    assert (receipt["request_id"], receipt["distance_label"], receipt["total_owed"]) == (trip_id, "miles", None)
    assert (await desk.call("DELETE", f"/trips/{trip_id}"))[0] == 409


async def test_a_cancelled_trip_tells_by_whom(desk: Desk) -> None:
    trip_id = await desk.book()
    assert await desk.call("DELETE", f"/trips/{trip_id}") == (204, None)
    _, told = await desk.call("GET", f"/trips/{trip_id}")
    assert (told["status"], told["status_detail"]) == ("rider_canceled", "coordinator_canceled")


async def test_a_flexible_ride_waits_for_its_dispatch(desk: Desk) -> None:
    day = {"deferred_ride_options": {"pickup_day": f"{NOW:%Y-%m-%d}"}}
    first, second = await desk.book(body=day), await desk.book(body=day)
    desk.clock.passed += 3600
    assert await desk.status(first) == "scheduled"
    assert await desk.call("POST", f"/trips/{first}/dispatch", json={}) == (200, {})
    assert await desk.status(first) == "processing"
    assert await desk.call("POST", f"/trips/{first}/dispatch", json={}) == (
        404,
        {
            "message": "This ride can no longer be dispatched.",
            "metadata": {"statusCode": "404"},
            "code": "entity_not_found",
        },
    )
    desk.clock.passed += 86_400
    assert await desk.status(second) == "expired"
    _, told = await desk.call("GET", "/trips", params={"trip_status": "EXPIRED"})
    assert [each["request_id"] for each in told["trips"]] == [second]


async def test_in_a_sandbox_run_the_driver_is_told_what_to_do(desk: Desk) -> None:
    run = {"pickup_location": APAPA, "dropoff_location": IKEJA, "driver_locations": [APAPA]}
    _, made = await desk.call("POST", "/sandbox/run", json=run)
    trip_id = await desk.book(headers={"x-uber-sandbox-runuuid": made["run_id"]})
    desk.clock.passed += 900
    assert await desk.status(trip_id) == "processing"
    body = {"run_id": made["run_id"], "driver_id": made["drivers"][0]["driver_id"]}
    assert (await desk.call("POST", "/sandbox/driver-state", json=body | {"driver_state": "DROPOFF"}))[0] == 409
    for state, status in (
        ("ACCEPT", "accepted"),
        ("ARRIVED", "arriving"),
        ("BEGIN_TRIP", "in_progress"),
        ("DROPOFF", "completed"),
    ):
        assert (await desk.call("POST", "/sandbox/driver-state", json=body | {"driver_state": state}))[0] == 200
        assert await desk.status(trip_id) == status


@pytest.mark.parametrize(
    "change",
    [
        {"guest": {"first_name": "A"}},
        {"guest": GUEST | {"phone_number": "0700"}},
        {"product_id": "x"},
        {"pickup": {"latitude": "6"}},
        {"scheduling": {"pickup_time": 1_795_608_000}},
        {"deferred_ride_options": {"pickup_day": "tomorrow"}},
    ],
)
async def test_a_wrong_booking_changes_nothing(desk: Desk, change: dict[str, Any]) -> None:
    product = PRODUCTS["UberX"]
    body = {"guest": GUEST, "pickup": APAPA, "dropoff": IKEJA, "product_id": product} | change
    status, told = await desk.call("POST", "/trips", json=body)
    assert (status, told["code"]) == (400, "validation_failed")
    assert desk.standin.trips.asked == {}


# --- limits


async def test_each_endpoint_has_its_own_limit() -> None:
    desk = Desk(requests_per_hour=2)
    await desk.sign_in()
    assert [(await desk.call("GET", "/trips"))[0] for _ in range(3)] == [200, 200, 429]
    assert (await desk.call("GET", "/trips/unknown"))[0] == 404
    desk.clock.passed += 3600
    assert (await desk.call("GET", "/trips"))[0] == 200


async def test_reset_forgets_what_clients_did(desk: Desk) -> None:
    trip_id = await desk.book()
    desk.standin.faults.reset()
    assert (await desk.call("GET", f"/trips/{trip_id}"))[0] == 404


# --- webhooks


class Hook:
    """Receives webhooks; `answers` are worked off first."""

    def __init__(self, **options: Any) -> None:
        self.answers: list[int] = []
        self.got: list[dict[str, Any]] = []
        app = Starlette(routes=[Route("/hook", self.endpoint, methods=["POST"])])
        self.desk = Desk(
            webhook_url="http://us/hook", webhook_transport=httpx.ASGITransport(app=app), signing_key="k1", **options
        )
        self.sender = self.desk.standin.webhooks

    async def endpoint(self, request: Request) -> Response:
        body = await request.body()
        assert request.headers["X-Uber-Signature"] == hmac.new(b"k1", body, "sha256").hexdigest()
        assert request.headers["X-Environment"] == "sandbox"
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.got.append(json.loads(body))
        return Response(status_code=status)

    async def go(self, seconds: int, step: int = 5) -> None:
        for _ in range(0, seconds, step):
            self.desk.clock.passed += step
            await self.sender.tick()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    made = Hook()
    made.sender.open()
    yield made
    await made.sender.stop()
    await made.desk.http.aclose()


async def test_a_health_check_comes_first(hook: Hook) -> None:
    await hook.sender.tick()
    assert [(each["event_type"], "meta" in each) for each in hook.got] == [("health_check", False)]


async def test_every_change_is_told_at_least_once_some_twice_some_late(hook: Hook) -> None:
    await hook.go(1800)
    changed = [each for each in hook.got if each["event_type"] == "guests.trips.status_changed"]
    told = {(each["meta"]["resource_id"], each["meta"]["status"], each["event_time"]) for each in changed}
    world = hook.desk.standin.trips.world
    end = hook.desk.clock.now() - timedelta(seconds=65)  # what is late may still be waiting
    expected = {(one.id, step.status, int(step.at.timestamp())) for one, step in world.bookings.steps(NOW, end)}
    assert len(expected) > 150
    assert expected <= told
    ids = [each["event_id"] for each in changed]
    assert 3 <= len(ids) - len(set(ids)) <= 30
    times = [each["event_time"] for each in changed]
    assert times != sorted(times)
    receipts = {each["meta"]["resource_id"] for each in hook.got if each["event_type"] == "guests.trips.receipt_ready"}
    assert len(receipts) > 20
    assert changed[0]["resource_href"].endswith(f"/uber/v1/guests/trips/{changed[0]['meta']['resource_id']}")


async def test_what_is_refused_comes_again_with_growing_pauses(hook: Hook) -> None:
    hook.answers = [500]
    await hook.sender.tick()
    first = hook.sender.sent[0].event_id
    hook.answers = []
    await hook.go(25)
    assert [each.status for each in hook.sender.sent if each.event_id == first] == [500]
    await hook.go(5)
    assert [(each.attempt, each.status) for each in hook.sender.sent if each.event_id == first] == [(1, 500), (2, 200)]


async def test_after_seven_repetitions_it_is_given_up(hook: Hook) -> None:
    hook.answers = [503] * 100_000
    await hook.sender.tick()
    first = hook.sender.sent[0].event_id
    attempts: list[int] = []
    hook.sender.sent.clear()
    for _ in range(80):
        await hook.go(60, step=30)
        attempts += [each.attempt for each in hook.sender.sent if each.event_id == first]
        hook.sender.sent.clear()
    assert attempts == list(range(2, ATTEMPTS + 1))
    assert hook.sender.waiting <= QUEUE_MAX


async def test_while_the_stand_in_is_down_nothing_is_sent(hook: Hook) -> None:
    hook.desk.standin.faults.down = True
    await hook.go(60)
    assert hook.got == []
    hook.desk.standin.faults.down = False
    await hook.go(10)
    assert len(hook.got) > 5


async def test_a_booking_of_a_client_is_told_too(hook: Hook) -> None:
    await hook.desk.sign_in()
    trip_id = await hook.desk.book()
    await hook.go(5)
    await hook.desk.call("DELETE", f"/trips/{trip_id}")
    await hook.go(120)
    mine = [each for each in hook.got if each.get("meta", {}).get("resource_id") == trip_id]
    told = {(each["event_time"], each["meta"]["status"]) for each in mine}  # either may come late, or twice
    start = int(NOW.timestamp())
    assert told == {(start, "processing"), (start + 5, "rider_canceled")}


async def test_it_starts_and_stops_and_stays_quiet_without_an_address() -> None:
    hook = Hook()
    await hook.desk.standin.start()
    await hook.desk.standin.stop()
    quiet = Desk()
    await quiet.standin.start()
    await quiet.standin.stop()
    assert quiet.standin.describe()["webhooks"] == {"waiting": 0, "sent": 0, "dropped": 0}


async def test_planned_faults_come_before_the_answer(desk: Desk) -> None:
    desk.standin.faults.fail_next.append(Failure(status=418))
    assert (await desk.http.get("/v1/guests/trips")).status_code == 418
