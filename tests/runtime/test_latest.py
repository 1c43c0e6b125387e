"""Latest state: newer wins, on both databases."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from runtime.store import BadRow, Database, LatestState
from tests.runtime.fakes import NOON, changed, removed, vehicle
from unified.events import Happened
from unified.records import Kind, VehicleEvent


@pytest.fixture
def latest(database: Database) -> LatestState:
    return LatestState(database)


async def names(latest: LatestState, organisation: str = "acme") -> list[str]:
    return sorted(each.name for each in await latest.read(organisation, Kind.VEHICLE))  # type: ignore[attr-defined]


async def test_a_record_is_read_as_it_was_written(latest: LatestState) -> None:
    event = changed("7")
    assert await latest.upsert("acme", [event]) == [event]
    assert await latest.read("acme", Kind.VEHICLE, None) == [event.record]
    assert await latest.read("acme", Kind.UNIT, None) == []
    assert await latest.read("other", Kind.VEHICLE, None) == []


async def test_the_vendors_time_decides_then_the_sequence(latest: LatestState) -> None:
    first = changed("7", 10, sequence=5, name="first")
    assert await latest.upsert("acme", [first]) == [first]
    assert await latest.upsert("acme", [changed("7", 9, sequence=9, name="older")]) == []
    assert await latest.upsert("acme", [first]) == []
    assert await latest.upsert("acme", [changed("7", 10, sequence=4, name="earlier")]) == []
    assert await names(latest) == ["first"]
    later = changed("7", 10, sequence=6, name="later")
    assert await latest.upsert("acme", [later]) == [later]
    newer = changed("7", 11, name="newer")
    assert await latest.upsert("acme", [newer]) == [newer]
    assert await names(latest) == ["newer"]


async def test_of_one_batch_the_newest_of_each_record_counts(latest: LatestState) -> None:
    old, other, new, middle = changed("7", 1), changed("8", 1), changed("7", 3, name="new"), changed("7", 2)
    assert await latest.upsert("acme", [old, other, new, middle, new]) == [other, new]
    assert await names(latest) == ["Truck", "new"]


async def test_what_is_removed_is_not_read_and_does_not_come_back_from_the_past(latest: LatestState) -> None:
    await latest.upsert("acme", [changed("7", 1), changed("8", 1)])
    gone = removed("7", 2)
    assert await latest.upsert("acme", [gone]) == [gone]
    assert await latest.upsert("acme", [changed("7", 1, sequence=9)]) == []
    assert [each.source.external_id for each in await latest.read("acme", Kind.VEHICLE, None)] == ["8"]
    again = changed("7", 3)
    assert await latest.upsert("acme", [again]) == [again]
    assert len(await latest.read("acme", Kind.VEHICLE, None)) == 2


async def test_what_happened_passes_through_in_its_place(latest: LatestState) -> None:
    alarm = Happened(what=VehicleEvent(vehicle_external_id="7", event_type="alarm", at=NOON), occurred_at=NOON)
    first, second = changed("7"), changed("8")
    assert await latest.upsert("acme", [first, alarm, second]) == [first, alarm, second]
    assert await latest.upsert("acme", [first, alarm]) == [alarm]


async def test_records_come_in_the_order_in_which_they_are_asked_for(latest: LatestState) -> None:
    await latest.upsert("acme", [changed(str(number)) for number in range(2_500)])
    asked = [str(number) for number in range(2_499, -1, -1)]
    found = await latest.read("acme", Kind.VEHICLE, [vehicle("none").id, *(vehicle(each).id for each in asked)])
    assert [each.source.external_id for each in found] == asked
    assert await latest.read("acme", Kind.VEHICLE, []) == []
    everything = [each.id for each in await latest.read("acme", Kind.VEHICLE, None)]
    assert everything == sorted(everything)
    assert len(everything) == 2_500


async def test_two_organisations_share_nothing(latest: LatestState) -> None:
    mine, theirs = changed("7", 5, name="mine"), changed("7", 1, name="theirs")
    assert await latest.upsert("acme", [mine]) == [mine]
    assert await latest.upsert("zeta", [theirs]) == [theirs]
    assert await names(latest, "acme") == ["mine"]
    assert await names(latest, "zeta") == ["theirs"]


async def test_producers_at_once_share_a_batch_and_each_gets_its_own_answer(latest: LatestState) -> None:
    old, new, other = changed("7", 1), changed("7", 2, name="new"), changed("8", 1)
    answers = await asyncio.gather(*(latest.upsert("acme", [each]) for each in (old, new, other)))
    assert answers == [[], [new], [other]]


async def test_a_row_that_cannot_be_written_costs_only_its_producer(latest: LatestState) -> None:
    bad = changed("7", sequence=2**70)
    good = [changed(str(number)) for number in range(10, 15)]
    first, second = await asyncio.gather(
        latest.upsert("acme", good), latest.upsert("acme", [bad]), return_exceptions=True
    )
    assert first == good
    assert isinstance(second, BadRow)
    assert str(second).startswith("latest.upsert: the database refuses a row (")
    assert len(await latest.read("acme", Kind.VEHICLE, None)) == 5


async def test_times_are_microseconds_of_the_vendor_and_of_the_clock(database: Database, latest: LatestState) -> None:
    moment = NOON + timedelta(microseconds=1)
    await latest.upsert("acme", [changed("7", 0), changed("7", 0, sequence=1)])
    async with database.reading() as connection:
        found = await connection.execute(
            text("SELECT occurred_at, received_at, sequence, integration FROM latest_state")
        )
        assert found.one() == (1_772_366_400_000_000, 1_772_366_400_000_000, 1, "traccar")
    assert (moment - NOON).microseconds == 1
