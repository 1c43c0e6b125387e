"""The whole server over the sandbox's Teamcenter: who may ask, how much, what is told of a failure, how it ends."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import teamcenter
from sandbox.world import World
from tests.connectors.contract import NOW
from tests.server.configs import KEYS, STORE, TWO_ORGANISATIONS, plm
from tests.server.rig import NORTH, SOUTH, Served, eventually, served
from tests.server.test_sockets import connected

ASK_NORTH = {"X-API-Key": NORTH}
SECRET = "Hunter2-Hunter2"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    vendor = teamcenter.create(World(lambda: NOW))
    config = STORE + TWO_ORGANISATIONS + plm() + KEYS
    transports = {"plm": httpx.ASGITransport(app=vendor.app)}
    async with served(config, tmp_path, live=False, transports=transports) as running:
        yield running


async def test_nobody_is_refused_before_anything_runs(server: Served) -> None:
    answer = await server.ask("{ items(first: 1) { nodes { number } } }")
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "www-authenticate" in answer.headers
    assert (await server.ask("{ __typename }", **{"X-API-Key": "wrong" * 10})).status_code == 401
    assert server.number("crossdock_graphql_operations_total", type="query", outcome="ok") == 0


async def test_two_organisations_never_see_each_others_rows(server: Served) -> None:
    query = "{ items(first: 3) { nodes { id number } sources { integration } } }"
    north = (await server.data(query, **ASK_NORTH))["items"]
    assert len(north["nodes"]) == 3
    south = await server.data(query, **{"X-API-Key": SOUTH})
    assert south["items"] == {"nodes": [], "sources": []}
    by_id = await server.data(f'{{ node(id: "{north["nodes"][0]["id"]}") {{ id }} }}', **{"X-API-Key": SOUTH})
    assert by_id == {"node": None}


async def test_a_body_over_the_limit_is_refused(server: Served) -> None:
    answer = await server.ask("{ __typename }" + " " * 1_100_000, **ASK_NORTH)
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["extensions"] == {"code": "PAYLOAD_TOO_LARGE"}


# --- what is told of a failure that nobody foresaw


@pytest.fixture
def broken(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connector with a bug whose text holds what nobody may see."""

    async def fail(*_: Any) -> None:
        raise RuntimeError(f"cannot reach plm.internal:4711 with password={SECRET}")

    connector = server.parts.organisations["north"].handles["plm"].connector
    monkeypatch.setattr(connector, "list_items", fail)


def check_masked(server: Served, errors: list[dict[str, Any]], text: str) -> None:
    [error] = errors
    assert error["message"] == "Internal error"
    assert set(error["extensions"]) == {"code", "id"}
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    for hidden in (SECRET, "plm.internal", "4711", "RuntimeError", "Traceback"):
        assert hidden not in text
    [told] = server.log.of("operation.failed")
    assert told["id"] == error["extensions"]["id"]
    assert SECRET in str(told["exc_info"]), "whoever runs the server finds it under the id"


QUERY = "{ items(first: 1) { nodes { number } } }"


@pytest.mark.usefixtures("broken")
async def test_an_exceptions_text_does_not_reach_clients_over_http(server: Served) -> None:
    answer = await server.ask(QUERY, **ASK_NORTH)
    assert answer.status_code == 200
    check_masked(server, answer.json()["errors"], answer.text)


@pytest.mark.usefixtures("broken")
async def test_nor_over_a_socket(server: Served) -> None:
    async with connected(server, **ASK_NORTH) as socket:
        await socket.ask(QUERY)
        told = await socket.hear()
        check_masked(server, told["payload"]["errors"], json.dumps(told))


@pytest.mark.usefixtures("broken")
async def test_nor_over_a_stream(server: Served) -> None:
    answer = await server.ask(QUERY, **ASK_NORTH, Accept="text/event-stream")
    data = re.search(r"data: (\{.*\})\n", answer.text)
    assert data is not None
    check_masked(server, json.loads(data[1])["errors"], answer.text)


async def test_nor_from_a_subscription_that_fails(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError(f"password={SECRET}")

    monkeypatch.setattr(server.parts.endpoint.desk._live["north"], "snapshot", fail)
    async with connected(server, **ASK_NORTH) as socket:
        await socket.ask("subscription { vehicleChanged { name } }")
        told = await socket.hear()
        errors = told["payload"] if told["type"] == "error" else told["payload"]["errors"]
        check_masked(server, errors, json.dumps(told))


async def test_a_store_that_is_away_is_told_as_such(server: Served) -> None:
    await server.parts.database.aclose()
    async with connected(server, **ASK_NORTH) as socket:
        await socket.ask("subscription { vehicleChanged { name } }")
        told = await socket.hear()
        errors = told["payload"] if told["type"] == "error" else told["payload"]["errors"]
        assert [error["extensions"]["code"] for error in errors] == ["ERR_DATABASE"]
    assert len((await server.data(QUERY, **ASK_NORTH))["items"]["nodes"]) == 1, "vendors can still be asked"


# --- streams


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("text/event-stream", True),
        ("application/json;q=0.5, text/event-stream", True),
        ("application/graphql-response+json, application/json, text/event-stream, multipart/mixed", False),
        ("application/json, text/event-stream;q=0.9", False),
        ("*/*", False),
        ("", False),
    ],
)
async def test_a_stream_is_sent_only_to_who_prefers_one(server: Served, accept: str, streams: bool) -> None:
    answer = await server.ask("{ __typename }", **ASK_NORTH, Accept=accept)
    if streams:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.text == 'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata: \n\n'
    else:
        assert answer.headers["content-type"].startswith("application/")
        assert answer.json() == {"data": {"__typename": "Query"}}


# --- how it ends


async def test_a_server_that_stops_ends_streams_at_once_and_requests_after_a_grace(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(server.parts.organisations["north"].handles["plm"].connector, "list_items", hang)
    asking = asyncio.create_task(server.ask(QUERY, **ASK_NORTH))
    body = {"query": "subscription { vehicleChanged { name } }"}
    headers = {**ASK_NORTH, "Accept": "text/event-stream"}
    async with (
        connected(server, **ASK_NORTH) as socket,
        server.http.stream("POST", "/graphql", json=body, headers=headers) as stream,
    ):
        await socket.ask(body["query"])
        await eventually(lambda: server.number("crossdock_subscriptions_open") == 2)
        await eventually(lambda: len(server.parts.endpoint._running) == 2)
        server.server.should_exit = True
        assert await stream.aread() == b"", "without `complete`: the client is to come back"
        assert (await socket.end())[0] == 1012
        answer = await asking
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["extensions"] == {"code": "SERVER_STOPPING"}
    assert answer.headers["retry-after"] == "2"
    await eventually(lambda: server.number("crossdock_subscriptions_open") == 0)
    assert server.log.events == []
