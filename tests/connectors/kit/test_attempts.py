"""How often a vendor is asked: back-off, `Retry-After`, the breaker, the rate and its queue."""

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from connectors.kit.attempts import ATTEMPTS
from connectors.kit.errors import (
    AuthFailed,
    BadPayload,
    Busy,
    CircuitOpen,
    Conflict,
    NotFound,
    RateLimited,
    VendorDown,
    VendorError,
)
from connectors.kit.http import MAX_CALLS
from connectors.kit.outcomes import Outcome, OutcomeKind
from connectors.kit.resilience import Breaker, BreakerState, RateLimit
from connectors.kit.services import Reading, current_reading
from tests.connectors.contract import NOW, FakeClock
from tests.connectors.kit.peer import Made, scripted

FINE = httpx.Response(200, json={})
DOWN = httpx.Response(503, headers={"X-Request-Id": "req-1"})


def requests(made: Made) -> int:
    assert made.wire is not None
    return len(made.wire.requests)


async def failing(made: Made, *, times: int = 1) -> VendorError:
    errors = []
    for _ in range(times):
        with pytest.raises(VendorError) as caught:
            await made.api.send(made.api.build("GET", "/x"), repeatable=False)
        errors.append(caught.value)
    return errors[-1]


# --- back-off


async def test_a_hiccup_is_not_seen() -> None:
    made = scripted(DOWN, httpx.ConnectError("no"), FINE)
    assert (await made.api.get("/x", dict)).value == {}
    assert requests(made) == 3


async def test_pauses_grow_and_differ() -> None:
    """A quarter of a second around 0.2 s, then around 0.4 s: callers must not come back all at once."""
    pauses = []
    for _ in range(20):
        made = scripted(DOWN)
        with pytest.raises(VendorDown):
            await made.api.get("/x", dict)
        assert requests(made) == ATTEMPTS
        pauses.append(made.clock.slept)
    assert all(len(each) == 2 and 0.15 <= each[0] <= 0.25 and 0.3 <= each[1] <= 0.5 for each in pauses)
    assert len({each[0] for each in pauses}) > 1


async def test_a_write_is_sent_once() -> None:
    made = scripted(DOWN)
    with pytest.raises(VendorDown):
        await made.api.send(made.api.build("POST", "/x", json={}), repeatable=False)
    assert requests(made) == 1
    with pytest.raises(VendorDown):
        await made.api.send(made.api.build("POST", "/x", json={}), repeatable=True)
    assert requests(made) == 1 + ATTEMPTS


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 412, 418, 422])
async def test_a_no_is_not_asked_again(status: int) -> None:
    made = scripted(httpx.Response(status))
    with pytest.raises(VendorError):
        await made.api.get("/x", dict)
    assert (requests(made), made.clock.slept) == (1, [])


async def test_the_reading_counts_calls_and_retries() -> None:
    made, reading = scripted(DOWN, FINE, DOWN), Reading()
    token = current_reading.set(reading)
    try:
        await made.api.get("/x", dict)
        assert (reading.calls, reading.retries, reading.stale_as_of) == (2, 1, None)
        await made.api.get("/x", dict)
        assert (reading.calls, reading.retries, reading.stale_as_of) == (
            5,
            3,
            NOW + timedelta(seconds=made.clock.slept[0]),
        )
        assert isinstance(reading.stale_error, VendorDown)
    finally:
        current_reading.reset(token)


async def test_each_call_of_the_vendor_is_counted_by_its_outcome() -> None:
    made = scripted(DOWN, FINE, httpx.Response(404), httpx.ConnectError("no"))
    await made.api.get("/x", dict)
    await failing(made)
    await failing(made)
    assert made.metrics.calls == [
        ("depot", "down"),
        ("depot", "ok"),
        ("depot", "absent"),
        ("depot", "down"),
    ]


async def test_an_answer_that_is_said_to_be_ordinary_counts_as_one() -> None:
    def explain(response: httpx.Response) -> Outcome | None:
        return Outcome(kind=OutcomeKind.CONFLICT, ordinary=True) if response.status_code == 409 else None

    made = scripted(httpx.Response(409), explain=explain)
    with pytest.raises(Conflict):
        await made.api.get("/x", dict)
    assert made.metrics.calls == [("depot", "ok")]


