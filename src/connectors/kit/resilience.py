"""Rate limit, circuit breaker and last good answers: how a connector spares a vendor and outlives its outages."""

import asyncio
from collections import OrderedDict
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from connectors.kit.errors import Busy
from connectors.kit.health import HealthState
from connectors.kit.services import Clock

_ROUNDING: Final = 1e-6
"""Part of a call; less is an error of floating point, not a reason to wait."""


class RateLimit:
    """A token bucket: `rate` calls per second, bursts of `burst`. Waiters are served in order of arrival, at most
    `most` of them wait; one that is cancelled leaves its place to the next."""

    def __init__(self, rate: float | None, *, burst: int = 10, clock: Clock, most: int = 1000) -> None:
        self._rate, self._burst, self._clock, self._most = rate, float(burst), clock, most
        self._tokens, self._at = float(burst), clock.monotonic()
        self._closed_until = 0.0
        self._turn = asyncio.Lock()
        self._waiting = 0

    def hold(self, seconds: float) -> None:
        """No call before `seconds` have passed: the vendor said so."""
        self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)

    def expected(self) -> float:
        """Seconds that a call would wait that came now, behind all that wait already."""
        return self._delay(ahead=self._waiting)

    async def wait(self) -> None:
        """Returns when the next call may go. Raises `Busy` when too many wait already."""
        if self._waiting >= self._most:
            raise Busy(
                f"{self._waiting} calls wait for their turn already, more than are let in",
                retry_after=self.expected(),
            )
        self._waiting += 1
        try:
            async with self._turn:
                while (delay := self._delay()) > 0:
                    await self._clock.sleep(delay)
                self._tokens -= 1
        finally:
            self._waiting -= 1

    def _delay(self, ahead: int = 0) -> float:
        now = self._clock.monotonic()
        held = max(0.0, self._closed_until - now)
        if self._rate is None:
            return held
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        lacking = ahead + 1 - self._tokens
        return max(held, lacking / self._rate if lacking > _ROUNDING else 0.0)


class BreakerState(Enum):
    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Breaker:
    """Opens after `threshold` failures in a row, lets one call try after `cooldown` seconds.

    Only outages count (`VendorDown`), never what a vendor answers properly.
    """

    def __init__(self, *, threshold: int = 5, cooldown: float = 15.0, clock: Clock) -> None:
        self._threshold, self._cooldown, self._clock = threshold, cooldown, clock
        self.failures = 0
        self.since: datetime | None = None
        """Since when the vendor has been failing or refusing us; null while it is well."""
        self.last_success: datetime | None = None
        self.last_failure: datetime | None = None
        self.last_error: str | None = None
        self.told = False
        """Whether the log has told of the trouble."""
        self._refused = False
        self._open_until: float | None = None
        self._trying = False
        self._trier: asyncio.Task[object] | None = None
        """Whose call it is that tries; calls from before the breaker opened may still come back meanwhile."""
        self._well = asyncio.Event()
        self._well.set()

    @property
    def state(self) -> BreakerState:
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._clock.monotonic() >= self._open_until else BreakerState.OPEN

    @property
    def health(self) -> HealthState:
        """What a person would say of the vendor."""
        if self._refused:
            return HealthState.REFUSED
        if self.since is not None:
            return HealthState.LEFT_ALONE if self.state is BreakerState.OPEN else HealthState.FAILING
        return HealthState.UNTRIED if self.last_success is None else HealthState.WELL

    def seconds_left(self) -> float:
        """How long the breaker stays open."""
        return max(0.0, (self._open_until or 0.0) - self._clock.monotonic())

    async def until_well(self) -> None:
        """Returns once the vendor has answered properly after what is wrong now; at once when nothing is."""
        await self._well.wait()

    def try_again(self) -> None:
        """The vendor was heard of, on another way: the next call may try it."""
        if self._open_until is not None:
            self._open_until = min(self._open_until, self._clock.monotonic())

    def admit(self) -> bool:
        """Whether a call may go now. In the half-open state one at a time does."""
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                if self._trying:
                    return False
                self._trying, self._trier = True, _task()
                return True

    def abandon(self) -> None:
        """The admitted call was given up without a result (cancelled): another may try."""
        self._tried()

    def _tried(self) -> None:
        if self._trier is None or self._trier is _task() or self._trier.done():
            self._trying, self._trier = False, None

    def succeeded(self) -> bool:
        """Notes a proper answer. True when the vendor just came back."""
        back = self.since is not None
        self._well.set()
        self.failures, self.since, self._open_until = 0, None, None
        self._trying, self._trier = False, None
        self._refused = False
        self.last_success = self._clock.now()
        return back

    def refused(self, error: str) -> bool:
        """Notes that the vendor is there and refuses our credentials. True when it is the first time of a row.

        The breaker stays closed: it is for outages."""
        first = not self._refused
        now = self._clock.now()
        self._well.clear()
        self.failures, self._open_until = 0, None
        self._trying, self._trier = False, None
        self.since = now if first else self.since
        self._refused, self.last_failure, self.last_error = True, now, error
        return first

    def failed(self, error: str | None = None) -> bool:
        """Notes an outage. True when it is the first of a row."""
        first = self.since is None or self._refused
        self._well.clear()
        self.last_failure, self.last_error, self._refused = self._clock.now(), error, False
        if first:
            self.since = self.last_failure
        self.failures += 1
        self._tried()
        if self.failures >= self._threshold:
            self._open_until = self._clock.monotonic() + self._cooldown
        return first


def _task() -> "asyncio.Task[object] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # outside of a loop
        return None


class Good(NamedTuple):
    """An answer that was once good: the body as received and when."""

    body: bytes
    as_of: datetime


class LastGood:
    """The newest good answer per call, to be served with its age while the vendor is down.

    Bounded by count and bytes, least recently used first out. An answer over `largest` bytes is not kept.
    """

    def __init__(self, *, count: int = 512, total: int = 32 << 20, largest: int = 4 << 20) -> None:
        self._count, self._total, self._largest = count, total, largest
        self._entries: OrderedDict[str, Good] = OrderedDict()
        self._bytes = 0

    def put(self, key: str, body: bytes, as_of: datetime) -> None:
        self.drop(key)
        if len(body) > self._largest:
            return
        self._entries[key] = Good(body, as_of)
        self._bytes += len(body)
        while len(self._entries) > self._count or self._bytes > self._total:
            self._bytes -= len(self._entries.popitem(last=False)[1].body)

    def get(self, key: str) -> Good | None:
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def drop(self, key: str) -> None:
        """Forgets the answer: it is no longer true."""
        found = self._entries.pop(key, None)
        if found is not None:
            self._bytes -= len(found.body)
