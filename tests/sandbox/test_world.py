"""The little world: its sizes, that it is always the same, and that time moves it as things move."""

import hashlib
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from sandbox.world import SITES, Booking, Place, World, distance_m

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> World:
    return World(clock=lambda: NOON)


def normalised(number: str) -> str:
    return number.upper().replace("-", "").replace(" ", "").lstrip("0")


def test_sizes(world: World) -> None:
    assert Counter(item.object_type for item in world.items) == {
        "Part": 190,
        "Assembly": 134,
        "Design": 32,
        "Material": 28,
        "Product": 24,
        "Tool": 12,
    }
    assert Counter(one.warehouse for one in world.bins) == {"1710": 60, "1720": 60, "1730": 60}
    assert Counter(one.direction for one in world.deliveries) == {"outbound": 180, "inbound": 40}
    assert (len(world.warehouse_orders), len(world.tasks)) == (90, 300)
    assert Counter(one.kind for one in world.vehicles) == {"truck": 24, "ride_hail": 16, "heavy": 8}
    assert (len(world.printers), len(world.missions), len(world.units), len(world.geofences)) == (8, 6, 14, 10)
    assert (world.warehouses("west"), world.warehouses("north")) == (("1710", "1720"), ("1730",))


def digest(world: World, at: datetime) -> str:
    """Of everything there is, and of what moves at one moment; floats rounded as their states are."""
    parts: list[object] = [world.items, world.item_links, world.bins, world.stock, world.missions]
    parts += [one.traccar_area for one in world.geofences]
    parts += [(one, one.state_at(at)) for one in world.deliveries]
    parts += [(one, one.state_at(at)) for one in world.tasks]
    parts += [(one.number, one.state_at(at)) for one in world.warehouse_orders]
    parts += [(one, one.state_at(at)) for one in world.vehicles]
    parts += [(one, one.state_at(at)) for one in world.printers]
    parts += [(one.uid, one.state_at(at)) for one in world.units]
    parts += [(one, one.state_at(at)) for one in world.bookings.at(at)]
    parts += [world.bom(item.key, "manufacturing") for item in world.items]
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()[:16]


def test_the_same_every_time(world: World) -> None:
    assert digest(World(), NOON) == digest(world, NOON)
    assert digest(world, NOON) == "acc192c5938408b8"


def test_structures_are_five_levels_deep(world: World) -> None:
    assert {world.depth(product.key) for product in world.products} == {5}
    made = [item for item in world.items if item.made]
    assert Counter(len(world.bom(item.key)) for item in made) == {4: 51, 5: 48, 3: 41, 2: 40, 6: 10}
    assert all(len(world.bom(item.key, "manufacturing")) == len(world.bom(item.key)) + 1 for item in made)
    assert not any(world.bom(item.key) for item in world.items if not item.made)


def test_lines(world: World) -> None:
    lines = [line for item in world.items for line in world.bom(item.key, "manufacturing")]
    assert len(lines) == len({line.uid for line in lines}) == len(world.line_by_uid)
    for item in world.items:
        found = [line.find_number for line in world.bom(item.key, "manufacturing")]
        assert found == [10 * place for place in range(1, len(found) + 1)]
    empty = [line for line in lines if line.quantity is None]
    assert (len(empty), {line.amount for line in empty}) == (81, {Decimal(1)})
    assert Decimal("0.250") in {line.quantity for line in lines}
    added = [world.bom(item.key, "manufacturing")[-1].item_key for item in world.items if item.made]
    assert all(world.item_by_key[key].consumable for key in added)


def test_where_used_is_the_structure_read_backwards(world: World) -> None:
    for item in world.items:
        assert all(line in world.bom(line.parent_key) for line in world.where_used(item.key))
    assemblies = [item for item in world.items if item.object_type in ("Assembly", "Design")]
    assert Counter(min(len(world.where_used(item.key)), 3) for item in assemblies) == {1: 121, 2: 38, 3: 7}


def test_numbers_differ_per_vendor_and_normalise_except_for_the_links(world: World) -> None:
    linked = dict(world.item_links)
    assert len(linked) == 12
    for item in world.items:
        assert item.key == normalised(item.sap_number)
        if item.sap_number in linked:
            assert item.teamcenter_number == linked[item.sap_number]
            assert normalised(item.teamcenter_number) != item.key
        else:
            assert normalised(item.teamcenter_number) == item.key
        assert item.teamcenter_number != item.sap_number
    written = Counter("digits" if item.sap_number.isdigit() else "letters" for item in world.items)
    assert written == {"digits": 216, "letters": 204}
    assert {len(item.sap_number) for item in world.items if item.sap_number.isdigit()} == {18}
    uids = [*world.item_by_uid, *world.revision_by_uid, *world.line_by_uid]
    assert len(uids) == len(set(uids))
    assert all(re.fullmatch(r"[A-Za-z0-9$_]{14}", uid) for uid in uids)


