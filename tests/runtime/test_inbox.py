"""The inbox: twice delivered is once kept; nothing accepted is lost; one worker at a time; what fails waits longer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from runtime.store import Database, Delivery, Inbox, InboxCounts
from runtime.store.inbox import CLAIM_SECONDS
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
    return [row.delivery_id for row in await inbox.claim("acme", "traccar")]


async def test_a_delivery_is_read_as_it_was_accepted(inbox: Inbox) -> None:
    ids = await inbox.accept([DELIVERY])
    (row,) = await inbox.claim("acme", "traccar")
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


async def test_what_waits_is_oldest_first_bounded_and_of_one_integration(inbox: Inbox) -> None:
    others = [delivery("6", integration="tak"), delivery("7", organisation="zeta")]
    await inbox.accept([*others, *(delivery(str(number)) for number in range(5))])
    assert [row.delivery_id for row in await inbox.claim("acme", "traccar", 2)] == ["0", "1"]
    assert await inbox.due() == {("acme", "traccar"), ("acme", "tak"), ("zeta", "traccar")}


async def test_no_more_is_claimed_at_once_than_fits_into_memory(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.store.inbox.CLAIM_BYTES", 10)
    sizes = [4, 6, 1, 50, 2]
    await inbox.accept([replace(delivery(str(size)), body=b"x" * size) for size in sizes])
    claimed = []
    while rows := await inbox.claim("acme", "traccar"):
        claimed.append([len(row.body) for row in rows])
        await inbox.done([row.id for row in rows])
    assert claimed == [[4, 6], [1], [50], [2]]


# --- claims


@pytest.fixture
async def workers(database: Database, clock: FakeClock) -> AsyncIterator[tuple[Inbox, Inbox]]:
    """Two servers on one database."""
    other = Database(database.url, clock=clock)
    await other.start()
    yield Inbox(database), Inbox(other)
    await other.aclose()


async def test_while_one_works_on_an_integration_no_other_gets_any_of_it(workers: tuple[Inbox, Inbox]) -> None:
    one, two = workers
    await one.accept([delivery("1"), delivery("2"), delivery("3"), delivery("4", integration="tak")])
    first = await one.claim("acme", "traccar", 2)
    assert [row.delivery_id for row in first] == ["1", "2"]
    assert await two.claim("acme", "traccar") == []
    assert [row.delivery_id for row in await two.claim("acme", "tak")] == ["4"]
    assert await two.due() == {("acme", "traccar"), ("acme", "tak")}
    await one.done([row.id for row in first])
    assert [row.delivery_id for row in await two.claim("acme", "traccar")] == ["3"]
    assert await one.claim("acme", "traccar") == []


async def test_workers_that_claim_at_once_never_share_an_integration(workers: tuple[Inbox, Inbox]) -> None:
    await workers[0].accept([delivery(str(number)) for number in range(20)])
    for _ in range(5):
        claims = await asyncio.gather(*(each.claim("acme", "traccar", 3) for each in workers * 4))
        by_worker = [{row.id for claim in claims[start::2] for row in claim} for start in (0, 1)]
        assert sorted(len(each) for each in by_worker) == [0, 3]
        await workers[0].done([*by_worker[0], *by_worker[1]])


async def test_a_worker_gets_its_own_rows_again(inbox: Inbox) -> None:
    """It crashed half-way and started anew: nobody else may have them, so it must."""
    await inbox.accept([delivery("1")])
    assert await waiting(inbox) == ["1"]
    assert await waiting(inbox) == ["1"]


async def test_a_claim_without_a_sign_of_life_ends(workers: tuple[Inbox, Inbox], clock: FakeClock) -> None:
    one, two = workers
    await one.accept([delivery("1")])
    [row] = await one.claim("acme", "traccar")
    clock.seconds += CLAIM_SECONDS - 1
    await one.keep([row.id])
    clock.seconds += CLAIM_SECONDS - 1
    assert await waiting(two) == []
    assert await two.due() == set()
    clock.seconds += 1
    assert await two.due() == {("acme", "traccar")}
    assert await waiting(two) == ["1"]
    await one.keep([row.id])
    assert await waiting(one) == [], "a sign of life from who has lost the claim takes nothing back"


@pytest.mark.parametrize("end", ["failed", "put off"])
async def test_a_row_that_waits_again_is_nobodys(workers: tuple[Inbox, Inbox], clock: FakeClock, end: str) -> None:
    one, two = workers
    await one.accept([delivery("1")])
    [row] = await one.claim("acme", "traccar")
    await (one.failed(row.id, "no") if end == "failed" else one.put_off([row.id], "no", seconds=1))
    assert await waiting(two) == []
    clock.seconds += 1
    assert await waiting(two) == ["1"]


async def test_the_only_worker_takes_over_what_another_left(workers: tuple[Inbox, Inbox]) -> None:
    dead, fresh = workers
    await dead.accept([delivery("1"), delivery("2")])
    await dead.claim("acme", "traccar", 1)
    assert await fresh.release() == 1
    assert await waiting(fresh) == ["1", "2"]
    assert await fresh.release() == 2


async def test_a_row_that_fails_holds_up_no_other(inbox: Inbox, clock: FakeClock) -> None:
    first, _ = await inbox.accept([delivery("1"), delivery("2")])
    assert await waiting(inbox) == ["1", "2"]
    await inbox.failed(first, "poison")
    assert await waiting(inbox) == ["2"]
    clock.seconds += 1
    assert await waiting(inbox) == ["1", "2"]


# --- failures


async def test_waiting_for_a_vendor_is_no_attempt(inbox: Inbox, clock: FakeClock) -> None:
    """However long the vendor is away, what it told before is not given up."""
    [id_] = await inbox.accept([DELIVERY])
    for _ in range(50):
        await inbox.put_off([id_], "the vendor is away", seconds=15)
        assert await waiting(inbox) == []
        clock.seconds += 15
        [row] = await inbox.claim("acme", "traccar")
        assert (row.attempts, row.error) == (0, "the vendor is away")
    assert await inbox.counts() == InboxCounts(pending=1, dead=0)


async def test_what_fails_waits_longer_each_time_and_is_given_up_after_ten_attempts(
    inbox: Inbox, clock: FakeClock
) -> None:
    (id_,) = await inbox.accept([DELIVERY])
    pauses = []
    for attempt in range(1, 10):
        assert await inbox.failed(id_, f"error {attempt}") is False
        assert await waiting(inbox) == []
        before = clock.seconds
        while not await waiting(inbox):
            clock.seconds += 1
        pauses.append(clock.seconds - before)
        [row] = await inbox.claim("acme", "traccar")
        assert (row.attempts, row.error) == (attempt, f"error {attempt}")
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert await inbox.counts() == InboxCounts(pending=1, dead=0)
    assert await inbox.failed(id_, "the last") is True
    assert await inbox.counts() == InboxCounts(pending=0, dead=1)
    clock.seconds += 1_000_000
    assert await waiting(inbox) == []
    assert await inbox.purge(hours=1) == 0
    assert await inbox.counts() == InboxCounts(pending=0, dead=1)


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


async def test_a_purge_is_bounded_and_takes_the_oldest_first(inbox: Inbox, clock: FakeClock) -> None:
    await inbox.accept([delivery(str(number)) for number in range(1, 6)])
    for id_ in (4, 2, 1, 3, 5):
        await inbox.done([id_])
        clock.seconds += 1
    clock.seconds += 3_600
    assert await inbox.purge(hours=1, limit=2) == 2
    assert await inbox.accept([delivery("1"), delivery("3"), delivery("5")]) == []
    assert await inbox.purge(hours=1, limit=2) == 2
    assert await inbox.purge(hours=1, limit=2) == 1
    assert await inbox.purge(hours=1, limit=2) == 0


async def test_what_waits_and_what_was_given_up_is_counted_by_integration(inbox: Inbox) -> None:
    rows = [delivery("1"), delivery("2"), delivery("3", integration="tak"), delivery("4", organisation="zeta")]
    first, second, third, _ = await inbox.accept(rows)
    await inbox.done([second])
    for _ in range(10):
        await inbox.failed(third, "no")
    assert await inbox.counts_by_integration("acme") == {
        "traccar": InboxCounts(pending=1, dead=0),
        "tak": InboxCounts(pending=0, dead=1),
    }
    assert await inbox.counts() == InboxCounts(pending=2, dead=1)
    await inbox.done([first])
    assert await inbox.counts_by_integration("acme") == {"tak": InboxCounts(pending=0, dead=1)}


async def test_to_count_what_is_open_what_is_done_is_not_looked_at(inbox: Inbox, database: Database) -> None:
    """A week's deliveries lie there, done; a page that goes through them all is not ready in time."""
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL plans by how many rows of each kind there are")
    asked: list[tuple[str, Any]] = []
    assert database._engine is not None
    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
    await inbox.counts_by_integration("acme")
    await inbox.counts()
    selects = [each for each in asked if each[0].startswith("SELECT")]
    assert len(selects) == 2
    for statement, parameters in selects:
        async with database.reading() as connection:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            assert "ix_inbox_status_done_at (status=?)" in next(iter(plan))[3]


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
    assert sorted(answers[0] + answers[1]) == sorted(
        {row.id for row in await Inbox(database).claim("acme", "traccar", 1_000)}
    )
    assert len(answers[0] + answers[1]) == 50
