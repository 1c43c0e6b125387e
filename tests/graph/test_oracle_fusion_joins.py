"""Oracle Fusion in the graph: work orders, materials and structures meet items that Teamcenter and EWM spell otherwise,
both ways."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from sandbox.oracle_fusion import OracleFusion
from sandbox.oracle_fusion.rows import number_of
from tests.graph.harness import Graph, graph_over_the_sandbox
from unified.ids import decode, encode


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with graph_over_the_sandbox(
        integrations=("plm", "ewm-west", "fusion"), modules=("teamcenter", "sap_ewm", "oracle_fusion")
    ) as made:
        yield made


def rows(graph: Graph) -> list[dict[str, Any]]:
    fusion = graph.stand_ins["oracle-fusion"]
    assert isinstance(fusion, OracleFusion)
    return fusion.rows.work_orders()


def outside(id: str) -> tuple[str, str]:
    place = decode(id)
    return place.integration, place.external_id


async def test_a_work_order_leads_to_what_it_makes_and_consumes(graph: Graph) -> None:
    """Fusion says `asm.10052`, Teamcenter `ASM-10052`: both are one item, with the stock that EWM has under its own."""
    data = await graph.data(
        """{ workOrders(first: 200) { totalCount nodes { number itemNumber planned { value unit }
            item { id number inventory { itemNumber } }
            materials { itemNumber required { value } item { id number } } } } }"""
    )
    told = {row["WorkOrderNumber"]: row for row in rows(graph)}
    by_fusion = {number_of(item): item for item in graph.world.items}
    assert {each["number"] for each in data["workOrders"]["nodes"]} == set(told)
    assert len(told) == 60
    spellings = 0
    for order in data["workOrders"]["nodes"]:
        row = told[order["number"]]
        made = by_fusion[order["itemNumber"]]
        assert order["itemNumber"] == row["ItemNumber"] != made.teamcenter_number
        assert order["item"]["number"] == made.teamcenter_number
        assert outside(order["item"]["id"]) == ("plm", made.uid)
        assert len(order["materials"]) == len(row["WorkOrderMaterial"])
        for material in order["materials"]:
            used = by_fusion[material["itemNumber"]]
            assert outside(material["item"]["id"]) == ("plm", used.uid)
            spellings += material["itemNumber"] != material["item"]["number"]
        stock = {each["itemNumber"].lstrip("0") for each in order["item"]["inventory"]}
        assert stock <= {made.sap_number.lstrip("0")}
    assert spellings > 100


async def test_an_item_leads_to_its_work_orders(graph: Graph) -> None:
    open_orders: dict[str, set[str]] = {}
    for row in rows(graph):
        if row["WorkOrderSystemStatusCode"] not in ("CLOSED", "CANCELED"):
            open_orders.setdefault(row["ItemNumber"], set()).add(row["WorkOrderNumber"])
    by_number = {item.teamcenter_number: number_of(item) for item in graph.world.items}
    making = [number for number, there in by_number.items() if there in open_orders]
    data = await graph.data(
        """query($numbers: [String!]) { items(first: 200, sources: ["plm"], filter: { numbers: $numbers }) {
            nodes { number workOrders { number status item { number } } } } }""",
        numbers=[*making, "PRD-10000"],
    )
    assert {item["number"] for item in data["items"]["nodes"]} >= set(making)
    for item in data["items"]["nodes"]:
        assert {each["number"] for each in item["workOrders"]} == open_orders.get(by_number[item["number"]], set())
        assert all(each["item"]["number"] == item["number"] for each in item["workOrders"])
        assert {each["status"] for each in item["workOrders"]}.isdisjoint({"CLOSED", "CANCELLED"})
    assert sum(len(item["workOrders"]) for item in data["items"]["nodes"]) == sum(map(len, open_orders.values())) > 20
    assert graph.calls_by_path()["oracle-fusion workOrders"] == 1, "all items are asked for together"


async def test_an_item_is_the_same_in_every_plant(graph: Graph) -> None:
    data = await graph.data(
        """{ items(first: 200, sources: ["plm"]) { nodes { number
            sameAs { source { integration externalId } ... on Item { number } } } } }"""
    )
    by_number = {item.teamcenter_number: item for item in graph.world.items}
    fusion = graph.stand_ins["oracle-fusion"]
    assert isinstance(fusion, OracleFusion)
    plants = {(row["OrganizationCode"], row["ItemNumber"]) for row in fusion.rows.items()}
    for item in data["items"]["nodes"]:
        there = number_of(by_number[item["number"]])
        found = [each for each in item["sameAs"] if each["source"]["integration"] == "fusion"]
        assert {each["number"] for each in found} == {there}
        item_id = fusion.rows.ids[by_number[item["number"]].key]
        assert sorted(each["source"]["externalId"] for each in found) == sorted(
            f"{code}:{item_id}" for code in ("IBA", "ABV") if (code, there) in plants
        )


async def test_a_link_joins_what_no_spelling_does(graph: Graph) -> None:
    """EWM's 900001 is the product PRD77113 of Fusion because the configuration says so."""
    sap_number, number = graph.world.item_links[0]
    item = next(each for each in graph.world.items if each.teamcenter_number == number)
    data = await graph.data(
        """query($number: String!) { item(by: { number: { integration: "ewm-west", number: $number } }) {
            number sameAs { ... on Item { number source { integration } } } } }""",
        number=sap_number,
    )
    assert data["item"]["number"] == number
    assert {"number": number_of(item), "source": {"integration": "fusion"}} in data["item"]["sameAs"]


