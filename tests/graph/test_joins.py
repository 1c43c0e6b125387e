"""Joins across systems that spell the same thing differently: checked against the world behind the stand-ins."""

from decimal import Decimal

from tests.graph.harness import Graph, graph_over_the_sandbox
from unified.ids import decode


def outside(id: str) -> tuple[str, str]:
    """Integration and vendor's id of an object."""
    place = decode(id)
    return place.integration, place.external_id


async def test_every_line_of_an_order_leads_to_its_item(graph: Graph) -> None:
    """EWM says `104913`, Teamcenter `104-913`; both have it under keys of their own."""
    data = await graph.data("{ orders(first: 200) { nodes { lines { itemNumber item { id number } } } } }")
    lines = [line for order in data["orders"]["nodes"] for line in order["lines"]]
    assert len(lines) > 500
    by_sap = {item.sap_number.lstrip("0"): item for item in graph.world.items}
    for line in lines:
        item = by_sap[line["itemNumber"].lstrip("0")]
        assert line["item"]["number"] == item.teamcenter_number
        assert outside(line["item"]["id"]) == ("plm", item.uid)
    assert any(line["itemNumber"] != line["item"]["number"] for line in lines)


async def test_an_item_has_its_stock_in_every_warehouse(graph: Graph) -> None:
    data = await graph.data(
        """{ items(first: 200) { nodes { number
            inventory { itemNumber warehouse location batch available { value } } } } }"""
    )
    world = graph.world
    by_number = {item.teamcenter_number: item for item in world.items}
    for item in data["items"]["nodes"]:
        stock = world.stock_by_item.get(by_number[item["number"]].key, ())
        assert sorted(
            (each["warehouse"], each["location"], each["batch"] or "", Decimal(each["available"]["value"]))
            for each in item["inventory"]
        ) == sorted((each.warehouse, each.bin_id, each.batch, each.quantity) for each in stock)
    assert sum(len(item["inventory"]) for item in data["items"]["nodes"]) > 300


async def test_what_no_rule_makes_equal_a_link_joins(graph: Graph) -> None:
    """The material 900001 of EWM is the product PRD-77113 of Teamcenter because the configuration says so."""
    links = graph.world.item_links
    assert len(links) == 12
    for sap_number, number in links:
        data = await graph.data(
            """query($number: String!) { item(by: { number: { integration: "ewm-west", number: $number } }) {
                number inventory { itemNumber } } }""",
            number=sap_number,
        )
        assert data["item"]["number"] == number
        assert {each["itemNumber"] for each in data["item"]["inventory"]} <= {sap_number}
    other = await graph.data(
        'query($n: String!) { item(by: { number: { integration: "fleet", number: $n } }) { number } }', n=links[0][0]
    )
    assert other["item"] is None, "the link is between those integrations only"


async def test_an_order_leads_to_its_truck_and_the_truck_to_its_orders(graph: Graph) -> None:
    """`KJA123AB` in EWM is `Truck 07 KJA 123 AB` in Traccar."""
    data = await graph.data(
        """{ orders(first: 200, filter: { statuses: [OPEN, IN_PROGRESS] }) { nodes { id vehiclePlate vehicle {
            id name position { latitude } orders { id vehiclePlate } } } } }"""
    )
    orders = data["orders"]["nodes"]
    assert len(orders) > 100
    for order in orders:
        vehicle = graph.world.vehicle_by_plate[order["vehiclePlate"]]
        assert outside(order["vehicle"]["id"]) == ("fleet", str(vehicle.traccar_id))
        assert order["vehicle"]["name"] == vehicle.traccar_name
        assert order["id"] in [each["id"] for each in order["vehicle"]["orders"]]
        assert {each["vehiclePlate"] for each in order["vehicle"]["orders"]} == {order["vehiclePlate"]}


async def test_a_booking_leads_to_the_car_that_the_fleet_system_follows(graph: Graph) -> None:
    data = await graph.data(
        """{ bookings(filter: { active: true }) { nodes { id vehiclePlate vehicle { id
            bookings { id } sameAs { __typename id source { integration } } } } } }"""
    )
    by_plate = {car.uber_plate: car for car in graph.world.cars}
    with_car = [each for each in data["bookings"]["nodes"] if each["vehiclePlate"]]
    assert len(with_car) > 5
    for booking in with_car:
        car = by_plate[booking["vehiclePlate"]]
        assert outside(booking["vehicle"]["id"]) == ("fleet", str(car.traccar_id))
        assert [each["id"] for each in booking["vehicle"]["bookings"]] == [booking["id"]]
        [same] = booking["vehicle"]["sameAs"]
        assert outside(same["id"]) == ("uber", car.uber_plate)
    assert all(each["vehicle"] is None for each in data["bookings"]["nodes"] if not each["vehiclePlate"])


async def test_a_unit_is_a_vehicle_that_serves_missions(graph: Graph) -> None:
    """`HLV02` of TAK is `Heavy 02` of Traccar by a link; the odd ones by the rule for fleet numbers alone."""
    data = await graph.data(
        """{ units(first: 100) { nodes { uid callsign missions { name }
            vehicle { id units { uid } missions { name } } } } }"""
    )
    units = data["units"]["nodes"]
    of_world = {unit.uid: unit for unit in graph.world.units}
    assert {unit["uid"] for unit in units} > set(of_world), "and a clerk at a desk, and a marker on the map"
    for unit in units:
        known = of_world.get(unit["uid"])
        vehicle = known.vehicle if known is not None else None
        if vehicle is None:
            assert unit["vehicle"] is None
            continue
        assert outside(unit["vehicle"]["id"]) == ("fleet", str(vehicle.traccar_id))
        assert [each["uid"] for each in unit["vehicle"]["units"]] == [unit["uid"]]
        assert unit["vehicle"]["missions"] == unit["missions"]
    for mission in graph.world.missions:
        members = {unit["uid"] for unit in units if mission.name in [each["name"] for each in unit["missions"]]}
        assert members & set(of_world) == set(mission.unit_uids_at(graph.clock.now())) & set(of_world)


