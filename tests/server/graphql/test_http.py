"""GraphQL over HTTP, as `src/server/graphql/http.py` serves it: methods, statuses, types, batches, packing, pages."""

import gzip
import zlib
from typing import Any

import httpx
import pytest

from server.graphql.accept import GRAPHQL, JSON

ITEMS = "{ items(first: 100) { nodes { id number name } } }"


async def post(client: httpx.AsyncClient, given: Any, accept: str | None = None, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/graphql", json=given, headers=sent | ({"Accept": accept} if accept else {}))


@pytest.mark.parametrize(
    ("given", "json_status", "graphql_status", "code"),
    [
        ({"query": "{ __typename }"}, 200, 200, None),
        ({"query": "{ nothing }"}, 200, 400, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{"}, 200, 400, "GRAPHQL_PARSE_FAILED"),
        ({"query": ""}, 200, 400, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ node(id: 1) { } }"}, 200, 400, "GRAPHQL_PARSE_FAILED"),
        ({"query": "fragment F on Query { __typename }"}, 200, 400, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query A { __typename } query B { __typename }"}, 200, 400, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "{ __typename }", "operationName": "No"}, 200, 400, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query ($i: ID!) { node(id: $i) { id } }"}, 200, 400, "BAD_USER_INPUT"),
        ({"query": "query ($i: ID!) { node(id: $i) { id } }", "variables": {"i": {}}}, 200, 400, "BAD_USER_INPUT"),
        ({"query": '{ node(id: "x") { id } }'}, 200, 200, "BAD_USER_INPUT"),
        ({"query": "{ " + "a: __typename " * 2_000 + "}"}, 200, 400, "TOKEN_LIMIT"),
        ({}, 400, 400, "BAD_REQUEST"),
        ([], 400, 400, "BAD_REQUEST"),
        ("x", 400, 400, "BAD_REQUEST"),
    ],
)
async def test_a_status_says_how_far_a_request_got(
    client: httpx.AsyncClient, given: Any, json_status: int, graphql_status: int, code: str | None
) -> None:
    for accept, status in ((JSON, json_status), (GRAPHQL, graphql_status)):
        answer = await post(client, given, accept)
        assert answer.status_code == status
        assert answer.headers["content-type"] == f"{accept}; charset=utf-8"
        errors = answer.json().get("errors", [{}])
        assert errors[0].get("extensions", {}).get("code") == code
        if status == 400 and accept == GRAPHQL:
            assert "data" not in answer.json()


async def test_an_operation_is_named_when_there_are_several(client: httpx.AsyncClient) -> None:
    answer = await post(client, {"query": "query A { __typename } query B { b: __typename }", "operationName": "B"})
    assert answer.json() == {"data": {"b": "Query"}}


async def test_a_query_may_be_got(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphql", params={"query": "query ($a: Boolean!) { __typename @include(if: $a) }",
                                                  "variables": '{"a": true}'})  # fmt: skip
    assert (answer.status_code, answer.json()) == (200, {"data": {"__typename": "Query"}})


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_not_allowed(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/graphql")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST, OPTIONS")
    assert answer.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    "media",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/graphql"],
)
async def test_a_body_that_a_foreign_page_could_send_is_refused(client: httpx.AsyncClient, media: str) -> None:
    answer = await client.post("/graphql", content=b'{"query":"{ __typename }"}', headers={"Content-Type": media})
    assert answer.status_code == 415
    assert (await client.post("/graphql", content=b"{}")).status_code == 415


async def test_a_charset_other_than_utf_8_is_refused(client: httpx.AsyncClient) -> None:
    body = '{"query":"{ __typename }"}'
    for charset, status in (("utf-8", 200), ("UTF-8", 200), ("utf-16", 415)):
        answer = await client.post(
            "/graphql", content=body.encode(charset), headers={"Content-Type": f"application/json; charset={charset}"}
        )
        assert answer.status_code == status


