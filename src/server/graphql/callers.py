"""How much one caller may do at once, and that all callers have their turn."""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator

from runtime.identity import Principal
from server.graphql.body import Refused

Caller = tuple[str, str]
SHARE = 0.2
"""Of the time, how much one caller may have for new documents in the long run."""
BURST_SECONDS = 0.5
"""What it may have at once before that counts: enough for all documents of an application that has just started."""


def caller_of(principal: Principal) -> Caller:
    return principal.organisation, principal.subject


class Callers:
    """Counts what each caller has running now. `operations` and `subscriptions` are the most."""

    def __init__(self, operations: int, subscriptions: int) -> None:
        self._operations, self._subscriptions = operations, subscriptions
        self._running: Counter[Caller] = Counter()
        self._open: Counter[Caller] = Counter()
        self._desks: dict[Caller, _Desk] = {}
        self._turns = Turns()

    async def turn(self, principal: Principal) -> None:
        """Before each thing that a caller asks for: operations, messages, events."""
        await self._turns.take(caller_of(principal))

    @contextlib.contextmanager
    def operation(self, principal: Principal, count: int = 1) -> Iterator[None]:
        """Raises `Refused` (429) when the caller has too many at once."""
        with _counted(self._running, caller_of(principal), count) as running:
            if running > self._operations:
                raise Refused(
                    429,
                    "CONCURRENCY_LIMIT",
                    f"{running} operations of yours would run at once; at most {self._operations} may. "
                    "Wait for some to end.",
                    {"Retry-After": "1"},
                )
            yield

    @contextlib.contextmanager
    def subscription(self, principal: Principal) -> Iterator[None]:
        """Raises `Refused` (429) when the caller has too many open."""
        with _counted(self._open, caller_of(principal), 1) as running:
            if running > self._subscriptions:
                raise Refused(
                    429,
                    "SUBSCRIPTION_LIMIT",
                    f"{running} subscriptions of yours would be open; at most {self._subscriptions} may. End some.",
                    {"Retry-After": "1"},
                )
            yield

    @contextlib.asynccontextmanager
    async def new_document(self, principal: Principal) -> AsyncIterator[None]:
        """One at a time of each caller, with a rest behind it: to parse and validate takes the time of all."""
        caller = caller_of(principal)
        desk = self._desks.setdefault(caller, _Desk())
        desk.waiting += 1
        try:
            async with desk.lock:
                await asyncio.sleep(desk.rest())
                started = time.monotonic()
                try:
                    yield
                finally:
                    desk.spent += time.monotonic() - started
        finally:
            desk.waiting -= 1
            if not desk.waiting:
                asyncio.get_running_loop().call_later(desk.spent / SHARE, self._forget, caller)

    def _forget(self, caller: Caller) -> None:
        desk = self._desks.get(caller)
        if desk is not None and not desk.waiting and desk.rest() == 0 and desk.spent == 0:
            del self._desks[caller]


class Turns:
    """Each caller begins one thing in each round of the event loop: who has much to do waits behind its own, and the
    others go on as before."""

    def __init__(self) -> None:
        self._begun: set[Caller] = set()
        self._waiting: dict[Caller, deque[asyncio.Future[None]]] = {}

    async def take(self, caller: Caller) -> None:
        """Returns when it is the caller's turn."""
        if caller in self._begun:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(caller, deque()).append(turn)
            await turn
            return
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._next_round)
        self._begun.add(caller)

    def _next_round(self) -> None:
        self._begun.clear()
        for caller, queue in list(self._waiting.items()):
            while queue:
                turn = queue.popleft()
                if not turn.done():  # who waited may be gone
                    turn.set_result(None)
                    self._begun.add(caller)
                    break
            if not queue:
                del self._waiting[caller]
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next_round)


class _Desk:
    """Where the new documents of one caller wait."""

    def __init__(self) -> None:
        self.lock, self.waiting = asyncio.Lock(), 0
        self.spent = 0.0
        self._at = time.monotonic()

    def rest(self) -> float:
        """Seconds that the next document has to wait."""
        now = time.monotonic()
        self.spent = max(0.0, self.spent - (now - self._at) * SHARE)
        self._at = now
        return max(0.0, self.spent - BURST_SECONDS) / SHARE


@contextlib.contextmanager
def _counted(counts: Counter[Caller], caller: Caller, count: int) -> Iterator[int]:
    """Gives how many there are, these included."""
    counts[caller] += count
    try:
        yield counts[caller]
    finally:
        counts[caller] -= count
        if not counts[caller]:
            del counts[caller]
