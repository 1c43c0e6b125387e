"""Who asks for little does not wait for who asks for much; and what takes turns comes to its end."""

import asyncio

from connectors.kit.pace import ALONE_SECONDS, SLICE_SECONDS, Pace, Rounds, current_pace, paced


class Clock:
    """Stands still unless it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def work(pace: Pace, clock: Clock, seconds: float, log: list[str], name: str) -> None:
    """A value: waits for its turn where it has to, and takes so long."""
    if pace.over:
        await pace.turn()
    clock.now += seconds
    log.append(name)


async def later(pace: Pace, log: list[str], name: str) -> None:
    await pace.turn()
    log.append(name)


async def test_alone_a_caller_has_a_long_share_of_each_round() -> None:
    clock, log = Clock(), list[str]()
    pace = Pace(Rounds(clock), "one")
    assert not pace.over
    clock.now += ALONE_SECONDS
    assert not pace.over
    clock.now += 0.001
    assert pace.over
    await pace.turn()
    assert not pace.over
    assert log == []


async def test_beside_others_the_share_is_short() -> None:
    clock = Clock()
    rounds = Rounds(clock)
    one, other = Pace(rounds, "one"), Pace(rounds, "other")
    assert not one.over
    assert not other.over
    clock.now += SLICE_SECONDS + 0.001
    assert one.over


async def test_one_who_asks_for_little_is_served_between_what_another_asks_for() -> None:
    clock, log = Clock(), list[str]()
    rounds = Rounds(clock)
    much, little = Pace(rounds, "much"), Pace(rounds, "little")

    async def ticking() -> None:  # so that rests end
        while len(log) < 101:
            await asyncio.sleep(0)
            clock.now += 0.001

    many = [asyncio.create_task(work(much, clock, 0.003, log, "much")) for _ in range(100)]
    few = asyncio.create_task(work(little, clock, 0.0001, log, "little"))
    await asyncio.wait_for(asyncio.gather(*many, few, ticking()), 10)
    assert log.count("much") == 100
    # all tasks began in the same round: those before it that were let through, and no others
    assert log.index("little") <= 8


async def test_what_waits_goes_on_though_nobody_else_asks() -> None:
    """The round in which something turned out to be over may be past when it begins to wait."""
    clock = Clock()
    pace = Pace(Rounds(clock), "one")
    assert not pace.over
    clock.now += 1
    assert pace.over
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.wait_for(pace.turn(), 5)


async def test_who_is_gone_does_not_hold_up_the_others() -> None:
    clock, log = Clock(), list[str]()
    pace = Pace(Rounds(clock), "one")
    tasks = [asyncio.create_task(later(pace, log, str(n))) for n in range(40)]
    await asyncio.sleep(0)
    for task in tasks[:35]:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert log == ["35", "36", "37", "38", "39"]


async def test_settled_is_when_nothing_waits_any_more() -> None:
    clock, log = Clock(), list[str]()
    pace = Pace(Rounds(clock), "one")
    await pace.settled()
    tasks = [asyncio.create_task(later(pace, log, str(n))) for n in range(100)]
    await asyncio.sleep(0)
    assert log == []
    await asyncio.wait_for(pace.settled(), 5)
    assert len(log) == 100
    await asyncio.gather(*tasks)


async def test_the_current_pace_is_that_of_the_operation() -> None:
    pace = Pace()
    with paced(pace):
        assert current_pace.get() is pace
    assert current_pace.get() is None
