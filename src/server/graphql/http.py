"""GraphQL over HTTP: one endpoint for queries, streams and batches.

Statuses follow the public audits (`graphql-http`): with `application/json` a well-formed request is answered
200 whatever its document is worth; with `application/graphql-response+json` a request that was not executed is
4xx. What is no GraphQL request at all is 4xx with either.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec
from graphql import GraphQLError, OperationType
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from graph.engine.documents import Operation, Prepared
from graph.engine.execution import Answer, GraphQLRequest, RequestRefused, refused
from resolvers.context import Context
from runtime.identity import Principal
from server.graphql import accept, compression
from server.graphql.body import Refused, parse_json, parse_request, query_request, read
from server.graphql.desk import Desk
from server.graphql.origins import Origins
from server.graphql.streams import EVENTS, PARTS, Framing, send_stream
from server.graphql.wishes import COST, EXPLAIN, wished

STATUS: Mapping[str, Mapping[str, int]] = {
    # how far a request got before it was refused → status, by the media type of the answer
    accept.GRAPHQL: {"request": 400, "parse": 400, "operation": 400, "limits": 400, "validation": 400, "variables": 400,
                     "documents": 400, "forbidden": 403, "execution": 200},
    accept.JSON: {"request": 400, "parse": 200, "operation": 200, "limits": 200, "validation": 200, "variables": 200,
                  "documents": 200, "forbidden": 403, "execution": 200},
}  # fmt: skip


class HttpEndpoint:
    """The endpoint; an ASGI application for scopes of type `http`."""

    def __init__(self, desk: Desk, *, origins: Origins, max_body_bytes: int) -> None:
        self._desk, self._origins, self._max_body_bytes = desk, origins, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            await self._handle(request, receive, send)
        except Refused as fault:
            await self._refusal(request, fault)(scope, receive, send)

    async def stopped(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers who could not be answered any more."""
        text = "the server is being stopped; ask again in a moment"
        fault = Refused(503, "SERVER_STOPPING", text, {"Retry-After": "2"})
        await self._refusal(Request(scope), fault)(scope, receive, send)

    def _refusal(self, request: Request, fault: Refused) -> Response:
        """JSON, in the type that the client takes where it takes one of ours."""
        wanted = accept.single(request.headers.get("accept"))
        kind = wanted if wanted in (accept.JSON, accept.GRAPHQL) else accept.JSON
        body = {"errors": [{"message": fault.message, "extensions": {"code": fault.code}}]}
        return _response(msgspec.json.encode(body), fault.status, kind, {**fault.headers, **self._cors(request)})

    def _cors(self, request: Request) -> dict[str, str]:
        origin = request.headers.get("origin")
        if origin is None or origin not in self._origins.allowed:
            return {"Vary": "Origin"} if self._origins.allowed else {}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    async def _handle(self, request: Request, receive: Receive, send: Send) -> None:
        self._origins.check(request)
        if request.method == "OPTIONS":
            await self._preflight(request)(request.scope, receive, send)
            return
        if request.method not in ("GET", "POST"):
            raise Refused(405, "METHOD_NOT_ALLOWED", "ask with GET or POST", {"Allow": "GET, POST, OPTIONS"})
        principal = await self._desk.admit(request)
        if request.method == "GET":
            given: GraphQLRequest | list[GraphQLRequest] = query_request(request.query_params)
        else:
            body = await self._body(request)
            await self._desk.callers.turn(principal)
            given = self._parsed(body)
        header = request.headers.get("accept")
        if isinstance(given, list):
            batch = [wished(each, request.headers) for each in given]
            await self._batch(request, batch, principal, header, receive, send)
        else:
            await self._one(request, wished(given, request.headers), principal, header, receive, send)

    async def _body(self, request: Request) -> bytes:
        media = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if media != "application/json":
            raise Refused(
                415,
                "UNSUPPORTED_MEDIA_TYPE",
                f"the body is {media or 'without a content type'}; send `Content-Type: application/json`",
                {"Accept": "application/json"},
            )
        charset = _charset(request.headers.get("content-type", ""))
        if charset not in ("utf-8", "utf8", "us-ascii"):
            raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", f"JSON is UTF-8; the body says {charset}")
        return await read(request, self._max_body_bytes)

    def _parsed(self, body: bytes) -> GraphQLRequest | list[GraphQLRequest]:
        given = parse_json(body)
        if not isinstance(given, list):
            return parse_request(given)
        limit = self._desk.engine.limits.batch
        if not given:
            raise Refused(400, "BAD_REQUEST", "the batch is empty")
        if len(given) > limit:
            raise Refused(
                400, "BATCH_LIMIT", f"the batch has {len(given)} operations; at most {limit} are taken at once"
            )
        return [parse_request(each, f"operation {index} of the batch") for index, each in enumerate(given)]

    async def _one(
        self,
        request: Request,
        given: GraphQLRequest,
        principal: Principal,
        header: str | None,
        receive: Receive,
        send: Send,
    ) -> None:
        traced = request.headers.get("apollo-federation-include-trace", "").lower() == "ftv1"
        context = self._desk.context(principal, traced=traced)
        headers = self._cors(request)
        with self._desk.callers.operation(principal):
            try:
                prepared, operation = await self._desk.prepare(given, context)
            except RequestRefused as fault:
                await self._send_whole(request, refused(fault), accept.single(header), receive, send, headers)
                return
            kind = _kind(request, operation, header)
            streamed = kind in (accept.SSE, accept.MULTIPART)
            answer = None if streamed else await self._run(given, prepared, operation, context, receive)
        if streamed:
            framing = EVENTS if kind == accept.SSE else PARTS
            with self._desk.open(principal, operation):
                answers = self._desk.stream(given, prepared, operation, context)
                await send_stream(answers, framing, receive, send, headers, stopping=self._desk.stopping)
        elif answer is not None:
            headers |= _caching(request, given, operation, answer)
            await self._send_whole(request, answer, kind, receive, send, headers)

    async def _run(
        self, given: GraphQLRequest, prepared: Prepared, operation: Operation, context: Context, receive: Receive
    ) -> Answer | None:
        """The answer; null when the client has gone, and with it the work."""
        work = asyncio.ensure_future(self._desk.run(given, prepared, operation, context))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _send_whole(
        self,
        request: Request,
        answer: Answer,
        kind: str | None,
        receive: Receive,
        send: Send,
        headers: dict[str, str],
    ) -> None:
        if kind in (accept.SSE, accept.MULTIPART):
            framing: Framing = EVENTS if kind == accept.SSE else PARTS
            await send_stream(_only(answer), framing, receive, send, headers, stopping=self._desk.stopping)
            return
        kind = kind or accept.JSON
        body = msgspec.json.encode(answer.formatted())
        response = _response(body, STATUS[kind][answer.stage], kind, headers)
        await compression.compressed(response, request.headers.get("accept-encoding"))(request.scope, receive, send)

    async def _batch(
        self,
        request: Request,
        batch: list[GraphQLRequest],
        principal: Principal,
        header: str | None,
        receive: Receive,
        send: Send,
    ) -> None:
        wanted = accept.single(header)
        if wanted is None:
            raise Refused(406, "NOT_ACCEPTABLE", f"a batch is answered as {accept.JSON}")

        async def answer(given: GraphQLRequest) -> Answer:
            await self._desk.callers.turn(principal)
            context = self._desk.context(principal)
            try:
                prepared, operation = await self._desk.prepare(given, context)
                if operation.type is OperationType.SUBSCRIPTION:
                    raise _no_batch()
            except RequestRefused as fault:
                return refused(fault)
            found = await self._run(given, prepared, operation, context, _never)
            assert found is not None
            return found

        with self._desk.callers.operation(principal, len(batch)):
            answers = await asyncio.gather(*(answer(each) for each in batch))
        kind = wanted if wanted == accept.GRAPHQL else accept.JSON
        body = msgspec.json.encode([each.formatted() for each in answers])
        response = _response(body, 200, kind, self._cors(request))
        await compression.compressed(response, request.headers.get("accept-encoding"))(request.scope, receive, send)

    def _preflight(self, request: Request) -> Response:
        origin = request.headers.get("origin", "")
        if origin not in self._origins.allowed:
            return Response(status_code=204, headers={"Allow": "GET, POST, OPTIONS"})
        asked = request.headers.get("access-control-request-headers", "content-type")
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": asked[:1_000],
                "Access-Control-Max-Age": "600",
                "Vary": "Origin, Access-Control-Request-Headers",
            },
        )


