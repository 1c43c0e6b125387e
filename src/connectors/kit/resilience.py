"""Rate limit, circuit breaker and last good answers: how a connector spares a vendor and outlives its outages."""

from collections import OrderedDict
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from connectors.kit.services import Clock


class RateLimit:
    """A token bucket: `rate` calls per second, bursts of `burst`. Waiters are served in order of arrival."""

    def __init__(self, rate: float | None, *, burst: int = 10, clock: Clock) -> None:
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._tokens, self._at = float(burst), clock.monotonic()
        self._closed_until = 0.0

    def hold(self, seconds: float) -> None:
        """No call before `seconds` have passed: the vendor said so."""
        self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)

    async def wait(self) -> None:
        """Returns when the next call may go."""
        now = self._clock.monotonic()
        delay = max(0.0, self._closed_until - now)
        if self._rate is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            self._tokens -= 1  # may go below zero: the debt is this caller's place in the queue
            if self._tokens < 0:
                delay = max(delay, -self._tokens / self._rate)
        if delay > 0:
            await self._clock.sleep(delay)


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
        """Since when the vendor has been failing; null while it is well."""
        self._open_until: float | None = None
        self._trying = False

    @property
    def state(self) -> BreakerState:
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._clock.monotonic() >= self._open_until else BreakerState.OPEN

    def seconds_left(self) -> float:
        """How long the breaker stays open."""
        return max(0.0, (self._open_until or 0.0) - self._clock.monotonic())

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
                self._trying = True
                return True

    def abandon(self) -> None:
        """The admitted call was given up without a result (cancelled): another may try."""
        self._trying = False

    def succeeded(self) -> bool:
        """Notes a proper answer. True when the vendor just came back."""
        back = self.since is not None
        self.failures, self.since, self._open_until, self._trying = 0, None, None, False
        return back

    def failed(self) -> bool:
        """Notes an outage. True when it is the first of a row."""
        first = self.since is None
        if first:
            self.since = self._clock.now()
        self.failures += 1
        self._trying = False
        if self.failures >= self._threshold:
            self._open_until = self._clock.monotonic() + self._cooldown
        return first


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
        self._drop(key)
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

    def _drop(self, key: str) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self._bytes -= len(found.body)