async def test_a_structure_of_fusion_whose_lines_are_items_of_teamcenter(graph: Graph) -> None:
    item = next(each for each in graph.world.items if each.made)
    data = await graph.data(
        """query($number: String!) { boms(filter: { itemNumbers: [$number], maxLevels: 1 }, sources: ["fusion"]) {
            nodes { id itemNumber item { number } lines { itemNumber quantity item { id number } } } } }""",
        number=item.teamcenter_number,
    )
    [bom] = data["boms"]["nodes"]
    assert (bom["itemNumber"], bom["item"]["number"]) == (number_of(item), item.teamcenter_number)
    parts = graph.world.bom(item.key, "manufacturing")
    assert [(line["item"]["number"], Decimal(line["quantity"])) for line in bom["lines"]] == [
        (graph.world.item_by_key[part.item_key].teamcenter_number, part.amount) for part in parts
    ]
    again = await graph.data("query($id: ID!) { node(id: $id) { ... on Bom { itemNumber } } }", id=bom["id"])
    assert again["node"]["itemNumber"] == number_of(item)


async def test_a_work_order_by_its_id_and_one_of_nobody(graph: Graph) -> None:
    row = rows(graph)[0]
    document = "query($id: ID!) { node(id: $id) { ... on WorkOrder { number organization operations { sequence } } } }"
    data = await graph.data(document, id=encode("WorkOrder", "fusion", str(row["WorkOrderId"])))
    assert data["node"] == {
        "number": row["WorkOrderNumber"],
        "organization": row["OrganizationCode"],
        "operations": [{"sequence": "10"}, {"sequence": "20"}, {"sequence": "30"}],
    }
    for nothing in ("1", "x", "9" * 19):
        assert (await graph.data(document, id=encode("WorkOrder", "fusion", nothing)))["node"] is None


async def test_fusion_that_is_down_costs_its_own_rows_only(graph: Graph) -> None:
    graph.faults("oracle-fusion").down = True
    result = await graph.ask(
        '{ items(first: 5, sources: ["plm"]) { nodes { number workOrders { number } sameAs { id } } } }'
    )
    assert result.data is not None
    assert len(result.data["items"]["nodes"]) == 5
    assert all(item["workOrders"] is None for item in result.data["items"]["nodes"])
    assert {error.extensions["code"] for error in result.errors or ()} == {"ERR_VENDOR_UNAVAILABLE"}