# --- Retry-After


@pytest.mark.parametrize(
    ("value", "pause"), [("3", 3.0), ("0", 0.0), (format_datetime(NOW + timedelta(seconds=4), usegmt=True), 4.0)]
)
@pytest.mark.parametrize("status", [429, 503])
async def test_it_waits_as_told(status: int, value: str, pause: float) -> None:
    made = scripted(httpx.Response(status, headers={"Retry-After": value}), FINE)
    await made.api.get("/x", dict)
    assert made.clock.slept[0] == pytest.approx(pause)
    assert requests(made) == 2


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("6", 6.0),
        ("120", 120.0),
        ("9" * 400, 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        (format_datetime(NOW + timedelta(minutes=10)), 600.0),
    ],
)
async def test_a_longer_pause_is_told_instead(value: str, told: float) -> None:
    made = scripted(httpx.Response(429, headers={"Retry-After": value}))
    with pytest.raises(RateLimited) as caught:
        await made.api.get("/x", dict)
    assert caught.value.retry_after == told
    assert (requests(made), made.clock.slept) == (1, [])


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "1e9", "٣", "1.2.3", ".", "inf", "nan", "Mon, 99 Foo 2026 00:00 GMT"]
)
async def test_what_cannot_be_read_as_a_pause_is_none(value: str) -> None:
    headers = [(b"Retry-After", value.encode())]
    made = scripted(httpx.Response(503, headers=headers), FINE)
    await made.api.get("/x", dict)
    assert 0.15 <= made.clock.slept[0] <= 0.25


async def test_a_limit_keeps_the_others_back_too() -> None:
    """While one call waits as told, those that come must not go out, and are told when they could."""
    made = scripted(httpx.Response(429, headers={"Retry-After": "40"}), FINE)
    await failing(made)
    with pytest.raises(Busy) as caught:
        await made.api.get("/y", dict)
    assert str(caught.value) == (
        "depot: the call was not sent: the rate limit lets it go in 40 s, after the deadline of 10 s"
    )
    assert caught.value.retry_after == pytest.approx(40)
    assert requests(made) == 1
    made.clock.passed += 35
    await made.api.get("/y", dict)
    assert made.clock.slept == [pytest.approx(5)]


async def test_a_limit_holds_a_minute_at_most() -> None:
    made = scripted(httpx.Response(429, headers={"Retry-After": "86400"}), FINE)
    await failing(made)
    made.clock.passed += 61
    await made.api.get("/x", dict)


async def test_a_limit_is_no_outage() -> None:
    made = scripted(httpx.Response(429, headers={"Retry-After": "0"}))
    for _ in range(10):
        await failing(made)
    assert (made.api.breaker.state, made.log.events) == (BreakerState.CLOSED, [])


# --- the breaker


async def test_after_five_failures_the_vendor_is_left_alone() -> None:
    made = scripted(DOWN)
    await failing(made, times=5)
    assert made.api.breaker.state is BreakerState.OPEN
    error = await failing(made)
    assert isinstance(error, CircuitOpen)
    assert str(error) == (
        "depot: https://vendor.example/api failed 5 times in a row and is left alone for 15 s; last: GET "
        "https://vendor.example/api/x answered 503, down"
    ), "the cause is told as long as it lasts"
    assert error.retry_after == 15
    assert requests(made) == 5
    assert made.log.events == ["vendor.unavailable"], "told once"


async def test_the_failure_that_opens_it_is_told_as_it_is() -> None:
    made = scripted(DOWN)
    await failing(made, times=4)
    with pytest.raises(VendorDown) as caught:
        await made.api.get("/x", dict)
    assert (caught.value.status, caught.value.request_id) == (503, "req-1")
    assert (requests(made), made.clock.slept) == (5, []), "no second attempt while it is open"


