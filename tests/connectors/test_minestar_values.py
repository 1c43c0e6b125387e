"""What providers' texts and numbers mean: nulls, units, times, levels; XML and JSON that must not be believed."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some
from lxml import etree

from connectors.kit.errors import BadPayload, MappingFailed
from connectors.kit.integration import Origin
from connectors.minestar import answers, mapping, series, values, wire
from connectors.minestar.mapping import Rules
from connectors.minestar.series import Reading
from connectors.minestar.settings import Settings
from unified.records import Equipment, EquipmentState, MachineMeters
from unified.values import System

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
ORIGIN = Origin(integration="quarry", system=System.MINESTAR, as_of=NOW)
HEAD = "<EquipmentHeader><OEMName>X</OEMName><SerialNumber>S1</SerialNumber></EquipmentHeader>"


def rules(**settings: Any) -> Rules:
    return mapping.rules_of(Settings(**settings))


def machine(inner: str, bad: list[MappingFailed] | None = None, **settings: Any) -> Equipment:
    """A machine of XML elements; a fault is an error unless it is asked for."""
    told = answers.document(f"<Fleet><Equipment>{HEAD}{inner}</Equipment></Fleet>".encode())
    assert isinstance(told, wire.Fleet)
    faults: list[MappingFailed] = []
    (found,) = mapping.fleet(told, rules(**settings), ORIGIN, faults)
    if bad is None:
        assert faults == []
    else:
        bad += faults
    return found


def meter(inner: str, name: str, **settings: Any) -> float | None:
    meters = machine(inner, **settings).meters
    found = getattr(meters, name) if meters is not None else None
    return None if found is None else found.value


# --- units


@pytest.mark.parametrize(
    ("unit", "value", "km"),
    [
        ("kilometre", "100", 100.0), ("kilometers", "100", 100.0), ("KM", "100", 100.0), ("mile", "100", 160.934),
        ("miles", "203928.3", 328190.786), ("Mi", "1", 1.609), ("metre", "1500", 1.5), ("feet", "1000", 0.305),
        ("missing", "7.25", 7.25), ("", "7.25", 7.25),
    ],
)  # fmt: skip
def test_distances(unit: str, value: str, km: float) -> None:
    told = f"<Distance><OdometerUnits>{unit}</OdometerUnits><Odometer>{value}</Odometer></Distance>"
    assert meter(told, "odometer_km") == km


@pytest.mark.parametrize(
    ("unit", "litres"),
    [
        ("litre", 100.0), ("liter", 100.0), ("Litres", 100.0), ("L", 100.0), ("gallon", 378.541),
        ("US Gallons", 378.541), ("imperial gallon", 454.609), ("gal", 378.541),
    ],
)  # fmt: skip
def test_fuel(unit: str, litres: float) -> None:
    told = f"<FuelUsed><FuelUnits>{unit}</FuelUnits><FuelConsumed>100</FuelConsumed></FuelUsed>"
    assert meter(told, "fuel_used_litres") == litres


@pytest.mark.parametrize(
    ("unit", "kg"),
    [
        ("kilogram", 1000.0), ("Kilograms", 1000.0), ("tonne", 1_000_000.0), ("metric ton", 1_000_000.0),
        ("t", 1_000_000.0), ("pound", 453.592), ("lbs", 453.592), ("short ton", 907_184.74),
    ],
)  # fmt: skip
def test_payload(unit: str, kg: float) -> None:
    told = (
        f"<CumulativePayloadTotals><PayloadUnits>{unit}</PayloadUnits><Payload>1000</Payload></CumulativePayloadTotals>"
    )
    assert meter(told, "payload_total_kg") == kg
    other = f"<CumulativePayloadTotals><WeightUnit>{unit}</WeightUnit><Payload>1000</Payload></CumulativePayloadTotals>"
    assert meter(other, "payload_total_kg") == kg


def test_a_unit_that_may_mean_several_is_no_value() -> None:
    bad: list[MappingFailed] = []
    told = "<CumulativePayloadTotals><PayloadUnits>ton</PayloadUnits><Payload>1</Payload></CumulativePayloadTotals>"
    assert machine(told, bad).meters is None
    (fault,) = bad
    assert "the unit at `$.Equipment[0].payloadunits` is none that is known: 'ton'" in fault.message
    assert fault.path == "$.Equipment[0].CumulativePayloadTotals"


def test_mix_tells_the_unit_in_the_name_and_the_time_as_date_time() -> None:
    found = machine(
        '<FuelUsed dateTime="2026-11-25T09:00:00Z"><FuelConsumedLitres>12.5</FuelConsumedLitres></FuelUsed>'
        '<Distance dateTime="2026-11-25T08:00:00Z"><OdometerKilometre>7</OdometerKilometre></Distance>'
    )
    assert found.meters is not None
    assert found.meters.fuel_used_litres is not None
    assert found.meters.odometer_km is not None
    assert (found.meters.fuel_used_litres.value, found.meters.odometer_km.value) == (12.5, 7)
    assert found.meters.odometer_km.recorded_at == datetime(2026, 11, 25, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "hours"),
    [
        ("<Hour>PT13H28M30S</Hour>", 13.475), ("<Hour>P1DT7H2M3S</Hour>", 31.034167), ("<Hour>PT0S</Hour>", 0.0),
        ("<Hour>P2D</Hour>", 48.0), ("<Hour>PT1.5H</Hour>", 1.5), ("<Hour> 8376.20 </Hour>", 8376.2),
        ("<minutes>90</minutes>", 1.5), ("<Hour/>", None), ("<Hour>N/A</Hour>", None), ("<Hour>missing</Hour>", None),
        ("<Hour>NaN</Hour>", None),
    ],
)  # fmt: skip
def test_hours(told: str, hours: float | None) -> None:
    wanted = f"<CumulativeOperatingHours>{told}</CumulativeOperatingHours>"
    assert meter(wanted, "engine_hours") == hours


@pytest.mark.parametrize("told", ["P", "PT", "P1Y", "PT1.2.3H", "-5", "eight", "1_000", "Infinity", "8376,20"])
def test_hours_that_are_none(told: str) -> None:
    bad: list[MappingFailed] = []
    machine(f"<CumulativeOperatingHours><Hour>{told}</Hour></CumulativeOperatingHours>", bad)
    assert [each.path for each in bad] == ["$.Equipment[0].CumulativeOperatingHours"]


# --- levels


@pytest.mark.parametrize(
    ("told", "meant", "percent"),
    [
        ("62.40", "unsure", 62.4), ("63", "unsure", 63.0), ("1", "unsure", 1.0), ("0", "unsure", 0.0),
        ("0.0", "unsure", 0.0), ("100.00", "unsure", 100.0), ("1.5", "unsure", 1.5),
        ("0.62", "ratio", 62.0), ("1", "ratio", 100.0), ("1.0", "ratio", 100.0), ("0.624", "ratio", 62.4),
        ("0.62", "percent", 0.62), ("1.0", "percent", 1.0),
        ("101", "unsure", None), ("-1", "unsure", None), ("1.2", "ratio", None), ("N/A", "ratio", None),
    ],
)  # fmt: skip
def test_levels(told: str, meant: Any, percent: float | None) -> None:
    wanted = f"<FuelRemaining><Percent>{told}</Percent></FuelRemaining>"
    assert meter(wanted, "fuel_percent", percent=meant) == percent


@pytest.mark.parametrize("told", ["0.62", "1.0", "0.01"])
def test_a_level_that_may_be_either_is_no_value_and_says_what_to_write(told: str) -> None:
    bad: list[MappingFailed] = []
    assert machine(f"<FuelRemaining><Percent>{told}</Percent></FuelRemaining>", bad).meters is None
    assert '`percent = "ratio"`' in bad[0].message
    body = json.dumps({"EquipmentHeader": {"PIN": "1"}, "DEFRemaining": {"Percent": float(told)}})
    found = answers.document(body.encode())
    assert isinstance(found, wire.Fleet)
    mapping.fleet(found, rules(), ORIGIN, bad)
    assert len(bad) == 2
    whole = answers.document(b'{"EquipmentHeader": {"PIN": "1"}, "DEFRemaining": {"Percent": 1}}')
    assert isinstance(whole, wire.Fleet)
    (one,) = mapping.fleet(whole, rules(), ORIGIN, bad)
    assert one.meters == MachineMeters(def_percent=one.meters.def_percent if one.meters else None)
    assert len(bad) == 2


# --- times and places


@pytest.mark.parametrize(
    ("told", "zone", "wanted"),
    [
        ("2026-11-25T09:00:00Z", "UTC", datetime(2026, 11, 25, 9, tzinfo=UTC)),
        ("2026-11-25T09:00:00", "UTC", datetime(2026, 11, 25, 9, tzinfo=UTC)),
        ("2026-11-25T09:00:00", "Australia/Perth", datetime(2026, 11, 25, 1, tzinfo=UTC)),
        ("2026-11-25T09:00:00.5+02:00", "UTC", datetime(2026, 11, 25, 7, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-25 09:00:00", "UTC", datetime(2026, 11, 25, 9, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", "UTC", None),
        ("", "UTC", None),
        ("missing", "UTC", None),
    ],
)
def test_times(told: str, zone: str, wanted: datetime | None) -> None:
    found = machine(f'<EngineStatus datetime="{told}"><Running>true</Running></EngineStatus>', time_zone=zone)
    assert found.updated_at == wanted


@pytest.mark.parametrize("told", ["yesterday", "2026-13-01T00:00:00Z", "9999-12-30T23:00:00-23:59x"])
def test_times_that_are_none(told: str) -> None:
    bad: list[MappingFailed] = []
    machine(f'<EngineStatus datetime="{told}"><Running>true</Running></EngineStatus>', bad)
    assert ["no ISO 8601 time" in each.message for each in bad] == [True]


def test_a_place_beyond_the_earth_is_none() -> None:
    at = 'datetime="2026-11-25T09:00:00Z"'
    for latitude, longitude in (("91", "0"), ("-90.5", "0"), ("0", "181"), ("", "3"), ("missing", "3")):
        told = f"<Location {at}><Latitude>{latitude}</Latitude><Longitude>{longitude}</Longitude></Location>"
        assert machine(told).position is None
    told = f"<Location {at}><Latitude>-90</Latitude><Longitude>180</Longitude><Altitude>100</Altitude>"
    found = machine(f"{told}<AltitudeUnits>feet</AltitudeUnits></Location>").position
    assert found is not None
    assert (found.latitude, found.longitude, found.altitude_m, found.stale) == (-90, 180, 30.48, False)


def test_a_place_without_a_time_bears_the_snapshots_and_is_stale() -> None:
    body = (
        f'<Fleet snapshotTime="2026-11-25T09:15:00Z"><Equipment>{HEAD}<Location><Latitude>1</Latitude>'
        "<Longitude>2</Longitude></Location></Equipment></Fleet>"
    )
    told = answers.document(body.encode())
    assert isinstance(told, wire.Fleet)
    (found,) = mapping.fleet(told, rules(), ORIGIN, [])
    assert found.position is not None
    assert (found.position.recorded_at, found.position.stale) == (datetime(2026, 11, 25, 9, 15, tzinfo=UTC), True)
    place = "<Location><Latitude>1</Latitude><Longitude>2</Longitude></Location>"
    assert machine(place).position is None, "no time is known at all"


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ("true", EquipmentState.RUNNING), ("True", EquipmentState.RUNNING), ("1", EquipmentState.RUNNING),
        ("false", EquipmentState.IDLE), ("FALSE", EquipmentState.IDLE), ("N/A", EquipmentState.UNKNOWN),
        ("", EquipmentState.UNKNOWN),
    ],
)  # fmt: skip
def test_running(told: str, state: EquipmentState) -> None:
    assert machine(f"<EngineStatus><Running>{told}</Running></EngineStatus>").state is state


def test_one_of_several_engines_is_enough() -> None:
    two = "<EngineStatus><Running>{}</Running></EngineStatus>" * 2
    assert machine(two.format("true", "false")).state is EquipmentState.RUNNING
    assert machine(two.format("false", "true")).state is EquipmentState.RUNNING
    assert machine(two.format("false", "N/A")).state is EquipmentState.IDLE


def test_other_figures_are_sensors() -> None:
    found = machine(
        '<FuelUsedLast24 datetime="2026-11-25T09:00:00Z"><FuelUnits>gallon</FuelUnits><FuelConsumed>10</FuelConsumed>'
        "</FuelUsedLast24><CumulativePowerTakeOffHours><Hour>3</Hour></CumulativePowerTakeOffHours>"
        "<MaximumSpeedLast24><SpeedUnits>mile per hour</SpeedUnits><Speed>20</Speed></MaximumSpeedLast24>"
        "<AverageDailyLoadFactorLast24><LoadFactor>41</LoadFactor></AverageDailyLoadFactorLast24>"
    )
    assert [(each.sensor, each.value, each.unit) for each in found.sensors] == [
        ("FuelUsedLast24", 37.854, "L"),
        ("CumulativePowerTakeOffHours", 3.0, "h"),
        ("MaximumSpeedLast24", 32.187, "km/h"),
        ("AverageDailyLoadFactorLast24", 41.0, "%"),
    ]
    assert found.sensors[0].recorded_at == datetime(2026, 11, 25, 9, tzinfo=UTC)


def test_a_machine_without_any_number_is_left_out_and_told() -> None:
    bad: list[MappingFailed] = []
    told = answers.document(
        b"<Fleet><Equipment><EquipmentHeader><OEMName>X</OEMName></EquipmentHeader></Equipment></Fleet>"
    )
    assert isinstance(told, wire.Fleet)
    assert mapping.fleet(told, rules(), ORIGIN, bad) == []
    assert [each.message for each in bad] == ["`$.Equipment[0]` has no serial number, PIN or EquipmentID"]


@pytest.mark.parametrize(
    ("make", "number", "key"),
    [("CAT", "SHH00123", "CAT/SHH00123"), ("", "1", "/1"), ("A/B", "x/y%", "A%2FB/x%2Fy%25"),
     ("Björn", "é 1", "Bj%C3%B6rn/%C3%A9 1")],
)  # fmt: skip
def test_the_key_of_a_machine_is_read_back(make: str, number: str, key: str) -> None:
    assert mapping.machine_key(make, number) == key
    assert mapping.key_parts(key) == (make, number)


@pytest.mark.parametrize("text", ["", "CAT", "CAT/", "a/b/c"])
def test_what_is_no_key_of_a_machine(text: str) -> None:
    assert mapping.key_parts(text) is None


def test_elements_that_the_standard_does_not_know_disturb_nothing() -> None:
    found = machine(
        '<BatteryPotential datetime="2026-11-25T09:00:00Z"><BatteryPotential>13.3</BatteryPotential><Value>1</Value>'
        "</BatteryPotential><CumulativeOperatingHours><Hour>5</Hour><Odd/><!-- a comment --></CumulativeOperatingHours>"
        "<CumulativeMovingHours><Hour>99</Hour></CumulativeMovingHours><Metadata><MachineId>7</MachineId></Metadata>"
        "<FuelUsed><FuelConsumed>7</FuelConsumed></FuelUsed>"
    )
    assert found.meters is not None
    assert found.meters.engine_hours is not None
    assert found.meters.fuel_used_litres is not None
    assert (found.meters.engine_hours.value, found.meters.fuel_used_litres.value) == (5, 7)
    assert found.updated_at == datetime(2026, 11, 25, 9, tzinfo=UTC)


# --- counters


def readings(*rows: tuple[int, float]) -> list[Reading]:
    """Hours since the 20th at 00:00 UTC, and values."""
    start = datetime(2026, 11, 20, tzinfo=UTC)
    return [Reading(start + timedelta(hours=hour), series.Decimal(str(value))) for hour, value in rows]


def test_the_first_day_counts_from_its_own_first_value_and_others_from_the_day_before() -> None:
    found = series.gains(readings((6, 100), (18, 150), (30, 220), (42, 300), (99, 310)), UTC)
    assert [(day.day, int(gain.value)) for day, gain in found.items()] == [(20, 50), (21, 150), (24, 10)]


def test_a_fall_is_no_production_and_no_loss() -> None:
    found = series.gains(readings((1, 900), (2, 910), (3, 0), (4, 5), (28, 7)), UTC)
    assert [(day.day, int(gain.value)) for day, gain in found.items()] == [(20, 15), (21, 2)]


@given(some.lists(some.tuples(some.integers(0, 200), some.integers(0, 10_000)), max_size=40))
def test_days_add_up_to_what_the_counter_rose(rows: list[tuple[int, int]]) -> None:
    found = sorted(readings(*rows), key=lambda each: each.at)
    rose = sum(max(0, later.value - before.value) for before, later in pairwise(found))
    for zone in (UTC, ZoneInfo("Australia/Perth"), timezone(timedelta(hours=-11))):
        assert sum(gain.value for gain in series.gains(found, zone).values()) == rose


def test_a_day_at_the_change_of_the_clock_has_23_hours() -> None:
    zone = ZoneInfo("Europe/Berlin")
    first, second = (series.start_of(day, zone) for day in (datetime(2026, 3, 29).date(), datetime(2026, 3, 30).date()))  # noqa: DTZ001
    assert second - first == timedelta(hours=23)


# --- what must not be believed

LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
<!ENTITY lol3 "&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;">]>
<Fleet><Equipment><EquipmentHeader><OEMName>&lol3;</OEMName></EquipmentHeader></Equipment></Fleet>"""
EXTERNAL = b"""<?xml version="1.0"?><!DOCTYPE Fleet [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<Fleet><Equipment><EquipmentHeader><OEMName>&x;</OEMName></EquipmentHeader></Equipment></Fleet>"""


