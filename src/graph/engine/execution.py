"""Runs prepared operations: one context each, a limit on time, errors with codes and without secrets."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from inspect import isawaitable
from typing import Any

import msgspec
from graphql import ExecutionResult, GraphQLError, OperationType, execute, located_error
from graphql.execution import create_source_event_stream, execute_subscription_event
from graphql.pyutils import AwaitableOrValue

from connectors.kit.pace import paced
from graph.engine.bounded import AnswerTooLong
from graph.engine.documents import Documents, Operation, Prepared, RequestRefused, refusal
from graph.engine.errors import Report, told
from graph.engine.limits import Limits
from graph.engine.pacing import executor_of
from graph.engine.persisted import PersistedDocuments
from graph.engine.pricing import Pricing, check_values
from graph.engine.reports import cost_of, explanation_of, plan_of
from graph.engine.request import GraphQLRequest
from graph.schema import Schema
from resolvers.context import Context
from resolvers.errors import Forbidden, extensions_of
from resolvers.tally import Explanation, Tally, counting

__all__ = ["Answer", "Engine", "GraphQLRequest", "OperationType", "RequestRefused"]

EXPLAIN = "explain"
"""The scope of those who may see which vendor is asked for what."""


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
        self,
        schema: Schema,
        limits: Limits,
        report: Report,
        persisted: PersistedDocuments | None = None,
        *,
        show_cost: bool = False,
    ) -> None:
        """`show_cost`: every answer tells its cost, not only those to who asks for it."""
        self.schema, self.limits = schema, limits
        self._show_cost = show_cost
        self._persisted = persisted or PersistedDocuments()
        self._core = schema._schema
        self._executor = executor_of(limits.answer_fields)
        self._report = report
        self.documents = Documents(self._core, limits)
        self._pricing = Pricing(self._core, limits)

    def known(self, request: GraphQLRequest, context: Context) -> bool:
        """Whether it costs next to nothing to prepare the request."""
        text = self._persisted.peek(request)
        return text is None or self.documents.known(text, introspection=context.introspection)

    async def prepare(self, request: GraphQLRequest, context: Context) -> tuple[Prepared, Operation]:
        """The operation that a request means. Raises `RequestRefused`."""
        if (request.explain or request.dry) and EXPLAIN not in context.principal.scopes:
            raise refusal(Forbidden(f"the caller lacks the scope `{EXPLAIN}`"), "forbidden")
        text = self._persisted.text(request)
        prepared = await self.documents.prepare(text, introspection=context.introspection)
        self._persisted.proved(request, text)
        operation = prepared.operation(request.operation_name)
        check_values(operation, request.variables, self.limits)
        self._pricing.price(prepared, operation, request.variables, context.sources)
        return prepared, operation

    async def run(self, request: GraphQLRequest, prepared: Prepared, operation: Operation, context: Context) -> Answer:
        """Executes a query or a mutation to its end or its limit of time."""
        if request.dry:
            return self._planned(request, prepared, operation, context)
        tally = self._tally(request, context)
        try:
            with counting(tally), paced(context.pace):
                return await self._finished(
                    lambda: execute(
                        self._core,
                        prepared.document,
                        context_value=context,
                        variable_values=request.variables,
                        operation_name=operation.name,
                        middleware=None if context.tracing is None else context.tracing.middleware,
                        hide_suggestions=not context.introspection,
                        executor_class=self._executor,
                    ),
                    request,
                    prepared,
                    operation,
                    context,
                    tally,
                )
        finally:
            context.forget()

    async def stream(
        self, request: GraphQLRequest, prepared: Prepared, operation: Operation, context: Context
    ) -> AsyncGenerator[Answer, None]:
        """The answers of a subscription, or the one answer of any other operation."""
        if operation.type is not OperationType.SUBSCRIPTION or request.dry:
            yield await self.run(request, prepared, operation, context)
            return
        executor = self._executor.build(
            self._core,
            prepared.document,
            context_value=context,
            raw_variable_values=request.variables,
            operation_name=operation.name,
            hide_suggestions=not context.introspection,
        )
        if isinstance(executor, list):
            yield self._answer(ExecutionResult(None, executor), context, None)
            return
        opened = create_source_event_stream(executor)
        source: Any = await opened if isawaitable(opened) else opened
        if isinstance(source, ExecutionResult):
            yield self._answer(source, context, None)
            return
        try:
            async with aclosing(source) as events:
                while True:
                    tally = self._tally(request, context)
                    with counting(tally), paced(context.pace):
                        try:
                            event = await anext(events)
                        except StopAsyncIteration:
                            return
                        answer = await self._finished(
                            partial(execute_subscription_event, executor.build_per_event_executor(event)),
                            request,
                            prepared,
                            operation,
                            context,
                            tally,
                        )
                    yield answer
        except Exception as fault:  # noqa: BLE001 - the source of the events failed: told as a field's failure is
            yield Answer(errors=[self._broken(fault, operation)], executed=False)
        finally:
            context.forget()

    async def _finished(
        self,
        execution: Callable[[], AwaitableOrValue[ExecutionResult]],
        request: GraphQLRequest,
        prepared: Prepared,
        operation: Operation,
        context: Context,
        tally: Tally,
    ) -> Answer:
        """The answer, once it is there, too long, or its time is over."""
        result: ExecutionResult | GraphQLError
        try:
            running = execution()
            async with asyncio.timeout(self.limits.seconds):
                result = running if isinstance(running, ExecutionResult) else await running
        except AnswerTooLong:
            result = self._too_much()
        except TimeoutError:
            result = self._too_long()
        reports = self._reports(request, prepared, operation, context, tally)
        if isinstance(result, GraphQLError):
            return Answer(errors=[result], data=None, extensions=reports)
        return self._answer(result, context, reports)

    def _broken(self, fault: Exception, operation: Operation) -> GraphQLError:
        """What a client is told of a source that fails, at the field that streams."""
        field = operation.node.selection_set.selections[0]
        name = getattr(getattr(field, "alias", None) or getattr(field, "name", None), "value", None)
        return told(located_error(fault, [field], None if name is None else [name]), self._report)

    def _tally(self, request: GraphQLRequest, context: Context) -> Tally:
        context.explains = request.explain
        return Explanation(self.limits.vendor_calls) if request.explain else Tally(self.limits.vendor_calls)

    def _reports(
        self,
        request: GraphQLRequest,
        prepared: Prepared,
        operation: Operation,
        context: Context,
        tally: Tally | None,
    ) -> dict[str, Any] | None:
        """The extensions of an answer, for who asks for them."""
        found: dict[str, Any] = {}
        if request.cost or self._show_cost:
            price = self._pricing.price(prepared, operation, request.variables, context.sources)
            found["cost"] = cost_of(price, self.limits, tally)
        if isinstance(tally, Explanation):
            found["explain"] = explanation_of(tally)
        return found or None

    def _planned(self, request: GraphQLRequest, prepared: Prepared, operation: Operation, context: Context) -> Answer:
        """What the operation would ask."""
        plan, left = self._pricing.plan(prepared, operation, request.variables, context.sources)
        reports = self._reports(request, prepared, operation, context, None) or {}
        return Answer(extensions={**reports, "explain": plan_of(plan, left)})

    def _too_long(self) -> GraphQLError:
        return GraphQLError(
            f"the operation took longer than {self.limits.seconds:g} s and was stopped; ask for less at once",
            extensions={"code": "TIME_LIMIT", "limit": self.limits.seconds},
        )

    def _too_much(self) -> GraphQLError:
        return GraphQLError(
            f"the answer has more than {self.limits.answer_fields} fields, those of all list items counted; ask for "
            "fewer rows, or for fewer joins",
            extensions={"code": "ANSWER_LIMIT", "limit": self.limits.answer_fields},
        )

    def _answer(self, result: ExecutionResult, context: Context, extensions: dict[str, Any] | None) -> Answer:
        raw = result.errors or ()
        errors = [told(error, self._report) for error in raw]
        shown = {(error.message, (error.extensions or {}).get("integration")) for error in errors}
        for problem in context.problems:
            facts = extensions_of(problem.error)
            if (problem.error.message, facts.get("integration")) not in shown:
                errors.append(GraphQLError(problem.error.message, path=problem.path, extensions=facts))
        if len(errors) > self.limits.errors:
            left = len(errors) - self.limits.errors
            errors = errors[: self.limits.errors]
            errors.append(GraphQLError(f"{left} more errors are not shown", extensions={"code": "ERROR_LIMIT"}))
        # Variables that could not be coerced end the request before execution: no path, no data
        executed = result.data is not None or not raw or any(error.path for error in raw)
        return Answer(
            data=result.data,
            errors=errors or None,
            extensions=extensions,
            executed=executed,
            stage="execution" if executed else "variables",
        )