async def test_one_call_tries_whether_it_is_back() -> None:
    made = scripted(DOWN)
    await failing(made, times=5)
    made.clock.passed += 15
    gate = asyncio.Event()

    async def slow(_: httpx.Request) -> httpx.Response:
        await gate.wait()
        return FINE

    assert made.wire is not None
    made.wire.answers = [slow, FINE]
    first = asyncio.create_task(made.api.get("/1", dict))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert made.metrics.states[-1] == "HALF_OPEN"
    others = await asyncio.gather(*(made.api.get(f"/{each}", dict) for each in range(2, 9)), return_exceptions=True)
    assert {type(each) for each in others} == {CircuitOpen}
    gate.set()
    await first
    assert (made.api.breaker.state, made.metrics.states[-1]) == (BreakerState.CLOSED, "CLOSED")
    assert made.log.events == ["vendor.unavailable", "vendor.available"]
    await made.api.get("/9", dict)
    assert requests(made) == 7


async def test_a_failed_try_leaves_it_alone_again() -> None:
    made = scripted(DOWN)
    await failing(made, times=5)
    made.clock.passed += 15
    await failing(made)
    assert made.api.breaker.state is BreakerState.OPEN
    assert made.api.breaker.seconds_left() == 15
    assert requests(made) == 6


async def test_a_cancelled_try_lets_another_try() -> None:
    made = scripted(DOWN)
    await failing(made, times=5)
    made.clock.passed += 15
    assert made.wire is not None

    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        return FINE

    made.wire.answers = [never, FINE]
    task = asyncio.create_task(made.api.get("/1", dict))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    await made.api.get("/2", dict)
    assert made.api.breaker.state is BreakerState.CLOSED


async def test_a_call_from_before_does_not_end_the_try() -> None:
    """One that was sent while all was well and comes back late, given up or failed."""
    clock = FakeClock()
    breaker = Breaker(clock=clock, threshold=1)
    gate = asyncio.Event()

    async def late() -> None:
        assert breaker.admit()
        await gate.wait()
        breaker.abandon()

    call = asyncio.create_task(late())
    await asyncio.sleep(0)
    breaker.failed()
    clock.passed += 15
    assert breaker.admit(), "the try"
    gate.set()
    await call
    assert not breaker.admit()
    breaker.abandon()
    assert breaker.admit()


async def test_a_proper_no_shows_that_it_is_back() -> None:
    made = scripted(DOWN)
    await failing(made, times=5)
    made.clock.passed += 15
    assert made.wire is not None
    made.wire.answers = [httpx.Response(404)]
    assert isinstance(await failing(made), NotFound)
    assert made.api.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize(("answer", "kind"), [(httpx.Response(401), AuthFailed), (httpx.Response(302), BadPayload)])
async def test_what_a_vendor_answers_properly_never_opens_it(answer: httpx.Response, kind: type[VendorError]) -> None:
    made = scripted(answer)
    for _ in range(10):
        assert isinstance(await failing(made), kind)
    assert (made.api.breaker.state, requests(made)) == (BreakerState.CLOSED, 10)


# --- the rate


async def test_a_burst_goes_at_once_the_rest_in_time() -> None:
    clock = FakeClock()
    rate = RateLimit(2.0, burst=3, clock=clock)
    went = []

    async def call() -> None:
        await rate.wait()
        went.append(clock.passed)

    await asyncio.gather(*(call() for _ in range(7)))
    assert went == pytest.approx([0, 0, 0, 0.5, 1.0, 1.5, 2.0])


async def test_tokens_come_back_up_to_the_burst() -> None:
    clock = FakeClock()
    rate = RateLimit(10.0, burst=2, clock=clock)
    for _ in range(2):
        await rate.wait()
    clock.passed += 1_000
    for _ in range(2):
        await rate.wait()
    assert clock.slept == []
    await rate.wait()
    assert clock.slept == [pytest.approx(0.1)]


