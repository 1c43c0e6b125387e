"""Asking a vendor as often as it is worth, within one deadline: rate, breaker, back-off, `Retry-After`."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, Protocol, TypeVar

from connectors.kit.errors import AuthFailed, Busy, CircuitOpen, RateLimited, VendorDown, VendorError
from connectors.kit.health import ONE_BY_ONE
from connectors.kit.integration import Integration
from connectors.kit.resilience import Breaker, BreakerState, RateLimit
from connectors.kit.services import Services, current_reading

T = TypeVar("T")

ATTEMPTS: Final = 3
LONGEST_PAUSE: Final = 5.0
"""Seconds; a vendor that asks for a longer pause is reported as rate limited instead of waited for."""
LONGEST_HOLD: Final = 60.0
"""Seconds; for how long a vendor that limits us keeps the calls of others back at most."""


class Way(Protocol):
    """One way to a vendor."""

    integration: Integration
    services: Services
    breaker: Breaker
    rate: RateLimit

    @property
    def address(self) -> str:
        """Where it leads, fit to be shown."""
        ...


async def attempts(way: Way, once: Callable[[float], Awaitable[T]], *, repeatable: bool) -> T:
    """What `once` gives, given the deadline (of `clock.monotonic`). It is called again after an outage when it is
    `repeatable` and the pause fits in.

    Raises the last `VendorError` of `once`, `CircuitOpen` after many outages, `RateLimited` when the turn comes only
    after the deadline.
    """
    clock, integration = way.services.clock, way.integration
    deadline = clock.monotonic() + integration.deadline_seconds
    asking = current_reading.get()
    if asking is not None and asking.deadline is not None:
        deadline = min(deadline, asking.deadline)
    attempt = 0
    while True:
        attempt += 1
        if way.breaker.seconds_left() > 0:
            _raise_left_alone(way)
        await _turn(way, deadline)
        if not way.breaker.admit():  # it opened while this call waited, or another call tries already
            _raise_left_alone(way)
        if way.breaker.state is BreakerState.HALF_OPEN:
            _show(way)
        if attempt > 1 and asking is not None:
            asking.retries += 1
        try:
            result = await once(deadline)
        except VendorDown as error:
            _note(way, error)
            _show(way)
            pause = error.retry_after
            if pause is None:
                pause = min(2.0, 0.2 * 2 ** (attempt - 1)) * (0.75 + random.random() / 2)
            left = deadline - clock.monotonic()
            if not repeatable or attempt >= ATTEMPTS or pause > min(left, LONGEST_PAUSE):
                _tell(way, error)
                raise
            if way.breaker.seconds_left() > 0:
                _tell(way, error)
                raise  # what the vendor did last tells more than that it is left alone now
            await clock.sleep(pause)
        except AuthFailed as error:  # the vendor is there, and a person has to act
            if way.breaker.refused(error.message):
                way.breaker.told = True
                way.services.log.error(
                    "vendor.refused", integration=integration.key, code=error.code, error=error.message
                )
            _show(way)
            raise
        except VendorError:
            _well_again(way)  # the vendor is there; it said no
            raise
        except BaseException:  # cancelled, or a bug: the half-open breaker must let another try
            way.breaker.abandon()
            raise
        else:
            _well_again(way)
            return result


async def _turn(way: Way, deadline: float) -> None:
    left = max(0.0, deadline - way.services.clock.monotonic())
    wait = way.rate.expected()
    key = way.integration.key
    try:
        if wait > left:
            raise TimeoutError
        async with asyncio.timeout(left):
            await way.rate.wait()
    except TimeoutError:
        raise Busy(
            f"{key}: the call was not sent: the rate limit lets it go in {wait:.0f} s, after the deadline of "
            f"{way.integration.deadline_seconds:g} s",
            integration=key,
            retry_after=wait,
        ) from None
    except RateLimited as error:
        error.integration = error.integration or key
        raise


def _note(way: Way, error: VendorDown) -> None:
    if isinstance(error, RateLimited):
        way.breaker.abandon()  # it answers: no outage
        way.rate.hold(min(error.retry_after or 1.0, LONGEST_HOLD))
    elif way.breaker.failed(error.message):
        way.breaker.told = False


def _tell(way: Way, error: VendorDown) -> None:
    """Tells, once, of an outage that a call did not outlast."""
    if isinstance(error, RateLimited) or way.breaker.told:
        return
    way.breaker.told = True
    key, log, count = way.integration.key, way.services.log, _together(way, "unavailable")
    if count <= ONE_BY_ONE:
        facts = {"status": error.status, "request_id": error.request_id}
        known = {name: value for name, value in facts.items() if value is not None}
        log.warning("vendor.unavailable", integration=key, **known, error=error.message)
    elif count == ONE_BY_ONE + 1:
        log.warning("vendor.more_unavailable", integration=key, addresses=way.services.vitals.of(key).ways)


def _well_again(way: Way) -> None:
    if way.breaker.succeeded():
        _show(way)
    if not way.breaker.told:
        return
    way.breaker.told = False
    key, log, count = way.integration.key, way.services.log, _together(way, "available")
    if count <= ONE_BY_ONE:
        log.info("vendor.available", integration=key, address=way.address)
    elif count == ONE_BY_ONE + 1:
        log.info("vendor.more_available", integration=key, addresses=way.services.vitals.of(key).ways)


def _together(way: Way, event: str) -> int:
    return way.services.vitals.together(way.integration.key, event, way.services.clock.monotonic())


def _show(way: Way) -> None:
    way.services.metrics.breaker(way.integration.key, way.breaker.state.value)


def _raise_left_alone(way: Way) -> NoReturn:
    key, last = way.integration.key, way.breaker.last_error
    cause = f"; last: {last.removeprefix(f'{key}: ')}" if last else ""
    raise CircuitOpen(
        f"{key}: {way.address} failed {way.breaker.failures} times in a row and is left alone for "
        f"{way.breaker.seconds_left():.0f} s{cause}",
        integration=way.integration.key,
        retry_after=way.breaker.seconds_left(),
    )
