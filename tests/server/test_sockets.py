"""graphql-transport-ws over a real connection: who is let in, what may be said, and how it ends."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from runtime.bus import topic
from sandbox import traccar
from sandbox.world import World
from tests.connectors.contract import NOW
from tests.runtime.fakes import changed
from tests.server.configs import KEYS, STORE, TOKENS, TWO_ORGANISATIONS, bearer, fleet, token
from tests.server.rig import NORTH, HandClock, Served, eventually, served
from unified.records import Kind

VEHICLES = 'subscription { vehicleChanged(filter: { search: "Probe" }) { name } }'
"""None of the vendor's is called so: only what a test publishes is seen."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    clock = HandClock()
    vendor = httpx.ASGITransport(app=traccar.create(World(clock.now)).app)
    config = STORE + TWO_ORGANISATIONS + fleet() + KEYS + TOKENS
    made = served(
        config, tmp_path, environ={"JWT_SECRET": "0123456789abcdef0123456789abcdef"}, clock=clock, live=False,
        transports={"fleet": vendor},
    )  # fmt: skip
    async with made as running:
        yield running


class Socket:
    """A client that speaks the protocol by hand."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def hear(self) -> Any:
        async with asyncio.timeout(10):
            return json.loads(await self.connection.recv())

    async def init(self, **payload: Any) -> None:
        await self.say(type="connection_init", payload=payload)
        assert await self.hear() == {"type": "connection_ack"}

    async def ask(self, query: str, id: str = "1", **more: Any) -> None:
        await self.say(type="subscribe", id=id, payload={"query": query, **more})

    async def end(self) -> tuple[int, str]:
        """Code and reason of the close that must come next."""
        async with asyncio.timeout(10):
            with pytest.raises(websockets.ConnectionClosed):
                await self.connection.recv()
        assert self.connection.close_code is not None
        return self.connection.close_code, self.connection.close_reason or ""


@contextlib.asynccontextmanager
async def connected(server: Served, **init: Any) -> AsyncIterator[Socket]:
    protocol = websockets.Subprotocol("graphql-transport-ws")
    async with websockets.connect(server.socket, subprotocols=[protocol], proxy=None) as connection:
        socket = Socket(connection)
        if init:
            await socket.init(**init)
        yield socket


async def publish(server: Served, *numbers: str, at: int = 0, name: str = "Probe") -> None:
    await server.parts.bus.publish(topic("north", Kind.VEHICLE), [changed(each, at, name=name) for each in numbers])


def readers(server: Served) -> int:
    return len(server.parts.bus._readers)


# --- who is let in


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        ({}, 4401, "Unauthorized: who are you? Send credentials"),
        ({"X-API-Key": ""}, 4401, "Unauthorized: who are you? Send credentials"),
        ({"X-API-Key": "wrong"}, 4403, "Forbidden: the key in X-API-Key is not known"),
        ({"Authorization": "Bearer nonsense"}, 4403, "Forbidden: this is no JWT"),
        ({"authorization": bearer(token(NOW))["Authorization"]}, 4403, "Forbidden: the token has expired"),
        (bearer(token(NOW + timedelta(days=1), scope="write")), 4403, "Forbidden: the caller lacks the scope `read`"),
        (
            bearer(token(NOW + timedelta(days=1), org="east")),
            4403,
            "Forbidden: the claim org names no organisation of this server",
        ),
        (
            {"X-API-Key": NORTH, **bearer(token(NOW + timedelta(days=1)))},
            4403,
            "Forbidden: send either Authorization or X-API-Key, not both",
        ),
        ({"X-API-Key": 7}, 4401, "Unauthorized: who are you? Send credentials"),
    ],
)
async def test_who_is_not_known_is_not_let_in(server: Served, payload: dict[str, Any], code: int, reason: str) -> None:
    async with connected(server) as socket:
        await socket.say(type="connection_init", payload=payload)
        assert await socket.end() == (code, reason)


@pytest.mark.parametrize("payload", [{"X-API-Key": NORTH}, {"x-api-key": NORTH}, bearer(token(NOW + timedelta(1)))])
async def test_who_is_known_is_let_in(server: Served, payload: dict[str, Any]) -> None:
    async with connected(server, **payload) as socket:
        await socket.ask("{ __typename }")
        assert await socket.hear() == {"id": "1", "type": "next", "payload": {"data": {"__typename": "Query"}}}
        assert await socket.hear() == {"id": "1", "type": "complete"}


async def test_who_says_nothing_is_closed_after_ten_seconds(server: Served) -> None:
    async with connected(server) as socket:
        await eventually(lambda: server.clock.sleepers)
        server.clock.go_on(9.9)
        await socket.say(type="ping")
        assert await socket.hear() == {"type": "pong"}
        server.clock.go_on(0.1)
        assert await socket.end() == (4408, "Connection initialisation timeout")


async def test_who_says_who_it_is_is_not_closed_later(server: Served) -> None:
    async with connected(server, **{"X-API-Key": NORTH}) as socket:
        server.clock.go_on(100_000)
        await socket.say(type="ping")
        assert await socket.hear() == {"type": "pong"}


# --- credentials that end


async def test_a_token_that_expires_at_once_is_not_good_until_the_connection_would_have_timed_out(
    server: Served,
) -> None:
    async with connected(server, **bearer(token(NOW + timedelta(seconds=2)))) as socket:
        await socket.say(type="ping")
        assert await socket.hear() == {"type": "pong"}
        await eventually(lambda: server.clock.sleepers)
        server.clock.go_on(2)
        assert await socket.end() == (4403, "Forbidden: your credentials have expired")


async def test_a_token_that_expires_ends_its_operations_and_the_socket(server: Served) -> None:
    tasks = len(asyncio.all_tasks())
    async with connected(server, **bearer(token(NOW + timedelta(seconds=7_200)))) as socket:
        await socket.ask(VEHICLES, id="a")
        await socket.ask(VEHICLES, id="b")
        await eventually(lambda: server.number("crossdock_subscriptions_open") == 2)
        await eventually(lambda: readers(server))
        server.clock.go_on(7_199)
        await publish(server, "1")
        assert [(await socket.hear())["type"] for _ in range(2)] == ["next", "next"]
        await eventually(lambda: server.clock.sleepers)
        server.clock.go_on(1)
        told = [await socket.hear(), await socket.hear()]
        assert sorted(each["id"] for each in told) == ["a", "b"]
        for each in told:
            assert each["type"] == "error"
            assert each["payload"] == [
                {
                    "message": "your credentials have expired; connect again with fresh ones",
                    "extensions": {"code": "UNAUTHENTICATED"},
                }
            ]
        assert await socket.end() == (4403, "Forbidden: your credentials have expired")
    await eventually(lambda: server.number("crossdock_subscriptions_open") == 0)
    assert readers(server) == 0
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_a_token_that_expires_ends_a_stream_with_an_error(server: Served) -> None:
    headers = {"Accept": "text/event-stream", **bearer(token(NOW + timedelta(seconds=60)))}
    body = {"query": VEHICLES}
    async with server.http.stream("POST", "/graphql", json=body, headers=headers) as answer:
        lines = answer.aiter_lines()
        await eventually(lambda: readers(server))
        await publish(server, "1")
        assert await anext(lines) == "event: next"
        assert await anext(lines) == 'data: {"data":{"vehicleChanged":{"name":"Probe"}}}'
        server.clock.go_on(60)
        rest = [line async for line in lines]
    assert rest == [
        "",
        "event: next",
        'data: {"errors":[{"message":"your credentials have expired; connect again with fresh ones",'
        '"extensions":{"code":"UNAUTHENTICATED"}}]}',
        "",
        "event: complete",
        "data: ",
        "",
    ]
    await eventually(lambda: server.number("crossdock_subscriptions_open") == 0)
    assert readers(server) == 0


async def test_the_leeway_is_added_to_a_tokens_end(tmp_path: Path) -> None:
    config = STORE + TWO_ORGANISATIONS + TOKENS.replace("leeway_seconds = 0", "leeway_seconds = 30")
    async with (
        served(config, tmp_path, environ={"JWT_SECRET": "0123456789abcdef0123456789abcdef"}, live=False) as server,
        connected(server, **bearer(token(NOW + timedelta(seconds=10)))) as socket,
    ):
        await eventually(lambda: server.clock.sleepers)
        server.clock.go_on(39)
        await socket.say(type="ping")
        assert await socket.hear() == {"type": "pong"}
        server.clock.go_on(1)
        assert (await socket.end())[0] == 4403


# --- what may be said


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("no json", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("9" * 5_000, "not JSON"),
        ("[]", "not an object"),
        ("null", "not an object"),
        ("{}", "`type` is missing"),
        ('{"type": 7}', "`type` is missing"),
        ('{"type": "nonsense"}', "there is no type 'nonsense'"),
        ('{"type": "subscribe"}', "`id` is not a string"),
        ('{"type": "subscribe", "id": {}}', "`id` is not a string"),
        ('{"type": "subscribe", "id": "1"}', "`payload` of subscribe is not an object"),
        ('{"type": "subscribe", "id": "1", "payload": null}', "`payload` of subscribe is not an object"),
        ('{"type": "subscribe", "id": "1", "payload": {"query": 1}}', "`query` is not a string"),
        (
            '{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "variables": []}}',
            "`variables` must be an object",
        ),
        ('{"type": "complete", "id": 1}', "`id` is not a string"),
        ('{"type": "ping", "payload": []}', "`payload` of ping is not an object"),
    ],
)
async def test_what_makes_no_sense_closes_the_socket_and_says_why(server: Served, message: str, reason: str) -> None:
    async with connected(server, **{"X-API-Key": NORTH}) as socket:
        await socket.connection.send(message)
        assert await socket.end() == (4400, f"Invalid message: {reason}")
    assert server.log.events == []


async def test_bytes_are_no_message(server: Served) -> None:
    async with connected(server, **{"X-API-Key": NORTH}) as socket:
        await socket.connection.send(b"{}")
        assert await socket.end() == (4400, "Invalid message: send text, not bytes")


async def test_nothing_is_asked_before_the_socket_is_acknowledged(server: Served) -> None:
    async with connected(server) as socket:
        await socket.ask("{ __typename }")
        assert await socket.end() == (4401, "Unauthorized")


async def test_one_says_who_one_is_once(server: Served) -> None:
    async with connected(server, **{"X-API-Key": NORTH}) as socket:
        await socket.say(type="connection_init", payload={"X-API-Key": NORTH})
        assert await socket.end() == (4429, "Too many initialisation requests")


async def test_a_payload_of_null_is_none(server: Served) -> None:
    async with connected(server, **{"X-API-Key": NORTH}) as socket:
        await socket.say(type="ping", payload=None)
        assert await socket.hear() == {"type": "pong"}


async def test_an_id_in_use_is_not_given_again(server: Served) -> None:
    async with connected(server, **{"X-API-Key": NORTH}) as socket:
        await socket.ask(VEHICLES)
        await socket.ask(VEHICLES)
        assert await socket.end() == (4409, "Subscriber for 1 already exists")
    await eventually(lambda: server.number("crossdock_subscriptions_open") == 0)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ nonsense", "GRAPHQL_PARSE_FAILED"),
        ("{ nonsense }", "GRAPHQL_VALIDATION_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("query A { __typename } query B { __typename }", "OPERATION_RESOLUTION_FAILURE"),
    ],
)
async def test_a_bad_document_fails_its_own_operation_only(server: Served, query: str, code: str) -> None:
    async with connected(server, **{"X-API-Key": NORTH}) as socket:
        await socket.ask(VEHICLES, id="good")
        await eventually(lambda: readers(server))
        more = {"operationName": "C"} if query.startswith("query") else {}
        await socket.ask(query, id="bad", **more)
        told = await socket.hear()
        assert (told["id"], told["type"]) == ("bad", "error")
        assert told["payload"][0]["extensions"] == {"code": code}
        await publish(server, "1")
        assert (await socket.hear())["id"] == "good"


async def test_a_socket_of_another_protocol_is_refused(server: Served) -> None:
    protocols = [websockets.Subprotocol("graphql-ws")]
    async with websockets.connect(server.socket, subprotocols=protocols, proxy=None) as connection:
        with pytest.raises(websockets.ConnectionClosed):
            await connection.recv()
        assert connection.close_code == 4406


# --- how it ends


async def test_a_subscription_that_is_completed_leaves_nothing(server: Served) -> None:
    async with connected(server, **{"X-API-Key": NORTH}) as socket:
        await socket.say(type="ping")
        await socket.hear()
        tasks = len(asyncio.all_tasks())
        for round in range(20):
            await socket.ask(VEHICLES, id=str(round))
        await eventually(lambda: server.number("crossdock_subscriptions_open") == 20)
        for round in range(20):
            await socket.say(type="complete", id=str(round))
        await eventually(lambda: server.number("crossdock_subscriptions_open") == 0)
        assert readers(server) == 0
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_a_client_that_vanishes_leaves_nothing(server: Served) -> None:
    tasks = len(asyncio.all_tasks())
    async with connected(server, **{"X-API-Key": NORTH}) as socket:
        await socket.ask(VEHICLES, id="a")
        await socket.ask(VEHICLES, id="b")
        await eventually(lambda: server.number("crossdock_subscriptions_open") == 2)
        socket.connection.transport.abort()
    await eventually(lambda: server.number("crossdock_subscriptions_open") == 0)
    assert readers(server) == 0
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    await publish(server, "1")
    assert server.log.events == [], "somebody who goes away is nothing to tell of"


async def test_a_client_that_answers_no_ping_is_given_up(tmp_path: Path) -> None:
    made = served(STORE + TWO_ORGANISATIONS + KEYS, tmp_path, live=False, ws_ping_interval=0.05, ws_ping_timeout=0.05)
    async with made as server:
        tasks = len(asyncio.all_tasks())
        async with connected(server, **{"X-API-Key": NORTH}) as socket:
            await socket.ask(VEHICLES)
            await eventually(lambda: server.number("crossdock_subscriptions_open") == 1)
            socket.connection.transport.pause_reading()
            await eventually(lambda: server.number("crossdock_subscriptions_open") == 0)
            assert readers(server) == 0
            socket.connection.transport.abort()
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
        assert server.log.events == []


async def test_a_stream_whose_client_vanishes_leaves_nothing(server: Served) -> None:
    tasks = len(asyncio.all_tasks())
    headers = {"Accept": "text/event-stream", "X-API-Key": NORTH}
    async with server.http.stream("POST", "/graphql", json={"query": VEHICLES}, headers=headers) as answer:
        await eventually(lambda: server.number("crossdock_subscriptions_open") == 1)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    await eventually(lambda: server.number("crossdock_subscriptions_open") == 0)
    assert readers(server) == 0
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks + 1)  # the HTTP connection's own
    assert server.log.events == []


async def test_a_stream_that_nobody_reads_leaves_nothing_when_its_client_vanishes(server: Served) -> None:
    """The server is in the middle of sending then."""
    tasks = len(asyncio.all_tasks())
    reader, writer = await asyncio.open_connection(*server.host.split(":"))
    body = json.dumps({"query": VEHICLES}).encode()
    head = f"POST /graphql HTTP/1.1\r\nHost: x\r\nX-API-Key: {NORTH}\r\nAccept: text/event-stream\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await eventually(lambda: server.number("crossdock_subscriptions_open") == 1)
    await reader.read(1)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await eventually(lambda: readers(server))
    for at in range(400):
        await publish(server, "1", at=at, name="Probe " + "x" * 100_000)
        await asyncio.sleep(0)
    writer.transport.abort()
    await eventually(lambda: server.number("crossdock_subscriptions_open") == 0)
    assert readers(server) == 0
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_a_client_that_reads_nothing_delays_nobody_and_sees_the_newest(server: Served) -> None:
    """Its events pile up to a bound; then only the newest of each vehicle is kept for it."""
    async with connected(server, **{"X-API-Key": NORTH}) as slow, connected(server, **{"X-API-Key": NORTH}) as quick:
        for socket in (slow, quick):
            await socket.ask(VEHICLES)
        await eventually(lambda: server.number("crossdock_subscriptions_open") == 2)
        await eventually(lambda: sum(len(each) for each in server.parts.bus._readers.values()) == 2)
        slow.connection.transport.pause_reading()
        padding = "Probe " + "x" * 20_000
        for at in range(600):
            await publish(server, "1", "2", at=at, name=f"{padding} {at}")
            for _ in range(2):
                assert (await quick.hear())["payload"]["data"]["vehicleChanged"]["name"].endswith(f" {at}")
        slow.connection.transport.resume_reading()
        last = ""
        while not last.endswith(" 599"):
            last = (await slow.hear())["payload"]["data"]["vehicleChanged"]["name"]
