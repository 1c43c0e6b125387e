"""Ids, keys, filters: what everything else relies on."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified import ids, records
from unified.ids import GlobalId, InvalidId
from unified.keys import Subject, canonical
from unified.queries import VehicleFilter
from unified.values import BoundingBox, Position, System

PART = st.text(st.characters(exclude_characters="\x1f", exclude_categories=("Cs",)), min_size=1, max_size=80)


@given(PART, PART, PART)
def test_an_id_gives_back_what_it_was_made_of(kind: str, integration: str, external: str) -> None:
    assert ids.decode(ids.encode(kind, integration, external)) == GlobalId(kind, integration, external)


@given(st.text(max_size=60))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        place = ids.decode(text)
    except InvalidId:
        return
    assert all(place)


def test_a_text_without_end_is_no_id() -> None:
    with pytest.raises(InvalidId, match="1 to 1,024 characters"):
        ids.decode("A" * 1_025)


@pytest.mark.parametrize(
    ("subject", "one", "other"),
    [
        (Subject.ITEM, "000000000000100234", "100-234"),
        (Subject.ITEM, "PRT10042", "prt-10042"),
        (Subject.VEHICLE, "KJA123AB", "KJA 123 AB"),
        (Subject.VEHICLE, "TRK-007", "TRK007"),
        (Subject.VEHICLE, "trk 7", "TRK-007"),
        (Subject.ORDER, "0080000123", "80000123"),
    ],
)
def test_spellings_of_one_thing_have_one_key(subject: Subject, one: str, other: str) -> None:
    assert canonical(subject, one) == canonical(subject, other)


def test_things_that_differ_keep_their_keys() -> None:
    assert canonical(Subject.ITEM, "100234") != canonical(Subject.ITEM, "1002340")
    assert canonical(Subject.ITEM, "000") == "000"
    assert canonical(Subject.VEHICLE, "TRK-007") != canonical(Subject.VEHICLE, "TRK-070")


def _vehicle(latitude: float, longitude: float) -> records.Vehicle:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    return records.Vehicle(
        source=records.Source(integration="fleet", system=System.TRACCAR, external_id="7", as_of=now),
        name="Truck",
        plate="KJA 123 AB",
        connectivity=records.Connectivity.ONLINE,
        state=records.VehicleState.MOVING,
        position=Position(latitude=latitude, longitude=longitude, recorded_at=now),
    )


def test_a_record_makes_its_id_from_its_source() -> None:
    assert ids.decode(_vehicle(0, 0).id) == GlobalId("Vehicle", "fleet", "7")


def test_a_filter_holds_only_when_all_conditions_hold() -> None:
    lagos = BoundingBox(south=6, west=3, north=7, east=4)
    assert VehicleFilter(within=lagos, plate="kja-123-ab").matches(_vehicle(6.5, 3.4))
    assert not VehicleFilter(within=lagos).matches(_vehicle(9.0, 7.4))
    assert not VehicleFilter(within=lagos, plate="ABC-1").matches(_vehicle(6.5, 3.4))
    assert VehicleFilter().empty


def test_a_box_may_cross_the_antimeridian() -> None:
    pacific = BoundingBox(south=-20, west=170, north=0, east=-170)
    assert pacific.contains(-10, 175)
    assert pacific.contains(-10, -175)
    assert not pacific.contains(-10, 0)
