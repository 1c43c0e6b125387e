"""The `/graphql` endpoint: who asks, how much, and in which context."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.streaming import HTTPStreamTransport, SSETransport

from graph.schema import Schema
from resolvers.context import Context, Live
from resolvers.loaders import Loaders
from resolvers.sources import Sources
from runtime.identity import Authenticator, Credentials, Principal, Unauthenticated


def refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """An answer to a request that was not executed."""
    return JSONResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status, headers)


class BodyTooLarge(Exception):
    """The body is longer than the server takes."""


class LineFeedSse(SSETransport):
    """Server-sent events as graphql-sse clients read them: LF frames, and only for who prefers a stream.

    Strawberry's CR LF frames are not parsed by urql and Hive, and it takes any mention of the media type in
    `Accept` for a wish, although urql mentions it with every query.
    """

    def accepts(self, accept: str) -> bool:
        best, wanted = 0.0, ""
        for part in accept.split(","):
            name, *parameters = (piece.strip().lower() for piece in part.split(";"))
            quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
            weight = float(quality) if quality.replace(".", "", 1).isdigit() else 0.0
            if weight > best:
                best, wanted = weight, name
        return wanted == "text/event-stream"

    def encode_event(self, event: str, data: str | None = None) -> str:
        return super().encode_event(event, data).replace("\r\n", "\n")

    def encode_comment(self, comment: str) -> str:
        return f": {comment}\n\n"


class View(GraphQL[Context, None]):
    """Strawberry's view with our principal, contexts and limits."""

    stream_transport_classes_by_protocol: Mapping[str, type[HTTPStreamTransport]] = {"graphql-sse": LineFeedSse}

    def __init__(
        self,
        schema: Schema,
        *,
        authenticator: Authenticator,
        organisations: dict[str, Sources],
        live: dict[str, Live],
        cursor_key: bytes,
        max_body_bytes: int,
    ) -> None:
        super().__init__(schema, graphql_ide=None, keep_alive=True, keep_alive_interval=20,
                         subscription_protocols=("graphql-transport-ws", "graphql-sse"))  # fmt: skip
        self._authenticator, self._organisations, self._live = authenticator, organisations, live
        self._cursor_key, self._max_body_bytes = cursor_key, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        request = Request(scope)
        try:
            scope["crossdock.principal"] = await self._principal(
                Credentials(
                    authorization=request.headers.get("authorization"), api_key=request.headers.get("x-api-key")
                )
            )
            await super().__call__(scope, self._bounded(scope, receive), send)
        except Unauthenticated as fault:
            status = 400 if fault.code == "invalid_request" else 503 if fault.code == "unavailable" else 401
            headers = {"WWW-Authenticate": fault.challenge} if fault.challenge else None
            await refusal(status, "UNAUTHENTICATED", fault.message, headers)(scope, receive, send)
        except BodyTooLarge:
            text = f"the body is longer than {self._max_body_bytes} bytes; send a smaller document or variables"
            await refusal(413, "PAYLOAD_TOO_LARGE", text)(scope, receive, send)

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            raise BodyTooLarge
        size = 0

        async def read() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max_body_bytes:
                raise BodyTooLarge
            return message

        return read

    async def _principal(self, credentials: Credentials) -> Principal:
        principal = await self._authenticator.authenticate(credentials)
        if principal.organisation not in self._organisations:
            raise Unauthenticated("invalid_token", "the caller's organisation is not known here", "")
        if "read" not in principal.scopes:
            raise Unauthenticated("invalid_token", "the caller lacks the scope `read`", "")
        return principal

    def _context(self, principal: Principal) -> Context:
        return Context(
            principal=principal,
            sources=self._organisations[principal.organisation],
            live=self._live[principal.organisation],
            cursor_key=self._cursor_key,
            make_loaders=Loaders,
        )

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        del response  # headers of our answers are not the resolvers' business
        if isinstance(request, WebSocket):
            return SocketContext()
        return self._context(request.scope["crossdock.principal"])

    async def on_ws_connect(self, context: Context) -> Any:
        """`connection_init` says who asks: `{ "Authorization": "Bearer …" }` or `{ "X-API-Key": "…" }`."""
        given = getattr(context, "connection_params", None) or {}
        params = {str(name).lower(): value for name, value in given.items()} if isinstance(given, dict) else {}
        authorization, api_key = params.get("authorization"), params.get("x-api-key")
        try:
            principal = await self._principal(
                Credentials(
                    authorization=authorization if isinstance(authorization, str) else None,
                    api_key=api_key if isinstance(api_key, str) else None,
                )
            )
        except Unauthenticated as fault:
            raise ConnectionRejectionError({"message": fault.message}) from None
        context.__dict__.update(self._context(principal).__dict__)
        return await super().on_ws_connect(context)

    def encode_json(self, data: object) -> str:
        return msgspec.json.encode(data).decode()  # text: graphql-transport-ws takes no binary messages


class SocketContext(Context):
    """The context of a socket before `connection_init` has said who asks."""

    def __init__(self) -> None:
        self.connection_params: dict[str, Any] | None = None
