"""What answers look like: one snapshot per root field, per join and direction, and per kind of error.

The world and the clock are always the same. Values are asserted elsewhere; here a reader sees the shape, and a
change of it.
"""

from typing import Any

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type, is_leaf_type
from syrupy.assertion import SnapshotAssertion

from sandbox.standin import Failure
from tests.graph.harness import Graph
from unified.ids import encode

LISTS = {
    "orders": "", "warehouseOrders": "", "warehouseTasks": "", "inventoryBalances": "", "locations": "",
    "items": "", "equipment": "", "missions": "", "units": "", "vehicles": ', sources: ["fleet"]',
    "bookings": ", filter: { active: true }", "geofences": "",
    "boms": ', filter: { itemNumbers: ["PRD-10104"], maxLevels: 1 }',
    "priceEstimates": ", pickup: { latitude: 9.06, longitude: 7.49 }, dropoff: { latitude: 9.1, longitude: 7.4 }",
    "shipments": "", "workOrders": "", "haulCycles": "",
}  # fmt: skip


def everything(graph: Graph, name: str, hidden: tuple[str, ...] = (), depth: int = 0) -> str:
    """All fields of a type that are no joins, values within values."""
    kind = graph.engine.schema._schema.type_map[name]
    assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
    node = graph.engine.schema._schema.type_map["Node"]
    chosen = []
    for field, shown in kind.fields.items():
        inner = get_named_type(shown.type)
        if field in hidden:
            continue
        if is_leaf_type(inner):
            chosen.append(field)
        elif isinstance(inner, GraphQLObjectType) and node not in inner.interfaces and not shown.args and depth < 4:
            chosen.append(f"{field} {{ {everything(graph, inner.name, hidden, depth + 1)} }}")
    return " ".join(chosen)


def lines(value: Any, path: str = "") -> list[str]:
    """One line per leaf: a change of the shape is a change of few lines."""
    if isinstance(value, dict) and value:
        return [line for key, each in value.items() for line in lines(each, f"{path}.{key}" if path else key)]
    if isinstance(value, list) and value:
        return [line for index, each in enumerate(value) for line in lines(each, f"{path}[{index}]")]
    return [f"{path}: {value!r}"]


async def shape(graph: Graph, document: str) -> str:
    result = await graph.ask(document)
    errors = [dict(each.formatted) for each in result.errors or ()]
    for each in errors:
        each.pop("locations", None)
        each["path"] = each.get("path") and ".".join(map(str, each["path"]))
    return "\n".join(lines({"data": result.data, "errors": errors}))


@pytest.mark.parametrize("field", LISTS)
async def test_a_list_with_all_that_is_its_own(graph: Graph, field: str, snapshot: SnapshotAssertion) -> None:
    connection = graph.engine.schema._schema.query_type.fields[field].type  # type: ignore[union-attr]
    # an estimate has a new token for each question, and its id with it
    hidden = ("id", "externalId", "token") if field == "priceEstimates" else ()
    row = everything(graph, connection.name.removesuffix("Connection"), hidden)
    document = f"""{{ {field}(first: 1{LISTS[field]}) {{
        nodes {{ {row} }} pageInfo {{ hasNextPage hasPreviousPage }} totalCount
        sources {{ integration system state count calls asOf error {{ code message hint }} }} }} }}"""
    assert await shape(graph, document) == snapshot


JOINS = {
    "order → vehicle": "orders(first: 2) { nodes { number vehiclePlate vehicle { name plate } } }",
    "order → tasks": "orders(first: 2) { nodes { number tasks { number orderNumber } } }",
    "order line → item": "orders(first: 1) { nodes { lines { itemNumber item { number name } } } }",
    "item → inventory": """
        items(first: 2) { nodes { number inventory { itemNumber warehouse location available { value
            unit } } } }""",
    "item → orders": "items(first: 1) { nodes { number orders { number } } }",
    "item → machine": 'item(by: { number: { number: "PRT-14420" } }) { number madeOn { name } }',
    "item → structure": """
        item(by: { number: { number: "PRD-10104" } }) { bom(maxLevels: 2) { lines { level itemNumber
            totalQuantity item { number } } } }""",
    "item → where used": """
        item(by: { number: { number: "PRT-13900" } }) { whereUsed(levels: 3) { level itemNumber item {
            name } } }""",
    "item → itself elsewhere": "items(first: 1) { nodes { number sameAs { id } } }",
    "structure → item": """
        boms(filter: { itemNumbers: ["PRD-10104"], maxLevels: 1 }) { nodes { itemNumber item { name
            } } }""",
    "task → order, item, warehouse order": """
        warehouseTasks(first: 2) { nodes { number order { number } item { number } warehouseOrder {
            number } } }""",
    "warehouse order → tasks": "warehouseOrders(first: 1) { nodes { number tasks { number } } }",
    "balance → item, bin": "inventoryBalances(first: 2) { nodes { itemNumber item { number } bin { code zone } } }",
    "location → inventory": "locations(first: 1) { nodes { code inventory { itemNumber } } }",
    "machine → item": "equipment(first: 2) { nodes { name job { itemNumber item { number } } } }",
    "mission → units": "missions(first: 1) { nodes { name units { callsign position { latitude } } } }",
    "unit → missions, vehicle": """
        units(first: 3) { nodes { callsign missions { name } vehicle { name } sameAs { __typename id
            } } }""",
    "booking → vehicle": """
        bookings(first: 2, filter: { active: true }) { nodes { vehiclePlate vehicle { name state
            position { speedKmh } } } }""",
    "vehicle → bookings, itself elsewhere": """
        vehicles(first: 2, sources: ["uber"]) { nodes { plate bookings { status } sameAs {
            __typename source { integration } } } }""",
    "vehicle → orders": 'vehicles(first: 2, sources: ["fleet"]) { nodes { name orders { number } } }',
    "vehicle → units, missions": """
        vehicle(by: { number: { integration: "tak", number: "HLV02" } }) {
            name units { callsign } missions { name } }""",
    "vehicle → geofences → vehicles": """
        vehicles(first: 2, sources: ["fleet"]) { nodes { name geofences { name vehicles { name } } }
            }""",
}