@pytest.mark.parametrize("body", [LAUGHS, EXTERNAL, LAUGHS.decode().encode("utf-16")])
def test_entities_and_dtds_are_refused(body: bytes) -> None:
    with pytest.raises(BadPayload) as caught:
        answers.document(body)
    assert "DTD" in str(caught.value)
    assert "root:" not in str(caught.value)


def test_a_dtd_is_refused_before_the_parser_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etree, "fromstring", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(BadPayload, match="has a document type"):
        answers.document(LAUGHS)


def test_an_entity_without_a_dtd_is_no_xml() -> None:
    with pytest.raises(BadPayload, match="the answer is no XML"):
        answers.document(b"<Fleet><Equipment>&xxe;</Equipment></Fleet>")


@pytest.mark.parametrize(
    "body",
    [
        b"<Fleet>" + b"<a>" * 5_000 + b"</a>" * 5_000 + b"</Fleet>",
        b"<Fleet><Equipment></Fleet>",
        b"<html><body>Log in</body></html>",
        b"<Error><Message>no</Message></Error>",
        b"<Fleet",
        b"\xff\xfe\x00",
        b"{",
        b"[[[[[[[[[[",
        b"[" * 100_000,
        b'{"Equipment": 7}',
        b'{"Equipment": [7]}',
        b'{"Equipment": [{"EquipmentHeader": []}]}',
        b'{"Equipment": [{"EquipmentHeader": {"PIN": "1"}, "FuelUsed": 7}]}',
        b'{"Links": 7}',
        b'{"what": "else"}',
        b'[{"a": 1}, {"b": 2}]',
        b"7",
        b"null",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_nonsense_is_a_clear_error_with_a_place(body: bytes) -> None:
    with pytest.raises(BadPayload) as caught:
        answers.document(body)
    assert caught.value.path
    assert caught.value.path.startswith("$")


@given(some.binary(max_size=300))
def test_whatever_comes_is_a_document_or_an_error_of_ours(body: bytes) -> None:
    for start in (b"", b"<Fleet>", b'{"Equipment": [', b"["):
        try:
            told = answers.document(start + body)
        except BadPayload:
            continue
        if isinstance(told, wire.Fleet):
            mapping.fleet(told, rules(), ORIGIN, [])


_JSON = some.recursive(
    some.none() | some.booleans() | some.floats(allow_nan=False) | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3)
    | some.dictionaries(
        some.sampled_from(
            ["Equipment", "EquipmentHeader", "Links", "Fleet", "FuelUsed", "FuelConsumed", "Location", "Latitude",
             "PIN", "datetime", "Percent", "FuelRemaining", "FaultCode", "Hour", "CumulativeOperatingHours", "rel",
             "href"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(_JSON)
def test_json_of_any_form_is_a_document_or_an_error_of_ours(told: Any) -> None:
    try:
        found = answers.document(json.dumps(told).encode())
    except BadPayload:
        return
    if isinstance(found, wire.Fleet):
        for each in mapping.fleet(found, rules(), ORIGIN, []):
            assert each.source.external_id


def test_a_page_of_a_thousand_machines_is_read_in_a_moment() -> None:
    inner = f"<Equipment>{HEAD}<FuelUsed><FuelConsumed>7</FuelConsumed></FuelUsed></Equipment>" * 1_000
    began = time.process_time()
    told = answers.document(f"<Fleet>{inner}</Fleet>".encode())
    assert isinstance(told, wire.Fleet)
    assert len(told.machines) == 1_000
    assert time.process_time() - began < 1.0


def test_texts_without_bound_are_cut() -> None:
    assert values.text("x" * 5_000) == "x" * 200
