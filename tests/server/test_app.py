"""The whole server in process, over the sandbox's Teamcenter: who may ask, how much, and what is shown."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from runtime.settings import load
from sandbox import teamcenter
from sandbox.world import World
from server.app import create_app

KEY = "k" * 40
CONFIG = """
[store]
url = "sqlite:///crossdock.db"
[[organisations]]
key = "north"
name = "North"
[[organisations]]
key = "south"
name = "South"
[[integrations]]
key = "plm"
system = "teamcenter"
organisation = "north"
base_url = "http://vendor"
[integrations.credentials]
user = "sandbox"
password = "sandbox-teamcenter"
[integrations.settings]
time_zone = "Africa/Lagos"
[[auth.api_keys]]
name = "north"
organisation = "north"
key = { env = "NORTH" }
[[auth.api_keys]]
name = "south"
organisation = "south"
key = { env = "SOUTH" }
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    path = tmp_path / "crossdock.toml"
    path.write_text(CONFIG)
    settings = load(path, {"NORTH": KEY, "SOUTH": KEY[::-1] + "s"})
    plm = teamcenter.create(World())
    app = create_app(settings, transports={"plm": httpx.ASGITransport(app=plm.app)}, live=False)
    with TestClient(app) as made:
        yield made


def ask(client: TestClient, query: str, key: str | None = KEY) -> httpx.Response:
    headers = {} if key is None else {"X-API-Key": key}
    answer: httpx.Response = client.post("/graphql", json={"query": query}, headers=headers)
    return answer


def test_nobody_is_refused_before_anything_runs(client: TestClient) -> None:
    answer = ask(client, "{ items(first: 1) { nodes { number } } }", key=None)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "www-authenticate" in answer.headers
    assert ask(client, "{ __typename }", key="wrong" * 10).status_code == 401


def test_two_organisations_never_see_each_others_rows(client: TestClient) -> None:
    north = ask(client, "{ items(first: 3) { nodes { id number } sources { integration } } }").json()["data"]["items"]
    assert len(north["nodes"]) == 3
    south_key = KEY[::-1] + "s"
    south = ask(client, "{ items(first: 3) { nodes { id } sources { integration } } }", south_key).json()
    assert south["data"]["items"] == {"nodes": [], "sources": []}
    by_id = ask(client, f'{{ node(id: "{north["nodes"][0]["id"]}") {{ id }} }}', south_key).json()
    assert by_id == {"data": {"node": None}}


def test_a_body_over_the_limit_is_refused(client: TestClient) -> None:
    answer = ask(client, "{ __typename }" + " " * 1_100_000)
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["extensions"] == {"code": "PAYLOAD_TOO_LARGE"}


def test_a_socket_says_who_it_is_or_is_closed(client: TestClient) -> None:
    with client.websocket_connect("/graphql", subprotocols=["graphql-transport-ws"]) as socket:
        socket.send_json({"type": "connection_init", "payload": {"X-API-Key": KEY}})
        assert json.loads(socket.receive_text())["type"] == "connection_ack"
        query = "{ items(first: 1) { nodes { number } } }"
        socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
        message = json.loads(socket.receive_text())
        assert (message["type"], message["payload"]["data"]["items"]["nodes"]) == ("next", [{"number": "100-017"}])
    with client.websocket_connect("/graphql", subprotocols=["graphql-transport-ws"]) as socket:
        socket.send_json({"type": "connection_init", "payload": {}})
        assert socket.receive()["code"] == 4401


def test_webhooks_for_nobody_are_not_found(client: TestClient) -> None:
    assert client.post("/webhooks/plm", content=b"{}").status_code == 404
    assert client.post("/webhooks/nobody", content=b"{}").status_code == 404


def test_health_metrics_and_the_page(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"live": True}
    assert client.get("/health/ready").json() == {"ready": True}
    assert "inbox" in client.get("/metrics").text
    page = client.get("/")
    assert "plm" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_exported_schema_is_the_one_that_runs(client: TestClient) -> None:
    kept = Path(__file__).parents[2].joinpath("schema.graphql").read_text()
    assert client.get("/schema.graphql").text.strip() == kept.strip()
