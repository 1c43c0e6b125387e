"""Every sample frame reads to what its expected values say, and is answered with the expected bytes.

The expected values are the output of Traccar's decoders. Those miscount in six frames, and take a serial number for a
geofence, or CR LF for an altitude: `MISREAD` says what is there instead, and why.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.gt02 import Trackers, answers, decoders, gt02, gt06
from connectors.gt02.frames import Frame, answer, crc_itu, frames
from connectors.gt02.report import Login, Report
from connectors.gt02.session import Finding, Session
from connectors.gt02.settings import Tracker
from connectors.kit.errors import BadPayload
from server import decoding

SAMPLES = Path(__file__).parents[1] / "samples" / "gt02"
NOW = datetime(2026, 11, 21, 22, 4, 52, tzinfo=UTC)
FIELDS = {
    "satellites": "sat",
    "status": "status",
    "ignition": "ignition",
    "charging": "charge",
    "blocked": "blocked",
    "armed": "armed",
    "battery_percent": "batteryLevel",
    "battery_volts": "battery",
    "supply_volts": "power",
    "gsm": "rssi",
    "buffered": "archive",
    "odometer_m": "odometer",
    "driver": "driverUniqueId",
    "result": "result",
}
"""Ours and Traccar's name of the same thing, in the same unit."""

MISREAD: dict[str, dict[str, Any]] = {
    # a cell of 2+2+2+3 bytes after its count of 10 (which counts itself): Traccar passes over one byte more
    "78782727110c0b0e170f850450059107f461ae001c7e0a81360104cb8a00bef32806030c02ff000316b10d0a": {
        "attributes": {
            "sat": 5, "status": 0x28, "ignition": False, "charge": False, "blocked": False, "batteryLevel": 100,
            "rssi": 3, "alarm": "tampering", "geofence": 255,
        },
    },
    # the same with 2+2+4+8 after a count of 17
    "78782ea4110c0c02281bf6026c18720c38d22800149c1181cc00010000260e000000000615f8012c05041102ff001058fd0d0a": {
        "attributes": {
            "sat": 6, "status": 0x2C, "ignition": False, "charge": True, "blocked": False, "batteryLevel": 83,
            "rssi": 4, "alarm": "powerOff", "geofence": 255,
        },
        "cells": [{"mcc": 460, "mnc": 1, "lac": 0x260E, "cid": 0x0615F801, "rssi": None}],
    },
    # 4+8 bytes of LAC and cell id after a count of 16: the status is right, the cell is not
    "78782da4150817073b10cf032eea9c0b6ce0800015141001cc0100009a00000000000a6f24014605041900ff01908a640d0a": {
        "cells": [{"mcc": 460, "mnc": 1, "lac": 0x9A00, "cid": 0x0A6F2401, "rssi": None}],
    },
    # a cell id of four bytes, as its count of 10 says: Traccar takes eight, and CR LF for the altitude
    "78782732180214123324ca0162bdf0041f45d900190b0a02d4000bc5270000ec025206040202005e07e10d0a": {
        "attributes": {
            "sat": 10, "status": 0x52, "ignition": True, "charge": False, "blocked": False, "batteryLevel": 100,
            "rssi": 4, "alarm": "powerCut,powerCut",
        },
        "cells": [{"mcc": 724, "mnc": 11, "lac": 50471, "cid": 60418, "rssi": None}],
        "altitude_m": None,
    },
    # no event data in the short form: Traccar takes the serial number, 1, for it
    "78780c95130a0209321c91000112800d0a": {"attributes": {"event": 145, "alarm": "hardBraking"}},
    "78780c95130a071223200100013ad10d0a": {"attributes": {"event": 1, "alarm": "general"}},
}  # fmt: skip


def cases() -> list[Any]:
    rows = [json.loads(path.read_text()) for path in sorted(SAMPLES.glob("*.expected.json"))]
    rows += [json.loads(line) for line in (SAMPLES / "corpus-gt06.jsonl").read_text().splitlines()]
    return [pytest.param(row, id=f"{row['type']}-{row['hex'][4:28]}") for row in rows]