async def test_what_cannot_be_sent_is_not_acceptable(client: httpx.AsyncClient) -> None:
    assert (await post(client, {"query": "{ __typename }"}, "text/html")).status_code == 406
    answer = await post(client, {"query": "subscription { vehicleChanged { id } }"}, JSON)
    assert answer.status_code == 406
    assert "text/event-stream" in answer.json()["errors"][0]["message"]


async def test_a_batch_is_answered_in_order(client: httpx.AsyncClient) -> None:
    batch = [{"query": "{ a: __typename }"}, {"query": "{ nothing }"}, {"query": "{ c: __typename }"}]
    answer = await post(client, batch)
    first, second, third = answer.json()
    assert (answer.status_code, first, third) == (200, {"data": {"a": "Query"}}, {"data": {"c": "Query"}})
    assert second["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_a_batch_has_a_limit(client: httpx.AsyncClient) -> None:
    assert (await post(client, [{"query": "{ __typename }"}] * 10)).status_code == 200
    answer = await post(client, [{"query": "{ __typename }"}] * 11)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "BATCH_LIMIT"


async def test_a_query_is_answered_as_a_stream_of_one_where_that_ranks_highest(client: httpx.AsyncClient) -> None:
    answer = await post(client, {"query": "{ __typename }"}, "text/event-stream")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text == 'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata: \n\n'
    answer = await post(client, {"query": "{ __typename }"}, "multipart/mixed")
    assert answer.headers["content-type"] == 'multipart/mixed; boundary="graphql"; subscriptionSpec="1.0"'
    assert answer.text == (
        '\r\n--graphql\r\ncontent-type: application/json\r\n\r\n{"payload":{"data":{"__typename":"Query"}}}'
        "\r\n--graphql--\r\n"
    )


async def test_a_long_answer_is_packed_as_the_client_likes(client: httpx.AsyncClient) -> None:
    plain = await post(client, {"query": ITEMS}, accept_encoding="identity")
    assert "content-encoding" not in plain.headers
    packed = await post(client, {"query": ITEMS}, accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json()["data"] == plain.json()["data"]
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    none = await post(client, {"query": ITEMS}, accept_encoding="gzip;q=0")
    assert "content-encoding" not in none.headers
    short = await post(client, {"query": "{ __typename }"}, accept_encoding="gzip")
    assert "content-encoding" not in short.headers
    assert short.headers["vary"] == "Origin, Accept-Encoding"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_a_packed_body_is_unpacked(client: httpx.AsyncClient, pack: Any) -> None:
    coding = "gzip" if pack is gzip.compress else "deflate"
    answer = await client.post(
        "/graphql",
        content=pack(b'{"query":"{ __typename }"}'),
        headers={"Content-Type": "application/json", "Content-Encoding": coding},
    )
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://front.example"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Host": "rebound.example"}, 421),
        ({"Host": "127.0.0.1:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
    ],
)
async def test_a_page_of_another_site_may_not_ask(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await client.get("/graphql", params={"query": "{ __typename }"}, headers=headers)
    assert answer.status_code == status


async def test_an_allowed_origin_may_read_the_answer_and_another_may_not(client: httpx.AsyncClient) -> None:
    allowed = {"Origin": "https://front.example"}
    answer = await post(client, {"query": "{ __typename }"}, **allowed)
    assert answer.headers["access-control-allow-origin"] == "https://front.example"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type, x-api-key"}
    preflight = await client.options("/graphql", headers=allowed | asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (
        204,
        "content-type, x-api-key",
    )
    other = await client.options("/graphql", headers={"Origin": "https://evil.example"} | asked)
    assert other.status_code == 403
    assert "access-control-allow-origin" not in other.headers


async def test_nothing_is_kept_by_caches(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphql", params={"query": "{ __typename }"})
    assert answer.headers["cache-control"] == "no-store"