def test_revisions(world: World) -> None:
    assert Counter(len(item.revisions) for item in world.items) == {1: 144, 2: 121, 3: 155}
    assert {one.released for item in world.items for one in item.revisions[:-1]} == {True}
    unreleased = [item for item in world.items if not item.latest.released]
    assert len(unreleased) == 71
    for item in unreleased:
        before = item.revisions[-2] if len(item.revisions) > 1 else None
        assert item.latest_released is before


def test_stock_is_everywhere_somewhere_and_nowhere(world: World) -> None:
    used = {line.item_key for item in world.items for line in world.bom(item.key, "manufacturing")}
    sites = Counter(len({row.warehouse for row in world.stock_by_item.get(key, ())}) for key in used)
    assert sites == {0: 33, 1: 91, 2: 116, 3: 119}
    filled = {(row.warehouse, row.bin_id) for row in world.stock}
    assert {(one.warehouse, one.id) for one in world.bins if not one.empty} == filled
    assert Counter(row.stock_type for row in world.stock) == {"F2": 830, "Q4": 63, "B6": 63}


def test_vehicles_are_spelt_four_ways(world: World) -> None:
    truck = world.vehicle_by_key["TRK-007"]
    assert (truck.plate, truck.sap_plate, truck.uber_plate) == ("IBA-220-GF", "IBA220GF", "IBA 220 GF")
    assert (truck.tak_callsign, truck.traccar_name) == ("TRK007", "Truck 07 IBA 220 GF")
    names = ("plate", "traccar_id", "imei", "traccar_name", "tak_callsign", "tak_uid")
    for name in names:
        assert len({getattr(one, name) for one in world.vehicles}) == 48
    for one in world.vehicles:
        doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(one.imei)]
        assert len(one.imei) == 15
        assert sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


@pytest.mark.parametrize("kind", ["truck", "ride_hail", "heavy"])
def test_vehicles_move_no_faster_than_they_say(world: World, kind: str) -> None:
    """Over half an hour, second by second; the odometer never goes back and agrees with the way made."""
    for vehicle in (one for one in world.vehicles if one.kind == kind and not one.offline_every_s):
        moved = 0.0
        for a, b in pairwise(vehicle.track(NOON, NOON + timedelta(minutes=30), step_s=1)):
            way = distance_m((a.latitude, a.longitude), (b.latitude, b.longitude))
            assert way <= max(a.speed_kmh, b.speed_kmh) / 3.6 + 0.6
            assert a.ignition or not a.motion
            assert 0 <= b.odometer_m - a.odometer_m < way + 20
            assert b.engine_ms - a.engine_ms in range(1001)
            if a.motion and b.motion:
                assert (a.latitude, a.longitude) != (b.latitude, b.longitude)
            moved += way
        assert moved > 1000


def test_fuel_goes_down_until_it_is_filled_up(world: World) -> None:
    truck = world.vehicle_by_key["TRK-001"]
    levels = [state.fuel_l for state in truck.track(NOON, NOON + timedelta(days=2), step_s=60)]
    jumps = [b - a for a, b in pairwise(levels) if b > a]
    assert (len(jumps), min(levels) > 0, max(levels) <= truck.tank_l) == (3, True, True)


def test_changes_agree_with_the_states(world: World) -> None:
    truck = world.vehicle_by_key["TRK-002"]
    changes = list(truck.changes(NOON, NOON + timedelta(hours=3)))
    assert changes == sorted(changes, key=lambda one: one.at)
    assert [one.kind for one in changes if "ignition" in one.kind][:2] == ["ignition_on", "ignition_off"]
    for change in changes:
        before, after = (truck.state_at(change.at + timedelta(seconds=by)) for by in (-2, 2))
        if change.kind in ("moving", "stopped"):
            assert (before.motion, after.motion) == (change.kind == "stopped", change.kind == "moving")
        else:
            assert (before.ignition, after.ignition) == (
                change.kind == "ignition_off",
                change.kind == "ignition_on",
            )


def test_two_vehicles_are_offline_at_times(world: World) -> None:
    moments = [NOON + timedelta(seconds=30 * n) for n in range(80)]
    silent = {one.key: sum(not one.state_at(at).online for at in moments) for one in world.vehicles}
    assert {key: count for key, count in silent.items() if count} == {"TRK-011": 14, "HLV-05": 14}
    truck = world.vehicle_by_key["TRK-011"]
    seen = {truck.state_at(at).at for at in moments if not truck.state_at(at).online}
    assert len(seen) == 1


