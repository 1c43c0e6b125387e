"""Whether the server lives and can work, and its numbers. Answers within a second, whatever hangs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connectors.kit.health import HealthState
from resolvers.sources import Handle
from runtime.identity import Unauthenticated
from runtime.store import Database, Inbox, StoreError
from runtime.telemetry import PrometheusMetrics
from server.answers import unauthenticated
from server.guard import Guard, credentials_of

T = TypeVar("T")

PATIENCE_SECONDS = 0.7
"""How long the store may take to answer before it counts as away."""

_BREAKER = {HealthState.LEFT_ALONE: "OPEN", HealthState.FAILING: "HALF_OPEN"}


class Patient(Generic[T]):
    """Asks something that may hang. One question at a time: who comes while it is open waits for the same answer,
    and for no longer than the others."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._open: asyncio.Task[T] | None = None

    async def __call__(self, seconds: float = PATIENCE_SECONDS) -> T:
        """Raises `TimeoutError`, and what the question raises."""
        if self._open is None or self._open.done():
            self._open = asyncio.ensure_future(self._ask())
            self._open.add_done_callback(_retrieve)
        async with asyncio.timeout(seconds):
            return await asyncio.shield(self._open)

    async def aclose(self) -> None:
        if self._open is not None:
            self._open.cancel()
            await asyncio.gather(self._open, return_exceptions=True)


def _retrieve(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()  # who asked may be gone


class Health:
    """The endpoints that machines look at."""

    def __init__(
        self,
        database: Database,
        inbox: Inbox,
        handles: Iterable[Handle],
        *,
        metrics: PrometheusMetrics,
        guard: Guard,
    ) -> None:
        self._ping, self._counts = Patient(database.ping), Patient(inbox.counts)
        self._handles, self._metrics, self._guard = list(handles), metrics, guard
        self._stopping = False

    def stop(self) -> None:
        """From now on balancers are to send nothing more."""
        self._stopping = True

    async def aclose(self) -> None:
        await self._ping.aclose()
        await self._counts.aclose()

    async def live(self, _: Request) -> Response:
        """The process answers: no reason to start it anew."""
        return JSONResponse({"live": True}, headers={"Cache-Control": "no-store"})

    async def ready(self, _: Request) -> Response:
        """Whether requests can be answered. A vendor that is away is no reason to say no: the others are there."""
        if self._stopping:
            return _not_ready("the server is being stopped")
        try:
            await self._ping()
        except TimeoutError:
            return _not_ready("the store does not answer in time")
        except StoreError:
            return _not_ready("the store cannot be reached")
        return JSONResponse({"ready": True}, headers={"Cache-Control": "no-store"})

    async def metrics(self, request: Request) -> Response:
        """For Prometheus. The names of all organisations' integrations are in it, so that it has a scope of its own."""
        try:
            await self._guard.admit(credentials_of(request), "metrics")
        except Unauthenticated as fault:
            return unauthenticated(fault)
        try:
            counts = await self._counts()
        except (TimeoutError, StoreError):
            pass  # the numbers of the last time stand
        else:
            self._metrics.inbox(counts.pending, counts.dead)
        for handle in self._handles:
            self._metrics.breaker(handle.key, _BREAKER.get(handle.connector.health().state, "CLOSED"))
        return Response(self._metrics.render(), media_type=self._metrics.content_type)


def _not_ready(reason: str) -> Response:
    return JSONResponse({"ready": False, "reason": reason}, 503, {"Cache-Control": "no-store", "Retry-After": "2"})
