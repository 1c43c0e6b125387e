"""Who is told how long fields took, and who is not."""

from pathlib import Path

import httpx

from tests.server.graphql.conftest import CONFIG, asking, served

QUERY = {"query": "{ items(first: 2) { nodes { number } } }"}
TRACED = {"apollo-federation-include-trace": "ftv1"}


async def test_nobody_is_told_of_times_unless_the_settings_say_so(client: httpx.AsyncClient) -> None:
    assert "extensions" not in (await client.post("/graphql", json=QUERY, headers=TRACED)).json()


async def test_a_gateway_that_asks_is_told_of_times(tmp_path: Path) -> None:
    config = CONFIG.replace("[server]", "[server]\nfederated_tracing = true")
    async with served(tmp_path, config) as app, asking(app) as client:
        plain = (await client.post("/graphql", json=QUERY)).json()
        traced = (await client.post("/graphql", json=QUERY, headers=TRACED)).json()
        other = (
            await client.post("/graphql", json=QUERY, headers={**TRACED, "apollo-federation-include-trace": "x"})
        ).json()
    assert "extensions" not in plain
    assert "extensions" not in other
    assert list(traced["extensions"]) == ["ftv1"]
    assert traced["data"] == plain["data"]
