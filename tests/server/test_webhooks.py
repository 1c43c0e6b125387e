"""The webhook receiver: what is believed, what is kept, what is answered."""

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from connectors.kit.manifest import Payload
from sandbox import traccar, uber
from sandbox.world import World
from server import webhooks
from tests.connectors.contract import NOW
from tests.server.configs import KEYS, STORE, TWO_ORGANISATIONS, fleet, plm, rides
from tests.server.rig import Served, eventually, served
from tests.server.test_live import accepted, notice, trip_in

WORLD = World(lambda: NOW)
SECRET = {"X-Crossdock-Secret": "forwarded"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    config = STORE + "[server]\nwebhook_max_bytes = 2000\n" + TWO_ORGANISATIONS + fleet() + rides() + plm() + KEYS
    transports: dict[str, httpx.AsyncBaseTransport] = {
        "fleet": httpx.ASGITransport(app=traccar.create(WORLD).app),
        "rides": httpx.ASGITransport(app=uber.create(WORLD).app),
    }
    async with served(config, tmp_path, live=False, transports=transports) as running:
        yield running


def code(answer: httpx.Response) -> str:
    found: str = answer.json()["errors"][0]["extensions"]["code"]
    return found


async def test_a_signed_delivery_is_kept_and_worked_off(server: Served) -> None:
    answer = await server.http.post("/webhooks/rides", **notice(trip_in(WORLD, "in_progress"), "e-1"))
    assert (answer.status_code, answer.content) == (200, b"")
    await eventually(lambda: server.number("crossdock_events_ingested_total", integration="rides"))
    assert await accepted(server) == {"e-1": "done"}


async def test_what_is_not_signed_is_neither_believed_nor_kept(server: Served) -> None:
    good = notice(trip_in(WORLD, "in_progress"), "e-1")
    changed = {**good, "content": good["content"].replace(b"e-1", b"e-2")}
    unsigned = {**good, "headers": {"Content-Type": "application/json"}}
    for wrong in (changed, unsigned, notice("x", "e-3", key="guessed")):
        answer = await server.http.post("/webhooks/rides", **wrong)
        assert (answer.status_code, code(answer)) == (401, "ERR_WEBHOOK_SIGNATURE")
    assert await accepted(server) == {}
    assert [values["integration"] for values in server.log.of("webhook.refused")] == ["rides"] * 3


async def test_what_is_signed_and_not_understood_is_a_bad_request(server: Served) -> None:
    answer = await server.http.post("/webhooks/fleet", content=b"{}", headers=SECRET)
    assert (answer.status_code, code(answer)) == (400, "ERR_INVALID_RESPONSE")
    assert await accepted(server) == {}


async def test_nobody_receives_here(server: Served) -> None:
    """What addresses look like is said, the same for one that is configured and receives nothing as for none."""
    answers = [await server.http.post(f"/webhooks/{name}", content=b"{}") for name in ("plm", "nobody")]
    assert [(answer.status_code, code(answer)) for answer in answers] == [(404, "ERR_NOT_FOUND")] * 2
    assert answers[0].content == answers[1].content
    assert "it is /webhooks/ and the `key` of an integration" in answers[0].json()["errors"][0]["message"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_not_taken(server: Served, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1_000

    answer = await server.http.post("/webhooks/fleet", content=chunks() if chunked else b"x" * 3_000, headers=SECRET)
    assert (answer.status_code, code(answer)) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_body_that_does_not_come_is_not_waited_for(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "BODY_SECONDS", 0.05)
    with socket.create_connection(server.host.split(":")) as connection:
        connection.setblocking(False)
        connection.send(b"POST /webhooks/fleet HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        said = b""

        def heard() -> bool:
            nonlocal said
            try:
                said += connection.recv(4_096)
            except BlockingIOError:
                return False
            return b"BODY_TIMEOUT" in said

        await eventually(heard)
    assert said.startswith(b"HTTP/1.1 408 ")


async def test_a_vendor_that_hangs_up_half_way_is_nothing_to_tell_of(server: Served) -> None:
    with socket.create_connection(server.host.split(":")) as connection:
        connection.send(b"POST /webhooks/fleet HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
    await eventually(lambda: not server.server.server_state.connections)
    assert server.log.events == []


async def test_only_get_and_post(server: Served) -> None:
    assert (await server.http.head("/webhooks/fleet")).status_code == 405
    assert (await server.http.put("/webhooks/fleet")).status_code == 405


async def test_while_the_store_is_away_nothing_is_acknowledged(server: Served) -> None:
    await server.parts.database.aclose()
    answer = await server.http.post("/webhooks/rides", **notice(trip_in(WORLD, "in_progress"), "e-1"))
    assert (answer.status_code, code(answer), answer.headers["retry-after"]) == (503, "ERR_DATABASE", "5")


async def test_a_health_check_is_answered_and_not_kept(server: Served) -> None:
    answer = await server.http.post("/webhooks/rides", **notice("x", "e-1", event_type="health_check"))
    assert answer.status_code == 200
    assert await accepted(server) == {}


async def test_the_same_delivery_is_kept_once(server: Served) -> None:
    given = notice(trip_in(WORLD, "in_progress"), "e-1")
    for _ in range(5):
        assert (await server.http.post("/webhooks/rides", **given)).status_code == 200
    assert list(await accepted(server)) == ["e-1"]


async def test_a_connector_sees_the_address_as_it_came(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Payload] = []
    connector = server.parts.organisations["north"].handles["fleet"].connector
    monkeypatch.setattr(connector, "received", lambda payload: seen.append(payload))
    await server.http.get("/webhooks/fleet?a=%C3%A9&b=1+2", headers=SECRET)
    await server.http.post("/webhooks/fleet", content=json.dumps({}).encode(), headers=SECRET)
    assert [(each.target, each.body) for each in seen] == [
        ("/webhooks/fleet?a=%C3%A9&b=1+2", b""),
        ("/webhooks/fleet", b"{}"),
    ]
    assert seen[0].headers["x-crossdock-secret"] == "forwarded"


def test_the_address_of_a_server_that_tells_no_raw_path() -> None:
    scope = {"type": "http", "path": "/webhooks/é", "query_string": b"", "headers": []}
    assert webhooks._target(Request(scope)) == "/webhooks/Ã©"
