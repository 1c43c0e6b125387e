"""Memory is given back when the process has grown, and only then."""

import gc
import weakref

import pytest

from server import memory


async def test_it_is_given_back_whenever_the_process_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(memory.asyncio, "sleep", sleep)
    sizes = iter([100, 105, 106, 101, 106, 107, 90, 95, None])
    done: list[int] = []
    # given back at 106 (101 is left), at 107 (90 is left) and at 95 of 90; 105 of 100 and 106 of 101 are not enough
    await memory.tidy(lambda: next(sizes), lambda: done.append(len(slept)))
    assert done == [2, 4, 5]
    assert set(slept) == {memory.LOOK_SECONDS}


async def test_where_the_size_is_not_told_nothing_is_done() -> None:
    await memory.tidy(lambda: None, lambda: pytest.fail("it does not know whether it has grown"))


def test_what_hangs_together_in_a_circle_is_freed() -> None:
    class Node:
        other: "Node"

    one, other = Node(), Node()
    one.other, other.other = other, one
    gone = weakref.ref(one)
    gc.disable()
    try:
        del one, other
        assert gone() is not None
        memory.give_back()
        assert gone() is None
    finally:
        gc.enable()


def test_the_size_is_that_of_this_process() -> None:
    found = memory.resident()
    assert found is None or 10 << 20 < found < 100 << 30
