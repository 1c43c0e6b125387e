"""The Teamcenter connector against its stand-in, in process: items, what they cost, how it fails, changes."""

import asyncio
import json
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.kit.errors import AuthFailed, BadPayload, Rejected, SessionExpired, VendorDown
from connectors.kit.integration import Integration, Secret
from connectors.kit.protocols import BomRequest, IdentitySource
from connectors.kit.services import Services
from connectors.teamcenter import Teamcenter
from connectors.teamcenter.search import SavedQuery
from connectors.teamcenter.wire import QueryField
from sandbox import teamcenter
from sandbox.standin import Failure
from sandbox.world import World
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from unified import queries
from unified.keys import Subject
from unified.queries import ListQuery, OrderBy
from unified.records import Item, ItemType, Kind
from unified.values import System

QNAME = "http://teamcenter.com/Schemas/Soa/2006-03/"
TEMPLATES = json.loads((Path(__file__).parents[1] / "samples/teamcenter/soa-operations.json").read_text())["operations"]


def integration(**more: Any) -> Integration:
    facts: dict[str, Any] = {
        "key": "plm",
        "system": System.TEAMCENTER,
        "base_url": "http://vendor",
        "credentials": {"user": Secret(teamcenter.USER), "password": Secret(teamcenter.PASSWORD)},
        "settings": {"time_zone": "Africa/Lagos"},
    }
    return Integration(**facts | more)


def items_query(limit: int = 50, order_by: tuple[OrderBy, ...] = (), **more: Any) -> ListQuery[queries.ItemFilter]:
    return ListQuery(filter=queries.ItemFilter(**more), limit=limit, order_by=order_by)


class TestTeamcenter(ConnectorContract):
    system = System.TEAMCENTER
    kinds = frozenset({Kind.ITEM, Kind.BOM})
    request_id_header = None  # the server names no calls

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        clocks: list[FakeClock] = []
        standin = teamcenter.create(World(lambda: clocks[0].now() if clocks else NOW))
        services, clock, log = self.services(httpx.ASGITransport(app=standin.app))
        clocks.append(clock)
        made = Teamcenter(integration(), services)
        self.standin = standin
        yield Bench(
            connector=made, faults=standin.faults, clock=clock, log=log, secrets=(teamcenter.PASSWORD, "JSESSIONID")
        )
        await made.aclose()

    async def read_one(self, connector: Any) -> object:
        return await connector.read_items([self.standin._catalogue.world.products[0].uid])

    def logins(self, bench: Bench) -> int:
        return self.standin.logins

    def wrong_types(self) -> bytes:
        return json.dumps(
            {".QName": f"{QNAME}Base.ServiceData", "modelObjects": {"a": {"uid": "a", "props": 7}}}
        ).encode()


class Wire(httpx.AsyncBaseTransport):
    """Remembers what was sent, whole."""

    def __init__(self, app: Any) -> None:
        self.inner = httpx.ASGITransport(app=app)
        self.sent: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        return await self.inner.handle_async_request(request)


class Rig:
    """A connector over a stand-in whose clock we hold."""

    def __init__(self, settings: dict[str, Any] | None = None, gateway: bool = False, **more: Any) -> None:
        self.clock, self.log = FakeClock(), Lines()
        self.world = World(self.clock.now)
        self.standin = teamcenter.create(self.world, gateway=gateway)
        self.faults = self.standin.faults
        self.wire = Wire(self.standin.app)
        self.services = Services(transport=self.wire, clock=self.clock, log=self.log)
        more["settings"] = {"time_zone": "Africa/Lagos", **(settings or {})}
        self.connector = Teamcenter(integration(**more), self.services)

    def calls(self) -> dict[str, int]:
        """What was asked since the last time, by operation."""
        found = Counter({path.rpartition("/")[2]: count for (_, path), count in self.faults.calls.items()})
        self.faults.calls.clear()
        return dict(found)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.connector.aclose()


# --- items


async def test_a_batch_of_items_is_read_in_one_call(rig: Rig) -> None:
    await rig.connector.check()
    rig.calls()
    ids = [each.uid for each in rig.world.items[:100]]
    found = await rig.connector.read_items([*ids, "nope"])
    assert [each.source.external_id for each in found] == ids
    assert rig.calls() == {"getProperties": 1}
    assert rig.log.lines[-1] == (
        "teamcenter.partial_errors",
        {"integration": "plm", "objects": 1, "codes": [214203]},
    )


