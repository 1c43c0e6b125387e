"""Every sample of the interface, read to its exact values by the decoders that the live path uses."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from takproto import parse_mesh, parse_stream, xml2proto

from connectors.c4isr import TakServer, cot, mapping, symbols, takproto, wire
from connectors.c4isr.api import explain
from connectors.kit.errors import BadPayload, MappingFailed
from connectors.kit.http import OutcomeKind
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Payload
from unified.events import Happened, Removed
from unified.ids import decode as global_id
from unified.records import (
    Affiliation,
    Connectivity,
    Dimension,
    Mission,
    MissionChange,
    MissionState,
    Unit,
    UnitAlert,
)
from unified.values import Position, System

SAMPLES = Path(__file__).parents[1] / "samples" / "c4isr"
ORIGIN = Origin(integration="tak", system=System.C4ISR, as_of=datetime(2026, 11, 25, 9, 30, tzinfo=UTC))


def payload(name: str) -> Payload:
    """A sample; those captured over HTTP begin with the request, the status and the content type."""
    body = (SAMPLES / name).read_bytes()
    if not name.startswith("tak-api-"):
        return Payload(body=body)
    head, _, rest = body.partition(b"\n\n")
    _, status, content_type = head.decode().splitlines()[:3]
    return Payload(
        body=rest.rstrip(b"\n"),
        status=int(status.split()[1]),
        headers={"content-type": content_type.partition(": ")[2]},
    )


def decoded(name: str) -> list[Decoded]:
    """By the first decoder that recognises it, as `crossdock decode` does."""
    given = payload(name)
    decoder = next(each for each in TakServer.manifest.decoders if each.recognises(given))
    return list(decoder.read(given, ORIGIN))


def only(name: str) -> Any:
    found = decoded(name)
    assert len(found) == 1
    return found[0]


def event(name: str) -> cot.Event:
    return cot.parse((SAMPLES / name).read_bytes())


def expected(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.expected.json").read_text())


NODE_COT = [
    "cot-chat-receipt",
    "cot-ellipse",
    "cot-emergency",
    "cot-escaped-ampersand",
    "cot-free-form",
    "cot-itak",
    "cot-milsym",
    "cot-multiline-remarks",
    "cot-uas",
    "cot-video",
]


@pytest.mark.parametrize("name", NODE_COT)
def test_events_agree_with_the_independent_reader(name: str) -> None:
    """Identity, type, times, place, track, contact and group are what node-cot reads."""
    seen, told = event(f"{name}.xml"), expected(name)["geojson"]
    facts = told["properties"]
    assert seen.uid == told["id"]
    assert seen.type == facts["type"]
    assert seen.how == facts["how"]
    assert seen.time == cot.when(facts["time"])
    assert seen.start == cot.when(facts["start"])
    assert seen.stale == cot.when(facts["stale"])
    assert [seen.lon, seen.lat, seen.hae] == facts["center"]
    assert (seen.attribute("contact", "callsign") or "UNKNOWN") == facts["callsign"]
    assert seen.number("track", "speed") == facts.get("speed")
    assert seen.number("track", "course") == facts.get("course")
    group = facts.get("group", {})
    assert (seen.attribute("__group", "name"), seen.attribute("__group", "role")) == (
        group.get("name"),
        group.get("role"),
    )
    assert seen.attribute("status", "battery") == facts.get("status", {}).get("battery")
    assert seen.attribute("uid", "Droid") == facts.get("droid")
    assert seen.attribute("precisionlocation", "altsrc") == facts.get("precisionlocation", {}).get("altsrc")
    for key, value in facts.get("sensor", {}).items():
        text = seen.attribute("sensor", key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert cot.finite(text) == value, key
        else:
            assert text == (str(value).lower() if isinstance(value, bool) else value), key


def test_a_vehicle_on_the_ground() -> None:
    unit = only("cot-itak.xml")
    assert unit == Unit(
        id=unit.id,
        source=ORIGIN.source("C94B9215-9BD4-4DBE-BDE1-83625F09153F"),
        updated_at=datetime(2023, 7, 18, 15, 23, 9, tzinfo=UTC),
        uid="C94B9215-9BD4-4DBE-BDE1-83625F09153F",
        callsign="DFPC-iSchmidt",
        cot_type="a-f-G-E-V-C",
        affiliation=Affiliation.FRIEND,
        dimension=Dimension.GROUND,
        symbol_code="SFGPEVC--------",
        team="Yellow",
        role="Team Member",
        connectivity=Connectivity.OFFLINE,
        position=Position(
            latitude=41.52309645,
            longitude=-107.72376567,
            altitude_m=1681.23725821,
            accuracy_m=None,
            speed_kmh=0.0,
            heading_deg=137.23542786,
            recorded_at=datetime(2023, 7, 18, 15, 23, 9, tzinfo=UTC),
        ),
        battery_percent=100.0,
        stale_at=datetime(2023, 7, 18, 15, 25, 9, tzinfo=UTC),
    )


def test_a_unit_is_online_until_it_is_stale() -> None:
    given = payload("cot-itak.xml")
    read = next(each for each in TakServer.manifest.decoders if each.recognises(given)).read
    for second, connectivity in ((8, Connectivity.ONLINE), (9, Connectivity.OFFLINE)):
        at = Origin(integration="tak", system=System.C4ISR, as_of=datetime(2023, 7, 18, 15, 25, second, tzinfo=UTC))
        (unit,) = read(given, at)
        assert isinstance(unit, Unit)
        assert unit.connectivity is connectivity


def test_a_drone_without_a_fix_has_no_position() -> None:
    unit, seen = only("cot-uas.xml"), event("cot-uas.xml")
    assert (unit.callsign, unit.position, unit.dimension) == ("UAS-Phoenix 2", None, Dimension.AIR)
    assert unit.symbol_code == "SFAPMHQ--------"
    assert (seen.number("sensor", "azimuth"), seen.number("sensor", "fov"), seen.number("sensor", "range")) == (
        251.1,
        75.5,
        300.0,
    )
    assert seen.number("sensor", "north") == 431.1, "as received"
    assert seen.ce == 0.0


def test_courses_are_brought_into_the_circle() -> None:
    body = (SAMPLES / "cot-uas.xml").read_bytes().replace(b'lat="0.0" lon="0.0"', b'lat="6.5" lon="3.4"')
    found = mapping.position(cot.parse(body))
    assert found is not None
    assert (found.heading_deg, found.speed_kmh, found.accuracy_m) == (251.1, 0.0, 0.0)


def test_unknown_heights_and_errors_are_null() -> None:
    unit, told = only("cot-marker-2525.cot"), expected("cot-marker-2525")
    assert (unit.uid, unit.symbol_code) == (told["uid"], told["sidc2525B"])
    assert (unit.affiliation, unit.dimension) == (Affiliation.UNKNOWN, Dimension.GROUND)
    assert unit.position == Position(
        latitude=told["lat"],
        longitude=told["lon"],
        recorded_at=datetime(2020, 12, 16, 19, 59, 34, 910_000, tzinfo=UTC),
    )
    assert unit.stale_at == cot.when(told["stale"])
    assert unit.callsign == "U.16.135057"
    assert len(event("cot-marker-2525.cot").detail.all("archive")) == 2


def test_the_symbol_of_the_detail_wins() -> None:
    unit, seen = only("cot-milsym.xml"), event("cot-milsym.xml")
    assert unit.symbol_code == "SNGX-----------"
    assert unit.affiliation is Affiliation.NEUTRAL
    symbol = seen.detail.one("__milsym")
    assert symbol is not None
    assert {each.get("code"): each.text for each in symbol.all("unitmodifier")}["Q"] == "58"


def test_escaped_call_signs_and_remarks_of_many_lines() -> None:
    assert only("cot-escaped-ampersand.xml").callsign == "Alpha & Bravo"
    unit = only("cot-multiline-remarks.xml")
    assert unit.callsign == "9T20"
    assert unit.remarks == expected("cot-multiline-remarks")["geojson"]["properties"]["remarks"]
    flow = event("cot-multiline-remarks.xml").detail.one("_flow-tags_")
    assert flow is not None
    assert [each.name for each in flow.children] == ["NodeCoT-8.1.0"]


def test_an_emergency_is_an_alert_of_the_linked_unit() -> None:
    happened = only("cot-emergency.xml")
    at = datetime(2026, 2, 4, 13, 40, 15, 895_000, tzinfo=UTC)
    assert happened == Happened(
        what=UnitAlert(
            unit_uid="WEAROS_dce34c83708172e9",
            callsign="SP-Dev",
            alert_type="Manual Alert: Gunshot",
            active=True,
            at=at,
            position=Position(
                latitude=41.8838397,
                longitude=-87.6590334,
                altitude_m=155.50001525878906,
                accuracy_m=17.75,
                recorded_at=at,
            ),
        ),
        occurred_at=at,
    )


@pytest.mark.parametrize(
    ("name", "meaning"), [("cot-chat-receipt.xml", "chat: read"), ("cot-pong.xml", "ping, or an answer to one")]
)
def test_talk_is_no_unit(name: str, meaning: str) -> None:
    assert only(name).meaning == meaning


def test_map_points_and_drawings_are_no_units() -> None:
    spot = only("cot-marker-spot.cot")
    assert (spot.name, spot.color, spot.altitude_m) == ("R 1", "#FF0000", None)
    rectangle = only("cot-rectangle.cot")
    (ring,) = rectangle.geometry["coordinates"]
    assert ring[:4] == [
        [-77.06896916307281, 38.83884480020009],
        [-77.06737849735573, 38.83878017039543],
        [-77.0675250569016, 38.8365895820601],
        [-77.06911560643489, 38.83665521881576],
    ]
    assert ring[4] == ring[0]
    shape, told = only("cot-free-form.xml"), expected("cot-free-form")["geojson"]
    assert shape.geometry == told["geometry"]
    assert (shape.stroke, shape.fill) == (told["properties"]["stroke"], told["properties"]["fill"])
    video = only("cot-video.xml")
    assert video.video_url == "https://publicstreamer3.cotrip.org/rtplive/123/playlist.m3u8"
    assert video.color == "#FFFFFF"
    assert video.geometry == {"type": "Point", "coordinates": [-104.6282182, 38.2089117]}
    ellipse = only("cot-ellipse.xml")
    assert (ellipse.name, ellipse.geometry["coordinates"]) == ("Ellipse 1", [-102.7876738, 39.9127697])
    nested = event("cot-ellipse.xml").detail.one("shape")
    assert nested is not None
    style = nested.all("link")[0].all("Style")[0]
    assert style.all("PolyStyle")[0].all("color")[0].text == "96ffffff"


def test_a_route_has_points_but_no_place() -> None:
    route, told = only("cot-route.cot"), expected("cot-route")
    assert list(route.waypoints) == told["waypoints"]
    assert len(route.geometry["coordinates"]) == told["points"]
    assert route.geometry["coordinates"][0] == [-77.05440032542333, 38.84335305982451]
    assert route.method == told["method"]


# --- TAK protocol


@pytest.mark.parametrize("name", ["takproto-mesh", "takproto-stream"])
def test_protobuf_messages_give_the_same_unit_as_their_xml(name: str) -> None:
    told = expected(name)["cotEvent"]
    seen = takproto.read_datagram((SAMPLES / f"{name}.bin").read_bytes())
    assert seen is not None
    assert (seen.uid, seen.type, seen.how) == (told["uid"], told["type"], told["how"])
    assert (seen.lat, seen.lon, seen.hae, seen.ce, seen.le) == (told["lat"], told["lon"], told["hae"], None, None)
    for ours, theirs in ((seen.time, "sendTime"), (seen.start, "startTime"), (seen.stale, "staleTime")):
        assert ours is not None
        assert ours.timestamp() * 1000 == int(told[theirs])
    assert seen.attribute("uid", "Droid") == "Eliopoli HQ"
    assert seen.attribute("another", "test") == "1"
    assert seen.attribute("contact", "endpoint") == told["detail"]["contact"]["endpoint"]
    assert seen.attribute("takv", "os") == told["detail"]["takv"]["os"]
    unit = only(f"{name}.bin")
    assert (unit.callsign, unit.team, unit.role, unit.battery_percent) == ("Eliopoli HQ", "Yellow", "HQ", 100.0)
    assert unit.position is not None
    assert (unit.position.speed_kmh, unit.position.heading_deg, unit.position.accuracy_m) == (0.0, 0.0, None)
    assert mapping.unit(event("takproto-source.xml"), ORIGIN) == unit


def test_the_streams_length_takes_two_bytes() -> None:
    body = (SAMPLES / "takproto-stream.bin").read_bytes()
    assert body[:3] == b"\xbf\xb3\x02"
    assert takproto.read_varint(body, 1) == (307, 3)
    assert takproto.frame((SAMPLES / "takproto-mesh.bin").read_bytes()[3:]) == body


def test_the_independent_codec_reads_what_we_write() -> None:
    at = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
    body = takproto.write_message("t-x-c-t", "CROSSDOCK-tak-ping", at)
    read = parse_stream(bytearray(takproto.frame(body)))
    assert read.cotEvent.type == "t-x-c-t"
    assert read.cotEvent.uid == "CROSSDOCK-tak-ping"
    assert read.cotEvent.sendTime == 1795599000000
    assert read.cotEvent.staleTime == 1795599020000


def test_we_read_what_the_independent_codec_writes() -> None:
    xml = (SAMPLES / "cot-itak.xml").read_text()
    theirs = bytes(xml2proto(xml))
    assert parse_mesh(bytearray(theirs)) is not None
    seen = takproto.read_datagram(theirs)
    assert seen is not None
    ours = event("cot-itak.xml")
    assert mapping.unit(seen, ORIGIN).position == mapping.unit(ours, ORIGIN).position
    assert seen.attribute("takv", "version") == "2.7.0.609"


def test_an_element_in_both_forms_is_taken_from_the_xml() -> None:
    message: Any = takproto.message_class()()
    wire_event = message.cotEvent
    wire_event.uid, wire_event.type, wire_event.sendTime = "u", "a-f-G", 1
    wire_event.detail.xmlDetail = '<contact callsign="xml" phone="1"/>'
    wire_event.detail.contact.callsign = "typed"
    seen = takproto.read_message(message.SerializeToString())
    assert seen is not None
    assert seen.attribute("contact", "callsign") == "xml"
    assert len(seen.detail.all("contact")) == 1


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"\xbf\x01\xbf\xff\xff\xff", "no valid protobuf"),
        (b"\xbf" + b"\xff" * 11, "longer than 10 bytes"),
        (b"\xbf\xff\xff\xff\x7f", "is longer than 1048576"),
        (b"\xbf\x05\x12\x03", "no single TAK message"),
        (b"\xbf\x01\xbf\x12\x02\x0a\x00", "lacks `uid` or `type`"),
        (b"\xbf\x01\xbf\x12\x11\x0a\x01a\x2a\x01u\x30" + b"\xff" * 9 + b"\x01", "is no time"),
    ],
)
def test_broken_frames_are_refused(body: bytes, text: str) -> None:
    with pytest.raises(BadPayload, match=text) as caught:
        takproto.read_datagram(body)
    assert caught.value.path
    assert caught.value.path.startswith("$")


# --- XML that means harm


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE event [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><event uid="&c;" type="a-f-G" time="2026-01-01T00:00:00Z"></event>'
)
EXTERNAL = (
    b'<?xml version="1.0"?><!DOCTYPE event [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    b'<event uid="u" type="a-f-G" time="2026-01-01T00:00:00Z"><detail><remarks>&x;</remarks></detail></event>'
)


@pytest.mark.parametrize("body", [LAUGHS, EXTERNAL, b"<!DOCTYPE e SYSTEM 'http://127.0.0.1:1/e.dtd'><event/>"])
def test_dtds_and_entities_are_refused(body: bytes) -> None:
    with pytest.raises(BadPayload, match="document type") as caught:
        cot.node(body)
    assert caught.value.path == "$"
    with pytest.raises(BadPayload, match="document type"):
        list(cot.events(body))


def test_entities_without_a_dtd_are_refused_too() -> None:
    found, _ = cot.cut(EXTERNAL)
    with pytest.raises(BadPayload, match="the message is no XML"):
        cot.parse(found[0])


def test_dtds_in_another_encoding_are_refused() -> None:
    with pytest.raises(BadPayload):
        cot.node(LAUGHS.decode().encode("utf-16"))


def test_size_and_depth_have_limits() -> None:
    with pytest.raises(BadPayload, match="longer than 1048576 bytes"):
        cot.node(b"<event>" + b" " * cot.MAX_EVENT + b"</event>")
    with pytest.raises(BadPayload, match="nested too deeply"):
        cot.node(b"<a>" * 40 + b"</a>" * 40)


def test_one_bad_event_spoils_no_other() -> None:
    good = (SAMPLES / "cot-itak.xml").read_bytes().strip()
    body = b"<events>" + good + b'<event uid="x"><oops></event>' + b"<event type='a-f-G'></event>" + good + b"</events>"
    found = list(cot.events(body))
    assert [type(each).__name__ for each in found] == ["Event", "BadPayload", "BadPayload", "Event"]
    assert isinstance(found[2], BadPayload)
    assert found[2].path == "$.event@uid"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"<event type='a-f-G' time='2026-01-01T00:00:00Z'/>", "$.event@uid"),
        (b"<event uid='u' time='2026-01-01T00:00:00Z'/>", "$.event@type"),
        (b"<event uid='u' type='a-f-G'/>", "$.event@time"),
        (b"<event uid='u' type='a-f-G' time='yesterday'/>", "$.event@time"),
        (b"<events/>", "$"),
    ],
)
def test_events_that_lack_something_say_where(body: bytes, path: str) -> None:
    with pytest.raises(BadPayload) as caught:
        cot.parse(body)
    assert caught.value.path == path


def test_the_order_of_things_does_not_matter() -> None:
    """Seen: `point` after `detail`, no `how`, version 2, NaN; and the same event twice, in another order."""
    one = cot.parse(
        b'<event version="2" uid="u" type="a-f-G" time="2026-01-01T00:00:00Z" stale="2026-01-01T00:01:00Z">'
        b'<detail><contact callsign="A" endpoint="e"/><_flow-tags_ x="1"/></detail>'
        b'<point lat="1" lon="2" hae="NaN" ce="9999999" le="9999999"/></event>'
    )
    two = cot.parse(
        b'<event stale="2026-01-01T00:01:00Z" type="a-f-G" uid="u" time="2026-01-01T00:00:00.000Z" version="2.0">'
        b'<point le="9999999.0" ce="9999999.0" hae="NaN" lon="2.0" lat="1.0"/>'
        b'<detail><contact endpoint="e" callsign="A"/></detail></event>'
    )
    assert (one.how, one.hae) == (None, None)
    assert one.delivery_id == two.delivery_id
    assert one.delivery_id.startswith("u:1767225600.000:")


def test_framing_cuts_after_the_end_of_an_event() -> None:
    for case in json.loads((SAMPLES / "cot-framing.json").read_text()):
        events, rest = cot.cut(case["in"].encode())
        assert [each.decode() for each in events] == case["events"]
        assert rest.decode() == case.get("remainder", case["in"])


# --- symbols


def test_symbol_codes_convert_both_ways() -> None:
    told = json.loads((SAMPLES / "sidc.json").read_text())
    for cot_type, code in told["cot_to_2525B"].items():
        assert symbols.letters(cot_type) == code
    for code, cot_type in told["2525B_to_cot"].items():
        assert symbols.from_letters(code) == cot_type
    for code, cot_type in told["numeric_to_cot"].items():
        assert symbols.from_numbers(code) == cot_type
        back = symbols.numbers(cot_type)
        assert back is not None
        assert symbols.from_numbers(back) == cot_type


@pytest.mark.parametrize(
    ("cot_type", "code"),
    [
        ("a-f-G-E-W-M-A-S-i-sa2", "SFGPEWMAS------"),
        ("a-h-A-M-F-Q-r", "SHAPMFQ--------"),
        ("a-.-G", None),
        ("a-f", None),
        ("b-m-r", None),
    ],
)
def test_functions_end_where_2525_does_not_know_them(cot_type: str, code: str | None) -> None:
    assert symbols.letters(cot_type) == code


@pytest.mark.parametrize(
    ("cot_type", "number"),
    [
        ("a-f-G-E-V-C", "10031500000000000000"),
        ("a-n-G-I", "10042000000000000000"),
        ("a-j-A", "10150100000000000000"),
        ("a-k-S", "10163000000000000000"),
        ("a-f-P", "10030500000000000000"),
        ("a-h-U", "10063500000000000000"),
        ("a-o-G", None),
        ("u-d-f", None),
    ],
)
def test_numbers_carry_identity_and_set(cot_type: str, number: str | None) -> None:
    assert symbols.numbers(cot_type) == number
    if number is not None:
        assert symbols.from_numbers(number) == "-".join(cot_type.split("-")[:3])


@pytest.mark.parametrize("code", ["", "T" * 15, "SFGP", "10039900000000000000", "1003100000121100000a", "x" * 20])
def test_what_is_no_symbol_code_is_null(code: str) -> None:
    assert symbols.from_letters(code) is None
    assert symbols.from_numbers(code) is None


# --- missions


def test_a_push_names_the_mission_that_changed() -> None:
    assert only("mission-change-event.json") == mapping.MissionNotice(
        guid="4ce8e41d-21e4-4471-a303-09d12bb93bcf",
        name="2024-07-17 - Lost Hiker",
        what="CHANGE",
        changes=(
            MissionChange(
                change_type="ADD_CONTENT",
                at=datetime(2024, 8, 16, 15, 21, 55, 361_000, tzinfo=UTC),
                unit_uid="layer-11-27529-1",
            ),
        ),
    )


CREATED = datetime(2026, 11, 21, 22, 46, 59, 502_900, tzinfo=UTC)


@pytest.mark.parametrize("name", ["tak-api-mission-get.txt", "tak-api-mission-create.txt"])
def test_a_mission(name: str) -> None:
    mission = only(name)
    assert mission == Mission(
        id=mission.id,
        source=ORIGIN.source("edd6bc46-b3ee-4256-adea-01371890689f"),
        updated_at=CREATED,
        name="Convoy Alpha",
        description="Resupply run",
        state=MissionState.ACTIVE,
        tool="public",
        classification=None,
        created_at=CREATED,
        created_by="CONNECTOR-1",
        expires_at=None,
        changes=(MissionChange(change_type="CREATE_MISSION", at=CREATED, by="CONNECTOR-1"),),
    )
    assert "token" not in repr(mission)


def test_a_missions_changes() -> None:
    """The open server puts the uid of the content into `missionGuid`."""
    assert decoded("tak-api-mission-changes2.txt") == [
        MissionChange(change_type="CREATE_MISSION", at=CREATED, by="CONNECTOR-1"),
        MissionChange(
            change_type="ADD_CONTENT",
            at=datetime(2026, 11, 21, 22, 47, 9, 733_100, tzinfo=UTC),
            by="CONNECTOR-1",
            unit_uid="ANDROID-veh-7",
            callsign="TRUCK-7",
        ),
    ]


def test_a_subscription_is_an_object_with_an_http_date() -> None:
    assert only("tak-api-mission-subscribe.txt") == mapping.MissionSubscription(
        client_uid="CONNECTOR-1", created_at=datetime(2026, 11, 21, 22, 46, 59, tzinfo=UTC), role="MISSION_OWNER"
    )


def test_contacts_are_a_bare_list() -> None:
    fleet, truck = decoded("tak-api-contacts.txt")
    assert isinstance(fleet, Unit)
    assert isinstance(truck, Unit)
    assert (fleet.uid, fleet.callsign, fleet.team, fleet.role) == ("CONNECTOR-1", "FLEET", "White", "HQ")
    assert (truck.uid, truck.callsign, truck.team, truck.role) == ("ANDROID-veh-7", "TRUCK-7", "Cyan", "Team Member")
    assert truck.connectivity is Connectivity.UNKNOWN


def test_no_events_are_no_events() -> None:
    assert list(cot.events(payload("tak-api-mission-cot.txt").body)) == []


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        (
            "tak-api-enroll-badpass.txt",
            OutcomeKind.AUTH_FAILED,
            "the server does not know the client certificate's user",
        ),
        ("tak-api-mission-nocert.txt", OutcomeKind.AUTH_FAILED, "Missions are only supported on SSL connections"),
        ("tak-api-mission-get-missing.txt", OutcomeKind.ABSENT, "Mission Nothing not found"),
    ],
)
def test_what_error_answers_mean(name: str, kind: OutcomeKind, message: str) -> None:
    given = payload(name)
    outcome = explain(httpx.Response(given.status, headers=given.headers, content=given.body))
    assert outcome is not None
    assert (outcome.kind, outcome.message) == (kind, message)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (404, b'{"status":"NOT_FOUND","code":404,"message":"Mission x"}', OutcomeKind.ABSENT, "NOT_FOUND"),
        (403, b'{"status":"FORBIDDEN","code":403,"message":"no"}', OutcomeKind.DENIED, "FORBIDDEN"),
        (500, b'{"status":"INTERNAL","code":500,"message":"boom"}', OutcomeKind.DOWN, "INTERNAL"),
        (500, b"<!doctype html><html></html>", OutcomeKind.DOWN, None),
        (200, b"<!doctype html><html></html>", OutcomeKind.NONSENSE, None),
    ],
)
def test_errors_of_both_servers(status: int, body: bytes, kind: OutcomeKind, code: str | None) -> None:
    outcome = explain(httpx.Response(status, content=body))
    assert outcome is not None
    assert (outcome.kind, outcome.code) == (kind, code)


def test_uids_come_bare_or_with_who_added_them_and_drawings_are_no_units() -> None:
    body = (
        b'{"version":3,"type":"Mission","data":{"name":"m","guid":"g","expiration":1700000000,"uids":["a",'
        b'{"data":"b","details":{"type":"a-f-G"}},{"data":"c","details":{"type":"u-d-f"}},{"data":"a"}],'
        b'"contents":[{"data":{"name":"f.txt","hash":"00ff","size":"12","mimeType":"text/plain",'
        b'"submissionTime":"2026-11-21T22:46:59.5029Z"}}]}}'
    )
    mission = mapping.mission(wire.missions(body)[0], ORIGIN)
    assert mission.unit_uids == ("a", "b")
    assert mission.state is MissionState.EXPIRED
    assert mission.expires_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    (document,) = mission.documents
    assert (document.name, document.hash, document.size_bytes) == ("f.txt", "00ff", 12)
    assert document.submitted_at == CREATED


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"data": 7}', "$.data"),
        (b'{"data": [{"name": 7}]}', "$.data[0].name"),
        (b'{"data": [{"name": "a"}, {"name": "b", "uids": [7]}]}', "$.data[1].uids[0]"),
        (b'{"data": "x"', "$"),
    ],
)
def test_wrong_types_say_where(body: bytes, path: str) -> None:
    with pytest.raises(BadPayload) as caught:
        wire.missions(body)
    assert caught.value.path == path


def test_times_come_in_three_forms() -> None:
    assert cot.when("2026-11-21T22:46:59.5029Z") == CREATED
    assert cot.when("Sat, 21 Nov 2026 22:46:59 GMT") == datetime(2026, 11, 21, 22, 46, 59, tzinfo=UTC)
    assert cot.when("2026-11-21T22:46:59.626799Z") == datetime(2026, 11, 21, 22, 46, 59, 626_799, tzinfo=UTC)
    assert cot.when(1795599000000) == datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
    for wrong in ("yesterday", "2026-11-21T22:46:59"):
        with pytest.raises(MappingFailed):
            cot.when(wrong)


def test_a_deletion_removes_the_linked_units_only() -> None:
    body = (
        b'<event uid="d" type="t-x-d-d" time="2026-01-01T00:00:00Z"><detail><link uid="u1" type="none" relation="p-p"/>'
        b'<link uid="u2" type="a-f-G"/><link uid="shape" type="u-d-f"/><link uid="u3"/></detail></event>'
    )
    found = mapping.removal(cot.parse(body), ORIGIN)
    assert all(isinstance(each, Removed) for each in found)
    assert [global_id(each.id).external_id for each in found] == ["u1", "u2", "u3"]


def test_an_emergency_is_cancelled() -> None:
    body = (
        b'<event uid="ANDROID-1-9-1-1" type="b-a-o-can" time="2026-01-01T00:00:00Z"><point lat="0" lon="0"/>'
        b'<detail><emergency cancel="true">A1</emergency></detail></event>'
    )
    alert = mapping.alert(cot.parse(body)).what
    assert isinstance(alert, UnitAlert)
    assert (alert.unit_uid, alert.callsign, alert.active, alert.position) == ("ANDROID-1", "A1", False, None)
