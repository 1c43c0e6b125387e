"""What every bus does. `tests/runtime/test_bus.py` holds all of them to it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from unified.events import Event
from unified.records import Kind

DEFAULT_LIMIT = 1_000


def topic(organisation: str, kind: Kind) -> str:
    """The topic of one kind of record in one organisation."""
    return f"{organisation}/{kind.value}"


class Bus(Protocol):
    """Readers listen from the moment they enter; what was published before, they do not get.

    A reader that falls `limit` events behind keeps only the newest event of each record, and of those the newest
    `limit`. It delays neither the publisher nor another reader.
    """

    async def publish(self, topic: str, events: Sequence[Event]) -> None:
        """Hands the events to everyone who listens to the topic; waits for nobody."""
        ...

    def subscribe(
        self, topics: Sequence[str], *, limit: int = DEFAULT_LIMIT
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """The events of the topics, each topic's in the order of publishing. One task may read it."""
        ...

    async def aclose(self) -> None:
        """Ends all readers, after what they still hold. Nothing can be published or subscribed afterwards."""
        ...
