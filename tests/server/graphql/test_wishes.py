"""How a client asks for the cost of its operation and for an explanation, over each transport."""

from typing import Any

import httpx
import pytest

from graph.engine.request import GraphQLRequest
from server.graphql.body import Refused
from server.graphql.wishes import wished

ASKED = {"query": "{ vehicles(first: 1) { nodes { id } } }"}


def wishes(headers: dict[str, str] | None = None, **told: Any) -> tuple[bool, bool, bool]:
    found = wished(GraphQLRequest(extensions={"crossdock": told} if told else {}), headers)
    return found.cost, found.explain, found.dry


@pytest.mark.parametrize(
    ("headers", "told", "found"),
    [
        (None, {}, (False, False, False)),
        (None, {"cost": True}, (True, False, False)),
        (None, {"explain": True}, (False, True, False)),
        (None, {"explain": "dry", "cost": True}, (True, False, True)),
        ({"x-crossdock-cost": "1"}, {}, (True, False, False)),
        ({"x-crossdock-cost": " TRUE "}, {}, (True, False, False)),
        ({"x-crossdock-explain": "1"}, {}, (False, True, False)),
        ({"x-crossdock-explain": "dry"}, {}, (False, False, True)),
        ({"x-crossdock-explain": "0"}, {"explain": True}, (False, False, False)),  # the header has the last word
        ({"x-crossdock-cost": ""}, {"cost": True}, (False, False, False)),
    ],
)
def test_they_come_in_extensions_or_headers(
    headers: dict[str, str] | None, told: dict[str, Any], found: tuple[bool, bool, bool]
) -> None:
    assert wishes(headers, **told) == found


@pytest.mark.parametrize(
    ("headers", "told", "message"),
    [
        (None, {"cost": "yes"}, "takes `cost`: true"),
        (None, {"explain": "wet"}, "takes `cost`: true"),
        (None, {"explain": 1}, "takes `cost`: true"),
        ({"x-crossdock-cost": "dry"}, {}, "`x-crossdock-cost` takes 1, or is left out"),
        ({"x-crossdock-explain": "maybe"}, {}, "`x-crossdock-explain` takes 1 or dry, or is left out"),
    ],
)
def test_others_are_refused(headers: dict[str, str] | None, told: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        wishes(headers, **told)
    assert caught.value.status == 400


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(Refused, match="must be an object"):
        wished(GraphQLRequest(extensions={"crossdock": True}))


async def test_the_cost_is_told_to_whoever_asks(client: httpx.AsyncClient) -> None:
    assert "extensions" not in (await client.post("/graphql", json=ASKED)).json()
    for sent in ({"headers": {"X-Crossdock-Cost": "1"}, "json": ASKED},
                 {"json": ASKED | {"extensions": {"crossdock": {"cost": True}}}}):  # fmt: skip
        answer = (await client.post("/graphql", **sent)).json()  # type: ignore[arg-type]
        assert set(answer) == {"data", "extensions"}
        assert answer["extensions"]["cost"]["cost"] == 5


async def test_a_dry_run_has_a_plan_and_no_data(client: httpx.AsyncClient) -> None:
    answer = await client.post("/graphql", json=ASKED, headers={"X-Crossdock-Explain": "dry"})
    assert answer.status_code == 200
    assert answer.json()["extensions"]["explain"]["dry"] is True
    assert answer.json()["data"] is None


async def test_a_wish_that_is_none_is_a_clients_fault(client: httpx.AsyncClient) -> None:
    answer = await client.post("/graphql", json=ASKED, headers={"X-Crossdock-Explain": "please"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}
