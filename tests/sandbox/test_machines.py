"""The world's mills, presses and stations: always the same, moved by time, making the world's items."""

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.world import World

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> World:
    return World(clock=lambda: NOON)


def test_the_same_every_time(world: World) -> None:
    again = World(clock=lambda: NOON)
    assert [(one, one.state_at(NOON)) for one in again.machines] == [
        (one, one.state_at(NOON)) for one in world.machines
    ]
    assert [(one.id, one.kind, one.serial) for one in world.machines] == [
        ("mill-1", "mill", "M470685"), ("mill-2", "mill", "M580555"),
        ("press-1", "press", "P523687"), ("press-2", "press", "P999139"),
        ("station-1", "station", "S981755"), ("station-2", "station", "S870412"),
    ]  # fmt: skip


def test_what_they_make_are_items_under_two_spellings(world: World) -> None:
    for machine in world.machines:
        for batch in machine.batches:
            item = world.item_by_key[batch.item_key]
            assert world.item_by_teamcenter[batch.teamcenter_number] is item
            assert world.item_by_sap[batch.sap_number] is item
            assert item.object_type == ("Assembly" if machine.kind == "station" else "Part")


def test_every_machine_works_and_rests_within_a_round(world: World) -> None:
    wanted = {"mill-1": "error", "mill-2": "paused", "press-1": "error", "press-2": "paused", "station-1": "error"}
    for machine in world.machines:
        states = [machine.state_at(NOON + timedelta(seconds=each)) for each in range(0, int(machine.round_s) * 3, 5)]
        modes = {each.mode for each in states}
        assert "running" in modes
        assert wanted.get(machine.id, "maintenance") in modes
        assert all(each.batch is not None and 0 <= each.parts_done <= each.batch.parts for each in states)
        assert all((each.alarm > 0) == (each.mode == "error") for each in states)
        jobs = [each.job for each in states]
        assert jobs == sorted(jobs)
