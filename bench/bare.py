"""The server without what protects it: the same application, of the same parts, less limits, authentication, masking
and metrics. Only to be compared with the whole one.

    python -m bench.bare CONFIG

Left out: the bounds of connections, heads, bodies and batches; origins and hosts; who asks and whether they may; turns
and counts of callers; the price of an operation, its tally of vendor calls and its limit of time; error codes and
masks; the counters of operations and of vendor calls. Not left out: what costs an operation nothing once its document
is known (tokens, depth, aliases and the like are measured when it is parsed), and how vendors are called.
"""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from graphql import ExecutionResult, GraphQLError, execute
from starlette.requests import HTTPConnection, Request
from starlette.types import Receive, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from graph.engine.documents import Operation, Prepared
from graph.engine.execution import Answer, Engine, GraphQLRequest
from resolvers.context import Context
from runtime.identity import SCOPES, Principal
from runtime.settings import load
from runtime.telemetry import PrometheusMetrics, configure_logging, logger
from server import app, serving
from server.cli import _made_to_last
from server.graphql import endpoint
from server.graphql.body import parse_json, parse_request
from server.graphql.callers import Callers
from server.graphql.desk import Desk
from server.graphql.http import HttpEndpoint

ANYBODY: Final = Principal(subject="anybody", organisation="default", scopes=SCOPES, how="development")


class NoCounters(PrometheusMetrics):
    """Counts nothing of what happens in the course of an operation."""

    def vendor_call(self, integration: str, outcome: str, seconds: float) -> None: ...

    def operation(self, type: str, outcome: str, seconds: float) -> None: ...

    def breaker(self, integration: str, state: str) -> None: ...


class EveryCaller(Callers):
    """Whoever asks may have as much as they like, at once."""

    async def turn(self, principal: Principal) -> None: ...

    @contextmanager
    def operation(self, principal: Principal, count: int = 1) -> Iterator[None]:
        del principal, count
        yield

    @asynccontextmanager
    async def new_document(self, principal: Principal) -> AsyncIterator[None]:
        del principal
        yield


class BareEngine(Engine):
    """Executes, however dear and however long, and tells errors as they are."""

    async def prepare(self, request: GraphQLRequest, context: Context) -> tuple[Prepared, Operation]:
        prepared = await self.documents.prepare(self._persisted.text(request), introspection=context.introspection)
        return prepared, prepared.operation(request.operation_name)

    async def run(self, request: GraphQLRequest, prepared: Prepared, operation: Operation, context: Context) -> Answer:
        running = execute(
            self._core,
            prepared.document,
            context_value=context,
            variable_values=request.variables,
            operation_name=operation.name,
        )
        result = running if isinstance(running, ExecutionResult) else await running
        errors = [*(result.errors or ()), *(GraphQLError(str(each.error), path=each.path) for each in context.problems)]
        return Answer(data=result.data, errors=errors or None)


class BareDesk(Desk):
    def __init__(self, engine: Engine, *given: Any, **named: Any) -> None:
        super().__init__(engine, *given, **named)
        self.callers = EveryCaller(0, 0)

    async def admit(self, connection: HTTPConnection) -> Principal:
        del connection
        return ANYBODY

    async def prepare(self, request: GraphQLRequest, context: Context) -> tuple[Prepared, Operation]:
        return await self.engine.prepare(request, context)

    async def run(self, request: GraphQLRequest, prepared: Prepared, operation: Operation, context: Context) -> Answer:
        return await self.engine.run(request, prepared, operation, context)


class BareHttp(HttpEndpoint):
    async def _handle(self, request: Request, receive: Receive, send: Send) -> None:
        """As the whole one, without a look at what is asked, whence and by whom."""
        principal = await self._desk.admit(request)
        given = parse_request(parse_json(await request.body()))
        await self._one(request, given, principal, request.headers.get("accept"), receive, send)

    def _cors(self, request: Request) -> dict[str, str]:
        del request
        return {}


def replace_parts() -> None:
    """Puts the bare parts where the application finds its own."""
    parts: tuple[tuple[Any, str, Any], ...] = (
        (app, "PrometheusMetrics", NoCounters),
        (app, "Engine", BareEngine),
        (app, "Desk", BareDesk),
        (endpoint, "HttpEndpoint", BareHttp),
        (serving, "protocols", lambda _connections: (HttpToolsProtocol, WebSocketsSansIOProtocol)),
    )
    for module, name, part in parts:
        assert hasattr(module, name), f"{module.__name__} has no {name} any more: what is compared would be the same"
        setattr(module, name, part)


def main(config: Path) -> None:
    with _made_to_last():
        configure_logging(stream=sys.stderr)
        replace_parts()
        settings = load(config, os.environ)
        application = app.create_app(settings)
    serving.run(lambda: serving.serve(application, settings, log=logger(), ready=lambda _address: None))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