@pytest.mark.parametrize("join", JOINS)
async def test_a_join(graph: Graph, join: str, snapshot: SnapshotAssertion) -> None:
    assert await shape(graph, f"{{ {JOINS[join]} }}") == snapshot


async def test_single_objects_by_each_of_their_keys(graph: Graph, snapshot: SnapshotAssertion) -> None:
    item, vehicle = graph.world.items[0], graph.world.vehicles[0]
    document = f"""{{
        id: item(id: "{encode("Item", "plm", item.uid)}") {{ number }}
        external: item(by: {{ external: {{ integration: "plm", externalId: "{item.uid}" }} }}) {{ number }}
        number: item(by: {{ number: {{ number: "{item.sap_number}" }} }}) {{ number }}
        plate: vehicle(by: {{ number: {{ number: "{vehicle.plate}" }} }}) {{ name }}
        order: order(by: {{ number: {{ number: "80001000" }} }}) {{ number }}
        mission: mission(by: {{ number: {{ number: "{graph.world.missions[0].name}" }} }}) {{ name }}
        unit: unit(by: {{ number: {{ number: "{graph.world.units[0].callsign}" }} }}) {{ callsign }}
        machine: equipmentUnit(by: {{ external: {{ integration: "workshop", externalId: "printer-1" }} }}) {{ name }}
        nothing: item(by: {{ number: {{ number: "no such number" }} }}) {{ number }}
        node: node(id: "{encode("Item", "plm", item.uid)}") {{ __typename id }}
        nodes: nodes(ids: ["{encode("Item", "plm", "gone")}"]) {{ id }}
    }}"""
    assert await shape(graph, document) == snapshot


DOWN: dict[str, Failure] = {
    "unavailable": Failure(status=503, headers={"x-request-id": "r-1"}, body="Service Unavailable"),
    "throttled": Failure(status=429, headers={"retry-after": "30"}, body=""),
    "refused": Failure(status=403, body=""),
    "a page for people": Failure(status=200, headers={"content-type": "text/html"}, body="<html>Hello</html>"),
    "nonsense": Failure(status=200, body={"vehicles": "seven"}),
    "broken off": Failure(drop=True),
}


@pytest.mark.parametrize("failure", DOWN)
async def test_how_a_vendors_failure_is_told(graph: Graph, failure: str, snapshot: SnapshotAssertion) -> None:
    graph.faults("traccar").fail_next = [DOWN[failure]] * 30
    document = """{ geofences { nodes { name }
        sources { integration state count error { code message hint } }
        pageInfo { hasNextPage endCursor } totalCount } }"""
    assert await shape(graph, document) == snapshot


async def test_how_a_failed_join_is_told(graph: Graph, snapshot: SnapshotAssertion) -> None:
    graph.faults("traccar").fail_next = [DOWN["unavailable"]] * 30
    assert await shape(graph, "{ orders(first: 2) { nodes { number vehicle { name } } } }") == snapshot


async def test_how_wrong_documents_and_arguments_are_told(graph: Graph, snapshot: SnapshotAssertion) -> None:
    wrong = (
        "{ items { nodes { colour } } }",
        "{ items(first: 500) { totalCount } }",
        '{ items(after: "x") { totalCount } }',
        '{ item(id: "x") { id } }',
        "{ item { id } }",
        "{",
    )
    assert "\n".join([f"{document}\n{await shape(graph, document)}" for document in wrong]) == snapshot
