"""Bodies: bounded before and after unpacking; requests whose shape is checked."""

import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import Message

from graph.engine.execution import GraphQLRequest
from server.graphql.body import Refused, parse_json, parse_request, query_request, read

LIMIT = 1_000


def request(chunks: list[bytes], **headers: str) -> Request:
    async def messages() -> AsyncIterator[Message]:
        for index, chunk in enumerate(chunks):
            yield {"type": "http.request", "body": chunk, "more_body": index + 1 < len(chunks)}
        while True:
            yield {"type": "http.disconnect"}

    stream = messages()

    async def receive() -> Message:
        return await anext(stream)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw, "path": "/graphql"}, receive)


async def refusal(chunks: list[bytes], **headers: str) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await read(request(chunks, **headers), LIMIT)
    return caught.value.status, caught.value.code


async def test_a_body_comes_as_it_was_sent_plain_or_packed() -> None:
    text = b'{"query":"{ __typename }"}'
    assert await read(request([text[:5], text[5:]]), LIMIT) == text
    assert await read(request([gzip.compress(text)], content_encoding="gzip"), LIMIT) == text
    assert await read(request([zlib.compress(text)], content_encoding="deflate"), LIMIT) == text


async def test_a_body_over_the_limit_is_refused_before_and_while_it_is_read() -> None:
    assert await refusal([b""], content_length="1001") == (413, "PAYLOAD_TOO_LARGE")
    assert await refusal([b"x" * 600, b"x" * 401]) == (413, "PAYLOAD_TOO_LARGE")
    assert await read(request([b"x" * LIMIT]), LIMIT) == b"x" * LIMIT


async def test_a_packed_body_is_bounded_by_what_it_unpacks_to() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < 50_000
    assert await refusal([bomb], content_encoding="gzip") == (413, "PAYLOAD_TOO_LARGE")
    assert await read(request([gzip.compress(b"0" * LIMIT)], content_encoding="gzip"), LIMIT) == b"0" * LIMIT


@pytest.mark.parametrize(
    "packed",
    [b"no gzip", gzip.compress(b"{}", mtime=0)[:-4], gzip.compress(b"{}", mtime=0) + b"more", b""],
    ids=["none", "cut", "more", "empty"],
)
async def test_a_damaged_packed_body_is_the_clients_fault(packed: bytes) -> None:
    assert await refusal([packed], content_encoding="gzip") == (400, "BAD_REQUEST")


async def test_other_codings_are_refused() -> None:
    assert await refusal([b"x"], content_encoding="br") == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert await refusal([b"x"], content_encoding="gzip, gzip") == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"NaN", b'{"a": NaN}', b"Infinity", b"\xff\xfe", b'"\xff"', b"[" * 100_000, b'{"a":1}{"b":2}', b"'a'"],
)
def test_what_is_no_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_json(body)
    assert (caught.value.status, caught.value.code) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "the body must be a JSON object with a `query`"),
        (42, "the body must be a JSON object with a `query`"),
        ("x", "the body must be a JSON object with a `query`"),
        ({}, "the body has no `query`: write the GraphQL document there, as a string"),
        ({"query": None}, "the body has no `query`: write the GraphQL document there, as a string"),
        ({"query": 1}, "`query` must be a string"),
        ({"query": ["a"]}, "`query` must be a string"),
        ({"query": "{a}", "variables": []}, "`variables` must be an object"),
        ({"query": "{a}", "variables": "{}"}, "`variables` must be an object"),
        ({"query": "{a}", "extensions": 1}, "`extensions` must be an object"),
        ({"query": "{a}", "operationName": {}}, "`operationName` must be a string"),
        ({"documentId": 1}, "`documentId` must be a string"),
    ],
)
def test_a_request_of_the_wrong_shape_says_what_is_wrong(given: Any, message: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_request(given)
    assert (caught.value.status, caught.value.message) == (400, message)


def test_a_request_is_read_with_nulls_as_absent() -> None:
    assert parse_request({"query": "{a}", "variables": None, "extensions": None, "operationName": None}) == (
        GraphQLRequest(query="{a}")
    )
    assert parse_request({"query": "{a}", "variables": {"x": 1}, "operationName": "A", "other": 1}) == (
        GraphQLRequest(query="{a}", variables={"x": 1}, operation_name="A")
    )


def test_a_query_string_is_a_request() -> None:
    params = QueryParams('query={a}&variables={"x":1}&operationName=A')
    assert query_request(params) == GraphQLRequest(query="{a}", variables={"x": 1}, operation_name="A")
    with pytest.raises(Refused, match="`variables` in the query string is not JSON"):
        query_request(QueryParams("query={a}&variables={"))
    with pytest.raises(Refused, match="the query string has no `query`"):
        query_request(QueryParams(""))
