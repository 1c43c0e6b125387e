"""What changes in Teamcenter and how a poll finds it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from connectors.kit.errors import VendorDown
from connectors.kit.protocols import Poller
from connectors.teamcenter import connector
from tests.connectors.contract import NOW
from tests.connectors.test_teamcenter import Rig
from unified.events import Changed


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.connector.aclose()


async def test_the_first_poll_only_begins(rig: Rig) -> None:
    assert isinstance(rig.connector, Poller)
    polled = await rig.connector.poll(None)
    assert polled.raws == ()
    assert polled.cursor == NOW.isoformat()
    assert rig.calls() == {}


async def test_a_poll_brings_what_changed_once(rig: Rig) -> None:
    cursor = (await rig.connector.poll(None)).cursor
    item, other = rig.world.items[0], rig.world.items[1]
    rig.clock.passed += 90
    rig.standin.change(item.uid, object_name="Renamed")
    rig.standin.change(other.latest.uid, object_desc="A revision alone")
    rig.clock.passed += 10
    polled = await rig.connector.poll(cursor)
    assert [each.decoder for each in polled.raws] == ["service-data"] * 2
    events = [event for raw in polled.raws for event in await rig.connector.events(raw)]
    at = NOW + timedelta(seconds=90)
    assert {(each.record.name, each.occurred_at) for each in events if isinstance(each, Changed)} == {
        ("Renamed", at),
        (other.name, at),
    }
    rig.calls()
    again = await rig.connector.poll(polled.cursor)
    assert [each.delivery_id for each in again.raws] == [each.delivery_id for each in polled.raws], "the overlap"
    assert rig.calls() == {"executeSavedQueries": 1, "getProperties": 2}
    rig.clock.passed += 3600
    later = await rig.connector.poll(again.cursor)
    assert [each.delivery_id for each in later.raws] == [each.delivery_id for each in polled.raws]
    assert (await rig.connector.poll(later.cursor)).raws == ()


async def test_a_second_change_is_another_delivery(rig: Rig) -> None:
    cursor = (await rig.connector.poll(None)).cursor
    deliveries = set()
    for name in ("First", "Second"):
        rig.clock.passed += 5
        rig.standin.change(rig.world.items[0].uid, object_name=name)
        deliveries |= {each.delivery_id for each in (await rig.connector.poll(cursor)).raws}
    assert len(deliveries) == 2


async def test_many_changes_come_in_several_polls(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "POLLED", 2)
    cursor = (await rig.connector.poll(None)).cursor
    for item in rig.world.items[:5]:
        rig.standin.change(item.uid, object_name="Changed")
    rig.clock.passed += 60
    sizes, seen = [], []
    for _ in range(3):
        polled = await rig.connector.poll(cursor)
        sizes.append(len(polled.raws))
        seen += [each.delivery_id.partition("-")[0] for each in polled.raws]
        cursor = polled.cursor
    assert sizes == [2, 2, 1]
    assert len(set(seen)) == 5
    assert cursor == (NOW + timedelta(seconds=60)).isoformat()


async def test_a_poll_is_never_answered_with_old_news(rig: Rig) -> None:
    cursor = (await rig.connector.poll(None)).cursor
    await rig.connector.poll(cursor)
    rig.faults.down = True
    with pytest.raises(VendorDown):
        await rig.connector.poll(cursor)


async def test_dates_are_written_in_the_servers_zone(rig: Rig) -> None:
    assert rig.connector.search.date(datetime(2026, 3, 1, 23, 30, 59, tzinfo=UTC)) == "02-Mar-2026 00:30"


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="is no IANA time zone"):
        Rig({"time_zone": "Mars/Olympus"})