async def test_an_item_has_its_newest_revision_and_its_statuses(rig: Rig) -> None:
    found = {each.number: each for each in await rig.connector.read_items([one.uid for one in rig.world.items[:100]])}
    first = found["100-017"]
    assert first.name == "Field pump mark I"
    assert first.description == "Field pump mark I, product, made"
    assert first.item_type is ItemType.ASSEMBLY
    assert (first.unit, first.revision) == ("each", "B")
    assert (first.released, first.release_statuses) == (True, ("TCM Released",))
    assert first.source.vendor_status == "TCM Released"
    assert first.updated_at == datetime(2025, 3, 16, 6, 32, tzinfo=UTC)
    for item in rig.world.items[:100]:
        assert found[item.teamcenter_number].revision == item.latest.id
        assert found[item.teamcenter_number].released == item.latest.released
        assert found[item.teamcenter_number].updated_at == item.modified_at


async def test_units_and_types_are_told(rig: Rig) -> None:
    materials = [each for each in rig.world.items if each.object_type == "Material"][:3]
    tools = [each for each in rig.world.items if each.object_type == "Tool"][:1]
    found = await rig.connector.read_items([each.uid for each in (*materials, *tools)])
    assert [each.unit for each in found] == ["KG", "M", "L", "each"]
    assert [each.item_type for each in found] == [ItemType.RAW_MATERIAL] * 3 + [ItemType.TOOLING]


async def test_a_sites_own_types_stand_in_the_settings() -> None:
    rig = Rig({"item_types": {"Design": "EQUIPMENT"}})
    design = next(each for each in rig.world.items if each.object_type == "Design")
    assert (await rig.connector.read_items([design.uid]))[0].item_type is ItemType.EQUIPMENT
    await rig.connector.aclose()


async def test_items_by_number_are_read_in_one_call(rig: Rig) -> None:
    await rig.connector.check()
    rig.calls()
    found = await rig.connector.items_by_number(["100-017", "PRD-10026", "100017"])
    assert [(each.number, each.revision) for each in found] == [
        ("100-017", "B"),
        ("PRD-10026", rig.world.item_by_teamcenter["PRD-10026"].latest.id),
    ]
    assert rig.calls() == {"getItemFromId": 1}


# --- lists


async def test_a_page_costs_one_call_once_the_query_is_known(rig: Rig) -> None:
    first = await rig.connector.list_items(items_query(limit=150), None)
    assert rig.calls() == {"login": 1, "findSavedQueries": 1, "describeSavedQueries": 1, "performSearch": 1}
    second = await rig.connector.list_items(items_query(limit=150), first.next)
    third = await rig.connector.list_items(items_query(limit=150), second.next)
    assert rig.calls() == {"performSearch": 2}
    assert (first.next, second.next, third.next) == ("150", "300", None)
    assert (first.total, first.sorted) == (420, False)
    numbers = [each.number for page in (first, second, third) for each in page.records]
    assert numbers == sorted(each.teamcenter_number for each in rig.world.items)


async def test_the_server_sorts_by_number_and_name_only(rig: Rig) -> None:
    named = await rig.connector.list_items(items_query(5, (OrderBy("name", descending=True),)), None)
    assert named.sorted
    assert [each.name for each in named.records] == sorted((each.name for each in rig.world.items), reverse=True)[:5]
    assert not (await rig.connector.list_items(items_query(5, (OrderBy("updated_at"),)), None)).sorted


async def test_a_total_is_only_told_for_what_was_pushed_down(rig: Rig) -> None:
    assert (await rig.connector.list_items(items_query(search="pump"), None)).total is None


async def test_numbers_are_pushed_down_in_their_own_spelling(rig: Rig) -> None:
    page = await rig.connector.list_items(items_query(numbers=("100-017", "PRD-10026")), None)
    assert [each.number for each in page.records] == ["100-017", "PRD-10026"]
    assert page.next is None
    assert rig.calls() == {"login": 1, "getItemFromId": 1}


async def test_numbers_in_another_spelling_are_found_by_the_query(rig: Rig) -> None:
    page = await rig.connector.list_items(items_query(numbers=("000000000000100017", "prd10026", "X-1")), None)
    assert sorted(each.number for each in page.records) == ["100-017", "PRD-10026"]
    calls = rig.calls()
    assert (calls["getItemFromId"], calls["executeSavedQueries"], calls["getProperties"]) == (1, 1, 1)


async def test_changed_items_are_pushed_down(rig: Rig) -> None:
    bound = datetime(2025, 9, 1, tzinfo=UTC)
    wanted = {each.uid for each in rig.world.items if each.modified_at > bound}
    assert 0 < len(wanted) < 100
    page = await rig.connector.list_items(items_query(100, updated_after=bound), None)
    assert wanted <= {each.source.external_id for each in page.records}
    assert len(page.records) - len(wanted) <= 1
    assert page.next is None


