"""Tasks that run as long as the server does."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from runtime.clock import Clock, SystemClock
from runtime.telemetry import Log

Factory = Callable[[], Awaitable[None]]

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
HEALTHY_SECONDS = 60.0
"""A task that ran so long is well: its next crash is a new story."""


class Supervisor:
    """Starts a crashed task again after a pause that doubles, and says so once per streak. Leaving it stops all.

    Of exceptions that are `expected` somebody else tells: the task is started again without a word.
    """

    def __init__(self, *, log: Log, clock: Clock | None = None, expected: tuple[type[Exception], ...] = ()) -> None:
        self._log = log
        self._expected = expected
        self._clock = clock or SystemClock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failing: dict[str, None] = {}

    @property
    def failing(self) -> list[str]:
        """The tasks that wait to be started again, in the order in which they crashed."""
        return list(self._failing)

    def run(self, name: str, factory: Factory) -> None:
        """Starts what the factory makes. It may return: then it is done. Raises `ValueError` for a name in use."""
        if name in self._tasks:
            raise ValueError(f"there is a task {name} already")
        task = asyncio.create_task(self._keep(name, factory), name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, name: str, factory: Factory) -> None:
        crashes = 0
        while True:
            started = self._clock.monotonic()
            try:
                await factory()
            except Exception as error:  # noqa: BLE001  a bug in one task must not end the server; it is told below
                if self._clock.monotonic() - started >= HEALTHY_SECONDS:
                    crashes = 0
                crashes += 1
                if crashes == 1 and not isinstance(error, self._expected):
                    self._log.error("task.crashed", task=name, exc_info=error)
            else:
                return
            self._failing[name] = None
            await self._clock.sleep(min(FIRST_PAUSE_SECONDS * 2 ** (crashes - 1), LONGEST_PAUSE_SECONDS))
            del self._failing[name]
