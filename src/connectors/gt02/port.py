"""How the port of an integration is doing, for those who ask after its health."""

from collections.abc import Callable
from datetime import datetime

from connectors.kit.health import HealthState
from connectors.kit.services import Clock


class Port:
    """Well while something listens on it. `heard_at` tells when a tracker said something last."""

    def __init__(self, clock: Clock, heard_at: Callable[[], datetime | None]) -> None:
        self._clock, self._heard_at = clock, heard_at
        self._opened_at: datetime | None = None
        self._closed = True
        self.since: datetime | None = None
        self.last_failure: datetime | None = None
        self.last_error: str | None = None

    @property
    def health(self) -> HealthState:
        if self.since is not None:
            return HealthState.FAILING
        return HealthState.UNTRIED if self._closed else HealthState.WELL

    @property
    def last_success(self) -> datetime | None:
        return self._heard_at() or self._opened_at

    def opened(self) -> None:
        self._opened_at, self._closed, self.since = self._clock.now(), False, None

    def closed(self) -> None:
        self._closed = True

    def failed(self, error: str) -> bool:
        """True when it is the first of a row."""
        first = self.since is None
        self.last_failure, self.last_error = self._clock.now(), error
        self.since = self.last_failure if first else self.since
        return first
