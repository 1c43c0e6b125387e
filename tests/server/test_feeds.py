"""What feeds the inbox and the crosswalk: streams, polls, the index."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.kit.errors import AuthFailed, BadPayload, VendorDown
from connectors.kit.integration import Integration
from connectors.kit.protocols import Connector, Identity, Polled
from connectors.kit.services import Services
from resolvers.crosswalk import Crosswalk, Link
from resolvers.sources import Handle
from runtime.store import Database, StoreDown
from server.feeds import rows_of
from tests.server.lanes import Rig, raw
from tests.server.rig import HandClock, eventually
from unified.keys import Subject
from unified.records import Kind
from unified.values import System


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    clock = HandClock()
    database = Database(f"sqlite:///{tmp_path}/crossdock.db", clock=clock)
    await database.start()
    made = Rig(database, clock)
    yield made
    await made.aclose()
    await database.aclose()


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