CASES = cases()


def the_frame(text: str) -> Frame:
    (frame,) = frames(bytes.fromhex(text))
    return frame


def read(row: dict[str, Any]) -> Report:
    frame = the_frame(row["hex"])
    return gt02.read(frame) if frame.family == "gt02" else gt06.read(frame, UTC, row.get("device_model_configured"))


def iso(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def attributes(report: Report) -> dict[str, Any]:
    """In Traccar's words."""
    found: dict[str, Any] = {
        theirs: getattr(report, ours) for ours, theirs in FIELDS.items() if getattr(report, ours) is not None
    }
    if report.alarms:
        found["alarm"] = ",".join(report.alarms)
    if report.engine_seconds is not None:
        found["hours"] = report.engine_seconds * 1000
    return {**found, **report.extras}


def test_all_samples_are_here() -> None:
    assert len(CASES) == 122
    assert len(list(SAMPLES.glob("*.hex"))) == 29


@pytest.mark.parametrize("row", CASES)
def test_the_frame(row: dict[str, Any]) -> None:
    frame = the_frame(row["hex"])
    assert (frame.family, f"0x{frame.type:02x}", frame.ragged) == (
        row["protocol"],
        row["type"],
        not row["length_matches_frame"],
    )
    if row["protocol"] == "gt06":
        assert frame.good_crc is row["crc_ok"]
        assert f"{crc_itu(frame.raw[2:-4]):04x}" == row["crc_itu_computed"]
    else:
        assert frame.serial == row["index"]


@pytest.mark.parametrize("row", [case for case in CASES if case.values[0]["decoded"] is not None])
def test_the_values(row: dict[str, Any]) -> None:
    report, wanted = read(row), {**row["decoded"], **MISREAD.get(row["hex"], {})}
    told = dict(wanted.get("attributes", {}))
    if (type_ := told.pop("type", None)) is not None:
        assert report.type == type_
    if row["protocol"] == "gt02":
        assert report.imei == row["imei"]
        told.pop("index")
        assert report.voltage_level == told.pop("power", None)
        assert {**attributes(report), "sat": None} == {**told, "sat": None}
    else:
        assert attributes(report) == told
    fix = report.fix
    if "fix_time" not in wanted:
        assert fix is None
        assert iso(report.device_time) == wanted.get("device_time")
    elif fix is None:  # no place: both are 0, and the device says so
        assert (wanted["latitude"], wanted["longitude"], wanted["valid"]) == (0, 0, False)
        assert iso(report.device_time) == wanted["fix_time"]
    else:
        assert (iso(fix.at), fix.valid, fix.latitude, fix.longitude, fix.speed_kmh, fix.course_deg, fix.altitude_m) == (
            wanted["fix_time"],
            wanted["valid"],
            wanted["latitude"],
            wanted["longitude"],
            wanted["speed_kph"],
            wanted["course_deg"],
            wanted.get("altitude_m"),
        )
    assert {(each.mcc, each.mnc, each.lac, each.cid, each.rssi) for each in report.cells} == {
        (each["mcc"], each["mnc"], each["lac"], each["cid"], each["rssi"]) for each in wanted.get("cells", [])
    }
    assert {(each.mac, each.rssi) for each in report.access_points} == {
        (each["mac"], each["rssi"]) for each in wanted.get("wifi", [])
    }
    assert report.doubtful is None
    assert not report.cut


def test_places_times_speeds_and_courses_differ_nowhere() -> None:
    """Of what was misread, nothing but states, cells and one altitude is read otherwise here."""
    for changes in MISREAD.values():
        assert changes.keys() <= {"attributes", "cells", "altitude_m"}


@pytest.mark.parametrize("row", [case for case in CASES if case.values[0]["decoded"] is None])
def test_frames_that_say_nothing(row: dict[str, Any]) -> None:
    frame = the_frame(row["hex"])
    if row["type"] == "0x01":
        assert isinstance(gt06.login(frame), Login)
    else:
        assert frame.empty or not gt06.speaks(frame)


@pytest.mark.parametrize("row", CASES)
def test_the_answer(row: dict[str, Any]) -> None:
    """What a logged-in tracker with this IMEI is answered."""
    imei = row.get("imei") or "353419036066061"
    tracker = Tracker(imei=imei, model=row.get("device_model_configured"))
    session = Session({imei: tracker}, frozenset(("gt02", "gt06")))
    session.device = tracker
    session.feed(bytes.fromhex(row["hex"]))
    (heard,) = session.heard(NOW)
    assert [heard.reply.hex()] == (row["server_reply"] or [""])
    assert heard.finding is not Finding.REFUSED


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row["hex"][:28])
        for row in map(json.loads, (SAMPLES / "asserted-gt06.jsonl").read_text().splitlines())
    ],
)
def test_further_frames_say_what_is_asserted_of_them(row: dict[str, Any]) -> None:
    for frame in frames(bytes.fromhex(row["hex"])):
        if row["asserted"] == "nothing":
            assert frame.type == 0x01 or frame.empty or not gt06.speaks(frame)
            continue
        report = gt06.read(frame, UTC, row.get("device_model_configured"))
        told = attributes(report)
        if report.fix is not None and report.fix.altitude_m is not None:
            told["altitude"] = report.fix.altitude_m
        assert row.get("attributes", {}).items() <= told.items()
        if row["asserted"] == "a position":
            assert report.fix is not None
        elif row["asserted"] == "attributes":
            assert told


