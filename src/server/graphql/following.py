"""Waits for the next answer of a stream beside other things, and loses neither."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from graph.engine.execution import Answer


class Following:
    """The answers of a stream, one at a time; `others` are ended with it."""

    def __init__(self, answers: AsyncGenerator[Answer, None], *others: "asyncio.Task[Any]") -> None:
        self._answers, self._others = answers, others
        self._upcoming: asyncio.Task[Answer] | None = None

    async def next(self, *, seconds: float | None = None) -> Answer | None:
        """The next answer; null when one of the others is done first, or when the time is over.

        Raises `StopAsyncIteration` at the end.
        """
        if self._upcoming is None:
            self._upcoming = asyncio.ensure_future(self._next())
        await asyncio.wait({self._upcoming, *self._others}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if any(other.done() for other in self._others) or not self._upcoming.done():
            return None
        upcoming, self._upcoming = self._upcoming, None
        return upcoming.result()

    async def _next(self) -> Answer:
        return await anext(self._answers)

    async def aclose(self) -> None:
        """Ends all. Everything is cancelled before the first await: who is cancelled twice leaves nothing behind."""
        left = [*self._others, *([] if self._upcoming is None else [self._upcoming])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._answers.aclose()
