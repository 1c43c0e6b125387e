"""The one path of what arrives: inbox → connector → store → bus; and what feeds it: sockets, pollers, webhooks."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from connectors.kit.manifest import Payload
from connectors.kit.protocols import EventStream, Identity, IdentitySource, Poller, Raw
from connectors.kit.services import Clock, Log
from resolvers.crosswalk import Crosswalk
from resolvers.sources import Handle, Sources, ask
from runtime.bus import Bus, topic
from runtime.store import CrosswalkRow, CrosswalkStore, CursorStore, Delivery, Inbox, InboxRow, LatestState
from unified.events import Changed, Event, Happened, Removed

INDEX_SECONDS = 300.0
"""How often an integration is asked what it knows, for the crosswalk."""


class Ingest:
    """Of one server. A row leaves the inbox only when the bus has taken its events."""

    def __init__(
        self,
        organisations: dict[str, Sources],
        *,
        inbox: Inbox,
        state: LatestState,
        cursors: CursorStore,
        crosswalk: CrosswalkStore,
        bus: Bus,
        clock: Clock,
        log: Log,
    ) -> None:
        self._organisations, self._inbox, self._state, self._cursors = organisations, inbox, state, cursors
        self._crosswalk, self._bus, self._clock, self._log = crosswalk, bus, clock, log
        self._work_there = asyncio.Event()

    async def accept(self, organisation: str, integration: str, raws: Sequence[Raw]) -> int:
        """Keeps what arrived, durably, before it returns; gives how many were new."""
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
            self._work_there.set()
        return len(taken)

    async def work(self) -> None:
        """Works the inbox off, for ever."""
        while True:
            self._work_there.clear()
            rows = await self._inbox.pending(200)
            if rows:
                await self._work_off(rows)
                continue
            try:
                async with asyncio.timeout(2.0):
                    await self._work_there.wait()
            except TimeoutError:
                pass  # rows that failed become due again by time alone

    async def _work_off(self, rows: Sequence[InboxRow]) -> None:
        read = await asyncio.gather(*(self._events(row) for row in rows))
        by_organisation: dict[str, list[Event]] = defaultdict(list)
        done: list[int] = []
        for row, events in zip(rows, read, strict=True):
            if events is not None:
                by_organisation[row.organisation] += events
                done.append(row.id)
        for organisation, events in by_organisation.items():
            accepted = await self._state.upsert(organisation, events)
            by_topic: dict[str, list[Event]] = defaultdict(list)
            for event in accepted:
                match event:
                    case Changed():
                        by_topic[topic(organisation, event.record.kind)].append(event)
                    case Removed():
                        by_topic[topic(organisation, event.kind)].append(event)
                    case Happened():
                        pass
            for name, group in by_topic.items():
                await self._bus.publish(name, group)
        await self._inbox.done(done)

    async def _events(self, row: InboxRow) -> list[Event] | None:
        sources = self._organisations.get(row.organisation)
        handle = sources.handles.get(row.integration) if sources else None
        if handle is None:
            await self._inbox.failed(row.id, "the integration is not configured")
            return None
        raw = Raw(delivery_id=row.delivery_id, decoder=row.decoder, payload=Payload(body=row.body, headers=row.headers))
        asked = await ask(handle, lambda connector: connector.events(raw))
        if asked.error is not None:
            dead = await self._inbox.failed(row.id, f"{asked.error.code}: {asked.error.message}")
            log = self._log.error if dead else self._log.warning
            log("inbox.failed", integration=row.integration, delivery=row.delivery_id, code=asked.error.code, dead=dead)
            return None
        return list(asked.value or ())

    # --- what feeds it

    async def listen(self, organisation: str, handle: Handle) -> None:
        """A vendor's stream into the inbox, for ever; what comes together is kept together."""
        connector = handle.connector
        if not isinstance(connector, EventStream):
            return
        waiting: asyncio.Queue[Raw] = asyncio.Queue(1_000)

        async def read() -> None:
            async for raw in connector.stream():
                await waiting.put(raw)

        reader = asyncio.create_task(read())
        try:
            while True:
                first = asyncio.create_task(waiting.get())
                await asyncio.wait({first, reader}, return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    first.cancel()
                    await reader
                    return
                raws = [first.result()]
                while not waiting.empty() and len(raws) < 500:
                    raws.append(waiting.get_nowait())
                await self.accept(organisation, handle.key, raws)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def poll(self, organisation: str, handle: Handle) -> None:
        """Asks a vendor what changed, for ever, every `poll_seconds`."""
        connector = handle.connector
        if not isinstance(connector, Poller):
            return
        cursor = await self._cursors.get(organisation, handle.key, "poll")
        while True:
            asked = await ask(handle, lambda one, cursor=cursor: one.poll(cursor))  # type: ignore[misc]
            polled = asked.value
            if polled is not None:
                await self.accept(organisation, handle.key, polled.raws)
                if polled.cursor != cursor:
                    cursor = polled.cursor
                    await self._cursors.put(organisation, handle.key, "poll", cursor)
            await self._clock.sleep(handle.integration.poll_seconds)

    async def index(self, sources: Sources, handle: Handle) -> None:
        """Asks an integration what it knows, for ever: the crosswalk is made of it."""
        if not isinstance(handle.connector, IdentitySource):
            return
        while True:
            asked = await ask(handle, lambda connector: _all(connector), seconds=60.0)
            if asked.value is not None:
                sources.crosswalk.replace(handle.key, asked.value)
                await self._crosswalk.replace(sources.organisation, handle.key, rows_of(sources.crosswalk, handle.key))
            await self._clock.sleep(INDEX_SECONDS if asked.error is None else handle.integration.poll_seconds)


def rows_of(crosswalk: Crosswalk, integration: str) -> list[CrosswalkRow]:
    """What the crosswalk knows of one integration, for the store."""
    return [
        CrosswalkRow(
            subject=identity.subject,
            integration=at,
            kind=identity.kind,
            external_id=identity.external_id,
            number=identity.number,
            key=key,
        )
        for at, key, identity in crosswalk.all_identities()
        if at == integration
    ]


async def _all(connector: IdentitySource) -> list[Identity]:
    return [identity async for identity in connector.identities()]
