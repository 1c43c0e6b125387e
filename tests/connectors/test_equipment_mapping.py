"""Equipment: how OctoPrint's shapes become records, and which settings are refused."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from connectors.equipment import CONNECTOR
from connectors.equipment.facts import DEFAULT_ITEM_PATTERN, Facts, ItemPattern
from connectors.equipment.octoprint import mapping, wire
from connectors.equipment.octoprint.merge import Merged
from connectors.equipment.settings import Settings
from connectors.kit.errors import BadPayload
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.manifest import Payload
from connectors.kit.services import Services
from unified.records import EquipmentState
from unified.values import System

# --- mapping

FACTS = Facts(id="m", name="M", items=ItemPattern())
ORIGIN = Origin(integration="workshop", system=System.EQUIPMENT, as_of=datetime(2026, 11, 25, tzinfo=UTC))


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ({"operational": True, "ready": True}, EquipmentState.IDLE),
        ({"operational": True, "printing": True}, EquipmentState.RUNNING),
        ({"operational": True, "printing": True, "pausing": True}, EquipmentState.PAUSED),
        ({"operational": True, "paused": True}, EquipmentState.PAUSED),
        ({"operational": True, "printing": True, "cancelling": True}, EquipmentState.RUNNING),
        ({"operational": True, "resuming": True}, EquipmentState.RUNNING),
        ({"operational": True, "finishing": True}, EquipmentState.RUNNING),
        ({"closedOrError": True}, EquipmentState.OFFLINE),
        ({"closedOrError": True, "error": True}, EquipmentState.ERROR),
        ({}, None),
    ],
)
def test_state_by_flags(flags: dict[str, bool], state: EquipmentState | None) -> None:
    assert mapping.state_by_flags(msgspec.convert(flags, wire.Flags)) is state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("Connecting", EquipmentState.OFFLINE),
        ("Offline after error", EquipmentState.OFFLINE),
        ("Offline (Error: no answer)", EquipmentState.OFFLINE),
        ("Error: Thermal runaway", EquipmentState.ERROR),
        ("Sending file to SD", EquipmentState.RUNNING),
        ("Dancing", EquipmentState.UNKNOWN),
        (None, EquipmentState.UNKNOWN),
    ],
)
def test_state_by_text(text: str | None, state: EquipmentState) -> None:
    assert mapping.state_by_text(text) is state


def test_while_connecting_the_text_tells() -> None:
    assert mapping.state_of(wire.State(text="Connecting", flags=wire.Flags())) is EquipmentState.OFFLINE


def test_sensors_are_ordered_and_absent_ones_left_out() -> None:
    readings = {
        "chamber": wire.Reading(),
        "bed": wire.Reading(actual=60.0, target=60.0),
        "tool10": wire.Reading(actual=10.0),
        "tool2": wire.Reading(target=0.0),
        "SoC": wire.Reading(actual=48.5),
    }
    found = mapping.sensors(readings)
    assert [(each.sensor, each.value, each.target, each.unit) for each in found] == [
        ("tool2", None, 0.0, "Cel"),
        ("tool10", 10.0, None, "Cel"),
        ("bed", 60.0, 60.0, "Cel"),
        ("SoC", 48.5, None, "Cel"),
    ]


@pytest.mark.parametrize(("percent", "progress"), [(None, None), (0, 0.0), (100.0, 1.0), (100.4, 1.0), (-1, 0.0)])
def test_progress_is_a_part_of_one(percent: float | None, progress: float | None) -> None:
    info = wire.JobInfo(file=wire.JobFile(name="a.gcode"))
    made = mapping.job(info, wire.Progress(completion=percent), FACTS, ORIGIN)
    assert made is not None
    assert made.progress == progress


def test_version_2_says_storage_instead_of_sd() -> None:
    body = b'{"storage": {"ready": true}, "state": {"text": "Operational", "flags": {"operational": true}}}'
    found = mapping.from_printer(msgspec.json.decode(body, type=wire.Printer), FACTS, ORIGIN)
    assert found.state is EquipmentState.IDLE


def test_a_time_beyond_all_calendars_is_a_mapping_failure() -> None:
    push = next(each for each in CONNECTOR.manifest.decoders if each.name == "octoprint-push")
    body = b'{"current": {"state": {"text": "Operational"}, "serverTime": 1e300}}'
    with pytest.raises(BadPayload) as caught:
        list(push.read(Payload(body=body), ORIGIN))
    assert caught.value.path == "$.current.serverTime"


def test_messages_that_say_nothing_new_do_not_matter() -> None:
    merged = Merged()
    idle = {"state": {"text": "Operational", "flags": {"operational": True}}, "temps": []}
    assert [merged.apply(msgspec.convert(each, wire.Message)) for each in messages(idle)] == [
        False,  # connected
        False,  # an event that we do not use
        True,  # history
        False,  # the same again
        True,  # an error
        True,  # gone with the next current
        False,  # unknown
    ]


def messages(idle: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"connected": {"version": "1.11.8"}},
        {"event": {"type": "ZChange", "payload": {"new": 0.2}}},
        {"history": idle},
        {"current": {**idle, "serverTime": 1795299163.1}},
        {"event": {"type": "Error", "payload": {"error": "too hot"}}},
        {"current": idle},
        {"slicingProgress": {"progress": 3}},
    ]


def test_an_error_event_is_the_error_message() -> None:
    merged = Merged()
    merged.apply(msgspec.convert({"history": {"state": {"text": "Printing"}}}, wire.Message))
    merged.apply(msgspec.convert({"event": {"type": "Error", "payload": {"error": "too hot"}}}, wire.Message))
    record = merged.record(FACTS, ORIGIN)
    assert (record.error_message, record.state) == ("too hot", EquipmentState.RUNNING)


# --- settings


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("bracket_PRT-10042_r2.gcode", "PRT-10042"),
        ("cover_103-485_r3.gcode", "103-485"),
        ("PRT-10042.gcode", "PRT-10042"),
        ("model.gcode", None),
        ("half-size_cube.gcode", None),
        ("", None),
    ],
)
def test_the_default_pattern(name: str, item: str | None) -> None:
    assert ItemPattern(DEFAULT_ITEM_PATTERN).find(name) == item


def test_only_the_beginning_of_a_name_is_looked_at() -> None:
    assert ItemPattern().find("a" * 5_000_000 + "_PRT-10042_r2.gcode") is None


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("(", "is no regular expression"),
        ("PRT-[0-9]+", "has no group `item`"),
        ("(?P<item>[0-9]*)", "finds an item number in an empty name|needs some characters|empty"),
        ("(?P<item>(a+)+)b", "repeats a group"),
        ("(?P<item>a*b*c*d*e*f)", "more than 4 repeats"),
        ("(?P<item>" + "a" * 300 + ")", "at most 200"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str, complaint: str) -> None:
    machine = {"id": "a", "url": "http://a", "api_key": "k"}
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.convert({"machines": [machine], "item_pattern": pattern}, Settings)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"machines": []}, "length >= 1"),
        ({"machines": [{"id": "a", "url": "http://a", "api_key": "k"}] * 2}, "two machines have the same id: a"),
        ({"machines": [{"id": "a b", "url": "http://a", "api_key": "k"}]}, r"\$\.machines\[0\]\.id"),
        ({"machines": [{"id": "a", "url": "a:5000", "api_key": "k"}]}, "must begin with http:// or https://"),
        ({"machines": [{"id": "a", "url": "http://u:p@a", "api_key": "k"}]}, "must hold neither credentials"),
        ({"machines": [{"id": "a", "url": "http://a", "api_key": "k", "protocol": "morse"}]}, "protocol"),
        ({"machines": [{"id": "a", "url": "http://a", "api_key": "k", "colour": "red"}]}, "unknown field `colour`"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.convert(change, Settings)


def test_a_credential_that_is_not_there_is_refused() -> None:
    made = Integration(
        key="workshop",
        system=System.EQUIPMENT,
        credentials={"other": Secret("x")},
        settings={"machines": [{"id": "a", "url": "http://a", "api_key": "k"}]},
    )
    with pytest.raises(ValueError, match="names the credential 'k', which is not there or empty; there are: other"):
        CONNECTOR(made, Services())
