"""The writer: many producers, few transactions, and each gets its own answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from runtime.store import BadRow, StoreDown
from runtime.store.writer import Operation, Writer
from tests.runtime.fakes import FakeClock


async def nothing(connection: object, rows: Sequence[int]) -> list[int]:
    raise AssertionError("the fake database does the writing")


FIRST: Operation[int, int] = Operation("first", nothing)
SECOND: Operation[int, int] = Operation("second", nothing, durable=True)


class FakeDatabase:
    """Notes each transaction; refuses rows below zero, and everything while it is down."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.transactions: list[tuple[str, list[int]]] = []
        self.down = False
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def transact(self, operation: Operation[Any, Any], rows: Sequence[Any]) -> Sequence[Any]:
        self.transactions.append((operation.name, list(rows)))
        self.begun.set()
        await self.gate.wait()
        if self.down:
            raise StoreDown("gone")
        if min(rows) < 0:
            raise ValueError("below zero")
        return [row * 10 for row in rows]


@pytest.fixture
def fake(clock: FakeClock) -> FakeDatabase:
    return FakeDatabase(clock)


@pytest.fixture
async def writer(fake: FakeDatabase, clock: FakeClock) -> AsyncIterator[Writer]:
    opened = Writer(fake.transact, clock=clock, limit=4)
    opened.start()
    yield opened
    await opened.aclose()


async def test_producers_share_a_transaction_per_operation(fake: FakeDatabase, writer: Writer) -> None:
    answers = await asyncio.gather(writer.submit(FIRST, [1]), writer.submit(SECOND, [2]), writer.submit(FIRST, [3, 4]))
    assert list(answers) == [[10], [20], [30, 40]]
    assert fake.transactions == [("first", [1, 3, 4]), ("second", [2])]


async def test_a_batch_ends_at_its_limit(fake: FakeDatabase, writer: Writer) -> None:
    answers = await asyncio.gather(*(writer.submit(FIRST, [number, number]) for number in range(3)))
    assert answers == [[0, 0], [10, 10], [20, 20]]
    assert fake.transactions == [("first", [0, 0, 1, 1]), ("first", [2, 2])]


async def test_a_batch_ends_when_its_time_is_up(fake: FakeDatabase, clock: FakeClock) -> None:
    """While each look at the clock costs 30 ms, the third producer comes too late."""

    class SlowClock(FakeClock):
        def monotonic(self) -> float:
            self.seconds += 0.03
            return self.seconds

    writer = Writer(fake.transact, clock=SlowClock())
    writer.start()
    await asyncio.gather(*(writer.submit(FIRST, [number]) for number in (1, 2, 3)))
    await writer.aclose()
    assert fake.transactions == [("first", [1, 2]), ("first", [3])]


async def test_what_comes_during_a_transaction_goes_into_the_next(fake: FakeDatabase, writer: Writer) -> None:
    fake.gate.clear()
    first = asyncio.create_task(writer.submit(FIRST, [1]))
    await fake.begun.wait()
    others = [asyncio.create_task(writer.submit(FIRST, [number])) for number in (2, 3)]
    await asyncio.sleep(0)
    fake.gate.set()
    assert await first == [10]
    assert [await each for each in others] == [[20], [30]]
    assert fake.transactions == [("first", [1]), ("first", [2, 3])]


async def test_a_bad_row_is_found_by_halves_and_fails_its_producer_only(fake: FakeDatabase, writer: Writer) -> None:
    answers = await asyncio.gather(
        writer.submit(FIRST, [1]), writer.submit(FIRST, [-2, 3]), writer.submit(FIRST, [4]), return_exceptions=True
    )
    assert fake.transactions == [
        ("first", [1, -2, 3, 4]), ("first", [1, -2]), ("first", [1]), ("first", [-2]), ("first", [3, 4]),
    ]  # fmt: skip
    assert answers[0] == [10]
    assert isinstance(answers[1], BadRow)
    assert str(answers[1]) == "first: the database refuses a row (ValueError)"
    assert answers[2] == [40]


async def test_a_database_that_is_away_is_not_asked_by_halves(fake: FakeDatabase, writer: Writer) -> None:
    fake.down = True
    answers = await asyncio.gather(writer.submit(FIRST, [1]), writer.submit(FIRST, [2]), return_exceptions=True)
    assert [str(each) for each in answers] == ["gone", "gone"]
    assert all(isinstance(each, StoreDown) for each in answers)
    assert fake.transactions == [("first", [1, 2])]
    fake.down = False
    assert await writer.submit(FIRST, [3]) == [30]


async def test_a_producer_that_gives_up_harms_nobody(fake: FakeDatabase, writer: Writer) -> None:
    fake.gate.clear()
    first = asyncio.create_task(writer.submit(FIRST, [1]))
    await fake.begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    fake.gate.set()
    assert await writer.submit(FIRST, [2]) == [20]


async def test_closing_writes_what_is_queued_and_then_takes_no_more(fake: FakeDatabase, clock: FakeClock) -> None:
    writer = Writer(fake.transact, clock=clock)
    writer.start()
    queued = asyncio.create_task(writer.submit(FIRST, [1]))
    await asyncio.sleep(0)
    await writer.aclose()
    assert await queued == [10]
    with pytest.raises(StoreDown, match=r"^the store is not open$"):
        await writer.submit(FIRST, [2])


async def test_nothing_to_write_costs_nothing(fake: FakeDatabase, writer: Writer) -> None:
    assert await writer.submit(FIRST, []) == []
    assert fake.transactions == []
