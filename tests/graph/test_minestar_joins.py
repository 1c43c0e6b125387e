"""The quarry in the graph: machines, their cycles, delays, alerts and production meet, and its road trucks are the
vehicles that a GPS tracker reports under another spelling."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.minestar import CAT, Aemp
from sandbox.world import World
from tests.connectors.contract import NOW, FakeClock
from tests.graph.harness import Graph, graph_over_the_sandbox
from unified.ids import decode, encode


@pytest.fixture
async def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Graph]:
    """The mine's exports lie where the sandbox's configuration says, below a working directory of our own."""
    monkeypatch.chdir(tmp_path)
    Aemp(World(FakeClock().now), CAT).export(tmp_path / "var/sandbox/minestar/exports", hours=24)
    async with graph_over_the_sandbox(
        integrations=("mine", "quarry", "fleet"), modules=("minestar", "traccar")
    ) as made:
        yield made


def outside(id: str) -> tuple[str, str]:
    place = decode(id)
    return place.integration, place.external_id


def key_of(machine: Any) -> str:
    return f"{machine.make}/{machine.serial}"


async def test_a_cycle_leads_to_the_truck_and_its_loader_under_their_other_names(graph: Graph) -> None:
    """MineStar says T103, Cat's service T-103."""
    data = await graph.data(
        """{ haulCycles(first: 200) { totalCount nodes { truckName loadingUnitName payloadKg
            hauledBy { id name type } loadedBy { id name type } } } }"""
    )
    by_export = {one.export_name: one for one in graph.world.quarry if one.export_name}
    cycles = data["haulCycles"]["nodes"]
    assert data["haulCycles"]["totalCount"] == sum(
        len(list(one.cycles(NOW - timedelta(hours=24), NOW))) for one in by_export.values()
    )
    spellings = 0
    for cycle in cycles:
        truck, loader = by_export[cycle["truckName"]], by_export[cycle["loadingUnitName"]]
        assert outside(cycle["hauledBy"]["id"]) == ("mine", key_of(truck))
        assert outside(cycle["loadedBy"]["id"]) == ("mine", key_of(loader))
        assert cycle["hauledBy"]["type"] == "HAUL_TRUCK"
        assert cycle["loadedBy"]["type"] == "LOADING_UNIT"
        spellings += cycle["truckName"] != cycle["hauledBy"]["name"]
    assert spellings > 30


async def test_a_machine_has_its_cycles_delays_and_alerts(graph: Graph) -> None:
    truck = graph.world.quarry_machine_by_key["QT-103"]
    data = await graph.data(
        """query($id: ID!) { equipmentUnit(id: $id) { name state
            meters { engineHours { value recordedAt } } position { latitude recordedAt }
            haulCycles { truckName startedAt } delays { equipmentName reason category engineStopped }
            maintenanceAlerts { code severity occurredAt equipment { name } } } }""",
        id=encode("Equipment", "mine", key_of(truck)),
    )
    found = data["equipmentUnit"]
    report = truck.report_at(NOW)
    assert found["name"] == "T-103"
    assert found["meters"]["engineHours"]["value"] == report.meters.engine_h
    assert found["position"]["latitude"] == report.latitude
    since = NOW - timedelta(hours=24)
    assert len(found["haulCycles"]) == len(list(truck.cycles(since, NOW)))
    assert {each["truckName"] for each in found["haulCycles"]} == {"T103"}
    assert [(each["reason"], each["category"], each["engineStopped"]) for each in found["delays"]] == [
        (each.reason, each.category, each.engine_stopped) for each in reversed(list(truck.delays(since, NOW)))
    ]
    faults = list(truck.faults_between(NOW - timedelta(days=14), NOW))
    assert [each["code"] for each in found["maintenanceAlerts"]] == [each.code for each in reversed(faults)]
    assert {each["equipment"]["name"] for each in found["maintenanceAlerts"]} == {"T-103"}


