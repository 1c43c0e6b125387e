"""What a query costs: the calls to each vendor, exactly, and why they cannot be fewer."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from math import ceil
from typing import Any

import pytest

from connectors.kit.pace import Pace, Rounds
from resolvers.fanout import Edge, Page
from resolvers.loaders import Loader
from tests.graph.harness import Graph, graph_over_the_sandbox
from unified.ids import encode

SAP_PAGE = 100
"""Rows in one answer of the sandbox's EWM; the rest is behind its `nextLink`, one call after the other."""


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    """Indexed by these very connectors: EWM is asked for products as its stock spells them, which it has seen."""
    async with graph_over_the_sandbox(afresh=True) as made:
        yield made


def stock_pages(balances: Any, warehouses: tuple[str, ...]) -> int:
    """Pages of the stock of one system: all products go in one condition, the rows come in pages."""
    rows = {each["id"] for each in balances if each["warehouse"] in warehouses}
    return ceil(len(rows) / SAP_PAGE)


async def test_values_that_take_turns_are_asked_for_as_ever(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list whose values are completed in many rounds of the loop leads to the same calls, and to the same answer."""
    query = "{ orders(first: 50) { nodes { number lines { item { number } } vehicle { name } } } }"
    await graph.data(query)
    graph.forget()
    expected, calls = await graph.data(query), graph.calls()
    graph.forget()
    moments, turns = count(step=1), 0

    class Hurried(Pace):
        async def turn(self) -> None:
            nonlocal turns
            turns += 1
            await super().turn()

    context = graph.context
    monkeypatch.setattr(
        graph, "context", lambda: replace(context(), pace=Hurried(Rounds(lambda: float(next(moments))), "caller"))
    )
    assert await graph.data(query) == expected
    assert graph.calls() == calls
    assert turns > 100


async def test_fifty_orders_with_items_structures_stock_everywhere_and_vehicles(graph: Graph) -> None:
    data = await graph.data(
        """{ orders(first: 50) { nodes {
            lines { item { number bom { lines { itemNumber totalQuantity } } inventory { id warehouse } } }
            vehicle { position { latitude longitude } } } } }"""
    )
    orders = data["orders"]["nodes"]
    items = [line["item"] for order in orders for line in order["lines"]]
    assert len(orders) == 50
    assert len({item["number"] for item in items}) == 133
    assert all(order["vehicle"]["position"] for order in orders)
    balances = [balance for item in items for balance in item["inventory"]]
    assert {balance["warehouse"] for balance in balances} == {"1710", "1720", "1730"}
    west, north = stock_pages(balances, ("1710", "1720")), stock_pages(balances, ("1730",))
    assert (west, north) == (3, 2)
    assert graph.calls_by_path() == {
        "sap-ewm-west WhseOutboundDeliveryOrderHead": 1,  # with $expand the lines come along
        "sap-ewm-north WhseOutboundDeliveryOrderHead": 1,  # asked side by side: nobody knows that west fills the page
        "sap-ewm-west WarehouseAvailableStock": west,
        "sap-ewm-north WarehouseAvailableStock": north,
        "teamcenter getProperties": 1,  # 133 items in one call
        "teamcenter getRevisionRules": 1,  # once an hour: the uid of the rule
        "teamcenter createBOMWindows": 1,
        "teamcenter expandPSAllLevels": 1,
        "teamcenter closeBOMWindows": 1,
        "traccar devices": 1,
        "traccar positions": 1,  # positions have an endpoint of their own
    }


async def test_lines_of_structures_lead_to_their_items_in_one_call(graph: Graph) -> None:
    await graph.data("{ items(first: 1) { nodes { bom { lines { level } } } } }")  # revision rule, saved query
    graph.forget()
    data = await graph.data(
        """{ items(first: 40, filter: { types: [ASSEMBLY] }) { nodes { bom { lines { item { number } } } } } }"""
    )
    lines = [line for item in data["items"]["nodes"] if item["bom"] for line in item["bom"]["lines"]]
    assert len(lines) > 100
    assert graph.calls_by_path() == {
        "teamcenter performSearch": 1,  # the search knows no type: a page of 200 holds 41 assemblies
        "teamcenter createBOMWindows": 1,
        "teamcenter expandPSAllLevels": 1,
        "teamcenter closeBOMWindows": 1,
        "teamcenter getProperties": 1,  # all items of all lines of all structures
    }


async def test_bookings_lead_to_vehicles_positions_missions_and_orders(graph: Graph) -> None:
    data = await graph.data(
        """{ bookings(first: 50, filter: { active: true }) { nodes { vehicle {
            position { latitude } missions { name } orders { number } } } } }"""
    )
    assert sum(1 for booking in data["bookings"]["nodes"] if booking["vehicle"]) > 5
    calls = graph.calls_by_path()
    assert open_orders(calls) == OPEN_ORDERS
    assert calls == {
        "uber trips": 1,  # up to 50 trips in a page
        "traccar devices": 1,
        "traccar positions": 1,
        # no unit of the command system is one of these cars: it is not asked
    }


OPEN_ORDERS = {
    # EWM cannot be asked by a vehicle: the plate is a field of the site. Open deliveries are found through their open
    # lines, a page of keys and then the heads of that page; pages have 100 rows and the next begins behind the last key
    "sap-ewm-west WhseOutboundDeliveryOrderItem": 4,
    "sap-ewm-west WhseOutboundDeliveryOrderHead": 4,
    "sap-ewm-west WhseInboundDeliveryItem": 1,
    "sap-ewm-west WhseInboundDeliveryHead": 1,
    "sap-ewm-north WhseOutboundDeliveryOrderItem": 2,
    "sap-ewm-north WhseOutboundDeliveryOrderHead": 2,
    "sap-ewm-north WhseInboundDeliveryItem": 1,
    "sap-ewm-north WhseInboundDeliveryHead": 1,
}


def open_orders(calls: Any) -> dict[str, int]:
    """Takes the calls that search the open orders out of the others."""
    return {name: calls.pop(name) for name in OPEN_ORDERS if name in calls}


async def test_machines_lead_to_the_items_of_their_jobs(graph: Graph) -> None:
    data = await graph.data("{ equipment { nodes { job { item { number } } } } }")
    assert sum(1 for machine in data["equipment"]["nodes"] if machine["job"]) >= 4
    printers = {f"octoprint/printer-{n} {path}": 1 for n in range(1, 9) for path in ("job", "printer")}
    assert graph.calls_by_path() == {
        **printers,  # each printer is a server of its own, and tells its state and its job apart
        "teamcenter getProperties": 1,  # the items of all jobs
    }


async def test_units_and_missions_lead_to_each_other(graph: Graph) -> None:
    data = await graph.data("{ units(first: 100) { nodes { callsign missions { name units { uid } } } } }")
    assert sum(len(unit["missions"]) for unit in data["units"]["nodes"]) > 10
    assert graph.calls_by_path() == {
        "tak all": 1,  # who is connected
        "tak sa": 1,  # and where everybody was
        "tak pagedmissions": 1,  # all missions, with the uids of their units
        # the units of those missions were on the list: they are not read again
    }


async def test_missions_lead_to_units_and_their_vehicles(graph: Graph) -> None:
    data = await graph.data("{ missions { nodes { units { callsign vehicle { plate } } } } }")
    assert any(unit["vehicle"] for mission in data["missions"]["nodes"] for unit in mission["units"])
    assert graph.calls_by_path() == {
        "tak pagedmissions": 1,
        "tak cot": 1,  # the last events of all units in one call
        "traccar devices": 1,
        "traccar positions": 1,
    }


async def test_items_lead_to_stock_its_bins_and_where_they_are_used(graph: Graph) -> None:
    data = await graph.data(
        """{ items(first: 50) { nodes { inventory { id warehouse bin { code } }
            whereUsed(levels: 2) { item { number } } sameAs { id } } } }"""
    )
    items = data["items"]["nodes"]
    balances = [balance for item in items for balance in item["inventory"]]
    assert all(balance["bin"] for balance in balances)
    assert sum(len(item["whereUsed"]) for item in items) > 20
    assert (stock_pages(balances, ("1710", "1720")), stock_pages(balances, ("1730",))) == (1, 1)
    assert graph.calls_by_path() == {
        "teamcenter performSearch": 1,
        "sap-ewm-west WarehouseAvailableStock": 1,
        "sap-ewm-north WarehouseAvailableStock": 1,
        "sap-ewm-west WarehouseStorageBin": 2,  # 60 bins: a filter names 50 at once
        "sap-ewm-north WarehouseStorageBin": 1,
        "teamcenter getRevisionRules": 1,
        "teamcenter whereUsed": 1,
        "teamcenter getProperties": 1,  # users that are not on the page themselves
    }


async def test_tasks_lead_to_deliveries_warehouse_orders_and_back(graph: Graph) -> None:
    await graph.data(
        """{ warehouseTasks(first: 50, sources: ["ewm-west"]) { nodes { order { number tasks { number } }
            warehouseOrder { number tasks { number } } item { number } } } }"""
    )
    assert graph.calls_by_path() == {
        "sap-ewm-west WarehouseTask": 3,  # the list; those of the deliveries; those of the warehouse orders
        "sap-ewm-west WhseOutboundDeliveryOrderHead": 1,  # a number does not tell which service has it
        "sap-ewm-west WhseInboundDeliveryHead": 1,
        "sap-ewm-west WarehouseOrder": 1,
        "teamcenter getProperties": 1,
    }


async def test_bins_lead_to_what_lies_in_them(graph: Graph) -> None:
    data = await graph.data(
        "{ locations(first: 50) { nodes { warehouse code inventory { id warehouse item { number } } } } }"
    )
    bins = data["locations"]["nodes"]
    balances = [balance for each in bins for balance in each["inventory"]]
    assert {each["warehouse"] for each in bins} == {"1710"}
    assert graph.calls_by_path() == {
        "sap-ewm-west WarehouseStorageBin": 1,
        "sap-ewm-north WarehouseStorageBin": 1,
        "sap-ewm-west WarehouseAvailableStock": stock_pages(balances, ("1710",)),
        "teamcenter getProperties": 1,
    }


async def test_the_same_vehicle_elsewhere_over_a_whole_page(graph: Graph) -> None:
    data = await graph.data("{ vehicles(first: 200) { nodes { sameAs { id } } } }")
    assert sum(len(vehicle["sameAs"]) for vehicle in data["vehicles"]["nodes"]) > 20
    assert graph.calls_by_path() == {
        "uber trips": 1,  # the list; what it showed is not read again
        "traccar devices": 1,
        "traccar positions": 1,
        "tak cot": 1,  # the units that are vehicles, in one call
    }


async def test_the_same_unit_elsewhere_over_a_whole_page(graph: Graph) -> None:
    data = await graph.data(
        "{ units(first: 100) { nodes { sameAs { id ... on Vehicle { plate } } vehicle { plate } } } }"
    )
    assert sum(len(unit["sameAs"]) for unit in data["units"]["nodes"]) >= 8
    assert graph.calls_by_path() == {"tak all": 1, "tak sa": 1, "traccar devices": 1, "traccar positions": 1}


async def test_vehicles_and_geofences_lead_to_each_other(graph: Graph) -> None:
    data = await graph.data(
        """{ vehicles(first: 100, sources: ["fleet"]) { nodes { id geofences { id name vehicles { id } } } } }"""
    )
    vehicles = data["vehicles"]["nodes"]
    assert any(vehicle["geofences"] for vehicle in vehicles)
    for vehicle in vehicles:
        for fence in vehicle["geofences"]:
            assert vehicle["id"] in [each["id"] for each in fence["vehicles"]]
    assert graph.calls_by_path() == {
        "traccar devices": 2,  # the list, and all vehicles once more for who is in a geofence
        "traccar positions": 2,
        "traccar geofences": 1,
    }


async def test_nodes_of_many_kinds_are_one_batch_per_system_and_kind(graph: Graph) -> None:
    listed = await graph.data(
        """{ items(first: 20) { nodes { id } } vehicles(first: 20, sources: ["fleet"]) { nodes { id } }
            units(first: 10) { nodes { id } } orders(first: 20, sources: ["ewm-west"]) { nodes { id } }
            locations(first: 20, sources: ["ewm-north"]) { nodes { id } } }"""
    )
    ids = [node["id"] for rows in zip(*(each["nodes"] for each in listed.values()), strict=False) for node in rows]
    assert len(ids) == 50
    graph.forget()
    data = await graph.data("query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=ids)
    assert [node["id"] for node in data["nodes"]] == ids
    assert [node["__typename"] for node in data["nodes"]][:5] == ["Item", "Vehicle", "Unit", "Order", "Location"]
    assert graph.calls_by_path() == {
        "teamcenter getProperties": 1,
        "traccar devices": 1,
        "traccar positions": 1,
        "tak cot": 1,
        "sap-ewm-west WhseOutboundDeliveryOrderHead": 1,
        "sap-ewm-north WarehouseStorageBin": 1,
    }


async def test_a_hundred_representations_are_one_batch(graph: Graph) -> None:
    listed = await graph.data("{ items(first: 100) { nodes { id number } } }")
    graph.forget()
    representations = [{"__typename": "Item", "id": node["id"]} for node in listed["items"]["nodes"]]
    data = await graph.data(
        "query($r: [_Any!]!) { _entities(representations: $r) { ... on Item { id number } } }", r=representations
    )
    assert data["_entities"] == listed["items"]["nodes"]
    assert graph.calls_by_path() == {"teamcenter getProperties": 1}


async def test_aliases_and_repeated_keys_cost_nothing_more(graph: Graph) -> None:
    """Ten times the same object under ten names is one call."""
    unit = graph.world.units[0]
    place = encode("Unit", "tak", unit.uid)
    asked = " ".join(f'u{n}: unit(id: "{place}") {{ callsign }}' for n in range(10))
    data = await graph.data(f"{{ {asked} }}")
    assert [each["callsign"] for each in data.values()] == [unit.callsign] * 10
    assert graph.calls_by_path() == {"tak cot": 1}


@pytest.mark.parametrize(
    "query",
    [
        "{ orders(first: 50) { nodes { id lines { item { number } } vehicle { name } } } }",
        "{ orders(first: 50) { edges { cursor node { id } } } }",
        "subscription { vehicleChanged { id item: name } }",
    ],
)
async def test_what_an_operation_has_read_is_gone_with_it(graph: Graph, query: str) -> None:
    """Not when the collector comes by: after a flood, it would stop everything for as long as half a second."""

    async def once() -> None:
        async with aclosing(graph.follow(query)) as answers:
            assert (await anext(answers)).errors is None

    def living() -> int:
        return sum(isinstance(each, Edge | Page | Loader) for each in gc.get_objects())

    await once()
    gc.collect()
    before = living()
    gc.disable()
    try:
        await once()
        await asyncio.sleep(0)
        assert living() == before
    finally:
        gc.enable()
