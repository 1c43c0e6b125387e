"""What is told of an operation's calls: before it runs, as a bound; after it ran, as they were."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from syrupy.assertion import SnapshotAssertion

from graph.engine.execution import Answer, Engine, RequestRefused
from graph.engine.limits import Limits
from graph.engine.request import GraphQLRequest
from resolvers.context import Context
from sandbox.standin import Failure
from tests.graph.harness import Anybody, Graph, graph_over_the_sandbox
from tests.graph.test_subscriptions import fleet

JOINED = """{ orders(first: 20) { nodes { number lines { item { number inventory { warehouse } } }
    vehicle { name } } } }"""
AUDITOR = Anybody(scopes=frozenset({"read", "explain"}))


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with graph_over_the_sandbox(integrations=("ewm-west", "ewm-north", "plm", "fleet")) as made:
        yield made


def context(graph: Graph, principal: Anybody = AUDITOR) -> Context:
    return replace(graph.context(), principal=principal)


async def asked(graph: Graph, document: str, principal: Anybody = AUDITOR, **wishes: Any) -> Answer:
    request, of = GraphQLRequest(query=document, **wishes), context(graph, principal)
    prepared, operation = await graph.engine.prepare(request, of)
    async with aclosing(graph.engine.stream(request, prepared, operation, of)) as answers:
        return await anext(answers)


async def explained(graph: Graph, document: str) -> dict[str, Any]:
    answer = await asked(graph, document, explain=True)
    told: dict[str, Any] = (answer.extensions or {})["explain"]
    return told


def in_words(told: dict[str, Any]) -> list[str]:
    return sorted(
        f"{'+'.join(each['fields'])}: {each['integration']}.{each['method']} "
        + " ".join(f"{name}={each[name]}" for name in each if name not in ("fields", "integration", "method"))
        for each in told["calls"]
    )


def calls_by_integration(told: dict[str, Any], count: str = "calls") -> dict[str, int]:
    found: dict[str, int] = {}
    for each in told["calls"]:
        found[each["integration"]] = found.get(each["integration"], 0) + each[count]
    return {key: calls for key, calls in found.items() if calls}


def made(graph: Graph) -> dict[str, int]:
    """Calls that the stand-ins have seen, by integration."""
    names = {"sap-ewm-west": "ewm-west", "sap-ewm-north": "ewm-north", "teamcenter": "plm", "traccar": "fleet"}
    return {names[name]: calls for name, calls in graph.calls().items()}


# --- before it runs


async def test_a_dry_run_tells_what_would_be_asked_and_asks_nothing(graph: Graph, snapshot: SnapshotAssertion) -> None:
    answer = await asked(graph, JOINED, dry=True)
    assert graph.calls() == {}
    assert (answer.data, answer.errors) == (None, None)
    told = (answer.extensions or {})["explain"]
    assert told["dry"] is True
    assert in_words(told) == snapshot


async def test_what_is_made_stays_below_what_the_dry_run_told(graph: Graph) -> None:
    told = (await asked(graph, JOINED, dry=True)).extensions["explain"]  # type: ignore[index]
    await asked(graph, JOINED)
    at_most, calls = calls_by_integration(told, "callsAtMost"), made(graph)
    assert set(calls) == {"ewm-west", "ewm-north", "plm", "fleet"}
    assert {key: count for key, count in calls.items() if count > at_most[key]} == {}


async def test_a_named_source_is_the_only_one_that_would_be_asked(graph: Graph) -> None:
    told = (await asked(graph, '{ orders(sources: ["ewm-north"]) { nodes { number } } }', dry=True)).extensions
    assert {each["integration"] for each in told["explain"]["calls"]} == {"ewm-north"}  # type: ignore[index]


async def test_an_id_tells_whom_it_asks(graph: Graph) -> None:
    [vehicle] = (await graph.data("{ vehicles(first: 1) { nodes { id } } }"))["vehicles"]["nodes"]
    graph.forget()
    told = (await asked(graph, f'{{ node(id: "{vehicle["id"]}") {{ id }} }}', dry=True)).extensions
    assert [(each["integration"], each["method"]) for each in told["explain"]["calls"]] == [  # type: ignore[index]
        ("fleet", "read_vehicles")
    ]


@pytest.mark.parametrize("wish", ["explain", "dry"])
async def test_who_lacks_the_scope_is_told_nothing(graph: Graph, wish: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        await asked(graph, JOINED, Anybody(), **{wish: True})
    assert caught.value.stage == "forbidden"
    assert [(error.message, error.extensions) for error in caught.value.errors] == [
        ("the caller lacks the scope `explain`", {"code": "FORBIDDEN"})
    ]
    assert graph.calls() == {}


# --- after it ran


async def test_an_explanation_tells_who_was_asked_for_what(graph: Graph, snapshot: SnapshotAssertion) -> None:
    told = await explained(graph, JOINED)
    for each in told["calls"]:
        assert each["milliseconds"] >= 0
        each["milliseconds"] = "some"
    assert in_words(told) == snapshot
    assert calls_by_integration(told) == made(graph)


async def test_things_that_were_read_already_are_told(graph: Graph) -> None:
    told = await explained(graph, "{ orders(first: 5) { nodes { vehicle { name } again: vehicle { name } } } }")
    assert [each["method"] for each in told["calls"] if each["integration"] == "fleet"] == ["read_vehicles"]
    assert told["alreadyRead"] == [{"field": "orders.nodes.again", "count": 5}]


async def test_an_outage_is_told_with_its_age_or_its_code(graph: Graph) -> None:
    vehicles = "{ vehicles(first: 3) { nodes { name } } }"
    await graph.data(vehicles)
    graph.clock.passed += 90
    graph.faults("traccar").down = True
    [line] = (await explained(graph, vehicles))["calls"]
    assert (line["answer"], line["error"], line["retries"] > 0) == ("LAST_GOOD", None, True)
    assert 90 <= line["ageSeconds"] < 95, "and the pauses of the retries"
    [line] = (await explained(graph, "{ geofences { nodes { name } } }"))["calls"]
    assert (line["answer"], line["ageSeconds"], line["error"]) == ("FAILED", None, "ERR_VENDOR_UNAVAILABLE")
    for _ in range(3):
        [line] = (await explained(graph, "{ geofences { nodes { name } } }"))["calls"]
    assert (line["calls"], line["retries"], line["breaker"]) == (0, 0, "OPEN")


async def test_an_explanation_has_no_address_and_no_word_of_a_vendor(graph: Graph) -> None:
    graph.faults("traccar").down = True
    text = msgspec.json.encode(await explained(graph, "{ vehicles { nodes { name } } }")).decode()
    assert "http" not in text
    assert "503" not in text


async def test_each_event_of_a_subscription_is_explained_by_itself(graph: Graph) -> None:
    graph.live.now = [*await fleet(graph, 2)]
    document = "subscription { vehicleChanged { name orders { number } } }"
    request, of = GraphQLRequest(query=document, explain=True), context(graph)
    prepared, operation = await graph.engine.prepare(request, of)
    async with aclosing(graph.engine.stream(request, prepared, operation, of)) as answers:
        told = [(await anext(answers)).extensions["explain"] for _ in range(2)]  # type: ignore[index]
    for each in told:
        assert {line["method"] for line in each["calls"]} == {"list_orders"}
        assert calls_by_integration(each) == calls_by_integration(told[0])


# --- the cost


async def test_the_cost_tells_calls_before_and_after(graph: Graph) -> None:
    cost = (await asked(graph, JOINED, Anybody(), cost=True)).extensions["cost"]  # type: ignore[index]
    assert cost["cost"] == cost["typeCost"] + cost["fieldCost"]
    assert (cost["limit"], cost["vendorCallLimit"]) == (500_000, 5_000)
    assert {each["integration"]: each["actual"] for each in cost["vendorCalls"]} == made(graph)
    assert all(each["retries"] == each["logIns"] == 0 for each in cost["vendorCalls"])


async def test_retries_stand_beside_the_calls(graph: Graph) -> None:
    graph.faults("traccar").fail_next += [Failure(status=503)]
    cost = (await asked(graph, "{ geofences { nodes { name } } }", cost=True)).extensions["cost"]  # type: ignore[index]
    [line] = [each for each in cost["vendorCalls"] if each["integration"] == "fleet"]
    assert (line["actual"], line["retries"], line["logIns"]) == (1, 1, 0)


async def test_a_query_that_could_ask_too_often_is_refused_before_it_asks(graph: Graph) -> None:
    limited(graph, vendor_calls=10)
    with pytest.raises(RequestRefused) as caught:
        await asked(graph, "{ orders(first: 200) { nodes { lines { item { inventory { warehouse } } } } } }")
    [error] = caught.value.errors
    assert error.extensions is not None
    assert error.extensions["code"] == "VENDOR_CALL_LIMIT"
    assert error.extensions["limit"] == 10
    assert error.extensions["found"] > 10
    assert error.message.startswith(f"the operation has a number of vendor calls of {error.extensions['found']:g}; ")
    assert graph.calls() == {}


async def test_a_query_that_is_too_dear_is_refused_with_its_cost(graph: Graph) -> None:
    cost = (await asked(graph, JOINED, cost=True)).extensions["cost"]["cost"]  # type: ignore[index]
    limited(graph, cost=cost)
    assert (await asked(graph, JOINED)).errors is None
    limited(graph, cost=cost - 1)
    graph.forget()
    with pytest.raises(RequestRefused) as caught:
        await asked(graph, JOINED)
    assert [error.extensions for error in caught.value.errors] == [
        {"code": "COST_LIMIT", "limit": cost - 1, "found": cost}
    ]
    assert graph.calls() == {}


async def test_variables_are_priced_as_they_are_given(graph: Graph) -> None:
    document = "query($first: Int!) { orders(first: $first) { nodes { number } } }"

    async def cost_of(first: int) -> int:
        answer = await asked(graph, document, cost=True, variables={"first": first})
        found: int = answer.extensions["cost"]["cost"]  # type: ignore[index]
        return found

    assert [await cost_of(first) for first in (5, 50, 5)] == [2 + 5 + 2, 2 + 50 + 2, 2 + 5 + 2]


def limited(graph: Graph, **limits: Any) -> None:
    graph.engine = Engine(graph.engine.schema, Limits(**limits), lambda _, error: graph.reported.append(error))