def test_every_delivery_has_a_truck_of_its_own_site(world: World) -> None:
    for delivery in world.deliveries:
        truck = world.vehicle_by_plate[delivery.vehicle]
        assert (truck.kind, truck.site.warehouse) == ("truck", delivery.warehouse)
        assert re.fullmatch(r"0\d{9}", delivery.number)
        assert 1 <= len(delivery.lines) <= 6


def test_a_delivery_goes_through_its_day_and_begins_again(world: World) -> None:
    delivery = next(one for one in world.deliveries if not one.late_s)
    begun = delivery.begun_at(NOON)
    seen = [delivery.state_at(begun + timedelta(hours=hours)) for hours in (1, 10, 15, 17, 19, 25)]
    assert [(one.picking, one.goods_moved, one.completion) for one in seen] == [
        ("not_started", "not_started", "not_started"),
        ("partial", "not_started", "partial"),
        ("complete", "not_started", "partial"),
        ("complete", "complete", "partial"),
        ("complete", "complete", "complete"),
        ("not_started", "not_started", "not_started"),
    ]
    assert seen[0].planned_at == begun + timedelta(hours=16)
    assert seen[5].planned_at == seen[0].planned_at + timedelta(days=1)


def test_tasks_follow_their_delivery(world: World) -> None:
    for order in world.warehouse_orders:
        begun = order.delivery.begun_at(NOON)
        assert order.state_at(begun).status == ""
        last = order.state_at(begun + timedelta(hours=14)).status
        assert last == ("A" if all(task.cancelled for task in order.tasks) else "C")
        moved: defaultdict[int, Decimal] = defaultdict(Decimal)
        for task in order.tasks:
            moved[task.line] += task.quantity
            assert (task.warehouse, task.source_bin) in world.bin_by_id
            assert (task.warehouse, task.destination_bin) in world.bin_by_id
        wanted = {line.number: line.quantity for line in order.delivery.lines}
        assert all(wanted[line] == quantity for line, quantity in moved.items())
    assert Counter(task.state_at(NOON).status for task in world.tasks) == {"": 129, "D": 6, "C": 155, "A": 10}
    assert Counter(order.state_at(NOON).status for order in world.warehouse_orders) == {"": 37, "D": 6, "C": 45, "A": 2}


def test_printers_go_through_their_jobs(world: World) -> None:
    moments = [NOON + timedelta(seconds=15 * n) for n in range(480)]
    seen = {one.id: {one.state_at(at).mode for at in moments} for one in world.printers}
    assert seen.pop("printer-3") == {"printing", "paused", "idle"}
    assert seen.pop("printer-5") == {"printing", "error", "idle"}
    assert seen.pop("printer-8") == {"closed"}
    assert set(map(frozenset, seen.values())) == {frozenset({"printing", "idle"})}
    for printer in world.printers[:7]:
        for a, b in pairwise(printer.state_at(at) for at in moments):
            assert b.job in (a.job, a.job + 1)
            if a.job == b.job:
                assert a.progress_pct <= b.progress_pct
        for file in printer.files:
            assert 240 <= file.print_s <= 900
            assert world.item_by_key[file.item_key].teamcenter_number == file.name.split("_")[-2]


def test_about_sixty_bookings_at_any_time(world: World) -> None:
    counts = [len(world.bookings.at(NOON + timedelta(minutes=7 * n))) for n in range(60)]
    assert (min(counts), max(counts)) == (53, 65)


def test_a_booking_is_found_again_by_its_id(world: World) -> None:
    another = World()
    for booking in world.bookings.at(NOON):
        assert another.bookings.get(booking.id) == booking
    assert world.bookings.get("00000000-0000-4000-8000-000000000000") is None
    assert world.bookings.get("nonsense") is None


def test_bookings_take_every_way_they_may(world: World) -> None:
    ways: Counter[str] = Counter()
    hour = timedelta(hours=1)
    found: dict[str, Booking] = {}
    for booking, _ in world.bookings.steps(NOON, NOON + 12 * hour):
        found[booking.id] = booking
    for booking in found.values():
        statuses = [step.status for step in booking.steps if step.status != "scheduled"]
        assert [step.at for step in booking.steps] == sorted(step.at for step in booking.steps)
        ways[" ".join(statuses)] += 1
    assert set(ways) == {
        "processing accepted arriving in_progress completed",
        "processing accepted driver_redispatched accepted arriving in_progress completed",
        "processing accepted rider_canceled",
        "processing no_drivers_available",
    }


