"""Reading across systems: joins, pages, outages, and how many vendor calls each costs."""

from decimal import Decimal
from typing import Any

from connectors.kit.protocols import Identity
from graph.schema import NODES
from resolvers.crosswalk import Crosswalk, Link
from tests.graph.harness import Graph
from unified.keys import Subject


async def test_items_page_through_to_the_end_without_a_gap(graph: Graph) -> None:
    seen: list[str] = []
    after = None
    for _ in range(10):
        result = await graph.ask(
            "query($after: String) { items(first: 100, after: $after) "
            "{ nodes { number } pageInfo { endCursor hasNextPage } } }",
            after=after,
        )
        assert result.errors is None
        page = result.data["items"]
        seen += [node["number"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len(set(seen)) == 420
    assert set(seen) == {item.teamcenter_number for item in graph.world.items}


async def test_a_cursor_of_another_list_is_refused_with_what_to_do(graph: Graph) -> None:
    first = await graph.ask("{ items(first: 1) { pageInfo { endCursor } } }")
    cursor = first.data["items"]["pageInfo"]["endCursor"]
    other = await graph.ask("query($after: String) { missions(after: $after) { nodes { name } } }", after=cursor)
    assert other.data is None
    assert [(error.message, error.extensions["code"]) for error in other.errors] == [
        ("the cursor belongs to another list, filter or order; start again without `after`", "INVALID_CURSOR")
    ]
    forged = await graph.ask('{ items(after: "AAAA") { nodes { number } } }')
    assert forged.errors[0].extensions["code"] == "INVALID_CURSOR"


async def test_a_structure_is_exploded_with_quantities_through_the_levels(graph: Graph) -> None:
    product = graph.world.products[0]
    result = await graph.ask(
        """query($number: String!) { item(by: { number: { number: $number } }) { number bom {
            lines { level parent itemNumber quantity totalQuantity item { number } } } } }""",
        number=product.teamcenter_number,
    )
    assert result.errors is None
    lines = result.data["item"]["bom"]["lines"]
    assert max(line["level"] for line in lines) == 5
    for line in lines:
        above = Decimal(1) if line["parent"] is None else Decimal(lines[line["parent"]]["totalQuantity"])
        assert Decimal(line["totalQuantity"]) == above * Decimal(line["quantity"])
        assert line["item"]["number"] == line["itemNumber"]


async def test_a_job_leads_to_the_item_that_it_makes(graph: Graph) -> None:
    result = await graph.ask(
        "{ equipment { nodes { name state job { name itemNumber item { number name madeOn { name } } } } } }"
    )
    assert result.errors is None
    jobs = [(node["name"], node["job"]) for node in result.data["equipment"]["nodes"] if node["job"]]
    assert len(jobs) >= 4
    for name, job in jobs:
        assert job["item"]["number"] == job["itemNumber"]
        assert name in [machine["name"] for machine in job["item"]["madeOn"]]
    assert graph.calls()["teamcenter"] == 1  # one call for the items of all jobs


async def test_units_and_missions_lead_to_each_other(graph: Graph) -> None:
    result = await graph.ask("{ missions { nodes { id name units { callsign missions { id } } } } }")
    assert result.errors is None
    missions = result.data["missions"]["nodes"]
    assert len(missions) == 6
    for mission in missions:
        for unit in mission["units"]:
            assert mission["id"] in [each["id"] for each in unit["missions"]]


async def test_a_vendor_that_is_down_costs_its_own_rows_and_one_error(graph: Graph) -> None:
    graph.stand_ins["teamcenter"].faults.down = True
    result = await graph.ask(
        "{ items { nodes { number } sources { integration state error { code hint } } } missions { nodes { name } } }"
    )
    assert len(result.data["missions"]["nodes"]) == 6
    assert result.data["items"]["nodes"] == []
    assert result.data["items"]["sources"] == [
        {
            "integration": "plm",
            "state": "FAILED",
            "error": {
                "code": "ERR_VENDOR_UNAVAILABLE",
                "hint": "The vendor does not answer properly; its rows are missing until it is back.",
            },
        }
    ]
    [error] = result.errors
    assert error.path == ["items"]
    assert (error.extensions["code"], error.extensions["integration"]) == ("ERR_VENDOR_UNAVAILABLE", "plm")
    assert graph.reported == []


async def test_an_item_that_fails_nulls_only_itself(graph: Graph) -> None:
    """Jobs stay, their items are null, one error says why."""
    graph.stand_ins["teamcenter"].faults.down = True
    result = await graph.ask("{ equipment { nodes { name job { name item { number } } } } }")
    jobs = [node["job"] for node in result.data["equipment"]["nodes"] if node["job"]]
    assert jobs
    assert all(job["name"] and job["item"] is None for job in jobs)
    assert {error.extensions["code"] for error in result.errors} == {"ERR_VENDOR_UNAVAILABLE"}


async def test_node_finds_what_a_list_showed(graph: Graph) -> None:
    listed = await graph.ask("{ missions(first: 2) { nodes { id name } } items(first: 2) { nodes { id number } } }")
    ids = [node["id"] for name in ("missions", "items") for node in listed.data[name]["nodes"]]
    found = await graph.ask("query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=ids)
    assert found.errors is None
    assert [(node["__typename"], node["id"]) for node in found.data["nodes"]] == [
        ("Mission", ids[0]), ("Mission", ids[1]), ("Item", ids[2]), ("Item", ids[3]),
    ]  # fmt: skip
    wrong = await graph.ask('{ item(id: "nonsense!") { id } }')
    assert wrong.errors[0].extensions["code"] == "BAD_USER_INPUT"


async def test_order_by_merges_in_order(graph: Graph) -> None:
    result = await graph.ask("{ equipment(orderBy: [{ field: NAME, direction: DESC }]) { nodes { name } totalCount } }")
    assert result.errors is None
    names = [node["name"] for node in result.data["equipment"]["nodes"]]
    assert names == sorted(names, reverse=True)
    assert result.data["equipment"]["totalCount"] == 8


async def test_a_bug_is_an_internal_error_with_an_id(graph: Graph, monkeypatch: Any) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(graph.sources.handles["plm"].connector, "list_items", broken)
    result = await graph.ask("{ items { nodes { number } } }")
    [error] = result.errors
    assert error.message == "Internal error"
    assert error.extensions["code"] == "INTERNAL_SERVER_ERROR"
    assert len(error.extensions["id"]) == 32
    assert [str(each) for each in graph.reported] == ["password=hunter2"]


async def test_entities_are_read_in_one_batch(graph: Graph) -> None:
    listed = await graph.ask("{ items(first: 20) { nodes { id } } }")
    graph.forget()
    representations = [{"__typename": "Item", "id": node["id"]} for node in listed.data["items"]["nodes"]]
    result = await graph.ask(
        "query($r: [_Any!]!) { _entities(representations: $r) { ... on Item { number } } }", r=representations
    )
    assert result.errors is None
    assert len(result.data["_entities"]) == 20
    assert graph.calls() == {"teamcenter": 1}


def test_every_type_field_argument_and_value_has_a_description(graph: Graph) -> None:
    from graphql import is_enum_type, is_input_object_type, is_interface_type, is_object_type

    bare: list[str] = []
    for name, kind in graph.schema._schema.type_map.items():
        if name.startswith(("_", "link__")) or name in ("String", "Int", "Float", "Boolean", "ID"):
            continue
        if not kind.description:
            bare.append(name)
        if is_enum_type(kind):
            bare += [f"{name}.{key}" for key, value in kind.values.items() if not value.description]
        if is_input_object_type(kind) or is_object_type(kind) or is_interface_type(kind):
            for field_name, shown in kind.fields.items():
                if field_name.startswith("_"):
                    continue
                if not shown.description:
                    bare.append(f"{name}.{field_name}")
                bare += [
                    f"{name}.{field_name}({argument})"
                    for argument, each in getattr(shown, "args", {}).items()
                    if not each.description
                ]
    assert bare == []


def test_every_node_says_which_record_it_is_and_how_it_is_referred_to(graph: Graph) -> None:
    for node in NODES:
        assert callable(node.is_type_of), node
    referable = [node.__name__ for node in NODES if hasattr(node, "resolve_reference")]
    assert {node.__name__ for node in NODES} - set(referable) == {"PriceEstimate"}


def test_a_link_joins_what_no_rule_makes_equal() -> None:
    crosswalk = Crosswalk([Link(Subject.ITEM, (("ewm", "000000000000900007"), ("plm", "ASM-77120")))])
    crosswalk.learn("plm", [Identity(subject=Subject.ITEM, number="ASM-77120", external_id="uid-1")])
    key = crosswalk.key(Subject.ITEM, "ewm", "900007")
    assert key is not None
    assert crosswalk.numbers(Subject.ITEM, key, "plm") == ["ASM-77120"]
    assert crosswalk.key(Subject.ITEM, "another", "900007") == "900007"
