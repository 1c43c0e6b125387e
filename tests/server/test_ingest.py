"""The path of what arrives: lanes that do not wait for each other, deliveries that fail, vendors that are away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.kit.errors import AuthFailed, BadPayload, CircuitOpen, ConnectorError, VendorDown
from connectors.kit.integration import Integration
from connectors.kit.manifest import Manifest, Payload
from connectors.kit.protocols import Connector, Identity, Polled, Raw
from connectors.kit.services import Services
from resolvers.crosswalk import Crosswalk, Link
from resolvers.sources import Handle, Sources
from runtime.bus import MemoryBus, topic
from runtime.store import (
    CrosswalkStore,
    CursorStore,
    Database,
    Delivery,
    Inbox,
    InboxCounts,
    LatestState,
    StoreDown,
)
from server.feeds import Feeds, rows_of
from server.ingest import AT_ONCE, BATCH_ROWS, Ingest
from tests.runtime.fakes import changed, removed
from tests.server.rig import HandClock, Lines, eventually
from unified.events import Event
from unified.keys import Subject
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


# --- what feeds it


async def test_a_stream_goes_into_the_inbox_and_what_comes_together_is_kept_together(rig: Rig) -> None:
    rig.one.streams = [raw(str(number)) for number in range(1_200)]
    await rig.feeds.listen("acme", rig.handle("one"))
    assert await rig.statuses() == {"one": (1_200, 0)}


async def test_a_stream_that_only_a_person_can_mend_is_told_once_and_tried_every_minute(rig: Rig) -> None:
    rig.one.streams = [raw("1"), AuthFailed("the token is refused")]
    rig.run(lambda: rig.feeds.listen("acme", rig.handle("one")))
    for _ in range(3):
        await eventually(lambda: rig.clock.sleepers)
        rig.clock.go_on(60)
        await asyncio.sleep(0.01)
    assert rig.log.lines[0] == (
        "feed.failed",
        {"integration": "one", "feed": "stream", "code": "ERR_OAUTH_INVALID", "error": "the token is refused"},
    )
    rig.one.streams = [raw("2")]
    await eventually(lambda: rig.clock.sleepers)
    rig.clock.go_on(60)
    while await rig.statuses() != {"one": (2, 0)}:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_a_stream_waits_for_the_store_and_is_not_torn_down(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    accept = rig.inbox.accept
    tries = 0

    async def away(deliveries: Sequence[Any]) -> list[int]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreDown("away")
        return await accept(deliveries)

    monkeypatch.setattr(rig.inbox, "accept", away)
    rig.one.streams = [raw("1"), raw("2")]
    listening = asyncio.ensure_future(rig.feeds.listen("acme", rig.handle("one")))
    while not listening.done():
        rig.clock.go_on(1)
        await asyncio.sleep(0.005)
    assert await rig.statuses() == {"one": (2, 0)}


async def test_a_poll_goes_on_from_its_cursor_also_after_a_restart(rig: Rig) -> None:
    rig.one.polls = [Polled(raws=(raw("1"),), cursor="a"), Polled(raws=(raw("2"),), cursor="b")]
    asked: list[str | None] = []
    poll = rig.one.poll

    async def noted(cursor: str | None) -> Polled:
        asked.append(cursor)
        return await poll(cursor)

    rig.one.poll = noted  # type: ignore[method-assign]
    for _ in range(2):
        task = asyncio.ensure_future(rig.feeds.poll("acme", rig.handle("one")))
        await eventually(lambda: rig.clock.sleepers)
        rig.clock.go_on(15)
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert asked[:2] == [None, "a"]
    assert set(asked[2:]) == {"b"}
    assert await rig.statuses() == {"one": (2, 0)}


async def test_a_poll_that_fails_is_told_once_unless_the_way_to_the_vendor_tells_of_it(rig: Rig) -> None:
    bad, down = BadPayload("no JSON", path="$", integration="one"), VendorDown("away", integration="one")
    rig.one.polls = [down, bad, bad, Polled(), bad]
    rig.run(lambda: rig.feeds.poll("acme", rig.handle("one")))
    while rig.one.polls:
        rig.clock.go_on(15)
        await asyncio.sleep(0.005)
    told = {"integration": "one", "feed": "poll", "code": "ERR_INVALID_RESPONSE", "error": "no JSON"}
    await eventually(lambda: rig.log.lines == [("feed.failed", told)] * 2)


async def test_the_index_is_kept_for_the_next_start(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.two.known = [Identity(subject=Subject.VEHICLE, kind=Kind.VEHICLE, number="X 1", external_id="9")]
    rig.one.known = [
        Identity(subject=Subject.VEHICLE, kind=Kind.VEHICLE, number="AB-12", external_id="7"),
        Identity(subject=Subject.VEHICLE, kind=Kind.VEHICLE, number="AB-12", external_id="7"),
        Identity(subject=Subject.VEHICLE, number=""),
    ]
    writes: list[int] = []
    replace = rig.crosswalk.replace

    async def noted(organisation: str, integration: str, rows: Sequence[Any]) -> None:
        writes.append(len(rows))
        await replace(organisation, integration, rows)

    monkeypatch.setattr(rig.crosswalk, "replace", noted)
    rig.run(*(lambda key=key: rig.feeds.index(rig.sources, rig.handle(key)) for key in ("one", "two")))
    for _ in range(3):
        await eventually(lambda: rig.clock.sleepers)
        rig.clock.go_on(300)
        await asyncio.sleep(0.02)
    rows = await rig.crosswalk.all("acme")
    assert sorted((row.integration, row.number, row.external_id) for row in rows) == [
        ("one", "AB-12", "7"),
        ("two", "X 1", "9"),
    ]
    assert writes == [1, 1], "each integration writes its own rows, and only what is new"
    key = rig.sources.crosswalk.key(Subject.VEHICLE, "one", "ab 12")
    assert [row.key for row in rows if row.integration == "one"] == [key]


def test_rows_have_the_keys_under_which_the_systems_meet() -> None:
    linked = Crosswalk([Link(Subject.ITEM, (("one", "A-1"), ("two", "B-2")))])
    [row] = rows_of(linked, "one", [Identity(subject=Subject.ITEM, number="A-1")])
    assert (row.key, row.kind, row.external_id) == ("=one:A-1|two:B-2", None, None)


async def test_who_has_no_stream_and_no_poll_is_not_asked(rig: Rig) -> None:
    bare = Connector(Integration(key="bare", system=System.TRACCAR), Services())
    handle = Handle(bare.integration, bare)
    await rig.feeds.listen("acme", handle)
    await rig.feeds.poll("acme", handle)
    await rig.feeds.index(rig.sources, handle)
