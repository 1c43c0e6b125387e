"""Counts operations: how many, of which kind, how they ended, how long they took, how many subscriptions are open."""

import time
from collections.abc import Iterator
from typing import Any, Protocol

from strawberry.extensions import SchemaExtension
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType


class OperationMetrics(Protocol):
    """What is told of operations."""

    def operation(self, type: str, outcome: str, seconds: float) -> None: ...

    def subscription_opened(self) -> None: ...

    def subscription_closed(self) -> None: ...


def measured(metrics: OperationMetrics) -> type[SchemaExtension]:
    """The extension that tells `metrics` of each operation. To be the outermost: it sees the results as clients do.

    It has no `resolve`: that would cost every field of every operation.
    """

    class Measured(SchemaExtension):
        def on_operation(self) -> Iterator[None]:
            self._subscribed = self._streamed = False
            self._answered = self._filled = self._errors = self._refused = False
            started = time.perf_counter()
            try:
                yield
            finally:
                if not self._streamed:
                    self._see(self.execution_context.result)
                if self._subscribed:
                    metrics.subscription_closed()
                metrics.operation(self._type(), self._outcome(), time.perf_counter() - started)

        def on_execute(self) -> Iterator[None]:
            if self._type() == "subscription":
                self._subscribed = True
                metrics.subscription_opened()
            yield

        def on_stream_result(self, result: Any) -> Iterator[None]:
            self._streamed = True
            self._see(result)
            yield

        def _see(self, result: Any) -> None:
            self._refused |= isinstance(result, PreExecutionError)
            data = getattr(result, "data", None)
            self._answered |= data is not None
            self._filled |= data is not None and any(value is not None for value in data.values())
            self._errors |= bool(getattr(result, "errors", None))

        def _type(self) -> str:
            try:
                kind = self.execution_context.operation_type
            except Exception:  # noqa: BLE001  a document that cannot be read has none; Strawberry raises what it likes
                return "unknown"
            return {OperationType.QUERY: "query", OperationType.MUTATION: "mutation"}.get(kind, "subscription")

        def _outcome(self) -> str:
            if self._refused:
                return "refused"
            if self._errors:
                return "partial" if self._filled else "failed"
            return "ok" if self._answered or self._subscribed else "refused"

    return Measured
