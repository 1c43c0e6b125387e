"""The bus inside one process."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from runtime.bus.protocol import DEFAULT_LIMIT
from unified.events import Changed, Event, Happened


class BusClosed(Exception):
    """The bus has ended."""


class MemoryBus:
    """`on_coalesced` is told how many events slow readers have just lost; `coalesced` is their sum."""

    def __init__(self, *, on_coalesced: Callable[[int], None] | None = None) -> None:
        self.coalesced = 0
        self._on_coalesced = on_coalesced
        self._readers: dict[str, dict[_Mailbox, None]] = defaultdict(dict)
        self._closed = False

    async def publish(self, topic: str, events: Sequence[Event]) -> None:
        """Raises `BusClosed` after `aclose`."""
        if self._closed:
            raise BusClosed("the bus is closed")
        lost = sum(reader.put(event) for reader in self._readers.get(topic, ()) for event in events)
        if lost:
            self.coalesced += lost
            if self._on_coalesced is not None:
                self._on_coalesced(lost)

    @asynccontextmanager
    async def subscribe(
        self, topics: Sequence[str], *, limit: int = DEFAULT_LIMIT
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Raises `BusClosed` after `aclose`."""
        if self._closed:
            raise BusClosed("the bus is closed")
        reader = _Mailbox(limit)
        for topic in topics:
            self._readers[topic][reader] = None
        try:
            yield reader
        finally:
            reader.close()
            for topic in dict.fromkeys(topics):
                del self._readers[topic][reader]
                if not self._readers[topic]:
                    del self._readers[topic]

    async def aclose(self) -> None:
        self._closed = True
        for readers in self._readers.values():
            for reader in readers:
                reader.close()


class _Mailbox:
    """The events of one reader that it has not read yet, oldest first.

    While they fit, each has a place of its own (a number). From the moment they do not, places are record ids, until
    the reader has caught up.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("a reader needs room for at least one event")
        self._limit = limit
        self._held: dict[str | int, Event] = {}
        self._counter = 0
        self._behind = False
        self._closed = False
        self._news = asyncio.Event()

    def __aiter__(self) -> "_Mailbox":
        return self

    async def __anext__(self) -> Event:
        while not self._held:
            if self._closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        event = self._held.pop(next(iter(self._held)))
        if not self._held:
            self._behind = False
        return event

    def put(self, event: Event) -> int:
        """Gives how many events were lost by it."""
        lost = 0
        if not self._behind and len(self._held) >= self._limit:
            before = list(self._held.values())
            self._behind = True
            self._held = {}
            lost += sum(self._place(each) for each in before)
        lost += self._place(event)
        if len(self._held) > self._limit:
            del self._held[next(iter(self._held))]
            lost += 1
        self._news.set()
        return lost

    def close(self) -> None:
        self._closed = True
        self._news.set()

    def _place(self, event: Event) -> int:
        """Puts the event at the end; 1 when it replaces an older one of its record, or is itself the older one."""
        if not self._behind or isinstance(event, Happened):
            self._counter += 1
            self._held[self._counter] = event
            return 0
        id_ = event.record.id if isinstance(event, Changed) else event.id
        known = self._held.get(id_)
        if known is not None and _age(known) > _age(event):
            return 1
        self._held.pop(id_, None)
        self._held[id_] = event
        return 0 if known is None else 1


def _age(event: Event) -> tuple[datetime, int]:
    return event.occurred_at, 0 if isinstance(event, Happened) else event.sequence
