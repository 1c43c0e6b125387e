"""The one path of what arrives: inbox → connector → store → bus. Each integration has a lane of its own.

A vendor that hangs holds up its own lane only; a delivery that cannot be read holds up nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from connectors.kit.errors import AuthFailed, ConnectorError, VendorDown
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from connectors.kit.services import Clock, Log
from resolvers.sources import Handle, Sources, ask
from runtime.bus import Bus, topic
from runtime.store import BadRow, Delivery, Inbox, InboxRow, LatestState, StoreDown
from runtime.store.inbox import CLAIM_SECONDS, PURGE_ROWS
from unified.events import Changed, Event, Removed

T = TypeVar("T")

BATCH_ROWS = 200
AT_ONCE = 16
"""Deliveries of one integration that are read side by side: thin ones cost a call each."""
WATCH_SECONDS = 2.0
"""How often it is looked for what has become due by time alone, or was left by a server that died."""
STORE_SECONDS = 1.0
"""How long to wait before the store is tried again."""
WAIT_SECONDS, LONGEST_WAIT_SECONDS = 15.0, 60.0
"""How long a delivery waits for a vendor that is away, unless the vendor says."""
PURGE_SECONDS = 600.0

_NOT_ITS_FAULT = (VendorDown, AuthFailed)


class IngestMetrics(Protocol):
    def events_ingested(self, integration: str, count: int, at: float) -> None: ...


@dataclass
class _Lane:
    """What goes on with the deliveries of one integration."""

    integration: str
    news: asyncio.Event = field(default_factory=asyncio.Event)
    waiting_for: str | None = None
    """Code of the trouble with the vendor that deliveries wait for."""


class Ingest:
    """Of one server. A row leaves the inbox only when the bus has taken its events."""

    def __init__(
        self,
        organisations: dict[str, Sources],
        *,
        inbox: Inbox,
        state: LatestState,
        bus: Bus,
        clock: Clock,
        log: Log,
        metrics: IngestMetrics,
    ) -> None:
        self._inbox, self._state, self._bus = inbox, state, bus
        self._clock, self._log, self._metrics = clock, log, metrics
        self._lanes = {
            (name, handle.key): _Lane(handle.key) for name, sources in organisations.items() for handle in sources
        }
        self._crosswalks = {name: sources.crosswalk for name, sources in organisations.items()}
        self._orphans: set[tuple[str, str]] = set()
        self.last_event: dict[str, datetime] = {}
        """When the last event of an integration came in, since the server started."""

    async def accept(self, organisation: str, integration: str, raws: Sequence[Raw]) -> int:
        """Keeps what arrived, durably, before it returns; gives how many were new. Raises `StoreError`."""
        taken = await self._inbox.accept(
            [
                Delivery(
                    organisation=organisation,
                    integration=integration,
                    delivery_id=raw.delivery_id,
                    decoder=raw.decoder,
                    headers=raw.payload.headers,
                    body=raw.payload.body,
                )
                for raw in raws
            ]
        )
        if taken:
            self._lanes[organisation, integration].news.set()
        return len(taken)

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """What the call gives, however long the store is away until then."""
        while True:
            try:
                return await call()
            except StoreDown:  # the database itself tells of it, once
                await self._clock.sleep(STORE_SECONDS)

    # --- what works for ever

    async def work(self, organisation: str, handle: Handle) -> None:
        """Works off what arrived for an integration."""
        lane = self._lanes[organisation, handle.key]
        lane.news.set()
        while True:
            await lane.news.wait()
            lane.news.clear()
            while await self.patiently(lambda: self.work_off(organisation, handle)):
                pass

    async def watch(self) -> None:
        """Wakes the lanes for which something has become due. What is due for nobody is given up in the end."""
        while True:
            for place in await self.patiently(self._inbox.due):
                if place in self._lanes:
                    self._lanes[place].news.set()
                else:
                    await self.patiently(lambda place=place: self._orphaned(*place))  # type: ignore[misc]
            await self._clock.sleep(WATCH_SECONDS)

    async def purge(self, *, days: float) -> None:
        """Forgets deliveries that were dealt with so long ago, in small steps."""
        while True:
            while await self.patiently(lambda: self._inbox.purge(hours=days * 24)) == PURGE_ROWS:
                await self._clock.sleep(STORE_SECONDS)
            await self._clock.sleep(PURGE_SECONDS)

    # --- one batch

    async def work_off(self, organisation: str, handle: Handle) -> bool:
        """Claims what waits and deals with it. False when nothing waits, or another server is at it."""
        rows = await self._inbox.claim(organisation, handle.key, BATCH_ROWS)
        if not rows:
            return False
        async with self._kept([row.id for row in rows]):
            together = asyncio.Semaphore(AT_ONCE)
            read = list(zip(rows, await asyncio.gather(*(_read(handle, row, together) for row in rows)), strict=True))
            good = [(row, found) for row, found in read if isinstance(found, list)]
            if good:
                await self._apply(organisation, handle.key, good)
            waiting = [(row, found) for row, found in read if isinstance(found, _NOT_ITS_FAULT)]
            await self._put_off(self._lanes[organisation, handle.key], waiting, any_good=bool(good))
            for row, found in read:
                if isinstance(found, Exception) and not isinstance(found, _NOT_ITS_FAULT):
                    await self._failed(row, found)
        return True

    @asynccontextmanager
    async def _kept(self, ids: Sequence[int]) -> AsyncIterator[None]:
        """The rows stay claimed however long the work takes."""

        async def keep() -> None:
            while True:
                await self._clock.sleep(CLAIM_SECONDS / 3)
                await self.patiently(lambda: self._inbox.keep(ids))

        keeper = asyncio.create_task(keep())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _failed(self, row: InboxRow, fault: Exception) -> None:
        known = isinstance(fault, ConnectorError)
        code = fault.code if isinstance(fault, ConnectorError) else "INTERNAL_SERVER_ERROR"
        message = str(fault) if known else type(fault).__name__
        dead = await self._inbox.failed(row.id, f"{code}: {message}")
        facts: dict[str, object] = {"integration": row.integration, "delivery": row.delivery_id, "code": code}
        if dead:
            self._log.error("inbox.given_up", **facts, error=message, attempts=row.attempts + 1)
        elif row.attempts == 0:
            self._log.warning("inbox.failed", **facts, error=message, **({} if known else {"exc_info": fault}))

    async def _put_off(
        self, lane: _Lane, waiting: list[tuple[InboxRow, VendorDown | AuthFailed]], *, any_good: bool
    ) -> None:
        if not waiting:
            if any_good and lane.waiting_for is not None:
                lane.waiting_for = None
                self._log.info("inbox.resumed", integration=lane.integration)
            return
        error = waiting[-1][1]
        seconds = (error.retry_after if isinstance(error, VendorDown) else None) or WAIT_SECONDS
        await self._inbox.put_off(
            [row.id for row, _ in waiting],
            f"{error.code}: {error.message}",
            seconds=min(max(seconds, STORE_SECONDS), LONGEST_WAIT_SECONDS),
        )
        if lane.waiting_for is None:
            self._log.warning("inbox.waiting", integration=lane.integration, code=error.code, deliveries=len(waiting))
        lane.waiting_for = error.code

    async def _apply(
        self, organisation: str, integration: str, good: list[tuple[InboxRow, list[Event]]], *, alone: bool = False
    ) -> None:
        """Store, bus, done: in this order, so that a crash in between repeats and never loses."""
        events = [event for _, found in good for event in found]
        try:
            newer = await self._state.upsert(organisation, events)
        except BadRow as fault:
            if len(good) > 1:
                for each in good:
                    await self._apply(organisation, integration, [each], alone=True)
            else:
                await self._failed(good[0][0], fault)
            return
        # those that are tried again one by one may be in the store since the first try, and nobody has heard of them
        by_topic: dict[str, list[Event]] = defaultdict(list)
        for event in events if alone else newer:
            if isinstance(event, Changed):
                self._crosswalks[organisation].meet(event.record)  # joins need not wait for the next index
                by_topic[topic(organisation, event.record.kind)].append(event)
            elif isinstance(event, Removed):
                by_topic[topic(organisation, event.kind)].append(event)
        for name, group in by_topic.items():
            await self._bus.publish(name, group)
        await self._inbox.done([row.id for row, _ in good])
        if events:
            now = self._clock.now()
            self.last_event[integration] = now
            self._metrics.events_ingested(integration, len(events), now.timestamp())

    async def _orphaned(self, organisation: str, integration: str) -> None:
        rows = await self._inbox.claim(organisation, integration, BATCH_ROWS)
        if rows and (organisation, integration) not in self._orphans:
            self._orphans.add((organisation, integration))
            self._log.warning("inbox.orphans", organisation=organisation, integration=integration, deliveries=len(rows))
        for row in rows:
            await self._inbox.failed(row.id, "the integration is not configured")


async def _read(handle: Handle, row: InboxRow, together: asyncio.Semaphore) -> list[Event] | Exception:
    """The events of a delivery, or what went wrong with it."""
    raw = Raw(delivery_id=row.delivery_id, decoder=row.decoder, payload=Payload(body=row.body, headers=row.headers))
    async with together:
        try:
            asked = await ask(handle, lambda connector: connector.events(raw))
        except Exception as fault:  # noqa: BLE001  a bug that one delivery meets must not stop all that follow
            return fault
    return list(asked.value or ()) if asked.error is None else asked.error
