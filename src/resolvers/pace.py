"""That a large answer does not hold up the small ones of others: what is completed takes turns.

All operations share one event loop. Each caller may complete values for so long in each round of it; what is left
waits for the next round, behind what the same caller had waiting before. Who asks for little never waits for who asks
for much.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable

SLICE_SECONDS = 0.004
"""Of each round of the event loop, how long one caller completes values before the others have their turn."""
TOGETHER = 4
"""Values that go on in one round: each by itself would pay for a round of the loop."""


class Rounds:
    """Of one event loop."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began: dict[Hashable, float] = {}
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def over(self, caller: Hashable) -> bool:
        """Whether the caller has had its share of this round; the first who asks begins it."""
        began = self._began.get(caller)
        if began is None:
            if not self._began:
                asyncio.get_running_loop().call_soon(self._next)
            self._began[caller] = self._clock()
            return False
        return self._clock() - began > SLICE_SECONDS

    async def turn(self, caller: Hashable) -> None:
        """Returns in a later round. After `over` was true of this one."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        await turn

    def _next(self) -> None:
        self._began.clear()
        for caller, queue in list(self._waiting.items()):
            released = 0
            while queue and released < TOGETHER:
                turn = queue.popleft()
                if not turn.done():  # who waited may be gone
                    turn.set_result(None)
                    released += 1
            if released:
                self._began[caller] = self._clock()
            if not queue:
                del self._waiting[caller]
        if self._began:
            asyncio.get_running_loop().call_soon(self._next)


class Pace:
    """Of one operation of a caller."""

    def __init__(self, rounds: Rounds | None = None, caller: Hashable = None) -> None:
        self._rounds, self._caller = rounds or Rounds(), caller
        self._waiting = 0
        self._settled: asyncio.Event | None = None

    @property
    def over(self) -> bool:
        """Whether what comes next has to wait for its turn."""
        return self._rounds.over(self._caller)

    async def turn(self) -> None:
        """Returns when it is the operation's turn again."""
        self._waiting += 1
        try:
            await self._rounds.turn(self._caller)
        finally:
            self._waiting -= 1
            if not self._waiting and self._settled is not None:
                self._settled.set()
                self._settled = None

    async def settled(self) -> None:
        """Returns when nothing of the operation waits for its turn: all that can be asked for at once is known."""
        while self._waiting:
            if self._settled is None:
                self._settled = asyncio.Event()
            await self._settled.wait()
            # what has just gone on begins its own tasks in the next round, and those may ask in the one behind
            await asyncio.sleep(0)
            await asyncio.sleep(0)
