"""Uber's limit: so many calls per hour and endpoint. Beyond it nobody waits, the last good answer must do."""

from collections import deque

from connectors.kit.errors import RateLimited
from connectors.kit.http import LONGEST_PAUSE
from connectors.kit.resilience import RateLimit
from connectors.kit.services import Clock

HOUR = 3600.0


class HourlyBudget(RateLimit):
    """At most `limit` calls in any hour. `wait` raises `RateLimited` where the wait would be longer than a caller
    has; this process only counts its own calls, so that a limit must be shared out among processes."""

    def __init__(self, limit: int, *, name: str, clock: Clock, rate: float | None = None) -> None:
        super().__init__(rate, clock=clock)
        self._limit, self._name = limit, name
        self._sent: deque[float] = deque(maxlen=limit)

    async def wait(self) -> None:
        now = self._clock.monotonic()
        delay = max(0.0, self._closed_until - now)
        if len(self._sent) == self._limit:
            delay = max(delay, self._sent[0] + HOUR - now)
        if delay > LONGEST_PAUSE:
            raise RateLimited(
                f"{self._name}: the hour's {self._limit} calls are used up or the vendor asked for a pause; "
                f"again in {delay:.0f} s",
                retry_after=delay,
            )
        self._sent.append(now + delay)
        if delay > 0:
            await self._clock.sleep(delay)
        await super().wait()
