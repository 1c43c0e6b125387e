"""The TAK connector against its stand-in, in process: what it reads, in how many calls, how it fails."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from connectors.c4isr import TakServer, cot, decoders
from connectors.kit.errors import AuthFailed, BadPayload, NotFound, PermissionDenied
from connectors.kit.integration import Integration, Secret
from connectors.kit.manifest import Payload
from connectors.kit.protocols import EventStream, IdentitySource, Poller, Raw, WebhookReceiver
from connectors.kit.services import Reading, Services, current_reading
from sandbox import tak
from sandbox.standin import Failure
from sandbox.tak.cot import emergency, mission_event, unit_event
from sandbox.tak.rest import EXPIRED, PROTECTED
from sandbox.world import World
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from unified import ids, queries, records
from unified.events import Changed, Happened, Removed
from unified.keys import Subject
from unified.queries import ListQuery
from unified.records import Affiliation, Connectivity, Dimension, Kind, MissionState
from unified.values import BoundingBox, System

SECRET = "only-for-missions"


def integration(**more: Any) -> Integration:
    facts: dict[str, Any] = {
        "key": "tak",
        "system": System.C4ISR,
        "base_url": "http://vendor",
        "credentials": {"mission_password": Secret(tak.MISSION_PASSWORD)},
    }
    return Integration(**facts | more)


def missions_query(**more: Any) -> ListQuery[queries.MissionFilter]:
    return ListQuery(filter=queries.MissionFilter(**more))


def units_query(**more: Any) -> ListQuery[queries.UnitFilter]:
    return ListQuery(filter=queries.UnitFilter(**more))


class TestTakServer(ConnectorContract):
    system = System.C4ISR
    kinds = frozenset({Kind.MISSION, Kind.UNIT})
    expires = False  # a certificate is shown with each connection
    request_id_header = None  # the server names no calls

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        clock_box: list[FakeClock] = []
        world = World(lambda: clock_box[0].now() if clock_box else NOW)
        standin = tak.create(world)
        services, clock, log = self.services(httpx.ASGITransport(app=standin.app))
        clock_box.append(clock)
        secrets = {"mission_password": Secret(SECRET), "client_key_password": Secret("key-secret-4711")}
        connector = TakServer(integration(credentials=secrets), services)
        yield Bench(connector=connector, faults=standin.faults, clock=clock, log=log, secrets=(SECRET, "4711"))
        await connector.aclose()

    async def read_one(self, connector: Any) -> object:
        return await connector.list_missions(missions_query(), None)

    async def test_what_a_list_shows_is_read_by_its_id(self, bench: Bench) -> None:
        """As the contract has it, with the password of the protected mission."""
        connector = TakServer(integration(), bench.connector.services)
        await super().test_what_a_list_shows_is_read_by_its_id(
            Bench(connector=connector, faults=bench.faults, clock=bench.clock, log=bench.log, secrets=bench.secrets)
        )

    def wrong_types(self) -> bytes:
        return b'{"version": 3, "type": "Mission", "data": [{"name": "a", "uids": {"a": 7}}]}'

    async def test_wrong_types_name_the_place(self, bench: Bench) -> None:
        bench.faults.fail_next.append(Failure(status=200, body=self.wrong_types()))
        with pytest.raises(BadPayload) as caught:
            await self.read_one(bench.connector)
        assert caught.value.path == "$.data[0].uids"


class Rig:
    """A connector over a stand-in whose clock we hold."""

    def __init__(self, *, quirks: bool = True, **more: Any) -> None:
        self.clock, self.log = FakeClock(), Lines()
        self.world = World(self.clock.now)
        self.standin = tak.create(self.world, quirks=quirks)
        self.faults = self.standin.faults
        self.services = Services(transport=httpx.ASGITransport(app=self.standin.app), clock=self.clock, log=self.log)
        self.connector = TakServer(integration(**more), self.services)

    @property
    def calls(self) -> dict[str, int]:
        return {path.removeprefix("/Marti/api"): count for (_, path), count in self.faults.calls.items()}


@pytest.fixture(params=[True, False], ids=["quirks", "by-the-book"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    made = Rig(quirks=request.param)
    yield made
    await made.connector.aclose()


# --- units


async def test_units_are_listed_in_two_calls(rig: Rig) -> None:
    page = await rig.connector.list_units(units_query(), None)
    assert rig.calls == {"/contacts/all": 1, "/cot/sa": 1}
    assert (page.total, page.next) == (16, None)
    assert [each.uid for each in page.records] == sorted(each.uid for each in page.records)
    assert {each.uid for each in page.records} == {
        *(each.uid for each in rig.world.units),
        "marker-suspect-1",
        "WEBTAK-DESK-1",
    }, "drawings are no units"


async def test_a_unit_as_the_world_has_it(rig: Rig) -> None:
    there = next(each for each in rig.world.units if each.vehicle is not None and each.state_at(NOW).online)
    state = there.state_at(NOW)
    (unit,) = await rig.connector.read_units([there.uid])
    assert (unit.uid, unit.callsign, unit.team, unit.role) == (there.uid, there.callsign, there.team, there.role)
    assert (unit.affiliation, unit.dimension) == (Affiliation.FRIEND, Dimension.GROUND)
    assert unit.symbol_code is not None
    assert unit.symbol_code.startswith("SFGPEV")
    assert unit.connectivity is Connectivity.ONLINE
    assert unit.battery_percent == state.battery_pct
    assert unit.position is not None
    assert (unit.position.latitude, unit.position.longitude) == (state.latitude, state.longitude)
    assert (unit.position.altitude_m, unit.position.accuracy_m) == (state.altitude_m, 4.5)
    assert unit.position.speed_kmh == pytest.approx(state.speed_kmh, abs=1e-6)
    assert unit.position.heading_deg == state.course_deg
    assert unit.position.recorded_at == state.at
    assert unit.stale_at == state.at + timedelta(seconds=120)


async def test_call_signs_meet_the_other_systems_vehicles(rig: Rig) -> None:
    found = {(each.number, each.external_id) async for each in rig.connector.identities()}
    assert rig.calls == {"/contacts/all": 1, "/clientEndPoints": 1}
    heavy = next(each for each in rig.world.vehicles if each.kind == "heavy")
    assert (heavy.tak_callsign, heavy.tak_uid) in found
    assert (heavy.tak_uid, heavy.tak_uid) in found
    assert ("DESK-1", "WEBTAK-DESK-1") in found
    assert len(found) == 2 * (len(rig.world.units) + 1)
    async for each in rig.connector.identities():
        assert (each.subject, each.kind) == (Subject.VEHICLE, Kind.UNIT)


async def test_many_units_are_read_in_one_call(rig: Rig) -> None:
    uids = [each.uid for each in rig.world.units]
    found = await rig.connector.read_units([*uids, uids[0]])
    assert [each.uid for each in found] == uids
    assert rig.calls == {"/cot": 1}


async def test_a_unit_without_a_position_is_found_among_the_contacts(rig: Rig) -> None:
    (desk,) = await rig.connector.read_units(["WEBTAK-DESK-1", "nobody"])
    assert (desk.callsign, desk.team, desk.role) == ("DESK-1", "White", "HQ")
    assert (desk.connectivity, desk.position, desk.symbol_code) == (Connectivity.UNKNOWN, None, None)
    assert rig.calls == {"/cot": 1, "/contacts/all": 1}


async def test_a_server_without_batch_reads_is_asked_for_each(rig: Rig) -> None:
    uids = [each.uid for each in rig.world.units][:3]
    rig.faults.fail_next.append(Failure(status=404, path="/Marti/api/cot"))
    assert [each.uid for each in await rig.connector.read_units(uids)] == uids
    assert [each.uid for each in await rig.connector.read_units(uids[:1])] == uids[:1]
    assert rig.calls == {"/cot": 1, "/cot/xml/{uid:path}": 4}


async def test_a_box_is_asked_of_the_server_in_one_call(rig: Rig) -> None:
    there = rig.world.units[0].state_at(NOW)
    box = BoundingBox(
        south=there.latitude - 0.01,
        west=there.longitude - 0.01,
        north=there.latitude + 0.01,
        east=there.longitude + 0.01,
    )
    page = await rig.connector.list_units(units_query(within=box), None)
    assert rig.calls == {"/cot/sa": 1}
    inside = {
        each.uid for each in rig.world.units if box.contains(each.state_at(NOW).latitude, each.state_at(NOW).longitude)
    }
    assert {each.uid for each in page.records} == inside
    sent = httpx.QueryParams(rig.faults.recent[-1].query)
    assert sent["left"] == str(there.longitude - 0.01)
    assert sent["start"] == "2026-11-24T10:00:00.000Z"
    assert sent["end"] == "2026-11-25T10:00:00.000Z"


async def test_a_box_across_the_antimeridian_is_not_pushed_down(rig: Rig) -> None:
    box = BoundingBox(south=-90, west=170, north=90, east=-170)
    page = await rig.connector.list_units(units_query(within=box), None)
    assert "left" not in httpx.QueryParams(rig.faults.recent[-1].query)
    assert len(page.records) == 15


async def test_nothing_moved_is_no_error(rig: Rig) -> None:
    rig.faults.fail_next.append(Failure(status=404, path="/cot/sa"))
    page = await rig.connector.list_units(units_query(), None)
    assert {each.connectivity for each in page.records} == {Connectivity.UNKNOWN}


async def test_a_bad_event_is_left_out_and_told(rig: Rig) -> None:
    good = (await rig.connector._get("/Marti/api/cot/xml/marker-suspect-1"))[0]
    body = b"<events>" + cot.cut(good)[0][0] + b"<event uid='x' type='a-f-G'></event></events>"
    rig.faults.fail_next.append(Failure(status=200, body=body, path="/cot/sa"))
    page = await rig.connector.list_units(units_query(), None)
    assert "marker-suspect-1" in {each.uid for each in page.records}
    assert rig.log.lines == [
        ("vendor.bad_event", {"integration": "tak", "count": 1, "error": "the event lacks `time`"})
    ]


async def test_the_last_situation_is_served_while_the_server_is_down(rig: Rig) -> None:
    before = await rig.connector.list_units(units_query(), None)
    rig.faults.down = True
    rig.clock.passed += 600
    reading = Reading()
    current_reading.set(reading)
    after = await rig.connector.list_units(units_query(), None)
    assert [each.uid for each in after.records] == [each.uid for each in before.records]
    assert all(each.source.stale and each.source.as_of == NOW for each in after.records)
    assert reading.stale_as_of == NOW
    current_reading.set(None)


# --- missions


async def test_missions_are_paged_as_the_server_pages(rig: Rig) -> None:
    rig.world.missions = rig.world.missions * 4  # type: ignore[misc]
    first = await rig.connector.list_missions(ListQuery(filter=queries.MissionFilter(), limit=10), None)
    second = await rig.connector.list_missions(ListQuery(filter=queries.MissionFilter(), limit=10), first.next)
    third = await rig.connector.list_missions(ListQuery(filter=queries.MissionFilter(), limit=10), second.next)
    assert [len(each.records) for each in (first, second, third)] == [10, 10, 4]
    assert (first.next, second.next, third.next) == ("1.10", "2.10", None)
    assert rig.calls == {"/pagedmissions": 3}
    assert httpx.QueryParams(rig.faults.recent[-1].query) == httpx.QueryParams(
        {"passwordProtected": "true", "defaultRole": "true", "page": "2", "pagesize": "10"}
    )


@pytest.mark.parametrize("cursor", ["x", "1", "1.", "-1.10", "1.10.5", "999999999.99"])
async def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    made = Rig()
    if cursor == "999999999.99":
        page = await made.connector.list_missions(missions_query(), cursor)
        assert page.records == []
        return
    with pytest.raises(ValueError, match="not a cursor"):
        await made.connector.list_missions(missions_query(), cursor)
    with pytest.raises(ValueError, match="not a cursor"):
        await made.connector.list_units(units_query(), cursor)


async def test_a_mission_as_the_world_has_it(rig: Rig) -> None:
    there = rig.world.missions[0]
    (mission,) = await rig.connector.read_missions([there.guid])
    assert rig.calls == {"/missions/guid/{guid}": 1}
    assert (mission.source.external_id, mission.name) == (there.guid, there.name)
    assert (mission.description, mission.classification) == (there.description, there.classification)
    assert (mission.tool, mission.keywords, mission.created_by) == ("public", there.keywords, there.creator_uid)
    assert mission.state is MissionState.ACTIVE
    assert mission.expires_at is None
    assert mission.unit_uids == there.unit_uids_at(NOW)
    assert [(each.name, each.hash, each.size_bytes, each.mime_type) for each in mission.documents] == [
        (each.name, each.sha256, each.size, each.mime_type) for each in there.contents_at(NOW)
    ]
    changes = list(there.changes(NOW - timedelta(days=1), NOW + timedelta(seconds=1)))
    assert [each.at for each in mission.changes] == [each.at for each in changes]
    assert [each.unit_uid for each in mission.changes] == [each.unit_uid for each in changes]
    assert mission.updated_at == changes[-1].at
    assert mission.created_at == there.created_at.replace(microsecond=0)


async def test_expired_and_protected_missions(rig: Rig) -> None:
    page = await rig.connector.list_missions(missions_query(), None)
    found = {each.name: each for each in page.records}
    assert page.total == len(found) == 6
    assert found[EXPIRED].state is MissionState.EXPIRED
    assert found[EXPIRED].expires_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert [each.name for each in page.records if each.password_protected] == [PROTECTED]
    guid = found[PROTECTED].source.external_id
    (protected,) = await rig.connector.read_missions([guid])
    assert protected.name == PROTECTED
    assert httpx.QueryParams(rig.faults.recent[-1].query)["password"] == tak.MISSION_PASSWORD


async def test_without_the_password_a_mission_is_denied() -> None:
    made = Rig(credentials={})
    guid = made.world.mission_by_name[PROTECTED].guid
    with pytest.raises(PermissionDenied, match="Access is denied to this mission"):
        await made.connector.read_missions([guid])


async def test_several_missions_cost_a_call_each_and_missing_ones_are_absent(rig: Rig) -> None:
    guids = [each.guid for each in rig.world.missions[:3]]
    found = await rig.connector.read_missions([*guids, "no-such-guid"])
    assert [each.source.external_id for each in found] == guids
    assert rig.calls == {"/missions/guid/{guid}": 4, "/missions/{name}": 1}


async def test_a_server_that_knows_names_only(rig: Rig) -> None:
    await rig.connector.list_missions(missions_query(), None)
    there = rig.world.missions[0]
    rig.faults.fail_next.append(Failure(status=404, path="/missions/guid/"))
    (mission,) = await rig.connector.read_missions([there.guid])
    assert mission.name == there.name
    assert rig.faults.recent[-1].path == f"/Marti/api/missions/{there.name}"


async def test_another_mission_of_the_same_name_is_not_the_one_asked_for(rig: Rig) -> None:
    rig.connector._names["gone-guid"] = rig.world.missions[0].name
    assert await rig.connector.read_missions(["gone-guid"]) == []


async def test_a_server_without_pages_is_read_at_once(rig: Rig) -> None:
    rig.faults.fail_next.append(Failure(status=404, path="/pagedmissions"))
    page = await rig.connector.list_missions(missions_query(), None)
    assert (len(page.records), page.next) == (6, None)
    assert rig.calls == {"/pagedmissions": 1, "/missions": 1}
    rig.faults.fail_next.append(Failure(status=404, path="/pagedmissions"))
    with pytest.raises(NotFound):
        await rig.connector.list_missions(missions_query(), "1.10")


async def test_check_says_who_answered(rig: Rig) -> None:
    assert await rig.connector.check() == "TAK Server 5.4-RELEASE-sandbox"
    assert rig.faults.total_calls() == 1


async def test_401_without_a_word_is_refused_credentials(rig: Rig) -> None:
    rig.faults.fail_next.append(Failure(status=401))
    with pytest.raises(AuthFailed, match="does not know the client certificate's user"):
        await rig.connector.check()


# --- live


def test_it_streams_and_polls_and_takes_no_webhooks(rig: Rig) -> None:
    assert isinstance(rig.connector, EventStream)
    assert isinstance(rig.connector, Poller)
    assert isinstance(rig.connector, IdentitySource)
    assert not isinstance(rig.connector, WebhookReceiver)


async def events(rig: Rig, raws: tuple[Raw, ...]) -> list[Any]:
    return [event for raw in raws for event in await rig.connector.events(raw)]


async def test_the_poller_tells_what_came_changed_and_went(rig: Rig) -> None:
    first = await rig.connector.poll(None)
    found = await events(rig, first.raws)
    assert {event.record.name for event in found} == {each.name for each in rig.world.missions}
    assert all(isinstance(event, Changed) and event.occurred_at == NOW for event in found)

    again = await rig.connector.poll(first.cursor)
    assert again.raws == ()
    assert again.cursor == first.cursor

    rig.clock.passed += 3600
    soon = await rig.connector.poll(again.cursor)
    now = rig.clock.now()
    expected = {
        each.name
        for each in rig.world.missions
        if (each.contents_at(NOW), each.unit_uids_at(NOW)) != (each.contents_at(now), each.unit_uids_at(now))
    }
    assert expected
    found = await events(rig, soon.raws)
    assert {event.record.name for event in found} == expected
    assert {event.occurred_at for event in found} == {now}

    gone = rig.world.missions[0]
    rig.world.missions = rig.world.missions[1:]  # type: ignore[misc]
    last = await rig.connector.poll(soon.cursor)
    (raw,) = last.raws
    assert raw.delivery_id == f"{gone.guid}:gone:{now.isoformat()}"
    assert await rig.connector.events(raw) == [
        Removed(kind=Kind.MISSION, id=ids.encode("Mission", "tak", gone.guid), occurred_at=now)
    ]


async def test_a_lost_or_foreign_cursor_tells_everything_again(rig: Rig) -> None:
    assert len((await rig.connector.poll("no cursor")).raws) == 6


async def test_an_outage_tells_nothing(rig: Rig) -> None:
    first = await rig.connector.poll(None)
    rig.faults.down = True
    assert await rig.connector.poll(first.cursor) == msgspec.structs.replace(first, raws=())


async def test_without_a_stream_units_are_polled_too() -> None:
    made = Rig(settings={"stream_url": ""})
    polled = await made.connector.poll(None)
    told = await events(made, polled.raws)
    assert {event.record.uid for event in told if event.record.kind is Kind.UNIT} == {
        *(each.uid for each in made.world.units),
        "marker-suspect-1",
    }
    again = await made.connector.poll(polled.cursor)
    assert {each.delivery_id for each in again.raws} <= {each.delivery_id for each in polled.raws}
    assert [each async for each in made.connector.stream()] == []


def raw(event: str) -> Raw:
    return Raw(delivery_id="d", decoder=decoders.XML, payload=Payload(body=event.encode()))


async def test_a_push_fetches_the_mission(rig: Rig) -> None:
    there = rig.world.missions[0]
    change = next(there.changes(NOW - timedelta(hours=1), NOW))
    (event,) = await rig.connector.events(raw(mission_event(there, change, NOW).xml()))
    assert rig.calls == {"/missions/guid/{guid}": 1}
    assert isinstance(event, Changed)
    assert isinstance(event.record, records.Mission)
    assert (event.record.name, event.occurred_at) == (there.name, NOW)


@pytest.mark.parametrize(
    ("mission", "calls"),
    [
        ('<mission type="DELETE" name="x" guid="g-1"/>', {}),
        ('<mission type="CHANGE" name="x" guid="g-1"/>', {"/missions/guid/{guid}": 1, "/missions/{name}": 1}),
        (
            '<mission name="x" guid="g-1"><MissionChanges><MissionChange><type>DELETE_MISSION</type>'
            "</MissionChange></MissionChanges></mission>",
            {},
        ),
    ],
)
async def test_a_push_of_a_mission_that_is_gone(rig: Rig, mission: str, calls: dict[str, int]) -> None:
    body = f'<event uid="e" type="t-x-m-c" time="2026-11-25T09:30:00Z"><detail>{mission}</detail></event>'
    assert await rig.connector.events(raw(body)) == [
        Removed(kind=Kind.MISSION, id=ids.encode("Mission", "tak", "g-1"), occurred_at=NOW)
    ]
    assert rig.calls == calls


async def test_a_push_without_a_name_tells_nothing(rig: Rig) -> None:
    assert await rig.connector.events(raw('<event uid="e" type="t-x-m-c" time="2026-11-25T09:30:00Z"/>')) == []


async def test_alarms_and_deletions_come_as_events(rig: Rig) -> None:
    there = rig.world.units[0]
    (raised,) = await rig.connector.events(raw(emergency(there, NOW, cancel=False).xml()))
    assert isinstance(raised, Happened)
    assert isinstance(raised.what, records.UnitAlert)
    assert (raised.what.unit_uid, raised.what.callsign) == (there.uid, there.callsign)
    assert (raised.what.alert_type, raised.what.active) == ("911 Alert", True)
    (cancelled,) = await rig.connector.events(raw(emergency(there, NOW, cancel=True).xml()))
    assert isinstance(cancelled, Happened)
    assert isinstance(cancelled.what, records.UnitAlert)
    assert not cancelled.what.active
    deletion = (
        '<event uid="e" type="t-x-d-d" time="2026-11-25T09:30:00Z"><detail><link uid="u-1" relation="p-p" type="none"/>'
        "</detail></event>"
    )
    assert await rig.connector.events(raw(deletion)) == [
        Removed(kind=Kind.UNIT, id=ids.encode("Unit", "tak", "u-1"), occurred_at=NOW)
    ]


async def test_a_unit_comes_as_it_is_now(rig: Rig) -> None:
    there = unit_event(rig.world.units[8], NOW)
    (one,) = await rig.connector.events(raw(there.xml()))
    framed = Raw(delivery_id="d", decoder=decoders.FRAME, payload=Payload(body=there.frame()))
    (two,) = await rig.connector.events(framed)
    assert isinstance(one, Changed)
    assert one == two, "in both forms of the stream"
    assert one.occurred_at == NOW


def test_the_polled_payload_is_what_the_decoder_reads() -> None:
    body = b'{"version":"3","type":"Mission","data":[' + json.dumps({"name": "a"}).encode() + b"]}"
    given = Payload(body=body)
    assert next(each.name for each in TakServer.manifest.decoders if each.recognises(given)) == decoders.MISSION
