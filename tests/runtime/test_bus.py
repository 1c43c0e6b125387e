"""The contract of every bus. A new implementation joins by one more `params` entry."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runtime.bus import Bus, MemoryBus, topic
from runtime.bus.memory import BusClosed
from tests.runtime.fakes import NOON, changed, removed
from unified.events import Changed, Event, Happened
from unified.records import Kind, VehicleEvent

VEHICLES = topic("acme", Kind.VEHICLE)
UNITS = topic("acme", Kind.UNIT)


@pytest.fixture(params=["memory"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    opened = {"memory": MemoryBus}[request.param]()
    yield opened
    await opened.aclose()


async def drain(bus: Bus, events: AsyncIterator[Event]) -> list[Event]:
    """All that the reader still holds; ends the bus."""
    await bus.aclose()
    return [event async for event in events]


def happened(what: str) -> Happened:
    return Happened(what=VehicleEvent(vehicle_external_id="7", event_type=what, at=NOON), occurred_at=NOON)


def test_a_topic_is_one_kind_of_one_organisation() -> None:
    assert (VEHICLES, UNITS) == ("acme/Vehicle", "acme/Unit")


async def test_a_reader_gets_its_topics_in_the_order_of_publishing(bus: Bus) -> None:
    async with bus.subscribe([VEHICLES, UNITS]) as events:
        sent: list[Event] = [changed("1"), removed("1", 1), happened("alarm"), changed("1", 2)]
        await bus.publish(VEHICLES, sent[:2])
        await bus.publish(topic("zeta", Kind.VEHICLE), [changed("9")])
        await bus.publish(UNITS, sent[2:3])
        await bus.publish(VEHICLES, sent[3:])
        assert await drain(bus, events) == sent


async def test_listening_starts_on_enter_and_not_before(bus: Bus) -> None:
    subscription = bus.subscribe([VEHICLES])
    await bus.publish(VEHICLES, [changed("1")])
    async with subscription as events:
        await bus.publish(VEHICLES, [changed("2")])
        assert await drain(bus, events) == [changed("2")]


async def test_a_waiting_reader_is_woken(bus: Bus) -> None:
    async with bus.subscribe([VEHICLES]) as events:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await bus.publish(VEHICLES, [changed("1")])
        assert await waiting == changed("1")


async def test_every_reader_gets_every_event(bus: Bus) -> None:
    async with bus.subscribe([VEHICLES]) as first, bus.subscribe([VEHICLES]) as second:
        await bus.publish(VEHICLES, [changed("1"), changed("2")])
        assert [await anext(first), await anext(first)] == [changed("1"), changed("2")]
        assert [await anext(second), await anext(second)] == [changed("1"), changed("2")]


async def test_a_slow_reader_keeps_the_newest_of_each_record_and_delays_nobody(bus: Bus) -> None:
    async with bus.subscribe([VEHICLES], limit=3) as slow, bus.subscribe([VEHICLES]) as fast:
        sent: list[Event] = [changed(str(number % 2), at) for at, number in enumerate([0, 1, 0, 1, 0])]
        await bus.publish(VEHICLES, sent)
        assert [await anext(fast) for _ in sent] == sent
        assert await drain(bus, slow) == [changed("1", 3), changed("0", 4)]


async def test_the_newest_is_newest_by_the_vendors_time(bus: Bus) -> None:
    async with bus.subscribe([VEHICLES], limit=1) as events:
        await bus.publish(VEHICLES, [changed("1", 5), changed("1", 9, sequence=2), changed("1", 9, sequence=1)])
        assert await drain(bus, events) == [changed("1", 9, sequence=2)]


async def test_with_more_records_than_room_the_oldest_go(bus: Bus) -> None:
    async with bus.subscribe([VEHICLES], limit=3) as events:
        await bus.publish(VEHICLES, [changed(str(number), number) for number in range(10)])
        assert await drain(bus, events) == [changed("7", 7), changed("8", 8), changed("9", 9)]


async def test_a_reader_that_has_caught_up_gets_every_event_again(bus: Bus) -> None:
    async with bus.subscribe([VEHICLES], limit=2) as events:
        await bus.publish(VEHICLES, [changed("1", at) for at in range(3)])
        assert await anext(events) == changed("1", 2)
        await bus.publish(VEHICLES, [changed("1", 3), changed("1", 4)])
        assert await drain(bus, events) == [changed("1", 3), changed("1", 4)]


async def test_what_happened_is_not_the_state_of_a_record(bus: Bus) -> None:
    async with bus.subscribe([VEHICLES], limit=2) as events:
        await bus.publish(VEHICLES, [changed("1"), happened("a"), changed("1", 1), happened("b")])
        assert await drain(bus, events) == [changed("1", 1), happened("b")]


async def test_closing_ends_a_reader_that_waits(bus: Bus) -> None:
    async with bus.subscribe([VEHICLES]) as events:
        waiting = asyncio.ensure_future(anext(events, None))
        await asyncio.sleep(0)
        await bus.aclose()
        assert await waiting is None


async def test_leaving_ends_the_reading(bus: Bus) -> None:
    async with bus.subscribe([VEHICLES, VEHICLES]) as events:
        pass
    await bus.publish(VEHICLES, [changed("1")])
    assert [event async for event in events] == []


async def test_a_closed_bus_takes_nothing(bus: Bus) -> None:
    await bus.aclose()
    with pytest.raises(BusClosed):
        await bus.publish(VEHICLES, [changed("1")])
    with pytest.raises(BusClosed):
        async with bus.subscribe([VEHICLES]):
            pass


async def test_a_reader_without_room_is_refused(bus: Bus) -> None:
    with pytest.raises(ValueError, match=r"^a reader needs room for at least one event$"):
        async with bus.subscribe([VEHICLES], limit=0):
            pass


async def test_memory_bus_counts_what_slow_readers_lose() -> None:
    lost: list[int] = []
    bus = MemoryBus(on_coalesced=lost.append)
    async with bus.subscribe([VEHICLES], limit=2) as events, bus.subscribe([VEHICLES]):
        await bus.publish(VEHICLES, [changed("1", at) for at in range(2)])
        assert (bus.coalesced, lost) == (0, [])
        await bus.publish(VEHICLES, [changed("1", 2), changed("2", 2), changed("3", 2)])
        kept = await drain(bus, events)
    assert [each.record.source.external_id for each in kept if isinstance(each, Changed)] == ["2", "3"]
    assert (bus.coalesced, lost) == (3, [3])
