"""Every sample that was captured decodes to the values that its index states."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from connectors.equipment import CONNECTOR
from connectors.equipment.facts import Facts, ItemPattern
from connectors.equipment.octoprint import mapping, wire
from connectors.equipment.octoprint.merge import Merged
from connectors.equipment.octoprint.payloads import explain, messages
from connectors.kit import decode
from connectors.kit.http import OutcomeKind, by_status
from connectors.kit.integration import Origin
from connectors.kit.manifest import Payload
from unified.records import Equipment, EquipmentState, Job, SensorReading
from unified.values import System

SAMPLES = Path(__file__).parent.parent / "samples" / "equipment"
ORIGIN = Origin(integration="workshop", system=System.EQUIPMENT, as_of=datetime(2026, 11, 25, 9, 30, tzinfo=UTC))


def payload(name: str) -> Payload:
    content = (SAMPLES / name).read_bytes()
    if not name.endswith(".txt"):
        return Payload(body=content, headers={"content-type": "application/json"})
    head, _, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    status, *lines = head.decode().splitlines()
    headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return Payload(body=body, status=int(status.split()[1]), headers=headers)


def decoded(name: str, decoder: str) -> list[Any]:
    """By the first decoder that recognises it, which must be `decoder`."""
    sample = payload(name)
    first = next(each for each in CONNECTOR.manifest.decoders if each.recognises(sample))
    assert first.name == decoder
    return list(first.read(sample, ORIGIN))


def one(found: Sequence[Any]) -> Equipment:
    (record,) = found
    assert isinstance(record, Equipment)
    assert record.source.integration == "workshop"
    return record


def test_version() -> None:
    assert decoded("octoprint-version.txt", "octoprint-version") == [
        mapping.ServerVersion(api="0.1", server="1.11.8", text="OctoPrint 1.11.8")
    ]


def test_a_closed_connection_is_offline() -> None:
    record = one(decoded("octoprint-connection.txt", "octoprint-connection"))
    assert (record.state, record.source.vendor_status) == (EquipmentState.OFFLINE, "Closed")
    assert decode.json(payload("octoprint-connection.txt").body, wire.Connection).current.port is None


def test_an_idle_printer() -> None:
    record = one(decoded("octoprint-printer.txt", "octoprint-printer"))
    assert (record.state, record.source.vendor_status) == (EquipmentState.IDLE, "Operational")
    assert record.error_message is None
    assert record.sensors == (
        SensorReading(sensor="tool0", value=21.3, target=0.0, unit="Cel"),
        SensorReading(sensor="bed", value=21.3, target=0.0, unit="Cel"),
    )


def test_no_job_is_null_and_not_zero() -> None:
    record = one(decoded("octoprint-job.txt", "octoprint-job"))
    assert record.job is None
    assert record.state is EquipmentState.IDLE
    answer = decode.json(payload("octoprint-job.txt").body, wire.JobAnswer)
    assert answer.progress == wire.Progress(completion=None, print_time=None, print_time_left=None)


def test_a_job_that_prints() -> None:
    record = one(decoded("octoprint-job_printing.json", "octoprint-job"))
    assert record.state is EquipmentState.RUNNING
    assert record.job == Job(
        name="model.gcode",
        progress=0.05240641711229946,
        elapsed_seconds=8,
        remaining_seconds=433,
        item_number=None,
        integration="workshop",
    )
    assert round(record.job.progress or 0, 4) == 0.0524


def test_a_printer_that_prints_with_its_history() -> None:
    record = one(decoded("octoprint-printer_printing.json", "octoprint-printer"))
    at = datetime(2026, 11, 21, 22, 12, 51, tzinfo=UTC)
    assert at.timestamp() == 1795299171
    assert (record.state, record.updated_at) == (EquipmentState.RUNNING, at)
    assert record.sensors == (
        SensorReading(sensor="tool0", value=200.0, target=200.0, unit="Cel", recorded_at=at),
        SensorReading(sensor="bed", value=60.0, target=60.0, unit="Cel", recorded_at=at),
    )
    answer = decode.json(payload("octoprint-printer_printing.json").body, wire.Printer)
    history = answer.temperature["history"]
    assert isinstance(history, list)
    assert [point["time"] for point in history] == [1795299169, 1795299171]


def test_an_upload() -> None:
    assert payload("octoprint-upload.txt").status == 201
    assert payload("octoprint-upload.txt").headers["location"].endswith("/api/files/local/model.gcode")
    assert decoded("octoprint-upload.txt", "octoprint-upload") == [
        mapping.Upload(done=True, selected=True, printing=False),
        mapping.PrintFile(path="model.gcode"),
    ]


def test_files() -> None:
    assert payload("octoprint-files.txt").headers["etag"] == '"4a5940a053230374f911a61951e6b38f04812c3a"'
    assert decoded("octoprint-files.txt", "octoprint-files") == [
        mapping.PrintFile(
            path="model.gcode",
            size_bytes=29920,
            uploaded_at=datetime.fromtimestamp(1795299137, UTC),
            kind="machinecode",
        ),
        mapping.Storage(free_bytes=74225872896, total_bytes=270553174016),
    ]


def test_a_command_is_answered_with_nothing() -> None:
    sample = payload("octoprint-connect.txt")
    assert (sample.status, sample.body.strip()) == (204, b"")


FORBIDDEN = (
    "You don't have the permission to access the requested resource. "
    "It is either read-protected or not readable by the server."
)


@pytest.mark.parametrize(
    ("name", "status", "kind", "message"),
    [
        ("octoprint-noauth.txt", 403, OutcomeKind.AUTH_FAILED, FORBIDDEN),
        ("octoprint-loginbad.txt", 403, OutcomeKind.AUTH_FAILED, FORBIDDEN),
        (
            "octoprint-filenotfound.txt",
            404,
            OutcomeKind.ABSENT,
            "The requested URL was not found on the server. If you entered the URL manually please check your "
            "spelling and try again.",
        ),
        ("octoprint-cmdbad.txt", 400, OutcomeKind.BAD_REQUEST, "command is invalid"),
        (
            "octoprint-nojson.txt",
            415,
            OutcomeKind.BAD_REQUEST,
            "Did not attempt to load JSON data because the request Content-Type was not 'application/json'.",
        ),
        ("octoprint-uploadbad.txt", 415, OutcomeKind.BAD_REQUEST, "Could not upload file, invalid type"),
    ],
)
def test_error_answers(name: str, status: int, kind: OutcomeKind, message: str) -> None:
    sample = payload(name)
    assert sample.status == status
    outcome = explain(httpx.Response(status, headers=sample.headers, content=sample.body.strip()))
    assert outcome is not None
    assert (outcome.kind, outcome.code, outcome.message) == (kind, None, message)
    assert outcome.ordinary == (status == 409), "a printer that is switched off is none that fails"


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"),
    [
        (400, {}, b'{"error": "CSRF validation failed"}', OutcomeKind.AUTH_FAILED),
        (409, {}, b'{"error": "Printer is not operational"}', OutcomeKind.CONFLICT),
        (401, {}, b"", OutcomeKind.AUTH_FAILED),
        (302, {"location": "https://elsewhere/"}, b"", OutcomeKind.NONSENSE),
        (200, {"content-type": "text/html"}, b"<html></html>", OutcomeKind.NONSENSE),
        (502, {"content-type": "text/html"}, b"<html></html>", OutcomeKind.DOWN),
        (429, {}, b"", OutcomeKind.THROTTLED),
        (200, {}, b"{}", OutcomeKind.OK),
    ],
)
def test_other_answers(status: int, headers: dict[str, str], body: bytes, kind: OutcomeKind) -> None:
    response = httpx.Response(status, headers=headers, content=body)
    assert (explain(response) or by_status(response)).kind is kind


def test_a_recorded_print_has_the_expected_statuses_progress_and_events() -> None:
    expected = json.loads((SAMPLES / "octoprint-push-print.expected.json").read_text())
    found = decoded("octoprint-push-print.jsonl", "octoprint-push")
    seen = [each for each in found if isinstance(each, Equipment)]
    statuses: list[str] = []
    for record in seen:
        if record.state.value.lower() not in statuses[-1:]:
            statuses.append(record.state.value.lower())
    assert statuses == expected["statuses"]
    events = [each.name for each in found if isinstance(each, mapping.PrinterEvent)]
    assert events == expected["events"]
    assert [each.state_id for each in found if isinstance(each, mapping.PrinterEvent) and each.state_id] == [
        "STARTING",
        "PRINTING",
    ]
    raw = [message.current for message in messages(payload("octoprint-push-print.jsonl").body) if message.current]
    percents = [each.progress.completion for each in raw if each.progress and each.progress.completion is not None]
    assert percents == expected["progress_percent"]
    progress = [record.job.progress for record in seen if record.job and record.job.progress is not None]
    assert progress == [each / 100 for each in expected["progress_percent"]]


def test_a_recorded_print_in_full() -> None:
    """History, two events, four `current`: those that change nothing are no records. An empty list of
    temperatures keeps the last ones; the chamber that has none is absent."""
    found = [each for each in decoded("octoprint-push-print.jsonl", "octoprint-push") if isinstance(each, Equipment)]
    assert [(each.state, each.source.vendor_status) for each in found] == [
        (EquipmentState.IDLE, "Operational"),
        (EquipmentState.RUNNING, "Starting"),
        (EquipmentState.RUNNING, "Printing"),
        (EquipmentState.RUNNING, "Printing"),
        (EquipmentState.RUNNING, "Printing"),
        (EquipmentState.RUNNING, "Printing"),
        (EquipmentState.RUNNING, "Printing"),
    ]
    assert all([sensor.sensor for sensor in each.sensors] == ["tool0", "bed"] for each in found)
    assert [[sensor.value for sensor in each.sensors] for each in found] == [
        [200.0, 21.3],
        [200.0, 21.3],
        [200.0, 21.3],
        [199.94, 26.78],
        [199.99, 45.85],
        [200.0, 60.0],
        [200.0, 60.0],
    ]
    assert {each.software for each in found} == {"OctoPrint 1.11.8"}
    assert found[0].job == Job(name="model.gcode", integration="workshop")
    assert found[-1].job == Job(
        name="model.gcode",
        progress=0.04779411764705882,
        elapsed_seconds=7,
        remaining_seconds=434,
        integration="workshop",
    )
    assert found[-1].updated_at == datetime.fromtimestamp(1795299172.629544, UTC)


def test_what_was_merged_reads_back_as_the_same_record() -> None:
    """A live payload holds all that was said before it, so that it needs no memory to be read."""
    merged = Merged()
    push = next(each for each in CONNECTOR.manifest.decoders if each.name == "octoprint-push")
    facts = Facts(id="machine", name="machine", items=ItemPattern())
    told = 0
    for message in messages(payload("octoprint-push-print.jsonl").body):
        if merged.apply(message):
            body = msgspec.json.encode(merged.message())
            (again,) = [each for each in push.read(Payload(body=body), ORIGIN) if isinstance(each, Equipment)]
            assert again == merged.record(facts, ORIGIN)
            told += 1
    assert told == 7