def test_no_car_has_two_bookings_at_once(world: World) -> None:
    found = {one.id: one for n in range(40) for one in world.bookings.at(NOON + timedelta(minutes=20 * n))}
    busy = sorted((one.vehicle.key, one.requested_at, one.steps[-1].at) for one in found.values())
    assert not [a for a, b in pairwise(busy) if a[0] == b[0] and a[2] > b[1]]


def test_a_trip_is_where_its_car_is(world: World) -> None:
    def spot(booking: Booking, at: datetime) -> tuple[float, float]:
        car = booking.state_at(at).car
        assert car is not None
        assert car == world.vehicle_by_key[booking.vehicle.key].state_at(at)
        return car.latitude, car.longitude

    rides = [one for one in world.bookings.at(NOON) if one.steps[-1].status == "completed"]
    for booking in rides:
        assert spot(booking, booking.pickup_at) == (booking.pickup.latitude, booking.pickup.longitude)
        almost = booking.dropoff_at - timedelta(seconds=1)
        dropoff = booking.dropoff.latitude, booking.dropoff.longitude
        assert distance_m(spot(booking, almost), dropoff) < 25
        assert booking.state_at(booking.dropoff_at).car is None


def test_a_requested_trip_gets_the_nearest_car_and_completes(world: World) -> None:
    car = world.cars[3]
    here = car.state_at(NOON)
    pickup = Place("1 Broad Street", here.latitude, here.longitude)
    dropoff = Place("2 Broad Street", here.latitude + 0.01, here.longitude)
    guest = ("Ada", "Eze", "+2347005550001")
    trip = world.bookings.request("11111111-2222-4333-8444-555555555555", NOON, guest, pickup, dropoff)
    assert trip.vehicle is car
    assert (trip.pickup, trip.dropoff, trip.guest_phone) == (pickup, dropoff, "+2347005550001")
    assert [step.status for step in trip.steps] == ["processing", "accepted", "arriving", "in_progress", "completed"]
    later = NOON + timedelta(hours=2)
    ahead = world.bookings.request("x", NOON, guest, pickup, dropoff, scheduled_for=later)
    assert ahead.state_at(NOON).status == "scheduled"
    assert timedelta(minutes=-3) <= ahead.pickup_at - later <= timedelta(minutes=3)


def test_heavy_vehicles_are_units(world: World) -> None:
    riding = [unit for unit in world.units if unit.vehicle]
    assert [unit.callsign for unit in riding] == [f"HLV0{n}" for n in range(1, 9)]
    for unit in riding:
        assert unit.vehicle is not None
        state, seen = unit.state_at(NOON), unit.vehicle.state_at(NOON)
        assert (state.latitude, state.longitude) == (seen.latitude, seen.longitude)
    for unit in world.units[8:]:
        a, b = unit.state_at(NOON), unit.state_at(NOON + timedelta(seconds=1))
        assert 1.0 < distance_m((a.latitude, a.longitude), (b.latitude, b.longitude)) < 1.3


def test_mission_logs_grow_and_agree_with_what_is_there(world: World) -> None:
    for mission in world.missions:
        hour = NOON + timedelta(hours=1)
        log = list(mission.changes(mission.created_at, hour + timedelta(microseconds=1)))
        assert [one.number for one in log] == list(range(1, len(log) + 1))
        assert log[-1].at > NOON
        uids: list[str] = []
        hashes: list[str] = []
        for change in log:
            if change.content:
                (hashes.append if change.kind == "content_added" else hashes.remove)(change.content.sha256)
            if change.unit_uid:
                (uids.append if change.kind == "unit_added" else uids.remove)(change.unit_uid)
        assert tuple(uids) == mission.unit_uids_at(hour)
        assert hashes == [one.sha256 for one in mission.contents_at(hour)]
        assert set(uids) <= set(world.unit_by_uid)


def test_geofences(world: World) -> None:
    assert Counter(one.kind for one in world.geofences) == {"circle": 6, "polygon": 4}
    gate, yard, area = world.geofences[:3]
    assert gate.traccar_area == "CIRCLE (6.450000 3.364000, 150.0)"
    assert yard.traccar_area.startswith("POLYGON ((6.447754 3.360836, ")
    inside, outside = SITES[0].point, SITES[1].point
    assert all(one.contains(*inside) and not one.contains(*outside) for one in (gate, yard, area))


def test_the_clock_is_the_callers() -> None:
    times = iter([NOON, NOON + timedelta(seconds=5)])
    world = World(clock=lambda: next(times))
    assert (world.now(), world.now()) == (NOON, NOON + timedelta(seconds=5))


@pytest.mark.parametrize("name", ["key", "sap_number", "teamcenter_number", "uid"])
def test_no_number_is_given_twice(world: World, name: str) -> None:
    assert len({getattr(item, name) for item in world.items}) == 420
