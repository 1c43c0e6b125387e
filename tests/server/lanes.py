"""A vendor that tells what a test has put into it, and the ingest around two of them: nothing runs by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, ClassVar

from connectors.kit.errors import ConnectorError
from connectors.kit.integration import Integration
from connectors.kit.manifest import Manifest, Payload
from connectors.kit.protocols import Connector, Identity, Polled, Raw
from connectors.kit.services import Services
from resolvers.sources import Handle, Sources
from runtime.bus import MemoryBus, topic
from runtime.store import CrosswalkStore, CursorStore, Database, Inbox, LatestState
from server.feeds import Feeds
from server.ingest import Ingest
from tests.runtime.fakes import changed
from tests.server.rig import HandClock, Lines
from unified.events import Event
from unified.records import Kind
from unified.values import System


class Vendor(Connector):
    """Gives for each delivery what a test has put there: events, a fault, or a gate to wait at."""

    manifest: ClassVar[Manifest] = Manifest(
        system=System.TRACCAR, title="T", summary="", documentation="", ground_truth=""
    )

    def __init__(self, key: str) -> None:
        super().__init__(Integration(key=key, system=System.TRACCAR, deadline_seconds=30), Services())
        self.tells: dict[str, list[Event] | Exception | asyncio.Event] = {}
        self.asked: list[str] = []
        self.together = self.most_together = 0
        self.streams: list[Any] = []
        self.polls: list[Polled | ConnectorError] = []
        self.known: list[Identity] | ConnectorError = []

    async def events(self, raw: Raw) -> Sequence[Event]:
        self.asked.append(raw.delivery_id)
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        await asyncio.sleep(0)
        self.together -= 1
        told = self.tells.get(raw.delivery_id, [changed(raw.delivery_id)])
        if isinstance(told, asyncio.Event):
            await told.wait()
            return [changed(raw.delivery_id)]
        if isinstance(told, Exception):
            raise told
        return told

    async def stream(self) -> AsyncIterator[Raw]:
        for each in self.streams:
            if isinstance(each, Exception):
                raise each
            yield each

    async def poll(self, cursor: str | None) -> Polled:
        found = self.polls.pop(0) if self.polls else Polled(cursor=cursor)
        if isinstance(found, ConnectorError):
            raise found
        return found

    async def identities(self) -> AsyncIterator[Identity]:
        if isinstance(self.known, ConnectorError):
            raise self.known
        for each in self.known:
            yield each


def raw(id: str) -> Raw:
    return Raw(delivery_id=id, decoder="x", payload=Payload(body=b""))


class Numbers:
    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def events_ingested(self, integration: str, count: int, at: float) -> None:
        self.told.append((integration, count))


class Rig:
    """Two integrations of one organisation, `one` and `two`; nothing runs by itself."""

    def __init__(self, database: Database, clock: HandClock) -> None:
        self.database, self.clock, self.log, self.numbers = database, clock, Lines(), Numbers()
        self.one, self.two = Vendor("one"), Vendor("two")
        self.sources = Sources("acme", [Handle(each.integration, each) for each in (self.one, self.two)])
        self.inbox, self.bus, self.state = Inbox(database), MemoryBus(), LatestState(database)
        self.ingest = Ingest(
            {"acme": self.sources}, inbox=self.inbox, state=self.state, bus=self.bus, clock=clock, log=self.log,
            metrics=self.numbers,
        )  # fmt: skip
        self.crosswalk = CrosswalkStore(database)
        self.feeds = Feeds(
            self.ingest, cursors=CursorStore(database), crosswalk=self.crosswalk, clock=clock, log=self.log
        )
        self.heard: list[Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    def handle(self, key: str) -> Handle:
        return self.sources.handles[key]

    async def accept(self, key: str, *ids: str) -> None:
        await self.ingest.accept("acme", key, [raw(each) for each in ids])

    async def work_off(self, key: str) -> bool:
        return await self.ingest.work_off("acme", self.handle(key))

    def run(self, *calls: Callable[[], Any]) -> None:
        self._tasks += [asyncio.ensure_future(call()) for call in calls]

    async def listen(self) -> None:
        """Everything that the bus brings goes to `heard` from now on."""
        listening = asyncio.Event()

        async def hear() -> None:
            async with self.bus.subscribe([topic("acme", Kind.VEHICLE)]) as events:
                listening.set()
                async for event in events:
                    self.heard.append(event)

        self.run(hear)
        await listening.wait()

    async def statuses(self) -> dict[str, tuple[int, int]]:
        """Integration → how many wait, how many were given up."""
        return {key: tuple(counts) for key, counts in (await self.inbox.counts_by_integration("acme")).items()}

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
