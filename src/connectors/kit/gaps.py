"""Fills the gap of a stream that is open again: its vendor may need a moment more before it answers calls."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from connectors.kit.errors import VendorDown
from connectors.kit.resilience import Breaker
from connectors.kit.services import Clock

T = TypeVar("T")

PATIENCE_SECONDS: Final = 60.0
MOST_TRIES: Final = 12
_SHORTEST, _USUAL, _LONGEST = 1.0, 2.0, 15.0


async def once_back(
    call: Callable[[], Awaitable[T]], *, breaker: Breaker, clock: Clock, seconds: float = PATIENCE_SECONDS
) -> T:
    """What the call gives, asked again while the vendor is still coming back, for at most so many seconds.

    The breaker is told that the vendor lives: what its outage has taught is no longer true. Raises what the call
    raises: any error but an outage at once, an outage when the time is over.
    """
    until = clock.monotonic() + seconds
    tries = 0
    while True:
        tries += 1
        breaker.try_again()
        try:
            return await call()
        except VendorDown as error:
            pause = min(max(error.retry_after or _USUAL, _SHORTEST), _LONGEST)
            if tries >= MOST_TRIES or clock.monotonic() + pause > until:
                raise
            await clock.sleep(pause)