def test_logins() -> None:
    told = {row["hex"]: row["imei"] for (row,) in (case.values for case in CASES) if row["type"] == "0x01"}
    assert {text: gt06.login(the_frame(text)).imei for text in told} == told
    assert gt06.login(the_frame((SAMPLES / "gt06-02-login-with-type-and-timezone.hex").read_text())) == Login(
        "863586038760942", 0xA001, 0
    )
    assert gt06.login(the_frame((SAMPLES / "gt06-03-login-timezone-field.hex").read_text())) == Login(
        "864717003664467", 0x100F, -240
    )


def test_a_real_conversation() -> None:
    told = json.loads((SAMPLES / "conversation-login-heartbeat.json").read_text())
    session = Session({told["imei"]: Tracker(imei=told["imei"])}, frozenset(("gt06",)))
    answered = []
    for packet in told["packets"][::2]:
        session.feed(bytes.fromhex(packet["hex"]))
        answered += [heard.reply.hex() for heard in session.heard(NOW)]
    assert answered == [packet["hex"] for packet in told["packets"][1::2]]


@pytest.mark.parametrize("place", range(4))
def test_pairs_of_a_servers_log(place: int) -> None:
    pair = json.loads((SAMPLES / "conversation-traccar-log.json").read_text())["pairs"][place]
    frame = the_frame(pair["in"])
    assert answers.answer_to(frame, NOW).hex() == pair["out"]
    if place == 3:
        fix = gt06.read(frame).fix
        assert fix is not None
        assert (round(fix.latitude, 5), round(fix.longitude, 5), fix.speed_kmh, fix.course_deg) == (
            41.45768, 2.18602, 75.0, 134.0,
        )  # fmt: skip
        assert fix.at == datetime(2016, 2, 14, 20, 22, 19, tzinfo=UTC)


def test_what_a_server_sends_for_engine_stop_is_written_so() -> None:
    """We send no commands; the frame around one is the same as around an answer."""
    wanted = bytes.fromhex((SAMPLES / "encoder-engine-stop.hex").read_text())
    assert answer(0x80, 0, b"\x0c" + bytes(4) + b"Relay,1#") == wanted


# --- as `crossdock decode` shows it


def decode(name: str, *headers: str) -> list[dict[str, Any]]:
    lines, readable = decoding.decode(
        Trackers.manifest, (SAMPLES / name).read_bytes(), as_kind=None, headers=headers, status=200
    )
    assert readable
    return [json.loads(line) for line in lines]


