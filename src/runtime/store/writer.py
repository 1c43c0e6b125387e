"""One writer per database: what many producers hand in becomes few transactions.

A batch is what is queued when the writer looks: up to `limit` rows, collected for at most `seconds` while more
keeps coming. Nobody waits for a batch to fill. Rows of the same operation share a transaction; when that fails, the
halves are tried, so that a row that cannot be written fails only the producer that handed it in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.clock import Clock
from runtime.store.errors import BadRow, StoreDown

Row = TypeVar("Row")
Result = TypeVar("Result")

BATCH_ROWS = 10_000
BATCH_SECONDS = 0.05
_QUEUE_JOBS = 10_000


@dataclass(frozen=True, eq=False)
class Operation(Generic[Row, Result]):
    """Something that can be done to many rows in one transaction: gives one result per row, in their order.

    `durable` operations survive a power cut once they are answered.
    """

    name: str
    write: Callable[[AsyncConnection, Sequence[Row]], Awaitable[Sequence[Result]]]
    durable: bool = False


Transact = Callable[[Operation[Any, Any], Sequence[Any]], Awaitable[Sequence[Any]]]


@dataclass(eq=False)
class _Job:
    operation: Operation[Any, Any]
    rows: Sequence[Any]
    answer: asyncio.Future[list[Any]]
    results: list[Any] = field(default_factory=list)
    error: Exception | None = None


class Writer:
    """`transact` runs an operation in a transaction of its own, and raises `StoreDown` when the database is away.

    `start` and `aclose` belong to the database.
    """

    def __init__(
        self, transact: Transact, *, clock: Clock, limit: int = BATCH_ROWS, seconds: float = BATCH_SECONDS
    ) -> None:
        self._transact = transact
        self._clock = clock
        self._limit, self._seconds = limit, seconds
        self._queue: asyncio.Queue[_Job | None] = asyncio.Queue(_QUEUE_JOBS)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="store writer")

    async def aclose(self) -> None:
        """Writes what is queued, then ends."""
        task, self._task = self._task, None
        if task is not None:
            await self._queue.put(None)
            await task

    async def submit(self, operation: Operation[Row, Result], rows: Sequence[Row]) -> list[Result]:
        """The result of each row, once it is written. Waits while too much is queued.

        Raises `BadRow` for a row that cannot be written (the others are), `StoreDown` when the database is away.
        """
        if not rows:
            return []
        if self._task is None:
            raise StoreDown("the store is not open")
        job = _Job(operation, rows, asyncio.get_running_loop().create_future())
        await self._queue.put(job)
        return cast(list[Result], await job.answer)

    async def _run(self) -> None:
        more = True
        while more:
            batch, more = await self._batch()
            for operation in dict.fromkeys(job.operation for job in batch):
                jobs = [job for job in batch if job.operation is operation]
                await self._write(operation, [(job, row) for job in jobs for row in job.rows])
                for job in jobs:
                    _answer(job)
        while not self._queue.empty():  # producers that were waiting for room when the writer was told to end
            job_or_end = self._queue.get_nowait()
            if job_or_end is not None:
                job_or_end.error = StoreDown("the store is not open")
                _answer(job_or_end)
            await asyncio.sleep(0)

    async def _batch(self) -> tuple[list[_Job], bool]:
        """The next jobs; false when the writer is to end after them."""
        batch: list[_Job] = []
        rows = 0
        until = 0.0
        while True:
            job = await self._queue.get()
            if job is None:
                return batch, False
            batch.append(job)
            rows += len(job.rows)
            if len(batch) == 1:
                until = self._clock.monotonic() + self._seconds
            if rows >= self._limit or self._clock.monotonic() >= until:
                return batch, True
            if self._queue.empty():
                await asyncio.sleep(0)  # whoever is about to hand something in does so now
                if self._queue.empty():
                    return batch, True

    async def _write(self, operation: Operation[Any, Any], rows: Sequence[tuple[_Job, Any]]) -> None:
        """Writes the rows; after a failure, each half on its own."""
        try:
            results = await self._transact(operation, [row for _, row in rows])
        except StoreDown as down:
            for job, _ in rows:
                job.error = job.error or down
        except Exception as error:  # noqa: BLE001  whatever a driver raises for a row goes to its producer; the task goes on
            if len(rows) == 1:
                bad = BadRow(f"{operation.name}: the database refuses a row ({type(error).__name__})")
                bad.__cause__ = error
                rows[0][0].error = rows[0][0].error or bad
                return
            middle = len(rows) // 2
            await self._write(operation, rows[:middle])
            await self._write(operation, rows[middle:])
        else:
            for (job, _), result in zip(rows, results, strict=True):
                job.results.append(result)


def _answer(job: _Job) -> None:
    if job.answer.done():  # the producer was cancelled while it waited; what it handed in is written all the same
        return
    if job.error is not None:
        job.answer.set_exception(job.error)
    else:
        job.answer.set_result(job.results)
