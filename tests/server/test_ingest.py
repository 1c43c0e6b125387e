"""The path of what arrives: lanes that do not wait for each other, deliveries that fail, vendors that are away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from connectors.kit.errors import AuthFailed, BadPayload, CircuitOpen, ConnectorError, VendorDown
from runtime.store import Database, Delivery, Inbox, InboxCounts, StoreDown
from server.ingest import AT_ONCE, BATCH_ROWS
from tests.runtime.fakes import changed, removed
from tests.server.lanes import Rig
from tests.server.rig import HandClock, eventually
from unified.events import Event
from unified.records import Kind


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    clock = HandClock()
    database = Database(f"sqlite:///{tmp_path}/crossdock.db", clock=clock)
    await database.start()
    made = Rig(database, clock)
    yield made
    await made.aclose()
    await database.aclose()


# --- the path


async def test_what_arrives_is_stored_and_told_in_the_order_of_its_arrival(rig: Rig) -> None:
    await rig.listen()
    await rig.accept("one", *(str(number) for number in range(10)))
    assert await rig.work_off("one") is True
    assert await rig.work_off("one") is False
    await eventually(lambda: len(rig.heard) == 10)
    assert [event.record.source.external_id for event in rig.heard] == [str(each) for each in range(10)]  # type: ignore[union-attr]
    assert len(await rig.state.read("acme", Kind.VEHICLE)) == 10
    assert await rig.statuses() == {}
    assert rig.numbers.told == [("one", 10)]
    assert rig.ingest.last_event == {"one": rig.clock.now()}


async def test_what_is_older_than_what_is_known_is_not_told(rig: Rig) -> None:
    await rig.listen()
    rig.one.tells = {"new": [changed("7", 10)], "old": [changed("7", 5)], "gone": [removed("7", 20)]}
    for each in ("new", "old", "gone"):
        await rig.accept("one", each)
        await rig.work_off("one")
    await eventually(lambda: len(rig.heard) == 2)
    assert rig.heard == [changed("7", 10), removed("7", 20)]


async def test_a_delivery_without_events_is_done(rig: Rig) -> None:
    rig.one.tells["1"] = []
    await rig.accept("one", "1")
    await rig.work_off("one")
    assert (await rig.statuses(), rig.numbers.told, rig.ingest.last_event) == ({}, [], {})


async def test_thin_deliveries_are_fetched_side_by_side_but_not_all_at_once(rig: Rig) -> None:
    await rig.accept("one", *(str(number) for number in range(BATCH_ROWS + 5)))
    await rig.work_off("one")
    assert rig.one.most_together == AT_ONCE
    assert await rig.statuses() == {"one": (5, 0)}
    await rig.work_off("one")
    assert await rig.statuses() == {}


# --- lanes


async def test_a_vendor_that_hangs_holds_up_nobody_else(rig: Rig) -> None:
    await rig.listen()
    gate = asyncio.Event()
    rig.one.tells["slow"] = gate
    rig.run(*(lambda key=key: rig.ingest.work("acme", rig.handle(key)) for key in ("one", "two")))
    await rig.accept("one", "slow")
    await eventually(lambda: rig.one.asked)
    await rig.accept("two", "1")
    await rig.accept("two", "2")
    await eventually(lambda: sum(count for _, count in rig.numbers.told) == 2)
    assert len(rig.heard) == 2
    assert await rig.statuses() == {"one": (1, 0)}
    gate.set()
    await eventually(lambda: len(rig.heard) == 3)


async def test_what_takes_long_stays_claimed(rig: Rig) -> None:
    """Another server sees a sign of life and leaves it alone."""
    other = Inbox(rig.database, worker="another")
    gate = asyncio.Event()
    rig.one.tells["slow"] = gate
    rig.run(lambda: rig.ingest.work("acme", rig.handle("one")))
    await rig.accept("one", "slow")
    await eventually(lambda: rig.one.asked)
    for _ in range(10):
        await eventually(lambda: rig.clock.sleepers)
        rig.clock.go_on(10)
        await eventually(lambda: rig.clock.sleepers)
        assert await other.claim("acme", "one") == []
    gate.set()


async def test_what_a_dead_server_left_is_found_by_time_alone(rig: Rig) -> None:
    dead = Inbox(rig.database, worker="dead")
    await rig.accept("one", "1")
    assert len(await dead.claim("acme", "one")) == 1
    rig.run(lambda: rig.ingest.work("acme", rig.handle("one")), rig.ingest.watch)
    await eventually(lambda: rig.clock.sleepers)
    assert rig.one.asked == []
    for _ in range(16):
        rig.clock.go_on(2)
        await asyncio.sleep(0.01)
    await eventually(lambda: rig.one.asked == ["1"])


# --- deliveries that fail


async def test_a_delivery_that_cannot_be_read_holds_up_no_other(rig: Rig) -> None:
    rig.one.tells["bad"] = BadPayload("no JSON", path="$")
    rig.run(lambda: rig.ingest.work("acme", rig.handle("one")), rig.ingest.watch)
    await rig.accept("one", "1", "bad", "2")
    await eventually(lambda: rig.numbers.told == [("one", 2)])
    while (await rig.statuses()).get("one") != (0, 1):
        rig.clock.go_on(600)
        await asyncio.sleep(0.01)
    assert rig.one.asked.count("bad") == 10
    [failed], [dead] = rig.log.of("inbox.failed"), rig.log.of("inbox.given_up")
    assert failed == {
        "integration": "one", "delivery": "bad", "code": "ERR_INVALID_RESPONSE", "error": "no JSON",
    }  # fmt: skip
    assert dead == {**failed, "attempts": 10}


async def test_a_bug_that_one_delivery_meets_is_told_with_its_trace_and_holds_up_no_other(rig: Rig) -> None:
    bug = ZeroDivisionError("password=hidden")
    rig.one.tells["bad"] = bug
    await rig.accept("one", "1", "bad", "2")
    await rig.work_off("one")
    assert rig.numbers.told == [("one", 2)]
    [failed] = rig.log.of("inbox.failed")
    assert failed["exc_info"] is bug
    assert failed["error"] == "ZeroDivisionError"
    rig.clock.go_on(1)
    [row] = await rig.inbox.claim("acme", "one")
    assert row.error == "INTERNAL_SERVER_ERROR: ZeroDivisionError"


async def test_a_record_that_the_database_refuses_costs_its_own_delivery_only(rig: Rig) -> None:
    await rig.listen()
    rig.one.tells["bad"] = [changed("7", sequence=2**70)]
    await rig.accept("one", "1", "bad", "2")
    await rig.work_off("one")
    await eventually(lambda: len(rig.heard) == 2)
    assert [event.record.source.external_id for event in rig.heard] == ["1", "2"]  # type: ignore[union-attr]
    assert await rig.statuses() == {"one": (1, 0)}
    assert [values["delivery"] for values in rig.log.of("inbox.failed")] == ["bad"]


@pytest.mark.parametrize(
    ("trouble", "pause"),
    [
        (VendorDown("away"), 15),
        (VendorDown("away", retry_after=7), 7),
        (VendorDown("away", retry_after=900), 60),
        (CircuitOpen("left alone", retry_after=0.01), 1),
        (AuthFailed("refused"), 15),
    ],
)
async def test_a_vendor_that_is_away_is_waited_for_however_long(rig: Rig, trouble: ConnectorError, pause: int) -> None:
    rig.one.tells = {"1": trouble, "2": trouble}
    await rig.accept("one", "1", "2")
    await rig.work_off("one")
    for _ in range(30):
        rig.clock.go_on(pause - 0.1)
        assert await rig.work_off("one") is False
        rig.clock.go_on(0.1)
        assert await rig.work_off("one") is True
    assert await rig.statuses() == {"one": (2, 0)}, "nothing is given up"
    rig.one.tells = {}
    rig.clock.go_on(pause)
    await rig.work_off("one")
    assert await rig.statuses() == {}
    assert rig.log.lines == [
        ("inbox.waiting", {"integration": "one", "code": trouble.code, "deliveries": 2}),
        ("inbox.resumed", {"integration": "one"}),
    ]


async def test_deliveries_of_an_integration_that_is_no_more_are_given_up_in_the_end(rig: Rig) -> None:
    gone = Delivery(organisation="acme", integration="gone", delivery_id="1", decoder="x", headers={}, body=b"")
    await rig.inbox.accept([gone])
    rig.run(rig.ingest.watch)
    while (await rig.inbox.counts()) != InboxCounts(pending=0, dead=1):
        rig.clock.go_on(100)
        await asyncio.sleep(0.002)
    assert rig.log.lines == [("inbox.orphans", {"organisation": "acme", "integration": "gone", "deliveries": 1})]


# --- the store


async def test_while_the_store_is_away_work_waits_and_goes_on_when_it_is_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert = rig.state.upsert
    tries = 0

    async def away(organisation: str, events: Sequence[Event]) -> list[Event]:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise StoreDown("away")
        return await upsert(organisation, events)

    monkeypatch.setattr(rig.state, "upsert", away)
    rig.run(lambda: rig.ingest.work("acme", rig.handle("one")))
    await rig.accept("one", "1")
    while not rig.numbers.told:
        rig.clock.go_on(1)
        await asyncio.sleep(0.005)
    assert tries == 4
    assert rig.log.lines == []


async def test_done_deliveries_are_forgotten_after_the_retention(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.ingest.PURGE_ROWS", 2)
    monkeypatch.setattr("runtime.store.inbox.PURGE_ROWS", 2)
    purge = rig.inbox.purge

    async def two(*, hours: float) -> int:
        return await purge(hours=hours, limit=2)

    monkeypatch.setattr(rig.inbox, "purge", two)
    await rig.accept("one", "1", "2", "3", "4", "5")
    await rig.work_off("one")
    rig.run(lambda: rig.ingest.purge(days=7))

    async def kept() -> int:
        async with rig.database.reading() as connection:
            return (await connection.exec_driver_sql("SELECT count(*) FROM inbox")).scalar_one()

    await eventually(lambda: rig.clock.sleepers)
    rig.clock.go_on(7 * 86_400)
    await asyncio.sleep(0.05)
    assert await kept() == 5, "done just seven days ago"
    for _ in range(10):
        rig.clock.go_on(600)
        await asyncio.sleep(0.01)
    assert await kept() == 0
