"""What follows live: first what is, then every change, in order, without a gap; and what leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from resolvers import live
from tests.graph.harness import Graph
from unified import queries, records
from unified.events import Changed, Happened, Removed
from unified.keys import Subject
from unified.queries import ListQuery
from unified.records import Kind
from unified.values import Position


@asynccontextmanager
async def following(graph: Graph, document: str, **variables: Any) -> AsyncIterator[Any]:
    stream = graph.follow(document, **variables)
    try:
        yield stream
    finally:
        await stream.aclose()


async def told(stream: Any) -> Any:
    """The next value, which has come without errors."""
    async with asyncio.timeout(5):
        result = await anext(stream)
    assert result.errors is None
    [value] = result.data.values()
    return value


async def nothing_waits(graph: Graph, stream: Any, marker: records.Vehicle) -> None:
    """The next value is the marker: what was published before it was not told."""
    await graph.live.publish(Kind.VEHICLE, changed(marker))
    assert (await told(stream))["id"] == marker.id


async def fleet(graph: Graph, count: int) -> list[records.Vehicle]:
    connector: Any = graph.sources.handles["fleet"].connector
    page = await connector.list_vehicles(ListQuery(filter=queries.VehicleFilter()), None)
    graph.forget()
    return list(page.records[:count])


def at(vehicle: records.Vehicle, latitude: float, longitude: float = 7.0, *, later: float = 0) -> records.Vehicle:
    """The vehicle at another place, read so many seconds later."""
    assert vehicle.position is not None
    source = replace(vehicle.source, as_of=vehicle.source.as_of + timedelta(seconds=later))
    return replace(vehicle, position=replace(vehicle.position, latitude=latitude, longitude=longitude), source=source)


def changed(record: records.Record) -> Changed[Any]:
    return Changed(record=record, occurred_at=record.source.as_of)


def removed(record: records.Record) -> Removed:
    return Removed(kind=record.kind, id=record.id, occurred_at=record.source.as_of)


PLACES = "subscription { vehicleChanged { id removed position { latitude } } }"
ONLY_FLEET = 'subscription { vehicleChanged(sources: ["fleet"]) { id removed position { latitude } } }'


async def test_first_what_is_then_every_change(graph: Graph) -> None:
    one, two = graph.live.now = await fleet(graph, 2)
    async with following(graph, ONLY_FLEET) as stream:
        first = [await told(stream), await told(stream)]
        assert [each["id"] for each in first] == [one.id, two.id]
        for latitude in (8.0, 8.5, 9.0):
            await graph.live.publish(Kind.VEHICLE, changed(at(one, latitude, later=latitude)))
        rest = [await told(stream) for _ in range(3)]
        assert [each["position"]["latitude"] for each in rest] == [8.0, 8.5, 9.0]
        assert {each["removed"] for each in first + rest} == {False}
    assert graph.calls() == {}, "the live plane knows it: no vendor is asked"


async def test_what_the_live_plane_does_not_know_yet_is_asked_of_the_vendors(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each integration that has not been heard of, all pages of it; those that have, not."""
    monkeypatch.setattr(live, "LARGEST_PAGE", 3)
    [car] = graph.live.now = (await fleet(graph, 1))[:1]
    async with following(graph, "subscription { vehicleChanged { id source { integration } } }") as stream:
        seen = [await told(stream) for _ in range(8)]
    assert seen[0] == {"id": car.id, "source": {"integration": "fleet"}}
    assert [each["source"]["integration"] for each in seen[1:]] == ["uber"] * 7
    assert set(graph.calls()) == {"uber"}