class Gate(FakeClock):
    """Sleeps until it is moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = asyncio.Condition()

    async def sleep(self, seconds: float) -> None:
        until = self.passed + seconds
        async with self.moved:
            await self.moved.wait_for(lambda: self.passed >= until - 1e-9)

    async def move(self, seconds: float) -> None:
        async with self.moved:
            self.passed += seconds
            self.moved.notify_all()
        for _ in range(5):
            await asyncio.sleep(0)


async def test_waiters_go_in_the_order_in_which_they_came() -> None:
    clock = Gate()
    rate = RateLimit(1.0, burst=1, clock=clock)
    went: list[int] = []

    async def call(number: int) -> None:
        await rate.wait()
        went.append(number)

    calls = [asyncio.create_task(call(number)) for number in range(5)]
    await clock.move(0)
    assert went == [0]
    assert rate.expected() == pytest.approx(5)
    for expected in range(1, 5):
        await clock.move(1)
        assert went == list(range(expected + 1))
    await asyncio.gather(*calls)


async def test_who_comes_when_a_turn_is_due_does_not_overtake() -> None:
    clock = Gate()
    rate = RateLimit(1.0, burst=1, clock=clock)
    await rate.wait()
    first = asyncio.create_task(rate.wait())
    await clock.move(0)
    clock.passed += 1  # the turn of the first, who has not woken yet
    second = asyncio.create_task(rate.wait())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done()
    await clock.move(0)
    assert (first.done(), second.done()) == (True, False)
    await clock.move(1)
    assert second.done()


async def test_who_gives_up_leaves_the_place_to_the_next() -> None:
    """A hundred callers that went away must not keep the hundred and first waiting."""
    clock = Gate()
    rate = RateLimit(1.0, burst=1, clock=clock)
    await rate.wait()
    gone = [asyncio.create_task(rate.wait()) for _ in range(100)]
    last = asyncio.create_task(rate.wait())
    await clock.move(0)
    assert rate.expected() == pytest.approx(102)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    await clock.move(0)
    assert rate.expected() == pytest.approx(2)
    await clock.move(1)
    assert last.done()


async def test_a_pause_that_is_asked_for_meanwhile_holds_those_that_wait() -> None:
    clock = Gate()
    rate = RateLimit(1.0, burst=1, clock=clock)
    await rate.wait()
    waiting = asyncio.create_task(rate.wait())
    await clock.move(0)
    rate.hold(5)
    await clock.move(2)
    assert not waiting.done()
    await clock.move(3)
    assert waiting.done()


async def test_only_so_many_wait() -> None:
    clock = Gate()
    rate = RateLimit(1.0, burst=1, clock=clock, most=3)
    await rate.wait()
    waiting = [asyncio.create_task(rate.wait()) for _ in range(3)]
    await clock.move(0)
    with pytest.raises(Busy, match="3 calls wait for their turn already") as caught:
        await rate.wait()
    assert caught.value.retry_after == pytest.approx(4)
    for _ in range(3):
        await clock.move(1)
    await asyncio.gather(*waiting)
    await clock.move(1)
    await rate.wait()


async def test_a_call_that_could_only_go_after_its_deadline_is_told_at_once() -> None:
    """And does not use up the vendor's patience: it is not held against the calls that wait."""
    made = scripted(FINE, facts={"rate_per_second": 1.0, "deadline_seconds": 3.0}, burst=1)
    clock = Gate()
    made.api.rate = RateLimit(1.0, burst=1, clock=clock)
    calls = [asyncio.create_task(made.api.get(f"/{each}", dict)) for each in range(6)]
    for _ in range(10):
        await asyncio.sleep(0)
    refused = [each.exception() for each in calls if each.done() and each.exception()]
    assert [str(each) for each in refused] == [
        "depot: the call was not sent: the rate limit lets it go in 4 s, after the deadline of 3 s"
    ] * 2
    for _ in range(3):
        await clock.move(1)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each).__name__ for each in results] == ["Answer"] * 4 + ["Busy"] * 2
    assert made.api.breaker.failures == 0


async def test_the_rate_of_the_integration_wins_over_the_connectors() -> None:
    made = scripted(FINE, facts={"rate_per_second": 4.0}, rate=100.0, burst=1)
    for each in range(3):
        await made.api.get(f"/{each}", dict)
    assert made.clock.slept == pytest.approx([0.25, 0.25])


async def test_calls_that_have_ended_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.kit.http.MAX_CALLS", 2)
    made = scripted(httpx.Response(404))
    for _ in range(5):
        assert isinstance(await failing(made), NotFound)


async def test_only_so_many_calls_are_under_way() -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        return FINE

    made = scripted(never)
    calls = [asyncio.create_task(made.api.get(f"/{each}", dict)) for each in range(MAX_CALLS)]
    for _ in range(3):
        await asyncio.sleep(0)
    with pytest.raises(Busy, match=f"{MAX_CALLS} calls are under way already; this one was not sent"):
        await made.api.get("/more", dict)
    await made.api.aclose()
    await asyncio.gather(*calls, return_exceptions=True)
