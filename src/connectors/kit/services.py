"""What the kit needs from outside. The runtime satisfies these, the server wires them; tests hand in fakes."""

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import httpx

from connectors.kit.health import Vitals


class Clock(Protocol):
    """Time, so that tests need not wait. `monotonic` in seconds."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The real clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Metrics(Protocol):
    """Counters for what a person will ask later."""

    def vendor_call(self, integration: str, outcome: str, seconds: float) -> None: ...

    def unknown_code(self, system: str, field: str, value: str) -> None:
        """A code came that is in no table of the system."""
        ...

    def unknown_codes(self, read: Callable[[], Iterable[tuple[str, str, str, int]]]) -> None:
        """Has the counts of codes that no table knows read from now on: system, field, code, times. Giving the same
        function again changes nothing."""
        ...

    def breaker(self, integration: str, state: str) -> None: ...


class NoMetrics:
    """Counts nothing."""

    def vendor_call(self, integration: str, outcome: str, seconds: float) -> None: ...

    def unknown_code(self, system: str, field: str, value: str) -> None: ...

    def unknown_codes(self, read: Callable[[], Iterable[tuple[str, str, str, int]]]) -> None: ...

    def breaker(self, integration: str, state: str) -> None: ...


class Log(Protocol):
    """An event name and key-values, never prose."""

    def info(self, event: str, **values: object) -> object: ...

    def warning(self, event: str, **values: object) -> object: ...

    def error(self, event: str, **values: object) -> object: ...


class NoLog:
    """Says nothing."""

    def info(self, event: str, **values: object) -> None: ...

    def warning(self, event: str, **values: object) -> None: ...

    def error(self, event: str, **values: object) -> None: ...


class TokenStore(Protocol):
    """Tokens that processes share, so that a vendor that counts logins is not asked by each of them."""

    async def get(self, key: str) -> tuple[str, datetime | None] | None: ...

    async def put(self, key: str, token: str, expires_at: datetime | None) -> None: ...


class MemoryTokens:
    """Tokens of this process only."""

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[str, datetime | None]] = {}

    async def get(self, key: str) -> tuple[str, datetime | None] | None:
        return self._tokens.get(key)

    async def put(self, key: str, token: str, expires_at: datetime | None) -> None:
        self._tokens[key] = (token, expires_at)


@dataclass(frozen=True, kw_only=True)
class Services:
    """Handed to every connector. `transport` null makes the real one on first use."""

    transport: httpx.AsyncBaseTransport | None = None
    clock: Clock = field(default_factory=SystemClock)
    metrics: Metrics = field(default_factory=NoMetrics)
    log: Log = field(default_factory=NoLog)
    tokens: TokenStore = field(default_factory=MemoryTokens)
    vitals: Vitals = field(default_factory=Vitals)
    """How the integrations are doing; every way to a vendor notes into it."""


@dataclass
class Reading:
    """What one read cost and how fresh its answer is. The fan-out opens one, the kit notes into it."""

    calls: int = 0
    """All that went out to the vendor: repetitions and log-ins, too."""
    retries: int = 0
    """Calls that went out once more, after an outage or with a renewed credential."""
    logins: int = 0
    """Calls of log-ins and renewals."""
    joined: int = 0
    """Calls that were under way for somebody else already, whose answer was shared: not in `calls`."""
    stale_as_of: datetime | None = None
    """Oldest read time among last good answers that stood in for the vendor."""
    stale_error: Exception | None = None
    deadline: float | None = None
    """When whoever reads will have stopped waiting, by the monotonic clock: a call gives up a little before it, so
    that it is known to have failed and not only to have been cancelled."""

    @property
    def first_calls(self) -> int:
        """Calls without repetitions and log-ins: what can be told before."""
        return max(0, self.calls - self.retries - self.logins)

    def add(self, other: "Reading") -> None:
        """What a part of this read cost. How fresh it was stays that part's own."""
        self.calls += other.calls
        self.retries += other.retries
        self.logins += other.logins
        self.joined += other.joined

    def note_stale(self, as_of: datetime, error: Exception) -> None:
        if self.stale_as_of is None or as_of < self.stale_as_of:
            self.stale_as_of, self.stale_error = as_of, error


current_reading: contextvars.ContextVar[Reading | None] = contextvars.ContextVar("reading", default=None)