async def test_between_the_snapshot_and_the_first_event_nothing_is_lost_or_told_twice(graph: Graph) -> None:
    """While the snapshot is read: a change that it does not hold, one that it holds, and one older than it."""
    one, two, three, four = await fleet(graph, 4)
    newest = at(three, 9.0, later=20)
    graph.live.now = [one, two, newest]
    graph.live.before_snapshot = [
        changed(at(one, 8.0, later=10)),  # newer than the snapshot
        changed(two),  # what the snapshot holds
        changed(at(three, 7.0, later=10)),  # older than the snapshot
        changed(four),  # not in the snapshot at all
    ]
    async with following(graph, ONLY_FLEET) as stream:
        first = [await told(stream) for _ in range(3)]
        assert [(each["id"], each["position"]["latitude"]) for each in first] == [
            (one.id, one.position.latitude),  # type: ignore[union-attr]
            (two.id, two.position.latitude),  # type: ignore[union-attr]
            (three.id, 9.0),
        ]
        rest = [await told(stream), await told(stream)]
        assert [each["id"] for each in rest] == [one.id, four.id]
        assert rest[0]["position"]["latitude"] == 8.0
        await graph.live.publish(Kind.VEHICLE, changed(at(three, 6.0, later=30)))
        assert (await told(stream))["position"]["latitude"] == 6.0


async def test_a_thing_that_is_gone_has_a_last_value_that_says_so(graph: Graph) -> None:
    one, two = await fleet(graph, 2)
    graph.live.now = [one]
    async with following(graph, ONLY_FLEET) as stream:
        await told(stream)
        await graph.live.publish(Kind.VEHICLE, changed(at(one, 8.0, later=1)))
        await told(stream)
        await graph.live.publish(Kind.VEHICLE, removed(one))
        assert await told(stream) == {"id": one.id, "removed": True, "position": {"latitude": 8.0}}
        await graph.live.publish(Kind.VEHICLE, removed(one), removed(two))  # again, and one that was never shown
        await nothing_waits(graph, stream, at(two, 8.1, later=1))
        await graph.live.publish(Kind.VEHICLE, changed(at(one, 8.2, later=2)))  # it is back
        assert await told(stream) == {"id": one.id, "removed": False, "position": {"latitude": 8.2}}


async def test_a_removed_object_says_so_of_itself_only(graph: Graph) -> None:
    heavy = next(each for each in await fleet(graph, 100) if each.plate and "HLV" in (each.fleet_number or "HLV"))
    graph.live.now = [heavy]
    async with following(
        graph, 'subscription { vehicleChanged(sources: ["fleet"]) { removed sameAs { removed } } }'
    ) as stream:
        await told(stream)
        await graph.live.publish(Kind.VEHICLE, removed(heavy))
        last = await told(stream)
    assert last["removed"] is True
    assert {each["removed"] for each in last["sameAs"]} <= {False}
    assert (await graph.data('{ vehicles(first: 1, sources: ["fleet"]) { nodes { removed } } }'))["vehicles"][
        "nodes"
    ] == [{"removed": False}]


async def test_what_leaves_the_filter_is_told_once_and_comes_back(graph: Graph) -> None:
    inside, outside = (await fleet(graph, 2))[0], (await fleet(graph, 2))[1]
    graph.live.now = [at(inside, 5.0, 5.0), at(outside, 50.0, 50.0)]
    async with following(
        graph,
        """subscription { vehicleChanged(sources: ["fleet"], filter: {
            within: { south: 0, west: 0, north: 10, east: 10 } }) { id removed position { latitude } } }""",
    ) as stream:
        assert (await told(stream))["id"] == inside.id
        await graph.live.publish(
            Kind.VEHICLE,
            changed(at(outside, 51.0, 50.0, later=1)),  # never inside: nothing
            changed(at(inside, 11.0, 5.0, later=2)),  # leaves
            changed(at(inside, 12.0, 5.0, later=3)),  # is away already: nothing
            changed(at(outside, 6.0, 6.0, later=4)),  # enters
            changed(at(inside, 9.0, 5.0, later=5)),  # is back
        )
        values = [await told(stream) for _ in range(3)]
    assert [(each["id"], each["removed"], each["position"]["latitude"]) for each in values] == [
        (inside.id, True, 11.0),
        (outside.id, False, 6.0),
        (inside.id, False, 9.0),
    ]