def _kind(request: Request, operation: Operation, header: str | None) -> str:
    """The type of the answer. Raises `Refused` (405, 406)."""
    if request.method == "GET" and operation.type is OperationType.MUTATION:
        raise Refused(405, "METHOD_NOT_ALLOWED", "a mutation needs POST", {"Allow": "POST"})
    if operation.type is OperationType.SUBSCRIPTION:
        text = "a subscription is answered as `text/event-stream`, as `multipart/mixed`, or over a WebSocket"
        kind = accept.stream(header)
    else:
        text = f"the answer can be {accept.GRAPHQL} or {accept.JSON}"
        kind = accept.single(header)
    if kind is None:
        raise Refused(406, "NOT_ACCEPTABLE", text)
    return kind


def _no_batch() -> RequestRefused:
    fault = GraphQLError("a subscription cannot be part of a batch", extensions={"code": "BAD_REQUEST"})
    return RequestRefused([fault], "request")


def _response(body: bytes, status: int, kind: str, headers: Mapping[str, str]) -> Response:
    return Response(body, status, {"Content-Type": f"{kind}; charset=utf-8", "Cache-Control": "no-store", **headers})


def _caching(request: Request, given: GraphQLRequest, operation: Operation, answer: Answer) -> dict[str, str]:
    """A GET of a persisted document may be kept by the caller's own cache for a moment."""
    persisted = given.document_id is not None or "persistedQuery" in given.extensions
    if request.method != "GET" or not persisted or answer.errors or operation.type is not OperationType.QUERY:
        return {}
    vary = ("Accept", "Accept-Encoding", "Authorization", "X-API-Key", COST.title(), EXPLAIN.title())
    return {"Cache-Control": "private, max-age=5", "Vary": ", ".join(vary)}


def _charset(content_type: str) -> str:
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return "utf-8"


async def _only(answer: Answer) -> AsyncGenerator[Answer, None]:
    yield answer


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _never() -> Any:
    await asyncio.Event().wait()