def test_decode_shows_a_gt02_location() -> None:
    frame, vehicle = decode("gt02-01-location.hex")
    assert (frame["kind"], frame["protocol"], frame["type"], frame["serial"], frame["answer"]) == (
        "TrackerFrame", "gt02", "0x10", 1, None,
    )  # fmt: skip
    assert frame["fix"] == {
        "recordedAt": "2014-09-06T10:29:27Z",
        "latitude": -6.3308494444444445,
        "longitude": 106.96621333333333,
        "altitudeM": None,
        "accuracyM": None,
        "speedKmh": 0.0,
        "headingDeg": 283.0,
        "valid": True,
    }
    assert (vehicle["kind"], vehicle["deviceIdentifier"], vehicle["connectivity"]) == (
        "Vehicle", "358899051012766", "ONLINE",
    )  # fmt: skip
    assert (vehicle["position"]["latitude"], vehicle["position"]["recordedAt"]) == (
        -6.3308494444444445,
        "2014-09-06T10:29:27Z",
    )


def test_decode_takes_the_imei_from_a_header_and_a_conversation_from_its_login() -> None:
    (frame,) = decode("gt06-04-location-0x12.hex")
    assert frame["kind"] == "TrackerFrame"
    frame, vehicle = decode("gt06-04-location-0x12.hex", "imei: 353419036066061")
    assert (frame["crcFits"], vehicle["source"]["externalId"], vehicle["ignitionOn"]) == (
        True,
        "353419036066061",
        False,
    )
    both = bytes.fromhex(
        (SAMPLES / "gt06-03-login-timezone-field.hex").read_text() + (SAMPLES / "gt06-04-location-0x12.hex").read_text()
    )
    lines, readable = decoding.decode(Trackers.manifest, both, as_kind=None, headers=[], status=200)
    login, frame, vehicle = (json.loads(line) for line in lines)
    assert readable
    assert login == {
        "kind": "TrackerLogin",
        "imei": "864717003664467",
        "deviceType": 0x100F,
        "utcOffsetMinutes": -240,
        "serial": 2,
        "crcFits": True,
        "answer": "787805010002eb470d0a",
    }
    assert frame["fix"]["recordedAt"] == "2015-10-20T18:21:11Z", "four hours west of Greenwich"
    assert vehicle["deviceIdentifier"] == "864717003664467"


def test_decode_shows_an_alarm_as_event_and_vehicle() -> None:
    frame, event, vehicle = decode("gt06-09-alarm-0x26-sos.hex", "imei: 353419036066061")
    assert frame["alarms"] == ["sos"]
    assert event == {
        "kind": "VehicleEvent",
        "vehicleExternalId": "353419036066061",
        "eventType": "alarm",
        "at": "2023-07-10T21:14:36Z",
        "details": {"alarm": "sos"},
    }
    assert vehicle["alarms"] == ["sos"]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.hex")), ids=lambda path: path.stem)
def test_decode_reads_every_file(path: Path) -> None:
    if path.stem == "encoder-engine-stop":
        pytest.skip("a server's frame, which no tracker sends")
    found = decode(path.name)
    assert found[0]["kind"] == ("TrackerLogin" if "-login-" in path.name else "TrackerFrame")


def test_decode_says_where_the_fault_is() -> None:
    decoder = decoders.DECODERS[0]
    assert decoder.name == "gt06-frame"
    lines, readable = decoding.decode(Trackers.manifest, b"78781f12", as_kind=None, headers=[], status=200)
    assert not readable
    assert json.loads(lines[0]) == {
        "kind": "Error",
        "code": "ERR_INVALID_RESPONSE",
        "message": "there is no whole GT02 or GT06 frame in it",
        "hint": "It is cut off or damaged there, or of another kind (see --list).",
        "path": "$",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("78780612aa00030ea60d0a", "the frame of type 12: ends before its content"),
        ("78780a99040604000201baaf540d0a", "the frame of type 99: of no type that is read"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, message: str) -> None:
    with pytest.raises(BadPayload) as caught:
        gt06.read(the_frame(text))
    assert (caught.value.message, caught.value.path) == (message, "$.content")
