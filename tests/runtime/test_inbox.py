"""The inbox: twice delivered is once kept; nothing accepted is lost; what fails waits longer each time."""

import asyncio
from dataclasses import replace

import pytest

from runtime.store import Database, Delivery, Inbox, InboxCounts
from tests.runtime.fakes import NOON, FakeClock

DELIVERY = Delivery(
    organisation="acme", integration="traccar", delivery_id="1", decoder="position",
    headers={"x-signature": "é"}, body=b"\x00\xff",
)  # fmt: skip


def delivery(id: str, *, organisation: str = "acme", integration: str = "traccar") -> Delivery:
    return replace(DELIVERY, delivery_id=id, organisation=organisation, integration=integration)


@pytest.fixture
def inbox(database: Database) -> Inbox:
    return Inbox(database)


async def waiting(inbox: Inbox) -> list[str]:
    return [row.delivery_id for row in await inbox.pending()]


async def test_a_delivery_is_read_as_it_was_accepted(inbox: Inbox) -> None:
    ids = await inbox.accept([DELIVERY])
    (row,) = await inbox.pending()
    assert [row.id] == ids
    assert (row.organisation, row.integration, row.delivery_id, row.decoder) == ("acme", "traccar", "1", "position")
    assert (row.headers, row.body) == ({"x-signature": "é"}, b"\x00\xff")
    assert (row.received_at, row.attempts, row.error) == (NOON, 0, None)


async def test_twice_delivered_is_once_kept(inbox: Inbox) -> None:
    assert await inbox.accept([delivery("1"), delivery("2"), delivery("1")]) == [1, 2]
    assert await inbox.accept([delivery("2")]) == []
    (third,) = await inbox.accept([delivery("2"), delivery("3")])
    assert await waiting(inbox) == ["1", "2", "3"]
    await inbox.done([1, 2, third])
    assert await inbox.accept([delivery("3")]) == []
    assert await waiting(inbox) == []


async def test_the_same_id_of_another_integration_or_organisation_is_another_delivery(inbox: Inbox) -> None:
    rows = [delivery("1"), delivery("1", integration="tak"), delivery("1", organisation="zeta")]
    assert len(await inbox.accept(rows)) == 3


async def test_the_same_delivery_at_once_is_accepted_by_one(inbox: Inbox) -> None:
    answers = await asyncio.gather(*(inbox.accept([delivery("1")]) for _ in range(5)))
    assert sorted(answers) == [[], [], [], [], [1]]


async def test_pending_is_oldest_first_and_bounded(inbox: Inbox) -> None:
    await inbox.accept([delivery(str(number)) for number in range(5)])
    assert [row.delivery_id for row in await inbox.pending(2)] == ["0", "1"]


async def test_what_fails_waits_longer_each_time_and_is_given_up_after_ten_attempts(
    inbox: Inbox, clock: FakeClock
) -> None:
    (id_,) = await inbox.accept([DELIVERY])
    pauses = []
    for attempt in range(1, 10):
        assert await inbox.failed(id_, f"error {attempt}") is False
        assert await inbox.pending() == []
        before = clock.seconds
        while not await inbox.pending():
            clock.seconds += 1
        pauses.append(clock.seconds - before)
        assert [(row.attempts, row.error) for row in await inbox.pending()] == [(attempt, f"error {attempt}")]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert await inbox.counts() == InboxCounts(pending=1, dead=0)
    assert await inbox.failed(id_, "the last") is True
    assert await inbox.counts() == InboxCounts(pending=0, dead=1)
    clock.seconds += 1_000_000
    assert await inbox.pending() == []


async def test_what_is_done_does_not_fail_afterwards(inbox: Inbox) -> None:
    (id_,) = await inbox.accept([DELIVERY])
    await inbox.done([id_])
    assert await inbox.failed(id_, "too late") is False
    assert await inbox.counts() == InboxCounts(pending=0, dead=0)


async def test_only_what_was_done_long_ago_is_purged_and_its_id_is_not_given_again(
    inbox: Inbox, clock: FakeClock
) -> None:
    await inbox.accept([delivery("1"), delivery("2"), delivery("3")])
    await inbox.done([3])
    clock.seconds += 3_600
    await inbox.done([1])
    assert await inbox.purge(hours=1) == 0
    clock.seconds += 1
    assert await inbox.purge(hours=1) == 1
    assert await waiting(inbox) == ["2"]
    (new,) = await inbox.accept([delivery("3")])
    assert new > 3
    assert await inbox.accept([delivery("1")]) == []


async def test_what_was_accepted_is_there_after_a_restart(database: Database, clock: FakeClock) -> None:
    await Inbox(database).accept([DELIVERY])
    await database.aclose()
    again = Database(database.url, clock=clock)
    await again.start()
    assert await waiting(Inbox(again)) == ["1"]
    await again.aclose()


async def test_two_servers_on_one_database_accept_a_delivery_once(database: Database, clock: FakeClock) -> None:
    other = Database(database.url, clock=clock)
    await other.start()
    rows = [delivery(str(number)) for number in range(50)]
    answers = await asyncio.gather(Inbox(database).accept(rows), Inbox(other).accept(rows[::-1]))
    await other.aclose()
    assert sorted(answers[0] + answers[1]) == sorted({row.id for row in await Inbox(database).pending(1_000)})
    assert len(answers[0] + answers[1]) == 50