async def test_without_active_workspace_saved_queries_list_the_items() -> None:
    rig = Rig({"search": "saved-query"})
    cursor, seen = None, list[str]()
    while True:
        page = await rig.connector.list_items(items_query(limit=200), cursor)
        seen += [each.source.external_id for each in page.records]
        cursor = page.next
        if cursor is None:
            break
    assert sorted(seen) == sorted(each.uid for each in rig.world.items)
    assert page.total == 420
    assert "performSearch" not in rig.calls()
    await rig.connector.aclose()


async def test_entries_are_read_in_the_sessions_language() -> None:
    rig = Rig({"locale": "de_DE"})
    assert (await rig.connector.list_items(items_query(3), None)).total == 420
    sent = [json.loads(each.content) for each in rig.wire.sent if each.url.path.endswith("performSearch")]
    assert sent[0]["body"]["searchInput"]["searchCriteria"]["Element-ID"] == "*"
    assert await rig.connector.search.changed_items(datetime(2025, 9, 1, tzinfo=UTC)) != []
    await rig.connector.aclose()


async def test_an_unknown_query_is_told_with_what_to_do() -> None:
    rig = Rig({"item_query": "Teile..."})
    with pytest.raises(Rejected, match=r"there is no saved query `Teile\.\.\.`; set `item_query`"):
        await rig.connector.list_items(items_query(), None)
    await rig.connector.aclose()


def test_an_entry_that_cannot_be_told_is_named_in_the_settings() -> None:
    query = SavedQuery("Item...", "u", (QueryField("last_mod_date", "From"), QueryField("last_mod_date", "To")))
    with pytest.raises(Rejected, match="has no lower bound for `last_mod_date`; name the entry in the settings"):
        query.entry("last_mod_date", after=True)
    assert query.entry("last_mod_date", after=True, named="From") == "From"


async def test_identities_cost_one_call_per_500_items(rig: Rig) -> None:
    assert isinstance(rig.connector, IdentitySource)
    found = [each async for each in rig.connector.identities()]
    assert rig.calls() == {
        "login": 1,
        "findSavedQueries": 1,
        "describeSavedQueries": 1,
        "executeSavedQueries": 1,
        "getProperties": 1,
    }
    assert {(each.number, each.external_id) for each in found} == {
        (each.teamcenter_number, each.uid) for each in rig.world.items
    }
    assert {(each.subject, each.kind) for each in found} == {(Subject.ITEM, Kind.ITEM)}


# --- session


async def test_the_check_names_the_version(rig: Rig) -> None:
    assert await rig.connector.check() == "Teamcenter V14000.3.0"
    assert rig.calls() == {"login": 1, "getTCSessionInfo": 1}


async def test_each_process_has_a_discriminator_of_its_own(rig: Rig) -> None:
    await rig.connector.check()
    key = f"crossdock-plm-{socket.gethostname()}-{os.getpid()}"
    assert list(rig.standin.processes) == [("sandbox", key)]


async def test_closing_logs_out(rig: Rig) -> None:
    await rig.connector.check()
    await rig.connector.aclose()
    assert rig.standin.processes == {}
    assert rig.calls() == {"login": 1, "getTCSessionInfo": 1, "logout": 1}


async def test_wrong_credentials_are_not_tried_again() -> None:
    rig = Rig(credentials={"user": Secret("sandbox"), "password": Secret("wrong-4711")})
    with pytest.raises(AuthFailed, match="either the user ID or the password is invalid") as caught:
        await rig.connector.check()
    assert (caught.value.vendor_code, caught.value.status) == ("515144", 200)
    assert "wrong-4711" not in str(caught.value)
    assert rig.calls() == {"login": 1}
    await rig.connector.aclose()


async def test_a_session_ends_after_half_an_hour_and_is_renewed(rig: Rig) -> None:
    await rig.connector.check()
    rig.clock.passed += 31 * 60
    rig.calls()
    assert await rig.connector.check() == "Teamcenter V14000.3.0"
    assert rig.calls() == {"getTCSessionInfo": 2, "login": 1}


TIMED_OUT = {".QName": f"{QNAME}Exceptions.InvalidUserException", "code": 515143, "level": 3, "message": "Timed out."}


@pytest.mark.parametrize("body", [b'<?xml version="1.0"?><soap:Envelope/>', TIMED_OUT], ids=["xml", "exception"])
async def test_no_session_twice_is_an_expired_session(rig: Rig, body: object) -> None:
    await rig.connector.check()
    rig.faults.fail_next += [Failure(status=200, body=body, path="getProperties")] * 2
    with pytest.raises(SessionExpired):
        await rig.connector.read_items(["a"])
    assert rig.calls()["login"] == 2


async def test_an_internal_error_is_tried_again(rig: Rig) -> None:
    body = {".QName": f"{QNAME}Exceptions.InternalServerException", "code": 1, "level": 3, "message": "Boom"}
    rig.faults.fail_next.append(Failure(status=200, body=body, path="getProperties"))
    assert len(await rig.connector.read_items([rig.world.items[0].uid])) == 1
    rig.faults.fail_next += [Failure(status=200, body=body, path="getItemFromId")] * 3
    with pytest.raises(VendorDown, match=r"answered 200, down \(1\): Boom$"):
        await rig.connector.items_by_number(["1"])


