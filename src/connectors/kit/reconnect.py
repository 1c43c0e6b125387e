"""A stream that stays: when it is tried again after a break, and what is told of it."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from connectors.kit.errors import ConnectorError
from connectors.kit.integration import Integration
from connectors.kit.resilience import Breaker
from connectors.kit.services import Services

STEADY_SECONDS: Final = 30.0
"""A connection that stood this long was a good one: after it the pauses begin anew. One that breaks at once does
not count, or a vendor that opens and closes would be called twice a second for ever."""
LONGEST_PAUSE: Final = 60.0
_FIRST_PAUSE: Final = 0.5


class Reconnect:
    """Of one stream. Told is what is wrong with the stream alone: a break that the first new try mends in one line, a
    longer one once when it is known and once when it is over; none that is part of an outage, which the way to the
    vendor tells, and none for which the vendor refuses the credentials, which whoever listens tells.

    `way` is the way to the same vendor for calls; once it is well again the stream is tried without waiting on.
    `ask` makes a call over it, and is asked before something is told: it shows whether there is an outage. `facts`
    go with what is told.
    """

    def __init__(
        self,
        *,
        integration: Integration,
        services: Services,
        way: Breaker | None = None,
        ask: Callable[[], Awaitable[object]] | None = None,
        lost: str = "vendor.socket_lost",
        back: str = "vendor.socket_open",
        reopened: str = "vendor.socket_reopened",
        facts: Mapping[str, object] | None = None,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        self._key, self._log, self._clock = integration.key, services.log, services.clock
        self._way, self._ask = way, ask
        self._lost, self._back, self._reopened, self._facts = lost, back, reopened, dict(facts or {})
        self._longest = longest_pause
        self._failures = 0
        self._opened_at: float | None = None
        self._told = self._woken = False
        self._reason: str | None = None
        """Of a break that is not told yet, and not part of an outage as far as is known."""

    def opened(self) -> None:
        """The stream works."""
        if self._told:
            self._log.info(self._back, integration=self._key, **self._facts)
        elif self._reason is not None and not self._troubled:
            self._log.info(self._reopened, integration=self._key, **self._facts, reason=self._reason)
        self._told, self._reason = False, None
        if self._opened_at is None:
            self._opened_at = self._clock.monotonic()

    async def broke(self, reason: str, *, after: float | None = None, refused: bool = False) -> None:
        """The stream broke, or did not open, for `reason` (no secret), or because the credentials were refused.
        Returns when it is to be tried again: after pauses that grow, or after so many seconds."""
        if self._opened_at is not None and self._clock.monotonic() - self._opened_at >= STEADY_SECONDS:
            self._failures, self._woken = 0, False
        first, self._opened_at = self._opened_at is not None or self._failures == 0, None
        self._failures += 1
        if not refused and not self._told:
            if first:
                self._reason = None if self._troubled else reason
            elif await self._stream_alone():
                self._told = True
                self._log.warning(self._lost, integration=self._key, **self._facts, reason=reason)
            else:
                self._reason = None
        pause = after or _FIRST_PAUSE * 2 ** min(self._failures - 1, 10)
        await self._rest(min(self._longest, pause) * (0.75 + random.random() / 2))

    async def _stream_alone(self) -> bool:
        """Whether the vendor answers calls while its stream is broken, as far as is known."""
        if self._ask is not None and not self._troubled:
            with contextlib.suppress(ConnectorError):  # the way that it went notes it, and tells
                await self._ask()
        return not self._troubled

    @property
    def _troubled(self) -> bool:
        return self._way is not None and self._way.since is not None

    async def _rest(self, seconds: float) -> None:
        """Once per streak of failures it is cut short: a stream that stays broken is no reason to hurry each time."""
        if self._way is None or not self._troubled or self._woken:
            await self._clock.sleep(seconds)
            return
        waits = [asyncio.create_task(self._clock.sleep(seconds)), asyncio.create_task(self._way.until_well())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._woken = not self._troubled
