"""Federation: every entity by reference, each representation for itself, all in one batch."""

from typing import Any

import pytest
from graphql import build_schema, parse

from graph.schema import NODES
from tests.graph.harness import Graph
from unified.ids import encode
from unified.records import Kind

ASKED = "query($r: [_Any!]!) { _entities(representations: $r) { __typename ... on Node { id } } }"
ENTITIES = ", ".join(sorted(node.__name__ for node in NODES))


async def test_what_a_gateway_sends_wrong_spoils_only_itself(graph: Graph) -> None:
    unit = encode("Unit", "tak", graph.world.units[0].uid)
    item = encode("Item", "plm", graph.world.items[0].uid)
    gone = encode("Item", "plm", "no-such-uid")
    representations: list[Any] = [
        {"__typename": "Unit", "id": unit},
        {"__typename": "Dream", "id": unit},
        {"id": unit},
        {"__typename": 7, "id": unit},
        {"__typename": "_Service", "id": unit},
        "Unit",
        [unit],
        {"__typename": "Unit"},
        {"__typename": "Unit", "id": None},
        {"__typename": "Unit", "id": 7},
        {"__typename": "Unit", "id": ""},
        {"__typename": "Unit", "id": "nonsense!"},
        {"__typename": "Unit", "id": "x" * 2_000},
        {"__typename": "Unit", "id": item},
        {"__typename": "Item", "id": gone},
        {"__typename": "Item", "id": item, "info": "hello", "self": 1, "number": {"deep": [1]}, "__class__": "x"},
        {"__typename": "PriceEstimate", "id": encode("PriceEstimate", "uber", "1")},
        {"__typename": "Unit", "id": {"deep": 1}},
        {"__typename": "Unit", "id": True},
    ]
    result = await graph.ask(ASKED, r=representations)
    found = result.data["_entities"]
    assert {index: each for index, each in enumerate(found) if each is not None} == {
        0: {"__typename": "Unit", "id": unit},
        15: {"__typename": "Item", "id": item},
    }
    unknown = "the `__typename` of a representation is {}; the entities are: " + ENTITIES
    shape = 'a representation is an object such as { __typename: "Item", id: "…" }'
    needs = "a representation of Unit needs its `id`"
    taken = "take it from the `id` field of an object"
    assert {error.path[1]: error.message for error in result.errors} == {
        1: unknown.format("'Dream'"),
        2: unknown.format("missing"),
        3: unknown.format("missing"),
        4: unknown.format("'_Service'"),
        5: shape,
        6: shape,
        7: needs,
        8: needs,
        9: f"'7': not an id of this graph; {taken}",
        10: f"'': an id is a text of 1 to 1,024 characters; {taken}",
        11: f"'nonsense!': not an id of this graph; {taken}",
        12: f"'{'x' * 40}': an id is a text of 1 to 1,024 characters; {taken}",
        13: f"'{item[:40]}': this is the id of Item where that of Unit is needed",
        17: "Unit.id in a representation: ID cannot represent value: {'deep': 1}",
        18: "Unit.id in a representation: ID cannot represent value: True",
    }
    assert {error.extensions["code"] for error in result.errors} == {"BAD_USER_INPUT"}
    assert graph.reported == []
    assert graph.calls_by_path() == {"tak cot": 1, "teamcenter getProperties": 1}


async def test_an_outage_nulls_its_own_entities_and_is_told_once(graph: Graph) -> None:
    items = [encode("Item", "plm", item.uid) for item in graph.world.items[:3]]
    unit = encode("Unit", "tak", graph.world.units[0].uid)
    graph.faults("teamcenter").down = True
    representations = [{"__typename": "Item", "id": each} for each in items] + [{"__typename": "Unit", "id": unit}]
    result = await graph.ask(ASKED, r=representations)
    assert result.data["_entities"] == [None, None, None, {"__typename": "Unit", "id": unit}]
    [error] = result.errors
    assert (error.path, error.extensions["code"], error.extensions["integration"]) == (
        ["_entities", 0],
        "ERR_VENDOR_UNAVAILABLE",
        "plm",
    )


async def test_there_is_an_end_to_how_many_are_taken(graph: Graph) -> None:
    unit = {"__typename": "Unit", "id": encode("Unit", "tak", graph.world.units[0].uid)}
    most = await graph.ask("query($r: [_Any!]!) { _entities(representations: $r) { __typename } }", r=[unit] * 1_000)
    assert len(most.data["_entities"]) == 1_000
    assert graph.calls_by_path() == {"tak cot": 1}
    graph.forget()
    assert await graph.errors(ASKED, r=[unit] * 1_001) == [
        {
            "message": "the operation has a number of representations of 1001; at most 1000 is allowed. "
            "Ask in several operations.",
            "path": ["_entities"],
            "extensions": {"code": "REPRESENTATION_LIMIT", "limit": 1_000, "found": 1_001},
        }
    ]
    assert graph.calls() == {}


LISTS = {
    "Order": "orders", "WarehouseOrder": "warehouseOrders", "WarehouseTask": "warehouseTasks",
    "InventoryBalance": "inventoryBalances", "Location": "locations", "Item": "items", "Equipment": "equipment",
    "Mission": "missions", "Unit": "units", "Booking": "bookings", "Vehicle": "vehicles", "Geofence": "geofences",
}  # fmt: skip


@pytest.mark.parametrize("name", [*LISTS, "Bom"])
async def test_what_a_list_shows_is_found_by_reference_and_as_a_node(graph: Graph, name: str) -> None:
    if name == "Bom":
        number = graph.world.products[0].teamcenter_number
        listed = await graph.data(f'{{ boms(filter: {{ itemNumbers: ["{number}"] }}) {{ nodes {{ id }} }} }}')
    else:
        listed = await graph.data(f"{{ {LISTS[name]}(first: 3) {{ nodes {{ id }} }} }}")
    [rows] = listed.values()
    ids = [row["id"] for row in rows["nodes"]]
    assert ids
    entities = await graph.data(ASKED, r=[{"__typename": name, "id": each} for each in ids])
    assert entities["_entities"] == [{"__typename": name, "id": each} for each in ids]
    nodes = await graph.data("query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=ids)
    assert nodes["nodes"] == entities["_entities"]
    one = await graph.data("query($id: ID!) { node(id: $id) { __typename id } }", id=ids[0])
    assert one["node"] == entities["_entities"][0]


async def test_the_service_tells_its_schema(graph: Graph) -> None:
    sdl = (await graph.data("{ _service { sdl } }"))["_service"]["sdl"]
    assert 'url: "https://specs.apollo.dev/federation/v2.9"' in sdl
    assert sdl == graph.engine.schema.as_str()
    kinds = {definition.name.value for definition in parse(sdl).definitions if hasattr(definition, "name")}
    assert {kind.value for kind in Kind} <= kinds
    plain = "\n".join(
        line
        for line in sdl.replace("@shareable", "").splitlines()
        if not line.startswith(("schema", "extend schema")) and "@link" not in line
    )
    for kind in Kind:
        assert f"type {kind.value} implements" in plain
        assert '@key(fields: "id")' in plain.split(f"type {kind.value} implements")[1].split("{")[0]
    assert build_schema(sdl, assume_valid=True).query_type
