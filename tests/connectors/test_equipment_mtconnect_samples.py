"""Every recorded answer of the MTConnect agent decodes to the values that its index states."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from connectors.equipment import CONNECTOR
from connectors.equipment.mtconnect import wire
from connectors.equipment.mtconnect.mapping import Cursor
from connectors.equipment.mtconnect.payloads import DeviceModel, document, explain
from connectors.kit.errors import BadPayload
from connectors.kit.manifest import Payload
from connectors.kit.outcomes import OutcomeKind, by_status
from server.decoding import decode
from tests.connectors.test_equipment_samples import ORIGIN, SAMPLES, decoded, payload
from unified.records import Equipment, EquipmentFault, EquipmentState, EquipmentType, FaultSeverity, Job, SensorReading

EXPECTED = ("current", "sample", "page1", "page2", "currentpath")


def streams(name: str) -> list[Any]:
    return decoded(name, "mtconnect-streams")


def machine(found: list[Any]) -> Equipment:
    (record,) = [each for each in found if isinstance(each, Equipment)]
    return record


def as_expected(each: wire.Observation) -> dict[str, Any]:
    """An observation in the words of the `.expected.json` files."""
    told: dict[str, Any] = {
        "device": each.place.device,
        "component": each.place.component,
        "category": each.category,
        "type": each.type,
        "dataItemId": each.data_item,
        "sequence": each.sequence,
        "timestamp": each.timestamp,
        "value": each.value,
    }
    more = {
        "subType": each.sub_type,
        "nativeCode": each.native_code,
        "nativeSeverity": each.native_severity,
        "qualifier": each.qualifier,
    }
    return told | {name: value for name, value in more.items() if value is not None}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_observation_is_exact_and_in_order_of_sequence(name: str) -> None:
    expected = json.loads((SAMPLES / f"mtconnect-{name}.expected.json").read_text())
    found = streams(f"mtconnect-{name}.txt")
    assert [as_expected(each) for each in found if isinstance(each, wire.Observation)] == expected["observations"]
    (cursor,) = [each for each in found if isinstance(each, Cursor)]
    assert cursor == Cursor(
        instance_id=expected["instanceId"],
        first_sequence=expected["firstSequence"],
        last_sequence=expected["lastSequence"],
        next_sequence=expected["nextSequence"],
    )


def test_the_machine_of_current() -> None:
    """Execution says paused, but a Fault outranks it."""
    record = machine(streams("mtconnect-current.txt"))
    assert record.source.external_id == "VMC-3Axis"
    assert (record.state, record.source.vendor_status) == (EquipmentState.ERROR, "INTERRUPTED")
    assert record.error_message == "Servo overload X axis"
    assert record.equipment_type is EquipmentType.CNC_MILL
    assert record.software == "MTConnect agent 1.7.0.7"
    assert record.operation == "COUNTERSINK, line 1"
    assert record.job == Job(name="COUNTERSINK", integration="workshop")
    assert record.faults == (
        EquipmentFault(
            code="304",
            description="Servo overload X axis",
            severity=FaultSeverity.CRITICAL,
            component="Linear X",
            occurred_at=datetime(2026, 11, 21, 22, 20, 45, 922005, UTC),
        ),
        EquipmentFault(
            code="207",
            description="Hydraulic temperature high",
            severity=FaultSeverity.WARNING,
            component="Hydraulic hydrolic",
            occurred_at=datetime(2026, 11, 21, 22, 20, 46, 172228, UTC),
        ),
    )
    assert record.updated_at == datetime(2026, 11, 21, 22, 20, 47, 924051, UTC)
    sensors = {each.sensor: each for each in record.sensors}
    assert sensors["Frt"] == SensorReading(
        sensor="Frt", value=3.3, recorded_at=datetime(2026, 11, 21, 22, 20, 40, 916570, UTC)
    )
    assert (sensors["Sspeed"].value, sensors["Sspeed"].text) == (None, None), "UNAVAILABLE is null"
    assert (sensors["Xact"].value, sensors["Yact"].value) == (7.924, 1.25)
    assert (sensors["power"].text, sensors["power"].value) == ("ON", None)
    assert len(record.sensors) == 26
    assert not any(each.sensor.startswith("agent_") or "adapter" in each.sensor for each in record.sensors)


def test_a_fault_has_gone_with_the_path_that_was_asked_for() -> None:
    record = machine(streams("mtconnect-currentpath.txt"))
    assert (record.state, record.faults, record.error_message) == (EquipmentState.PAUSED, (), None)


def test_of_a_sample_the_newest_values_stand() -> None:
    record = machine(streams("mtconnect-sample.txt"))
    assert [(each.sensor, each.value) for each in record.sensors] == [
        ("Sspeed", 4003.0),
        ("Xact", 10.375),
        ("Yact", -2.75),
    ]
    assert record.updated_at == datetime(2026, 11, 21, 22, 19, 56, 975626, UTC)
    assert record.state is EquipmentState.UNKNOWN, "a sample without Execution tells no state"


def test_devices_with_their_units_and_the_agent_as_no_machine() -> None:
    assert decoded("mtconnect-probe.txt", "mtconnect-devices") == [
        DeviceModel(
            name="Agent",
            uuid="0b49a3a0-18ca-0139-8748-2cde48001122",
            manufacturer=None,
            model=None,
            serial_number=None,
            data_items=12,
            agent=True,
        ),
        DeviceModel(
            name="VMC-3Axis",
            uuid="000",
            manufacturer="SystemInsights",
            model=None,
            serial_number=None,
            data_items=46,
            agent=False,
        ),
    ]
    told = document(payload("mtconnect-probe.txt").body)
    assert isinstance(told, wire.Devices)
    assert (told.header.buffer_size, told.header.instance_id) == (64, "1795299595")
    items = told.devices[1].items
    assert items["Frt"] == wire.DataItem(id="Frt", category="SAMPLE", type="PATH_FEEDRATE", units="MILLIMETER/SECOND")
    assert items["x2"] == wire.DataItem(
        id="x2", category="SAMPLE", type="POSITION", sub_type="ACTUAL", name="Xact", units="MILLIMETER"
    )
    assert (items["filter"].category, items["filter"].type) == ("CONDITION", "x:FILTER")


@pytest.mark.parametrize(
    ("name", "status", "kind", "code", "message"),
    [
        ("nodevice", 404, OutcomeKind.ABSENT, "NO_DEVICE", "Could not find the device 'nosuchdevice'"),
        ("from-too-large", 400, OutcomeKind.CONFLICT, "OUT_OF_RANGE", "'from' must be less than 144"),
        (
            "xpath",
            400,
            OutcomeKind.BAD_REQUEST,
            "INVALID_XPATH",
            "The path could not be parsed. Invalid syntax: //Axes[",
        ),
    ],
)
@pytest.mark.parametrize("old_agent", [False, True])
def test_errors_count_by_their_root_element(
    name: str, status: int, kind: OutcomeKind, code: str, message: str, old_agent: bool
) -> None:
    """Old agents send them with status 200."""
    sample = payload(f"mtconnect-error-{name}.txt")
    assert sample.status == status
    response = httpx.Response(200 if old_agent else status, headers=sample.headers, content=sample.body)
    outcome = explain(response)
    assert outcome is not None
    assert (outcome.kind, outcome.code, outcome.message) == (kind, code, message)
    lines, well = decode(CONNECTOR.manifest, sample.body, as_kind=None, headers=[], status=200 if old_agent else status)
    assert well
    assert json.loads(lines[0]) == {
        "kind": "Outcome",
        "outcome": kind.name,
        "code": code,
        "message": message,
        "retryAfter": None,
    }


def test_several_typed_errors_of_version_2_6() -> None:
    body = (
        b'<MTConnectError xmlns="urn:mtconnect.org:MTConnectError:2.6"><Header instanceId="1"/><Errors>'
        b'<InvalidParameterValue errorCode="INVALID_PARAMETER_VALUE"><ErrorMessage>interval is no number'
        b"</ErrorMessage></InvalidParameterValue>"
        b'<OutOfRange errorCode="OUT_OF_RANGE"><ErrorMessage>from is too small</ErrorMessage></OutOfRange>'
        b"</Errors></MTConnectError>"
    )
    assert document(body) == wire.Errors(
        errors=[
            wire.Error(code="INVALID_PARAMETER_VALUE", message="interval is no number"),
            wire.Error(code="OUT_OF_RANGE", message="from is too small"),
        ]
    )
    outcome = explain(httpx.Response(400, content=body))
    assert outcome is not None
    assert (outcome.kind, outcome.message) == (OutcomeKind.BAD_REQUEST, "interval is no number; from is too small")


def test_the_one_error_of_version_1_0() -> None:
    body = (
        b'<MTConnectError xmlns="urn:mtconnect.com:MTConnectError:1.0"><Header instanceId="1"/>'
        b'<Error errorCode="QUERY_ERROR">Unrecognized path</Error></MTConnectError>'
    )
    assert document(body) == wire.Errors(errors=[wire.Error(code="QUERY_ERROR", message="Unrecognized path")])


def test_a_page_for_people_is_nonsense() -> None:
    response = httpx.Response(200, headers={"content-type": "text/html"}, content=b"<html><body>log in</body></html>")
    outcome = explain(response)
    assert outcome is not None
    assert outcome.kind is OutcomeKind.NONSENSE
    assert explain(httpx.Response(503, content=b"<html></html>")) is None
    assert by_status(httpx.Response(503)).kind is OutcomeKind.DOWN


def test_decoding_on_the_command_line_shows_cursor_observations_and_machine() -> None:
    sample = payload("mtconnect-sample.txt")
    lines, well = decode(CONNECTOR.manifest, sample.body, as_kind=None, headers=[], status=200)
    assert well
    shown = [json.loads(line) for line in lines]
    assert [each["kind"] for each in shown] == ["Cursor", *["Observation"] * 8, "Equipment"]
    assert shown[0]["nextSequence"] == 87
    assert (shown[1]["sequence"], shown[1]["value"]) == (79, "-3.25")
    assert shown[-1]["sensors"][0] == {
        "sensor": "Sspeed", "value": 4003.0, "target": None, "unit": None,
        "recordedAt": "2026-11-21T22:19:56.975626Z", "text": None, "quality": None,
    }  # fmt: skip


# --- JSON


def _json_of(told: wire.Streams, *, version: int) -> bytes:
    """The document as an agent of version 2 writes it in JSON, in either of the two forms."""
    device: dict[str, Any] = {"name": "VMC-3Axis", "uuid": "000"}
    parts: dict[tuple[str, str], dict[str, dict[str, list[Any]]]] = {}
    for each in told.observations:
        row: dict[str, Any] = {
            "dataItemId": each.data_item, "sequence": each.sequence, "timestamp": each.timestamp, "value": each.value,
            "name": each.name, "subType": each.sub_type, "nativeCode": each.native_code,
            "nativeSeverity": each.native_severity, "qualifier": each.qualifier,
        }  # fmt: skip
        row = {name: value for name, value in row.items() if value is not None}
        groups = parts.setdefault((each.place.component or "", each.place.component_name or ""), {})
        groups.setdefault(each.category, {}).setdefault(each.type, []).append(row)
    components = []
    for (component, name), groups in parts.items():
        told_part: dict[str, Any] = {"component": component, "componentId": name, "name": name}
        for category, by_type in groups.items():
            if version == 2:
                told_part[category] = by_type
            else:
                told_part[category] = [{kind: row} for kind, rows in by_type.items() for row in rows]
        components.append(told_part)
    if version == 2:
        device["ComponentStream"] = components
        found: Any = {"DeviceStream": [device]}
    else:
        device["ComponentStreams"] = [{"ComponentStream": each} for each in components]
        found = [{"DeviceStream": device}]
    header = {
        "instanceId": int(told.header.instance_id), "version": told.header.version, "bufferSize": 64,
        "nextSequence": told.header.next_sequence, "firstSequence": told.header.first_sequence,
        "lastSequence": told.header.last_sequence, "deviceModelChangeTime": told.header.model_changed,
    }  # fmt: skip
    return json.dumps({"MTConnectStreams": {"jsonVersion": version, "Header": header, "Streams": found}}).encode()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", EXPECTED)
def test_json_says_the_same_as_xml(name: str, version: int) -> None:
    told = document(payload(f"mtconnect-{name}.txt").body)
    assert isinstance(told, wire.Streams)
    own = wire.Streams(
        header=told.header, observations=[each for each in told.observations if each.place.device != "Agent"]
    )
    again = document(_json_of(own, version=version))
    assert isinstance(again, wire.Streams)
    assert again.header == told.header

    def ordered(streams: wire.Streams) -> list[wire.Observation]:
        return sorted(streams.observations, key=lambda each: each.sequence)

    assert ordered(again) == ordered(own)


def test_json_vectors_data_sets_errors_and_assets() -> None:
    """As the tests of the reference agent have them."""
    streams_of = {
        "MTConnectStreams": {
            "Header": {"instanceId": 123, "nextSequence": 9, "firstSequence": 1, "lastSequence": 8},
            "Streams": {
                "DeviceStream": [
                    {
                        "name": "d",
                        "ComponentStream": [
                            {
                                "component": "Path",
                                "Samples": {
                                    "PathPosition": [
                                        {"dataItemId": "p", "sequence": 7, "timestamp": "2026-11-21T22:20:48Z",
                                         "value": [10.0, 20.0, 30.0]}
                                    ]
                                },
                                "Events": {
                                    "VariableDataSet": [
                                        {"dataItemId": "v", "sequence": 8, "timestamp": "2026-11-21T22:20:48Z",
                                         "value": {"a": 1, "b": "x"}}
                                    ]
                                },
                            }
                        ],
                    }
                ]
            },
        }
    }  # fmt: skip
    told = document(json.dumps(streams_of).encode())
    assert isinstance(told, wire.Streams)
    assert [each.value for each in told.observations] == ["10.0 20.0 30.0", "a=1 b=x"]
    for errors in (
        [{"InvalidRequest": {"errorCode": "INVALID_REQUEST", "ErrorMessage": "ERROR TEXT!"}}],
        [{"Error": {"errorCode": "INVALID_REQUEST", "value": "ERROR TEXT!"}}],
        {"InvalidRequest": [{"errorCode": "INVALID_REQUEST", "ErrorMessage": "ERROR TEXT!"}]},
    ):
        body = json.dumps({"MTConnectError": {"Header": {"instanceId": 1}, "Errors": errors}}).encode()
        assert document(body) == wire.Errors(errors=[wire.Error(code="INVALID_REQUEST", message="ERROR TEXT!")])
    assets = {
        "MTConnectAssets": {
            "Header": {"instanceId": 1},
            "Assets": [
                {
                    "CuttingTool": {
                        "assetId": "T1.1", "serialNumber": "1", "toolId": "T1", "timestamp": "2011-05-11T13:55:22Z",
                        "CuttingToolLifeCycle": {
                            "CutterStatus": [{"Status": {"value": "NEW"}}],
                            "ToolLife": [{"type": "PART_COUNT", "limit": 300.0, "value": 200.0}],
                        },
                    }
                }
            ],
        }
    }  # fmt: skip
    told_assets = document(json.dumps(assets).encode())
    assert isinstance(told_assets, wire.Assets)
    (tool,) = told_assets.assets
    assert (tool.asset_id, tool.type, tool.serial_number) == ("T1.1", "CuttingTool", "1")
    assert tool.details["toolId"] == "T1"
    assert tool.details["ToolLife"] == "200.0"


# --- bad input


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + b"".join(
        b'<!ENTITY lol%d "%s">' % (n, b"&lol%d;" % (n - 1) * 10 if n > 1 else b"&lol;" * 10) for n in range(1, 10)
    )
    + b"]><MTConnectStreams>&lol9;</MTConnectStreams>"
)
EXTERNAL = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    b'<MTConnectStreams><Header instanceId="1" nextSequence="2"/>&e;</MTConnectStreams>'
)
HIDDEN = EXTERNAL.decode().replace('version="1.0"', 'version="1.0" encoding="UTF-16"').encode("utf-16")


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        (LAUGHS, "$", "has a document type"),
        (EXTERNAL, "$", "has a document type"),
        (
            EXTERNAL.decode().replace('version="1.0"', 'version="1.0" encoding="UTF-16"').encode("utf-16"),
            "$",
            "refused",
        ),
        (b"<MTConnectStreams><Header", "$", "is no XML"),
        (b"", "$", "is no XML"),
        (b"<other/>", "$", "the root element is other"),
        (b"<MTConnectStreams/>", "$.Header", "has no Header"),
        (b'<MTConnectStreams><Header version="1"/></MTConnectStreams>', "$.Header.instanceId", "no instanceId"),
        (b'<MTConnectStreams><Header instanceId="1"/></MTConnectStreams>', "$.Header.nextSequence", "no nextSequence"),
        (
            b'<MTConnectStreams><Header instanceId="1" nextSequence="x"/></MTConnectStreams>',
            "$.Header.nextSequence",
            "no whole number",
        ),
        (
            b'<MTConnectStreams><Header instanceId="1" nextSequence="2"/><Streams><DeviceStream name="a">'
            b'<ComponentStream><Events><Block dataItemId="b" timestamp="2026-11-21T22:20:48Z" sequence="x"/></Events>'
            b"</ComponentStream></DeviceStream></Streams></MTConnectStreams>",
            "$.Streams.DeviceStream.ComponentStream.Events[0]",
            "lacks dataItemId",
        ),
        (b'{"MTConnectStreams": 7}', "$.MTConnectStreams", "is no object"),
        (b'{"other": 7}', "$", "none of MTConnect's documents"),
        (b'{"MTConnectStreams": {"Header": {"instanceId": 1, "nextSequence": 2}, "Streams": [7]}}', "$", "no object"),
        (b"{", "$", "is no JSON"),
        (b'{"\x9b": 1}', "$", "is no JSON"),
    ],
)
def test_nonsense_is_an_error_with_its_place(body: bytes, path: str, message: str) -> None:
    with pytest.raises(BadPayload, match=message) as caught:
        document(body)
    assert caught.value.path == path
    assert "root:" not in str(caught.value)


def test_a_time_that_is_none_is_named() -> None:
    body = payload("mtconnect-sample.txt").body.replace(b"2026-11-21T22:19:56.975626Z", b"yesterday")
    decoder = next(each for each in CONNECTOR.manifest.decoders if each.name == "mtconnect-streams")
    with pytest.raises(BadPayload, match="no ISO 8601 time") as caught:
        list(decoder.read(Payload(body=body), ORIGIN))
    assert caught.value.path == "$.timestamp"


def test_elements_of_other_namespaces_and_versions_are_read_by_their_local_names() -> None:
    body = payload("mtconnect-currentpath.txt").body
    for version in ("1.0", "1.3", "2.6"):
        again = body.replace(b"MTConnectStreams:1.7", f"MTConnectStreams:{version}".encode())
        again = again.replace(b"<Execution ", b'<x:Execution xmlns:x="urn:vendor" ').replace(
            b"</Execution>", b"</x:Execution>"
        )
        told = document(again)
        assert isinstance(told, wire.Streams)
        assert [(each.type, each.value) for each in told.observations] == [("Execution", "INTERRUPTED")]


def test_assets_of_version_1_7() -> None:
    body = (
        b'<MTConnectAssets xmlns="urn:mtconnect.org:MTConnectAssets:1.7"><Header instanceId="1"/><Assets>'
        b'<CuttingTool serialNumber="1" toolId="KSSP" timestamp="2011-05-11T13:55:22Z" assetId="KSSP.1" '
        b'manufacturers="KMT,Parlec" deviceUuid="000"><CuttingToolLifeCycle><CutterStatus><Status>NEW</Status>'
        b'</CutterStatus><ToolLife type="PART_COUNT" limit="10">0</ToolLife><ProgramToolNumber>1</ProgramToolNumber>'
        b"</CuttingToolLifeCycle></CuttingTool>"
        b'<CuttingTool assetId="OLD.1" timestamp="2011-05-11T13:55:22" removed="true"/></Assets></MTConnectAssets>'
    )
    decoder = next(each for each in CONNECTOR.manifest.decoders if each.recognises(Payload(body=body)))
    assert decoder.name == "mtconnect-assets"
    tool, removed = list(decoder.read(Payload(body=body), ORIGIN))
    assert msgspec.to_builtins(tool) == {
        "asset_id": "KSSP.1",
        "asset_type": "CuttingTool",
        "serial_number": "1",
        "updated_at": "2011-05-11T13:55:22Z",
        "details": {
            "toolId": "KSSP",
            "manufacturers": "KMT,Parlec",
            "Status": "NEW",
            "ToolLife": "0",
            "ProgramToolNumber": "1",
        },
    }
    assert msgspec.to_builtins(removed)["updated_at"] == "2011-05-11T13:55:22Z", "1.0 leaves the zone out and means UTC"
