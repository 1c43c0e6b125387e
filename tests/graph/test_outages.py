"""One vendor dead, one slow, one lying: what the others' fields give, and what the errors say."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sandbox.standin import Failure
from tests.graph.harness import Graph, graph_over_the_sandbox

DOWN_HINT = "The vendor does not answer properly; its rows are missing, or old, until it is back."
WRONG_HINT = "The vendor may have changed its interface: save the answer and run `crossdock decode` on it."


def facts(result: Any) -> list[tuple[list[str | int], str, str]]:
    """Path, code and integration of each error."""
    return [(each.path, each.extensions["code"], each.extensions["integration"]) for each in result.errors or ()]


async def for_ever(_: float) -> None:
    await asyncio.Event().wait()


def hang(graph: Graph, name: str) -> None:
    faults = graph.faults(name)
    faults.sleep, faults.delay_ms = for_ever, 1


@pytest.fixture
async def impatient() -> AsyncIterator[Graph]:
    """TAK is given up after a twentieth of a second."""
    async with graph_over_the_sandbox(deadlines={"tak": 0.05}) as made:
        yield made


async def test_one_dead_one_slow_one_lying(impatient: Graph) -> None:
    graph = impatient
    graph.faults("uber").down = True
    hang(graph, "tak")
    graph.faults("teamcenter").fail_next = [Failure(status=200, body={"cursor": "seven", "searchResults": 7})] * 5
    started = time.monotonic()
    result = await graph.ask(
        """{ vehicles(first: 200) { nodes { source { integration } }
                sources { integration state count error { code hint } } }
            units { nodes { callsign } sources { state } }
            items { nodes { number } sources { state error { code hint } } }
            equipment { nodes { name } sources { state count } }
            orders(first: 2) { nodes { number } sources { state count } } }"""
    )
    assert time.monotonic() - started < 5, "nobody waits for the default deadline of ten seconds"
    data = result.data
    assert {each["source"]["integration"] for each in data["vehicles"]["nodes"]} == {"fleet"}
    assert len(data["vehicles"]["nodes"]) == len(graph.world.vehicles)
    dead = {"code": "ERR_VENDOR_UNAVAILABLE", "hint": DOWN_HINT}
    assert data["vehicles"]["sources"] == [
        {"integration": "uber", "state": "FAILED", "count": 0, "error": dead},
        {"integration": "fleet", "state": "LIVE", "count": len(graph.world.vehicles), "error": None},
    ]
    assert data["units"] == {"nodes": [], "sources": [{"state": "FAILED"}]}
    assert data["items"] == {
        "nodes": [],
        "sources": [{"state": "FAILED", "error": {"code": "ERR_INVALID_RESPONSE", "hint": WRONG_HINT}}],
    }
    assert data["equipment"]["sources"] == [{"state": "LIVE", "count": 8}]
    assert data["orders"]["sources"] == [{"state": "LIVE", "count": 2}, {"state": "LIVE", "count": 0}]
    assert sorted(facts(result), key=str) == [
        (["items"], "ERR_INVALID_RESPONSE", "plm"),
        (["units"], "ERR_NETWORK_TIMEOUT", "tak"),
        (["vehicles"], "ERR_VENDOR_UNAVAILABLE", "uber"),
    ]
    assert all(each.extensions["hint"] for each in result.errors)
    assert graph.reported == []


HTML = Failure(status=200, headers={"content-type": "text/html"}, body="<html><body>Please log in</body></html>")
LIES: dict[str, tuple[Failure, str, Callable[[Any], bool]]] = {
    "a page for people": (HTML, "ERR_INVALID_RESPONSE", lambda told: "path" in told),
    "half a body": (Failure(half_body=True), "ERR_VENDOR_UNAVAILABLE", lambda told: "path" not in told),
    "another type": (Failure(status=200, body={"id": 1}), "ERR_INVALID_RESPONSE", lambda told: told["path"] == "$"),
    "another type deep inside": (
        Failure(status=200, body=[{"id": 1, "deviceId": 2, "fixTime": 3}]),
        "ERR_INVALID_RESPONSE",
        lambda told: told["path"].startswith("$[0]"),
    ),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_costs_the_liars_rows_only(graph: Graph, lie: str) -> None:
    failure, code, fits = LIES[lie]
    graph.faults("traccar").fail_next = [failure] * 20
    result = await graph.ask(
        """{ vehicles(first: 200) { nodes { source { integration } }
            sources { integration state error { code message hint } } } }"""
    )
    vehicles = result.data["vehicles"]
    assert {each["source"]["integration"] for each in vehicles["nodes"]} == {"uber"}
    assert [(each["integration"], each["state"]) for each in vehicles["sources"]] == [
        ("uber", "LIVE"),
        ("fleet", "FAILED"),
    ]
    assert vehicles["sources"][1]["error"]["code"] == code
    assert facts(result) == [(["vehicles"], code, "fleet")]
    told = result.errors[0].extensions
    assert fits(told), told
    assert told["hint"] == vehicles["sources"][1]["error"]["hint"]
    assert graph.reported == []


async def test_a_join_into_a_dead_vendor_nulls_that_field_and_is_told_once(graph: Graph) -> None:
    """Fifty orders with 173 lines: one error, at the first line that met it."""
    graph.faults("teamcenter").down = True
    result = await graph.ask(
        "{ orders(first: 50) { nodes { number lines { itemNumber item { number } } vehicle { name } } } }"
    )
    orders = result.data["orders"]["nodes"]
    lines = [line for order in orders for line in order["lines"]]
    assert len(lines) == 173
    assert all(line["itemNumber"] and line["item"] is None for line in lines)
    assert all(order["number"] and order["vehicle"] for order in orders)
    assert facts(result) == [
        (["orders", "nodes", 0, "lines", 0, "item"], "ERR_VENDOR_UNAVAILABLE", "plm"),
    ]
    assert result.errors[0].extensions["hint"] == DOWN_HINT
    assert result.errors[0].extensions["vendorStatus"] == 503
    assert graph.reported == []


async def test_stock_where_one_of_two_systems_is_dead_is_the_others(graph: Graph) -> None:
    asked = "{ items(first: 50) { nodes { inventory { warehouse } } } }"
    graph.faults("sap-ewm-north").down = True
    half = await graph.ask(asked)
    warehouses = [each["warehouse"] for item in half.data["items"]["nodes"] for each in item["inventory"]]
    assert set(warehouses) == {"1710", "1720"}
    assert facts(half) == [(["items", "nodes", 0, "inventory"], "ERR_VENDOR_UNAVAILABLE", "ewm-north")]


async def test_stock_that_nobody_can_tell_is_null_and_not_none(graph: Graph) -> None:
    """An empty list would say that nothing is there."""
    graph.faults("sap-ewm-north").down = graph.faults("sap-ewm-west").down = True
    result = await graph.ask("{ items(first: 50) { nodes { number inventory { warehouse } } } }")
    assert all(item["number"] and item["inventory"] is None for item in result.data["items"]["nodes"])
    first = ["items", "nodes", 0, "inventory"]
    assert sorted(facts(result)) == [
        (first, "ERR_VENDOR_UNAVAILABLE", "ewm-north"),
        (first, "ERR_VENDOR_UNAVAILABLE", "ewm-west"),
    ]


async def test_every_join_into_a_dead_vendor_degrades_to_null(graph: Graph) -> None:
    listed = await graph.data(
        """{ vehicles(first: 1, sources: ["fleet"]) { nodes { id } } missions(first: 1) { nodes { id } }
            items(first: 1) { nodes { id } } }"""
    )
    vehicle, mission, item = (listed[name]["nodes"][0]["id"] for name in ("vehicles", "missions", "items"))
    heavy = str(graph.world.heavies[1].traccar_id)
    for name in ("tak", "uber", "sap-ewm-west", "sap-ewm-north"):
        graph.faults(name).down = True
    result = await graph.ask(
        """query($vehicle: ID!, $mission: ID!, $item: ID!, $heavy: String!) {
            vehicle(id: $vehicle) { name bookings { id } orders { id } geofences { id } }
            heavy: vehicle(by: { external: { integration: "fleet", externalId: $heavy } }) {
                name units { uid } missions { name } sameAs { id } }
            mission(id: $mission) { name }
            item(id: $item) { number orders { id } madeOn { id } whereUsed { itemNumber } bom { truncated } } }""",
        vehicle=vehicle,
        mission=mission,
        item=item,
        heavy=heavy,
    )
    data = result.data
    assert (data["vehicle"]["bookings"], data["vehicle"]["orders"]) == (None, None)
    assert data["vehicle"]["geofences"] is not None
    assert data["heavy"] == {
        "name": graph.world.heavies[1].traccar_name,
        "units": None,
        "missions": None,
        "sameAs": None,
    }
    assert data["mission"] is None
    assert data["item"]["number"]
    assert (data["item"]["orders"], data["item"]["madeOn"], data["item"]["whereUsed"]) == (None, [], [])
    codes = [(code, integration) for _, code, integration in facts(result)]
    assert sorted(codes) == [("ERR_VENDOR_UNAVAILABLE", name) for name in ("ewm-north", "ewm-west", "tak", "uber")], (
        "once per integration, whatever asks it"
    )


async def test_last_good_answers_come_with_their_age(graph: Graph) -> None:
    asked = """{ items(first: 3) { nodes { number source { stale asOf } }
        sources { integration state asOf count error { code } } } }"""
    fresh = (await graph.data(asked))["items"]
    assert [each["state"] for each in fresh["sources"]] == ["LIVE"]
    graph.clock.passed += 240
    graph.faults("teamcenter").down = True
    result = await graph.ask(asked)
    stale = result.data["items"]
    assert [each["number"] for each in stale["nodes"]] == [each["number"] for each in fresh["nodes"]]
    assert {each["source"]["stale"] for each in stale["nodes"]} == {True}
    assert {each["source"]["asOf"] for each in stale["nodes"]} == {fresh["nodes"][0]["source"]["asOf"]}
    assert stale["sources"] == [
        {
            "integration": "plm",
            "state": "STALE",
            "asOf": fresh["nodes"][0]["source"]["asOf"],
            "count": 3,
            "error": {"code": "ERR_VENDOR_UNAVAILABLE"},
        }
    ]
    assert result.errors is None, "nothing is missing; `sources` says that it is old"
    graph.faults("teamcenter").down = False
    graph.clock.passed += 60
    again = (await graph.data(asked))["items"]
    assert [each["state"] for each in again["sources"]] == ["LIVE"]
    assert {each["source"]["stale"] for each in again["nodes"]} == {False}


async def test_a_joined_last_good_answer_says_so(graph: Graph) -> None:
    asked = "{ orders(first: 5) { nodes { vehicle { name source { stale } position { latitude } } } } }"
    fresh = (await graph.data(asked))["orders"]["nodes"]
    graph.faults("traccar").down = True
    stale = (await graph.data(asked))["orders"]["nodes"]
    assert {each["vehicle"]["source"]["stale"] for each in stale} == {True}
    assert [each["vehicle"]["position"] for each in stale] == [each["vehicle"]["position"] for each in fresh]


async def test_a_name_that_the_vendor_refuses_spoils_its_own_structure_only(graph: Graph) -> None:
    number = graph.world.products[0].teamcenter_number
    result = await graph.ask(
        """query($number: String!) { item(by: { number: { number: $number } }) {
            good: bom { revisionRule } wrong: bom(revisionRule: "Freshest") { revisionRule } } }""",
        number=number,
    )
    assert result.data["item"] == {"good": {"revisionRule": "Latest Working"}, "wrong": None}
    [error] = result.errors
    assert error.path == ["item", "wrong"]
    assert error.extensions["code"] == "ERR_VENDOR_REJECTED"
    assert "there is no revision rule `Freshest`; there are `Any Status" in error.message


async def test_nodes_and_lists_in_one_operation_tell_an_outage_once(graph: Graph) -> None:
    listed = await graph.data(
        '{ items(first: 3) { nodes { id } } vehicles(first: 1, sources: ["fleet"]) { nodes { id } } }'
    )
    ids = [node["id"] for name in ("items", "vehicles") for node in listed[name]["nodes"]]
    graph.faults("teamcenter").down = True
    result = await graph.ask(
        'query($ids: [ID!]!) { nodes(ids: $ids) { id } boms(filter: { itemNumbers: ["A"] }) { nodes { id } } }', ids=ids
    )
    assert [each and each["id"] for each in result.data["nodes"]] == [None, None, None, ids[3]]
    assert [(code, integration) for _, code, integration in facts(result)] == [("ERR_VENDOR_UNAVAILABLE", "plm")]


async def test_a_bug_in_one_join_is_an_internal_error_without_its_text(graph: Graph, monkeypatch: Any) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(graph.sources.handles["plm"].connector, "read_items", broken)
    result = await graph.ask("{ orders(first: 1) { nodes { number lines { item { number } } } } }")
    assert result.data["orders"]["nodes"][0]["lines"][0]["item"] is None
    assert {error.message for error in result.errors} == {"Internal error"}
    assert {error.extensions["code"] for error in result.errors} == {"INTERNAL_SERVER_ERROR"}
    assert {str(each) for each in graph.reported} == {"password=hunter2"}


async def test_a_bug_in_one_list_costs_that_root_field_only(graph: Graph, monkeypatch: Any) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(graph.sources.handles["plm"].connector, "list_items", broken)
    result = await graph.ask("{ items { nodes { number } } missions { nodes { name } } }")
    assert result.data["items"] is None
    assert len(result.data["missions"]["nodes"]) == 6
    [error] = result.errors
    assert (error.message, error.path) == ("Internal error", ["items"])
    assert error.extensions["code"] == "INTERNAL_SERVER_ERROR"
    assert len(error.extensions["id"]) == 32
    assert [str(each) for each in graph.reported] == ["password=hunter2"]
