"""Reads requests: bounded bodies, also after unpacking; JSON whose shape is checked."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request

from graph.engine.execution import GraphQLRequest

BODY_SECONDS = 10.0
"""How long a client may take to send a body."""


class Refused(Exception):
    """A request that is answered with a status, before GraphQL."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})


async def read(request: Request, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """The body, unpacked. Raises `Refused` (400, 408, 413, 415)."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_long(limit)
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", "the body may be packed with gzip or deflate only")
    unpack = None
    if coding in ("gzip", "x-gzip"):
        unpack = zlib.decompressobj(wbits=31)
    elif coding == "deflate":
        unpack = zlib.decompressobj()
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += unpack.decompress(chunk, limit + 1 - len(body)) if unpack else chunk
                if len(body) > limit or (unpack is not None and unpack.unconsumed_tail):
                    raise _too_long(limit)
    except TimeoutError:
        raise Refused(408, "BODY_TIMEOUT", f"the body did not come within {seconds:g} s") from None
    except zlib.error:
        raise Refused(400, "BAD_REQUEST", f"the body is not {coding}") from None
    except ClientDisconnect:
        raise Refused(400, "BAD_REQUEST", "the client went away") from None
    if unpack is not None and (not unpack.eof or unpack.unused_data):
        raise Refused(400, "BAD_REQUEST", f"the body is not one whole {coding} stream")
    return bytes(body)


def _too_long(limit: int) -> Refused:
    return Refused(
        413,
        "PAYLOAD_TOO_LARGE",
        f"the body is longer than {limit} bytes; send a shorter document, or variables in several requests",
    )


def parse_json(body: bytes | str) -> Any:
    """JSON, strictly: UTF-8, no NaN, no absurd nesting. Raises `Refused` (400)."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise Refused(400, "BAD_REQUEST", f"the body is not JSON: {fault}") from None
    except RecursionError:
        raise Refused(400, "BAD_REQUEST", "the body is JSON that is nested too deeply") from None


def parse_request(given: Any, where: str = "the body") -> GraphQLRequest:
    """One request as the specification writes it. Raises `Refused` (400) that says what is wrong with it."""
    if not isinstance(given, dict):
        raise Refused(400, "BAD_REQUEST", f"{where} must be a JSON object with a `query`")
    query = _text(given, "query")
    document_id = _text(given, "documentId")
    extensions = _object(given, "extensions")
    if query is None and document_id is None and "persistedQuery" not in extensions:
        raise Refused(400, "BAD_REQUEST", f"{where} has no `query`: write the GraphQL document there, as a string")
    return GraphQLRequest(
        query=query,
        operation_name=_text(given, "operationName") or None,
        variables=_object(given, "variables"),
        extensions=extensions,
        document_id=document_id,
    )


def _text(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, "BAD_REQUEST", f"`{name}` must be a string")
    return value


def _object(given: dict[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name)
    if value is not None and not isinstance(value, dict):
        raise Refused(400, "BAD_REQUEST", f"`{name}` must be an object")
    return value or {}


def query_request(params: QueryParams) -> GraphQLRequest:
    """The request of a GET. Raises `Refused` (400)."""
    given: dict[str, Any] = {}
    for name in ("query", "operationName", "documentId"):
        if name in params:
            given[name] = params[name]
    for name in ("variables", "extensions"):
        if params.get(name):
            try:
                given[name] = parse_json(params[name])
            except Refused:
                raise Refused(400, "BAD_REQUEST", f"`{name}` in the query string is not JSON") from None
    return parse_request(given, "the query string")