async def test_only_the_ids_that_are_asked_for(graph: Graph) -> None:
    one, two, three = await fleet(graph, 3)
    graph.live.now = [one]  # the second is asked of its vendor, in one call for all that are missing
    async with following(
        graph,
        "subscription($ids: [ID!]!) { vehicleChanged(filter: { ids: $ids }) { id } }",
        ids=[one.id, two.id, "nonsense!"],
    ) as stream:
        assert [(await told(stream))["id"], (await told(stream))["id"]] == [one.id, two.id]
        assert graph.calls_by_path() == {"traccar devices": 1, "traccar positions": 1}
        await graph.live.publish(
            Kind.VEHICLE,
            changed(at(three, 8.0, later=1)),
            changed(at(two, 8.0, later=1)),
            changed(at(one, 9.0, later=1)),
        )
        assert [(await told(stream))["id"], (await told(stream))["id"]] == [two.id, one.id]


async def test_only_the_sources_that_are_asked_for(graph: Graph) -> None:
    [mine] = await fleet(graph, 1)
    other = replace(mine, source=replace(mine.source, integration="uber"), id="")
    graph.live.now = [mine, other]
    async with following(graph, ONLY_FLEET) as stream:
        assert (await told(stream))["id"] == mine.id
        await graph.live.publish(Kind.VEHICLE, changed(at(other, 8.0, later=1)))
        await nothing_waits(graph, stream, at(mine, 8.0, later=1))


async def test_an_event_of_no_record_is_not_told(graph: Graph) -> None:
    [one] = graph.live.now = await fleet(graph, 1)
    alarm = records.VehicleEvent(vehicle_external_id="1", event_type="alarm", at=one.source.as_of)
    async with following(graph, ONLY_FLEET) as stream:
        await told(stream)
        await graph.live.publish(Kind.VEHICLE, Happened(what=alarm, occurred_at=one.source.as_of))
        await nothing_waits(graph, stream, at(one, 8.0, later=1))


async def test_a_slow_reader_gets_the_newest_of_each_and_delays_nobody(graph: Graph) -> None:
    """500 changes of three vehicles, unread: three values are left, the last ones."""
    cars = graph.live.now = await fleet(graph, 3)
    async with following(graph, ONLY_FLEET) as slow, following(graph, ONLY_FLEET) as quick:
        for stream in (slow, quick):
            for _ in cars:
                await told(stream)
        heard = []
        for number in range(500):
            await graph.live.publish(Kind.VEHICLE, changed(at(cars[number % 3], number / 100, later=number + 1)))
            heard.append((await told(quick))["position"]["latitude"])
        assert heard == [number / 100 for number in range(500)]
        late = [await told(slow) for _ in range(3)]
        assert {each["id"]: each["position"]["latitude"] for each in late} == {
            cars[497 % 3].id: 4.97,
            cars[498 % 3].id: 4.98,
            cars[499 % 3].id: 4.99,
        }
        await nothing_waits(graph, slow, at(cars[0], 9.0, later=600))


async def test_a_join_sees_the_world_as_it_is_at_the_event(graph: Graph) -> None:
    """Loaders live for one event: the vehicle of the second value has driven on."""
    listed: Any = graph.sources.handles["uber"].connector
    page = await listed.list_bookings(ListQuery(filter=queries.BookingFilter(active=True)), None)
    booking = next(each for each in page.records if each.vehicle_plate and each.status.value == "IN_TRANSIT")
    graph.live.now = [booking]
    document = (
        'subscription { bookingChanged(sources: ["uber"]) { status vehicle { position { latitude longitude } } } }'
    )
    async with following(graph, document) as stream:
        first = await told(stream)
        graph.forget()
        graph.clock.passed += 60
        later = replace(booking, source=replace(booking.source, as_of=graph.clock.now()))
        await graph.live.publish(Kind.BOOKING, changed(later))
        second = await told(stream)
    assert first["vehicle"]["position"] != second["vehicle"]["position"]
    assert graph.calls_by_path() == {"traccar devices": 1, "traccar positions": 1}