async def test_a_service_error_is_told_and_not_repeated(rig: Rig) -> None:
    said = [{"code": 214000, "level": 3, "message": "An internal error has occurred."}]
    body = {".QName": f"{QNAME}Exceptions.ServiceException", "messages": said}
    rig.faults.fail_next.append(Failure(status=200, body=body, path="getProperties"))
    with pytest.raises(Rejected, match="An internal error has occurred") as caught:
        await rig.connector.read_items(["a"])
    assert caught.value.vendor_code == "214000"
    assert rig.calls() == {"login": 1, "getProperties": 1}


async def test_an_answer_without_a_name_is_no_empty_answer(rig: Rig) -> None:
    await rig.connector.check()
    rig.faults.fail_next.append(Failure(status=200, body={"plain": []}))
    with pytest.raises(BadPayload, match=r"missing required field `\.QName`"):
        await rig.connector.read_items(["a"])


async def test_the_other_door_is_served_too() -> None:
    rig = Rig({"services": "RestServices"})
    assert len(await rig.connector.read_items([rig.world.items[0].uid])) == 1
    assert rig.wire.sent[-1].url.path == "/tc/RestServices/Core-2006-03-DataManagement/getProperties"
    assert rig.wire.sent[-1].headers["Operation-Name"] == "getProperties"
    await rig.connector.aclose()


async def test_a_gateways_token_is_fetched_before_the_log_in() -> None:
    rig = Rig({"gateway": True}, gateway=True)
    assert len(await rig.connector.read_items([rig.world.items[0].uid])) == 1
    assert rig.calls() == {"getSessionVars": 1, "login": 1, "getProperties": 1}
    await rig.connector.aclose()


# --- what we send


def compare(sent: Any, template: Any, at: str) -> None:
    """Every member that is sent is in the template, in the same form; `""` stands for "no object"."""
    if isinstance(template, dict):
        if sent == "" and set(template) == {"uid", "type", "className"}:
            return
        assert isinstance(sent, dict), at
        for name, value in sent.items():
            assert not template or name in template, f"{at}.{name} is not in the template"
            if template:
                compare(value, template[name], f"{at}.{name}")
    elif isinstance(template, list):
        assert isinstance(sent, list), at
        for place, value in enumerate(sent):
            compare(value, template[0], f"{at}[{place}]")
    else:
        assert not isinstance(sent, dict | list), f"{at} must be a plain value"


async def test_every_request_fits_the_template_of_its_operation(rig: Rig) -> None:
    made, top = rig.connector, rig.world.products[0]
    await made.check()
    await made.list_items(items_query(5, (OrderBy("name"),)), None)
    await made.list_items(items_query(numbers=("100017",)), None)
    cursor = (await made.poll(None)).cursor
    rig.standin.change(top.latest.uid, object_name="x")
    await made.poll(cursor)
    assert [each async for each in made.identities()]
    everything = BomRequest(item=top.uid, view="engineering", revision="A", revision_rule="Any Status; Working")
    await made.explode([everything, BomRequest(item=top.uid, max_levels=1)])
    await made.where_used([top.uid])
    await made.aclose()
    seen = set()
    for request in rig.wire.sent:
        operation = request.url.path.removeprefix("/tc/JsonRestServices/")
        envelope = json.loads(request.content)
        assert set(envelope) == {"header", "body"}
        assert set(envelope["header"]) == {"state", "policy"}
        compare(envelope["body"], TEMPLATES[operation]["request"], operation)
        seen.add(operation.rpartition("/")[2])
    assert seen == {
        "login", "logout", "getTCSessionInfo", "getProperties", "getItemFromId", "whereUsed", "findSavedQueries",
        "describeSavedQueries", "executeSavedQueries", "performSearch", "getRevisionRules", "createBOMWindows",
        "closeBOMWindows", "expandPSAllLevels", "expandPSOneLevel",
    }  # fmt: skip


def test_a_request_that_does_not_fit_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"op\.infos\[0\]\.itemID is not in the template"):
        compare({"infos": [{"itemID": "1"}]}, TEMPLATES["Core-2007-01-DataManagement/getItemFromId"]["request"], "op")


async def test_identical_reads_share_one_call(rig: Rig) -> None:
    await rig.connector.check()
    rig.calls()
    uid = rig.world.items[0].uid
    found = await asyncio.gather(*(rig.connector.read_items([uid]) for _ in range(20)))
    assert all(isinstance(each[0], Item) for each in found)
    assert rig.calls() == {"getProperties": 1}
