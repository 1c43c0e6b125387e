"""Every sample reads to the values of its expected file, by `crossdock decode` and by the connector's code."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from connectors.kit.errors import BadPayload, MappingFailed, NotFound, RateLimited, SessionExpired
from connectors.kit.http import by_status
from connectors.kit.integration import Origin
from connectors.kit.manifest import Payload
from connectors.kit.outcomes import raise_for
from connectors.minestar import MineStar, answers, mapping, wire
from connectors.minestar.settings import Settings
from server import decoding
from unified import records
from unified.records import EquipmentState, EquipmentType
from unified.values import System

SAMPLES = Path(__file__).parents[1] / "samples" / "minestar"
RULES = mapping.rules_of(Settings())
METERS = {
    "operatingHours": "engine_hours",
    "fuelPercent": "fuel_percent",
    "defPercent": "def_percent",
    "fuelUsedLitres": "fuel_used_litres",
    "odometer": "odometer_km",
}
"""Names of the expected files, and ours."""


def origin(at: datetime) -> Origin:
    return Origin(integration="quarry", system=System.MINESTAR, as_of=at)


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def expected(name: str) -> Any:
    return json.loads(sample(name))


def read(name: str) -> tuple[wire.Fleet, list[records.Equipment]]:
    told = answers.document(sample(name))
    assert isinstance(told, wire.Fleet)
    bad: list[MappingFailed] = []
    found = mapping.fleet(told, RULES, origin(datetime(2026, 8, 21, 17, tzinfo=UTC)), bad)
    assert bad == []
    return told, found


def decoded(name: str, **more: Any) -> list[dict[str, Any]]:
    lines, readable = decoding.decode(
        MineStar.manifest, sample(name), as_kind=more.get("as_kind"), headers=more.get("headers", []), status=200
    )
    assert readable, lines
    return [json.loads(line) for line in lines]


def when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@pytest.mark.parametrize("name", ["aemp-snapshot-iso", "aemp-snapshot-jcma", "aemp-snapshot-bell"])
def test_snapshots_in_three_namespaces(name: str) -> None:
    told, found = read(f"{name}.xml")
    wanted = expected(f"{name}.expected.json")["equipment"]
    assert len(found) == len(wanted)
    for machine, record, row in zip(told.machines, found, wanted, strict=True):
        who = mapping.header(machine.header)
        assert (who.make, who.model, who.equipment_id, who.serial, who.pin) == (
            row["make"], row["model"], row["equipmentId"], row["serial"], row["pin"],
        )  # fmt: skip
        assert mapping.installed_at(who, RULES) == when(row["installedAt"])
        assert (record.manufacturer, record.model, record.name) == (row["make"], row["model"], row["equipmentId"])
        assert (record.serial_number, record.source.external_id) == (row["serial"], f"{row['make']}/{row['serial']}")
        assert record.position is not None
        place = row["location"]
        assert (record.position.latitude, record.position.longitude) == (place["lat"], place["lon"])
        assert record.position.recorded_at == when(place["at"])
        for theirs, ours in METERS.items():
            meter = getattr(record.meters, ours)
            if theirs not in row:
                assert meter is None, ours
            else:
                assert (meter.value, meter.recorded_at) == (row[theirs]["value"], when(row[theirs]["at"]))
        assert record.source.vendor_status == str(row["engineRunning"]["value"]).lower()


def test_trackunits_page_one_of_four() -> None:
    told, found = read("aemp-snapshot-iso.xml")
    base = "https://iris.trackunit.com/public/api/aemp/v2/15143/-3/Fleet"
    assert [(each.rel, each.href) for each in told.links] == [
        ("self", f"{base}/1"), ("next", f"{base}/2"), ("last", f"{base}/4"),
    ]  # fmt: skip
    assert (told.version, told.snapshot_time) == ("0", None)
    assert [each.position.altitude_m for each in found if each.position] == [295.0, 120.0, None]


def test_takeuchis_times_are_child_elements_and_its_zeros_are_unknown() -> None:
    _, found = read("aemp-snapshot-jcma.xml")
    first = found[0]
    assert first.meters is not None
    assert first.meters.engine_hours == records.Metered(
        value=233.7, recorded_at=datetime(2021, 5, 20, 11, 8, 34, tzinfo=UTC)
    )
    assert [each.state for each in found] == [EquipmentState.OFFLINE] * 3, "five years ago"
    assert decoded("aemp-snapshot-jcma.xml")[0]["hasNext"] is False, "next is the page itself"


def test_bells_counters_of_loads_and_payload() -> None:
    _, (found,) = read("aemp-snapshot-bell.xml")
    meters = found.meters
    assert meters is not None
    assert meters.load_count is not None
    assert meters.payload_total_kg is not None
    assert meters.idle_hours is not None
    assert meters.fuel_percent is not None
    assert meters.load_count.value == 13_252
    assert meters.payload_total_kg.value / 1000 == 596_361.594
    assert meters.idle_hours.value == 3_808.96
    assert meters.fuel_percent.value == 63, "not the 47 % of the exhaust fluid"
    assert (found.equipment_type, found.state) == (EquipmentType.HAUL_TRUCK, EquipmentState.RUNNING)


def test_aemp_1_2_has_durations_miles_and_make() -> None:
    _, found = read("aemp-1.2-gpsinsight.xml")
    for record, row in zip(found, expected("aemp-1.2-gpsinsight.expected.json")["equipment"], strict=True):
        assert record.manufacturer == row["make"]
        assert record.meters is not None
        assert record.meters.engine_hours is not None
        assert record.meters.odometer_km is not None
        assert record.meters.engine_hours.value == row["operatingHours"]
        assert record.meters.odometer_km.value == row["odometer_km"]
        assert record.position is not None
        assert record.position.altitude_m == row.get("altitude_m", 0.0)
    told, _ = read("aemp-1.2-gpsinsight.xml")
    assert told.version == "1.2"


def test_bodas_list_around_the_object() -> None:
    told, (found,) = read("aemp-json-bodas-page1.json")
    assert found.source.external_id == "Rexroth/SNP50123123456789"
    assert (found.name, found.serial_number) == ("sn50123", "SNP50123123456789")
    assert found.position is not None
    assert (found.position.latitude, found.position.longitude, found.position.altitude_m) == (48.479507, 8.929208, 424)
    assert found.meters is not None
    assert found.meters.fuel_used_litres == records.Metered(
        value=730.0, recorded_at=datetime(2022, 9, 23, 17, 17, 38, 342_000, tzinfo=UTC)
    )
    assert [each.rel for each in told.links] == ["self", "next", "prev", "last"]
    lines = decoded("aemp-json-bodas-page1.json")
    assert (lines[0]["hasNext"], lines[0]["machines"]) == (False, 1)


def test_bodas_time_series_has_no_zone_and_a_next_page() -> None:
    lines = decoded("aemp-json-bodas-timeseries.json")
    wanted = expected("aemp-json-bodas-timeseries.expected.json")
    assert lines[0]["hasNext"] is wanted["has_next"]
    readings = [each for each in lines if each["kind"] == "CounterReading"]
    assert [(float(each["value"]), each["at"]) for each in readings] == [
        (each["hours"], each["at"]) for each in wanted["readings"]
    ]
    there = decoded("aemp-json-bodas-timeseries.json", headers=["time_zone: Europe/Berlin"])
    assert there[1]["at"] == "2022-09-23T15:15:39Z"


def test_loads_of_a_day() -> None:
    wanted = expected("aemp-timeseries-loadcount.expected.json")
    lines = decoded("aemp-timeseries-loadcount.xml")
    assert lines[0]["readings"] == wanted["readings"]
    gains = {each["day"]: int(Decimal(each["gained"])) for each in lines if each["kind"] == "CounterGain"}
    assert gains == wanted["loads"]
    there = decoded("aemp-timeseries-loadcount.xml", headers=["site_zone: Australia/Perth"])
    assert {each["day"]: each["gained"] for each in there if each["kind"] == "CounterGain"} == {
        "2026-08-20": "0",
        "2026-08-21": "120",
        "2026-08-22": "80",
    }


@pytest.mark.parametrize("row", expected("aemp-empty.json"), ids=lambda row: row["body"][:20])
def test_empty_answers(row: dict[str, Any]) -> None:
    if isinstance(row["expected"], str):
        with pytest.raises(BadPayload, match="neither XML nor JSON"):
            answers.document(row["body"].encode())
        return
    told = answers.document(row["body"].encode())
    ((what, wanted),) = row["expected"].items()
    assert wanted == []
    if what == "readings":
        assert isinstance(told, wire.Series)
        assert told.elements == []
    else:
        assert isinstance(told, wire.Fleet)
        assert told.machines == []


def test_cats_snapshot() -> None:
    told, (found,) = read("cat-snapshot.json")
    assert [each.rel for each in told.links] == ["self", "next", "last"]
    at = datetime(2026, 3, 1, 3, 10, 5, tzinfo=UTC)
    assert (told.version, told.snapshot_time) == ("1", "2026-03-01T03:12:00Z")
    assert found.source.external_id == "CAT/SHH00123"
    assert (found.name, found.manufacturer, found.model) == ("T101", "CAT", "789D")
    assert (found.equipment_type, found.state) == (EquipmentType.HAUL_TRUCK, EquipmentState.RUNNING)
    assert found.source.vendor_status == "True"
    assert found.meters == records.MachineMeters(
        engine_hours=records.Metered(value=18_234.5, recorded_at=at),
        idle_hours=records.Metered(value=4_021.1, recorded_at=at),
        fuel_used_litres=records.Metered(value=2_540_012.0, recorded_at=at),
        fuel_percent=records.Metered(value=61.0, recorded_at=at),
        odometer_km=records.Metered(value=212_345.6, recorded_at=at),
    )
    assert found.position is not None
    assert (found.position.latitude, found.position.longitude, found.position.recorded_at) == (-23.36, 119.67, at)
    lines = decoded("cat-snapshot.json")
    assert lines[0]["hasNext"] is True
    assert lines[2]["meters"]["engineHours"] == {"value": 18_234.5, "recordedAt": "2026-03-01T03:10:05Z"}


@pytest.mark.parametrize("row", expected("cat-errors.json"), ids=lambda row: row["body"]["code"])
def test_cats_errors(row: dict[str, Any]) -> None:
    request = httpx.Request("GET", "https://services.cat.com/telematics/iso15143/fleet/1")
    response = httpx.Response(row["status"], json=row["body"], request=request)
    told = answers.outcome(response, lambda: 4_711.0) or by_status(response)
    errors: dict[int, Any] = {401: SessionExpired, 404: NotFound, 429: RateLimited}
    with pytest.raises(errors[row["status"]]) as caught:
        raise_for(told, request, response, "mine")
    assert caught.value.vendor_code == row["body"]["code"]
    assert row["body"]["description"] in str(caught.value)
    if row["status"] == 429:
        assert caught.value.retry_after == 4_711.0, "until midnight, no short pause"
    lines, readable = decoding.decode(
        MineStar.manifest, json.dumps(row["body"]).encode(), as_kind=None, headers=[], status=row["status"]
    )
    assert readable
    outcomes = {401: "AUTH_EXPIRED", 404: "ABSENT", 429: "THROTTLED"}
    assert json.loads(lines[0])["outcome"] == outcomes[row["status"]]
    if row["status"] == 429:
        assert 0 < json.loads(lines[0])["retryAfter"] <= 86_400


def test_an_export_of_cycles() -> None:
    (cycle,) = decoded("minestar-cycle-export.csv")
    assert cycle["source"]["externalId"] == "9001"
    assert cycle["kind"] == "HaulCycle"
    assert (cycle["truck"], cycle["loadingUnit"]) == ("T101", "EX07")
    assert (cycle["sourceLocation"], cycle["destinationLocation"]) == ("P2-1010-14", "CRUSHER")
    assert (cycle["startedAt"], cycle["endedAt"]) == ("2026-02-28T23:03:12Z", "2026-02-28T23:31:40Z")
    assert Decimal(cycle["payloadKg"]) == 181_250
    assert [cycle[f"{each}Seconds"] for each in ("queuing", "loading", "travelling", "dumping")] == [
        120,
        205,
        1_325,
        58,
    ]
    assert cycle["fuelUsedLitres"] == 61.5
    (there,) = decoded("minestar-cycle-export.csv", headers=["site_zone: Africa/Lagos"])
    assert there["startedAt"] == "2026-03-01T06:03:12Z", "the settings know better than the column heads"


def test_every_sample_is_recognised_by_what_it_is() -> None:
    kinds = {
        name.name: [each.name for each in MineStar.manifest.decoders if each.recognises(_payload(name.read_bytes()))]
        for name in SAMPLES.iterdir()
        if name.suffix in (".xml", ".json", ".csv") and "expected" not in name.name and "empty" not in name.name
    }
    assert kinds == {
        "aemp-1.2-gpsinsight.xml": ["aemp-fleet"],
        "aemp-json-bodas-page1.json": ["aemp-fleet"],
        "aemp-json-bodas-timeseries.json": ["aemp-series"],
        "aemp-snapshot-bell.xml": ["aemp-fleet"],
        "aemp-snapshot-iso.xml": ["aemp-fleet"],
        "aemp-snapshot-jcma.xml": ["aemp-fleet"],
        "aemp-timeseries-loadcount.xml": ["aemp-series"],
        "cat-errors.json": [],
        "cat-snapshot.json": ["aemp-fleet"],
        "minestar-cycle-export.csv": ["minestar-cycles"],
    }


def _payload(body: bytes) -> Any:
    return Payload(body=body)


def test_samsaras_answer_made_of_its_definition() -> None:
    """The object in `Fleet`, with the examples of the definition as values."""
    schemas = yaml.safe_load(sample("samsara-aemp-openapi.yaml"))["components"]["schemas"]
    body = {"Fleet": _example(schemas, "AempFleetListResponseBody")}
    told = answers.document(json.dumps(body).encode())
    assert isinstance(told, wire.Fleet)
    assert (told.version, told.snapshot_time) == ("1", "2019-06-13T19:08:25Z")
    assert [(each.rel, each.href) for each in told.links] == [("self", "https://api.samsara.com/aemp/Fleet/1")]
    bad: list[MappingFailed] = []
    (found,) = mapping.fleet(told, RULES, origin(datetime(2019, 6, 13, 20, tzinfo=UTC)), bad)
    assert bad == []
    at = datetime(2019, 6, 13, 19, 8, 25, tzinfo=UTC)
    assert found.source.external_id == "Bobcat/8V8WD530FLN016251"
    assert (found.name, found.model, found.serial_number) == ("494123", "S630 T4", "8V8WD530FLN016251")
    assert found.state in (EquipmentState.RUNNING, EquipmentState.IDLE)
    assert found.position is not None
    assert (found.position.latitude, found.position.longitude, found.position.recorded_at) == (12.34, 12.34, at)
    assert found.meters is not None
    assert found.meters.engine_hours == records.Metered(value=12.34, recorded_at=at)
    assert found.meters.def_percent == records.Metered(value=12.0, recorded_at=at)
    assert found.meters.odometer_km is not None


def _example(schemas: dict[str, Any], name: str) -> Any:
    schema = schemas[name.rpartition("/")[2]]
    made: dict[str, Any] = {}
    for key, each in schema["properties"].items():
        if "$ref" in each:
            made[key] = _example(schemas, each["$ref"])
        elif each["type"] == "array":
            made[key] = [_example(schemas, each["items"]["$ref"])]
        else:
            made[key] = each.get("example", each.get("type") == "boolean")
    return made
