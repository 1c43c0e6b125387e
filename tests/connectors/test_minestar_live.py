"""Live changes of machines: snapshots compared with those before."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from connectors.kit.errors import VendorDown
from connectors.kit.protocols import Polled, Poller, Raw
from sandbox.standin import Failure
from tests.connectors.contract import NOW
from tests.connectors.minestar_rig import Setup
from tests.connectors.test_minestar import key_of
from unified.events import Changed
from unified.records import Equipment, EquipmentState

LIVE = 300


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    made = Setup(iso=True, vendor={"page_size": 5})
    yield made
    await made.connector.aclose()


async def changed(setup: Setup, raws: tuple[Raw, ...]) -> list[Changed[Equipment]]:
    found: list[Changed[Equipment]] = []
    for raw in raws:
        for each in await setup.connector.events(raw):
            assert isinstance(each, Changed)
            assert isinstance(each.record, Equipment)
            found.append(each)  # type: ignore[arg-type]
    return found


async def test_the_first_poll_brings_all_machines_as_they_are(setup: Setup) -> None:
    assert isinstance(setup.connector, Poller)
    polled = await setup.connector.poll(None)
    events = await changed(setup, polled.raws)
    assert [each.record.source.external_id for each in events] == [key_of(each) for each in setup.vendor.machines]
    listed = (await setup.connector.read_equipment([key_of(setup.vendor.machines[0])]))[0]
    first = events[0].record
    assert (first.meters, first.position, first.state) == (listed.meters, listed.position, listed.state)
    reports = [machine.report_at(NOW) for machine in setup.vendor.machines]
    assert [each.occurred_at for each in events] == [max(each.at, each.engine_at) for each in reports]
    assert len({raw.delivery_id for raw in polled.raws}) == 10


async def test_only_what_has_changed_is_told_again() -> None:
    setup = Setup(iso=True, live_seconds=120)
    await setup.connector.poll(None)
    setup.clock.passed += 119
    assert (await setup.connector.poll(None)).raws == ()
    setup.clock.passed += 1
    events = await changed(setup, (await setup.connector.poll(None)).raws)
    road = [key_of(each) for each in setup.vendor.machines if each.vehicle is not None]
    assert [each.record.source.external_id for each in events] == road, "these tell their place every two minutes"
    assert {each.occurred_at for each in events} == {NOW + timedelta(seconds=100)}
    setup.clock.passed += 120
    assert len((await setup.connector.poll(None)).raws) == 4
    setup.clock.passed += 120
    assert len((await setup.connector.poll(None)).raws) == 9, "all but the one that is silent"
    await setup.connector.aclose()


async def test_the_fleet_is_read_every_now_and_then_only(setup: Setup) -> None:
    await setup.connector.poll(None)
    setup.asked.clear()
    for _ in range(19):
        setup.clock.passed += 15
        assert await setup.connector.poll("as it was") == Polled(cursor="as it was")
    assert setup.asked == []
    setup.clock.passed += 15
    await setup.connector.poll(None)
    assert setup.asked == ["/Fleet/1", "/Fleet/2"]


async def test_the_same_news_is_the_same_delivery_after_a_restart(setup: Setup) -> None:
    polled = await setup.connector.poll(None)
    again = Setup(iso=True, vendor={"page_size": 5})
    after = await again.connector.poll(polled.cursor)
    assert [each.delivery_id for each in after.raws] == [each.delivery_id for each in polled.raws]
    await again.connector.aclose()


async def test_a_machine_that_falls_silent_is_told_once() -> None:
    setup = Setup(iso=True, offline_hours=154)
    (before,) = [each for each in await changed(setup, (await setup.connector.poll(None)).raws) if _is_silent(each)]
    assert before.record.state is not EquipmentState.OFFLINE, "its last news is 153.5 hours old"
    setup.clock.passed += 3_600
    (after,) = [each for each in await changed(setup, (await setup.connector.poll(None)).raws) if _is_silent(each)]
    assert after.record.state is EquipmentState.OFFLINE
    assert after.record.error_message == "no report since 2026-11-19 00:00 UTC"
    assert after.occurred_at == before.occurred_at
    assert after.sequence > before.sequence, "what comes later at the same time wins"
    setup.clock.passed += 3_600
    assert not any(map(_is_silent, await changed(setup, (await setup.connector.poll(None)).raws)))
    await setup.connector.aclose()


def _is_silent(event: Changed[Equipment]) -> bool:
    return event.record.name == "ME12"


async def test_an_outage_is_no_news_and_loses_none(setup: Setup) -> None:
    setup.vendor.faults.down = True
    with pytest.raises(VendorDown):
        await setup.connector.poll(None)
    setup.vendor.faults.down = False
    setup.clock.passed += 60
    setup.vendor.faults.fail_next.extend([Failure(status=503, path="/Fleet/2")] * 3)
    with pytest.raises(VendorDown):
        await setup.connector.poll(None)
    setup.clock.passed += 60
    assert len((await setup.connector.poll(None)).raws) == 10, "the first page of the poll that failed, too"
    setup.clock.passed += LIVE + 1
    setup.vendor.faults.down = True
    assert (await setup.connector.poll(None)).raws == (), "the last good answer is nothing new"
    assert setup.log.events.count("vendor.unavailable") == 3
    setup.vendor.faults.down = False
    setup.asked.clear()
    setup.clock.passed += 15
    await setup.connector.poll(None)
    assert setup.asked == ["/Fleet/1", "/Fleet/2"], "it is asked again as soon as it may be back"


async def test_a_delivery_tells_when_it_was_read_and_an_older_one_without_is_read_too(setup: Setup) -> None:
    (raw, *_) = (await setup.connector.poll(None)).raws
    assert raw.payload.headers["received"] == NOW.isoformat()
    (event,) = await setup.connector.events(raw)
    assert isinstance(event, Changed)
    assert event.sequence == int(NOW.timestamp())
    bare = Raw(delivery_id="x", decoder=raw.decoder, payload=type(raw.payload)(body=raw.payload.body))
    setup.clock.passed += 100
    (other,) = await setup.connector.events(bare)
    assert isinstance(other, Changed)
    assert other.sequence == int(NOW.timestamp()) + 100


async def test_the_settings_count_for_what_arrives_live() -> None:
    setup = Setup(iso=True, haul_truck_models=["TGS*"], fleet_number_pattern=r"^TRK 0?(?P<fleet>\d+)$")
    events = await changed(setup, (await setup.connector.poll(None)).raws)
    road = [each.record for each in events if each.record.model == "TGS 26.400"]
    assert {(each.equipment_type.name, each.fleet_number) for each in road} == {
        ("HAUL_TRUCK", "1"), ("HAUL_TRUCK", "4"), ("HAUL_TRUCK", "7"), ("HAUL_TRUCK", "10"),
    }  # fmt: skip
    await setup.connector.aclose()
