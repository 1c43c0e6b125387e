"""Credentials that end while a stream is open end the stream: one timer per stream, by a clock that is handed in."""

import asyncio
import contextvars
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

from graphql import GraphQLError
from strawberry.types import ExecutionResult

from runtime.clock import Clock

_LONGEST_SLEEP = 3_600.0
"""Seconds; the time of day may be set while we sleep, so it is looked at again."""


def expired_error() -> GraphQLError:
    """What the caller is told."""
    return GraphQLError(
        "your credentials have expired; connect again with fresh ones", extensions={"code": "UNAUTHENTICATED"}
    )


async def wait_until(moment: datetime, clock: Clock) -> None:
    """Returns when the clock's time of day is past the moment."""
    while (left := (moment - clock.now()).total_seconds()) > 0:
        await clock.sleep(min(left, _LONGEST_SLEEP))


async def while_valid(
    results: AsyncGenerator[Any, None], expires_at: datetime, clock: Clock
) -> AsyncGenerator[Any, None]:
    """The results until the credentials end; then one that says so, and the end."""

    async def following() -> Any:
        return await anext(results)

    timer = asyncio.create_task(wait_until(expires_at, clock))
    step: asyncio.Task[Any] | None = None
    context = contextvars.copy_context()  # one for all steps: a generator may set a variable now and reset it later
    try:
        while True:
            step = asyncio.create_task(following(), context=context)
            await asyncio.wait({step, timer}, return_when=asyncio.FIRST_COMPLETED)
            if timer.done():
                yield ExecutionResult(data=None, errors=[expired_error()])
                return
            try:
                yield step.result()
            except StopAsyncIteration:
                return
    finally:
        for task in (timer, step):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await results.aclose()
