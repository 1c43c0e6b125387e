"""What feeds the inbox and the crosswalk for ever: vendors' streams, polls, and the index of what each one knows."""

import asyncio
from collections.abc import Iterable
from typing import Any

from connectors.kit.errors import AuthFailed, ConnectorError, VendorDown
from connectors.kit.protocols import Confirming, EventStream, Identity, IdentitySource, Poller, Raw
from connectors.kit.services import Clock, Log
from resolvers.crosswalk import Crosswalk
from resolvers.sources import Handle, Sources, ask
from runtime.store import CrosswalkRow, CrosswalkStore, CursorStore
from server.ingest import Ingest

INDEX_SECONDS = 300.0
"""How often an integration is asked what it knows, for the crosswalk."""
INDEX_DEADLINE_SECONDS = 60.0
REFUSED_SECONDS = 60.0
"""How long a stream rests that only a person can mend."""
_WAITING_MOST, _TOGETHER = 1_000, 500
"""Messages of a stream that wait for the store; then the vendor has to. And how many are kept at once."""


class Feeds:
    """Of one server."""

    def __init__(
        self, ingest: Ingest, *, cursors: CursorStore, crosswalk: CrosswalkStore, clock: Clock, log: Log
    ) -> None:
        self._ingest, self._cursors, self._crosswalk = ingest, cursors, crosswalk
        self._clock, self._log = clock, log
        self._troubles: dict[tuple[str, str], str] = {}

    async def listen(self, organisation: str, handle: Handle) -> None:
        """A vendor's stream into the inbox; what comes together is kept together. Returns for who has no stream."""
        connector = handle.connector
        if not isinstance(connector, EventStream):
            return
        while True:
            try:
                await self._listen_once(organisation, handle.key, connector)
                return
            except ConnectorError as error:
                self._trouble(handle.key, "stream", error)
            await self._clock.sleep(REFUSED_SECONDS)

    async def _listen_once(self, organisation: str, integration: str, connector: EventStream) -> None:
        waiting: asyncio.Queue[Raw] = asyncio.Queue(_WAITING_MOST)
        if isinstance(connector, Confirming):
            connector.kept(())

        async def read() -> None:
            async for raw in connector.stream():
                await waiting.put(raw)

        reader = asyncio.create_task(read())
        first: asyncio.Task[Raw] | None = None
        try:
            while True:
                first = asyncio.create_task(waiting.get())
                await asyncio.wait({first, reader}, return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    await reader  # raises what ended the stream
                    return
                raws = [first.result()]
                while not waiting.empty() and len(raws) < _TOGETHER:
                    raws.append(waiting.get_nowait())
                await self._accept(organisation, integration, raws)
                if isinstance(connector, Confirming):
                    connector.kept(raws)
                self._well(integration, "stream")
        finally:
            tasks: list[asyncio.Task[Any]] = [task for task in (reader, first) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, organisation: str, integration: str, raws: list[Raw]) -> None:
        """While the store is away the vendor waits: a stream that is torn down would lose what is told meanwhile."""
        await self._ingest.patiently(lambda: self._ingest.accept(organisation, integration, raws))

    async def poll(self, organisation: str, handle: Handle) -> None:
        """Asks a vendor what changed, every `poll_seconds`."""
        if not isinstance(handle.connector, Poller):
            return
        cursor = await self._ingest.patiently(lambda: self._cursors.get(organisation, handle.key, "poll"))
        while True:
            asked = await ask(handle, lambda one, cursor=cursor: one.poll(cursor))  # type: ignore[misc]
            polled = asked.value
            if asked.error is not None:
                self._trouble(handle.key, "poll", asked.error)
            elif polled is not None:
                self._well(handle.key, "poll")
                await self._accept(organisation, handle.key, list(polled.raws))
                if polled.cursor != cursor:
                    cursor = polled.cursor
                    await self._ingest.patiently(
                        lambda cursor=cursor: self._cursors.put(organisation, handle.key, "poll", cursor)  # type: ignore[misc]
                    )
            await self._clock.sleep(handle.integration.poll_seconds)

    async def index(self, sources: Sources, handle: Handle) -> None:
        """Asks an integration what it knows: the crosswalk is made of it."""
        if not isinstance(handle.connector, IdentitySource):
            return
        kept: int | None = None
        while True:
            asked = await ask(handle, lambda connector: _all(connector), seconds=INDEX_DEADLINE_SECONDS)
            if asked.error is not None:
                self._trouble(handle.key, "index", asked.error)
            elif asked.value is not None:
                self._well(handle.key, "index")
                sources.crosswalk.replace(handle.key, asked.value)
                rows = rows_of(sources.crosswalk, handle.key, asked.value)
                if (digest := hash(tuple(rows))) != kept:
                    await self._ingest.patiently(
                        lambda rows=rows: self._crosswalk.replace(sources.organisation, handle.key, rows)  # type: ignore[misc]
                    )
                    kept = digest
            await self._clock.sleep(INDEX_SECONDS if asked.error is None else handle.integration.poll_seconds)

    # --- told once, not at every try

    def _trouble(self, integration: str, feed: str, error: ConnectorError) -> None:
        known = self._troubles.get((integration, feed))
        self._troubles[integration, feed] = error.code
        own = not isinstance(error, VendorDown) and (feed == "stream" or not isinstance(error, AuthFailed))
        if own and known != error.code:  # the way to the vendor tells of outages and refusals itself
            self._log.error("feed.failed", integration=integration, feed=feed, code=error.code, error=error.message)

    def _well(self, integration: str, feed: str) -> None:
        self._troubles.pop((integration, feed), None)


def rows_of(crosswalk: Crosswalk, integration: str, identities: Iterable[Identity]) -> list[CrosswalkRow]:
    """What an integration knows, with the keys under which the systems' spellings meet, for the store."""
    found: dict[CrosswalkRow, None] = {}
    for identity in identities:
        key = crosswalk.key(identity.subject, integration, identity.number)
        if key is not None:
            row = CrosswalkRow(
                subject=identity.subject,
                integration=integration,
                kind=identity.kind,
                external_id=identity.external_id,
                number=identity.number,
                key=key,
            )
            found[row] = None
    return list(found)


async def _all(connector: IdentitySource) -> list[Identity]:
    return [identity async for identity in connector.identities()]
