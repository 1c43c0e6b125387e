"""What all transports share: who asks, the context of an operation, counting, timing, ending."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractContextManager, aclosing
from typing import Any, Protocol

import msgspec
from graphql import OperationType
from starlette.requests import HTTPConnection

from connectors.kit.pace import Pace, Rounds
from graph.engine.documents import Operation, Prepared
from graph.engine.execution import Answer, Engine, GraphQLRequest, RequestRefused
from graph.engine.tracing import FederatedTrace
from resolvers.context import Context, Live
from resolvers.loaders import Loaders
from resolvers.sources import Sources
from runtime.clock import Clock
from runtime.identity import Principal, Unauthenticated
from server.answers import code_of, headers_of, status_of
from server.expiry import expired_error, wait_until
from server.graphql.body import Refused
from server.graphql.callers import Callers, caller_of
from server.graphql.following import Following
from server.guard import Guard, credentials_of

SCOPE = "read"


class Metrics(Protocol):
    """What is told of operations."""

    def operation(self, type: str, outcome: str, seconds: float) -> None: ...

    def subscription_opened(self) -> None: ...

    def subscription_closed(self) -> None: ...


class Desk:
    """Where every operation passes, of whatever transport: gets its context, is counted, timed and ended."""

    def __init__(
        self,
        engine: Engine,
        guard: Guard,
        *,
        organisations: Mapping[str, Sources],
        live: Mapping[str, Live],
        cursor_key: bytes,
        introspection: bool,
        federated_tracing: bool,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.engine, self.guard, self.clock = engine, guard, clock
        self.callers = Callers(engine.limits.operations_per_caller, engine.limits.subscriptions_per_caller)
        self._organisations, self._live, self._cursor_key = organisations, live, cursor_key
        self._introspection, self._tracing, self._metrics = introspection, federated_tracing, metrics
        self._rounds = Rounds()
        self.stopping = asyncio.Event()

    async def admit(self, connection: HTTPConnection) -> Principal:
        """Who sends a request. Raises `Refused`."""
        try:
            return await self.guard.admit(credentials_of(connection), SCOPE)
        except Unauthenticated as fault:
            raise Refused(status_of(fault), code_of(fault), fault.message, headers_of(fault)) from None

    def context(self, principal: Principal, *, traced: bool = False) -> Context:
        """Of one operation; `traced` when a gateway wants its times."""
        return Context(
            principal=principal,
            sources=self._organisations[principal.organisation],
            live=self._live[principal.organisation],
            cursor_key=self._cursor_key,
            make_loaders=Loaders,
            introspection=self._introspection,
            tracing=FederatedTrace() if traced and self._tracing else None,
            representations=self.engine.limits.representations,
            pace=Pace(self._rounds, caller_of(principal)),
        )

    def open(self, principal: Principal, operation: Operation) -> AbstractContextManager[None]:
        """A stream of the operation, counted. Raises `Refused` (429) where the caller has too many."""
        if operation.type is OperationType.SUBSCRIPTION:
            return self.callers.subscription(principal)
        return self.callers.operation(principal)

    async def prepare(self, request: GraphQLRequest, context: Context) -> tuple[Prepared, Operation]:
        """Raises `RequestRefused`."""
        started = time.perf_counter()
        try:
            if self.engine.known(request, context):
                return await self.engine.prepare(request, context)
            async with self.callers.new_document(context.principal):  # type: ignore[arg-type]
                return await self.engine.prepare(request, context)
        except RequestRefused as fault:
            self._metrics.operation(fault.kind, "refused", time.perf_counter() - started)
            raise

    async def run(self, request: GraphQLRequest, prepared: Prepared, operation: Operation, context: Context) -> Answer:
        """One whole answer, counted."""
        started, outcome = time.perf_counter(), "abandoned"
        try:
            answer = await self.engine.run(request, prepared, operation, context)
            outcome = _outcome(answer)
            return answer if context.tracing is None else _traced(answer, context)
        finally:
            self._metrics.operation(operation.type.value, outcome, time.perf_counter() - started)

    async def stream(
        self, request: GraphQLRequest, prepared: Prepared, operation: Operation, context: Context
    ) -> AsyncGenerator[Answer, None]:
        """The answers of an operation while the caller's credentials last; the last one says when they have ended."""
        if operation.type is not OperationType.SUBSCRIPTION:
            yield await self.run(request, prepared, operation, context)
            return
        principal: Any = context.principal
        started, outcome = time.perf_counter(), "abandoned"
        self._metrics.subscription_opened()
        try:
            answers = self.engine.stream(request, prepared, operation, context)
            if principal.expires_at is not None:
                answers = _while_valid(answers, principal, self.clock)
            async with aclosing(answers) as items:
                async for answer in items:
                    outcome = _outcome(answer)
                    yield answer
                    await self.callers.turn(principal)
        finally:
            self._metrics.subscription_closed()
            self._metrics.operation(operation.type.value, outcome, time.perf_counter() - started)


def _traced(answer: Answer, context: Context) -> Answer:
    told = {"ftv1": context.tracing.told(answer.errors or ())}
    return msgspec.structs.replace(answer, extensions={**(answer.extensions or {}), **told})


def _outcome(answer: Answer) -> str:
    if not answer.executed:
        return "refused"
    if answer.errors:
        return "partial" if any(value is not None for value in (answer.data or {}).values()) else "failed"
    return "ok"


async def _while_valid(
    answers: AsyncGenerator[Answer, None], principal: Any, clock: Clock
) -> AsyncGenerator[Answer, None]:
    """The answers until the credentials end; then one that says so."""
    timer = asyncio.create_task(wait_until(principal.expires_at, clock))
    async with aclosing(Following(answers, timer)) as following:
        while True:
            try:
                answer = await following.next()
            except StopAsyncIteration:
                return
            if answer is None:
                yield Answer(errors=[expired_error()], executed=False)
                return
            yield answer
