"""That a large answer does not hold up the small ones of others: what takes time takes turns.

All operations share one event loop. Each caller may read vendors' answers and complete values for so long in each round
of it; what is left waits for a later round, behind what the same caller had waiting before. Who asks for little never
waits for who asks for much.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SLICE_SECONDS = 0.004
"""Of each round of the event loop, how long one caller takes before the others have their turn."""
ALONE_SECONDS = 0.02
"""The same while nobody else has asked for anything lately: as long as a new caller may have to wait."""
LATELY_SECONDS = 1.0
REST = 1.0
"""How long a caller who took all of its share rests while there are others, over the time that it took: what they do
passes through the loop many times, and each time behind a full share would add up."""
LONGEST_REST = 0.02
"""Seconds: a round may have been long for reasons that are not the caller's."""
NESTED = 8
"""Rounds after which the values of lists within lists have asked for what they need."""
TOGETHER = 32
"""Values that are woken in one round. Those for which no time is left wait for the next one."""


class Rounds:
    """Of one event loop."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began: dict[Hashable, float] = {}
        self._waiting: dict[Hashable, deque[asyncio.Future[bool]]] = {}
        self._lately: dict[Hashable, float] = {}
        self._rests: dict[Hashable, float] = {}
        self._full: set[Hashable] = set()
        self._share = ALONE_SECONDS
        self._scheduled, self._pruned = False, 0.0
        self._timer: asyncio.TimerHandle | None = None

    def over(self, caller: Hashable) -> bool:
        """Whether the caller has had its share of this round; the first who asks begins it."""
        began, now = self._began.get(caller), self._clock()
        if began is None:
            if self._rests.get(caller, 0.0) > now:
                return True
            self._begin(caller, now)
            return False
        if now - began <= self._share:
            return False
        self._full.add(caller)
        return True

    async def turn(self, caller: Hashable) -> None:
        """Returns once a round has time left for the caller."""
        again = False
        while True:
            turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            queue = self._waiting.setdefault(caller, deque())
            self._schedule()
            if again:
                queue.appendleft(turn)
            else:
                queue.append(turn)
            # the first of a round goes on in any case: others may have taken all of its time
            if await turn or not self.over(caller):
                return
            again = True

    def _begin(self, caller: Hashable, now: float) -> None:
        self._schedule()
        self._began[caller] = self._lately[caller] = now
        if now - self._pruned > LATELY_SECONDS / 4:
            self._lately = {each: last for each, last in self._lately.items() if now - last < LATELY_SECONDS}
            self._pruned = now
        self._share = SLICE_SECONDS if len(self._lately) > 1 else ALONE_SECONDS

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._next)

    def _rested(self) -> None:
        self._timer = None
        self._schedule()

    def _next(self) -> None:
        self._scheduled = False
        now = self._clock()
        self._rests = {caller: until for caller, until in self._rests.items() if until > now}
        if len(self._lately) > 1:
            took = {caller: now - self._began[caller] for caller in self._full}
            self._rests |= {caller: now + min(seconds * REST, LONGEST_REST) for caller, seconds in took.items()}
        self._full.clear()
        self._began.clear()
        resting = [until for caller, until in self._rests.items() if caller in self._waiting]
        if resting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(min(resting) - now, self._rested)
        for caller, queue in list(self._waiting.items()):
            if caller in self._rests:
                continue
            woken = 0
            while queue and woken < TOGETHER:
                turn = queue.popleft()
                if not turn.done():  # who waited may be gone
                    turn.set_result(not woken)
                    woken += 1
            if woken:
                self._begin(caller, self._clock())
            if not queue:
                del self._waiting[caller]


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

    def expect(self) -> None:
        """Something is put off that will wait for its turn: it counts from now on, not from when it begins to wait."""
        self._waiting += 1

    def met(self) -> None:
        """What was expected has had its turn, or will not want one."""
        self._waiting -= 1
        if not self._waiting and self._settled is not None:
            self._settled.set()
            self._settled = None

    async def turn(self) -> None:
        """Returns when it is the operation's turn again."""
        self.expect()
        try:
            await self._rounds.turn(self._caller)
        finally:
            self.met()

    async def breathe(self) -> None:
        """Before what takes a while and belongs to no value that is waited for, such as reading a vendor's answer."""
        if self.over:
            await self._rounds.turn(self._caller)

    async def settled(self) -> None:
        """Returns when nothing of the operation waits for its turn: all that can be asked for at once is known."""
        while self._waiting:
            if self._settled is None:
                self._settled = asyncio.Event()
            await self._settled.wait()
            # what has just gone on begins tasks in the next round, these for their own lists in the one behind, ...
            for _ in range(NESTED):
                await asyncio.sleep(0)


current_pace: ContextVar[Pace | None] = ContextVar("pace", default=None)
"""Of the operation that asks; null for what the server does by itself."""


@contextmanager
def paced(pace: Pace) -> Iterator[None]:
    """Makes the pace current."""
    token = current_pace.set(pace)
    try:
        yield
    finally:
        current_pace.reset(token)
