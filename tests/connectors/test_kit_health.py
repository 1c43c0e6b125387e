"""What the kit knows of a vendor's health, and how a gap is filled while the vendor is still coming back."""

import gc
from datetime import timedelta

import pytest

from connectors.kit.errors import NotFound, VendorDown
from connectors.kit.gaps import once_back
from connectors.kit.health import Health, HealthState, Vitals
from connectors.kit.resilience import Breaker
from tests.connectors.contract import NOW, FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_way_is_untried_well_failing_left_alone_and_well_again(clock: FakeClock) -> None:
    way = Breaker(threshold=2, cooldown=15, clock=clock)
    assert way.health is HealthState.UNTRIED
    way.succeeded()
    assert way.health is HealthState.WELL
    clock.passed = 10
    assert way.failed("first") is True
    assert way.health is HealthState.FAILING
    clock.passed = 20
    assert way.failed("second") is False
    assert way.health is HealthState.LEFT_ALONE
    assert (way.since, way.last_failure) == (NOW + timedelta(seconds=10), NOW + timedelta(seconds=20))
    assert (way.last_error, way.last_success) == ("second", NOW)
    clock.passed = 40
    assert way.health is HealthState.FAILING, "it is tried again"
    assert way.succeeded() is True
    assert (way.health, way.since, way.last_success) == (HealthState.WELL, None, NOW + timedelta(seconds=40))


def test_a_refusal_is_no_outage_and_is_told_once(clock: FakeClock) -> None:
    way = Breaker(threshold=1, clock=clock)
    assert way.refused("no") is True
    clock.passed = 5
    assert way.refused("no") is False
    assert (way.health, way.since, way.last_error) == (HealthState.REFUSED, NOW, "no")
    assert way.admit()
    assert way.failed("away") is True
    assert (way.health, way.since) == (HealthState.LEFT_ALONE, NOW + timedelta(seconds=5))
    assert way.refused("no") is True


def test_an_integration_is_as_well_as_its_worst_way(clock: FakeClock) -> None:
    vitals = Vitals()
    good, bad, worse = (Breaker(threshold=2, clock=clock) for _ in range(3))
    for each in (good, bad, worse):
        vitals.track("workshop", each)
    assert vitals.of("workshop") == Health(state=HealthState.UNTRIED, ways=3)
    good.succeeded()
    clock.passed = 10
    bad.failed("bad")
    clock.passed = 20
    for _ in range(2):
        worse.failed("worse")
    assert vitals.of("workshop") == Health(
        state=HealthState.LEFT_ALONE,
        ways=3,
        troubled=2,
        since=NOW + timedelta(seconds=10),
        last_success=NOW,
        last_failure=NOW + timedelta(seconds=20),
        error="worse",
    )
    assert vitals.of("another") == Health()


def test_a_way_is_forgotten_with_its_owner(clock: FakeClock) -> None:
    vitals = Vitals()
    vitals.track("plm", Breaker(clock=clock))
    gc.collect()
    assert vitals.of("plm") == Health()


async def test_a_vendor_that_is_coming_back_is_asked_again_at_once(clock: FakeClock) -> None:
    """What the outage has taught the breaker is no longer true."""
    way = Breaker(threshold=1, cooldown=15, clock=clock)
    way.failed("away")
    answers: list[str | Exception] = [VendorDown("not yet"), VendorDown("nor now", retry_after=5), "here"]

    async def call() -> str:
        assert way.admit()
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            way.failed("away")
            raise answer
        way.succeeded()
        return answer

    assert await once_back(call, breaker=way, clock=clock) == "here"
    assert clock.slept == [2, 5]


async def test_it_is_not_asked_for_ever(clock: FakeClock) -> None:
    async def call() -> None:
        raise VendorDown("away", retry_after=100)

    with pytest.raises(VendorDown):
        await once_back(call, breaker=Breaker(clock=clock), clock=clock)
    assert clock.slept == [15, 15, 15, 15]


async def test_what_is_no_outage_is_raised_at_once(clock: FakeClock) -> None:
    async def call() -> None:
        raise NotFound("gone")

    with pytest.raises(NotFound):
        await once_back(call, breaker=Breaker(clock=clock), clock=clock)
    assert clock.slept == []
