"""The crosswalk: rules, links, what an index brings, and what is learnt from records that pass by."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from connectors.kit.protocols import Identity
from resolvers import crosswalk as module
from resolvers.crosswalk import Crosswalk, Link
from unified import records
from unified.keys import Subject
from unified.records import Connectivity, Kind, Source, VehicleState
from unified.values import System

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


def vehicle(external_id: str, plate: str | None, fleet_number: str | None = None, at: str = "fleet") -> records.Vehicle:
    return records.Vehicle(
        source=Source(integration=at, system=System.TRACCAR, external_id=external_id, as_of=NOW),
        name=external_id,
        plate=plate,
        fleet_number=fleet_number,
        connectivity=Connectivity.ONLINE,
        state=VehicleState.PARKED,
    )


def places(crosswalk: Crosswalk, integration: str, number: str) -> list[tuple[str, str | None]]:
    """Where the vehicle of the number is known."""
    key = crosswalk.key(Subject.VEHICLE, integration, number)
    return list(dict.fromkeys((at, each.external_id) for at, each in crosswalk.siblings(Subject.VEHICLE, key)))


def test_a_rule_makes_spellings_equal_and_no_number_has_no_key() -> None:
    crosswalk = Crosswalk()
    assert crosswalk.key(Subject.VEHICLE, "a", "kja-123 ab") == crosswalk.key(Subject.VEHICLE, "b", "KJA123AB")
    assert crosswalk.key(Subject.ITEM, "a", None) is crosswalk.key(Subject.ITEM, "a", "") is None
    assert crosswalk.key(Subject.ITEM, "a", " - ") is None


def test_a_link_joins_what_no_rule_makes_equal_and_only_there() -> None:
    crosswalk = Crosswalk([Link(Subject.ITEM, (("ewm", "000000000000900007"), ("plm", "ASM-77120")))])
    key = crosswalk.key(Subject.ITEM, "ewm", "900007")
    assert key == crosswalk.key(Subject.ITEM, "plm", "asm 77120")
    assert crosswalk.key(Subject.ITEM, "another", "900007") == "900007"
    assert crosswalk.numbers(Subject.ITEM, str(key), "plm") == ["ASM-77120"], "spelt before anything was indexed"
    crosswalk.learn("plm", [Identity(subject=Subject.ITEM, number="ASM/77120", external_id="uid-1")])
    assert crosswalk.numbers(Subject.ITEM, str(key), "plm") == ["ASM-77120", "ASM/77120"]


def test_a_link_never_meets_a_stranger_by_chance() -> None:
    crosswalk = Crosswalk([Link(Subject.ITEM, (("a", "1"), ("b", "2")))])
    assert crosswalk.key(Subject.ITEM, "a", "1") not in {
        crosswalk.key(Subject.ITEM, at, number) for at in ("c", "d") for number in ("1", "2", "=a:1|b:2")
    }


def test_a_record_that_passes_by_is_known_under_all_its_numbers() -> None:
    crosswalk = Crosswalk()
    crosswalk.meet(vehicle("7", "KJA 123 AB", "TRK-007"))
    assert places(crosswalk, "ewm", "KJA123AB") == places(crosswalk, "tak", "TRK7") == [("fleet", "7")]


def test_several_numbers_of_one_thing_lead_to_all_who_know_one_of_them() -> None:
    """The fleet knows plate and number, the command system the number, the ride-hail system the plate."""
    crosswalk = Crosswalk()
    crosswalk.meet(vehicle("7", "KJA 123 AB", "TRK-007"))
    crosswalk.meet(vehicle("KJA-123-AB", "KJA-123-AB", at="uber"))
    crosswalk.learn("tak", [Identity(subject=Subject.VEHICLE, kind=Kind.UNIT, number="TRK007", external_id="uid")])
    assert set(places(crosswalk, "tak", "TRK 7")) == {("fleet", "7"), ("uber", "KJA-123-AB"), ("tak", "uid")}


def test_a_plate_that_moves_leads_to_the_new_vehicle_only() -> None:
    crosswalk = Crosswalk()
    old = vehicle("7", "KJA 123 AB")
    crosswalk.meet(old)
    crosswalk.meet(replace(old, plate="NEW 1"))
    crosswalk.meet(vehicle("8", "KJA 123 AB"))
    assert places(crosswalk, "x", "KJA 123 AB") == [("fleet", "8")]
    assert places(crosswalk, "x", "NEW1") == [("fleet", "7")]


def test_meeting_again_costs_a_look_up_and_kinds_that_do_not_join_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    crosswalk, learnt = Crosswalk(), []
    learn = crosswalk.learn
    monkeypatch.setattr(crosswalk, "learn", lambda *given: learnt.append(given) or learn(*given))
    for _ in range(3):
        crosswalk.meet(vehicle("7", "KJA 123 AB"))
    fence = records.Geofence(
        source=Source(integration="fleet", system=System.TRACCAR, external_id="1", as_of=NOW), name="Yard", geometry={}
    )
    crosswalk.meet(fence)
    assert len(learnt) == 1


def test_an_index_replaces_what_was_known_of_its_integration_only() -> None:
    crosswalk = Crosswalk()
    crosswalk.meet(vehicle("7", "A 1"))
    crosswalk.meet(vehicle("A1", "A 1", at="uber"))
    crosswalk.replace("fleet", [Identity(subject=Subject.VEHICLE, kind=Kind.VEHICLE, number="B 2", external_id="9")])
    assert places(crosswalk, "x", "A1") == [("uber", "A1")]
    assert places(crosswalk, "x", "B2") == [("fleet", "9")]
    crosswalk.meet(vehicle("7", "A 1"))
    assert set(places(crosswalk, "x", "A1")) == {("uber", "A1"), ("fleet", "7")}, "it is there after all"
    crosswalk.replace("uber", [])
    crosswalk.replace("fleet", [])
    assert crosswalk.all_identities() == []


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MET_MOST", 2)
    crosswalk = Crosswalk()
    for number in range(5):
        crosswalk.meet(vehicle(str(number), f"PLATE {number}A"))
    known = [number for number in range(5) if places(crosswalk, "x", f"PLATE {number}A")]
    assert known == [0, 1]


def test_a_machine_is_a_vehicle_to_who_tracks_it_until_its_fleet_number_changes() -> None:
    crosswalk = Crosswalk()
    machine = records.Equipment(
        source=Source(integration="quarry", system=System.MINESTAR, external_id="BELL/AEB1", as_of=NOW),
        name="TRK 07",
        fleet_number="TRK 07",
        serial_number="AEB1",
        equipment_type=records.EquipmentType.HAUL_TRUCK,
        state=records.EquipmentState.RUNNING,
    )
    crosswalk.meet(vehicle("7", None, "TRK-007"))
    crosswalk.meet(machine)
    assert places(crosswalk, "fleet", "TRK-007") == [("fleet", "7"), ("quarry", "BELL/AEB1")]
    assert places(crosswalk, "quarry", "AEB1") == [], "its serial number is no plate"
    crosswalk.meet(replace(machine, name="TRK 08", fleet_number="TRK 08"))
    assert places(crosswalk, "fleet", "TRK-007") == [("fleet", "7")]
    assert places(crosswalk, "fleet", "TRK-008") == [("quarry", "BELL/AEB1")]


def test_machines_are_told_by_their_own_number_and_not_by_their_names() -> None:
    """Every mine has a truck called `Truck 1`."""
    crosswalk = Crosswalk()
    for at, serial in (("north", "S-1"), ("south", "S-2")):
        crosswalk.meet(
            records.Equipment(
                source=Source(integration=at, system=System.EQUIPMENT, external_id="t1", as_of=NOW),
                name="Truck 1",
                serial_number=serial,
                equipment_type=records.EquipmentType.OTHER,
                state=records.EquipmentState.IDLE,
            )
        )
    key = crosswalk.key(Subject.EQUIPMENT, "north", "S-1")
    assert [at for at, _ in crosswalk.siblings(Subject.EQUIPMENT, key)] == ["north"]
