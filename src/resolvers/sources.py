"""The integrations of one organisation, connected; and one way to ask one of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar

import msgspec

from connectors.kit.errors import ConnectorError, TimedOut, VendorError
from connectors.kit.integration import Integration
from connectors.kit.protocols import Connector, can_list, can_read
from connectors.kit.services import Reading, current_reading
from resolvers.crosswalk import Crosswalk, Link
from resolvers.errors import BadInput, CallsUsedUp
from resolvers.tally import current_tally
from unified.keys import Subject
from unified.records import Kind
from unified.values import System

T = TypeVar("T")


class SourceState(Enum):
    """How one integration answered a list."""

    LIVE = "LIVE"
    STALE = "STALE"
    FAILED = "FAILED"
    UNSORTABLE = "UNSORTABLE"
    TRUNCATED = "TRUNCATED"


class SourceError(msgspec.Struct, frozen=True):
    """Why a source's rows are missing or old, and what to do."""

    code: str
    message: str
    hint: str


class SourceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one integration contributed. `as_of` is the read time of its oldest row in the page."""

    integration: str
    system: System
    state: SourceState
    count: int
    latency_ms: int
    as_of: datetime | None = None
    calls: int = 0
    error: SourceError | None = None


@dataclass(frozen=True, eq=False)
class Handle:
    """An integration and its connector."""

    integration: Integration
    connector: Connector
    position: int = 0
    """Its place in the configuration: the order of lists that are asked for in no order."""

    @property
    def key(self) -> str:
        return self.integration.key


@dataclass
class Asked(Generic[T]):
    """One answer of one integration: a value or an error, and what it cost."""

    handle: Handle
    value: T | None = None
    error: ConnectorError | None = None
    reading: Reading = field(default_factory=Reading)
    latency_ms: int = 0


class Sources:
    """All integrations of one organisation. Two organisations share nothing."""

    def __init__(self, organisation: str, handles: Iterable[Handle], links: Iterable[Link] = ()) -> None:
        self.organisation = organisation
        self.handles = {handle.key: handle for handle in handles}
        self.crosswalk = Crosswalk(links)

    def __iter__(self) -> Iterator[Handle]:
        return iter(self.handles.values())

    def listing(self, kind: Kind) -> list[Handle]:
        """Who lists this kind."""
        return [handle for handle in self if can_list(handle.connector, kind)]

    def reading(self, kind: Kind) -> list[Handle]:
        """Who reads this kind by id."""
        return [handle for handle in self if can_read(handle.connector, kind)]

    def having(self, method: str) -> list[Handle]:
        """Who has a method of a protocol."""
        return [handle for handle in self if hasattr(handle.connector, method)]

    def known(self, keys: Iterable[str]) -> None:
        """Raises `BadInput` that names the first integration that there is not, and those that there are."""
        for key in keys:
            if key not in self.handles:
                there = ", ".join(self.handles) or "none"
                raise BadInput(f"there is no integration {key!r}; the integrations are: {there}")

    def master(self, subject: Subject, method: str) -> Handle | None:
        """Who is the master of a subject: configured, or the first that has the method."""
        able = self.having(method)
        chosen = [handle for handle in able if subject.value in handle.integration.masters]
        return next(iter(chosen or able), None)


async def ask(
    handle: Handle,
    call: Callable[[Any], Awaitable[T]],
    *,
    method: str = "",
    keys: Sequence[Any] | None = None,
    path: Sequence[str | int] | None = None,
    seconds: float | None = None,
) -> Asked[T]:
    """Calls the connector under the integration's deadline; a `ConnectorError` becomes part of the answer.

    `method` and its `keys` (null: a list) are for the tally, as is the `path` of a field that asks by
    itself. Any other exception is a bug of ours and is raised.
    """
    asked: Asked[T] = Asked(handle)
    tally = current_tally.get()
    if tally is not None and tally.limit is not None and tally.exhausted:
        asked.error = CallsUsedUp(handle.key, tally.limit)
        return asked
    token = current_reading.set(asked.reading)
    clock = handle.connector.services.clock
    started = clock.monotonic()
    limit = seconds if seconds is not None else handle.integration.deadline_seconds
    # a little earlier than ours, so that a vendor that hangs is noted as failing by the way to it
    asked.reading.deadline = started + limit - min(0.1, limit / 20)
    try:
        async with asyncio.timeout(limit):
            asked.value = await call(handle.connector)
    except ConnectorError as error:
        if isinstance(error, VendorError):
            error.integration = error.integration or handle.key
        asked.error = error
    except TimeoutError:
        asked.error = TimedOut(f"{handle.key} did not answer within {limit:g} s", integration=handle.key)
    finally:
        current_reading.reset(token)
        asked.latency_ms = round((clock.monotonic() - started) * 1000)
        if tally is not None:
            tally.add(asked, method, keys, path)
    return asked
