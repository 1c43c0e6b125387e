"""What `Api` does for HTTP, for any other call: rate, deadline, breaker, retry, metrics, one error tree.

`Guarded` wraps calls of a protocol library (OPC UA, Modbus, a database); `LastValue` keeps the newest good answer
with its age. The library's own exceptions become `VendorError`s in one place, the protocol's `Explain`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from connectors.kit import redaction
from connectors.kit.attempts import attempts
from connectors.kit.errors import TimedOut, VendorError
from connectors.kit.integration import Integration, Origin
from connectors.kit.outcomes import CANCELLED, OK, label_of
from connectors.kit.resilience import Breaker, RateLimit
from connectors.kit.services import Clock, Services, current_reading

T = TypeVar("T")
Explain = Callable[[Exception], VendorError | None]
"""What an exception of the protocol's library means; null for one that is no answer of the vendor (a bug of ours),
which is then raised as it is. The guard adds integration and address, and redacts its message."""


class Kept(NamedTuple, Generic[T]):
    """A value that was once good, and when it was read."""

    value: T
    as_of: datetime


class LastValue(Generic[T]):
    """The newest good value of one thing, by read or by push, to be served with its age while the vendor is down."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: Kept[T] | None = None

    def put(self, value: T) -> Kept[T]:
        """Keeps the value as read now."""
        self._kept = Kept(value, self._clock.now())
        return self._kept

    def get(self) -> Kept[T] | None:
        return self._kept


class Guarded:
    """Calls to one vendor address. `target` names it in messages; it must hold no secret."""

    def __init__(
        self,
        integration: Integration,
        services: Services,
        *,
        target: str,
        explain: Explain,
        rate: float | None = None,
        burst: int = 10,
    ) -> None:
        self.integration, self.services, self.address = integration, services, target
        self._explain = explain
        self.breaker = Breaker(clock=services.clock)
        services.vitals.track(integration.key, self.breaker)
        self.rate = RateLimit(integration.rate_per_second or rate, burst=burst, clock=services.clock)

    def origin(self, as_of: datetime | None = None) -> Origin:
        """The origin of records read at `as_of` (default: now)."""
        return Origin(
            integration=self.integration.key,
            system=self.integration.system,
            as_of=as_of or self.services.clock.now(),
        )

    async def call(self, what: str, run: Callable[[], Awaitable[T]], *, repeatable: bool = True) -> T:
        """Runs `run` under the integration's deadline, all its attempts together. `what` names the call in
        messages ("read of 12 registers"). A `repeatable` call is tried again after an outage.

        Raises `VendorError`s for all that `explain` knows, `TimedOut` for the deadline, `CircuitOpen` after many
        outages.
        """
        return await attempts(self, partial(self._once, what, run), repeatable=repeatable)

    async def _once(self, what: str, run: Callable[[], Awaitable[T]], deadline: float) -> T:
        clock = self.services.clock
        started = clock.monotonic()
        reading = current_reading.get()
        if reading is not None:
            reading.calls += 1
        outcome = CANCELLED
        try:
            async with asyncio.timeout(max(0.0, deadline - started)):
                result = await run()
            outcome = OK.label
            return result
        except VendorError as error:
            outcome = label_of(error)
            self._complete(error, what)
            raise
        except TimeoutError:
            late = TimedOut(
                f"{self.integration.key}: {self.address}: no answer to {what} in time", integration=self.integration.key
            )
            outcome = label_of(late)
            raise late from None
        except Exception as fault:
            # Every library has exceptions of its own; `explain` decides, and what it does not know goes on as it is
            known = self._explain(fault)
            if known is None:
                raise
            outcome = label_of(known)
            self._complete(known, what)
            raise known from fault
        finally:
            self.services.metrics.vendor_call(self.integration.key, outcome, clock.monotonic() - started)

    def _complete(self, error: VendorError, what: str) -> None:
        if error.integration:
            return
        error.integration = self.integration.key
        error.message = f"{self.integration.key}: {self.address}: {what}: {redaction.text(error.message)}"
        error.args = (error.message,)
