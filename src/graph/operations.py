"""One operation: its own context with its own loaders; its errors with codes and without secrets."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError

from connectors.kit.errors import ConnectorError
from graph.documents import Documents
from resolvers.context import Context
from resolvers.errors import ClientError, extensions_of

Report = Callable[[str, BaseException], None]
"""Is told the id and the exception of an unexpected failure, for the log."""


def told(error: GraphQLError, report: Report) -> GraphQLError:
    """What a client may know of an error: ours as they are, any other as "Internal error" with an id."""
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, ConnectorError):
        message, extensions = cause.message, extensions_of(cause)
    elif isinstance(cause, ClientError):
        message, extensions = cause.message, cause.extensions
    elif isinstance(cause, MissingQueryError | CannotGetOperationTypeError):
        message, extensions = _not_told(cause), {"code": "GRAPHQL_VALIDATION_FAILED"}
    elif cause is None or isinstance(cause, GraphQLError):
        message, extensions = error.message, {"code": "BAD_USER_INPUT", **(error.extensions or {})}
    else:
        failure = uuid.uuid4().hex
        report(failure, cause)
        message, extensions = "Internal error", {"code": "INTERNAL_SERVER_ERROR", "id": failure}
    return GraphQLError(message, nodes=error.nodes, source=error.source, positions=error.positions,
                        path=error.path, extensions=extensions)  # fmt: skip


def _not_told(fault: MissingQueryError | CannotGetOperationTypeError) -> str:
    if isinstance(fault, MissingQueryError):
        return "the request has no document; send it as `query`"
    if fault.operation_name is None:
        return "the document has no operation"
    return f"the document has no operation named {fault.operation_name[:60]!r}"


def operations(report: Report) -> type[SchemaExtension]:
    """The extension that gives each operation a context of its own and answers its errors."""
    documents = Documents()

    class Operations(SchemaExtension):
        def on_operation(self) -> Iterator[None]:
            self._streamed = False
            shared: Context = self.execution_context.context
            self.execution_context.context = shared.fresh()
            yield
            if not self._streamed:
                self._finish(self.execution_context.result)

        def on_parse(self) -> Iterator[None]:
            running = self.execution_context
            self._known = documents.get(running.query or "", running.validation_rules)
            if self._known is not None:
                running.graphql_document = self._known
            yield

        def on_validate(self) -> Iterator[None]:
            running = self.execution_context
            if self._known is not None and running.pre_execution_errors is None:
                running.pre_execution_errors = []  # as validation leaves it when all is well
            yield
            if self._known is None and running.query and running.graphql_document and not running.pre_execution_errors:
                documents.put(running.query, running.validation_rules, running.graphql_document)

        def on_stream_result(self, result: Any) -> Iterator[None]:
            self._streamed = True
            self._finish(result)
            yield

        def _finish(self, result: Any) -> None:
            if result is None or not hasattr(result, "errors"):
                return
            context: Context = self.execution_context.context
            errors = [told(error, report) for error in result.errors or ()]
            shown = {(error.message, (error.extensions or {}).get("integration")) for error in errors}
            for problem in context.problems:
                extensions = extensions_of(problem.error)
                if (problem.error.message, extensions.get("integration")) not in shown:
                    errors.append(GraphQLError(problem.error.message, path=problem.path, extensions=extensions))
            result.errors = errors or None

    return Operations