async def test_production_leads_to_its_machine(graph: Graph) -> None:
    truck = graph.world.quarry_machine_by_key["QA-201"]
    data = await graph.data(
        """query($key: String!) { productionRecords(filter: { equipment: [$key] }, sources: ["quarry"]) {
            nodes { startedAt loads payloadKg operatingHours equipment { id fleetNumber } } } }""",
        key=key_of(truck),
    )
    found = data["productionRecords"]["nodes"]
    assert [each["startedAt"] for each in found][-1] == "2026-11-24T23:00:00Z", "midnight in Lagos"
    assert len(found) == 7
    assert {(each["equipment"]["fleetNumber"], outside(each["equipment"]["id"])) for each in found} == {
        ("ADT 201", ("quarry", key_of(truck)))
    }
    assert all(each["loads"] > 20 and float(each["payloadKg"]) > 20 * 40_000 for each in found[:-1])


async def test_a_machine_leads_to_its_production(graph: Graph) -> None:
    """Of each machine its own days, newest first; those that count nothing have none."""
    data = await graph.data(
        """{ equipment(first: 100, sources: ["quarry"]) { nodes { id production { startedAt loads
            equipment { id } } } } }"""
    )
    days = [each["production"] for each in data["equipment"]["nodes"]]
    assert max(map(len, days)) == 7
    for machine in data["equipment"]["nodes"]:
        starts = [each["startedAt"] for each in machine["production"]]
        assert starts == sorted(set(starts), reverse=True)
        assert {each["equipment"]["id"] for each in machine["production"]} <= {machine["id"]}


async def test_a_truck_of_the_tracker_is_the_machine_of_its_maker(graph: Graph) -> None:
    """Traccar says TRK-007, the maker's service TRK 07. Where Traccar knows the plate alone nothing joins."""
    data = await graph.data(
        """{ vehicles(first: 200, sources: ["fleet"]) { nodes { name fleetNumber position { latitude }
            sameAs { __typename id ... on Equipment { name meters { odometerKm { value } } } } } } }"""
    )
    road = {
        one.vehicle.traccar_name: one
        for one in graph.world.quarry
        if one.vehicle is not None and one.vehicle.traccar_fleet_number is not None
    }
    assert len(road) == 2
    joined = {each["name"]: each["sameAs"] for each in data["vehicles"]["nodes"] if each["sameAs"]}
    assert joined.keys() == road.keys()
    for name, found in joined.items():
        (machine,) = found
        assert machine["__typename"] == "Equipment"
        assert outside(machine["id"]) == ("quarry", key_of(road[name]))
        assert machine["name"] == road[name].equipment_id != name
        assert machine["meters"]["odometerKm"]["value"] == road[name].report_at(NOW).meters.odometer_km


async def test_a_machine_of_its_maker_is_the_truck_of_the_tracker(graph: Graph) -> None:
    """The way back, for the whole fleet at once: one call each for the pages of the fleets, devices, positions."""
    data = await graph.data(
        """{ equipment(first: 100, sources: ["quarry"]) { nodes { fleetNumber
            sameAs { __typename id ... on Vehicle { name fleetNumber sameAs { id } } } source { externalId } id } } }"""
    )
    road = {
        key_of(one): one.vehicle
        for one in graph.world.quarry
        if one.vehicle is not None and one.vehicle.traccar_fleet_number is not None
    }
    assert len(road) == 2
    joined = {each["source"]["externalId"]: each for each in data["equipment"]["nodes"] if each["sameAs"]}
    assert joined.keys() == road.keys()
    for key, machine in joined.items():
        (truck,) = machine["sameAs"]
        assert truck["__typename"] == "Vehicle"
        assert outside(truck["id"]) == ("fleet", str(road[key].traccar_id))
        assert truck["fleetNumber"] != machine["fleetNumber"], "another spelling"
        assert truck["sameAs"] == [{"id": machine["id"]}]
    assert graph.calls_by_path()["traccar devices"] == 1
    assert graph.calls()["traccar"] <= 2


async def test_the_machines_of_a_page_cost_few_calls(graph: Graph) -> None:
    await graph.data(
        """{ equipment(first: 50) { nodes { name maintenanceAlerts { code } haulCycles { startedAt } } } }"""
    )
    # a call for each machine's faults: the pages of the fleets were read a moment before, by the check
    assert graph.calls() == {"minestar": 10, "aemp": 10}
