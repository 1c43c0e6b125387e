"""Runs prepared operations: one context each, a limit on time, errors with codes and without secrets."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from inspect import isawaitable
from typing import Any

import msgspec
from graphql import ExecutionResult, GraphQLError, OperationType, execute, located_error
from graphql.execution import Executor, create_source_event_stream, execute_subscription_event
from graphql.pyutils import AwaitableOrValue

from graph.engine.documents import Documents, Operation, Prepared, RequestRefused
from graph.engine.errors import Report, told
from graph.engine.limits import Limits
from graph.engine.persisted import PersistedDocuments
from graph.engine.request import GraphQLRequest
from graph.schema import Schema
from resolvers.context import Context
from resolvers.errors import extensions_of

__all__ = ["Answer", "Engine", "GraphQLRequest", "OperationType", "RequestRefused"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `executed` is false when the request was refused before any resolver ran: then the answer
    has no `data`, as the specification asks."""

    data: Any = None
    errors: list[GraphQLError] | None = None
    extensions: dict[str, Any] | None = None
    executed: bool = True
    stage: str = "execution"

    def formatted(self) -> dict[str, Any]:
        """As the specification writes an answer."""
        answer: dict[str, Any] = {}
        if self.errors:
            answer["errors"] = [error.formatted for error in self.errors]
        if self.executed:
            answer["data"] = self.data
        if self.extensions:
            answer["extensions"] = self.extensions
        return answer


def refused(fault: RequestRefused) -> Answer:
    """The answer to a request that is not executed."""
    return Answer(errors=fault.errors, executed=False, stage=fault.stage)


class Engine:
    """Executes requests over the one schema."""

    def __init__(
        self, schema: Schema, limits: Limits, report: Report, persisted: PersistedDocuments | None = None
    ) -> None:
        self.schema, self.limits = schema, limits
        self._persisted = persisted or PersistedDocuments()
        self._core = schema._schema
        self._report = report
        self.documents = Documents(self._core, limits)

    async def prepare(self, request: GraphQLRequest, context: Context) -> tuple[Prepared, Operation]:
        """The operation that a request means. Raises `RequestRefused`."""
        text = self._persisted.text(request)
        prepared = await self.documents.prepare(text, introspection=context.introspection)
        self._persisted.proved(request, text)
        return prepared, prepared.operation(request.operation_name)

    async def run(self, request: GraphQLRequest, prepared: Prepared, operation: Operation, context: Context) -> Answer:
        """Executes a query or a mutation to its end or its limit of time."""
        running = execute(
            self._core,
            prepared.document,
            context_value=context,
            variable_values=request.variables,
            operation_name=operation.name,
            middleware=None if context.tracing is None else context.tracing.middleware,
            hide_suggestions=not context.introspection,
        )
        return await self._finished(running, context)

    async def stream(
        self, request: GraphQLRequest, prepared: Prepared, operation: Operation, context: Context
    ) -> AsyncGenerator[Answer, None]:
        """The answers of a subscription, or the one answer of any other operation."""
        if operation.type is not OperationType.SUBSCRIPTION:
            yield await self.run(request, prepared, operation, context)
            return
        executor = Executor.build(
            self._core,
            prepared.document,
            context_value=context,
            raw_variable_values=request.variables,
            operation_name=operation.name,
            hide_suggestions=not context.introspection,
        )
        if isinstance(executor, list):
            yield self._answer(ExecutionResult(None, executor), context)
            return
        opened = create_source_event_stream(executor)
        source = await opened if isawaitable(opened) else opened
        if isinstance(source, ExecutionResult):
            yield self._answer(source, context)
            return
        try:
            async with aclosing(source) as events:  # type: ignore[type-var]
                async for event in events:
                    running = execute_subscription_event(executor.build_per_event_executor(event))
                    yield await self._finished(running, context)
        except Exception as fault:  # noqa: BLE001 - the source of the events failed: told as a field's failure is
            yield Answer(errors=[self._broken(fault, operation)], executed=False)

    async def _finished(self, running: AwaitableOrValue[ExecutionResult], context: Context) -> Answer:
        """The answer, once it is there or its time is over."""
        if isinstance(running, ExecutionResult):
            return self._answer(running, context)
        try:
            async with asyncio.timeout(self.limits.seconds):
                result = await running
        except TimeoutError:
            return Answer(errors=[self._too_long()], data=None)
        return self._answer(result, context)

    def _broken(self, fault: Exception, operation: Operation) -> GraphQLError:
        """What a client is told of a source that fails, at the field that streams."""
        field = operation.node.selection_set.selections[0]
        name = getattr(getattr(field, "alias", None) or getattr(field, "name", None), "value", None)
        return told(located_error(fault, [field], None if name is None else [name]), self._report)

    def _too_long(self) -> GraphQLError:
        return GraphQLError(
            f"the operation took longer than {self.limits.seconds:g} s and was stopped; ask for less at once",
            extensions={"code": "TIME_LIMIT", "limit": self.limits.seconds},
        )

    def _answer(self, result: ExecutionResult, context: Context) -> Answer:
        raw = result.errors or ()
        errors = [told(error, self._report) for error in raw]
        shown = {(error.message, (error.extensions or {}).get("integration")) for error in errors}
        for problem in context.problems:
            extensions = extensions_of(problem.error)
            if (problem.error.message, extensions.get("integration")) not in shown:
                errors.append(GraphQLError(problem.error.message, path=problem.path, extensions=extensions))
        if len(errors) > self.limits.errors:
            left = len(errors) - self.limits.errors
            errors = errors[: self.limits.errors]
            errors.append(GraphQLError(f"{left} more errors are not shown", extensions={"code": "ERROR_LIMIT"}))
        # Variables that could not be coerced end the request before execution: no path, no data
        executed = result.data is not None or not raw or any(error.path for error in raw)
        return Answer(
            data=result.data,
            errors=errors or None,
            extensions=_extensions(context),
            executed=executed,
            stage="execution" if executed else "variables",
        )


def _extensions(context: Context) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for add in getattr(context, "reports", ()):
        told_by: Callable[[], dict[str, Any]] = add
        found |= told_by()
    return found or None
