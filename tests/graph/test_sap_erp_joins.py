"""SAP ERP in the graph: orders, shipments, the items of the master, the trucks of the fleet and the deliveries that the
warehouse works through, each under its own spelling and in both directions."""

from collections.abc import AsyncIterator

import pytest

from tests.graph.harness import Graph, graph_over_the_sandbox
from unified.ids import decode


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with graph_over_the_sandbox(
        integrations=("erp", "ewm-west", "plm", "fleet"), modules=("sap_erp", "sap_ewm", "teamcenter", "traccar")
    ) as made:
        yield made


def outside(id: str) -> tuple[str, str]:
    place = decode(id)
    return place.integration, place.external_id


async def test_an_order_leads_to_its_shipments_and_back(graph: Graph) -> None:
    data = await graph.data(
        """{ orders(first: 200, sources: ["erp"]) { nodes { number kind shipments { number
            lines { orderNumber order { number } } } } } }"""
    )
    joined = 0
    for order in data["orders"]["nodes"]:
        for shipment in order["shipments"]:
            back = {line["order"]["number"] for line in shipment["lines"] if line["order"] is not None}
            assert order["number"] in back
            joined += 1
    assert joined > 10


async def test_a_shipment_leads_to_its_truck_and_the_truck_to_its_shipments(graph: Graph) -> None:
    """`KJA-123AB` in SAP ERP is `Truck 07 KJA 123 AB` in Traccar."""
    data = await graph.data(
        """{ shipments(first: 200, filter: { statuses: [OPEN, IN_PROGRESS, SHIPPED] }) { nodes { id vehiclePlate
            vehicle { id name shipments { id vehiclePlate } } } } }"""
    )
    carried = [each for each in data["shipments"]["nodes"] if each["vehiclePlate"]]
    assert len(carried) > 10
    for shipment in carried:
        vehicle = graph.world.vehicle_by_plate[shipment["vehiclePlate"].replace("-", "")]
        assert outside(shipment["vehicle"]["id"]) == ("fleet", str(vehicle.traccar_id))
        mine = shipment["vehicle"]["shipments"]
        assert shipment["id"] in [each["id"] for each in mine]
        assert {each["vehiclePlate"] for each in mine} == {shipment["vehiclePlate"]}


async def test_the_trucks_of_a_page_are_asked_for_their_shipments_together(graph: Graph) -> None:
    await graph.data('{ vehicles(first: 200, sources: ["fleet"]) { nodes { shipments { number } } } }')
    told = graph.calls()
    graph.forget()
    await graph.data('{ vehicles(first: 1, sources: ["fleet"]) { nodes { shipments { number } } } }')
    assert graph.calls()["sap-erp"] == told["sap-erp"] > 0


async def test_a_line_of_a_purchase_order_leads_to_its_item_and_the_item_to_the_order(graph: Graph) -> None:
    data = await graph.data(
        """{ orders(first: 50, sources: ["erp"], filter: { kinds: [PURCHASE], statuses: [OPEN, IN_PROGRESS] }) { nodes {
            id lines { itemNumber item { id number orders { id kind } } } } } }"""
    )
    by_sap = {item.sap_number.lstrip("0"): item for item in graph.world.items}
    lines = [(order["id"], line) for order in data["orders"]["nodes"] for line in order["lines"]]
    assert len(lines) > 10
    for id_, line in lines:
        item = by_sap[line["itemNumber"].lstrip("0")]
        assert outside(line["item"]["id"]) == ("plm", item.uid)
        assert (id_, "PURCHASE") in [(each["id"], each["kind"]) for each in line["item"]["orders"]]


async def test_a_shipment_is_a_delivery_of_the_warehouse_that_knows_its_order(graph: Graph) -> None:
    data = await graph.data(
        """{ shipments(first: 200) { nodes { number deliveries { number source { integration }
            fulfils { number source { integration } } } lines { orderNumber } } } }"""
    )
    joined = 0
    for shipment in data["shipments"]["nodes"]:
        for delivery in shipment["deliveries"]:
            assert delivery["number"].lstrip("0") == shipment["number"].lstrip("0")
            assert delivery["source"]["integration"] == "ewm-west"
            if delivery["fulfils"] is not None:
                assert delivery["fulfils"]["source"]["integration"] == "erp"
                assert delivery["fulfils"]["number"].lstrip("0") in {
                    (line["orderNumber"] or "").lstrip("0") for line in shipment["lines"]
                }
                joined += 1
    assert joined > 10