async def test_a_machine_makes_an_item_that_knows_its_machine(graph: Graph) -> None:
    data = await graph.data(
        """{ equipment { nodes { id job {
            itemNumber item { number madeOn { id } orders { lines { itemNumber } } } } } } }"""
    )
    jobs = [(machine["id"], machine["job"]) for machine in data["equipment"]["nodes"] if machine["job"]]
    assert len(jobs) >= 4
    by_number = {item.teamcenter_number: item for item in graph.world.items}
    for id_, job in jobs:
        assert job["item"]["number"] in by_number
        assert id_ in [each["id"] for each in job["item"]["madeOn"]]
        for order in job["item"]["orders"]:
            sap_number = by_number[job["item"]["number"]].sap_number.lstrip("0")
            assert sap_number in [line["itemNumber"].lstrip("0") for line in order["lines"]]


async def test_a_structure_and_where_used_are_two_sides_of_one_thing(graph: Graph) -> None:
    product = graph.world.products[0]
    data = await graph.data(
        """query($number: String!) { item(by: { number: { number: $number } }) { number bom(maxLevels: 1) {
            lines { quantity item { number whereUsed { level itemNumber item { number } } } } } } }""",
        number=product.teamcenter_number,
    )
    lines = data["item"]["bom"]["lines"]
    assert [line["item"]["number"] for line in lines] == [
        graph.world.item_by_key[line.item_key].teamcenter_number for line in graph.world.bom(product.key)
    ]
    for line in lines:
        assert product.teamcenter_number in [use["item"]["number"] for use in line["item"]["whereUsed"]]


async def test_a_structure_is_exploded_with_quantities_through_the_levels(graph: Graph) -> None:
    product = graph.world.products[0]
    data = await graph.data(
        """query($number: String!) { item(by: { number: { number: $number } }) { number bom {
            truncated lines { level parent itemNumber quantity totalQuantity item { number } } } } }""",
        number=product.teamcenter_number,
    )
    bom = data["item"]["bom"]
    assert bom["truncated"] is False
    assert max(line["level"] for line in bom["lines"]) == graph.world.depth(product.key) == 5
    for line in bom["lines"]:
        above = Decimal(1) if line["parent"] is None else Decimal(bom["lines"][line["parent"]]["totalQuantity"])
        assert Decimal(line["totalQuantity"]) == above * Decimal(line["quantity"])
        assert line["item"]["number"] == line["itemNumber"]


async def test_a_delivery_has_its_tasks_and_only_those(graph: Graph) -> None:
    """Tasks name the delivery `80001000`, the delivery itself `0080001000`."""
    data = await graph.data(
        """{ orders(first: 100, sources: ["ewm-west"]) { nodes { number
            tasks { number warehouse order { number } } } } }"""
    )
    now = graph.clock.now()
    for order in data["orders"]["nodes"]:
        expected = {
            task.number
            for task in graph.world.tasks
            if task.delivery.number == order["number"]
            and task.state_at(now).created_at <= now
            and task.state_at(now).status != "A"
        }
        assert {task["number"].lstrip("0") for task in order["tasks"]} == {each.lstrip("0") for each in expected}
        assert {task["order"]["number"] for task in order["tasks"]} <= {order["number"]}


async def test_before_any_index_ran_what_passes_by_teaches_the_crosswalk() -> None:
    """A booking's car is unknown until the fleet's vehicles were listed once."""
    booking = "{ bookings(filter: { active: true }) { nodes { vehiclePlate vehicle { name } } } }"
    async with graph_over_the_sandbox(indexed=False) as graph:
        before = [each for each in (await graph.data(booking))["bookings"]["nodes"] if each["vehiclePlate"]]
        assert {each["vehicle"] and each["vehicle"]["name"] for each in before} == {None}
        await graph.data('{ vehicles(first: 200, sources: ["fleet"]) { nodes { id } } }')
        after = [each for each in (await graph.data(booking))["bookings"]["nodes"] if each["vehiclePlate"]]
        assert len(after) == len(before) > 5
        assert all(each["vehicle"] for each in after)


async def test_a_link_joins_before_any_index_ran() -> None:
    """The configuration spells both sides: stock is found without having seen the material once."""
    async with graph_over_the_sandbox(indexed=False) as graph:
        stocked = {graph.world.item_by_key[key].teamcenter_number for key in graph.world.stock_by_item}
        number = next(number for _, number in graph.world.item_links if number in stocked)
        sap_number = next(sap for sap, mine in graph.world.item_links if mine == number)
        data = await graph.data(
            """query($number: String!) { items(filter: { numbers: [$number] }) { nodes { number
                inventory { itemNumber item { number } } } } }""",
            number=number,
        )
        [item] = data["items"]["nodes"]
        assert {(each["itemNumber"], each["item"]["number"]) for each in item["inventory"]} == {(sap_number, number)}
