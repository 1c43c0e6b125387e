"""Providers' limits: so many calls a second, and at Cat so many a day, after which nobody is asked until 00:00 UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

from connectors.kit.errors import RateLimited
from connectors.kit.resilience import RateLimit
from connectors.kit.services import Clock

BURST: Final = 10


class Quota:
    """Calls of this process in the present UTC day; a quota must be shared out among processes. `limit` null: none."""

    def __init__(self, limit: int | None, *, name: str, clock: Clock) -> None:
        self.limit, self._name, self._clock = limit, name, clock
        self.used = 0
        self._ends = clock.now()
        self._told = False
        """That the provider itself refuses more today."""

    def seconds_left(self) -> float:
        """Until 00:00 UTC."""
        return (self._midnight() - self._clock.now()).total_seconds()

    def exhausted(self) -> None:
        """The provider says that the day's quota is used up."""
        self._turn()
        self._told = True

    def count(self) -> None:
        """Of one call. Raises `RateLimited` when the day's calls are used up."""
        self._turn()
        if self._told or (self.limit is not None and self.used >= self.limit):
            left = self.seconds_left()
            raise RateLimited(
                f"{self._name}: the day's calls are used up ({self.used} were made from here); again at 00:00 UTC, in "
                f"{left / 3_600:.1f} h",
                retry_after=left,
            )
        self.used += 1

    def _turn(self) -> None:
        now = self._clock.now()
        if now >= self._ends:
            self._ends, self.used, self._told = self._midnight(), 0, False

    def _midnight(self) -> datetime:
        today = self._clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return today + timedelta(days=1)


class Metered(RateLimit):
    """A rate limit whose calls count for the day's quota, too."""

    def __init__(self, rate: float | None, quota: Quota, *, clock: Clock) -> None:
        super().__init__(rate, burst=BURST, clock=clock)
        self._quota = quota

    async def wait(self) -> None:
        self._quota.count()
        await super().wait()
