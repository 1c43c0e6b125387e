"""Calls over anything but HTTP, with all that HTTP calls get."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from connectors.kit.errors import AuthFailed, BadPayload, CircuitOpen, RateLimited, TimedOut, VendorDown, VendorError
from connectors.kit.guarded import Guarded, LastValue
from connectors.kit.health import HealthState
from connectors.kit.integration import Integration
from connectors.kit.services import Reading, Services, current_reading
from tests.connectors.contract import NOW, FakeClock, Lines
from unified.values import System


class LibraryFault(Exception):
    """What some protocol's library raises."""


class Counts:
    """Metrics that remember."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.breakers: list[str] = []

    def vendor_call(self, integration: str, outcome: str, seconds: float) -> None:
        self.calls.append(f"{integration} {outcome}")

    def unknown_code(self, system: str, field: str, value: str) -> None: ...

    def breaker(self, integration: str, state: str) -> None:
        self.breakers.append(state)


def explain(fault: Exception) -> VendorError | None:
    match fault:
        case LibraryFault():
            return VendorDown(f"{fault} with token=s3cr3t-value")
        case LookupError():
            return BadPayload("not understood", path="$")
    return None


class Made:
    def __init__(self, *, deadline: float = 10.0, rate: float | None = None) -> None:
        self.clock, self.log, self.metrics = FakeClock(), Lines(), Counts()
        self.services = Services(clock=self.clock, log=self.log, metrics=self.metrics)
        integration = Integration(key="hall", system=System.EQUIPMENT, deadline_seconds=deadline)
        self.guard = Guarded(integration, self.services, target="tcp://press:502", explain=explain, rate=rate, burst=1)


def scripted(*outcomes: object) -> Callable[[], Awaitable[object]]:
    """Gives or raises the outcomes one after the other; the last one for ever."""
    left = list(outcomes)

    async def run() -> object:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return run


async def test_what_is_called_is_given_and_counted() -> None:
    made = Made()
    reading = Reading()
    token = current_reading.set(reading)
    try:
        assert await made.guard.call("read", scripted(7)) == 7
    finally:
        current_reading.reset(token)
    assert (reading.calls, reading.retries) == (1, 0)
    assert made.metrics.calls == ["hall ok"]
    assert made.services.vitals.of("hall").state is HealthState.WELL


async def test_an_outage_is_tried_again_and_then_told_with_address_and_call() -> None:
    made = Made()
    assert await made.guard.call("read", scripted(LibraryFault("gone"), LibraryFault("gone"), 7)) == 7
    with pytest.raises(VendorDown) as caught:
        await made.guard.call("read of x", scripted(LibraryFault("gone")))
    assert str(caught.value) == "hall: tcp://press:502: read of x: gone with token=***"
    assert caught.value.integration == "hall"
    assert isinstance(caught.value.__cause__, LibraryFault)
    assert made.metrics.calls == ["hall down"] * 2 + ["hall ok"] + ["hall down"] * 3


async def test_what_may_not_be_repeated_is_called_once() -> None:
    made = Made()
    with pytest.raises(VendorDown):
        await made.guard.call("write", scripted(LibraryFault("gone"), 7), repeatable=False)
    assert len(made.metrics.calls) == 1


async def test_after_many_outages_it_is_left_alone_and_then_tried_by_one() -> None:
    made = Made()
    for _ in range(5):
        with pytest.raises(VendorDown):
            await made.guard.call("read", scripted(LibraryFault("gone")), repeatable=False)
    with pytest.raises(CircuitOpen):
        await made.guard.call("read", scripted(7))
    assert made.log.events == ["vendor.unavailable"]
    made.clock.passed += 60
    assert await made.guard.call("read", scripted(7)) == 7
    assert made.log.events == ["vendor.unavailable", "vendor.available"]


async def test_a_refusal_is_no_outage() -> None:
    made = Made()
    with pytest.raises(BadPayload, match="hall: tcp://press:502: read: not understood"):
        await made.guard.call("read", scripted(LookupError()))
    assert made.metrics.calls == ["hall nonsense"]
    with pytest.raises(AuthFailed):
        await made.guard.call("read", scripted(AuthFailed("no")))
    assert made.services.vitals.of("hall").state is HealthState.REFUSED


async def test_errors_of_ours_keep_what_they_say() -> None:
    made = Made()
    said = RateLimited("busy", retry_after=120, integration="hall")
    with pytest.raises(RateLimited, match=r"^busy$"):
        await made.guard.call("read", scripted(said))
    assert made.log.events == [], "it answers: no outage"


async def test_a_bug_goes_on_as_it_is() -> None:
    made = Made()
    with pytest.raises(ZeroDivisionError):
        await made.guard.call("read", scripted(ZeroDivisionError()))
    assert made.metrics.calls == ["hall cancelled"]


async def test_a_call_without_an_answer_is_timed_out() -> None:
    made = Made(deadline=0.05)

    async def never() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimedOut, match="hall: tcp://press:502: no answer to read in time"):
        await made.guard.call("read", never)


async def test_a_timeout_of_the_librarys_own_is_one_too() -> None:
    made = Made()
    with pytest.raises(TimedOut):
        await made.guard.call("read", scripted(TimeoutError()), repeatable=False)


async def test_a_cancelled_call_is_given_up() -> None:
    made = Made()
    begun = asyncio.Event()

    async def never() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(made.guard.call("read", never))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made.metrics.calls == ["hall cancelled"]


async def test_the_rate_is_kept() -> None:
    made = Made(rate=2.0)
    for _ in range(3):
        await made.guard.call("read", scripted(7))
    assert made.clock.passed == pytest.approx(1.0)


async def test_the_last_value_has_an_age() -> None:
    clock = FakeClock()
    last: LastValue[int] = LastValue(clock)
    assert last.get() is None
    last.put(7)
    clock.passed += 60
    kept = last.get()
    assert kept is not None
    assert (kept.value, kept.as_of) == (7, NOW)
    assert Made().guard.origin().integration == "hall"
