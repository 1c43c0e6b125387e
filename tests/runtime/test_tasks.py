"""The supervisor: a crash is told once, and the task comes back."""

import asyncio

import pytest

from runtime.tasks import Supervisor
from tests.runtime.fakes import FakeClock, FakeLog


class Flaky:
    """Crashes as often as it is told, each time after so many seconds; then waits for ever."""

    def __init__(self, clock: FakeClock, lives: list[float]) -> None:
        self.clock, self.lives = clock, lives
        self.well = asyncio.Event()
        self.stopped = False

    async def __call__(self) -> None:
        if self.lives:
            self.clock.seconds += self.lives.pop(0)
            raise RuntimeError("boom")
        self.well.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped = True


async def test_a_crashed_task_is_started_again_with_growing_pauses_and_told_once(clock: FakeClock) -> None:
    log, flaky = FakeLog(), Flaky(clock, [0] * 8)
    async with Supervisor(log=log, clock=clock) as supervisor:
        supervisor.run("poll", flaky)
        await flaky.well.wait()
        assert supervisor.failing == []
    assert clock.slept == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [(level, event, values["task"], str(values["exc_info"])) for level, event, values in log.lines] == [
        ("error", "task.crashed", "poll", "boom")
    ]
    assert flaky.stopped


async def test_what_was_expected_is_not_told_but_starts_again_all_the_same(clock: FakeClock) -> None:
    log, flaky = FakeLog(), Flaky(clock, [0, 0])
    async with Supervisor(log=log, clock=clock, expected=(OSError, RuntimeError)) as supervisor:
        supervisor.run("poll", flaky)
        await flaky.well.wait()
    assert (clock.slept, log.lines) == ([1, 2], [])


async def test_a_crash_after_a_long_life_is_a_new_story(clock: FakeClock) -> None:
    log, flaky = FakeLog(), Flaky(clock, [0, 0, 60, 0])
    async with Supervisor(log=log, clock=clock) as supervisor:
        supervisor.run("poll", flaky)
        await flaky.well.wait()
    assert clock.slept == [1, 2, 1, 2]
    assert [event for _, event, _ in log.lines] == ["task.crashed", "task.crashed"]


async def test_a_waiting_task_is_listed_as_failing(clock: FakeClock) -> None:
    paused = asyncio.Event()

    class Stopped(FakeClock):
        async def sleep(self, seconds: float) -> None:
            paused.set()
            await asyncio.Event().wait()

    async with Supervisor(log=FakeLog(), clock=Stopped()) as supervisor:
        supervisor.run("poll", Flaky(clock, [0]))
        await paused.wait()
        assert supervisor.failing == ["poll"]


async def test_a_task_that_returns_is_done_and_its_name_is_free(clock: FakeClock) -> None:
    ran: list[int] = []
    done = asyncio.Event()

    async def once() -> None:
        ran.append(1)
        done.set()

    async with Supervisor(log=FakeLog(), clock=clock) as supervisor:
        supervisor.run("once", once)
        with pytest.raises(ValueError, match=r"^there is a task once already$"):
            supervisor.run("once", once)
        await done.wait()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        supervisor.run("once", once)
        await asyncio.sleep(0)
    assert ran == [1, 1]
    assert clock.slept == []


async def test_one_tasks_crash_leaves_the_others_alone(clock: FakeClock) -> None:
    good, bad = Flaky(clock, []), Flaky(clock, [0])
    async with Supervisor(log=FakeLog(), clock=clock) as supervisor:
        supervisor.run("good", good)
        supervisor.run("bad", bad)
        await bad.well.wait()
        assert (good.well.is_set(), good.stopped) == (True, False)
    assert (good.stopped, bad.stopped) == (True, True)