async def test_an_outage_is_told_with_the_value_that_it_costs_something(graph: Graph) -> None:
    one = (await fleet(graph, 1))[0]
    graph.faults("uber").down = True
    async with following(graph, "subscription { vehicleChanged { id bookings { id } } }") as stream:
        first = await anext(stream)
        told_ = [(each.path, each.extensions["code"], each.extensions["integration"]) for each in first.errors]
        assert told_ == [(["vehicleChanged"], "ERR_VENDOR_UNAVAILABLE", "uber")], "the snapshot lacks its cars"
        for _ in graph.world.vehicles[1:]:
            await anext(stream)
        graph.faults("uber").down = False
        graph.clock.passed += 60
        await graph.live.publish(Kind.VEHICLE, changed(at(one, 8.0, later=100)))
        assert (await told(stream))["bookings"] == []


async def test_every_kind_that_streams(graph: Graph) -> None:
    for field, kind, plural in (
        ("equipmentChanged", Kind.EQUIPMENT, "equipment"),
        ("missionChanged", Kind.MISSION, "missions"),
        ("bookingChanged", Kind.BOOKING, "bookings"),
        ("vehicleChanged", Kind.VEHICLE, "vehicles"),
    ):
        listed = await graph.data(f"{{ {plural}(first: 1) {{ nodes {{ id }} }} }}")
        [row] = listed[plural]["nodes"]
        async with following(graph, f"subscription {{ {field} {{ __typename id }} }}") as stream:
            assert await told(stream) == {"__typename": kind.value, "id": row["id"]}


async def test_a_mission_that_was_deleted_leaves(graph: Graph) -> None:
    connector: Any = graph.sources.handles["tak"].connector
    page = await connector.list_missions(ListQuery(filter=queries.MissionFilter()), None)
    graph.live.now = page.records[:1]
    async with following(graph, 'subscription { missionChanged(sources: ["tak"]) { name removed } }') as stream:
        shown = await told(stream)
        await graph.live.publish(Kind.MISSION, removed(page.records[0]))
        assert await told(stream) == {"name": shown["name"], "removed": True}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('sources: ["nowhere"]', "there is no integration 'nowhere'; the integrations are: ewm-west, ewm-north, plm, "
         "workshop, tak, uber, fleet"),
        ("filter: { within: { south: 9, west: 0, north: 1, east: 1 } }",
         "the box needs south ≤ north within ±90 and west, east within ±180 degrees"),
    ],
)  # fmt: skip
async def test_what_cannot_be_followed_is_refused(graph: Graph, arguments: str, message: str) -> None:
    async with following(graph, f"subscription {{ vehicleChanged({arguments}) {{ id }} }}") as stream:
        result = await anext(stream)
        assert [(each.message, each.extensions["code"]) for each in result.errors] == [(message, "BAD_USER_INPUT")]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_the_stream_ends_with_the_bus_and_leaves_nothing_behind(graph: Graph) -> None:
    graph.live.now = await fleet(graph, 1)
    async with following(graph, ONLY_FLEET) as stream:
        await told(stream)
        await graph.live.bus.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    assert not graph.live.bus._readers


async def test_a_reader_that_goes_away_is_forgotten(graph: Graph) -> None:
    graph.live.now = await fleet(graph, 1)
    async with following(graph, ONLY_FLEET) as stream:
        await told(stream)
        assert graph.live.bus._readers
    assert not graph.live.bus._readers


async def test_what_arrives_live_teaches_the_crosswalk(graph: Graph) -> None:
    """A new car is joined from its first event on, before any index."""
    [car] = await fleet(graph, 1)
    new = replace(
        car,
        source=replace(car.source, external_id="999"),
        id="",
        plate="NEW 123 XY",
        fleet_number=None,
        position=Position(latitude=1.0, longitude=1.0, recorded_at=car.source.as_of),
    )
    graph.live.now = [car]
    async with following(graph, ONLY_FLEET) as stream:
        await told(stream)
        await graph.live.publish(Kind.VEHICLE, changed(new))
        await told(stream)
    crosswalk = graph.sources.crosswalk
    key = crosswalk.key(Subject.VEHICLE, "uber", "new-123xy")
    known = crosswalk.siblings(Subject.VEHICLE, key)
    assert [(at, identity.external_id) for at, identity in known] == [("fleet", "999")]
